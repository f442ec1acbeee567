use super::Vocabulary;
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

/// The terms of a document that the topic model reads: words and pairs of words of headline and body. Pairs do not reach
/// from one section into the next. The dateline is not read: where a story was filed is not what it is about.
pub fn terms(words: &[Word]) -> impl Iterator<Item = Term> + '_ {
    words.iter().enumerate().filter(|(_, word)| word.role != Field::Dateline).flat_map(|(i, word)| {
        let single = Term { hash: word.hash, first: i as u32, last: i as u32 };
        let pair = words.get(i + 1).filter(|next| next.section == word.section).map(|next| Term {
            hash: pair_hash(word.hash, next.hash),
            first: i as u32,
            last: i as u32 + 1,
        });
        std::iter::once(single).chain(pair)
    })
}

/// tf-idf of the terms that the vocabulary knows: `(1 + ln tf) · idf`, scaled to length 1. Rising by term; empty where no
/// term is known.
pub fn tf_idf(vocabulary: &Vocabulary, hashes: impl Iterator<Item = u64>) -> Vec<(u32, f32)> {
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

    #[test]
    fn one_document_alone_has_the_features_it_has_among_others() {
        // idf is the vocabulary's: nothing about other documents can reach the features of this one.
        let vocabulary = Vocabulary::build([(1 << 50, 1), (2 << 50, 9)], 10);
        let features = tf_idf(&vocabulary, [1 << 50, 2 << 50, 2 << 50, 3 << 50].into_iter());
        let raw = [
            vocabulary.idf(features[0].0) * if features[0].0 == 0 { 1.0 } else { 1.0 + 2_f32.ln() },
            vocabulary.idf(features[1].0) * if features[1].0 == 0 { 1.0 } else { 1.0 + 2_f32.ln() },
        ];
        let norm = (raw[0] * raw[0] + raw[1] * raw[1]).sqrt();
        assert!((features[0].1 - raw[0] / norm).abs() < 1e-6);
        assert!((features[1].1 - raw[1] / norm).abs() < 1e-6);
    }

    #[test]
    fn nothing_known_is_no_feature() {
        let vocabulary = Vocabulary::build([(1 << 50, 1)], 10);
        assert!(tf_idf(&vocabulary, [5].into_iter()).is_empty());
        assert!(tf_idf(&vocabulary, std::iter::empty()).is_empty());
    }
}
