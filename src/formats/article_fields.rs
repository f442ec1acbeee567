//! An article as fields of a row.

use crate::Article;
use serde::Serialize;

/// The fields of an article in a row, without its id: its text, and what else its classification depends on. Every reader of rows
/// understands them.
#[derive(Debug, Serialize)]
pub struct ArticleFields<'a> {
    headline: &'a str,
    body: &'a str,
    format: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    dateline: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    language: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    source_country: &'a str,
}

impl<'a> From<&'a Article> for ArticleFields<'a> {
    fn from(article: &'a Article) -> Self {
        ArticleFields {
            headline: &article.headline,
            body: &article.body,
            format: article.format.as_str(),
            dateline: &article.dateline,
            language: &article.language,
            source_country: &article.source_country,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{article::Format, formats::read_one};

    #[test]
    fn a_row_is_read_as_the_article_that_it_was_written_from() {
        let filled = |text: &str| text.to_owned();
        let article = Article {
            id: String::new(),
            headline: filled("Rain"),
            body: filled("<p>It rains.</p>"),
            format: Format::Html,
            dateline: filled("Oslo"),
            language: filled("en"),
            source_country: filled("NO"),
        };
        let row = serde_json::to_vec(&ArticleFields::from(&article)).expect("JSON");
        let read = read_one(&row, "").expect("a row").article;
        assert_eq!(Article { id: String::new(), ..read }, article);
    }
}
