use super::{DecisionLayer, Direction, Features, Form, SparseLayer};
use ndarray::Array1;
use std::{ops::Range, sync::Arc};

/// A sub-topic that the model knows.
#[derive(Debug, Clone, PartialEq)]
pub struct Subtopic {
    /// Its code, as it stood in the training data.
    pub code: Arc<str>,
    /// Its English name; the code again if none is known.
    pub name: Arc<str>,
    /// The topic that it belongs to, as an index into the classifier's topics.
    pub topic: usize,
    /// AUTO begins here for this sub-topic; above 1 if it is never AUTO.
    pub auto_from: f32,
}

/// The sub-topics of a model: narrower topics, each within one topic.
///
/// Each is learned from the articles of its topic alone. Its probability is that of the topic times the probability that an
/// article on the topic is on the sub-topic.
#[derive(Debug, Clone, PartialEq)]
pub struct Subtopics {
    labels: Vec<Subtopic>,
    layer: SparseLayer,
    decision: DecisionLayer,
    /// REVIEW begins here.
    review_from: f32,
}

impl Subtopics {
    /// The most sub-topics that one model can have.
    pub const MOST: usize = u16::MAX as usize;

    /// Puts sub-topics together; `None` if the parts do not fit each other, or the labels are not in the order of their topics.
    pub fn new(labels: Vec<Subtopic>, layer: SparseLayer, decision: DecisionLayer, review_from: f32) -> Option<Self> {
        let sound = labels.len() <= Self::MOST
            && labels.is_sorted_by_key(|label| label.topic)
            && labels.iter().all(|label| label.auto_from >= 0.0)
            && (0.0..=1.0).contains(&review_from)
            && decision.has_shape(labels.len());
        sound.then_some(Subtopics { labels, layer, decision, review_from })
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

    /// REVIEW begins here.
    pub fn review_from(&self) -> f32 {
        self.review_from
    }

    /// The sub-topics of a topic, as a range of indices.
    pub fn of_topic(&self, topic: usize) -> Range<usize> {
        group(&self.labels, topic)
    }

    /// The score of each sub-topic.
    pub fn scores(&self, features: &Features) -> Array1<f64> {
        self.layer.scores(features)
    }

    /// The sub-topics of a topic with their probabilities, given that of the topic.
    pub fn of(&self, topic: usize, of_topic: f32, scores: &Array1<f64>, form: Form) -> Vec<(usize, f32)> {
        let group = self.of_topic(topic);
        let given_topic = self.decision.probabilities(scores.view(), group.clone(), form);
        group.zip(given_topic).map(|(label, p)| (label, of_topic * p as f32)).collect()
    }

    /// How the log-odds of a sub-topic, given its topic, depend on the scores.
    pub fn direction(&self, label: usize, scores: &Array1<f64>, form: Form) -> Direction {
        self.decision.direction(label, scores.view(), self.of_topic(self.labels[label].topic), form)
    }
}

/// The sub-topics of a topic among some that are in the order of their topics.
pub fn group(labels: &[Subtopic], topic: usize) -> Range<usize> {
    labels.partition_point(|label| label.topic < topic)..labels.partition_point(|label| label.topic <= topic)
}
