//! CSV and TSV: a row an article.

use super::{InputError, MAX_OBJECT_BYTES, Reading, Record, jsonl::Row, reading};
use std::{
    collections::BTreeMap,
    io::{self, BufRead, BufReader, Read},
};

/// Rows of a table with commas, semicolons or tabs between the cells, quoted as RFC 4180 says.
pub struct Rows {
    reader: csv::Reader<Limited>,
    name: String,
    reading: Reading,
    places: BTreeMap<&'static str, usize>,
    record: csv::ByteRecord,
    empty: bool,
    ended: bool,
}

impl Rows {
    /// Reads the head.
    ///
    /// # Errors
    /// Where there is none that can be used.
    pub fn new(reader: Box<dyn BufRead>, name: &str, reading: &Reading) -> Result<Self, InputError> {
        let fault = |message: String| InputError::new(name, message);
        reading.in_lines().map_err(fault)?;
        let mut reader = BufReader::with_capacity(1 << 16, reader);
        let mut reading = reading.clone();
        let mut start = reader.fill_buf().map_err(|error| fault(super::reason(&error)))?;
        if let Some(rest) = start.strip_prefix(b"\xEF\xBB\xBF") {
            let mark = start.len() - rest.len();
            reader.consume(mark);
            // The mark says it.
            reading.encoding = None;
            start = reader.fill_buf().map_err(|error| fault(super::reason(&error)))?;
        }
        let first = start.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let numbered = reading.columns.numbered();
        let delimiter = delimiter(name, first, numbered.as_ref().and_then(|places| places.values().max().copied()));
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(delimiter)
            .has_headers(numbered.is_none())
            .from_reader(Limited { reader: Box::new(reader), left: MOST_READ });
        let places = match numbered {
            Some(places) => places,
            None => {
                let head = reader.byte_headers().map_err(|error| fault(explain(&error)))?;
                let head: Result<Vec<String>, String> = head.iter().map(|cell| reading.text(cell.to_vec())).collect();
                let head = head.map_err(fault)?;
                let places = reading.columns.places(&head).map_err(fault)?;
                if !places.contains_key("body") && !places.contains_key("headline") {
                    return Err(fault(format!(
                        "no column is called body, headline, text or title; {}: name them, for example with --columns \
                         body=...",
                        reading::named(&head)
                    )));
                }
                places
            }
        };
        let name = name.to_owned();
        Ok(Rows { reader, name, reading, places, record: csv::ByteRecord::new(), empty: true, ended: false })
    }

    fn row(&self, place: String) -> Result<Record, InputError> {
        let mut row = Row::default();
        for (field, column) in &self.places {
            let Some(cell) = self.record.get(*column) else {
                let message = format!("there is no column {}: the row has {}", column + 1, self.record.len());
                return Err(InputError::new(&place, message));
            };
            match self.reading.text(cell.to_vec()) {
                Ok(text) => row.set(field, text),
                Err(message) => return Err(InputError::new(&place, message)),
            }
        }
        Ok(row.record(place))
    }
}

impl Iterator for Rows {
    type Item = Result<Record, InputError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        self.reader.get_mut().left = MOST_READ;
        let read = self.reader.read_byte_record(&mut self.record);
        let line = self.record.position().map_or(1, csv::Position::line);
        let place = format!("{}:{line}", self.name);
        match read {
            Ok(false) => {
                self.ended = true;
                self.empty.then(|| Err(InputError::new(&self.name, "there is no article in it")))
            }
            Ok(true) => {
                self.empty = false;
                Some(self.row(place))
            }
            Err(error) => {
                self.empty = false;
                self.ended = error.is_io_error();
                let line = error.position().map_or(line, csv::Position::line);
                let place = format!("{}:{line}", self.name);
                Some(Err(InputError { place, message: explain(&error), cut_off: self.ended }))
            }
        }
    }
}

/// What may be read at once for a row: as much as it may have, and what the reader holds beyond it.
const MOST_READ: u64 = MAX_OBJECT_BYTES as u64 + (1 << 17);

/// A reader that reads so much and no more, until it may again: a row is not longer.
struct Limited {
    reader: Box<dyn Read>,
    left: u64,
}

impl Read for Limited {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            let long = format!("the row is longer than {} MiB: is a quote missing?", MAX_OBJECT_BYTES >> 20);
            return Err(io::Error::other(long));
        }
        let most = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let read = self.reader.read(&mut buffer[..most])?;
        self.left -= read as u64;
        Ok(read)
    }
}

/// What stands between cells: a tab where the name says so, otherwise what the first line has most of outside quotes. Where
/// columns are numbers, it must have as many.
fn delimiter(name: &str, first: &[u8], last: Option<usize>) -> u8 {
    if name.split('.').any(|part| part.eq_ignore_ascii_case("tsv")) {
        return b'\t';
    }
    let count = |delimiter: u8| {
        let mut quoted = false;
        let found = first.iter().filter(|byte| {
            quoted ^= **byte == b'"';
            **byte == delimiter && !quoted
        });
        found.count()
    };
    let candidates = [b';', b'\t', b','];
    // The last of the commonest, so that a table of one column has commas.
    let commonest = |candidates: &[u8]| candidates.iter().copied().max_by_key(|delimiter| count(*delimiter));
    let exact: Vec<u8> =
        candidates.iter().copied().filter(|one| last.is_some_and(|last| count(*one) == last)).collect();
    exact.first().copied().or_else(|| commonest(&candidates)).unwrap_or(b',')
}

/// What is wrong, without the text.
fn explain(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("the row has {len} cells and the head {expected_len}: is a quote missing?")
        }
        csv::ErrorKind::Io(error) => format!("cannot read on: {error}"),
        _ => "the row cannot be read".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &'static str, reading: &Reading) -> Vec<Result<Record, InputError>> {
        match Rows::new(Box::new(text.as_bytes()), "a.csv", reading) {
            Ok(rows) => rows.collect(),
            Err(error) => vec![Err(error)],
        }
    }

    #[test]
    fn tables_as_people_write_them() {
        let rows = read(
            "\u{FEFF}id;Title;Text;Section;date\n7;\"Kenya; votes\";\"Two\nlines \"\"quoted\"\"\";politics | economy ;2024-05-01\n8;x;y;;\n",
            &Reading::default(),
        );
        let first = rows[0].as_ref().expect("a row");
        assert_eq!((&*first.article.headline, &*first.article.body), ("Kenya; votes", "Two\nlines \"quoted\""));
        assert_eq!(
            (&first.topics[..], &*first.published),
            (&["politics".to_owned(), "economy".to_owned()][..], "2024-05-01")
        );
        let second = rows[1].as_ref().expect("a row");
        assert_eq!((&*second.place, &second.topics[..]), ("a.csv:4", &[][..]), "the row before has two lines");

        let numbered = Reading { columns: "topics=1,body=2".parse().expect("pairs"), ..Reading::default() };
        let rows = read("sport,He won\n", &numbered);
        assert_eq!(rows[0].as_ref().expect("a row").topics, ["sport"]);
        let tabs = read("body\ttopics\na, b\tx\n", &Reading::default());
        assert_eq!(tabs[0].as_ref().expect("a row").article.body, "a, b");
    }

    #[test]
    fn delimiters_are_told_by_names_and_numbers() {
        assert_eq!(delimiter("a.tsv.gz", b"sport\tHe won, rested, and left", Some(1)), b'\t');
        assert_eq!(delimiter("a", b"sport\tHe won, rested, and left", Some(1)), b'\t');
        assert_eq!(delimiter("a", b"\"a;b;c\",d", None), b',');
        assert_eq!(delimiter("a", b"body", None), b',');
    }

    #[test]
    fn a_row_without_end_is_not_held() {
        let long = (&b"body,topics\n\""[..]).chain(std::io::repeat(0).take(3 * MAX_OBJECT_BYTES as u64));
        let mut rows = Rows::new(Box::new(BufReader::new(long)), "a.csv", &Reading::default()).expect("a head");
        let error = rows.next().expect("a row").expect_err("too long");
        assert!(error.cut_off && error.message.contains("is a quote missing?"), "{error}");
        assert!(rows.next().is_none());
    }

    #[test]
    fn an_article_where_a_head_should_be_is_not_told() {
        let error =
            read("7,\"secret: a whole story that was never meant to be seen\",x\n", &Reading::default()).remove(0);
        let error = error.expect_err("no head").to_string();
        assert!(error.contains("there are 3") && !error.contains("secret"), "{error}");
    }

    #[test]
    fn rows_that_cannot_be_read_are_named_and_the_next_follows() {
        let rows = read("body,topics\na,b\nsecret,b,c\nd,e\n", &Reading::default());
        let error = rows[1].as_ref().expect_err("three cells");
        assert_eq!((&*error.place, error.message.contains("secret")), ("a.csv:3", false));
        assert!(rows[2].is_ok());
        let error = read("a,b\n1,2\n", &Reading::default()).remove(0).expect_err("nothing to read");
        assert!(error.message.contains("there are a, b: name them"), "{error}");
        let narrow = Reading { columns: "body=3".parse().expect("a pair"), ..Reading::default() };
        assert!(read("a,b\n", &narrow)[0].as_ref().is_err_and(|error| error.message.contains("no column 3")));
        assert!(
            read("body,topics\n", &Reading::default())[0]
                .as_ref()
                .is_err_and(|error| error.message.contains("no article"))
        );
    }
}
