use super::IndexError;

/// A bucket has so many entries in the mean, at most: one cache line holds them.
const PER_BUCKET: usize = 4;
/// The number of buckets is two to this, at most.
const MOST_BUCKET_BITS: u32 = 20;

/// Finds the place of a hash among many, in little memory.
///
/// Entries are ordered by the high bits of their hash (the bucket), then by the low 32 bits (the fingerprint). With four
/// entries a bucket, a hash that is not among them is taken for one that is about once in a thousand million.
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
        let entries: Vec<_> = entries.into_iter().collect();
        let n_buckets = entries.len().div_ceil(PER_BUCKET).next_power_of_two().min(1 << MOST_BUCKET_BITS);
        let key = |hash: u64| (bucket(hash, n_buckets) as u32, hash as u32);
        let mut entries: Vec<_> = entries.into_iter().map(|(hash, value)| (key(hash), value)).collect();
        entries.sort_unstable();
        entries.dedup_by(|later, kept| later.0 == kept.0);
        let mut buckets = vec![0_u32; n_buckets + 1];
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
    /// [`IndexError`] where they do not fit each other.
    pub fn from_parts(buckets: Vec<u32>, fingerprints: Vec<u32>) -> Result<Self, IndexError> {
        let n_buckets = buckets.len().wrapping_sub(1);
        let in_order =
            n_buckets.is_power_of_two() && n_buckets <= 1 << MOST_BUCKET_BITS && buckets[0] == 0 && buckets.is_sorted();
        if !in_order || buckets.last().map(|end| *end as usize) != Some(fingerprints.len()) {
            return Err(IndexError("the buckets of an index are not in order, or do not fit its fingerprints"));
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
        let bucket = bucket(hash, self.buckets.len() - 1);
        let start = self.buckets[bucket] as usize;
        let in_bucket = &self.fingerprints[start..self.buckets[bucket + 1] as usize];
        in_bucket.iter().position(|fingerprint| *fingerprint == hash as u32).map(|at| (start + at) as u32)
    }
}

/// The bucket of a hash among a power of two of them.
#[inline]
fn bucket(hash: u64, n_buckets: usize) -> usize {
    // Shifted twice: one bucket would need a shift by 64.
    (hash >> 1 >> (63 - n_buckets.trailing_zeros())) as usize
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
        assert!(HashIndex::from_parts(vec![0; 4], fingerprints.to_vec()).is_err());
        let (index, _) = HashIndex::build((1..100_u64).map(|i| (i << 57, i)));
        let (buckets, fingerprints) = index.parts();
        let mut unordered = buckets.to_vec();
        unordered[5] = 99;
        assert!(HashIndex::from_parts(unordered, fingerprints.to_vec()).is_err());
    }
}
