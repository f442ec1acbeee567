//! Looks up towns, most of them small: the countries that have a town of a name, and whether a subdivision contains it.
//!
//! `data/generate.py` writes the tables, `data/towns.tsv` and `data/held.tsv`. They are binary-searched as text; only the
//! starts of their lines are kept in memory.

use crate::geography;
use std::sync::LazyLock;
use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};
use xxhash_rust::xxh3::xxh3_64;

/// A country that has towns of a name.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Town {
    /// ISO 3166-1 alpha-2.
    pub country: &'static str,
    /// The country's share of the population of all towns of the name, from 0 to 1.
    pub share: f32,
}

static TOWNS: LazyLock<Table> = LazyLock::new(|| Table::new(include_str!("data/towns.tsv")));
static CONTAINED: LazyLock<Table> = LazyLock::new(|| Table::new(include_str!("data/held.tsv")));

/// A name as the tables spell it: lower-case ASCII letters and digits, each run of other characters replaced by a space.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TownName(String);

impl TownName {
    /// Normalises a name as a text spells it.
    pub fn of(name: &str) -> Self {
        let mut normalised = String::with_capacity(name.len());
        let rest = ["Saint ", "SAINT ", "St ", "ST "].iter().find_map(|saint| name.strip_prefix(saint));
        let (begin, name) = rest.map_or(("", name), |rest| ("st ", rest));
        normalised.push_str(begin);
        let mut push = |c: char| match c {
            'a'..='z' | '0'..='9' => normalised.push(c),
            'A'..='Z' => normalised.push(c.to_ascii_lowercase()),
            _ => match to_ascii(c) {
                Some(letters) => normalised.push_str(letters),
                None if normalised.ends_with(' ') || normalised.is_empty() => {}
                None => normalised.push(' '),
            },
        };
        match name.is_ascii() {
            true => name.chars().for_each(&mut push),
            false => name.nfkd().filter(|c| !is_combining_mark(*c)).for_each(&mut push),
        }
        normalised.truncate(normalised.trim_end().len());
        TownName(normalised)
    }

    /// A hash of the name.
    pub fn hash(&self) -> u64 {
        xxh3_64(self.0.as_bytes())
    }

    /// The countries that have a town of this name, by population, largest first.
    pub fn towns(&self) -> impl Iterator<Item = Town> + use<> {
        let codes = TOWNS.find(&self.0).next().unwrap_or("");
        let step = if codes.len() == 2 { 2 } else { 3 };
        (0..codes.len() / step).filter_map(move |i| {
            let entry = codes.get(i * step..(i + 1) * step)?;
            let country = geography::place(entry.get(..2)?)?;
            let tenths = entry.get(2..).and_then(|tenths| tenths.parse().ok()).unwrap_or(9.5_f32);
            Some(Town { country: &country.code, share: (tenths + 0.5) / 10.0 })
        })
    }

    /// Whether a country has a town of this name.
    pub fn is_in(&self, country: &str) -> bool {
        self.towns().any(|town| town.country == country)
    }

    /// Whether the subdivision of this name in a country contains a town. `None` if the table lacks the subdivision: it lists
    /// only those whose name also means something else.
    pub fn contains(&self, country: &str, town: &TownName) -> Option<bool> {
        let row = CONTAINED.find(&self.0).find(|row| row.starts_with(country))?;
        Some(!town.0.is_empty() && row.contains(&format!("|{}|", town.0)))
    }
}

/// The ASCII form of a letter that Unicode does not decompose.
fn to_ascii(letter: char) -> Option<&'static str> {
    Some(match letter {
        'ß' => "ss",
        'æ' | 'Æ' => "ae",
        'œ' | 'Œ' => "oe",
        'ø' | 'Ø' => "o",
        'ł' | 'Ł' => "l",
        'đ' | 'Đ' | 'ð' | 'Ð' => "d",
        'þ' | 'Þ' => "th",
        'ħ' | 'Ħ' => "h",
        'ı' => "i",
        'ə' | 'Ə' => "e",
        'ŋ' => "ng",
        _ => return None,
    })
}

/// A table of lines, each with a key, a tab and a value. After a header, they are sorted by key.
struct Table {
    text: &'static str,
    /// The offset of each line after the header.
    lines: Vec<u32>,
}

impl Table {
    fn new(text: &'static str) -> Self {
        let ends = memchr::memchr_iter(b'\n', text.as_bytes()).map(|end| end as u32 + 1);
        Table { text, lines: ends.filter(|line| (*line as usize) < text.len()).collect() }
    }

    /// The values of a key.
    fn find(&self, key: &str) -> impl Iterator<Item = &'static str> + use<> {
        let text = self.text;
        let key = format!("{key}\t");
        // Keys have no character below the tab, so that lines are also sorted by key and tab.
        let is_before = |line: &u32| {
            let begin = &text.as_bytes()[*line as usize..];
            begin[..begin.len().min(key.len())] < *key.as_bytes()
        };
        let first = self.lines.partition_point(is_before);
        let rest = self.lines.get(first).map_or("", |line| &text[*line as usize..]);
        rest.lines().map_while(move |line| line.strip_prefix(key.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn countries(name: &str) -> Vec<&'static str> {
        TownName::of(name).towns().map(|town| town.country).collect()
    }

    #[test]
    fn names_are_found_in_any_spelling() {
        assert_eq!(countries("Attleborough"), ["GB"]);
        assert_eq!(countries("ATTLEBOROUGH"), ["GB"]);
        assert!(countries("St. John's").contains(&"CA") && countries("SAINT JOHN’S").contains(&"CA"));
        assert_eq!(countries("Łódź"), countries("Lodz"));
        assert!(countries("Rome").contains(&"US"));
        assert_eq!(countries("Nowhere-upon-Nothing"), [""; 0]);
        for name in ["", "key", "\t", "é", "|", "zzzzz", "a"] {
            countries(name);
        }
    }

    #[test]
    fn the_tables_are_sorted_and_ascii() {
        for table in [&TOWNS, &CONTAINED] {
            let keys: Vec<&str> = table.text.lines().skip(1).filter_map(|line| line.split('\t').next()).collect();
            assert!(keys.is_sorted());
            assert!(table.text.is_ascii() && keys.iter().all(|key| key.bytes().all(|byte| byte >= b' ')));
        }
        for line in TOWNS.text.lines().skip(1) {
            let (name, codes) = line.split_once('\t').expect("two columns");
            let towns: Vec<Town> = TownName(name.to_owned()).towns().collect();
            assert_eq!(towns.len(), codes.len().div_ceil(3), "{line}");
        }
    }

    #[test]
    fn subdivisions_contain_their_towns() {
        let contains = |subdivision: &str, country: &str, town: &str| {
            TownName::of(subdivision).contains(country, &TownName::of(town))
        };
        assert_eq!(contains("New York", "US", "Cuba"), Some(true));
        assert_eq!(contains("Washington", "US", "Moscow"), Some(false));
        assert_eq!(contains("Georgia", "US", "Rome"), Some(true));
        assert_eq!(contains("Ohio", "US", "Lima"), None, "the name has no other meaning");
    }
}
