use super::{TopicError, Vocabulary, features};
use crate::{
    article::{Evidence, Label, Thresholds},
    clean::Document,
    linear::{LinearSvm, SoftmaxLayer},
    text::{Word, evidence_at},
};
use ndarray::{Array1, Array2, Axis};
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

/// Weights of a term are padded to a multiple of this, so that the inner loop runs over whole vectors.
const LANES: usize = 16;

/// The sparse layer: one byte a weight, one scale a term.
#[derive(Debug, Clone, PartialEq)]
pub struct SparseLayer {
    /// Terms × labels, each row padded with zeros to a multiple of [`LANES`], in units of the term's scale.
    weights: Vec<i8>,
    /// The largest weight of each term, divided by 127.
    scales: Vec<f32>,
    /// One a label.
    bias: Vec<f32>,
}

impl SparseLayer {
    /// Rounds a fitted model's weights to a byte each.
    pub fn quantise(fitted: &LinearSvm) -> Self {
        let scales: Vec<f32> = fitted
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
        SparseLayer::new(&weights, scales, fitted.bias.to_vec())
    }

    /// From weights (terms × labels, in units of each term's scale), scales (one a term) and bias (one a label).
    pub fn new(weights: &Array2<i8>, scales: Vec<f32>, bias: Vec<f32>) -> Self {
        let padding = vec![0; weights.ncols().next_multiple_of(LANES) - weights.ncols()];
        let padded = weights.rows().into_iter().flat_map(|row| row.into_iter().chain(&padding)).copied().collect();
        SparseLayer { weights: padded, scales, bias }
    }

    /// The weights, terms × labels; the scales; the bias.
    pub fn parts(&self) -> (Array2<i8>, &[f32], &[f32]) {
        let weights =
            Array2::from_shape_fn((self.scales.len(), self.bias.len()), |(term, label)| self.row(term)[label]);
        (weights, &self.scales, &self.bias)
    }

    /// The weights of a term, padded.
    fn row(&self, term: usize) -> &[i8] {
        let width = self.bias.len().next_multiple_of(LANES);
        &self.weights[term * width..][..width]
    }

    /// The score of each label for an article's features.
    pub fn scores(&self, features: &[(u32, f32)]) -> Array1<f64> {
        let mut sums = self.bias.clone();
        sums.resize(self.bias.len().next_multiple_of(LANES), 0.0);
        for (term, value) in features {
            let value = value * self.scales[*term as usize];
            let row = self.row(*term as usize);
            for (sums, weights) in sums.as_chunks_mut::<LANES>().0.iter_mut().zip(row.as_chunks::<LANES>().0) {
                for (sum, weight) in sums.iter_mut().zip(weights) {
                    *sum += value * f32::from(*weight);
                }
            }
        }
        sums.iter().take(self.bias.len()).map(|sum| f64::from(*sum)).collect()
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
            && sparse.scales.len() == vocabulary.len()
            && sparse.bias.len() == n
            && sparse.weights.len() == vocabulary.len() * n.next_multiple_of(LANES)
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
        if !thresholds.make_sense() {
            return Err(TopicError::Tensor("the thresholds of the topic model are not probabilities in order"));
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

    /// What a label of an answer rests on: the terms that contribute most to its log-odds, each at its first place.
    pub fn evidence(&self, answer: &TopicAnswer, code: &str, words: &[Word], document: &Document<'_>) -> Vec<Evidence> {
        let Some(label) = self.topics.iter().position(|topic| &*topic.code == code) else { return Vec::new() };
        let (_, mut contributions) = self.contributions(&answer.features, label);
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
                Some(evidence_at(document, first, last, weight as f32))
            })
            .collect()
    }

    /// What each feature contributes to a label's log-odds against the mean of all labels, and what is there without any.
    /// Everything up to the decision layer's logits is linear, so that all of it adds up to them exactly.
    fn contributions(&self, features: &[(u32, f32)], label: usize) -> (f64, Vec<(u32, f64)>) {
        let n = self.topics.len() as f64;
        let towards = &self.decision.weights.column(label) - &(self.decision.weights.sum_axis(Axis(1)) / n);
        let without = self.decision.intercept[label] - self.decision.intercept.sum() / n
            + self.sparse.bias.iter().zip(&towards).map(|(bias, towards)| f64::from(*bias) * towards).sum::<f64>();
        let of_feature = |(term, value): &(u32, f32)| {
            let row = self.sparse.row(*term as usize).iter();
            let direction: f64 = row.zip(&towards).map(|(weight, towards)| f64::from(*weight) * towards).sum();
            (*term, direction * f64::from(value * self.sparse.scales[*term as usize]))
        };
        (without, features.iter().map(of_feature).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linear::SplitMix;

    fn small_classifier() -> TopicClassifier {
        let mut random = SplitMix(11);
        let mut number = || (random.next_u64() >> 40) as f32 / (1 << 24) as f32 - 0.5;
        let hashes: Vec<(u64, u32)> =
            (1..40_u64).map(|i| (i.wrapping_mul(0x9E37_79B9_7F4A_7C15), 1 + i as u32)).collect();
        let vocabulary = Vocabulary::build(hashes, 100);
        let fitted = LinearSvm {
            weights: Array2::from_shape_simple_fn((vocabulary.len(), 3), &mut number),
            bias: Array1::from_shape_simple_fn(3, &mut number),
        };
        let decision = SoftmaxLayer {
            weights: Array2::from_shape_simple_fn((3, 3), || f64::from(number())),
            intercept: ndarray::array![0.3, -0.2, 0.1],
        };
        let topics = ["a", "b", "c"].map(|code| Topic { code: code.into(), name: code.into() });
        let thresholds = Thresholds { auto: 0.9, review: 0.4 };
        TopicClassifier::new(topics.to_vec(), vocabulary, SparseLayer::quantise(&fitted), decision, thresholds)
            .expect("the parts fit")
    }

    #[test]
    fn contributions_add_up_to_the_log_odds() {
        let classifier = small_classifier();
        let hashes = [3_u64, 7, 7, 21, 39].map(|i| i.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let features = features::tf_idf(&classifier.vocabulary, hashes.into_iter());
        assert_eq!(features.len(), 4);
        let p = classifier.decision.probabilities(classifier.sparse.scores(&features).view());
        let mean = p.iter().map(|p| p.ln()).sum::<f64>() / 3.0;
        for label in 0..3 {
            let (without, contributions) = classifier.contributions(&features, label);
            let sum = without + contributions.iter().map(|(_, weight)| weight).sum::<f64>();
            assert!((sum - (p[label].ln() - mean)).abs() < 1e-6, "{sum} {}", p[label].ln() - mean);
        }
    }

    #[test]
    fn rounding_weights_to_a_byte_changes_scores_little() {
        let weights = ndarray::array![[0.5_f32, -0.25, 0.1], [0.0, 0.0, 0.0], [-2.0, 1.0, 0.013]];
        let fitted = LinearSvm { weights: weights.clone(), bias: ndarray::array![0.1, 0.2, 0.3] };
        let scores = SparseLayer::quantise(&fitted).scores(&[(0, 0.6), (1, 0.5), (2, 0.4)]);
        for (label, score) in scores.iter().enumerate() {
            let exact = f64::from(fitted.bias[label] + 0.6 * weights[[0, label]] + 0.4 * weights[[2, label]]);
            assert!((score - exact).abs() < 0.6 * 0.5 / 254.0 + 0.4 * 2.0 / 254.0 + 1e-6, "{score} {exact}");
        }
    }

    #[test]
    fn parts_that_do_not_fit_are_refused() {
        let good = small_classifier();
        let with = |topics: Vec<Topic>, decision: SoftmaxLayer, thresholds: Thresholds| {
            TopicClassifier::new(topics, good.vocabulary.clone(), good.sparse.clone(), decision, thresholds)
        };
        assert!(with(good.topics.clone(), good.decision.clone(), good.thresholds).is_ok());
        assert!(with(good.topics[..2].to_vec(), good.decision.clone(), good.thresholds).is_err());
        let mut infinite = good.decision.clone();
        infinite.weights[[0, 0]] = f64::INFINITY;
        assert!(with(good.topics.clone(), infinite, good.thresholds).is_err());
        for thresholds in [Thresholds { auto: 7.0, review: 0.4 }, Thresholds { auto: 0.3, review: 0.4 }] {
            assert!(with(good.topics.clone(), good.decision.clone(), thresholds).is_err());
        }
    }
}
