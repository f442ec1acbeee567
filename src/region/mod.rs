//! Which countries an article is about: words in, countries with calibrated probabilities out.
//!
//! The gazetteer finds place names, the words beside them and the rest of the article say what each means, and a sparse
//! linear model over all other words scores the countries. Each country that is named or scores high is a candidate, a few
//! dozen features say how it is named and scored, and linfa's stock logistic regression says how probable it is that the
//! article is about it. Not a classifier over countries: the weights are shared, so that rare countries are found as well as
//! common ones. Training lives in `train`.

mod beside;
mod candidates;
mod context;
pub mod gazetteer;
mod layers;
mod mention_model;
mod mentions;
mod persons;
mod ranker;
mod reading;
mod text_model;
mod towns;
mod weighing;

pub use candidates::{Candidate, FEATURES, Feature};
pub use layers::{BESIDE, RankerLayers, beside, feature_names};
pub use mention_model::{CUE_VALUE, MentionModel};
pub use mentions::Mention;
pub use ranker::{MOST_SURE_COUNTRIES, Places, Ranked, RegionRanker, unnamed_from};
pub use reading::Reading;
pub use text_model::{TextModel, TextScores};

use crate::geography::Known;
use gazetteer::{Kind, gazetteer};

/// What the gazetteer knows of a name, for telling datelines.
pub fn known(name: &str) -> Known {
    let mut known = match towns::TownName::of(name).towns().next() {
        Some(_) => Known::Listed,
        None => Known::Nothing,
    };
    for meaning in gazetteer().lookup(name).flat_map(|term| &term.meanings) {
        match meaning.kind {
            Kind::Capital | Kind::City => return Known::City,
            Kind::Country | Kind::Nation | Kind::Historic | Kind::State | Kind::Abbreviation => known = Known::Place,
            Kind::LesserCapital if known == Known::Nothing => known = Known::Listed,
            Kind::Namesake
            | Kind::LesserCapital
            | Kind::Town
            | Kind::Part
            | Kind::Adjective
            | Kind::Seat
            | Kind::Region
            | Kind::Body
            | Kind::Idiom => {}
        }
    }
    known
}
