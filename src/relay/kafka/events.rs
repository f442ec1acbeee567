//! What the clients report: connections, assigned partitions, lag, and messages that the broker refuses.

use crate::relay::{
    health::{Health, Need},
    metrics::Metrics,
};
use rdkafka::{
    ClientContext, Statistics,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, ConsumerContext, Rebalance},
    error::KafkaError,
    message::DeliveryResult,
    producer::ProducerContext,
    statistics::Partition,
    types::RDKafkaErrorCode,
};
use std::{
    mem,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

/// The events of a consumer.
pub struct ConsumerEvents {
    pub health: Arc<Health>,
    metrics: Arc<Metrics>,
    /// Whether partitions were revoked since this was last asked.
    revoked: AtomicBool,
}

impl ConsumerEvents {
    pub fn new(health: Arc<Health>, metrics: Arc<Metrics>) -> Self {
        ConsumerEvents { health, metrics, revoked: AtomicBool::new(false) }
    }

    /// Whether partitions were revoked since this was last asked.
    pub fn take_revoked(&self) -> bool {
        self.revoked.swap(false, Ordering::AcqRel)
    }
}

/// Logs a message of the client.
fn log(level: RDKafkaLogLevel, facility: &str, message: &str) {
    use RDKafkaLogLevel::{Alert, Critical, Debug, Emerg, Error, Warning};
    match level {
        // Consumer and producer have one configuration; each ignores what is for the other.
        _ if facility == "CONFWARN" => tracing::debug!(facility, "{message}"),
        Emerg | Alert | Critical | Error => tracing::error!(facility, "{message}"),
        Warning => tracing::warn!(facility, "{message}"),
        Debug => tracing::debug!(facility, "{message}"),
        _ => tracing::info!(facility, "{message}"),
    }
}

impl ClientContext for ConsumerEvents {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log(level, facility, message);
    }

    fn stats(&self, statistics: Statistics) {
        let partitions = statistics.topics.values().flat_map(|topic| topic.partitions.values());
        let lag = partitions.filter(|partition| partition.fetch_state == "active").filter_map(lag).sum();
        self.metrics.set_lag(self.health.has(Need::Broker).then_some(lag));
    }

    /// Each is also the result of a poll.
    fn error(&self, _: KafkaError, _: &str) {}
}

/// The messages of a partition that are not delivered yet; `None` if that is not known yet. The client's own figure counts from what
/// the consumer has committed, which here the producer does.
fn lag(partition: &Partition) -> Option<u64> {
    let is_known = |offset: &i64| *offset >= 0;
    let next = [partition.app_offset, partition.committed_offset, partition.lo_offset].into_iter().find(is_known)?;
    let end = Some(partition.ls_offset).filter(is_known)?;
    u64::try_from(end - next).ok()
}

impl ConsumerContext for ConsumerEvents {
    fn pre_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        match rebalance {
            Rebalance::Assign(partitions) => {
                self.metrics.rebalances.inc();
                if partitions.count() > 0 {
                    self.health.set(Need::Consumer, true);
                }
                tracing::info!(partitions = partitions.count(), "partitions assigned");
            }
            Rebalance::Revoke(partitions) => {
                self.revoked.store(true, Ordering::Release);
                tracing::info!(partitions = partitions.count(), "partitions revoked");
            }
            Rebalance::Error(error) => tracing::warn!(%error, "rebalance failed"),
        }
    }
}

/// The events of a producer, which has a thread to report them, whatever the relay does meanwhile.
pub struct ProducerEvents {
    health: Arc<Health>,
    metrics: Arc<Metrics>,
    /// The messages of the open transaction that the broker refused, by their position in the batch.
    refused: Mutex<Vec<(usize, KafkaError)>>,
}

impl ProducerEvents {
    pub fn new(health: Arc<Health>, metrics: Arc<Metrics>) -> Self {
        ProducerEvents { health, metrics, refused: Mutex::default() }
    }

    /// Why the broker refused the first message since they were last taken; `None` if it refused none.
    pub fn refusal(&self) -> Option<KafkaError> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner).first().map(|(_, error)| error.clone())
    }

    /// The messages that the broker refused since this was last asked.
    pub fn take_refused(&self) -> Vec<(usize, KafkaError)> {
        mem::take(&mut *self.refused.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl ClientContext for ProducerEvents {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log(level, facility, message);
    }

    fn stats(&self, statistics: Statistics) {
        let is_connected = statistics.brokers.values().any(|broker| broker.state == "UP");
        if self.health.set(Need::Broker, is_connected) {
            match is_connected {
                true => tracing::info!("connected to the broker"),
                false => tracing::warn!("disconnected from the broker, reconnecting"),
            }
        }
        if !is_connected {
            self.metrics.set_lag(None);
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::warn!(%error, reason, "Kafka client error");
    }
}

impl ProducerContext for ProducerEvents {
    type DeliveryOpaque = usize;

    fn delivery(&self, delivered: &DeliveryResult<'_>, position: usize) {
        if let Err((error, _)) = delivered {
            self.refused.lock().unwrap_or_else(PoisonError::into_inner).push((position, error.clone()));
        }
    }
}

/// The last error of a connection.
#[derive(Default)]
pub struct LastError(Mutex<Option<String>>);

impl LastError {
    /// The last error since this was last asked.
    pub fn take(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl ClientContext for LastError {
    fn error(&self, error: KafkaError, reason: &str) {
        // That all brokers are down follows from an error of each.
        if error.rdkafka_error_code() != Some(RDKafkaErrorCode::AllBrokersDown) {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(format!("{error}: {reason}"));
        }
    }

    fn log(&self, _: RDKafkaLogLevel, _: &str, _: &str) {}

    fn stats(&self, _: Statistics) {}
}

impl ConsumerContext for LastError {}

/// Whether the broker, or the client, refuses a message of this size.
pub fn is_too_large(error: &KafkaError) -> bool {
    error.rdkafka_error_code() == Some(RDKafkaErrorCode::MessageSizeTooLarge)
}
