//! Large messages: what they need of the text budget, and how they are read.

use super::{
    super::{admission::TextPermit, framing::Prefix},
    encoding::Encoding,
};
use crate::wire::proto::dateline::v1::ClassifyRequest;
use bytes::BytesMut;
use prost::Message;
use tonic::Status;

/// Uncompressed messages up to this size, in bytes, are small.
pub const SMALL_BYTES: usize = 16 << 10;

pub fn is_large(Prefix { compressed, length }: Prefix) -> bool {
    compressed || length > SMALL_BYTES
}

/// The number of bytes that a message needs as received, decompressed and decoded. `received` is its beginning.
///
/// # Errors
/// As [`Encoding::decompressed_length`], if the whole message is received.
pub fn required_bytes(
    Prefix { compressed, length }: Prefix,
    encoding: Option<Encoding>,
    received: &[u8],
    max_bytes: usize,
) -> Result<usize, Status> {
    if !compressed {
        return Ok(2 * length);
    }
    let decompressed = match encoding {
        // At this size the whole message is there: its decompressed size is measured.
        Some(encoding) if length <= SMALL_BYTES => {
            encoding.decompressed_length(received.get(..length).unwrap_or_default(), max_bytes)?
        }
        _ => max_bytes,
    };
    Ok(length + 2 * decompressed)
}

/// A message that holds its permit and is read outside of tonic.
pub struct LargeMessage {
    prefix: Prefix,
    bytes: BytesMut,
    permit: TextPermit,
}

impl LargeMessage {
    pub fn new(prefix: Prefix, permit: TextPermit) -> Self {
        LargeMessage { prefix, bytes: BytesMut::with_capacity(prefix.length), permit }
    }

    /// Moves the bytes of this message out of `received`.
    pub fn fill(&mut self, received: &mut BytesMut) {
        let missing = self.prefix.length - self.bytes.len();
        self.bytes.extend_from_slice(&received.split_to(missing.min(received.len())));
    }

    pub fn is_complete(&self) -> bool {
        self.bytes.len() == self.prefix.length
    }

    /// Decompresses and decodes the complete message.
    ///
    /// # Errors
    /// INTERNAL if the message is damaged, RESOURCE_EXHAUSTED if its decompressed size exceeds `max_bytes`.
    pub fn decode(self, encoding: Option<Encoding>, max_bytes: usize) -> Result<(ClassifyRequest, TextPermit), Status> {
        let bytes = match encoding.filter(|_| self.prefix.compressed) {
            Some(encoding) => encoding.decompress(&self.bytes, max_bytes)?,
            None => self.bytes.freeze(),
        };
        let request = ClassifyRequest::decode(bytes)
            .map_err(|error| Status::internal(format!("invalid ClassifyRequest: {error}")))?;
        Ok((request, self.permit))
    }
}
