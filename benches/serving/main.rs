//! Measures Dateline as a server, next to an echo server on the same gRPC stack and to Python servers of fastText and
//! scikit-learn, and the cost of an article against its length, next to fastText.
//!
//! `cargo bench --bench serving -- [--corpora DIR] [--json FILE] [--plots DIR] [--quick]`; `--help` lists all options.
//!
//! The servers are child processes, pinned on one core; the load generator, this process, is pinned on another. All servers
//! are measured in turn in each round, so that interference from other processes affects all alike. Figures are medians over
//! the rounds; none is asserted.

mod child;
mod echo;
mod figures;
mod latency;
mod lengths;
mod load;
mod machine;
mod memory;
mod options;
mod peers;
mod plots;
mod servers;
mod soak;
mod startup;
mod table;
mod texts;
mod throughput;

use clap::Parser;
use figures::{Figures, Setup};
use machine::Pinning;
use options::{Options, Plan};
use peers::Peers;
use serde::Serialize;
use servers::{Launcher, System};
use std::{error::Error, fs, future::Future, process::ExitCode, time::Duration};
use texts::Texts;

/// What can fail here fails with a message for the person at the terminal.
type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    // `cargo bench` passes --bench. Without it, as from `cargo test --benches`, there is nothing to do.
    if std::env::args().len() == 1 {
        eprintln!("serving: nothing measured; run cargo bench --bench serving");
        return ExitCode::SUCCESS;
    }
    let options = Options::parse();
    let done = match options.echo {
        _ if options.test => Ok(()),
        Some(address) => echo::serve(address),
        None => match options.soak {
            Some(minutes) => soak(&options, Duration::from_secs_f64(60.0 * minutes)),
            None => benchmark(&options),
        },
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Prepares and measures.
fn benchmark(options: &Options) -> Outcome<()> {
    let peers = Peers::prepare(options);
    // After the preparation, which may use all cores.
    let pinning = Pinning::of_this_process();
    let figures = run(measure(options, peers.as_ref(), &pinning))?;
    print!("{}", table::render(&figures));
    write_json(options, &figures)?;
    options.plots.as_deref().map_or(Ok(()), |folder| plots::write(&plots::of_figures(&figures)?, folder))
}

/// Loads the server for a long time.
fn soak(options: &Options, time: Duration) -> Outcome<()> {
    let pinning = Pinning::of_this_process();
    let texts = Texts::read(options.corpora.as_deref())?;
    let launcher = Launcher { program: &options.program, peers: None, pinning: &pinning };
    let soak = run(soak::measure(&launcher, &texts, &Plan::of(options), time))?;
    print!("{soak}");
    write_json(options, &soak)?;
    if let Some(folder) = &options.plots {
        plots::write(&plots::of_soak(&soak)?, folder)?;
    }
    match soak.faults() {
        faults if faults.is_empty() => Ok(()),
        faults => Err(format!("the server uses more and more: {}", faults.join("; ")).into()),
    }
}

/// Runs a measurement; a signal ends it and all servers.
fn run<T>(measurement: impl Future<Output = Outcome<T>>) -> Outcome<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        tokio::select! {
            figures = measurement => figures,
            () = machine::interrupted() => Err("interrupted".into()),
        }
    })
}

/// Writes figures to the file of `--json`.
fn write_json(options: &Options, figures: &impl Serialize) -> Outcome<()> {
    let Some(file) = &options.json else { return Ok(()) };
    let json = serde_json::to_string_pretty(figures)? + "\n";
    fs::write(file, json).map_err(|error| format!("cannot write {}: {error}", file.display()).into())
}

/// Measures everything.
async fn measure(options: &Options, peers: Option<&Peers>, pinning: &Pinning) -> Outcome<Figures> {
    let plan = Plan::of(options);
    let texts = Texts::read(options.corpora.as_deref())?;
    let launcher = Launcher { program: &options.program, peers, pinning };
    let mut systems = vec![System::Dateline, System::Echo];
    systems.extend(peers.iter().flat_map(|_| [System::FastText, System::ScikitLearn]));

    let throughput = throughput::measure(&launcher, &systems, &texts, &plan).await?;
    let latency = latency::measure(&launcher, &throughput, &texts, &plan).await?;
    let start = startup::measure(&launcher, &systems, &plan).await?;
    let memory = memory::measure(&launcher, &texts, &plan).await?;
    let lengths = lengths::measure(peers, &texts, &plan)?;
    let setup = Setup {
        program: options.program.display().to_string(),
        texts: texts.origin().to_owned(),
        cores: pinning.cores(),
        is_pinned: pinning.is_pinned(),
        seconds: plan.seconds,
        rounds: plan.rounds,
        spawns: plan.spawns,
    };
    Ok(Figures { setup, throughput, latency, start, memory, lengths })
}
