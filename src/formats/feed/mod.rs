//! Reads feeds: RSS 0.9x, 1.0 and 2.0, Atom 0.3 and 1.0; one article per entry.
//!
//! Entries are found in the bytes of a feed, and then parsed one by one, so that an invalid entry does not affect the others.
//! An element belongs to RSS or Atom if it has the prefix of its entry, whatever the namespace: feeds put RSS into the
//! namespaces of Atom, UserLand, Harvard, or none.

mod channel;
mod entries;
mod record;

use super::{InputError, Place, Reading, Record, xml, xml_encoding};
use channel::Channel;
use encoding_rs::Encoding;
use entries::{Entry, entries};

/// The records of a feed, or an error for each entry that is invalid. All bodies are HTML, whatever type the feed declares.
pub fn read(mut bytes: Vec<u8>, file: &Place, reading: &Reading) -> Vec<Result<Record, InputError>> {
    // Tags are found as bytes.
    if Encoding::for_bom(&bytes).is_some() || reading.check_ascii_compatible().is_err() {
        bytes = match reading.text(bytes) {
            Ok(text) => text.into_bytes(),
            Err(message) => return vec![Err(InputError::new(file, message))],
        };
    }
    let reading = Reading { encoding: encoding(&bytes, reading), ..reading.clone() };
    let entries = entries(&bytes);
    if entries.is_empty() {
        return vec![Err(InputError::new(file, "no article found"))];
    }
    let channel = Channel::of(&String::from_utf8_lossy(&bytes[..entries[0].range.start]));
    let last = entries.len();
    let records = (1..).zip(entries).map(|(number, entry)| {
        let place = file.at_item(number);
        match parse(&bytes[entry.range.clone()], &entry, &reading) {
            Ok(element) => Ok(record::record(&element, &channel, place)),
            Err(message) => {
                let cut_off = number == last as u64 && !entry.is_whole;
                Err(InputError { cut_off, ..InputError::new(&place, message) })
            }
        }
    });
    records.collect()
}

/// The encoding of the entries; `None` is UTF-8. A feed that declares another encoding and is valid UTF-8 is UTF-8.
fn encoding(bytes: &[u8], reading: &Reading) -> Option<&'static Encoding> {
    match std::str::from_utf8(bytes) {
        Ok(_) => None,
        Err(_) => reading
            .encoding
            .or_else(|| xml_encoding::declared(bytes))
            .filter(|encoding| *encoding != encoding_rs::UTF_8),
    }
}

fn parse(bytes: &[u8], entry: &Entry, reading: &Reading) -> Result<xml::Element, String> {
    if !entry.is_whole {
        return Err("the entry is cut off: it has no end tag".to_owned());
    }
    let text = reading.text(bytes.to_vec())?;
    xml::parse(&text).map_err(|error| format!("the entry is {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RSS: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<rss version="2.0" xmlns:content="http://purl.org/rss/1.0/modules/content/"><channel>
<title>Harbour Post</title><link>https://harbour.example/</link><description>News</description><language>en</language>
<item><title>Ferries &amp;amp; trams stop</title><guid isPermaLink="false">hp-1</guid><category>transport</category>
<pubDate>Mon, 06 May 2024 10:00:00 GMT</pubDate><description>Short.</description>
<content:encoded><![CDATA[<p>Ferries stopped in Lisbon.</p><item>]]></content:encoded></item>
<item><title>No guid</title><link>https://harbour.example/2</link><description>Only a line.</description></item>
</channel></rss>"#;

    fn read_bytes(bytes: Vec<u8>) -> Vec<Result<Record, InputError>> {
        read(bytes, &Place::of_file("feed.xml"), &Reading::default())
    }

    pub fn read_text(text: &str) -> Vec<Result<Record, InputError>> {
        read_bytes(text.as_bytes().to_vec())
    }

    pub fn one(text: &str) -> Record {
        let mut rows = read_text(text);
        assert_eq!(rows.len(), 1);
        rows.remove(0).expect("an entry")
    }

    #[test]
    fn entries_are_articles() {
        let rows: Vec<Record> = read_text(RSS).into_iter().map(|row| row.expect("an entry")).collect();
        assert_eq!(rows.len(), 2);
        let first = &rows[0];
        assert_eq!((&*first.article.id, &*first.article.language, &*first.source), ("hp-1", "en", "Harbour Post"));
        assert_eq!(first.article.headline, "Ferries &amp; trams stop");
        assert_eq!(
            (&*first.article.body, &*first.published),
            ("<p>Ferries stopped in Lisbon.</p><item>", "Mon, 06 May 2024 10:00:00 GMT")
        );
        assert_eq!((&*first.topics, &*first.place.to_string()), (&["transport".to_owned()][..], "feed.xml:1"));
        assert_eq!(rows[1].article.id, "https://harbour.example/2");
        assert!(read_text("<feed/>")[0].as_ref().is_err_and(|error| error.message.contains("no article")));
    }

    #[test]
    fn an_invalid_entry_does_not_affect_the_others() {
        let feed = |second: &[u8]| {
            let start = b"<rss><channel><item><guid>1</guid><title>One</title></item>";
            let end = b"<item><guid>3</guid><title>Three</title></item></channel></rss>";
            read_bytes([&start[..], second, end].concat())
        };
        for (second, reason) in [
            (&b"<item><title>secret & more</title></item>"[..], "bare &"),
            (b"<item><title>secret \xE9</title></item>", "not UTF-8 at byte"),
            (b"<item><title>secret</titel></item>", "does not match"),
            (b"<item><title>secret &madeup;</title></item>", "unknown entity"),
            (b"<item><title>secret</title>", "has no end tag"),
            (b"<item><title><![CDATA[secret</title></item>", "no end"),
        ] {
            let rows = feed(second);
            assert_eq!(rows.len(), 3, "{reason}");
            let error = rows[1].as_ref().expect_err("it is invalid");
            assert!(error.message.contains(reason) && !error.message.contains("secret"), "{error}");
            assert_eq!((&*error.place.to_string(), error.cut_off), ("feed.xml:2", false));
            for (row, id) in [(&rows[0], "1"), (&rows[2], "3")] {
                assert_eq!(row.as_ref().expect("it is whole").article.id, id);
            }
        }
        let cut = read_text("<rss><channel><item><title>One</title></item><item><title>Sec");
        assert!(
            cut[0].is_ok() && cut[1].as_ref().is_err_and(|error| error.cut_off && error.message.contains("cut off"))
        );
    }

    #[test]
    fn hostile_feeds_take_linear_time_and_memory() {
        for part in ["<", "<!--", "<![CDATA[", "<item ", "<item>", "</item>", "<a b"] {
            let feed = format!("<rss>{}", part.repeat(1_000_000));
            assert!(read_text(&feed).iter().all(Result::is_err), "{part}");
        }
        let title = "x".repeat(1 << 20);
        let feed = format!("<rss><channel><title>{title}</title>{}", "<item><title>a</title></item>".repeat(20_000));
        let held: usize = read_text(&feed).iter().flatten().map(|record| record.source.len()).sum();
        assert!(held <= 20_000 * channel::MAX_TEXT, "{held}");
    }
}
