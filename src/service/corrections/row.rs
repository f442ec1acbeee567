//! A row of the log of corrections, as `dateline train --corrections` reads it.

use super::Correction;
use crate::formats::ArticleFields;
use serde::Serialize;
use std::time::{SystemTime, UNIX_EPOCH};

/// A row of the log.
#[derive(Serialize)]
pub struct Row<'a> {
    id: &'a str,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    topics: &'a [String],
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    subtopics: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    regions: Option<&'a [String]>,
    #[serde(skip_serializing_if = "str::is_empty")]
    author: &'a str,
    /// When the server received the correction, in seconds of Unix time.
    received: u64,
    #[serde(flatten)]
    article: Option<ArticleFields<'a>>,
}

impl<'a> Row<'a> {
    /// The row of a correction, with its text if `keeps_text` and it has one.
    pub fn new(correction: &'a Correction, received: SystemTime, keeps_text: bool) -> Self {
        let article = &correction.article;
        let has_text = !article.headline.trim().is_empty() || !article.body.trim().is_empty();
        Row {
            id: &article.id,
            topics: &correction.topics,
            subtopics: &correction.subtopics,
            regions: correction.countries.as_deref(),
            author: &correction.author,
            received: received.duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs()),
            article: (keeps_text && has_text).then(|| article.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Article;

    #[test]
    fn text_is_written_only_where_it_is_kept() {
        let correction = Correction {
            article: Article { id: "a7".to_owned(), body: "Embargoed.".to_owned(), ..Article::default() },
            topics: vec!["sport".to_owned()],
            subtopics: Vec::new(),
            countries: Some(Vec::new()),
            author: String::new(),
        };
        let row = |keeps_text| serde_json::to_string(&Row::new(&correction, UNIX_EPOCH, keeps_text)).expect("JSON");
        assert_eq!(row(false), r#"{"id":"a7","topics":["sport"],"regions":[],"received":0}"#);
        assert!(
            row(true).ends_with(r#""received":0,"headline":"","body":"Embargoed.","format":"text"}"#),
            "{}",
            row(true)
        );
    }
}
