//! The kind of a file, by its name or its first bytes.

use super::{Reading, fasttext, xml_kind::XmlKind};
use std::io::{self, BufRead};

/// The kind of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    Json,
    Table,
    Xml,
    Html,
    Text,
    FastText,
}

impl FileKind {
    /// The kind by the extension of a file name, which may be followed by `.gz` or `.zst`; `None` if it is unknown.
    pub fn of_name(name: &str) -> Option<FileKind> {
        let name = name.to_ascii_lowercase();
        let name = [".gz", ".zst"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(&name);
        match name.rsplit_once('.')?.1 {
            "jsonl" | "ndjson" | "json" => Some(FileKind::Json),
            "csv" | "tsv" => Some(FileKind::Table),
            "rss" | "atom" | "rdf" | "xml" => Some(FileKind::Xml),
            "html" | "htm" | "xhtml" => Some(FileKind::Html),
            "txt" | "text" => Some(FileKind::Text),
            _ => None,
        }
    }

    /// Whether text begins with a label of fastText.
    pub fn is_fasttext(reader: &mut dyn BufRead) -> io::Result<bool> {
        Ok(without_blanks(reader.fill_buf()?).starts_with(fasttext::PREFIX.as_bytes()))
    }

    /// The kind by the first bytes, which are not consumed.
    pub fn of_content(reader: &mut dyn BufRead, reading: &Reading) -> io::Result<FileKind> {
        if FileKind::is_fasttext(reader)? {
            return Ok(FileKind::FastText);
        }
        let start = reader.fill_buf()?;
        let is_xml = || without_blanks(start).get(..5).is_some_and(|start| start.eq_ignore_ascii_case(b"<?xml"));
        Ok(match first_byte(start) {
            Some(b'{') => FileKind::Json,
            Some(b'[') if begins_array(start) => FileKind::Json,
            Some(b'<') => match XmlKind::of(start) {
                kind if kind.is_news() => FileKind::Xml,
                XmlKind::Unknown if is_xml() => FileKind::Xml,
                // HTML, also as XHTML.
                _ => FileKind::Html,
            },
            _ if !reading.columns.is_empty() => FileKind::Table,
            _ => FileKind::Text,
        })
    }

    /// Whether files of this kind hold many articles with their labels.
    pub fn has_rows(self) -> bool {
        matches!(self, FileKind::Json | FileKind::Table | FileKind::Xml | FileKind::FastText)
    }
}

/// The first byte that is not white space, after a byte-order mark of UTF-8.
pub fn first_byte(start: &[u8]) -> Option<u8> {
    without_blanks(start).first().copied()
}

fn without_blanks(start: &[u8]) -> &[u8] {
    start.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(start).trim_ascii_start()
}

/// Whether an array of objects begins, not a text in brackets.
fn begins_array(start: &[u8]) -> bool {
    without_blanks(start).strip_prefix(b"[").is_some_and(|rest| first_byte(rest) == Some(b'{'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_known_by_name_or_content() {
        assert_eq!(FileKind::of_name("a/b.JSONL.gz"), Some(FileKind::Json));
        assert_eq!(FileKind::of_name("README"), None);
        let kind = |mut bytes: &[u8]| FileKind::of_content(&mut bytes, &Reading::default()).expect("bytes");
        for (content, expected) in [
            ("\u{FEFF} {\"body\": 1}", FileKind::Json),
            ("[ {}]", FileKind::Json),
            ("[AP] Rain fell.", FileKind::Text),
            ("<?XML version='1.0'?><other/>", FileKind::Xml),
            ("<rss>", FileKind::Xml),
            ("<?xml version='1.0'?><html>", FileKind::Html),
            ("<p>Rain fell.", FileKind::Html),
            ("__label__sport He won.", FileKind::FastText),
            ("", FileKind::Text),
        ] {
            assert_eq!(kind(content.as_bytes()), expected, "{content}");
        }
        let named = Reading { columns: "body=2".parse().expect("a pair"), ..Reading::default() };
        assert_eq!(FileKind::of_content(&mut &b"a,b"[..], &named).expect("bytes"), FileKind::Table);
    }
}
