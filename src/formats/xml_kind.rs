//! The kinds of XML documents, by their root elements.

use super::tags::{local_name, root_name};

/// The kind of an XML document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum XmlKind {
    /// RSS or Atom.
    Feed,
    NewsMl,
    Nitf,
    /// XHTML.
    Page,
    Unknown,
}

impl XmlKind {
    /// The bytes at the beginning of a document in which its root element must begin.
    pub const MAX_PROLOG: usize = 64 << 10;

    /// The kind by the name of the root element, whatever its prefix.
    pub fn of(bytes: &[u8]) -> XmlKind {
        match local_name(root_name(bytes)) {
            b"rss" | b"RDF" | b"feed" | b"channel" | b"entry" => XmlKind::Feed,
            b"newsItem" | b"newsMessage" | b"packageItem" | b"conceptItem" | b"knowledgeItem" | b"planningItem" => {
                XmlKind::NewsMl
            }
            b"nitf" => XmlKind::Nitf,
            name if name.eq_ignore_ascii_case(b"html") => XmlKind::Page,
            _ => XmlKind::Unknown,
        }
    }

    /// Whether documents of this kind are feeds or items of news, not pages.
    pub fn is_news(self) -> bool {
        matches!(self, XmlKind::Feed | XmlKind::NewsMl | XmlKind::Nitf)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_elements_determine_the_kind() {
        for (text, kind) in [
            ("<?xml version='1.0'?><!-- <rss> --><newsItem/>", XmlKind::NewsMl),
            ("<x:feed>", XmlKind::Feed),
            ("<!DOCTYPE nitf SYSTEM 'x'><nitf>", XmlKind::Nitf),
            ("<?xml version='1.0'?><HTML>", XmlKind::Page),
            ("<NewsML>", XmlKind::Unknown),
            ("", XmlKind::Unknown),
        ] {
            assert_eq!(XmlKind::of(text.as_bytes()), kind, "{text}");
        }
    }
}
