//! Files of certificates, private keys and tokens: read and checked. Messages name the file, and never quote its content.

mod error;
mod pem;
mod permissions;
mod tokens;

pub use error::CredentialError;
pub(crate) use error::read;
pub(crate) use pem::{certificates, expiry, private_key};
pub(crate) use permissions::warn_if_readable_by_others;
pub(crate) use tokens::tokens;
