//! The settings of a relay.

use super::subject::Template;
use std::{path::PathBuf, time::Duration};

/// The settings of a relay.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Addresses of the broker, such as `nats://127.0.0.1:4222` or `tls://...`; several of one cluster are separated by commas.
    pub nats: String,
    /// A file of NATS credentials.
    pub credentials: Option<PathBuf>,
    /// CA certificates in PEM to verify the broker with; those of the system by default.
    pub ca: Option<PathBuf>,
    /// The client certificate and its key, in PEM.
    pub certificate: Option<(PathBuf, PathBuf)>,
    /// The stream to read articles from.
    pub stream: String,
    /// The durable consumer, which relays share to share the work.
    pub durable: String,
    /// The subjects of the stream to read; all if empty.
    pub subjects: Vec<String>,
    /// The subject of labelled articles.
    pub publish: Template,
    /// The subject of dead letters: messages that cannot be labelled.
    pub dead_letter: String,
    /// A message that causes an internal error becomes a dead letter after this number of deliveries.
    pub max_deliver: u32,
    /// The broker redelivers a message after this time without a progress acknowledgement.
    pub ack_wait: Duration,
    /// The most unfinished messages.
    pub in_flight: usize,
    /// The most bytes of unfinished messages. One message of the largest size that the broker accepts always fits.
    pub in_flight_bytes: usize,
    /// Create missing streams and the consumer; the names of the streams to publish to.
    pub create: Option<NewStreams>,
    /// The number of recent articles among which near-copies of each one are looked for; `None` to look for none.
    pub copies: Option<usize>,
    /// The longest time to finish messages in after a request to stop.
    pub drain: Duration,
}

/// The names of streams that a relay creates.
#[derive(Debug, Clone)]
pub struct NewStreams {
    /// For labelled articles.
    pub labelled: String,
    /// For dead letters.
    pub dead_letters: String,
}
