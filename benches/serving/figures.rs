//! The measured figures.

use crate::servers::System;
use serde::Serialize;
use std::fmt;

/// All figures of a run.
#[derive(Debug, Serialize)]
pub struct Figures {
    pub setup: Setup,
    pub throughput: Vec<Throughput>,
    pub latency: Vec<Latency>,
    pub start: Vec<Start>,
    /// `None` where the system does not tell the memory of a process.
    pub memory: Option<Memory>,
    pub lengths: Vec<LengthCost>,
}

/// What was measured, on what.
#[derive(Debug, Serialize)]
pub struct Setup {
    pub program: String,
    /// Where the texts come from.
    pub texts: String,
    pub cores: usize,
    /// Whether servers and load generator were pinned on a core each.
    pub is_pinned: bool,
    /// The duration of a round, in seconds.
    pub seconds: f64,
    pub rounds: usize,
    /// The number of starts of each server.
    pub spawns: usize,
}

/// The method that is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Call {
    Stream,
    Unary,
}

/// A load: as many articles as possible, with a constant number in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Workload {
    pub call: Call,
    /// The approximate size of each article, in bytes.
    pub bytes: usize,
    /// The number of streams, all on one connection; of unary calls, 1.
    pub streams: usize,
    /// The number of unanswered articles over all streams.
    pub in_flight: usize,
}

impl fmt::Display for Workload {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = match self.bytes {
            bytes if bytes % 1024 == 0 => format!("{} KiB", bytes / 1024),
            bytes => format!("{bytes} B"),
        };
        match (self.call, self.streams) {
            (Call::Unary, _) => write!(out, "unary, {size}, {} in flight", self.in_flight),
            (Call::Stream, 1) => write!(out, "stream, {size}, {} in flight", self.in_flight),
            (Call::Stream, streams) => write!(out, "{streams} streams, {size}, {} in flight", self.in_flight),
        }
    }
}

/// What a server processed, and what this cost.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Rate {
    pub articles_per_second: f64,
    /// CPU time of the server per article, in microseconds; `None` where the system does not tell it.
    pub server_cpu_us: Option<f64>,
    /// CPU time of the server per second, in percent of a core.
    pub server_percent: Option<f64>,
    /// CPU time of the load generator per second, in percent of a core. Near 100 the load generator limits the throughput.
    pub client_percent: Option<f64>,
}

/// The throughput of a server.
#[derive(Debug, Serialize)]
pub struct Throughput {
    pub system: System,
    pub workload: Workload,
    #[serde(flatten)]
    pub rate: Rate,
}

/// The latency of a server at a constant rate of articles, from the scheduled time of sending to the answer.
#[derive(Debug, Serialize)]
pub struct Latency {
    pub system: System,
    /// The share of the server's own throughput, in percent.
    pub load_percent: u32,
    pub articles_per_second: f64,
    pub p50_us: f64,
    pub p90_us: f64,
    pub p99_us: f64,
}

/// The time from the start of a server's process to its first answer.
#[derive(Debug, Serialize)]
pub struct Start {
    pub system: System,
    pub ms: f64,
}

/// The resident memory of Dateline, in bytes.
#[derive(Debug, Serialize)]
pub struct Memory {
    /// After the first answer.
    pub start_bytes: u64,
    /// The number of answers after which memory is read again.
    pub answers: u64,
    pub after_bytes: u64,
}

/// The CPU time per article of a number of words, in this process and without a server, in microseconds.
#[derive(Debug, Serialize)]
pub struct LengthCost {
    pub words: usize,
    pub dateline_us: f64,
    pub fasttext_us: Option<f64>,
}

/// The median.
pub fn median(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        length if length % 2 == 0 => Some((values[middle - 1] + values[middle]) / 2.0),
        _ => Some(values[middle]),
    }
}

impl Rate {
    /// The median of each figure; `None` without rates.
    pub fn median(rates: &[Rate]) -> Option<Rate> {
        let of = |figure: fn(&Rate) -> Option<f64>| median(rates.iter().filter_map(figure));
        Some(Rate {
            articles_per_second: of(|rate| Some(rate.articles_per_second))?,
            server_cpu_us: of(|rate| rate.server_cpu_us),
            server_percent: of(|rate| rate.server_percent),
            client_percent: of(|rate| rate.client_percent),
        })
    }
}
