//! A compact hash index: maps 64-bit hashes to consecutive positions.

use super::IndexError;

/// Maximum mean number of entries per bucket, so that a bucket fits into one cache line. Larger indexes exceed it; see
/// [`MAX_BUCKET_BITS`].
const PER_BUCKET: usize = 4;
/// Binary logarithm of the maximum number of buckets.
const MAX_BUCKET_BITS: u32 = 20;

/// A compact set of hashes that gives the position of each.
///
/// Entries are sorted by the high bits of their hash (the bucket), then by the low 32 bits (the fingerprint). With four entries
/// per bucket, the false positive rate for an absent hash is about 10⁻⁹.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HashIndex {
    /// The start of each bucket in `fingerprints`, followed by the length of `fingerprints`.
    buckets: Vec<u32>,
    fingerprints: Vec<u32>,
}

impl HashIndex {
    /// Builds an index of hashes and returns it with their values in the order of the index. Of two entries with the same
    /// bucket and fingerprint, the one with the smaller value is kept.
    pub fn build<T: Ord>(entries: impl IntoIterator<Item = (u64, T)>) -> (Self, Vec<T>) {
        let entries: Vec<_> = entries.into_iter().collect();
        let n_buckets = entries.len().div_ceil(PER_BUCKET).next_power_of_two().min(1 << MAX_BUCKET_BITS);
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

    /// Restores an index from its [`parts`](Self::parts).
    ///
    /// # Errors
    /// [`IndexError`] if the buckets are not sorted, not a power of two, or do not match the fingerprints.
    pub fn from_parts(buckets: Vec<u32>, fingerprints: Vec<u32>) -> Result<Self, IndexError> {
        let n_buckets = buckets.len().wrapping_sub(1);
        let in_order =
            n_buckets.is_power_of_two() && n_buckets <= 1 << MAX_BUCKET_BITS && buckets[0] == 0 && buckets.is_sorted();
        if !in_order || buckets.last().map(|end| *end as usize) != Some(fingerprints.len()) {
            return Err(IndexError("invalid index: its buckets are not sorted or do not match its fingerprints"));
        }
        Ok(HashIndex { buckets, fingerprints })
    }

    /// Buckets and fingerprints, for storage.
    pub fn parts(&self) -> (&[u32], &[u32]) {
        (&self.buckets, &self.fingerprints)
    }

    /// The number of entries.
    pub fn len(&self) -> usize {
        self.fingerprints.len()
    }

    /// Whether the index has no entries.
    pub fn is_empty(&self) -> bool {
        self.fingerprints.is_empty()
    }

    /// The position of a hash; `None` if absent.
    #[inline]
    pub fn find(&self, hash: u64) -> Option<u32> {
        let bucket = bucket(hash, self.buckets.len() - 1);
        let start = self.buckets[bucket] as usize;
        let in_bucket = &self.fingerprints[start..self.buckets[bucket + 1] as usize];
        in_bucket.iter().position(|fingerprint| *fingerprint == hash as u32).map(|at| (start + at) as u32)
    }
}

/// The bucket of a hash. `n_buckets` is a power of two.
#[inline]
fn bucket(hash: u64, n_buckets: usize) -> usize {
    // Two shifts, because a single bucket would need a shift by 64 bits.
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
            assert_eq!(values[index.find(*hash).expect("an indexed hash") as usize], i);
        }
        assert_eq!(index.find(12345), None);
    }

    #[test]
    fn inconsistent_parts_are_rejected() {
        let (index, _) = HashIndex::build([(7, 0)]);
        let (buckets, fingerprints) = index.parts();
        assert_eq!(HashIndex::from_parts(buckets.to_vec(), fingerprints.to_vec()).expect("consistent parts"), index);
        assert!(HashIndex::from_parts(buckets.to_vec(), vec![]).is_err());
        assert!(HashIndex::from_parts(vec![0; 4], fingerprints.to_vec()).is_err());
        let (index, _) = HashIndex::build((1..100_u64).map(|i| (i << 57, i)));
        let (buckets, fingerprints) = index.parts();
        let mut unordered = buckets.to_vec();
        unordered[5] = 99;
        assert!(HashIndex::from_parts(unordered, fingerprints.to_vec()).is_err());
    }
}
