//! Static word vectors, looked up by word hash.

use super::TopicError;
use crate::text::HashIndex;
use fearless_simd::{Level, dispatch};
use ndarray::Array2;

/// The sum is computed for this many dimensions at once, which fit into registers.
const LANES: usize = 64;

/// Word vectors. Words with similar use have vectors of similar direction, so that the model generalises to words that are
/// not in the training articles.
///
/// The vectors are distilled from a sentence encoder by `data/distil.py`. The length of a vector is the importance of its
/// word, so that the sum over an article's words approximates the direction of the encoder's embedding.
#[derive(Debug, Clone, PartialEq)]
pub struct WordVectors {
    index: HashIndex,
    /// Words × dimensions.
    values: Array2<i8>,
}

impl WordVectors {
    /// An empty table with 0 dimensions.
    pub fn none() -> Self {
        WordVectors { index: HashIndex::build(std::iter::empty::<(u64, ())>()).0, values: Array2::zeros((0, 0)) }
    }

    /// Builds a table from word hashes and their vectors (words × dimensions).
    ///
    /// # Errors
    /// [`TopicError::Tensor`] if there is not one vector per word.
    pub fn build(hashes: &[u64], vectors: &Array2<i8>) -> Result<Self, TopicError> {
        if hashes.len() != vectors.nrows() {
            return Err(TopicError::Tensor("invalid word vectors: expected one vector per word"));
        }
        let (index, order) = HashIndex::build(hashes.iter().copied().enumerate().map(|(row, hash)| (hash, row)));
        Ok(WordVectors { index, values: vectors.select(ndarray::Axis(0), &order) })
    }

    /// Restores a table from its [`parts`](Self::parts).
    ///
    /// # Errors
    /// [`TopicError::Tensor`] if index and values have different numbers of words.
    pub fn from_parts(index: HashIndex, values: Array2<i8>) -> Result<Self, TopicError> {
        if values.nrows() != index.len() {
            return Err(TopicError::Tensor("invalid word vectors: their number differs from that of the index"));
        }
        Ok(WordVectors { index, values })
    }

    /// Index and values (words × dimensions), for storage.
    pub fn parts(&self) -> (&HashIndex, &Array2<i8>) {
        (&self.index, &self.values)
    }

    /// The number of dimensions; 0 for an empty table.
    pub fn dimensions(&self) -> usize {
        self.values.ncols()
    }

    /// The number of words.
    pub fn len(&self) -> usize {
        self.values.nrows()
    }

    /// Whether the table is empty.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The vector of a word, by hash; `None` if unknown.
    pub fn of(&self, word: u64) -> Option<&[i8]> {
        let row = self.index.find(word)? as usize;
        self.values.as_slice()?.get(row * self.dimensions()..(row + 1) * self.dimensions())
    }

    /// The weighted sum of the vectors of words, and its Euclidean norm. Words without a vector are ignored.
    pub fn sum(&self, words: &[(u64, f32)]) -> (Vec<f32>, f32) {
        let mut sum = vec![0.0_f32; self.dimensions()];
        if !sum.is_empty() {
            let rows = self.index.find_all_with(words);
            dispatch!(Level::new(), _simd => self.add_rows(&rows, &mut sum));
        }
        let length = sum.iter().map(|value| value * value).sum::<f32>().sqrt();
        (sum, length)
    }

    /// Adds the vectors of some rows, each with a weight, to `sum`.
    #[inline(always)]
    fn add_rows(&self, rows: &[(u32, f32)], sum: &mut [f32]) {
        let Some(values) = self.values.as_slice() else { return };
        let start = |row: u32| row as usize * self.dimensions();
        let (chunks, rest) = sum.as_chunks_mut::<LANES>();
        let from_rest = chunks.len() * LANES;
        for (i, chunk) in chunks.iter_mut().enumerate() {
            let mut lanes = *chunk;
            for (row, weight) in rows {
                if let Some(vector) = values[start(*row) + i * LANES..].first_chunk::<LANES>() {
                    lanes.iter_mut().zip(vector).for_each(|(sum, value)| *sum += weight * f32::from(*value));
                }
            }
            *chunk = lanes;
        }
        for (row, weight) in rows {
            let vector = &values[start(*row) + from_rest..][..rest.len()];
            rest.iter_mut().zip(vector).for_each(|(sum, value)| *sum += weight * f32::from(*value));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_are_summed() {
        let vectors = WordVectors::build(&[9 << 50, 5], &ndarray::array![[3, 0], [0, 4]]).expect("one vector per word");
        assert_eq!(vectors.of(5), Some(&[0, 4][..]));
        assert_eq!(vectors.sum(&[(5, 1.0), (9 << 50, 2.0), (77, 1.0)]), (vec![6.0, 4.0], 52_f32.sqrt()));
        assert_eq!(vectors.sum(&[]), (vec![0.0, 0.0], 0.0));
        assert_eq!(WordVectors::none().sum(&[(5, 1.0)]), (vec![], 0.0));
        assert!(WordVectors::build(&[1], &ndarray::array![[3, 0], [0, 4]]).is_err());
    }
}
