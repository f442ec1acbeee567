//! Candidates and their features: one candidate for each country that a document names or its words speak for.
//!
//! Every feature says something about how the country is named and how the words score it, never which country it is:
//! weights are shared by all, so that a country never seen in training can still be found.

use super::{
    context::Reading,
    gazetteer::Kind,
    mentions::Mention,
    text_model::{TextScores, UNKNOWN},
    tree,
};
use crate::article::Field;
use ndarray::Array2;
use std::collections::BTreeSet;

/// Something that the ranker reads of a candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Feature {
    /// Its name in manifests and answers.
    pub name: &'static str,
    /// What it is.
    pub meaning: &'static str,
    /// The values that it has.
    pub range: &'static str,
}

const fn feature(name: &'static str, range: &'static str, meaning: &'static str) -> Feature {
    Feature { name, meaning, range }
}

/// The features, in order. A model is refused unless it was trained on just these. "Named" counts shares: a name that means
/// the country three times in four counts 0.75. "Score" is the text model's, see [`TextScores`]; its lead is the distance
/// from the best other country's.
pub const FEATURES: [Feature; 54] = [
    feature("dateline", "0 to 1", "the dateline names it"),
    feature("dateline_elsewhere", "0 or 1", "the dateline names another country"),
    feature("dateline_unknown", "0 or 1", "there is no dateline, or one that names no country"),
    feature("headline", "ln(1+n)", "how often the headline names it"),
    feature("headline_share", "0 to 1", "its share of what the headline names"),
    feature("headline_elsewhere", "0 or 1", "the headline names others only"),
    feature("lead", "ln(1+n)", "how often the lead names it"),
    feature("lead_share", "0 to 1", "its share of what the lead names"),
    feature("body", "ln(1+n)", "how often the body names it"),
    feature("share", "0 to 1", "its share of what headline and body name"),
    feature("share_squared", "0 to 1", "share, squared"),
    feature("rank", "0 to 1", "one over its rank by share"),
    feature("top", "0 or 1", "no other is named more often"),
    feature("first_position", "0 to 1", "how early it is first named"),
    feature("named_first", "0 or 1", "it is named before all others"),
    feature("country_names", "ln(1+n)", "how often by a name of the country"),
    feature("adjectives", "ln(1+n)", "how often by its adjective or people"),
    feature("cities", "ln(1+n)", "how often by a town"),
    feature("parts_and_seats", "ln(1+n)", "how often by a state, a seat of power or an institution"),
    feature("different_terms", "ln(1+n)", "by how many different terms"),
    feature("certainty", "0 to 1", "how surely its surest term means it"),
    feature("only_candidate", "0 or 1", "no other country is named"),
    feature("candidates", "ln n", "how many countries are named"),
    feature("dateline_and_share", "0 to 1", "dateline × share"),
    feature("dateline_and_headline", "0 to 1", "dateline × headline_share"),
    feature("dateline_elsewhere_and_share", "0 to 1", "dateline_elsewhere × share"),
    feature("dateline_unknown_and_share", "0 to 1", "dateline_unknown × share"),
    feature("dateline_unknown_and_headline", "0 to 1", "dateline_unknown × headline_share"),
    feature("dateline_unknown_and_lead", "0 to 1", "dateline_unknown × lead_share"),
    feature("dateline_unknown_and_top", "0 or 1", "dateline_unknown × top"),
    feature("score", "about -1.5 to 2", "its score"),
    feature("score_lead", "about -3 to 2", "the lead of its score"),
    feature("score_top", "0 or 1", "its score is the best"),
    feature("named", "0 or 1", "headline or body name it"),
    feature("towns_only", "0 or 1", "they do so without its name and adjective"),
    feature("nothing_named", "0 or 1", "headline and body name no country"),
    feature("unnamed_without_dateline", "0 or 1", "not named, and dateline_unknown"),
    feature("dateline_and_named", "0 to 1", "dateline × named"),
    feature("dateline_only", "0 to 1", "dateline, where headline and body name others only"),
    feature("dateline_and_alone", "0 to 1", "dateline, where headline and body name it alone"),
    feature("score_and_dateline_unknown", "as score", "score × dateline_unknown"),
    feature("score_and_named", "as score", "score × named"),
    feature("score_and_share", "as score", "score × share"),
    feature("score_and_dateline", "as score", "score × dateline"),
    feature("score_and_dateline_only", "as score", "score × dateline_only"),
    feature("score_and_dateline_elsewhere", "as score", "score × dateline_elsewhere"),
    feature("score_and_headline", "as score", "score × headline_share"),
    feature("score_and_length", "score × ln(1+n)", "score × length of the article in words"),
    feature("score_and_nothing_named", "as score", "score × nothing_named"),
    feature("lead_and_dateline_unknown", "as score_lead", "score_lead × dateline_unknown"),
    feature("lead_and_dateline_elsewhere", "as score_lead", "score_lead × dateline_elsewhere"),
    feature("lead_and_named", "as score_lead", "score_lead × named"),
    feature("lead_and_towns_only", "as score_lead", "score_lead × towns_only"),
    feature("lead_and_share", "as score_lead", "score_lead × share"),
];

/// The words of the body that count as the lead.
const LEAD_WORDS: u32 = 60;
/// The best by the text model are candidates, so many of them ...
const BY_TEXT: usize = 3;
/// ... with at least this score.
const LEAST_SCORE: f32 = -0.9;
/// A meaning with a lesser share is left aside.
const LEAST_SHARE: f32 = 0.03;
/// A dateline names a country from this share on.
const DATELINE: f64 = 0.3;
/// No score counts less.
const LEAST_COUNTED_SCORE: f32 = -1.5;

/// A country, or a part of the world, that a document names or its words speak for, with what is known of how.
#[derive(Debug, Clone, Default)]
pub struct Candidate {
    /// A code of the [tree].
    pub code: &'static str,
    /// The largest share of a dateline name's meanings; 0 where the dateline does not name it.
    pub dateline: f64,
    /// The text model's score.
    pub score: f32,
    /// The mentions of it, each with the share of this meaning; none where only other words speak for it.
    pub mentions: Vec<(Mention, f32)>,
    headline: f64,
    lead: f64,
    body: f64,
    first: Option<u32>,
    country_names: f64,
    adjectives: f64,
    towns: f64,
    parts_and_seats: f64,
    terms: BTreeSet<u32>,
    certainty: f64,
}

impl Candidate {
    /// How often it is named outside the dateline, by shares.
    pub fn weight(&self) -> f64 {
        self.headline + self.body
    }

    /// Whether it is a country, and not a part of the world.
    pub fn is_country(&self) -> bool {
        tree::is_country(self.code)
    }

    fn add(&mut self, mention: Mention, kind: Kind, share: f32, headline_words: u32) {
        self.mentions.push((mention, share));
        self.terms.insert(mention.term);
        let share = f64::from(share);
        self.certainty = self.certainty.max(share);
        match mention.role {
            Field::Dateline => {
                self.dateline = self.dateline.max(share);
                return;
            }
            Field::Headline => self.headline += share,
            Field::Body => {
                self.body += share;
                if mention.position < LEAD_WORDS {
                    self.lead += share;
                }
            }
        }
        let position = mention.position + if mention.role == Field::Body { headline_words } else { 0 };
        self.first = Some(self.first.map_or(position, |first| first.min(position)));
        match kind {
            Kind::Country | Kind::Nation | Kind::Historic => self.country_names += share,
            Kind::Adjective => self.adjectives += share,
            Kind::Capital | Kind::City | Kind::Namesake => self.towns += share,
            Kind::State | Kind::Abbreviation | Kind::Seat | Kind::Region | Kind::Body | Kind::Idiom => {
                self.parts_and_seats += share
            }
        }
    }
}

/// A document as the ranker sees it.
#[derive(Debug, Clone, Copy)]
pub struct Document<'d> {
    /// Its place names, weighed by [`weigh`](super::context::weigh).
    pub readings: &'d [Reading],
    /// What its other words say.
    pub scores: &'d TextScores<'d>,
    /// The words of its headline.
    pub headline_words: u32,
    /// All its words.
    pub words: usize,
}

/// The candidates of a document: what it names, in the order of the first mention, then what only its words speak for.
pub fn candidates(document: Document<'_>) -> Vec<Candidate> {
    let mut candidates: Vec<Candidate> = Vec::new();
    let place_of = |candidates: &mut Vec<Candidate>, code: &'static str| {
        candidates.iter().position(|candidate| candidate.code == code).unwrap_or_else(|| {
            candidates.push(Candidate { code, ..Candidate::default() });
            candidates.len() - 1
        })
    };
    for reading in document.readings {
        for meaning in reading.meanings.iter() {
            // Bodies of the whole world are no place, and the world is no answer.
            let counts = meaning.share >= LEAST_SHARE && !matches!(meaning.kind, Kind::Body | Kind::Idiom);
            if counts {
                let at = place_of(&mut candidates, meaning.code);
                candidates[at].add(reading.mention, meaning.kind, meaning.share, document.headline_words);
            }
        }
    }
    for (code, score) in document.scores.best(BY_TEXT) {
        if score >= LEAST_SCORE {
            place_of(&mut candidates, code);
        }
    }
    candidates.iter_mut().for_each(|candidate| candidate.score = document.scores.of(candidate.code));
    candidates
}

/// The features of the candidates of one document: candidates × [`FEATURES`].
pub fn features(candidates: &[Candidate], document: Document<'_>) -> Array2<f64> {
    let sum = |of: fn(&Candidate) -> f64| candidates.iter().map(of).sum::<f64>();
    let yes = |is: bool| f64::from(u8::from(is));
    let (all, headline, lead) = (sum(Candidate::weight), sum(|c| c.headline), sum(|c| c.lead));
    let most_dateline = candidates.iter().map(|c| c.dateline).fold(0.0, f64::max);
    let unknown = yes(most_dateline < DATELINE);
    let first_of_all = candidates.iter().filter_map(|c| c.first).min();
    let n_named = candidates.iter().filter(|c| !c.mentions.is_empty()).count();
    let part = |of: f64, all: f64| if all > 0.0 { of / all } else { 0.0 };
    let best = document.scores.best(2);
    let nothing_named = yes(all == 0.0);
    let length = (document.words as f64).ln_1p();

    let mut rows = Array2::zeros((candidates.len(), FEATURES.len()));
    for (candidate, mut row) in candidates.iter().zip(rows.rows_mut()) {
        let c = candidate;
        let share = part(c.weight(), all);
        let (headline_share, lead_share) = (part(c.headline, headline), part(c.lead, lead));
        let rank = 1.0 + candidates.iter().filter(|other| other.weight() > c.weight()).count() as f64;
        let elsewhere = yes(most_dateline >= DATELINE && c.dateline < 0.5 * most_dateline);
        let top = yes(c.weight() > 0.0 && rank == 1.0);
        let named = yes(c.weight() > 0.0);
        let towns_only = yes(c.weight() > 0.0 && c.country_names + c.adjectives == 0.0);
        let dateline_only = c.dateline * (1.0 - named) * (1.0 - nothing_named);
        let score = f64::from(c.score.max(LEAST_COUNTED_SCORE));
        let other = best.iter().find(|(code, _)| *code != c.code).map_or(UNKNOWN, |(_, score)| *score);
        let score_top = yes(best.first().is_some_and(|(code, _)| *code == c.code));
        let score_lead = score - f64::from(other);
        let values: [f64; FEATURES.len()] = [
            c.dateline,
            elsewhere,
            unknown,
            c.headline.ln_1p(),
            headline_share,
            yes(headline > 0.0 && c.headline == 0.0),
            c.lead.ln_1p(),
            lead_share,
            c.body.ln_1p(),
            share,
            share * share,
            1.0 / rank,
            top,
            c.first.map_or(0.0, |first| 1.0 / (1.0 + (1.0 + f64::from(first) / 10.0).ln())),
            yes(c.first.is_some() && c.first == first_of_all),
            c.country_names.ln_1p(),
            c.adjectives.ln_1p(),
            c.towns.ln_1p(),
            c.parts_and_seats.ln_1p(),
            (c.terms.len() as f64).ln_1p(),
            c.certainty,
            yes(n_named == 1),
            (n_named.max(1) as f64).ln(),
            c.dateline * share,
            c.dateline * headline_share,
            elsewhere * share,
            unknown * share,
            unknown * headline_share,
            unknown * lead_share,
            unknown * top,
            score,
            score_lead,
            score_top,
            named,
            towns_only,
            nothing_named,
            (1.0 - named) * unknown,
            c.dateline * named,
            dateline_only,
            c.dateline * yes(share == 1.0),
            score * unknown,
            score * named,
            score * share,
            score * c.dateline,
            score * dateline_only,
            score * elsewhere,
            score * headline_share,
            score * length,
            score * nothing_named,
            score_lead * unknown,
            score_lead * elsewhere,
            score_lead * named,
            score_lead * towns_only,
            score_lead * share,
        ];
        row.iter_mut().zip(values).for_each(|(cell, value)| *cell = value);
    }
    rows
}
