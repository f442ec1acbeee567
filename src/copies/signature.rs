//! MinHash signatures of articles.

use crate::text::pair_hash;

/// Words of a shingle.
const SHINGLE: usize = 5;
/// Shorter articles are copies only if all words are equal.
const SHORTEST: usize = 15;

/// The smallest hash of an article's shingles under each of `HASHES` hash functions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature<const HASHES: usize>([u32; HASHES]);

impl<const HASHES: usize> Signature<HASHES> {
    /// The signature of the words of an article, without the shingles that are boilerplate; `None` if fewer are left than a
    /// short article has.
    pub fn of(words: &[u64], is_boilerplate: impl Fn(u64) -> bool) -> Option<Self> {
        if words.len() < SHORTEST {
            return None;
        }
        let mut least = [u32::MAX; HASHES];
        let mut own = 0;
        for hash in shingles(words).filter(|shingle| !is_boilerplate(*shingle)) {
            own += 1;
            for (k, least) in least.iter_mut().enumerate() {
                // Multiply-shift hashing with a fixed sequence of odd factors.
                let factor = (k as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
                *least = (*least).min(((hash ^ (hash >> 31)).wrapping_mul(factor) >> 32) as u32);
            }
        }
        (own + SHINGLE > SHORTEST).then_some(Signature(least))
    }

    /// The bands of `BAND` hashes each. Articles with a band in common may be copies: the fewer hashes, the more of those that
    /// share few shingles.
    pub fn bands<const BAND: usize>(&self) -> &[[u32; BAND]] {
        self.0.as_chunks().0
    }

    /// The share of equal hashes, an estimate of the share of common shingles (Jaccard similarity), from 0 to 1.
    pub fn similarity(&self, other: &Self) -> f32 {
        let equal = self.0.iter().zip(&other.0).filter(|(a, b)| a == b).count();
        equal as f32 / HASHES as f32
    }
}

/// The hashes of the shingles of words, in order.
pub fn shingles(words: &[u64]) -> impl Iterator<Item = u64> + '_ {
    words.windows(SHINGLE).map(|shingle| shingle.iter().copied().fold(0, pair_hash))
}

/// Identifies exact copies: a hash of the words in order.
pub fn content_hash(words: impl Iterator<Item = u64>) -> u64 {
    words.fold(0, pair_hash)
}
