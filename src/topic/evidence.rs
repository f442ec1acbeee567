//! What a label rests on: the contributions of single terms to its log-odds. Everything up to the log-odds is linear once the
//! best other label is known, so that contributions add up exactly.

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

/// Evidence is a hint to a person, not a dump.
const MOST_EVIDENCE: usize = 10;
/// In any language, a word that more than this share of the training articles have says nothing to a reader.
const FUNCTION_WORD_SHARE: f32 = 0.4;
/// The function words of English: articles, pronouns, prepositions, conjunctions, auxiliaries and the like.
static FUNCTION_WORDS: LazyLock<HashSet<u64>> = LazyLock::new(|| {
    let mut buffer = Vec::new();
    let hash = |word: &str| word_hash(word, Shape::Lower, &mut buffer);
    include_str!("data/function-words-en.txt").split_whitespace().map(hash).collect()
});

/// What a label rests on.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Explanation {
    /// The content words and pairs that contribute most to the label's log-odds, each at its first place.
    pub evidence: Vec<Evidence>,
    /// What everything else adds: function words, further terms, and what the model says of an article without words. With
    /// the weights of `evidence` it sums to the log-odds.
    pub remainder: f32,
}

/// Weights of one label of a layer.
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

/// Explains a label of an article.
pub struct Explainer<'a, L> {
    pub vocabulary: &'a Vocabulary,
    pub vectors: &'a WordVectors,
    pub layer: &'a L,
    pub features: &'a Features,
    pub label: usize,
    pub direction: Direction,
}

impl<L: LabelWeights> Explainer<'_, L> {
    /// The explanation, from the words of the article and their document.
    pub fn explain(&self, words: &[Word], document: &Document<'_>) -> Explanation {
        let contributions = self.contributions(words);
        let mut shown: Vec<&(Term, f64)> =
            contributions.iter().filter(|(term, weight)| *weight != 0.0 && !self.is_function(term, words)).collect();
        // Stable: equal weights stay in the order of the text.
        shown.sort_by(|a, b| b.1.abs().total_cmp(&a.1.abs()));
        shown.truncate(MOST_EVIDENCE);
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

    /// Whether a reader learns nothing from a term: its words are all function words.
    fn is_function(&self, term: &Term, words: &[Word]) -> bool {
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
            let of_terms = self.features.terms.iter().map(|(term, value)| value * self.layer.weight(*term, label));
            let of_vector = self.features.vector.iter().zip(dense).map(|(value, weight)| value * weight);
            of_terms.chain(of_vector).map(f64::from).sum::<f64>() + f64::from(bias)
        };
        let other = self.direction.other.map_or(0.0, |(other, weight)| weight * score(other));
        self.direction.own * score(self.label) + other + self.direction.constant
    }

    /// What each term adds to the label's log-odds, over all its occurrences, at its first place.
    pub fn contributions(&self, words: &[Word]) -> Vec<(Term, f64)> {
        let headline = words.iter().filter(|word| word.role == crate::article::Field::Headline).count();
        let in_text: Vec<Term> = text::words(words).collect();
        let opening = opening(in_text.len(), headline);
        // Each different term with its first place, how often it occurs, and how often in the opening.
        let mut places: HashMap<u64, usize> = HashMap::new();
        let mut different: Vec<(Term, [usize; 2])> = Vec::new();
        let counted = in_text.into_iter().enumerate().map(|(i, term)| (term, usize::from(opening.contains(&i))));
        for (term, opens) in counted.chain(text::pairs(words).map(|pair| (pair, 0))) {
            let place = *places.entry(term.hash).or_insert_with(|| {
                different.push((term, [0, 0]));
                different.len() - 1
            });
            different[place].1[0] += 1;
            different[place].1[1] += opens;
        }
        let dense = [self.towards_of_vector(0), self.towards_of_vector(1)];
        different
            .into_iter()
            .map(|(term, times)| {
                let mut weight = self.of_term(term.hash);
                if term.first == term.last {
                    // Zero if the word does not stand there: then the term is not among the features.
                    weight += self.of_term(in_headline(term.hash)) + self.of_term(in_opening(term.hash));
                    if let Some(vector) = self.vectors.of(term.hash) {
                        for (towards, times) in dense.iter().zip(times).filter(|(_, times)| *times > 0) {
                            let along: f64 = vector.iter().zip(towards).map(|(v, t)| f64::from(*v) * t).sum();
                            weight += along * f64::from(dampened(times));
                        }
                    }
                }
                (term, weight)
            })
            .collect()
    }

    /// What one unit of each dimension of a sum of word vectors adds, before the sum is scaled to length 1.
    fn towards_of_vector(&self, sum: usize) -> Vec<f64> {
        let dimensions = self.vectors.dimensions();
        let scale = f64::from(self.features.vector_scales[sum]);
        let of_label = |label: usize, weight: f64| -> Vec<f64> {
            let (dense, _) = self.layer.dense_of(label);
            dense
                .iter()
                .skip(sum * dimensions)
                .take(dimensions)
                .map(|value| f64::from(*value) * weight * scale)
                .collect()
        };
        let mut towards = of_label(self.label, self.direction.own);
        if let Some((other, weight)) = self.direction.other {
            towards.iter_mut().zip(of_label(other, weight)).for_each(|(sum, value)| *sum += value);
        }
        towards
    }

    /// What a term of the vocabulary adds by its tf-idf.
    fn of_term(&self, hash: u64) -> f64 {
        let Some(term) = self.vocabulary.find(hash) else { return 0.0 };
        let Ok(at) = self.features.terms.binary_search_by_key(&term, |feature| feature.0) else { return 0.0 };
        let weight = |label| f64::from(self.layer.weight(term, label));
        let other = self.direction.other.map_or(0.0, |(other, of_other)| of_other * weight(other));
        f64::from(self.features.terms[at].1) * (self.direction.own * weight(self.label) + other)
    }
}
