//! A compact hash index: maps 64-bit hashes to consecutive positions.

use super::IndexError;
use fearless_simd::{Level, Simd, dispatch, prelude::*, u32x8};

/// Maximum mean number of entries per bucket, so that a bucket fits into one cache line. Larger indexes exceed it; see
/// [`MAX_BUCKET_BITS`].
const PER_BUCKET: usize = 4;
/// Binary logarithm of the maximum number of buckets.
const MAX_BUCKET_BITS: u32 = 20;

/// A compact set of hashes that gives the position of each.
///
/// Entries are sorted by the high bits of their hash (the bucket), then by the low 32 bits (the fingerprint). With four
/// entries per bucket, the false positive rate for an absent hash is about 10⁻⁹. A look-up reads one half of a cache line,
/// unless the bucket has more entries than fit there, and takes the same steps whether the hash is present or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HashIndex {
    buckets: Vec<Bucket>,
    /// The positions and fingerprints of the entries that do not fit into their bucket.
    overflow: Vec<(u32, u32)>,
}

/// Number of fingerprints that are stored in a bucket itself.
const IN_BUCKET: usize = 7;
/// Number of bits of the position of an entry.
const POSITION_BITS: u32 = 28;

/// The entries of an index that share the high bits of their hash.
///
/// The first number has in its low [`POSITION_BITS`] bits the position of the first entry, and above them the number of
/// entries, at most `IN_BUCKET + 1`, which stands for any greater number. The others are the fingerprints of the first
/// entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(align(32))]
struct Bucket([u32; 1 + IN_BUCKET]);

impl Bucket {
    fn new(start: u32, entries: &[u32]) -> Self {
        let mut numbers = [0; 1 + IN_BUCKET];
        numbers[0] = start | (entries.len().min(IN_BUCKET + 1) as u32) << POSITION_BITS;
        numbers[1..].iter_mut().zip(entries).for_each(|(slot, fingerprint)| *slot = *fingerprint);
        Bucket(numbers)
    }

    #[inline(always)]
    fn start(&self) -> u32 {
        self.0[0] & ((1 << POSITION_BITS) - 1)
    }

    #[inline(always)]
    fn length(&self) -> u32 {
        self.0[0] >> POSITION_BITS
    }
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
        let mut starts = vec![0_u32; n_buckets + 1];
        for ((bucket, _), _) in &entries {
            starts[*bucket as usize + 1] += 1;
        }
        for i in 1..starts.len() {
            starts[i] += starts[i - 1];
        }
        let fingerprints: Vec<u32> = entries.iter().map(|((_, fingerprint), _)| *fingerprint).collect();
        (HashIndex::of_sorted(&starts, &fingerprints), entries.into_iter().map(|(_, value)| value).collect())
    }

    /// Restores an index from its [`parts`](Self::parts).
    ///
    /// # Errors
    /// [`IndexError`] if the buckets are not sorted, not a power of two, or do not match the fingerprints.
    pub fn from_parts(starts: &[u32], fingerprints: Vec<u32>) -> Result<Self, IndexError> {
        let n_buckets = starts.len().wrapping_sub(1);
        let in_order =
            n_buckets.is_power_of_two() && n_buckets <= 1 << MAX_BUCKET_BITS && starts[0] == 0 && starts.is_sorted();
        let is_complete = starts.last().map(|end| *end as usize) == Some(fingerprints.len());
        if !in_order || !is_complete || fingerprints.len() >= 1 << POSITION_BITS {
            return Err(IndexError("invalid index: its buckets are not sorted or do not match its fingerprints"));
        }
        Ok(HashIndex::of_sorted(starts, &fingerprints))
    }

    /// `starts` holds the start of each bucket in `fingerprints`, followed by the length of `fingerprints`.
    fn of_sorted(starts: &[u32], fingerprints: &[u32]) -> Self {
        let mut buckets = Vec::with_capacity(starts.len());
        let mut overflow = Vec::new();
        for ends in starts.windows(2) {
            let entries = &fingerprints[ends[0] as usize..ends[1] as usize];
            buckets.push(Bucket::new(ends[0], entries));
            overflow.extend((ends[0]..).zip(entries.iter().copied()).skip(IN_BUCKET));
        }
        // The last bucket ends where this one starts.
        buckets.push(Bucket::new(fingerprints.len() as u32, &[]));
        overflow.shrink_to_fit();
        HashIndex { buckets, overflow }
    }

    /// The start of each bucket, followed by the number of entries, and the fingerprints, for storage.
    pub fn parts(&self) -> (Vec<u32>, Vec<u32>) {
        let mut fingerprints = vec![0; self.len()];
        for bucket in &self.buckets {
            let slots = fingerprints[bucket.start() as usize..].iter_mut().take(bucket.length() as usize);
            slots.zip(&bucket.0[1..]).for_each(|(slot, fingerprint)| *slot = *fingerprint);
        }
        for (at, fingerprint) in &self.overflow {
            fingerprints[*at as usize] = *fingerprint;
        }
        (self.buckets.iter().map(Bucket::start).collect(), fingerprints)
    }

    /// The number of entries.
    pub fn len(&self) -> usize {
        self.buckets[self.buckets.len() - 1].start() as usize
    }

    /// Whether the index has no entries.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The position of a hash; `None` if absent.
    #[inline]
    pub fn find(&self, hash: u64) -> Option<u32> {
        let bucket = &self.buckets[bucket(hash, self.buckets.len() - 1)];
        let is_equal = |number: &u32| u32::from(*number == hash as u32);
        let equal = bucket.0.iter().enumerate().fold(0, |equal, (i, number)| equal | is_equal(number) << i);
        let (at, found) = self.position_in(bucket, hash, equal);
        found.then_some(at)
    }

    /// Appends the positions of those of `hashes` that are present, in their order.
    pub fn find_all(&self, hashes: impl ExactSizeIterator<Item = u64>, positions: &mut Vec<u32>) {
        let mut end = positions.len();
        positions.resize(end + hashes.len(), 0);
        dispatch!(Level::new(), simd => self.probe_all(simd, hashes, |at, found| {
            positions[end] = at;
            end += usize::from(found);
        }));
        positions.truncate(end);
    }

    /// The positions of those hashes that are present, each with the value that accompanies it.
    pub fn find_all_with<T: Copy + Default>(&self, entries: &[(u64, T)]) -> Vec<(u32, T)> {
        let mut positions = vec![(0, T::default()); entries.len()];
        let mut end = 0;
        let mut values = entries.iter().map(|(_, value)| *value);
        dispatch!(Level::new(), simd => self.probe_all(simd, entries.iter().map(|(hash, _)| *hash), |at, found| {
            positions[end] = (at, values.next().unwrap_or_default());
            end += usize::from(found);
        }));
        positions.truncate(end);
        positions
    }

    /// Calls `take` for each hash with its position and `true`, or any number and `false` if it is absent. Without a branch
    /// on whether a hash is present, the processor looks several hashes up at the same time.
    #[inline(always)]
    fn probe_all<S: Simd>(&self, simd: S, hashes: impl Iterator<Item = u64>, mut take: impl FnMut(u32, bool)) {
        for hash in hashes {
            let bucket = &self.buckets[bucket(hash, self.buckets.len() - 1)];
            let numbers = u32x8::from_slice(simd, &bucket.0);
            let equal = numbers.simd_eq(u32x8::splat(simd, hash as u32)).to_bitmask();
            let (at, found) = self.position_in(bucket, hash, equal as u32);
            take(at, found);
        }
    }

    /// The position of a hash and `true`, or any number and `false` if it is absent. `equal` is the bit set of the numbers
    /// of its bucket that are equal to its fingerprint.
    #[inline(always)]
    fn position_in(&self, bucket: &Bucket, hash: u64, equal: u32) -> (u32, bool) {
        let entries = (equal >> 1) & ((1 << bucket.length()) - 1);
        if bucket.length() as usize > IN_BUCKET && entries == 0 {
            return self.position_in_rest(hash);
        }
        (bucket.start() + entries.trailing_zeros(), entries != 0)
    }

    /// Looks a hash up among the entries of its bucket that do not fit into it.
    #[cold]
    fn position_in_rest(&self, hash: u64) -> (u32, bool) {
        let bucket = bucket(hash, self.buckets.len() - 1);
        let (start, end) = (self.buckets[bucket].start(), self.buckets[bucket + 1].start());
        let rest = &self.overflow[self.overflow.partition_point(|(at, _)| *at < start)..];
        let mut rest = rest.iter().take_while(|(at, _)| *at < end);
        match rest.find(|(_, fingerprint)| *fingerprint == hash as u32) {
            Some((at, _)) => (*at, true),
            None => (0, false),
        }
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
        let mut found = vec![7];
        index.find_all([12345, hashes[9], 1, hashes[4]].into_iter(), &mut found);
        assert_eq!(found.iter().map(|at| values.get(*at as usize)).collect::<Vec<_>>()[1..], [Some(&9), Some(&4)]);
    }

    #[test]
    fn a_bucket_may_have_more_entries_than_fit_into_it() {
        // All hashes have the same high bits.
        let (index, values) = HashIndex::build((0..100_u64).map(|i| (i * 3, i)));
        for i in 0..100 {
            assert_eq!(values[index.find(i * 3).expect("an indexed hash") as usize], i);
            assert_eq!(index.find(i * 3 + 1), None);
        }
        let (starts, fingerprints) = index.parts();
        assert_eq!(HashIndex::from_parts(&starts, fingerprints.clone()).expect("consistent parts"), index);
    }

    #[test]
    fn a_slot_without_an_entry_matches_no_hash() {
        let (index, _) = HashIndex::build([(1_u64 << 32, ())]);
        assert_eq!(index.find(1 << 32), Some(0), "its fingerprint is 0");
        let (empty, _) = HashIndex::build::<()>([]);
        assert_eq!(empty.find(0), None);
    }

    #[test]
    fn inconsistent_parts_are_rejected() {
        let (index, _) = HashIndex::build([(7, 0)]);
        let (starts, fingerprints) = index.parts();
        assert_eq!(HashIndex::from_parts(&starts, fingerprints.clone()).expect("consistent parts"), index);
        assert!(HashIndex::from_parts(&starts, vec![]).is_err());
        assert!(HashIndex::from_parts(&[0; 4], fingerprints.to_vec()).is_err());
        let (index, _) = HashIndex::build((1..100_u64).map(|i| (i << 57, i)));
        let (mut starts, fingerprints) = index.parts();
        starts[5] = 99;
        assert!(HashIndex::from_parts(&starts, fingerprints.clone()).is_err());
    }
}
