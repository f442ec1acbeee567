//! The words next to place names: cues for the mention model, doubts whether a name is a place, and relations between names.

use super::{
    gazetteer::{Meaning, NameKind},
    mention_model::{Cue, Cues, cue_hash},
    mentions::{MOST_POSTAL_LETTERS, Mention, is_town_type},
    reading::{Doubt, Reading, is_country_state_or_town},
    towns::TownName,
};
use crate::{
    article::Field,
    document::Document,
    text::{Shape, Word, pair_hash},
};

// Values of shape cues, in addition to those of `Neighbours::shape` and `separator`.

/// The start of a section.
const START: u64 = 16;
/// The end of a section.
const END: u64 = 17;
/// A hyphen after the name.
const HYPHEN: u64 = 18;
/// Added to the shape of a word that follows a genitive.
const GENITIVE: u64 = 24;

/// The number of words on each side of a name that are cues.
const NEAR: u32 = 5;

/// The value of a separator between two words: its first character other than white space, and whether the other word is part
/// of a name, as in lists.
fn separator(gap: &str, named: bool) -> u64 {
    64 + 2 * gap.trim().chars().next().map_or(0, u64::from) + u64::from(named)
}

/// Names of places that are also common nouns, most of them goods and animals.
const NOUNS: [&str; 34] = [
    "angora",
    "apache",
    "bath",
    "bologna",
    "buffalo",
    "burgundy",
    "canton",
    "cayenne",
    "champagne",
    "cheddar",
    "chile",
    "china",
    "cologne",
    "cork",
    "dale",
    "essen",
    "guinea",
    "jersey",
    "java",
    "lima",
    "limerick",
    "madeira",
    "mobile",
    "nice",
    "orange",
    "panama",
    "polish",
    "port",
    "reading",
    "savannah",
    "split",
    "stoke",
    "turkey",
    "tyre",
];

/// The words around the mentions of a document.
pub struct Neighbours<'d> {
    /// The document.
    pub document: &'d Document<'d>,
    /// Its words.
    pub words: &'d [Word],
    /// Whether each word is part of a mention.
    pub named: &'d [bool],
}

impl Neighbours<'_> {
    /// The text of a word.
    pub fn text(&self, word: u32) -> &str {
        let word = &self.words[word as usize];
        word.token.of(self.document.sections[word.section as usize].text.as_str())
    }

    /// The text between two consecutive words of one section.
    pub fn gap(&self, first: u32, second: u32) -> Option<&str> {
        let (a, b) = (self.words.get(first as usize)?, self.words.get(second as usize)?);
        let text = self.document.sections[a.section as usize].text.as_str();
        (a.section == b.section && second == first + 1).then(|| &text[a.token.end as usize..b.token.start as usize])
    }

    /// The word before a name, if only a space separates them.
    pub fn word_before(&self, mention: &Mention) -> Option<u32> {
        mention.first.checked_sub(1).filter(|before| self.gap(*before, mention.first) == Some(" "))
    }

    /// The cues of a name; empty if it has no meaning.
    pub fn cues(&self, reading: &Reading) -> Vec<u64> {
        let Some(likeliest) = reading.likeliest() else { return Vec::new() };
        let mention = &reading.mention;
        let name = (mention.first..=mention.last).map(|word| self.words[word as usize].hash).fold(0, pair_hash);
        let mut cues = Cues::new(likeliest.kind, name, mention);
        if reading.resolved {
            cues.add_shared(Cue::Resolved, 1);
        }
        cues.add_shared(Cue::Share, (likeliest.share * 4.0) as u64);

        let before = mention.first.checked_sub(1);
        match before.and_then(|before| self.gap(before, mention.first).map(|gap| (before, gap))) {
            Some((before, " ")) => {
                cues.add_both(Cue::Before, self.words[before as usize].hash);
                cues.add_by_kind(Cue::ShapeBefore, self.shape(before));
                let second = before.checked_sub(1).filter(|second| self.gap(*second, before) == Some(" "));
                if let Some(second) = second {
                    cues.add_shared(Cue::SecondBefore, self.words[second as usize].hash);
                }
            }
            Some((before, gap)) => cues.add_by_kind(Cue::ShapeBefore, separator(gap, self.named[before as usize])),
            None => cues.add_by_kind(Cue::ShapeBefore, START),
        }
        let after = mention.last + 1;
        // Nearby words, as a bag of words.
        for near in mention.first.saturating_sub(NEAR)..mention.first {
            if self.same_sentence(near, mention.first) {
                cues.add_shared(Cue::NearBefore, self.words[near as usize].hash);
            }
        }
        for near in after..(after + NEAR).min(self.words.len() as u32) {
            if self.same_sentence(mention.last, near) {
                cues.add_shared(Cue::NearAfter, self.words[near as usize].hash);
            }
        }
        let around =
            |word: Option<u32>| word.and_then(|word| self.words.get(word as usize)).map_or(START, |word| word.hash);
        cues.add_shared(Cue::Around, pair_hash(around(before), around(Some(after))));
        let Some(gap) = self.gap(mention.last, after) else {
            cues.add_by_kind(Cue::ShapeAfter, END);
            return cues.finish();
        };
        let genitive = gap.strip_prefix(['\'', '’']).and_then(|rest| rest.strip_prefix(['s', 'S']));
        match genitive.unwrap_or(gap) {
            " " => {
                cues.add_both(Cue::After, self.words[after as usize].hash);
                let shape = self.shape(after);
                cues.add_by_kind(Cue::ShapeAfter, if genitive.is_some() { GENITIVE + shape } else { shape });
                if self.gap(after, after + 1) == Some(" ") {
                    cues.add_shared(Cue::SecondAfter, self.words[after as usize + 1].hash);
                }
            }
            "-" => {
                cues.add_both(Cue::After, pair_hash(HYPHEN, self.words[after as usize].hash));
                cues.add_by_kind(Cue::ShapeAfter, HYPHEN);
            }
            other => cues.add_by_kind(Cue::ShapeAfter, separator(other, self.named[after as usize])),
        }
        cues.finish()
    }

    /// What a name may be if it is not a place.
    pub fn doubt(&self, mention: &Mention, meanings: &[Meaning]) -> Doubt {
        if mention.role == Field::Dateline {
            return Doubt::None;
        }
        let after = mention.last + 1;
        if meanings.first().is_some_and(|one| one.kind == NameKind::Adjective) {
            let is_lower_case =
                |word: u32| self.words.get(word as usize).is_some_and(|word| word.token.shape == Shape::Lower);
            return match self.gap(mention.last, after) {
                Some(" ") if is_lower_case(after) => {
                    Doubt::Attribute(cue_hash(Cue::After, self.words[after as usize].hash))
                }
                // "British-born", "Chinese-owned".
                Some("-") if is_lower_case(after) => Doubt::Attribute(0),
                _ => Doubt::None,
            };
        }
        if mention.first != mention.last || !is_country_state_or_town(meanings) {
            return Doubt::None;
        }
        if self.gap(mention.last, after) != Some(" ") {
            return Doubt::None;
        }
        let shape = self.words[after as usize].token.shape;
        if shape == Shape::Capital && !self.named[after as usize] && mention.role == Field::Body {
            return Doubt::GivenName(cue_hash(Cue::After, self.words[after as usize].hash));
        }
        let begins_sentence = mention
            .first
            .checked_sub(1)
            .and_then(|before| self.gap(before, mention.first))
            .is_none_or(|gap| gap.contains(['.', '\n', '!', '?', '"', '“']));
        let name = self.text(mention.first).to_lowercase();
        let any_word_has_a_capital = begins_sentence || mention.caseless || mention.role == Field::Headline;
        if any_word_has_a_capital && NOUNS.contains(&name.as_str()) { Doubt::Noun } else { Doubt::None }
    }

    /// Whether two words are in one section, without sentence-final punctuation or a line break between them.
    fn same_sentence(&self, first: u32, second: u32) -> bool {
        let (a, b) = (&self.words[first as usize], &self.words[second as usize]);
        let text = self.document.sections[a.section as usize].text.as_str();
        a.section == b.section && !text[a.token.end as usize..b.token.start as usize].contains(['.', '\n', '!', '?'])
    }

    /// The value of a word's shape.
    fn shape(&self, word: u32) -> u64 {
        if self.named[word as usize] {
            return 1;
        }
        match self.words[word as usize].token.shape {
            Shape::Lower => 2,
            Shape::Capital => 3,
            Shape::Upper => 4,
            Shape::Number => 5,
        }
    }

    /// The name as the list of towns spells it.
    pub fn town_name(&self, mention: &Mention) -> TownName {
        let (first, last) = (&self.words[mention.first as usize], &self.words[mention.last as usize]);
        let text = self.document.sections[first.section as usize].text.as_str();
        TownName::of(&text[first.token.start as usize..last.token.end as usize])
    }

    /// Whether the second name is in the position of what contains the first: "Athens, Georgia", "Valencia City, Bukidnon".
    pub fn may_lie_in(&self, place: &Mention, container: &Mention) -> bool {
        let next = place.last + 1;
        let has_town_type = || {
            self.gap(place.last, next) == Some(" ")
                && container.first == next + 1
                && self.gap(next, container.first) == Some(", ")
                && is_town_type(self.text(next))
        };
        self.gap(place.last, container.first) == Some(", ") || has_town_type()
    }

    /// Whether a word is capitalised and not part of a place name.
    pub fn is_name(&self, word: u32) -> bool {
        let capital = self.words.get(word as usize).is_some_and(|word| word.token.shape == Shape::Capital);
        capital && !self.named[word as usize]
    }

    /// Whether a name is as short as the postal abbreviation of a subdivision.
    pub fn is_abbreviated(&self, mention: &Mention) -> bool {
        mention.first == mention.last && self.text(mention.first).len() <= MOST_POSTAL_LETTERS
    }

    /// Whether "New" precedes the name: "New London" is not London. Names such as "New York" are terms of their own.
    pub fn follows_new(&self, mention: &Mention) -> bool {
        mention.role == Field::Body && self.word_before(mention).is_some_and(|word| self.text(word) == "New")
    }

    /// The hash of the capitalised word after a name: "Chad Smith".
    pub fn name_after(&self, mention: &Mention) -> Option<u64> {
        let next = mention.last + 1;
        (self.gap(mention.last, next) == Some(" ") && self.is_name(next)).then(|| self.words[next as usize].hash)
    }
}
