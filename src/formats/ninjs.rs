//! ninjs, the IPTC's news in JSON, versions 1.x, 2.x and 3.x: read to be classified, and given back with labels in it.
//!
//! What is not read is not touched: every other field goes out as the bytes that came in, unknown ones too
//! (<https://iptc.org/std/ninjs>; the fields are those of the schemas 1.6, 2.2 and 3.1).

use super::object::{Object, on_one_line};
use crate::{
    article::{Article, Classification, Decision, Format, Label, Role},
    formats::{Record, date},
    geography,
};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// The scheme of IPTC Media Topics.
const MEDIA_TOPICS: &str = "http://cv.iptc.org/newscodes/mediatopic/";
/// How a model's codes of these begin.
const MEDIA_TOPIC: &str = "medtop:";
/// The scheme of ISO 3166-1 alpha-2 country codes.
const COUNTRIES: &str = "http://cvx.iptc.org/iso3166-1a2/";
/// How the name of this creator begins; the version of the model follows.
const CREATOR: &str = "dateline/";

/// An item of news: its fields in their order, as they were written.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    object: Object,
    version: Version,
}

/// The versions that differ in how labels are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    /// `subject` and `place` with `scheme` and `code`; confidence only from 1.5 on.
    One { confidence: bool },
    /// `subjects` and `places` with `uri`, all names in lower case; confidence only from 2.1 on.
    Two { confidence: bool },
    /// The same, names in camel case.
    Three,
}

/// Fields that rows of JSON Lines have and ninjs has not.
const OF_ROWS: [&str; 12] = [
    "id",
    "body",
    "text",
    "topics",
    "dateline",
    "source_country",
    "regions",
    "published",
    "date",
    "source",
    "outlet",
    "format",
];
/// Fields that ninjs has and no row.
const ONLY_OF_NINJS: [&str; 8] =
    ["headlines", "bodies", "descriptions", "$standard", "pubstatus", "pubStatus", "versioncreated", "versionCreated"];
/// Fields that ninjs has, and rows may.
const OF_NINJS: [&str; 6] = ["headline", "title", "subject", "subjects", "place", "places"];
/// Fields of which ninjs 2.x and 3.x have some.
const OF_LISTS: [&str; 5] = ["headlines", "bodies", "descriptions", "subjects", "places"];
/// Fields of which ninjs 3.x has some.
const OF_THREE: [&str; 7] = [
    "versionCreated",
    "firstCreated",
    "contentCreated",
    "pubStatus",
    "copyrightHolder",
    "copyrightNotice",
    "usageTerms",
];

/// A headline or a body of ninjs 2.x and 3.x.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Part {
    #[serde(deserialize_with = "text")]
    role: String,
    #[serde(alias = "contentType", deserialize_with = "text")]
    contenttype: String,
    #[serde(deserialize_with = "text")]
    value: String,
}

impl Part {
    fn is_markup(&self) -> bool {
        let kind = self.contenttype.trim().to_ascii_lowercase();
        if kind.is_empty() { begins_with_markup(&self.value) } else { !kind.starts_with("text/plain") }
    }
}

fn begins_with_markup(text: &str) -> bool {
    text.trim_start().starts_with('<')
}

/// A text, and whether it is marked up.
#[derive(Default)]
struct Text {
    value: String,
    markup: bool,
}

impl Text {
    fn plain(value: String) -> Self {
        Text { value, markup: false }
    }
}

/// What is no text says nothing, and is no reason to lose the rest.
fn text<'de, D: Deserializer<'de>>(value: D) -> Result<String, D::Error> {
    Ok(serde_json::Value::deserialize(value)?.as_str().unwrap_or_default().to_owned())
}

/// What a subject says of itself that matters here.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Concept {
    #[serde(deserialize_with = "text")]
    uri: String,
    #[serde(deserialize_with = "text")]
    literal: String,
    #[serde(deserialize_with = "text")]
    scheme: String,
    #[serde(deserialize_with = "text")]
    code: String,
    #[serde(deserialize_with = "text")]
    creator: String,
}

impl Concept {
    /// A label of ours, or an editor's: as a code of Media Topics where it is one.
    fn label(&self) -> Option<String> {
        let topic = self.uri.strip_prefix(MEDIA_TOPICS).map(ToOwned::to_owned);
        let of_scheme = self.is_media_topic().then(|| self.code.clone());
        let topic = topic.or(of_scheme).filter(|code| !code.is_empty());
        match topic {
            Some(code) => Some(format!("{MEDIA_TOPIC}{}", code.trim_start_matches(MEDIA_TOPIC))),
            None => [&self.literal, &self.code, &self.uri].into_iter().find(|text| !text.is_empty()).cloned(),
        }
    }

    /// Whether the scheme is that of Media Topics: by its URI, or by the name that Superdesk gives it.
    fn is_media_topic(&self) -> bool {
        [MEDIA_TOPICS, "mediatopic", "mediatopics", "medtop"].contains(&&*self.scheme)
    }

    /// What tells concepts apart.
    fn identity(&self) -> String {
        let scheme = if self.is_media_topic() { MEDIA_TOPICS } else { &self.scheme };
        let code = self.code.strip_prefix(MEDIA_TOPIC).unwrap_or(&self.code);
        format!("{}{scheme}{code}{}", self.uri, self.literal).to_lowercase()
    }
}

impl Item {
    /// The item in a JSON object, if it is ninjs: it has a `uri` or, as Superdesk writes it, a `guid`; and it says so
    /// (`standard`), or has a field that only ninjs has, or one that ninjs has and none that only rows have.
    pub fn read(json: &[u8]) -> Option<Item> {
        let object = Object::read(json)?;
        let has = |name: &str| object.find(name).is_some();
        let standard = object.find("standard").or_else(|| object.find("$standard"));
        let standard: serde_json::Value =
            standard.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default();
        let declared = standard["name"].as_str().is_some_and(|name| name.eq_ignore_ascii_case("ninjs"));
        let plainly =
            ONLY_OF_NINJS.iter().any(|name| has(name)) || object.names().any(|name| name.starts_with("body_"));
        let likely = OF_NINJS.iter().any(|name| has(name)) && !OF_ROWS.iter().any(|name| has(name));
        if !(has("uri") || has("guid")) || !(declared || plainly || likely) {
            return None;
        }
        let number = standard["version"].as_str().filter(|_| declared).and_then(|version| {
            let mut parts = version.split('.').map(str::parse::<u32>);
            Some((parts.next()?.ok()?, parts.next().and_then(Result::ok).unwrap_or(0)))
        });
        let guessed = || {
            let camel = OF_THREE.iter().any(|name| has(name));
            let lists = OF_LISTS.iter().any(|name| has(name));
            match (camel, lists) {
                (true, _) => Version::Three,
                (false, true) => Version::Two { confidence: true },
                (false, false) => Version::One { confidence: true },
            }
        };
        let version = match number {
            Some((1, minor)) => Version::One { confidence: minor >= 5 },
            Some((2, minor)) => Version::Two { confidence: minor >= 1 },
            Some((3.., _)) => Version::Three,
            _ => guessed(),
        };
        Some(Item { object, version })
    }

    /// An article that came otherwise, as ninjs 3.0.
    pub fn of(record: &Record) -> Item {
        let article = &record.article;
        let item = record.item.as_ref();
        let embargoed = item.map(super::Item::embargoed).filter(|until| !until.is_empty());
        let status = match item {
            Some(item) if item.is_canceled() => Some("canceled"),
            Some(item) if item.is_withheld() => Some("withheld"),
            _ => None,
        };
        let version = date::rfc3339(&record.published);
        // Without a time it is a day, which is less than a version has.
        let created = match version {
            Some(_) => None,
            None => date::day(&record.published).map(|day| day.to_string()),
        };
        let part = |text: &str| match article.format {
            Format::Html => serde_json::json!([{ "contentType": "text/html", "value": text }]),
            Format::Text => serde_json::json!([{ "contentType": "text/plain", "value": text }]),
        };
        let fields = [
            ("standard", Some(serde_json::json!({ "name": "ninjs", "version": "3.0" }))),
            ("uri", Some(uri_of(&article.id).into())),
            ("versionCreated", version.map(Into::into)),
            ("contentCreated", created.map(Into::into)),
            ("embargoed", embargoed.map(Into::into)),
            ("pubStatus", status.map(Into::into)),
            ("language", Some(article.language.as_str()).filter(|language| !language.is_empty()).map(Into::into)),
            ("located", Some(article.dateline.as_str()).filter(|place| !place.is_empty()).map(Into::into)),
            ("headlines", Some(article.headline.as_str()).filter(|text| !text.is_empty()).map(part)),
            ("bodies", Some(article.body.as_str()).filter(|text| !text.is_empty()).map(part)),
        ];
        let fields = fields.into_iter().filter_map(|(name, value)| Some((name, value?)));
        Item { object: Object::of(fields), version: Version::Three }
    }

    fn find(&self, name: &str) -> Option<&RawValue> {
        self.object.find(name)
    }

    /// The text of the first of some fields that is one.
    fn text(&self, names: &[&str]) -> String {
        let texts = names.iter().filter_map(|name| serde_json::from_str::<String>(self.find(name)?.get()).ok());
        texts.into_iter().find(|text| !text.is_empty()).unwrap_or_default()
    }

    /// The items of a list that can be read.
    fn list<T: for<'de> Deserialize<'de>>(&self, name: &str) -> Vec<T> {
        let raw: Vec<Box<RawValue>> = match self.find(name) {
            Some(raw) if raw.get().starts_with('{') => vec![raw.to_owned()],
            raw => raw.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default(),
        };
        raw.iter().filter_map(|raw| serde_json::from_str(raw.get()).ok()).collect()
    }

    /// The `uri` of the item, or its `guid`.
    pub fn uri(&self) -> String {
        self.text(&["uri", "guid"])
    }

    /// Whether its publication was taken back: such an item passes without labels.
    pub fn is_canceled(&self) -> bool {
        ["canceled", "cancelled"].contains(&self.text(&["pubStatus", "pubstatus"]).to_ascii_lowercase().as_str())
    }

    /// Until when it must not be published, as it says; empty if it does not. What is not a text is given as JSON: whatever it
    /// means, it does not mean that the item is free.
    pub fn embargoed(&self) -> String {
        let raw = self.find("embargoed").map(RawValue::get).filter(|raw| !["null", "false"].contains(raw));
        raw.map_or_else(String::new, |raw| serde_json::from_str(raw).unwrap_or_else(|_| on_one_line(raw)))
    }

    /// The article to classify, with the labels of others and the day of the version.
    pub fn record(self, place: String) -> Record {
        let (headline, body) = match self.version {
            Version::One { .. } => self.parts_of_one(),
            Version::Two { .. } | Version::Three => self.parts_of_lists(),
        };
        // One format holds for both.
        let format = if body.markup { Format::Html } else { Format::Text };
        let escaped = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;");
        let (headline, body) = match (headline.markup, body.markup) {
            (false, true) => (escaped(&headline.value), body.value),
            _ => (headline.value, body.value),
        };
        let subjects: Vec<Concept> = self.list(self.names().0);
        let of_others = subjects.iter().filter(|subject| !subject.creator.starts_with(CREATOR));
        Record {
            article: Article {
                id: Some(self.uri()).filter(|uri| !uri.is_empty()).unwrap_or_else(|| place.clone()),
                headline,
                body,
                format,
                dateline: self.text(&["located"]),
                language: self.text(&["language"]),
                source_country: String::new(),
            },
            topics: of_others.filter_map(Concept::label).collect(),
            published: self.text(&[
                "versionCreated",
                "versioncreated",
                "contentCreated",
                "contentcreated",
                "firstCreated",
                "firstcreated",
            ]),
            source: self.text(&["source", "by", "byline"]),
            place,
            item: Some(super::Item::Ninjs(Box::new(self))),
            ..Record::default()
        }
    }

    fn parts_of_one(&self) -> (Text, Text) {
        let headline = self.text(&["headline", "headline_main"]);
        let headline = Some(headline).filter(|text| !text.is_empty()).or_else(|| Some(self.first("headline_")?.1));
        let headline = headline.unwrap_or_else(|| self.text(&["title"]));
        let plain = self.text(&["body_text", "body_plain"]);
        if !plain.is_empty() {
            return (Text::plain(headline), Text::plain(plain));
        }
        let (name, value) = self.first("body_").or_else(|| self.first("description_")).unwrap_or_default();
        let markup =
            ["html", "nitf", "xml", "rich"].iter().any(|kind| name.contains(kind)) || begins_with_markup(&value);
        (Text::plain(headline), Text { value, markup })
    }

    /// The name and the text of the first field that is one, of those whose names begin so.
    fn first(&self, begin: &str) -> Option<(String, String)> {
        let fields = self.object.fields().filter(|(name, _)| name.starts_with(begin));
        let mut texts = fields.filter_map(|(name, raw)| Some((name, serde_json::from_str::<String>(raw.get()).ok()?)));
        texts.find(|(_, text)| !text.trim().is_empty()).map(|(name, text)| (name.to_owned(), text))
    }

    fn parts_of_lists(&self) -> (Text, Text) {
        let pick = |name: &str| -> Option<Text> {
            let parts: Vec<Part> = self.list(name);
            let role = |part: &Part| match part.role.as_str() {
                "main" => 0,
                // Who made it, and what is cut short, is not what it is about.
                "creditline" | "byline" | "short" | "slug" => 2,
                _ => 1,
            };
            let filled = parts.into_iter().filter(|part| !part.value.trim().is_empty());
            // The first of the best: the main one before others, plain text before markup.
            let best = filled.min_by_key(|part| (role(part), part.is_markup()));
            best.map(|part| Text { markup: part.is_markup(), value: part.value })
        };
        let headline = pick("headlines").unwrap_or_else(|| Text::plain(self.text(&["title"])));
        (headline, pick("bodies").or_else(|| pick("descriptions")).unwrap_or_default())
    }

    /// The names of the lists of subjects and places.
    fn names(&self) -> (&'static str, &'static str) {
        match self.version {
            Version::One { .. } => ("subject", "place"),
            Version::Two { .. } | Version::Three => ("subjects", "places"),
        }
    }

    /// The item with labels in it, on one line. What this creator said before is replaced; what others said stays, and places,
    /// which have no creator. Labels that are ABSTAIN are left out, but for countries that the article names in passing, which
    /// it `mentions`.
    pub fn labelled(&self, answer: &Classification) -> String {
        let (subjects, places) = self.names();
        let named = Named { item: self, creator: format!("{CREATOR}{}", answer.model_version) };
        let topics = answer.topics.iter().chain(&answer.subtopics).filter(|label| label.decision != Decision::Abstain);
        let topics: Vec<_> = topics.map(|label| named.subject(label)).collect();
        // Of what is no article, or in a language that is not known, nothing can be said.
        let is_read = !answer.notes.iter().any(|note| note.starts_with("ABSTAIN:"));
        let countries: Vec<_> = answer
            .regions
            .iter()
            .filter(|_| is_read)
            .filter(|region| region.role != Role::About || region.label.decision != Decision::Abstain)
            .map(|region| {
                let rel = match region.role {
                    Role::About => "about",
                    Role::Mentioned => "mentions",
                    Role::Dateline => "dateline",
                };
                named.place(&region.label, rel)
            })
            .collect();
        let merged = [(subjects, named.merged(subjects, topics)), (places, named.merged(places, countries))];
        let lists = merged.into_iter().filter_map(|(name, values)| Some((name, values?)));
        // A list that was not there, or null, and stays empty is not begun.
        let holds = |name: &str| self.find(name).is_some_and(|raw| raw.get() != "null");
        let lists = lists.filter(|(name, values)| !values.is_empty() || holds(name));
        self.object.written_with(lists.map(|(name, values)| (name, format!("[{}]", values.join(",")))).collect())
    }

    /// The item as it came, on one line.
    pub fn unlabelled(&self) -> String {
        self.object.written_with(Vec::new())
    }
}

/// An id as a URI: as it is where it is one, otherwise as a URN.
fn uri_of(id: &str) -> String {
    let scheme = id.split_once(':').map(|(scheme, _)| scheme);
    let is_scheme = |scheme: &str| {
        scheme.len() > 1
            && scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
    };
    if scheme.is_some_and(is_scheme)
        && !id.contains(|c: char| c.is_whitespace() || c.is_control() || "\"<>\\^`{|}".contains(c))
    {
        return id.to_owned();
    }
    let mut uri = "urn:dateline:".to_owned();
    for byte in id.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b':' | b'/' => uri.push(byte as char),
            _ => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    uri
}

/// Writes labels as the version of an item has them.
struct Named<'a> {
    item: &'a Item,
    creator: String,
}

impl Named<'_> {
    fn subject(&self, label: &Label) -> (String, serde_json::Value) {
        let code = label.code.strip_prefix(MEDIA_TOPIC);
        let mut fields = self.concept(label, code.map(|code| (MEDIA_TOPICS, code)), "about");
        if self.item.version != (Version::One { confidence: false })
            && self.item.version != (Version::Two { confidence: false })
        {
            fields["creator"] = self.creator.clone().into();
            fields["confidence"] = ((f64::from(label.confidence) * 100.0).round() as u64).min(100).into();
        }
        (identity(&fields), fields)
    }

    /// ninjs gives places no confidence.
    fn place(&self, label: &Label, rel: &str) -> (String, serde_json::Value) {
        // Parts of the world have other codes: those of UN M49, or EU.
        let fields = self.concept(label, geography::is_country(&label.code).then_some((COUNTRIES, &*label.code)), rel);
        (identity(&fields), fields)
    }

    fn concept(&self, label: &Label, known: Option<(&str, &str)>, rel: &str) -> serde_json::Value {
        let mut fields = serde_json::json!({ "name": &*label.name, "rel": rel });
        match (self.item.version, known) {
            (Version::One { .. }, Some((scheme, code))) => {
                fields["scheme"] = scheme.into();
                fields["code"] = code.into();
            }
            (Version::One { .. }, None) => fields["code"] = (*label.code).into(),
            (_, Some((scheme, code))) => fields["uri"] = format!("{scheme}{code}").into(),
            (_, None) => fields["literal"] = (*label.code).into(),
        }
        fields
    }

    /// What a list holds of others, as they wrote it, and behind it what it did not hold. `null` is an empty list, and one
    /// object a list of one; anything else is `None`, and stays as it is.
    fn merged(&self, name: &str, labels: Vec<(String, serde_json::Value)>) -> Option<Vec<String>> {
        let raw: Vec<Box<RawValue>> = match self.item.find(name) {
            Some(raw) if raw.get().starts_with('{') => vec![raw.to_owned()],
            Some(raw) => serde_json::from_str::<Option<_>>(raw.get()).ok()?.unwrap_or_default(),
            None => Vec::new(),
        };
        let concept = |raw: &RawValue| serde_json::from_str::<Concept>(raw.get()).unwrap_or_default();
        let others: Vec<&RawValue> =
            raw.iter().map(|raw| &**raw).filter(|raw| !concept(raw).creator.starts_with(CREATOR)).collect();
        let known: Vec<String> = others.iter().map(|raw| concept(raw).identity()).collect();
        let new =
            labels.into_iter().filter(|(identity, _)| !known.contains(identity)).map(|(_, fields)| fields.to_string());
        Some(others.iter().map(|raw| on_one_line(raw.get())).chain(new).collect())
    }
}

fn identity(fields: &serde_json::Value) -> String {
    serde_json::from_value::<Concept>(fields.clone()).unwrap_or_default().identity()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{article::Region, model::Model};

    /// Articles about an invented event, in three versions, with fields that nobody knows.
    const ONE: &str = r#"{"uri": "http://wire.example/1", "$standard": {"name": "ninjs", "version": "1.5"}, "pubstatus": "usable",
        "headline": "Parliament in Nairobi passes budget", "body_xhtml": "<p>Kenya's parliament passed the budget on Tuesday.</p>",
        "located": "Nairobi", "language": "en", "x_price": 1.10, "x_big": 12345678901234567890123,
        "subject": [{"name": "budget", "scheme": "http://wire.example/topics/", "code": "b1", "rel": "about"}]}"#;
    const TWO: &str = r#"{"uri":"http://wire.example/2","versioncreated":"2024-05-06T10:00:00Z","x_note":{"a":[1, 2,{"b":"\u00e9 \"q\" "}]},
        "headlines":[{"role":"short","value":"Budget"},{"role":"main","value":"Parliament in Nairobi passes budget"}],
        "bodies":[{"contenttype":"text/html","value":"<p>html</p>"},{"role":null,"contenttype":"text/plain","value":"Kenya's parliament passed the budget."}],
        "places":[{"name":"Kenya","rel":"about","uri":"http://cvx.iptc.org/iso3166-1a2/ke","x":1}]}"#;
    const THREE: &str = r#"{"standard":{"name":"ninjs","version":"3.0"},"uri":"http://wire.example/3","pubStatus":"usable","embargoed":"2030-01-01T00:00:00Z",
        "headlines":[{"value":"AT&T <wins>"}],"bodies":[{"contentType":"text/html","value":"<p>Kenya's parliament passed the budget.</p>"}],
        "subjects":[{"name":"old","rel":"about","uri":"http://cv.iptc.org/newscodes/mediatopic/15000000","creator":"dateline/0","confidence":99}]}"#;

    fn read(text: &str) -> Item {
        Item::read(text.as_bytes()).expect("ninjs")
    }

    #[test]
    fn items_are_articles() {
        let article = |text| read(text).record("a:1".into()).article;
        let one = article(ONE);
        assert_eq!((&*one.id, &*one.dateline, one.format), ("http://wire.example/1", "Nairobi", Format::Html));
        let two = article(TWO);
        assert_eq!(
            (&*two.headline, &*two.body),
            ("Parliament in Nairobi passes budget", "Kenya's parliament passed the budget.")
        );
        assert_eq!(article(THREE).headline, "AT&amp;T &lt;wins>", "as HTML, for the body is");
        assert_eq!(read(ONE).record(String::new()).topics, ["b1"]);
        assert!(read(THREE).record(String::new()).topics.is_empty(), "it does not learn from itself");
        assert_eq!(read(TWO).record(String::new()).published, "2024-05-06T10:00:00Z");
        assert_eq!(read(THREE).embargoed(), "2030-01-01T00:00:00Z");
        let canceled = r#"{"uri": "a:b", "pubstatus": "canceled", "headline": "x"}"#;
        assert!(read(canceled).is_canceled() && !read(ONE).is_canceled());
    }

    #[test]
    fn the_text_that_says_most_is_read() {
        let article = |text: &str| read(text).record(String::new()).article;
        let caption = r#"{"uri":"a:b","pubstatus":"usable","headlines":[],"descriptions":[{"role":"creditline","value":"PRESS"},{"role":"caption","value":"Boats in Lisbon"}]}"#;
        assert_eq!(article(caption).body, "Boats in Lisbon");
        let nitf = r#"{"uri":"a:b","pubStatus":"usable","bodies":[{"contentType":"text/vnd.IPTC.NITF","value":"<nitf/>"},{"contentType":"text/plain","value":"Plain."}]}"#;
        assert_eq!(article(nitf).body, "Plain.");
        let main = r#"{"uri":"a:b","title":"T","bodies":[{"role":"main","contenttype":"text/html","value":"<p>Long &amp; full</p>"},{"role":"short","value":"In brief"}],"headlines":[{"contenttype":"text/html","value":"A &amp; B"}]}"#;
        let main = article(main);
        assert_eq!((&*main.headline, &*main.body, main.format), ("A &amp; B", "<p>Long &amp; full</p>", Format::Html));
        let six = r#"{"uri":"a:b","headline_main":"H","body_main":"1 < 2","x_deskId":7,"versioncreated":"2024-01-01"}"#;
        let six = article(six);
        assert_eq!((&*six.headline, &*six.body, six.format), ("H", "1 < 2", Format::Text));
        let titled = r#"{"uri":"a:b","versionCreated":"2024-01-01","title":"Summit press conference"}"#;
        assert_eq!(article(titled).headline, "Summit press conference");
        assert!(read(r#"{"uri":"u","id":"1","pubstatus":"canceled","headline":"H","body_text":"T"}"#).is_canceled());
    }

    #[test]
    fn other_articles_become_items() {
        let article = Article { id: "7 a".into(), headline: "H".into(), body: "B \"q\"".into(), ..Article::default() };
        let item = Item::of(&Record { article: article.clone(), ..Record::default() });
        assert_eq!(item.uri(), "urn:dateline:7%20a");
        let back = read(&item.unlabelled()).record(String::new()).article;
        assert_eq!((back.headline, back.body), (article.headline, article.body));
        assert_eq!(
            ["tag:x,2024:1", "https://a/b", "a.jsonl:3", "x"].map(uri_of),
            ["tag:x,2024:1", "https://a/b", "a.jsonl:3", "urn:dateline:x"]
        );
    }

    #[test]
    fn rows_are_no_items() {
        for text in [
            r#"{"uri": "a:b", "headline": "x", "dateline": "NAIROBI", "regions": ["KE"]}"#,
            r#"{"id": "1", "headline": "x", "uri": "a:b"}"#,
            r#"{"headline": "x"}"#,
            r#"{"uri": "a:b", "body": "x", "headline": "y"}"#,
            "[1]",
        ] {
            assert!(Item::read(text.as_bytes()).is_none(), "{text}");
        }
    }

    fn answer() -> Classification {
        let model = Model::bundled().expect("it opens");
        let mut answer =
            model.classify(&read(TWO).record(String::new()).article, &Default::default()).expect("an article");
        answer.topics.truncate(1);
        let label = |code: &str, name: &str, confidence: f32, decision| Label {
            code: code.into(),
            name: name.into(),
            confidence,
            decision,
            ..Label::default()
        };
        answer.subtopics = vec![
            label("medtop:20000574", "election", 0.8, Decision::Review),
            label("medtop:20000610", "government policy", 0.2, Decision::Abstain),
        ];
        answer.topics = vec![
            label("medtop:11000000", "politics", 0.876, Decision::Auto),
            label("own-7", "seaside", 1.0, Decision::Review),
            label("medtop:15000000", "sport", 0.2, Decision::Abstain),
        ];
        let region = |code: &str, name: &str, role, decision| Region {
            label: label(code, name, 0.9, decision),
            role,
            path: Vec::new(),
            contributions: Vec::new(),
        };
        answer.regions = vec![
            region("KE", "Kenya", Role::About, Decision::Auto),
            region("UG", "Uganda", Role::Mentioned, Decision::Abstain),
            region("FR", "France", Role::About, Decision::Abstain),
            region("EU", "European Union", Role::About, Decision::Review),
        ];
        answer
    }

    #[test]
    fn labels_are_written_as_the_version_has_them() {
        let answer = answer();
        let creator = format!("dateline/{}", answer.model_version);
        let labelled =
            |text: &str| -> serde_json::Value { serde_json::from_str(&read(text).labelled(&answer)).expect("JSON") };
        let one = labelled(ONE);
        let mediatopic = "http://cv.iptc.org/newscodes/mediatopic/";
        assert_eq!(
            one["subject"],
            serde_json::json!([
                { "name": "budget", "scheme": "http://wire.example/topics/", "code": "b1", "rel": "about" },
                { "name": "politics", "rel": "about", "scheme": mediatopic, "code": "11000000", "creator": creator, "confidence": 88 },
                { "name": "seaside", "rel": "about", "code": "own-7", "creator": creator, "confidence": 100 },
                { "name": "election", "rel": "about", "scheme": mediatopic, "code": "20000574", "creator": creator, "confidence": 80 },
            ])
        );
        assert_eq!(one["place"][0]["scheme"], "http://cvx.iptc.org/iso3166-1a2/");
        let two = labelled(TWO);
        assert_eq!(two["places"].as_array().map(Vec::len), Some(3), "Kenya stands there already: {two}");
        assert_eq!(two["places"][2]["literal"], "EU", "no country");
        assert_eq!((&two["places"][0]["x"], &two["places"][1]["rel"]), (&1.into(), &"mentions".into()));
        let three = labelled(THREE);
        let uris: Vec<_> =
            three["subjects"].as_array().expect("a list").iter().map(|one| one["uri"].as_str()).collect();
        let politics = format!("{mediatopic}11000000");
        let election = format!("{mediatopic}20000574");
        assert_eq!(uris, [Some(&*politics), None, Some(&*election)], "what it said before is replaced");
        let again = read(&read(THREE).labelled(&answer)).labelled(&answer);
        assert_eq!(again, read(THREE).labelled(&answer));
        // Before 1.5 and 2.1 there was no confidence.
        let older = labelled(&ONE.replace("1.5", "1.4"));
        assert!(older["subject"][1].get("confidence").is_none() && older["subject"][1].get("creator").is_none());
    }

    #[test]
    fn what_is_not_read_goes_out_as_it_came() {
        for text in [ONE, TWO, THREE] {
            let item = read(text);
            let (subjects, places) = item.names();
            for out in [item.labelled(&answer()), item.unlabelled()] {
                assert!(!out.contains('\n'));
                let back = read(&out);
                for name in item.object.names().filter(|name| *name != subjects && *name != places) {
                    let value = item.find(name).map(|value| on_one_line(value.get()));
                    assert_eq!(back.find(name).map(|value| value.get().to_owned()), value, "{name}");
                }
            }
        }
        assert!(read(ONE).unlabelled().contains("\"x_price\":1.10,\"x_big\":12345678901234567890123"), "to the digit");
        let odd = r#"{"uri":"a:b","headlines":[],"subjects":"none"}"#;
        assert!(read(odd).labelled(&answer()).contains("\"subjects\":\"none\""));
    }

    /// An item about an invented event, as Superdesk writes it.
    const SUPERDESK: &str = r#"{"guid": "urn:newsml:desk.example:2030-05-06:7", "version": "2", "type": "text", "pubstatus": "usable",
        "headline": "Ferry crews walk out", "body_html": "<p>Ferry crews in Kenya walked out on Monday.</p>", "embargoed": null,
        "subject": [{"code": "09000000", "name": "labour", "scheme": "mediatopic"}], "place": null, "versioncreated": "2030-05-06T10:00:00+0000"}"#;

    #[test]
    fn items_of_superdesk_are_known_by_their_guid() {
        let item = read(SUPERDESK);
        let record = item.clone().record("a:1".into());
        assert_eq!(
            (&*record.article.id, &*record.topics[0]),
            ("urn:newsml:desk.example:2030-05-06:7", "medtop:09000000")
        );
        assert!(record.article.body.contains("Ferry crews in Kenya") && item.embargoed().is_empty());
        let labelled: serde_json::Value = serde_json::from_str(&item.labelled(&answer())).expect("JSON");
        assert_eq!(labelled["subject"][0]["scheme"], "mediatopic", "what others said stays");
        assert!(labelled["place"].as_array().is_some_and(|places| !places.is_empty()), "null is an empty list");
        for (status, canceled) in [("usable", false), ("canceled", true), ("Cancelled", true)] {
            assert_eq!(read(&SUPERDESK.replace("usable", status)).is_canceled(), canceled, "{status}");
        }
        for (embargoed, said) in
            [("\"Next Monday\"", "Next Monday"), ("{\"until\": 5}", "{\"until\":5}"), ("true", "true")]
        {
            let item = read(&SUPERDESK.replace("\"embargoed\": null", &format!("\"embargoed\": {embargoed}")));
            assert_eq!(item.embargoed(), said);
        }
    }

    #[test]
    fn one_object_is_a_list_of_one() {
        let item =
            read(r#"{"uri":"a:b","headlines":{"value":"Ferry crews walk out"},"subjects":{"name":"x","literal":"x"}}"#);
        assert_eq!(item.clone().record("a:1".into()).article.headline, "Ferry crews walk out");
        let labelled: serde_json::Value = serde_json::from_str(&item.labelled(&answer())).expect("JSON");
        let subjects = labelled["subjects"].as_array().expect("a list");
        assert_eq!((subjects[0]["name"].as_str(), subjects.len() > 1), (Some("x"), true));
    }
}
