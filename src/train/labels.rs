//! The map from an archive's own labels to codes (`--map`), and the comparison of labels.

use super::TrainError;
use crate::formats::{Place, as_utf8};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::{BufReader, Read},
    path::Path,
};
use unicode_normalization::UnicodeNormalization;

/// Codes by label.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LabelMap(BTreeMap<String, Vec<String>>);

impl LabelMap {
    /// Reads a CSV file with two cells per row, separated by commas, semicolons or tabs: a label of the archive, and its codes
    /// with `|` between. No code drops the label. A first row `section,code` and rows that begin with `#` are ignored.
    ///
    /// # Errors
    /// [`TrainError::Map`] if a row is invalid, or a label has two rows with different codes.
    pub fn read(path: &Path) -> Result<Self, TrainError> {
        let place = Place::of_file(path.display().to_string());
        let failed = |source| TrainError::Read { path: path.to_owned(), source };
        let file = BufReader::new(File::open(path).map_err(failed)?);
        let (mut reader, _) = as_utf8(Box::new(file), None).map_err(failed)?;
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).map_err(failed)?;
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .comment(Some(b'#'))
            .delimiter(delimiter(&bytes))
            .from_reader(&bytes[..]);
        let mut map = BTreeMap::new();
        for (i, row) in reader.records().enumerate() {
            let fault = |line: u64, reason: String| TrainError::Map { place: place.at_line(line), reason };
            let row = row.map_err(|error| {
                let line = error.position().map_or(0, csv::Position::line);
                fault(line, "the row is not valid CSV in UTF-8".to_owned())
            })?;
            let line = row.position().map_or(0, csv::Position::line);
            let cells: Vec<&str> = row.iter().map(str::trim).collect();
            let [label, codes] = cells[..] else {
                return Err(fault(line, format!("{} cells: write a label and its code", cells.len())));
            };
            if i == 0 && label.eq_ignore_ascii_case("section") {
                continue;
            }
            if label.is_empty() {
                return Err(fault(line, "the label is blank".to_owned()));
            }
            let codes: Vec<String> =
                codes.split('|').map(str::trim).filter(|code| !code.is_empty()).map(ToOwned::to_owned).collect();
            // An archive may spell one label in several ways.
            let before = map.insert(key(label), codes.clone());
            if before.is_some_and(|before| before != codes) {
                return Err(fault(line, format!("{label:?} has a row with another code already")));
            }
        }
        Ok(LabelMap(map))
    }

    /// The codes of a label, empty if it is dropped; `None` if the map lacks it.
    pub fn codes(&self, label: &str) -> Option<&[String]> {
        self.0.get(&key(label)).map(Vec::as_slice)
    }
}

/// The delimiter by which every row has two cells; a comma if none does.
fn delimiter(bytes: &[u8]) -> u8 {
    let has_two_cells = |delimiter: &u8| {
        let mut reader = csv::ReaderBuilder::new();
        reader.has_headers(false).flexible(true).comment(Some(b'#')).delimiter(*delimiter);
        reader.from_reader(bytes).byte_records().all(|row| row.is_ok_and(|row| row.len() == 2))
    };
    [b'\t', b',', b';'].into_iter().find(has_two_cells).unwrap_or(b',')
}

/// Labels are matched without regard to case.
fn key(label: &str) -> String {
    normalised_label(label).to_lowercase()
}

/// Normalises a label for comparison: NFC, trimmed, single blanks.
pub fn normalised_label(label: &str) -> String {
    let label: String = label.nfc().collect();
    label.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Pairs of labels that differ in case only.
pub fn alike<'r>(labels: impl Iterator<Item = &'r String>) -> Vec<[String; 2]> {
    let mut first: BTreeMap<String, &String> = BTreeMap::new();
    let mut alike = BTreeSet::new();
    for label in labels {
        let one = first.entry(label.to_lowercase()).or_insert(label);
        if *one != label {
            alike.insert([(*one).clone(), label.clone()]);
        }
    }
    alike.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<LabelMap, TrainError> {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), text).expect("it is written");
        LabelMap::read(file.path())
    }

    #[test]
    fn labels_have_codes_or_none() {
        let map = read("section,code\n# ours\nSport,medtop:15000000\n\"Law, crime\",a | b\nAdvert,\n").expect("a map");
        assert_eq!(map.codes(" SPORT "), Some(&["medtop:15000000".to_owned()][..]));
        assert_eq!(map.codes("law, crime").map(<[_]>::len), Some(2));
        assert_eq!(map.codes("advert"), Some(&[][..]));
        assert_eq!(map.codes("arts"), None);
        for other in ["\u{FEFF}Section;Code\r\nLaw, crime;a|b\r\n", "Law, crime\ta|b\n"] {
            let map = read(other).expect("a map");
            assert_eq!(map.codes("Law, crime").map(<[_]>::len), Some(2), "{other}");
        }
        for (wrong, line) in [("a,b,c\n", 1), ("a,b\nA,c\n", 2), (",b\n", 1), ("a\n", 1)] {
            let error = read(wrong).expect_err("it cannot be used").to_string();
            assert!(error.contains(&format!(":{line}: ")), "{error}");
        }
    }
}
