//! Splits JSON files into objects: JSON Lines, pretty-printed objects, and arrays of objects, in any mixture.
//!
//! This module finds the bytes of each object, which are then parsed as a row or an item. An invalid object thus affects only
//! itself and the rest of its line.

use super::{InputError, Place, Reading, Record, row::read_object, source::explain_interruption};
use std::io::BufRead;

/// The largest object, in bytes (16 MiB). A larger one is an error, and reading continues after it.
pub const MAX_OBJECT_BYTES: usize = 16 << 20;

/// The records of a JSON file, one for each object.
pub struct Objects<R> {
    reader: R,
    file: Place,
    reading: Reading,
    /// The current line, from 1.
    line: u64,
    /// The number of bytes that are read of this line.
    column: u64,
    /// The number of objects that begin on this line.
    on_line: u64,
    in_array: bool,
    /// Whether only white space and brackets are read so far.
    is_empty: bool,
    ended: bool,
}

/// Why an object is incomplete.
enum Incomplete {
    /// Its last line, or the file, ends within it.
    CutOff,
    /// Another object begins on a new line.
    Interrupted,
    TooLarge,
    Io(String),
}

impl<R: BufRead> Objects<R> {
    /// # Errors
    /// If braces and line breaks are not single bytes in the encoding.
    pub fn new(reader: R, file: &Place, reading: &Reading) -> Result<Self, InputError> {
        reading.check_ascii_compatible().map_err(|message| InputError::new(file, message))?;
        let (file, reading) = (file.clone(), reading.clone());
        let (line, column, on_line) = (1, 0, 0);
        Ok(Objects { reader, file, reading, line, column, on_line, in_array: false, is_empty: true, ended: false })
    }

    fn peek(&mut self) -> Result<Option<u8>, String> {
        self.reader.fill_buf().map(|bytes| bytes.first().copied()).map_err(|error| explain_interruption(&error))
    }

    /// Consumes the byte that [`peek`](Self::peek) returns.
    fn consume(&mut self, byte: u8) {
        self.reader.consume(1);
        self.column += 1;
        if byte == b'\n' {
            (self.line, self.column, self.on_line) = (self.line + 1, 0, 0);
        }
    }

    /// The current place: the line, and the column too if an object began on the line already.
    fn place(&self) -> Place {
        match self.on_line {
            0 => self.file.at_line(self.line),
            _ => self.file.at_column(self.line, self.column + 1),
        }
    }

    fn skip_line(&mut self) -> Result<(), String> {
        while let Some(byte) = self.peek()? {
            self.consume(byte);
            if byte == b'\n' {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Skips an element of an array, up to the next comma or bracket outside strings, or to the end of the line.
    fn skip_element(&mut self) -> Result<(), String> {
        let (mut quoted, mut escaped) = (false, false);
        while let Some(byte) = self.peek()? {
            if byte == b'\n' || (!quoted && matches!(byte, b',' | b']')) {
                return Ok(());
            }
            (escaped, quoted) = (quoted && byte == b'\\' && !escaped, quoted ^ (byte == b'"' && !escaped));
            self.consume(byte);
        }
        Ok(())
    }

    /// Reads an object, from its opening to its closing brace, into a buffer.
    fn read_braces(&mut self, object: &mut Vec<u8>) -> Result<(), Incomplete> {
        let mut open: Vec<u8> = Vec::new();
        let (mut quoted, mut escaped, mut before, mut too_large) = (false, false, b' ', false);
        loop {
            let bytes = self.reader.fill_buf().map_err(|error| Incomplete::Io(explain_interruption(&error)))?;
            if bytes.is_empty() {
                return Err(if too_large { Incomplete::TooLarge } else { Incomplete::CutOff });
            }
            let (mut read, mut outcome) = (0, None);
            let (mut line, mut column) = (self.line, self.column);
            for byte in bytes {
                // A brace at the beginning of a line begins a new object, unless an array or a field expects one.
                let is_expected = before == b':' || (open.last() == Some(&b'[') && matches!(before, b'[' | b','));
                if *byte == b'{' && !quoted && column == 0 && !open.is_empty() && !is_expected {
                    outcome = Some(Err(Incomplete::Interrupted));
                    break;
                }
                (read, column) = (read + 1, column + 1);
                if *byte == b'\n' {
                    (line, column) = (line + 1, 0);
                    if quoted {
                        outcome = Some(Err(Incomplete::CutOff));
                        break;
                    }
                } else if quoted {
                    (escaped, quoted) = (*byte == b'\\' && !escaped, *byte != b'"' || escaped);
                } else {
                    match byte {
                        b'"' => quoted = true,
                        b'{' | b'[' => open.push(*byte),
                        b'}' | b']' => drop(open.pop()),
                        _ => {}
                    }
                    if open.is_empty() {
                        outcome = Some(Ok(()));
                        break;
                    }
                }
                if !byte.is_ascii_whitespace() {
                    before = *byte;
                }
            }
            // An object that is too large is read to its end without being kept.
            if object.len() + read <= MAX_OBJECT_BYTES && !too_large {
                object.extend_from_slice(&bytes[..read]);
            } else {
                too_large = true;
            }
            self.reader.consume(read);
            if line > self.line {
                self.on_line = 0;
            }
            (self.line, self.column) = (line, column);
            match outcome {
                None => {}
                Some(_) if too_large => return Err(Incomplete::TooLarge),
                Some(outcome) => return outcome,
            }
        }
    }

    /// Reads the object at the current position, with its error if it is invalid.
    fn object(&mut self) -> Result<Record, InputError> {
        let (place, line) = (self.place(), self.line);
        self.on_line += 1;
        let mut object = Vec::new();
        let fault = |message: String| InputError::new(&place, message);
        let cut_off = || fault("the JSON object is cut off".to_owned());
        match self.read_braces(&mut object) {
            Ok(()) => match self.rest_of_line() {
                Ok(true) => read_object(&object, &self.reading, place),
                Ok(false) => Err(fault(format!("unexpected text after the JSON object of {} bytes", object.len()))),
                Err(message) => Err(fault(message)),
            },
            // The parser's error has the column.
            Err(Incomplete::CutOff | Incomplete::Interrupted)
                if self.line <= line + 1 && !object.trim_ascii().contains(&b'\n') =>
            {
                read_object(object.trim_ascii(), &self.reading, place.clone()).and(Err(cut_off()))
            }
            Err(Incomplete::Interrupted) => Err(cut_off()),
            Err(Incomplete::CutOff) => Err(InputError { cut_off: matches!(self.peek(), Ok(None)), ..cut_off() }),
            Err(Incomplete::TooLarge) => {
                let message = format!("the JSON object is larger than {} MiB", MAX_OBJECT_BYTES >> 20);
                // The object may have ended with its line.
                let rest = if self.column == 0 { Ok(true) } else { self.rest_of_line() };
                Err(fault(rest.err().unwrap_or(message)))
            }
            Err(Incomplete::Io(message)) => {
                self.ended = true;
                Err(InputError { cut_off: true, ..fault(message) })
            }
        }
    }

    /// Whether the line has nothing, or another object, after the object; other text is skipped.
    fn rest_of_line(&mut self) -> Result<bool, String> {
        while let Some(byte) = self.peek()? {
            match byte {
                b'\n' => break,
                b' ' | b'\t' | b'\r' => self.consume(byte),
                b'{' | b'[' => break,
                b',' | b']' if self.in_array => break,
                _ => return self.skip_line().map(|()| false),
            }
        }
        Ok(true)
    }

    /// Reads one object, or one byte between objects; `None` after such a byte.
    fn step(&mut self) -> Result<Option<Result<Record, InputError>>, String> {
        let Some(byte) = self.peek()? else {
            self.ended = true;
            let message = match (self.is_empty, self.in_array) {
                (true, _) => "no article found",
                (false, true) => "the JSON array is cut off",
                (false, false) => return Ok(None),
            };
            let cut_off = self.in_array;
            return Ok(Some(Err(InputError { cut_off, ..InputError::new(&self.file, message) })));
        };
        // The byte-order mark of UTF-8 may begin any line, if files were concatenated.
        if byte.is_ascii_whitespace() || (self.column < 3 && b"\xEF\xBB\xBF".contains(&byte)) {
            self.consume(byte);
            return Ok(None);
        }
        match byte {
            b'{' => {
                self.is_empty = false;
                Ok(Some(self.object()))
            }
            b'[' if !self.in_array => {
                self.consume(byte);
                self.in_array = true;
                Ok(None)
            }
            b',' | b']' if self.in_array => {
                self.consume(byte);
                self.in_array = byte == b',';
                Ok(None)
            }
            _ => {
                self.is_empty = false;
                let what = if self.in_array { "an element of the array" } else { "the line" };
                let message = format!("{what} is not a JSON object: it must begin with {{");
                let error = InputError::new(&self.place(), message);
                if self.in_array {
                    self.skip_element()?
                } else {
                    self.skip_line()?
                }
                Ok(Some(Err(error)))
            }
        }
    }
}

impl<R: BufRead> Iterator for Objects<R> {
    type Item = Result<Record, InputError>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.ended {
            match self.step() {
                Ok(None) => {}
                Ok(Some(record)) => return Some(record),
                Err(message) => {
                    self.ended = true;
                    return Some(Err(InputError { cut_off: true, ..InputError::new(&self.place(), message) }));
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{self, Read};

    /// The places and bodies of records, and the places and messages of errors.
    fn read(text: &str) -> Vec<String> {
        let objects = Objects::new(text.as_bytes(), &Place::of_file("a"), &Reading::default()).expect("UTF-8");
        objects
            .map(|record| match record {
                Ok(record) => format!("{} {}", record.place, record.article.body),
                Err(error) => format!("{} ! {}", error.place, error.message),
            })
            .collect()
    }

    #[test]
    fn lines_pretty_printed_objects_and_arrays_are_read() {
        assert_eq!(read("\u{FEFF}{\"body\": \"a\"}\r\n\n{\"body\": \"b\"}"), ["a:1 a", "a:3 b"]);
        assert_eq!(
            read("{ \"x\": [\n{\"y\": 1},\n{}\n],\n  \"body\": \"a\"\n}\n{\"body\": \"b\"}"),
            ["a:1 a", "a:7 b"]
        );
        assert_eq!(read("{\"x\":\n{},\"body\": \"}\\\"{\"}"), ["a:1 }\"{"]);
        assert_eq!(read("[{\"body\": \"a\"}, {\"body\": \"b\"}]"), ["a:1 a", "a:1:17 b"]);
        assert_eq!(
            read("[\n  {\"body\": \"a\"},\n  {\"body\": \"b\"}\n]\n{\"body\": \"c\"}"),
            ["a:2 a", "a:3 b", "a:5 c"]
        );
        assert_eq!(read("\u{FEFF}[]"), ["a ! no article found"]);
        assert_eq!(read("{\"body\": \"a\"}\n\u{FEFF}{\"body\": \"b\"}"), ["a:1 a", "a:2 b"]);
    }

    #[test]
    fn text_after_an_object_does_not_hide_the_next_one() {
        assert_eq!(read("{\"body\": \"a\"}{\"body\": \"b\"} {\"body\": \"c\"}\n"), ["a:1 a", "a:1:14 b", "a:1:28 c"]);
        let rubbish = read("{\"body\": \"a\"} {{{ rubbish\n{\"body\": \"b\"}");
        assert_eq!(rubbish.len(), 3, "{rubbish:?}");
        assert_eq!(rubbish[2], "a:2 b");
        let text = read("{\"body\": \"a\"} and more\n{\"body\": \"b\"}");
        assert_eq!(text, ["a:1 ! unexpected text after the JSON object of 13 bytes", "a:2 b"]);
    }

    #[test]
    fn an_invalid_object_does_not_affect_the_others() {
        let cut = read("{\"body\": \"secret\n{\"body\": \"b\"}\n");
        assert_eq!(cut, ["a:1 ! the JSON object is cut off at column 16", "a:2 b"]);
        let stray = read("{\n{\"body\": \"b\"}\n{\"body\": \"c\"}\n");
        assert_eq!(stray.len(), 3, "{stray:?}");
        assert_eq!(stray[1..], ["a:2 b", "a:3 c"]);
        let half = read("{\n  \"body\": \"a\",\n{\"body\": \"b\"}");
        assert_eq!(half, ["a:1 ! the JSON object is cut off", "a:3 b"]);
        assert_eq!(read("{\n\"body\": 1")[0], "a:1 ! the JSON object is cut off");
        let mixed = read("5\n[1, \"a,]\", {\"body\": \"a\"}]\n{\"body\": \"b\"}");
        assert_eq!(mixed.len(), 5, "{mixed:?}");
        assert_eq!((&*mixed[0], &*mixed[4]), ("a:1 ! the line is not a JSON object: it must begin with {", "a:3 b"));
        assert!(
            mixed[1].contains("an element of the array is not a JSON object") && mixed[3].ends_with(" a"),
            "{mixed:?}"
        );
        assert_eq!(read("[{\"body\": \"a\"},\n").last().map(String::as_str), Some("a ! the JSON array is cut off"));
        assert_eq!(read("")[0], "a ! no article found");
    }

    #[test]
    fn an_endless_line_is_not_kept_in_memory() {
        let long = io::repeat(b'x').take(3 * MAX_OBJECT_BYTES as u64).chain(&b"\n{\"body\": \"b\"}\n"[..]);
        let objects = Objects::new(io::BufReader::new(long), &Place::of_file("a"), &Reading::default());
        let rows: Vec<_> = objects.expect("UTF-8").collect();
        assert_eq!((rows.len(), rows[0].is_err(), rows[1].is_ok()), (2, true, true));
    }

    #[test]
    fn depth_and_size_are_bounded() {
        let deep = format!("{{\"x\": {}\n{{\"body\": \"b\"}}", "[".repeat(1 << 20));
        let rows = read(&deep);
        assert!(rows[0].starts_with("a:1 ! "), "{rows:?}");
        let long = format!("{{\"body\": \"{}\"}}\n{{\"body\": \"b\"}}", "x".repeat(MAX_OBJECT_BYTES));
        assert_eq!(read(&long), ["a:1 ! the JSON object is larger than 16 MiB", "a:2 b"]);
        let open = format!("{{\"body\": \"{}\n{{\"body\": \"b\"}}\n{{\"body\": \"c\"}}", "x".repeat(MAX_OBJECT_BYTES));
        assert_eq!(read(&open), ["a:1 ! the JSON object is larger than 16 MiB", "a:2 b", "a:3 c"]);
        let laid_out =
            format!("{{\n{}\"x\": {{\n}}}}\n{{\"body\": \"b\"}}", "\"x\": {},\n".repeat(MAX_OBJECT_BYTES / 8));
        assert_eq!(read(&laid_out).len(), 2);
    }
}
