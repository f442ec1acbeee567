//! Place names and what they may mean. The table is `data/places.tsv`; `data/generate.py` makes it, NOTICE says from what.

use crate::text::{tokens, word_hash};
use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
    sync::LazyLock,
};

/// What kind of name a term is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A country's name: "Pakistan", "U.K.".
    Country,
    /// A part of a country that is a nation: "Scotland".
    Nation,
    /// A state that is no more, under the code of what it is now: "Soviet Union".
    Historic,
    /// Adjective or people: "Pakistani", "Britons".
    Adjective,
    /// A capital.
    Capital,
    /// A capital whose name more often means something else: "Hamilton". Means nothing unless the words beside it make it a
    /// place.
    LesserCapital,
    /// A large city.
    City,
    /// A smaller town of the same name: means nothing unless the rest of the article speaks for its country.
    Namesake,
    /// A town that only `data/towns.tsv` lists.
    Town,
    /// A state, province or well-known region of a country: "Ohio", "Bavaria".
    State,
    /// Its abbreviation in the press: "N.C.".
    Abbreviation,
    /// A subdivision whose name may be a person's, another place's or a common word: "Mayo". Means nothing unless the words
    /// beside it make it a place.
    Part,
    /// A seat of power or institution that stands for a country: "Kremlin".
    Seat,
    /// A part of the world: "West African". Its code is an M49 number, or `EU`.
    Region,
    /// A body of the world: "U.N.".
    Body,
    /// No place, though the name of one is in it: "Panama hat".
    Idiom,
}

impl Kind {
    /// Whether it is the name of a town.
    pub fn is_town(self) -> bool {
        matches!(self, Kind::Capital | Kind::LesserCapital | Kind::City | Kind::Namesake | Kind::Town)
    }

    /// Whether it is a capital's.
    pub fn is_capital(self) -> bool {
        matches!(self, Kind::Capital | Kind::LesserCapital)
    }

    /// Whether it means nothing unless the words beside it make it a place.
    pub fn is_weak(self) -> bool {
        matches!(self, Kind::Part | Kind::LesserCapital)
    }

    fn parse(word: &str) -> Option<Kind> {
        Some(match word {
            "country" => Kind::Country,
            "nation" => Kind::Nation,
            "historic" => Kind::Historic,
            "adjective" => Kind::Adjective,
            "capital" => Kind::Capital,
            "lesser" => Kind::LesserCapital,
            "city" => Kind::City,
            "namesake" => Kind::Namesake,
            "state" => Kind::State,
            "abbreviation" => Kind::Abbreviation,
            "part" => Kind::Part,
            "seat" => Kind::Seat,
            "region" => Kind::Region,
            "body" => Kind::Body,
            "idiom" => Kind::Idiom,
            _ => return None,
        })
    }
}

/// One of the things that a term may mean.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Meaning {
    /// The place, as a code of the [`geography`](crate::geography).
    pub code: &'static str,
    /// What kind of name the term is for it.
    pub kind: Kind,
    /// How often the term means this, above 0 up to 1, from populations or by hand. Shares of a term may sum to less than
    /// 1: the rest is no place ("Jordan" the given name).
    pub share: f32,
}

/// A term: how it is written, and what it may mean.
#[derive(Debug, Clone, PartialEq)]
pub struct Term {
    /// In normal case: "South Korea".
    pub surface: &'static str,
    /// At least one, the likeliest first.
    pub meanings: Vec<Meaning>,
}

/// Hashes of words are evenly spread already.
#[derive(Default)]
struct Identity(u64);

impl Hasher for Identity {
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

/// All terms, as a tree of words.
#[derive(Debug)]
pub struct Gazetteer {
    terms: Vec<Term>,
    /// Whether any term begins with a word whose hash ends in these sixteen bits. Most words of a text begin none, and
    /// this tells without leaving the nearest cache.
    begins: Vec<u64>,
    /// From a node and a word to the next node; see [`key`].
    edges: HashMap<u64, u32, BuildHasherDefault<Identity>>,
    /// The terms that end at each node: spellings that differ in case alone share one.
    ends: Vec<Vec<u32>>,
}

/// The first node.
pub const ROOT: u32 = 0;

fn key(node: u32, word: u64) -> u64 {
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
                columns.next().and_then(Kind::parse),
                columns.next().and_then(|s| s.parse().ok()),
            ) else {
                unreachable!("places.tsv is part of the program, and a test reads every line of it: {line}");
            };
            let meaning = Meaning { code, kind, share };
            match terms.last_mut().filter(|last| last.surface == surface) {
                Some(term) => term.meanings.push(meaning),
                None => terms.push(Term { surface, meanings: vec![meaning] }),
            }
        }
        let mut gazetteer = Gazetteer {
            terms: Vec::new(),
            begins: vec![0; 1 << 10],
            edges: HashMap::default(),
            ends: vec![Vec::new()],
        };
        let mut buffer = Vec::new();
        for (i, term) in terms.iter().enumerate() {
            let mut node = ROOT;
            for token in tokens(term.surface) {
                let word = word_hash(token.of(term.surface), token.shape, &mut buffer);
                if node == ROOT {
                    gazetteer.begins[(word >> 6) as usize & 0x3FF] |= 1 << (word & 63);
                }
                let next = gazetteer.ends.len() as u32;
                node = *gazetteer.edges.entry(key(node, word)).or_insert(next);
                if node == next {
                    gazetteer.ends.push(Vec::new());
                }
            }
            gazetteer.ends[node as usize].push(i as u32);
        }
        gazetteer.terms = terms;
        gazetteer
    }

    /// Whether a term may begin with a word; `false` is certain.
    #[inline]
    pub fn may_begin(&self, word: u64) -> bool {
        self.begins[(word >> 6) as usize & 0x3FF] & (1 << (word & 63)) != 0
    }

    /// The node that a word leads to.
    #[inline]
    pub fn step(&self, node: u32, word: u64) -> Option<u32> {
        self.edges.get(&key(node, word)).copied()
    }

    /// The terms that end at a node.
    pub fn ends_at(&self, node: u32) -> impl Iterator<Item = u32> + '_ {
        self.ends[node as usize].iter().copied()
    }

    /// A term by its number.
    pub fn term(&self, term: u32) -> &Term {
        &self.terms[term as usize]
    }

    /// The terms that `name` is, in any case; none where it is no term.
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
    fn every_line_of_the_table_makes_sense() {
        let gazetteer = gazetteer();
        assert!(gazetteer.terms.len() > 3_000);
        for term in &gazetteer.terms {
            assert!(gazetteer.lookup(term.surface).any(|found| found == term), "{}", term.surface);
            let place = term.meanings.iter().filter(|meaning| meaning.kind != Kind::Namesake);
            let shares: f32 = place.map(|meaning| meaning.share).sum();
            assert!(shares > 0.0 && shares < 1.06, "{}: {shares}", term.surface);
            for meaning in &term.meanings {
                assert!(geography::place(meaning.code).is_some(), "{}: {}", term.surface, meaning.code);
            }
        }
    }

    #[test]
    fn names_of_one_place_lead_to_it() {
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
