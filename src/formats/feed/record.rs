//! Makes a record of an entry of a feed.

use super::channel::Channel;
use crate::{
    article::{Article, Format},
    formats::{Place, Record, xml::Element},
};
use xxhash_rust::xxh3::xxh3_64;

/// The record of an entry. Its body is HTML.
pub fn record(element: &Element, channel: &Channel, place: Place) -> Record {
    let entry = ParsedEntry { element, channel };
    let (headline, body) = (entry.headline(), entry.body());
    let published = entry.published();
    let id = entry.id().unwrap_or_else(|| content_id(&headline, &published, &body));
    let language = entry.language().unwrap_or_else(|| channel.language.clone());
    Record {
        article: Article { id, headline, body, format: Format::Html, language, ..Article::default() },
        topics: entry.topics(),
        published,
        source: channel.title.clone(),
        place,
        ..Record::default()
    }
}

/// An id that depends on the content only, not on the position in the feed.
fn content_id(headline: &str, published: &str, body: &str) -> String {
    format!("urn:xxh3:{:016x}", xxh3_64(format!("{headline}\n{published}\n{body}").as_bytes()))
}

/// An entry, with its feed.
struct ParsedEntry<'a> {
    element: &'a Element,
    channel: &'a Channel,
}

impl<'a> ParsedEntry<'a> {
    fn headline(&self) -> String {
        let titles = self.children("", &["title"]).chain(self.children("media", &["title"]));
        titles.map(markup).find(is_filled).unwrap_or_default()
    }

    /// The full text, otherwise the summary.
    fn body(&self) -> String {
        let bodies = self
            .children("content", &["encoded"])
            .chain(self.children("xhtml", &["body", "div"]))
            .chain(self.children("", &["content"]))
            .chain(self.children("", &["description", "summary", "subtitle", "tagline"]))
            .chain(self.children("media", &["description"]));
        bodies.map(markup).find(is_filled).unwrap_or_default()
    }

    fn published(&self) -> String {
        let published = self
            .text("", &["pubDate", "published", "issued", "date"])
            .or_else(|| self.text("dc", &["date", "issued", "created", "modified"]))
            .or_else(|| self.text("", &["updated", "modified", "created"]));
        published.unwrap_or_default()
    }

    fn language(&self) -> Option<String> {
        self.text("dc", &["language"])
            .or_else(|| self.text("", &["language"]))
            .or_else(|| self.element.attribute("lang").map(str::to_owned))
    }

    fn topics(&self) -> Vec<String> {
        let categories = self.children("", &["category"]).map(|category| {
            let label = category.attribute("label").or_else(|| category.attribute("term"));
            label.map_or_else(|| category.text(), str::to_owned)
        });
        categories.chain(self.children("dc", &["subject"]).map(Element::text)).filter(is_filled).collect()
    }

    fn id(&self) -> Option<String> {
        let is_alternate = |link: &&Element| matches!(link.attribute("rel"), None | Some("alternate"));
        let link = self.children("", &["link"]).find(is_alternate);
        let link = link.map(|link| link.attribute("href").map_or_else(|| link.text(), str::to_owned));
        self.text("", &["guid", "id"])
            .or_else(|| self.element.attribute("about").map(str::to_owned))
            .or(link.filter(is_filled))
    }

    /// The children of a module with one of some names, in document order.
    fn children(
        &self,
        module: &'static str,
        names: &'static [&'static str],
    ) -> impl Iterator<Item = &'a Element> + use<'a> {
        let (entry, channel) = (self.element, self.channel);
        entry
            .elements()
            .filter(move |child| channel.module(entry, child) == module && names.contains(&child.name.as_str()))
    }

    /// The text of the first such child with text.
    fn text(&self, module: &'static str, names: &'static [&'static str]) -> Option<String> {
        self.children(module, names).map(Element::text).find(is_filled)
    }
}

fn is_filled<T: AsRef<str>>(text: &T) -> bool {
    !text.as_ref().trim().is_empty()
}

/// The content of an element as HTML; empty if it is not text.
fn markup(element: &Element) -> String {
    if element.elements().next().is_some() {
        return element.to_html(&[]);
    }
    let kind = element.attribute("type").unwrap_or_default();
    let is_text = kind.is_empty() || ["text", "html", "xhtml", "xml"].iter().any(|text| kind.contains(text));
    if element.attribute("mode") == Some("base64") || element.attribute("src").is_some() || !is_text {
        return String::new();
    }
    let text = element.text();
    // In Atom, content is plain text unless its type or mode is that of markup.
    let is_atom =
        element.name != "description" && (!kind.is_empty() || matches!(&*element.name, "summary" | "content"));
    if is_atom && !kind.contains("html") && element.attribute("mode") != Some("escaped") {
        return text.replace('&', "&amp;").replace('<', "&lt;");
    }
    unescaped_once_more(text)
}

/// Removes a second escaping, or a CDATA section that is escaped as text.
fn unescaped_once_more(text: String) -> String {
    if let Some(inner) = text.strip_prefix("<![CDATA[") {
        return inner.trim_end().strip_suffix("]]>").unwrap_or(inner).to_owned();
    }
    if !text.contains('<') && text.contains("&lt;") {
        let unescaped = htmlize::unescape(&*text);
        if unescaped.contains("</") || unescaped.contains("/>") {
            return unescaped.into_owned();
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use crate::formats::feed::tests::{one, read_text};

    #[test]
    fn forms_of_atom_and_rss_are_read() {
        let atom = one(
            r#"<feed xmlns="http://www.w3.org/2005/Atom" xml:lang="en-GB"><title>Desk</title><entry><id>urn:desk:1</id>
            <title type="text/plain">AT&amp;T &lt;wins&gt;</title><updated>2024-05-07T10:00:00Z</updated><link href="https://a.example/"/>
            <category term="c1" label="courts"/><content type="html">&lt;p&gt;It rained.&lt;/p&gt;</content></entry></feed>"#,
        );
        assert_eq!((&*atom.article.headline, &*atom.article.body), ("AT&amp;T &lt;wins>", "<p>It rained.</p>"));
        assert_eq!((&*atom.topics[0], &*atom.article.language, &*atom.source), ("courts", "en-GB", "Desk"));
        let xhtml = one(
            "<a:feed xmlns:a='http://www.w3.org/2005/Atom'><a:entry><a:content type='xhtml'><div><p>It rained.</p></div></a:content></a:entry></a:feed>",
        );
        assert_eq!(xhtml.article.body, "<div><p>It rained.</p></div>");
        let old = one(
            "<feed version='0.3' xmlns='http://purl.org/atom/ns#'><entry><title>Rain</title><issued>2004-01-01T00:00:00Z</issued>\
             <content type='text/html' mode='escaped'>&lt;p>Wet&lt;/p></content></entry></feed>",
        );
        assert_eq!((&*old.article.body, &*old.published), ("<p>Wet</p>", "2004-01-01T00:00:00Z"));
        for root in [
            "<rss>",
            "<rss version='2.0' xmlns='http://www.w3.org/2005/Atom'>",
            "<rss version='2.0' xmlns='http://backend.userland.com/rss2'>",
            "<rss version='2.0' xmlns='http://blogs.law.harvard.edu/tech/rss'>",
        ] {
            let rss = one(&format!(
                "{root}<channel><item><title>Rain</title><dc:date>2024-05-06</dc:date></item></channel></rss>"
            ));
            assert_eq!((&*rss.article.headline, &*rss.published), ("Rain", "2024-05-06"), "{root}");
        }
        let clash = one(
            "<r:rss xmlns:r='u'><r:channel><r:item><title>decoy</title><r:title>Rain</r:title><media:title>decoy</media:title></r:item></r:channel></r:rss>",
        );
        assert_eq!(clash.article.headline, "Rain");
        let rdf = one(
            "<rdf:RDF><channel><title>Desk</title></channel><item rdf:about='http://a.example/1'><title>Rain &nbsp;again</title></item></rdf:RDF>",
        );
        assert_eq!(
            (&*rdf.article.id, &*rdf.article.headline, &*rdf.source),
            ("http://a.example/1", "Rain \u{A0}again", "Desk")
        );
    }

    #[test]
    fn text_that_is_escaped_twice_is_read() {
        let body = |description: &str| {
            one(&format!("<rss><channel><item><description>{description}</description></item></channel></rss>"))
                .article
                .body
        };
        assert_eq!(body("&lt;![CDATA[Rain &amp; wind]]&gt;"), "Rain & wind");
        assert_eq!(body("<![CDATA[&lt;p&gt;Rain&lt;/p&gt;]]>"), "<p>Rain</p>");
        assert_eq!(body("<![CDATA[2 &lt; 3]]>"), "2 &lt; 3");
    }

    #[test]
    fn ids_are_independent_of_the_position() {
        let id = |first: &str| {
            let feed = format!("<rss><channel>{first}<item><title>Rain</title></item></channel></rss>");
            read_text(&feed).pop().expect("a row").expect("an entry").article.id
        };
        let alone = id("");
        assert_eq!(alone, id("<item><title>New</title></item>"));
        assert!(alone.starts_with("urn:xxh3:"));
    }
}
