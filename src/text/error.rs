//! Errors of the parts of a text index.

/// The parts of an index or a vocabulary are inconsistent.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct IndexError(pub(super) &'static str);
