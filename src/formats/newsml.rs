//! NewsML-G2, the IPTC's news in XML: read to be classified, and given back with labels in it.
//!
//! What is not read is not touched: labels are put into the bytes that came in (<https://iptc.org/std/NewsML-G2>; the order of
//! elements is that of the schema 2.35, which allows `subject` anywhere among the descriptive metadata).

use super::{Record, xml};
use crate::{
    article::{Article, Classification, Decision, Format, Label, Role},
    geography,
};
use std::{
    collections::{HashMap, HashSet},
    fmt::Write as _,
    ops::Range,
    sync::Arc,
};
use xml::{Element, XmlError, escape};

const MEDIA_TOPICS: &str = "http://cv.iptc.org/newscodes/mediatopic/";
const COUNTRIES: &str = "http://cvx.iptc.org/iso3166-1a2/";
/// How the URI of this creator begins; the version of the model follows.
const CREATOR: &str = "urn:dateline:model:";
/// A concept was extracted by a program, and inferred rather than stated.
const HOW: &str = "http://cv.iptc.org/newscodes/howextracted/tool";
const WHY: &str = "http://cv.iptc.org/newscodes/whypresent/inferred";
/// Metadata that may stand before `subject`, and need not: what describes the content stands behind.
const ADMINISTRATIVE: [&str; 14] = [
    "icon",
    "urgency",
    "contentCreated",
    "contentModified",
    "digitalSourceType",
    "located",
    "infoSource",
    "creator",
    "contributor",
    "audience",
    "exclAudience",
    "altId",
    "rating",
    "userInteraction",
];
const DESCRIPTIVE: [&str; 9] =
    ["language", "genre", "keyword", "subject", "slugline", "headline", "dateline", "by", "creditline"];

/// A document: one item of news, or a message with several.
#[derive(Debug, PartialEq)]
pub struct Document {
    /// Without its byte-order mark.
    text: String,
    has_mark: bool,
    items: Vec<Parts>,
}

/// What is needed of an item of news.
#[derive(Debug, PartialEq)]
struct Parts {
    /// `usable`, `withheld`, `canceled`, or what it says instead.
    status: String,
    embargoed: String,
    /// Where labels are put in.
    insert: usize,
    /// Whether the metadata that holds them is missing.
    without_metadata: bool,
    /// Metadata that holds nothing, which what is put in replaces.
    empty_metadata: Option<Range<usize>>,
    /// Labels that this creator gave before.
    former: Vec<Range<usize>>,
    /// The prefix of its elements, with its colon.
    prefix: String,
}

/// An item of news in its document.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    document: Arc<Document>,
    index: usize,
}

impl Item {
    /// The document that the item stands in.
    pub fn document(&self) -> &Arc<Document> {
        &self.document
    }

    /// Whether it is the last one of its document.
    pub fn is_last(&self) -> bool {
        self.index + 1 == self.document.items.len()
    }

    /// Whether its publication was taken back.
    pub fn is_canceled(&self) -> bool {
        self.document.items[self.index].is_canceled()
    }

    /// Whether it may not be published for now.
    pub fn is_withheld(&self) -> bool {
        self.document.items[self.index].status == "withheld"
    }

    /// Until when it must not be published, as it says; empty if it may be.
    pub fn embargoed(&self) -> &str {
        &self.document.items[self.index].embargoed
    }
}

/// The items of news in a document; packages, concepts and plans have no text and are left out.
///
/// # Errors
/// If it is not well-formed; the message does not quote its text.
pub fn read(text: &str, place: &str) -> Result<Vec<Record>, XmlError> {
    let has_mark = text.starts_with('\u{FEFF}');
    let text = xml::declared_as_utf8(xml::without_mark(text).to_owned());
    let root = xml::parse(&text)?;
    let items: Vec<&Element> = match &*root.name {
        "newsItem" => vec![&root],
        _ => root.descendants("newsItem").collect(),
    };
    let places: Vec<String> = match items.len() {
        1 => vec![place.to_owned()],
        all => (1..=all).map(|i| format!("{place}:{i}")).collect(),
    };
    let mut records: Vec<Record> = items.iter().zip(places).map(|(item, place)| record(item, place)).collect();
    let parts = items.iter().map(|item| Parts::of(&text, item)).collect();
    let document = Arc::new(Document { text, has_mark, items: parts });
    for (index, record) in records.iter_mut().enumerate() {
        record.item = Some(super::Item::NewsMl(Item { document: document.clone(), index }));
    }
    Ok(records)
}

fn record(item: &Element, place: String) -> Record {
    let at = |path: &[&str]| item.at(path);
    let said = |path: &[&str]| at(path).map(Element::text).filter(|text| !text.is_empty());
    let (body, format, body_headline, body_language) = body(item);
    let headline = headline(item).or_else(|| said(&["itemMeta", "title"])).or(body_headline).unwrap_or_default();
    let headline = if format == Format::Html { escape(&headline) } else { headline };
    let language = at(&["contentMeta", "language"]).and_then(|language| language.attribute("tag")).map(str::to_owned);
    let language = language.or(body_language).or_else(|| item.attribute("lang").map(str::to_owned));
    let name_of = |element: &Element| {
        let name = element.child("name").map(Element::text).filter(|name| !name.is_empty());
        name.or_else(|| element.attribute("literal").map(str::to_owned))
            .or_else(|| element.attribute("qcode").map(str::to_owned))
    };
    let located = || at(&["contentMeta", "located"]).and_then(name_of);
    let source = at(&["itemMeta", "provider"]).or_else(|| at(&["contentMeta", "infoSource"])).and_then(name_of);
    let published =
        [&["itemMeta", "versionCreated"][..], &["itemMeta", "firstCreated"], &["contentMeta", "contentCreated"]];
    Record {
        article: Article {
            id: item.attribute("guid").map_or_else(|| place.clone(), str::to_owned),
            headline,
            body,
            format,
            dateline: said(&["contentMeta", "dateline"]).or_else(located).unwrap_or_default(),
            language: language.unwrap_or_default(),
            source_country: String::new(),
        },
        topics: item.child("contentMeta").map(|metadata| subjects(item, metadata)).unwrap_or_default(),
        published: published.iter().find_map(|path| said(path)).unwrap_or_default(),
        source: source.unwrap_or_default(),
        place,
        ..Record::default()
    }
}

/// The headline: the first one, subheads after the others.
fn headline(item: &Element) -> Option<String> {
    let headlines = item.child("contentMeta")?.elements().filter(|element| element.name == "headline");
    let is_sub =
        |element: &&Element| element.attribute("role").is_some_and(|role| role.to_ascii_lowercase().contains("sub"));
    let best = headlines.filter(|headline| !headline.text().is_empty()).min_by_key(is_sub)?;
    Some(best.text())
}

/// Text, format, headline and language of the first rendition that has text: marked up before plain.
fn body(item: &Element) -> (String, Format, Option<String>, Option<String>) {
    let renditions = |name: &'static str| {
        item.child("contentSet").into_iter().flat_map(Element::elements).filter(move |element| element.name == name)
    };
    for rendition in renditions("inlineXML") {
        let Some(root) = rendition.elements().next().filter(|root| !root.text().is_empty()) else { continue };
        let language = rendition.attribute("lang").map(str::to_owned);
        if root.name.eq_ignore_ascii_case("nitf") {
            let (headline, body) = super::nitf::parts(root);
            if !body.is_empty() {
                return (body, Format::Html, headline, language);
            }
        }
        let content = root.descendants("body").next().unwrap_or(root);
        let title = root.at(&["head", "title"]).map(Element::text).filter(|title| !title.is_empty());
        return (content.to_html(&[]), Format::Html, title, language);
    }
    let plain = renditions("inlineData").filter(|data| {
        let kind = data.attribute("contenttype").unwrap_or("text/plain");
        kind.starts_with("text/") && data.attribute("encoding").is_none()
    });
    let mut filled = plain.filter(|data| !data.text().is_empty());
    if let Some(data) = filled.next() {
        let html = data.attribute("contenttype").is_some_and(|kind| kind.contains("html"));
        let format = if html { Format::Html } else { Format::Text };
        return (data.text(), format, None, None);
    }
    let description = item.at(&["contentMeta", "description"]).map(Element::text).unwrap_or_default();
    (description, Format::Text, None, None)
}

/// Labels that others gave: codes of Media Topics, otherwise names or codes as they wrote them. Parents that were added to a
/// subject are not labels.
fn subjects(item: &Element, metadata: &Element) -> Vec<String> {
    let subjects = metadata.elements().filter(|element| element.name == "subject");
    let given = subjects
        .filter(|subject| !is_ours(subject) && !subject.attribute("why").is_some_and(|why| why.ends_with(":ancestor")));
    let named = |element: &Element| element.child("name").map(Element::text).filter(|name| !name.is_empty());
    let asserted: HashMap<&str, &Element> = item
        .elements()
        .filter(|element| element.name == "assert")
        .filter_map(|assert| Some((assert.attribute("qcode")?, assert)))
        .collect();
    let label = |subject: &Element| -> Option<String> {
        let media_topic = |concept: &Element| {
            let code = concept.attribute("qcode").and_then(|qcode| qcode.strip_prefix("medtop:"));
            let code = code.or_else(|| concept.attribute("uri").and_then(|uri| uri.strip_prefix(MEDIA_TOPICS)));
            code.map(|code| format!("medtop:{code}"))
        };
        let same = || subject.elements().filter(|element| element.name == "sameAs").find_map(media_topic);
        let in_assert = || named(asserted.get(subject.attribute("qcode")?)?);
        let written = || ["literal", "qcode", "uri"].iter().find_map(|name| subject.attribute(name)).map(str::to_owned);
        media_topic(subject).or_else(same).or_else(|| named(subject)).or_else(in_assert).or_else(written)
    };
    let mut seen = HashSet::new();
    given.filter_map(label).filter(|label| seen.insert(label.clone())).collect()
}

fn is_ours(subject: &Element) -> bool {
    subject.attribute("creatoruri").is_some_and(|creator| creator.starts_with(CREATOR))
}

impl Parts {
    fn is_canceled(&self) -> bool {
        matches!(&*self.status, "canceled" | "cancelled")
    }

    fn of(text: &str, item: &Element) -> Parts {
        let status = item.at(&["itemMeta", "pubStatus"]);
        let status =
            status.and_then(|status| status.attribute("qcode").or_else(|| status.attribute("uri"))).unwrap_or_default();
        let status = status.rsplit([':', '/']).next().unwrap_or_default().to_ascii_lowercase();
        let embargoed = item.at(&["itemMeta", "embargoed"]).map(Element::text);
        let metadata = item.child("contentMeta");
        let prefix = if item.prefix.is_empty() { String::new() } else { format!("{}:", item.prefix) };
        let empty = metadata.filter(|metadata| text[metadata.range.clone()].ends_with("/>"));
        let insert = metadata.filter(|_| empty.is_none()).map(place_of_subjects);
        let behind_metadata = ["itemMeta", "rightsInfo", "catalog", "catalogRef"]
            .iter()
            .find_map(|name| item.elements().filter(|element| element.name == *name).last())
            .map_or(item.content.start, |element| element.range.end);
        let former = metadata
            .into_iter()
            .flat_map(Element::elements)
            .filter(|element| element.name == "subject" && is_ours(element));
        Parts {
            status,
            // Empty stands for an embargo without an end.
            embargoed: embargoed
                .map(|until| if until.is_empty() { "until further notice".to_owned() } else { until })
                .unwrap_or_default(),
            insert: insert.unwrap_or(behind_metadata),
            without_metadata: insert.is_none(),
            empty_metadata: empty.map(|empty| empty.range.clone()),
            former: former.map(|subject| subject.range.clone()).collect(),
            prefix,
        }
    }
}

/// Behind the last subject, otherwise before the first metadata that describes the content, otherwise behind the administrative
/// ones.
fn place_of_subjects(metadata: &Element) -> usize {
    let elements = || metadata.elements();
    if let Some(last) = elements().filter(|element| element.name == "subject").last() {
        return last.range.end;
    }
    if let Some(first) = elements().find(|element| DESCRIPTIVE.contains(&element.name.as_str())) {
        return first.range.start;
    }
    let administrative = elements().take_while(|element| ADMINISTRATIVE.contains(&element.name.as_str())).last();
    administrative.map_or(metadata.content.start, |element| element.range.end)
}

impl Document {
    /// The document with labels in its items, in their order; `None` for an item without an answer. What this creator said before
    /// is replaced; everything else is as it came.
    pub fn labelled(&self, answers: &[Option<&Classification>]) -> String {
        let mut changes: Vec<(Range<usize>, String)> = Vec::new();
        for (parts, answer) in self.items.iter().zip(answers) {
            let Some(answer) = answer.filter(|_| !parts.is_canceled()) else { continue };
            changes.extend(parts.former.iter().map(|range| (range.clone(), String::new())));
            let mut subjects = String::new();
            // Writing to a string cannot fail.
            let _ = write_subjects(&mut subjects, &parts.prefix, answer);
            if parts.without_metadata && !subjects.is_empty() {
                subjects = format!("<{0}contentMeta>{subjects}</{0}contentMeta>", parts.prefix);
            }
            let place = parts.empty_metadata.clone().filter(|_| !subjects.is_empty());
            changes.push((place.unwrap_or(parts.insert..parts.insert), subjects));
        }
        changes.sort_by_key(|(range, _)| (range.start, range.end));
        let mut labelled = String::with_capacity(self.text.len() + 1024);
        if self.has_mark {
            labelled.push('\u{FEFF}');
        }
        let mut from = 0;
        for (range, new) in changes {
            labelled.push_str(&self.text[from..range.start.max(from)]);
            labelled.push_str(&new);
            from = range.end.max(from);
        }
        labelled + &self.text[from..]
    }
}

fn write_subjects(out: &mut String, prefix: &str, answer: &Classification) -> std::fmt::Result {
    let creator = format!("{CREATOR}{}", answer.model_version);
    let mut subject = |label: &Label, kind: &str, scheme: Option<&str>, confidence: bool| {
        let code = label.code.strip_prefix("medtop:").unwrap_or(&label.code);
        match scheme {
            Some(scheme) => write!(out, "<{prefix}subject uri=\"{scheme}{}\"", escape(code))?,
            None => write!(out, "<{prefix}subject literal=\"{}\"", escape(&label.code))?,
        }
        write!(out, " typeuri=\"http://cv.iptc.org/newscodes/cpnature/{kind}\"")?;
        if confidence {
            write!(out, " confidence=\"{}\"", ((f64::from(label.confidence) * 100.0).round() as u64).min(100))?;
        }
        write!(out, " howuri=\"{HOW}\" whyuri=\"{WHY}\" creatoruri=\"{}\">", escape(&creator))?;
        write!(out, "<{prefix}name xml:lang=\"en\">{}</{prefix}name></{prefix}subject>", escape(&label.name))
    };
    let topics = answer.topics.iter().chain(&answer.subtopics);
    for topic in topics.filter(|label| label.decision != Decision::Abstain) {
        subject(topic, "abstract", topic.code.starts_with("medtop:").then_some(MEDIA_TOPICS), true)?;
    }
    let about =
        answer.regions.iter().filter(|region| region.role == Role::About && region.label.decision != Decision::Abstain);
    for region in about {
        subject(&region.label, "geoArea", geography::is_country(&region.label.code).then_some(COUNTRIES), true)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{article::Options, model::Model};

    /// An item about an invented event.
    const ITEM: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
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

    fn one(text: &str) -> Record {
        let mut records = read(text, "a.xml").expect("XML");
        assert_eq!(records.len(), 1);
        records.remove(0)
    }

    fn item(record: &Record) -> &Item {
        match &record.item {
            Some(super::super::Item::NewsMl(item)) => item,
            _ => panic!("an item"),
        }
    }

    #[test]
    fn items_are_read() {
        let record = one(ITEM);
        assert_eq!(record.article.id, "urn:wire.example:7");
        assert_eq!(record.article.headline, "Ferry crews in Kenya walk out &amp; march");
        assert!(record.article.body.contains("<p>Ferry crews in Mombasa"), "{}", record.article.body);
        assert_eq!((&*record.article.language, &*record.article.dateline), ("en-GB", "Mombasa"));
        assert_eq!((&*record.published, &*record.source), ("2030-05-06T10:11:12Z", "Lakeside News"));
        assert_eq!(record.topics, ["medtop:20000501", "Ports"]);
        assert_eq!((item(&record).embargoed(), item(&record).is_canceled()), ("2030-05-07T06:00:00Z", false));
        let canceled = one(&ITEM.replace("stat:usable", "stat:canceled").replace("2030-05-07T06:00:00Z", ""));
        assert_eq!((item(&canceled).embargoed(), item(&canceled).is_canceled()), ("until further notice", true));
    }

    #[test]
    fn labels_are_put_in_and_everything_else_is_kept() {
        let record = one(ITEM);
        let answer =
            Model::bundled().expect("it opens").classify(&record.article, &Options::default()).expect("labels");
        let labelled = item(&record).document().labelled(&[Some(&answer)]);
        let (start, end) =
            (labelled.find("<subject uri=").expect("a label"), labelled.rfind("</subject>").expect("its end"));
        let without = format!("{}{}", &labelled[..start], &labelled[end + "</subject>".len()..]);
        assert_eq!(without, ITEM, "byte for byte");
        assert!(labelled.contains("cvx.iptc.org/iso3166-1a2/KE\""), "{labelled}");
        let again = one(&labelled);
        assert_eq!(again.topics, record.topics, "what this program said is not an editor's");
        assert_eq!(item(&again).document().labelled(&[Some(&answer)]), labelled, "labels take the place of labels");
        assert_eq!(item(&record).document().labelled(&[None]), ITEM);
        let marked = one(&format!("\u{FEFF}{ITEM}"));
        assert_eq!(item(&marked).document().labelled(&[Some(&answer)]), format!("\u{FEFF}{labelled}"));
        let canceled = ITEM.replace("stat:usable", "stat:canceled");
        assert_eq!(item(&one(&canceled)).document().labelled(&[Some(&answer)]), canceled);
    }

    #[test]
    fn character_data_is_text_and_documents_say_how_they_are_encoded() {
        let record =
            one("<?xml version='1.0' encoding='iso-8859-1'?><newsItem><contentSet><inlineXML><html><body><p>Lead</p>\
            <p><![CDATA[2 < 3 in Kenya]]></p></body></html></inlineXML></contentSet></newsItem>");
        assert_eq!(record.article.body, "<p>Lead</p><p>2 &lt; 3 in Kenya</p>");
        assert!(item(&record).document().labelled(&[None]).starts_with("<?xml version='1.0' encoding='UTF-8'?>"));
        let many =
            format!("<newsItem><contentMeta>{}</contentMeta></newsItem>", "<subject qcode='a:b'/>".repeat(90_000));
        assert_eq!(one(&many).topics, ["a:b"]);
        let more = format!("<newsItem>{}</newsItem>", "<a/>".repeat(300_000));
        assert!(read(&more, "a.xml").is_err_and(|error| error.reason.contains("too many")));
    }

    #[test]
    fn messages_bodies_and_metadata_of_other_forms() {
        let message = "<n:newsMessage xmlns:n='http://iptc.org/std/nar/2006-10-01/'><n:itemSet><n:packageItem/>\
            <n:newsItem guid='1'><n:itemMeta/><n:contentSet><n:inlineData contenttype='text/plain'>Rain fell in Kenya.</n:inlineData></n:contentSet></n:newsItem>\
            <n:newsItem guid='2'><n:contentMeta/><n:contentSet><n:inlineXML><nitf><body><body.head><hedline><hl1>Rain</hl1></hedline></body.head>\
            <body.content><p>It fell.</p></body.content></body></nitf></n:inlineXML></n:contentSet></n:newsItem></n:itemSet></n:newsMessage>";
        let records = read(message, "a.xml").expect("XML");
        assert_eq!(records.len(), 2);
        assert_eq!((&*records[0].article.body, records[0].article.format), ("Rain fell in Kenya.", Format::Text));
        assert_eq!((&*records[1].article.headline, &*records[1].place), ("Rain", "a.xml:2"));
        assert!(records[1].article.body.contains("<p>It fell.</p>"));
        let answer = Model::bundled().expect("it opens").classify(
            &Article {
                body: "Parliament in Nairobi, Kenya, passed the budget on Tuesday after a long debate about taxes."
                    .into(),
                ..Article::default()
            },
            &Options::default(),
        );
        let answer = answer.expect("labels");
        let labelled = item(&records[0]).document().labelled(&[Some(&answer), Some(&answer)]);
        assert_eq!(labelled.matches("<n:contentMeta>").count(), 2, "{labelled}");
        let root = xml::parse(&labelled).expect("it is XML still");
        assert!(root.descendants("subject").count() >= 4);
        assert_eq!(root.descendants("contentMeta").count(), 2, "an empty one is filled");
        let again = read(&labelled, "a.xml").expect("XML");
        assert_eq!(item(&again[0]).document().labelled(&[Some(&answer), Some(&answer)]), labelled);
    }
}
