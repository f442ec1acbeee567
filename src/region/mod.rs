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
pub use ranker::{Ranked, RegionRanker, candidates_of, candidates_without_dateline, evidence};

use crate::clean::Known;
use gazetteer::{Kind, gazetteer};

/// What the gazetteer knows of a name, for telling datelines.
pub fn known(name: &str) -> Known {
    let mut known = Known::Nothing;
    for meaning in gazetteer().lookup(name).flat_map(|term| &term.meanings) {
        match meaning.kind {
            Kind::Capital | Kind::City => return Known::City,
            Kind::Country | Kind::Nation | Kind::Historic | Kind::State | Kind::Abbreviation => known = Known::Place,
            Kind::Adjective | Kind::Seat | Kind::Region | Kind::Body => {}
        }
    }
    known
}
