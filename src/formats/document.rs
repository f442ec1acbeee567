use super::{InputError, Reading, Record};
use crate::article::{Article, Format, MAX_ARTICLE_BYTES};
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
    if reading.encoding.is_none() {
        if bytes.starts_with(b"\xFF\xFE") || bytes.starts_with(b"\xFE\xFF") {
            return Err(InputError::new(name, "this is UTF-16: say so, with --encoding utf-16"));
        }
        if bytes.contains(&0) {
            return Err(InputError::new(name, "this is a binary file, not text"));
        }
    }
    let text = reading.text(bytes).map_err(|message| InputError::new(name, message))?;
    let format = if html { Format::Html } else { Format::Text };
    let article = Article { id: name.to_owned(), body: text, format, ..Article::default() };
    Ok(Record { article, place: name.to_owned(), ..Record::default() })
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
        assert!(text(b"\xFF\xFEa\0").expect_err("UTF-16").message.contains("UTF-16"));
        assert!(text(b"Caf\xE9").expect_err("latin").message.contains("not UTF-8 at byte 3"));
    }
}
