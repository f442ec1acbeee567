//! Candidates and their features: one candidate for each country that a document names.
//!
//! Every feature says something about how the country is named, never which country it is: weights are shared by all, so
//! that a country never seen in training can still be found.

use super::{
    gazetteer::{Gazetteer, Kind},
    mentions::Mention,
    tree,
};
use crate::{article::Field, text::Word};
use ndarray::Array2;
use std::collections::BTreeSet;

/// Names of the features, in order. A model is refused unless it was trained on just these.
pub const FEATURES: [&str; 30] = [
    "dateline",
    "dateline_elsewhere",
    "dateline_unknown",
    "headline",
    "headline_share",
    "headline_elsewhere",
    "lead",
    "lead_share",
    "body",
    "share",
    "share_squared",
    "rank",
    "top",
    "first_position",
    "named_first",
    "country_names",
    "adjectives",
    "cities",
    "parts_and_seats",
    "different_terms",
    "certainty",
    "only_candidate",
    "candidates",
    "dateline_and_share",
    "dateline_and_headline",
    "dateline_elsewhere_and_share",
    "dateline_unknown_and_share",
    "dateline_unknown_and_headline",
    "dateline_unknown_and_lead",
    "dateline_unknown_and_top",
];

/// The words of the body that count as the lead.
const LEAD_WORDS: u32 = 60;

/// A country that a document names, with what is known of how it does.
#[derive(Debug, Clone, Default)]
pub struct Candidate {
    /// ISO 3166-1 alpha-2.
    pub code: &'static str,
    /// The largest share of a dateline name's meanings; 0 where the dateline does not name it.
    pub dateline: f64,
    /// The mentions of it, each with the share of this meaning.
    pub mentions: Vec<(Mention, f32)>,
    headline: f64,
    lead: f64,
    body: f64,
    first: Option<u32>,
    country_names: f64,
    adjectives: f64,
    cities: f64,
    parts_and_seats: f64,
    terms: BTreeSet<u32>,
    certainty: f64,
}

impl Candidate {
    /// How often it is named outside the dateline, by shares.
    fn weight(&self) -> f64 {
        self.headline + self.body
    }
}

/// The candidates of a document, in the order of their first mention.
pub fn candidates(gazetteer: &Gazetteer, mentions: &[Mention], words: &[Word]) -> Vec<Candidate> {
    let headline_words = words.iter().filter(|word| word.role == Field::Headline).count() as u32;
    let mut candidates: Vec<Candidate> = Vec::new();
    for mention in mentions {
        for meaning in gazetteer.term(mention.term).meanings.iter().filter(|meaning| tree::is_country(meaning.code)) {
            let at = candidates.iter().position(|candidate| candidate.code == meaning.code).unwrap_or_else(|| {
                candidates.push(Candidate { code: meaning.code, ..Candidate::default() });
                candidates.len() - 1
            });
            let candidate = &mut candidates[at];
            let share = f64::from(meaning.share);
            candidate.terms.insert(mention.term);
            candidate.certainty = candidate.certainty.max(share);
            candidate.mentions.push((*mention, meaning.share));
            match mention.role {
                Field::Dateline => {
                    candidate.dateline = candidate.dateline.max(share);
                    continue;
                }
                Field::Headline => candidate.headline += share,
                Field::Body => {
                    candidate.body += share;
                    if mention.position < LEAD_WORDS {
                        candidate.lead += share;
                    }
                }
            }
            let position = mention.position + if mention.role == Field::Body { headline_words } else { 0 };
            candidate.first = Some(candidate.first.map_or(position, |first| first.min(position)));
            match meaning.kind {
                Kind::Country | Kind::Nation | Kind::Historic => candidate.country_names += share,
                Kind::Adjective => candidate.adjectives += share,
                Kind::Capital | Kind::City => candidate.cities += share,
                Kind::State | Kind::Abbreviation | Kind::Seat | Kind::Region | Kind::Body => {
                    candidate.parts_and_seats += share
                }
            }
        }
    }
    candidates
}

/// The features of all candidates of one document: candidates × [`FEATURES`].
pub fn features(candidates: &[Candidate]) -> Array2<f64> {
    let sum = |of: fn(&Candidate) -> f64| candidates.iter().map(of).sum::<f64>();
    let yes = |is: bool| f64::from(u8::from(is));
    let (all, headline, lead) = (sum(Candidate::weight), sum(|c| c.headline), sum(|c| c.lead));
    let most_dateline = candidates.iter().map(|c| c.dateline).fold(0.0, f64::max);
    let unknown = yes(most_dateline == 0.0);
    let first_of_all = candidates.iter().filter_map(|c| c.first).min();
    let part = |of: f64, all: f64| if all > 0.0 { of / all } else { 0.0 };

    let mut rows = Array2::zeros((candidates.len(), FEATURES.len()));
    for (candidate, mut row) in candidates.iter().zip(rows.rows_mut()) {
        let c = candidate;
        let share = part(c.weight(), all);
        let rank = 1.0 + candidates.iter().filter(|other| other.weight() > c.weight()).count() as f64;
        let elsewhere = yes(most_dateline > 0.0 && c.dateline < 0.5 * most_dateline);
        let top = yes(c.weight() > 0.0 && rank == 1.0);
        let values: [f64; FEATURES.len()] = [
            c.dateline,
            elsewhere,
            unknown,
            c.headline.ln_1p(),
            part(c.headline, headline),
            yes(headline > 0.0 && c.headline == 0.0),
            c.lead.ln_1p(),
            part(c.lead, lead),
            c.body.ln_1p(),
            share,
            share * share,
            1.0 / rank,
            top,
            c.first.map_or(0.0, |first| 1.0 / (1.0 + (1.0 + f64::from(first) / 10.0).ln())),
            yes(c.first.is_some() && c.first == first_of_all),
            c.country_names.ln_1p(),
            c.adjectives.ln_1p(),
            c.cities.ln_1p(),
            c.parts_and_seats.ln_1p(),
            (c.terms.len() as f64).ln_1p(),
            c.certainty,
            yes(candidates.len() == 1),
            (candidates.len() as f64).ln(),
            c.dateline * share,
            c.dateline * part(c.headline, headline),
            elsewhere * share,
            unknown * share,
            unknown * part(c.headline, headline),
            unknown * part(c.lead, lead),
            unknown * top,
        ];
        row.iter_mut().zip(values).for_each(|(cell, value)| *cell = value);
    }
    rows
}
