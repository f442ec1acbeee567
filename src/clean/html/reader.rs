//! Reads the tokens of html5gum and collects text, headings and removed parts.

use super::{
    characters::push_text,
    elements::{BLOCKS, HEADING_CONTENT, NEVER_TEXT, PAGE_ELEMENTS, VOID},
    page::HtmlText,
    skip::{EndTagEffect, Skip},
};
use crate::{
    article::Reason,
    clean::visibility::{Attributes, Visibility},
    document::{MOST_REMOVED, MappedText},
};
use html5gum::{
    Span, Tokenizer,
    emitters::callback::{CallbackEmitter, CallbackEvent},
};
use std::{convert::Infallible, ops::Range};

/// Maximum length in bytes of a block that is a menu entry or a teaser of another article if it consists of one link.
const MAX_LINK_LINE_BYTES: usize = 150;

/// The elements to skip in addition to those that are never text.
#[derive(Debug, Clone, Copy, Default)]
pub struct SkipRules {
    /// Parts of the page: navigation, sidebars, footers, dialogs, consent notices.
    pub page_parts: bool,
    /// Hidden elements.
    pub hidden: bool,
}

/// Reads `source` with the given rules.
pub fn read(source: &str, rules: SkipRules) -> Reader<'_> {
    let mut reader = Reader { source, rules, ..Reader::default() };
    let mut emitter = CallbackEmitter::new(|event: CallbackEvent<'_>, span: Span<usize>| -> Option<Infallible> {
        reader.event(event, span.start..span.end);
        None
    });
    emitter.naively_switch_states(true);
    Tokenizer::new_with_emitter(source, emitter).for_each(drop);
    reader.end_line();
    reader.ends_in_skip = reader.skip.as_ref().is_some_and(Skip::may_contain_article);
    reader.end_skip(source.len());
    reader
}

/// A start tag whose attributes are being read.
struct StartTag {
    name: Vec<u8>,
    /// The byte offset of the tag in the source.
    start: usize,
    attributes: Attributes,
}

/// The state of reading a page, and its result.
#[derive(Default)]
pub struct Reader<'s> {
    source: &'s str,
    rules: SkipRules,
    /// The current start tag.
    tag: Option<StartTag>,
    /// The skipped element that is open.
    skip: Option<Skip>,
    /// Bytes of text in hidden elements.
    pub hidden_bytes: usize,
    /// The content of scripts with JSON-LD, as byte ranges of the source.
    pub json_ld: Vec<Range<usize>>,
    in_json_ld: bool,
    /// Whether the page ends within a skipped element that may contain the article.
    pub ends_in_skip: bool,
    pub text: MappedText<'static>,
    removed: Vec<(Range<usize>, Reason)>,
    /// The offset of the current line in the text.
    line_start: usize,
    /// Whether the current line has text.
    line_has_text: bool,
    /// Whether the current line has text outside of links.
    line_has_plain: bool,
    /// Number of open links.
    links_open: usize,
    in_title: bool,
    in_h1: bool,
    title: MappedText<'static>,
    h1: MappedText<'static>,
    /// The byte range of the `<h1>` in the text.
    h1_range: Option<Range<usize>>,
    /// Lines of the text that consist of a link, as byte ranges.
    link_lines: Vec<Range<usize>>,
}

impl Reader<'_> {
    fn event(&mut self, event: CallbackEvent<'_>, span: Range<usize>) {
        match event {
            CallbackEvent::OpenStartTag { name } => {
                let (name, start, attributes) = (name.to_vec(), span.start, Attributes::default());
                self.tag = Some(StartTag { name, start, attributes });
            }
            CallbackEvent::AttributeName { name } => {
                if let Some(tag) = &mut self.tag {
                    tag.attributes.name(name);
                }
            }
            CallbackEvent::AttributeValue { value } => {
                if let Some(tag) = &mut self.tag {
                    tag.attributes.value(value);
                }
            }
            CallbackEvent::CloseStartTag { self_closing } => {
                if let Some(tag) = self.tag.take() {
                    self.start_tag(&tag);
                }
                if self_closing {
                    self.self_closing_tag(span.end);
                }
            }
            CallbackEvent::EndTag { name } => self.end_tag(name, span),
            CallbackEvent::String { value } => self.string(value, span),
            _ => {}
        }
    }

    fn start_tag(&mut self, tag: &StartTag) {
        let (name, start) = (&tag.name[..], tag.start);
        if let Some(skip) = &mut self.skip {
            if !skip.start_tag(name) {
                self.in_title |= name == b"title" && skip.name == b"head";
                self.in_json_ld = name == b"script" && tag.attributes.is_json_ld();
                return;
            }
            self.end_skip(start);
        }
        let visibility = tag.attributes.visibility(name);
        let is_hidden = self.rules.hidden && visibility == Visibility::Hidden && !VOID.contains(&name);
        let is_page = self.rules.page_parts && visibility == Visibility::Page && !VOID.contains(&name);
        let never_text = NEVER_TEXT.contains(&name) && !(name == b"template" && tag.attributes.is_shadow_root());
        if name == b"title" {
            self.in_title = true;
        } else if never_text || is_hidden || is_page || (self.rules.page_parts && PAGE_ELEMENTS.contains(&name)) {
            // A hidden inline element does not end the line.
            if !is_hidden || BLOCKS.contains(&name) {
                self.end_line();
            }
            self.skip = Some(Skip::new(name, start, is_hidden && !never_text, is_page));
            self.in_json_ld = name == b"script" && tag.attributes.is_json_ld();
        } else if name == b"a" {
            self.links_open += 1;
        } else if BLOCKS.contains(&name) {
            self.end_line();
            if name == b"h1" {
                self.in_h1 = self.h1.as_str().trim().is_empty();
            } else if !HEADING_CONTENT.contains(&name) {
                self.in_h1 = false;
            }
        }
    }

    fn self_closing_tag(&mut self, end: usize) {
        if let Some(EndTagEffect::Closes) = self.skip.as_mut().map(Skip::self_closing_tag) {
            self.end_skip(end);
        }
    }

    fn end_tag(&mut self, name: &[u8], span: Range<usize>) {
        if name == b"title" {
            self.in_title = false;
        }
        self.in_json_ld = false;
        match self.skip.as_mut().map(|skip| skip.end_tag(name)) {
            Some(EndTagEffect::Within) => return,
            Some(EndTagEffect::Closes) => return self.end_skip(span.end),
            Some(EndTagEffect::ClosesParent) => self.end_skip(span.start),
            None => {}
        }
        if name == b"a" {
            self.links_open = self.links_open.saturating_sub(1);
        } else if BLOCKS.contains(&name) {
            self.end_line();
            self.in_h1 &= name != b"h1";
        }
    }

    /// Ends the skipped element, if any, at the byte offset `end` of the source.
    fn end_skip(&mut self, end: usize) {
        if let Some(skip) = self.skip.take()
            && self.removed.len() <= MOST_REMOVED
        {
            self.removed.push((skip.start..end, Reason::Markup));
        }
    }

    fn string(&mut self, value: &[u8], span: Range<usize>) {
        if self.in_title {
            push_text(&mut self.title, self.source, span);
            return;
        }
        if let Some(skip) = &self.skip {
            if skip.is_hidden() {
                self.hidden_bytes += value.trim_ascii().len();
            }
            if self.in_json_ld {
                match self.json_ld.last_mut().filter(|last| last.end == span.start) {
                    Some(last) => last.end = span.end,
                    None => self.json_ld.push(span),
                }
            }
            return;
        }
        if !value.iter().all(u8::is_ascii_whitespace) {
            self.line_has_text = true;
            self.line_has_plain |= self.links_open == 0;
        }
        if self.in_h1 {
            push_text(&mut self.h1, self.source, span.clone());
        }
        push_text(&mut self.text, self.source, span);
    }

    /// Ends the current line of the text.
    fn end_line(&mut self) {
        let end = self.text.as_str().len();
        if self.line_has_text {
            let line = &self.text.as_str()[self.line_start..end];
            let start = self.line_start + (line.len() - line.trim_start().len());
            let line = start..start + line.trim().len();
            if self.in_h1 {
                let start = self.h1_range.as_ref().map_or(line.start, |range| range.start);
                self.h1_range = Some(start..line.end);
            } else if !self.line_has_plain && line.len() <= MAX_LINK_LINE_BYTES {
                self.link_lines.push(line);
            }
            let source_end = self.text.source(end - 1..end).end;
            // Separate blocks by a blank line, so that no phrase spans two of them.
            self.text.push("\n\n", source_end..source_end);
            if self.in_h1 {
                self.h1.push(" ", source_end..source_end);
            }
        }
        self.line_start = self.text.as_str().len();
        self.line_has_text = false;
        self.line_has_plain = false;
        // Links end with their block, so that an unclosed link does not affect the rest of the page.
        self.links_open = 0;
    }

    /// The result; with `drop_links`, without lines that consist of a link.
    pub fn finish(mut self, drop_links: bool) -> HtmlText<'static> {
        let (mut text, mut heading_in_text) = (self.text, self.h1_range);
        if drop_links && !self.link_lines.is_empty() {
            if let Some(heading) = &mut heading_in_text {
                let dropped: usize =
                    self.link_lines.iter().filter(|line| line.end <= heading.start).map(Range::len).sum();
                *heading = heading.start - dropped..heading.end - dropped;
            }
            let mut kept = MappedText::with_capacity(text.as_str().len());
            let mut from = 0;
            for line in self.link_lines {
                if self.removed.len() <= MOST_REMOVED {
                    self.removed.push((text.source(line.clone()), Reason::Boilerplate));
                }
                kept.push_part(&text, from..line.start);
                from = line.end;
            }
            kept.push_part(&text, from..text.as_str().len());
            text = kept;
        }
        self.removed.sort_by_key(|(range, _)| range.start);
        let heading = if heading_in_text.is_some() { self.h1 } else { without_site_name(self.title) };
        HtmlText { text, heading, heading_in_text, removed: self.removed }
    }
}

/// The title before its last bar or spaced dash: "Floods in the north" for "Floods in the north | The Daily".
fn without_site_name(title: MappedText<'static>) -> MappedText<'static> {
    let text = title.as_str();
    let cut = [" | ", " - ", " – ", " — ", " :: "].iter().filter_map(|mark| text.rfind(mark)).max();
    match cut {
        Some(cut) if !text[..cut].trim().is_empty() => {
            let mut short = MappedText::with_capacity(cut);
            short.push_part(&title, 0..cut);
            short
        }
        _ => title,
    }
}
