//! The metrics of a relay.

use crate::observe::{Process, encode};
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};

/// The metrics of a relay.
pub struct Metrics {
    registries: Vec<Registry>,
    process: Process,
    articles: Family<Outcome, Counter>,
    /// Messages delivered more than once.
    pub redelivered: Counter,
    /// Publications and calls that failed and are tried again.
    pub retries: Counter,
    /// Publications that the broker dropped as duplicates.
    pub duplicates: Counter,
    /// Unfinished messages of this relay.
    pub in_flight: Gauge,
    /// Bytes of these messages.
    pub in_flight_bytes: Gauge,
    /// Messages that are not delivered yet; unset if the broker does not answer.
    lag: Family<NoLabels, Gauge>,
    /// Unfinished messages of all relays of the durable consumer; unset if the broker does not answer.
    ack_pending: Family<NoLabels, Gauge>,
    available: Family<Part, Gauge>,
    /// Partition assignments to this relay (Kafka).
    pub rebalances: Counter,
    /// Seconds from the delivery of a message to its acknowledgement.
    pub whole: Histogram,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Part {
    part: &'static str,
}

/// The labels of a gauge that can be unset.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct NoLabels {}

/// The outcome of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageOutcome {
    /// Labelled and published.
    Labelled,
    /// Published without labels: canceled.
    Passed,
    /// Published as a dead letter.
    Dead,
    /// Dropped: published by this relay itself.
    Looped,
}

const OUTCOMES: [MessageOutcome; 4] =
    [MessageOutcome::Labelled, MessageOutcome::Passed, MessageOutcome::Dead, MessageOutcome::Looped];

impl Default for Metrics {
    fn default() -> Self {
        let (process, own) = Process::new();
        let seconds = [1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0];
        let mut metrics = Metrics {
            registries: Vec::new(),
            process,
            articles: Family::default(),
            redelivered: Counter::default(),
            retries: Counter::default(),
            duplicates: Counter::default(),
            in_flight: Gauge::default(),
            in_flight_bytes: Gauge::default(),
            lag: Family::default(),
            ack_pending: Family::default(),
            available: Family::default(),
            rebalances: Counter::default(),
            whole: Histogram::new(seconds),
        };
        let mut registry = Registry::with_prefix("dateline_relay");
        registry.register("articles", "Messages by outcome", metrics.articles.clone());
        registry.register("redeliveries", "Messages delivered more than once", metrics.redelivered.clone());
        registry.register(
            "retries",
            "Publications and calls that failed and were tried again",
            metrics.retries.clone(),
        );
        registry.register(
            "duplicates",
            "Publications that the broker dropped as duplicates",
            metrics.duplicates.clone(),
        );
        registry.register("in_flight", "Unfinished messages of this relay", metrics.in_flight.clone());
        let what = "Bytes of the unfinished messages of this relay";
        registry.register_with_unit("in_flight", what, Unit::Bytes, metrics.in_flight_bytes.clone());
        registry.register(
            "available",
            "1 if the broker, the consumer and the output streams are there",
            metrics.available.clone(),
        );
        registry.register("rebalances", "Partition assignments to this relay (Kafka)", metrics.rebalances.clone());
        registry.register("lag", "Messages that are not delivered yet", metrics.lag.clone());
        registry.register(
            "ack_pending",
            "Unfinished messages of all relays of the durable consumer",
            metrics.ack_pending.clone(),
        );
        let what = "Seconds from the delivery of a message to its acknowledgement";
        registry.register_with_unit("article", what, Unit::Seconds, metrics.whole.clone());
        for outcome in OUTCOMES {
            metrics.count(outcome).inc_by(0);
        }
        metrics.registries = vec![registry, own];
        metrics
    }
}

impl Metrics {
    /// The counter of messages with this outcome.
    pub fn count(&self, outcome: MessageOutcome) -> Counter {
        let outcome = match outcome {
            MessageOutcome::Labelled => "labelled",
            MessageOutcome::Passed => "passed",
            MessageOutcome::Dead => "dead",
            MessageOutcome::Looped => "looped",
        };
        self.articles.get_or_create(&Outcome { outcome }).clone()
    }

    /// Sets the number of messages that are not delivered yet.
    pub fn set_lag(&self, lag: Option<u64>) {
        set(&self.lag, lag);
    }

    /// Sets the number of messages that are delivered, and not acknowledged yet.
    pub fn set_ack_pending(&self, ack_pending: Option<u64>) {
        set(&self.ack_pending, ack_pending);
    }

    /// The gauge of a part that the relay needs: `broker`, `consumer` or `outputs`.
    pub fn available(&self, part: &'static str) -> Gauge {
        self.available.get_or_create(&Part { part }).clone()
    }

    /// All metrics in the Prometheus text format.
    ///
    /// # Errors
    /// If a label cannot be encoded.
    pub fn text(&self) -> Result<String, std::fmt::Error> {
        self.process.update();
        encode(&self.registries)
    }
}

fn set(gauge: &Family<NoLabels, Gauge>, value: Option<u64>) {
    match value {
        Some(value) => {
            gauge.get_or_create(&NoLabels {}).set(i64::try_from(value).unwrap_or(i64::MAX));
        }
        None => gauge.clear(),
    }
}
