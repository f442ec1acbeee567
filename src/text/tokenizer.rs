//! The tokenizer, shared by training and serving.
//!
//! A token is a word, a number, or a character of a script without spaces. Rules, in the order in which they are tried:
//!
//! - dotted abbreviations are one token with the final full stop: `U.S.`, `N.C.`, `a.m.`
//! - numbers keep currency, separators, unit and percent sign: `$10`, `1,000.5`, `26/11`, `3-1`, `5%`, `$1.13bn`, `1990s`
//! - words keep inner apostrophes: `don't`, `O'Brien`; a possessive `'s` is dropped
//! - a hyphen joins if a single letter precedes it or a digit follows it: `X-ray`, `F-16`, `COVID-19`; otherwise it separates:
//!   `US` `led`
//! - `&` joins capitals: `AT&T`
//! - Han, Hiragana and Katakana have one token per character; in other scripts, letters and marks form words
//!
//! All other characters separate tokens. The tokenizer does not allocate and never fails.

use unicode_normalization::char::is_combining_mark;

/// A token: its byte offsets in the tokenized text and its shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token {
    /// Start offset, inclusive.
    pub start: u32,
    /// End offset, exclusive.
    pub end: u32,
    /// Its capitalisation, or that it is a number.
    pub shape: Shape,
}

impl Token {
    /// The text of the token. `text` is the tokenized text.
    pub fn of<'t>(&self, text: &'t str) -> &'t str {
        &text[self.start as usize..self.end as usize]
    }
}

/// The capitalisation of a token, or that it is a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// The first letter is not a capital: `word`, and all words of scripts without case.
    Lower,
    /// The first letter is a capital: `Word`, `McDonald`.
    Capital,
    /// All letters are capitals, and there are at least two: `NATO`, `U.S.`, `COVID-19`.
    Upper,
    /// Begins with a digit or a currency sign: `26/11`, `$10`, `1990s`.
    Number,
}

/// The tokens of `text`, in order. `text` must be shorter than 4 GiB.
pub fn tokens(text: &str) -> Tokens<'_> {
    Tokens { text, at: 0 }
}

/// Iterator over the tokens of a text; see [`tokens`].
#[derive(Debug, Clone)]
pub struct Tokens<'t> {
    text: &'t str,
    at: usize,
}

/// The class of a character.
#[derive(Clone, Copy, PartialEq, Eq)]
enum CharClass {
    Letter,
    Digit,
    /// A character that is a token by itself.
    Ideograph,
    /// A combining mark, which belongs to the preceding letter.
    Mark,
    Currency,
    Other,
}

/// Maximum number of letters of a dotted abbreviation. Bounds the look-ahead from each letter of a dotted run.
const MAX_ABBREVIATION_LETTERS: usize = 10;

const ASCII_CLASSES: [CharClass; 128] = {
    let mut classes = [CharClass::Other; 128];
    let mut i = 0;
    while i < 128 {
        let byte = i as u8;
        classes[i] = if byte.is_ascii_alphabetic() {
            CharClass::Letter
        } else if byte.is_ascii_digit() {
            CharClass::Digit
        } else if byte == b'$' {
            CharClass::Currency
        } else {
            CharClass::Other
        };
        i += 1;
    }
    classes
};

fn class(c: char) -> CharClass {
    if c.is_ascii() {
        return ASCII_CLASSES[c as usize];
    }
    match c {
        '£' | '€' | '¥' | '₹' | '₦' | '₽' | '₩' | '₱' => CharClass::Currency,
        '\u{2E80}'..='\u{2FDF}'
        | '\u{3005}'..='\u{3007}'
        | '\u{3040}'..='\u{30FF}'
        | '\u{31F0}'..='\u{31FF}'
        | '\u{3400}'..='\u{4DBF}'
        | '\u{4E00}'..='\u{9FFF}'
        | '\u{F900}'..='\u{FAFF}'
        | '\u{20000}'..='\u{3FFFF}' => CharClass::Ideograph,
        _ if c.is_alphabetic() => CharClass::Letter,
        _ if c.is_numeric() => CharClass::Digit,
        _ if is_combining_mark(c) => CharClass::Mark,
        _ => CharClass::Other,
    }
}

impl<'t> Tokens<'t> {
    /// The character at byte offset `at` with its class; `None` at the end of the text.
    #[inline]
    fn peek(&self, at: usize) -> Option<(char, CharClass)> {
        match self.text.as_bytes().get(at) {
            None => None,
            Some(byte) if byte.is_ascii() => Some((char::from(*byte), ASCII_CLASSES[*byte as usize])),
            Some(_) => self.text[at..].chars().next().map(|c| (c, class(c))),
        }
    }

    fn class_at(&self, at: usize) -> CharClass {
        self.peek(at).map_or(CharClass::Other, |(_, class)| class)
    }

    fn byte(&self, at: usize) -> u8 {
        self.text.as_bytes().get(at).copied().unwrap_or(0)
    }

    /// The end of the run of letters, marks and digits that starts at `at`.
    fn run(&self, mut at: usize) -> usize {
        while let Some((c, CharClass::Letter | CharClass::Digit | CharClass::Mark)) = self.peek(at) {
            at += c.len_utf8();
        }
        at
    }

    /// The end of the number that starts at `at`: digits with full stops, commas, slashes, colons, hyphens and en dashes
    /// between them.
    fn number(&self, mut at: usize) -> usize {
        loop {
            while let Some((c, CharClass::Digit)) = self.peek(at) {
                at += c.len_utf8();
            }
            let joins =
                matches!(self.byte(at), b'.' | b',' | b'/' | b':' | b'-') && self.class_at(at + 1) == CharClass::Digit;
            if joins {
                at += 1;
                continue;
            }
            // An en dash, as in "3–1" and "2019–20".
            if self.text[at..].starts_with('\u{2013}') && self.class_at(at + 3) == CharClass::Digit {
                at += 3;
                continue;
            }
            return at;
        }
    }

    /// The end of the dotted abbreviation that starts at `at`, if any: at least two letters with full stops.
    fn abbreviation(&self, at: usize) -> Option<usize> {
        let mut end = at;
        let mut letters = 0;
        while self.byte(end).is_ascii_alphabetic() {
            letters += 1;
            if letters > MAX_ABBREVIATION_LETTERS {
                return None;
            }
            end += 1;
            if self.byte(end) == b'.' && !self.text.as_bytes()[end..].starts_with(b"..") {
                end += 1;
            } else {
                // The last letter may lack its full stop ("U.S") but must not begin a word.
                let ends = !matches!(self.class_at(end), CharClass::Letter | CharClass::Digit | CharClass::Mark);
                return (letters >= 2 && ends).then_some(end);
            }
        }
        (letters >= 2).then_some(end)
    }

    /// The end of the word that starts at `at`.
    fn word(&self, at: usize) -> usize {
        let mut end = self.run(at);
        loop {
            let (next, after) = match self.byte(end) {
                b'\'' | b'&' | b'-' => (self.byte(end), end + 1),
                0xE2 if self.text[end..].starts_with('\u{2019}') => (b'\'', end + 3),
                _ => return end,
            };
            let joins = match next {
                b'\'' => self.class_at(after) == CharClass::Letter && !self.is_possessive(after),
                b'&' => self.text[..end].ends_with(|c: char| c.is_uppercase()) && self.byte(after).is_ascii_uppercase(),
                _ => match self.class_at(after) {
                    CharClass::Digit => true,
                    CharClass::Letter => self.text[at..end].chars().nth(1).is_none(),
                    _ => false,
                },
            };
            if !joins {
                return end;
            }
            end = self.run(after);
        }
    }

    /// Whether the character at `at` is an `s` that ends a word.
    fn is_possessive(&self, at: usize) -> bool {
        matches!(self.byte(at), b's' | b'S')
            && !matches!(self.class_at(at + 1), CharClass::Letter | CharClass::Digit | CharClass::Mark)
    }

    /// The end of the possessive `'s` that starts at `at`; `at` if absent.
    fn skip_possessive(&self, at: usize) -> usize {
        let after = match self.byte(at) {
            b'\'' => at + 1,
            0xE2 if self.text[at..].starts_with('\u{2019}') => at + 3,
            _ => return at,
        };
        if self.is_possessive(after) { after + 1 } else { at }
    }
}

impl Iterator for Tokens<'_> {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
        loop {
            let start = self.at;
            match ASCII_CLASSES.get(usize::from(*self.text.as_bytes().get(start)?)) {
                Some(CharClass::Other) => {
                    self.at = start + 1;
                    continue;
                }
                Some(CharClass::Letter) => {
                    if let Some(token) = self.plain_word(start) {
                        self.at = token.end as usize;
                        return Some(token);
                    }
                }
                _ => {}
            }
            let (c, class) = self.peek(start)?;
            let end = match class {
                CharClass::Letter => match (self.byte(start + 1) == b'.').then(|| self.abbreviation(start)).flatten() {
                    Some(end) => end,
                    None => self.word(start),
                },
                CharClass::Digit => self.number_with_unit(start),
                CharClass::Currency if self.class_at(start + c.len_utf8()) == CharClass::Digit => {
                    self.number_with_unit(start + c.len_utf8())
                }
                CharClass::Ideograph => start + c.len_utf8(),
                CharClass::Currency | CharClass::Mark | CharClass::Other => {
                    self.at = start + c.len_utf8();
                    continue;
                }
            };
            self.at = self.skip_possessive(end);
            let shape = shape(&self.text[start..end], class);
            return Some(Token { start: start as u32, end: end as u32, shape });
        }
    }
}

impl Tokens<'_> {
    /// The word that starts with the letter at `at`, if it consists of ASCII letters and digits and neither an
    /// abbreviation, nor a joiner, nor a possessive follows. The general rules give the same for such a word, which most
    /// words are, but take longer.
    #[inline]
    fn plain_word(&self, at: usize) -> Option<Token> {
        let bytes = self.text.as_bytes();
        let is_inside =
            |byte: &u8| matches!(ASCII_CLASSES.get(usize::from(*byte)), Some(CharClass::Letter | CharClass::Digit));
        let end = at + bytes[at..].iter().position(|byte| !is_inside(byte)).unwrap_or(bytes.len() - at);
        let is_plain = match bytes.get(end) {
            Some(b'.') => end > at + 1,
            Some(b'\'' | b'&' | b'-') => false,
            Some(next) => next.is_ascii(),
            None => true,
        };
        let shape = || if bytes[at].is_ascii_lowercase() { Shape::Lower } else { ascii_shape(&bytes[at..end]) };
        is_plain.then(|| Token { start: at as u32, end: end as u32, shape: shape() })
    }

    /// The end of the number that starts at `at`, with its unit and percent sign.
    fn number_with_unit(&self, at: usize) -> usize {
        let end = self.run(self.number(at));
        if self.byte(end) == b'%' { end + 1 } else { end }
    }
}

fn shape(token: &str, class: CharClass) -> Shape {
    if matches!(class, CharClass::Digit | CharClass::Currency) {
        return Shape::Number;
    }
    if token.is_ascii() {
        return ascii_shape(token.as_bytes());
    }
    let mut letters = token.chars().filter(|c| c.is_alphabetic());
    if !token.starts_with(char::is_uppercase) {
        Shape::Lower
    } else if token.chars().nth(1).is_some() && letters.all(char::is_uppercase) {
        Shape::Upper
    } else {
        Shape::Capital
    }
}

/// The shape of a word in ASCII, which is not empty.
fn ascii_shape(word: &[u8]) -> Shape {
    if !word[0].is_ascii_uppercase() {
        return Shape::Lower;
    }
    let letters = word.iter().filter(|byte| byte.is_ascii_alphabetic()).count();
    let upper = word.iter().filter(|byte| byte.is_ascii_uppercase()).count();
    if letters >= 2 && letters == upper { Shape::Upper } else { Shape::Capital }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<&str> {
        tokens(text).map(|token| token.of(text)).collect()
    }

    #[test]
    fn news_text_is_tokenized() {
        let cases: [(&str, &[&str]); 18] = [
            ("The U.S. and the U.N. agreed.", &["The", "U.S.", "and", "the", "U.N.", "agreed"]),
            ("TROY, N.C. (AP)", &["TROY", "N.C.", "AP"]),
            ("the U.S said", &["the", "U.S", "said"]),
            ("don't O\u{2019}Brien's it's", &["don't", "O\u{2019}Brien", "it"]),
            ("COVID-19 and F-16s", &["COVID-19", "and", "F-16s"]),
            ("after 26/11 and 9/11", &["after", "26/11", "and", "9/11"]),
            ("$10 million, £1.13bn, 5%", &["$10", "million", "£1.13bn", "5%"]),
            ("US-led, X-ray, e-mail", &["US", "led", "X-ray", "e-mail"]),
            ("AT&T and R&B; Q&A", &["AT&T", "and", "R&B", "Q&A"]),
            ("won 3-1 in 2019–20", &["won", "3-1", "in", "2019–20"]),
            ("in the 1990s, 5th, 1,000.5.", &["in", "the", "1990s", "5th", "1,000.5"]),
            ("Côte d'Ivoire's João", &["Côte", "d'Ivoire", "João"]),
            ("部长说 東京タワー", &["部", "长", "说", "東", "京", "タ", "ワ", "ー"]),
            ("قال الوزير", &["قال", "الوزير"]),
            ("हिन्दी समाचार 한국어", &["हिन्दी", "समाचार", "한국어"]),
            ("wait... J. Smith", &["wait", "J", "Smith"]),
            ("", &[]),
            ("-- ' & . $ %", &[]),
        ];
        for (text, expected) in cases {
            assert_eq!(words(text), expected, "{text}");
        }
    }

    #[test]
    fn shapes_are_recognised() {
        let shapes: Vec<Shape> = tokens("word Word NATO U.S. 26/11 $10 A Éire ÉIRE").map(|token| token.shape).collect();
        use Shape::*;
        assert_eq!(shapes, [Lower, Capital, Upper, Upper, Number, Number, Capital, Capital, Upper]);
    }

    #[test]
    fn random_text_gives_tokens_in_order_on_character_boundaries() {
        let pieces = [
            "a", "'", "’", "s", ".", "-", "–", "&", "1", "$", "£", "%", " ", "é", "\u{301}", "中", "\u{FFFD}", "A",
            "/", "🎉",
        ];
        let mut state = 7_u64;
        for _ in 0..3_000 {
            let mut text = String::new();
            for _ in 0..12 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                text.push_str(pieces[(state >> 33) as usize % pieces.len()]);
            }
            let mut last = 0;
            for token in tokens(&text) {
                assert!(token.start >= last && token.end > token.start, "{text:?}");
                assert!(!token.of(&text).is_empty());
                last = token.end;
            }
        }
    }
}
