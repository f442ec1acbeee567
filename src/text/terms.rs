use super::{Word, pair_hash};
use crate::article::Field;

/// A word or word pair of a document: its hash, and the words that it spans (as indices).
#[derive(Debug, Clone, Copy)]
pub struct Term {
    /// What the vocabulary knows it by.
    pub hash: u64,
    /// The first word.
    pub first: u32,
    /// The last word: the first again, or the next.
    pub last: u32,
}

/// The words of headline and body, the headline first. The dateline is not among them: where a story was filed is not what
/// it is about.
pub fn words(words: &[Word]) -> impl Iterator<Item = Term> + Clone + '_ {
    let read = words.iter().enumerate().filter(|(_, word)| word.role != Field::Dateline);
    read.map(|(i, word)| Term { hash: word.hash, first: i as u32, last: i as u32 })
}

/// The pairs of words that follow each other. Pairs do not reach from one section into the next.
pub fn pairs(words: &[Word]) -> impl Iterator<Item = Term> + Clone + '_ {
    let read = words.iter().zip(words.iter().skip(1)).enumerate();
    read.filter(|(_, (first, second))| first.role != Field::Dateline && first.section == second.section).map(
        |(i, (first, second))| Term { hash: pair_hash(first.hash, second.hash), first: i as u32, last: i as u32 + 1 },
    )
}
