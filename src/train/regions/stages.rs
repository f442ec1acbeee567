//! The stages of the training of regions, one after the other.

use super::{
    decision::{self, Described, Lesson, Scorers, Way},
    measure::{self, HeldOut, Measured},
    mentions,
    rows::{RegionRows, Row},
    text,
};
use crate::{
    article::Thresholds,
    formats::Record,
    model::RegionManifest,
    region::{MentionModel, RankerLayers, RegionRanker, TextModel, feature_names},
    train::{
        FOLDS, Progress, Rows, Silent, TrainError, TrainParams,
        metrics::{Outcome, RegionAnswer, RegionScores, SourceScore},
    },
};
use rayon::prelude::*;
use std::{collections::BTreeMap, path::PathBuf};

/// Sources with fewer rows are not left out for measuring.
const LEAST_OF_SOURCE: usize = 200;

/// A trained region model, and its quality in cross-validation.
pub struct TrainedRegions {
    /// The model, trained on all rows.
    pub ranker: RegionRanker,
    /// Scores on held-out folds.
    pub scores: RegionScores,
    /// The indices of the records that were answered, in order: those not selected by label.
    pub answered: Vec<usize>,
    /// The answers to them.
    pub answers: Vec<RegionAnswer>,
    /// Scores by source; the source of a row without one is its file.
    pub sources: BTreeMap<String, SourceScore>,
    /// Scores by source, each by a model that has seen no row of it; empty if not asked for.
    pub left_out_sources: BTreeMap<String, SourceScore>,
    /// Scores of usual methods on the same folds, by name.
    pub peers: Vec<(&'static str, RegionScores)>,
    /// The probability of each held-out candidate that was named or answered, and whether the article is about it.
    pub outcomes: Vec<Outcome>,
    /// Measures by name.
    pub measured: BTreeMap<String, f64>,
    /// The languages of the rows as ISO 639 codes, the most frequent first.
    pub languages: Vec<String>,
    /// Unlabelled rows that were used, by file.
    pub weak_rows: BTreeMap<PathBuf, u64>,
}

impl TrainedRegions {
    /// Its part of the manifest.
    pub fn manifest(&self) -> RegionManifest {
        let (text_step, _) = self.ranker.text().step_and_bias();
        let (mention_step, mention_bias) = self.ranker.mentions().step_and_bias();
        RegionManifest {
            features: feature_names().map(str::to_owned).collect(),
            text_countries: self.ranker.text().countries().iter().map(|code| (*code).to_owned()).collect(),
            text_step,
            mention_step,
            mention_bias,
            thresholds: self.ranker.thresholds(),
            home: self.ranker.home_probability(),
            languages: None,
            measured: self.measured.clone(),
        }
    }
}

/// Checks that regions can be learned: that articles are about some of the countries that they name, and not about others, in every
/// part of the rows that is learned from.
///
/// # Errors
/// [`TrainError::NoContrast`].
pub fn check(archive: &Rows) -> Result<(), TrainError> {
    contrast(&RegionRows::read(archive, &[], 0, &Silent))
}

fn contrast(rows: &RegionRows) -> Result<(), TrainError> {
    let (text, mentions) = (TextModel::none(), MentionModel::none());
    let scorers = Scorers { text: &text, mentions: &mentions };
    let counts: Vec<(usize, [usize; 2])> = rows
        .labelled
        .par_iter()
        .map(|row| {
            let described = Described::of(row, Way::AsIs, scorers);
            let about = described.answers(row).filter(|is| *is).count();
            (row.fold, [about, described.codes.len() - about])
        })
        .collect();
    let sum = |without: usize| {
        let learned = counts.iter().filter(|(fold, _)| *fold != without);
        learned.fold([0; 2], |sum, (_, [about, others])| [sum[0] + about, sum[1] + others])
    };
    // The last is all of them.
    let least = (0..=FOLDS).map(sum).find(|sum| sum.contains(&0));
    match least {
        None => Ok(()),
        Some(_) => {
            let [about, others] = sum(FOLDS);
            Err(TrainError::NoContrast { about, others })
        }
    }
}

/// Trains on labelled rows, whose codes are country codes, and on unlabelled rows.
///
/// # Errors
/// [`TrainError`] if articles are about all candidates, or about none.
pub fn train(
    archive: &Rows,
    unlabelled: &[Record],
    params: &TrainParams,
    progress: &dyn Progress,
) -> Result<TrainedRegions, TrainError> {
    let rows = RegionRows::read(archive, unlabelled, params.seed, progress);
    contrast(&rows)?;
    let scorers = CrossFitted::fit(&rows, params.seed, progress)?;
    let lessons = lessons(&rows, &scorers);
    let layers = Layers::fit(&lessons, progress)?;
    let held_out = |way: Way| -> Vec<HeldOut<'_>> {
        let usual = rows.usual();
        usual.into_par_iter().map(|row| HeldOut::of(row, way, scorers.unseen(row), &layers.by_fold[row.fold])).collect()
    };
    let measured = Measured::of(&rows, held_out);
    let left_out_sources = match params.leave_sources_out {
        true => left_out_sources(&rows, &lessons, measured.thresholds, params.seed, progress)?,
        false => BTreeMap::new(),
    };
    let CrossFitted { text_of_all, mentions_of_all, .. } = scorers;
    let ranker =
        RegionRanker::new(text_of_all, mentions_of_all, layers.of_all, measured.thresholds, measured.home as f32)
            .ok_or(TrainError::NotFinite)?;
    let mut weak_rows = BTreeMap::new();
    rows.weak.iter().for_each(|row| *weak_rows.entry(row.file.clone()).or_default() += 1);
    let Measured { scores, answered, answers, sources, peers, outcomes, measured, .. } = measured;
    Ok(TrainedRegions {
        ranker,
        scores,
        answered,
        answers,
        sources,
        left_out_sources,
        peers,
        outcomes,
        measured,
        languages: rows.languages,
        weak_rows,
    })
}

/// The scorers of words and of names: for each fold those that have not seen it, and those that are served.
struct CrossFitted {
    text_by_fold: Vec<TextModel>,
    mentions_by_fold: Vec<MentionModel>,
    /// Fitted to unlabelled rows only.
    stranger: TextModel,
    text_of_all: TextModel,
    mentions_of_all: MentionModel,
}

impl CrossFitted {
    fn fit(rows: &RegionRows, seed: u64, progress: &dyn Progress) -> Result<Self, TrainError> {
        let bar = progress.start("regions: words and names", FOLDS as u64 + 2);
        let learned = |fold: usize| -> Vec<&Row> { rows.labelled.iter().filter(|row| row.fold != fold).collect() };
        let text = |learned: &[&Row]| -> Result<TextModel, TrainError> {
            let model = text::fit(learned, &rows.weak, seed);
            bar.advance(1);
            model
        };
        let text_by_fold = (0..FOLDS).map(|fold| text(&learned(fold))).collect::<Result<_, _>>()?;
        let mut mentions_by_fold: Vec<MentionModel> =
            (0..=FOLDS).into_par_iter().map(|fold| mentions::fit(&learned(fold), seed)).collect::<Result<_, _>>()?;
        let mentions_of_all = mentions_by_fold.pop().unwrap_or_else(MentionModel::none);
        // Without unlabelled rows it knows no country: then the ranker also learns to do without scores.
        let stranger = text(&[])?;
        let text_of_all = text(&learned(FOLDS))?;
        Ok(CrossFitted { text_by_fold, mentions_by_fold, stranger, text_of_all, mentions_of_all })
    }

    /// The scorers that have not seen a row.
    fn unseen(&self, row: &Row) -> Scorers<'_> {
        Scorers { text: &self.text_by_fold[row.fold], mentions: &self.mentions_by_fold[row.fold] }
    }
}

/// The ranker's layers, cross-fitted in turn.
struct Layers {
    /// For each fold, the layers fitted to the other folds.
    by_fold: Vec<RankerLayers>,
    /// The layers fitted to all folds, which are served.
    of_all: RankerLayers,
}

impl Layers {
    fn fit(lessons: &[Lesson<'_>], progress: &dyn Progress) -> Result<Self, TrainError> {
        let bar = progress.start("regions: ranker", FOLDS as u64 + 1);
        let fit = |fold: usize| {
            let learned: Vec<&Lesson<'_>> = lessons.iter().filter(|lesson| lesson.row.fold != fold).collect();
            let layers = decision::fit(&learned);
            bar.advance(1);
            layers
        };
        let mut by_fold: Vec<RankerLayers> = (0..=FOLDS).into_par_iter().map(fit).collect::<Result<_, _>>()?;
        // The last is fitted to all folds.
        let of_all = by_fold.pop().ok_or(TrainError::NotFinite)?;
        Ok(Layers { by_fold, of_all })
    }
}

/// The training data of the ranker: each article unchanged, scored by scorers that have not seen it. Some articles are
/// added once more: scored by a text model that has seen no labelled row (served articles may come from anywhere), or
/// without their dateline (wire copy nearly always has one, web articles seldom do), or both.
fn lessons<'r>(rows: &'r RegionRows, scorers: &CrossFitted) -> Vec<Lesson<'r>> {
    let of_row = |(i, row): (usize, &'r Row)| {
        if !row.teaches_ranker {
            return Vec::new();
        }
        let own = scorers.unseen(row);
        let stranger = Scorers { text: &scorers.stranger, ..own };
        let mut lessons = Vec::new();
        let mut teach = |way, scorers| lessons.push(Lesson { row, described: Described::of(row, way, scorers) });
        teach(Way::AsIs, own);
        match i % 4 {
            0 => teach(Way::AsIs, stranger),
            1 if row.places.has_dateline() => teach(Way::WithoutDateline, stranger),
            2 if row.places.has_dateline() => teach(Way::WithoutDateline, own),
            _ => {}
        }
        lessons
    };
    rows.labelled.par_iter().enumerate().flat_map_iter(of_row).collect()
}

/// Scores the rows of each source by a model that has seen no row of it.
fn left_out_sources(
    rows: &RegionRows,
    lessons: &[Lesson<'_>],
    thresholds: Thresholds,
    seed: u64,
    progress: &dyn Progress,
) -> Result<BTreeMap<String, SourceScore>, TrainError> {
    let mut sources: BTreeMap<&str, Vec<&Row>> = BTreeMap::new();
    rows.usual().into_iter().for_each(|row| sources.entry(&row.source).or_default().push(row));
    let n_sources = sources.len();
    sources.retain(|_, measured| measured.len() >= LEAST_OF_SOURCE && n_sources > 1);
    let bar = progress.start("regions: sources left out", sources.len() as u64);
    let score = |(source, measured): (&str, Vec<&Row>)| {
        let others: Vec<&Row> = rows.labelled.iter().filter(|row| row.source != source).collect();
        let text = text::fit(&others, &rows.weak, seed)?;
        let mentions = mentions::fit(&others, seed)?;
        let learned: Vec<&Lesson<'_>> = lessons.iter().filter(|lesson| lesson.row.source != source).collect();
        let layers = decision::fit(&learned)?;
        let scorers = Scorers { text: &text, mentions: &mentions };
        let held_out: Vec<HeldOut<'_>> =
            measured.into_iter().map(|row| HeldOut::of(row, Way::AsIs, scorers, &layers)).collect();
        bar.advance(1);
        Ok((source.to_owned(), measure::source_score(&held_out.iter().collect::<Vec<_>>(), thresholds)))
    };
    sources.into_par_iter().map(score).collect()
}
