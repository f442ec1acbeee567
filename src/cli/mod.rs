//! The commands: each file parses its arguments, calls the library and prints.

mod answers;
mod classify;
mod evaluate;
mod input;
mod models;
mod output;
mod progress;
mod relay;
mod remote;
mod serve;
mod settings;
mod signals;
mod train;

use crate::{
    model::{Model, ModelError},
    observe::TelemetryError,
};
use anstream::eprintln;
use clap::{Parser, Subcommand};
use std::{io, path::PathBuf, process::ExitCode, time::Duration};
use tokio::runtime::Runtime;

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
    Relay(Box<relay::Args>),
    Classify(classify::Args),
    Train(Box<train::Args>),
    Evaluate(evaluate::Args),
    Models(models::Args),
}

/// Why a command ended early.
#[derive(Debug)]
enum Failure {
    /// A failure: exit status 1.
    Failed(String),
    /// An invalid combination of arguments or settings: exit status 2.
    Usage(String),
    /// Some of the input is invalid: exit status 3.
    BadInput(String),
    /// The reader of the output is gone: exit status 0, without a message.
    PipeClosed,
}

impl Failure {
    /// A failure with this reason.
    fn failed(reason: impl std::fmt::Display) -> Self {
        Failure::Failed(reason.to_string())
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Failure::PipeClosed,
            _ => Failure::Failed(format!("cannot write the output: {error}")),
        }
    }
}

impl From<TelemetryError> for Failure {
    fn from(error: TelemetryError) -> Self {
        match error {
            TelemetryError::Setting(reason) => Failure::Usage(reason),
            TelemetryError::Endpoint(reason) => Failure::Failed(reason),
        }
    }
}

/// Runs the command that the process was called with.
pub fn run() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Serve(args) => serve::run(&args),
        Command::Relay(args) => relay::run(&args),
        Command::Classify(args) => classify::run(args),
        Command::Train(args) => train::run(*args),
        Command::Evaluate(args) => evaluate::run(args),
        Command::Models(args) => models::run(args),
    };
    let (status, message) = match outcome {
        Ok(()) | Err(Failure::PipeClosed) => return ExitCode::SUCCESS,
        Err(Failure::Failed(message)) => (1, message),
        Err(Failure::Usage(message)) => (2, message),
        Err(Failure::BadInput(message)) => (3, message),
    };
    eprintln!("{}error:{:#} {message}", output::ERROR, output::ERROR);
    ExitCode::from(status)
}

/// Runs a command inside a tokio runtime. At its end, work that still blocks a thread, such as reading a model from a file system that
/// hangs, is abandoned.
fn in_runtime(command: impl FnOnce(&Runtime) -> Result<(), Failure>) -> Result<(), Failure> {
    const LAST_WORK: Duration = Duration::from_secs(1);
    let runtime = Runtime::new().map_err(Failure::failed)?;
    let outcome = {
        let _inside = runtime.enter();
        command(&runtime)
    };
    runtime.shutdown_timeout(LAST_WORK);
    outcome
}

/// The model in `folder`, or the bundled one.
fn model(folder: Option<&PathBuf>) -> Result<Model, ModelError> {
    match folder {
        Some(folder) => Model::load(folder),
        None => Model::bundled(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_valid() {
        <Cli as clap::CommandFactory>::command().debug_assert();
    }
}
