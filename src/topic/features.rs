use super::{Vocabulary, WordVectors};
use crate::{
    article::Field,
    text::{Word, pair_hash},
};

/// A word or word pair of a document: its hash, and the words that it spans (as indices).
#[derive(Debug, Clone, Copy)]
pub struct Term {
    /// What the vocabulary knows it by.
    pub hash: u64,
    /// The first word.
    pub first: u32,
    /// The last word: the first again, or the next.
    pub last: u32,
}

/// The words of a document that the topic model reads: those of headline and body. The dateline is not read: where a story
/// was filed is not what it is about.
pub fn words(words: &[Word]) -> impl Iterator<Item = Term> + Clone + '_ {
    let read = words.iter().enumerate().filter(|(_, word)| word.role != Field::Dateline);
    read.map(|(i, word)| Term { hash: word.hash, first: i as u32, last: i as u32 })
}

/// The pairs of words that follow each other. Pairs do not reach from one section into the next.
pub fn pairs(words: &[Word]) -> impl Iterator<Item = Term> + Clone + '_ {
    let read = words.iter().zip(words.iter().skip(1)).enumerate();
    read.filter(|(_, (first, second))| first.role != Field::Dateline && first.section == second.section).map(
        |(i, (first, second))| Term { hash: pair_hash(first.hash, second.hash), first: i as u32, last: i as u32 + 1 },
    )
}

/// How much the word vectors count beside tf-idf, both being of length 1.
const VECTOR_WEIGHT: f32 = 1.0;

/// What the linear layer reads of an article.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Features {
    /// tf-idf of the terms that the vocabulary knows: `(1 + ln tf) · idf`, scaled to length 1. Rising by term; empty where
    /// no term is known.
    pub terms: Vec<(u32, f32)>,
    /// The sum of the word vectors, scaled to a fixed length; zeros where no word has one.
    pub vector: Vec<f32>,
    /// What the vector of each word was multiplied with.
    pub vector_scale: f32,
}

impl Features {
    /// From the hashes of an article's words and of its word pairs.
    pub fn new(
        vocabulary: &Vocabulary,
        vectors: &WordVectors,
        words: impl Iterator<Item = u64> + Clone,
        pairs: impl Iterator<Item = u64>,
    ) -> Self {
        let (mut vector, length) = vectors.sum(words.clone());
        let vector_scale = if length > 0.0 { VECTOR_WEIGHT / length } else { 0.0 };
        vector.iter_mut().for_each(|value| *value *= vector_scale);
        Features { terms: tf_idf(vocabulary, words.chain(pairs)), vector, vector_scale }
    }
}

fn tf_idf(vocabulary: &Vocabulary, hashes: impl Iterator<Item = u64>) -> Vec<(u32, f32)> {
    let mut known: Vec<u32> = hashes.filter_map(|hash| vocabulary.find(hash)).collect();
    known.sort_unstable();
    let mut features: Vec<(u32, f32)> = known
        .chunk_by(|a, b| a == b)
        .map(|same| (same[0], (1.0 + (same.len() as f32).ln()) * vocabulary.idf(same[0])))
        .collect();
    let norm = features.iter().map(|(_, value)| value * value).sum::<f32>().sqrt();
    for (_, value) in &mut features {
        *value /= norm;
    }
    features
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(vocabulary: &Vocabulary, hashes: &[u64]) -> Features {
        Features::new(vocabulary, &WordVectors::none(), hashes.iter().copied(), std::iter::empty())
    }

    #[test]
    fn one_document_alone_has_the_features_it_has_among_others() {
        // idf is the vocabulary's: nothing about other documents can reach the features of this one.
        let vocabulary = Vocabulary::build([(1 << 50, 1), (2 << 50, 9)], 10);
        let features = of(&vocabulary, &[1 << 50, 2 << 50, 2 << 50, 3 << 50]).terms;
        let raw = [vocabulary.idf(0), vocabulary.idf(1) * (1.0 + 2_f32.ln())];
        let norm = (raw[0] * raw[0] + raw[1] * raw[1]).sqrt();
        assert_eq!((features[0].0, features[1].0), (0, 1));
        assert!((features[0].1 - raw[0] / norm).abs() < 1e-6);
        assert!((features[1].1 - raw[1] / norm).abs() < 1e-6);
    }

    #[test]
    fn nothing_known_is_no_feature() {
        let vocabulary = Vocabulary::build([(1 << 50, 1)], 10);
        assert_eq!(of(&vocabulary, &[5]), Features::default());
        assert_eq!(of(&vocabulary, &[]), Features::default());
    }

    #[test]
    fn vectors_have_a_fixed_length() {
        let vectors = WordVectors::build(&[7, 8], &ndarray::array![[30, 0], [0, 40]]).expect("one each");
        let vocabulary = Vocabulary::build([], 0);
        let features = Features::new(&vocabulary, &vectors, [7, 7, 7, 8, 8, 9].into_iter(), std::iter::empty());
        let length = features.vector.iter().map(|value| value * value).sum::<f32>().sqrt();
        assert!((length - VECTOR_WEIGHT).abs() < 1e-6);
        assert!((features.vector[0] / features.vector[1] - 90.0 / 80.0).abs() < 1e-6);
    }
}
