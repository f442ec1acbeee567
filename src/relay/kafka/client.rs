//! The configuration of the client: what exactly-once delivery needs, and what the settings and their file say.

use super::settings::Settings;
use crate::{credentials::warn_if_readable_by_others, relay::error::RelayError};
use rdkafka::{ClientConfig, error::KafkaError};
use std::{fs, path::Path};

/// Properties that the relay sets itself.
const RESERVED_PROPERTIES: [&str; 12] = [
    "bootstrap.servers",
    "metadata.broker.list",
    "group.id",
    "group.protocol",
    "auto.offset.reset",
    "partition.assignment.strategy",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "isolation.level",
    "enable.idempotence",
    "transactional.id",
    "statistics.interval.ms",
];

/// The interval between reports of the connections and the lag, in milliseconds.
const STATISTICS_INTERVAL_MS: &str = "2000";

/// Defaults of the consumer that the file may change.
const CONSUMER_DEFAULTS: [(&str, &str); 1] = [
    // A relay that classifies redelivered articles one at a time may need longer than the default of five minutes.
    ("max.poll.interval.ms", "900000"),
];

/// Defaults of the producer that the file may change.
const PRODUCER_DEFAULTS: [(&str, &str); 6] = [
    // The default of the Java client, so that the messages of a key stay in one partition.
    ("partitioner", "murmur2_random"),
    // The broker decides what is too large, and refuses a whole batch: a large message must be alone in its batch.
    ("message.max.bytes", "1000000000"),
    ("batch.size", "65536"),
    ("queue.buffering.max.kbytes", "2147483647"),
    // The broker refuses a transaction for the few milliseconds in which it completes the one before; the default is 100.
    ("retry.backoff.ms", "5"),
    // The open transaction of a relay that was killed blocks its partitions for this time.
    ("transaction.timeout.ms", "30000"),
];

/// The configuration of all clients of a relay.
#[derive(Debug, Clone)]
pub struct Client(ClientConfig);

impl Client {
    /// Reads the file of the settings, and checks names and values.
    ///
    /// # Errors
    /// [`RelayError::File`] or [`RelayError::Setting`]; no value of a property is quoted, for it may be a password.
    pub fn new(settings: &Settings) -> Result<Self, RelayError> {
        let mut config = ClientConfig::new();
        config.set("client.id", "dateline").set("queued.max.messages.kbytes", prefetch_kib(settings).to_string());
        if let Some(path) = &settings.client_config {
            for (name, value) in properties(path)? {
                config.set(name, value);
            }
        }
        config
            .set("bootstrap.servers", &settings.brokers)
            .set("group.id", &settings.group)
            .set("auto.offset.reset", "earliest")
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("isolation.level", "read_committed")
            // Partitions are revoked only while the relay polls: what it holds is its own until then.
            .set("partition.assignment.strategy", "range")
            .set("statistics.interval.ms", STATISTICS_INTERVAL_MS);
        config.create_native_config().map_err(|error| invalid(&error))?;
        Ok(Client(config))
    }

    /// For a consumer, and for questions about topics.
    pub fn consumer(&self) -> ClientConfig {
        with_defaults(&self.0, &CONSUMER_DEFAULTS)
    }

    /// For a producer with this transactional id.
    pub fn producer(&self, transactional_id: &str) -> ClientConfig {
        let mut config = with_defaults(&self.0, &PRODUCER_DEFAULTS);
        config.set("transactional.id", transactional_id);
        config
    }

    /// Warns if others can read the file, which may have a password.
    pub fn warn_of_readable_secrets(settings: &Settings) {
        settings.client_config.iter().for_each(|path| warn_if_readable_by_others(path));
    }
}

fn with_defaults(config: &ClientConfig, defaults: &[(&str, &str)]) -> ClientConfig {
    let mut config = config.clone();
    for (name, value) in defaults {
        if config.get(name).is_none() {
            config.set(*name, *value);
        }
    }
    config
}

/// The limit of prefetched messages, in KiB: a quarter of those in flight, within the limits of librdkafka.
fn prefetch_kib(settings: &Settings) -> usize {
    (settings.relay.in_flight_bytes >> 12).clamp(1, 2_097_151)
}

/// The properties of a file.
fn properties(path: &Path) -> Result<Vec<(String, String)>, RelayError> {
    let text = fs::read_to_string(path)
        .map_err(|error| RelayError::File { path: path.to_owned(), reason: error.to_string() })?;
    let mut properties = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let wrong = |reason: String| RelayError::Setting(format!("{}:{number}: {reason}", path.display()));
        let (name, value) = line
            .split_once('=')
            .ok_or_else(|| wrong("write name=value, such as security.protocol=SASL_SSL".to_owned()))?;
        let name = name.trim();
        if RESERVED_PROPERTIES.contains(&name) {
            return Err(wrong(format!("{name} is set by the relay: remove it")));
        }
        properties.push((name.to_owned(), value.trim().to_owned()));
    }
    Ok(properties)
}

/// An invalid property. The error's own text quotes its value.
fn invalid(error: &KafkaError) -> RelayError {
    RelayError::Setting(match error {
        KafkaError::ClientConfig(_, reason, name, value) => {
            let reason = if value.is_empty() { reason.clone() } else { reason.replace(value.as_str(), "...") };
            format!("invalid property {name} of the Kafka client: {reason}")
        }
        error => format!("invalid configuration of the Kafka client: {error}"),
    })
}
