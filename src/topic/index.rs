use super::TopicError;

/// The number of buckets is two to this: at 300,000 entries a bucket has four or five, which one cache line holds.
const BUCKET_BITS: u32 = 16;

/// Finds the place of a hash among many, in little memory.
///
/// Entries are ordered by the high 16 bits of their hash (the bucket), then by the low 32 bits (the fingerprint), so that 48
/// bits tell them apart: a hash that is not among 300,000 is taken for one that is about once in sixty million.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HashIndex {
    /// Where each bucket begins in `fingerprints`, and the end.
    buckets: Vec<u32>,
    fingerprints: Vec<u32>,
}

impl HashIndex {
    /// An index of some hashes, and what comes with each, in the order of the index. Of two with one fingerprint the one
    /// with the lesser value stays.
    pub fn build<T: Ord>(entries: impl IntoIterator<Item = (u64, T)>) -> (Self, Vec<T>) {
        let key = |hash: u64| ((hash >> (64 - BUCKET_BITS)) as u32, hash as u32);
        let mut entries: Vec<_> = entries.into_iter().map(|(hash, value)| (key(hash), value)).collect();
        entries.sort_unstable();
        entries.dedup_by(|later, kept| later.0 == kept.0);
        let mut buckets = vec![0_u32; (1 << BUCKET_BITS) + 1];
        for ((bucket, _), _) in &entries {
            buckets[*bucket as usize + 1] += 1;
        }
        for i in 1..buckets.len() {
            buckets[i] += buckets[i - 1];
        }
        let fingerprints = entries.iter().map(|((_, fingerprint), _)| *fingerprint).collect();
        (HashIndex { buckets, fingerprints }, entries.into_iter().map(|(_, value)| value).collect())
    }

    /// Puts an index together from its parts, as [`parts`](Self::parts) gave them.
    ///
    /// # Errors
    /// [`TopicError::Tensor`] where they do not fit each other.
    pub fn from_parts(buckets: Vec<u32>, fingerprints: Vec<u32>) -> Result<Self, TopicError> {
        let in_order = buckets.len() == (1 << BUCKET_BITS) + 1 && buckets[0] == 0 && buckets.is_sorted();
        if !in_order || buckets.last().map(|end| *end as usize) != Some(fingerprints.len()) {
            return Err(TopicError::Tensor("the buckets of an index are not in order, or do not fit its fingerprints"));
        }
        Ok(HashIndex { buckets, fingerprints })
    }

    /// Buckets and fingerprints, to be stored.
    pub fn parts(&self) -> (&[u32], &[u32]) {
        (&self.buckets, &self.fingerprints)
    }

    /// The number of entries.
    pub fn len(&self) -> usize {
        self.fingerprints.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.fingerprints.is_empty()
    }

    /// The place of a hash.
    #[inline]
    pub fn find(&self, hash: u64) -> Option<u32> {
        let bucket = (hash >> (64 - BUCKET_BITS)) as usize;
        let start = self.buckets[bucket] as usize;
        let in_bucket = &self.fingerprints[start..self.buckets[bucket + 1] as usize];
        in_bucket.iter().position(|fingerprint| *fingerprint == hash as u32).map(|at| (start + at) as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_found_and_others_are_not() {
        let hashes: Vec<u64> = (1..5000_u64).map(|i| i.wrapping_mul(0x9E37_79B9_7F4A_7C15)).collect();
        let (index, values) = HashIndex::build(hashes.iter().enumerate().map(|(i, hash)| (*hash, i)));
        assert_eq!(index.len(), hashes.len());
        for (i, hash) in hashes.iter().enumerate() {
            assert_eq!(values[index.find(*hash).expect("it is there") as usize], i);
        }
        assert_eq!(index.find(12345), None);
    }

    #[test]
    fn parts_that_do_not_fit_are_refused() {
        let (index, _) = HashIndex::build([(7, 0)]);
        let (buckets, fingerprints) = index.parts();
        assert_eq!(HashIndex::from_parts(buckets.to_vec(), fingerprints.to_vec()).expect("they fit"), index);
        assert!(HashIndex::from_parts(buckets.to_vec(), vec![]).is_err());
        assert!(HashIndex::from_parts(vec![0; 3], fingerprints.to_vec()).is_err());
        let mut unordered = buckets.to_vec();
        unordered[5] = 9;
        assert!(HashIndex::from_parts(unordered, fingerprints.to_vec()).is_err());
    }
}
