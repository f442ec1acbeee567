//! The place of an article in a file: for errors, for reports, and as the id of an article without one.

use serde::{Serialize, Serializer};
use std::{fmt, path::Path, sync::Arc};

/// Where an article was read: a file, or a part of it. It is displayed, and serialised, as text such as `archive.jsonl:17`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Place {
    file: Arc<str>,
    part: Part,
}

/// A part of a file. Numbers begin at 1.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
enum Part {
    #[default]
    Whole,
    Line(u64),
    Column {
        line: u64,
        column: u64,
    },
    Item(u64),
    ItemOfDocument {
        document: u64,
        item: u64,
    },
}

impl Place {
    /// A whole file, by the name that errors have it by: see [`Source::name`](super::Source::name).
    pub fn of_file(name: impl Into<Arc<str>>) -> Self {
        Place { file: name.into(), part: Part::Whole }
    }

    /// A line of this file, from 1.
    pub fn at_line(&self, line: u64) -> Self {
        self.with(Part::Line(line))
    }

    /// A column, in bytes, of a line of this file, both from 1.
    pub fn at_column(&self, line: u64, column: u64) -> Self {
        self.with(Part::Column { line, column })
    }

    /// An entry, document or item of this file, from 1; or, if this is a document of a file, an item of the document.
    pub fn at_item(&self, item: u64) -> Self {
        match self.part {
            Part::Item(document) => self.with(Part::ItemOfDocument { document, item }),
            _ => self.with(Part::Item(item)),
        }
    }

    /// The name of the file.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The path of the file.
    pub fn path(&self) -> &Path {
        Path::new(&*self.file)
    }

    /// Whether this is the file as a whole, not a part of it.
    pub fn is_whole_file(&self) -> bool {
        self.part == Part::Whole
    }

    fn with(&self, part: Part) -> Self {
        Place { file: self.file.clone(), part }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.file)?;
        match self.part {
            Part::Whole => Ok(()),
            Part::Line(number) | Part::Item(number) => write!(formatter, ":{number}"),
            Part::Column { line: outer, column: inner } | Part::ItemOfDocument { document: outer, item: inner } => {
                write!(formatter, ":{outer}:{inner}")
            }
        }
    }
}

impl Serialize for Place {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_displayed_with_colons() {
        let file = Place::of_file("a:1.xml");
        let text = |place: Place| place.to_string();
        assert_eq!(text(file.clone()), "a:1.xml");
        assert_eq!(text(file.at_line(17)), "a:1.xml:17");
        assert_eq!(text(file.at_column(17, 4)), "a:1.xml:17:4");
        assert_eq!(text(file.at_item(2)), "a:1.xml:2");
        assert_eq!(text(file.at_item(2).at_item(3)), "a:1.xml:2:3");
        assert_eq!(serde_json::to_string(&file.at_line(17)).expect("JSON"), "\"a:1.xml:17\"");
    }

    #[test]
    fn the_file_of_a_place_is_known() {
        let file = Place::of_file("archive:2024");
        assert!(file.is_whole_file() && !file.at_line(1).is_whole_file());
        assert_eq!(file.at_column(1, 9).file(), "archive:2024");
        assert_eq!(file.at_line(1).path(), Path::new("archive:2024"));
    }
}
