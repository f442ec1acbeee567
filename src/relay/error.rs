//! Errors of a relay and of its articles.

use crate::credentials::CredentialError;
use std::path::PathBuf;

/// Why a relay cannot start.
#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    /// The broker cannot be reached, or refuses the connection.
    #[error(
        "cannot connect to {broker}: {reason}; check that the broker is running there, and that TLS and credentials match its settings"
    )]
    Connect {
        /// The broker's addresses, without passwords.
        broker: String,
        /// The cause.
        reason: String,
    },
    /// A file of the settings cannot be read.
    #[error("{}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The cause.
        reason: String,
    },
    /// A file of certificates or keys is invalid.
    #[error(transparent)]
    Credential(#[from] CredentialError),
    /// A stream, topic or consumer is missing.
    #[error("{what} not found: {reason}; --create creates it")]
    Missing {
        /// The stream, topic or consumer.
        what: String,
        /// The broker's answer.
        reason: String,
    },
    /// A stream, topic or consumer cannot be created.
    #[error("cannot create {what}: {reason}")]
    Create {
        /// The stream, topic or consumer.
        what: String,
        /// The broker's answer.
        reason: String,
    },
    /// The relay would read what it publishes.
    #[error(
        "{output} would be read again: the relay reads {input}; choose other subjects for --publish, --dead-letter or --subjects"
    )]
    Loop {
        /// A subject, or pattern, to publish to.
        output: String,
        /// The pattern to read.
        input: String,
    },
    /// A setting is invalid.
    #[error("{0}")]
    Setting(String),
    /// The configuration of an existing consumer is unsafe.
    #[error("the consumer {durable} {reason}")]
    Unfit {
        /// Its name.
        durable: String,
        /// What is unsafe, and what to change.
        reason: &'static str,
    },
}

/// Why an article has no labels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LabelError {
    /// The article is invalid: another attempt ends the same way.
    Article(String),
    /// An internal error: another attempt may succeed.
    Internal(String),
}

/// The message of the deepest source of an error.
pub fn cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}
