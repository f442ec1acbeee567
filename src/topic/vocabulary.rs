use super::TopicError;

/// The number of buckets is two to this: at 300,000 terms a bucket has four or five, which one cache line holds.
const BUCKET_BITS: u32 = 16;
/// idf is kept in sixteenths, in a byte: up to 15.9, which no corpus below eight million articles reaches. Training uses
/// the rounded values too, so that the served features are the trained ones.
const IDF_STEPS: f32 = 16.0;

/// The words and word pairs that a model knows, by hash, with their idf.
///
/// A term is its position. Terms are ordered by the high 16 bits of their hash (the bucket), then by the low 32 bits (the
/// fingerprint), so that 48 bits tell terms apart: a word that is not in a vocabulary of 300,000 is taken for one that is
/// about once in sixty million.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vocabulary {
    /// Where each bucket begins in `fingerprints`, and the end.
    buckets: Vec<u32>,
    fingerprints: Vec<u32>,
    idf: Vec<u8>,
}

impl Vocabulary {
    /// A vocabulary of `terms`, (hash, number of documents that have it), out of `documents` documents.
    ///
    /// idf is `1 + ln((1 + documents) / (1 + df))`, as in scikit-learn's smooth idf.
    pub fn build(terms: impl IntoIterator<Item = (u64, u32)>, documents: usize) -> Self {
        let mut terms: Vec<_> = terms
            .into_iter()
            .map(|(hash, df)| {
                let idf = 1.0 + ((1.0 + documents as f32) / (1.0 + df as f32)).ln();
                ((hash >> (64 - BUCKET_BITS)) as u32, hash as u32, (idf * IDF_STEPS).round().clamp(1.0, 255.0) as u8)
            })
            .collect();
        terms.sort_unstable();
        // Of two terms with one fingerprint the commoner stays: it has the lower idf.
        terms.dedup_by_key(|(bucket, fingerprint, _)| (*bucket, *fingerprint));
        let mut buckets = vec![0_u32; (1 << BUCKET_BITS) + 1];
        for (bucket, _, _) in &terms {
            buckets[*bucket as usize + 1] += 1;
        }
        for i in 1..buckets.len() {
            buckets[i] += buckets[i - 1];
        }
        Vocabulary {
            buckets,
            fingerprints: terms.iter().map(|term| term.1).collect(),
            idf: terms.iter().map(|term| term.2).collect(),
        }
    }

    /// Puts a vocabulary together from its parts, as [`parts`](Self::parts) gave them.
    ///
    /// # Errors
    /// [`TopicError::Tensor`] where they do not fit each other.
    pub fn from_parts(buckets: Vec<u32>, fingerprints: Vec<u32>, idf: Vec<u8>) -> Result<Self, TopicError> {
        let wrong = |what| Err(TopicError::Tensor(what));
        if buckets.len() != (1 << BUCKET_BITS) + 1 || buckets[0] != 0 || !buckets.is_sorted() {
            return wrong("the buckets of the vocabulary are not in order");
        }
        if buckets.last().map(|end| *end as usize) != Some(fingerprints.len()) || idf.len() != fingerprints.len() {
            return wrong("the vocabulary's parts have different lengths");
        }
        if idf.contains(&0) {
            return wrong("an idf is 0");
        }
        Ok(Vocabulary { buckets, fingerprints, idf })
    }

    /// Buckets, fingerprints and idf, to be stored.
    pub fn parts(&self) -> (&[u32], &[u32], &[u8]) {
        (&self.buckets, &self.fingerprints, &self.idf)
    }

    /// The number of terms.
    pub fn len(&self) -> usize {
        self.fingerprints.len()
    }

    /// Whether there are no terms.
    pub fn is_empty(&self) -> bool {
        self.fingerprints.is_empty()
    }

    /// The term with this hash.
    #[inline]
    pub fn find(&self, hash: u64) -> Option<u32> {
        let bucket = (hash >> (64 - BUCKET_BITS)) as usize;
        let start = self.buckets[bucket] as usize;
        let in_bucket = &self.fingerprints[start..self.buckets[bucket + 1] as usize];
        in_bucket.iter().position(|fingerprint| *fingerprint == hash as u32).map(|at| (start + at) as u32)
    }

    /// The idf of a term.
    #[inline]
    pub fn idf(&self, term: u32) -> f32 {
        f32::from(self.idf[term as usize]) / IDF_STEPS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_are_found_and_others_are_not() {
        let hashes: Vec<u64> = (1..5000_u64).map(|i| i.wrapping_mul(0x9E37_79B9_7F4A_7C15)).collect();
        let vocabulary = Vocabulary::build(hashes.iter().map(|hash| (*hash, 3)), 100);
        assert_eq!(vocabulary.len(), hashes.len());
        let mut found: Vec<u32> = hashes.iter().map(|hash| vocabulary.find(*hash).expect("it is there")).collect();
        found.sort_unstable();
        found.dedup();
        assert_eq!(found.len(), hashes.len(), "each term has its own position");
        assert_eq!(vocabulary.find(12345), None);
    }

    #[test]
    fn rare_terms_weigh_more() {
        let vocabulary = Vocabulary::build([(1 << 50, 1), (2 << 50, 99)], 99);
        let idf = |hash| vocabulary.idf(vocabulary.find(hash).expect("it is there"));
        assert!((idf(2 << 50) - 1.0).abs() < 0.05);
        assert!((idf(1 << 50) - (1.0 + 50_f32.ln())).abs() < 0.05);
    }

    #[test]
    fn parts_that_do_not_fit_are_refused() {
        let vocabulary = Vocabulary::build([(7, 1)], 1);
        let (buckets, fingerprints, idf) = vocabulary.parts();
        assert_eq!(
            Vocabulary::from_parts(buckets.to_vec(), fingerprints.to_vec(), idf.to_vec()).expect("they fit"),
            vocabulary
        );
        assert!(Vocabulary::from_parts(buckets.to_vec(), vec![], idf.to_vec()).is_err());
        assert!(Vocabulary::from_parts(vec![0; 3], fingerprints.to_vec(), idf.to_vec()).is_err());
        let mut unordered = buckets.to_vec();
        unordered[5] = 9;
        assert!(Vocabulary::from_parts(unordered, fingerprints.to_vec(), idf.to_vec()).is_err());
    }
}
