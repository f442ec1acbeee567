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

/// The topics of a row, and what was answered.
#[derive(Debug, Clone, PartialEq)]
pub struct TopicAnswer {
    /// The topics that the row carries.
    pub truth: Vec<String>,
    /// The best topic of the answer; `None` where the article has none.
    pub best: Option<String>,
    /// Its probability.
    pub confidence: f64,
}

impl TopicAnswer {
    /// Whether the best topic is one of the row's.
    pub fn is_right(&self) -> bool {
        self.best.as_ref().is_some_and(|best| self.truth.contains(best))
    }
}

/// The answers to rows that carry topics. An article that cannot be classified, or has no topic in the answer, has none.
pub fn topics(model: &Model, records: &[Record]) -> Vec<TopicAnswer> {
    let options = Options { min_confidence: Some(0.0), max_labels: Some(1), ..Options::default() };
    let labelled = records.par_iter().filter(|record| !record.topics.is_empty());
    labelled
        .map(|record| {
            let answer = model.classify(&record.article, &options).ok();
            let best = answer.and_then(|answer| answer.topics.into_iter().next());
            TopicAnswer {
                truth: record.topics.clone(),
                confidence: best.as_ref().map_or(0.0, |label| f64::from(label.confidence)),
                best: best.map(|label| label.code.to_string()),
            }
        })
        .collect()
}

/// The answers to rows that say their countries.
pub fn regions(model: &Model, records: &[Record]) -> Vec<RegionAnswer> {
    records
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
            let confidence = countries.first().map_or(0.0, |one| f64::from(one.label.confidence));
            Some(RegionAnswer { truth, top: countries.first().map(code), about: about.map(code).collect(), confidence })
        })
        .collect()
}
