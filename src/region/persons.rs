//! Names of places that are people's here: "Michael Jordan", "Israel Mendes, 34".

use super::{
    beside::Beside,
    gazetteer::{Kind, Meaning},
    mention_model::{Cue, cue_hash},
    mentions::Mention,
    reading::{Doubt, Reading, is_noun},
};
use crate::{article::Field, text::Shape};
use std::{
    borrow::Cow,
    cell::OnceCell,
    collections::{BTreeMap, BTreeSet, HashSet},
};

/// Below this sum of shares a term is often no place but a person's name ("Jordan").
const MAY_BE_A_PERSON: f32 = 0.97;
/// What is left of its shares where it is written like a given name ("Chad Smith", but also "Chad Basin").
const SHARE_OF_A_PERSON: f32 = 0.2;
/// Words with capitals before a place that make no family name of it.
const PLACED: [&str; 16] = [
    "Air", "Central", "Downtown", "East", "Eastern", "Greater", "Lake", "Lower", "Metro", "North", "Northern", "South",
    "Southern", "Team", "Upper", "West",
];
/// Words that begin sentences and are no given names.
const BEGINNINGS: [&str; 46] = [
    "A", "Across", "After", "Against", "All", "Although", "An", "And", "Around", "As", "At", "Because", "Before",
    "Both", "But", "By", "Can", "Did", "Does", "During", "For", "From", "Had", "Has", "If", "In", "Inside", "Into",
    "Is", "Like", "Near", "Neither", "Of", "On", "Outside", "Since", "The", "Then", "Through", "To", "Under", "Unlike",
    "When", "While", "Will", "With",
];

/// The names of a document that are people's.
pub struct Persons<'b> {
    beside: &'b Beside<'b>,
    /// Names that once stand behind a given name.
    family_names: BTreeSet<u32>,
    /// Names that once stand before a family name, with its hash.
    given_names: BTreeSet<(u32, u64)>,
    /// Those of them that a title, an age or the family name alone makes a person's.
    sure: BTreeSet<u32>,
    /// Names that once stand before what seems a family name, with the cue of that.
    likely: BTreeMap<u32, u64>,
    alone: OnceCell<HashSet<u64>>,
    twice: OnceCell<HashSet<[u64; 2]>>,
}

impl<'b> Persons<'b> {
    /// Nothing is known yet.
    pub fn new(beside: &'b Beside<'b>) -> Self {
        Persons {
            beside,
            family_names: BTreeSet::new(),
            given_names: BTreeSet::new(),
            sure: BTreeSet::new(),
            likely: BTreeMap::new(),
            alone: OnceCell::new(),
            twice: OnceCell::new(),
        }
    }

    /// Takes a name in.
    pub fn look_at(&mut self, mention: &Mention, meanings: &[Meaning]) {
        if mention.role != Field::Body {
            return;
        }
        let family_name = self.beside.name_behind(mention);
        if may_be_a_person(meanings) && family_name.is_none() && self.is_family_name(mention) {
            self.family_names.insert(mention.name);
        } else if let Some(next) = family_name {
            let is_sure = is_noun(meanings) && self.is_person(mention);
            if is_sure {
                self.sure.insert(mention.name);
            } else if is_noun(meanings) && self.seems_person(mention) {
                self.likely.insert(mention.name, cue_hash(Cue::Behind, next));
            }
            if is_sure || may_be_a_person(meanings) {
                self.given_names.insert((mention.name, next));
            }
        }
    }

    /// Leaves out the names of people, and lessens those that may be.
    pub fn leave_out(&self, readings: &mut [Reading]) {
        // A full name once, and nothing else that speaks for the place: all along it is a person.
        let mut names_of: BTreeMap<&str, BTreeSet<u32>> = BTreeMap::new();
        for reading in readings.iter() {
            for meaning in reading.meanings.iter() {
                names_of.entry(meaning.code).or_default().insert(reading.mention.name);
            }
        }
        let else_named = |reading: &Reading| {
            let names = reading.meanings.iter().filter_map(|meaning| names_of.get(meaning.code));
            names.flatten().any(|other| *other != reading.mention.name)
        };
        let given: BTreeSet<u32> =
            self.given_names.iter().map(|(name, _)| *name).chain(self.likely.keys().copied()).collect();
        let only_persons: BTreeSet<u32> = readings
            .iter()
            .filter(|reading| given.contains(&reading.mention.name) && !else_named(reading))
            .map(|reading| reading.mention.name)
            .collect();
        for reading in readings.iter_mut().filter(|reading| !reading.told) {
            let name = reading.mention.name;
            if self.family_names.contains(&name) {
                // Later on it stands alone.
                reading.meanings = Cow::Borrowed(&[]);
                continue;
            }
            let next = self.beside.words.get(reading.mention.last as usize + 1);
            let in_text = reading.mention.role != Field::Dateline;
            if let Some(cue) = self.likely.get(&name).filter(|_| in_text && only_persons.contains(&name)) {
                // Later on the given name stands alone.
                reading.doubt = Doubt::GivenName(*cue);
            } else if only_persons.contains(&name) && self.sure.contains(&name) {
                reading.meanings = Cow::Borrowed(&[]);
            } else if only_persons.contains(&name)
                || next.is_some_and(|next| self.given_names.contains(&(name, next.hash)))
            {
                reading.meanings.to_mut().iter_mut().for_each(|meaning| meaning.share *= SHARE_OF_A_PERSON);
            }
        }
    }

    /// Whether the name before a family name is a person's: its age stands behind it, a title or a calling before it, or the
    /// family name comes again alone.
    fn is_person(&self, mention: &Mention) -> bool {
        let family_name = mention.last + 1;
        let behind = self.behind_family_names(family_name);
        let age = || {
            let number = |word: u32| {
                self.beside.words.get(word as usize).is_some_and(|word| word.token.shape == Shape::Number)
                    && (1..=3).contains(&self.beside.text(word).len())
            };
            let aged = || ["now", "aged", "then"].contains(&self.beside.text(behind)) && number(behind + 1);
            self.beside.gap(behind - 1, behind) == Some(", ") && (number(behind) || aged())
        };
        let titled = || {
            mention.first.checked_sub(1).is_some_and(|before| {
                let gap = self.beside.gap(before, mention.first);
                (gap == Some(" ") || gap == Some(". ")) && self.beside.is_name(before) && {
                    let text = self.beside.text(before);
                    !PLACED.contains(&text) && !BEGINNINGS.contains(&text)
                }
            })
        };
        age() || titled() || self.alone().contains(&self.beside.words[family_name as usize].hash)
    }

    /// Whether the name before what seems a family name may be a person's: what the person is stands behind it ("Israel Mendes, a
    /// baker"), or the full name comes again.
    fn seems_person(&self, mention: &Mention) -> bool {
        let family_name = mention.last + 1;
        let behind = self.behind_family_names(family_name);
        let is_told = || {
            self.beside.gap(behind - 1, behind) == Some(", ") && ["a", "an", "who"].contains(&self.beside.text(behind))
        };
        let again =
            || self.twice().contains(&[mention.last, family_name].map(|word| self.beside.words[word as usize].hash));
        mention.first == mention.last && (is_told() || again())
    }

    /// The word behind a family name, which may be a double one.
    fn behind_family_names(&self, first: u32) -> u32 {
        let second = first + 1;
        if self.beside.gap(first, second) == Some(" ") && self.beside.is_name(second) { second + 1 } else { second }
    }

    /// Whether a given name stands before it: "Michael Jordan".
    fn is_family_name(&self, mention: &Mention) -> bool {
        let is_given_name = |word: u32| {
            let begins_sentence = word.checked_sub(1).and_then(|before| self.beside.gap(before, word)) != Some(" ");
            let text = self.beside.text(word);
            self.beside.is_name(word) && !PLACED.contains(&text) && !(begins_sentence && BEGINNINGS.contains(&text))
        };
        mention.first == mention.last && self.beside.word_before(mention).is_some_and(is_given_name)
    }

    /// The hashes of words that are written like names and stand alone: no other word of a name before them.
    fn alone(&self) -> &HashSet<u64> {
        let Beside { words, .. } = self.beside;
        let is_alone = |word: &u32| {
            self.beside.is_name(*word)
                && word.checked_sub(1).is_none_or(|before| {
                    self.beside.gap(before, *word) != Some(" ") || words[before as usize].token.shape == Shape::Lower
                })
        };
        let alone = || (0..words.len() as u32).filter(is_alone).map(|word| words[word as usize].hash).collect();
        self.alone.get_or_init(alone)
    }

    /// The hashes of pairs of words that stand there more than once.
    fn twice(&self) -> &HashSet<[u64; 2]> {
        self.twice.get_or_init(|| {
            let mut once = HashSet::new();
            let pairs = self.beside.words.windows(2).map(|pair| [pair[0].hash, pair[1].hash]);
            pairs.filter(|pair| !once.insert(*pair)).collect()
        })
    }
}

fn may_be_a_person(meanings: &[Meaning]) -> bool {
    let place = meanings.iter().filter(|one| one.kind != Kind::Namesake);
    place.map(|one| one.share).sum::<f32>() < MAY_BE_A_PERSON
}
