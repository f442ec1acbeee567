//! The settings of a server, and the limits for its clients.

use super::security::{OnEmptyTokens, TlsFiles};
use crate::wire::MAX_MESSAGE_BYTES;
use std::{path::PathBuf, time::Duration};

/// The settings of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The maximum duration of a drain.
    pub drain: Duration,
    /// The files for TLS; plain text by default.
    pub tls: Option<TlsFiles>,
    /// A file of tokens, one of which every call except health checks must carry; no token is needed by default.
    pub tokens: Option<PathBuf>,
    /// A file of tokens, one of which calls of the admin service must carry; the service is disabled by default.
    pub admin_tokens: Option<PathBuf>,
    /// What happens when the last token is removed from one of these files.
    pub on_empty_tokens: OnEmptyTokens,
    /// The log of corrections; none by default.
    pub corrections: Option<Corrections>,
    /// Whether server reflection is enabled.
    pub reflection: bool,
    /// The origins (`https://desk.example`) whose pages may call with gRPC-Web; if empty, gRPC-Web is disabled.
    pub web_origins: Vec<String>,
    /// The names, beside `localhost` and IP addresses, under which the page answers without TLS and tokens.
    pub web_hosts: Vec<String>,
    /// The limits for clients.
    pub limits: Limits,
}

/// Where the corrections of editors are stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Corrections {
    /// The folder of the log.
    pub folder: PathBuf,
    /// Whether the text of articles is stored.
    pub keep_text: bool,
}

/// Limits for the clients of a server. A duration of zero is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The maximum size of a message in bytes, compressed or not. A larger message ends its stream; an article over its own
    /// limit is answered with an error of its own.
    pub message_bytes: usize,
    /// The maximum size of a call's header list, in bytes.
    pub header_bytes: u32,
    /// The maximum number of open connections; others wait to be accepted.
    pub connections: usize,
    /// The maximum number of open connections of one peer: an IPv4 address, or the first 64 bits of an IPv6 address. More are
    /// closed at once. Zero is no limit.
    pub connections_per_peer: usize,
    /// The maximum number of open streams and calls of one connection.
    pub streams_per_connection: u32,
    /// The maximum number of open streams and calls over all connections. More are refused with UNAVAILABLE.
    pub calls: usize,
    /// The maximum number of calls of one connection that its client has cancelled before the server took them up. Beyond it the
    /// connection ends, with all its streams: this bounds the work of a client that opens and cancels calls (CVE-2023-44487).
    pub pending_resets: usize,
    /// The maximum number of streams of one connection that the server has reset because the client broke the protocol on them.
    /// Beyond it the connection ends, with all its streams.
    pub local_resets: usize,
    /// The maximum number of articles in process over all calls. Beyond it, streams wait and unary calls are refused with
    /// UNAVAILABLE.
    pub articles: usize,
    /// The maximum number of bytes of requests in process and of answers that clients have not taken. Beyond it, streams wait
    /// and unary calls are refused with UNAVAILABLE. At least [`Limits::least_text_bytes`]. One call may hold a sixteenth of
    /// it, or one message with its answer.
    pub text_bytes: usize,
    /// The maximum size of an answer, in bytes; explanations that do not fit are left out.
    pub answer_bytes: usize,
    /// The interval between HTTP/2 keepalive pings on a silent connection. A connection without a reply is closed.
    pub keepalive: Duration,
    /// The maximum duration of a unary call, from its first byte to its answer.
    pub call: Duration,
    /// The maximum time that a stream may be open without a new article.
    pub stream_idle: Duration,
    /// The maximum time that a client may take nothing of its answers, or leave a message incomplete.
    pub stream_stall: Duration,
    /// The maximum time that a connection may be open without a call.
    pub connection_idle: Duration,
    /// The maximum age of a connection. Then it takes no new calls and its streams end as in a drain, so that their clients
    /// reconnect, perhaps to another server.
    pub connection_age: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            drain: Duration::from_secs(10),
            tls: None,
            tokens: None,
            admin_tokens: None,
            on_empty_tokens: OnEmptyTokens::default(),
            corrections: None,
            reflection: true,
            web_origins: Vec::new(),
            web_hosts: Vec::new(),
            limits: Limits::default(),
        }
    }
}

impl Limits {
    /// The minimum text budget in bytes: for the largest message as received, decompressed and decoded, and for its answer.
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
            connections_per_peer: 256,
            streams_per_connection: 256,
            calls: 4096,
            pending_resets: 1024,
            local_resets: 1024,
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

/// `None` for a duration of zero, which is no limit.
pub fn nonzero(time: Duration) -> Option<Duration> {
    Some(time).filter(|time| !time.is_zero())
}
