//! Fourth stage: thresholds of AUTO and REVIEW, and the quality of answers to held-out rows.

use super::{
    decision::RowProbabilities,
    rows::{Row, TopicRows},
};
use crate::{
    article::{DEFAULT_MIN_CONFIDENCE, Decision, Thresholds},
    model::NEVER_AUTO,
    train::{
        folds,
        metrics::{self, Outcome},
        topic_scores::{AnsweredLabel, LEAST_CONFIDENCE, TopicAnswer},
    },
};
use std::sync::Arc;

/// Thresholds of AUTO and REVIEW.
#[derive(Debug, Clone, PartialEq)]
pub struct TopicThresholds {
    /// For topics.
    pub topics: Thresholds,
    /// AUTO of each topic.
    pub auto_of_topic: Vec<f32>,
    /// REVIEW of sub-topics.
    pub subtopic_review: f32,
    /// AUTO of each sub-topic.
    pub auto_of_subtopic: Vec<f32>,
}

/// A held-out row with its probabilities.
pub struct HeldOut<'a> {
    /// The row.
    pub row: &'a Row,
    /// Its probabilities, from layers that have not seen it.
    pub probabilities: RowProbabilities,
}

impl HeldOut<'_> {
    /// The probability of a sub-topic: that of its topic times its own among articles on the topic.
    fn subtopic(&self, rows: &TopicRows, subtopic: usize) -> f64 {
        self.probabilities.topics[rows.subtopics[subtopic].topic] * self.probabilities.subtopics[subtopic]
    }
}

/// The lowest REVIEW threshold: less confident labels are not listed by default.
const LEAST_REVIEW: f64 = DEFAULT_MIN_CONFIDENCE as f64;

/// The indices of the rows that show how frequent labels are: those not selected by label.
pub fn usual(held_out: &[HeldOut<'_>]) -> Vec<usize> {
    folds::usual(held_out.len(), |i| held_out[i].row.is_selected)
}

/// Chooses the thresholds on rows that show how frequent labels are.
pub fn thresholds(rows: &TopicRows, held_out: &[HeldOut<'_>]) -> TopicThresholds {
    let used: Vec<&HeldOut<'_>> = usual(held_out).into_iter().map(|i| &held_out[i]).collect();
    let of_topic = |topic: usize| -> Vec<Outcome> {
        used.iter().map(|one| (one.probabilities.topics[topic], one.row.topics.contains(&topic))).collect()
    };
    let outcomes: Vec<Vec<Outcome>> = (0..rows.topics.len()).map(of_topic).collect();
    let (auto, auto_of_topic) = metrics::auto_thresholds(&outcomes, metrics::AUTO);
    let carried = used.iter().map(|one| one.row.topics.len()).sum();
    let review = metrics::review_threshold(&outcomes.concat(), carried, 0.0).max(LEAST_REVIEW).min(auto);
    let auto_from = |topic: usize| auto_of_topic[topic].map_or(f64::INFINITY, |from| from.max(auto));

    // A sub-topic is given only with its topic, and is AUTO only if its topic is.
    let of_subtopic = |subtopic: usize, given_from: f64| -> Vec<Outcome> {
        let topic = rows.subtopics[subtopic].topic;
        let given = used.iter().filter(|one| one.probabilities.topics[topic] >= given_from);
        given.map(|one| (one.subtopic(rows, subtopic), one.row.subtopics.contains(&subtopic))).collect()
    };
    let n_subtopics = rows.subtopics.len();
    let sure: Vec<Vec<Outcome>> =
        (0..n_subtopics).map(|subtopic| of_subtopic(subtopic, auto_from(rows.subtopics[subtopic].topic))).collect();
    let (_, auto_of_subtopic) = metrics::auto_thresholds(&sure, metrics::AUTO_SUBTOPIC);
    let given: Vec<Outcome> = (0..n_subtopics).flat_map(|subtopic| of_subtopic(subtopic, review)).collect();
    let carried = used.iter().map(|one| one.row.subtopics.len()).sum();
    let stored =
        |auto: Vec<Option<f64>>| auto.into_iter().map(|auto| auto.map_or(NEVER_AUTO, |from| from as f32)).collect();
    TopicThresholds {
        topics: Thresholds { auto: auto as f32, review: review as f32 },
        auto_of_topic: stored(auto_of_topic),
        subtopic_review: metrics::review_threshold(&given, carried, 0.0).max(LEAST_REVIEW) as f32,
        auto_of_subtopic: stored(auto_of_subtopic),
    }
}

/// Turns held-out rows into answers.
pub struct Answers<'a> {
    /// The rows.
    pub rows: &'a TopicRows,
    /// The thresholds.
    pub thresholds: &'a TopicThresholds,
    /// The codes of the topics.
    topics: Vec<Arc<str>>,
    /// The codes of the sub-topics.
    subtopics: Vec<Arc<str>>,
}

impl<'a> Answers<'a> {
    /// Answers for some rows.
    pub fn new(rows: &'a TopicRows, thresholds: &'a TopicThresholds) -> Self {
        Answers {
            rows,
            thresholds,
            topics: rows.topics.iter().map(|code| code.as_str().into()).collect(),
            subtopics: rows.subtopics.iter().map(|one| one.code.as_str().into()).collect(),
        }
    }

    /// The answers about topics and about sub-topics of a row, as the served model gives them.
    pub fn of(&self, held_out: &HeldOut<'_>, source: &str) -> [TopicAnswer; 2] {
        let HeldOut { row, probabilities } = held_out;
        let decide = |topic: usize| {
            let auto = self.thresholds.topics.auto.max(self.thresholds.auto_of_topic[topic]);
            Thresholds { auto, ..self.thresholds.topics }.decide(probabilities.topics[topic] as f32)
        };
        let topics = (0..self.topics.len()).map(|topic| AnsweredLabel {
            code: self.topics[topic].clone(),
            confidence: probabilities.topics[topic],
            decision: decide(topic),
        });
        let subtopics = (0..self.subtopics.len()).filter_map(|subtopic| {
            let of_topic = decide(self.rows.subtopics[subtopic].topic);
            let confidence = held_out.subtopic(self.rows, subtopic);
            let decision = match of_topic {
                Decision::Abstain => return None,
                Decision::Auto if confidence as f32 >= self.thresholds.auto_of_subtopic[subtopic] => Decision::Auto,
                _ if confidence as f32 >= self.thresholds.subtopic_review => Decision::Review,
                _ => Decision::Abstain,
            };
            Some(AnsweredLabel { code: self.subtopics[subtopic].clone(), confidence, decision })
        });
        let truth =
            |codes: &[Arc<str>], labels: &[usize]| labels.iter().map(|label| codes[*label].to_string()).collect();
        [
            answer(topics.collect(), truth(&self.topics, &row.topics), source),
            answer(subtopics.collect(), truth(&self.subtopics, &row.subtopics), source),
        ]
    }
}

fn answer(mut labels: Vec<AnsweredLabel>, truth: Vec<String>, source: &str) -> TopicAnswer {
    labels.retain(|label| label.confidence >= f64::from(LEAST_CONFIDENCE));
    labels.sort_by(|a, b| b.confidence.total_cmp(&a.confidence));
    TopicAnswer { truth, labels, source: source.to_owned() }
}
