use super::{
    ArticleTerms, Features, Form, TopicError, WordVectors,
    features::{in_headline, in_lead},
};
use crate::{
    article::{Evidence, Label, Thresholds},
    clean::Document,
    linear::{LinearSvm, SoftmaxLayer},
    text::{self, Term, Vocabulary, Word, dampened, evidence_at},
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

/// The linear layer: for terms one byte a weight and one scale a term, for the dimensions of the word vectors plain weights.
#[derive(Debug, Clone, PartialEq)]
pub struct LinearLayer {
    /// Terms × labels, each row padded with zeros to a multiple of [`LANES`], in units of the term's scale.
    weights: Vec<i8>,
    /// The largest weight of each term, divided by 127.
    scales: Vec<f32>,
    /// Dimensions of the word vectors × labels.
    dense: Array2<f32>,
    /// One a label.
    bias: Vec<f32>,
}

impl LinearLayer {
    /// From a model fitted on [`Features`]: the first `n_terms` rows of its weights are those of terms and are rounded to a
    /// byte each, the others those of the vector's dimensions.
    pub fn quantise(fitted: &LinearSvm, n_terms: usize) -> Self {
        let (of_terms, dense) = fitted.weights.view().split_at(Axis(0), n_terms);
        let scales: Vec<f32> = of_terms
            .rows()
            .into_iter()
            .map(|row| row.iter().fold(0.0_f32, |most, weight| most.max(weight.abs())) / 127.0)
            .collect();
        let mut weights = Array2::zeros(of_terms.dim());
        for ((row, scale), mut stored) in of_terms.rows().into_iter().zip(&scales).zip(weights.rows_mut()) {
            if *scale > 0.0 {
                stored.assign(&row.mapv(|weight| (weight / scale).round() as i8));
            }
        }
        // Not `to_owned`: ndarray 0.16 trips over views without rows.
        let dense = Array2::from_shape_fn(dense.dim(), |at| dense[at]);
        LinearLayer::new(&weights, scales, dense, fitted.bias.to_vec())
    }

    /// From weights (terms × labels, in units of each term's scale), scales (one a term), weights of the vector's dimensions
    /// (dimensions × labels) and bias (one a label).
    pub fn new(weights: &Array2<i8>, scales: Vec<f32>, dense: Array2<f32>, bias: Vec<f32>) -> Self {
        let padding = vec![0; weights.ncols().next_multiple_of(LANES) - weights.ncols()];
        let padded = weights.rows().into_iter().flat_map(|row| row.into_iter().chain(&padding)).copied().collect();
        LinearLayer { weights: padded, scales, dense, bias }
    }

    /// The weights, terms × labels, and their scales.
    pub fn term_weights(&self) -> (Array2<i8>, &[f32]) {
        (
            Array2::from_shape_fn((self.scales.len(), self.bias.len()), |(term, label)| self.row(term)[label]),
            &self.scales,
        )
    }

    /// The weights of the vector's dimensions, dimensions × labels, and the bias.
    pub fn dense_weights(&self) -> (&Array2<f32>, &[f32]) {
        (&self.dense, &self.bias)
    }

    /// The weights of a term, padded.
    fn row(&self, term: usize) -> &[i8] {
        let width = self.bias.len().next_multiple_of(LANES);
        &self.weights[term * width..][..width]
    }

    /// The score of each label for an article's features.
    pub fn scores(&self, features: &Features) -> Array1<f64> {
        let mut sums = self.bias.clone();
        sums.resize(self.bias.len().next_multiple_of(LANES), 0.0);
        for (term, value) in &features.terms {
            let value = value * self.scales[*term as usize];
            let row = self.row(*term as usize);
            for (sums, weights) in sums.as_chunks_mut::<LANES>().0.iter_mut().zip(row.as_chunks::<LANES>().0) {
                for (sum, weight) in sums.iter_mut().zip(weights) {
                    *sum += value * f32::from(*weight);
                }
            }
        }
        for (value, weights) in features.vector.iter().zip(self.dense.rows()) {
            sums.iter_mut().zip(weights).for_each(|(sum, weight)| *sum += value * weight);
        }
        sums.iter().take(self.bias.len()).map(|sum| f64::from(*sum)).collect()
    }
}

/// Words in, topics with calibrated probabilities out.
#[derive(Debug, Clone, PartialEq)]
pub struct TopicClassifier {
    topics: Vec<Topic>,
    vocabulary: Vocabulary,
    vectors: WordVectors,
    linear: LinearLayer,
    decision: SoftmaxLayer,
    thresholds: Thresholds,
}

/// What the classifier says of one article.
#[derive(Debug, Clone, PartialEq)]
pub struct TopicAnswer {
    /// Every topic with its probability, most probable first; without evidence.
    pub labels: Vec<Label>,
    /// Whether the model knew any word of the article. If not, the probabilities are those of the training data.
    pub knows_a_word: bool,
    /// How many words the article has.
    pub words: usize,
    /// How many of the words the vocabulary knows.
    pub known_words: usize,
    features: Features,
    /// The decision layer for articles of this form.
    decision: SoftmaxLayer,
}

impl TopicAnswer {
    /// The share of the article's words that the vocabulary knows, from 0 to 1.
    pub fn known_share(&self) -> f64 {
        self.known_words as f64 / self.words.max(1) as f64
    }
}

impl TopicClassifier {
    /// Puts a classifier together.
    ///
    /// # Errors
    /// [`TopicError::Tensor`] where the parts do not fit each other or hold numbers that are not finite.
    pub fn new(
        topics: Vec<Topic>,
        vocabulary: Vocabulary,
        vectors: WordVectors,
        linear: LinearLayer,
        decision: SoftmaxLayer,
        thresholds: Thresholds,
    ) -> Result<Self, TopicError> {
        let n = topics.len();
        let fits = n >= 2
            && linear.scales.len() == vocabulary.len()
            && linear.bias.len() == n
            && linear.dense.dim() == (vectors.dimensions(), n)
            && linear.weights.len() == vocabulary.len() * n.next_multiple_of(LANES)
            && [(n, n), (Form::inputs_for(n), n)].contains(&decision.weights.dim())
            && decision.intercept.len() == n;
        if !fits {
            return Err(TopicError::Tensor("the layers of the topic model have different sizes"));
        }
        let finite = linear.scales.iter().chain(&linear.dense).chain(&linear.bias).all(|value| value.is_finite())
            && decision.weights.iter().chain(&decision.intercept).all(|value| value.is_finite());
        if !finite {
            return Err(TopicError::Tensor("the topic model has a weight that is not a finite number"));
        }
        if !thresholds.make_sense() {
            return Err(TopicError::Tensor("the thresholds of the topic model are not probabilities in order"));
        }
        Ok(TopicClassifier { topics, vocabulary, vectors, linear, decision, thresholds })
    }

    /// The topics, in the order of the layers.
    pub fn topics(&self) -> &[Topic] {
        &self.topics
    }

    /// The vocabulary.
    pub fn vocabulary(&self) -> &Vocabulary {
        &self.vocabulary
    }

    /// The word vectors.
    pub fn vectors(&self) -> &WordVectors {
        &self.vectors
    }

    /// The linear layer.
    pub fn linear(&self) -> &LinearLayer {
        &self.linear
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
        let terms = ArticleTerms::of(words);
        let features = Features::new(&self.vocabulary, &self.vectors, &terms);
        let decision = Form::of(terms.words.len(), terms.headline).layer(&self.decision);
        let probabilities = decision.probabilities(self.linear.scores(&features).view());
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
        let knows_a_word = !features.terms.is_empty() || features.vector_scale > 0.0;
        TopicAnswer {
            labels,
            knows_a_word,
            words: terms.words.len(),
            known_words: features.known_words,
            features,
            decision,
        }
    }

    /// What a label of an answer rests on: the terms that contribute most to its log-odds, each at its first place.
    pub fn evidence(&self, answer: &TopicAnswer, code: &str, words: &[Word], document: &Document<'_>) -> Vec<Evidence> {
        let Some(label) = self.topics.iter().position(|topic| &*topic.code == code) else { return Vec::new() };
        let (_, mut contributions) = self.contributions(answer, words, label);
        contributions.retain(|(_, weight)| *weight != 0.0);
        contributions.sort_by(|a, b| b.1.abs().total_cmp(&a.1.abs()));
        contributions.truncate(MOST_EVIDENCE);
        contributions
            .into_iter()
            .map(|(place, weight)| {
                let (first, last) = (&words[place.first as usize], &words[place.last as usize]);
                evidence_at(document, first, last, weight as f32)
            })
            .collect()
    }

    /// What each term contributes to a label's log-odds against the mean of all labels, at its first place, and what is
    /// there without any. Everything up to the decision layer's logits is linear, so that all of it adds up to them exactly.
    fn contributions(&self, answer: &TopicAnswer, words: &[Word], label: usize) -> (f64, Vec<(Term, f64)>) {
        let n = self.topics.len() as f64;
        let TopicAnswer { features, decision, .. } = answer;
        let towards = &decision.weights.column(label) - &(decision.weights.sum_axis(Axis(1)) / n);
        let without = decision.intercept[label] - decision.intercept.sum() / n
            + self.linear.bias.iter().zip(&towards).map(|(bias, towards)| f64::from(*bias) * towards).sum::<f64>();
        let vector_towards: Array1<f64> =
            self.linear.dense.mapv(f64::from).dot(&towards) * f64::from(features.vector_scale);

        // Each different term with its first place and how often it comes.
        let mut places: HashMap<u64, usize> = HashMap::new();
        let mut different: Vec<(Term, usize)> = Vec::new();
        for term in text::words(words).chain(text::pairs(words)) {
            let place = *places.entry(term.hash).or_insert_with(|| {
                different.push((term, 0));
                different.len() - 1
            });
            different[place].1 += 1;
        }
        let contributions = different.into_iter().map(|(term, times)| {
            let mut weight = self.term_contribution(features, term.hash, &towards);
            if term.first == term.last {
                // Absent where the word does not stand there: such a term is no feature.
                weight += self.term_contribution(features, in_headline(term.hash), &towards);
                weight += self.term_contribution(features, in_lead(term.hash), &towards);
                if let Some(vector) = self.vectors.of(term.hash) {
                    let direction: f64 = vector.iter().zip(&vector_towards).map(|(v, t)| f64::from(*v) * t).sum();
                    weight += direction * f64::from(dampened(times));
                }
            }
            (term, weight)
        });
        (without, contributions.collect())
    }

    /// What a term contributes by its tf-idf.
    fn term_contribution(&self, features: &Features, hash: u64, towards: &Array1<f64>) -> f64 {
        let Some(term) = self.vocabulary.find(hash) else { return 0.0 };
        let Ok(at) = features.terms.binary_search_by_key(&term, |feature| feature.0) else { return 0.0 };
        let row = self.linear.row(term as usize).iter();
        let direction: f64 = row.zip(towards).map(|(weight, towards)| f64::from(*weight) * towards).sum();
        direction * f64::from(features.terms[at].1 * self.linear.scales[term as usize])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{article::Field, linear::SplitMix};

    fn hash(i: u64) -> u64 {
        i.wrapping_mul(0x9E37_79B9_7F4A_7C15)
    }

    fn small_classifier() -> TopicClassifier {
        let mut random = SplitMix(11);
        let mut number = || (random.next_u64() >> 40) as f32 / (1 << 24) as f32 - 0.5;
        let terms = (1..40).map(|i| (hash(i), 1 + i as u32)).chain([(in_headline(hash(7)), 3)]);
        let vocabulary = Vocabulary::build(terms, 100);
        let values = Array2::from_shape_simple_fn((20, 4), || (number() * 200.0) as i8);
        let vectors = WordVectors::build(&(1..21).map(hash).collect::<Vec<_>>(), &values).expect("one each");
        let fitted = LinearSvm {
            weights: Array2::from_shape_simple_fn((vocabulary.len() + 4, 3), &mut number),
            bias: Array1::from_shape_simple_fn(3, &mut number),
        };
        let decision = SoftmaxLayer {
            weights: Array2::from_shape_simple_fn((Form::inputs_for(3), 3), || f64::from(number())),
            intercept: ndarray::array![0.3, -0.2, 0.1],
        };
        let topics = ["a", "b", "c"].map(|code| Topic { code: code.into(), name: code.into() });
        let thresholds = Thresholds { auto: 0.9, review: 0.4 };
        let linear = LinearLayer::quantise(&fitted, vocabulary.len());
        TopicClassifier::new(topics.to_vec(), vocabulary, vectors, linear, decision, thresholds).expect("the parts fit")
    }

    #[test]
    fn contributions_add_up_to_the_log_odds() {
        let classifier = small_classifier();
        // Words that have a vector and a weight, one of them alone, or neither; one comes twice.
        let token = crate::text::tokens("x").next().expect("a word");
        let word = |i, role| Word { token, section: u8::from(role == Field::Body), role, hash: hash(i) };
        let headline = [7, 21].map(|i| word(i, Field::Headline));
        let body = [3, 7, 7, 21, 39, 70].map(|i| word(i, Field::Body));
        let words = [&headline[..], &body[..]].concat();
        let answer = classifier.classify(&words);
        assert_eq!(answer.features.terms.len(), 4 + 1, "one of the headline's words is known as such");
        assert_eq!((answer.words, answer.known_words), (8, 7));
        let p = |code: &str| {
            let label = answer.labels.iter().find(|label| &*label.code == code).expect("each topic has a label");
            f64::from(label.confidence).ln()
        };
        let mean = ["a", "b", "c"].map(p).iter().sum::<f64>() / 3.0;
        for (label, code) in ["a", "b", "c"].into_iter().enumerate() {
            let (without, contributions) = classifier.contributions(&answer, &words, label);
            let sum = without + contributions.iter().map(|(_, weight)| weight).sum::<f64>();
            assert!((sum - (p(code) - mean)).abs() < 1e-5, "{sum} {}", p(code) - mean);
        }
    }

    #[test]
    fn rounding_weights_to_a_byte_changes_scores_little() {
        let weights = ndarray::array![[0.5_f32, -0.25, 0.1], [0.0, 0.0, 0.0], [-2.0, 1.0, 0.013]];
        let fitted = LinearSvm { weights: weights.clone(), bias: ndarray::array![0.1, 0.2, 0.3] };
        let features = Features { terms: vec![(0, 0.6), (1, 0.5), (2, 0.4)], ..Features::default() };
        let scores = LinearLayer::quantise(&fitted, 3).scores(&features);
        for (label, score) in scores.iter().enumerate() {
            let exact = f64::from(fitted.bias[label] + 0.6 * weights[[0, label]] + 0.4 * weights[[2, label]]);
            assert!((score - exact).abs() < 0.6 * 0.5 / 254.0 + 0.4 * 2.0 / 254.0 + 1e-6, "{score} {exact}");
        }
    }

    #[test]
    fn parts_that_do_not_fit_are_refused() {
        let good = small_classifier();
        let with = |topics: Vec<Topic>, decision: SoftmaxLayer, thresholds: Thresholds| {
            TopicClassifier::new(
                topics,
                good.vocabulary.clone(),
                good.vectors.clone(),
                good.linear.clone(),
                decision,
                thresholds,
            )
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
