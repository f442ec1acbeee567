//! The terms of an article that the topic model reads, as hashes.

use crate::{
    article::Field,
    document::Document,
    text::{Word, character_ngrams, pair_hash, pairs, words},
};
use std::ops::Range;

/// The hash of a word as it occurs in the headline, a term in addition to the word itself. Headlines have words of their own
/// ("slams", "eyes") and are the most informative part of an article.
pub fn in_headline(word: u64) -> u64 {
    const HEADLINE: u64 = 0x6865_6164_6C69_6E65;
    pair_hash(HEADLINE, word)
}

/// The hash of a word as it occurs in the opening. The headline and the first words of the body summarise the article.
pub fn in_opening(word: u64) -> u64 {
    const OPENING: u64 = 0x6C65_6164_6C65_6164;
    pair_hash(OPENING, word)
}

/// Number of words of the body that belong to the opening, after the headline.
const OPENING_BODY_WORDS: usize = 40;

/// The terms of an article, as hashes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ArticleTerms {
    /// Words of headline and body, in this order.
    pub words: Vec<u64>,
    /// Word pairs.
    pub pairs: Vec<u64>,
    /// Character n-grams; empty unless the model uses them.
    pub ngrams: Vec<u64>,
    /// Number of words in the headline.
    pub headline: usize,
}

impl ArticleTerms {
    /// The terms of a document, from its words; character n-grams only if `with_ngrams`.
    pub fn of(all_words: &[Word], document: &Document<'_>, with_ngrams: bool) -> Self {
        let mut ngrams = Vec::new();
        if with_ngrams {
            for word in all_words.iter().filter(|word| word.role != Field::Dateline) {
                character_ngrams(text_of(word, document), word.token.shape, &mut ngrams);
            }
        }
        let (mut of_words, mut of_pairs) = (Vec::with_capacity(all_words.len()), Vec::with_capacity(all_words.len()));
        of_words.extend(words(all_words).map(|term| term.hash));
        of_pairs.extend(pairs(all_words).map(|term| term.hash));
        ArticleTerms {
            words: of_words,
            pairs: of_pairs,
            ngrams,
            headline: all_words.iter().filter(|word| word.role == Field::Headline).count(),
        }
    }

    /// The words of the opening, as a range of [`words`](Self::words).
    pub fn opening(&self) -> Range<usize> {
        opening(self.words.len(), self.headline)
    }

    /// The words of the headline, as terms of the headline.
    pub fn in_headline(&self) -> impl ExactSizeIterator<Item = u64> + '_ {
        self.words[..self.headline].iter().map(|word| in_headline(*word))
    }

    /// The words of the opening, as terms of the opening.
    pub fn in_opening(&self) -> impl ExactSizeIterator<Item = u64> + '_ {
        self.words[self.opening()].iter().map(|word| in_opening(*word))
    }

    /// The words, followed by the terms of words in headline and opening.
    pub fn words_by_place(&self) -> Vec<u64> {
        self.words.iter().copied().chain(self.in_headline()).chain(self.in_opening()).collect()
    }

    /// The number of all terms.
    pub fn count(&self) -> usize {
        self.words.len() + self.pairs.len() + self.headline + self.opening().len() + self.ngrams.len()
    }
}

/// The opening of an article of `words` words, of which `headline` are in the headline, as a range of words.
pub fn opening(words: usize, headline: usize) -> Range<usize> {
    0..words.min(headline + OPENING_BODY_WORDS)
}

/// The text of a word, before normalisation.
pub fn text_of<'d>(word: &Word, document: &'d Document<'_>) -> &'d str {
    word.token.of(document.sections[word.section as usize].text.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_opening_is_the_headline_and_the_first_words_of_the_body() {
        let opening =
            |headline, words| ArticleTerms { words: vec![1; words], headline, ..Default::default() }.opening();
        assert_eq!((opening(3, 30), opening(3, 63), opening(0, 900)), (0..30, 0..43, 0..40));
    }
}
