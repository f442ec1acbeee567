//! What reading yields: a record, or an error with its place.

use super::{Place, newsml, ninjs};
use crate::article::Article;

/// An article with the labels and metadata of its row or item.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Record {
    /// The article.
    pub article: Article,
    /// The field `topics`.
    pub topics: Vec<String>,
    /// The field `subtopics`: narrower topics within `topics`.
    pub subtopics: Vec<String>,
    /// The field `regions`; `None` if the row lacks it.
    pub regions: Option<Vec<String>>,
    /// The field `published`, as written.
    pub published: String,
    /// The field `source`: the outlet or the agency.
    pub source: String,
    /// Whether the row was selected for its topic or region (the field `how` is `selected`). Such rows are learned from, but do
    /// not count towards the frequencies of labels.
    pub is_selected: bool,
    /// Whether the row states the format of its article.
    pub is_format_stated: bool,
    /// Where the article was read.
    pub place: Place,
    /// The item of ninjs, NewsML-G2 or NITF, if the article came as one.
    pub item: Option<Item>,
}

impl Record {
    /// Whether the input gives the article an id. Otherwise its id is its place.
    pub fn has_own_id(&self) -> bool {
        self.article.id != self.place.to_string()
    }
}

/// An item of a news agency, with its publication status.
#[derive(Debug, Clone, PartialEq)]
pub enum Item {
    /// ninjs.
    Ninjs(Box<ninjs::Item>),
    /// NewsML-G2.
    NewsMl(newsml::Item),
    /// NITF.
    Nitf {
        /// Whether the publisher withdrew it.
        canceled: bool,
        /// The end of its embargo, as written; empty without one.
        embargoed: String,
    },
}

impl Item {
    /// Whether the publisher withdrew the item. It is then passed on without labels.
    pub fn is_canceled(&self) -> bool {
        match self {
            Item::Ninjs(item) => item.is_canceled(),
            Item::NewsMl(item) => item.is_canceled(),
            Item::Nitf { canceled, .. } => *canceled,
        }
    }

    /// Whether the item is withheld from publication until further notice.
    pub fn is_withheld(&self) -> bool {
        matches!(self, Item::NewsMl(item) if item.is_withheld())
    }

    /// The end of the embargo, as written; empty without one.
    pub fn embargoed(&self) -> String {
        match self {
            Item::Ninjs(item) => item.embargoed(),
            Item::NewsMl(item) => item.embargoed().to_owned(),
            Item::Nitf { embargoed, .. } => embargoed.clone(),
        }
    }
}

/// Why a record, or a whole file, cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {message}")]
pub struct InputError {
    /// Where it is.
    pub place: Place,
    /// What is wrong, and what to do.
    pub message: String,
    /// Whether the rest of the source is lost too, because it is cut off or cannot be read further.
    pub cut_off: bool,
}

impl InputError {
    pub(crate) fn new(place: &Place, message: impl Into<String>) -> Self {
        InputError { place: place.clone(), message: message.into(), cut_off: false }
    }
}
