//! Hashes of words, word pairs and character n-grams, the features of the models.

use super::tokenizer::{Shape, Token, tokens};
use crate::{
    article::{Evidence, Field},
    document::Document,
};
use std::ops::RangeInclusive;
use xxhash_rust::xxh3::xxh3_64;

/// A word of a document.
#[derive(Debug, Clone, Copy)]
pub struct Word {
    /// Its position in the text of its section, and its shape.
    pub token: Token,
    /// The section, as an index into [`Document::sections`].
    pub section: u8,
    /// The role of the section.
    pub role: Field,
    /// The hash of its normal form; see [`word_hash`].
    pub hash: u64,
}

/// Replaces the content of `words` by the words of a document, section by section.
pub fn words_into(document: &Document<'_>, words: &mut Vec<Word>) {
    words.clear();
    // English has about six bytes per word.
    words.reserve(document.sections.iter().map(|section| section.text.as_str().len()).sum::<usize>() / 5);
    let mut buffer = Vec::with_capacity(64);
    for (section, part) in document.sections.iter().enumerate() {
        let text = part.text.as_str();
        words.extend(tokens(text).map(|token| Word {
            token,
            section: section as u8,
            role: part.role,
            hash: token_hash(&token, text, &mut buffer),
        }));
    }
}

/// The passage from word `first` to word `last` as evidence, with offsets in the field as the client sent it.
pub fn evidence_at(document: &Document<'_>, first: &Word, last: &Word, weight: f32) -> Evidence {
    let section = &document.sections[first.section as usize];
    let range = first.token.start as usize..last.token.end as usize;
    let source = section.text.source(range.clone());
    Evidence {
        term: section.text.as_str()[range].to_owned(),
        field: section.origin,
        // Offsets fit in u32: articles have at most 2 MiB.
        start: source.start as u32,
        end: source.end as u32,
        weight,
    }
}

/// The hash of a word's normal form: lower case, straight apostrophe, no final full stop (`U.S.` and `U.S` are equal). In
/// numbers without letters and slashes, each digit becomes 0, so that "$12" and "$47" are equal, as are all years; numbers
/// that are names (`26/11`, `1990s`) are unchanged.
///
/// The hash is XXH3 with 64 bits, which is the same on every platform.
pub fn word_hash(word: &str, shape: Shape, buffer: &mut Vec<u8>) -> u64 {
    buffer.clear();
    push_normal_form(word, shape, buffer);
    xxh3_64(buffer)
}

/// The hash of a token of `text`; see [`word_hash`].
#[inline]
fn token_hash(token: &Token, text: &str, buffer: &mut Vec<u8>) -> u64 {
    /// Longer words, and those near the end of the text, take the general way, which gives the same hash.
    const SHORT: usize = 16;
    let (start, end) = (token.start as usize, token.end as usize);
    let bytes = text.as_bytes();
    if token.shape != Shape::Number
        && end - start <= SHORT
        && let Some(block) = bytes[start..].first_chunk::<SHORT>()
        && block[..end - start].is_ascii()
        && bytes[end - 1] != b'.'
    {
        // All of the block is converted, which takes fewer instructions than a loop over the word.
        let lower_case = block.map(|byte| byte.to_ascii_lowercase());
        return xxh3_64(&lower_case[..end - start]);
    }
    word_hash(token.of(text), token.shape, buffer)
}

/// Appends the normal form of a word, in UTF-8; see [`word_hash`].
fn push_normal_form(word: &str, shape: Shape, buffer: &mut Vec<u8>) {
    let begin = buffer.len();
    if word.is_ascii() {
        buffer.extend(word.bytes().map(|byte| byte.to_ascii_lowercase()));
    } else {
        let mut utf8 = [0; 4];
        // Drop the combining dot above, which lower-casing "İ" gives.
        for c in word.chars().flat_map(char::to_lowercase).filter(|c| *c != '\u{307}') {
            let c = match c {
                '\u{2019}' => '\'',
                '\u{2013}' => '-',
                c => c,
            };
            buffer.extend_from_slice(c.encode_utf8(&mut utf8).as_bytes());
        }
    }
    if buffer.len() > begin && buffer.last() == Some(&b'.') {
        buffer.pop();
    }
    let form = &mut buffer[begin..];
    if shape == Shape::Number && !form.iter().any(|byte| byte.is_ascii_alphabetic() || *byte == b'/') {
        for byte in form.iter_mut().filter(|byte| byte.is_ascii_digit()) {
            *byte = b'0';
        }
    }
}

/// Lengths of the character n-grams, in characters.
const NGRAM_LENGTHS: RangeInclusive<usize> = 3..=5;

/// Appends the hashes of the character n-grams of a word: all runs of three to five characters of its normal form, padded
/// with a space on both sides. They match different forms of a stem in morphologically rich languages.
pub fn character_ngrams(word: &str, shape: Shape, hashes: &mut Vec<u64>) {
    const CHARACTERS: u64 = 0x6368_6172_6772_616D;
    let mut padded = vec![b' '];
    push_normal_form(word, shape, &mut padded);
    padded.push(b' ');
    let is_boundary = |at: &usize| padded.get(*at).is_none_or(|byte| (*byte as i8) >= -0x40);
    let boundaries: Vec<usize> = (0..=padded.len()).filter(is_boundary).collect();
    for length in NGRAM_LENGTHS {
        let ngrams = boundaries.windows(length + 1).map(|ends| &padded[ends[0]..ends[length]]);
        hashes.extend(ngrams.map(|ngram| pair_hash(CHARACTERS, xxh3_64(ngram))));
    }
}

/// The hash of a pair of words, from the hashes of the words. The order matters.
pub fn pair_hash(first: u64, second: u64) -> u64 {
    // Multiply and fold, so that every bit of both hashes affects every bit of the result.
    let product = u128::from(first.rotate_left(25) ^ 0x9E37_79B9_7F4A_7C15) * u128::from(second | 1);
    (product as u64) ^ ((product >> 64) as u64) ^ second
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(word: &str) -> u64 {
        let token = tokens(word).next().expect("a word");
        word_hash(token.of(word), token.shape, &mut Vec::new())
    }

    #[test]
    fn spellings_of_a_word_have_the_same_hash() {
        for (one, other) in [
            ("Word", "word"),
            ("U.S.", "u.s"),
            ("don’t", "DON'T"),
            ("ÉCOLE", "école"),
            ("$12", "$47"),
            ("1987", "2019"),
        ] {
            assert_eq!(hash(one), hash(other), "{one} {other}");
        }
    }

    #[test]
    fn different_words_have_different_hashes() {
        for (one, other) in
            [("word", "words"), ("26/11", "9/11"), ("$12", "12"), ("5%", "5"), ("1990s", "1980s"), ("12", "123")]
        {
            assert_ne!(hash(one), hash(other), "{one} {other}");
        }
    }

    #[test]
    fn ngrams_are_character_runs_of_the_padded_word() {
        let ngrams = |word: &str| {
            let mut hashes = Vec::new();
            character_ngrams(word, Shape::Lower, &mut hashes);
            hashes
        };
        // Two n-grams of three characters, " ab" and "ab ", and one of four, " ab ".
        assert_eq!(ngrams("ab").len(), 3);
        assert_eq!(ngrams("éẹ́").len(), ngrams("abc").len(), "characters count, not bytes");
        let shared = ngrams("abantu").into_iter().filter(|hash| ngrams("umntu").contains(hash)).count();
        assert_eq!(shared, 3, "\"ntu\", \"tu \" and \"ntu \"");
        assert_eq!(ngrams("Ab"), ngrams("ab"));
    }

    #[test]
    fn the_order_of_pairs_matters() {
        let (a, b) = (hash("white"), hash("house"));
        assert_ne!(pair_hash(a, b), pair_hash(b, a));
        assert_ne!(pair_hash(a, b), pair_hash(a, a));
    }

    #[test]
    fn hashes_never_change() {
        // Saved models depend on the hashes: if they change, increase the version of the model schema.
        assert_eq!(hash("election"), 9_459_608_786_904_618_304);
    }
}
