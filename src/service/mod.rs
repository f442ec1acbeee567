//! The gRPC server: moves messages between the wire and a [`Model`](crate::Model).
//!
//! In: articles on a call or a stream. Out: one answer each, in order. Classification runs on threads of its own, so that a
//! long article does not hold up the network. Models are swapped under running streams, the end is a drain, and what happens
//! is counted for monitors. What a label is worth is not known here.

mod admin;
mod admission;
mod calls;
mod classifier;
mod error;
mod incoming;
mod listen;
mod metrics;
mod outgoing;
mod reflection;
mod requests;
mod security;
mod server;
mod settings;
mod transport;
mod web;

pub use error::ServeError;
pub use listen::{Addresses, Listening};
pub use security::{SecurityError, TlsFiles, Tokens};
pub use server::{MODEL_HEALTH, Models};
pub use settings::{Limits, Settings};
