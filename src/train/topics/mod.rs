//! Trains the topic model in four stages: rows, cross-fitted linear layers, decision layers, thresholds and measures.

mod decision;
mod measure;
mod rows;
mod stages;
mod trainer;

pub use rows::TopicSource;
pub use stages::{TrainedTopics, train};
pub use trainer::Tried;
