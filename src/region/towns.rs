//! Towns, most of them small: in which countries there is one of a name, and which subdivision holds one.
//!
//! The tables are `data/towns.tsv` and `data/held.tsv`, made by `data/generate.py`. They are searched as they stand, by
//! halves: nothing is read beforehand, and nothing held in memory.

use crate::geography;
use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};
use xxhash_rust::xxh3::xxh3_64;

/// A country with towns of a name.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Town {
    /// ISO 3166-1 alpha-2.
    pub country: &'static str,
    /// Of the people of all towns of the name, the share that lives there; 0 to 1.
    pub share: f32,
}

static TOWNS: &str = include_str!("data/towns.tsv");
static HELD: &str = include_str!("data/held.tsv");

/// A name as the tables have it: in small plain letters, each run of other characters a space.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TownName(String);

impl TownName {
    /// The name as a text spells it.
    pub fn of(name: &str) -> Self {
        let mut key = String::with_capacity(name.len());
        let rest = ["Saint ", "SAINT ", "St ", "ST "].iter().find_map(|saint| name.strip_prefix(saint));
        let (begin, name) = rest.map_or(("", name), |rest| ("st ", rest));
        key.push_str(begin);
        for c in name.nfkd().filter(|c| !is_combining_mark(*c)) {
            match c {
                'a'..='z' | '0'..='9' => key.push(c),
                'A'..='Z' => key.push(c.to_ascii_lowercase()),
                _ => match plain(c) {
                    Some(letters) => key.push_str(letters),
                    None if key.ends_with(' ') || key.is_empty() => {}
                    None => key.push(' '),
                },
            }
        }
        key.truncate(key.trim_end().len());
        TownName(key)
    }

    /// A hash of the name.
    pub fn hash(&self) -> u64 {
        xxh3_64(self.0.as_bytes())
    }

    /// The countries that have a town of this name, the one with most people first.
    pub fn towns(&self) -> impl Iterator<Item = Town> + use<> {
        let codes = find(TOWNS, &self.0).next().unwrap_or("");
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

    /// Whether the subdivision of a country that has this name holds a town; `None` if its towns are not known: only those
    /// are whose name also means something else.
    pub fn holds(&self, country: &str, town: &TownName) -> Option<bool> {
        let row = find(HELD, &self.0).find(|row| row.starts_with(country))?;
        Some(!town.0.is_empty() && row.contains(&format!("|{}|", town.0)))
    }
}

/// What letters that have no accent to lose are in plain ones.
fn plain(letter: char) -> Option<&'static str> {
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

/// What follows a key and a tab in each line that begins with both. Lines are ordered by their keys.
fn find(table: &'static str, key: &str) -> impl Iterator<Item = &'static str> + use<> {
    let key_of = |line: &'static str| line.split('\t').next().unwrap_or("");
    let line_at = |at: usize| {
        let begin = table[..at].rfind('\n').map_or(0, |end| end + 1);
        let end = table[at..].find('\n').map_or(table.len(), |end| at + end);
        (begin, end)
    };
    // Behind the header, which is in no order.
    let (mut low, mut high) = (table.find('\n').map_or(0, |end| end + 1), table.len());
    while low < high {
        let mut middle = low + (high - low) / 2;
        while !table.is_char_boundary(middle) {
            middle -= 1;
        }
        let (begin, end) = line_at(middle);
        if key_of(&table[begin..end]) < key {
            low = (end + 1).min(high);
        } else {
            high = begin;
        }
    }
    let key = key.to_owned();
    table[low..].lines().map_while(move |line| line.strip_prefix(key.as_str()).and_then(|rest| rest.strip_prefix('\t')))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn countries(name: &str) -> Vec<&'static str> {
        TownName::of(name).towns().map(|town| town.country).collect()
    }

    #[test]
    fn names_are_found_however_they_are_spelt() {
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
    fn the_tables_are_in_order() {
        for table in [TOWNS, HELD] {
            let keys: Vec<&str> = table.lines().skip(1).filter_map(|line| line.split('\t').next()).collect();
            assert!(keys.is_sorted());
            assert!(table.is_ascii());
        }
        for line in TOWNS.lines().skip(1) {
            let (name, codes) = line.split_once('\t').expect("two columns");
            let towns: Vec<Town> = TownName(name.to_owned()).towns().collect();
            assert_eq!(towns.len(), codes.len().div_ceil(3), "{line}");
        }
    }

    #[test]
    fn subdivisions_hold_their_towns() {
        let holds = |subdivision: &str, country: &str, town: &str| {
            TownName::of(subdivision).holds(country, &TownName::of(town))
        };
        assert_eq!(holds("New York", "US", "Cuba"), Some(true));
        assert_eq!(holds("Washington", "US", "Moscow"), Some(false));
        assert_eq!(holds("Georgia", "US", "Rome"), Some(true));
        assert_eq!(holds("Ohio", "US", "Lima"), None, "it is nothing else");
    }
}
