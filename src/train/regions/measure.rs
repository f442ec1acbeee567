//! Fourth stage: thresholds of AUTO and REVIEW, and the quality of answers to held-out rows.

use super::{
    decision::{Described, Scorers, Way},
    rows::{RegionRows, Row},
};
use crate::{
    article::Thresholds,
    region::{MOST_SURE_COUNTRIES, MentionModel, RankerLayers, TextModel, unnamed_from},
    train::metrics::{self, Outcome, RegionAnswer, RegionScores, SourceScore},
};
use std::collections::BTreeMap;

/// A row with the probabilities of its candidates, from layers and scorers that have not seen it.
pub struct HeldOut<'r> {
    /// The row.
    pub row: &'r Row,
    /// Its candidates.
    pub described: Described,
    /// The probability of each candidate, rounded to f32 as in answers, so that a threshold divides both alike.
    pub probabilities: Vec<f64>,
}

impl<'r> HeldOut<'r> {
    /// Describes a row and weighs its candidates.
    pub fn of(row: &'r Row, way: Way, scorers: Scorers<'_>, layers: &RankerLayers) -> Self {
        let described = Described::of(row, way, scorers);
        let rounded = |p: f64| f64::from(p as f32);
        let probabilities = described.probabilities(layers).into_iter().map(rounded).collect();
        HeldOut { row, described, probabilities }
    }

    fn outcomes(&self) -> impl Iterator<Item = Outcome> + '_ {
        self.probabilities.iter().copied().zip(self.described.answers(self.row))
    }

    /// See [`unnamed_from`].
    fn unnamed_from(&self, review: f64) -> f64 {
        let mut named = self.probabilities.iter().zip(&self.described.named);
        unnamed_from(review, named.any(|(p, named)| *named && *p >= review))
    }

    /// The outcomes of listed candidates.
    fn listed(&self, review: f64) -> impl Iterator<Item = Outcome> + '_ {
        let from = self.unnamed_from(review);
        let named = self.outcomes().zip(&self.described.named);
        named.filter(move |((p, _), named)| **named || *p >= from).map(|(outcome, _)| outcome)
    }

    /// The outcomes of candidates that may be AUTO.
    fn sure(&self, review: f64) -> impl Iterator<Item = Outcome> + '_ {
        let is_a_list = self.probabilities.iter().filter(|p| **p >= review).count() > MOST_SURE_COUNTRIES;
        self.outcomes()
            .zip(&self.described.surely_named)
            .filter(move |(_, sure)| **sure && !is_a_list)
            .map(|(outcome, _)| outcome)
    }

    /// The answer.
    fn answer(&self, review: f64) -> RegionAnswer {
        let from = self.unnamed_from(review);
        let codes = self.described.codes.iter().zip(&self.probabilities).zip(&self.described.named);
        let mut ranked: Vec<((&&str, &f64), &bool)> = codes.collect();
        ranked.sort_by(|((_, a), _), ((_, b), _)| b.total_cmp(a));
        let about = ranked.iter().filter(|((_, p), named)| **p >= if **named { review } else { from });
        let top = ranked.first().map(|(top, _)| *top);
        RegionAnswer {
            truth: self.row.truth.clone(),
            about: about.map(|((code, _), _)| (**code).to_owned()).collect(),
            top: top.map(|(code, _)| (*code).to_owned()),
            confidence: top.map_or(0.0, |(_, p)| *p),
        }
    }
}

/// ABOUT begins at the highest threshold whose micro-F1 is at most this much below the best: no label is better than a
/// wrong one.
const LESS_F1: f64 = 0.0005;

/// The quality on held-out rows.
pub struct Measured {
    pub thresholds: Thresholds,
    pub home: f64,
    pub scores: RegionScores,
    pub answered: Vec<usize>,
    pub answers: Vec<RegionAnswer>,
    pub sources: BTreeMap<String, SourceScore>,
    pub peers: Vec<(&'static str, RegionScores)>,
    pub outcomes: Vec<Outcome>,
    pub measured: BTreeMap<String, f64>,
}

/// Scores the rows of one source.
pub fn source_score(held_out: &[&HeldOut<'_>], thresholds: Thresholds) -> SourceScore {
    let (review, auto) = (f64::from(thresholds.review), f64::from(thresholds.auto));
    let answers: Vec<RegionAnswer> = held_out.iter().map(|one| one.answer(review)).collect();
    let scores = RegionScores::of(&answers);
    let listed: Vec<Outcome> = held_out.iter().flat_map(|one| one.listed(review)).collect();
    let sure: Vec<Outcome> = held_out.iter().flat_map(|one| one.sure(review)).collect();
    let (_, auto_precision) = metrics::coverage_and_precision(auto, &sure);
    let with_country = held_out.iter().filter(|one| !one.row.truth.is_empty());
    let is_auto = |one: &&&HeldOut<'_>| one.sure(review).any(|(p, _)| p >= auto);
    let all = with_country.clone().count();
    let measures = [
        ("micro_f1", scores.micro_f1),
        ("macro_f1", scores.macro_f1),
        ("exact", scores.exact),
        ("top1", scores.top1),
        ("calibration_error", metrics::expected_calibration_error(&listed)),
        ("auto_precision", auto_precision),
        ("auto_coverage", with_country.filter(is_auto).count() as f64 / all.max(1) as f64),
    ];
    SourceScore { rows: held_out.len(), measures: measures.into() }
}

impl Measured {
    /// Measures. `held_out` answers the rows in one variant.
    pub fn of<'r>(rows: &'r RegionRows, held_out: impl Fn(Way) -> Vec<HeldOut<'r>>) -> Self {
        let as_is = held_out(Way::AsIs);
        let all: Vec<Outcome> = as_is.iter().flat_map(HeldOut::outcomes).collect();
        let carried: usize = as_is.iter().map(|one| one.row.truth.len()).sum();
        let review = metrics::review_threshold(&all, carried, LESS_F1);
        let sure: Vec<Outcome> = as_is.iter().flat_map(|one| one.sure(review)).collect();
        let auto = metrics::auto_threshold(&sure, metrics::AUTO_REGION).max(review);
        let thresholds = Thresholds { auto: auto as f32, review: review as f32 };
        let answers_of =
            |held_out: &[HeldOut<'_>]| -> Vec<RegionAnswer> { held_out.iter().map(|one| one.answer(review)).collect() };
        let answers = answers_of(&as_is);
        let scores = RegionScores::of(&answers);
        let mut by_source: BTreeMap<&str, Vec<&HeldOut<'_>>> = BTreeMap::new();
        as_is.iter().for_each(|one| by_source.entry(&one.row.source).or_default().push(one));
        let sources =
            by_source.into_iter().map(|(source, rows)| (source.to_owned(), source_score(&rows, thresholds))).collect();
        let found = |way: Way| found(rows, &held_out(way));
        let (masked, masked_others) = found(Way::WithoutCountryNames);
        let (words, words_others) = found(Way::WithoutNames);
        let without_dateline = RegionScores::of(&answers_of(&held_out(Way::WithoutDateline)));
        let most_mentioned: Vec<RegionAnswer> = as_is.iter().map(|one| most_mentioned(one.row)).collect();
        let peers = vec![("most mentioned", RegionScores::of(&most_mentioned))];

        let outcomes: Vec<Outcome> = as_is.iter().flat_map(|one| one.listed(review)).collect();
        let answered: Vec<Outcome> = outcomes.iter().copied().filter(|(p, _)| *p >= review).collect();
        let whole = source_score(&as_is.iter().collect::<Vec<_>>(), thresholds);
        let measured = [
            ("macro_f1_five", scores.macro_f1_five),
            ("micro_f1_others", scores.micro_f1_others),
            ("calibration_error_about", metrics::expected_calibration_error(&answered)),
            ("without_dateline_micro_f1", without_dateline.micro_f1),
            ("without_dateline_macro_f1", without_dateline.macro_f1),
            ("without_country_names_top1", masked),
            ("without_country_names_top1_others", masked_others),
            ("without_names_top1", words),
            ("without_names_top1_others", words_others),
        ];
        let measured =
            measured.into_iter().chain(whole.measures).map(|(name, value)| (name.to_owned(), value)).collect();
        Measured {
            thresholds,
            home: home_share(rows, &as_is),
            scores,
            answered: as_is.iter().map(|one| one.row.record).collect(),
            answers,
            sources,
            peers,
            outcomes,
            measured,
        }
    }
}

/// An answer of the country that headline and body name most often, or the dateline's if they name none.
fn most_mentioned(row: &Row) -> RegionAnswer {
    let (candidates, _) = row.places.candidates(&TextModel::none(), &MentionModel::none(), None);
    let most = candidates
        .iter()
        .filter(|candidate| candidate.is_subject())
        .map(|candidate| (candidate.code, candidate.weight() + 1e-3 * candidate.dateline))
        .reduce(|a, b| if b.1 > a.1 { b } else { a })
        .map(|(code, _)| code.to_owned());
    RegionAnswer {
        truth: row.truth.clone(),
        about: most.iter().cloned().collect(),
        confidence: if most.is_some() { 1.0 } else { 0.0 },
        top: most,
    }
}

/// The share of articles whose most probable candidate is one of their countries, and the same without those about the
/// most frequent country.
fn found(rows: &RegionRows, held_out: &[HeldOut<'_>]) -> (f64, f64) {
    let commonest = rows.commonest();
    let (mut right, mut others, mut right_others) = (0, 0, 0);
    for HeldOut { row, described, probabilities } in held_out {
        let best = described.codes.iter().zip(probabilities).reduce(|a, b| if b.1 > a.1 { b } else { a });
        let is_right = best.is_some_and(|(code, _)| row.is_about(code));
        let other = !commonest.is_some_and(|code| row.is_about(code));
        right += usize::from(is_right);
        others += usize::from(other);
        right_others += usize::from(is_right && other);
    }
    (right as f64 / held_out.len().max(1) as f64, right_others as f64 / others.max(1) as f64)
}

/// The share of articles without place names that are about the most frequent country: the probability of an outlet's
/// own country. 0.5 if there are fewer than twenty such articles.
fn home_share(rows: &RegionRows, as_is: &[HeldOut<'_>]) -> f64 {
    let Some(home) = rows.commonest() else { return 0.5 };
    let silent: Vec<&Row> =
        as_is.iter().filter(|one| !one.described.named.contains(&true)).map(|one| one.row).collect();
    if silent.len() < 20 {
        return 0.5;
    }
    silent.iter().filter(|row| row.is_about(home)).count() as f64 / silent.len() as f64
}
