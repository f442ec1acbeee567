use encoding_rs::{Encoding, UTF_8};
use std::collections::BTreeMap;

/// How sources are read that do not say it themselves.
#[derive(Debug, Clone, Default)]
pub struct Reading {
    /// Which column or field holds what.
    pub columns: Columns,
    /// How text is encoded; UTF-8, without one.
    pub encoding: Option<&'static Encoding>,
}

impl Reading {
    /// The text of some bytes.
    ///
    /// # Errors
    /// Where they are not so encoded: at which byte, and what to do. Nothing of the text is told.
    pub(super) fn text(&self, bytes: Vec<u8>) -> Result<String, String> {
        // A mark at the beginning says more than a name: UTF-16 has two orders of bytes.
        let marked = Encoding::for_bom(&bytes).filter(|(marked, _)| self.encoding.is_some() || *marked != UTF_8);
        match self.encoding {
            _ if marked.is_some() => {
                let (encoding, mark) = marked.unwrap_or((UTF_8, 0));
                let text = encoding.decode_without_bom_handling_and_without_replacement(&bytes[mark..]);
                text.map(|text| text.into_owned())
                    .ok_or_else(|| format!("not {}, as its first bytes say", encoding.name()))
            }
            None => String::from_utf8(bytes).map_err(|error| {
                let at = error.utf8_error().valid_up_to();
                format!("not UTF-8 at byte {at}: say how it is encoded, for example with --encoding windows-1252")
            }),
            Some(encoding) => match encoding.decode_without_bom_handling_and_without_replacement(&bytes) {
                Some(text) => Ok(text.into_owned()),
                None => Err(format!("not {}: another --encoding is needed", encoding.name())),
            },
        }
    }

    /// Whether lines and commas are bytes of their own, so that they can be told before the text is decoded.
    ///
    /// # Errors
    /// Why they cannot.
    pub(super) fn in_lines(&self) -> Result<(), String> {
        let encoding = self.encoding.unwrap_or(UTF_8);
        match encoding.is_ascii_compatible() {
            true => Ok(()),
            false => Err(format!("{} cannot be read line by line: convert the file to UTF-8 first", encoding.name())),
        }
    }
}

/// An encoding by its name in the WHATWG Encoding Standard, such as `windows-1252`.
///
/// # Errors
/// Where there is none of this name.
pub fn encoding(name: &str) -> Result<&'static Encoding, String> {
    Encoding::for_label(name.as_bytes())
        .ok_or_else(|| format!("{name:?} is no encoding: write utf-8, windows-1252, iso-8859-2, ..."))
}

/// The fields of a row that are read.
pub const FIELDS: [&str; 12] = [
    "id",
    "headline",
    "body",
    "dateline",
    "language",
    "source_country",
    "published",
    "source",
    "topics",
    "subtopics",
    "regions",
    "how",
];

/// What archives call them, beside their own names.
const OTHER_NAMES: [(&str, &[&str]); 8] = [
    ("headline", &["title"]),
    ("body", &["text", "content", "article"]),
    ("published", &["date", "pubdate", "published_at"]),
    ("source", &["outlet", "publisher"]),
    ("topics", &["topic", "label", "labels", "category", "categories", "section"]),
    ("subtopics", &["subtopic"]),
    ("regions", &["region", "country", "countries"]),
    ("id", &["guid", "article_id"]),
];

/// Which column, or field of a JSON object, holds which field of a row. Those that are not named are guessed by what they are
/// called.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Columns(BTreeMap<&'static str, String>);

impl std::str::FromStr for Columns {
    type Err = String;

    /// `body=Text,topics=Section`: field and column, several with commas between. Columns may be numbers, from 1: then a CSV
    /// file has no head. A field without a column (`published=`) is not read.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut columns = BTreeMap::new();
        for pair in text.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
            let (field, column) =
                pair.split_once('=').ok_or_else(|| format!("{pair:?}: write FIELD=COLUMN, such as topics=Section"))?;
            let known = FIELDS.into_iter().find(|known| *known == field.trim());
            let field = known.ok_or_else(|| format!("{field:?} is no field: choose of {}", FIELDS.join(", ")))?;
            if columns.insert(field, column.trim().to_owned()).is_some() {
                return Err(format!("{field} is named twice"));
            }
        }
        let named: Vec<&String> = columns.values().filter(|column| !column.is_empty()).collect();
        let numbered = named.iter().filter(|column| column.parse::<usize>().is_ok()).count();
        match numbered {
            0 => Ok(Columns(columns)),
            _ if numbered == named.len() && !named.iter().any(|column| *column == "0") => Ok(Columns(columns)),
            _ => Err("write all columns as names, or all as numbers from 1".to_owned()),
        }
    }
}

impl Columns {
    /// Whether nothing is named.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each field with its column.
    pub fn named(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.0.iter().map(|(field, column)| (*field, column.as_str()))
    }

    /// Where each field stands in a file without a head; `None` where it has one.
    pub(super) fn numbered(&self) -> Option<BTreeMap<&'static str, usize>> {
        let read = self.0.iter().filter(|(_, column)| !column.is_empty());
        let places: Option<BTreeMap<_, _>> =
            read.map(|(field, column)| Some((*field, column.parse::<usize>().ok()? - 1))).collect();
        places.filter(|places| !places.is_empty())
    }

    /// Where each field stands under a head.
    ///
    /// # Errors
    /// Where a named column is not there.
    pub(super) fn places(&self, head: &[String]) -> Result<BTreeMap<&'static str, usize>, String> {
        let find = |name: &str| head.iter().position(|column| column.trim().eq_ignore_ascii_case(name));
        let mut places = BTreeMap::new();
        for field in FIELDS {
            let place = match self.0.get(field) {
                Some(name) if name.is_empty() => None,
                Some(name) => Some(find(name).ok_or_else(|| format!("there is no column {name:?}; {}", named(head)))?),
                None => find(field).or_else(|| {
                    let others = OTHER_NAMES.iter().find(|(known, _)| *known == field);
                    others.into_iter().flat_map(|(_, names)| names.iter()).find_map(|name| find(name))
                }),
            };
            if let Some(place) = place {
                places.insert(field, place);
            }
        }
        Ok(places)
    }
}

/// The columns of a head, for people; what does not look like names is not told, for it may be an article.
pub(super) fn named(head: &[String]) -> String {
    const MOST: usize = 50;
    const LONGEST: usize = 40;
    let short = |name: &String| name.chars().count() <= LONGEST && !name.chars().any(char::is_control);
    match head.len() <= MOST && head.iter().all(short) {
        true => format!("there are {}", head.join(", ")),
        false => format!(
            "there are {}, and the first line is none of names: give --columns with numbers, such as body=2,topics=1",
            head.len()
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_named_numbered_or_guessed() {
        let head = ["Title", "TEXT", "Ressort", "Section"].map(str::to_owned);
        let guessed = Columns::default().places(&head).expect("nothing is asked for");
        assert_eq!(guessed, BTreeMap::from([("body", 1), ("headline", 0), ("topics", 3)]));
        let named: Columns = "topics=ressort".parse().expect("a pair");
        assert_eq!(named.places(&head).expect("it is there")["topics"], 2);
        assert!(named.places(&head[..1]).is_err_and(|error| error.contains("there are Title")));
        let numbered: Columns = "body=2, topics=1".parse().expect("pairs");
        assert_eq!(numbered.numbered(), Some(BTreeMap::from([("body", 1), ("topics", 0)])));
        assert_eq!(named.numbered(), None);
        for wrong in ["body", "text=1", "body=1,topics=x", "body=a,body=b", "body=0"] {
            assert!(wrong.parse::<Columns>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn text_is_decoded_as_it_is_said() {
        let windows = Reading { encoding: Some(encoding("windows-1252").expect("known")), ..Reading::default() };
        assert_eq!(windows.text(b"Caf\xE9".to_vec()).as_deref(), Ok("Café"));
        let utf16 = Reading { encoding: Some(encoding("utf-16").expect("known")), ..Reading::default() };
        assert_eq!(utf16.text(b"\xFE\xFF\0C\0a".to_vec()).as_deref(), Ok("Ca"), "the other order of bytes");
        let error = Reading::default().text(b"secret Caf\xE9".to_vec()).expect_err("it is not UTF-8");
        assert!(error.contains("byte 10") && !error.contains("secret"), "{error}");
        assert!(encoding("klingon").is_err());
        assert!(
            Reading { encoding: Some(encoding("utf-16le").expect("known")), ..Reading::default() }.in_lines().is_err()
        );
    }
}
