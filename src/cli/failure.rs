//! Why a command fails, and its exit status.

use crate::observe::TelemetryError;
use std::io;

/// Why a command ended early.
#[derive(Debug)]
pub enum Failure {
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
    pub fn failed(reason: impl std::fmt::Display) -> Self {
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
