//! Errors of assembling a topic model.

/// A topic model cannot be assembled.
#[derive(Debug, thiserror::Error)]
pub enum TopicError {
    /// Its parts are inconsistent or invalid.
    #[error("{0}")]
    Tensor(&'static str),
}
