//! HTML to text, with its way back to the source.
//!
//! html5gum tokenizes by the WHATWG rules; no tree is built, so time is linear and depth does not matter. Elements that
//! hold no article text (scripts, navigation, forms, ...) are skipped, block elements break lines, and a block that is
//! nothing but a short link counts as a menu entry.

use super::{MOST_REMOVED, mapped::MappedText};
use crate::article::Reason;
use html5gum::{
    Span, Tokenizer,
    emitters::callback::{CallbackEmitter, CallbackEvent},
};
use std::{convert::Infallible, ops::Range};

/// The text of a page.
#[derive(Debug, Default)]
pub struct HtmlText<'a> {
    /// The text, a line a block.
    pub text: MappedText<'a>,
    /// The first `<h1>`, otherwise the `<title>` without the name of the site; empty where there is neither.
    pub heading: MappedText<'a>,
    /// Where in `text` the heading stands, if it is an `<h1>`.
    pub heading_in_text: Option<Range<usize>>,
    /// What was left out: bytes of the source, in order; at most one more than [`MOST_REMOVED`].
    pub removed: Vec<(Range<usize>, Reason)>,
}

/// Reads `source` as HTML, a whole page or a fragment, well-formed or not.
pub fn to_text(source: &str) -> HtmlText<'static> {
    let reader = read(source, true);
    // A region that is never closed may swallow the article: then only what can never be text is skipped.
    let reader = if reader.left_open { read(source, false) } else { reader };
    reader.finish(true)
}

/// Reads the markup of a headline: one line, in which a link is no menu entry.
pub fn headline_to_text(source: &str) -> HtmlText<'static> {
    read(source, false).finish(false)
}

fn read(source: &str, skip_regions: bool) -> Reader<'_> {
    let mut reader = Reader { source, skip_regions, ..Reader::default() };
    let mut emitter = CallbackEmitter::new(|event: CallbackEvent<'_>, span: Span<usize>| -> Option<Infallible> {
        reader.event(event, span.start..span.end);
        None
    });
    emitter.naively_switch_states(true);
    Tokenizer::new_with_emitter(source, emitter).for_each(drop);
    reader.end_line();
    reader.left_open = reader.skip.as_ref().is_some_and(|skip| REGIONS.contains(&skip.name.as_slice()));
    reader.end_skip(source.len());
    reader
}

/// Elements whose content is never article text.
const NEVER_TEXT: [&[u8]; 10] =
    [b"script", b"style", b"noscript", b"template", b"iframe", b"svg", b"textarea", b"select", b"head", b"math"];
/// Parts of a page that hold no article text, if the page closes them.
const REGIONS: [&[u8]; 6] = [b"nav", b"aside", b"footer", b"object", b"button", b"dialog"];
/// Where these begin, a region that was left open has ended.
const ARTICLE_STARTS: [&[u8]; 4] = [b"article", b"main", b"h1", b"body"];
/// What may stand in `<head>`: anything else has left it, closed or not.
const IN_HEAD: [&[u8]; 9] =
    [b"title", b"meta", b"link", b"script", b"style", b"base", b"noscript", b"template", b"head"];
/// Elements that begin and end lines (HTML Standard, section 15.3, Rendering: flow content, lists, tables, forms).
const BLOCKS: [&[u8]; 52] = [
    b"address",
    b"article",
    b"aside",
    b"blockquote",
    b"body",
    b"br",
    b"caption",
    b"center",
    b"dd",
    b"details",
    b"dialog",
    b"dir",
    b"div",
    b"dl",
    b"dt",
    b"fieldset",
    b"figcaption",
    b"figure",
    b"footer",
    b"form",
    b"h1",
    b"h2",
    b"h3",
    b"h4",
    b"h5",
    b"h6",
    b"header",
    b"hgroup",
    b"hr",
    b"html",
    b"legend",
    b"li",
    b"listing",
    b"main",
    b"menu",
    b"nav",
    b"ol",
    b"option",
    b"p",
    b"pre",
    b"search",
    b"section",
    b"summary",
    b"table",
    b"tbody",
    b"td",
    b"tfoot",
    b"th",
    b"thead",
    b"tr",
    b"ul",
    b"xmp",
];
/// Blocks that a heading may hold. Any other ends a heading that was left open.
const IN_HEADING: [&[u8]; 2] = [b"br", b"div"];
/// A block that is one link, up to this many bytes, is a menu entry or a teaser of another article.
const LONGEST_LINK_LINE: usize = 150;

#[derive(Default)]
struct Skip {
    name: Vec<u8>,
    depth: usize,
    start: usize,
}

#[derive(Default)]
struct Reader<'s> {
    source: &'s str,
    skip_regions: bool,
    skip: Option<Skip>,
    /// Whether the page ended inside a region.
    left_open: bool,
    text: MappedText<'static>,
    removed: Vec<(Range<usize>, Reason)>,
    /// Where the current line began in the text.
    line_start: usize,
    /// Whether the current line has text, and whether any of it stood outside links.
    line_has_text: bool,
    line_has_plain: bool,
    links_open: usize,
    in_title: bool,
    in_h1: bool,
    title: MappedText<'static>,
    h1: MappedText<'static>,
    /// Where the `<h1>` stands in the text.
    h1_range: Option<Range<usize>>,
    /// Parts of the text that are menu entries.
    link_lines: Vec<Range<usize>>,
}

impl Reader<'_> {
    fn event(&mut self, event: CallbackEvent<'_>, span: Range<usize>) {
        match event {
            CallbackEvent::OpenStartTag { name } => self.open(name, span.start),
            CallbackEvent::CloseStartTag { self_closing: true } => self.close_at_once(span.end),
            CallbackEvent::EndTag { name } => self.close(name, span),
            CallbackEvent::String { value } => self.string(value, span),
            _ => {}
        }
    }

    fn open(&mut self, name: &[u8], start: usize) {
        if let Some(skip) = &mut self.skip {
            let ended = match skip.name.as_slice() {
                b"head" => !IN_HEAD.contains(&name),
                region => REGIONS.contains(&region) && ARTICLE_STARTS.contains(&name),
            };
            if !ended {
                skip.depth += usize::from(name == skip.name);
                self.in_title |= name == b"title" && skip.name == b"head";
                return;
            }
            self.end_skip(start);
        }
        if name == b"title" {
            self.in_title = true;
        } else if NEVER_TEXT.contains(&name) || (self.skip_regions && REGIONS.contains(&name)) {
            self.end_line();
            self.skip = Some(Skip { name: name.to_vec(), depth: 1, start });
        } else if name == b"a" {
            self.links_open += 1;
        } else if BLOCKS.contains(&name) {
            self.end_line();
            if name == b"h1" {
                self.in_h1 = self.h1.as_str().trim().is_empty();
            } else if !IN_HEADING.contains(&name) {
                self.in_h1 = false;
            }
        }
    }

    /// `<svg/>` and `<math/>` hold nothing; elsewhere HTML makes nothing of the slash.
    fn close_at_once(&mut self, end: usize) {
        if let Some(skip) = &mut self.skip
            && matches!(skip.name.as_slice(), b"svg" | b"math")
        {
            skip.depth -= 1;
            if skip.depth == 0 {
                self.end_skip(end);
            }
        }
    }

    fn close(&mut self, name: &[u8], span: Range<usize>) {
        if name == b"title" {
            self.in_title = false;
        }
        if let Some(skip) = &mut self.skip {
            if name == skip.name {
                skip.depth -= 1;
                if skip.depth == 0 {
                    self.end_skip(span.end);
                }
            }
            return;
        }
        if name == b"a" {
            self.links_open = self.links_open.saturating_sub(1);
        } else if BLOCKS.contains(&name) {
            self.end_line();
            self.in_h1 &= name != b"h1";
        }
    }

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
        if self.skip.is_some() {
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

    fn end_line(&mut self) {
        let end = self.text.as_str().len();
        if self.line_has_text {
            let line = &self.text.as_str()[self.line_start..end];
            let start = self.line_start + (line.len() - line.trim_start().len());
            let line = start..start + line.trim().len();
            if self.in_h1 {
                let start = self.h1_range.as_ref().map_or(line.start, |range| range.start);
                self.h1_range = Some(start..line.end);
            } else if !self.line_has_plain && line.len() <= LONGEST_LINK_LINE {
                self.link_lines.push(line);
            }
            let source_end = self.text.source(end - 1..end).end;
            // A blank line: what stands in two blocks is not one phrase.
            self.text.push("\n\n", source_end..source_end);
            if self.in_h1 {
                self.h1.push(" ", source_end..source_end);
            }
        }
        self.line_start = self.text.as_str().len();
        self.line_has_text = false;
        self.line_has_plain = false;
        // Links do not reach over blocks; one that was never closed must not colour the rest of the page.
        self.links_open = 0;
    }

    fn finish(mut self, drop_links: bool) -> HtmlText<'static> {
        let (mut text, mut heading_in_text) = (self.text, self.h1_range);
        if drop_links && !self.link_lines.is_empty() {
            if let Some(heading) = &mut heading_in_text {
                let gone: usize = self.link_lines.iter().filter(|line| line.end <= heading.start).map(Range::len).sum();
                *heading = heading.start - gone..heading.end - gone;
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

/// "Floods in the north | The Daily" without what stands behind the last bar or spaced dash.
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

/// Appends the text of one run: line breaks are spaces in HTML, and each character reference maps back as a whole.
///
/// The run is read from the source rather than from the tokenizer, which has decoded it and no longer knows where each
/// character came from.
fn push_text(out: &mut MappedText<'static>, source: &str, span: Range<usize>) {
    let raw = source.get(span.clone()).unwrap_or_default();
    let mut at = 0;
    while at < raw.len() {
        let plain = raw[at..].find('&').map_or(raw.len(), |i| at + i);
        out.push(&spaced(&raw[at..plain]), span.start + at..span.start + plain);
        if plain == raw.len() {
            break;
        }
        let reference = reference_len(&raw[plain..]);
        let decoded = htmlize::unescape(&raw[plain..plain + reference]);
        out.push(&spaced(&decoded), span.start + plain..span.start + plain + reference);
        at = plain + reference;
    }
}

/// The bytes of the character reference that `text` begins with, its `&` and `;` included; 1 where `&` stands alone.
fn reference_len(text: &str) -> usize {
    let name = text.bytes().skip(1).take(32).take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'#').count();
    let end = 1 + name;
    if text.as_bytes().get(end) == Some(&b';') { end + 1 } else { end }
}

fn spaced(text: &str) -> String {
    text.replace(['\n', '\r', '\t'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(html: &str) -> Vec<String> {
        let page = to_text(html);
        page.text.as_str().lines().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect()
    }

    #[test]
    fn blocks_are_lines_and_inline_elements_are_not() {
        assert_eq!(lines("<p>One <b>bold</b>\nword</p><div>Two<br>Three</div>"), ["One bold word", "Two", "Three"]);
    }

    #[test]
    fn what_is_no_article_text_is_left_out() {
        let html = "<head><title>Floods | The Daily</title><style>p{}</style></head><nav><ul><li>Sport</ul></nav>\
                    <script>if (a < b) { alert('x') }</script><p>Rain fell.</p><footer>About us</footer>";
        let page = to_text(html);
        assert_eq!(page.text.as_str().trim(), "Rain fell.");
        assert_eq!(page.heading.as_str(), "Floods");
        assert_eq!(page.removed.len(), 4, "head, nav, script, footer");
    }

    #[test]
    fn a_block_that_is_one_link_is_a_menu_entry() {
        let html = "<h1><a href=x>The headline</a></h1><p>See <a href=y>the report</a> of May.</p><p><a href=z>Other news</a></p>";
        assert_eq!(lines(html), ["The headline", "See the report of May."]);
    }

    #[test]
    fn the_heading_is_found_in_the_text() {
        let page = to_text("<p><a href=x>Menu</a></p><h1>The <b>headline</b></h1><p>Text.</p>");
        assert_eq!(page.heading.as_str().trim(), "The headline");
        assert_eq!(page.heading_in_text.map(|range| &page.text.as_str()[range]), Some("The headline"));
    }

    #[test]
    fn character_references_map_back_as_a_whole() {
        let html = "<p>Profits &amp; losses at Caf&eacute; AT&T &mdash; &pound;5m &#8217; &bogus;</p>";
        let page = to_text(html);
        let text = page.text.as_str();
        assert_eq!(text.trim(), "Profits & losses at Café AT&T — £5m ’ &bogus;");
        for (word, original) in [("&", "&amp;"), ("Café", "Caf&eacute;"), ("losses", "losses"), ("£5m", "&pound;5m")]
        {
            let start = text.find(word).expect("the word is there");
            assert_eq!(&html[page.text.source(start..start + word.len())], original);
        }
    }

    #[test]
    fn line_ends_of_any_kind_keep_offsets() {
        let html = "<p>The election in\r\nPakistan\rwas\0 held</p>";
        let page = to_text(html);
        for word in ["Pakistan", "was", "held"] {
            let start = page.text.as_str().find(word).expect("the word is there");
            assert_eq!(&html[page.text.source(start..start + word.len())], word);
        }
    }

    #[test]
    fn headings_are_read_whole() {
        let cases = [
            ("<h1>Flood in<br>Pakistan</h1><p>Rain.", "Flood in Pakistan"),
            ("<h1><div><img src=x>Flood</div></h1><p>Rain.", "Flood"),
            ("<h1>&nbsp;</h1><h1>Flood</h1><p>Rain.", "Flood"),
            ("<h1>Flood<p>Rain.</p>", "Flood"),
        ];
        for (html, heading) in cases {
            let page = to_text(html);
            assert_eq!(page.heading.as_str().replace('\u{A0}', "").trim(), heading, "{html}");
            assert!(page.text.as_str().contains("Rain."), "{html}");
        }
        assert_eq!(headline_to_text("<a href=x>Flood in Pakistan</a>").text.as_str().trim(), "Flood in Pakistan");
    }

    #[test]
    fn broken_html_keeps_its_text() {
        assert_eq!(lines("<p>Unclosed <b>bold <i>text"), ["Unclosed bold text"]);
        assert_eq!(lines("<nav>Menu <p>All in an unclosed menu"), ["Menu", "All in an unclosed menu"]);
        assert_eq!(lines("<head><meta charset=utf-8><title>T</title><p>No end of head"), ["No end of head"]);
        assert_eq!(lines("<p>One <svg/>two</p><math/>three"), ["One", "two", "three"]);
        assert_eq!(lines("<p>One</p><aside>Two, and no end"), ["One", "Two, and no end"]);
        assert_eq!(lines("<form><div>A page that is one form</div></form>"), ["A page that is one form"]);
        assert_eq!(lines("<nav>Menu<h1>Heading</h1><p>Text"), ["Heading", "Text"]);
        assert_eq!(lines("a < b and <3 c"), ["a < b and <3 c"]);
    }

    #[test]
    fn depth_costs_no_stack_and_no_time() {
        let html = format!("{}deep{}", "<div><b>".repeat(100_000), "</b></div>".repeat(100_000));
        assert_eq!(lines(&html), ["deep"]);
    }
}
