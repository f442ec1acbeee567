//! Feeds: RSS 0.9x, 1.0 and 2.0, Atom 0.3 and 1.0; an entry an article.
//!
//! Entries are cut out of the feed before they are parsed, so that one that is broken costs itself. Elements count by their
//! names and the namespace of the entry, whatever that is: feeds put RSS into those of Atom, UserLand, Harvard and none.

use super::{InputError, Reading, Record, xml};
use crate::article::{Article, Format, prefix};
use encoding_rs::Encoding;
use memchr::memmem;
use std::{collections::HashMap, ops::Range};
use xml::{Element, split_name};
use xxhash_rust::xxh3::xxh3_64;

/// What a document of XML is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Document {
    /// RSS or Atom.
    Feed,
    NewsMl,
    Nitf,
    /// HTML as XML.
    Page,
    Unknown,
}

impl Document {
    /// Whether it holds news in a form of its own.
    pub fn is_news(self) -> bool {
        matches!(self, Document::Feed | Document::NewsMl | Document::Nitf)
    }

    /// By the name of the root element.
    pub fn of(bytes: &[u8]) -> Document {
        match local_name(root(bytes)) {
            b"rss" | b"RDF" | b"feed" | b"channel" | b"entry" => Document::Feed,
            b"newsItem" | b"newsMessage" | b"packageItem" | b"conceptItem" | b"knowledgeItem" | b"planningItem" => {
                Document::NewsMl
            }
            b"nitf" => Document::Nitf,
            name if name.eq_ignore_ascii_case(b"html") => Document::Page,
            _ => Document::Unknown,
        }
    }
}

/// The name of the root element as it is written; empty if there is none.
fn root(bytes: &[u8]) -> &[u8] {
    let mut at = 0;
    while let Some(found) = position(&bytes[at..], b"<") {
        at += found + 1;
        match bytes.get(at) {
            Some(b'!') if bytes[at..].starts_with(b"!--") => {
                at += position(&bytes[at..], b"-->").unwrap_or(bytes.len() - at);
            }
            // Declarations and document types: of those with a subset the markup is skipped piece by piece.
            Some(b'?' | b'!') => {}
            Some(_) => {
                let name = &bytes[at..];
                return &name[..name_length(name)];
            }
            None => break,
        }
    }
    b""
}

fn local_name(name: &[u8]) -> &[u8] {
    name.iter().position(|byte| *byte == b':').map_or(name, |colon| &name[colon + 1..])
}

fn position(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    memmem::find(bytes, wanted)
}

/// The length of a name in a tag; longer ones are of nothing that is read here.
fn name_length(tag: &[u8]) -> usize {
    const LONGEST: usize = 64;
    let tag = &tag[..tag.len().min(LONGEST)];
    tag.iter().position(|byte| b" \t\r\n/><".contains(byte)).unwrap_or(tag.len())
}

/// Finds what ends tags, comments and sections. The bytes are passed over once, however often is asked from places that rise.
struct Finder<'b> {
    bytes: &'b [u8],
    wanted: &'static [u8],
    /// The first end at or behind the last place that was asked from.
    next: Option<usize>,
}

impl<'b> Finder<'b> {
    fn new(bytes: &'b [u8], wanted: &'static [u8]) -> Self {
        Finder { bytes, wanted, next: position(bytes, wanted) }
    }

    /// Behind the first end at or behind a place.
    fn end(&mut self, from: usize) -> Option<usize> {
        if self.next.is_some_and(|next| next < from) {
            self.next = position(&self.bytes[from..], self.wanted).map(|found| from + found);
        }
        self.next.map(|next| next + self.wanted.len())
    }
}

/// An entry in the bytes of a feed.
struct Cut {
    range: Range<usize>,
    /// Whether it has an end tag.
    whole: bool,
}

/// Cuts the entries out of a feed: elements `item` or `entry` of one prefix, outside comments and CDATA sections.
fn entries(bytes: &[u8]) -> Vec<Cut> {
    let mut cuts = Vec::new();
    let mut name: Option<&[u8]> = None;
    let mut open: Option<usize> = None;
    let [mut comments, mut sections, mut tags] = [&b"-->"[..], b"]]>", b">"].map(|end| Finder::new(bytes, end));
    let mut at = 0;
    while let Some(found) = position(&bytes[at..], b"<") {
        let tag = at + found;
        let rest = &bytes[tag + 1..];
        // One without an end costs the entry that it stands in, and not the others.
        if rest.starts_with(b"!--") {
            at = comments.end(tag).unwrap_or(tag + 1);
            continue;
        }
        if rest.starts_with(b"![CDATA[") {
            at = sections.end(tag).unwrap_or(tag + 1);
            continue;
        }
        let (closing, written) = match rest.strip_prefix(b"/") {
            Some(rest) => (true, rest),
            None => (false, rest),
        };
        let written = &written[..name_length(written)];
        at = tag + 1;
        let is_entry = match name {
            Some(name) => written == name,
            None => !closing && matches!(local_name(written), b"item" | b"entry"),
        };
        if !is_entry {
            continue;
        }
        name = Some(written);
        let end = tags.end(tag).unwrap_or(bytes.len());
        match (closing, open.take()) {
            (true, Some(start)) => cuts.push(Cut { range: start..end, whole: true }),
            (true, None) => {}
            (false, before) => {
                cuts.extend(before.map(|start| Cut { range: start..tag, whole: false }));
                match bytes[..end].ends_with(b"/>") {
                    true => cuts.push(Cut { range: tag..end, whole: true }),
                    false => open = Some(tag),
                }
            }
        }
    }
    cuts.extend(open.map(|start| Cut { range: start..bytes.len(), whole: false }));
    cuts
}

/// What a feed says of itself goes with every entry: longer texts are cut off.
const LONGEST_SAID: usize = 1024;
/// Feeds declare a few namespaces.
const MOST_NAMESPACES: usize = 64;

/// What a feed says of all its entries.
#[derive(Debug, Default)]
struct Channel {
    title: String,
    language: String,
    /// Prefixes that the root declares, and their namespaces.
    namespaces: HashMap<String, String>,
}

impl Channel {
    /// From what stands before the first entry, which need not be well-formed.
    fn of(head: &str) -> Channel {
        let mut channel = Channel::default();
        let mut reader = quick_xml::Reader::from_str(head);
        reader.config_mut().check_end_names = false;
        let mut path: Vec<String> = Vec::new();
        while let Ok(event) = reader.read_event() {
            match event {
                quick_xml::events::Event::Start(tag) => {
                    for attribute in tag.html_attributes().with_checks(false).flatten() {
                        let value = htmlize::unescape(&*attribute.value).into_owned();
                        match split_name(attribute.key.into_inner()) {
                            ("xmlns", prefix) if channel.namespaces.len() < MOST_NAMESPACES => {
                                channel.namespaces.insert(prefix.to_owned(), value);
                            }
                            ("xml", "lang") if channel.language.is_empty() => channel.language = value,
                            _ => {}
                        }
                    }
                    path.push(split_name(tag.name().into_inner()).1.to_owned());
                }
                quick_xml::events::Event::End(_) => drop(path.pop()),
                quick_xml::events::Event::Text(text) => channel.say(&path, &text.into_inner()),
                quick_xml::events::Event::CData(text) => channel.say(&path, &text.into_inner()),
                quick_xml::events::Event::GeneralRef(reference) => {
                    channel.say(&path, &htmlize::unescape(format!("&{};", reference.into_inner())));
                }
                quick_xml::events::Event::Eof => break,
                _ => {}
            }
        }
        channel.title = prefix(&htmlize::unescape(channel.title.trim()), LONGEST_SAID).to_owned();
        channel.language = prefix(channel.language.trim(), LONGEST_SAID).to_owned();
        channel
    }

    fn say(&mut self, path: &[String], text: &str) {
        let of_channel = matches!(path, [.., parent, _] if matches!(parent.as_str(), "channel" | "feed"));
        match path.last().map(String::as_str) {
            Some("title") if of_channel => self.title.push_str(text),
            Some("language") if of_channel && self.language.trim().is_empty() => self.language.push_str(text),
            _ => {}
        }
    }

    /// The module of an element: empty for those of the entry itself, otherwise a name for its namespace, or its prefix.
    fn module<'e>(&self, entry: &Element, element: &'e Element) -> &'e str {
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
            // Of no namespace, in an entry that has one.
            None if element.prefix.is_empty() => "-",
            None => &element.prefix,
        }
    }
}

/// Reads the entries of a feed. Bodies are HTML, whatever the feed calls them: that is what they hold.
pub fn read(mut bytes: Vec<u8>, name: &str, reading: &Reading) -> Vec<Result<Record, InputError>> {
    // Tags are looked for as bytes.
    if Encoding::for_bom(&bytes).is_some() || reading.in_lines().is_err() {
        bytes = match reading.text(bytes) {
            Ok(text) => text.into_bytes(),
            Err(message) => return vec![Err(InputError::new(name, message))],
        };
    }
    let own = match std::str::from_utf8(&bytes) {
        // What says that it is in Latin-1 and is UTF-8 has been saved again.
        Ok(_) => None,
        Err(_) => reading.encoding.or_else(|| xml::declared_encoding(&bytes)).filter(|own| *own != encoding_rs::UTF_8),
    };
    let reading = Reading { encoding: own, ..reading.clone() };
    let cuts = entries(&bytes);
    if cuts.is_empty() {
        return vec![Err(InputError::new(name, "there is no article in it"))];
    }
    let head = String::from_utf8_lossy(&bytes[..cuts[0].range.start]).into_owned();
    let channel = Channel::of(&head);
    let entries = cuts.iter().enumerate();
    entries
        .map(|(i, cut)| {
            let place = format!("{name}:{}", i + 1);
            let entry = parse(&bytes[cut.range.clone()], cut.whole, &reading);
            entry.map(|entry| record(&entry, &channel, place.clone())).map_err(|message| {
                let last = i + 1 == cuts.len();
                InputError { cut_off: last && !cut.whole, ..InputError::new(&place, message) }
            })
        })
        .collect()
}

fn parse(bytes: &[u8], whole: bool, reading: &Reading) -> Result<Element, String> {
    if !whole {
        return Err("the entry is cut off: it has no end tag".to_owned());
    }
    let text = reading.text(bytes.to_vec())?;
    xml::parse(&text).map_err(|error| format!("the entry is {error}"))
}

fn record(entry: &Element, channel: &Channel, place: String) -> Record {
    let of = |module: &'static str, names: &'static [&'static str]| {
        entry
            .elements()
            .filter(move |element| channel.module(entry, element) == module && names.contains(&element.name.as_str()))
    };
    let markup = markup_of;
    let filled = |html: &String| !html.trim().is_empty();
    let headline = of("", &["title"]).chain(of("media", &["title"])).map(markup).find(filled);
    let bodies = of("content", &["encoded"])
        .chain(of("xhtml", &["body", "div"]))
        .chain(of("", &["content"]))
        .chain(of("", &["description", "summary", "subtitle", "tagline"]))
        .chain(of("media", &["description"]));
    let body = bodies.map(markup).find(filled);
    let said = |module, names| of(module, names).map(Element::text).find(filled);
    let published = said("", &["pubDate", "published", "issued", "date"])
        .or_else(|| said("dc", &["date", "issued", "created", "modified"]))
        .or_else(|| said("", &["updated", "modified", "created"]))
        .unwrap_or_default();
    let language = said("dc", &["language"])
        .or_else(|| said("", &["language"]))
        .or_else(|| entry.attribute("lang").map(str::to_owned))
        .unwrap_or_else(|| channel.language.clone());
    let categories = of("", &["category"]).map(|category| {
        let label = category.attribute("label").or_else(|| category.attribute("term"));
        label.map_or_else(|| category.text(), str::to_owned)
    });
    let topics = categories.chain(of("dc", &["subject"]).map(Element::text)).filter(filled).collect();
    let link = of("", &["link"]).find(|link| matches!(link.attribute("rel"), None | Some("alternate")));
    let link = link.map(|link| link.attribute("href").map_or_else(|| link.text(), str::to_owned));
    let id = said("", &["guid", "id"]).or_else(|| entry.attribute("about").map(str::to_owned)).or(link.filter(filled));
    let (headline, body) = (headline.unwrap_or_default(), body.unwrap_or_default());
    // The same for the same entry, wherever it stands.
    let made = || format!("urn:xxh3:{:016x}", xxh3_64(format!("{headline}\n{published}\n{body}").as_bytes()));
    let id = id.unwrap_or_else(made);
    Record {
        article: Article { id, headline, body, format: Format::Html, language, ..Article::default() },
        topics,
        published,
        source: channel.title.clone(),
        place,
        ..Record::default()
    }
}

/// What an element holds, as HTML.
fn markup_of(element: &Element) -> String {
    if element.elements().next().is_some() {
        return element.to_html(&[]);
    }
    let kind = element.attribute("type").unwrap_or_default();
    let is_text = kind.is_empty() || ["text", "html", "xhtml", "xml"].iter().any(|text| kind.contains(text));
    if element.attribute("mode") == Some("base64") || element.attribute("src").is_some() || !is_text {
        return String::new();
    }
    let text = element.text();
    // Of Atom: what is not said to be markup is text.
    let atom = element.name != "description" && (!kind.is_empty() || matches!(&*element.name, "summary" | "content"));
    if atom && !kind.contains("html") && element.attribute("mode") != Some("escaped") {
        return text.replace('&', "&amp;").replace('<', "&lt;");
    }
    unescaped_once_more(text)
}

/// Some programs escape what is escaped already, or wrap a CDATA section up as text.
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
    use super::*;

    const RSS: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<rss version="2.0" xmlns:content="http://purl.org/rss/1.0/modules/content/"><channel>
<title>Harbour Post</title><link>https://harbour.example/</link><description>News</description><language>en</language>
<item><title>Ferries &amp;amp; trams stop</title><guid isPermaLink="false">hp-1</guid><category>transport</category>
<pubDate>Mon, 06 May 2024 10:00:00 GMT</pubDate><description>Short.</description>
<content:encoded><![CDATA[<p>Ferries stopped in Lisbon.</p><item>]]></content:encoded></item>
<item><title>No guid</title><link>https://harbour.example/2</link><description>Only a line.</description></item>
</channel></rss>"#;

    fn read_text(text: &str) -> Vec<Result<Record, InputError>> {
        read(text.as_bytes().to_vec(), "feed.xml", &Reading::default())
    }

    fn one(text: &str) -> Record {
        let mut rows = read_text(text);
        assert_eq!(rows.len(), 1);
        rows.remove(0).expect("an entry")
    }

    #[test]
    fn entries_are_articles() {
        let rows: Vec<Record> = read_text(RSS).into_iter().map(|row| row.expect("an entry")).collect();
        assert_eq!(rows.len(), 2);
        let first = &rows[0];
        assert_eq!((&*first.article.id, &*first.article.language, &*first.source), ("hp-1", "en", "Harbour Post"));
        assert_eq!(first.article.headline, "Ferries &amp; trams stop");
        assert_eq!(
            (&*first.article.body, &*first.published),
            ("<p>Ferries stopped in Lisbon.</p><item>", "Mon, 06 May 2024 10:00:00 GMT")
        );
        assert_eq!((&first.topics[..], &*first.place), (&["transport".to_owned()][..], "feed.xml:1"));
        assert_eq!(rows[1].article.id, "https://harbour.example/2");
    }

    #[test]
    fn forms_of_atom_and_rss() {
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
    fn a_broken_entry_costs_itself() {
        let feed = |second: &[u8]| {
            let start = b"<rss><channel><item><guid>1</guid><title>One</title></item>";
            let end = b"<item><guid>3</guid><title>Three</title></item></channel></rss>";
            read([&start[..], second, end].concat(), "feed.xml", &Reading::default())
        };
        for (second, reason) in [
            (&b"<item><title>secret & more</title></item>"[..], "bare &"),
            (b"<item><title>secret \xE9</title></item>", "not UTF-8 at byte"),
            (b"<item><title>secret</titel></item>", "does not match"),
            (b"<item><title>secret &madeup;</title></item>", "unknown entity"),
            (b"<item><title>secret</title>", "has no end tag"),
            (b"<item><title><![CDATA[secret</title></item>", "no end"),
        ] {
            let rows = feed(second);
            assert_eq!(rows.len(), 3, "{reason}");
            let error = rows[1].as_ref().expect_err("it is broken");
            assert!(error.message.contains(reason) && !error.message.contains("secret"), "{error}");
            assert_eq!((&*error.place, error.cut_off), ("feed.xml:2", false));
            for (row, id) in [(&rows[0], "1"), (&rows[2], "3")] {
                assert_eq!(row.as_ref().expect("it is whole").article.id, id);
            }
        }
        let cut = read_text("<rss><channel><item><title>One</title></item><item><title>Sec");
        assert!(
            cut[0].is_ok() && cut[1].as_ref().is_err_and(|error| error.cut_off && error.message.contains("cut off"))
        );
    }

    #[test]
    fn hostile_feeds_take_time_that_grows_with_their_length() {
        for part in ["<", "<!--", "<![CDATA[", "<item ", "<item>", "</item>", "<a b"] {
            let feed = format!("<rss>{}", part.repeat(1_000_000));
            assert!(read_text(&feed).iter().all(Result::is_err), "{part}");
        }
        let title = "x".repeat(1 << 20);
        let feed = format!("<rss><channel><title>{title}</title>{}", "<item><title>a</title></item>".repeat(20_000));
        let held: usize = read_text(&feed).iter().flatten().map(|record| record.source.len()).sum();
        assert!(held <= 20_000 * LONGEST_SAID, "{held}");
    }

    #[test]
    fn identifiers_are_stable() {
        let feed = |first: &str| format!("<rss><channel>{first}<item><title>Rain</title></item></channel></rss>");
        let id = |rows: Vec<Result<Record, InputError>>| {
            rows.last().expect("a row").as_ref().expect("an entry").article.id.clone()
        };
        let alone = id(read_text(&feed("")));
        assert_eq!(alone, id(read_text(&feed("<item><title>New</title></item>"))));
        assert!(alone.starts_with("urn:xxh3:"));
    }

    #[test]
    fn documents_are_told_by_their_roots() {
        for (text, document) in [
            ("<?xml version='1.0'?><!-- <rss> --><newsItem/>", Document::NewsMl),
            ("<x:feed>", Document::Feed),
            ("<!DOCTYPE nitf SYSTEM 'x'><nitf>", Document::Nitf),
            ("<?xml version='1.0'?><HTML>", Document::Page),
            ("<NewsML>", Document::Unknown),
            ("", Document::Unknown),
        ] {
            assert_eq!(Document::of(text.as_bytes()), document, "{text}");
        }
        assert!(read_text("<feed/>")[0].as_ref().is_err_and(|error| error.message.contains("no article")));
    }
}
