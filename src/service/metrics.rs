use crate::article::{Classification, Decision, Role};
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};
use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError, atomic::AtomicU64},
    time::Duration,
};
use tonic::Code;

/// What the server counts. Labels hold codes of models and of gRPC, never anything that a client sent.
pub struct Metrics {
    registry: Registry,
    calls: Family<Call, Counter>,
    articles: Family<Outcome, Counter>,
    topics: Family<Topic, Counter>,
    regions: Family<Region, Counter>,
    abstained: Family<Part, Counter>,
    queue: Histogram,
    classify: Histogram,
    /// Articles under way: read, and not yet answered.
    pub in_flight: Gauge,
    /// Streams that are open.
    pub streams: Gauge,
    reloads: Family<Outcome, Counter>,
    model: Family<Version, Gauge>,
    resident: Gauge,
    files: Gauge,
    cpu: Gauge<f64, AtomicU64>,
    scrape: Mutex<()>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Call {
    method: &'static str,
    code: String,
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
struct Version {
    version: String,
}

fn seconds() -> Histogram {
    // From 20 µs, less than a short article takes, to 10 s.
    Histogram::new([2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0])
}

impl Metrics {
    /// Nothing counted yet; `version` is the live model's.
    pub fn new(version: &str) -> Self {
        let mut registry = Registry::with_prefix("dateline");
        let calls = Family::default();
        registry.register(
            "calls",
            "Classify and ClassifyStream calls that ended, by gRPC code; Cancelled where the client went away",
            calls.clone(),
        );
        let articles = Family::default();
        registry.register("articles", "Articles answered: classified, or with an error of their own", articles.clone());
        let topics = Family::default();
        registry.register(
            "topics",
            "Best topics of articles, by code and decision: a change in the mix is drift",
            topics.clone(),
        );
        let regions = Family::default();
        registry.register("regions", "ABOUT countries of articles, by code and decision", regions.clone());
        let abstained = Family::default();
        registry.register(
            "abstained",
            "Articles whose topics or regions are all ABSTAIN or missing",
            abstained.clone(),
        );
        let (queue, classify) = (seconds(), seconds());
        registry.register_with_unit(
            "queue",
            "From reading an article until a thread takes it",
            Unit::Seconds,
            queue.clone(),
        );
        registry.register_with_unit("classify", "Cleaning and classifying an article", Unit::Seconds, classify.clone());
        let (in_flight, streams) = (Gauge::default(), Gauge::default());
        registry.register("articles_in_flight", "Articles read and not yet answered", in_flight.clone());
        registry.register("streams_open", "Streams that are open", streams.clone());
        let reloads = Family::default();
        registry.register("model_loads", "Models that were loaded to take over, or refused", reloads.clone());
        let model = Family::<Version, Gauge>::default();
        registry.register("model_info", "The live model has 1", model.clone());
        let (resident, files, cpu) = (Gauge::default(), Gauge::default(), Gauge::<f64, AtomicU64>::default());
        registry.register_with_unit("process_resident_memory", "Resident memory", Unit::Bytes, resident.clone());
        registry.register("process_open_fds", "Open file descriptors", files.clone());
        registry.register_with_unit(
            "process_cpu",
            "Processor time of all threads since the start",
            Unit::Seconds,
            cpu.clone(),
        );
        let metrics = Metrics {
            registry,
            calls,
            articles,
            topics,
            regions,
            abstained,
            queue,
            classify,
            in_flight,
            streams,
            reloads,
            model,
            resident,
            files,
            cpu,
            scrape: Mutex::new(()),
        };
        metrics.model(version);
        metrics
    }

    /// A call or stream has ended.
    pub fn called(&self, method: &'static str, code: Code) {
        self.calls.get_or_create(&Call { method, code: format!("{code:?}") }).inc();
    }

    /// An article was classified.
    pub fn classified(&self, answer: &Classification, queued: Duration, took: Duration) {
        self.articles.get_or_create(&Outcome { outcome: "classified" }).inc();
        self.queue.observe(queued.as_secs_f64());
        self.classify.observe(took.as_secs_f64());
        if let Some(best) = answer.topics.first() {
            self.topics.get_or_create(&Topic { code: best.code.to_string(), decision: best.decision.as_str() }).inc();
        }
        let about = answer.regions.iter().filter(|region| region.role == Role::About);
        for region in about {
            let (code, decision) = (region.label.code.to_string(), region.label.decision.as_str());
            self.regions.get_or_create(&Region { code, decision }).inc();
        }
        if answer.topics.iter().all(|label| label.decision == Decision::Abstain) {
            self.abstained.get_or_create(&Part { part: "topics" }).inc();
        }
        if answer.regions.iter().all(|region| region.label.decision == Decision::Abstain) {
            self.abstained.get_or_create(&Part { part: "regions" }).inc();
        }
    }

    /// An article was answered with its own error.
    pub fn failed(&self) {
        self.articles.get_or_create(&Outcome { outcome: "error" }).inc();
    }

    /// A model was loaded to take over, or refused.
    pub fn reloaded(&self, well: bool) {
        self.reloads.get_or_create(&Outcome { outcome: if well { "loaded" } else { "refused" } }).inc();
    }

    /// Another model answers.
    pub fn model(&self, version: &str) {
        self.model.clear();
        self.model.get_or_create(&Version { version: version.to_owned() }).set(1);
    }

    /// All of it, in the text format of Prometheus (0.0.4), which every monitor reads.
    ///
    /// # Errors
    /// Where a label cannot be written.
    pub fn text(&self) -> Result<String, std::fmt::Error> {
        let _one_at_a_time = self.scrape.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(process) = Process::now() {
            self.resident.set(process.resident);
            self.files.set(process.files);
            self.cpu.set(process.cpu);
        }
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(without_open_metrics(&text))
    }
}

/// The same metrics in the older format: counters are described by the names of their samples, and there is no unit and no
/// end mark.
fn without_open_metrics(text: &str) -> String {
    let counters: BTreeSet<&str> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.strip_suffix(" counter")).collect();
    let mut older = String::with_capacity(text.len());
    for line in text.lines() {
        let mut words = line.splitn(4, ' ');
        match (words.next(), words.next(), words.next(), words.next()) {
            (Some("#"), Some(what @ ("HELP" | "TYPE")), Some(name), Some(rest)) => {
                let total = if counters.contains(name) { "_total" } else { "" };
                older.push_str(&format!("# {what} {name}{total} {rest}\n"));
            }
            (Some("#"), ..) => {}
            _ => {
                older.push_str(line);
                older.push('\n');
            }
        }
    }
    older
}

/// What the system says of this process.
struct Process {
    resident: i64,
    files: i64,
    cpu: f64,
}

impl Process {
    /// From `/proc`; `None` where there is none.
    fn now() -> Option<Process> {
        let status = std::fs::read_to_string("/proc/self/status").ok()?;
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?.trim();
        let resident: i64 = resident.strip_suffix(" kB")?.parse().ok()?;
        let files = std::fs::read_dir("/proc/self/fd").ok()?.count() as i64;
        // Behind the name, which may hold anything, in brackets: fields 14 and 15 of all, in ticks of a hundredth second.
        let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
        let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
        let ticks: f64 = fields.next()?.parse::<f64>().ok()? + fields.next()?.parse::<f64>().ok()?;
        Some(Process { resident: resident << 10, files, cpu: ticks / 100.0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_described_by_the_names_of_their_samples() {
        let metrics = Metrics::new("v1");
        metrics.failed();
        let text = metrics.text().expect("it is written");
        for line in ["# TYPE dateline_articles_total counter", "dateline_articles_total{outcome=\"error\"} 1"] {
            assert!(text.lines().any(|other| other == line), "{line} in\n{text}");
        }
        assert!(text.contains("# HELP dateline_articles_total Articles answered"), "{text}");
        assert!(text.contains("# TYPE dateline_queue_seconds histogram"), "{text}");
        assert!(!text.contains("# UNIT") && !text.contains("# EOF"), "{text}");
    }
}
