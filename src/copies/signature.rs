//! MinHash signatures of articles.

use crate::text::pair_hash;

/// Words of a shingle.
const SHINGLE: usize = 5;
/// Bands of a signature, and hashes of a band: finds 98 of 100 pairs that share four fifths of their shingles.
const BANDS: usize = 8;
const BAND: usize = 4;
/// Two articles are copies if this many of the 32 hashes of their signatures are equal: they share about five eighths
/// of their shingles.
const ALIKE: usize = 20;
/// Shorter articles are copies only if all words are equal.
const SHORTEST: usize = 15;

/// The smallest hash of an article's shingles under each of 32 hash functions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature([u32; BANDS * BAND]);

/// A band of a signature. Articles with a band in common may be copies.
pub type Band = [u32; BAND];

impl Signature {
    /// The signature of the words of an article, without the shingles that are boilerplate; `None` if fewer are left than a
    /// short article has.
    pub fn of(words: &[u64], is_boilerplate: impl Fn(u64) -> bool) -> Option<Self> {
        if words.len() < SHORTEST {
            return None;
        }
        let mut least = [u32::MAX; BANDS * BAND];
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

    /// The bands; always as many.
    pub fn bands(&self) -> &[Band] {
        self.0.as_chunks().0
    }

    /// The share of equal hashes, an estimate of the share of common shingles, from 0 to 1.
    pub fn similarity(&self, other: &Signature) -> f32 {
        self.agreement(other) as f32 / (BANDS * BAND) as f32
    }

    /// Whether two articles share so many shingles that one is a copy of the other.
    pub fn is_copy_of(&self, other: &Signature) -> bool {
        self.agreement(other) >= ALIKE
    }

    fn agreement(&self, other: &Signature) -> usize {
        self.0.iter().zip(&other.0).filter(|(a, b)| a == b).count()
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
