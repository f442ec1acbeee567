//! What flows in and what flows out: [`Article`] and [`Classification`].
//!
//! Plain data and its checks. No text is read here, and nothing here knows the wire or a file format.

use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The most bytes that headline, dateline and body of one article may have together (2 MiB). The longest articles of
/// newspapers have about 100 KiB; ten times a novel's chapter is no article.
pub const MAX_ARTICLE_BYTES: usize = 2 << 20;

/// The most bytes of an identifier: [`Article::id`], and the URI of an article on the wire.
pub const MAX_ID_BYTES: usize = 4 << 10;
/// The most bytes of [`Article::dateline`].
pub const MAX_DATELINE_BYTES: usize = 2 << 10;
/// The most bytes of [`Article::language`] and of [`Article::source_country`].
pub const MAX_CODE_BYTES: usize = 64;

/// How the text of an article is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Format {
    /// Plain text; line breaks separate paragraphs.
    #[default]
    Text,
    /// HTML, whole pages or fragments, well-formed or not.
    Html,
}

/// A news article as it arrives.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Article {
    /// The client's own identifier, echoed in answers.
    pub id: String,
    /// The headline, in `format`.
    pub headline: String,
    /// The body, in `format`.
    pub body: String,
    /// How `headline` and `body` are written.
    pub format: Format,
    /// The dateline, where it came apart from the body.
    pub dateline: String,
    /// The language as a BCP 47 tag, or empty.
    pub language: String,
    /// The outlet's country, ISO 3166-1 alpha-2, or empty.
    pub source_country: String,
}

impl Article {
    /// Bytes of headline, dateline and body together.
    pub fn bytes(&self) -> usize {
        self.headline.len() + self.dateline.len() + self.body.len()
    }

    /// Checks that every field is within its limit and that the article has text.
    ///
    /// # Errors
    /// [`ArticleError::Empty`] if no field has text, [`ArticleError::TooLong`] past [`MAX_ARTICLE_BYTES`],
    /// [`ArticleError::FieldTooLong`] past the limit of another field.
    pub fn check(&self) -> Result<(), ArticleError> {
        let bytes = self.bytes();
        if bytes > MAX_ARTICLE_BYTES {
            return Err(ArticleError::TooLong { bytes });
        }
        check_length("id", &self.id, MAX_ID_BYTES)?;
        check_length("dateline", &self.dateline, MAX_DATELINE_BYTES)?;
        check_length("language", &self.language, MAX_CODE_BYTES)?;
        check_length("source_country", &self.source_country, MAX_CODE_BYTES)?;
        let fields = [&self.headline, &self.dateline, &self.body];
        if fields.iter().all(|text| text.trim().is_empty()) {
            return Err(ArticleError::Empty);
        }
        Ok(())
    }

    /// The text of a field, as it arrived.
    pub fn field(&self, field: Field) -> &str {
        match field {
            Field::Headline => &self.headline,
            Field::Body => &self.body,
            Field::Dateline => &self.dateline,
        }
    }
}

/// The start of a text in at most `most` bytes, without a part of a character.
pub(crate) fn prefix(text: &str, most: usize) -> &str {
    let mut end = text.len().min(most);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// Checks the length of a field.
///
/// # Errors
/// [`ArticleError::FieldTooLong`].
pub fn check_length(field: &'static str, value: &str, most: usize) -> Result<(), ArticleError> {
    match value.len() {
        bytes if bytes > most => Err(ArticleError::FieldTooLong { field, bytes, most }),
        _ => Ok(()),
    }
}

/// Why an article, or what was asked about it, cannot be used. The message says what to do.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ArticleError {
    /// No field has text.
    #[error("the article has no text: give it a headline or a body")]
    Empty,
    /// An option that is a probability is none.
    #[error("{option} is {value}: it must be a number from 0 to 1")]
    NoProbability {
        /// Its name in the contract.
        option: &'static str,
        /// What it was set to.
        value: f32,
    },
    /// A field beside headline and body is longer than its limit.
    #[error("the field {field} has {bytes} bytes, the limit is {most}: send a shorter value, or leave it empty")]
    FieldTooLong {
        /// Its name in the contract.
        field: &'static str,
        /// Its length.
        bytes: usize,
        /// The limit.
        most: usize,
    },
    /// More text than [`MAX_ARTICLE_BYTES`].
    #[error(
        "the article has {bytes} bytes of text, the limit is {MAX_ARTICLE_BYTES}: send the article alone, or a part of it"
    )]
    TooLong {
        /// Bytes of headline, dateline and body.
        bytes: usize,
    },
}

/// What to answer with.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Options {
    /// The most topics, and the most regions; `None` is no limit.
    pub max_labels: Option<usize>,
    /// The least confidence of a label, from 0 to 1; `None` is [`DEFAULT_MIN_CONFIDENCE`] for topics and 0 for regions.
    pub min_confidence: Option<f32>,
    /// Whether to give evidence and removed parts.
    pub explain: bool,
    /// From which confidence on a label is [`Decision::Auto`], from 0 to 1; `None` is the model's threshold.
    pub auto_from: Option<f32>,
    /// From which confidence on a label is [`Decision::Review`], from 0 to 1; `None` is the model's threshold.
    pub review_from: Option<f32>,
}

impl Options {
    /// Whether the options are within their ranges.
    ///
    /// # Errors
    /// [`ArticleError::NoProbability`].
    pub fn check(&self) -> Result<(), ArticleError> {
        let given =
            [("min_confidence", self.min_confidence), ("auto_from", self.auto_from), ("review_from", self.review_from)];
        let wrong =
            given.into_iter().find_map(|(option, value)| Some((option, value.filter(|p| !(0.0..=1.0).contains(p))?)));
        wrong.map_or(Ok(()), |(option, value)| Err(ArticleError::NoProbability { option, value }))
    }

    /// The model's thresholds, or what is asked for instead. AUTO wins where both hold.
    pub(crate) fn thresholds(&self, of_model: Thresholds) -> Thresholds {
        let auto = self.auto_from.unwrap_or(of_model.auto);
        Thresholds { auto, review: self.review_from.unwrap_or(of_model.review) }
    }

    /// The most labels, as a number.
    pub(crate) fn most(&self) -> usize {
        self.max_labels.unwrap_or(usize::MAX)
    }
}

/// The least confidence of a topic that is answered with, where the client sets none.
pub const DEFAULT_MIN_CONFIDENCE: f32 = 0.1;

/// A part of an article.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Field {
    /// [`Article::headline`]
    Headline,
    /// [`Article::body`]
    Body,
    /// [`Article::dateline`]
    Dateline,
}

/// The labels of an article.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Classification {
    /// Topics, most confident first.
    pub topics: Vec<Label>,
    /// Narrower topics within `topics`, most confident first; each names its topic in [`Label::broader`].
    #[serde(default)]
    pub subtopics: Vec<Label>,
    /// Countries, most confident first.
    pub regions: Vec<Region>,
    /// ISO 639 code of the language, `und` where it cannot be told.
    pub language: String,
    /// The version of the model that answered.
    pub model_version: Arc<str>,
    /// Remarks for people, such as why a decision is [`Decision::Abstain`].
    pub notes: Vec<String>,
    /// What was left out of the text before it was classified; only with [`Options::explain`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub removed: Vec<Removed>,
}

/// What may be done with a label.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Decision {
    /// Good enough to apply unseen.
    Auto,
    /// Worth suggesting to an editor.
    Review,
    /// Not to be relied on.
    #[default]
    Abstain,
}

/// From which confidence on a decision holds, both from 0 to 1. They belong to the model.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Thresholds {
    /// [`Decision::Auto`] from here on.
    pub auto: f32,
    /// [`Decision::Review`] from here on; at most `auto`.
    pub review: f32,
}

impl Thresholds {
    /// Whether both are probabilities, in order.
    pub fn make_sense(&self) -> bool {
        (0.0..=1.0).contains(&self.auto) && (0.0..=self.auto).contains(&self.review)
    }

    /// What may be done with a label of this confidence.
    pub fn decide(&self, confidence: f32) -> Decision {
        if confidence >= self.auto {
            Decision::Auto
        } else if confidence >= self.review {
            Decision::Review
        } else {
            Decision::Abstain
        }
    }
}

/// A label with its calibrated probability.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Label {
    /// `medtop:11000000`, `PK`, or whatever the model was trained on.
    pub code: Arc<str>,
    /// The English name.
    pub name: Arc<str>,
    /// Of a sub-topic, the code of the topic that it belongs to; `None` for all other labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broader: Option<Arc<str>>,
    /// The probability that the label is right, from 0 to 1.
    #[serde(serialize_with = "round_confidence")]
    pub confidence: f32,
    /// What may be done with it.
    pub decision: Decision,
    /// What it rests on; only with [`Options::explain`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<Evidence>,
    /// Of a topic or sub-topic, what all that is not in `evidence` adds to the log-odds: function words and further terms. Only
    /// with [`Options::explain`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence_remainder: Option<f32>,
}

/// Confidence goes out with four decimals: more would be noise, and makes equal answers look different.
fn round_confidence<S: serde::Serializer>(confidence: &f32, out: S) -> Result<S::Ok, S::Error> {
    out.serialize_f64((f64::from(*confidence) * 1e4).round() / 1e4)
}

impl Decision {
    /// The word for it in JSON, in metrics and on the screen.
    pub fn as_str(self) -> &'static str {
        match self {
            Decision::Auto => "AUTO",
            Decision::Review => "REVIEW",
            Decision::Abstain => "ABSTAIN",
        }
    }
}

/// Why a country is listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Role {
    /// The article is about it.
    About,
    /// The article names it in passing.
    Mentioned,
    /// The article was filed from there and is not about it.
    Dateline,
}

/// A country, or a named part of the world, in the UN M49 tree. `label.confidence` is the probability that the article is
/// about it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Region {
    /// The country, or the part of the world.
    #[serde(flatten)]
    pub label: Label,
    /// Why it is listed.
    pub role: Role,
    /// Country, sub-region, region, world: `["PK", "034", "142", "001"]`.
    pub path: Vec<Arc<str>>,
    /// What speaks for it and against it, the weightiest first. Only with `explain`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub contributions: Vec<Contribution>,
}

/// What one feature of the region model adds to the log-odds that an article is about a country.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Contribution {
    /// The feature's name; the model card says what it is.
    pub feature: Arc<str>,
    /// Its value for this country in this article.
    pub value: f32,
    /// What that adds; negative speaks against the country.
    pub log_odds: f32,
}

/// A place in the text that a label rests on. Offsets are bytes in the field as it arrived.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// The words as the model read them.
    pub term: String,
    /// Where they stand.
    pub field: Field,
    /// First byte.
    pub start: u32,
    /// Behind the last byte.
    pub end: u32,
    /// Topics: contribution to the score. Regions: for a place name how surely it means this place, above 0 up to 1; for
    /// other words what they add to the score of the country.
    pub weight: f32,
}

/// A part of the text that was left out. Offsets are bytes in the field as it arrived.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removed {
    /// Where it stood.
    pub field: Field,
    /// First byte.
    pub start: u32,
    /// Behind the last byte.
    pub end: u32,
    /// Why.
    pub reason: Reason,
}

/// Why a part of the text was left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reason {
    /// Scripts, navigation, forms.
    Markup,
    /// Notices, prompts and link lists of web pages.
    Boilerplate,
    /// Not lost: read as the dateline.
    Dateline,
}

impl Reason {
    /// The word for it on the wire and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::Markup => "markup",
            Reason::Boilerplate => "boilerplate",
            Reason::Dateline => "dateline",
        }
    }
}
