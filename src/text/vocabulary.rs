use super::{HashIndex, IndexError};

/// idf is kept in sixteenths, in a byte: up to 15.9, which no corpus below eight million articles reaches. Training uses
/// the rounded values too, so that the served features are the trained ones.
const IDF_STEPS: f32 = 16.0;

/// The words and word pairs that a model knows, by hash, with their idf. A term is its place in the index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vocabulary {
    index: HashIndex,
    idf: Vec<u8>,
}

impl Vocabulary {
    /// A vocabulary of `terms`, (hash, number of documents that have it), out of `documents` documents.
    ///
    /// idf is `1 + ln((1 + documents) / (1 + df))`, as in scikit-learn's smooth idf.
    pub fn build(terms: impl IntoIterator<Item = (u64, u32)>, documents: usize) -> Self {
        let idf = |df: u32| 1.0 + ((1.0 + documents as f32) / (1.0 + df as f32)).ln();
        let steps = |df| (idf(df) * IDF_STEPS).round().clamp(1.0, 255.0) as u8;
        let (index, idf) = HashIndex::build(terms.into_iter().map(|(hash, df)| (hash, steps(df))));
        Vocabulary { index, idf }
    }

    /// Puts a vocabulary together from its parts, as [`parts`](Self::parts) gave them.
    ///
    /// # Errors
    /// [`IndexError`] where they do not fit each other.
    pub fn from_parts(index: HashIndex, idf: Vec<u8>) -> Result<Self, IndexError> {
        if idf.len() != index.len() || idf.contains(&0) {
            return Err(IndexError("the idf of the vocabulary is not one number above 0 a term"));
        }
        Ok(Vocabulary { index, idf })
    }

    /// Index and idf, to be stored.
    pub fn parts(&self) -> (&HashIndex, &[u8]) {
        (&self.index, &self.idf)
    }

    /// The number of terms.
    pub fn len(&self) -> usize {
        self.idf.len()
    }

    /// Whether there are no terms.
    pub fn is_empty(&self) -> bool {
        self.idf.is_empty()
    }

    /// The term with this hash.
    #[inline]
    pub fn find(&self, hash: u64) -> Option<u32> {
        self.index.find(hash)
    }

    /// What a linear layer reads of a document: tf-idf of its known terms (with repetitions, in any order), each
    /// `(1 + ln tf) · idf`, scaled to length 1. Rising by term; empty where there is none.
    pub fn tf_idf(&self, mut known: Vec<u32>) -> Vec<(u32, f32)> {
        known.sort_unstable();
        let mut features: Vec<(u32, f32)> =
            known.chunk_by(|a, b| a == b).map(|same| (same[0], dampened(same.len()) * self.idf(same[0]))).collect();
        let norm = features.iter().map(|(_, value)| value * value).sum::<f32>().sqrt();
        features.iter_mut().for_each(|(_, value)| *value /= norm);
        features
    }

    /// The share of the training documents that have a term, from 0 to 1, as its idf tells.
    pub fn document_share(&self, term: u32) -> f32 {
        (1.0 - self.idf(term)).exp()
    }

    /// The idf of a term.
    #[inline]
    pub fn idf(&self, term: u32) -> f32 {
        f32::from(self.idf[term as usize]) / IDF_STEPS
    }
}

/// Sublinear term frequency: 1 + ln(tf).
pub fn dampened(times: usize) -> f32 {
    1.0 + (times as f32).ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rare_terms_weigh_more() {
        let vocabulary = Vocabulary::build([(1, 1), (2, 99)], 99);
        let idf = |hash| vocabulary.idf(vocabulary.find(hash).expect("it is there"));
        assert!((idf(2) - 1.0).abs() < 0.05);
        assert!((idf(1) - (1.0 + 50_f32.ln())).abs() < 0.05);
    }

    #[test]
    fn parts_that_do_not_fit_are_refused() {
        let vocabulary = Vocabulary::build([(7, 1)], 1);
        let (index, idf) = vocabulary.parts();
        assert_eq!(Vocabulary::from_parts(index.clone(), idf.to_vec()).expect("they fit"), vocabulary);
        assert!(Vocabulary::from_parts(index.clone(), vec![]).is_err());
        assert!(Vocabulary::from_parts(index.clone(), vec![0]).is_err());
    }
}
