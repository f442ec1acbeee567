//! Vocabularies: the terms of a model with their inverse document frequencies.

use super::{HashIndex, IndexError, sort_positions};
use std::sync::LazyLock;

/// Steps per unit of idf. idf is stored in one byte in sixteenths, up to 15.9, which suffices for corpora below eight million
/// articles. Training uses the rounded values too, so that training and serving have the same features.
const IDF_STEPS: f32 = 16.0;

/// The terms of a model, by hash, with their idf. A term number is the position in the index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vocabulary {
    index: HashIndex,
    idf: Vec<u8>,
}

impl Vocabulary {
    /// Builds a vocabulary from pairs of hash and document frequency (df) in a corpus of `documents` documents.
    ///
    /// idf is `1 + ln((1 + documents) / (1 + df))`, as in scikit-learn's smooth idf.
    pub fn build(terms: impl IntoIterator<Item = (u64, u32)>, documents: usize) -> Self {
        let idf = |df: u32| 1.0 + ((1.0 + documents as f32) / (1.0 + df as f32)).ln();
        let steps = |df| (idf(df) * IDF_STEPS).round().clamp(1.0, 255.0) as u8;
        let (index, idf) = HashIndex::build(terms.into_iter().map(|(hash, df)| (hash, steps(df))));
        Vocabulary { index, idf }
    }

    /// Restores a vocabulary from its [`parts`](Self::parts).
    ///
    /// # Errors
    /// [`IndexError`] if `idf` does not have one non-zero value per term.
    pub fn from_parts(index: HashIndex, idf: Vec<u8>) -> Result<Self, IndexError> {
        if idf.len() != index.len() || idf.contains(&0) {
            return Err(IndexError("invalid vocabulary: expected one idf above 0 per term"));
        }
        Ok(Vocabulary { index, idf })
    }

    /// Index and idf in sixteenths, for storage.
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

    /// The term with this hash; `None` if unknown.
    #[inline]
    pub fn find(&self, hash: u64) -> Option<u32> {
        self.index.find(hash)
    }

    /// Appends the terms with these hashes, without unknown ones.
    pub fn find_all(&self, hashes: impl ExactSizeIterator<Item = u64>, terms: &mut Vec<u32>) {
        self.index.find_all(hashes, terms);
    }

    /// The tf-idf features of a document from its known terms, given with repetitions in any order: `(1 + ln tf) · idf` per
    /// term, scaled to length 1. Sorted by term; empty without known terms.
    pub fn tf_idf(&self, mut known: Vec<u32>) -> Vec<(u32, f32)> {
        sort_positions(&mut known, self.len());
        let mut features: Vec<(u32, f32)> = Vec::with_capacity(known.len());
        for same in known.chunk_by(|a, b| a == b) {
            features.push((same[0], dampened(same.len()) * self.idf(same[0])));
        }
        let norm = features.iter().map(|(_, value)| value * value).sum::<f32>().sqrt();
        features.iter_mut().for_each(|(_, value)| *value /= norm);
        features
    }

    /// The approximate share of the training documents that contain a term, from 0 to 1, computed from its idf.
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
    static OF_FEW: LazyLock<[f32; 64]> = LazyLock::new(|| std::array::from_fn(exact));
    fn exact(times: usize) -> f32 {
        1.0 + (times as f32).ln()
    }
    OF_FEW.get(times).copied().unwrap_or_else(|| exact(times))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rare_terms_have_a_higher_idf() {
        let vocabulary = Vocabulary::build([(1, 1), (2, 99)], 99);
        let idf = |hash| vocabulary.idf(vocabulary.find(hash).expect("a known term"));
        assert!((idf(2) - 1.0).abs() < 0.05);
        assert!((idf(1) - (1.0 + 50_f32.ln())).abs() < 0.05);
    }

    #[test]
    fn inconsistent_parts_are_rejected() {
        let vocabulary = Vocabulary::build([(7, 1)], 1);
        let (index, idf) = vocabulary.parts();
        assert_eq!(Vocabulary::from_parts(index.clone(), idf.to_vec()).expect("consistent parts"), vocabulary);
        assert!(Vocabulary::from_parts(index.clone(), vec![]).is_err());
        assert!(Vocabulary::from_parts(index.clone(), vec![0]).is_err());
    }
}
