//! The commands: each file parses its arguments, calls the library and prints.

mod answers;
mod classify;
mod dedupe;
mod evaluate;
mod failure;
mod input;
mod label;
mod models;
mod output;
mod progress;
mod relay;
mod remote;
mod serve;
mod settings;
mod shared;
mod signals;
mod train;

use anstream::eprintln;
use clap::{Parser, Subcommand};
use failure::Failure;
use std::process::ExitCode;

/// Classifies news articles by topic (IPTC Media Topics) and region (ISO 3166 countries in the UN M49 tree), with calibrated
/// confidence
#[derive(Debug, Parser)]
#[command(
    name = "dateline",
    version,
    after_help = "Exit status: 0 success; 1 failure (no such model, port in use, server unreachable); 2 invalid command line; \
                  3 some or all of the input is invalid."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(Box<serve::Args>),
    Relay(Box<relay::jetstream::Args>),
    #[cfg(feature = "kafka")]
    RelayKafka(Box<relay::kafka::Args>),
    Classify(classify::Args),
    Dedupe(dedupe::Args),
    Train(Box<train::Args>),
    Label(Box<label::Args>),
    Evaluate(evaluate::Args),
    Models(models::Args),
}

/// Runs the command that the process was called with.
pub fn run() -> ExitCode {
    let command = Cli::parse().command;
    let outcome = start_threads().and_then(|()| match command {
        Command::Serve(args) => serve::run(&args),
        Command::Relay(args) => relay::jetstream::run(&args),
        #[cfg(feature = "kafka")]
        Command::RelayKafka(args) => relay::kafka::run(&args),
        Command::Classify(args) => classify::run(args),
        Command::Dedupe(args) => dedupe::run(args),
        Command::Train(args) => train::run(*args),
        Command::Label(args) => label::run(*args),
        Command::Evaluate(args) => evaluate::run(args),
        Command::Models(args) => models::run(args),
    });
    let (status, message) = match outcome {
        Ok(()) | Err(Failure::PipeClosed) => return ExitCode::SUCCESS,
        Err(Failure::Failed(message)) => (1, message),
        Err(Failure::Usage(message)) => (2, message),
        Err(Failure::BadInput(message)) => (3, message),
    };
    eprintln!("{}error:{:#} {message}", output::ERROR, output::ERROR);
    ExitCode::from(status)
}

/// Starts the threads of parallel loops. They would otherwise start on first use, and panic if the system has none.
fn start_threads() -> Result<(), Failure> {
    rayon::ThreadPoolBuilder::new().build_global().map_err(|error| {
        Failure::failed(format!(
            "cannot start threads: {error}; allow this process more threads and memory (ulimit -u, -v)"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_valid() {
        <Cli as clap::CommandFactory>::command().debug_assert();
    }
}
