//! The gazetteer: place names and the places that each may mean.
//!
//! `data/generate.py` writes its table, `data/places.tsv`; NOTICE lists the sources.

use crate::text::{tokens, word_hash};
use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
    sync::LazyLock,
};

/// The kind of name that a term is for a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NameKind {
    /// A country's name: "Pakistan", "U.K.".
    Country,
    /// A part of a country that is a nation: "Scotland".
    Nation,
    /// A former state, with the code of its successor: "Soviet Union".
    Historic,
    /// An adjective or a people: "Pakistani", "Britons".
    Adjective,
    /// A capital.
    Capital,
    /// A capital whose name more often means something else: "Hamilton". Counts only if the neighbouring words mark it as a
    /// place.
    LesserCapital,
    /// A large city.
    City,
    /// A smaller town of the same name. Counts only if the rest of the article supports its country.
    Namesake,
    /// A town that only `data/towns.tsv` lists.
    Town,
    /// A state, province or well-known region of a country: "Ohio", "Bavaria".
    State,
    /// The abbreviation of a state in the press: "N.C.".
    Abbreviation,
    /// A subdivision whose name may also be a person's, another place's or a common word: "Mayo". Counts only if the
    /// neighbouring words mark it as a place.
    Part,
    /// A seat of power or an institution that stands for a country: "Kremlin".
    Seat,
    /// A part of the world: "West African". Its code is an M49 number, or `EU`.
    Region,
    /// A world body: "U.N.".
    Body,
    /// A phrase that contains the name of a place without meaning it: "Panama hat".
    Idiom,
}

impl NameKind {
    /// Whether this is the name of a town.
    pub fn is_town(self) -> bool {
        matches!(
            self,
            NameKind::Capital | NameKind::LesserCapital | NameKind::City | NameKind::Namesake | NameKind::Town
        )
    }

    /// Whether this is the name of a capital.
    pub fn is_capital(self) -> bool {
        matches!(self, NameKind::Capital | NameKind::LesserCapital)
    }

    /// Whether the name counts only if the neighbouring words mark it as a place.
    pub fn is_weak(self) -> bool {
        matches!(self, NameKind::Part | NameKind::LesserCapital)
    }

    fn parse(word: &str) -> Option<NameKind> {
        Some(match word {
            "country" => NameKind::Country,
            "nation" => NameKind::Nation,
            "historic" => NameKind::Historic,
            "adjective" => NameKind::Adjective,
            "capital" => NameKind::Capital,
            "lesser" => NameKind::LesserCapital,
            "city" => NameKind::City,
            "namesake" => NameKind::Namesake,
            "state" => NameKind::State,
            "abbreviation" => NameKind::Abbreviation,
            "part" => NameKind::Part,
            "seat" => NameKind::Seat,
            "region" => NameKind::Region,
            "body" => NameKind::Body,
            "idiom" => NameKind::Idiom,
            _ => return None,
        })
    }
}

/// One possible meaning of a term.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Meaning {
    /// The code of the place in [`geography`](crate::geography).
    pub code: &'static str,
    /// The kind of name that the term is for the place.
    pub kind: NameKind,
    /// How often the term has this meaning, above 0 and at most 1; from populations, or set by hand. The shares of a term may
    /// sum to less than 1: the rest are uses that do not mean a place ("Jordan" as a given name).
    pub share: f32,
}

/// A term: its spelling and its possible meanings.
#[derive(Debug, Clone, PartialEq)]
pub struct Term {
    /// The spelling in normal case: "South Korea".
    pub surface: &'static str,
    /// At least one meaning, the likeliest first.
    pub meanings: Vec<Meaning>,
}

/// Passes hashes through unchanged: hashes of words are evenly distributed already.
#[derive(Default)]
struct IdentityHasher(u64);

impl Hasher for IdentityHasher {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }
    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

/// All terms, in a trie of words.
#[derive(Debug)]
pub struct Gazetteer {
    terms: Vec<Term>,
    /// Bit set over the low 16 bits of a word's hash: whether any term begins with such a word. Most words begin no term, and
    /// this 8 KB set, which fits into the nearest cache, rules them out.
    first_words: Vec<u64>,
    /// Maps a node and a word to the next node; see [`edge_key`].
    edges: HashMap<u64, u32, BuildHasherDefault<IdentityHasher>>,
    /// The terms that end at each node. Spellings that differ in case alone share a node.
    ends: Vec<Vec<u32>>,
}

/// The root node.
pub const ROOT: u32 = 0;

fn edge_key(node: u32, word: u64) -> u64 {
    word ^ u64::from(node).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

/// The gazetteer, read from its table on first use.
pub fn gazetteer() -> &'static Gazetteer {
    static GAZETTEER: LazyLock<Gazetteer> = LazyLock::new(|| Gazetteer::parse(include_str!("data/places.tsv")));
    &GAZETTEER
}

impl Gazetteer {
    fn parse(table: &'static str) -> Gazetteer {
        let mut terms: Vec<Term> = Vec::new();
        for line in table.lines().skip(1) {
            let mut columns = line.split('\t');
            let (Some(surface), Some(code), Some(kind), Some(share)) = (
                columns.next(),
                columns.next(),
                columns.next().and_then(NameKind::parse),
                columns.next().and_then(|s| s.parse().ok()),
            ) else {
                unreachable!("invalid line in places.tsv, which is compiled in and tested line by line: {line}");
            };
            let meaning = Meaning { code, kind, share };
            match terms.last_mut().filter(|last| last.surface == surface) {
                Some(term) => term.meanings.push(meaning),
                None => terms.push(Term { surface, meanings: vec![meaning] }),
            }
        }
        let mut gazetteer = Gazetteer {
            terms: Vec::new(),
            first_words: vec![0; 1 << 10],
            edges: HashMap::default(),
            ends: vec![Vec::new()],
        };
        let mut buffer = Vec::new();
        for (i, term) in terms.iter().enumerate() {
            let mut node = ROOT;
            for token in tokens(term.surface) {
                let word = word_hash(token.of(term.surface), token.shape, &mut buffer);
                if node == ROOT {
                    gazetteer.first_words[(word >> 6) as usize & 0x3FF] |= 1 << (word & 63);
                }
                let next = gazetteer.ends.len() as u32;
                node = *gazetteer.edges.entry(edge_key(node, word)).or_insert(next);
                if node == next {
                    gazetteer.ends.push(Vec::new());
                }
            }
            gazetteer.ends[node as usize].push(i as u32);
        }
        gazetteer.terms = terms;
        gazetteer
    }

    /// Whether a term may begin with a word. May be a false positive, never a false negative.
    #[inline]
    pub fn may_begin(&self, word: u64) -> bool {
        self.first_words[(word >> 6) as usize & 0x3FF] & (1 << (word & 63)) != 0
    }

    /// Follows the edge of a word from a node.
    #[inline]
    pub fn step(&self, node: u32, word: u64) -> Option<u32> {
        self.edges.get(&edge_key(node, word)).copied()
    }

    /// The numbers of the terms that end at a node.
    pub fn ends_at(&self, node: u32) -> impl Iterator<Item = u32> + '_ {
        self.ends[node as usize].iter().copied()
    }

    /// The term of a number.
    pub fn term(&self, term: u32) -> &Term {
        &self.terms[term as usize]
    }

    /// The terms that are spelt `name`, ignoring case.
    pub fn lookup(&self, name: &str) -> impl Iterator<Item = &Term> + '_ {
        let mut buffer = Vec::new();
        let node = tokens(name)
            .try_fold(ROOT, |node, token| self.step(node, word_hash(token.of(name), token.shape, &mut buffer)));
        node.into_iter().flat_map(|node| self.ends_at(node)).map(|term| self.term(term))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geography;

    #[test]
    fn every_line_of_the_table_is_valid() {
        let gazetteer = gazetteer();
        assert!(gazetteer.terms.len() > 3_000);
        for term in &gazetteer.terms {
            assert!(gazetteer.lookup(term.surface).any(|found| found == term), "{}", term.surface);
            let place = term.meanings.iter().filter(|meaning| meaning.kind != NameKind::Namesake);
            let shares: f32 = place.map(|meaning| meaning.share).sum();
            assert!(shares > 0.0 && shares < 1.06, "{}: {shares}", term.surface);
            for meaning in &term.meanings {
                assert!(geography::place(meaning.code).is_some(), "{}: {}", term.surface, meaning.code);
            }
        }
    }

    #[test]
    fn all_names_of_a_place_resolve_to_it() {
        let first = |name: &str| {
            let gazetteer = gazetteer();
            let term = gazetteer.terms.iter().find(|term| term.surface == name).expect(name);
            term.meanings[0].code
        };
        for (name, code) in [
            ("Pakistan", "PK"),
            ("Pakistani", "PK"),
            ("Islamabad", "PK"),
            ("U.S.", "US"),
            ("N.C.", "US"),
            ("Kremlin", "RU"),
            ("Guinea-Bissau", "GW"),
            ("Soviet Union", "RU"),
            ("West African", "011"),
        ] {
            assert_eq!(first(name), code, "{name}");
        }
        let mut meanings = gazetteer().lookup("Reading").flat_map(|term| &term.meanings);
        assert!(meanings.all(|one| one.kind.is_weak()), "a word in most texts");
    }
}
