use super::TopicError;
use crate::text::HashIndex;
use ndarray::Array2;

/// What words mean, as vectors: words that are used alike point the same way, so that an article's topic can be told from
/// words that no training article has.
///
/// A table look-up: the vectors were distilled from a sentence encoder (`data/distil.py` says how), with how telling a word is
/// as the length of its vector, so that the sum over an article's words points where the encoder would.
#[derive(Debug, Clone, PartialEq)]
pub struct WordVectors {
    index: HashIndex,
    /// Words × dimensions.
    values: Array2<i8>,
}

impl WordVectors {
    /// No vectors: articles have no dimensions.
    pub fn none() -> Self {
        WordVectors { index: HashIndex::build(std::iter::empty::<(u64, ())>()).0, values: Array2::zeros((0, 0)) }
    }

    /// Vectors of words, given by hash.
    ///
    /// # Errors
    /// [`TopicError::Tensor`] where there is not one vector a word.
    pub fn build(hashes: &[u64], vectors: &Array2<i8>) -> Result<Self, TopicError> {
        if hashes.len() != vectors.nrows() {
            return Err(TopicError::Tensor("there is not one vector a word"));
        }
        let (index, order) = HashIndex::build(hashes.iter().copied().enumerate().map(|(row, hash)| (hash, row)));
        Ok(WordVectors { index, values: vectors.select(ndarray::Axis(0), &order) })
    }

    /// Puts a table together from its parts, as [`parts`](Self::parts) gave them.
    ///
    /// # Errors
    /// [`TopicError::Tensor`] where they do not fit each other.
    pub fn from_parts(index: HashIndex, values: Array2<i8>) -> Result<Self, TopicError> {
        if values.nrows() != index.len() {
            return Err(TopicError::Tensor("the word vectors do not fit their index"));
        }
        Ok(WordVectors { index, values })
    }

    /// Index and values (words × dimensions), to be stored.
    pub fn parts(&self) -> (&HashIndex, &Array2<i8>) {
        (&self.index, &self.values)
    }

    /// The number of dimensions; 0 where there are no vectors.
    pub fn dimensions(&self) -> usize {
        self.values.ncols()
    }

    /// The number of words.
    pub fn len(&self) -> usize {
        self.values.nrows()
    }

    /// Whether there are no vectors.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The vector of a word, by hash.
    pub fn of(&self, word: u64) -> Option<&[i8]> {
        let row = self.index.find(word)? as usize;
        self.values.as_slice()?.get(row * self.dimensions()..(row + 1) * self.dimensions())
    }

    /// The sum of the vectors of some words, each times its weight, and its length.
    pub fn sum(&self, words: impl Iterator<Item = (u64, f32)>) -> (Vec<f32>, f32) {
        let mut sum = vec![0.0_f32; self.dimensions()];
        if !sum.is_empty() {
            for (vector, weight) in words.filter_map(|(word, weight)| Some((self.of(word)?, weight))) {
                sum.iter_mut().zip(vector).for_each(|(sum, value)| *sum += weight * f32::from(*value));
            }
        }
        let length = sum.iter().map(|value| value * value).sum::<f32>().sqrt();
        (sum, length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_summed() {
        let vectors = WordVectors::build(&[9 << 50, 5], &ndarray::array![[3, 0], [0, 4]]).expect("they fit");
        assert_eq!(vectors.of(5), Some(&[0, 4][..]));
        assert_eq!(vectors.sum([(5, 1.0), (9 << 50, 2.0), (77, 1.0)].into_iter()), (vec![6.0, 4.0], 52_f32.sqrt()));
        assert_eq!(vectors.sum(std::iter::empty()), (vec![0.0, 0.0], 0.0));
        assert_eq!(WordVectors::none().sum([(5, 1.0)].into_iter()), (vec![], 0.0));
        assert!(WordVectors::build(&[1], &ndarray::array![[3, 0], [0, 4]]).is_err());
    }
}
