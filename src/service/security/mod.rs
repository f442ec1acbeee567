//! TLS certificates and tokens, reloaded when their files change.

mod reload;
mod tls;
mod tokens;

pub use tls::{Tls, TlsFiles};
pub use tokens::{OnEmptyTokens, TokenGate, Tokens};
