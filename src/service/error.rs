//! Errors that prevent the start of a server, or stop it.

use super::corrections::LogError;
use crate::credentials::CredentialError;
use std::{io, net::SocketAddr};

/// Why the server could not start, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The server cannot listen on an address.
    #[error("cannot listen on {address}: {source}; choose another address with {flag}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The flag that sets the address on the command line.
        flag: &'static str,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The origin of web pages is invalid.
    #[error("invalid web origin {0:?}: expected scheme and host as browsers send them, such as https://desk.example")]
    Origin(String),
    /// Certificates, keys or tokens are invalid.
    #[error(transparent)]
    Security(#[from] CredentialError),
    /// The log of corrections cannot be opened.
    #[error("cannot open the log of corrections: {0}")]
    Corrections(#[from] LogError),
    /// Threads cannot be started.
    #[error("cannot start threads: {0}")]
    Threads(String),
    /// The transport failed.
    #[error("the server failed: {0}")]
    Transport(#[from] tonic::transport::Error),
}
