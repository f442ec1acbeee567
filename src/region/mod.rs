//! Ranks the countries that an article is about: words in, countries with calibrated probabilities out.
//!
//! The gazetteer finds place names, their neighbouring words and the rest of the article disambiguate them, and a sparse linear
//! model over all other words scores the countries. Each country that is named or has a high score is a candidate. Features
//! describe how it is named and scored, and linfa's logistic regression gives the probability that the article is about it.
//! This is not a classifier over countries: all countries share the weights, so that rare countries are found as well as
//! common ones. Training is in `train`.

mod candidates;
mod context;
pub mod gazetteer;
mod layers;
mod mention_model;
mod mentions;
mod neighbours;
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
use gazetteer::{NameKind, gazetteer};

/// The code of the country with this English name, case-insensitive; `None` if it is no country's.
pub fn country_by_name(name: &str) -> Option<&'static str> {
    let meanings = gazetteer().lookup(name).flat_map(|term| &term.meanings);
    let mut countries = meanings.filter(|meaning| matches!(meaning.kind, NameKind::Country | NameKind::Nation));
    countries.next().map(|meaning| meaning.code)
}

/// Looks a name up in the gazetteer and the list of towns, to recognise datelines.
pub fn known(name: &str) -> Known {
    let mut known = match towns::TownName::of(name).towns().next() {
        Some(_) => Known::Listed,
        None => Known::Nothing,
    };
    for meaning in gazetteer().lookup(name).flat_map(|term| &term.meanings) {
        match meaning.kind {
            NameKind::Capital | NameKind::City => return Known::City,
            NameKind::Country | NameKind::Nation | NameKind::Historic | NameKind::State | NameKind::Abbreviation => {
                known = Known::Place
            }
            NameKind::LesserCapital if known == Known::Nothing => known = Known::Listed,
            NameKind::Namesake
            | NameKind::LesserCapital
            | NameKind::Town
            | NameKind::Part
            | NameKind::Adjective
            | NameKind::Seat
            | NameKind::Region
            | NameKind::Body
            | NameKind::Idiom => {}
        }
    }
    known
}
