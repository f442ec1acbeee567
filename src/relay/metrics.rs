//! What a relay counts.

use crate::observe::{Process, text_of};
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};

/// What a relay counts.
pub struct Metrics {
    registries: Vec<Registry>,
    process: Process,
    articles: Family<Outcome, Counter>,
    /// Messages that were delivered before.
    pub redelivered: Counter,
    /// Publications and questions that failed and are tried again.
    pub retries: Counter,
    /// Publications that the broker had already.
    pub duplicates: Counter,
    /// Messages that are held.
    pub in_flight: Gauge,
    /// Messages that no relay of this durable name has been given yet.
    pub lag: Gauge,
    /// Messages that relays of this durable name hold.
    pub ack_pending: Gauge,
    /// From the delivery of a message until it is acknowledged.
    pub whole: Histogram,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

/// The outcome of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageOutcome {
    /// Labelled and published.
    Labelled,
    /// Published without labels: canceled.
    Passed,
    /// Put aside with its reason.
    Dead,
}

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
            lag: Gauge::default(),
            ack_pending: Gauge::default(),
            whole: Histogram::new(seconds),
        };
        let mut registry = Registry::with_prefix("dateline_relay");
        registry.register("articles", "Messages by outcome", metrics.articles.clone());
        registry.register("redeliveries", "Messages that were delivered before", metrics.redelivered.clone());
        registry.register(
            "retries",
            "Publications and calls that failed and were tried again",
            metrics.retries.clone(),
        );
        registry.register("duplicates", "Publications that the broker had already", metrics.duplicates.clone());
        registry.register("in_flight", "Messages that this relay holds", metrics.in_flight.clone());
        registry.register("lag", "Messages that wait for any relay of this durable name", metrics.lag.clone());
        registry.register(
            "ack_pending",
            "Messages that all relays of this durable name hold",
            metrics.ack_pending.clone(),
        );
        let what = "From the delivery of a message until it is acknowledged";
        registry.register_with_unit("article", what, Unit::Seconds, metrics.whole.clone());
        for outcome in [MessageOutcome::Labelled, MessageOutcome::Passed, MessageOutcome::Dead] {
            metrics.count(outcome).inc_by(0);
        }
        metrics.registries = vec![registry, own];
        metrics
    }
}

impl Metrics {
    /// The messages with this outcome.
    pub fn count(&self, outcome: MessageOutcome) -> Counter {
        let outcome = match outcome {
            MessageOutcome::Labelled => "labelled",
            MessageOutcome::Passed => "passed",
            MessageOutcome::Dead => "dead",
        };
        self.articles.get_or_create(&Outcome { outcome }).clone()
    }

    /// All of it, for Prometheus.
    ///
    /// # Errors
    /// Where a label cannot be written.
    pub fn text(&self) -> Result<String, std::fmt::Error> {
        self.process.look();
        text_of(&self.registries)
    }
}
