//! Options for sources that do not describe themselves: the columns of rows, and the encoding of text.

use crate::article::Format;
use encoding_rs::{Encoding, UTF_8};
use std::collections::BTreeMap;

/// How to read sources that do not describe themselves.
#[derive(Debug, Clone, Default)]
pub struct Reading {
    /// The columns of tables, or fields of JSON objects, by the fields of rows.
    pub columns: Columns,
    /// The encoding of text; UTF-8 if `None`.
    pub encoding: Option<&'static Encoding>,
    /// What separates the cells of tables, an ASCII character; guessed from the first line if `None`.
    pub delimiter: Option<u8>,
    /// What quotes the cells of tables, an ASCII character; `"` if `None`.
    pub quote: Option<u8>,
    /// The format of texts that do not state one; if `None`, text, unless many rows of an archive have HTML.
    pub format: Option<Format>,
    /// The language of articles that do not state one, as an ISO 639 code; detected if `None`.
    pub language: Option<String>,
}

impl Reading {
    /// Decodes text. A byte-order mark has priority over `encoding`.
    ///
    /// # Errors
    /// If the bytes are not in the encoding: the position of the first invalid byte of UTF-8, and what to do. The
    /// message does not quote the text.
    pub(super) fn text(&self, bytes: Vec<u8>) -> Result<String, String> {
        // The name UTF-16 does not determine the order of bytes, the mark does.
        let marked = Encoding::for_bom(&bytes).filter(|(marked, _)| self.encoding.is_some() || *marked != UTF_8);
        match self.encoding {
            _ if marked.is_some() => {
                let (encoding, mark) = marked.unwrap_or((UTF_8, 0));
                let text = encoding.decode_without_bom_handling_and_without_replacement(&bytes[mark..]);
                text.map(|text| text.into_owned())
                    .ok_or_else(|| format!("not {}, which its byte-order mark names", encoding.name()))
            }
            None => String::from_utf8(bytes).map_err(|error| {
                let at = error.utf8_error().valid_up_to();
                format!("not UTF-8 at byte {at}: name the encoding, for example with --encoding windows-1252")
            }),
            Some(encoding) => match encoding.decode_without_bom_handling_and_without_replacement(&bytes) {
                Some(text) => Ok(text.into_owned()),
                None => Err(format!("not {}: name another encoding with --encoding", encoding.name())),
            },
        }
    }

    /// Checks that line breaks and delimiters are single bytes in the encoding, so that text can be split before it is decoded.
    ///
    /// # Errors
    /// If they are not.
    pub(super) fn check_ascii_compatible(&self) -> Result<(), String> {
        let encoding = self.encoding.unwrap_or(UTF_8);
        match encoding.is_ascii_compatible() {
            true => Ok(()),
            false => Err(format!("{} cannot be read line by line: convert the file to UTF-8 first", encoding.name())),
        }
    }
}

/// An encoding by its name in the WHATWG Encoding Standard, such as `windows-1252`.
///
/// # Errors
/// If the name is unknown.
pub fn encoding(name: &str) -> Result<&'static Encoding, String> {
    Encoding::for_label(name.as_bytes())
        .ok_or_else(|| format!("unknown encoding {name:?}: expected a name such as utf-8, windows-1252 or iso-8859-2"))
}

/// The fields of a row.
pub const FIELDS: [&str; 13] = [
    "id",
    "headline",
    "body",
    "format",
    "dateline",
    "language",
    "source_country",
    "published",
    "source",
    "topics",
    "subtopics",
    "regions",
    "how",
];

/// Alternative names of columns, and of fields of JSON objects.
pub(super) const OTHER_NAMES: [(&str, &[&str]); 8] = [
    ("headline", &["title"]),
    ("body", &["text", "content", "article"]),
    ("published", &["date", "pubdate", "published_at"]),
    ("source", &["outlet", "publisher"]),
    ("topics", &["topic", "label", "labels", "category", "categories", "section"]),
    ("subtopics", &["subtopic"]),
    ("regions", &["region", "country", "countries"]),
    ("id", &["guid", "article_id"]),
];

/// The columns of a table, or the fields of a JSON object, by the fields of a row. Fields without a column are found by their
/// usual names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Columns(BTreeMap<&'static str, String>);

impl std::str::FromStr for Columns {
    type Err = String;

    /// Parses pairs of field and column, separated by commas: `body=Text,topics=Section`. Columns may be numbers, from 1, if a
    /// CSV file has no header. A field with an empty column (`published=`) is not read.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut columns = BTreeMap::new();
        for pair in text.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
            let (field, column) = pair
                .split_once('=')
                .ok_or_else(|| format!("invalid pair {pair:?}: expected FIELD=COLUMN, such as topics=Section"))?;
            let known = FIELDS.into_iter().find(|known| *known == field.trim());
            let field =
                known.ok_or_else(|| format!("unknown field {field:?}: expected one of {}", FIELDS.join(", ")))?;
            if columns.insert(field, column.trim().to_owned()).is_some() {
                return Err(format!("duplicate field {field}: name it once"));
            }
        }
        let named: Vec<&String> = columns.values().filter(|column| !column.is_empty()).collect();
        let numbered = named.iter().filter(|column| column.parse::<usize>().is_ok()).count();
        match numbered {
            0 => Ok(Columns(columns)),
            _ if numbered == named.len() && !named.iter().any(|column| *column == "0") => Ok(Columns(columns)),
            _ => Err("invalid columns: expected only names, or only numbers from 1".to_owned()),
        }
    }
}

impl Columns {
    /// Whether no column is given.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The fields with their columns.
    pub fn named(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.0.iter().map(|(field, column)| (*field, column.as_str()))
    }

    /// The index of each field's column, from 0, in a file without a header; `None` unless columns are numbers.
    pub(super) fn numbered(&self) -> Option<BTreeMap<&'static str, usize>> {
        let read = self.0.iter().filter(|(_, column)| !column.is_empty());
        let indices: Option<BTreeMap<_, _>> =
            read.map(|(field, column)| Some((*field, column.parse::<usize>().ok()? - 1))).collect();
        indices.filter(|indices| !indices.is_empty())
    }

    /// The index of each field's column, from 0, in a file with a header.
    ///
    /// # Errors
    /// If the header lacks a given column.
    pub(super) fn indices(&self, header: &[String]) -> Result<BTreeMap<&'static str, usize>, String> {
        let find = |name: &str| header.iter().position(|column| column.trim().eq_ignore_ascii_case(name));
        let mut indices = BTreeMap::new();
        for field in FIELDS {
            let index = match self.0.get(field) {
                Some(name) if name.is_empty() => None,
                Some(name) => Some(find(name).ok_or_else(|| format!("no column {name:?}"))?),
                None => find(field).or_else(|| {
                    let others = OTHER_NAMES.iter().find(|(known, _)| *known == field);
                    others.into_iter().flat_map(|(_, names)| names.iter()).find_map(|name| find(name))
                }),
            };
            if let Some(index) = index {
                indices.insert(field, index);
            }
        }
        Ok(indices)
    }
}

/// The columns of a header, and what to do, for error messages. A header that does not look like names is not quoted: it may be
/// an article.
pub(super) fn describe(header: &[String], delimiter: u8) -> String {
    const MAX_COLUMNS: usize = 50;
    const MAX_NAME: usize = 40;
    let is_name = |name: &String| name.chars().count() <= MAX_NAME && !name.chars().any(char::is_control);
    match header.len() <= MAX_COLUMNS && header.iter().all(is_name) {
        true => {
            let delimiter = match delimiter {
                b'\t' => "tabs".to_owned(),
                other => format!("{:?}", char::from(other).to_string()),
            };
            format!(
                "the columns, separated by {delimiter}, are {}: give --columns, such as body=NAME, or --delimiter",
                header.join(", ")
            )
        }
        false => format!(
            "the first line has {} cells and is not a header: give --columns with numbers, such as body=2,topics=1",
            header.len()
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_given_by_name_or_number_or_found() {
        let header = ["Title", "TEXT", "Ressort", "Section"].map(str::to_owned);
        let guessed = Columns::default().indices(&header).expect("no column is given");
        assert_eq!(guessed, BTreeMap::from([("body", 1), ("headline", 0), ("topics", 3)]));
        let named: Columns = "topics=ressort".parse().expect("a pair");
        assert_eq!(named.indices(&header).expect("it is there")["topics"], 2);
        assert!(named.indices(&header[..1]).is_err_and(|error| error.contains("no column \"ressort\"")));
        let numbered: Columns = "body=2, topics=1".parse().expect("pairs");
        assert_eq!(numbered.numbered(), Some(BTreeMap::from([("body", 1), ("topics", 0)])));
        assert_eq!(named.numbered(), None);
        for wrong in ["body", "text=1", "body=1,topics=x", "body=a,body=b", "body=0"] {
            assert!(wrong.parse::<Columns>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn text_is_decoded_in_the_given_encoding() {
        let windows = Reading { encoding: Some(encoding("windows-1252").expect("known")), ..Reading::default() };
        assert_eq!(windows.text(b"Caf\xE9".to_vec()).as_deref(), Ok("Café"));
        let utf16 = Reading { encoding: Some(encoding("utf-16").expect("known")), ..Reading::default() };
        assert_eq!(utf16.text(b"\xFE\xFF\0C\0a".to_vec()).as_deref(), Ok("Ca"), "the other order of bytes");
        let error = Reading::default().text(b"secret Caf\xE9".to_vec()).expect_err("it is not UTF-8");
        assert!(error.contains("byte 10") && !error.contains("secret"), "{error}");
        assert!(encoding("klingon").is_err());
        assert!(
            Reading { encoding: Some(encoding("utf-16le").expect("known")), ..Reading::default() }
                .check_ascii_compatible()
                .is_err()
        );
    }
}
