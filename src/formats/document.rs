use super::{InputError, Reading, Record, xml};
use crate::article::{Article, Format, MAX_ARTICLE_BYTES};
use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252, X_USER_DEFINED};
use html5gum::{DefaultEmitter, Token, Tokenizer};
use std::io::{BufRead, Read};

/// Reads one article from a text or HTML file; its id is the file's name.
pub fn read(reader: Box<dyn BufRead>, name: &str, html: bool, reading: &Reading) -> Result<Record, InputError> {
    let mut bytes = Vec::new();
    let most = 2 * MAX_ARTICLE_BYTES as u64;
    reader
        .take(most + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| InputError::new(name, format!("cannot be read: {error}")))?;
    if bytes.len() as u64 > most {
        return Err(InputError::new(
            name,
            format!("the file is larger than {} MiB: one article a file is expected", most >> 20),
        ));
    }
    of_bytes(bytes, name, html, reading)
}

/// The article in the bytes of a file. They are decoded as their byte-order mark says, otherwise as `reading` says, otherwise as
/// UTF-8 if they are that, otherwise as a page says itself.
pub fn of_bytes(bytes: Vec<u8>, name: &str, html: bool, reading: &Reading) -> Result<Record, InputError> {
    let marked = Encoding::for_bom(&bytes).is_some();
    if reading.encoding.is_none() && !marked && bytes.contains(&0) {
        return Err(InputError::new(name, "this is a binary file, not text"));
    }
    let own = match reading.encoding.is_some() || marked || !html || std::str::from_utf8(&bytes).is_ok() {
        true => reading.encoding,
        false => xml::declared_encoding(&bytes).or_else(|| charset(&bytes)),
    };
    let text = match own.filter(|_| reading.encoding.is_none() && !marked) {
        // As browsers do: a page is read whatever stray bytes it has.
        Some(encoding) => encoding.decode_without_bom_handling(&bytes).0.into_owned(),
        None => Reading { encoding: own.or(reading.encoding), ..reading.clone() }
            .text(bytes)
            .map_err(|message| InputError::new(name, message))?,
    };
    let format = if html { Format::Html } else { Format::Text };
    let article = Article { id: name.to_owned(), body: text, format, ..Article::default() };
    Ok(Record { article, place: name.to_owned(), ..Record::default() })
}

/// The encoding that a page names in `<meta charset>` or `<meta http-equiv=content-type>` (HTML Standard, 13.2.3.2).
fn charset(bytes: &[u8]) -> Option<&'static Encoding> {
    const LOOK: usize = 64 << 10;
    let start = String::from_utf8_lossy(&bytes[..bytes.len().min(LOOK)]);
    let mut emitter = DefaultEmitter::default();
    // What scripts hold is no markup.
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
        let named = attribute(b"charset").or_else(|| {
            attribute(b"http-equiv").filter(|name| name == "content-type")?;
            let content = attribute(b"content")?;
            let (_, label) = content.split_once("charset")?;
            let label = label.trim_start().strip_prefix('=')?.trim_start().trim_start_matches(['"', '\'']);
            Some(label.split([';', '"', '\'', ' ']).next().unwrap_or_default().to_owned())
        });
        if let Some(encoding) = named.and_then(|label| Encoding::for_label(label.as_bytes())) {
            return Some(match encoding {
                // A page whose tags could be read is not in UTF-16.
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
        read(Box::new(bytes), "a.txt", false, &Reading::default()).map(|record| record.article)
    }

    #[test]
    fn what_is_no_text_is_told() {
        assert!(text(b"\x00\x01").expect_err("binary").message.contains("binary"));
        assert_eq!(text(b"\xFF\xFEa\0").map(|article| article.body).as_deref(), Ok("a"));
        assert!(text(b"\xFF\xFEa").expect_err("half a letter").message.contains("UTF-16"));
        assert!(text(b"Caf\xE9").expect_err("latin").message.contains("not UTF-8 at byte 3"));
    }

    #[test]
    fn pages_say_how_they_are_encoded() {
        let page = |bytes: &[u8]| {
            of_bytes(bytes.to_vec(), "a.html", true, &Reading::default()).map(|record| record.article.body)
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
