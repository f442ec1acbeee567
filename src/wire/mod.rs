//! The messages of the contract, as generated from `proto/dateline/v1`, and what they are to the core.

mod client;
mod convert;

/// The generated code.
#[allow(missing_docs, clippy::all, clippy::pedantic)]
pub mod proto {
    /// The package `dateline.v1`.
    pub mod dateline {
        /// Version 1.
        pub mod v1 {
            tonic::include_proto!("dateline.v1");
        }
    }
    /// The package `google.rpc`.
    pub mod google {
        /// Errors.
        pub mod rpc {
            tonic::include_proto!("google.rpc");
        }
    }
}

pub use client::{Answer, ArticleStatus, Client, ClientError, Responses, TokenFile};
pub(crate) use convert::{
    answer_from_proto, answer_to_proto, article_from_proto, article_to_proto, error_to_proto, fitted,
    options_from_proto, options_to_proto, shortened_id,
};

/// The descriptors of the contract, for reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
/// The largest message that is read where nothing else is set (4 MiB): an article may have half of it.
pub const MAX_MESSAGE_BYTES: usize = 4 << 20;
/// The most articles of one stream that are under way: read, and not yet taken by the client. Throughput hardly rises beyond;
/// memory does.
pub const WINDOW: usize = 64;
