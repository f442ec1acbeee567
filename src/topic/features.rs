use super::WordVectors;
use crate::{
    article::Field,
    text::{Vocabulary, Word, dampened, pair_hash, pairs, words},
};
use std::ops::Range;

/// What the vocabulary knows a word by that stands in the headline, beside the word itself: headlines are written in words
/// of their own ("slams", "eyes"), and say most of what an article is about.
pub fn in_headline(word: u64) -> u64 {
    const HEADLINE: u64 = 0x6865_6164_6C69_6E65;
    pair_hash(HEADLINE, word)
}

/// What the vocabulary knows a word by that stands in the lead, beside the word itself: the first words of a long body sum
/// the story up.
pub fn in_lead(word: u64) -> u64 {
    const LEAD: u64 = 0x6C65_6164_6C65_6164;
    pair_hash(LEAD, word)
}

/// A shorter body, in words, has no lead: all of it is.
const LEAST_BODY_WITH_LEAD: usize = 60;
/// The words of a lead.
const LEAD_WORDS: usize = 40;

/// The terms of an article, as hashes: all that the topic model reads of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ArticleTerms {
    /// Its words, those of the headline first.
    pub words: Vec<u64>,
    /// Its word pairs.
    pub pairs: Vec<u64>,
    /// How many of the words stand in the headline.
    pub headline: usize,
}

impl ArticleTerms {
    /// The terms among the words of a document.
    pub fn of(found: &[Word]) -> Self {
        ArticleTerms {
            words: words(found).map(|term| term.hash).collect(),
            pairs: pairs(found).map(|term| term.hash).collect(),
            headline: found.iter().filter(|word| word.role == Field::Headline).count(),
        }
    }

    /// The words of the lead, as a range of all words; empty where the body is short.
    pub fn lead(&self) -> Range<usize> {
        let body = self.words.len() - self.headline;
        self.headline..self.headline + if body < LEAST_BODY_WITH_LEAD { 0 } else { LEAD_WORDS }
    }

    /// Once more the words of headline and lead, as such.
    fn placed(&self) -> impl Iterator<Item = u64> + '_ {
        let headline = self.words[..self.headline].iter().map(|word| in_headline(*word));
        headline.chain(self.words[self.lead()].iter().map(|word| in_lead(*word)))
    }

    /// The words, and once more those of headline and lead, as such.
    pub fn words_by_place(&self) -> Vec<u64> {
        self.words.iter().copied().chain(self.placed()).collect()
    }
}

/// What the linear layer reads of an article.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Features {
    /// tf-idf of the terms that the vocabulary knows: `(1 + ln tf) · idf`, scaled to length 1. Rising by term; empty where
    /// no term is known.
    pub terms: Vec<(u32, f32)>,
    /// The sum of the vectors of the article's different words, each times `1 + ln tf`, scaled to length 1; zeros where no
    /// word has one.
    pub vector: Vec<f32>,
    /// What that sum was multiplied with.
    pub vector_scale: f32,
    /// How many of the article's words the vocabulary knows.
    pub known_words: usize,
}

impl Features {
    /// The features of an article.
    pub fn new(vocabulary: &Vocabulary, vectors: &WordVectors, article: &ArticleTerms) -> Self {
        let mut words = article.words.clone();
        words.sort_unstable();
        let different = words.chunk_by(|a, b| a == b).map(|same| (same[0], dampened(same.len())));
        let (mut vector, length) = vectors.sum(different);
        let vector_scale = if length > 0.0 { 1.0 / length } else { 0.0 };
        vector.iter_mut().for_each(|value| *value *= vector_scale);

        let mut known: Vec<u32> = words.iter().filter_map(|word| vocabulary.find(*word)).collect();
        let known_words = known.len();
        let others = article.pairs.iter().copied().chain(article.placed());
        known.extend(others.filter_map(|hash| vocabulary.find(hash)));
        Features { terms: vocabulary.tf_idf(known), vector, vector_scale, known_words }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(vocabulary: &Vocabulary, hashes: &[u64]) -> Features {
        let article = ArticleTerms { words: hashes.to_vec(), ..ArticleTerms::default() };
        Features::new(vocabulary, &WordVectors::none(), &article)
    }

    #[test]
    fn one_document_alone_has_the_features_it_has_among_others() {
        // idf is the vocabulary's: nothing about other documents can reach the features of this one.
        let vocabulary = Vocabulary::build([(1, 1), (2, 9)], 10);
        let features = of(&vocabulary, &[1, 2, 2, 3]);
        assert_eq!(features.known_words, 3);
        let features = features.terms;
        let raw = [vocabulary.idf(0), vocabulary.idf(1) * (1.0 + 2_f32.ln())];
        let norm = (raw[0] * raw[0] + raw[1] * raw[1]).sqrt();
        assert_eq!((features[0].0, features[1].0), (0, 1));
        assert!((features[0].1 - raw[0] / norm).abs() < 1e-6);
        assert!((features[1].1 - raw[1] / norm).abs() < 1e-6);
    }

    #[test]
    fn words_of_the_headline_count_twice_over() {
        let vocabulary = Vocabulary::build([(7, 1), (in_headline(7), 1)], 10);
        let terms = |headline| {
            let article = ArticleTerms { words: vec![7], pairs: Vec::new(), headline };
            Features::new(&vocabulary, &WordVectors::none(), &article).terms.len()
        };
        assert_eq!((terms(0), terms(1)), (1, 2));
    }

    #[test]
    fn long_bodies_have_a_lead() {
        let lead = |headline, words| ArticleTerms { words: vec![1; words], pairs: Vec::new(), headline }.lead();
        assert_eq!((lead(3, 62), lead(3, 63), lead(0, 900)), (3..3, 3..43, 0..40));
    }

    #[test]
    fn nothing_known_is_no_feature() {
        let vocabulary = Vocabulary::build([(1, 1)], 10);
        assert_eq!(of(&vocabulary, &[5]), Features::default());
        assert_eq!(of(&vocabulary, &[]), Features::default());
    }

    #[test]
    fn vectors_have_length_one() {
        let vectors = WordVectors::build(&[7, 8], &ndarray::array![[30, 0], [0, 40]]).expect("one each");
        let article = ArticleTerms { words: vec![7, 7, 7, 8, 8, 9], ..ArticleTerms::default() };
        let features = Features::new(&Vocabulary::build([], 0), &vectors, &article);
        let length = features.vector.iter().map(|value| value * value).sum::<f32>().sqrt();
        assert!((length - 1.0).abs() < 1e-6);
        let ratio = 30.0 * (1.0 + 3_f32.ln()) / (40.0 * (1.0 + 2_f32.ln()));
        assert!((features.vector[0] / features.vector[1] - ratio).abs() < 1e-6);
    }
}
