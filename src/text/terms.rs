//! Terms: the words and word pairs of a document by which the models classify it.

use super::{Word, pair_hash};
use crate::article::Field;

/// A word or word pair of a document. Words are indices into the list of words of the document.
#[derive(Debug, Clone, Copy)]
pub struct Term {
    /// The hash of the word or pair, the key of the vocabulary.
    pub hash: u64,
    /// The first word.
    pub first: u32,
    /// The last word: equal to `first` for a word, the next for a pair.
    pub last: u32,
}

/// The words of headline and body, in this order. The dateline is excluded, because the place of filing is not the topic.
pub fn words(words: &[Word]) -> impl Iterator<Item = Term> + Clone + '_ {
    let without_dateline = words.iter().enumerate().filter(|(_, word)| word.role != Field::Dateline);
    without_dateline.map(|(i, word)| Term { hash: word.hash, first: i as u32, last: i as u32 })
}

/// The pairs of consecutive words within headline or body. No pair spans two sections.
pub fn pairs(words: &[Word]) -> impl Iterator<Item = Term> + Clone + '_ {
    let neighbours = words.iter().zip(words.iter().skip(1)).enumerate();
    neighbours.filter(|(_, (first, second))| first.role != Field::Dateline && first.section == second.section).map(
        |(i, (first, second))| Term { hash: pair_hash(first.hash, second.hash), first: i as u32, last: i as u32 + 1 },
    )
}
