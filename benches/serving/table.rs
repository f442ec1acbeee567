//! The table of all figures.

use crate::{
    figures::{Figures, LengthCost, Memory},
    servers::System,
};
use dateline::report::{Cell, Table, number, text};

/// A measured figure of each system.
struct Row {
    measure: String,
    unit: &'static str,
    values: [Option<f64>; System::ALL.len()],
}

impl Row {
    /// A row with the figure of each system among `values`.
    fn new(measure: impl Into<String>, unit: &'static str, values: &[(System, Option<f64>)]) -> Self {
        let of = |system| values.iter().find(|(found, _)| *found == system).and_then(|(_, value)| *value);
        Row { measure: measure.into(), unit, values: System::ALL.map(of) }
    }

    /// Figures, then the ratios of Dateline to the others.
    fn cells(&self) -> Vec<Cell> {
        let [dateline, others @ ..] = self.values;
        // A ratio of shares of a core says nothing.
        let dateline = dateline.filter(|_| !self.unit.starts_with('%'));
        let ratio = |other: Option<f64>| {
            let ratio = dateline? / other?;
            Some(format!("{ratio:.*}", if ratio < 0.1 { 3 } else { 2 }))
        };
        let figures = self.values.map(|value| value.map(decimal).unwrap_or_default());
        let ratios = others.map(|other| ratio(other).unwrap_or_default());
        let texts = [self.measure.clone(), self.unit.to_owned()].into_iter().chain(figures).chain(ratios);
        texts.map(Cell::Text).collect()
    }
}

/// What was measured, and the table in Markdown.
pub fn render(figures: &Figures) -> String {
    let setup = &figures.setup;
    let pinned = if setup.is_pinned { "servers and load generator pinned on a core each" } else { "not pinned" };
    let mut out = format!(
        "{} rounds of {} s, {} starts; {} cores, {pinned}; texts: {}; fastText and scikit-learn serve through grpcio\n\n",
        setup.rounds, setup.seconds, setup.spawns, setup.cores, setup.texts
    );
    let ratios = System::ALL[1..].iter().map(|other| number(format!("Dateline / {other}")));
    let systems = System::ALL.map(|system| number(system.to_string()));
    let mut table = Table::new([text("measure"), text("unit")].into_iter().chain(systems).chain(ratios));
    let mut rows = throughput_rows(figures);
    rows.extend(latency_rows(figures));
    let starts: Vec<_> = figures.start.iter().map(|start| (start.system, Some(start.ms))).collect();
    rows.push(Row::new("start to first answer", "ms", &starts));
    rows.extend(figures.memory.iter().flat_map(memory_rows));
    rows.extend(figures.lengths.iter().map(length_row));
    rows.iter().for_each(|row| table.push(row.cells()));
    out.push_str(&table.to_markdown());
    out
}

/// Throughput and costs of each workload.
fn throughput_rows(figures: &Figures) -> Vec<Row> {
    let mut workloads = Vec::new();
    for found in &figures.throughput {
        if !workloads.contains(&found.workload) {
            workloads.push(found.workload);
        }
    }
    let mut rows = Vec::new();
    for workload in workloads {
        let of = |figure: fn(&crate::figures::Rate) -> Option<f64>| {
            let found = figures.throughput.iter().filter(|found| found.workload == workload);
            found.map(|found| (found.system, figure(&found.rate))).collect::<Vec<_>>()
        };
        rows.push(Row::new(workload.to_string(), "articles/s", &of(|rate| Some(rate.articles_per_second))));
        rows.push(Row::new("- CPU of the server", "µs/article", &of(|rate| rate.server_cpu_us)));
        rows.push(Row::new("- CPU of the server", "% of a core", &of(|rate| rate.server_percent)));
        rows.push(Row::new("- CPU of the load generator", "% of a core", &of(|rate| rate.client_percent)));
    }
    rows
}

/// Percentiles at each offered load.
fn latency_rows(figures: &Figures) -> Vec<Row> {
    let mut loads: Vec<u32> = figures.latency.iter().map(|found| found.load_percent).collect();
    loads.dedup();
    let mut rows = Vec::new();
    for load in loads {
        let of = |figure: fn(&crate::figures::Latency) -> f64| {
            let found = figures.latency.iter().filter(|found| found.load_percent == load);
            found.map(|found| (found.system, Some(figure(found)))).collect::<Vec<_>>()
        };
        rows.push(Row::new(format!("latency at {load} % load, p50"), "µs", &of(|found| found.p50_us)));
        rows.push(Row::new("- p90", "µs", &of(|found| found.p90_us)));
        rows.push(Row::new("- p99", "µs", &of(|found| found.p99_us)));
    }
    rows
}

fn memory_rows(memory: &Memory) -> [Row; 2] {
    let row = |measure, bytes| Row::new(measure, "MB", &[(System::Dateline, Some(bytes as f64 / 1e6))]);
    let after = format!("- after {} answers", decimal(memory.answers as f64));
    [row("resident memory after the first answer".to_owned(), memory.start_bytes), row(after, memory.after_bytes)]
}

fn length_row(cost: &LengthCost) -> Row {
    let values = [(System::Dateline, Some(cost.dateline_us)), (System::FastText, cost.fasttext_us)];
    Row::new(format!("without a server, {} words", decimal(cost.words as f64)), "CPU µs/article", &values)
}

/// A figure with three significant digits or all digits before the point, which are in groups of three.
pub fn decimal(value: f64) -> String {
    if value < 100.0 && value.fract() != 0.0 {
        return format!("{value:.*}", if value < 10.0 { 2 } else { 1 });
    }
    let digits = format!("{value:.0}");
    let group = |(i, digit): (usize, char)| {
        let comma = i > 0 && (digits.len() - i).is_multiple_of(3);
        comma.then_some(',').into_iter().chain([digit])
    };
    digits.chars().enumerate().flat_map(group).collect()
}
