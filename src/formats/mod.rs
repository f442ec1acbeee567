//! Reads articles from files: JSON Lines, ninjs, CSV, fastText, NewsML-G2, NITF, RSS and Atom feeds, HTML and plain text, also compressed
//! with gzip or zstd, and in folders.
//!
//! In: a path or standard input. Out: [`Record`]s or [`InputError`]s, one at a time; only XML files are held in memory as a
//! whole. An error names its [`Place`], and the next record follows. The content of fields is not checked here.

mod answer;
mod article_fields;
pub mod date;
mod fasttext;
mod feed;
mod folder;
mod kind;
pub mod newsml;
pub mod ninjs;
mod nitf;
mod object;
mod objects;
mod place;
mod reading;
mod record;
mod row;
mod row_tracker;
mod source;
mod table;
mod tags;
mod text_file;
mod transcode;
mod xml;
mod xml_encoding;
mod xml_file;
mod xml_kind;

pub use answer::{AnswerObject, ArticleFault};
pub use article_fields::ArticleFields;
pub use folder::{Member, members};
pub use object::Object;
pub use objects::MAX_OBJECT_BYTES;
pub use place::Place;
pub use reading::{Columns, FIELDS, Reading, encoding};
pub use record::{InputError, Item, Record};
pub use source::{Source, open};
#[cfg(feature = "train")]
pub(crate) use transcode::as_utf8;

use kind::FileKind;
use std::{
    io::{self, BufRead, Read},
    path::Path,
};
use xml_kind::XmlKind;

/// The records of a source, in order.
///
/// The extension of the name determines the kind (`.jsonl`, `.ndjson`, `.json`, `.csv`, `.tsv`, `.rss`, `.atom`, `.rdf`,
/// `.xml`, `.html`, `.htm`, `.xhtml`, `.txt`, `.text`, each also with `.gz` or `.zst`). With another name the first bytes do:
/// `{`, or `[` before an object, is JSON; markup is XML if its root element is that of a feed, NewsML-G2 or NITF, or if it
/// begins with `<?xml` and is not XHTML; other markup is HTML; text that begins with `__label__` is in fastText's format; anything else is a table if columns are given, otherwise one
/// article of plain text. JSON objects that are ninjs are read as such, whatever the name of their file.
pub fn records(source: &Source, reading: &Reading) -> Box<dyn Iterator<Item = Result<Record, InputError>>> {
    let opened = match source {
        Source::Stdin => Ok(Box::new(io::stdin()) as Box<dyn Read>),
        Source::File(path) => open(path),
    };
    records_of(opened, source, None, reading)
}

/// The records of bytes in the format of a file of this name, in order.
pub fn records_from(
    reader: impl Read + 'static,
    name: &str,
    reading: &Reading,
) -> Box<dyn Iterator<Item = Result<Record, InputError>>> {
    records_of(Ok(Box::new(reader)), &Source::File(name.into()), None, reading)
}

/// The records of an opened source, or why it cannot be opened. A source with a label is one article with this label.
pub(crate) fn records_of(
    opened: io::Result<Box<dyn Read>>,
    source: &Source,
    label: Option<&str>,
    reading: &Reading,
) -> Box<dyn Iterator<Item = Result<Record, InputError>>> {
    let file = source.place();
    let one = |result| Box::new(std::iter::once(result));
    let mut reader = match opened.and_then(source::decompressed) {
        Ok(reader) => reader,
        Err(error) => return one(Err(InputError::new(&file, source::explain(&error)))),
    };
    if let Some(label) = label {
        let is_html = reader.fill_buf().is_ok_and(|start| kind::first_byte(start) == Some(b'<'));
        let article = text_file::read(reader, &file, is_html, reading);
        return one(article.map(|record| Record { topics: vec![label.to_owned()], ..record }));
    }
    let by_name = FileKind::of_name(file.file()).map(Ok);
    let kind = match by_name.unwrap_or_else(|| FileKind::of_content(&mut reader, reading)) {
        Ok(kind) => kind,
        Err(error) => return one(Err(InputError::new(&file, source::explain(&error)))),
    };
    // The extension `.txt` is that of both.
    let kind = match kind == FileKind::Text && FileKind::is_fasttext(&mut reader).unwrap_or(false) {
        true => FileKind::FastText,
        false => kind,
    };
    match kind {
        FileKind::FastText => match fasttext::Lines::new(reader, &file, reading) {
            Ok(lines) => Box::new(lines),
            Err(error) => one(Err(error)),
        },
        FileKind::Json => match objects::Objects::new(reader, &file, reading) {
            Ok(objects) => Box::new(objects),
            Err(error) => one(Err(error)),
        },
        FileKind::Table => match table::Rows::new(reader, &file, reading) {
            Ok(rows) => Box::new(rows),
            Err(error) => one(Err(error)),
        },
        FileKind::Xml => Box::new(xml_file::read(reader, &file, reading).into_iter()),
        FileKind::Html | FileKind::Text => one(text_file::read(reader, &file, kind == FileKind::Html, reading)),
    }
}

/// The columns of a table, and what separates them, for messages; `None` for other files.
pub fn describe_columns(path: &Path, reading: &Reading) -> Option<String> {
    let source = Source::from(path);
    let mut reader = open(path).and_then(source::decompressed).ok()?;
    let kind = FileKind::of_name(&source.name()).map_or_else(|| FileKind::of_content(&mut reader, reading), Ok).ok()?;
    (kind == FileKind::Table).then(|| table::describe_columns(reader, &source.place(), reading))?
}

/// The one article of a message: a JSON row, or an item of ninjs, NewsML-G2 or NITF. `name` is the file of its place.
///
/// # Errors
/// If there is no article, or more than one; the message does not quote its text.
pub fn read_one(bytes: &[u8], name: &str) -> Result<Record, String> {
    let message = Place::of_file(name);
    if kind::first_byte(bytes) == Some(b'<') {
        return read_one_of_xml(bytes, &message);
    }
    let mut objects = objects::Objects::new(bytes, &message, &Reading::default()).map_err(|error| error.message)?;
    let record = objects.next().ok_or("no article found")?.map_err(|error| error.message)?;
    match objects.next() {
        None => Ok(record),
        Some(_) => Err("more than one JSON object: send one article per message".to_owned()),
    }
}

fn read_one_of_xml(bytes: &[u8], message: &Place) -> Result<Record, String> {
    // Checked before anything is parsed: a feed may have any number of articles.
    let kind = XmlKind::of(&bytes[..bytes.len().min(XmlKind::MAX_PROLOG)]);
    if !matches!(kind, XmlKind::NewsMl | XmlKind::Nitf) {
        return Err("expected a JSON row, ninjs, NewsML-G2 or NITF: feeds and HTML pages are not accepted as messages"
            .to_owned());
    }
    let mut records = xml_file::read_bytes(bytes.to_vec(), message, &Reading::default());
    match (records.pop(), records.is_empty()) {
        (Some(record), true) => record.map_err(|error| error.message),
        (None, _) => Err("no article found".to_owned()),
        (_, false) => Err("more than one article: send one article per message".to_owned()),
    }
}
