//! Sub-topics: narrower topics within the topics of a model.

use super::{DecisionLayer, Direction, Features, Form, SparseLayer};
use ndarray::Array1;
use std::{ops::Range, sync::Arc};

/// A sub-topic of a model.
#[derive(Debug, Clone, PartialEq)]
pub struct Subtopic {
    /// Its code, as in the training data.
    pub code: Arc<str>,
    /// Its English name; the code if the name is unknown.
    pub name: Arc<str>,
    /// Its topic, as an index into the classifier's topics.
    pub topic: usize,
    /// Minimum confidence of AUTO for this sub-topic; above 1 if it is never AUTO.
    pub auto_from: f32,
}

/// The sub-topics of a model, each within one topic.
///
/// A sub-topic is trained on the articles of its topic only. Its probability is that of the topic times the conditional
/// probability of the sub-topic given the topic.
#[derive(Debug, Clone, PartialEq)]
pub struct Subtopics {
    labels: Vec<Subtopic>,
    layer: SparseLayer,
    decision: DecisionLayer,
    /// Minimum confidence of REVIEW.
    review_from: f32,
}

impl Subtopics {
    /// Maximum number of sub-topics of a model.
    pub const MOST: usize = u16::MAX as usize;

    /// Assembles sub-topics; `None` if the parts are inconsistent, thresholds are invalid, or `labels` is not sorted by
    /// topic.
    pub fn new(labels: Vec<Subtopic>, layer: SparseLayer, decision: DecisionLayer, review_from: f32) -> Option<Self> {
        let is_consistent = labels.len() <= Self::MOST
            && labels.is_sorted_by_key(|label| label.topic)
            && labels.iter().all(|label| label.auto_from >= 0.0)
            && (0.0..=1.0).contains(&review_from)
            && decision.has_shape(labels.len());
        is_consistent.then_some(Subtopics { labels, layer, decision, review_from })
    }

    /// The sub-topics, in the order of the layers.
    pub fn labels(&self) -> &[Subtopic] {
        &self.labels
    }

    /// The linear layer.
    pub fn layer(&self) -> &SparseLayer {
        &self.layer
    }

    /// The decision layer.
    pub fn decision(&self) -> &DecisionLayer {
        &self.decision
    }

    /// Minimum confidence of REVIEW.
    pub fn review_from(&self) -> f32 {
        self.review_from
    }

    /// The sub-topics of a topic, as a range of indices.
    pub fn of_topic(&self, topic: usize) -> Range<usize> {
        group(&self.labels, topic)
    }

    /// The score of each sub-topic of the given topics. The scores of other sub-topics have no meaning.
    pub fn scores(&self, features: &Features, topics: impl Iterator<Item = usize>) -> Array1<f64> {
        self.layer.scores(features, topics.map(|topic| self.of_topic(topic)))
    }

    /// The sub-topics of a topic with their probabilities, given the probability of the topic.
    pub fn of(&self, topic: usize, topic_probability: f32, scores: &Array1<f64>, form: Form) -> Vec<(usize, f32)> {
        let group = self.of_topic(topic);
        let given_topic = self.decision.probabilities(scores.view(), group.clone(), form);
        group.zip(given_topic).map(|(label, p)| (label, topic_probability * p as f32)).collect()
    }

    /// How the log-odds of a sub-topic, given its topic, depend on the scores.
    pub fn direction(&self, label: usize, scores: &Array1<f64>, form: Form) -> Direction {
        self.decision.direction(label, scores.view(), self.of_topic(self.labels[label].topic), form)
    }
}

/// The sub-topics of a topic in `labels`, which is sorted by topic.
pub fn group(labels: &[Subtopic], topic: usize) -> Range<usize> {
    labels.partition_point(|label| label.topic < topic)..labels.partition_point(|label| label.topic <= topic)
}
