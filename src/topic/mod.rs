//! The topic model: classifies the words of an article into topics and sub-topics with calibrated probabilities.
//!
//! Features are the tf-idf of words, word pairs and the words of headline and opening, and the sums of word vectors over
//! article and opening. A one-vs-rest linear layer scores the topics; a decision layer per topic converts scores to
//! probabilities, depending on the article's [`Form`]. Topics are independent: an article may have several. The labels are
//! those of the training data, not of a built-in taxonomy. Training itself is in `train`.

mod classifier;
mod decision;
mod error;
mod evidence;
mod features;
mod form;
mod layer;
mod sparse_layer;
mod subtopics;
pub mod taxonomy;
mod terms;
mod vectors;

pub use classifier::{SubtopicAnswer, Topic, TopicAnswer, TopicClassifier, TopicLayers};
pub use decision::{DECISION_INPUTS, DecisionLayer, Direction, best_others, decision_inputs, normalise};
pub use error::TopicError;
pub use evidence::Explanation;
pub use features::Features;
pub use form::Form;
pub use layer::LinearLayer;
pub use sparse_layer::{Cells, SparseColumn, SparseLayer};
pub use subtopics::{Subtopic, Subtopics};
pub use terms::{ArticleTerms, text_of};
pub use vectors::WordVectors;
