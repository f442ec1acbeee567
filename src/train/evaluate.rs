//! Measures a model on labelled articles, through the same path that serves them.

use super::metrics::{RegionAnswer, RegionScores, TopicScores};
use crate::{
    article::{Options, Role},
    formats::Record,
    model::Model,
};
use rayon::prelude::*;
use serde::Serialize;

/// What was measured; a part that had no files is missing.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Topics.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topics: Option<TopicScores>,
    /// Regions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub regions: Option<RegionScores>,
}

/// How well the model tells the topics of rows that carry some. An article that cannot be classified, or has no topic in
/// the answer, counts as wrong.
pub fn topics(model: &Model, records: &[Record]) -> TopicScores {
    let options = Options { min_confidence: Some(0.0), max_labels: Some(1), ..Options::default() };
    let answers: Vec<_> = records
        .par_iter()
        .filter(|record| !record.topics.is_empty())
        .map(|record| {
            let best =
                model.classify(&record.article, &options).ok().and_then(|answer| answer.topics.into_iter().next());
            (record.topics.clone(), best.map(|label| label.code.to_string()))
        })
        .collect();
    TopicScores::of(&answers)
}

/// How well the model tells the countries of rows that say theirs.
pub fn regions(model: &Model, records: &[Record]) -> RegionScores {
    let answers: Vec<_> = records
        .par_iter()
        .filter_map(|record| {
            let truth = record.regions.clone()?;
            let answer = model.classify(&record.article, &Options::default());
            let about: Vec<String> = answer
                .iter()
                .flat_map(|answer| &answer.regions)
                .filter(|region| region.role == Role::About)
                .map(|region| region.label.code.to_string())
                .collect();
            Some(RegionAnswer { truth, top: about.first().cloned(), about })
        })
        .collect();
    RegionScores::of(&answers)
}
