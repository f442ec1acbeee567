//! XML files: finds the kind of their documents, and reads each as a feed, NewsML-G2, NITF or XHTML.

use super::{InputError, Place, Reading, Record, feed, newsml, nitf, text_file, xml, xml_encoding, xml_kind::XmlKind};
use encoding_rs::Encoding;
use std::io::{BufRead, Read};

/// The largest XML file that is read, in bytes (16 MiB): it is held in memory as a whole.
const MAX_XML_BYTES: u64 = 16 << 20;

/// The records of an XML file, or an error for each that cannot be read.
pub fn read(reader: Box<dyn BufRead>, file: &Place, reading: &Reading) -> Vec<Result<Record, InputError>> {
    let mut bytes = Vec::new();
    let fault = |message: String| vec![Err(InputError::new(file, message))];
    if let Err(error) = reader.take(MAX_XML_BYTES + 1).read_to_end(&mut bytes) {
        return fault(format!("cannot be read: {error}"));
    }
    if bytes.len() as u64 > MAX_XML_BYTES {
        return fault(format!("the document is larger than {} MiB", MAX_XML_BYTES >> 20));
    }
    read_bytes(bytes, file, reading)
}

/// The records in the bytes of an XML file, or an error for each that cannot be read.
pub fn read_bytes(bytes: Vec<u8>, file: &Place, reading: &Reading) -> Vec<Result<Record, InputError>> {
    match kind(&bytes) {
        XmlKind::Feed => feed::read(bytes, file, reading),
        XmlKind::NewsMl => read_documents(bytes, file, reading, newsml::read),
        XmlKind::Nitf => {
            read_documents(bytes, file, reading, |text, place| nitf::read(text, place).map(|record| vec![record]))
        }
        XmlKind::Page => vec![text_file::read_bytes(bytes, file, true, reading)],
        XmlKind::Unknown => vec![Err(InputError::new(
            file,
            "unknown kind of XML: expected RSS, Atom, NewsML-G2 or NITF, or HTML under a name that ends in .html",
        ))],
    }
}

/// The kind of a document that may be in UTF-16.
fn kind(bytes: &[u8]) -> XmlKind {
    match Encoding::for_bom(bytes) {
        // Of UTF-16, the ASCII characters: names of elements have no others.
        Some((encoding, _)) if encoding != encoding_rs::UTF_8 => {
            let ascii = bytes.iter().copied().filter(|byte| *byte != 0);
            XmlKind::of(&ascii.take(XmlKind::MAX_PROLOG).collect::<Vec<_>>())
        }
        _ => XmlKind::of(&bytes[..bytes.len().min(XmlKind::MAX_PROLOG)]),
    }
}

/// The records of one document, or of several that follow each other in one file.
fn read_documents(
    bytes: Vec<u8>,
    file: &Place,
    reading: &Reading,
    read_document: fn(&str, &Place) -> Result<Vec<Record>, xml::XmlError>,
) -> Vec<Result<Record, InputError>> {
    let text = match xml_encoding::decode(bytes, reading) {
        Ok(text) => text,
        Err(message) => return vec![Err(InputError::new(file, message))],
    };
    let documents: Vec<&str> = xml::documents(&text).collect();
    let mut read = Vec::new();
    for (number, document) in (1..).zip(&documents) {
        let place = if documents.len() == 1 { file.clone() } else { file.at_item(number) };
        match read_document(document, &place) {
            Ok(records) if records.is_empty() => {
                read.push(Err(InputError::new(&place, "the document has no newsItem")));
            }
            Ok(records) => read.extend(records.into_iter().map(Ok)),
            Err(error) => read.push(Err(InputError::new(&place, error.to_string()))),
        }
    }
    read
}
