//! Files to articles: JSON, ninjs, CSV, NewsML-G2, NITF, RSS and Atom feeds, plain text and HTML, plain or compressed with gzip or
//! zstd, alone or in folders.
//!
//! In: a path or standard input. Out: [`Record`]s or [`InputError`]s, one at a time, never the whole file; an error names
//! its place and the next record follows. What a record means is not checked here.

pub mod date;
mod document;
mod feed;
mod folder;
mod jsonl;
pub mod newsml;
pub mod ninjs;
mod nitf;
mod object;
mod objects;
mod reading;
mod table;
mod xml;

pub use folder::{Member, members};
pub use object::Object;
pub use objects::MAX_OBJECT_BYTES;
pub use reading::{Columns, FIELDS, Reading, encoding};

use crate::article::Article;
use encoding_rs::Encoding;
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
    /// `subtopics` of the row: narrower topics within `topics`.
    pub subtopics: Vec<String>,
    /// `regions` of the row; `None` where the row does not say.
    pub regions: Option<Vec<String>>,
    /// `published` of the row, as it was written.
    pub published: String,
    /// `source` of the row: the outlet, the wire.
    pub source: String,
    /// Whether the row was picked for what it is about (`how` is `selected`): it teaches, but does not tell how frequent labels
    /// are.
    pub is_selected: bool,
    /// Where it was read: `file:line`, or `file`.
    pub place: String,
    /// The item that it is, if it came as one.
    pub item: Option<Item>,
}

/// An article as an item of a wire, with what it says of its publication.
#[derive(Debug, Clone, PartialEq)]
pub enum Item {
    /// ninjs.
    Ninjs(Box<ninjs::Item>),
    /// NewsML-G2.
    NewsMl(newsml::Item),
    /// NITF.
    Nitf {
        /// Whether its publication was taken back.
        canceled: bool,
        /// Until when it must not be published.
        embargoed: String,
    },
}

impl Item {
    /// Whether its publication was taken back: such an item passes without labels.
    pub fn is_canceled(&self) -> bool {
        match self {
            Item::Ninjs(item) => item.is_canceled(),
            Item::NewsMl(item) => item.is_canceled(),
            Item::Nitf { canceled, .. } => *canceled,
        }
    }

    /// Whether it may not be published for now.
    pub fn is_withheld(&self) -> bool {
        matches!(self, Item::NewsMl(item) if item.is_withheld())
    }

    /// Until when it must not be published, as it says; empty if it does not.
    pub fn embargoed(&self) -> String {
        match self {
            Item::Ninjs(item) => item.embargoed(),
            Item::NewsMl(item) => item.embargoed().to_owned(),
            Item::Nitf { embargoed, .. } => embargoed.clone(),
        }
    }
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
        Kind::Json => match objects::Objects::new(reader, &name, reading) {
            Ok(objects) => Box::new(objects),
            Err(error) => one(Err(error)),
        },
        Kind::Table => match table::Rows::new(reader, &name, reading) {
            Ok(rows) => Box::new(rows),
            Err(error) => one(Err(error)),
        },
        Kind::Xml => Box::new(read_xml(reader, &name, reading).into_iter()),
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

/// The articles in a document of XML: a feed, NewsML-G2, NITF or a page.
fn read_xml(reader: Box<dyn BufRead>, name: &str, reading: &Reading) -> Vec<Result<Record, InputError>> {
    let mut bytes = Vec::new();
    let fault = |message: String| vec![Err(InputError::new(name, message))];
    if let Err(error) = reader.take(MAX_XML_BYTES + 1).read_to_end(&mut bytes) {
        return fault(format!("cannot be read: {error}"));
    }
    if bytes.len() as u64 > MAX_XML_BYTES {
        return fault(format!("the document is larger than {} MiB", MAX_XML_BYTES >> 20));
    }
    read_xml_bytes(bytes, name, reading)
}

/// The largest document of XML that is read (16 MiB): it is held as a whole.
const MAX_XML_BYTES: u64 = 16 << 20;

fn read_xml_bytes(bytes: Vec<u8>, name: &str, reading: &Reading) -> Vec<Result<Record, InputError>> {
    let fault = |message: String| vec![Err(InputError::new(name, message))];
    let looked_at = match Encoding::for_bom(&bytes) {
        // Of UTF-16 the ASCII letters, which names of elements are.
        Some((encoding, _)) if encoding != encoding_rs::UTF_8 => {
            bytes.iter().copied().filter(|byte| *byte != 0).take(MARKUP_LOOK).collect()
        }
        _ => bytes[..bytes.len().min(MARKUP_LOOK)].to_vec(),
    };
    let document = feed::Document::of(&looked_at);
    if document == feed::Document::Feed {
        return feed::read(bytes, name, reading);
    }
    let read = |bytes| xml::decode_document(bytes, reading);
    // Of several documents, one behind the other, each is read.
    let each = |bytes, read_one: fn(&str, &str) -> Result<Vec<Record>, xml::XmlError>| match read(bytes) {
        Err(message) => fault(message),
        Ok(text) => {
            let documents: Vec<&str> = xml::documents(&text).collect();
            let mut read = Vec::new();
            for (i, document) in documents.iter().enumerate() {
                let place = if documents.len() == 1 { name.to_owned() } else { format!("{name}:{}", i + 1) };
                match read_one(document, &place) {
                    Ok(records) if records.is_empty() => {
                        read.push(Err(InputError::new(&place, "there is no newsItem in it")))
                    }
                    Ok(records) => read.extend(records.into_iter().map(Ok)),
                    Err(error) => read.push(Err(InputError::new(&place, error.to_string()))),
                }
            }
            read
        }
    };
    match document {
        feed::Document::NewsMl => each(bytes, newsml::read),
        feed::Document::Nitf => each(bytes, |text, place| nitf::read(text, place).map(|record| vec![record])),
        feed::Document::Page => vec![document::of_bytes(bytes, name, true, reading)],
        _ => fault(
            "the XML is of an unknown kind: RSS, Atom, NewsML-G2 and NITF are read, and HTML under a name that ends in .html"
                .to_owned(),
        ),
    }
}

/// Where the root of a document of XML must begin, in bytes.
const MARKUP_LOOK: usize = 64 << 10;

/// Whether an array of objects begins, rather than a text in brackets.
fn begins_array(start: &[u8]) -> bool {
    let start = start.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(start).trim_ascii_start();
    start.strip_prefix(b"[").is_some_and(|rest| first_character(rest) == Some(b'{'))
}

/// The one article in the bytes of a message: a row, or an item of ninjs.
///
/// # Errors
/// If there is none, or something beside it; the message does not quote its text.
pub fn read_one(bytes: &[u8], place: &str) -> Result<Record, String> {
    if first_character(bytes) == Some(b'<') {
        // Before anything is parsed: feeds may hold any number of articles.
        let document = feed::Document::of(&bytes[..bytes.len().min(MARKUP_LOOK)]);
        if !matches!(document, feed::Document::NewsMl | feed::Document::Nitf) {
            return Err(
                "neither a row of JSON nor ninjs, NewsML-G2 or NITF: feeds and pages are not messages".to_owned()
            );
        }
        let mut records = read_xml_bytes(bytes.to_vec(), place, &Reading::default());
        return match (records.pop(), records.is_empty()) {
            (Some(record), true) => record.map_err(|error| error.message),
            (None, _) => Err("there is no article in it".to_owned()),
            (_, false) => Err("there is more than one article in it: send one article a message".to_owned()),
        };
    }
    let mut objects = objects::Objects::new(bytes, place, &Reading::default()).map_err(|error| error.message)?;
    let record = objects.next().ok_or("there is no article in it")?.map_err(|error| error.message)?;
    match objects.next() {
        None => Ok(record),
        Some(_) => Err("there is more than one JSON object in it: send one article a message".to_owned()),
    }
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
    Json,
    Table,
    Xml,
    Html,
    Text,
}

impl Kind {
    fn of_name(name: &str) -> Option<Kind> {
        let name = name.to_ascii_lowercase();
        let name = [".gz", ".zst"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(&name);
        match name.rsplit_once('.')?.1 {
            "jsonl" | "ndjson" | "json" => Some(Kind::Json),
            "csv" | "tsv" => Some(Kind::Table),
            "rss" | "atom" | "rdf" | "xml" => Some(Kind::Xml),
            "html" | "htm" | "xhtml" => Some(Kind::Html),
            "txt" | "text" => Some(Kind::Text),
            _ => None,
        }
    }

    /// Whether a file of this kind holds many articles, with what is known of them.
    fn has_rows(self) -> bool {
        matches!(self, Kind::Json | Kind::Table | Kind::Xml)
    }

    fn of_content(reader: &mut dyn BufRead, reading: &Reading) -> io::Result<Kind> {
        let start = reader.fill_buf()?;
        let begins = |tag: &[u8]| {
            let start = start.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(start).trim_ascii_start();
            start.get(..tag.len()).is_some_and(|start| start.eq_ignore_ascii_case(tag))
        };
        Ok(match first_character(start) {
            Some(b'{') => Kind::Json,
            Some(b'[') if begins_array(start) => Kind::Json,
            Some(b'<') => match feed::Document::of(start) {
                document if document.is_news() => Kind::Xml,
                feed::Document::Unknown if begins(b"<?xml") => Kind::Xml,
                // Pages may be XML too.
                _ => Kind::Html,
            },
            _ if !reading.columns.is_empty() => Kind::Table,
            _ => Kind::Text,
        })
    }
}
