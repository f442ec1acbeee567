use crate::{
    article::Field,
    document::Document,
    text::{Word, character_ngrams, pair_hash, pairs, words},
};
use std::ops::Range;

/// The hash of a word as it occurs in the headline. The vocabulary holds it beside the word itself: headlines have words of
/// their own ("slams", "eyes") and say most of what an article is about.
pub fn in_headline(word: u64) -> u64 {
    const HEADLINE: u64 = 0x6865_6164_6C69_6E65;
    pair_hash(HEADLINE, word)
}

/// The hash of a word as it occurs in the opening: the headline and the first words of the body sum the story up.
pub fn in_opening(word: u64) -> u64 {
    const OPENING: u64 = 0x6C65_6164_6C65_6164;
    pair_hash(OPENING, word)
}

/// The opening is the headline and this many words of the body.
const OPENING_BODY_WORDS: usize = 40;

/// The terms of an article, as hashes: all that the topic model reads of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ArticleTerms {
    /// Its words, those of the headline first.
    pub words: Vec<u64>,
    /// Its word pairs.
    pub pairs: Vec<u64>,
    /// Its character n-grams; empty unless the model reads them.
    pub ngrams: Vec<u64>,
    /// How many of the words stand in the headline.
    pub headline: usize,
}

impl ArticleTerms {
    /// The terms among the words of a document; its character n-grams only if asked for.
    pub fn of(found: &[Word], document: &Document<'_>, with_ngrams: bool) -> Self {
        let mut ngrams = Vec::new();
        if with_ngrams {
            for word in found.iter().filter(|word| word.role != Field::Dateline) {
                character_ngrams(text_of(word, document), word.token.shape, &mut ngrams);
            }
        }
        ArticleTerms {
            words: words(found).map(|term| term.hash).collect(),
            pairs: pairs(found).map(|term| term.hash).collect(),
            ngrams,
            headline: found.iter().filter(|word| word.role == Field::Headline).count(),
        }
    }

    /// The words of the opening, as a range of all words.
    pub fn opening(&self) -> Range<usize> {
        opening(self.words.len(), self.headline)
    }

    /// The words of headline and opening once more, as [`in_headline`] and [`in_opening`].
    fn placed(&self) -> impl Iterator<Item = u64> + '_ {
        let headline = self.words[..self.headline].iter().map(|word| in_headline(*word));
        headline.chain(self.words[self.opening()].iter().map(|word| in_opening(*word)))
    }

    /// The words, and those of headline and opening once more.
    pub fn words_by_place(&self) -> Vec<u64> {
        self.words.iter().copied().chain(self.placed()).collect()
    }

    /// All terms except the plain words.
    pub fn others(&self) -> impl Iterator<Item = u64> + '_ {
        self.pairs.iter().copied().chain(self.placed()).chain(self.ngrams.iter().copied())
    }
}

/// The opening of an article with this many words, of which `headline` stand in the headline.
pub fn opening(words: usize, headline: usize) -> Range<usize> {
    0..words.min(headline + OPENING_BODY_WORDS)
}

/// A word as it is written.
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
