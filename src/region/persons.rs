//! Recognises place names that are used as names of people: "Michael Jordan", "Israel Mendes, 34".

use super::{
    gazetteer::{Meaning, NameKind},
    mention_model::{Cue, cue_hash},
    mentions::Mention,
    neighbours::Neighbours,
    reading::{Doubt, Reading, is_country_state_or_town},
};
use crate::{
    article::Field,
    text::{Shape, pair_hash, sort_hashes},
};
use std::{
    borrow::Cow,
    cell::OnceCell,
    collections::{BTreeMap, BTreeSet},
};

/// A term whose shares sum to less than this is often a person's name ("Jordan").
const MAY_BE_A_PERSON: f32 = 0.97;
/// The factor for the shares of a name that looks like a given name ("Chad Smith", but also "Chad Basin").
const SHARE_OF_A_PERSON: f32 = 0.2;
/// Capitalised words before a place name that are not given names.
const PLACE_MODIFIERS: [&str; 16] = [
    "Air", "Central", "Downtown", "East", "Eastern", "Greater", "Lake", "Lower", "Metro", "North", "Northern", "South",
    "Southern", "Team", "Upper", "West",
];
/// Words that often begin a sentence and are not given names.
const SENTENCE_STARTERS: [&str; 46] = [
    "A", "Across", "After", "Against", "All", "Although", "An", "And", "Around", "As", "At", "Because", "Before",
    "Both", "But", "By", "Can", "Did", "Does", "During", "For", "From", "Had", "Has", "If", "In", "Inside", "Into",
    "Is", "Like", "Near", "Neither", "Of", "On", "Outside", "Since", "The", "Then", "Through", "To", "Under", "Unlike",
    "When", "While", "Will", "With",
];

/// The names of a document that may be names of people. Numbers are those of [`Mention::name`].
pub struct Persons<'b> {
    neighbours: &'b Neighbours<'b>,
    /// Names that occur after a given name.
    family_names: BTreeSet<u32>,
    /// Names that occur before a family name, with the hash of the family name.
    given_names: BTreeSet<(u32, u64)>,
    /// Given names that a title, an age, or the family name on its own confirms.
    sure: BTreeSet<u32>,
    /// Names that occur before an apparent family name, with its cue.
    likely: BTreeMap<u32, u64>,
    /// Computed on first use; see [`Persons::standalone_names`].
    standalone_names: OnceCell<Vec<u64>>,
    /// Computed on first use; see [`Persons::repeated_pairs`].
    repeated_pairs: OnceCell<Vec<u64>>,
}

impl<'b> Persons<'b> {
    /// Starts without any names.
    pub fn new(neighbours: &'b Neighbours<'b>) -> Self {
        Persons {
            neighbours,
            family_names: BTreeSet::new(),
            given_names: BTreeSet::new(),
            sure: BTreeSet::new(),
            likely: BTreeMap::new(),
            standalone_names: OnceCell::new(),
            repeated_pairs: OnceCell::new(),
        }
    }

    /// Records what an unresolved name of the body may be.
    pub fn observe(&mut self, mention: &Mention, meanings: &[Meaning]) {
        if mention.role != Field::Body {
            return;
        }
        let family_name = self.neighbours.name_after(mention);
        if may_be_a_person(meanings) && family_name.is_none() && self.is_family_name(mention) {
            self.family_names.insert(mention.name);
        } else if let Some(next) = family_name {
            let is_sure = is_country_state_or_town(meanings) && self.is_person(mention);
            if is_sure {
                self.sure.insert(mention.name);
            } else if is_country_state_or_town(meanings) && self.seems_person(mention) {
                self.likely.insert(mention.name, cue_hash(Cue::After, next));
            }
            if is_sure || may_be_a_person(meanings) {
                self.given_names.insert((mention.name, next));
            }
        }
    }

    /// Removes the meanings of names of people, and lowers the shares of names that may be.
    pub fn apply(&self, readings: &mut [Reading]) {
        // A name that occurs in a full name, with no other name of its places, is a person's throughout.
        let mut names_of: BTreeMap<&str, BTreeSet<u32>> = BTreeMap::new();
        for reading in readings.iter() {
            for meaning in reading.meanings.iter() {
                names_of.entry(meaning.code).or_default().insert(reading.mention.name);
            }
        }
        let has_other_names = |reading: &Reading| {
            let names = reading.meanings.iter().filter_map(|meaning| names_of.get(meaning.code));
            names.flatten().any(|other| *other != reading.mention.name)
        };
        let given: BTreeSet<u32> =
            self.given_names.iter().map(|(name, _)| *name).chain(self.likely.keys().copied()).collect();
        let only_persons: BTreeSet<u32> = readings
            .iter()
            .filter(|reading| given.contains(&reading.mention.name) && !has_other_names(reading))
            .map(|reading| reading.mention.name)
            .collect();
        for reading in readings.iter_mut().filter(|reading| !reading.resolved) {
            let name = reading.mention.name;
            if self.family_names.contains(&name) {
                // Also where the family name occurs alone later on.
                reading.meanings = Cow::Borrowed(&[]);
                continue;
            }
            let next = self.neighbours.words.get(reading.mention.last as usize + 1);
            let in_text = reading.mention.role != Field::Dateline;
            if let Some(cue) = self.likely.get(&name).filter(|_| in_text && only_persons.contains(&name)) {
                // Also where the given name occurs alone later on.
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

    /// Whether the name before a family name is surely a person's: an age follows, a title or an occupation precedes, or the
    /// family name also occurs alone.
    fn is_person(&self, mention: &Mention) -> bool {
        let family_name = mention.last + 1;
        let after = self.after_family_names(family_name);
        let age = || {
            let number = |word: u32| {
                self.neighbours.words.get(word as usize).is_some_and(|word| word.token.shape == Shape::Number)
                    && (1..=3).contains(&self.neighbours.text(word).len())
            };
            let aged = || ["now", "aged", "then"].contains(&self.neighbours.text(after)) && number(after + 1);
            self.neighbours.gap(after - 1, after) == Some(", ") && (number(after) || aged())
        };
        let titled = || {
            mention.first.checked_sub(1).is_some_and(|before| {
                let gap = self.neighbours.gap(before, mention.first);
                (gap == Some(" ") || gap == Some(". ")) && self.neighbours.is_name(before) && {
                    let text = self.neighbours.text(before);
                    !PLACE_MODIFIERS.contains(&text) && !SENTENCE_STARTERS.contains(&text)
                }
            })
        };
        age()
            || titled()
            || self.standalone_names().binary_search(&self.neighbours.words[family_name as usize].hash).is_ok()
    }

    /// Whether the name before an apparent family name is likely a person's: a description follows ("Israel Mendes, a
    /// baker"), or the full name is repeated.
    fn seems_person(&self, mention: &Mention) -> bool {
        let family_name = mention.last + 1;
        let after = self.after_family_names(family_name);
        let is_described = || {
            self.neighbours.gap(after - 1, after) == Some(", ")
                && ["a", "an", "who"].contains(&self.neighbours.text(after))
        };
        let is_repeated = || {
            let [given, family] = [mention.last, family_name].map(|word| self.neighbours.words[word as usize].hash);
            self.repeated_pairs().binary_search(&pair_hash(given, family)).is_ok()
        };
        mention.first == mention.last && (is_described() || is_repeated())
    }

    /// The word after a family name of one or two words.
    fn after_family_names(&self, first: u32) -> u32 {
        let second = first + 1;
        if self.neighbours.gap(first, second) == Some(" ") && self.neighbours.is_name(second) {
            second + 1
        } else {
            second
        }
    }

    /// Whether a given name precedes the name: "Michael Jordan".
    fn is_family_name(&self, mention: &Mention) -> bool {
        let is_given_name = |word: u32| {
            let begins_sentence = word.checked_sub(1).and_then(|before| self.neighbours.gap(before, word)) != Some(" ");
            let text = self.neighbours.text(word);
            self.neighbours.is_name(word)
                && !PLACE_MODIFIERS.contains(&text)
                && !(begins_sentence && SENTENCE_STARTERS.contains(&text))
        };
        mention.first == mention.last && self.neighbours.word_before(mention).is_some_and(is_given_name)
    }

    /// The hashes of capitalised words that are not preceded by another word of a name, sorted.
    fn standalone_names(&self) -> &[u64] {
        let Neighbours { words, .. } = self.neighbours;
        let is_standalone = |word: &u32| {
            self.neighbours.is_name(*word)
                && word.checked_sub(1).is_none_or(|before| {
                    self.neighbours.gap(before, *word) != Some(" ")
                        || words[before as usize].token.shape == Shape::Lower
                })
        };
        self.standalone_names.get_or_init(|| {
            let standalone = (0..words.len() as u32).filter(is_standalone);
            let mut hashes = standalone.map(|word| words[word as usize].hash).collect();
            sort_hashes(&mut hashes);
            hashes
        })
    }

    /// The hashes of pairs of consecutive words that occur more than once, sorted.
    fn repeated_pairs(&self) -> &[u64] {
        self.repeated_pairs.get_or_init(|| {
            let pairs = self.neighbours.words.windows(2);
            let mut hashes = pairs.map(|pair| pair_hash(pair[0].hash, pair[1].hash)).collect();
            sort_hashes(&mut hashes);
            hashes.chunk_by(|a, b| a == b).filter(|same| same.len() > 1).map(|same| same[0]).collect()
        })
    }
}

fn may_be_a_person(meanings: &[Meaning]) -> bool {
    let place = meanings.iter().filter(|one| one.kind != NameKind::Namesake);
    place.map(|one| one.share).sum::<f32>() < MAY_BE_A_PERSON
}
