//! CSV and TSV: one article per row.

use super::{
    InputError, MAX_OBJECT_BYTES, Place, Reading, Record, reading,
    row::Row,
    source::{self, explain_interruption},
};
use std::{
    collections::BTreeMap,
    io::{self, BufRead, BufReader, Read},
};

/// The rows of a table whose cells are separated by commas, semicolons or tabs, and quoted as in RFC 4180.
pub struct Rows {
    reader: csv::Reader<Limited>,
    file: Place,
    reading: Reading,
    /// The index of each field's column.
    columns: BTreeMap<&'static str, usize>,
    record: csv::ByteRecord,
    is_empty: bool,
    ended: bool,
}

impl Rows {
    /// Reads the header.
    ///
    /// # Errors
    /// If the table has no column to read, or the encoding is not compatible with ASCII.
    pub fn new(reader: Box<dyn BufRead>, file: &Place, reading: &Reading) -> Result<Self, InputError> {
        let fault = |message: String| InputError::new(file, message);
        reading.check_ascii_compatible().map_err(fault)?;
        let mut reader = BufReader::with_capacity(1 << 16, reader);
        let mut reading = reading.clone();
        let mut start = reader.fill_buf().map_err(|error| fault(source::explain(&error)))?;
        if let Some(rest) = start.strip_prefix(b"\xEF\xBB\xBF") {
            let mark = start.len() - rest.len();
            reader.consume(mark);
            // The mark has priority.
            reading.encoding = None;
            start = reader.fill_buf().map_err(|error| fault(source::explain(&error)))?;
        }
        let first = start.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let numbered = reading.columns.numbered();
        let last = numbered.as_ref().and_then(|columns| columns.values().max().copied());
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(delimiter(file.file(), first, last))
            .has_headers(numbered.is_none())
            .from_reader(Limited { reader: Box::new(reader), left: MAX_ROW_READ });
        let columns = match numbered {
            Some(columns) => columns,
            None => {
                let header = reader.byte_headers().map_err(|error| fault(explain(&error)))?;
                columns_of(header, &reading).map_err(fault)?
            }
        };
        let (file, record) = (file.clone(), csv::ByteRecord::new());
        Ok(Rows { reader, file, reading, columns, record, is_empty: true, ended: false })
    }

    fn row(&self, place: Place) -> Result<Record, InputError> {
        let mut row = Row::default();
        for (field, column) in &self.columns {
            let Some(cell) = self.record.get(*column) else {
                let message = format!("no column {}: the row has {} cells", column + 1, self.record.len());
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

/// The index of each field's column, by a header.
fn columns_of(header: &csv::ByteRecord, reading: &Reading) -> Result<BTreeMap<&'static str, usize>, String> {
    let header = header.iter().map(|cell| reading.text(cell.to_vec())).collect::<Result<Vec<_>, _>>()?;
    let columns = reading.columns.indices(&header)?;
    if !columns.contains_key("body") && !columns.contains_key("headline") {
        return Err(format!("no column is named body, headline, text or title; {}", reading::describe(&header)));
    }
    Ok(columns)
}

impl Iterator for Rows {
    type Item = Result<Record, InputError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        self.reader.get_mut().left = MAX_ROW_READ;
        let read = self.reader.read_byte_record(&mut self.record);
        let line = self.record.position().map_or(1, csv::Position::line);
        match read {
            Ok(false) => {
                self.ended = true;
                self.is_empty.then(|| Err(InputError::new(&self.file, "no article found")))
            }
            Ok(true) => {
                self.is_empty = false;
                Some(self.row(self.file.at_line(line)))
            }
            Err(error) => {
                self.is_empty = false;
                self.ended = error.is_io_error();
                let line = error.position().map_or(line, csv::Position::line);
                let place = self.file.at_line(line);
                Some(Err(InputError { place, message: explain(&error), cut_off: self.ended }))
            }
        }
    }
}

/// The most bytes to read for one row: its largest size, and what the reader buffers beyond it.
const MAX_ROW_READ: u64 = MAX_OBJECT_BYTES as u64 + (1 << 17);

/// A reader that fails after a number of bytes, so that a row has a maximum size. The number is reset for each row.
struct Limited {
    reader: Box<dyn Read>,
    /// The bytes that may still be read.
    left: u64,
}

impl Read for Limited {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            let message = format!("the row is longer than {} MiB: is a quote missing?", MAX_OBJECT_BYTES >> 20);
            return Err(io::Error::other(message));
        }
        let length = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let read = self.reader.read(&mut buffer[..length])?;
        self.left -= read as u64;
        Ok(read)
    }
}

/// The delimiter of cells: a tab if the file is named `.tsv`, otherwise the most frequent of the first line, outside quotes. If
/// columns are numbered, a delimiter that makes the largest number the last column has priority.
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
    let exact = candidates.iter().copied().find(|one| last.is_some_and(|last| count(*one) == last));
    // The last of equals, so that a table of one column has commas.
    let commonest = || candidates.iter().copied().max_by_key(|one| count(*one));
    exact.or_else(commonest).unwrap_or(b',')
}

/// The message of an error, without the text of the row.
fn explain(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("the row has {len} cells and the header {expected_len}: is a quote missing?")
        }
        csv::ErrorKind::Io(error) => explain_interruption(error),
        _ => "the row cannot be read".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &'static str, reading: &Reading) -> Vec<Result<Record, InputError>> {
        match Rows::new(Box::new(text.as_bytes()), &Place::of_file("a.csv"), reading) {
            Ok(rows) => rows.collect(),
            Err(error) => vec![Err(error)],
        }
    }

    #[test]
    fn common_forms_of_tables_are_read() {
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
        assert_eq!(
            (&*second.place.to_string(), &second.topics[..]),
            ("a.csv:4", &[][..]),
            "the row before has two lines"
        );

        let numbered = Reading { columns: "topics=1,body=2".parse().expect("pairs"), ..Reading::default() };
        let rows = read("sport,He won\n", &numbered);
        assert_eq!(rows[0].as_ref().expect("a row").topics, ["sport"]);
        let tabs = read("body\ttopics\na, b\tx\n", &Reading::default());
        assert_eq!(tabs[0].as_ref().expect("a row").article.body, "a, b");
    }

    #[test]
    fn names_and_numbers_determine_the_delimiter() {
        assert_eq!(delimiter("a.tsv.gz", b"sport\tHe won, rested, and left", Some(1)), b'\t');
        assert_eq!(delimiter("a", b"sport\tHe won, rested, and left", Some(1)), b'\t');
        assert_eq!(delimiter("a", b"\"a;b;c\",d", None), b',');
        assert_eq!(delimiter("a", b"body", None), b',');
    }

    #[test]
    fn an_endless_row_is_not_kept_in_memory() {
        let long = (&b"body,topics\n\""[..]).chain(std::io::repeat(0).take(3 * MAX_OBJECT_BYTES as u64));
        let mut rows =
            Rows::new(Box::new(BufReader::new(long)), &Place::of_file("a.csv"), &Reading::default()).expect("a header");
        let error = rows.next().expect("a row").expect_err("too long");
        assert!(error.cut_off && error.message.contains("is a quote missing?"), "{error}");
        assert!(rows.next().is_none());
    }

    #[test]
    fn errors_do_not_quote_an_article_instead_of_a_header() {
        let error =
            read("7,\"secret: a whole story that was never meant to be seen\",x\n", &Reading::default()).remove(0);
        let error = error.expect_err("no header").to_string();
        assert!(error.contains("the first line has 3 cells") && !error.contains("secret"), "{error}");
    }

    #[test]
    fn an_invalid_row_does_not_affect_the_others() {
        let rows = read("body,topics\na,b\nsecret,b,c\nd,e\n", &Reading::default());
        let error = rows[1].as_ref().expect_err("three cells");
        assert_eq!((&*error.place.to_string(), error.message.contains("secret")), ("a.csv:3", false));
        assert!(rows[2].is_ok());
        let error = read("a,b\n1,2\n", &Reading::default()).remove(0).expect_err("nothing to read");
        assert!(error.message.contains("the columns are a, b: give --columns"), "{error}");
        let narrow = Reading { columns: "body=3".parse().expect("a pair"), ..Reading::default() };
        assert!(read("a,b\n", &narrow)[0].as_ref().is_err_and(|error| error.message.contains("no column 3")));
        assert!(
            read("body,topics\n", &Reading::default())[0]
                .as_ref()
                .is_err_and(|error| error.message.contains("no article"))
        );
    }
}
