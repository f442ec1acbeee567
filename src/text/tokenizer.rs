//! The one tokenizer, for training and serving.
//!
//! A token is a word, a number, or a character of a script without spaces. Rules, in the order in which they are tried:
//!
//! - dotted abbreviations are one token, final point included: `U.S.`, `N.C.`, `a.m.`
//! - numbers keep currency, separators, unit and percent sign: `$10`, `1,000.5`, `26/11`, `3-1`, `5%`, `$1.13bn`, `1990s`
//! - words keep inner apostrophes: `don't`, `O'Brien`; a possessive `'s` is dropped
//! - a hyphen joins where one side cannot stand alone: `COVID-19`, `F-16`, `X-ray`; otherwise it separates: `US` `led`
//! - `&` joins capitals: `AT&T`
//! - Han, Hiragana and Katakana have one token a character; other scripts go by their letters and marks
//!
//! Everything else separates. The tokenizer allocates nothing and never fails.

use unicode_normalization::char::is_combining_mark;

/// A token: byte offsets into the text that was tokenized, and how it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token {
    /// First byte.
    pub start: u32,
    /// Behind the last byte.
    pub end: u32,
    /// How it is written.
    pub shape: Shape,
}

impl Token {
    /// The token's text, out of the text that was tokenized.
    pub fn of<'t>(&self, text: &'t str) -> &'t str {
        &text[self.start as usize..self.end as usize]
    }
}

/// How a token is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// No letter is a capital, or the script has none: `word`.
    Lower,
    /// The first letter is a capital: `Word`, `McDonald`.
    Capital,
    /// All letters are capitals, at least two: `NATO`, `U.S.`, `COVID-19`.
    Upper,
    /// No letters, or digits first: `26/11`, `$10`, `1990s`.
    Number,
}

/// The tokens of `text`, in order. `text` may be at most 4 GiB long.
pub fn tokens(text: &str) -> Tokens<'_> {
    Tokens { text, at: 0 }
}

/// Iterator over the tokens of a text; see [`tokens`].
#[derive(Debug, Clone)]
pub struct Tokens<'t> {
    text: &'t str,
    at: usize,
}

/// What a character is to the tokenizer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Letter,
    Digit,
    /// A character that is a word by itself.
    Ideograph,
    /// Joins the letter before it.
    Mark,
    Currency,
    Other,
}

/// A dotted run with more letters is no abbreviation; looking further would cost a walk from each of its letters.
const LONGEST_ABBREVIATION: usize = 10;

const ASCII_KINDS: [Kind; 128] = {
    let mut kinds = [Kind::Other; 128];
    let mut i = 0;
    while i < 128 {
        let byte = i as u8;
        kinds[i] = if byte.is_ascii_alphabetic() {
            Kind::Letter
        } else if byte.is_ascii_digit() {
            Kind::Digit
        } else if byte == b'$' {
            Kind::Currency
        } else {
            Kind::Other
        };
        i += 1;
    }
    kinds
};

fn kind(c: char) -> Kind {
    if c.is_ascii() {
        return ASCII_KINDS[c as usize];
    }
    match c {
        '£' | '€' | '¥' | '₹' | '₦' | '₽' | '₩' | '₱' => Kind::Currency,
        '\u{2E80}'..='\u{2FDF}'
        | '\u{3005}'..='\u{3007}'
        | '\u{3040}'..='\u{30FF}'
        | '\u{31F0}'..='\u{31FF}'
        | '\u{3400}'..='\u{4DBF}'
        | '\u{4E00}'..='\u{9FFF}'
        | '\u{F900}'..='\u{FAFF}'
        | '\u{20000}'..='\u{3FFFF}' => Kind::Ideograph,
        _ if c.is_alphabetic() => Kind::Letter,
        _ if c.is_numeric() => Kind::Digit,
        _ if is_combining_mark(c) => Kind::Mark,
        _ => Kind::Other,
    }
}

impl<'t> Tokens<'t> {
    /// The character at `at` with its kind; `None` at the end.
    #[inline]
    fn peek(&self, at: usize) -> Option<(char, Kind)> {
        match self.text.as_bytes().get(at) {
            None => None,
            Some(byte) if byte.is_ascii() => Some((char::from(*byte), ASCII_KINDS[*byte as usize])),
            Some(_) => self.text[at..].chars().next().map(|c| (c, kind(c))),
        }
    }

    fn kind_at(&self, at: usize) -> Kind {
        self.peek(at).map_or(Kind::Other, |(_, kind)| kind)
    }

    fn byte(&self, at: usize) -> u8 {
        self.text.as_bytes().get(at).copied().unwrap_or(0)
    }

    /// Behind the letters, marks and digits from `at` on.
    fn run(&self, mut at: usize) -> usize {
        while let Some((c, Kind::Letter | Kind::Digit | Kind::Mark)) = self.peek(at) {
            at += c.len_utf8();
        }
        at
    }

    /// Behind the digits from `at` on, with points, commas, slashes, colons and hyphens between digits.
    fn number(&self, mut at: usize) -> usize {
        loop {
            while let Some((c, Kind::Digit)) = self.peek(at) {
                at += c.len_utf8();
            }
            let joins =
                matches!(self.byte(at), b'.' | b',' | b'/' | b':' | b'-') && self.kind_at(at + 1) == Kind::Digit;
            if joins {
                at += 1;
                continue;
            }
            // "3–1" and "2019–20" come with an en dash.
            if self.text[at..].starts_with('\u{2013}') && self.kind_at(at + 3) == Kind::Digit {
                at += 3;
                continue;
            }
            return at;
        }
    }

    /// Behind a dotted abbreviation that begins at `at`, where one does: letters with points, at least two.
    fn abbreviation(&self, at: usize) -> Option<usize> {
        let mut end = at;
        let mut letters = 0;
        while self.byte(end).is_ascii_alphabetic() {
            letters += 1;
            if letters > LONGEST_ABBREVIATION {
                return None;
            }
            end += 1;
            if self.byte(end) == b'.' && !self.text.as_bytes()[end..].starts_with(b"..") {
                end += 1;
            } else {
                // The last letter may lack its point ("U.S"), but must not be the beginning of a word.
                let ends = !matches!(self.kind_at(end), Kind::Letter | Kind::Digit | Kind::Mark);
                return (letters >= 2 && ends).then_some(end);
            }
        }
        (letters >= 2).then_some(end)
    }

    /// Behind the word that begins at `at`.
    fn word(&self, at: usize) -> usize {
        let mut end = self.run(at);
        loop {
            let (next, after) = match self.byte(end) {
                b'\'' | b'&' | b'-' => (self.byte(end), end + 1),
                0xE2 if self.text[end..].starts_with('\u{2019}') => (b'\'', end + 3),
                _ => return end,
            };
            let joins = match next {
                b'\'' => self.kind_at(after) == Kind::Letter && !self.is_possessive(after),
                b'&' => self.text[..end].ends_with(|c: char| c.is_uppercase()) && self.byte(after).is_ascii_uppercase(),
                _ => match self.kind_at(after) {
                    Kind::Digit => true,
                    Kind::Letter => self.text[at..end].chars().nth(1).is_none(),
                    _ => false,
                },
            };
            if !joins {
                return end;
            }
            end = self.run(after);
        }
    }

    /// Whether an `s` stands at `at` and ends the word.
    fn is_possessive(&self, at: usize) -> bool {
        matches!(self.byte(at), b's' | b'S') && !matches!(self.kind_at(at + 1), Kind::Letter | Kind::Digit | Kind::Mark)
    }

    /// Behind the possessive ending at `at`, where there is one.
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
            let (c, kind) = self.peek(start)?;
            let end = match kind {
                Kind::Letter => match (self.byte(start + 1) == b'.').then(|| self.abbreviation(start)).flatten() {
                    Some(end) => end,
                    None => self.word(start),
                },
                Kind::Digit => self.number_with_unit(start),
                Kind::Currency if self.kind_at(start + c.len_utf8()) == Kind::Digit => {
                    self.number_with_unit(start + c.len_utf8())
                }
                Kind::Ideograph => start + c.len_utf8(),
                Kind::Currency | Kind::Mark | Kind::Other => {
                    self.at = start + c.len_utf8();
                    continue;
                }
            };
            self.at = self.skip_possessive(end);
            let shape = shape(&self.text[start..end], kind);
            return Some(Token { start: start as u32, end: end as u32, shape });
        }
    }
}

impl Tokens<'_> {
    fn number_with_unit(&self, at: usize) -> usize {
        let end = self.run(self.number(at));
        if self.byte(end) == b'%' { end + 1 } else { end }
    }
}

fn shape(token: &str, kind: Kind) -> Shape {
    if matches!(kind, Kind::Digit | Kind::Currency) {
        return Shape::Number;
    }
    let bytes = token.as_bytes();
    if token.is_ascii() {
        if !bytes[0].is_ascii_uppercase() {
            return Shape::Lower;
        }
        let letters = bytes.iter().filter(|byte| byte.is_ascii_alphabetic()).count();
        let upper = bytes.iter().filter(|byte| byte.is_ascii_uppercase()).count();
        return if letters >= 2 && letters == upper { Shape::Upper } else { Shape::Capital };
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

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<&str> {
        tokens(text).map(|token| token.of(text)).collect()
    }

    #[test]
    fn news_text() {
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
    fn shapes() {
        let shapes: Vec<Shape> = tokens("word Word NATO U.S. 26/11 $10 A Éire ÉIRE").map(|token| token.shape).collect();
        use Shape::*;
        assert_eq!(shapes, [Lower, Capital, Upper, Upper, Number, Number, Capital, Capital, Upper]);
    }

    #[test]
    fn any_text_gives_tokens_in_order_on_character_boundaries() {
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
