//! The form of an article: which parts it has and how long it is.

/// Minimum and maximum length in words; shorter and longer articles, which are rare in training data, are clamped to it.
const LENGTH_RANGE: (f64, f64) = (4.0, 1000.0);
/// The natural logarithm of a typical length (55 words), which centres the length factor near 0.
const TYPICAL_LOG_LENGTH: f64 = 4.0;

/// The parts and the length of an article, an input of the decision layer. The meaning of a score depends on them: the same
/// score is stronger evidence for a single headline than for a thousand words.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Form {
    kind: FormKind,
    /// The natural logarithm of the number of words, minus that of a typical length.
    length: f64,
}

/// The parts that an article has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FormKind {
    /// A body without headline, or no text.
    Body,
    /// A headline and a body.
    Both,
    /// A headline without body.
    Headline,
}

impl Form {
    /// Number of factors that describe a form.
    pub const FACTORS: usize = 3;

    /// The form of an article of `words` words, of which `headline` are in the headline.
    pub fn of(words: usize, headline: usize) -> Self {
        Form {
            kind: match headline {
                0 => FormKind::Body,
                _ if words > headline => FormKind::Both,
                _ => FormKind::Headline,
            },
            length: (words as f64).clamp(LENGTH_RANGE.0, LENGTH_RANGE.1).ln() - TYPICAL_LOG_LENGTH,
        }
    }

    /// Whether the article has both headline and body (0 or 1), whether it has only a headline (0 or 1), and its relative
    /// log length.
    pub fn factors(&self) -> [f64; Form::FACTORS] {
        let is = |kind: FormKind| f64::from(u8::from(self.kind == kind));
        [is(FormKind::Both), is(FormKind::Headline), self.length]
    }

    /// Whether the forms of articles differ: less than 90 % have the same parts. If they do not differ, the form is
    /// uninformative and the decision layer is trained without it.
    pub fn differ(forms: impl Iterator<Item = Form> + Clone) -> bool {
        let count = |kind: FormKind| forms.clone().filter(|form| form.kind == kind).count();
        let most_frequent =
            [FormKind::Body, FormKind::Both, FormKind::Headline].map(count).into_iter().max().unwrap_or(0);
        most_frequent * 10 < forms.count() * 9
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_distinguished() {
        let form = |headline: usize, words: usize| Form::of(words, headline);
        assert_eq!(form(5, 5).factors()[..2], [0.0, 1.0]);
        assert_eq!(form(5, 60).factors()[..2], [1.0, 0.0]);
        assert_eq!(form(0, 60).factors()[..2], [0.0, 0.0]);
        assert!(form(0, 60).length > form(0, 6).length);
        assert_eq!(form(0, 5_000), form(0, 50_000));
        assert_eq!(form(0, 0), form(0, 4));
        assert!(Form::differ([form(5, 5), form(5, 60)].into_iter()));
        assert!(!Form::differ([form(0, 5), form(0, 60)].into_iter()));
    }
}
