//! Unicode normalisation: NFC, straight quotes, plain spaces, no invisible or control characters.
//!
//! NFC rather than NFKC, because NFKC joins words: "Acme™" would become "AcmeTM".

use crate::document::MappedText;
use std::ops::Range;
use unicode_normalization::{IsNormalized, UnicodeNormalization, char::canonical_combining_class, is_nfc_quick};

/// Normalises a text. A text that is already normalised is returned unchanged.
pub fn normalise<'a>(text: MappedText<'a>) -> MappedText<'a> {
    let source = text.as_str();
    let is_composed = special_runs(source).all(|run| is_nfc_quick(source[run].chars()) == IsNormalized::Yes);
    let mut out = MappedText::default();
    let mut kept_to = 0;
    let mut composed = String::new();
    for run in special_runs(source) {
        // A mark at the beginning of the run may belong to the ASCII letter before it.
        let mut at = if is_composed { run.start } else { run.start.saturating_sub(1) };
        while let Some(c) = source[at..run.end].chars().next() {
            let start = at;
            at += c.len_utf8();
            let changed = match replacement(c) {
                Some(plain) => plain,
                None if is_composed => continue,
                None => {
                    at += length_of_marks(&source[at..run.end]);
                    composed.clear();
                    composed.extend(source[start..at].nfc());
                    if composed == source[start..at] {
                        continue;
                    }
                    &composed
                }
            };
            if kept_to == 0 {
                out = MappedText::with_capacity(source.len());
            }
            out.push_part(&text, kept_to..start);
            out.replace(changed, text.source(start..at));
            kept_to = at;
        }
    }
    if kept_to == 0 {
        return text;
    }
    out.push_part(&text, kept_to..source.len());
    out
}

/// The byte ranges of runs of characters that may need a change: all but printable ASCII, tabs and ends of lines.
fn special_runs(text: &str) -> impl Iterator<Item = Range<usize>> + '_ {
    let bytes = text.as_bytes();
    // Without short circuits, so that a block is compared at once.
    let is_special = |byte: &u8| {
        let is_white_space = (*byte == b'\t') | (*byte == b'\n') | (*byte == b'\r');
        (*byte >= 0x7F) | ((*byte < b' ') & !is_white_space)
    };
    let mut at = 0;
    std::iter::from_fn(move || {
        // Most blocks have no such character, which takes few instructions to find out.
        while let Some(block) = bytes[at..].first_chunk::<32>()
            && !block.iter().fold(false, |any, byte| any | is_special(byte))
        {
            at += 32;
        }
        let start = at + bytes[at..].iter().position(is_special)?;
        at = bytes[start..].iter().position(|byte| !is_special(byte)).map_or(bytes.len(), |length| start + length);
        Some(start..at)
    })
}

/// The length in bytes of the marks at the beginning of a text that compose with the character before it.
fn length_of_marks(text: &str) -> usize {
    let is_mark =
        |c: &char| canonical_combining_class(*c) != 0 || is_nfc_quick(std::iter::once(*c)) != IsNormalized::Yes;
    text.chars().take_while(is_mark).map(char::len_utf8).sum()
}

fn is_control(c: char) -> bool {
    matches!(c, '\0'..='\u{8}' | '\u{B}' | '\u{C}' | '\u{E}'..='\u{1F}' | '\u{7F}')
}

/// The replacement of a character; `None` if it is kept.
fn replacement(c: char) -> Option<&'static str> {
    match c {
        '\u{2018}' | '\u{2019}' | '\u{201B}' | '\u{02BC}' => Some("'"),
        '\u{201C}' | '\u{201D}' | '\u{201F}' | '\u{201E}' => Some("\""),
        '\u{A0}' | '\u{2000}'..='\u{200A}' | '\u{202F}' | '\u{205F}' | '\u{3000}' => Some(" "),
        '\u{2028}' | '\u{2029}' | '\u{85}' => Some("\n"),
        // Zero-width and directional marks, soft hyphen, byte order mark.
        '\u{AD}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}' | '\u{FEFF}' => Some(""),
        c if is_control(c) => Some(" "),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normalised(source: &str) -> String {
        normalise(MappedText::whole(source)).as_str().to_owned()
    }

    #[test]
    fn variants_get_one_spelling() {
        let cases = [
            ("plain", "plain"),
            ("Cafe\u{301} society", "Café society"),
            ("don\u{2019}t \u{201C}stop\u{201D}", "don't \"stop\""),
            ("10\u{A0}million", "10 million"),
            ("co\u{AD}operate\u{200B}", "cooperate"),
            ("a\0b", "a b"),
            ("\u{1112}\u{1161}\u{11AB}국", "한국"),
            ("\u{9A6}\u{9C7}\u{9BE}", "\u{9A6}\u{9CB}"),
            ("Acme™", "Acme™"),
        ];
        for (source, expected) in cases {
            assert_eq!(normalised(source), expected, "{source:?}");
        }
    }

    #[test]
    fn offsets_map_to_the_source() {
        let source = "Cafe\u{301} \u{201C}Zo\u{308}e\u{201D} said";
        let text = normalise(MappedText::whole(source));
        for (word, original) in [("Café", "Cafe\u{301}"), ("Zöe", "Zo\u{308}e"), ("said", "said")] {
            let start = text.as_str().find(word).expect("the text contains the word");
            assert_eq!(&source[text.source(start..start + word.len())], original);
        }
    }
}
