//! RSS and Atom feeds: an entry an article.

use super::{InputError, Record};
use crate::article::{Article, Format};
use feed_rs::{model::Entry, parser};
use std::io::{BufRead, Read};

/// The largest feed that is read (16 MiB): it is held as a whole.
const MAX_FEED_BYTES: u64 = 16 << 20;

/// Reads the entries of a feed. Bodies are HTML, whatever the feed calls them: that is what they hold.
pub fn read(reader: Box<dyn BufRead>, name: &str) -> Vec<Result<Record, InputError>> {
    let mut bytes = Vec::new();
    let fault = |message: String| vec![Err(InputError::new(name, message))];
    if let Err(error) = reader.take(MAX_FEED_BYTES + 1).read_to_end(&mut bytes) {
        return fault(format!("cannot be read: {error}"));
    }
    if bytes.len() as u64 > MAX_FEED_BYTES {
        return fault(format!("the feed is larger than {} MiB", MAX_FEED_BYTES >> 20));
    }
    // The parser's own words may quote the feed.
    let Ok(feed) = parser::Builder::new().sanitize_content(false).build().parse(&bytes[..]) else {
        return fault(
            "this is no feed that can be read: RSS and Atom are, and HTML under a name that ends in .html".to_owned(),
        );
    };
    if feed.entries.is_empty() {
        return fault("there is no article in it".to_owned());
    }
    let language = feed.language.unwrap_or_default();
    let source = feed.title.map(|title| title.content).unwrap_or_default();
    let entries = feed.entries.into_iter().enumerate();
    entries.map(|(i, entry)| Ok(record(entry, &language, &source, format!("{name}:{}", i + 1)))).collect()
}

fn record(entry: Entry, language: &str, source: &str, place: String) -> Record {
    let content = entry.content.and_then(|content| content.body).filter(|body| !body.trim().is_empty());
    let body = content.or(entry.summary.map(|summary| summary.content)).unwrap_or_default();
    let article = Article {
        id: entry.id,
        headline: entry.title.map(|title| title.content).unwrap_or_default(),
        body,
        format: Format::Html,
        language: entry.language.unwrap_or_else(|| language.to_owned()),
        ..Article::default()
    };
    let published = entry.published.or(entry.updated);
    Record {
        article,
        topics: entry.categories.into_iter().map(|category| category.label.unwrap_or(category.term)).collect(),
        published: published.map(|day| day.format("%Y-%m-%d").to_string()).unwrap_or_default(),
        source: source.to_owned(),
        place,
        ..Record::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RSS: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<rss version="2.0" xmlns:content="http://purl.org/rss/1.0/modules/content/"><channel>
<title>Harbour Post</title><link>https://harbour.example/</link><description>News</description><language>en</language>
<item><title>Ferries &amp;amp; trams stop</title><guid isPermaLink="false">hp-1</guid><category>transport</category>
<pubDate>Mon, 06 May 2024 10:00:00 GMT</pubDate><description>Short.</description>
<content:encoded><![CDATA[<p>Ferries stopped in Lisbon.</p>]]></content:encoded></item>
<item><title>No guid</title><link>https://harbour.example/2</link><description>Only a line.</description></item>
</channel></rss>"#;

    const ATOM: &str = r#"<feed xmlns="http://www.w3.org/2005/Atom"><title>Desk</title><id>urn:desk</id>
<updated>2024-05-06T10:00:00Z</updated><entry><id>urn:desk:1</id><title>Rain</title><updated>2024-05-07T10:00:00Z</updated>
<content type="html">&lt;p&gt;It rained.&lt;/p&gt;</content></entry></feed>"#;

    fn read_text(text: &'static str) -> Vec<Result<Record, InputError>> {
        read(Box::new(text.as_bytes()), "feed.xml")
    }

    #[test]
    fn entries_are_articles() {
        let rows: Vec<Record> = read_text(RSS).into_iter().map(|row| row.expect("an entry")).collect();
        assert_eq!(rows.len(), 2);
        let first = &rows[0];
        assert_eq!((&*first.article.id, &*first.article.language, &*first.source), ("hp-1", "en", "Harbour Post"));
        assert_eq!((&*first.article.body, &*first.published), ("<p>Ferries stopped in Lisbon.</p>", "2024-05-06"));
        assert_eq!((&first.topics[..], &*first.place), (&["transport".to_owned()][..], "feed.xml:1"));
        assert!(!rows[1].article.id.is_empty());
        assert_eq!(rows[1].article.id, read_text(RSS)[1].as_ref().expect("an entry").article.id, "always the same");
        let atom = read_text(ATOM).remove(0).expect("an entry");
        assert_eq!((&*atom.article.body, &*atom.published), ("<p>It rained.</p>", "2024-05-07"));
    }

    #[test]
    fn what_is_no_feed_is_told_without_its_text() {
        for text in ["<newsItem>secret</newsItem>", "<rss", "", "secret"] {
            let error = read_text(text).remove(0).expect_err("no feed").to_string();
            assert!(error.contains("no feed") && !error.contains("secret"), "{error}");
        }
        let empty = "<feed xmlns=\"http://www.w3.org/2005/Atom\"><title>Desk</title><id>urn:desk</id></feed>";
        assert!(read_text(empty)[0].as_ref().is_err_and(|error| error.message.contains("no article")));
    }
}
