//! Measures a model on labelled articles, through the same path that serves them.

use super::metrics::{RegionAnswer, RegionScores, TopicScores};
use crate::{
    article::{Decision, Options, Region, Role},
    formats::Record,
    model::Model,
    region::tree,
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
            let countries: Vec<&Region> = answer
                .iter()
                .flat_map(|answer| &answer.regions)
                // Rows carry countries: a part of the world is neither right nor wrong.
                .filter(|region| tree::is_country(&region.label.code))
                .collect();
            let code = |region: &&Region| region.label.code.to_string();
            let about =
                countries.iter().filter(|one| one.role == Role::About && one.label.decision != Decision::Abstain);
            Some(RegionAnswer { truth, top: countries.first().map(code), about: about.map(code).collect() })
        })
        .collect();
    RegionScores::of(&answers)
}
