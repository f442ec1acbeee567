//! Third stage: the candidates of each row, and the stock logistic regression on their features.

use super::rows::Row;
use crate::{
    linear::LogisticLayer,
    region::{Candidate, FEATURES, MentionModel, RankerLayers, TextModel, beside},
    train::TrainError,
};
use ndarray::{Array2, ArrayView2, Axis, concatenate};

/// A variant of an article.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Unchanged.
    AsIs,
    /// Without its dateline.
    WithoutDateline,
    /// With the names of countries masked.
    WithoutCountryNames,
    /// With all place names masked.
    WithoutNames,
}

/// The models that score the words of a row.
#[derive(Debug, Clone, Copy)]
pub struct Scorers<'m> {
    /// Scores words that are not place names.
    pub text: &'m TextModel,
    /// Scores words beside place names.
    pub mentions: &'m MentionModel,
}

/// The candidates of one variant of an article.
pub struct Described {
    /// Their codes.
    pub codes: Vec<&'static str>,
    /// Whether the article names it.
    pub named: Vec<bool>,
    /// Whether it is named clearly enough for AUTO.
    pub surely_named: Vec<bool>,
    /// Whether headline or body name it.
    named_in_text: Vec<bool>,
    /// Whether only the dateline names it, and the words score against it.
    filed_from: Vec<bool>,
    /// Candidates × [`FEATURES`].
    pub features: Array2<f64>,
}

impl Described {
    /// Describes a row.
    pub fn of(row: &Row, way: Way, scorers: Scorers<'_>) -> Self {
        let Scorers { text, mentions } = scorers;
        let (candidates, features) = match way {
            Way::AsIs => row.places.candidates(text, mentions, None),
            Way::WithoutDateline => row.places.without_dateline().candidates(text, mentions, None),
            Way::WithoutCountryNames => row.places.without_country_names().candidates(text, mentions, None),
            Way::WithoutNames => row.places.without_names().candidates(text, mentions, None),
        };
        let known: Vec<usize> = (0..candidates.len()).filter(|i| row.may_be_about(candidates[*i].code)).collect();
        let candidates: Vec<&Candidate> = known.iter().map(|i| &candidates[*i]).collect();
        Described {
            codes: candidates.iter().map(|candidate| candidate.code).collect(),
            named: candidates.iter().map(|candidate| !candidate.mentions.is_empty()).collect(),
            surely_named: candidates.iter().map(|candidate| candidate.is_surely_named()).collect(),
            named_in_text: candidates.iter().map(|candidate| candidate.weight() > 0.0).collect(),
            filed_from: candidates
                .iter()
                .map(|candidate| candidate.dateline >= 0.5 && candidate.weight() == 0.0 && candidate.score < 0.0)
                .collect(),
            features: features.select(Axis(0), &known),
        }
    }

    /// The probability of each.
    pub fn probabilities(&self, layers: &RankerLayers) -> Vec<f64> {
        let read = layers.read(self.features.view());
        read.rows().into_iter().map(|features| layers.beside.probability(features)).collect()
    }

    /// Whether the article is about each candidate.
    pub fn answers<'c>(&'c self, row: &'c Row) -> impl Iterator<Item = bool> + 'c {
        self.codes.iter().map(|code| row.is_about(code))
    }

    /// The target of each candidate for the ranker. Indexers of wires nearly always tag where a story was filed, while
    /// readers ask what it is about: if headline or body name another of the article's countries, the target of the one
    /// that only the dateline names, and no other word scores for, is negative. Quality is measured against the tags as
    /// they are.
    fn lessons<'c>(&'c self, row: &'c Row) -> impl Iterator<Item = bool> + 'c {
        let another = self.answers(row).zip(&self.named_in_text).any(|(is, named)| is && *named);
        self.answers(row).zip(&self.filed_from).map(move |(is, filed)| is && !(another && *filed))
    }
}

/// A row as training data of the ranker.
pub struct Lesson<'r> {
    /// The row.
    pub row: &'r Row,
    /// Its candidates.
    pub described: Described,
}

/// The gradient per candidate at which the fit has converged. A stricter limit takes linfa minutes, and changes no
/// figure in the third decimal.
const GRADIENT_TOLERANCE: f64 = 1.5e-3;

/// Fits both layers.
///
/// # Errors
/// [`TrainError::Linear`] if articles are about all candidates, or about none.
pub fn fit(lessons: &[&Lesson<'_>]) -> Result<RankerLayers, TrainError> {
    // The regression has no row weights: a lesson is repeated instead.
    let repeated =
        || lessons.iter().enumerate().flat_map(|(i, lesson)| std::iter::repeat_n((i, lesson), lesson.row.times));
    let answers: Vec<bool> = repeated().flat_map(|(_, lesson)| lesson.described.lessons(lesson.row)).collect();
    let fit = |blocks: Vec<ArrayView2<'_, f64>>| {
        let features = concatenate(Axis(0), &blocks).unwrap_or_else(|_| Array2::zeros((0, FEATURES.len())));
        LogisticLayer::fit(features.view(), &answers, GRADIENT_TOLERANCE)
    };
    let alone = fit(repeated().map(|(_, lesson)| lesson.described.features.view()).collect())?;
    let read: Vec<Array2<f64>> =
        lessons.iter().map(|lesson| beside(&alone, lesson.described.features.view())).collect();
    let beside = fit(repeated().map(|(i, _)| read[i].view()).collect())?;
    Ok(RankerLayers { alone, beside })
}
