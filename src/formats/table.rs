//! CSV and TSV: one article per row.

use super::{
    InputError, MAX_OBJECT_BYTES, Place, Reading, Record, reading,
    row::Row,
    row_tracker::{Dialect, RowTracker},
    source::{self, explain_interruption},
    transcode::as_utf8,
};
use std::{
    collections::BTreeMap,
    io::{self, BufRead, Read},
};

/// The rows of a table. Its cells are separated by commas, semicolons, tabs or another delimiter, and quoted as in RFC 4180.
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

/// A table whose header was read.
struct Table {
    reader: csv::Reader<Limited>,
    reading: Reading,
    /// `None` if columns are numbered, so that the table has no header.
    header: Option<Vec<String>>,
    delimiter: u8,
}

impl Table {
    fn open(reader: Box<dyn BufRead>, file: &Place, reading: &Reading) -> Result<Self, InputError> {
        let fault = |message: String| InputError::new(file, message);
        let broken = |error: io::Error| fault(source::explain(&error));
        let mut reading = reading.clone();
        let (mut reader, is_utf8) = as_utf8(reader, reading.encoding).map_err(broken)?;
        if is_utf8 {
            reading.encoding = None;
        }
        let first_line = |start: &[u8]| start.split(|byte| *byte == b'\n').next().unwrap_or_default().to_vec();
        let mut first = first_line(reader.fill_buf().map_err(broken)?);
        let stated = stated_delimiter(&first);
        let mut line = 1;
        if stated.is_some() {
            let length = (first.len() + 1).min(reader.fill_buf().map_err(broken)?.len());
            reader.consume(length);
            line += 1;
            first = first_line(reader.fill_buf().map_err(broken)?);
        }
        let numbered = reading.columns.numbered();
        let last = numbered.as_ref().and_then(|columns| columns.values().max().copied());
        let quote = reading.quote.unwrap_or(b'"');
        let guessed = || guessed_delimiter(file.file(), &first, last, quote);
        let dialect = Dialect { delimiter: reading.delimiter.or(stated).unwrap_or_else(guessed), quote };
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(dialect.delimiter)
            .quote(dialect.quote)
            .has_headers(numbered.is_none())
            .from_reader(Limited {
                reader,
                left: MAX_ROW_READ,
                has_ended: false,
                tracker: RowTracker::new(dialect, line),
            });
        let header = match numbered {
            Some(_) => None,
            None => {
                let header = reader.byte_headers().map_err(|error| fault(explain(&error)))?;
                let names = header.iter().map(|cell| reading.text(cell.to_vec())).collect::<Result<Vec<_>, _>>();
                let names = names.map_err(fault)?;
                reader.get_mut().tracker.next_row();
                Some(names)
            }
        };
        Ok(Table { reader, reading, header, delimiter: dialect.delimiter })
    }
}

impl Rows {
    /// Reads the header.
    ///
    /// # Errors
    /// If the table has no column to read.
    pub fn new(reader: Box<dyn BufRead>, file: &Place, reading: &Reading) -> Result<Self, InputError> {
        let Table { reader, reading, header, delimiter } = Table::open(reader, file, reading)?;
        let columns = match (&header, reading.columns.numbered()) {
            (Some(header), _) => {
                columns_of(header, &reading, delimiter).map_err(|message| InputError::new(file, message))?
            }
            (None, numbered) => numbered.unwrap_or_default(),
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
            let text = self.reading.text(cell.to_vec());
            text.and_then(|text| row.set(field, text)).map_err(|message| InputError::new(&place, message))?;
        }
        Ok(row.record(place))
    }

    /// The error of a quote that the file never closes: what looks like the last row is the rest of the file.
    fn unclosed_quote(&self) -> Option<InputError> {
        let line = self.reader.get_ref().tracker.open_quote().filter(|_| self.reader.get_ref().has_ended)?;
        let message = "the quote that opens in this line is never closed, so that the rest of the file would be one cell: \
                       close it, or name another quote with --quote";
        Some(InputError { place: self.file.at_line(line), message: message.to_owned(), cut_off: true })
    }
}

/// The columns of a table, and what separates them, for messages; `None` if it has no header or cannot be read.
pub fn describe_columns(reader: Box<dyn BufRead>, file: &Place, reading: &Reading) -> Option<String> {
    let Table { header, delimiter, .. } = Table::open(reader, file, reading).ok()?;
    Some(reading::describe(&header?, delimiter))
}

/// The index of each field's column, by a header.
fn columns_of(header: &[String], reading: &Reading, delimiter: u8) -> Result<BTreeMap<&'static str, usize>, String> {
    let describe = |missing: &str| format!("{missing}; {}", reading::describe(header, delimiter));
    let columns = reading.columns.indices(header).map_err(|missing| describe(&missing))?;
    if !columns.contains_key("body") && !columns.contains_key("headline") {
        return Err(describe("no column is named body, headline, text or title"));
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
        if let Some(error) = self.unclosed_quote() {
            self.ended = true;
            return Some(Err(error));
        }
        match read {
            Ok(false) => {
                self.ended = true;
                self.is_empty.then(|| Err(InputError::new(&self.file, "no article found")))
            }
            Ok(true) => {
                self.is_empty = false;
                let line = self.reader.get_mut().tracker.next_row();
                Some(self.row(self.file.at_line(line)))
            }
            Err(error) => {
                self.is_empty = false;
                self.ended = error.is_io_error();
                let line = self.reader.get_mut().tracker.next_row();
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
    reader: Box<dyn BufRead>,
    /// The bytes that may still be read.
    left: u64,
    has_ended: bool,
    tracker: RowTracker,
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
        self.has_ended = read == 0;
        self.tracker.follow(&buffer[..read]);
        Ok(read)
    }
}

/// The delimiter that a first line `sep=;` states, as Excel reads and writes it.
fn stated_delimiter(first: &[u8]) -> Option<u8> {
    match first.strip_suffix(b"\r").unwrap_or(first) {
        [b's' | b'S', b'e' | b'E', b'p' | b'P', b'=', delimiter] => Some(*delimiter),
        _ => None,
    }
}

/// The delimiter of cells: a tab if the file is named `.tsv`, otherwise the most frequent of the first line, outside quotes. If
/// columns are numbered, a delimiter that makes the largest number the last column has priority.
fn guessed_delimiter(name: &str, first: &[u8], last: Option<usize>, quote: u8) -> u8 {
    if name.split('.').any(|part| part.eq_ignore_ascii_case("tsv")) {
        return b'\t';
    }
    let count = |delimiter: u8| {
        let mut quoted = false;
        let found = first.iter().filter(|byte| {
            quoted ^= **byte == quote;
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
    use std::io::BufReader;

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
        let delimiter = |name, first: &[u8], last| guessed_delimiter(name, first, last, b'"');
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
    fn an_unclosed_quote_is_an_error_that_names_its_line() {
        let rows = read("body,topics\r\na,b\r\n\"c,d\r\ne,f\r\ng,h\r\n", &Reading::default());
        assert_eq!(rows.len(), 2);
        assert!(rows[0].is_ok());
        let error = rows[1].as_ref().expect_err("the rest is one cell");
        assert!(error.cut_off && error.to_string().starts_with("a.csv:3: the quote that opens"), "{error}");
        let cut_off = read("body,topics\na,\"b", &Reading::default());
        assert!(cut_off[0].as_ref().is_err_and(|error| error.cut_off));
    }

    #[test]
    fn lines_are_counted_whatever_ends_them() {
        for end in ["\n", "\r\n"] {
            let text = ["body,topics", "a,b", "", "\"c", "d\",e", "x,y,z", "f,g"].join(end);
            let text: &'static str = Box::leak(text.into_boxed_str());
            let places: Vec<String> = read(text, &Reading::default())
                .into_iter()
                .map(|row| row.map_or_else(|error| error.place.to_string(), |row| row.place.to_string()))
                .collect();
            assert_eq!(places, ["a.csv:2", "a.csv:4", "a.csv:6", "a.csv:7"], "{end:?}");
        }
    }

    #[test]
    fn dialects_are_named_or_stated() {
        let single = Reading { quote: Some(b'\''), ..Reading::default() };
        let rows = read("topics;body\nsport;'He said; ''we won'''\n", &single);
        assert_eq!(rows[0].as_ref().expect("a row").article.body, "He said; 'we won'");
        let rows = read("sep=;\r\nbody;topics\r\na, b, c;x\r\n", &Reading::default());
        let row = rows[0].as_ref().expect("a row");
        assert_eq!((&*row.article.body, &*row.place.to_string()), ("a, b, c", "a.csv:3"));
        let bars = Reading { delimiter: Some(b'|'), ..Reading::default() };
        assert_eq!(read("body|topics\na, b|x\n", &bars)[0].as_ref().expect("a row").article.body, "a, b");
        let wide: Vec<u8> = "\u{FEFF}body\ttopics\r\né\tx\r\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let rows = Rows::new(Box::new(io::Cursor::new(wide)), &Place::of_file("a.csv"), &Reading::default());
        let row = rows.expect("a header").next().expect("a row").expect("it is read");
        assert_eq!((&*row.article.body, &row.topics[..]), ("é", &["x".to_owned()][..]));
        let html = read("body,format\n<p>a</p>,html\nb,\nc,doc\n", &Reading::default());
        assert_eq!(html[0].as_ref().expect("a row").article.format, crate::article::Format::Html);
        assert!(html[1].is_ok() && html[2].as_ref().is_err_and(|error| error.message.contains("format")));
    }

    #[test]
    fn an_invalid_row_does_not_affect_the_others() {
        let rows = read("body,topics\na,b\nsecret,b,c\nd,e\n", &Reading::default());
        let error = rows[1].as_ref().expect_err("three cells");
        assert_eq!((&*error.place.to_string(), error.message.contains("secret")), ("a.csv:3", false));
        assert!(rows[2].is_ok());
        let error = read("a,b\n1,2\n", &Reading::default()).remove(0).expect_err("nothing to read");
        assert!(error.message.contains("the columns, separated by \",\", are a, b: give --columns"), "{error}");
        let narrow = Reading { columns: "body=3".parse().expect("a pair"), ..Reading::default() };
        assert!(read("a,b\n", &narrow)[0].as_ref().is_err_and(|error| error.message.contains("no column 3")));
        assert!(
            read("body,topics\n", &Reading::default())[0]
                .as_ref()
                .is_err_and(|error| error.message.contains("no article"))
        );
    }
}
