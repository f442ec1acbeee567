//! What the server counts.

use crate::{
    article::{Classification, Decision, Role},
    live::{Compared, ShadowOutcome, Status},
    observe::{Process, encode},
};
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};
use std::{
    sync::{Mutex, PoisonError, atomic::Ordering},
    time::Duration,
};
use tokio::sync::watch;
use tonic::Code;

/// What the server counts. Labels hold codes of models and of gRPC, never anything that a client sent.
pub struct Metrics {
    registries: Vec<Registry>,
    calls: Family<Call, Counter>,
    articles: Family<Outcome, Counter>,
    topics: Family<Topic, Counter>,
    subtopics: Family<Topic, Counter>,
    regions: Family<Region, Counter>,
    abstained: Family<Part, Counter>,
    reviewed: Family<Part, Counter>,
    queue: Histogram,
    clean: Histogram,
    classify: Histogram,
    whole: Histogram,
    /// Articles under way: read, and not yet answered.
    pub in_flight: Gauge,
    /// Places for articles that are taken.
    pub places_taken: Gauge,
    /// Room for their text that is taken, in bytes.
    pub text_taken: Gauge,
    /// Streams that are open.
    pub streams: Gauge,
    /// Connections that are open.
    pub connections: Gauge,
    /// Bytes read from connections, without those of TLS.
    pub received: Counter,
    /// Bytes written to connections, without those of TLS.
    pub sent: Counter,
    compared: Family<Outcome, Counter>,
    differ: Family<Part, Counter>,
    topics_differ: Family<Pair, Counter>,
    slots: Vec<Slot>,
    loads: Family<Load, Counter>,
    refused: Family<Place, Gauge>,
    model: Family<Version, Gauge>,
    process: Process,
    scrape: Mutex<()>,
}

struct Slot {
    name: &'static str,
    status: watch::Receiver<Status>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Call {
    method: &'static str,
    code: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Topic {
    code: String,
    decision: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Region {
    code: String,
    decision: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Part {
    part: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Pair {
    live: String,
    shadow: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Place {
    slot: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Load {
    slot: &'static str,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Version {
    slot: &'static str,
    version: String,
}

fn seconds() -> Histogram {
    // From 20 µs, less than a short article takes, to 10 s.
    Histogram::new([2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0])
}

/// Registers a metric and gives it back.
trait Registers {
    fn take<M: prometheus_client::registry::Metric + Clone>(&mut self, name: &str, help: &str, metric: M) -> M;
    fn seconds(&mut self, name: &str, help: &str) -> Histogram;
}

impl Registers for Registry {
    fn take<M: prometheus_client::registry::Metric + Clone>(&mut self, name: &str, help: &str, metric: M) -> M {
        self.register(name, help, metric.clone());
        metric
    }

    fn seconds(&mut self, name: &str, help: &str) -> Histogram {
        let histogram = seconds();
        self.register_with_unit(name, help, Unit::Seconds, histogram.clone());
        histogram
    }
}

impl Metrics {
    /// Nothing counted yet.
    pub fn new(live: watch::Receiver<Status>, shadow: Option<watch::Receiver<Status>>) -> Self {
        let (process, own) = Process::new();
        let mut registry = Registry::with_prefix("dateline");
        let shadowed = shadow.is_some();
        let metrics = Metrics {
            calls: registry.take(
                "calls",
                "Calls and streams that ended, by method and gRPC code; CANCELLED where the client went away",
                Family::default(),
            ),
            articles: registry.take(
                "articles",
                "Articles answered: classified, with an error of their own, or with a fault of the server's",
                Family::default(),
            ),
            topics: registry.take(
                "topics",
                "Best topics of articles, by code and decision: a change in the mix is drift",
                Family::default(),
            ),
            subtopics: registry.take(
                "subtopics",
                "Best sub-topics of articles, by code and decision; articles without one are not counted",
                Family::default(),
            ),
            regions: registry.take("regions", "ABOUT countries of articles, by code and decision", Family::default()),
            abstained: registry.take(
                "abstained",
                "Articles whose topics or regions are all ABSTAIN or missing",
                Family::default(),
            ),
            reviewed: registry.take(
                "reviewed",
                "Articles whose topics or regions hold a REVIEW and no AUTO",
                Family::default(),
            ),
            queue: registry.seconds("queue", "From reading an article until a thread takes it"),
            clean: registry.seconds("clean", "Making text of an article"),
            classify: registry.seconds("classify", "Classifying the text of an article"),
            whole: registry.seconds("article", "From reading an article until its answer is ready"),
            in_flight: registry.take(
                "articles_in_flight",
                "Articles read and not yet answered, including those that wait for admission",
                Gauge::default(),
            ),
            places_taken: registry.take("places_taken", "Articles admitted and not yet answered, of --max-articles", Gauge::default()),
            text_taken: registry.take(
                "text_taken_bytes",
                "Bytes of requests in work and of answers that clients have not taken, of --max-text-bytes",
                Gauge::default(),
            ),
            streams: registry.take("streams_open", "Streams that are open", Gauge::default()),
            connections: registry.take("connections_open", "Connections that are open", Gauge::default()),
            received: registry.take("received_bytes", "Bytes read from connections, TLS taken off", Counter::default()),
            sent: registry.take("sent_bytes", "Bytes written to connections, before TLS", Counter::default()),
            compared: registry.take(
                "shadow_articles",
                "Articles that the shadow model answered too (compared), could not answer (error) or had no time for (skipped)",
                Family::default(),
            ),
            differ: registry.take(
                "shadow_differs",
                "Compared articles whose best topic, or ABOUT countries, differ",
                Family::default(),
            ),
            topics_differ: registry.take(
                "shadow_topics_differ",
                "Compared articles whose best topic differs, by the topics of both",
                Family::default(),
            ),
            loads: registry.take("model_loads", "Models that were loaded to take over, or refused", Family::default()),
            refused: registry.take(
                "model_refused",
                "1 where the watched folder holds a model that was refused",
                Family::default(),
            ),
            model: registry.take("model_info", "1 for the model that answers", Family::default()),
            slots: [("live", Some(live)), ("shadow", shadow)]
                .into_iter()
                .filter_map(|(name, status)| Some(Slot { name, status: status? }))
                .collect(),
            process,
            scrape: Mutex::new(()),
            registries: vec![registry, own],
        };
        metrics.begin(shadowed);
        metrics
    }

    /// Metrics of a server without models.
    #[cfg(test)]
    pub fn for_tests() -> Self {
        let status = Status { version: "v1".to_owned(), loaded: 0, refused: 0, refusal: None };
        Metrics::new(watch::Sender::new(status).subscribe(), None)
    }

    /// What has not happened yet is told as 0, so that its first time is seen as a rise.
    fn begin(&self, shadowed: bool) {
        for code in [Code::Ok, Code::Internal] {
            ["Classify", "ClassifyStream"].iter().for_each(|method| {
                self.calls.get_or_create(&Call { method, code: code_name(code) }).inc_by(0);
            });
        }
        for outcome in ["classified", "error", "fault"] {
            self.articles.get_or_create(&Outcome { outcome }).inc_by(0);
        }
        for part in ["topics", "regions"] {
            self.reviewed.get_or_create(&Part { part }).inc_by(0);
            self.abstained.get_or_create(&Part { part }).inc_by(0);
            if shadowed {
                self.differ.get_or_create(&Part { part }).inc_by(0);
            }
        }
        for outcome in ["compared", "error", "skipped"].into_iter().filter(|_| shadowed) {
            self.compared.get_or_create(&Outcome { outcome }).inc_by(0);
        }
    }

    /// A call or stream has ended.
    pub fn called(&self, method: &'static str, code: Code) {
        self.calls.get_or_create(&Call { method, code: code_name(code) }).inc();
    }

    /// An article was classified.
    pub fn classified(&self, answer: &Classification, took: &StageTimes) {
        self.articles.get_or_create(&Outcome { outcome: "classified" }).inc();
        self.queue.observe(took.queued.as_secs_f64());
        self.clean.observe(took.cleaned.as_secs_f64());
        self.classify.observe(took.classified.as_secs_f64());
        self.whole.observe((took.queued + took.cleaned + took.classified).as_secs_f64());
        if let Some(best) = answer.topics.first() {
            self.topics.get_or_create(&Topic { code: best.code.to_string(), decision: best.decision.as_str() }).inc();
        }
        if let Some(best) = answer.subtopics.first() {
            let (code, decision) = (best.code.to_string(), best.decision.as_str());
            self.subtopics.get_or_create(&Topic { code, decision }).inc();
        }
        let about = answer.regions.iter().filter(|region| region.role == Role::About);
        for region in about {
            let (code, decision) = (region.label.code.to_string(), region.label.decision.as_str());
            self.regions.get_or_create(&Region { code, decision }).inc();
        }
        self.decided("topics", answer.topics.iter().map(|label| label.decision));
        self.decided("regions", answer.regions.iter().map(|region| region.label.decision));
    }

    fn decided(&self, part: &'static str, decisions: impl Iterator<Item = Decision> + Clone) {
        let has = |one| decisions.clone().any(|decision| decision == one);
        if has(Decision::Auto) {
        } else if has(Decision::Review) {
            self.reviewed.get_or_create(&Part { part }).inc();
        } else {
            self.abstained.get_or_create(&Part { part }).inc();
        }
    }

    /// An article was answered with its own error, or with a fault of the server's.
    pub fn failed(&self, fault: bool) {
        self.articles.get_or_create(&Outcome { outcome: if fault { "fault" } else { "error" } }).inc();
    }

    /// The shadow model dealt with an article.
    pub fn shadowed(&self, kind: &ShadowOutcome) {
        let outcome = match kind {
            ShadowOutcome::Compared(_) => "compared",
            ShadowOutcome::Failed => "error",
            ShadowOutcome::Skipped => "skipped",
        };
        self.compared.get_or_create(&Outcome { outcome }).inc();
        let ShadowOutcome::Compared(Compared { topics, regions }) = kind else { return };
        if let Some([live, shadow]) = topics {
            self.differ.get_or_create(&Part { part: "topics" }).inc();
            let name = |code: &Option<_>| code.as_ref().map_or_else(|| "none".to_owned(), ToString::to_string);
            self.topics_differ.get_or_create(&Pair { live: name(live), shadow: name(shadow) }).inc();
        }
        if *regions {
            self.differ.get_or_create(&Part { part: "regions" }).inc();
        }
    }

    /// All of it, in the text format of Prometheus (0.0.4), which every monitor reads.
    ///
    /// # Errors
    /// Where a label cannot be written.
    pub fn text(&self) -> Result<String, std::fmt::Error> {
        let _one_at_a_time = self.scrape.lock().unwrap_or_else(PoisonError::into_inner);
        self.process.update();
        self.model.clear();
        for Slot { name: slot, status } in &self.slots {
            let status = status.borrow().clone();
            for (outcome, count) in [("loaded", status.loaded), ("refused", status.refused)] {
                self.loads.get_or_create(&Load { slot, outcome }).inner().store(count, Ordering::Relaxed);
            }
            self.refused.get_or_create(&Place { slot }).set(status.refusal.is_some().into());
            self.model.get_or_create(&Version { slot, version: status.version }).set(1);
        }
        encode(&self.registries)
    }
}

/// Raises a gauge by one until it is dropped.
pub struct GaugeGuard(Gauge);

impl GaugeGuard {
    pub fn new(gauge: &Gauge) -> Self {
        gauge.inc();
        GaugeGuard(gauge.clone())
    }
}

impl Drop for GaugeGuard {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// How long the parts of answering an article took.
pub struct StageTimes {
    /// From its reading until a thread took it.
    pub queued: Duration,
    /// Making text of it.
    pub cleaned: Duration,
    /// Classifying the text.
    pub classified: Duration,
}

/// The name of a code as gRPC's own documents have it.
pub fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_described_by_the_names_of_their_samples() {
        let status =
            Status { version: "v1".to_owned(), loaded: 0, refused: 2, refusal: Some("half a file".to_owned()) };
        let metrics = Metrics::new(watch::Sender::new(status).subscribe(), None);
        metrics.failed(false);
        let text = metrics.text().expect("it is written");
        for line in [
            "# TYPE dateline_articles_total counter",
            "dateline_articles_total{outcome=\"error\"} 1",
            "dateline_model_loads_total{slot=\"live\",outcome=\"refused\"} 2",
            "dateline_model_refused{slot=\"live\"} 1",
            "dateline_model_info{slot=\"live\",version=\"v1\"} 1",
            "# TYPE process_cpu_seconds_total counter",
        ] {
            assert!(text.lines().any(|other| other == line), "{line} in\n{text}");
        }
        assert!(text.contains("# HELP dateline_articles_total Articles answered"), "{text}");
        assert!(text.contains("# TYPE dateline_queue_seconds histogram"), "{text}");
        assert!(!text.contains("# UNIT") && !text.contains("# EOF"), "{text}");
    }
}
