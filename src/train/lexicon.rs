//! Packed rows: each different word is stored once, and rows hold the words' numbers.

use crate::{
    article::Field,
    document::Document,
    text::{Word, character_ngrams, pair_hash},
    topic::{ArticleTerms, text_of},
};
use std::collections::HashMap;

/// Marks a word that forms no pair with the word before it: the first of a headline, a body or a passage.
const BEGINS: u32 = 1 << 31;

/// The words of a row as numbers in a [`Lexicon`], four bytes each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PackedRow {
    words: Vec<u32>,
    headline: usize,
}

impl PackedRow {
    /// The number of words.
    pub fn len(&self) -> usize {
        self.words.len()
    }

    /// The number of words in the headline.
    pub fn headline(&self) -> usize {
        self.headline
    }
}

/// The words of a document as hashes, each with whether it begins a section.
pub struct Found {
    words: Vec<(u64, bool)>,
    headline: usize,
    /// The character n-grams of all words, and where those of each word end; empty if not asked for.
    ngrams: Vec<u64>,
    ends: Vec<usize>,
}

impl Found {
    /// The words of a document, with their character n-grams if asked for.
    pub fn of(words: &[Word], document: &Document<'_>, with_ngrams: bool) -> Self {
        let mut section = None;
        let read = || words.iter().filter(|word| word.role != Field::Dateline);
        let (mut ngrams, mut ends) = (Vec::new(), Vec::new());
        for word in read().filter(|_| with_ngrams) {
            character_ngrams(text_of(word, document), word.token.shape, &mut ngrams);
            ends.push(ngrams.len());
        }
        Found {
            words: read().map(|word| (word.hash, section.replace(word.section) != Some(word.section))).collect(),
            headline: words.iter().filter(|word| word.role == Field::Headline).count(),
            ngrams,
            ends,
        }
    }

    fn ngrams_of(&self, word: usize) -> &[u64] {
        let begin = if word == 0 { 0 } else { self.ends[word - 1] };
        &self.ngrams[begin..self.ends[word]]
    }
}

/// The different words of some rows, by number.
#[derive(Debug, Default)]
pub struct Lexicon {
    hashes: Vec<u64>,
    numbers: HashMap<u64, u32>,
    /// The character n-grams of each word, if stored.
    ngrams: Option<Vec<Box<[u64]>>>,
}

impl Lexicon {
    /// An empty lexicon, which stores the character n-grams of its words if asked to.
    pub fn new(with_ngrams: bool) -> Self {
        Lexicon { ngrams: with_ngrams.then(Vec::new), ..Lexicon::default() }
    }

    /// Whether it stores character n-grams.
    pub fn with_ngrams(&self) -> bool {
        self.ngrams.is_some()
    }

    /// Packs a row; new words get the next numbers.
    pub fn pack(&mut self, found: &Found) -> PackedRow {
        let words = found.words.iter().enumerate().map(|(i, (hash, begins))| {
            let number = *self.numbers.entry(*hash).or_insert_with(|| {
                self.hashes.push(*hash);
                if let Some(ngrams) = &mut self.ngrams {
                    ngrams.push(found.ngrams_of(i).into());
                }
                // Rows with two billion different words do not fit into memory.
                self.hashes.len() as u32 - 1
            });
            if *begins { number | BEGINS } else { number }
        });
        PackedRow { words: words.collect(), headline: found.headline }
    }

    /// The hashes of a row's words.
    pub fn words(&self, row: &PackedRow) -> Vec<u64> {
        row.words.iter().map(|word| self.hashes[(word & !BEGINS) as usize]).collect()
    }

    /// The terms of a row, with character n-grams if asked for and stored.
    pub fn terms(&self, row: &PackedRow, with_ngrams: bool) -> ArticleTerms {
        let words = self.words(row);
        let follows = words.windows(2).zip(&row.words[1.min(row.len())..]);
        let pairs = follows.filter(|(_, second)| **second & BEGINS == 0);
        let held = self.ngrams.iter().filter(|_| with_ngrams);
        let ngrams = held.flat_map(|held| row.words.iter().flat_map(|word| &held[(word & !BEGINS) as usize]));
        ArticleTerms {
            pairs: pairs.map(|(pair, _)| pair_hash(pair[0], pair[1])).collect(),
            ngrams: ngrams.copied().collect(),
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
        let mut lexicon = Lexicon::new(true);
        let body = "LISBON, March 3 (Wire) - Ferries stopped in the harbour on Monday. Ferries stopped again.";
        for (headline, body) in [("Ferries stopped", body), ("", body), ("Ferries stopped", ""), ("", "")] {
            let article = Article { headline: headline.into(), body: body.into(), ..Article::default() };
            let mut words = Vec::new();
            let document = clean_article(&article);
            words_into(&document, &mut words);
            let packed = lexicon.pack(&Found::of(&words, &document, true));
            for with_ngrams in [false, true] {
                let terms = ArticleTerms::of(&words, &document, with_ngrams);
                assert_eq!(lexicon.terms(&packed, with_ngrams), terms, "{headline:?} {body:?}");
            }
        }
    }
}
