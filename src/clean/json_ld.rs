//! Extracts the article body from the JSON-LD of a page (<https://schema.org/articleBody>), for pages that render their
//! text with scripts.

use crate::document::MappedText;
use std::{collections::HashSet, ops::Range};

const BODY: &str = "\"articleBody\"";
/// Marks a live blog, whose entries form one article.
const LIVE_BLOG: &str = "\"liveBlogUpdate\"";

/// Maximum number of entries of a live blog; further entries are ignored.
const MAX_ENTRIES: usize = 500;

/// The longest `articleBody` in the given scripts (byte ranges of `source`), or all distinct ones if the page is a live
/// blog. The result maps to the page. The function searches for the key instead of parsing the JSON, because the JSON of
/// pages is often invalid and the key may be at any depth. A body that is an HTML fragment is converted by `fragment_to_text`.
pub fn article_body(
    source: &str,
    scripts: &[Range<usize>],
    fragment_to_text: impl Fn(&str) -> MappedText<'static>,
) -> Option<MappedText<'static>> {
    let texts = || scripts.iter().filter_map(|script| Some((script.end, source.get(script.clone())?)));
    let strings = texts().flat_map(|(end, text)| {
        text.match_indices(BODY).filter_map(move |(at, _)| {
            let value = text[at + BODY.len()..].trim_start().strip_prefix(':')?.trim_start().strip_prefix('"')?;
            Some((&value[..string_length(value)], end - value.len()))
        })
    });
    let body = if texts().any(|(_, text)| text.contains(LIVE_BLOG)) {
        let mut seen = HashSet::new();
        let entries = strings.filter(|(string, _)| seen.insert(*string)).take(MAX_ENTRIES);
        entries.map(|(string, start)| decode(string, start)).reduce(|mut all, next| {
            let end = all.source(0..all.as_str().len()).end;
            all.push("\n\n", end..end);
            all.push_part(&next, 0..next.as_str().len());
            all
        })?
    } else {
        let (string, start) = strings.max_by_key(|(string, _)| string.len())?;
        decode(string, start)
    };
    if body.as_str().is_empty() {
        return None;
    }
    // A body is plain text or an HTML fragment.
    if !body.as_str().contains(['<', '&']) {
        return Some(body);
    }
    Some(fragment_to_text(body.as_str()).through(&body))
}

/// The length in bytes of a JSON string up to its closing quote, or of the whole text if there is none.
fn string_length(string: &str) -> usize {
    let mut escaped = false;
    let end = string.bytes().position(|byte| {
        let closes = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        closes
    });
    end.unwrap_or(string.len())
}

/// Decodes the content of a JSON string. `start` is its byte offset in the page.
fn decode(string: &str, start: usize) -> MappedText<'static> {
    let mut decoded = MappedText::with_capacity(string.len());
    let mut at = 0;
    while let Some(found) = string[at..].find('\\').map(|found| at + found) {
        decoded.push(&string[at..found], start + at..start + found);
        let (text, length) = escape(&string[found..]);
        decoded.replace(text.encode_utf8(&mut [0; 4]), start + found..start + found + length);
        at = found + length;
    }
    decoded.push(&string[at..], start + at..start + string.len());
    decoded
}

/// Decodes the escape sequence at the beginning of `text`: its character and its length in bytes.
fn escape(text: &str) -> (char, usize) {
    let unit = |text: &str| text.strip_prefix("\\u").and_then(|hex| u32::from_str_radix(hex.get(..4)?, 16).ok());
    let bytes = text.as_bytes();
    match bytes.get(1) {
        Some(b'n') => ('\n', 2),
        Some(b'r' | b't' | b'b' | b'f') => (' ', 2),
        Some(b'u') => match (unit(text), text.get(6..).and_then(unit)) {
            (Some(high @ 0xD800..=0xDBFF), Some(low @ 0xDC00..=0xDFFF)) => {
                (char::from_u32(0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00)).unwrap_or('\u{FFFD}'), 12)
            }
            (Some(unit), _) => (char::from_u32(unit).unwrap_or('\u{FFFD}'), 6),
            (None, _) => ('\u{FFFD}', 2),
        },
        Some(_) => {
            let escaped = text[1..].chars().next().unwrap_or('\\');
            (escaped, 1 + escaped.len_utf8())
        }
        None => ('\\', 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clean::html::fragment_to_text;

    fn body(script: &str) -> Option<String> {
        let page = format!("<script>{script}</script>");
        let range = 8..8 + script.len();
        article_body(&page, std::slice::from_ref(&range), fragment_to_text).map(|body| body.as_str().trim().to_owned())
    }

    #[test]
    fn bodies_are_found_at_any_depth() {
        assert_eq!(
            body(r#"{"@type": "NewsArticle", "articleBody" : "Rain fell.\nIt \"stopped\"."}"#).as_deref(),
            Some("Rain fell.\nIt \"stopped\".")
        );
        assert_eq!(
            body(r#"{"@graph": [{"articleBody": "Short."}, {"articleBody": "The longer one."},]}"#).as_deref(),
            Some("The longer one.")
        );
        assert_eq!(
            body(r#"{"liveBlogUpdate": [{"articleBody": "One."}, {"articleBody": "Two."}, {"articleBody": "Two."}]}"#)
                .as_deref(),
            Some("One.\n\nTwo.")
        );
        assert_eq!(
            body(r#"{"articleBody": "<p>Rain &amp; wind.<\/p>\u003cp>Caf\u00e9 \ud83d\ude00"}"#).as_deref(),
            Some("Rain & wind.\n\nCafé 😀")
        );
        assert_eq!(body(r#"{"headline": "x", "articleBody": null}"#), None);
        assert_eq!(
            body(r#"{"articleBody": "cut off \u12"#).as_deref().map(|body| body.starts_with("cut off")),
            Some(true)
        );
    }

    #[test]
    fn hostile_scripts_take_linear_time() {
        let many: String = (0..50_000).map(|i| format!("\"articleBody\": \"body {i}\" ")).collect();
        assert!(body(&many).is_some());
        let live = body(&format!("\"liveBlogUpdate\" {many}"));
        assert!(live.is_some_and(|body| body.lines().count() <= 2 * MAX_ENTRIES));
        let nested = "\"articleBody\": \"<script type=application/ld+json>".repeat(20_000);
        let _ = body(&nested);
    }

    #[test]
    fn bodies_map_to_the_page() {
        let page = r#"<script>{"articleBody": "Caf\u00e9 in <b>Oslo<\/b>"}</script>"#;
        let range = 8..page.len() - 9;
        let body = article_body(page, std::slice::from_ref(&range), fragment_to_text).expect("a body");
        for (word, source) in [("Café", r"Caf\u00e9"), ("Oslo", "Oslo")] {
            let start = body.as_str().find(word).expect("the body contains the word");
            assert_eq!(&page[body.source(start..start + word.len())], source);
        }
    }
}
