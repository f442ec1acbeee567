//! Rows: articles with their labels, as JSON objects or as the cells of a table.

use super::{InputError, Place, Reading, Record, ninjs, reading::OTHER_NAMES};
use crate::article::{Article, Format};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// Reads a JSON object: a row, or an item of ninjs.
///
/// # Errors
/// If it is neither; the message does not quote its text.
pub fn read_object(json: &[u8], reading: &Reading, place: Place) -> Result<Record, InputError> {
    let mended = without_lone_surrogates(json);
    let row = read_row(&mended, reading).map_err(|message| InputError::new(&place, message));
    // An object is a row if --columns names its fields, or if it is a valid row without URI and GUID.
    if reading.columns.is_empty()
        && row.as_ref().map_or(true, |row| row.uri.is_some() || row.guid.is_some())
        && let Some(item) = ninjs::Item::read(&mended)
    {
        return Ok(item.record(place));
    }
    Ok(row?.record(place))
}

/// Replaces lone surrogates by U+FFFD: programs write them that cut off text within a character beyond U+FFFF.
fn without_lone_surrogates(json: &[u8]) -> Cow<'_, [u8]> {
    let unit = |at: usize| -> Option<u16> {
        let escape = json.get(at..at + 6)?.strip_prefix(b"\\u")?;
        u16::from_str_radix(std::str::from_utf8(escape).ok()?, 16).ok()
    };
    let mut mended: Option<Vec<u8>> = None;
    let mut at = 0;
    while let Some(escape) = json[at..].iter().position(|byte| *byte == b'\\').map(|found| at + found) {
        at = match (unit(escape), unit(escape + 6)) {
            (Some(0xD800..=0xDBFF), Some(0xDC00..=0xDFFF)) => escape + 12,
            (Some(0xD800..=0xDFFF), _) => {
                mended.get_or_insert_with(|| json.to_vec())[escape..escape + 6].copy_from_slice(b"\\uFFFD");
                escape + 6
            }
            _ => (escape + 2).min(json.len()),
        };
    }
    mended.map_or(Cow::Borrowed(json), Cow::Owned)
}

fn read_row(line: &[u8], reading: &Reading) -> Result<Row, String> {
    let decoded = reading.encoding.map(|_| reading.text(line.to_vec())).transpose()?;
    let line = decoded.as_ref().map_or(line, |text| text.as_bytes());
    let fault = |error: serde_path_to_error::Error<serde_json::Error>| explain(error.path(), error.inner());
    if reading.columns.is_empty() {
        return serde_path_to_error::deserialize(&mut serde_json::Deserializer::from_slice(line)).map_err(fault);
    }
    // The fields that --columns names replace the fields of the usual names.
    let mut fields: serde_json::Map<String, serde_json::Value> =
        serde_path_to_error::deserialize(&mut serde_json::Deserializer::from_slice(line)).map_err(fault)?;
    let named: Vec<(&str, serde_json::Value)> = reading
        .columns
        .named()
        .map(|(field, column)| (field, fields.get(column).cloned().unwrap_or_default()))
        .collect();
    for (field, value) in named {
        // Unless --columns names it for another field.
        let is_read = |name: &str| reading.columns.named().any(|(_, column)| column == name);
        let others = OTHER_NAMES.iter().filter(|(known, _)| *known == field).flat_map(|(_, names)| *names);
        others.filter(|name| !is_read(name)).for_each(|name| drop(fields.remove(*name)));
        fields.insert(field.to_owned(), value);
    }
    serde_path_to_error::deserialize(serde_json::Value::Object(fields)).map_err(fault)
}

/// Which field is invalid, and at which column. Messages of serde_json would quote the text.
fn explain(field: &serde_path_to_error::Path, error: &serde_json::Error) -> String {
    let (text, column) = (error.to_string(), error.column());
    if let Some(name) = text.strip_prefix("duplicate field `").and_then(|rest| rest.split('`').next()) {
        return format!("duplicate field {name} at column {column}: keep one");
    }
    let what = match error.classify() {
        serde_json::error::Category::Eof => "the JSON object is cut off",
        serde_json::error::Category::Data => {
            return format!(
                "{field} has the wrong type or value at column {column}: id is a string or a number, format is text or html, \
                 topics, subtopics and regions are strings or lists of strings, and all other fields are strings"
            );
        }
        _ if text.starts_with("control character") => {
            "invalid JSON: a string has a control character, which must be written as \\n, \\t or \\u0000,"
        }
        _ if text.starts_with("invalid unicode code point") => "invalid JSON: a string is not UTF-8",
        _ if text.starts_with("recursion limit") => "the JSON object is nested too deeply",
        _ => "invalid JSON",
    };
    format!("{what} at column {column}")
}

/// A row. Unknown fields are ignored, and null counts as missing. A field is read by its other names, those of
/// [`OTHER_NAMES`], if it is missing; values of another type under these names are ignored.
#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Row {
    id: Option<Id>,
    #[serde(deserialize_with = "id_or_none")]
    article_id: Option<Id>,
    headline: Option<String>,
    title: Option<String>,
    body: Option<String>,
    text: Option<String>,
    #[serde(deserialize_with = "text_or_none")]
    content: Option<String>,
    #[serde(deserialize_with = "text_or_none")]
    article: Option<String>,
    format: Option<RowFormat>,
    dateline: Option<String>,
    language: Option<String>,
    source_country: Option<String>,
    #[serde(deserialize_with = "text_or_none")]
    published: Option<String>,
    #[serde(deserialize_with = "text_or_none")]
    date: Option<String>,
    #[serde(deserialize_with = "text_or_none")]
    pubdate: Option<String>,
    #[serde(deserialize_with = "text_or_none")]
    published_at: Option<String>,
    #[serde(deserialize_with = "text_or_none")]
    source: Option<String>,
    #[serde(deserialize_with = "text_or_none")]
    outlet: Option<String>,
    #[serde(deserialize_with = "text_or_none")]
    publisher: Option<String>,
    topics: Option<OneOrMany>,
    #[serde(deserialize_with = "labels_or_none")]
    topic: Option<OneOrMany>,
    #[serde(deserialize_with = "labels_or_none")]
    label: Option<OneOrMany>,
    #[serde(deserialize_with = "labels_or_none")]
    labels: Option<OneOrMany>,
    #[serde(deserialize_with = "labels_or_none")]
    category: Option<OneOrMany>,
    #[serde(deserialize_with = "labels_or_none")]
    categories: Option<OneOrMany>,
    #[serde(deserialize_with = "labels_or_none")]
    section: Option<OneOrMany>,
    subtopics: Option<OneOrMany>,
    #[serde(deserialize_with = "labels_or_none")]
    subtopic: Option<OneOrMany>,
    regions: Option<OneOrMany>,
    #[serde(deserialize_with = "labels_or_none")]
    region: Option<OneOrMany>,
    #[serde(deserialize_with = "labels_or_none")]
    country: Option<OneOrMany>,
    #[serde(deserialize_with = "labels_or_none")]
    countries: Option<OneOrMany>,
    #[serde(deserialize_with = "text_or_none")]
    how: Option<String>,
    /// Present with a value of any type.
    uri: Option<IgnoredAny>,
    guid: Option<IgnoredAny>,
}

/// A text; `None` for a value of another type, since the classification does not use these fields.
fn text_or_none<'de, D: serde::Deserializer<'de>>(value: D) -> Result<Option<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum TextOrOther {
        Text(String),
        Other(IgnoredAny),
    }
    Ok(match TextOrOther::deserialize(value)? {
        TextOrOther::Text(text) => Some(text),
        TextOrOther::Other(_) => None,
    })
}

/// An id; `None` for a value that is none.
fn id_or_none<'de, D: serde::Deserializer<'de>>(value: D) -> Result<Option<Id>, D::Error> {
    let raw = Box::<RawValue>::deserialize(value)?;
    Ok(serde_json::from_str::<Option<Id>>(raw.get()).ok().flatten())
}

/// Labels: a string, a number, or a list of strings; `None` for another value.
fn labels_or_none<'de, D: serde::Deserializer<'de>>(value: D) -> Result<Option<OneOrMany>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum LabelsOrOther {
        Labels(OneOrMany),
        Number(serde_json::Number),
        Other(IgnoredAny),
    }
    Ok(match LabelsOrOther::deserialize(value)? {
        LabelsOrOther::Labels(labels) => Some(labels),
        LabelsOrOther::Number(number) => Some(OneOrMany::One(number.to_string())),
        LabelsOrOther::Other(_) => None,
    })
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl OneOrMany {
    fn list(self) -> Vec<String> {
        match self {
            OneOrMany::One(one) => list(&one),
            // A blank label stays, and is an error.
            OneOrMany::Many(many) if many.iter().any(|one| one.trim().is_empty()) => many,
            OneOrMany::Many(many) => many.iter().flat_map(|one| list(one)).collect(),
        }
    }
}

/// The labels of a text, separated by `|` or `;`: in a cell, in a string, and in each string of a list.
fn list(cell: &str) -> Vec<String> {
    cell.split(['|', ';']).map(str::trim).filter(|part| !part.is_empty()).map(ToOwned::to_owned).collect()
}

/// An identifier: a string, or a number as written.
struct Id(String);

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: serde::Deserializer<'de>>(value: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(value)?;
        let is_number = raw.get().starts_with(|c: char| c == '-' || c.is_ascii_digit());
        match is_number {
            true => Ok(Id(raw.get().to_owned())),
            false => serde_json::from_str(raw.get()).map(Id).map_err(|_| serde::de::Error::custom("not an id")),
        }
    }
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "lowercase")]
enum RowFormat {
    #[serde(alias = "TEXT")]
    Text,
    #[serde(alias = "HTML")]
    Html,
}

impl Row {
    /// Sets a field to the text of a cell. A blank cell of `regions` counts as missing, not as an article about no country.
    ///
    /// # Errors
    /// If the cell is no format.
    pub fn set(&mut self, field: &str, cell: String) -> Result<(), String> {
        match field {
            "format" => {
                self.format = match cell.trim().to_ascii_lowercase().as_str() {
                    "" => None,
                    "text" => Some(RowFormat::Text),
                    "html" => Some(RowFormat::Html),
                    _ => return Err("invalid format: expected text or html".to_owned()),
                }
            }
            "id" => self.id = Some(Id(cell)),
            "headline" => self.headline = Some(cell),
            "body" => self.body = Some(cell),
            "dateline" => self.dateline = Some(cell),
            "language" => self.language = Some(cell),
            "source_country" => self.source_country = Some(cell),
            "published" => self.published = Some(cell),
            "source" => self.source = Some(cell),
            "topics" => self.topics = Some(OneOrMany::One(cell)),
            "subtopics" => self.subtopics = Some(OneOrMany::One(cell)),
            "how" => self.how = Some(cell),
            "regions" => {
                self.regions = Some(cell).filter(|cell| !cell.trim().is_empty()).map(OneOrMany::One);
            }
            _ => {}
        }
        Ok(())
    }

    /// The record of the row. Without an id, its place is its id.
    pub fn record(self, place: Place) -> Record {
        let topics = self.topics.or(self.topic).or(self.label).or(self.labels);
        let topics = topics.or(self.category).or(self.categories).or(self.section);
        let published = self.published.or(self.date).or(self.pubdate).or(self.published_at);
        let article = Article {
            id: self.id.or(self.article_id).map(|id| id.0).unwrap_or_default(),
            headline: self.headline.or(self.title).unwrap_or_default(),
            body: self.body.or(self.text).or(self.content).or(self.article).unwrap_or_default(),
            format: match self.format {
                Some(RowFormat::Html) => Format::Html,
                Some(RowFormat::Text) | None => Format::Text,
            },
            dateline: self.dateline.unwrap_or_default(),
            language: self.language.unwrap_or_default(),
            source_country: self.source_country.unwrap_or_default(),
        };
        let article = if article.id.is_empty() { Article { id: place.to_string(), ..article } } else { article };
        Record {
            article,
            topics: topics.map(OneOrMany::list).unwrap_or_default(),
            subtopics: self.subtopics.or(self.subtopic).map(OneOrMany::list).unwrap_or_default(),
            regions: self.regions.or(self.region).or(self.country).or(self.countries).map(OneOrMany::list),
            published: published.unwrap_or_default(),
            source: self.source.or(self.outlet).or(self.publisher).unwrap_or_default(),
            is_selected: self.how.is_some_and(|how| how.trim() == "selected"),
            is_format_stated: self.format.is_some(),
            place,
            item: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Record, String> {
        read_object(json.as_bytes(), &Reading::default(), Place::of_file("a").at_line(1)).map_err(|error| error.message)
    }

    #[test]
    fn common_forms_of_rows_are_read() {
        let first = read("{\"id\": 7, \"title\": \"T\", \"text\": \"B\", \"x\": [1]}").expect("a row");
        assert_eq!((&*first.article.id, &*first.article.headline, &*first.article.body), ("7", "T", "B"));
        assert_eq!(first.regions, None);
        assert_eq!(
            read("{\"id\": 123456789012345678901234567890, \"body\": \"b\"}").expect("a row").article.id.len(),
            30
        );
        assert!(read("{\"id\": [1], \"body\": \"b\"}").is_err_and(|error| error.starts_with("id has the wrong type")));
        let second = read("{\"body\": null, \"regions\": []}").expect("a row");
        assert_eq!((&*second.article.id, &second.regions), ("a:1", &Some(vec![])));
        let item =
            read("{\"uri\": \"a:b\", \"headline\": \"h\", \"body_text\": \"t\", \"regions\": 5}").expect("ninjs");
        assert_eq!(item.article.body, "t");
    }

    #[test]
    fn fields_are_read_by_other_names() {
        let row =
            read(r#"{"article_id": 5, "content": "c", "category": "sport|law", "country": "KE", "pubdate": "2024"}"#);
        let row = row.expect("a row");
        assert_eq!(
            (&*row.article.id, &*row.article.body, &row.topics[..]),
            ("5", "c", &["sport", "law"].map(str::to_owned)[..])
        );
        assert_eq!((row.regions, &*row.published), (Some(vec!["KE".to_owned()]), "2024"));
        let row = read(r#"{"topics": ["a"], "category": "b", "article": {"x": 1}, "label": {"y": 2}, "text": "t"}"#)
            .expect("a row");
        assert_eq!((&row.topics[..], &*row.article.body), (&["a".to_owned()][..], "t"));
        assert_eq!(read(r#"{"text": "t", "label": 3}"#).expect("a row").topics, ["3"]);
    }

    #[test]
    fn lone_surrogates_are_replaced() {
        let body = |json: &str| read(json).expect("a row").article.body;
        assert_eq!(body(r#"{"body": "half \ud83d"}"#), "half \u{FFFD}");
        assert_eq!(
            body(r#"{"body": "\uDE00 whole \ud83d\ude00 \ud83d\ud83d\ude00 \\ud83d \u00e9"}"#),
            "\u{FFFD} whole 😀 \u{FFFD}😀 \\ud83d é"
        );
    }

    #[test]
    fn errors_do_not_quote_the_text() {
        for (json, message) in [
            (r#"{"headline": "secret", "headline": "b"}"#, "duplicate field headline at column 33"),
            (r#"{"body": 5}"#, "body has the wrong type or value"),
            ("{\"body\": \"secret\u{1}\"}", "a string has a control character"),
            (r#"{"body": "secret}"#, "cut off at column"),
            (r#"{"body": secret}"#, "invalid JSON at column"),
        ] {
            let error = read(json).expect_err("it cannot be read");
            assert!(error.contains(message) && !error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn columns_may_swap_the_names_of_fields() {
        let row = |columns: &str, line: &str| {
            let reading = Reading { columns: columns.parse().expect("pairs"), ..Reading::default() };
            read_row(line.as_bytes(), &reading).expect("a row").record(Place::of_file("a").at_line(1))
        };
        let swapped = row("headline=body,body=text", r#"{"body": "H", "text": "B"}"#).article;
        assert_eq!((&*swapped.headline, &*swapped.body), ("H", "B"));
        let crossed = row("body=content,headline=text", r#"{"content": "B", "text": "H"}"#).article;
        assert_eq!((&*crossed.headline, &*crossed.body), ("H", "B"));
        let both = row("", r#"{"date": "x", "published": "2024-05-01", "text": "t", "body": null}"#);
        assert_eq!((&*both.published, &*both.article.body), ("2024-05-01", "t"));
        assert_eq!(row("published=", r#"{"date": "x", "body": "b"}"#).published, "");
    }

    #[test]
    fn labels_of_another_type_are_errors() {
        let error = read("{\"topics\": [\"a\", 1]}").expect_err("a number");
        assert!(error.starts_with("topics has"), "{error}");
    }
}
