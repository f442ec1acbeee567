/// Why a topic model cannot be put together.
#[derive(Debug, thiserror::Error)]
pub enum TopicError {
    /// Its parts do not fit each other.
    #[error("{0}")]
    Tensor(&'static str),
}
