//! Finds the entries in the bytes of a feed that is not parsed yet.

use crate::formats::tags::{EndFinder, find, local_name, name_of};
use std::ops::Range;

/// An entry.
#[derive(Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its bytes.
    pub range: Range<usize>,
    /// Whether it has an end tag.
    pub is_whole: bool,
}

/// The entries of a feed: elements named `item` or `entry`, outside comments and CDATA sections. All have the prefix of the
/// first.
pub fn entries(bytes: &[u8]) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut entry_name: Option<&[u8]> = None;
    let mut open: Option<usize> = None;
    let [mut comments, mut sections, mut tags] = [&b"-->"[..], b"]]>", b">"].map(|end| EndFinder::new(bytes, end));
    let mut at = 0;
    while let Some(found) = find(&bytes[at..], b"<") {
        let start = at + found;
        let rest = &bytes[start + 1..];
        // An unclosed comment or section invalidates its entry only.
        if rest.starts_with(b"!--") {
            at = comments.after(start).unwrap_or(start + 1);
            continue;
        }
        if rest.starts_with(b"![CDATA[") {
            at = sections.after(start).unwrap_or(start + 1);
            continue;
        }
        at = start + 1;
        let (is_end_tag, name) = match rest.strip_prefix(b"/") {
            Some(rest) => (true, name_of(rest)),
            None => (false, name_of(rest)),
        };
        let is_entry = match entry_name {
            Some(entry_name) => name == entry_name,
            None => !is_end_tag && matches!(local_name(name), b"item" | b"entry"),
        };
        if !is_entry {
            continue;
        }
        entry_name = Some(name);
        let end = tags.after(start).unwrap_or(bytes.len());
        match (is_end_tag, open.take()) {
            (true, Some(begin)) => entries.push(Entry { range: begin..end, is_whole: true }),
            (true, None) => {}
            (false, before) => {
                entries.extend(before.map(|begin| Entry { range: begin..start, is_whole: false }));
                match bytes[..end].ends_with(b"/>") {
                    true => entries.push(Entry { range: start..end, is_whole: true }),
                    false => open = Some(start),
                }
            }
        }
    }
    entries.extend(open.map(|begin| Entry { range: begin..bytes.len(), is_whole: false }));
    entries
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_found_outside_comments_and_sections() {
        let feed = "<r><!-- <x:item/> --><x:item>a<![CDATA[</x:item>]]></x:item><item/><x:item/><x:item>b<x:item>c";
        let found: Vec<(&str, bool)> =
            entries(feed.as_bytes()).into_iter().map(|entry| (&feed[entry.range], entry.is_whole)).collect();
        assert_eq!(
            found,
            [
                ("<x:item>a<![CDATA[</x:item>]]></x:item>", true),
                ("<x:item/>", true),
                ("<x:item>b", false),
                ("<x:item>c", false),
            ]
        );
    }
}
