//! Files to articles: JSON Lines, plain text and HTML, plain or gzip-compressed.
//!
//! In: a path or standard input. Out: [`Record`]s or [`InputError`]s, one at a time, never the whole file; an error names
//! its place and the next record follows. What a record means is not checked here.

mod document;
mod jsonl;

pub use jsonl::MAX_LINE_BYTES;

use crate::article::Article;
use flate2::bufread::MultiGzDecoder;
use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::{Path, PathBuf},
};

/// An article as it was read, with the labels that its row carries, where it carries any.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Record {
    /// The article.
    pub article: Article,
    /// `topics` of the row.
    pub topics: Vec<String>,
    /// `regions` of the row; `None` where the row does not say.
    pub regions: Option<Vec<String>>,
    /// Where it was read: `file:line`, or `file`.
    pub place: String,
}

/// Why a record, or a whole file, cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {message}")]
pub struct InputError {
    /// `file:line`, or `file`.
    pub place: String,
    /// What is wrong, and what to do.
    pub message: String,
}

impl InputError {
    fn new(place: &str, message: impl Into<String>) -> Self {
        InputError { place: place.to_owned(), message: message.into() }
    }
}

/// Where articles come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Standard input: `-`.
    Stdin,
    /// A file.
    File(PathBuf),
}

impl From<&Path> for Source {
    fn from(path: &Path) -> Self {
        if path.as_os_str() == "-" { Source::Stdin } else { Source::File(path.to_owned()) }
    }
}

/// The records of a source, one after the other. The kind is told by the name (`.jsonl`, `.ndjson`, `.json`, `.html`,
/// `.htm`, `.txt`, each also with `.gz`), otherwise by the first character: `{` begins JSON Lines, `<` HTML, anything else
/// is one plain article.
pub fn records(source: &Source) -> Box<dyn Iterator<Item = Result<Record, InputError>>> {
    let (name, opened) = match source {
        Source::Stdin => ("standard input".to_owned(), Ok(Box::new(io::stdin()) as Box<dyn Read>)),
        Source::File(path) => (path.display().to_string(), open(path)),
    };
    let mut reader = match opened.and_then(decompressed) {
        Ok(reader) => reader,
        Err(error) => return Box::new(std::iter::once(Err(InputError::new(&name, reason(&error))))),
    };
    let kind = match Kind::of_name(&name).map(Ok).unwrap_or_else(|| Kind::of_content(&mut reader)) {
        Ok(kind) => kind,
        Err(error) => return Box::new(std::iter::once(Err(InputError::new(&name, reason(&error))))),
    };
    match kind {
        Kind::JsonLines => Box::new(jsonl::Lines::new(reader, name)),
        Kind::Html | Kind::Text => Box::new(std::iter::once(document::read(reader, &name, kind == Kind::Html))),
    }
}

/// A file's content, decompressed where it is gzip.
///
/// # Errors
/// What the system says; a folder is an error.
pub fn open(path: &Path) -> io::Result<Box<dyn Read>> {
    let file = File::open(path)?;
    if file.metadata()?.is_dir() {
        return Err(io::Error::new(io::ErrorKind::IsADirectory, "it is a folder: name the files in it"));
    }
    Ok(Box::new(file))
}

/// Decompresses what begins with gzip's magic bytes.
pub(crate) fn decompressed(reader: Box<dyn Read>) -> io::Result<Box<dyn BufRead>> {
    let mut reader = BufReader::with_capacity(1 << 16, reader);
    let gzip = reader.fill_buf()?.starts_with(&[0x1F, 0x8B]);
    Ok(if gzip { Box::new(BufReader::with_capacity(1 << 16, MultiGzDecoder::new(reader))) } else { Box::new(reader) })
}

fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "no such file".to_owned(),
        io::ErrorKind::PermissionDenied => "no permission to read it".to_owned(),
        _ => error.to_string(),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    JsonLines,
    Html,
    Text,
}

impl Kind {
    fn of_name(name: &str) -> Option<Kind> {
        let name = name.to_ascii_lowercase();
        let name = name.strip_suffix(".gz").unwrap_or(&name);
        match name.rsplit_once('.')?.1 {
            "jsonl" | "ndjson" | "json" => Some(Kind::JsonLines),
            "html" | "htm" | "xhtml" => Some(Kind::Html),
            "txt" | "text" => Some(Kind::Text),
            _ => None,
        }
    }

    fn of_content(reader: &mut dyn BufRead) -> io::Result<Kind> {
        let start = reader.fill_buf()?;
        let start = start.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(start);
        Ok(match start.iter().find(|byte| !byte.is_ascii_whitespace()) {
            Some(b'{') => Kind::JsonLines,
            Some(b'<') => Kind::Html,
            _ => Kind::Text,
        })
    }
}
