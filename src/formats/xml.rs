//! XML as feeds and agencies write it: a small tree of one item, with the place of each element in the source.
//!
//! quick-xml reads the syntax. Prefixes need not be declared, HTML's names of characters are known, nothing is fetched and no
//! entity of a document type is expanded, so that memory stays within a few times the source.

use super::Reading;
use encoding_rs::Encoding;
use quick_xml::{
    Reader,
    events::{BytesStart, Event},
};
use std::ops::Range;

/// Elements may be nested this deep.
const MOST_DEPTH: usize = 256;

/// An element.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Element {
    /// Its prefix; empty without one.
    pub prefix: String,
    /// Its name without the prefix.
    pub name: String,
    /// Names as written, and values with their references decoded.
    pub attributes: Vec<(String, String)>,
    pub children: Vec<Node>,
    /// Where it stands in the source, from its start tag to its end tag.
    pub range: Range<usize>,
    /// What stands between the tags; empty behind an empty-element tag.
    pub content: Range<usize>,
}

/// What an element holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    Text(String),
    Element(Element),
}

/// Why a text is not XML, and where. The message does not quote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct XmlError {
    pub reason: &'static str,
    /// The byte.
    pub at: usize,
}

impl std::fmt::Display for XmlError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "invalid XML at byte {}: {}", self.at, self.reason)
    }
}

impl Element {
    fn of(tag: &BytesStart<'_>, range: Range<usize>) -> Element {
        let (prefix, name) = split_name(tag.name().into_inner());
        let mut attributes = tag.html_attributes();
        let attributes = attributes.with_checks(false).flatten();
        Element {
            prefix: prefix.to_owned(),
            name: name.to_owned(),
            attributes: attributes
                .map(|attribute| {
                    (attribute.key.into_inner().to_owned(), htmlize::unescape(&*attribute.value).into_owned())
                })
                .collect(),
            children: Vec::new(),
            content: range.end..range.end,
            range,
        }
    }

    /// The elements that it holds.
    pub fn elements(&self) -> impl Iterator<Item = &Element> {
        self.children.iter().filter_map(|node| match node {
            Node::Element(element) => Some(element),
            Node::Text(_) => None,
        })
    }

    /// The first element of a name that it holds.
    pub fn child(&self, name: &str) -> Option<&Element> {
        self.elements().find(|element| element.name == name)
    }

    /// The first element at the end of a path of names.
    pub fn at(&self, path: &[&str]) -> Option<&Element> {
        path.iter().try_fold(self, |element, name| element.child(name))
    }

    /// All elements of a name, at any depth, in order.
    pub fn descendants<'e>(&'e self, name: &'e str) -> impl Iterator<Item = &'e Element> {
        let mut waiting: Vec<&Element> = vec![self];
        std::iter::from_fn(move || {
            while let Some(element) = waiting.pop() {
                let children: Vec<&Element> = element.elements().collect();
                waiting.extend(children.into_iter().rev());
                if element.name.eq_ignore_ascii_case(name) {
                    return Some(element);
                }
            }
            None
        })
    }

    /// An attribute, by its name without the prefix.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        let found = self.attributes.iter().find(|(full, _)| split_name(full).1 == name);
        found.map(|(_, value)| value.trim()).filter(|value| !value.is_empty())
    }

    /// All text in it, without white space around it.
    pub fn text(&self) -> String {
        fn collect(element: &Element, text: &mut String) {
            for node in &element.children {
                match node {
                    Node::Text(part) => text.push_str(part),
                    // Not deeper than MOST_DEPTH.
                    Node::Element(child) => collect(child, text),
                }
            }
        }
        let mut text = String::new();
        collect(self, &mut text);
        text.trim().to_owned()
    }
}

/// Prefix and local name.
pub fn split_name(name: &str) -> (&str, &str) {
    name.split_once(':').unwrap_or(("", name))
}

/// Reads the root element of a text; what stands around it is ignored.
pub fn parse(text: &str) -> Result<Element, XmlError> {
    let mut reader = Reader::from_str(text);
    reader.config_mut().check_end_names = true;
    let mut open: Vec<Element> = Vec::new();
    loop {
        let start = reader.buffer_position() as usize;
        let fault = |reason| XmlError { reason, at: start };
        let event = reader.read_event().map_err(|error| fault(reason(&error)))?;
        let end = reader.buffer_position() as usize;
        let mut closed = None;
        match event {
            Event::Start(_) if open.len() == MOST_DEPTH => return Err(fault("elements are nested too deeply")),
            Event::Start(tag) => open.push(Element::of(&tag, start..end)),
            Event::Empty(tag) => closed = Some(Element::of(&tag, start..end)),
            Event::End(_) => {
                closed = open.pop().map(|mut element| {
                    (element.content.end, element.range.end) = (start, end);
                    element
                });
            }
            Event::Text(text) => push_text(&mut open, &text.into_inner()),
            Event::CData(text) => push_text(&mut open, &text.into_inner()),
            Event::GeneralRef(reference) => {
                let name = reference.into_inner();
                let decoded = decode(&name).ok_or_else(|| fault("an unknown entity"))?;
                push_text(&mut open, &decoded);
            }
            Event::Eof if open.is_empty() => return Err(fault("there is no element")),
            Event::Eof => return Err(fault("it is cut off")),
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {}
        }
        if let Some(element) = closed {
            match open.last_mut() {
                Some(parent) => parent.children.push(Node::Element(element)),
                None => return Ok(element),
            }
        }
    }
}

fn push_text(open: &mut [Element], text: &str) {
    let Some(element) = open.last_mut() else { return };
    match element.children.last_mut() {
        Some(Node::Text(before)) => before.push_str(text),
        _ => element.children.push(Node::Text(text.to_owned())),
    }
}

/// What a reference stands for: a number, or a name of XML or of HTML.
fn decode(name: &str) -> Option<String> {
    let reference = format!("&{name};");
    let decoded = htmlize::unescape(&*reference);
    (*decoded != reference).then(|| decoded.into_owned())
}

fn reason(error: &quick_xml::Error) -> &'static str {
    use quick_xml::errors::{Error, IllFormedError};
    match error {
        Error::IllFormed(IllFormedError::MismatchedEndTag { .. } | IllFormedError::UnmatchedEndTag(_)) => {
            "an end tag does not match its start tag"
        }
        Error::IllFormed(IllFormedError::UnclosedReference) => "a bare &: write &amp;",
        Error::Syntax(_) => "a tag, comment or CDATA section has no end",
        _ => "it is not well-formed",
    }
}

/// XML as text that can be given back: characters that are markup, as references.
pub fn escape(text: &str) -> String {
    let text: String = text.chars().filter(|c| !c.is_control() || c.is_whitespace()).collect();
    quick_xml::escape::escape(text.as_str()).into_owned()
}

/// The text of a document: as its byte-order mark says, then UTF-8 if it is that, then as `reading` or its declaration says.
pub fn decode_document(bytes: Vec<u8>, reading: &Reading) -> Result<String, String> {
    if Encoding::for_bom(&bytes).is_some() || (reading.encoding.is_none() && std::str::from_utf8(&bytes).is_ok()) {
        return reading.text(bytes);
    }
    match reading.encoding.or_else(|| declared_encoding(&bytes)) {
        Some(encoding) => Reading { encoding: Some(encoding), ..reading.clone() }.text(bytes),
        None => reading.text(bytes),
    }
}

/// The encoding that an XML declaration names.
pub fn declared_encoding(bytes: &[u8]) -> Option<&'static Encoding> {
    let declaration = bytes.trim_ascii_start().strip_prefix(b"<?xml")?;
    let declaration = &declaration[..declaration.windows(2).position(|end| end == b"?>")?];
    let declaration = std::str::from_utf8(declaration).ok()?;
    let (_, value) = declaration.split_once("encoding")?;
    let value = value.trim_start().strip_prefix('=')?.trim_start();
    let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    Encoding::for_label(value[1..].split(quote).next()?.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_know_where_they_stand() {
        let text = "<?xml version='1.0'?><!DOCTYPE a [<!ENTITY x \"y\">]><a x:y='1 &amp; 2'><b>Caf&eacute; &#8211; <c/>x</b><![CDATA[<d>]]></a>";
        let root = parse(text).expect("XML");
        assert_eq!((&*root.name, root.attribute("y")), ("a", Some("1 & 2")));
        let b = root.child("b").expect("it is there");
        assert_eq!((&text[b.range.clone()], b.text()), ("<b>Caf&eacute; &#8211; <c/>x</b>", "Café – x".to_owned()));
        assert_eq!(&text[b.content.clone()], "Caf&eacute; &#8211; <c/>x");
        assert_eq!(root.text(), "Café – x<d>");
        assert_eq!(root.descendants("c").count(), 1);
    }

    #[test]
    fn what_is_not_xml_is_said_without_its_text() {
        for (text, reason) in [
            ("<a>secret", "cut off"),
            ("<a>secret & more</a>", "bare &"),
            ("<a>secret &more; </a>", "unknown entity"),
            ("<a><b>secret</c></a>", "does not match"),
            ("secret", "no element"),
            ("<a", "no end"),
        ] {
            let error = parse(text).expect_err("no XML").to_string();
            assert!(error.contains(reason) && !error.contains("secret"), "{text}: {error}");
        }
        let deep = format!("{}x{}", "<a>".repeat(100_000), "</a>".repeat(100_000));
        assert!(parse(&deep).is_err_and(|error| error.reason.contains("too deeply")));
        let bomb = "<!DOCTYPE a [<!ENTITY b \"secret\"><!ENTITY c \"&b;&b;\">]><a>&c;</a>";
        assert!(parse(bomb).is_err());
    }

    #[test]
    fn documents_are_decoded_as_they_say() {
        let decoded = |bytes: &[u8]| decode_document(bytes.to_vec(), &Reading::default());
        assert_eq!(
            decoded(b"<?xml version=\"1.0\" encoding=\"iso-8859-1\"?><a>Caf\xE9</a>").map(|text| text.contains("Café")),
            Ok(true)
        );
        let lies = "<?xml version=\"1.0\" encoding='iso-8859-1'?><a>Café</a>";
        assert_eq!(decoded(lies.as_bytes()).as_deref(), Ok(lies));
        assert_eq!(decoded(b"\xFF\xFE<\0a\0/\0>\0").as_deref(), Ok("<a/>"));
        assert!(decoded(b"<a>Caf\xE9</a>").is_err());
    }
}
