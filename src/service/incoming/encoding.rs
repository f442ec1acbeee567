//! Decompression of request messages, up to a limit.

use super::super::status::message_too_large;
use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use std::io::{self, Read};
use tonic::Status;

/// The compression of a call's messages, from the header `grpc-encoding`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    Gzip,
    Zstd,
}

impl Encoding {
    /// `None` for other encodings, which tonic refuses.
    pub fn from_header(name: &[u8]) -> Option<Self> {
        match name {
            b"gzip" => Some(Encoding::Gzip),
            b"zstd" => Some(Encoding::Zstd),
            _ => None,
        }
    }

    /// Decompresses a message.
    ///
    /// # Errors
    /// INTERNAL if the message is damaged, RESOURCE_EXHAUSTED if its decompressed size exceeds `max_bytes`.
    pub fn decompress(self, bytes: &[u8], max_bytes: usize) -> Result<Bytes, Status> {
        let mut decompressed = Vec::new();
        self.decompress_into(bytes, max_bytes, &mut decompressed)?;
        Ok(decompressed.into())
    }

    /// The decompressed size of a message in bytes, measured without keeping the result.
    ///
    /// # Errors
    /// As [`Encoding::decompress`].
    pub fn decompressed_length(self, bytes: &[u8], max_bytes: usize) -> Result<usize, Status> {
        self.decompress_into(bytes, max_bytes, &mut io::sink())
    }

    fn decompress_into(self, bytes: &[u8], max_bytes: usize, out: &mut dyn io::Write) -> Result<usize, Status> {
        let fault = |error: io::Error| Status::internal(format!("cannot decompress message: {error}"));
        let reader: Box<dyn Read + '_> = match self {
            Encoding::Gzip => Box::new(MultiGzDecoder::new(bytes)),
            Encoding::Zstd => Box::new(zstd::Decoder::with_buffer(bytes).map_err(fault)?),
        };
        let length = io::copy(&mut reader.take(max_bytes as u64 + 1), out).map_err(fault)? as usize;
        if length > max_bytes { Err(message_too_large(max_bytes)) } else { Ok(length) }
    }
}
