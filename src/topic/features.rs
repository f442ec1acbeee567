//! The features of an article: tf-idf of its terms and sums of its word vectors.

use super::{ArticleTerms, WordVectors};
use crate::text::{Vocabulary, dampened, sort_hashes};

/// The features of an article, the input of the linear layers.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Features {
    /// tf-idf of the terms in the vocabulary: `(1 + ln tf) · idf`, scaled to length 1. Sorted by term; empty if no term is
    /// known.
    pub terms: Vec<(u32, f32)>,
    /// Two concatenated sums of word vectors: over the article and over its opening. Each distinct word has the weight
    /// `1 + ln tf`, and each sum is scaled to length 1; zeros if no word has a vector.
    pub vector: Vec<f32>,
    /// The factors that scaled the two sums.
    pub vector_scales: [f32; 2],
    /// Number of the article's words in the vocabulary.
    pub known_words: usize,
}

impl Features {
    /// The features of an article.
    pub fn new(vocabulary: &Vocabulary, vectors: &WordVectors, article: &ArticleTerms) -> Self {
        let mut words = article.words.clone();
        sort_hashes(&mut words);
        let mut opening = article.words[article.opening()].to_vec();
        sort_hashes(&mut opening);
        let (mut vector, whole_scale) = unit_sum(vectors, &words);
        let (opening_vector, opening_scale) = unit_sum(vectors, &opening);
        vector.extend(opening_vector);

        let mut known = Vec::with_capacity(article.count());
        vocabulary.find_all(article.words.iter().copied(), &mut known);
        let known_words = known.len();
        vocabulary.find_all(article.pairs.iter().copied(), &mut known);
        vocabulary.find_all(article.in_headline(), &mut known);
        vocabulary.find_all(article.in_opening(), &mut known);
        vocabulary.find_all(article.ngrams.iter().copied(), &mut known);
        Features { terms: vocabulary.tf_idf(known), vector, vector_scales: [whole_scale, opening_scale], known_words }
    }

    /// The length of [`vector`](Self::vector) for word vectors of this number of dimensions.
    pub fn vector_length(dimensions: usize) -> usize {
        2 * dimensions
    }
}

/// The sum of the vectors of sorted words, scaled to length 1, and the scale factor (0 if no word has a vector).
fn unit_sum(vectors: &WordVectors, sorted: &[u64]) -> (Vec<f32>, f32) {
    let mut distinct = Vec::with_capacity(sorted.len());
    distinct.extend(sorted.chunk_by(|a, b| a == b).map(|same| (same[0], dampened(same.len()))));
    let (mut sum, length) = vectors.sum(&distinct);
    let scale = if length > 0.0 { 1.0 / length } else { 0.0 };
    sum.iter_mut().for_each(|value| *value *= scale);
    (sum, scale)
}

#[cfg(test)]
mod tests {
    use super::{super::terms::in_headline, *};

    fn features(vocabulary: &Vocabulary, hashes: &[u64]) -> Features {
        let article = ArticleTerms { words: hashes.to_vec(), ..ArticleTerms::default() };
        Features::new(vocabulary, &WordVectors::none(), &article)
    }

    #[test]
    fn features_do_not_depend_on_other_documents() {
        // idf comes from the vocabulary, so other documents cannot affect the features.
        let vocabulary = Vocabulary::build([(1, 1), (2, 9)], 10);
        let features = features(&vocabulary, &[1, 2, 2, 3]);
        assert_eq!(features.known_words, 3);
        let features = features.terms;
        let raw = [vocabulary.idf(0), vocabulary.idf(1) * (1.0 + 2_f32.ln())];
        let norm = (raw[0] * raw[0] + raw[1] * raw[1]).sqrt();
        assert_eq!((features[0].0, features[1].0), (0, 1));
        assert!((features[0].1 - raw[0] / norm).abs() < 1e-6);
        assert!((features[1].1 - raw[1] / norm).abs() < 1e-6);
    }

    #[test]
    fn words_of_the_headline_have_additional_terms() {
        let vocabulary = Vocabulary::build([(7, 1), (in_headline(7), 1)], 10);
        let terms = |headline| {
            let article = ArticleTerms { words: vec![7], headline, ..ArticleTerms::default() };
            Features::new(&vocabulary, &WordVectors::none(), &article).terms.len()
        };
        assert_eq!((terms(0), terms(1)), (1, 2));
    }

    #[test]
    fn an_article_without_known_words_has_no_features() {
        let vocabulary = Vocabulary::build([(1, 1)], 10);
        assert_eq!(features(&vocabulary, &[5]), Features::default());
        assert_eq!(features(&vocabulary, &[]), Features::default());
    }

    #[test]
    fn vectors_of_article_and_opening_have_length_one() {
        let vectors = WordVectors::build(&[7, 8], &ndarray::array![[30, 0], [0, 40]]).expect("one vector per word");
        let words = [vec![7, 7, 7], vec![9; 40], vec![8, 8]].concat();
        let article = ArticleTerms { words, headline: 1, ..ArticleTerms::default() };
        let features = Features::new(&Vocabulary::build([], 0), &vectors, &article);
        let (whole, opening) = features.vector.split_at(2);
        for vector in [whole, opening] {
            let length = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
            assert!((length - 1.0).abs() < 1e-6);
        }
        let ratio = 30.0 * (1.0 + 3_f32.ln()) / (40.0 * (1.0 + 2_f32.ln()));
        assert!((whole[0] / whole[1] - ratio).abs() < 1e-6);
        assert_eq!(opening[1], 0.0, "the last two words follow the opening");
    }
}
