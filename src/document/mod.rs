//! An article as the models read it: cleaned text that knows where it stood in what the client sent.

mod mapped;

pub use mapped::MappedText;

use crate::article::{Field, Removed};
use std::borrow::Cow;

/// Where the language cannot be told.
pub const UNDETERMINED: &str = "und";

/// The most parts of an article that are listed as removed.
pub const MOST_REMOVED: usize = 1000;

/// A part of the cleaned article.
#[derive(Debug, Clone)]
pub struct Section<'a> {
    /// What it is to the model.
    pub role: Field,
    /// The field of the article that it stood in: a dateline mostly stands in the body.
    pub origin: Field,
    /// Its text; offsets lead back into `origin`.
    pub text: MappedText<'a>,
}

/// A cleaned article.
#[derive(Debug, Clone)]
pub struct Document<'a> {
    /// Headline, dateline and body, in this order; those that are empty are missing.
    pub sections: Vec<Section<'a>>,
    /// What was left out, by field and offset; at most [`MOST_REMOVED`] parts.
    pub removed: Vec<Removed>,
    /// Whether more was left out than `removed` lists.
    pub more_removed: bool,
    /// ISO 639 code, [`UNDETERMINED`] if the language is neither stated nor detected.
    pub language: Cow<'static, str>,
    /// Whether the language was detected, rather than stated by the article.
    pub language_is_detected: bool,
    /// Whether the text is an article, rather than a page in its place: an error or block page, a login wall, a placeholder.
    pub is_article: bool,
}
