//! The head of a feed: title, language and namespaces, which apply to all its entries.

use crate::{
    article::prefix,
    formats::xml::{Element, split_name},
};
use quick_xml::{
    Reader,
    events::{BytesStart, Event},
};
use std::collections::HashMap;

/// The maximum bytes of a title or a language: each entry gets a copy.
pub const MAX_TEXT: usize = 1024;
/// The maximum number of namespaces.
const MAX_NAMESPACES: usize = 64;

/// The head of a feed.
#[derive(Debug, Default)]
pub struct Channel {
    pub title: String,
    pub language: String,
    /// Namespaces by prefix.
    namespaces: HashMap<String, String>,
}

impl Channel {
    /// Reads the text before the first entry, which need not be well-formed.
    pub fn of(head: &str) -> Channel {
        let mut channel = Channel::default();
        let mut reader = Reader::from_str(head);
        reader.config_mut().check_end_names = false;
        let mut path: Vec<String> = Vec::new();
        while let Ok(event) = reader.read_event() {
            match event {
                Event::Start(tag) => {
                    channel.add_attributes(&tag);
                    path.push(split_name(tag.name().into_inner()).1.to_owned());
                }
                Event::End(_) => drop(path.pop()),
                Event::Text(text) => channel.add_text(&path, &text.into_inner()),
                Event::CData(text) => channel.add_text(&path, &text.into_inner()),
                Event::GeneralRef(reference) => {
                    channel.add_text(&path, &htmlize::unescape(format!("&{};", reference.into_inner())));
                }
                Event::Eof => break,
                _ => {}
            }
        }
        channel.title = prefix(&htmlize::unescape(channel.title.trim()), MAX_TEXT).to_owned();
        channel.language = prefix(channel.language.trim(), MAX_TEXT).to_owned();
        channel
    }

    fn add_attributes(&mut self, tag: &BytesStart<'_>) {
        for attribute in tag.html_attributes().with_checks(false).flatten() {
            let value = htmlize::unescape(&*attribute.value).into_owned();
            match split_name(attribute.key.into_inner()) {
                ("xmlns", prefix) if self.namespaces.len() < MAX_NAMESPACES => {
                    self.namespaces.insert(prefix.to_owned(), value);
                }
                ("xml", "lang") if self.language.is_empty() => self.language = value,
                _ => {}
            }
        }
    }

    fn add_text(&mut self, path: &[String], text: &str) {
        let of_channel = matches!(path, [.., parent, _] if matches!(parent.as_str(), "channel" | "feed"));
        match path.last().map(String::as_str) {
            Some("title") if of_channel => self.title.push_str(text),
            Some("language") if of_channel && self.language.trim().is_empty() => self.language.push_str(text),
            _ => {}
        }
    }

    /// The module of an element: empty if it has the prefix of its entry, otherwise a short name of its namespace, or its
    /// prefix if the namespace is unknown.
    pub fn module<'e>(&self, entry: &Element, element: &'e Element) -> &'e str {
        const MODULES: [(&str, &str); 4] = [
            ("purl.org/rss/1.0/modules/content", "content"),
            ("purl.org/dc/", "dc"),
            ("search.yahoo.com/mrss", "media"),
            ("www.w3.org/1999/xhtml", "xhtml"),
        ];
        if element.prefix == entry.prefix {
            return "";
        }
        let declared = self.namespaces.get(&element.prefix);
        let known = declared.and_then(|uri| MODULES.iter().find(|(part, _)| uri.contains(part)));
        match known {
            Some((_, module)) => module,
            // No prefix, in an entry with a prefix.
            None if element.prefix.is_empty() => "-",
            None => &element.prefix,
        }
    }
}
