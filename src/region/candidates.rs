//! Candidates and their features: one candidate for each country that a document names or that the text model scores high.
//!
//! Features describe how a country is named and how the text model scores it, never which country it is. All countries
//! share the weights, so that the ranker also finds countries that were never seen in training.

use super::{
    gazetteer::NameKind,
    mention_model::MentionModel,
    mentions::Mention,
    reading::Reading,
    text_model::{TextScores, UNKNOWN},
};
use crate::{article::Field, geography};
use ndarray::Array2;
use std::collections::BTreeSet;

/// A feature of a candidate, computed from a view `V` of the candidate.
#[derive(Debug, Clone, Copy)]
pub struct Feature<V: 'static> {
    /// The name, in manifests and answers.
    pub name: &'static str,
    /// The range of values.
    pub range: &'static str,
    /// The description, for the model card.
    pub meaning: &'static str,
    /// Computes the value.
    pub(super) value: fn(&V) -> f64,
}

/// One line of a table of features.
pub(super) const fn feature<V>(
    name: &'static str,
    range: &'static str,
    meaning: &'static str,
    value: fn(&V) -> f64,
) -> Feature<V> {
    Feature { name, range, meaning, value }
}

/// The features of the first layer, in order. A model that was trained on other features is refused.
///
/// "Named" counts shares: a name that means the country with share 0.75 counts 0.75. "Score" is the score of the text
/// model, see [`TextScores`], and its lead the difference from the best other country. "Telling" is the probability by the
/// [`MentionModel`] that the article is about the place, from the words next to its name.
#[rustfmt::skip]
pub const FEATURES: [Feature<View>; N_FEATURES] = [
    feature("dateline", "0 to 1", "the dateline names it", |v| v.dateline),
    feature("dateline_elsewhere", "0 or 1", "the dateline names another country", |v| v.elsewhere),
    feature("dateline_unknown", "0 or 1", "there is no dateline, or one that names no country", |v| v.unknown),
    feature("headline", "ln(1+n)", "how often the headline names it", |v| v.headline.ln_1p()),
    feature("headline_share", "0 to 1", "its share of what the headline names", |v| v.headline_share),
    feature("headline_elsewhere", "0 or 1", "the headline names others only", |v| v.headline_elsewhere),
    feature("lead", "ln(1+n)", "how often the lead names it", |v| v.lead.ln_1p()),
    feature("lead_share", "0 to 1", "its share of what the lead names", |v| v.lead_share),
    feature("body", "ln(1+n)", "how often the body names it", |v| v.body.ln_1p()),
    feature("share", "0 to 1", "its share of what headline and body name", |v| v.share),
    feature("share_squared", "0 to 1", "share, squared", |v| v.share * v.share),
    feature("rank", "0 to 1", "one over its rank by share", |v| 1.0 / v.rank),
    feature("top", "0 or 1", "no other is named more often", |v| v.top),
    feature("first_position", "0 to 1", "how early it is named", |v| v.early),
    feature("named_first", "0 or 1", "no other is named earlier", |v| v.named_first),
    feature("country_names", "ln(1+n)", "how often by a name of the country", |v| v.country_names.ln_1p()),
    feature("adjectives", "ln(1+n)", "how often by its adjective or people", |v| v.adjectives.ln_1p()),
    feature("cities", "ln(1+n)", "how often by a town", |v| v.towns.ln_1p()),
    feature("parts_and_seats", "ln(1+n)", "how often by a state, a seat of power or an institution", |v| v.parts_and_seats.ln_1p()),
    feature("different_names", "ln(1+n)", "by how many different names", |v| v.different_names.ln_1p()),
    feature("certainty", "0 to 1", "how surely its surest term means it", |v| v.certainty),
    feature("only_candidate", "0 or 1", "no other country is named", |v| v.only_candidate),
    feature("candidates", "ln n", "how many countries are named", |v| v.candidates.ln()),
    feature("dateline_and_share", "0 to 1", "dateline × share", |v| v.dateline * v.share),
    feature("dateline_and_headline", "0 to 1", "dateline × headline_share", |v| v.dateline * v.headline_share),
    feature("dateline_elsewhere_and_share", "0 to 1", "dateline_elsewhere × share", |v| v.elsewhere * v.share),
    feature("dateline_unknown_and_share", "0 to 1", "dateline_unknown × share", |v| v.unknown * v.share),
    feature("dateline_unknown_and_headline", "0 to 1", "dateline_unknown × headline_share", |v| v.unknown * v.headline_share),
    feature("dateline_unknown_and_lead", "0 to 1", "dateline_unknown × lead_share", |v| v.unknown * v.lead_share),
    feature("dateline_unknown_and_top", "0 or 1", "dateline_unknown × top", |v| v.unknown * v.top),
    feature("score", "about -1.5 to 2", "its score", |v| v.score),
    feature("score_lead", "about -3 to 2", "the lead of its score", |v| v.score_lead),
    feature("score_top", "0 or 1", "its score is the best", |v| v.score_top),
    feature("named", "0 or 1", "headline or body name it", |v| v.named),
    feature("towns_only", "0 or 1", "they do so, and nothing names it by its name or adjective", |v| v.towns_only),
    feature("nothing_named", "0 or 1", "headline and body name no country", |v| v.nothing_named),
    feature("unnamed_without_dateline", "0 or 1", "not named, and dateline_unknown", |v| (1.0 - v.named) * v.unknown),
    feature("dateline_and_named", "0 to 1", "dateline × named", |v| v.dateline * v.named),
    feature("dateline_only", "0 to 1", "dateline, where headline and body name others only", |v| v.dateline_only),
    feature("dateline_and_alone", "0 to 1", "dateline, where headline and body name it alone", |v| v.dateline * indicator(v.share == 1.0)),
    feature("score_and_dateline_unknown", "as score", "score × dateline_unknown", |v| v.score * v.unknown),
    feature("score_and_named", "as score", "score × named", |v| v.score * v.named),
    feature("score_and_share", "as score", "score × share", |v| v.score * v.share),
    feature("score_and_dateline", "as score", "score × dateline", |v| v.score * v.dateline),
    feature("score_and_dateline_only", "as score", "score × dateline_only", |v| v.score * v.dateline_only),
    feature("score_and_dateline_elsewhere", "as score", "score × dateline_elsewhere", |v| v.score * v.elsewhere),
    feature("score_and_headline", "as score", "score × headline_share", |v| v.score * v.headline_share),
    feature("score_and_length", "score × ln(1+n)", "score × length of the article in words", |v| v.score * v.length),
    feature("score_and_nothing_named", "as score", "score × nothing_named", |v| v.score * v.nothing_named),
    feature("lead_and_dateline_unknown", "as score_lead", "score_lead × dateline_unknown", |v| v.score_lead * v.unknown),
    feature("lead_and_dateline_elsewhere", "as score_lead", "score_lead × dateline_elsewhere", |v| v.score_lead * v.elsewhere),
    feature("lead_and_named", "as score_lead", "score_lead × named", |v| v.score_lead * v.named),
    feature("lead_and_towns_only", "as score_lead", "score_lead × towns_only", |v| v.score_lead * v.towns_only),
    feature("lead_and_share", "as score_lead", "score_lead × share", |v| v.score_lead * v.share),
    feature("opening", "ln(1+n)", "how often the opening of the body names it", |v| v.opening.ln_1p()),
    feature("opening_share", "0 to 1", "its share of what headline and opening name", |v| v.opening_share),
    feature("opening_top", "0 or 1", "headline and opening name no other more often", |v| v.opening_top),
    feature("later_only", "0 or 1", "only what follows the opening names it", |v| v.later_only),
    feature("opening_share_squared", "0 to 1", "opening_share, squared", |v| v.opening_share * v.opening_share),
    feature("score_and_opening", "as score", "score × opening_share", |v| v.score * v.opening_share),
    feature("telling_and_opening", "0 to 1", "telling × opening_share", |v| v.telling_best * v.opening_share),
    feature("opening_and_dateline_unknown", "0 to 1", "opening_share × dateline_unknown", |v| v.opening_share * v.unknown),
    feature("adjectives_only", "0 or 1", "headline and body name it by its adjective alone", |v| v.adjectives_only),
    feature("adjectives_only_and_elsewhere", "0 or 1", "they do so, and name places of another country", |v| v.adjectives_only * v.placed_elsewhere),
    feature("adjectives_only_and_telling", "0 to 1", "adjectives_only × telling", |v| v.adjectives_only * v.telling_best),
    feature("adjectives_only_and_share", "0 to 1", "adjectives_only × share", |v| v.adjectives_only * v.share),
    feature("telling", "0 to 1", "the most telling of its names", |v| v.telling_best),
    feature("telling_mean", "0 to 1", "how telling its names are in the mean", |v| v.telling_mean),
    feature("telling_sum", "ln(1+n)", "how telling its names are in all", |v| v.telling_sum.ln_1p()),
    feature("telling_share", "0 to 1", "its share of all that is telling", |v| v.telling_share),
    feature("telling_first", "0 to 1", "how telling its first name is", |v| v.telling_first),
    feature("telling_lead", "-1 to 1", "telling, less that of the best other country", |v| v.telling_lead),
    feature("telling_and_share", "0 to 1", "telling × share", |v| v.telling_best * v.share),
    feature("telling_and_dateline_unknown", "0 to 1", "telling × dateline_unknown", |v| v.telling_best * v.unknown),
    feature("telling_share_and_dateline_unknown", "0 to 1", "telling_share × dateline_unknown", |v| v.telling_share * v.unknown),
    feature("telling_squared", "0 to 1", "telling, squared", |v| v.telling_best * v.telling_best),
    feature("telling_top", "0 or 1", "none is more telling", |v| v.telling_top),
    feature("score_and_telling", "as score", "score × telling", |v| v.score * v.telling_best),
    feature("score_and_only_candidate", "as score", "score × only_candidate", |v| v.score * v.only_candidate),
    feature("lead_and_only_candidate", "as score_lead", "score_lead × only_candidate", |v| v.score_lead * v.only_candidate),
    feature("lead_and_telling", "as score_lead", "score_lead × telling_share", |v| v.score_lead * v.telling_share),
];
const N_FEATURES: usize = 81;

/// The summed share of adjectives from which a country that only adjectives name counts as surely named.
const SURE_ADJECTIVES: f64 = 1.5;
/// A country whose other names have a greater summed share is named by more than its adjective.
const PLACED: f64 = 0.5;
/// The number of words of the body that count as the lead.
const LEAD_WORDS: u32 = 30;
/// The number of words of the body that count as the opening.
const OPENING_WORDS: u32 = 85;
/// The number of countries with the best text scores that are candidates ...
const MOST_BY_TEXT: usize = 3;
/// ... and the least score of such a country.
const LEAST_SCORE: f32 = -0.9;
/// The least share of a meaning ...
const LEAST_SHARE: f32 = 0.1;
/// ... and the least ratio of its share to that of the likeliest meaning.
const LEAST_OF_LIKELIEST: f32 = 0.25;
/// The least share of a country that the dateline names.
const LEAST_DATELINE_SHARE: f64 = 0.3;
/// The factor from the scores of the mention model to log-odds.
const SHARPNESS: f32 = 2.0;
/// Text scores below this are raised to it.
const LEAST_COUNTED_SCORE: f32 = -1.5;

/// A country or a part of the world that a document names or that the text model scores high, with the evidence for it.
///
/// Private counts are sums of shares.
#[derive(Debug, Clone, Default)]
pub struct Candidate {
    /// The code of the place in [`geography`].
    pub code: &'static str,
    /// The largest share among the names of the dateline; 0 if the dateline does not name the place.
    pub dateline: f64,
    /// The score of the text model.
    pub score: f32,
    /// The mentions of the place, each with the share of this meaning; empty if only the text model suggests it.
    pub mentions: Vec<(Mention, f32)>,
    headline: f64,
    lead: f64,
    opening: f64,
    body: f64,
    /// The maximum over the mentions of share × [`earliness`].
    early: f64,
    country_names: f64,
    adjectives: f64,
    towns: f64,
    parts_and_seats: f64,
    /// The numbers of its different names.
    names: BTreeSet<u32>,
    /// The largest share of a mention.
    certainty: f64,
    /// Whether a name or adjective of the country occurs, including in the dateline.
    is_named_as_country: bool,
    /// The shares of all mentions, including those of the dateline.
    shares: f64,
    telling_best: f64,
    telling_sum: f64,
    telling_first: Option<f64>,
}

impl Candidate {
    /// The summed share of the mentions outside the dateline.
    pub fn weight(&self) -> f64 {
        self.headline + self.body
    }

    /// Whether the names are certain enough for an AUTO decision: by a name with a share of at least 0.65, and not by a single
    /// adjective alone.
    pub fn is_surely_named(&self) -> bool {
        const LEAST_CERTAINTY: f64 = 0.65;
        let by_adjective_alone = self.adjectives > 0.0
            && self.country_names + self.towns + self.parts_and_seats == 0.0
            && self.dateline == 0.0;
        self.certainty >= LEAST_CERTAINTY && !(by_adjective_alone && self.adjectives < SURE_ADJECTIVES)
    }

    /// Whether articles can be about the place: a country or the European Union.
    pub fn is_subject(&self) -> bool {
        geography::is_subject(self.code)
    }

    fn add(&mut self, mention: Mention, kind: NameKind, share: f32, telling: f64, headline_words: u32) {
        self.mentions.push((mention, share));
        self.names.insert(mention.name);
        let share = f64::from(share);
        self.shares += share;
        self.telling_sum += share * telling;
        self.telling_best = self.telling_best.max(share * telling);
        self.telling_first.get_or_insert(share * telling);
        self.certainty = self.certainty.max(share);
        self.is_named_as_country |=
            matches!(kind, NameKind::Country | NameKind::Nation | NameKind::Historic | NameKind::Adjective);
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
                if mention.position < OPENING_WORDS {
                    self.opening += share;
                }
            }
        }
        let position = mention.position + if mention.role == Field::Body { headline_words } else { 0 };
        self.early = self.early.max(share * earliness(position));
        match kind {
            NameKind::Country | NameKind::Nation | NameKind::Historic => self.country_names += share,
            NameKind::Adjective => self.adjectives += share,
            NameKind::Capital | NameKind::LesserCapital | NameKind::City | NameKind::Namesake | NameKind::Town => {
                self.towns += share
            }
            NameKind::State
            | NameKind::Part
            | NameKind::Abbreviation
            | NameKind::Seat
            | NameKind::Region
            | NameKind::Body
            | NameKind::Idiom => self.parts_and_seats += share,
        }
    }
}

/// The inputs of the ranker for a document.
#[derive(Debug, Clone, Copy)]
pub struct Document<'d> {
    /// The place names, weighed by [`weigh`](super::weighing::weigh).
    pub readings: &'d [Reading],
    /// The scores of the text model.
    pub scores: &'d TextScores<'d>,
    /// The mention model, which scores the readings.
    pub mention_model: &'d MentionModel,
    /// The number of words of the headline.
    pub headline_words: u32,
    /// The number of words of the document.
    pub words: usize,
}

/// Collects the candidates of a document: those that it names, in the order of first mention, then those that only the text
/// model suggests.
pub fn candidates(document: Document<'_>) -> Vec<Candidate> {
    let mut candidates: Vec<Candidate> = Vec::new();
    let index_of = |candidates: &mut Vec<Candidate>, code: &'static str| {
        candidates.iter().position(|candidate| candidate.code == code).unwrap_or_else(|| {
            candidates.push(Candidate { code, ..Candidate::default() });
            candidates.len() - 1
        })
    };
    for reading in document.readings {
        let telling = 1.0 / (1.0 + f64::from(-SHARPNESS * document.mention_model.score(&reading.cues)).exp());
        let least = LEAST_SHARE.max(LEAST_OF_LIKELIEST * reading.likeliest().map_or(0.0, |likeliest| likeliest.share));
        for meaning in reading.meanings.iter() {
            // World bodies and idioms do not name a place.
            let is_counted = meaning.share >= least && !matches!(meaning.kind, NameKind::Body | NameKind::Idiom);
            if is_counted {
                let at = index_of(&mut candidates, meaning.code);
                candidates[at].add(reading.mention, meaning.kind, meaning.share, telling, document.headline_words);
            }
        }
    }
    for (code, score) in document.scores.best(MOST_BY_TEXT) {
        if score >= LEAST_SCORE {
            index_of(&mut candidates, code);
        }
    }
    candidates.iter_mut().for_each(|candidate| candidate.score = document.scores.of(candidate.code));
    candidates
}

/// A candidate in relation to the others of its document: the inputs of [`FEATURES`], whose table describes most of them.
pub struct View {
    dateline: f64,
    elsewhere: f64,
    unknown: f64,
    headline: f64,
    headline_share: f64,
    headline_elsewhere: f64,
    lead: f64,
    lead_share: f64,
    opening: f64,
    opening_share: f64,
    opening_top: f64,
    later_only: f64,
    body: f64,
    share: f64,
    rank: f64,
    top: f64,
    early: f64,
    named_first: f64,
    country_names: f64,
    adjectives: f64,
    towns: f64,
    parts_and_seats: f64,
    different_names: f64,
    certainty: f64,
    only_candidate: f64,
    candidates: f64,
    score: f64,
    score_lead: f64,
    score_top: f64,
    named: f64,
    towns_only: f64,
    adjectives_only: f64,
    placed_elsewhere: f64,
    nothing_named: f64,
    dateline_only: f64,
    length: f64,
    telling_best: f64,
    telling_mean: f64,
    telling_sum: f64,
    telling_share: f64,
    telling_first: f64,
    telling_lead: f64,
    telling_top: f64,
}

/// Totals and maxima over all candidates of a document.
struct Totals {
    all: f64,
    headline: f64,
    lead: f64,
    opening: f64,
    telling: f64,
    most_dateline: f64,
    earliest: f64,
    n_named: usize,
    best_scores: Vec<(&'static str, f32)>,
    /// ln(1 + number of words).
    length: f64,
}

/// 1 if true, 0 if false.
pub(super) fn indicator(condition: bool) -> f64 {
    f64::from(u8::from(condition))
}

/// The earliness of a word, whose position counts from 0: 1 for the first word, decreasing with the logarithm of the position.
fn earliness(position: u32) -> f64 {
    1.0 / (1.0 + (f64::from(position) / 10.0).ln_1p())
}

/// `part` / `total`; 0 if the total is 0.
fn ratio(part: f64, total: f64) -> f64 {
    if total > 0.0 { part / total } else { 0.0 }
}

impl Totals {
    fn of(candidates: &[Candidate], document: Document<'_>) -> Self {
        let sum = |of: fn(&Candidate) -> f64| candidates.iter().map(of).sum::<f64>();
        Totals {
            all: sum(Candidate::weight),
            headline: sum(|c| c.headline),
            lead: sum(|c| c.lead),
            opening: sum(|c| c.headline + c.opening),
            telling: sum(|c| c.telling_sum),
            most_dateline: candidates.iter().map(|c| c.dateline).fold(0.0, f64::max),
            earliest: candidates.iter().map(|c| c.early).fold(0.0, f64::max),
            n_named: candidates.iter().filter(|c| !c.mentions.is_empty()).count(),
            best_scores: document.scores.best(2),
            length: (document.words as f64).ln_1p(),
        }
    }

    fn view(&self, c: &Candidate, candidates: &[Candidate]) -> View {
        let nothing_named = indicator(self.all == 0.0);
        let named = indicator(c.weight() > 0.0);
        let rank = 1.0 + candidates.iter().filter(|other| other.weight() > c.weight()).count() as f64;
        let score = f64::from(c.score.max(LEAST_COUNTED_SCORE));
        let other_score =
            self.best_scores.iter().find(|(code, _)| *code != c.code).map_or(UNKNOWN, |(_, score)| *score);
        let others = candidates.iter().filter(|other| other.code != c.code);
        let other_telling = others.map(|other| other.telling_best).fold(0.0, f64::max);
        View {
            dateline: c.dateline,
            elsewhere: indicator(self.most_dateline >= LEAST_DATELINE_SHARE && c.dateline < 0.5 * self.most_dateline),
            unknown: indicator(self.most_dateline < LEAST_DATELINE_SHARE),
            headline: c.headline,
            headline_share: ratio(c.headline, self.headline),
            headline_elsewhere: indicator(self.headline > 0.0 && c.headline == 0.0),
            lead: c.lead,
            lead_share: ratio(c.lead, self.lead),
            opening: c.opening,
            opening_share: ratio(c.headline + c.opening, self.opening),
            opening_top: indicator(
                c.headline + c.opening > 0.0
                    && candidates.iter().all(|other| other.headline + other.opening <= c.headline + c.opening),
            ),
            later_only: indicator(self.opening > 0.0 && c.body > 0.0 && c.headline + c.opening == 0.0),
            body: c.body,
            share: ratio(c.weight(), self.all),
            rank,
            top: indicator(c.weight() > 0.0 && rank == 1.0),
            early: c.early,
            named_first: indicator(c.early > 0.0 && c.early == self.earliest),
            country_names: c.country_names,
            adjectives: c.adjectives,
            towns: c.towns,
            parts_and_seats: c.parts_and_seats,
            different_names: c.names.len() as f64,
            certainty: c.certainty,
            only_candidate: indicator(self.n_named == 1),
            candidates: self.n_named.max(1) as f64,
            score,
            score_lead: score - f64::from(other_score),
            score_top: indicator(self.best_scores.first().is_some_and(|(code, _)| *code == c.code)),
            named,
            towns_only: indicator(c.weight() > 0.0 && !c.is_named_as_country),
            adjectives_only: indicator(c.weight() > 0.0 && c.country_names + c.towns + c.parts_and_seats == 0.0),
            placed_elsewhere: indicator(candidates.iter().any(|other| {
                other.code != c.code && other.country_names + other.towns + other.parts_and_seats > PLACED
            })),
            nothing_named,
            dateline_only: c.dateline * (1.0 - named) * (1.0 - nothing_named),
            length: self.length,
            telling_best: c.telling_best,
            telling_mean: ratio(c.telling_sum, c.shares),
            telling_sum: c.telling_sum,
            telling_share: ratio(c.telling_sum, self.telling),
            telling_first: c.telling_first.unwrap_or(0.0),
            telling_lead: c.telling_best - other_telling,
            telling_top: indicator(c.telling_best > 0.0 && c.telling_best >= other_telling),
        }
    }
}

/// Computes the features of the candidates of one document: candidates × [`FEATURES`].
pub fn features(candidates: &[Candidate], document: Document<'_>) -> Array2<f64> {
    let totals = Totals::of(candidates, document);
    let mut rows = Array2::zeros((candidates.len(), FEATURES.len()));
    for (candidate, mut row) in candidates.iter().zip(rows.rows_mut()) {
        let view = totals.view(candidate, candidates);
        row.iter_mut().zip(&FEATURES).for_each(|(cell, feature)| *cell = (feature.value)(&view));
    }
    rows
}
