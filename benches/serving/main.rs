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
mod startup;
mod table;
mod texts;
mod throughput;

use clap::Parser;
use figures::{Figures, Setup};
use machine::Pinning;
use options::{Options, Plan};
use peers::Peers;
use servers::{Launcher, System};
use std::{error::Error, fs, process::ExitCode};
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
        None => benchmark(&options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Prepares and measures; a signal ends the measurement and all servers.
fn benchmark(options: &Options) -> Outcome<()> {
    let peers = Peers::prepare(options);
    // After the preparation, which may use all cores, and before the runtime.
    let pinning = Pinning::of_this_process();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let figures = runtime.block_on(async {
        tokio::select! {
            figures = measure(options, peers.as_ref(), &pinning) => figures,
            () = machine::interrupted() => Err("interrupted".into()),
        }
    })?;
    print!("{}", table::render(&figures));
    if let Some(file) = &options.json {
        let json = serde_json::to_string_pretty(&figures)? + "\n";
        fs::write(file, json).map_err(|error| format!("cannot write {}: {error}", file.display()))?;
    }
    if let Some(folder) = &options.plots {
        plots::write(&figures, folder)?;
    }
    Ok(())
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
