//! ninjs, the IPTC's news in JSON, versions 1.x, 2.x and 3.x: reads items, and puts labels into them.
//!
//! Fields that this module does not use keep their bytes, and unknown ones too. See <https://iptc.org/std/ninjs>; the fields
//! are those of the schemas 1.6, 2.2 and 3.1.

mod article;
mod concept;
mod from_record;
mod labels;
mod version;

use super::object::{Object, on_one_line};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use version::Version;

/// An item of news: its fields in order, with their values as written.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    object: Object,
    version: Version,
}

impl Item {
    /// Parses an item; `None` if the JSON is not an object of ninjs.
    ///
    /// An item has a `uri`, or a `guid` as Superdesk writes it. It also names the standard (`standard`), or has a field of
    /// ninjs only, or has a field that ninjs and rows share and none of rows only.
    pub fn read(json: &[u8]) -> Option<Item> {
        let object = Object::read(json)?;
        let version = Version::of(&object)?;
        Some(Item { object, version })
    }

    /// The `uri` of the item, or its `guid`.
    pub fn uri(&self) -> String {
        self.text(&["uri", "guid"])
    }

    /// Whether the publisher withdrew the item. It is then passed on without labels.
    pub fn is_canceled(&self) -> bool {
        ["canceled", "cancelled"].contains(&self.text(&["pubStatus", "pubstatus"]).to_ascii_lowercase().as_str())
    }

    /// The end of the embargo, as written; empty without one. A value that is not a string is returned as JSON, since the item
    /// must not pass as free.
    pub fn embargoed(&self) -> String {
        let raw = self.find("embargoed").map(RawValue::get).filter(|raw| !["null", "false"].contains(raw));
        raw.map_or_else(String::new, |raw| serde_json::from_str(raw).unwrap_or_else(|_| on_one_line(raw)))
    }

    /// The item without changes, on one line.
    pub fn unlabelled(&self) -> String {
        self.object.written_with(Vec::new())
    }

    fn find(&self, name: &str) -> Option<&RawValue> {
        self.object.find(name)
    }

    /// The first value of some fields that is a string and not empty; empty if there is none.
    fn text(&self, names: &[&str]) -> String {
        let texts = names.iter().filter_map(|name| serde_json::from_str::<String>(self.find(name)?.get()).ok());
        texts.into_iter().find(|text| !text.is_empty()).unwrap_or_default()
    }

    /// The elements of a list that have the right type. One object counts as a list of one.
    fn list<T: for<'de> Deserialize<'de>>(&self, name: &str) -> Vec<T> {
        let raw: Vec<Box<RawValue>> = match self.find(name) {
            Some(raw) if raw.get().starts_with('{') => vec![raw.to_owned()],
            raw => raw.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default(),
        };
        raw.iter().filter_map(|raw| serde_json::from_str(raw.get()).ok()).collect()
    }

    /// The names of the lists of subjects and of places.
    fn list_names(&self) -> (&'static str, &'static str) {
        match self.version {
            Version::One { .. } => ("subject", "place"),
            Version::Two { .. } | Version::Three => ("subjects", "places"),
        }
    }
}

/// A string; empty for a value of another type, which does not invalidate the other fields.
fn text<'de, D: Deserializer<'de>>(value: D) -> Result<String, D::Error> {
    Ok(serde_json::Value::deserialize(value)?.as_str().unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Articles about an invented event, in three versions, with unknown fields.
    pub const ONE: &str = r#"{"uri": "http://wire.example/1", "$standard": {"name": "ninjs", "version": "1.5"}, "pubstatus": "usable",
        "headline": "Parliament in Nairobi passes budget", "body_xhtml": "<p>Kenya's parliament passed the budget on Tuesday.</p>",
        "located": "Nairobi", "language": "en", "x_price": 1.10, "x_big": 12345678901234567890123,
        "subject": [{"name": "budget", "scheme": "http://wire.example/topics/", "code": "b1", "rel": "about"}]}"#;
    pub const TWO: &str = r#"{"uri":"http://wire.example/2","versioncreated":"2024-05-06T10:00:00Z","x_note":{"a":[1, 2,{"b":"\u00e9 \"q\" "}]},
        "headlines":[{"role":"short","value":"Budget"},{"role":"main","value":"Parliament in Nairobi passes budget"}],
        "bodies":[{"contenttype":"text/html","value":"<p>html</p>"},{"role":null,"contenttype":"text/plain","value":"Kenya's parliament passed the budget."}],
        "places":[{"name":"Kenya","rel":"about","uri":"http://cvx.iptc.org/iso3166-1a2/ke","x":1}]}"#;
    pub const THREE: &str = r#"{"standard":{"name":"ninjs","version":"3.0"},"uri":"http://wire.example/3","pubStatus":"usable","embargoed":"2030-01-01T00:00:00Z",
        "headlines":[{"value":"AT&T <wins>"}],"bodies":[{"contentType":"text/html","value":"<p>Kenya's parliament passed the budget.</p>"}],
        "subjects":[{"name":"old","rel":"about","uri":"http://cv.iptc.org/newscodes/mediatopic/15000000","creator":"dateline/0","confidence":99}]}"#;

    /// An item about an invented event, as Superdesk writes it.
    pub const SUPERDESK: &str = r#"{"guid": "urn:newsml:desk.example:2030-05-06:7", "version": "2", "type": "text", "pubstatus": "usable",
        "headline": "Ferry crews walk out", "body_html": "<p>Ferry crews in Kenya walked out on Monday.</p>", "embargoed": null,
        "subject": [{"code": "09000000", "name": "labour", "scheme": "mediatopic"}], "place": null, "versioncreated": "2030-05-06T10:00:00+0000"}"#;

    pub fn read(text: &str) -> Item {
        Item::read(text.as_bytes()).expect("ninjs")
    }

    #[test]
    fn items_have_a_publication_status() {
        let canceled = r#"{"uri": "a:b", "pubstatus": "canceled", "headline": "x"}"#;
        assert!(read(canceled).is_canceled() && !read(ONE).is_canceled());
        assert!(read(r#"{"uri":"u","id":"1","pubstatus":"canceled","headline":"H","body_text":"T"}"#).is_canceled());
        for (status, canceled) in [("usable", false), ("canceled", true), ("Cancelled", true)] {
            assert_eq!(read(&SUPERDESK.replace("usable", status)).is_canceled(), canceled, "{status}");
        }
        assert_eq!(read(THREE).embargoed(), "2030-01-01T00:00:00Z");
        assert!(read(SUPERDESK).embargoed().is_empty());
        for (value, embargoed) in
            [("\"Next Monday\"", "Next Monday"), ("{\"until\": 5}", "{\"until\":5}"), ("true", "true")]
        {
            let item = read(&SUPERDESK.replace("\"embargoed\": null", &format!("\"embargoed\": {value}")));
            assert_eq!(item.embargoed(), embargoed);
        }
    }

    #[test]
    fn rows_are_not_items() {
        for text in [
            r#"{"uri": "a:b", "headline": "x", "dateline": "NAIROBI", "regions": ["KE"]}"#,
            r#"{"id": "1", "headline": "x", "uri": "a:b"}"#,
            r#"{"headline": "x"}"#,
            r#"{"uri": "a:b", "body": "x", "headline": "y"}"#,
            "[1]",
        ] {
            assert!(Item::read(text.as_bytes()).is_none(), "{text}");
        }
    }
}
