//! The commands: each file parses its arguments, calls the library and prints.

mod classify;
mod evaluate;
mod input;
mod models;
mod output;
mod relay;
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
use std::{io, path::PathBuf, process::ExitCode};
use tonic::transport::Endpoint;

/// Tells what news articles are about: topics (IPTC Media Topics) and regions (ISO 3166 countries in the UN M49 tree),
/// with calibrated confidence.
#[derive(Debug, Parser)]
#[command(
    name = "dateline",
    version,
    after_help = "Exit status: 0 all went well; 1 it could not be done (no such model, port in use, server away); 2 the \
                  command line is wrong; 3 some or all of the input could not be used."
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
    /// It could not be done: exit status 1.
    Failed(String),
    /// The command line is wrong in a way that only the command can tell: exit status 2.
    Usage(String),
    /// Some of the input could not be used: exit status 3.
    BadInput(String),
    /// Whoever read the output is gone: exit status 0, in silence.
    PipeClosed,
}

impl Failure {
    /// For anything that tells its reason.
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

/// A Dateline server by its address.
fn server(url: &str) -> Result<Endpoint, Failure> {
    // An address alone is meant as an address. Another scheme, above all https, must not be sent in plain text.
    let full = if url.contains("://") { url.to_owned() } else { format!("http://{url}") };
    let plain = Some(full).filter(|full| full.starts_with("http://"));
    plain.and_then(|full| Endpoint::from_shared(full).ok()).ok_or_else(|| {
        Failure::Usage(format!("{url} is no address this command can ask: use one such as http://127.0.0.1:50051"))
    })
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
    fn the_command_line_is_sound() {
        <Cli as clap::CommandFactory>::command().debug_assert();
    }
}
