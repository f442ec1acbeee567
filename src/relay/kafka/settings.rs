//! The settings of a relay of Kafka.

use crate::relay;
use std::path::PathBuf;

/// The settings of a relay of Kafka.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The settings that relays of all brokers have. A subject is a topic.
    pub relay: relay::Settings,
    /// Brokers of the cluster: `HOST:PORT`, separated by commas.
    pub brokers: String,
    /// The topics to read.
    pub topics: Vec<String>,
    /// The consumer group, whose relays share the work.
    pub group: String,
    /// A file of more settings of the client, such as those of TLS and SASL: lines of `name=value`, with librdkafka's names.
    pub client_config: Option<PathBuf>,
    /// Create missing topics, with this number of partitions.
    pub create: Option<u16>,
}
