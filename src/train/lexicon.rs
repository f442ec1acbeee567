//! Rows in little room: each different word is held once, and rows say which they have.

use crate::{
    article::Field,
    text::{Word, pair_hash},
    topic::ArticleTerms,
};
use std::collections::HashMap;

/// Set in a word's number where it makes no pair with the word before it: a headline, a body or a passage begins.
const BEGINS: u32 = 1 << 31;

/// The words of a row, four bytes each, as numbers in a [`Lexicon`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PackedRow {
    words: Vec<u32>,
    headline: usize,
}

impl PackedRow {
    /// How many words it has.
    pub fn len(&self) -> usize {
        self.words.len()
    }

    /// How many of them stand in the headline.
    pub fn headline(&self) -> usize {
        self.headline
    }

    /// The first words, as a headline.
    pub fn first(&self, words: usize) -> Self {
        PackedRow { words: self.words[..words].to_vec(), headline: words }
    }

    /// All words, as a body.
    pub fn body(&self) -> Self {
        PackedRow { headline: 0, ..self.clone() }
    }

    /// Appends words of another row to the body: those `from..from + words`.
    pub fn append(&mut self, other: &PackedRow, from: usize, words: usize) {
        let begin = self.words.len();
        self.words.extend(&other.words[from..from + words]);
        if let Some(first) = self.words.get_mut(begin) {
            *first |= BEGINS;
        }
    }
}

/// The words that a document is read by, as hashes, with whether each begins a section.
pub struct Found {
    words: Vec<(u64, bool)>,
    headline: usize,
}

impl Found {
    /// Those among the words of a document.
    pub fn of(words: &[Word]) -> Self {
        let mut section = None;
        let read = words.iter().filter(|word| word.role != Field::Dateline);
        Found {
            words: read.map(|word| (word.hash, section.replace(word.section) != Some(word.section))).collect(),
            headline: words.iter().filter(|word| word.role == Field::Headline).count(),
        }
    }
}

/// The different words of some rows, by number.
#[derive(Debug, Default)]
pub struct Lexicon {
    hashes: Vec<u64>,
    numbers: HashMap<u64, u32>,
}

impl Lexicon {
    /// Packs a row, whose new words get the next numbers.
    pub fn pack(&mut self, found: &Found) -> PackedRow {
        let words = found.words.iter().map(|(hash, begins)| {
            let number = *self.numbers.entry(*hash).or_insert_with(|| {
                self.hashes.push(*hash);
                // Two billion different words do not fit into memory as rows.
                self.hashes.len() as u32 - 1
            });
            if *begins { number | BEGINS } else { number }
        });
        PackedRow { words: words.collect(), headline: found.headline }
    }

    /// The words of a row, as hashes.
    pub fn words(&self, row: &PackedRow) -> Vec<u64> {
        row.words.iter().map(|word| self.hashes[(word & !BEGINS) as usize]).collect()
    }

    /// The terms of a row.
    pub fn terms(&self, row: &PackedRow) -> ArticleTerms {
        let words = self.words(row);
        let follows = words.windows(2).zip(&row.words[1.min(row.len())..]);
        let pairs = follows.filter(|(_, second)| **second & BEGINS == 0);
        ArticleTerms {
            pairs: pairs.map(|(pair, _)| pair_hash(pair[0], pair[1])).collect(),
            words,
            headline: row.headline,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{article::Article, model::clean_article, text::words_into};

    #[test]
    fn a_packed_row_has_the_terms_of_its_article() {
        let mut lexicon = Lexicon::default();
        let body = "LISBON, March 3 (Wire) - Ferries stopped in the harbour on Monday. Ferries stopped again.";
        for (headline, body) in [("Ferries stopped", body), ("", body), ("Ferries stopped", ""), ("", "")] {
            let article = Article { headline: headline.into(), body: body.into(), ..Article::default() };
            let mut words = Vec::new();
            words_into(&clean_article(&article), &mut words);
            let packed = lexicon.pack(&Found::of(&words));
            assert_eq!(lexicon.terms(&packed), ArticleTerms::of(&words), "{headline:?} {body:?}");
        }
    }

    #[test]
    fn appended_words_make_no_pair_with_those_before() {
        let mut lexicon = Lexicon::default();
        let found = |words: &[u64]| Found { words: words.iter().map(|word| (*word, false)).collect(), headline: 0 };
        let (mut row, other) = (lexicon.pack(&found(&[1, 2])), lexicon.pack(&found(&[3, 4, 5, 6])));
        row.append(&other, 1, 2);
        row.append(&other, 0, 0);
        let terms = lexicon.terms(&row);
        assert_eq!(terms.words, [1, 2, 4, 5]);
        assert_eq!(terms.pairs, [pair_hash(1, 2), pair_hash(4, 5)]);
        assert_eq!(lexicon.terms(&row.first(1)).words, [1]);
    }
}
