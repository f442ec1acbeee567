//! Countries and parts of the world: ISO 3166 in the UN M49 tree.

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock},
};

/// What is known of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    /// It may be a city.
    City,
    /// It is another place.
    Place,
    /// A town that only the lists of towns know: many are named like people or things.
    Listed,
    /// Nothing.
    Nothing,
}

/// A node of the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// ISO 3166-1 alpha-2 for a country, the M49 number for a region; `EU` and `UN` for those bodies.
    pub code: Arc<str>,
    /// The English name.
    pub name: Arc<str>,
    /// The codes from this place up to the world.
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
            let up = std::iter::successors(Some(*code), |code| {
                rows.get(code).map(|row| row.1).filter(|parent| *parent != "-")
            });
            let place = Place { code: Arc::from(*code), name: Arc::from(*name), path: up.map(Arc::from).collect() };
            (*code, place)
        })
        .collect()
});

/// The code of the European Union, which ISO 3166 reserves for it.
pub const EUROPEAN_UNION: &str = "EU";

/// The place with this code; `None` where there is none.
pub fn place(code: &str) -> Option<&'static Place> {
    TREE.get(code)
}

/// The country with this ISO 3166-1 alpha-2 code (or `XK`), in either case; `None` where there is none.
pub fn country(code: &str) -> Option<&'static Place> {
    let code = code.trim().to_ascii_uppercase();
    place(&code).filter(|place| is_country(&place.code))
}

/// Whether a code of this tree is a country's.
pub fn is_country(code: &str) -> bool {
    code.len() == 2 && !matches!(code, "EU" | "UN")
}

/// Whether articles may be about a place with this code: a country, or the European Union, which acts like one.
pub fn is_subject(code: &str) -> bool {
    is_country(code) || code == EUROPEAN_UNION
}

/// The place with this code, in either case, if articles may be about it; see [`is_subject`].
pub fn subject(code: &str) -> Option<&'static Place> {
    place(&code.trim().to_ascii_uppercase()).filter(|place| is_subject(&place.code))
}

/// The number of places that articles may be about.
pub fn subjects() -> usize {
    TREE.keys().filter(|code| is_subject(code)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_leads_from_a_country_to_the_world() {
        assert_eq!(subjects(), 251, "249 of ISO 3166-1, Kosovo, and the European Union");
        for place in TREE.values() {
            assert_eq!(place.path.first(), Some(&place.code));
            assert_eq!(place.path.last().map(|code| &**code), Some("001"), "{}", place.code);
        }
        let path: Vec<&str> = place("PK").expect("it is there").path.iter().map(|code| &**code).collect();
        assert_eq!(path, ["PK", "034", "142", "001"]);
    }

    #[test]
    fn countries_are_told_from_regions() {
        assert_eq!(country(" ke ").map(|place| &*place.name), Some("Kenya"));
        for code in ["EU", "UN", "034", "ZZ", ""] {
            assert!(country(code).is_none(), "{code}");
        }
        assert!(subject("eu").is_some() && subject("KE").is_some() && subject("UN").is_none());
    }
}
