//! Explains labels by the contributions of terms to the log-odds. Given the best other label and the lengths of the sums of
//! word vectors, the log-odds are linear in the features, so that contributions sum to them exactly.

use super::{
    Direction, Features, WordVectors,
    terms::{in_headline, in_opening, opening},
};
use crate::{
    article::Evidence,
    document::Document,
    text::{self, Shape, Term, Vocabulary, Word, dampened, evidence_at, word_hash},
};
use ndarray::ArrayView1;
use std::{
    collections::{HashMap, HashSet},
    sync::LazyLock,
};

/// Maximum number of terms listed as evidence of a label.
const MAX_EVIDENCE: usize = 10;
/// A word in more than this share of the training articles is a function word, in any language.
const FUNCTION_WORD_SHARE: f32 = 0.4;
/// English function words: articles, pronouns, prepositions, conjunctions, auxiliaries and the like.
static FUNCTION_WORDS: LazyLock<HashSet<u64>> = LazyLock::new(|| {
    let mut buffer = Vec::new();
    let hash = |word: &str| word_hash(word, Shape::Lower, &mut buffer);
    include_str!("data/function-words-en.txt").split_whitespace().map(hash).collect()
});

/// The terms that support a label.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Explanation {
    /// The content words and pairs with the largest contributions to the label's log-odds, each at its first occurrence.
    pub evidence: Vec<Evidence>,
    /// The contribution of everything else: function words, further terms, and the constant part. With the weights of
    /// `evidence`, it sums to the log-odds.
    pub remainder: f32,
}

/// A layer that gives access to the weights of each label.
pub trait LabelWeights {
    /// The weight of a term for a label.
    fn weight(&self, term: u32, label: usize) -> f32;
    /// The weights of the vector's dimensions for a label, and its bias.
    fn dense_of(&self, label: usize) -> (ArrayView1<'_, f32>, f32);
}

impl LabelWeights for super::LinearLayer {
    fn weight(&self, term: u32, label: usize) -> f32 {
        self.weight(term, label)
    }
    fn dense_of(&self, label: usize) -> (ArrayView1<'_, f32>, f32) {
        self.dense_of(label)
    }
}

impl LabelWeights for super::SparseLayer {
    fn weight(&self, term: u32, label: usize) -> f32 {
        self.weight(term, label)
    }
    fn dense_of(&self, label: usize) -> (ArrayView1<'_, f32>, f32) {
        self.dense_of(label)
    }
}

/// Explains one label of an article.
pub struct Explainer<'a, L> {
    pub vocabulary: &'a Vocabulary,
    pub vectors: &'a WordVectors,
    pub layer: &'a L,
    pub features: &'a Features,
    pub label: usize,
    /// How the log-odds of `label` depend on the scores.
    pub direction: Direction,
}

impl<L: LabelWeights> Explainer<'_, L> {
    /// The explanation, from the words of the article and their document.
    pub fn explain(&self, words: &[Word], document: &Document<'_>) -> Explanation {
        let contributions = self.contributions(words);
        let mut shown: Vec<&(Term, f64)> = contributions
            .iter()
            .filter(|(term, weight)| *weight != 0.0 && !self.is_function_term(term, words))
            .collect();
        // Stable sort: equal weights keep the order of the text.
        shown.sort_by(|a, b| b.1.abs().total_cmp(&a.1.abs()));
        shown.truncate(MAX_EVIDENCE);
        let evidence: Vec<Evidence> = shown
            .into_iter()
            .map(|(term, weight)| {
                let (first, last) = (&words[term.first as usize], &words[term.last as usize]);
                evidence_at(document, first, last, *weight as f32)
            })
            .collect();
        let listed: f64 = evidence.iter().map(|one| f64::from(one.weight)).sum();
        Explanation { remainder: (self.log_odds() - listed) as f32, evidence }
    }

    /// Whether all words of a term are function words.
    fn is_function_term(&self, term: &Term, words: &[Word]) -> bool {
        (term.first..=term.last).all(|word| {
            let hash = words[word as usize].hash;
            let share = || self.vocabulary.find(hash).map_or(0.0, |known| self.vocabulary.document_share(known));
            FUNCTION_WORDS.contains(&hash) || share() > FUNCTION_WORD_SHARE
        })
    }

    /// The label's log-odds.
    pub fn log_odds(&self) -> f64 {
        let score = |label: usize| {
            let (dense, bias) = self.layer.dense_of(label);
            let terms = self.features.terms.iter().map(|(term, value)| value * self.layer.weight(*term, label));
            let vector = self.features.vector.iter().zip(dense).map(|(value, weight)| value * weight);
            terms.chain(vector).map(f64::from).sum::<f64>() + f64::from(bias)
        };
        let other = self.direction.other.map_or(0.0, |(other, weight)| weight * score(other));
        self.direction.own * score(self.label) + other + self.direction.constant
    }

    /// The contribution of each distinct term to the label's log-odds, over all its occurrences, at its first occurrence.
    pub fn contributions(&self, words: &[Word]) -> Vec<(Term, f64)> {
        let headline = words.iter().filter(|word| word.role == crate::article::Field::Headline).count();
        let in_text: Vec<Term> = text::words(words).collect();
        let opening = opening(in_text.len(), headline);
        // Each distinct term at its first occurrence, with its counts in the article and in the opening.
        let mut positions: HashMap<u64, usize> = HashMap::new();
        let mut distinct: Vec<(Term, [usize; 2])> = Vec::new();
        let counted = in_text.into_iter().enumerate().map(|(i, term)| (term, usize::from(opening.contains(&i))));
        for (term, in_opening) in counted.chain(text::pairs(words).map(|pair| (pair, 0))) {
            let position = *positions.entry(term.hash).or_insert_with(|| {
                distinct.push((term, [0, 0]));
                distinct.len() - 1
            });
            distinct[position].1[0] += 1;
            distinct[position].1[1] += in_opening;
        }
        let gradients = [self.vector_gradient(0), self.vector_gradient(1)];
        distinct
            .into_iter()
            .map(|(term, counts)| {
                let mut weight = self.term_contribution(term.hash);
                if term.first == term.last {
                    // Zero for words that are not in headline or opening, because the features lack these terms.
                    weight +=
                        self.term_contribution(in_headline(term.hash)) + self.term_contribution(in_opening(term.hash));
                    if let Some(vector) = self.vectors.of(term.hash) {
                        for (gradient, count) in gradients.iter().zip(counts).filter(|(_, count)| *count > 0) {
                            let slope: f64 = vector.iter().zip(gradient).map(|(v, g)| f64::from(*v) * g).sum();
                            weight += slope * f64::from(dampened(count));
                        }
                    }
                }
                (term, weight)
            })
            .collect()
    }

    /// The gradient of the log-odds by the dimensions of a sum of word vectors (0: article, 1: opening) before it is scaled to
    /// length 1, with the scale taken as constant.
    fn vector_gradient(&self, sum: usize) -> Vec<f64> {
        let dimensions = self.vectors.dimensions();
        let scale = f64::from(self.features.vector_scales[sum]);
        let label_gradient = |label: usize, weight: f64| -> Vec<f64> {
            let (dense, _) = self.layer.dense_of(label);
            dense
                .iter()
                .skip(sum * dimensions)
                .take(dimensions)
                .map(|value| f64::from(*value) * weight * scale)
                .collect()
        };
        let mut gradient = label_gradient(self.label, self.direction.own);
        if let Some((other, weight)) = self.direction.other {
            gradient.iter_mut().zip(label_gradient(other, weight)).for_each(|(sum, value)| *sum += value);
        }
        gradient
    }

    /// The contribution of a term's tf-idf to the log-odds; 0 if the features do not have the term.
    fn term_contribution(&self, hash: u64) -> f64 {
        let Some(term) = self.vocabulary.find(hash) else { return 0.0 };
        let Ok(at) = self.features.terms.binary_search_by_key(&term, |feature| feature.0) else { return 0.0 };
        let weight = |label| f64::from(self.layer.weight(term, label));
        let other = self.direction.other.map_or(0.0, |(other, of_other)| of_other * weight(other));
        f64::from(self.features.terms[at].1) * (self.direction.own * weight(self.label) + other)
    }
}
