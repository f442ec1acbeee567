//! The data of a report, which is also its JSON form.

use crate::{
    model::TrainingFile,
    train::{LeftOut, metrics::SourceScore, promotion::Comparison},
};
use serde::Serialize;
use std::collections::BTreeMap;

/// A report on a model.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// The version of the model.
    pub version: String,
    /// How the figures were measured, in sentences.
    pub how: Vec<String>,
    /// What the model was trained on.
    pub trained_on: Vec<TrainingFile>,
    /// Topics; `None` if no row has topics.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topics: Option<TopicReport>,
    /// Regions; `None` if no row has regions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub regions: Option<RegionReport>,
    /// The new model and the one in service on the same test rows.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub comparisons: Vec<Comparison>,
    /// By part: the number of corrections, and how many of them the model that learned from them answers right.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub corrections: BTreeMap<String, [usize; 2]>,
    /// Rows that were left out, and why.
    pub left_out: LeftOut,
}

/// Articles that share a property.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Slice {
    /// The property's value.
    pub name: String,
    /// Their number.
    pub rows: usize,
    /// The share with a right answer: the best topic is one of the article's, or the countries are exactly the article's.
    pub right: f64,
}

/// Slices by property.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Slices {
    /// By words of the article.
    pub length: Vec<Slice>,
    /// By year of publication.
    pub year: Vec<Slice>,
    /// By source.
    pub source: Vec<Slice>,
}

/// The quality of a label.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LabelRow {
    /// Its code.
    pub code: String,
    /// Its name.
    pub name: String,
    /// Share of the articles given the label that carry it, from 0 to 1.
    pub precision: f64,
    /// Share of the articles that carry the label that were given it.
    pub recall: f64,
    /// Harmonic mean of both.
    pub f1: f64,
    /// Articles that carry it.
    pub support: usize,
    /// The confidence from which it is AUTO, or `never`; only in the model card.
    #[serde(skip)]
    pub auto_from: Option<String>,
    /// The words and word pairs with the most evidence for it, in articles with right answers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub terms: Vec<String>,
}

/// A wrong answer, or a wrong label of a row.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Mistake {
    /// The id of the article.
    pub id: String,
    /// The place of its row.
    pub place: String,
    /// The labels of the row.
    pub label: String,
    /// The label answered.
    pub answer: String,
    /// The confidence of the answer, from 0 to 1.
    pub confidence: f64,
}

/// Predictions of similar confidence.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Bin {
    /// Their mean confidence.
    pub confidence: f64,
    /// The share that is right.
    pub right: f64,
    /// Their number.
    pub predictions: usize,
}

/// About topics.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TopicReport {
    /// Rows measured.
    pub rows: usize,
    /// Measure by name.
    pub measures: BTreeMap<String, f64>,
    /// Labels, by code.
    pub labels: Vec<LabelRow>,
    /// The labels of rows and columns of `confusion`: those that most rows carry, and `-` for no answer or any other.
    pub confusion_labels: Vec<String>,
    /// Articles by true label (rows) and answered label (columns).
    pub confusion: Vec<Vec<usize>>,
    /// Confidence against being right, over pairs of an article and a topic.
    pub reliability: Vec<Bin>,
    /// Coverage and precision of the best topic, from the most confident answer to all.
    pub coverage: Vec<(f64, f64)>,
    /// Scores by source, for rows with a source.
    pub sources: BTreeMap<String, SourceScore>,
    /// Scores by source, each by a model that has seen no row of it; empty if not measured.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub left_out_sources: BTreeMap<String, SourceScore>,
    /// Sub-topics; `None` if there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subtopics: Option<SubtopicReport>,
    /// Training rows and accuracy on the same held-out fold; empty if not measured.
    pub learning: Vec<(usize, f64)>,
    /// By length, year and source.
    pub slices: Slices,
    /// The most confident mistakes: many of them are wrong labels.
    pub mistakes: Vec<Mistake>,
}

/// About regions.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RegionReport {
    /// Rows measured.
    pub rows: usize,
    /// Measure by name.
    pub measures: BTreeMap<String, f64>,
    /// Countries with at least five rows, by code.
    pub labels: Vec<LabelRow>,
    /// Confidence of the first country against being one of the row's.
    pub reliability: Vec<Bin>,
    /// Coverage and precision of the first country.
    pub coverage: Vec<(f64, f64)>,
    /// Scores by source; empty if there is only one, or none was measured.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub sources: BTreeMap<String, SourceScore>,
    /// Scores by source, each by a model that has seen no row of it; empty if not measured.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub left_out_sources: BTreeMap<String, SourceScore>,
    /// By length, year and source.
    pub slices: Slices,
    /// The most confident mistakes.
    pub mistakes: Vec<Mistake>,
}

/// About sub-topics.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SubtopicReport {
    /// Measure by name.
    pub measures: BTreeMap<String, f64>,
    /// Sub-topics, by code.
    pub labels: Vec<LabelRow>,
}
