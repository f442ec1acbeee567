//! Files with one article: plain text or HTML.

use super::{InputError, Place, Reading, Record, xml_encoding};
use crate::article::{Article, Format, MAX_ARTICLE_BYTES};
use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252, X_USER_DEFINED};
use html5gum::{DefaultEmitter, Token, Tokenizer};
use std::io::{BufRead, Read};

/// Reads one article from a text or HTML file. Its id is the file's name.
pub fn read(reader: Box<dyn BufRead>, file: &Place, is_html: bool, reading: &Reading) -> Result<Record, InputError> {
    const MAX_BYTES: u64 = 2 * MAX_ARTICLE_BYTES as u64;
    let mut bytes = Vec::new();
    let fault = |message: String| InputError::new(file, message);
    reader.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(|error| fault(format!("cannot be read: {error}")))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(fault(format!("the file is larger than {} MiB: expected one article per file", MAX_BYTES >> 20)));
    }
    read_bytes(bytes, file, is_html, reading)
}

/// The article in the bytes of a file. Their encoding is, in this order, that of the byte-order mark, that of `reading`, UTF-8
/// if they are valid UTF-8, and that which an HTML page declares.
pub fn read_bytes(bytes: Vec<u8>, file: &Place, is_html: bool, reading: &Reading) -> Result<Record, InputError> {
    let fault = |message: String| InputError::new(file, message);
    let has_mark = Encoding::for_bom(&bytes).is_some();
    let is_determined = reading.encoding.is_some() || has_mark;
    if !is_determined && bytes.contains(&0) {
        return Err(fault("binary file: expected text".to_owned()));
    }
    let declared = match is_determined || !is_html || std::str::from_utf8(&bytes).is_ok() {
        true => None,
        false => xml_encoding::declared(&bytes).or_else(|| declared_by_page(&bytes)),
    };
    let text = match declared {
        // As in browsers, invalid bytes do not invalidate a page.
        Some(encoding) => encoding.decode_without_bom_handling(&bytes).0.into_owned(),
        None => reading.text(bytes).map_err(fault)?,
    };
    let format = if is_html { Format::Html } else { Format::Text };
    let article = Article { id: file.to_string(), body: text, format, ..Article::default() };
    Ok(Record { article, place: file.clone(), ..Record::default() })
}

/// The encoding that a page names in `<meta charset>` or `<meta http-equiv=content-type>` (HTML Standard, 13.2.3.2).
fn declared_by_page(bytes: &[u8]) -> Option<&'static Encoding> {
    const MAX_HEAD: usize = 64 << 10;
    let start = String::from_utf8_lossy(&bytes[..bytes.len().min(MAX_HEAD)]);
    let mut emitter = DefaultEmitter::default();
    // The text of scripts is not markup.
    emitter.naively_switch_states(true);
    for Ok(token) in Tokenizer::new_with_emitter(&*start, emitter) {
        let Token::StartTag(tag) = token else { continue };
        if &**tag.name == b"body" {
            return None;
        }
        if &**tag.name != b"meta" {
            continue;
        }
        let attribute = |name: &[u8]| {
            tag.attributes.get(name).map(|value| String::from_utf8_lossy(value).trim().to_ascii_lowercase())
        };
        let label = attribute(b"charset").or_else(|| {
            attribute(b"http-equiv").filter(|name| name == "content-type")?;
            let content = attribute(b"content")?;
            let (_, label) = content.split_once("charset")?;
            let label = label.trim_start().strip_prefix('=')?.trim_start().trim_start_matches(['"', '\'']);
            Some(label.split([';', '"', '\'', ' ']).next().unwrap_or_default().to_owned())
        });
        if let Some(encoding) = label.and_then(|label| Encoding::for_label(label.as_bytes())) {
            return Some(match encoding {
                // A page whose tags can be read is not in UTF-16.
                encoding if encoding == UTF_16LE || encoding == UTF_16BE => UTF_8,
                encoding if encoding == X_USER_DEFINED => WINDOWS_1252,
                encoding => encoding,
            });
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: &'static [u8]) -> Result<Article, InputError> {
        read(Box::new(bytes), &Place::of_file("a.txt"), false, &Reading::default()).map(|record| record.article)
    }

    #[test]
    fn binary_files_and_other_encodings_are_errors() {
        assert!(text(b"\x00\x01").expect_err("binary").message.contains("binary"));
        assert_eq!(text(b"\xFF\xFEa\0").map(|article| article.body).as_deref(), Ok("a"));
        assert!(text(b"\xFF\xFEa").expect_err("half a letter").message.contains("UTF-16"));
        assert!(text(b"Caf\xE9").expect_err("latin").message.contains("not UTF-8 at byte 3"));
    }

    #[test]
    fn pages_declare_their_encoding() {
        let page = |bytes: &[u8]| {
            let file = Place::of_file("a.html");
            read_bytes(bytes.to_vec(), &file, true, &Reading::default()).map(|record| record.article.body)
        };
        for (head, text) in [
            (&b"<meta charset=windows-1252>"[..], "Café"),
            (b"<META CharSet = 'ISO-8859-1' >", "Café"),
            (b"<meta content='text/html; charset=\"latin1\"' http-equiv=Content-Type>", "Café"),
            (b"<!-- <meta charset=koi8-r> --><script>\"<meta charset=koi8-r>\"</script><meta charset=cp1252>", "Café"),
            (b"<?xml version='1.0' encoding='iso-8859-1'?>", "Café"),
            (b"<meta charset=iso-8859-7>", "Cafι"),
        ] {
            let body = page(&[head, b"<p>Caf\xE9"].concat()).expect("it is decoded");
            assert!(body.ends_with(text), "{body}");
        }
        assert!(
            page("<meta charset=shift_jis><p>Café".as_bytes()).is_ok_and(|body| body.ends_with("Café")),
            "it is UTF-8"
        );
        assert!(page(b"<p>Caf\xE9").is_err_and(|error| error.message.contains("not UTF-8")));
        assert!(page(b"<meta content='charset=latin1'><p>Caf\xE9").is_err());
    }
}
