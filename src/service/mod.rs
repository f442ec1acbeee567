//! The gRPC server: moves messages between the wire and a [`Model`](crate::Model).
//!
//! In: articles on a call or a stream. Out: one answer per article, in order. Classification runs on its own threads, so that
//! a long article does not block the network. Models are replaced under open streams, shutdown is a drain, and metrics count
//! what happens. How labels are scored is not known here.

mod accept;
mod access;
mod admin;
mod admission;
mod backend;
mod call_record;
mod calls;
mod classifier;
mod connection;
mod corrections;
mod error;
mod framing;
mod health;
mod incoming;
mod listen;
mod metrics;
mod model_info;
mod not_grpc;
mod outgoing;
mod peers;
mod pool;
mod reflection;
mod requests;
mod security;
mod server;
mod settings;
mod status;
mod web;

pub use access::check;
pub use backend::Models;
pub use corrections::LogError;
pub use error::ServeError;
pub use health::MODEL_HEALTH;
pub use listen::{Addresses, Listening};
pub use security::{OnEmptyTokens, TlsFiles, Tokens};
pub use settings::{Corrections, Limits, Settings};
