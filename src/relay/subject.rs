//! The subject that a labelled article is published on.

use crate::{
    article::{Classification, Decision, Label, Role},
    geography,
};
use std::{fmt, str::FromStr};

/// A NATS subject with placeholders for labels: `labelled.{topic}.{country}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Placeholder(Placeholder),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Placeholder {
    /// The code of the best topic.
    Topic,
    /// The code of the best sub-topic.
    Subtopic,
    /// The code of the first country that the article is about.
    Country,
    /// The decision of the best topic.
    Decision,
    /// The language.
    Language,
}

const PLACEHOLDERS: [(&str, Placeholder); 5] = [
    ("topic", Placeholder::Topic),
    ("subtopic", Placeholder::Subtopic),
    ("country", Placeholder::Country),
    ("decision", Placeholder::Decision),
    ("language", Placeholder::Language),
];

/// The value of a placeholder without a label, or with ABSTAIN labels only.
const NONE: &str = "none";

impl FromStr for Template {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}').ok_or("a { has no }")?;
            let known = PLACEHOLDERS.iter().find(|(known, _)| *known == name);
            let (_, place) = known.ok_or_else(|| {
                format!(
                    "{{{name}}} is unknown: write {{topic}}, {{subtopic}}, {{country}}, {{decision}} or {{language}}"
                )
            })?;
            parts.extend([Part::Text(before.to_owned()), Part::Placeholder(*place)]);
            rest = after;
        }
        parts.push(Part::Text(rest.to_owned()));
        parts.retain(|part| *part != Part::Text(String::new()));
        let template = Template(parts);
        is_subject(&template.filled(|_| "x".to_owned()))?;
        Ok(template)
    }
}

/// Checks that messages can be published to a subject.
///
/// # Errors
/// Why not, and what to write.
pub fn is_subject(text: &str) -> Result<(), String> {
    match text
        .split('.')
        .all(|token| !token.is_empty() && token.chars().all(|c| c.is_ascii_graphic() && !"*>".contains(c)))
    {
        true => Ok(()),
        false => {
            Err("write a subject such as labelled.{topic}.{country}: words separated by dots, without blanks, * or >"
                .to_owned())
        }
    }
}

/// Whether some subject matches both patterns, in which `*` matches a token and a final `>` one or more (NATS subjects).
pub fn overlap(a: &str, b: &str) -> bool {
    let (mut a, mut b) = (a.split('.'), b.split('.'));
    loop {
        match (a.next(), b.next()) {
            (None, None) => return true,
            (Some(">"), Some(_)) | (Some(_), Some(">")) => return true,
            (Some(x), Some(y)) if x == y || x == "*" || y == "*" => {}
            _ => return false,
        }
    }
}

impl Template {
    /// The subject for an answer; `None` for an article that is published without labels.
    pub fn subject(&self, answer: Option<&Classification>) -> String {
        self.filled(|place| {
            answer.and_then(|answer| value(place, answer)).map_or_else(|| NONE.to_owned(), |value| token(&value))
        })
    }

    /// A pattern that matches all subjects of the template.
    pub fn pattern(&self) -> String {
        const ANY: &str = "\u{0}";
        let marked = self.filled(|_| ANY.to_owned());
        let tokens: Vec<&str> = marked.split('.').map(|token| if token.contains(ANY) { "*" } else { token }).collect();
        tokens.join(".")
    }

    fn filled(&self, value: impl Fn(Placeholder) -> String) -> String {
        let parts = self.0.iter().map(|part| match part {
            Part::Text(text) => text.clone(),
            Part::Placeholder(place) => value(*place),
        });
        parts.collect()
    }
}

impl fmt::Display for Template {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name =
            |place: Placeholder| PLACEHOLDERS.iter().find(|(_, known)| *known == place).map_or("", |(name, _)| name);
        formatter.write_str(&self.filled(|place| format!("{{{}}}", name(place))))
    }
}

fn value(place: Placeholder, answer: &Classification) -> Option<String> {
    let topic = answer.topics.first().filter(|label| label.decision != Decision::Abstain);
    match place {
        Placeholder::Topic => topic.map(|label| label.code.to_string()),
        Placeholder::Subtopic => {
            // Only one of the best topic, for both may be in one subject.
            let of_topic = |label: &&Label| topic.is_some_and(|topic| label.broader.as_ref() == Some(&topic.code));
            let mut sure = answer.subtopics.iter().filter(|label| label.decision != Decision::Abstain);
            sure.find(of_topic).map(|label| label.code.to_string())
        }
        Placeholder::Country => {
            let about = answer.regions.iter().filter(|region| region.role == Role::About);
            // Parts of the world are not countries.
            let about = about.filter(|region| geography::is_country(&region.label.code));
            let mut sure = about.filter(|region| region.label.decision != Decision::Abstain);
            sure.next().map(|region| region.label.code.to_string())
        }
        Placeholder::Decision => {
            Some(topic.map_or(Decision::Abstain, |label| label.decision).as_str().to_ascii_lowercase())
        }
        Placeholder::Language => Some(answer.language.clone()),
    }
}

/// A code as a token of a subject: other characters become `_`.
fn token(code: &str) -> String {
    let token: String =
        code.chars().map(|c| if c.is_ascii_alphanumeric() || "-_:".contains(c) { c } else { '_' }).collect();
    if token.is_empty() { NONE.to_owned() } else { token }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{article::Article, model::Model};

    #[test]
    fn subjects_are_built_of_labels() {
        let template: Template = "labelled.{topic}.{country}".parse().expect("a template");
        let article = Article {
            headline: "Parliament in Nairobi passes budget".into(),
            body: "NAIROBI (Reuters) - Kenya's parliament passed the budget on Tuesday after a debate about taxes, the finance \
                   minister said. The opposition in Kenya voted against it."
                .into(),
            ..Article::default()
        };
        let mut answer =
            Model::bundled().expect("it opens").classify(&article, &Default::default()).expect("an answer");
        let best = answer.topics[0].code.to_string();
        assert_eq!(template.subject(Some(&answer)), format!("labelled.{best}.KE"));
        assert_eq!(template.pattern(), "labelled.*.*");
        assert_eq!(template.to_string(), "labelled.{topic}.{country}");
        assert_eq!(template.subject(None), "labelled.none.none");
        let narrower: Template = "labelled.{topic}.{subtopic}".parse().expect("a template");
        let label = |code: &str, broader: &str, decision| Label {
            code: code.into(),
            broader: Some(broader.into()),
            decision,
            ..Label::default()
        };
        answer.subtopics = vec![
            label("unsure", &best, Decision::Abstain),
            label("of-another", "medtop:15000000", Decision::Auto),
            label("narrower", &best, Decision::Review),
        ];
        assert_eq!(narrower.subject(Some(&answer)), format!("labelled.{best}.narrower"));
        answer.subtopics.clear();
        assert_eq!(narrower.subject(Some(&answer)), format!("labelled.{best}.none"));
        answer.topics[0].code = "own section.*".into();
        let other: Template = "a-{topic}.{decision}.{language}".parse().expect("a template");
        answer.topics[0].decision = Decision::Review;
        assert_eq!(other.subject(Some(&answer)), "a-own_section__.review.en");
        assert_eq!(other.pattern(), "*.*.*");
        answer.topics[0].decision = Decision::Abstain;
        assert_eq!(other.subject(Some(&answer)), "a-none.abstain.en");
    }

    #[test]
    fn patterns_overlap() {
        for (a, b, expected) in [
            ("news.in.>", "news.in.a.b", true),
            ("news.in.>", "news.in", false),
            ("news.*.a", "news.in.*", true),
            ("news.*", "labelled.*", false),
            (">", "dead.dateline", true),
            ("labelled.*.*", "labelled.>", true),
            ("a.b", "a.b", true),
            ("a.b", "a.b.c", false),
        ] {
            assert_eq!((overlap(a, b), overlap(b, a)), (expected, expected), "{a} {b}");
        }
    }

    #[test]
    fn invalid_subjects_are_refused() {
        for wrong in ["", "a..b", "a b", "a.>", "{topic", "{section}", "a.*.{topic}"] {
            assert!(wrong.parse::<Template>().is_err(), "{wrong:?}");
        }
    }
}
