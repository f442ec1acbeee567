//! A message of the broker as an article, and the article with its labels as a message.

use super::subject::Template;
use crate::{
    article::{Article, Classification},
    copies::Found,
    formats::{Item, Object, Record, newsml, ninjs, read_one},
};

/// The field of a JSON row for its labels.
const LABELS: &str = "classification";

/// The header with the durable name, or the group, of the relay that published a message.
pub const PUBLISHED_BY: &str = "Dateline-Relay";

/// An article read from a message.
#[derive(Debug)]
pub struct Incoming {
    /// The article; the worker takes it out to classify it.
    pub article: Article,
    /// Its group of near-copies, if they are looked for. A message that it is a copy of is named by its place.
    pub group: Option<Found<String>>,
    form: Form,
    canceled: bool,
    embargoed: String,
}

#[derive(Debug)]
enum Form {
    Ninjs(Box<ninjs::Item>),
    NewsMl(newsml::Item),
    /// NITF is published as ninjs, which has fields for labels.
    Nitf(Box<ninjs::Item>),
    Row(Object),
}

impl Incoming {
    /// Reads a message: a JSON row, or an item of ninjs, NewsML-G2 or NITF. `place` becomes the id of an article without one.
    ///
    /// # Errors
    /// Why it cannot be read; the message quotes no text of the article.
    pub fn read(payload: &[u8], place: &str) -> Result<Self, String> {
        let payload = payload.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(payload);
        let mut record: Record = read_one(payload, place)?;
        if !record.has_own_id() {
            record.article.id = place.to_owned();
        }
        let canceled = record.item.as_ref().is_some_and(Item::is_canceled);
        let embargoed = record.item.as_ref().map(Item::embargoed).unwrap_or_default();
        let is_xml = payload.trim_ascii_start().starts_with(b"<");
        let form = match &record.item {
            Some(Item::Ninjs(item)) => Form::Ninjs(item.clone()),
            Some(Item::NewsMl(item)) => Form::NewsMl(item.clone()),
            Some(Item::Nitf { .. }) => Form::Nitf(Box::new(ninjs::Item::of(&record))),
            None if is_xml => Form::Nitf(Box::new(ninjs::Item::of(&record))),
            None => Form::Row(Object::read(payload).ok_or("not a JSON object")?),
        };
        Ok(Incoming { article: record.article, group: None, form, canceled, embargoed })
    }

    /// Whether the item is canceled: it is published without labels.
    pub fn is_canceled(&self) -> bool {
        self.canceled
    }

    /// The message to publish: labels go into `subjects` and `places` of ninjs, into `subject` of NewsML-G2, and into
    /// `classification` of a row. All other fields are unchanged.
    pub fn outgoing(&self, answer: Option<&Classification>, template: &Template) -> Outgoing {
        let payload = match (&self.form, answer) {
            (Form::Ninjs(item) | Form::Nitf(item), Some(answer)) => item.labelled(answer),
            (Form::Ninjs(item) | Form::Nitf(item), None) => item.unlabelled(),
            (Form::NewsMl(item), answer) => item.document().labelled(&[answer]),
            (Form::Row(row), answer) => {
                // An answer always serialises.
                let labels = answer.and_then(|answer| serde_json::to_string(answer).ok());
                row.written_with(labels.into_iter().map(|labels| (LABELS, labels)).collect())
            }
        };
        Outgoing { subject: template.subject(answer), payload, headers: self.headers(answer) }
    }

    /// Headers for subscribers: the model's version, the embargo, and the group of near-copies.
    fn headers(&self, answer: Option<&Classification>) -> Vec<(&'static str, String)> {
        let mut headers = Vec::new();
        if let Some(answer) = answer {
            headers.push(("Dateline-Model", answer.model_version.to_string()));
        }
        if !self.embargoed.is_empty() {
            headers.push(("Dateline-Embargoed", one_line(&self.embargoed)));
        }
        if let Some(group) = &self.group {
            headers.push(("Dateline-Group", group.group_id()));
            if let Some((of, similarity)) = &group.copy_of {
                headers.push(("Dateline-Copy-Of", of.clone()));
                headers.push(("Dateline-Similarity", format!("{similarity:.2}")));
            }
        }
        headers
    }
}

/// A message to publish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// Its subject.
    pub subject: String,
    /// The article with its labels.
    pub payload: String,
    /// Headers added to those of the message that was read.
    pub headers: Vec<(&'static str, String)>,
}

/// Whether a header of the message that was read goes on to the published one: all do but those of the broker and those of an
/// earlier relay.
pub fn is_passed_on(name: &str) -> bool {
    let starts_with = |prefix: &str| name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix));
    !starts_with("nats-") && !starts_with("dateline-")
}

/// A text as the value of a header.
pub fn one_line(text: &str) -> String {
    const MOST: usize = 500;
    text.chars().take(MOST).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_and_items_go_out_with_labels() {
        let template: Template = "labelled.{topic}".parse().expect("a template");
        let row = br#"{"headline": "Kenya votes", "body": "Parliament in Nairobi passed the budget.", "x": 1.50}"#;
        let incoming = Incoming::read(row, "NEWS:7").expect("a row");
        assert_eq!(incoming.article.id, "NEWS:7");
        let model = crate::Model::bundled().expect("it opens");
        let answer = model.classify(&incoming.article, &Default::default()).expect("an answer");
        let Outgoing { subject, payload, .. } = incoming.outgoing(Some(&answer), &template);
        assert!(subject.starts_with("labelled."));
        assert!(payload.contains("\"x\":1.50,\"classification\":{\"topics\":["), "{payload}");
        let again =
            Incoming::read(payload.as_bytes(), "NEWS:8").expect("a row").outgoing(Some(&answer), &template).payload;
        assert_eq!(again, payload, "labels take the place of labels");

        let item = br#"{"uri": "a:b", "pubStatus": "canceled", "embargoed": "2030-01-01T00:00:00Z", "headlines": []}"#;
        let incoming = Incoming::read(item, "NEWS:9").expect("an item");
        assert!(incoming.is_canceled());
        assert_eq!(incoming.headers(None), [("Dateline-Embargoed", "2030-01-01T00:00:00Z".to_owned())]);
        assert_eq!(incoming.outgoing(None, &template).subject, "labelled.none");
        let newsml = br#"<newsItem guid="g"><itemMeta><embargoed/></itemMeta><contentSet><inlineData>Rain fell in Kenya.</inlineData></contentSet></newsItem>"#;
        let incoming = Incoming::read(newsml, "NEWS:9").expect("an item");
        assert_eq!(incoming.headers(None), [("Dateline-Embargoed", "until further notice".to_owned())]);
        assert!(incoming.outgoing(Some(&answer), &template).payload.contains("<contentMeta><subject uri="));
        let nitf = br"<nitf><body><body.content><p>Rain fell in Kenya.</p></body.content></body></nitf>";
        let outgoing = Incoming::read(nitf, "NEWS:9").expect("an article").outgoing(Some(&answer), &template);
        assert!(outgoing.payload.starts_with("{\"standard\":{\"name\":\"ninjs\""), "{}", outgoing.payload);
        for wrong in [
            &b"<rss><channel><item><title>secret</title></item></channel></rss>"[..],
            b"<newsMessage><newsItem/><newsItem/></newsMessage>",
            b"{\"body\": \"secret\"} {}",
            b"<p>secret",
            &b"secret"[..],
            b"[1]",
            b"{\"body\": 5}",
            b"{\"body\": \"secret",
            b"",
        ] {
            let error = Incoming::read(wrong, "NEWS:1").expect_err("no article");
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn headers_go_on_but_those_of_the_broker() {
        let names = ["traceparent", "Nats-Msg-Id", "dateline-reason", "Dateline", "überschrift"];
        assert_eq!(names.map(is_passed_on), [true, false, false, true, true]);
        assert_eq!(one_line("a\r\nb"), "a  b");
    }
}
