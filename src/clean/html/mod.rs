//! Extracts the text of HTML with a mapping to the source.
//!
//! html5gum tokenizes by the rules of the WHATWG. No tree is built, so time is linear and nesting depth is not limited.
//! Elements without article text (scripts, navigation, forms, ...) and hidden elements are skipped, block elements break
//! lines, and a block that consists of a short link is removed as a menu entry.
//!
//! If too little text remains, a page is read again with fewer rules, or its text is taken from its JSON-LD.

mod characters;
mod elements;
mod page;
mod reader;
mod skip;

pub use page::HtmlText;

use super::json_ld;
use crate::document::MappedText;
use reader::{SkipRules, read};

/// A page with less shown text than this, in bytes, is treated as if it were still loading or rendered by scripts.
const MIN_SHOWN_BYTES: usize = 100;
/// Minimum length, in bytes, of hidden text or of a JSON-LD body that may replace the shown text.
const MIN_REPLACEMENT_BYTES: usize = 250;

/// Reads `source` as HTML: a whole page or a fragment, well-formed or not.
pub fn to_text(source: &str) -> HtmlText<'static> {
    let mut reader = read(source, SkipRules { page_parts: true, hidden: true });
    // A page that shows hardly any text and hides much is still loading: read the hidden text.
    if reader.hidden_bytes > MIN_REPLACEMENT_BYTES && reader.text.as_str().trim().len() < MIN_SHOWN_BYTES {
        reader = read(source, SkipRules { page_parts: true, hidden: false });
    }
    // An unclosed element may have swallowed the article: skip only elements that are never text.
    if reader.ends_in_skip {
        reader = read(source, SkipRules::default());
    }
    let json_ld = std::mem::take(&mut reader.json_ld);
    let page = reader.finish(true);
    let shown = page.text.as_str().trim().len();
    match json_ld::article_body(source, &json_ld, fragment_to_text) {
        Some(body)
            if body.as_str().trim().len() > shown
                && (shown < MIN_SHOWN_BYTES
                    || (body.as_str().len() >= MIN_REPLACEMENT_BYTES && shown * 4 < body.as_str().len())) =>
        {
            let source = body.source(0..body.as_str().len());
            let mut removed = page.removed;
            // The script with the body was skipped, but its text is read.
            removed.retain(|(range, _)| range.end <= source.start || range.start >= source.end);
            HtmlText { text: body, heading: page.heading, heading_in_text: None, removed }
        }
        _ => page,
    }
}

/// Reads an HTML fragment that contains only article text.
pub fn fragment_to_text(source: &str) -> MappedText<'static> {
    read(source, SkipRules::default()).finish(false).text
}

/// Reads the HTML of a headline, in which a link is not a menu entry.
pub fn headline_to_text(source: &str) -> HtmlText<'static> {
    read(source, SkipRules::default()).finish(false)
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
    fn elements_without_article_text_are_removed() {
        let html = "<head><title>Floods | The Daily</title><style>p{}</style></head><nav><ul><li>Sport</ul></nav>\
                    <script>if (a < b) { alert('x') }</script><p>Rain fell.</p><footer>About us</footer>";
        let page = to_text(html);
        assert_eq!(page.text.as_str().trim(), "Rain fell.");
        assert_eq!(page.heading.as_str(), "Floods");
        assert_eq!(page.removed.len(), 4, "head, nav, script, footer");
    }

    #[test]
    fn a_block_that_is_one_link_is_removed() {
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
    fn character_references_map_as_a_whole() {
        let html = "<p>Profits &amp; losses at Caf&eacute; AT&T &mdash; &pound;5m &#8217; &bogus;</p>";
        let page = to_text(html);
        let text = page.text.as_str();
        assert_eq!(text.trim(), "Profits & losses at Café AT&T — £5m ’ &bogus;");
        for (word, original) in [("&", "&amp;"), ("Café", "Caf&eacute;"), ("losses", "losses"), ("£5m", "&pound;5m")]
        {
            let start = text.find(word).expect("the text contains the word");
            assert_eq!(&html[page.text.source(start..start + word.len())], original);
        }
    }

    #[test]
    fn line_ends_of_any_kind_keep_offsets() {
        let html = "<p>The election in\r\nPakistan\rwas\0 held</p>";
        let page = to_text(html);
        for word in ["Pakistan", "was", "held"] {
            let start = page.text.as_str().find(word).expect("the text contains the word");
            assert_eq!(&html[page.text.source(start..start + word.len())], word);
        }
    }

    #[test]
    fn headings_are_read_completely() {
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
    fn hidden_text_is_removed_and_following_text_is_kept() {
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
            "hidden while loading"
        );
        let deep = format!("<p>One</p><div hidden>{}{}", "<div>".repeat(100_000), "</b></div>".repeat(100_001));
        assert_eq!(lines(&deep), ["One"]);
    }

    #[test]
    fn a_page_without_text_is_read_from_its_json_ld() {
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
    fn deep_nesting_is_read_in_linear_time() {
        let html = format!("{}deep{}", "<div><b>".repeat(100_000), "</b></div>".repeat(100_000));
        assert_eq!(lines(&html), ["deep"]);
    }
}
