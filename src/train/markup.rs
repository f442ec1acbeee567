//! HTML in rows that do not state their format: archives exported from web pages hold it as text, tags or character references
//! included, which would be learned as words.

use crate::{
    article::Format,
    formats::{Place, Record},
};
use regex::Regex;
use serde::Serialize;
use std::{collections::BTreeMap, sync::LazyLock};

/// Markup is converted if at least this share of a file's rows has it. Fewer rows may be about markup; they are reported only.
const LEAST_SHARE: f64 = 0.05;

/// An end tag, a line break, or a tag with an attribute. A lone start tag may be something else, such as the ticker of a company.
static TAG: LazyLock<Regex> = LazyLock::new(|| {
    const NAMES: &str =
        "p|div|span|a|b|i|em|strong|h[1-6]|li|ul|ol|td|tr|th|table|img|blockquote|font|figure|section|article";
    regex(&format!(r#"(?i)</(?:{NAMES})\s*>|<br\s*/?>|<(?:{NAMES})\s+[a-z-]+\s*=\s*["'\w]"#))
});
static REFERENCE: LazyLock<Regex> =
    LazyLock::new(|| regex(r"&(?:[a-zA-Z][a-zA-Z0-9]{1,30}|#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6});"));

fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).unwrap_or_else(|error| unreachable!("the pattern is constant: {error}"))
}

/// Rows of a file with HTML that do not state their format.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Markup {
    /// The number of rows with tags.
    pub tags: u64,
    /// The number of other rows with character references.
    pub references: u64,
    /// The place of the first of these.
    pub first: Place,
    /// Whether they are read as HTML: because many rows of the file have it.
    pub is_converted: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Found {
    Tags,
    References,
}

fn find(record: &Record) -> Option<Found> {
    if record.is_format_stated || record.article.format == Format::Html {
        return None;
    }
    let texts = [&record.article.headline, &record.article.body];
    if texts.iter().any(|text| TAG.is_match(text)) {
        return Some(Found::Tags);
    }
    let references = |text: &&String| text.contains('&') && REFERENCE.is_match(text);
    texts.iter().any(references).then_some(Found::References)
}

/// Reads the rows of one file that have tags as HTML, and resolves character references in the others, if enough rows have either.
pub fn convert(rows: &mut [Record], found: &mut BTreeMap<String, Markup>, file: String) {
    let kinds: Vec<Option<Found>> = rows.iter().map(find).collect();
    let count = |kind| kinds.iter().filter(|found| **found == Some(kind)).count() as u64;
    let (tags, references) = (count(Found::Tags), count(Found::References));
    let Some(first) = kinds.iter().position(Option::is_some) else { return };
    let is_converted = (tags + references) as f64 >= LEAST_SHARE * rows.len() as f64;
    found.insert(file, Markup { tags, references, first: rows[first].place.clone(), is_converted });
    if !is_converted {
        return;
    }
    for (record, kind) in rows.iter_mut().zip(kinds) {
        let article = &mut record.article;
        // References may hide tags: exports escape them twice.
        if kind == Some(Found::References) {
            for text in [&mut article.headline, &mut article.body] {
                *text = htmlize::unescape(text.as_str()).into_owned();
            }
        }
        let has_tags = kind == Some(Found::Tags) || (kind.is_some() && TAG.is_match(&record.article.body));
        if has_tags {
            record.article.format = Format::Html;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::data::fixtures::rows;

    fn converted(body: &str, of: usize) -> (Record, Option<Markup>) {
        let mut records = rows(of, false).records;
        records[0].article.body = body.to_owned();
        let mut found = BTreeMap::new();
        convert(&mut records, &mut found, "a".to_owned());
        (records.remove(0), found.remove("a"))
    }

    #[test]
    fn tags_and_references_are_converted() {
        let (row, found) = converted("<p class=\"sport\">He won.</p>", 10);
        assert_eq!(
            (row.article.format, found.map(|found| (found.tags, found.is_converted))),
            (Format::Html, Some((1, true)))
        );
        let (row, _) = converted("He said &quot;no&quot; to AT&amp;T", 10);
        assert_eq!((row.article.format, &*row.article.body), (Format::Text, "He said \"no\" to AT&T"));
        let (row, _) = converted("&lt;p&gt;He won.&lt;/p&gt;", 10);
        assert_eq!((row.article.format, &*row.article.body), (Format::Html, "<p>He won.</p>"));
    }

    #[test]
    fn few_rows_and_other_uses_of_the_characters_are_left() {
        let (row, found) = converted("He said &quot;no&quot;", 100);
        assert_eq!(
            (&*row.article.body, found.map(|found| found.is_converted)),
            ("He said &quot;no&quot;", Some(false))
        );
        for text in ["Shares of Agip <A> rose & fell; <TD> too", "if a<b and c>d; R&D;", "a <br and more"] {
            assert_eq!(converted(text, 10).1, None, "{text}");
        }
    }

    #[test]
    fn a_stated_format_has_priority() {
        let mut records = rows(1, false).records;
        records[0].article.body = "Write <b>bold</b> to make it bold".to_owned();
        records[0].is_format_stated = true;
        convert(&mut records, &mut BTreeMap::new(), "a".to_owned());
        assert_eq!(records[0].article.format, Format::Text);
    }
}
