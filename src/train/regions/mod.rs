//! Trains the region model in four stages: rows, cross-fitted scorers of words and names, the ranker, thresholds and measures.

mod decision;
mod measure;
mod mentions;
mod rows;
mod stages;
mod text;

pub use stages::{TrainedRegions, check, train};
