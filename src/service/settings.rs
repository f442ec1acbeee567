//! How a server serves, and what clients may ask of it.

use super::{
    error::ServeError,
    security::{Tls, TlsFiles, Tokens},
    web,
};
use crate::wire::MAX_MESSAGE_BYTES;
use std::{path::PathBuf, time::Duration};

/// How a server serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// How long open connections may go on once the server was asked to stop.
    pub drain: Duration,
    /// TLS; plain text without it.
    pub tls: Option<TlsFiles>,
    /// A file of tokens, one of which every call but health checks must carry; anyone may call without it.
    pub tokens: Option<PathBuf>,
    /// A file of tokens, one of which the calls of an operator must carry; there are no such calls without it.
    pub admin_tokens: Option<PathBuf>,
    /// Whether clients may ask for the descriptors of the contract.
    pub reflection: bool,
    /// The origins (`https://desk.example`) whose pages may call through gRPC-Web; it is not spoken without any.
    pub web_origins: Vec<String>,
    /// What a client may ask of the server.
    pub limits: Limits,
}

/// What clients may ask of a server. A time of zero is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The largest message that is read, in bytes, compressed or not. An article over its own limit answers with its own
    /// error; only a message over this ends the stream.
    pub message_bytes: usize,
    /// The largest list of headers that is read, in bytes.
    pub header_bytes: u32,
    /// Open connections; others wait to be accepted.
    pub connections: usize,
    /// Open streams and calls of one connection.
    pub streams_per_connection: u32,
    /// Articles under way in all streams and calls: streams wait for their turn, unary calls are refused with UNAVAILABLE.
    pub articles: usize,
    /// Bytes of requests in work and of answers that clients have not taken, in all; the same holds. At least
    /// [`Limits::least_text_bytes`]. One call may hold a sixteenth of it, or one message with its answer.
    pub text_bytes: usize,
    /// The largest answer, in bytes: explanations that do not fit are left out.
    pub answer_bytes: usize,
    /// A connection is asked for a sign of life after so long without one, and closed where none comes.
    pub keepalive: Duration,
    /// How long a unary call may take, from its first byte to its answer.
    pub call: Duration,
    /// A stream that brings no article for this time ends.
    pub stream_idle: Duration,
    /// A call whose client takes nothing of its answers for this time ends, and so does a stream on which a message stays
    /// incomplete for this time.
    pub stream_stall: Duration,
    /// A connection without an open call for so long is closed.
    pub connection_idle: Duration,
    /// A connection takes no new calls once it is so old, and its streams end as in a drain: their clients go on with
    /// another, perhaps of another server.
    pub connection_age: Duration,
}

impl Settings {
    /// Reads all files that the settings name.
    ///
    /// # Errors
    /// Where one cannot be used.
    pub fn check(&self) -> Result<(), ServeError> {
        web::cors(&self.web_origins)?;
        if let Some(files) = self.tls.clone() {
            Tls::open(files, false)?;
        }
        for tokens in [&self.tokens, &self.admin_tokens].into_iter().flatten() {
            Tokens::open(tokens.clone())?;
        }
        Ok(())
    }
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            drain: Duration::from_secs(10),
            tls: None,
            tokens: None,
            admin_tokens: None,
            reflection: true,
            web_origins: Vec::new(),
            limits: Limits::default(),
        }
    }
}

impl Limits {
    /// The least text budget that is enough for the largest message and its answer, in bytes: a compressed message takes room as
    /// it comes, as it is decompressed, and as it is decoded.
    pub fn least_text_bytes(&self) -> usize {
        3 * self.message_bytes + self.answer_bytes
    }
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            message_bytes: MAX_MESSAGE_BYTES,
            header_bytes: 16 << 10,
            connections: 1024,
            streams_per_connection: 256,
            articles: 4096,
            text_bytes: 32 << 20,
            answer_bytes: 256 << 10,
            keepalive: Duration::from_secs(60),
            call: Duration::from_secs(60),
            stream_idle: Duration::ZERO,
            stream_stall: Duration::from_secs(60),
            connection_idle: Duration::from_secs(900),
            connection_age: Duration::ZERO,
        }
    }
}

/// A duration, unless it is zero, which stands for no limit.
pub fn nonzero(time: Duration) -> Option<Duration> {
    Some(time).filter(|time| !time.is_zero())
}
