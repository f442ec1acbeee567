//! Reads NITF 3.x, the News Industry Text Format of the IPTC.

use super::{Item, Place, Record, xml, xml_encoding};
use crate::article::{Article, Format};
use std::collections::HashSet;
use xml::{Element, XmlError, escape};

/// Elements of the content without text of the article.
const MEDIA: &str = "media";

/// Reads the article of a document.
///
/// # Errors
/// If it is not well-formed; the message does not quote its text.
pub fn read(text: &str, place: &Place) -> Result<Record, XmlError> {
    let root = xml::parse(xml_encoding::without_mark(text.trim_start()))?;
    let (headline, body) = parts(&root);
    let head = |path: &[&str]| root.child("head").and_then(|head| head.at(path));
    let text_at = |path: &[&str]| root.at(path).map(Element::text).filter(|text| !text.is_empty());
    let headline = headline.or_else(|| text_at(&["head", "title"])).unwrap_or_default();
    let docdata = head(&["docdata"]);
    let of_docdata = |name: &str, attribute: &str| {
        docdata.and_then(|data| data.child(name)).and_then(|found| found.attribute(attribute))
    };
    let published = of_docdata("date.issue", "norm").or_else(|| of_docdata("date.release", "norm"));
    let published = published.or_else(|| head(&["pubdata"]).and_then(|data| data.attribute("date.publication")));
    let dateline = root.at(&["body", "body.head", "dateline"]);
    let dateline = dateline.map(|line| line.child("location").map_or_else(|| without_date(line), Element::text));
    let source =
        text_at(&["body", "body.head", "distributor"]).or_else(|| of_docdata("doc-id", "regsrc").map(str::to_owned));
    Ok(Record {
        article: Article {
            id: of_docdata("doc-id", "id-string").map_or_else(|| place.to_string(), str::to_owned),
            headline: escape(&headline),
            body,
            format: Format::Html,
            dateline: dateline.unwrap_or_default(),
            language: root.attribute("baselang").or_else(|| root.attribute("lang")).unwrap_or_default().to_owned(),
            source_country: String::new(),
        },
        topics: subjects(&root),
        published: published.unwrap_or_default().to_owned(),
        source: source.unwrap_or_default(),
        place: place.clone(),
        item: status(docdata),
        ..Record::default()
    })
}

/// The publication status, if the document is canceled or embargoed.
fn status(docdata: Option<&Element>) -> Option<Item> {
    let status = docdata?.attribute("management-status")?.to_ascii_lowercase();
    let release = docdata?.child("date.release").and_then(|date| date.attribute("norm"));
    match &*status {
        "canceled" | "cancelled" => Some(Item::Nitf { canceled: true, embargoed: String::new() }),
        "embargoed" => {
            let embargoed = release.unwrap_or("until further notice").to_owned();
            Some(Item::Nitf { canceled: false, embargoed })
        }
        _ => None,
    }
}

/// The headline and the body, as HTML, of an element `nitf`.
pub fn parts(nitf: &Element) -> (Option<String>, String) {
    let is_filled = |text: &String| !text.is_empty();
    let hedline = nitf.at(&["body", "body.head", "hedline"]).or_else(|| nitf.at(&["body", "body.head", "headline"]));
    let headline = hedline.map(|hedline| hedline.child("hl1").unwrap_or(hedline).text()).filter(is_filled);
    let Some(content) = nitf.at(&["body", "body.content"]) else { return (headline, String::new()) };
    // The full text repeats the lead.
    let full = content.elements().find(|block| block.name == "block" && block.attribute("class") == Some("full_text"));
    let content = full.unwrap_or(content);
    let html = content.to_html(&[MEDIA]);
    let headline = headline.or_else(|| content.descendants("hl2").map(Element::text).find(is_filled));
    (headline, html)
}

/// The text of a dateline without its date.
fn without_date(dateline: &Element) -> String {
    let texts = dateline.children.iter().filter_map(|node| match node {
        xml::Node::Text(text) => Some(text.clone()),
        xml::Node::Element(element) if element.name == "story.date" => None,
        xml::Node::Element(element) => Some(element.text()),
    });
    texts.collect::<String>().trim().to_owned()
}

/// The labels: IPTC subject codes (the seventeen top-level codes are also Media Topics), otherwise names of subjects; and
/// classifiers. Each label occurs once.
fn subjects(root: &Element) -> Vec<String> {
    let of_tobject = root.descendants("tobject.subject").filter_map(|subject| {
        let code = subject.attribute("tobject.subject.refnum").filter(|code| code.len() == 8);
        let named = || {
            let parts = ["tobject.subject.detail", "tobject.subject.matter", "tobject.subject.type"];
            parts.iter().find_map(|name| subject.attribute(name)).map(str::to_owned)
        };
        code.map(|code| format!("{}{code}", if code.ends_with("000000") { "medtop:" } else { "subj:" })).or_else(named)
    });
    let classified = root.descendants("classifier").filter_map(|classifier| {
        let value = classifier.attribute("value").map(str::to_owned);
        value.or_else(|| Some(classifier.text()).filter(|text| !text.is_empty()))
    });
    let mut seen = HashSet::new();
    of_tobject.chain(classified).filter(|label| seen.insert(label.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An article about an invented event.
    const NITF: &str = r#"
<?xml version="1.0" encoding="UTF-8"?><!DOCTYPE nitf SYSTEM "http://www.nitf.org/IPTC/NITF/3.3/specification/dtd/nitf-3-3.dtd">
<nitf baselang="en-KE"><head><title>SLUG-7</title><tobject><tobject.subject tobject.subject.refnum="09000000" tobject.subject.type="Labour"/>
<tobject.subject tobject.subject.refnum="09003000"/></tobject><docdata management-status="embargoed"><doc-id id-string="wire-7" regsrc="LN"/>
<date.issue norm="20300506T101112Z"/><date.release norm="20300507T060000Z"/></docdata></head>
<body><body.head><hedline><hl1>Ferry crews walk out &amp; march</hl1><hl2>Port quiet</hl2></hedline>
<dateline><location>Mombasa, Kenya</location><story.date>May 6</story.date></dateline></body.head>
<body.content><block class="lead_paragraph"><p>Ferry crews walked out.</p></block><block class="full_text"><p>Ferry crews walked out.</p>
<media media-type="image"><media-caption>A ferry in Lisbon</media-caption></media><p>The <org>union</org> said so.</p></block></body.content></body></nitf>"#;

    #[test]
    fn articles_are_read() {
        let place = Place::of_file("a.xml");
        let record = read(NITF.trim(), &place).expect("XML");
        assert_eq!((&*record.article.id, &*record.article.headline), ("wire-7", "Ferry crews walk out &amp; march"));
        assert_eq!((&*record.article.dateline, &*record.article.language), ("Mombasa, Kenya", "en-KE"));
        assert_eq!((&*record.published, &*record.source), ("20300506T101112Z", "LN"));
        assert_eq!(record.topics, ["medtop:09000000", "subj:09003000"]);
        let body = &record.article.body;
        assert_eq!(body.matches("walked out").count(), 1, "{body}");
        assert!(body.contains("union</org> said so") && !body.contains("Lisbon"), "{body}");
        let item = record.item.expect("it is embargoed");
        assert_eq!((item.embargoed(), item.is_canceled()), ("20300507T060000Z".to_owned(), false));
        let canceled = read(&NITF.replace("\"embargoed\"", "\"canceled\""), &place).expect("XML");
        assert!(canceled.item.is_some_and(|item| item.is_canceled()));
        let empty = "<nitf><body><body.content><p>Lead.</p><media media-type='image'/><p>The rest.</p></body.content></body></nitf>";
        assert_eq!(read(empty, &place).expect("XML").article.body, "<p>Lead.</p><p>The rest.</p>");
        let plain = read(
            "<nitf><head><title>T</title></head><body><body.content>Rain <b>fell</b>.</body.content></body></nitf>",
            &place,
        );
        let plain = plain.expect("XML").article;
        assert_eq!((&*plain.headline, &*plain.body, &*plain.id), ("T", "Rain <b>fell</b>.", "a.xml"));
    }
}
