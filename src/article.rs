//! The input and output types of the classifier: [`Article`] and [`Classification`].
//!
//! Plain data and its validation, independent of the gRPC contract and of file formats.

use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Maximum size of headline, dateline and body together, in bytes (2 MiB). The longest newspaper articles have about
/// 100 KiB.
pub const MAX_ARTICLE_BYTES: usize = 2 << 20;

/// Maximum size of an identifier in bytes: [`Article::id`], and the URI of an article in a request.
pub const MAX_ID_BYTES: usize = 4 << 10;
/// Maximum size of [`Article::dateline`] in bytes.
pub const MAX_DATELINE_BYTES: usize = 2 << 10;
/// Maximum size of [`Article::language`] and of [`Article::source_country`] in bytes.
pub const MAX_CODE_BYTES: usize = 64;

/// The markup format of an article's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Format {
    /// Plain text; line breaks separate paragraphs.
    #[default]
    Text,
    /// HTML: a whole page or a fragment, well-formed or not.
    Html,
}

impl Format {
    /// The format's name in rows: `text` or `html`.
    pub fn as_str(self) -> &'static str {
        match self {
            Format::Text => "text",
            Format::Html => "html",
        }
    }
}

/// A news article as the client sends it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Article {
    /// The client's identifier, returned in the response.
    pub id: String,
    /// The headline, in `format`.
    pub headline: String,
    /// The body, in `format`.
    pub body: String,
    /// The format of `headline` and `body`.
    pub format: Format,
    /// The dateline as plain text, if it is not part of the body.
    pub dateline: String,
    /// The language as a BCP 47 tag, or empty.
    pub language: String,
    /// The country of the outlet as an ISO 3166-1 alpha-2 code, or empty.
    pub source_country: String,
}

impl Article {
    /// Size of headline, dateline and body together, in bytes.
    pub fn bytes(&self) -> usize {
        self.headline.len() + self.dateline.len() + self.body.len()
    }

    /// Checks that every field is within its limit and that the article has text.
    ///
    /// # Errors
    /// [`ArticleError::Empty`] if headline, dateline and body are blank, [`ArticleError::TooLong`] if they exceed
    /// [`MAX_ARTICLE_BYTES`], [`ArticleError::FieldTooLong`] if another field exceeds its limit.
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

    /// The text of a field, uncleaned.
    pub fn field(&self, field: Field) -> &str {
        match field {
            Field::Headline => &self.headline,
            Field::Body => &self.body,
            Field::Dateline => &self.dateline,
        }
    }
}

/// The longest prefix of `text` that has at most `max_bytes` bytes and ends on a character boundary.
pub(crate) fn prefix(text: &str, max_bytes: usize) -> &str {
    let mut end = text.len().min(max_bytes);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// Checks that a field has at most `most` bytes.
///
/// # Errors
/// [`ArticleError::FieldTooLong`] if it has more.
pub fn check_length(field: &'static str, value: &str, most: usize) -> Result<(), ArticleError> {
    match value.len() {
        bytes if bytes > most => Err(ArticleError::FieldTooLong { field, bytes, most }),
        _ => Ok(()),
    }
}

/// An invalid article or invalid options.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ArticleError {
    /// Headline, dateline and body are blank.
    #[error("the article has no text: give it a headline or a body")]
    Empty,
    /// An option is not a probability.
    #[error("invalid {option} {value}: expected a number from 0 to 1")]
    NoProbability {
        /// The name of the option in the gRPC contract.
        option: &'static str,
        /// The invalid value.
        value: f32,
    },
    /// A field other than headline and body exceeds its limit.
    #[error("the field {field} has {bytes} bytes, the limit is {most}: send a shorter value or leave it empty")]
    FieldTooLong {
        /// The name of the field in the gRPC contract.
        field: &'static str,
        /// Its size in bytes.
        bytes: usize,
        /// Its limit in bytes.
        most: usize,
    },
    /// The text exceeds [`MAX_ARTICLE_BYTES`].
    #[error(
        "the article has {bytes} bytes of text, the limit is {MAX_ARTICLE_BYTES}: send only the article or a part of it"
    )]
    TooLong {
        /// Size of headline, dateline and body together, in bytes.
        bytes: usize,
    },
}

/// Options of a classification.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Options {
    /// Maximum number of topics, and of regions; `None` for no limit.
    pub max_labels: Option<usize>,
    /// Minimum confidence of a label, from 0 to 1; `None` for [`DEFAULT_MIN_CONFIDENCE`] for topics and 0 for regions.
    pub min_confidence: Option<f32>,
    /// Whether to return evidence and removed parts.
    pub explain: bool,
    /// Minimum confidence of [`Decision::Auto`], from 0 to 1; `None` for the model's threshold.
    pub auto_from: Option<f32>,
    /// Minimum confidence of [`Decision::Review`], from 0 to 1; `None` for the model's threshold.
    pub review_from: Option<f32>,
}

impl Options {
    /// Checks that the options are within their ranges.
    ///
    /// # Errors
    /// [`ArticleError::NoProbability`] for the first option outside of 0 to 1.
    pub fn check(&self) -> Result<(), ArticleError> {
        let options =
            [("min_confidence", self.min_confidence), ("auto_from", self.auto_from), ("review_from", self.review_from)];
        let invalid =
            options.into_iter().find_map(|(option, value)| Some((option, value.filter(|p| !(0.0..=1.0).contains(p))?)));
        invalid.map_or(Ok(()), |(option, value)| Err(ArticleError::NoProbability { option, value }))
    }

    /// The thresholds of these options, by default those of the model. If a confidence reaches both, AUTO applies.
    pub(crate) fn thresholds(&self, of_model: Thresholds) -> Thresholds {
        let auto = self.auto_from.unwrap_or(of_model.auto);
        Thresholds { auto, review: self.review_from.unwrap_or(of_model.review) }
    }

    /// [`max_labels`](Self::max_labels) as a number; `usize::MAX` for no limit.
    pub(crate) fn most(&self) -> usize {
        self.max_labels.unwrap_or(usize::MAX)
    }
}

/// Default minimum confidence of a topic.
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
    /// Sub-topics of `topics`, most confident first; [`Label::broader`] is the code of the topic.
    #[serde(default)]
    pub subtopics: Vec<Label>,
    /// Countries, most confident first.
    pub regions: Vec<Region>,
    /// ISO 639 code of the language, `und` if undetermined.
    pub language: String,
    /// The version of the model that classified the article.
    pub model_version: Arc<str>,
    /// Notes for human readers, such as why a decision is [`Decision::Abstain`].
    pub notes: Vec<String>,
    /// Parts of the text removed before classification; only with [`Options::explain`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub removed: Vec<Removed>,
}

/// The recommended use of a label.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Decision {
    /// Apply without review.
    Auto,
    /// Suggest to an editor.
    Review,
    /// Not reliable enough to use.
    #[default]
    Abstain,
}

/// Minimum confidence of each decision, from 0 to 1. Each model has its own.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Thresholds {
    /// Minimum confidence of [`Decision::Auto`].
    pub auto: f32,
    /// Minimum confidence of [`Decision::Review`]; at most `auto`.
    pub review: f32,
}

impl Thresholds {
    /// Whether both are probabilities and `review` is at most `auto`.
    pub fn make_sense(&self) -> bool {
        (0.0..=1.0).contains(&self.auto) && (0.0..=self.auto).contains(&self.review)
    }

    /// The decision for a label of this confidence.
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
    /// The label's code as in the training data, such as `medtop:11000000` or `PK`.
    pub code: Arc<str>,
    /// The English name.
    pub name: Arc<str>,
    /// For a sub-topic, the code of its topic; otherwise `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broader: Option<Arc<str>>,
    /// The probability that the label is correct, from 0 to 1.
    #[serde(serialize_with = "round_confidence")]
    pub confidence: f32,
    /// The recommended use of the label.
    pub decision: Decision,
    /// The passages that support the label; only with [`Options::explain`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<Evidence>,
    /// For a topic or sub-topic, the contribution to the log-odds of all that is not in `evidence`: function words and further
    /// terms. Only with [`Options::explain`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence_remainder: Option<f32>,
}

/// Serialises confidence with four decimals; further digits are noise.
fn round_confidence<S: serde::Serializer>(confidence: &f32, out: S) -> Result<S::Ok, S::Error> {
    out.serialize_f64((f64::from(*confidence) * 1e4).round() / 1e4)
}

impl Decision {
    /// The decision's name in JSON, metrics and terminal output.
    pub fn as_str(self) -> &'static str {
        match self {
            Decision::Auto => "AUTO",
            Decision::Review => "REVIEW",
            Decision::Abstain => "ABSTAIN",
        }
    }
}

/// The relation of an article to a listed region.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Role {
    /// The article is about the region.
    About,
    /// The article mentions the region in passing.
    Mentioned,
    /// The article was filed from the region but is not about it.
    Dateline,
}

/// A country, or a named part of the world, in the UN M49 tree. `label.confidence` is the probability that the article is
/// about the region.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Region {
    /// The country, or the part of the world.
    #[serde(flatten)]
    pub label: Label,
    /// The relation of the article to the region.
    pub role: Role,
    /// The codes from the region up to the world: `["PK", "034", "142", "001"]`.
    pub path: Vec<Arc<str>>,
    /// Contributions of the features for and against the region, largest first. Only with [`Options::explain`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub contributions: Vec<Contribution>,
}

/// The contribution of one feature of the region model to the log-odds that an article is about a region.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Contribution {
    /// The feature's name, as described in the model card.
    pub feature: Arc<str>,
    /// The feature's value for this region in this article.
    pub value: f32,
    /// The contribution to the log-odds; negative if it counts against the region.
    pub log_odds: f32,
}

/// A passage that supports a label. Offsets are bytes in the field as the client sent it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// The words after cleaning.
    pub term: String,
    /// The field that contains the passage.
    pub field: Field,
    /// Start offset, inclusive.
    pub start: u32,
    /// End offset, exclusive.
    pub end: u32,
    /// For topics, the contribution to the log-odds. For regions, the probability above 0 that a place name means this
    /// place, or the contribution of other words to the score of the country.
    pub weight: f32,
}

/// A part of the text removed before classification. Offsets are bytes in the field as the client sent it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removed {
    /// The field that contains the part.
    pub field: Field,
    /// Start offset, inclusive.
    pub start: u32,
    /// End offset, exclusive.
    pub end: u32,
    /// Why the part was removed.
    pub reason: Reason,
}

/// Why a part of the text was removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reason {
    /// Scripts, navigation, forms.
    Markup,
    /// Notices, prompts and link lists of web pages.
    Boilerplate,
    /// A dateline, which is classified separately from the body.
    Dateline,
}

impl Reason {
    /// The reason's name in the gRPC contract and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::Markup => "markup",
            Reason::Boilerplate => "boilerplate",
            Reason::Dateline => "dateline",
        }
    }
}
