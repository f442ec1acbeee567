//! The labels of an item as elements `subject`, and where they go.

use super::scheme::{CREATOR, MEDIA_TOPIC, MEDIA_TOPICS, is_own};
use crate::{
    article::{Classification, Decision, Label, Role},
    formats::xml::{Element, escape},
    geography,
};
use std::{
    fmt::{self, Write as _},
    ops::Range,
};

/// The scheme of ISO 3166-1 alpha-2 country codes.
const COUNTRIES: &str = "http://cvx.iptc.org/iso3166-1a2/";
/// The values of `howuri` and `whyuri`: a program extracted and inferred the concept.
const HOW: &str = "http://cv.iptc.org/newscodes/howextracted/tool";
const WHY: &str = "http://cv.iptc.org/newscodes/whypresent/inferred";
/// Administrative metadata, which the schema puts before the descriptive metadata.
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

/// Where labels go in an item. Positions are in bytes of the document.
#[derive(Debug, PartialEq)]
pub struct LabelSlot {
    insert_at: usize,
    /// Whether labels need an element `contentMeta` around them.
    needs_metadata: bool,
    /// An empty element `contentMeta`, which labels replace.
    empty_metadata: Option<Range<usize>>,
    /// Earlier labels of this creator.
    earlier: Vec<Range<usize>>,
    /// The prefix of the item's elements, with its colon; empty without one.
    prefix: String,
}

impl LabelSlot {
    pub fn of(text: &str, item: &Element) -> LabelSlot {
        let metadata = item.child("contentMeta");
        let empty = metadata.filter(|metadata| text[metadata.range.clone()].ends_with("/>"));
        let in_metadata = metadata.filter(|_| empty.is_none()).map(position_in_metadata);
        let earlier = metadata
            .into_iter()
            .flat_map(Element::elements)
            .filter(|element| element.name == "subject" && is_own(element));
        LabelSlot {
            insert_at: in_metadata.unwrap_or_else(|| position_of_metadata(item)),
            needs_metadata: in_metadata.is_none(),
            empty_metadata: empty.map(|empty| empty.range.clone()),
            earlier: earlier.map(|subject| subject.range.clone()).collect(),
            prefix: if item.prefix.is_empty() { String::new() } else { format!("{}:", item.prefix) },
        }
    }

    /// The ranges of the document to replace, each with its new text.
    pub fn changes(&self, answer: &Classification) -> Vec<(Range<usize>, String)> {
        let mut changes: Vec<_> = self.earlier.iter().map(|range| (range.clone(), String::new())).collect();
        let mut subjects = String::new();
        // Writing to a string cannot fail.
        let _ = write_subjects(&mut subjects, &self.prefix, answer);
        if self.needs_metadata && !subjects.is_empty() {
            subjects = format!("<{0}contentMeta>{subjects}</{0}contentMeta>", self.prefix);
        }
        let replaced = self.empty_metadata.clone().filter(|_| !subjects.is_empty());
        changes.push((replaced.unwrap_or(self.insert_at..self.insert_at), subjects));
        changes
    }
}

/// The position of labels in the metadata: after the last subject, otherwise before the first descriptive element, otherwise
/// after the administrative ones.
fn position_in_metadata(metadata: &Element) -> usize {
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

/// The position of missing metadata in an item.
fn position_of_metadata(item: &Element) -> usize {
    ["itemMeta", "rightsInfo", "catalog", "catalogRef"]
        .iter()
        .find_map(|name| item.elements().filter(|element| element.name == *name).last())
        .map_or(item.content.start, |element| element.range.end)
}

/// Writes the topics, sub-topics and regions of an answer, without those that abstain. Regions that the article only mentions
/// are left out too.
fn write_subjects(out: &mut String, prefix: &str, answer: &Classification) -> fmt::Result {
    let creator = format!("{CREATOR}{}", answer.model_version);
    let mut subject = |label: &Label, kind: &str, scheme: Option<&str>| {
        let code = label.code.strip_prefix(MEDIA_TOPIC).unwrap_or(&label.code);
        match scheme {
            Some(scheme) => write!(out, "<{prefix}subject uri=\"{scheme}{}\"", escape(code))?,
            None => write!(out, "<{prefix}subject literal=\"{}\"", escape(&label.code))?,
        }
        write!(out, " typeuri=\"http://cv.iptc.org/newscodes/cpnature/{kind}\"")?;
        write!(out, " confidence=\"{}\"", ((f64::from(label.confidence) * 100.0).round() as u64).min(100))?;
        write!(out, " howuri=\"{HOW}\" whyuri=\"{WHY}\" creatoruri=\"{}\">", escape(&creator))?;
        write!(out, "<{prefix}name xml:lang=\"en\">{}</{prefix}name></{prefix}subject>", escape(&label.name))
    };
    let topics = answer.topics.iter().chain(&answer.subtopics);
    for topic in topics.filter(|label| label.decision != Decision::Abstain) {
        subject(topic, "abstract", topic.code.starts_with(MEDIA_TOPIC).then_some(MEDIA_TOPICS))?;
    }
    let about =
        answer.regions.iter().filter(|region| region.role == Role::About && region.label.decision != Decision::Abstain);
    for region in about {
        subject(&region.label, "geoArea", geography::is_country(&region.label.code).then_some(COUNTRIES))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::{
        article::{Article, Classification, Options},
        formats::{
            newsml::tests::{ITEM, MESSAGE, all, item, one},
            xml,
        },
        model::Model,
    };

    fn answer(article: &Article) -> Classification {
        Model::bundled().expect("it opens").classify(article, &Options::default()).expect("labels")
    }

    #[test]
    fn labels_are_inserted_and_everything_else_is_unchanged() {
        let record = one(ITEM);
        let answer = answer(&record.article);
        let labelled = item(&record).document().labelled(&[Some(&answer)]);
        let (start, end) =
            (labelled.find("<subject uri=").expect("a label"), labelled.rfind("</subject>").expect("its end"));
        let without = format!("{}{}", &labelled[..start], &labelled[end + "</subject>".len()..]);
        assert_eq!(without, ITEM, "byte for byte");
        assert!(labelled.contains("cvx.iptc.org/iso3166-1a2/KE\""), "{labelled}");
        let again = one(&labelled);
        assert_eq!(again.topics, record.topics, "labels of this creator are not read as an editor's");
        assert_eq!(item(&again).document().labelled(&[Some(&answer)]), labelled, "labels replace earlier labels");
        assert_eq!(item(&record).document().labelled(&[None]), ITEM);
        let marked = one(&format!("\u{FEFF}{ITEM}"));
        assert_eq!(item(&marked).document().labelled(&[Some(&answer)]), format!("\u{FEFF}{labelled}"));
        let canceled = ITEM.replace("stat:usable", "stat:canceled");
        assert_eq!(item(&one(&canceled)).document().labelled(&[Some(&answer)]), canceled);
    }

    #[test]
    fn documents_are_written_in_utf_8() {
        let record = one("<?xml version='1.0' encoding='iso-8859-1'?><newsItem/>");
        assert!(item(&record).document().labelled(&[None]).starts_with("<?xml version='1.0' encoding='UTF-8'?>"));
    }

    #[test]
    fn missing_and_empty_metadata_is_filled() {
        let records = all(MESSAGE);
        let answer = answer(&Article {
            body: "Parliament in Nairobi, Kenya, passed the budget on Tuesday after a long debate about taxes.".into(),
            ..Article::default()
        });
        let labelled = item(&records[0]).document().labelled(&[Some(&answer), Some(&answer)]);
        assert_eq!(labelled.matches("<n:contentMeta>").count(), 2, "{labelled}");
        let root = xml::parse(&labelled).expect("it is well-formed");
        assert!(root.descendants("subject").count() >= 4);
        assert_eq!(root.descendants("contentMeta").count(), 2, "the empty one is replaced");
        let again = all(&labelled);
        assert_eq!(item(&again[0]).document().labelled(&[Some(&answer), Some(&answer)]), labelled);
    }
}
