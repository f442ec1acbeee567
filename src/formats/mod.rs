//! Files to articles: JSON Lines, ninjs, CSV, RSS and Atom feeds, plain text and HTML, plain or compressed with gzip or zstd,
//! alone or in folders.
//!
//! In: a path or standard input. Out: [`Record`]s or [`InputError`]s, one at a time, never the whole file; an error names
//! its place and the next record follows. What a record means is not checked here.

mod document;
mod feed;
mod folder;
mod jsonl;
pub mod ninjs;
mod object;
mod reading;
mod table;

pub use folder::{Member, members};
pub use jsonl::{MAX_LINE_BYTES, read_object};
pub use object::Object;
pub use reading::{Columns, FIELDS, Reading, encoding};

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
    /// `published` of the row, as it was written.
    pub published: String,
    /// `source` of the row: the outlet, the wire.
    pub source: String,
    /// Where it was read: `file:line`, or `file`.
    pub place: String,
    /// The ninjs item that it is.
    pub item: Option<Box<ninjs::Item>>,
}

/// Why a record, or a whole file, cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {message}")]
pub struct InputError {
    /// `file:line`, or `file`.
    pub place: String,
    /// What is wrong, and what to do.
    pub message: String,
    /// Whether the source cannot be read on, though it has not ended: what follows is lost, not just one record.
    pub cut_off: bool,
}

impl InputError {
    pub(crate) fn new(place: &str, message: impl Into<String>) -> Self {
        InputError { place: place.to_owned(), message: message.into(), cut_off: false }
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

impl Source {
    /// What errors call it.
    pub fn name(&self) -> String {
        match self {
            Source::Stdin => "standard input".to_owned(),
            Source::File(path) => path.display().to_string(),
        }
    }
}

/// The records of a source, one after the other. The kind is told by the name (`.jsonl`, `.ndjson`, `.json`, `.csv`, `.tsv`,
/// `.rss`, `.atom`, `.xml`, `.html`, `.htm`, `.txt`, each also with `.gz` or `.zst`), otherwise by how it begins: `{` begins JSON
/// Lines, `<rss`, `<feed` or `<?xml` a feed, another `<` HTML, anything else is a table where columns are named, and one plain
/// article where they are not. An object of JSON that is ninjs is read as such, whatever its file is called.
pub fn records(source: &Source, reading: &Reading) -> Box<dyn Iterator<Item = Result<Record, InputError>>> {
    let opened = match source {
        Source::Stdin => Ok(Box::new(io::stdin()) as Box<dyn Read>),
        Source::File(path) => open(path),
    };
    records_of(opened, source, None, reading)
}

/// The records of a source that was opened, or why it was not. With a label it is one article that has this label.
pub(crate) fn records_of(
    opened: io::Result<Box<dyn Read>>,
    source: &Source,
    label: Option<&str>,
    reading: &Reading,
) -> Box<dyn Iterator<Item = Result<Record, InputError>>> {
    let name = source.name();
    let one = |result| Box::new(std::iter::once(result));
    let mut reader = match opened.and_then(decompressed) {
        Ok(reader) => reader,
        Err(error) => return one(Err(InputError::new(&name, reason(&error)))),
    };
    if let Some(label) = label {
        let html = reader.fill_buf().is_ok_and(|start| first_character(start) == Some(b'<'));
        let article = document::read(reader, &name, html, reading);
        return one(article.map(|record| Record { topics: vec![label.to_owned()], ..record }));
    }
    let kind = match Kind::of_name(&name).map(Ok).unwrap_or_else(|| Kind::of_content(&mut reader, reading)) {
        Ok(kind) => kind,
        Err(error) => return one(Err(InputError::new(&name, reason(&error)))),
    };
    match kind {
        Kind::JsonLines => match jsonl::Lines::new(reader, &name, reading) {
            Ok(lines) => Box::new(lines),
            Err(error) => one(Err(error)),
        },
        Kind::Table => match table::Rows::new(reader, &name, reading) {
            Ok(rows) => Box::new(rows),
            Err(error) => one(Err(error)),
        },
        Kind::Feed => Box::new(feed::read(reader, &name).into_iter()),
        Kind::Html | Kind::Text => one(document::read(reader, &name, kind == Kind::Html, reading)),
    }
}

/// A file's content as it stands there.
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

/// Decompresses what begins with the magic bytes of gzip or zstd.
pub(crate) fn decompressed(reader: Box<dyn Read>) -> io::Result<Box<dyn BufRead>> {
    const BUFFER: usize = 1 << 16;
    let mut reader = BufReader::with_capacity(BUFFER, reader);
    let start = reader.fill_buf()?;
    if start.starts_with(&[0x1F, 0x8B]) {
        Ok(Box::new(BufReader::with_capacity(BUFFER, MultiGzDecoder::new(reader))))
    } else if start.starts_with(&[0x28, 0xB5, 0x2F, 0xFD]) {
        Ok(Box::new(BufReader::with_capacity(BUFFER, zstd::Decoder::with_buffer(reader)?)))
    } else {
        Ok(Box::new(reader))
    }
}

/// The first character of a text that is no white space, without the mark that some put before all.
fn first_character(start: &[u8]) -> Option<u8> {
    let start = start.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(start);
    start.iter().copied().find(|byte| !byte.is_ascii_whitespace())
}

/// Whether a page of HTML begins soon.
fn holds_page(start: &[u8]) -> bool {
    const SOON: usize = 1024;
    let start = String::from_utf8_lossy(&start[..start.len().min(SOON)]).to_ascii_lowercase();
    start.contains("<html") || start.contains("<!doctype html")
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
    Table,
    Feed,
    Html,
    Text,
}

impl Kind {
    fn of_name(name: &str) -> Option<Kind> {
        let name = name.to_ascii_lowercase();
        let name = [".gz", ".zst"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(&name);
        match name.rsplit_once('.')?.1 {
            "jsonl" | "ndjson" | "json" => Some(Kind::JsonLines),
            "csv" | "tsv" => Some(Kind::Table),
            "rss" | "atom" | "rdf" | "xml" => Some(Kind::Feed),
            "html" | "htm" | "xhtml" => Some(Kind::Html),
            "txt" | "text" => Some(Kind::Text),
            _ => None,
        }
    }

    /// Whether a file of this kind holds many articles, with what is known of them.
    fn has_rows(self) -> bool {
        matches!(self, Kind::JsonLines | Kind::Table | Kind::Feed)
    }

    fn of_content(reader: &mut dyn BufRead, reading: &Reading) -> io::Result<Kind> {
        let start = reader.fill_buf()?;
        let begins = |tag: &[u8]| {
            let start = start.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(start).trim_ascii_start();
            start.get(..tag.len()).is_some_and(|start| start.eq_ignore_ascii_case(tag))
        };
        Ok(match first_character(start) {
            Some(b'{') => Kind::JsonLines,
            // Pages may be XML too.
            Some(b'<') if begins(b"<?xml") && holds_page(start) => Kind::Html,
            Some(b'<') if [&b"<?xml"[..], b"<rss", b"<feed", b"<rdf:RDF"].into_iter().any(begins) => Kind::Feed,
            Some(b'<') => Kind::Html,
            _ if !reading.columns.is_empty() => Kind::Table,
            _ => Kind::Text,
        })
    }
}
