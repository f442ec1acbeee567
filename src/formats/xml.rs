//! XML as feeds and agencies write it: a small tree of one item, with the place of each element in the source.
//!
//! quick-xml reads the syntax. Prefixes need not be declared, HTML's names of characters are known, nothing is fetched and no
//! entity of a document type is expanded. Depth and the number of elements and attributes are bounded, and memory with them.

use super::Reading;
use encoding_rs::Encoding;
use quick_xml::{
    Reader,
    events::{BytesStart, Event},
};
use std::ops::Range;

/// Elements may be nested this deep.
const MOST_DEPTH: usize = 256;
/// An item has at most this many elements and attributes: each takes a few hundred bytes.
const MOST_NODES: usize = 200_000;

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

    /// What it holds as HTML, made of the tree: names without prefixes, character data escaped. Elements of some names are left
    /// out. Some write HTML as escaped text: an element that holds text alone is given as that text.
    pub fn to_html(&self, without: &[&str]) -> String {
        fn write(element: &Element, without: &[&str], html: &mut String) {
            for node in &element.children {
                match node {
                    Node::Text(text) => html.push_str(&escape(text)),
                    Node::Element(child) if without.contains(&child.name.as_str()) => {}
                    Node::Element(child) => {
                        html.push_str(&format!("<{}", child.name));
                        for (name, value) in &child.attributes {
                            html.push_str(&format!(" {}=\"{}\"", split_name(name).1, escape(value)));
                        }
                        html.push('>');
                        // Not deeper than MOST_DEPTH.
                        write(child, without, html);
                        html.push_str(&format!("</{}>", child.name));
                    }
                }
            }
        }
        if self.elements().next().is_none() {
            return self.text();
        }
        let mut html = String::with_capacity(self.content.len());
        write(self, without, &mut html);
        html
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

/// The documents of a text, one behind the other: each from where the one before ends to the end of its root element, with the
/// white space behind it. What cannot be read is the last one.
pub fn documents(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest.take()?;
        let end = parse(text).map_or(text.len(), |root| root.range.end);
        let (document, behind) = text.split_at(end);
        match behind.trim_start().trim_start_matches('\u{FEFF}').starts_with('<') {
            true => {
                rest = Some(behind);
                Some(document)
            }
            false => Some(text),
        }
    })
}

/// Reads the root element of a text; what stands around it is ignored.
///
/// A byte-order mark before it must have been taken away.
pub fn parse(text: &str) -> Result<Element, XmlError> {
    let mut reader = Reader::from_str(text);
    reader.config_mut().check_end_names = true;
    let mut open: Vec<Element> = Vec::new();
    let mut nodes = 0;
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
            nodes += 1 + element.attributes.len();
            if nodes > MOST_NODES {
                return Err(fault("it has too many elements"));
            }
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
    // The characters of XML 1.0.
    let allowed = |c: &char| matches!(c, '\t' | '\n' | '\r') || (*c >= ' ' && !matches!(c, '\u{FFFE}' | '\u{FFFF}'));
    let text: String = text.chars().filter(allowed).collect();
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

/// A text without the byte-order mark that it may begin with.
pub fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{FEFF}').unwrap_or(text)
}

/// The encoding that an XML declaration names, if that is known.
pub fn declared_encoding(bytes: &[u8]) -> Option<&'static Encoding> {
    Encoding::for_label(&bytes[encoding_label(bytes)?])
}

/// Where the declaration of a document names its encoding.
fn encoding_label(bytes: &[u8]) -> Option<Range<usize>> {
    const LONGEST: usize = 256;
    let start = bytes.len() - bytes.trim_ascii_start().len();
    let declaration = bytes[start..].strip_prefix(b"<?xml")?;
    let declaration = &declaration[..declaration.windows(2).take(LONGEST).position(|end| end == b"?>")?];
    let declaration = std::str::from_utf8(declaration).ok()?;
    let (_, value) = declaration.split_once("encoding")?;
    let value = value.trim_start().strip_prefix('=')?.trim_start();
    let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let label = value[1..].split(quote).next()?;
    let at = start + b"<?xml".len() + (declaration.len() - value.len()) + 1;
    Some(at..at + label.len())
}

/// A document that is UTF-8 now, with a declaration that says so.
pub fn declared_as_utf8(mut text: String) -> String {
    if declared_encoding(text.as_bytes()).is_some_and(|encoding| encoding != encoding_rs::UTF_8)
        && let Some(label) = encoding_label(text.as_bytes())
    {
        text.replace_range(label, "UTF-8");
    }
    text
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
