//! ninjs, the IPTC's news in JSON, versions 1.x, 2.x and 3.x: reads items, and puts labels into them.
//!
//! Fields that this module does not use keep their bytes, and unknown ones too. See <https://iptc.org/std/ninjs>; the fields
//! are those of the schemas 1.6, 2.2 and 3.1.

mod article;
mod concept;
mod from_record;
mod item;
mod labels;
mod version;

pub use item::Item;

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
