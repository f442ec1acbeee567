use super::{TopicError, Vocabulary, features};
use crate::{
    article::{Decision, Evidence, Label},
    clean::Document,
    linear::{LinearSvm, SoftmaxLayer},
    text::Word,
};
use ndarray::{Array1, Array2};
use std::{collections::HashMap, sync::Arc};

/// Evidence is a hint to a person, not a dump.
const MOST_EVIDENCE: usize = 10;

/// A topic that the model knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topic {
    /// Its code, as it stood in the training data.
    pub code: Arc<str>,
    /// Its English name; the code again where none is known.
    pub name: Arc<str>,
}

/// From which confidence on a decision holds; both from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Thresholds {
    /// [`Decision::Auto`] from here on.
    pub auto: f32,
    /// [`Decision::Review`] from here on.
    pub review: f32,
}

impl Thresholds {
    /// What may be done with a label of this confidence.
    pub fn decide(&self, confidence: f32) -> Decision {
        if confidence >= self.auto {
            Decision::Auto
        } else if confidence >= self.review {
            Decision::Review
        } else {
            Decision::Abstain
        }
    }
}

/// The sparse layer as it is stored: one byte a weight, one scale a term.
#[derive(Debug, Clone, PartialEq)]
pub struct SparseLayer {
    /// Terms × labels, in units of the term's scale.
    pub weights: Array2<i8>,
    /// The largest weight of each term, divided by 127.
    pub scales: Array1<f32>,
    /// One a label.
    pub bias: Array1<f32>,
}

impl SparseLayer {
    /// Rounds a fitted model's weights to a byte each.
    pub fn quantise(fitted: &LinearSvm) -> Self {
        let scales: Array1<f32> = fitted
            .weights
            .rows()
            .into_iter()
            .map(|row| row.iter().fold(0.0_f32, |most, weight| most.max(weight.abs())) / 127.0)
            .collect();
        let mut weights = Array2::zeros(fitted.weights.dim());
        for ((row, scale), mut stored) in fitted.weights.rows().into_iter().zip(&scales).zip(weights.rows_mut()) {
            if *scale > 0.0 {
                stored.assign(&row.mapv(|weight| (weight / scale).round() as i8));
            }
        }
        SparseLayer { weights, scales, bias: fitted.bias.clone() }
    }

    /// The score of each label for an article's features.
    pub fn scores(&self, features: &[(u32, f32)]) -> Array1<f64> {
        let mut scores = self.bias.clone();
        for (term, value) in features {
            let term = *term as usize;
            let value = value * self.scales[term];
            for (score, weight) in scores.iter_mut().zip(self.weights.row(term)) {
                *score += value * f32::from(*weight);
            }
        }
        scores.mapv(f64::from)
    }
}

/// Words in, topics with calibrated probabilities out.
#[derive(Debug, Clone, PartialEq)]
pub struct TopicClassifier {
    topics: Vec<Topic>,
    vocabulary: Vocabulary,
    sparse: SparseLayer,
    decision: SoftmaxLayer,
    thresholds: Thresholds,
}

/// What the classifier says of one article.
#[derive(Debug, Clone, PartialEq)]
pub struct TopicAnswer {
    /// Every topic with its probability, most probable first; without evidence.
    pub labels: Vec<Label>,
    /// The number of different terms that the model knew. 0: it knows nothing about the article, and the probabilities
    /// are those of the training data.
    pub known_terms: usize,
    features: Vec<(u32, f32)>,
}

impl TopicClassifier {
    /// Puts a classifier together.
    ///
    /// # Errors
    /// [`TopicError::Tensor`] where the parts do not fit each other or hold numbers that are not finite.
    pub fn new(
        topics: Vec<Topic>,
        vocabulary: Vocabulary,
        sparse: SparseLayer,
        decision: SoftmaxLayer,
        thresholds: Thresholds,
    ) -> Result<Self, TopicError> {
        let n = topics.len();
        let fits = n >= 2
            && sparse.weights.dim() == (vocabulary.len(), n)
            && sparse.scales.len() == vocabulary.len()
            && sparse.bias.len() == n
            && decision.weights.dim() == (n, n)
            && decision.intercept.len() == n;
        if !fits {
            return Err(TopicError::Tensor("the layers of the topic model have different sizes"));
        }
        let finite = sparse.scales.iter().chain(&sparse.bias).all(|value| value.is_finite())
            && decision.weights.iter().chain(&decision.intercept).all(|value| value.is_finite());
        if !finite {
            return Err(TopicError::Tensor("the topic model has a weight that is not a finite number"));
        }
        Ok(TopicClassifier { topics, vocabulary, sparse, decision, thresholds })
    }

    /// The topics, in the order of the layers.
    pub fn topics(&self) -> &[Topic] {
        &self.topics
    }

    /// The vocabulary.
    pub fn vocabulary(&self) -> &Vocabulary {
        &self.vocabulary
    }

    /// The sparse layer.
    pub fn sparse(&self) -> &SparseLayer {
        &self.sparse
    }

    /// The decision layer.
    pub fn decision(&self) -> &SoftmaxLayer {
        &self.decision
    }

    /// When to decide what.
    pub fn thresholds(&self) -> Thresholds {
        self.thresholds
    }

    /// Classifies the words of an article.
    pub fn classify(&self, words: &[Word]) -> TopicAnswer {
        let features = features::tf_idf(&self.vocabulary, features::terms(words).map(|term| term.hash));
        let probabilities = self.decision.probabilities(self.sparse.scores(&features).view());
        let mut labels: Vec<Label> = self
            .topics
            .iter()
            .zip(&probabilities)
            .map(|(topic, p)| Label {
                code: topic.code.clone(),
                name: topic.name.clone(),
                confidence: *p as f32,
                decision: self.thresholds.decide(*p as f32),
                evidence: Vec::new(),
            })
            .collect();
        // Stable: equal probabilities stay in the order of the codes.
        labels.sort_by(|a, b| b.confidence.total_cmp(&a.confidence));
        TopicAnswer { labels, known_terms: features.len(), features }
    }

    /// What a label of an answer rests on: the terms that contribute most to its logit, each at its first place.
    ///
    /// The logit is the decision layer's, less the mean over all labels (which changes no probability). It is linear in
    /// the features, so contributions add up to it, with the intercept.
    pub fn evidence(&self, answer: &TopicAnswer, code: &str, words: &[Word], document: &Document<'_>) -> Vec<Evidence> {
        let Some(label) = self.topics.iter().position(|topic| &*topic.code == code) else { return Vec::new() };
        let mean =
            self.decision.weights.mean_axis(ndarray::Axis(1)).unwrap_or_else(|| Array1::zeros(self.topics.len()));
        let towards = &self.decision.weights.column(label) - &mean;
        let mut contributions: Vec<(u32, f64)> = answer
            .features
            .iter()
            .map(|(term, value)| {
                let row = self.sparse.weights.row(*term as usize);
                let scale = f64::from(value * self.sparse.scales[*term as usize]);
                (
                    *term,
                    row.iter().zip(&towards).map(|(weight, towards)| f64::from(*weight) * towards).sum::<f64>() * scale,
                )
            })
            .collect();
        contributions.sort_by(|a, b| b.1.abs().total_cmp(&a.1.abs()));
        contributions.truncate(MOST_EVIDENCE);

        let mut first_places: HashMap<u32, features::Term> = HashMap::new();
        for term in features::terms(words) {
            if let Some(known) = self.vocabulary.find(term.hash) {
                first_places.entry(known).or_insert(term);
            }
        }
        contributions
            .into_iter()
            .filter_map(|(term, weight)| {
                let place = first_places.get(&term)?;
                let (first, last) = (&words[place.first as usize], &words[place.last as usize]);
                let section = &document.sections[first.section as usize];
                let range = first.token.start as usize..last.token.end as usize;
                let source = section.text.source(range.clone());
                Some(Evidence {
                    term: section.text.as_str()[range].to_owned(),
                    field: section.origin,
                    start: source.start as u32,
                    end: source.end as u32,
                    weight: weight as f32,
                })
            })
            .collect()
    }
}
