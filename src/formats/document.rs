use super::{InputError, Record};
use crate::article::{Article, Format, MAX_ARTICLE_BYTES};
use std::io::{BufRead, Read};

/// The longest first line that counts as a headline, in bytes.
const LONGEST_HEADLINE: usize = 250;

/// Reads one article from a text or HTML file; its id is the file's name.
///
/// In plain text a first line is the headline where a blank line follows it and it does not end as a sentence does.
pub fn read(reader: Box<dyn BufRead>, name: &str, html: bool) -> Result<Record, InputError> {
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
    if bytes.contains(&0) {
        return Err(InputError::new(name, "this is a binary file, not text"));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        InputError::new(
            name,
            format!("not UTF-8 at byte {at}: convert it first, for example with `iconv -f WINDOWS-1252 -t UTF-8`"),
        )
    })?;
    let text = text.strip_prefix('\u{FEFF}').unwrap_or(&text);
    let id = name.to_owned();
    let article = if html {
        Article { id, body: text.to_owned(), format: Format::Html, ..Article::default() }
    } else {
        let (headline, body) = split_headline(text);
        Article { id, headline: headline.to_owned(), body: body.to_owned(), ..Article::default() }
    };
    Ok(Record { article, place: name.to_owned(), ..Record::default() })
}

fn split_headline(text: &str) -> (&str, &str) {
    let text = text.trim_start();
    let Some((first, rest)) = text.split_once('\n') else { return ("", text) };
    let first = first.trim();
    let blank_follows = rest.lines().next().is_some_and(|line| line.trim().is_empty());
    if blank_follows && first.len() <= LONGEST_HEADLINE && !first.ends_with('.') { (first, rest) } else { ("", text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: &'static [u8]) -> Result<Article, InputError> {
        read(Box::new(bytes), "a.txt", false).map(|record| record.article)
    }

    #[test]
    fn a_first_line_alone_is_the_headline() {
        let article = text(b"Flood in the valley\n\nRain fell.\n").expect("it is text");
        assert_eq!((&*article.headline, article.body.trim()), ("Flood in the valley", "Rain fell."));
        let article = text(b"Rain fell.\n\nIt fell again.").expect("it is text");
        assert_eq!(article.headline, "");
    }

    #[test]
    fn what_is_no_text_is_told() {
        assert!(text(b"\x00\x01").expect_err("binary").message.contains("binary"));
        assert!(text(b"Caf\xE9").expect_err("latin").message.contains("not UTF-8 at byte 3"));
    }
}
