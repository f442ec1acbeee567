//! The command line, and the extent of the measurements.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

/// Measure Dateline as a server, next to an echo server and to Python servers
///
/// Prints a table. Progress goes to standard error. The Python servers (grpcio with fastText and with scikit-learn) need
/// --corpora for their training; they are installed and trained once, in Cargo's target folder.
#[derive(Debug, clap::Parser)]
#[command(name = "serving", bin_name = "cargo bench --bench serving --", version = None)]
pub struct Options {
    /// The program whose `serve` command is measured
    #[arg(long, value_name = "PATH", default_value = env!("CARGO_BIN_EXE_dateline"))]
    pub program: PathBuf,
    /// Take texts from DIR/gold/gold*.jsonl.gz, and train the Python servers on these rows; by default, texts come from
    /// the articles written for the tests, and there are no Python servers
    #[arg(long, value_name = "DIR")]
    pub corpora: Option<PathBuf>,
    /// The Python (3.11 or later, with venv) that creates the environment of the Python servers
    #[arg(long, value_name = "PYTHON", default_value = "python3")]
    pub python: PathBuf,
    /// The duration of a round, in seconds [default: 2; with --quick 0.5]
    #[arg(long, value_name = "N", value_parser = seconds)]
    pub seconds: Option<f64>,
    /// The number of answers after which memory is read [default: 200,000; with --quick 5,000]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub answers: Option<u64>,
    /// Write all figures to this file, as JSON
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Write plots to this folder, as SVG
    #[arg(long, value_name = "DIR")]
    pub plots: Option<PathBuf>,
    /// Measure less and for a shorter time
    #[arg(long)]
    pub quick: bool,
    /// Measure nothing else, but load Dateline for this time, in minutes, at 80 % of its throughput, with model swaps and
    /// bad clients; fails if memory, descriptors or threads grow
    #[arg(long, value_name = "MINUTES", value_parser = minutes)]
    pub soak: Option<f64>,
    /// Cargo passes this to all benchmarks.
    #[arg(long, hide = true)]
    bench: bool,
    /// Exit at once.
    #[arg(long, hide = true)]
    pub test: bool,
    /// Run as the echo server at this address.
    #[arg(long, hide = true, value_name = "ADDRESS")]
    pub echo: Option<SocketAddr>,
}

/// A duration in seconds, from 0.05 to 600.
fn seconds(text: &str) -> Result<f64, String> {
    let valid = text.parse().ok().filter(|seconds| (0.05..=600.0).contains(seconds));
    valid.ok_or_else(|| "write a number from 0.05 to 600".to_owned())
}

/// A duration in minutes, from 0.5 to 10,000.
fn minutes(text: &str) -> Result<f64, String> {
    let valid = text.parse().ok().filter(|minutes| (0.5..=10_000.0).contains(minutes));
    valid.ok_or_else(|| "write a number from 0.5 to 10000".to_owned())
}

/// What is measured, and how often.
pub struct Plan {
    /// The duration of a round, in seconds, without its warm-up.
    pub seconds: f64,
    /// The number of rounds of a measurement.
    pub rounds: usize,
    /// The number of streams of each workload of the series.
    pub streams: &'static [usize],
    /// The offered loads, as shares of a server's own throughput in percent.
    pub loads: &'static [u32],
    /// The number of starts of each server.
    pub spawns: usize,
    /// The number of answers after which memory is read.
    pub answers: u64,
    /// The lengths of articles, in words.
    pub words: &'static [usize],
}

impl Plan {
    /// The extent that the options ask for.
    pub fn of(options: &Options) -> Self {
        let plan = match options.quick {
            true => Plan {
                seconds: 0.5,
                rounds: 2,
                streams: &[1, 4, 16],
                loads: &[25, 75],
                spawns: 3,
                answers: 5_000,
                words: &[50, 500, 2_000],
            },
            false => Plan {
                seconds: 2.0,
                rounds: 5,
                streams: &[1, 2, 4, 8, 16],
                loads: &[10, 25, 50, 75, 90],
                spawns: 9,
                answers: 200_000,
                words: &[50, 150, 500, 2_000, 10_000],
            },
        };
        Plan {
            seconds: options.seconds.unwrap_or(plan.seconds),
            answers: options.answers.unwrap_or(plan.answers),
            ..plan
        }
    }

    /// The duration of a round.
    pub fn time(&self) -> Duration {
        Duration::from_secs_f64(self.seconds)
    }

    /// The time before each round that is not measured.
    pub fn warm_up(&self) -> Duration {
        self.time() / 4
    }
}
