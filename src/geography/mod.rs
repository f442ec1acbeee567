//! Countries and regions of the world: ISO 3166-1 codes in the UN M49 tree, from the table `m49.tsv`.

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock},
};

/// What the gazetteer knows about a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    /// The name of a city, possibly among other places.
    City,
    /// The name of another place.
    Place,
    /// A town that only lists of towns contain; many such names are also those of people or things.
    Listed,
    /// Not a known name.
    Nothing,
}

/// A country or region of the M49 tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// ISO 3166-1 alpha-2 for a country, the M49 number for a region; `EU` and `UN` for these organisations.
    pub code: Arc<str>,
    /// The English name.
    pub name: Arc<str>,
    /// The codes from this place up to the world (`001`), both included.
    pub path: Vec<Arc<str>>,
}

static TREE: LazyLock<HashMap<&'static str, Place>> = LazyLock::new(|| {
    let rows: HashMap<&str, (&str, &str)> = include_str!("m49.tsv")
        .lines()
        .skip(1)
        .filter_map(|line| {
            let mut columns = line.split('\t');
            Some((columns.next()?, (columns.next()?, columns.next()?)))
        })
        .collect();
    rows.iter()
        .map(|(code, (name, _))| {
            let path = std::iter::successors(Some(*code), |code| {
                rows.get(code).map(|row| row.1).filter(|parent| *parent != "-")
            });
            let place = Place { code: Arc::from(*code), name: Arc::from(*name), path: path.map(Arc::from).collect() };
            (*code, place)
        })
        .collect()
});

/// Codes of two letters by codes of three, both of ISO 3166-1.
static ALPHA3: LazyLock<HashMap<&'static str, &'static str>> =
    LazyLock::new(|| include_str!("iso3.tsv").lines().skip(1).filter_map(|line| line.split_once('\t')).collect());

/// The code of the European Union, exceptionally reserved in ISO 3166-1.
pub const EUROPEAN_UNION: &str = "EU";

/// The place with this code; `None` if unknown.
pub fn place(code: &str) -> Option<&'static Place> {
    TREE.get(code)
}

/// The country with this ISO 3166-1 alpha-2 code (or `XK` for Kosovo), case-insensitive; `None` if unknown.
pub fn country(code: &str) -> Option<&'static Place> {
    let code = code.trim().to_ascii_uppercase();
    place(&code).filter(|place| is_country(&place.code))
}

/// The country with this ISO 3166-1 alpha-3 code (or `XKX` for Kosovo), case-insensitive; `None` if unknown.
pub fn country_by_alpha3(code: &str) -> Option<&'static Place> {
    ALPHA3.get(&*code.trim().to_ascii_uppercase()).and_then(|code| place(code))
}

/// Whether a code of the tree belongs to a country.
pub fn is_country(code: &str) -> bool {
    code.len() == 2 && !matches!(code, "EU" | "UN")
}

/// Whether an article can be about the place with this code: a country or the European Union.
pub fn is_subject(code: &str) -> bool {
    is_country(code) || code == EUROPEAN_UNION
}

/// The place with this code, case-insensitive, if an article can be about it; see [`is_subject`].
pub fn subject(code: &str) -> Option<&'static Place> {
    place(&code.trim().to_ascii_uppercase()).filter(|place| is_subject(&place.code))
}

/// The places that an article can be about, by name; see [`is_subject`].
pub fn all_subjects() -> Vec<&'static Place> {
    let mut places: Vec<&Place> = TREE.values().filter(|place| is_subject(&place.code)).collect();
    places.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    places
}

/// The number of places that an article can be about; see [`is_subject`].
pub fn subjects() -> usize {
    TREE.keys().filter(|code| is_subject(code)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_leads_from_a_country_to_the_world() {
        assert_eq!(subjects(), 251, "249 of ISO 3166-1, Kosovo, and the European Union");
        assert_eq!(ALPHA3.len(), 250);
        assert!(ALPHA3.values().all(|code| country(code).is_some()));
        for place in TREE.values() {
            assert_eq!(place.path.first(), Some(&place.code));
            assert_eq!(place.path.last().map(|code| &**code), Some("001"), "{}", place.code);
        }
        let path: Vec<&str> = place("PK").expect("a known code").path.iter().map(|code| &**code).collect();
        assert_eq!(path, ["PK", "034", "142", "001"]);
    }

    #[test]
    fn countries_are_distinguished_from_regions() {
        assert_eq!(country(" ke ").map(|place| &*place.name), Some("Kenya"));
        for code in ["EU", "UN", "034", "ZZ", ""] {
            assert!(country(code).is_none(), "{code}");
        }
        assert!(subject("eu").is_some() && subject("KE").is_some() && subject("UN").is_none());
    }
}
