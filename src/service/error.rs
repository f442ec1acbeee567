//! What ends a server, or keeps it from its start.

use super::security::SecurityError;
use std::{io, net::SocketAddr};

/// Why the server stopped, or never began.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {source}; choose another address with {flag}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What sets it on the command line.
        flag: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// What should be the origin of web pages is none.
    #[error("{0:?} is no origin: write it as browsers do, such as https://desk.example")]
    Origin(String),
    /// Certificates, keys or tokens cannot be used.
    #[error(transparent)]
    Security(#[from] SecurityError),
    /// Threads cannot be started.
    #[error("cannot start threads: {0}")]
    Threads(String),
    /// The transport failed.
    #[error("the server failed: {0}")]
    Transport(#[from] tonic::transport::Error),
}
