//! Appends the characters of a text run to the extracted text, with character references decoded.

use crate::document::MappedText;
use std::ops::Range;

/// Appends the text run at `span` of `source`. Line breaks and tabs become spaces, and each character reference maps to the
/// source as a whole.
///
/// The run is read from the source, because the tokenizer decodes it without the position of each character.
pub fn push_text(out: &mut MappedText<'static>, source: &str, span: Range<usize>) {
    let raw = source.get(span.clone()).unwrap_or_default();
    let mut at = 0;
    while at < raw.len() {
        let plain = raw[at..].find('&').map_or(raw.len(), |i| at + i);
        out.push(&spaced(&raw[at..plain]), span.start + at..span.start + plain);
        if plain == raw.len() {
            break;
        }
        let reference = reference_len(&raw[plain..]);
        let decoded = htmlize::unescape(&raw[plain..plain + reference]);
        out.replace(&spaced(&decoded), span.start + plain..span.start + plain + reference);
        at = plain + reference;
    }
}

/// The length in bytes of the character reference at the beginning of `text`, with `&` and `;`; 1 for a single `&`.
fn reference_len(text: &str) -> usize {
    let name = text.bytes().skip(1).take(32).take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'#').count();
    let end = 1 + name;
    if text.as_bytes().get(end) == Some(&b';') { end + 1 } else { end }
}

/// The text with line breaks and tabs replaced by spaces.
fn spaced(text: &str) -> String {
    text.replace(['\n', '\r', '\t'], " ")
}
