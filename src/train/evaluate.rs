//! Measures a model on labelled articles, by the same path that serves them.

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
use std::collections::{BTreeMap, HashSet};

/// The quality of a model; `None` for parts without labelled rows.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Evaluation {
    /// Topics.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topics: Option<TopicScores>,
    /// Topics of the rows all of whose topics the model has, if other rows have topics that it lacks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topics_of_known_labels: Option<TopicScores>,
    /// Topics of rows that the model lacks, with their number of rows: it cannot answer them.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub unknown_topics: BTreeMap<String, u64>,
    /// Sub-topics, if the model and the rows have some.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subtopics: Option<TopicScores>,
    /// Regions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub regions: Option<RegionScores>,
}

/// The answers to rows with topics.
pub struct TopicAnswers {
    /// The topics.
    pub topics: Vec<TopicAnswer>,
    /// The sub-topics.
    pub subtopics: Vec<TopicAnswer>,
    /// Topics of rows that the model lacks, with their number of rows.
    pub unknown_topics: BTreeMap<String, u64>,
    known: [usize; 2],
}

impl TopicAnswers {
    /// Answers of a model with `known` topics.
    #[cfg(test)]
    pub fn for_tests(topics: Vec<TopicAnswer>, known: usize) -> Self {
        TopicAnswers { topics, subtopics: Vec::new(), unknown_topics: BTreeMap::new(), known: [known, 0] }
    }

    /// Scores of the topics; `None` without rows.
    pub fn scores(&self) -> Option<TopicScores> {
        (!self.topics.is_empty()).then(|| TopicScores::of(&self.topics, self.known[0]))
    }

    /// Scores of the rows all of whose topics the model has; `None` if all rows are such, or none.
    pub fn scores_of_known_labels(&self) -> Option<TopicScores> {
        let is_known =
            |answer: &&TopicAnswer| !answer.truth.iter().any(|label| self.unknown_topics.contains_key(label));
        let known: Vec<TopicAnswer> = self.topics.iter().filter(is_known).cloned().collect();
        (!known.is_empty() && known.len() < self.topics.len()).then(|| TopicScores::of(&known, self.known[0]))
    }

    /// Scores of the sub-topics; `None` if the model has none, or no row has one.
    pub fn subtopic_scores(&self) -> Option<TopicScores> {
        let carried = self.subtopics.iter().any(|answer| !answer.truth.is_empty());
        (carried && self.known[1] > 0).then(|| TopicScores::of(&self.subtopics, self.known[1]))
    }
}

/// Answers rows with topics. The answer to an invalid article is empty.
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
    let (topics, subtopics): (Vec<TopicAnswer>, Vec<TopicAnswer>) = labelled
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
    let codes: HashSet<&str> = model.topics().topics().iter().map(|topic| &*topic.code).collect();
    let mut unknown_topics: BTreeMap<String, u64> = BTreeMap::new();
    for label in topics.iter().flat_map(|answer| &answer.truth).filter(|label| !codes.contains(label.as_str())) {
        *unknown_topics.entry(label.clone()).or_default() += 1;
    }
    TopicAnswers { topics, subtopics, unknown_topics, known }
}

/// Answers rows with countries. The European Union counts only if a row has it: otherwise the labels were given without
/// it.
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
                // Rows have countries: a part of the world is neither right nor wrong.
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
