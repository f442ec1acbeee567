//! Measures a model on labelled articles, through the same path that serves them.

use super::{
    metrics::{RegionAnswer, RegionScores},
    topic_scores::{AnsweredLabel, LEAST_CONFIDENCE, TopicAnswer, TopicScores},
};
use crate::{
    article::{Decision, Label, Options, Region, Role},
    formats::Record,
    geography,
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
    /// Sub-topics, if the model knows some and rows carry some.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subtopics: Option<TopicScores>,
    /// Regions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub regions: Option<RegionScores>,
}

/// The answers to rows that carry topics, and how good they are.
pub struct TopicAnswers {
    /// The topics.
    pub topics: Vec<TopicAnswer>,
    /// The sub-topics.
    pub subtopics: Vec<TopicAnswer>,
    known: [usize; 2],
}

impl TopicAnswers {
    /// Answers about topics of a model that knows so many.
    #[cfg(test)]
    pub fn for_tests(topics: Vec<TopicAnswer>, known: usize) -> Self {
        TopicAnswers { topics, subtopics: Vec::new(), known: [known, 0] }
    }

    /// The scores of the topics; `None` without rows.
    pub fn scores(&self) -> Option<TopicScores> {
        (!self.topics.is_empty()).then(|| TopicScores::of(&self.topics, self.known[0]))
    }

    /// The scores of the sub-topics; `None` if the model knows none, or no row carries one.
    pub fn subtopic_scores(&self) -> Option<TopicScores> {
        let carried = self.subtopics.iter().any(|answer| !answer.truth.is_empty());
        (carried && self.known[1] > 0).then(|| TopicScores::of(&self.subtopics, self.known[1]))
    }
}

/// The answers to rows that carry topics. An article that cannot be classified has no topics.
pub fn topics(model: &Model, records: &[Record]) -> TopicAnswers {
    let options = Options { min_confidence: Some(LEAST_CONFIDENCE), ..Options::default() };
    let answered = |labels: Vec<Label>| {
        let answered = labels.into_iter().map(|label| AnsweredLabel {
            code: label.code,
            confidence: f64::from(label.confidence),
            decision: label.decision,
        });
        answered.collect()
    };
    let labelled = records.par_iter().filter(|record| !record.topics.is_empty());
    let (topics, subtopics) = labelled
        .map(|record| {
            let answer = model.classify(&record.article, &options).ok();
            let (topics, subtopics) = answer.map(|answer| (answer.topics, answer.subtopics)).unwrap_or_default();
            let answer = |truth: &[String], labels| TopicAnswer {
                truth: truth.to_vec(),
                labels: answered(labels),
                source: record.source.trim().to_owned(),
            };
            (answer(&record.topics, topics), answer(&record.subtopics, subtopics))
        })
        .unzip();
    let known = [model.topics().topics().len(), model.topics().subtopics().labels().len()];
    TopicAnswers { topics, subtopics, known }
}

/// The answers to rows that say their countries. The European Union counts if a row says it: otherwise whoever gave the labels
/// did not know it.
pub fn regions(model: &Model, records: &[Record]) -> Vec<RegionAnswer> {
    let knows_union =
        records.iter().flat_map(|record| &record.regions).flatten().any(|code| code == geography::EUROPEAN_UNION);
    let counts = |code: &str| geography::is_country(code) || (knows_union && geography::is_subject(code));
    records
        .par_iter()
        .filter_map(|record| {
            let truth = record.regions.clone()?;
            let answer = model.classify(&record.article, &Options::default());
            let countries: Vec<&Region> = answer
                .iter()
                .flat_map(|answer| &answer.regions)
                // Rows carry countries: a part of the world is neither right nor wrong.
                .filter(|region| counts(&region.label.code))
                .collect();
            let code = |region: &&Region| region.label.code.to_string();
            let about =
                countries.iter().filter(|one| one.role == Role::About && one.label.decision != Decision::Abstain);
            let confidence = countries.first().map_or(0.0, |one| f64::from(one.label.confidence));
            Some(RegionAnswer { truth, top: countries.first().map(code), about: about.map(code).collect(), confidence })
        })
        .collect()
}
