//! Where the rows of a table begin, and whether its last quote is closed: the reader of tables tells neither.

use std::collections::VecDeque;

/// How the cells of a table are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dialect {
    /// Between cells.
    pub delimiter: u8,
    /// Around cells that contain delimiters or line breaks; doubled inside them.
    pub quote: u8,
}

/// Follows the bytes of a table by the same grammar as its reader.
#[derive(Debug)]
pub struct RowTracker {
    dialect: Dialect,
    state: State,
    /// The number of the current line, from 1.
    line: u64,
    /// The first lines of rows that the reader has not returned yet.
    begun: VecDeque<u64>,
    /// The line of the last opening quote.
    quoted_since: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    BetweenRows,
    BeginOfCell,
    Cell,
    Quoted,
    /// After a quote in a quoted cell: it ends the cell, or is the first of two.
    QuoteInQuoted,
}

impl RowTracker {
    /// A tracker from line `line` on.
    pub fn new(dialect: Dialect, line: u64) -> Self {
        RowTracker { dialect, state: State::BetweenRows, line, begun: VecDeque::new(), quoted_since: line }
    }

    /// Follows further bytes.
    pub fn follow(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.state = self.next(*byte);
            self.line += u64::from(*byte == b'\n');
        }
    }

    fn next(&mut self, byte: u8) -> State {
        let Dialect { delimiter, quote } = self.dialect;
        let is_end = matches!(byte, b'\n' | b'\r');
        match self.state {
            State::BetweenRows if is_end => State::BetweenRows,
            State::Quoted if byte == quote => State::QuoteInQuoted,
            State::Quoted => State::Quoted,
            State::QuoteInQuoted if byte == quote => State::Quoted,
            State::BetweenRows | State::BeginOfCell | State::Cell | State::QuoteInQuoted => {
                if self.state == State::BetweenRows {
                    self.begun.push_back(self.line);
                }
                let opens = matches!(self.state, State::BetweenRows | State::BeginOfCell) && byte == quote;
                if opens {
                    self.quoted_since = self.line;
                    State::Quoted
                } else if byte == delimiter {
                    State::BeginOfCell
                } else if is_end {
                    State::BetweenRows
                } else {
                    State::Cell
                }
            }
        }
    }

    /// The first line of the next row that the reader returns.
    pub fn next_row(&mut self) -> u64 {
        self.begun.pop_front().unwrap_or(self.line)
    }

    /// The line of a quote that is open at the end of the bytes so far.
    pub fn open_quote(&self) -> Option<u64> {
        (self.state == State::Quoted).then_some(self.quoted_since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> (Vec<u64>, Option<u64>) {
        let mut tracker = RowTracker::new(Dialect { delimiter: b',', quote: b'"' }, 1);
        // In two parts, as a reader may deliver them.
        let (first, second) = text.as_bytes().split_at(text.len() / 2);
        tracker.follow(first);
        tracker.follow(second);
        (tracker.begun.iter().copied().collect(), tracker.open_quote())
    }

    #[test]
    fn rows_begin_where_the_reader_begins_them() {
        for text in [
            "a,b\nc,d\n",
            "a,b\r\nc,d\r\n\r\n\r\ne,f",
            "a,\"x\ny\"\"z\n\"\nc\"d,e\n\"f\"g\"\nh\"\n",
            "\n\na,\"b\"\r\n,\n\"\",\"\"\r\nx",
            "a\rb\r\rc",
        ] {
            let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
            let rows = reader.byte_records().count();
            assert_eq!(lines(text).0.len(), rows, "{text:?}");
            assert_eq!(lines(text).1, None, "{text:?}");
        }
        assert_eq!(lines("a,b\r\nc,d\r\n\r\n\r\ne,f").0, [1, 2, 5]);
        assert_eq!(lines("a,\"x\ny\"\nc").0, [1, 3]);
    }

    #[test]
    fn an_open_quote_is_known_by_its_line() {
        assert_eq!(lines("a,b\nc,\"d\ne,f\n"), (vec![1, 2], Some(2)));
        assert_eq!(lines("a,b\nc,\"d\ne,f\"").1, None, "the last byte closes it");
        assert_eq!(lines("c\"d\ne"), (vec![1, 2], None), "a quote within a cell is a character");
    }
}
