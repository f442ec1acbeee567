//! The framing of gRPC messages: each has a prefix of five bytes, a compression flag and the length (big-endian).

/// The length of the prefix of a message, in bytes.
pub const PREFIX_BYTES: usize = 5;

/// The prefix of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prefix {
    /// Whether the message is compressed.
    pub compressed: bool,
    /// The length of the message without its prefix, in bytes.
    pub length: usize,
}

impl Prefix {
    pub fn parse(bytes: &[u8; PREFIX_BYTES]) -> Self {
        let [flag, length @ ..] = *bytes;
        Prefix { compressed: flag != 0, length: u32::from_be_bytes(length) as usize }
    }
}
