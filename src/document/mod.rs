//! The cleaned article that the models read. Its text maps back to the bytes that the client sent.

mod mapped;

pub use mapped::MappedText;

use crate::article::{Field, Removed};
use std::borrow::Cow;

/// ISO 639 code of an undetermined language.
pub const UNDETERMINED: &str = "und";

/// Maximum number of removed parts listed for one article.
pub const MOST_REMOVED: usize = 1000;

/// A part of the cleaned article.
#[derive(Debug, Clone)]
pub struct Section<'a> {
    /// The section's function: a dateline found in the body has the role [`Field::Dateline`].
    pub role: Field,
    /// The field of the article that contains the section.
    pub origin: Field,
    /// The text, mapped to `origin`.
    pub text: MappedText<'a>,
}

/// A cleaned article.
#[derive(Debug, Clone)]
pub struct Document<'a> {
    /// Headline, dateline and body, in this order, without empty ones.
    pub sections: Vec<Section<'a>>,
    /// Removed parts, sorted by field and offset; at most [`MOST_REMOVED`].
    pub removed: Vec<Removed>,
    /// Whether more than [`MOST_REMOVED`] parts were removed.
    pub more_removed: bool,
    /// ISO 639 code; [`UNDETERMINED`] if the language is neither stated nor detected.
    pub language: Cow<'static, str>,
    /// Whether the language was detected, rather than stated by the article.
    pub language_is_detected: bool,
    /// Whether the text is an article. False for error and block pages, login walls and placeholders.
    pub is_article: bool,
}
