//! What is published for a message.

use super::{held::Held, settings::Settings, topics::topic_of};
use crate::relay::{
    delivery::{Action, Delivery},
    message::{PUBLISHED_BY, is_passed_on, one_line},
    metrics::MessageOutcome,
};
use rdkafka::{
    Message,
    message::{Header, Headers, OwnedHeaders},
    producer::BaseRecord,
};

/// What is published for a message.
pub struct Publication {
    held: Held,
    outcome: MessageOutcome,
    /// `None` if nothing is published.
    published: Option<Published>,
}

struct Published {
    topic: String,
    content: Content,
    headers: OwnedHeaders,
}

/// Key and payload of what is published.
enum Content {
    /// The key of the message that was read, and labels in its payload.
    Labelled(String),
    /// Those of the message that was read.
    Unchanged,
    /// None: the message is too large.
    Empty,
}

impl Publication {
    /// What an action says.
    pub fn new(held: Held, action: Action, settings: &Settings) -> Self {
        match action {
            Action::Publish(outgoing, outcome) => {
                let mut headers = published_by(passed_on(&held), settings);
                for (name, value) in &outgoing.headers {
                    headers = with(headers, name, value);
                }
                let topic = topic_of(&outgoing.subject);
                Publication {
                    held,
                    outcome,
                    published: Some(Published { topic, content: Content::Labelled(outgoing.payload), headers }),
                }
            }
            Action::DeadLetter(reason) | Action::Redeliver(reason) => {
                let headers = passed_on(&held);
                Publication::dead_letter(held, &reason, headers, Content::Unchanged, settings)
            }
            Action::Drop(reason) => {
                tracing::warn!(message = held.place(), reason, "message dropped");
                Publication { held, outcome: MessageOutcome::Looped, published: None }
            }
        }
    }

    fn dead_letter(held: Held, reason: &str, headers: OwnedHeaders, content: Content, settings: &Settings) -> Self {
        tracing::warn!(message = held.place(), reason, "dead letter");
        let mut headers = published_by(headers, settings);
        for (name, value) in [
            ("Dateline-Reason", one_line(reason)),
            ("Dateline-Topic", held.message.topic().to_owned()),
            ("Dateline-Partition", held.message.partition().to_string()),
            ("Dateline-Offset", held.message.offset().to_string()),
        ] {
            headers = with(headers, name, &value);
        }
        let topic = settings.relay.dead_letter.clone();
        Publication { held, outcome: MessageOutcome::Dead, published: Some(Published { topic, content, headers }) }
    }

    /// Publishes less, after the broker has refused the size: first a dead letter instead of labels, and then only what says where the
    /// message is.
    pub fn shorten(self, settings: &Settings) -> Self {
        match self.outcome {
            MessageOutcome::Dead => {
                let reason = "the message is too large; read it from its topic by partition and offset";
                Publication::dead_letter(self.held, reason, OwnedHeaders::new(), Content::Empty, settings)
            }
            _ => {
                let reason = "with its labels the message exceeds the broker's size limit";
                let headers = passed_on(&self.held);
                Publication::dead_letter(self.held, reason, headers, Content::Unchanged, settings)
            }
        }
    }

    /// The record to send; `None` if nothing is published.
    pub fn record(&self, position: usize) -> Option<BaseRecord<'_, [u8], [u8], usize>> {
        let published = self.published.as_ref()?;
        let key = self.held.message.key();
        let (key, payload) = match &published.content {
            Content::Labelled(payload) => (key, payload.as_bytes()),
            Content::Unchanged => (key, self.held.payload()),
            Content::Empty => (None, &[][..]),
        };
        let record = BaseRecord::with_opaque_to(&published.topic, position);
        let record = record.payload(payload).headers(published.headers.clone());
        Some(match key {
            Some(key) => record.key(key),
            None => record,
        })
    }

    /// The message and its outcome, once it is committed.
    pub fn into_outcome(self) -> (Held, MessageOutcome) {
        (self.held, self.outcome)
    }
}

fn published_by(headers: OwnedHeaders, settings: &Settings) -> OwnedHeaders {
    with(headers, PUBLISHED_BY, &settings.group)
}

fn with(headers: OwnedHeaders, name: &str, value: &str) -> OwnedHeaders {
    headers.insert(Header { key: name, value: Some(value) })
}

/// The headers of the message that go on to the published one.
fn passed_on(held: &Held) -> OwnedHeaders {
    let headers = held.message.headers().into_iter().flat_map(Headers::iter);
    headers.filter(|header| is_passed_on(header.key)).fold(OwnedHeaders::new(), OwnedHeaders::insert)
}
