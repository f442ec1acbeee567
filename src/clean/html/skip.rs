//! Skipped elements, and where they end in HTML with missing or unbalanced tags.

use super::elements::{ARTICLE_STARTS, BLOCKS, HEAD_CONTENT, ITEMS, LISTS, PAGE_ELEMENTS, VOID};
use std::collections::HashMap;
use xxhash_rust::xxh3::xxh3_64;

/// An open element whose text is skipped.
pub struct Skip {
    /// The name of the element.
    pub name: Vec<u8>,
    /// The byte offset of its start tag in the source.
    pub start: usize,
    /// Number of open elements of this name, the skipped element included.
    depth: usize,
    /// The elements that are open within a hidden element; `None` for other skipped elements.
    open_within: Option<OpenElements>,
    /// Whether the element is part of the page by its attributes.
    is_page: bool,
}

/// The effect of an end tag on a skipped element.
pub enum EndTagEffect {
    /// The element remains open.
    Within,
    /// The tag closes the element.
    Closes,
    /// The tag closes a parent and thereby the element.
    ClosesParent,
}

impl Skip {
    /// Starts to skip an element.
    pub fn new(name: &[u8], start: usize, is_hidden: bool, is_page: bool) -> Self {
        let open_within = is_hidden.then(OpenElements::default);
        Skip { name: name.to_vec(), start, depth: 1, open_within, is_page }
    }

    /// Whether the element is hidden by its attributes.
    pub fn is_hidden(&self) -> bool {
        self.open_within.is_some()
    }

    /// Whether the element may contain the article if its end tag is missing.
    pub fn may_contain_article(&self) -> bool {
        self.is_hidden() || self.is_page_part()
    }

    /// Whether the element is part of the page by its name or its attributes.
    fn is_page_part(&self) -> bool {
        self.is_page || PAGE_ELEMENTS.contains(&self.name.as_slice())
    }

    /// Processes a start tag. Returns whether the tag implies the end of the element.
    pub fn start_tag(&mut self, name: &[u8]) -> bool {
        let is_page_part = self.is_page_part();
        let ends = match (&mut self.open_within, self.name.as_slice()) {
            (Some(within), hidden) => {
                let next_item =
                    ITEMS.contains(&hidden) && ITEMS.contains(&name) && !LISTS.iter().any(|list| within.has(list));
                let ends = next_item || (hidden == b"p" && BLOCKS.contains(&name) && name != b"br");
                if !ends && !VOID.contains(&name) {
                    within.push(name);
                }
                ends
            }
            (None, b"head") => !HEAD_CONTENT.contains(&name),
            (None, b"option") => name == b"option" || BLOCKS.contains(&name),
            (None, skipped) => is_page_part && ARTICLE_STARTS.contains(&name) && name != skipped,
        };
        if !ends {
            self.depth += usize::from(name == self.name);
        }
        ends
    }

    /// Processes an end tag.
    pub fn end_tag(&mut self, name: &[u8]) -> EndTagEffect {
        if let Some(within) = &mut self.open_within {
            if within.has(name) {
                within.close(name);
                return EndTagEffect::Within;
            }
            if name == self.name {
                return EndTagEffect::Closes;
            }
            return if BLOCKS.contains(&name) { EndTagEffect::ClosesParent } else { EndTagEffect::Within };
        }
        if name == self.name { self.close_one() } else { EndTagEffect::Within }
    }

    /// Processes a self-closing tag: `<svg/>` and `<math/>` have no content. HTML ignores the slash on other elements.
    pub fn self_closing_tag(&mut self) -> EndTagEffect {
        if matches!(self.name.as_slice(), b"svg" | b"math") { self.close_one() } else { EndTagEffect::Within }
    }

    /// Closes one of the open elements with the name of the skipped element.
    fn close_one(&mut self) -> EndTagEffect {
        self.depth -= 1;
        if self.depth == 0 { EndTagEffect::Closes } else { EndTagEffect::Within }
    }
}

/// The elements that are open within another element, by the hashes of their names.
#[derive(Default)]
struct OpenElements {
    /// In the order of their start tags.
    stack: Vec<u64>,
    /// Number of open elements of each name.
    counts: HashMap<u64, usize>,
}

impl OpenElements {
    fn has(&self, name: &[u8]) -> bool {
        self.counts.get(&xxh3_64(name)).is_some_and(|count| *count > 0)
    }

    fn push(&mut self, name: &[u8]) {
        let id = xxh3_64(name);
        self.stack.push(id);
        *self.counts.entry(id).or_default() += 1;
    }

    /// Closes the last element of this name and all elements within it.
    fn close(&mut self, name: &[u8]) {
        let id = xxh3_64(name);
        while let Some(open) = self.stack.pop() {
            if let Some(count) = self.counts.get_mut(&open) {
                *count -= 1;
            }
            if open == id {
                return;
            }
        }
    }
}
