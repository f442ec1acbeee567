//! HTML to text, with its way back to the source.
//!
//! html5gum tokenizes by the WHATWG rules; no tree is built, so time is linear and depth does not matter. Elements that
//! hold no article text (scripts, navigation, forms, ...) and hidden ones are skipped, block elements break lines, and a block
//! that is nothing but a short link counts as a menu entry.

use super::{
    json_ld,
    visibility::{Attributes, Visibility},
};
use crate::{
    article::Reason,
    document::{MOST_REMOVED, MappedText},
};
use html5gum::{
    Span, Tokenizer,
    emitters::callback::{CallbackEmitter, CallbackEvent},
};
use std::{collections::HashMap, convert::Infallible, ops::Range};
use xxhash_rust::xxh3::xxh3_64;

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

/// What is left out beside what can never be text.
#[derive(Debug, Clone, Copy, Default)]
struct Rules {
    regions: bool,
    hidden: bool,
}

/// A page that shows less text than this, in bytes, and hides more than the second, shows what it hides once it has loaded.
const HARDLY_ANY_TEXT: usize = 100;
const MUCH_TEXT: usize = 250;

/// Reads `source` as HTML, a whole page or a fragment, well-formed or not.
pub fn to_text(source: &str) -> HtmlText<'static> {
    let mut reader = read(source, Rules { regions: true, hidden: true });
    if reader.hidden_text > MUCH_TEXT && reader.text.as_str().trim().len() < HARDLY_ANY_TEXT {
        reader = read(source, Rules { regions: true, hidden: false });
    }
    // A region that is never closed may swallow the article: then only what can never be text is skipped.
    if reader.left_open {
        reader = read(source, Rules::default());
    }
    let json_ld = std::mem::take(&mut reader.json_ld);
    let page = reader.finish(true);
    let shown = page.text.as_str().trim().len();
    match json_ld::article_body(source, &json_ld) {
        Some(body)
            if body.as_str().trim().len() > shown
                && (shown < HARDLY_ANY_TEXT
                    || (body.as_str().len() >= MUCH_TEXT && shown * 4 < body.as_str().len())) =>
        {
            let source = body.source(0..body.as_str().len());
            let mut removed = page.removed;
            // What is read is not left out.
            removed.retain(|(range, _)| range.end <= source.start || range.start >= source.end);
            HtmlText { text: body, heading: page.heading, heading_in_text: None, removed }
        }
        _ => page,
    }
}

/// Reads a fragment that holds the text of an article alone.
pub fn fragment_to_text(source: &str) -> MappedText<'static> {
    read(source, Rules::default()).finish(false).text
}

/// Reads the markup of a headline: one line, in which a link is no menu entry.
pub fn headline_to_text(source: &str) -> HtmlText<'static> {
    read(source, Rules::default()).finish(false)
}

fn read(source: &str, rules: Rules) -> Reader<'_> {
    let mut reader = Reader { source, rules, ..Reader::default() };
    let mut emitter = CallbackEmitter::new(|event: CallbackEvent<'_>, span: Span<usize>| -> Option<Infallible> {
        reader.event(event, span.start..span.end);
        None
    });
    emitter.naively_switch_states(true);
    Tokenizer::new_with_emitter(source, emitter).for_each(drop);
    reader.end_line();
    let could_end = |skip: &Skip| skip.hidden.is_some() || REGIONS.contains(&skip.name.as_slice()) || skip.is_page;
    reader.left_open = reader.skip.as_ref().is_some_and(could_end);
    reader.end_skip(source.len());
    reader
}

/// Elements whose content is never article text.
const NEVER_TEXT: [&[u8]; 12] = [
    b"script",
    b"style",
    b"noscript",
    b"template",
    b"iframe",
    b"svg",
    b"textarea",
    b"select",
    b"datalist",
    b"option",
    b"head",
    b"math",
];
/// Elements without an end tag (HTML Standard, 13.1.2).
const VOID: [&[u8]; 13] =
    [b"area", b"base", b"br", b"col", b"embed", b"hr", b"img", b"input", b"link", b"meta", b"source", b"track", b"wbr"];
/// Elements that end where the next one of them begins, and what holds them.
const ITEMS: [&[u8]; 6] = [b"li", b"dt", b"dd", b"tr", b"td", b"th"];
const LISTS: [&[u8]; 5] = [b"ul", b"ol", b"dl", b"menu", b"table"];
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

/// An element whose text is left out.
#[derive(Default)]
struct Skip {
    name: Vec<u8>,
    depth: usize,
    start: usize,
    /// What is open within, if the element is hidden.
    hidden: Option<Subtree>,
    /// Whether it is a part of the page by its attributes.
    is_page: bool,
}

/// The elements that are open within another one, by the hashes of their names.
#[derive(Default)]
struct Subtree {
    open: Vec<u64>,
    counts: HashMap<u64, usize>,
}

impl Subtree {
    fn has(&self, name: &[u8]) -> bool {
        self.counts.get(&xxh3_64(name)).is_some_and(|count| *count > 0)
    }

    fn push(&mut self, name: &[u8]) {
        let id = xxh3_64(name);
        self.open.push(id);
        *self.counts.entry(id).or_default() += 1;
    }

    /// Closes the last element of this name, and all that is open within it.
    fn close(&mut self, name: &[u8]) {
        let id = xxh3_64(name);
        while let Some(open) = self.open.pop() {
            if let Some(count) = self.counts.get_mut(&open) {
                *count -= 1;
            }
            if open == id {
                return;
            }
        }
    }
}

/// A start tag whose attributes are being read.
struct StartTag {
    name: Vec<u8>,
    start: usize,
    attributes: Attributes,
}

#[derive(Default)]
struct Reader<'s> {
    source: &'s str,
    rules: Rules,
    tag: Option<StartTag>,
    skip: Option<Skip>,
    /// Bytes of text in hidden elements.
    hidden_text: usize,
    /// The content of scripts that hold JSON-LD.
    json_ld: Vec<Range<usize>>,
    in_json_ld: bool,
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
                    self.open(&tag);
                }
                if self_closing {
                    self.close_at_once(span.end);
                }
            }
            CallbackEvent::EndTag { name } => self.close(name, span),
            CallbackEvent::String { value } => self.string(value, span),
            _ => {}
        }
    }

    fn open(&mut self, tag: &StartTag) {
        let (name, start) = (&tag.name[..], tag.start);
        if let Some(skip) = &mut self.skip {
            let ended = match (&mut skip.hidden, skip.name.as_slice()) {
                (Some(within), hidden) => {
                    let next_item =
                        ITEMS.contains(&hidden) && ITEMS.contains(&name) && !LISTS.iter().any(|list| within.has(list));
                    let ended = next_item || (hidden == b"p" && BLOCKS.contains(&name) && name != b"br");
                    if !ended && !VOID.contains(&name) {
                        within.push(name);
                    }
                    ended
                }
                (None, b"head") => !IN_HEAD.contains(&name),
                (None, b"option") => name == b"option" || BLOCKS.contains(&name),
                (None, region) => {
                    (skip.is_page || REGIONS.contains(&region)) && ARTICLE_STARTS.contains(&name) && name != skip.name
                }
            };
            if !ended {
                skip.depth += usize::from(name == skip.name);
                self.in_title |= name == b"title" && skip.name == b"head";
                self.in_json_ld = name == b"script" && tag.attributes.is_json_ld();
                return;
            }
            self.end_skip(start);
        }
        let visibility = tag.attributes.visibility(name);
        let hidden = self.rules.hidden && visibility == Visibility::Hidden && !VOID.contains(&name);
        let is_page = self.rules.regions && visibility == Visibility::Page && !VOID.contains(&name);
        let never_text = NEVER_TEXT.contains(&name) && !(name == b"template" && tag.attributes.is_shadow_root());
        if name == b"title" {
            self.in_title = true;
        } else if never_text || hidden || is_page || (self.rules.regions && REGIONS.contains(&name)) {
            // A hidden part of a line does not end it.
            if !hidden || BLOCKS.contains(&name) {
                self.end_line();
            }
            let hidden = (hidden && !never_text).then(Subtree::default);
            self.skip = Some(Skip { name: name.to_vec(), depth: 1, start, hidden, is_page });
            self.in_json_ld = name == b"script" && tag.attributes.is_json_ld();
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
        self.in_json_ld = false;
        match &mut self.skip {
            None => {}
            Some(Skip { hidden: Some(within), .. }) if within.has(name) => return within.close(name),
            // What holds the hidden element ends, and it with it.
            Some(skip) if skip.hidden.is_some() && name != skip.name && BLOCKS.contains(&name) => {
                self.end_skip(span.start)
            }
            Some(skip) => {
                if name == skip.name {
                    skip.depth = if skip.hidden.is_some() { 0 } else { skip.depth - 1 };
                    if skip.depth == 0 {
                        self.end_skip(span.end);
                    }
                }
                return;
            }
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
        if let Some(skip) = &self.skip {
            if skip.hidden.is_some() {
                self.hidden_text += value.trim_ascii().len();
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
    fn hidden_text_is_left_out_and_what_follows_is_not() {
        for hidden in [
            "<div hidden>Two</div>",
            "<div style='display: none'><div>Two</div><p>Two<br>Two</div>",
            "<p hidden>Two",
            "<ul><li hidden>Two<ul><li>Two</ul></ul>",
            "<div hidden><b>Two</i></b></span></div>",
            "<section><span hidden>Two</section>",
            "<table><tr><td hidden>Two<tr></table>",
            "<input hidden>",
            "<template>Two</template>",
            "<datalist><option>Two<option>Two</datalist>",
            "<div id=onetrust-banner><p>Two</p></div>",
        ] {
            assert_eq!(lines(&format!("<p>One</p>{hidden}<p>Three</p>")), ["One", "Three"], "{hidden}");
        }
        assert_eq!(lines("<ul><li>One<li hidden>Two<li>Three</ul>"), ["One", "Three"]);
        assert_eq!(lines("<p>One</p><div hidden>Two, and no end"), ["One", "Two, and no end"]);
        assert_eq!(lines("<x-a><template shadowrootmode=open><p>Shown</p></template></x-a>"), ["Shown"]);
        let text = "Rain fell on the hills for a third day. ".repeat(10);
        assert_eq!(
            lines(&format!("<div style='visibility:hidden'>{text}</div>")),
            [text.trim()],
            "until it has loaded"
        );
        let deep = format!("<p>One</p><div hidden>{}{}", "<div>".repeat(100_000), "</b></div>".repeat(100_001));
        assert_eq!(lines(&deep), ["One"]);
    }

    #[test]
    fn a_page_without_text_has_that_of_its_json_ld() {
        let page = |shown: &str| {
            format!(
                "<title>Rain</title><script type=application/ld+json>{{\"articleBody\": \"Rain fell in Oslo.\\nIt stopped.\"}}</script>\
                 <script>var x = \"no\"</script><div id=app>{shown}</div>"
            )
        };
        let text = |html: &str| to_text(html).text.as_str().trim().to_owned();
        assert_eq!(text(&page("")), "Rain fell in Oslo.\nIt stopped.");
        let shown =
            "Snow fell in Bergen, and the trains stood still for most of the day, the railway said on Monday evening.";
        assert_eq!(text(&page(shown)), shown);
        assert_eq!(to_text(&page("")).heading.as_str(), "Rain");
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
