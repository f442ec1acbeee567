//! NewsML-G2, the IPTC's news in XML: reads items, and puts labels into their documents.
//!
//! Labels are inserted into the bytes of a document; everything else is unchanged. See <https://iptc.org/std/NewsML-G2>; the
//! order of elements is that of the schema 2.35, which allows `subject` anywhere in the descriptive metadata.

mod article;
mod document;
mod labels;
mod read;
mod scheme;

pub use document::{Document, Item};
pub use read::read;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::{Place, Record};

    /// An item about an invented event.
    pub const ITEM: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<!-- wire --><newsItem xmlns="http://iptc.org/std/nar/2006-10-01/" guid="urn:wire.example:7" version="2" xml:lang="en-GB">
  <catalogRef href="http://www.iptc.org/std/catalog/catalog.IPTC-G2-Standards_38.xml"/>
  <itemMeta><provider literal="Lakeside News"/><versionCreated>2030-05-06T10:11:12Z</versionCreated>
    <embargoed>2030-05-07T06:00:00Z</embargoed><pubStatus qcode="stat:usable"/></itemMeta>
  <contentMeta><urgency>4</urgency><located><name>Mombasa</name></located>
    <headline role="hld:sub">Port quiet</headline><headline>Ferry crews in Kenya walk out &amp; march</headline>
    <subject qcode="medtop:20000501" why="why:direct"/><subject qcode="medtop:09000000" why="why:ancestor"/>
    <subject qcode="house:1"/><x:own xmlns:x="urn:x">kept</x:own></contentMeta>
  <assert qcode="house:1"><name>Ports</name></assert>
  <contentSet><inlineXML contenttype="application/xhtml+xml"><h:html xmlns:h="http://www.w3.org/1999/xhtml"><h:body>
    <h:p>Ferry crews in Mombasa, Kenya, walked out on Monday over unpaid wages.</h:p><h:p>The union said the strike would go on.</h:p>
  </h:body></h:html></inlineXML><remoteContent href="x.jpg"/></contentSet>
</newsItem>"#;

    /// A message with a package and two items, the second one in NITF.
    pub const MESSAGE: &str = "<n:newsMessage xmlns:n='http://iptc.org/std/nar/2006-10-01/'><n:itemSet><n:packageItem/>\
        <n:newsItem guid='1'><n:itemMeta/><n:contentSet><n:inlineData contenttype='text/plain'>Rain fell in Kenya.</n:inlineData></n:contentSet></n:newsItem>\
        <n:newsItem guid='2'><n:contentMeta/><n:contentSet><n:inlineXML><nitf><body><body.head><hedline><hl1>Rain</hl1></hedline></body.head>\
        <body.content><p>It fell.</p></body.content></body></nitf></n:inlineXML></n:contentSet></n:newsItem></n:itemSet></n:newsMessage>";

    pub fn all(text: &str) -> Vec<Record> {
        read(text, &Place::of_file("a.xml")).expect("XML")
    }

    pub fn one(text: &str) -> Record {
        let mut records = all(text);
        assert_eq!(records.len(), 1);
        records.remove(0)
    }

    pub fn item(record: &Record) -> &Item {
        match &record.item {
            Some(crate::formats::Item::NewsMl(item)) => item,
            _ => panic!("an item"),
        }
    }

    #[test]
    fn items_have_a_publication_status() {
        let usable = one(ITEM);
        assert_eq!((item(&usable).embargoed(), item(&usable).is_canceled()), ("2030-05-07T06:00:00Z", false));
        let canceled = one(&ITEM.replace("stat:usable", "stat:canceled").replace("2030-05-07T06:00:00Z", ""));
        assert_eq!((item(&canceled).embargoed(), item(&canceled).is_canceled()), ("until further notice", true));
    }

    #[test]
    fn documents_have_a_maximum_size() {
        let many =
            format!("<newsItem><contentMeta>{}</contentMeta></newsItem>", "<subject qcode='a:b'/>".repeat(90_000));
        assert_eq!(one(&many).topics, ["a:b"]);
        let more = format!("<newsItem>{}</newsItem>", "<a/>".repeat(300_000));
        assert!(read(&more, &Place::of_file("a.xml")).is_err_and(|error| error.reason.contains("too many")));
    }
}
