//! The gRPC server: moves messages between the wire and a [`Model`](crate::Model).
//!
//! In: articles on a call or a stream. Out: one answer per article, in order. Classification runs on its own threads, so that
//! a long article does not block the network. Models are replaced under open streams, shutdown is a drain, and metrics count
//! what happens. How labels are scored is not known here.

mod admin;
mod admission;
mod backend;
mod call_record;
mod calls;
mod classifier;
mod error;
mod framing;
mod incoming;
mod listen;
mod metrics;
mod model_info;
mod outgoing;
mod reflection;
mod requests;
mod security;
mod server;
mod settings;
mod status;
mod transport;
mod web;

pub use backend::{MODEL_HEALTH, Models};
pub use error::ServeError;
pub use listen::{Addresses, Listening};
pub use security::{SecurityError, TlsFiles, Tokens};
pub use settings::{Limits, Settings};
