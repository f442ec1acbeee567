//! The settings of a relay of JetStream.

use crate::relay;
use std::{path::PathBuf, time::Duration};

/// The settings of a relay of JetStream.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The settings that relays of all brokers have.
    pub relay: relay::Settings,
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
    /// The broker redelivers a message after this time without a progress acknowledgement.
    pub ack_wait: Duration,
    /// Create missing streams and the consumer; the names of the streams to publish to.
    pub create: Option<NewStreams>,
}

/// The names of streams that a relay creates.
#[derive(Debug, Clone)]
pub struct NewStreams {
    /// For labelled articles.
    pub labelled: String,
    /// For dead letters.
    pub dead_letters: String,
}
