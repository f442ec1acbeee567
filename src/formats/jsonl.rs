use super::{InputError, Reading, Record, ninjs::Item};
use crate::article::{Article, Format};
use serde::{Deserialize, de::IgnoredAny};
use std::io::{BufRead, Read};

/// The longest line that is read (16 MiB); a longer one is an error, and the next line follows.
pub const MAX_LINE_BYTES: u64 = 16 << 20;

/// JSON Lines: one object a line, blank lines are skipped.
pub struct Lines {
    reader: Box<dyn BufRead>,
    name: String,
    reading: Reading,
    line: usize,
    buffer: Vec<u8>,
    /// Whether no row has been found yet.
    empty: bool,
    ended: bool,
    /// A line that was read too early.
    next: Option<Vec<u8>>,
}

impl Lines {
    /// # Errors
    /// Where the encoding has no lines.
    pub fn new(reader: Box<dyn BufRead>, name: &str, reading: &Reading) -> Result<Self, InputError> {
        reading.in_lines().map_err(|message| InputError::new(name, message))?;
        let (name, reading) = (name.to_owned(), reading.clone());
        Ok(Lines { reader, name, reading, line: 0, buffer: Vec::new(), empty: true, ended: false, next: None })
    }

    /// Reads on, where the buffer holds the first line of an object over several lines, to the line that ends it.
    fn read_laid_out(&mut self) -> Result<(), String> {
        let mut object = std::mem::take(&mut self.buffer);
        loop {
            if !self.read_line()? {
                self.ended = true;
                return Err("the JSON object is cut off".to_owned());
            }
            // Another one begins: this one has no end.
            if self.buffer.starts_with(b"{") {
                self.next = Some(std::mem::take(&mut self.buffer));
                self.line -= 1;
                return Err("the JSON object is cut off".to_owned());
            }
            object.extend_from_slice(&self.buffer);
            if object.len() as u64 > MAX_LINE_BYTES {
                self.ended = true;
                return Err(format!("the JSON object is larger than {} MiB", MAX_LINE_BYTES >> 20));
            }
            // What stands within is moved in.
            if self.buffer.starts_with(b"}") {
                self.buffer = object;
                return Ok(());
            }
        }
    }

    /// Reads the next line into the buffer; `false` at the end.
    fn read_line(&mut self) -> Result<bool, String> {
        self.buffer.clear();
        if let Some(line) = self.next.take() {
            self.buffer = line;
            self.line += 1;
            return Ok(true);
        }
        let fault = |error: std::io::Error| format!("cannot read on: {error}");
        let read = (&mut self.reader).take(MAX_LINE_BYTES + 1).read_until(b'\n', &mut self.buffer).map_err(fault)?;
        self.line += 1;
        if read as u64 <= MAX_LINE_BYTES {
            return Ok(read > 0);
        }
        self.buffer.clear();
        let long = format!("the line is longer than {} MiB: one article a line is expected", MAX_LINE_BYTES >> 20);
        // The rest of the line goes by without being held.
        loop {
            let part = self.reader.fill_buf().map_err(fault)?;
            if part.is_empty() {
                return Err(long);
            }
            let end = part.iter().position(|byte| *byte == b'\n');
            let skip = end.map_or(part.len(), |end| end + 1);
            self.reader.consume(skip);
            if end.is_some() {
                return Err(long);
            }
        }
    }
}

impl Iterator for Lines {
    type Item = Result<Record, InputError>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.ended {
            let read = self.read_line();
            let place = format!("{}:{}", self.name, self.line);
            match read {
                Ok(false) => {
                    self.ended = true;
                    return self.empty.then(|| Err(InputError::new(&self.name, "there is no article in it")));
                }
                Ok(true) => {}
                Err(message) => {
                    self.empty = false;
                    self.ended = message.starts_with("cannot read on");
                    return Some(Err(InputError { place, message, cut_off: self.ended }));
                }
            }
            let line = self.buffer.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&self.buffer);
            let line = line.trim_ascii();
            if line.is_empty() {
                continue;
            }
            self.empty = false;
            // A list would be taken for a row without names.
            if line[0] != b'{' {
                return Some(Err(InputError::new(&place, "the line is not a JSON object: it must begin with {")));
            }
            // As editors and programs lay out an object that is to be read.
            if line == b"{" {
                return Some(match self.read_laid_out() {
                    Ok(()) => read_object(self.buffer.trim_ascii(), &self.reading, place),
                    Err(message) => Err(InputError { cut_off: self.ended, ..InputError::new(&place, message) }),
                });
            }
            return Some(read_object(line, &self.reading, place));
        }
        None
    }
}

/// The row, or the item of ninjs, in a JSON object.
///
/// # Errors
/// Where it is neither; its text is not told.
pub fn read_object(json: &[u8], reading: &Reading, place: String) -> Result<Record, InputError> {
    let row = read_row(json, reading).map_err(|message| InputError::new(&place, message));
    // Only the named fields are read of an object whose fields are named, and only items have a URI.
    if reading.columns.is_empty()
        && row.as_ref().map_or(true, |row| row.uri.is_some())
        && let Some(item) = Item::read(json)
    {
        return Ok(item.record(place));
    }
    Ok(row?.record(place))
}

fn read_row(line: &[u8], reading: &Reading) -> Result<Row, String> {
    let decoded = reading.encoding.map(|_| reading.text(line.to_vec())).transpose()?;
    let line = decoded.as_ref().map_or(line, |text| text.as_bytes());
    let fault = |error: serde_path_to_error::Error<serde_json::Error>| explain(error.path(), error.inner());
    if reading.columns.is_empty() {
        return serde_path_to_error::deserialize(&mut serde_json::Deserializer::from_slice(line)).map_err(fault);
    }
    // Fields that are named otherwise take the places of those that are read.
    let mut fields: serde_json::Map<String, serde_json::Value> =
        serde_path_to_error::deserialize(&mut serde_json::Deserializer::from_slice(line)).map_err(fault)?;
    let named: Vec<(&str, serde_json::Value)> = reading
        .columns
        .named()
        .map(|(field, column)| (field, fields.get(column).cloned().unwrap_or_default()))
        .collect();
    for (field, value) in named {
        let other_name = OTHER_NAMES.iter().find(|(known, _)| *known == field);
        // Unless it was read as another field.
        let read = |name: &str| reading.columns.named().any(|(_, column)| column == name);
        if let Some((_, name)) = other_name.filter(|(_, name)| !read(name)) {
            fields.remove(*name);
        }
        fields.insert(field.to_owned(), value);
    }
    serde_path_to_error::deserialize(serde_json::Value::Object(fields)).map_err(fault)
}

/// Which field is wrong and at which column; serde_json's own words would give the text away.
fn explain(field: &serde_path_to_error::Path, error: &serde_json::Error) -> String {
    let what = match error.classify() {
        serde_json::error::Category::Eof => "the JSON object is cut off",
        serde_json::error::Category::Data => {
            return format!(
                "{field} has the wrong type or value at column {}: id is a string or a number, format is text or html, topics and regions are strings or lists of strings, and all others strings",
                error.column()
            );
        }
        _ => "not a JSON object",
    };
    format!("{what} at column {}", error.column())
}

/// Other names that fields of JSON objects may have; they give way to the fields' own.
const OTHER_NAMES: [(&str, &str); 4] =
    [("headline", "title"), ("body", "text"), ("published", "date"), ("source", "outlet")];

/// A row as people write it; unknown fields are left alone, null is as good as missing.
#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Row {
    id: Option<Id>,
    headline: Option<String>,
    title: Option<String>,
    body: Option<String>,
    text: Option<String>,
    format: Option<RowFormat>,
    dateline: Option<String>,
    language: Option<String>,
    source_country: Option<String>,
    #[serde(deserialize_with = "text_or_nothing")]
    published: Option<String>,
    #[serde(deserialize_with = "text_or_nothing")]
    date: Option<String>,
    #[serde(deserialize_with = "text_or_nothing")]
    source: Option<String>,
    #[serde(deserialize_with = "text_or_nothing")]
    outlet: Option<String>,
    topics: Option<OneOrMore>,
    regions: Option<OneOrMore>,
    /// Whether there is one, whatever it is.
    uri: Option<IgnoredAny>,
}

/// What nobody classifies by is no reason to refuse a row.
fn text_or_nothing<'de, D: serde::Deserializer<'de>>(value: D) -> Result<Option<String>, D::Error> {
    Ok(serde_json::Value::deserialize(value)?.as_str().map(ToOwned::to_owned))
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

impl OneOrMore {
    fn list(self) -> Vec<String> {
        match self {
            OneOrMore::One(one) => list(&one),
            OneOrMore::More(more) => more,
        }
    }
}

/// The parts of a cell that holds several, with `|` or `;` between.
fn list(cell: &str) -> Vec<String> {
    cell.split(['|', ';']).map(str::trim).filter(|part| !part.is_empty()).map(ToOwned::to_owned).collect()
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Id {
    Text(String),
    Number(serde_json::Number),
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
    /// Fills a field from a cell of a table. An empty cell of regions says that the row is about no country only where
    /// others have some: it is taken for one that does not say.
    pub fn set(&mut self, field: &str, cell: String) {
        match field {
            "id" => self.id = Some(Id::Text(cell)),
            "headline" => self.headline = Some(cell),
            "body" => self.body = Some(cell),
            "dateline" => self.dateline = Some(cell),
            "language" => self.language = Some(cell),
            "source_country" => self.source_country = Some(cell),
            "published" => self.published = Some(cell),
            "source" => self.source = Some(cell),
            "topics" => self.topics = Some(OneOrMore::One(cell)),
            "regions" => {
                self.regions = Some(OneOrMore::One(cell))
                    .filter(|one| !matches!(one, OneOrMore::One(cell) if cell.trim().is_empty()))
            }
            _ => {}
        }
    }

    pub fn record(self, place: String) -> Record {
        let article = Article {
            id: match self.id {
                Some(Id::Text(id)) => id,
                Some(Id::Number(id)) => id.to_string(),
                None => String::new(),
            },
            headline: self.headline.or(self.title).unwrap_or_default(),
            body: self.body.or(self.text).unwrap_or_default(),
            format: match self.format {
                Some(RowFormat::Html) => Format::Html,
                Some(RowFormat::Text) | None => Format::Text,
            },
            dateline: self.dateline.unwrap_or_default(),
            language: self.language.unwrap_or_default(),
            source_country: self.source_country.unwrap_or_default(),
        };
        let article = if article.id.is_empty() { Article { id: place.clone(), ..article } } else { article };
        Record {
            article,
            topics: self.topics.map(OneOrMore::list).unwrap_or_default(),
            regions: self.regions.map(OneOrMore::list),
            published: self.published.or(self.date).unwrap_or_default(),
            source: self.source.or(self.outlet).unwrap_or_default(),
            place,
            item: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::BufReader;

    fn read(text: &'static [u8]) -> Vec<Result<Record, InputError>> {
        let lines = Lines::new(Box::new(BufReader::new(text)), "a.jsonl", &Reading::default());
        lines.expect("UTF-8 has lines").collect()
    }

    #[test]
    fn rows_as_people_write_them() {
        let rows = read(b"\xEF\xBB\xBF{\"id\": 7, \"title\": \"T\", \"text\": \"B\", \"x\": [1]}\r\n\n{\"body\": null, \"regions\": []}");
        let first = rows[0].as_ref().expect("a row");
        assert_eq!((&*first.article.id, &*first.article.headline, &*first.article.body), ("7", "T", "B"));
        assert_eq!(first.regions, None);
        let second = rows[1].as_ref().expect("a row");
        assert_eq!((&*second.article.id, &second.regions), ("a.jsonl:3", &Some(vec![])));
    }

    #[test]
    fn objects_may_be_laid_out_over_lines() {
        let rows = read(b"{\n  \"body\": \"b\",\n  \"x\": {\n  }\n}\n{\"body\": \"c\"}\n{\n \"body\": \"secret\"\n");
        let told: Vec<_> = rows.iter().map(|row| row.as_ref().map(|row| (&*row.article.body, &*row.place))).collect();
        assert_eq!(told[..2], [Ok(("b", "a.jsonl:1")), Ok(("c", "a.jsonl:6"))]);
        assert_eq!(told[2].map_err(ToString::to_string), Err("a.jsonl:7: the JSON object is cut off".to_owned()));
        assert_eq!(rows.len(), 3);
        let stray = read(b"{\n{\"body\": \"b\"}\n{\"body\": \"c\"}\n");
        let told: Vec<_> =
            stray.iter().map(|row| row.as_ref().map(|row| &*row.place).map_err(|error| &*error.place)).collect();
        assert_eq!(told, [Err("a.jsonl:1"), Ok("a.jsonl:2"), Ok("a.jsonl:3")]);
        let item = read(b"{\"uri\": \"a:b\", \"headline\": \"h\", \"body_text\": \"t\", \"regions\": 5}\n").remove(0);
        assert_eq!(item.expect("ninjs").article.body, "t");
    }

    #[test]
    fn fields_may_have_each_others_names() {
        let row = |columns: &str, line: &str| {
            let reading = Reading { columns: columns.parse().expect("pairs"), ..Reading::default() };
            read_row(line.as_bytes(), &reading).expect("a row").record("a:1".into())
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
    fn a_bad_line_is_named_and_the_next_one_follows() {
        let rows = read(
            b"{\"body\": \"secret te\n{\"body\": \"b\"}\n[1]\n{\"body\": 5}\n{\"body\": \"\xFF\"}\n{\"body\": \"c\"}\n",
        );
        let errors: Vec<_> = rows.iter().filter_map(|row| row.as_ref().err()).collect();
        assert_eq!(
            errors.iter().map(|error| &*error.place).collect::<Vec<_>>(),
            ["a.jsonl:1", "a.jsonl:3", "a.jsonl:4", "a.jsonl:5"]
        );
        assert!(errors.iter().all(|error| !error.message.contains("secret")), "text may be under embargo");
        assert_eq!(rows.iter().filter(|row| row.is_ok()).count(), 2);
        assert!(errors[2].message.starts_with("body has the wrong type"), "{}", errors[2].message);
        assert!(
            read(b"{\"topics\": [\"a\", 1]}")[0].as_ref().is_err_and(|error| error.message.starts_with("topics has"))
        );
    }

    #[test]
    fn a_file_without_rows_is_told() {
        for text in [&b""[..], b"\n \n"] {
            let rows = read(text);
            assert_eq!(rows.len(), 1);
            assert_eq!(rows[0].as_ref().expect_err("no rows").to_string(), "a.jsonl: there is no article in it");
        }
    }

    #[test]
    fn a_line_without_end_is_not_held() {
        let long = std::io::repeat(b'x').take(MAX_LINE_BYTES * 2).chain(&b"\n{\"body\": \"b\"}\n"[..]);
        let rows: Vec<_> =
            Lines::new(Box::new(BufReader::new(long)), "a", &Reading::default()).expect("lines").collect();
        assert_eq!(rows.len(), 2);
        assert!(rows[0].as_ref().expect_err("too long").message.contains("16 MiB"));
        assert!(rows[1].is_ok());
    }
}
