//! Makes an item of ninjs 3.0 of an article in another format.

use super::{item::Item, version::Version};
use crate::{
    article::Format,
    formats::{self, Object, Record, date},
};
use serde_json::{Value, json};

impl Item {
    /// The article of a record as ninjs 3.0, with the publication status of its item.
    pub fn of(record: &Record) -> Item {
        let article = &record.article;
        let item = record.item.as_ref();
        let embargoed = item.map(formats::Item::embargoed).unwrap_or_default();
        let status = match item {
            Some(item) if item.is_canceled() => "canceled",
            Some(item) if item.is_withheld() => "withheld",
            _ => "",
        };
        let version = date::rfc3339(&record.published).unwrap_or_default();
        // A version needs a time. A day is that of the content.
        let day = date::day(&record.published).filter(|_| version.is_empty());
        let content_type = match article.format {
            Format::Html => "text/html",
            Format::Text => "text/plain",
        };
        let part = |text: &str| filled(text).map(|text| json!([{ "contentType": content_type, "value": text }]));
        let fields = [
            ("standard", Some(json!({ "name": "ninjs", "version": "3.0" }))),
            ("uri", Some(uri_of(&article.id).into())),
            ("versionCreated", filled(&version)),
            ("contentCreated", day.map(|day| day.to_string().into())),
            ("embargoed", filled(&embargoed)),
            ("pubStatus", filled(status)),
            ("language", filled(&article.language)),
            ("located", filled(&article.dateline)),
            ("headlines", part(&article.headline)),
            ("bodies", part(&article.body)),
        ];
        let fields = fields.into_iter().filter_map(|(name, value)| Some((name, value?)));
        Item { object: Object::of(fields), version: Version::Three }
    }
}

/// A text as JSON; `None` if it is empty.
fn filled(text: &str) -> Option<Value> {
    (!text.is_empty()).then(|| text.into())
}

/// An id as a URI: unchanged if it is one, otherwise as a URN.
fn uri_of(id: &str) -> String {
    let is_scheme = |scheme: &str| {
        scheme.len() > 1
            && scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
    };
    let is_invalid = |c: char| c.is_whitespace() || c.is_control() || "\"<>\\^`{|}".contains(c);
    if id.split_once(':').is_some_and(|(scheme, _)| is_scheme(scheme)) && !id.contains(is_invalid) {
        return id.to_owned();
    }
    let mut uri = "urn:dateline:".to_owned();
    for byte in id.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b':' | b'/' => uri.push(byte as char),
            _ => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        article::Article,
        formats::{Place, ninjs::tests::read},
    };

    #[test]
    fn other_articles_become_items() {
        let article = Article { id: "7 a".into(), headline: "H".into(), body: "B \"q\"".into(), ..Article::default() };
        let item = Item::of(&Record { article: article.clone(), ..Record::default() });
        assert_eq!(item.uri(), "urn:dateline:7%20a");
        let back = read(&item.unlabelled()).record(Place::default()).article;
        assert_eq!((back.headline, back.body), (article.headline, article.body));
        assert_eq!(
            ["tag:x,2024:1", "https://a/b", "a.jsonl:3", "x"].map(uri_of),
            ["tag:x,2024:1", "https://a/b", "a.jsonl:3", "urn:dateline:x"]
        );
    }
}
