//! Reads the items of a document of NewsML-G2.

use super::{
    article,
    document::{Document, Item, ItemData},
};
use crate::formats::{
    Place, Record,
    xml::{self, Element, XmlError},
    xml_encoding,
};
use std::sync::Arc;

/// Reads the items of news in a document. Packages, concepts and plans are ignored, since they have no text.
///
/// # Errors
/// If the document is not well-formed; the message does not quote its text.
pub fn read(text: &str, place: &Place) -> Result<Vec<Record>, XmlError> {
    let has_mark = text.starts_with('\u{FEFF}');
    let text = xml_encoding::declared_as_utf8(xml_encoding::without_mark(text).to_owned());
    let root = xml::parse(&text)?;
    let elements: Vec<&Element> = match &*root.name {
        "newsItem" => vec![&root],
        _ => root.descendants("newsItem").collect(),
    };
    let items = elements.iter().map(|item| ItemData::of(&text, item)).collect();
    let mut records: Vec<Record> = match &elements[..] {
        [item] => vec![article::record(item, place.clone())],
        items => (1..).zip(items).map(|(number, item)| article::record(item, place.at_item(number))).collect(),
    };
    let document = Arc::new(Document { text, has_mark, items });
    for (index, record) in records.iter_mut().enumerate() {
        record.item = Some(crate::formats::Item::NewsMl(Item { document: document.clone(), index }));
    }
    Ok(records)
}
