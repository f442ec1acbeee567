//! The gRPC contract: the code generated from `proto/dateline/v1`, its conversion to and from the core's types, and a client.

mod client;
mod code;
mod convert;
mod limits;
#[allow(missing_docs, clippy::all, clippy::pedantic)]
pub mod proto;
mod truncate;

pub use client::{Answer, ArticleStatus, Client, ClientError, Responses, TokenFile};
pub(crate) use code::code_name;
pub(crate) use convert::{answer_from_proto, answer_to_proto, error_to_proto, options_to_proto};
pub use convert::{article_from_proto, article_to_proto, options_from_proto};
pub use limits::{MAX_MESSAGE_BYTES, WINDOW};
pub use proto::DESCRIPTORS;
pub(crate) use truncate::{truncate_answer, truncate_id};
