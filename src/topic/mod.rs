//! What an article is about: words in, topics with calibrated probabilities out.
//!
//! tf-idf of words, word pairs and the words of headline and lead beside the sum of word vectors, a one-vs-rest linear layer over both, and
//! on its scores the decision layer that turns them into probabilities, knowing how the article is put together. The labels are those of the training data: nothing here knows a taxonomy by heart. Training lives
//! in `train`; this room holds what training and serving share.

mod classifier;
mod features;
mod form;
pub mod taxonomy;
mod vectors;

pub use classifier::{LinearLayer, Topic, TopicAnswer, TopicClassifier};
pub use features::{ArticleTerms, Features};
pub use form::{Form, FormKind};
pub use vectors::WordVectors;

/// Why a topic model cannot be put together.
#[derive(Debug, thiserror::Error)]
pub enum TopicError {
    /// Its parts do not fit each other.
    #[error("{0}")]
    Tensor(&'static str),
}
