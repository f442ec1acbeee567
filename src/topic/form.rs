/// Lengths, in words, beyond which an article counts as no shorter or longer: training rows have few beyond.
const LENGTHS: (f64, f64) = (4.0, 1000.0);
/// The natural logarithm of a usual length (55 words), so that usual articles are near 0.
const USUAL_LENGTH: f64 = 4.0;

/// How an article is put together. The meaning of a score depends on it: the same score says more of a headline alone than of
/// a thousand words. The decision layer reads it beside the scores.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Form {
    kind: FormKind,
    /// The logarithm of the number of words, relative to a usual length.
    length: f64,
}

/// The parts that an article has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FormKind {
    /// A body alone, or nothing.
    Body,
    /// A headline and a body.
    Both,
    /// A headline alone.
    Headline,
}

impl Form {
    /// How many numbers describe a form.
    pub const FACTORS: usize = 3;

    /// The form of an article with this many words, of which `headline` stand in the headline.
    pub fn of(words: usize, headline: usize) -> Self {
        Form {
            kind: match headline {
                0 => FormKind::Body,
                _ if words > headline => FormKind::Both,
                _ => FormKind::Headline,
            },
            length: (words as f64).clamp(LENGTHS.0, LENGTHS.1).ln() - USUAL_LENGTH,
        }
    }

    /// Whether there are both headline and body (0 or 1), whether there is a headline alone (0 or 1), and the length.
    pub fn factors(&self) -> [f64; Form::FACTORS] {
        let is = |kind: FormKind| f64::from(u8::from(self.kind == kind));
        [is(FormKind::Both), is(FormKind::Headline), self.length]
    }

    /// Whether the forms of articles differ: less than nine in ten have the same parts. If they do not, the form says nothing
    /// and the decision layer does not read it.
    pub fn differ(forms: impl Iterator<Item = Form> + Clone) -> bool {
        let count = |kind: FormKind| forms.clone().filter(|form| form.kind == kind).count();
        let commonest = [FormKind::Body, FormKind::Both, FormKind::Headline].map(count).into_iter().max().unwrap_or(0);
        commonest * 10 < forms.count() * 9
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_told_apart() {
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
