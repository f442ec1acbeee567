//! The training format of fastText: one article per line, after its labels, each with the prefix `__label__`.

use super::{InputError, MAX_OBJECT_BYTES, Place, Reading, Record, source::explain_interruption};
use crate::article::Article;
use std::io::{BufRead, Read};

/// The prefix of a label.
pub const PREFIX: &str = "__label__";

/// The lines of a file.
pub struct Lines {
    reader: Box<dyn BufRead>,
    file: Place,
    reading: Reading,
    line: u64,
    ended: bool,
}

impl Lines {
    /// Reads no line yet.
    ///
    /// # Errors
    /// If line breaks are not single bytes in the encoding.
    pub fn new(reader: Box<dyn BufRead>, file: &Place, reading: &Reading) -> Result<Self, InputError> {
        reading.check_ascii_compatible().map_err(|message| InputError::new(file, message))?;
        Ok(Lines { reader, file: file.clone(), reading: reading.clone(), line: 0, ended: false })
    }

    /// The next line with something in it; `None` at the end.
    fn next_line(&mut self) -> Result<Option<Vec<u8>>, InputError> {
        loop {
            let mut bytes = Vec::new();
            self.line += 1;
            let place = self.file.at_line(self.line);
            let broken = |message| InputError { place: place.clone(), message, cut_off: true };
            let mut limited = (&mut self.reader).take(MAX_OBJECT_BYTES as u64 + 1);
            limited.read_until(b'\n', &mut bytes).map_err(|error| broken(explain_interruption(&error)))?;
            match bytes.len() {
                0 => return Ok(None),
                length if length > MAX_OBJECT_BYTES => {
                    return Err(broken(format!("the line is longer than {} MiB", MAX_OBJECT_BYTES >> 20)));
                }
                _ if bytes.trim_ascii().is_empty() => {}
                _ => return Ok(Some(bytes)),
            }
        }
    }

    fn record(&self, line: Vec<u8>) -> Result<Record, InputError> {
        let place = self.file.at_line(self.line);
        let text = self.reading.text(line).map_err(|message| InputError::new(&place, message))?;
        let mut rest = text.trim();
        let mut topics = Vec::new();
        while let Some(labelled) = rest.strip_prefix(PREFIX) {
            let (label, after) = labelled.split_once(char::is_whitespace).unwrap_or((labelled, ""));
            topics.push(label.to_owned());
            rest = after.trim_start();
        }
        let article = Article { id: place.to_string(), body: rest.to_owned(), ..Article::default() };
        Ok(Record { article, topics, place, ..Record::default() })
    }
}

impl Iterator for Lines {
    type Item = Result<Record, InputError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        match self.next_line() {
            Ok(Some(line)) => Some(self.record(line)),
            Ok(None) => {
                self.ended = true;
                None
            }
            Err(error) => {
                self.ended = true;
                Some(Err(error))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_have_labels_and_a_text() {
        let text = "__label__sport __label__law  He won .\r\n\n__label__arts\tShe sang .\nno label\n";
        let lines =
            Lines::new(Box::new(text.as_bytes()), &Place::of_file("a.txt"), &Reading::default()).expect("UTF-8");
        let records: Vec<Record> = lines.collect::<Result<_, _>>().expect("all can be read");
        let labels: Vec<_> = records.iter().map(|record| record.topics.join(" ")).collect();
        let texts: Vec<_> = records.iter().map(|record| &*record.article.body).collect();
        assert_eq!(labels, ["sport law", "arts", ""]);
        assert_eq!(texts, ["He won .", "She sang .", "no label"]);
        assert_eq!((&*records[1].place.to_string(), &*records[1].article.id), ("a.txt:3", "a.txt:3"));
    }
}
