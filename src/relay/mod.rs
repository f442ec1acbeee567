//! A worker on a message broker: reads articles from a NATS JetStream stream, labels them, and publishes them.
//!
//! In: messages of a durable pull consumer, each a JSON row or a ninjs item. Out: the same with labels, on a subject made of
//! the labels. Delivery is at least once: a message is acknowledged after the broker has acknowledged its publication. Publications
//! carry an id made of the message's place in its stream, by which the broker drops duplicates. Messages that cannot be labelled
//! are published as dead letters, with the reason. Relays that share a durable consumer share the work.

mod backoff;
mod budget;
mod connect;
mod error;
mod health;
mod isolation;
mod labeller;
mod message;
mod metrics;
mod provision;
mod publisher;
mod pull;
mod settings;
mod subject;
mod tracking;
mod worker;

pub use error::{LabelError, RelayError};
pub use health::{Health, Need};
pub use labeller::Labeller;
pub use message::{Incoming, Outgoing};
pub use metrics::{MessageOutcome, Metrics};
pub use pull::Relay;
pub use settings::{NewStreams, Settings};
pub use subject::{Template, is_subject};
