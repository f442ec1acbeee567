//! Makes a record of an item of ninjs.

use super::{
    concept::Concept,
    item::{Item, text},
    version::Version,
};
use crate::{
    article::{Article, Format},
    formats::{self, Place, Record},
};
use serde::Deserialize;

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

    /// The rank of the role, from 0.
    fn rank(&self) -> u8 {
        match self.role.as_str() {
            "main" => 0,
            // Credits and short versions have the least about the subject.
            "creditline" | "byline" | "short" | "slug" => 2,
            _ => 1,
        }
    }
}

fn begins_with_markup(text: &str) -> bool {
    text.trim_start().starts_with('<')
}

/// A headline or a body, and whether it is markup.
#[derive(Default)]
struct Text {
    value: String,
    is_markup: bool,
}

impl Text {
    fn plain(value: String) -> Self {
        Text { value, is_markup: false }
    }
}

impl Item {
    /// The article, with the labels of other creators. `published` is the time of the version, otherwise of the content.
    pub fn record(self, place: Place) -> Record {
        let (headline, body) = match self.version {
            Version::One { .. } => self.parts_of_one(),
            Version::Two { .. } | Version::Three => self.parts_of_lists(),
        };
        let (headline, body, format) = in_one_format(headline, body);
        let subjects: Vec<Concept> = self.list(self.list_names().0);
        let of_others = subjects.iter().filter(|subject| !subject.is_own());
        Record {
            article: Article {
                id: Some(self.uri()).filter(|uri| !uri.is_empty()).unwrap_or_else(|| place.to_string()),
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
            item: Some(formats::Item::Ninjs(Box::new(self))),
            ..Record::default()
        }
    }

    /// The headline and the body of ninjs 1.x.
    fn parts_of_one(&self) -> (Text, Text) {
        let headline = self.text(&["headline", "headline_main"]);
        let headline = Some(headline).filter(|text| !text.is_empty()).or_else(|| Some(self.first("headline_")?.1));
        let headline = headline.unwrap_or_else(|| self.text(&["title"]));
        let plain = self.text(&["body_text", "body_plain"]);
        if !plain.is_empty() {
            return (Text::plain(headline), Text::plain(plain));
        }
        let (name, value) = self.first("body_").or_else(|| self.first("description_")).unwrap_or_default();
        let is_markup =
            ["html", "nitf", "xml", "rich"].iter().any(|kind| name.contains(kind)) || begins_with_markup(&value);
        (Text::plain(headline), Text { value, is_markup })
    }

    /// The name and the text of the first field with text whose name begins with `prefix`.
    fn first(&self, prefix: &str) -> Option<(String, String)> {
        let fields = self.object.fields().filter(|(name, _)| name.starts_with(prefix));
        let mut texts = fields.filter_map(|(name, raw)| Some((name, serde_json::from_str::<String>(raw.get()).ok()?)));
        texts.find(|(_, text)| !text.trim().is_empty()).map(|(name, text)| (name.to_owned(), text))
    }

    /// The headline and the body of ninjs 2.x and 3.x.
    fn parts_of_lists(&self) -> (Text, Text) {
        let headline = self.best_part("headlines").unwrap_or_else(|| Text::plain(self.text(&["title"])));
        (headline, self.best_part("bodies").or_else(|| self.best_part("descriptions")).unwrap_or_default())
    }

    /// The first part of the best role in a list, plain text before markup; `None` if all are blank.
    fn best_part(&self, list: &str) -> Option<Text> {
        let parts: Vec<Part> = self.list(list);
        let filled = parts.into_iter().filter(|part| !part.value.trim().is_empty());
        let best = filled.min_by_key(|part| (part.rank(), part.is_markup()))?;
        Some(Text { is_markup: best.is_markup(), value: best.value })
    }
}

/// The headline and the body in the format of the body: a plain headline is escaped for a body in HTML.
fn in_one_format(headline: Text, body: Text) -> (String, String, Format) {
    let format = if body.is_markup { Format::Html } else { Format::Text };
    let headline = match !headline.is_markup && body.is_markup {
        true => headline.value.replace('&', "&amp;").replace('<', "&lt;"),
        false => headline.value,
    };
    (headline, body.value, format)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::ninjs::tests::{ONE, SUPERDESK, THREE, TWO, read};

    fn record(text: &str) -> Record {
        read(text).record(Place::of_file("a").at_line(1))
    }

    fn article(text: &str) -> Article {
        record(text).article
    }

    #[test]
    fn items_are_articles() {
        let one = article(ONE);
        assert_eq!((&*one.id, &*one.dateline, one.format), ("http://wire.example/1", "Nairobi", Format::Html));
        let two = article(TWO);
        assert_eq!(
            (&*two.headline, &*two.body),
            ("Parliament in Nairobi passes budget", "Kenya's parliament passed the budget.")
        );
        assert_eq!(article(THREE).headline, "AT&amp;T &lt;wins>", "escaped as the body is HTML");
        assert_eq!(record(ONE).topics, ["b1"]);
        assert!(record(THREE).topics.is_empty(), "labels of this program are not read");
        assert_eq!(record(TWO).published, "2024-05-06T10:00:00Z");
    }

    #[test]
    fn the_best_headline_and_body_are_read() {
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
        let one_object = r#"{"uri":"a:b","headlines":{"value":"Ferry crews walk out"}}"#;
        assert_eq!(article(one_object).headline, "Ferry crews walk out");
    }

    #[test]
    fn items_of_superdesk_are_read() {
        let record = record(SUPERDESK);
        assert_eq!(
            (&*record.article.id, &*record.topics[0]),
            ("urn:newsml:desk.example:2030-05-06:7", "medtop:09000000")
        );
        assert!(record.article.body.contains("Ferry crews in Kenya"));
    }
}
