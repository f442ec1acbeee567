//! Limits of the contract that clients and servers share.

/// The default maximum size of a message, in bytes (4 MiB); the text of an article may have half of it.
pub const MAX_MESSAGE_BYTES: usize = 4 << 20;
/// The maximum number of articles in flight on one stream: read by the server, and their answers not yet taken by the client.
/// A larger window needs more memory and hardly raises throughput.
pub const WINDOW: usize = 64;
