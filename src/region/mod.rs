//! Which countries an article is about: words in, countries with calibrated probabilities out.
//!
//! The gazetteer finds place names, each country named is a candidate, a few dozen features say how it is named, and
//! linfa's stock logistic regression says how probable it is that the article is about it. Not a classifier over countries:
//! the weights are shared, so that rare countries are found as well as common ones. Training lives in `train`.

pub mod candidates;
pub mod gazetteer;
mod mentions;
mod ranker;
pub mod tree;

pub use candidates::FEATURES;
pub use ranker::{Ranked, RegionRanker, RegionThresholds, candidates_of, evidence};
