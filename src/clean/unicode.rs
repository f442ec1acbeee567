//! Unicode normalisation: NFC, straight quotes, plain spaces, no invisible or control characters.
//!
//! NFC rather than NFKC, because NFKC joins words: "Acme™" would become "AcmeTM".

use crate::document::MappedText;
use unicode_normalization::{IsNormalized, UnicodeNormalization, char::canonical_combining_class, is_nfc_quick};

/// Normalises a text. A text that is already normalised is returned unchanged.
pub fn normalise<'a>(text: MappedText<'a>) -> MappedText<'a> {
    let source = text.as_str();
    if source.is_ascii() && !source.bytes().any(|byte| is_control(char::from(byte))) {
        return text;
    }
    let composed = is_nfc_quick(source.chars()) == IsNormalized::Yes;
    if composed && !source.chars().any(|c| replacement(c).is_some()) {
        return text;
    }
    let mut out = MappedText::with_capacity(source.len());
    let mut chars = source.char_indices().peekable();
    let mut buffer = String::new();
    while let Some((start, c)) = chars.next() {
        if let Some(plain) = replacement(c) {
            let end = start + c.len_utf8();
            buffer.clear();
            buffer.push_str(plain);
            push_replacement(&mut out, &text, &buffer, start..end);
            continue;
        }
        // Compose a base character with the marks that follow it.
        let mut end = start + c.len_utf8();
        while !composed && let Some(&(at, mark)) = chars.peek() {
            let cannot_compose = is_nfc_quick(std::iter::once(mark)) == IsNormalized::Yes;
            if canonical_combining_class(mark) == 0 && cannot_compose {
                break;
            }
            end = at + mark.len_utf8();
            chars.next();
        }
        if end == start + c.len_utf8() && c.is_ascii() {
            out.push_part(&text, start..end);
        } else {
            buffer.clear();
            buffer.extend(source[start..end].nfc());
            push_replacement(&mut out, &text, &buffer, start..end);
        }
    }
    out
}

/// Appends `replacement` in place of a byte range of `text`.
fn push_replacement(out: &mut MappedText<'_>, text: &MappedText<'_>, replacement: &str, part: std::ops::Range<usize>) {
    out.push(replacement, text.source(part));
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
