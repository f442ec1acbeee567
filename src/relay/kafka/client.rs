//! The configuration of the client: what exactly-once delivery needs, and what the settings and their file say.

use super::settings::Settings;
use crate::{credentials::warn_if_readable_by_others, relay::error::RelayError};
use rdkafka::{ClientConfig, error::KafkaError};
use std::{fs, path::Path};

/// Properties that the relay sets itself.
const OWN: [&str; 11] = [
    "bootstrap.servers",
    "metadata.broker.list",
    "group.id",
    "group.protocol",
    "partition.assignment.strategy",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "isolation.level",
    "enable.idempotence",
    "transactional.id",
    "statistics.interval.ms",
];

/// The interval between looks at the connections and the lag, in milliseconds.
const LOOK_INTERVAL_MS: &str = "2000";

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
        config.set("client.id", "dateline").set("auto.offset.reset", "earliest");
        // As clients in Java do it, so that the messages of a key stay in one partition.
        config.set("partitioner", "murmur2_random");
        config.set("queued.max.messages.kbytes", kib(settings).to_string());
        if let Some(path) = &settings.client_config {
            for (name, value) in properties(path)? {
                config.set(name, value);
            }
        }
        config
            .set("bootstrap.servers", &settings.brokers)
            .set("group.id", &settings.group)
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("isolation.level", "read_committed")
            // Partitions are handed over only while the relay polls: what it holds is its own until then.
            .set("partition.assignment.strategy", "range")
            .set("statistics.interval.ms", LOOK_INTERVAL_MS);
        config.create_native_config().map_err(|error| invalid(&error))?;
        Ok(Client(config))
    }

    /// For a consumer, and for questions about topics.
    pub fn consumer(&self) -> &ClientConfig {
        &self.0
    }

    /// For a producer with this transactional id.
    pub fn producer(&self, transactional_id: &str) -> ClientConfig {
        let mut config = self.0.clone();
        config.set("transactional.id", transactional_id).set("statistics.interval.ms", "0");
        if config.get("transaction.timeout.ms").is_none() {
            // The transaction of a relay that was killed holds up its partitions for this time.
            config.set("transaction.timeout.ms", "30000");
        }
        config
    }

    /// Warns if others can read the file, which may have a password.
    pub fn warn_of_readable_secrets(settings: &Settings) {
        settings.client_config.iter().for_each(|path| warn_if_readable_by_others(path));
    }
}

/// The most messages that wait in the client, in KiB.
fn kib(settings: &Settings) -> usize {
    // The limits of librdkafka.
    (settings.relay.in_flight_bytes >> 10).clamp(1, 2_097_151)
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
        if OWN.contains(&name) {
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
