//! Trains the region model: candidates of each article, stock logistic regression on their features, thresholds.

use super::{
    Progress, TrainError, corpus,
    metrics::{self, Outcome, RegionAnswer, RegionScores},
    topics::FOLDS,
};
use crate::{
    article::Thresholds,
    formats::Record,
    linear::LogisticLayer,
    model::{RegionManifest, clean_article},
    region::{
        FEATURES, RegionRanker,
        candidates::{Candidate, features},
        candidates_of, candidates_without_dateline, tree,
    },
    text::words_into,
};
use ndarray::{Array2, Axis, concatenate};
use rayon::prelude::*;
use std::collections::BTreeMap;

/// A trained region model and how good it measured in cross-validation.
pub struct TrainedRegions {
    /// The model, trained on all rows.
    pub ranker: RegionRanker,
    /// Scores on held-out folds.
    pub scores: RegionScores,
    /// The same measure for answering with the country that is named most often (headline and body; the dateline's where
    /// they name none).
    pub most_mentioned: RegionScores,
    /// For each held-out candidate its probability and whether the article is about it.
    pub outcomes: Vec<Outcome>,
    /// Metric by name.
    pub measured: BTreeMap<String, f64>,
}

impl TrainedRegions {
    /// What the manifest says of it.
    pub fn manifest(&self) -> RegionManifest {
        RegionManifest {
            features: FEATURES.map(str::to_owned).to_vec(),
            thresholds: self.ranker.thresholds(),
            home: self.ranker.home_probability(),
            measured: self.measured.clone(),
        }
    }
}

/// The candidates of an article: their codes and features.
struct Candidates {
    codes: Vec<&'static str>,
    features: Array2<f64>,
}

/// An article: its candidates, and the countries that it is about. Wire copy nearly always has a dateline and articles on
/// the web seldom do, so that each article teaches both ways: as it came, and as if it had come without.
struct Row {
    as_is: Candidates,
    without_dateline: Candidates,
    truth: Vec<String>,
    most_mentioned: Option<&'static str>,
    content: u64,
}

/// Whether all region codes of the rows are countries.
///
/// # Errors
/// [`TrainError::UnknownCountry`] at the first that is none.
pub fn check(records: &[Record]) -> Result<(), TrainError> {
    for record in records {
        if let Some(code) = record.regions.iter().flatten().find(|code| tree::country(code).is_none()) {
            return Err(TrainError::UnknownCountry { place: record.place.clone(), code: code.clone() });
        }
    }
    Ok(())
}

/// Trains on labelled rows, whose codes are [`check`]ed.
///
/// # Errors
/// [`TrainError`], where no candidate, or every candidate, is what an article is about.
pub fn train(records: &[Record], seed: u64, progress: &Progress) -> Result<TrainedRegions, TrainError> {
    let rows = rows(records, progress);
    let keys: Vec<(usize, u64)> = rows.iter().map(|row| (usize::from(row.truth.len() > 1), row.content)).collect();
    let fold = corpus::folds(&keys, FOLDS, seed);

    let bar = progress.steps("regions: cross-validation", FOLDS as u64 + 1);
    let mut probabilities: Vec<[Vec<f64>; 2]> = vec![Default::default(); rows.len()];
    for held_out in 0..FOLDS {
        let layer = fit(rows.iter().zip(&fold).filter(|(_, fold)| **fold != held_out).map(|(row, _)| row))?;
        for (i, row) in rows.iter().enumerate().filter(|(i, _)| fold[*i] == held_out) {
            probabilities[i] = [row.as_is.probabilities(&layer), row.without_dateline.probabilities(&layer)];
        }
        bar.inc(1);
    }
    let layer = fit(rows.iter())?;
    bar.inc(1);
    bar.finish();

    let outcomes: Vec<Outcome> = rows
        .iter()
        .zip(&probabilities)
        .flat_map(|(row, [p, _])| p.iter().copied().zip(row.as_is.answers(&row.truth)))
        .collect();
    let gold: usize = rows.iter().map(|row| row.truth.len()).sum();
    let about = best_threshold(&outcomes, gold);
    let scores_of = |candidates: fn(&Row) -> &Candidates, way: usize| {
        let answers: Vec<RegionAnswer> = rows
            .iter()
            .zip(&probabilities)
            .map(|(row, p)| answer(row, candidates(row).codes.iter().copied().zip(p[way].iter().copied()), about))
            .collect();
        RegionScores::of(&answers)
    };
    let scores = scores_of(|row| &row.as_is, 0);
    let without_dateline = scores_of(|row| &row.without_dateline, 1);
    let baseline: Vec<RegionAnswer> =
        rows.iter().map(|row| answer(row, row.most_mentioned.map(|code| (code, 1.0)), 0.5)).collect();
    let most_mentioned = RegionScores::of(&baseline);

    let listed: Vec<Outcome> = outcomes.iter().copied().filter(|(p, _)| *p >= about).collect();
    let auto = metrics::auto_threshold(&listed).max(about);
    let (coverage, precision) = metrics::coverage_and_precision(auto, &listed);
    let thresholds = Thresholds { auto: auto as f32, review: about as f32 };
    let measured = BTreeMap::from([
        ("micro_f1".to_owned(), scores.micro_f1),
        ("macro_f1".to_owned(), scores.macro_f1),
        ("exact".to_owned(), scores.exact),
        ("top1".to_owned(), scores.top1),
        ("calibration_error".to_owned(), metrics::expected_calibration_error(&outcomes)),
        ("auto_coverage".to_owned(), coverage),
        ("auto_precision".to_owned(), precision),
        ("without_dateline_micro_f1".to_owned(), without_dateline.micro_f1),
        ("without_dateline_macro_f1".to_owned(), without_dateline.macro_f1),
        ("most_mentioned_micro_f1".to_owned(), most_mentioned.micro_f1),
        ("most_mentioned_macro_f1".to_owned(), most_mentioned.macro_f1),
    ]);
    let ranker = RegionRanker::new(layer, thresholds, home_share(&rows) as f32).ok_or(TrainError::NotFinite)?;
    Ok(TrainedRegions { ranker, scores, most_mentioned, outcomes, measured })
}

fn rows(records: &[Record], progress: &Progress) -> Vec<Row> {
    let bar = progress.steps("regions: reading", records.len() as u64);
    let rows = records
        .par_iter()
        .map(|record| {
            let document = clean_article(&record.article);
            let mut words = Vec::new();
            words_into(&document, &mut words);
            let candidates = candidates_of(&document, &words);
            let mut truth: Vec<String> = record
                .regions
                .iter()
                .flatten()
                .filter_map(|code| tree::country(code))
                .map(|place| place.code.to_string())
                .collect();
            truth.sort();
            truth.dedup();
            bar.inc(1);
            Row {
                as_is: Candidates::of(&candidates),
                without_dateline: Candidates::of(&candidates_without_dateline(&document, &words)),
                truth,
                most_mentioned: most_mentioned(&candidates),
                content: corpus::content_hash(words.iter().map(|word| word.hash)),
            }
        })
        .collect();
    bar.finish();
    rows
}

impl Candidates {
    fn of(candidates: &[Candidate]) -> Self {
        Candidates {
            codes: candidates.iter().map(|candidate| candidate.code).collect(),
            features: features(candidates),
        }
    }

    /// The probability of each.
    fn probabilities(&self, layer: &LogisticLayer) -> Vec<f64> {
        self.features.rows().into_iter().map(|features| layer.probability(features)).collect()
    }

    /// Whether the article is about each.
    fn answers<'c>(&'c self, truth: &'c [String]) -> impl Iterator<Item = bool> + 'c {
        self.codes.iter().map(|code| truth.iter().any(|truth| truth == code))
    }
}

fn most_mentioned(candidates: &[Candidate]) -> Option<&'static str> {
    let weight = |candidate: &Candidate| {
        let (dateline, text): (Vec<_>, Vec<_>) =
            candidate.mentions.iter().partition(|(mention, _)| mention.role == crate::article::Field::Dateline);
        let sum = |mentions: Vec<&(_, f32)>| mentions.iter().map(|(_, share)| f64::from(*share)).sum::<f64>();
        sum(text) + 1e-3 * sum(dateline)
    };
    candidates
        .iter()
        .map(|candidate| (candidate.code, weight(candidate)))
        .reduce(|a, b| if b.1 > a.1 { b } else { a })
        .map(|best| best.0)
}

fn fit<'r>(rows: impl Iterator<Item = &'r Row>) -> Result<LogisticLayer, TrainError> {
    let (mut blocks, mut answers) = (Vec::new(), Vec::new());
    for row in rows {
        for candidates in [&row.as_is, &row.without_dateline] {
            blocks.push(candidates.features.view());
            answers.extend(candidates.answers(&row.truth));
        }
    }
    let features = concatenate(Axis(0), &blocks).unwrap_or_else(|_| Array2::zeros((0, FEATURES.len())));
    Ok(LogisticLayer::fit(features.view(), &answers)?)
}

/// The threshold with the best micro-F1, where `gold` countries are to be found, named or not.
fn best_threshold(outcomes: &[Outcome], gold: usize) -> f64 {
    let mut sorted = outcomes.to_vec();
    sorted.sort_by(|a, b| b.0.total_cmp(&a.0));
    let (mut right, mut best) = (0, (0.0, 0.5));
    for (i, (p, is)) in sorted.iter().enumerate() {
        right += usize::from(*is);
        let f1 = 2.0 * right as f64 / (i + 1 + gold) as f64;
        let last_of_equals = sorted.get(i + 1).is_none_or(|next| next.0 < *p);
        if last_of_equals && f1 > best.0 {
            best = (f1, *p);
        }
    }
    best.1
}

fn answer(row: &Row, ranked: impl IntoIterator<Item = (&'static str, f64)>, about: f64) -> RegionAnswer {
    let mut above: Vec<(&str, f64)> = ranked.into_iter().filter(|(_, p)| *p >= about).collect();
    above.sort_by(|a, b| b.1.total_cmp(&a.1));
    RegionAnswer {
        truth: row.truth.clone(),
        top: above.first().map(|(code, _)| (*code).to_owned()),
        about: above.into_iter().map(|(code, _)| code.to_owned()).collect(),
    }
}

/// Of the articles that name no place, the share that is about the country that is commonest in all: how far an outlet's
/// own country can be taken for granted. With fewer than twenty such articles nothing is known, and half is said.
fn home_share(rows: &[Row]) -> f64 {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    rows.iter().flat_map(|row| &row.truth).for_each(|code| *counts.entry(code).or_default() += 1);
    let Some((home, _)) = counts.iter().max_by_key(|(_, count)| **count) else { return 0.5 };
    let silent: Vec<&Row> = rows.iter().filter(|row| row.as_is.codes.is_empty()).collect();
    if silent.len() < 20 {
        return 0.5;
    }
    silent.iter().filter(|row| row.truth.iter().any(|code| code == home)).count() as f64 / silent.len() as f64
}
