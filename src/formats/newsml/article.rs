//! Makes a record of an item of NewsML-G2.

use super::scheme::{MEDIA_TOPIC, MEDIA_TOPICS, is_own};
use crate::{
    article::{Article, Format},
    formats::{
        Place, Record, nitf,
        xml::{Element, escape},
    },
};
use std::collections::{HashMap, HashSet};

/// The record of an item.
pub fn record(item: &Element, place: Place) -> Record {
    let text_at = |path: &[&str]| item.at(path).map(Element::text).filter(|text| !text.is_empty());
    let Body { text: body, format, headline: body_headline, language: body_language } = body(item);
    let headline = headline(item).or_else(|| text_at(&["itemMeta", "title"])).or(body_headline).unwrap_or_default();
    let headline = if format == Format::Html { escape(&headline) } else { headline };
    let language = item.at(&["contentMeta", "language"]).and_then(|language| language.attribute("tag"));
    let language = language.map(str::to_owned).or(body_language).or_else(|| item.attribute("lang").map(str::to_owned));
    let located = || item.at(&["contentMeta", "located"]).and_then(name);
    let source = item.at(&["itemMeta", "provider"]).or_else(|| item.at(&["contentMeta", "infoSource"])).and_then(name);
    let published =
        [&["itemMeta", "versionCreated"][..], &["itemMeta", "firstCreated"], &["contentMeta", "contentCreated"]];
    Record {
        article: Article {
            id: item.attribute("guid").map_or_else(|| place.to_string(), str::to_owned),
            headline,
            body,
            format,
            dateline: text_at(&["contentMeta", "dateline"]).or_else(located).unwrap_or_default(),
            language: language.unwrap_or_default(),
            source_country: String::new(),
        },
        topics: item.child("contentMeta").map(|metadata| subjects(item, metadata)).unwrap_or_default(),
        published: published.iter().find_map(|path| text_at(path)).unwrap_or_default(),
        source: source.unwrap_or_default(),
        place,
        ..Record::default()
    }
}

/// The name of a concept, otherwise its literal or its QCode.
fn name(concept: &Element) -> Option<String> {
    name_child(concept)
        .or_else(|| concept.attribute("literal").map(str::to_owned))
        .or_else(|| concept.attribute("qcode").map(str::to_owned))
}

fn name_child(concept: &Element) -> Option<String> {
    concept.child("name").map(Element::text).filter(|name| !name.is_empty())
}

/// The first headline with text; subheadlines come after all others.
fn headline(item: &Element) -> Option<String> {
    let headlines = item.child("contentMeta")?.elements().filter(|element| element.name == "headline");
    let is_sub =
        |element: &&Element| element.attribute("role").is_some_and(|role| role.to_ascii_lowercase().contains("sub"));
    let best = headlines.filter(|headline| !headline.text().is_empty()).min_by_key(is_sub)?;
    Some(best.text())
}

/// The body of an item, with what the rendition itself has of headline and language.
struct Body {
    text: String,
    format: Format,
    headline: Option<String>,
    language: Option<String>,
}

/// The body in the first rendition with text: in markup, otherwise in plain text, otherwise the description.
fn body(item: &Element) -> Body {
    if let Some(body) = renditions(item, "inlineXML").find_map(marked_up_body) {
        return body;
    }
    let mut plain = renditions(item, "inlineData").filter(|data| {
        let kind = data.attribute("contenttype").unwrap_or("text/plain");
        kind.starts_with("text/") && data.attribute("encoding").is_none() && !data.text().is_empty()
    });
    let (text, format) = match plain.next() {
        Some(data) => {
            let is_html = data.attribute("contenttype").is_some_and(|kind| kind.contains("html"));
            (data.text(), if is_html { Format::Html } else { Format::Text })
        }
        None => {
            let description = item.at(&["contentMeta", "description"]).map(Element::text);
            (description.unwrap_or_default(), Format::Text)
        }
    };
    Body { text, format, headline: None, language: None }
}

fn renditions<'e>(item: &'e Element, name: &'static str) -> impl Iterator<Item = &'e Element> {
    item.child("contentSet").into_iter().flat_map(Element::elements).filter(move |element| element.name == name)
}

/// The body of NITF, XHTML or other markup; `None` if it has no text.
fn marked_up_body(rendition: &Element) -> Option<Body> {
    let root = rendition.elements().next().filter(|root| !root.text().is_empty())?;
    let language = rendition.attribute("lang").map(str::to_owned);
    if root.name.eq_ignore_ascii_case("nitf") {
        let (headline, text) = nitf::parts(root);
        if !text.is_empty() {
            return Some(Body { text, format: Format::Html, headline, language });
        }
    }
    let content = root.descendants("body").next().unwrap_or(root);
    let headline = root.at(&["head", "title"]).map(Element::text).filter(|title| !title.is_empty());
    Some(Body { text: content.to_html(&[]), format: Format::Html, headline, language })
}

/// The labels of other creators: codes of Media Topics, otherwise names or codes as written. Ancestors of subjects are ignored,
/// and each label occurs once.
fn subjects(item: &Element, metadata: &Element) -> Vec<String> {
    let is_ancestor = |subject: &Element| subject.attribute("why").is_some_and(|why| why.ends_with(":ancestor"));
    let subjects = metadata
        .elements()
        .filter(|element| element.name == "subject")
        .filter(|subject| !is_own(subject) && !is_ancestor(subject));
    let assertions: HashMap<&str, &Element> = item
        .elements()
        .filter(|element| element.name == "assert")
        .filter_map(|assertion| Some((assertion.attribute("qcode")?, assertion)))
        .collect();
    let mut seen = HashSet::new();
    subjects.filter_map(|subject| label(subject, &assertions)).filter(|label| seen.insert(label.clone())).collect()
}

/// The label of a subject, with the assertions of its item by QCode.
fn label(subject: &Element, assertions: &HashMap<&str, &Element>) -> Option<String> {
    let same = || subject.elements().filter(|element| element.name == "sameAs").find_map(media_topic);
    let asserted = || name_child(assertions.get(subject.attribute("qcode")?)?);
    let written = || ["literal", "qcode", "uri"].iter().find_map(|name| subject.attribute(name)).map(str::to_owned);
    media_topic(subject).or_else(same).or_else(|| name_child(subject)).or_else(asserted).or_else(written)
}

/// The code of a Media Topic, by its QCode or its URI; `None` for other concepts.
fn media_topic(concept: &Element) -> Option<String> {
    let code = concept.attribute("qcode").and_then(|qcode| qcode.strip_prefix(MEDIA_TOPIC));
    let code = code.or_else(|| concept.attribute("uri").and_then(|uri| uri.strip_prefix(MEDIA_TOPICS)));
    code.map(|code| format!("{MEDIA_TOPIC}{code}"))
}

#[cfg(test)]
mod tests {
    use crate::{
        article::Format,
        formats::newsml::tests::{ITEM, MESSAGE, all, one},
    };

    #[test]
    fn items_are_read() {
        let record = one(ITEM);
        assert_eq!(record.article.id, "urn:wire.example:7");
        assert_eq!(record.article.headline, "Ferry crews in Kenya walk out &amp; march");
        assert!(record.article.body.contains("<p>Ferry crews in Mombasa"), "{}", record.article.body);
        assert_eq!((&*record.article.language, &*record.article.dateline), ("en-GB", "Mombasa"));
        assert_eq!((&*record.published, &*record.source), ("2030-05-06T10:11:12Z", "Lakeside News"));
        assert_eq!(record.topics, ["medtop:20000501", "Ports"]);
    }

    #[test]
    fn character_data_is_text() {
        let record = one("<newsItem><contentSet><inlineXML><html><body><p>Lead</p>\
            <p><![CDATA[2 < 3 in Kenya]]></p></body></html></inlineXML></contentSet></newsItem>");
        assert_eq!(record.article.body, "<p>Lead</p><p>2 &lt; 3 in Kenya</p>");
    }

    #[test]
    fn messages_plain_text_and_nitf_are_read() {
        let records = all(MESSAGE);
        assert_eq!(records.len(), 2);
        assert_eq!((&*records[0].article.body, records[0].article.format), ("Rain fell in Kenya.", Format::Text));
        assert_eq!((&*records[1].article.headline, &*records[1].place.to_string()), ("Rain", "a.xml:2"));
        assert!(records[1].article.body.contains("<p>It fell.</p>"));
    }
}
