//! The words beside a name: cues for the mention model, doubts whether it is a place, and how names stand to each other.

use super::{
    gazetteer::{Kind, Meaning},
    mention_model::{Cue, Cues, cue_hash},
    mentions::{MOST_POSTAL_LETTERS, Mention, is_kind_of_town},
    reading::{Doubt, Reading, is_noun},
    towns::TownName,
};
use crate::{
    article::Field,
    document::Document,
    text::{Shape, Word, pair_hash},
};

/// What stands before the first word of a section and behind the last, to the cues.
const START: u64 = 16;
const END: u64 = 17;
const GENITIVE: u64 = 24;
const HYPHEN: u64 = 18;

/// Words so near to a name are cues.
const NEAR: u32 = 5;

/// The cue for what separates two words: its first character that is no space, and whether the other word is part of a name,
/// as in lists.
fn mark(gap: &str, named: bool) -> u64 {
    64 + 2 * gap.trim().chars().next().map_or(0, u64::from) + u64::from(named)
}

/// Names of places that are also common nouns, most of them of goods and animals.
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

/// The words beside the mentions of a document.
pub struct Beside<'d> {
    /// The document.
    pub document: &'d Document<'d>,
    /// Its words.
    pub words: &'d [Word],
    /// Whether each word is part of a mention.
    pub named: &'d [bool],
}

impl Beside<'_> {
    /// A word.
    pub fn text(&self, word: u32) -> &str {
        let word = &self.words[word as usize];
        word.token.of(self.document.sections[word.section as usize].text.as_str())
    }

    /// What stands between two words that follow each other in one section.
    pub fn gap(&self, first: u32, second: u32) -> Option<&str> {
        let (a, b) = (self.words.get(first as usize)?, self.words.get(second as usize)?);
        let text = self.document.sections[a.section as usize].text.as_str();
        (a.section == b.section && second == first + 1).then(|| &text[a.token.end as usize..b.token.start as usize])
    }

    /// The word before a name, with nothing but a space between.
    pub fn word_before(&self, mention: &Mention) -> Option<u32> {
        mention.first.checked_sub(1).filter(|before| self.gap(*before, mention.first) == Some(" "))
    }

    /// The cues of a name; none, if it means nothing.
    pub fn cues(&self, reading: &Reading) -> Vec<u64> {
        let Some(likeliest) = reading.likeliest() else { return Vec::new() };
        let mention = &reading.mention;
        let name = (mention.first..=mention.last).map(|word| self.words[word as usize].hash).fold(0, pair_hash);
        let mut cues = Cues::of(likeliest.kind, name, mention);
        if reading.told {
            cues.add_alike(Cue::Told, 1);
        }
        cues.add_alike(Cue::Share, (likeliest.share * 4.0) as u64);

        let before = mention.first.checked_sub(1);
        match before.and_then(|before| self.gap(before, mention.first).map(|gap| (before, gap))) {
            Some((before, " ")) => {
                cues.add(Cue::Before, self.words[before as usize].hash);
                cues.add_of_kind(Cue::ShapeBefore, self.shape(before));
                let second = before.checked_sub(1).filter(|second| self.gap(*second, before) == Some(" "));
                if let Some(second) = second {
                    cues.add_alike(Cue::SecondBefore, self.words[second as usize].hash);
                }
            }
            Some((before, gap)) => cues.add_of_kind(Cue::ShapeBefore, mark(gap, self.named[before as usize])),
            None => cues.add_of_kind(Cue::ShapeBefore, START),
        }
        let behind = mention.last + 1;
        // The words near it, in no order.
        for near in mention.first.saturating_sub(NEAR)..mention.first {
            if self.same_sentence(near, mention.first) {
                cues.add_alike(Cue::NearBefore, self.words[near as usize].hash);
            }
        }
        for near in behind..(behind + NEAR).min(self.words.len() as u32) {
            if self.same_sentence(mention.last, near) {
                cues.add_alike(Cue::NearBehind, self.words[near as usize].hash);
            }
        }
        let around =
            |word: Option<u32>| word.and_then(|word| self.words.get(word as usize)).map_or(START, |word| word.hash);
        cues.add_alike(Cue::Around, pair_hash(around(before), around(Some(behind))));
        let Some(gap) = self.gap(mention.last, behind) else {
            cues.add_of_kind(Cue::ShapeBehind, END);
            return cues.finish();
        };
        let genitive = gap.strip_prefix(['\'', '’']).and_then(|rest| rest.strip_prefix(['s', 'S']));
        match genitive.unwrap_or(gap) {
            " " => {
                cues.add(Cue::Behind, self.words[behind as usize].hash);
                let shape = self.shape(behind);
                cues.add_of_kind(Cue::ShapeBehind, if genitive.is_some() { GENITIVE + shape } else { shape });
                if self.gap(behind, behind + 1) == Some(" ") {
                    cues.add_alike(Cue::SecondBehind, self.words[behind as usize + 1].hash);
                }
            }
            "-" => {
                cues.add(Cue::Behind, pair_hash(HYPHEN, self.words[behind as usize].hash));
                cues.add_of_kind(Cue::ShapeBehind, HYPHEN);
            }
            other => cues.add_of_kind(Cue::ShapeBehind, mark(other, self.named[behind as usize])),
        }
        cues.finish()
    }

    /// What else a name may be than a place.
    pub fn doubt(&self, mention: &Mention, meanings: &[Meaning]) -> Doubt {
        if mention.role == Field::Dateline {
            return Doubt::None;
        }
        let behind = mention.last + 1;
        if meanings.first().is_some_and(|one| one.kind == Kind::Adjective) {
            let is_small =
                |word: u32| self.words.get(word as usize).is_some_and(|word| word.token.shape == Shape::Lower);
            return match self.gap(mention.last, behind) {
                Some(" ") if is_small(behind) => {
                    Doubt::Attribute(cue_hash(Cue::Behind, self.words[behind as usize].hash))
                }
                // "British-born", "Chinese-owned".
                Some("-") if is_small(behind) => Doubt::Attribute(0),
                _ => Doubt::None,
            };
        }
        if mention.first != mention.last || !is_noun(meanings) {
            return Doubt::None;
        }
        if self.gap(mention.last, behind) != Some(" ") {
            return Doubt::None;
        }
        let shape = self.words[behind as usize].token.shape;
        if shape == Shape::Capital && !self.named[behind as usize] && mention.role == Field::Body {
            return Doubt::GivenName(cue_hash(Cue::Behind, self.words[behind as usize].hash));
        }
        let begins = mention
            .first
            .checked_sub(1)
            .and_then(|before| self.gap(before, mention.first))
            .is_none_or(|gap| gap.contains(['.', '\n', '!', '?', '"', '“']));
        let name = self.text(mention.first).to_lowercase();
        let capital_says_nothing = begins || mention.caseless || mention.role == Field::Headline;
        if capital_says_nothing && NOUNS.contains(&name.as_str()) { Doubt::Noun } else { Doubt::None }
    }

    /// Whether two words of one section have no full stop between them.
    fn same_sentence(&self, first: u32, second: u32) -> bool {
        let (a, b) = (&self.words[first as usize], &self.words[second as usize]);
        let text = self.document.sections[a.section as usize].text.as_str();
        a.section == b.section && !text[a.token.end as usize..b.token.start as usize].contains(['.', '\n', '!', '?'])
    }

    /// How a word is written.
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

    /// How the lists of towns would have it.
    pub fn town_name(&self, mention: &Mention) -> TownName {
        let (first, last) = (&self.words[mention.first as usize], &self.words[mention.last as usize]);
        let text = self.document.sections[first.section as usize].text.as_str();
        TownName::of(&text[first.token.start as usize..last.token.end as usize])
    }

    /// Whether the second name stands where that of what holds the first does: "Athens, Georgia", "Valencia City, Bukidnon".
    pub fn lies_in(&self, place: &Mention, holder: &Mention) -> bool {
        let next = place.last + 1;
        let of_a_kind = || {
            self.gap(place.last, next) == Some(" ")
                && holder.first == next + 1
                && self.gap(next, holder.first) == Some(", ")
                && is_kind_of_town(self.text(next))
        };
        self.gap(place.last, holder.first) == Some(", ") || of_a_kind()
    }

    /// Whether a word is written like a name and is not one of a place.
    pub fn is_name(&self, word: u32) -> bool {
        let capital = self.words.get(word as usize).is_some_and(|word| word.token.shape == Shape::Capital);
        capital && !self.named[word as usize]
    }

    /// Whether it is as short as postal abbreviations of subdivisions.
    pub fn is_abbreviated(&self, mention: &Mention) -> bool {
        mention.first == mention.last && self.text(mention.first).len() <= MOST_POSTAL_LETTERS
    }

    /// "New London" is not in England; that New York is in the table makes it no part of this.
    pub fn is_another_place(&self, mention: &Mention) -> bool {
        mention.role == Field::Body && self.word_before(mention).is_some_and(|word| self.text(word) == "New")
    }

    /// The hash of the name that stands behind it: "Chad Smith".
    pub fn name_behind(&self, mention: &Mention) -> Option<u64> {
        let next = mention.last + 1;
        (self.gap(mention.last, next) == Some(" ") && self.is_name(next)).then(|| self.words[next as usize].hash)
    }
}
