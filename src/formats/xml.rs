//! XML of feeds and agencies, parsed into a tree whose elements have their positions in the source.
//!
//! quick-xml reads the syntax. Prefixes need not be declared, and HTML's named characters are known. Nothing is fetched, and no
//! entity of a document type is expanded. Depth and the number of elements and attributes are bounded, and so is memory.

use quick_xml::{
    Reader,
    events::{BytesStart, Event},
};
use std::ops::Range;

/// The maximum depth of elements.
const MAX_DEPTH: usize = 256;
/// The maximum number of elements and attributes in a document; each takes a few hundred bytes of memory.
const MAX_NODES: usize = 200_000;

/// An element.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Element {
    /// The prefix of its name; empty without one.
    pub prefix: String,
    /// Its name without the prefix.
    pub name: String,
    /// Names with their prefixes, and values with their references decoded.
    pub attributes: Vec<(String, String)>,
    pub children: Vec<Node>,
    /// Its bytes in the source, from its start tag to its end tag.
    pub range: Range<usize>,
    /// The bytes between the tags; empty, after the tag, for an empty-element tag.
    pub content: Range<usize>,
}

/// The content of an element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    Text(String),
    Element(Element),
}

/// Why a text is not XML, and where. The message does not quote the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct XmlError {
    pub reason: &'static str,
    /// The position, in bytes.
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

    /// Its child elements.
    pub fn elements(&self) -> impl Iterator<Item = &Element> {
        self.children.iter().filter_map(|node| match node {
            Node::Element(element) => Some(element),
            Node::Text(_) => None,
        })
    }

    /// The first child element with a local name.
    pub fn child(&self, name: &str) -> Option<&Element> {
        self.elements().find(|element| element.name == name)
    }

    /// The element at the end of a path of local names: the first child of each name.
    pub fn at(&self, path: &[&str]) -> Option<&Element> {
        path.iter().try_fold(self, |element, name| element.child(name))
    }

    /// This element and the elements in it, at any depth, with a local name in any case; in document order.
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

    /// The trimmed value of an attribute, by its local name; `None` if it is blank.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        let found = self.attributes.iter().find(|(full, _)| split_name(full).1 == name);
        found.map(|(_, value)| value.trim()).filter(|value| !value.is_empty())
    }

    /// The content as HTML, without prefixes and without the elements named in `without`; character data is escaped. An element
    /// with text only yields that text as it is: it may be escaped HTML.
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
                        // Not deeper than MAX_DEPTH.
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

    /// All text in it, trimmed.
    pub fn text(&self) -> String {
        fn collect(element: &Element, text: &mut String) {
            for node in &element.children {
                match node {
                    Node::Text(part) => text.push_str(part),
                    // Not deeper than MAX_DEPTH.
                    Node::Element(child) => collect(child, text),
                }
            }
        }
        let mut text = String::new();
        collect(self, &mut text);
        text.trim().to_owned()
    }
}

/// The prefix and the local name; an empty prefix without one.
pub fn split_name(name: &str) -> (&str, &str) {
    name.split_once(':').unwrap_or(("", name))
}

/// The documents that follow each other in a text. Each begins where the previous one ends, and ends with its root element; the
/// last one, or one that is not well-formed, extends to the end of the text.
pub fn documents(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest.take()?;
        let end = parse(text).map_or(text.len(), |root| root.range.end);
        let (document, rest_of_text) = text.split_at(end);
        match rest_of_text.trim_start().trim_start_matches('\u{FEFF}').starts_with('<') {
            true => {
                rest = Some(rest_of_text);
                Some(document)
            }
            false => Some(text),
        }
    })
}

/// Parses the root element of a text without a byte-order mark; anything after it is ignored.
///
/// # Errors
/// If the text up to the end of the root element is not well-formed, or exceeds a limit.
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
            Event::Start(_) if open.len() == MAX_DEPTH => return Err(fault("elements are nested too deeply")),
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
                let decoded = decode_reference(&name).ok_or_else(|| fault("unknown entity"))?;
                push_text(&mut open, &decoded);
            }
            Event::Eof if open.is_empty() => return Err(fault("no element")),
            Event::Eof => return Err(fault("cut off")),
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {}
        }
        if let Some(element) = closed {
            nodes += 1 + element.attributes.len();
            if nodes > MAX_NODES {
                return Err(fault("too many elements"));
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

/// The characters of a reference: numeric, or named in XML or HTML.
fn decode_reference(name: &str) -> Option<String> {
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
        Error::IllFormed(IllFormedError::UnclosedReference) => "bare &: write &amp;",
        Error::Syntax(_) => "a tag, comment or CDATA section has no end",
        _ => "not well-formed",
    }
}

/// Escapes text for XML: markup characters become references, and characters that XML 1.0 does not allow are removed.
pub fn escape(text: &str) -> String {
    let allowed = |c: &char| matches!(c, '\t' | '\n' | '\r') || (*c >= ' ' && !matches!(c, '\u{FFFE}' | '\u{FFFF}'));
    let text: String = text.chars().filter(allowed).collect();
    quick_xml::escape::escape(text.as_str()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_have_their_positions() {
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
    fn errors_do_not_quote_the_text() {
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
}
