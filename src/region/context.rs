//! What each place name means in this article: names are read by the words beside them, then by the rest of the article.
//!
//! Beside it, "Moscow, Idaho" is in Idaho, and neither "Michael Jordan" nor "New London" is what stands in the table. Of the
//! rest, "London" among Ontario and Toronto is hardly the one in England.

use super::{
    gazetteer::{Gazetteer, Kind, Meaning},
    mentions::Mention,
    text_model::TextScores,
    tree,
};
use crate::{
    article::Field,
    clean::Document,
    text::{Shape, Word},
};
use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

/// A place name and what it may mean where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// Where it stands.
    pub mention: Mention,
    /// The term's meanings, or what the words beside it leave of them; none where it is no place.
    pub meanings: Cow<'static, [Meaning]>,
    /// Whether the words beside it say which place it is: "Athens, Ga.".
    told: bool,
}

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
/// From this share on a meaning is certain enough to speak for other names.
const CERTAIN: f32 = 0.9;
/// A namesake is as likely as this before anything is known of the article.
const NAMESAKE: f64 = 0.1;
/// More certain names of a country than this say no more.
const MOST_NAMES: f64 = 3.0;
/// So much speaks for every meaning.
const FLOOR: f64 = 0.05;
/// How much the text score counts, as the weight of its probability against one certain name.
const TEXT: f64 = 2.0;
/// How much the outlet's country counts, against one certain name: papers write of their own London.
const HOME: f64 = 3.0;
/// How sharp the text scores are as probabilities.
const SHARPNESS: f32 = 3.0;

/// Reads the mentions of a document by the words beside them. `named` says of each word whether it is part of a mention.
pub fn readings(
    gazetteer: &'static Gazetteer,
    document: &Document<'_>,
    words: &[Word],
    mentions: &[Mention],
    named: &[bool],
) -> Vec<Reading> {
    let beside = Beside { document, words, named };
    let mut family_names = BTreeSet::new();
    let mut given_names = BTreeSet::new();
    let mut readings: Vec<Reading> = Vec::with_capacity(mentions.len());
    for (i, mention) in mentions.iter().enumerate() {
        let meanings = gazetteer.term(mention.term).meanings.as_slice();
        let holds = mentions.get(i + 1).filter(|next| beside.gap(mention.last, next.first) == Some(", "));
        if let Some(told) = holds.and_then(|holds| within(meanings, &gazetteer.term(holds.term).meanings)) {
            readings.push(Reading { mention: *mention, meanings: Cow::Owned(vec![told]), told: true });
            continue;
        }
        let mut meanings = Cow::Borrowed(meanings);
        if beside.is_another_place(mention) {
            meanings = Cow::Borrowed(&[]);
        } else if mention.role == Field::Body && may_be_a_person(&meanings) {
            if beside.is_family_name(mention) {
                family_names.insert(mention.term);
            } else if let Some(next) = beside.name_behind(mention) {
                given_names.insert((mention.term, next));
            }
        }
        readings.push(Reading { mention: *mention, meanings, told: false });
    }
    // A full name once, and nothing else that speaks for the place: all along it is a person.
    let mut terms_of: BTreeMap<&str, BTreeSet<u32>> = BTreeMap::new();
    for term in
        readings.iter().filter(|one| !one.meanings.is_empty()).map(|one| one.mention.term).collect::<BTreeSet<_>>()
    {
        for meaning in &gazetteer.term(term).meanings {
            terms_of.entry(meaning.code).or_default().insert(term);
        }
    }
    let else_named = |term: u32| {
        let terms = gazetteer.term(term).meanings.iter().filter_map(|meaning| terms_of.get(meaning.code));
        terms.flatten().any(|other| *other != term)
    };
    let persons: BTreeSet<u32> = given_names.iter().map(|(term, _)| *term).collect();
    let only_persons: BTreeSet<u32> = persons.into_iter().filter(|term| !else_named(*term)).collect();
    for reading in readings.iter_mut().filter(|reading| !reading.told) {
        let term = reading.mention.term;
        if family_names.contains(&term) {
            // Later on it stands alone.
            reading.meanings = Cow::Borrowed(&[]);
            continue;
        }
        let next = words.get(reading.mention.last as usize + 1);
        if only_persons.contains(&term) || next.is_some_and(|next| given_names.contains(&(term, next.hash))) {
            reading.meanings.to_mut().iter_mut().for_each(|meaning| meaning.share *= SHARE_OF_A_PERSON);
        }
    }
    readings
}

fn may_be_a_person(meanings: &[Meaning]) -> bool {
    let place = meanings.iter().filter(|one| one.kind != Kind::Namesake);
    place.map(|one| one.share).sum::<f32>() < MAY_BE_A_PERSON
}

/// The words beside the mentions of a document.
struct Beside<'d> {
    document: &'d Document<'d>,
    words: &'d [Word],
    /// Whether each word is part of a mention.
    named: &'d [bool],
}

impl Beside<'_> {
    fn text(&self, word: u32) -> &str {
        let word = &self.words[word as usize];
        word.token.of(self.document.sections[word.section as usize].text.as_str())
    }

    /// What stands between two words that follow each other in one section.
    fn gap(&self, first: u32, second: u32) -> Option<&str> {
        let (a, b) = (self.words.get(first as usize)?, self.words.get(second as usize)?);
        let text = self.document.sections[a.section as usize].text.as_str();
        (a.section == b.section && second == first + 1).then(|| &text[a.token.end as usize..b.token.start as usize])
    }

    fn word_before(&self, mention: &Mention) -> Option<u32> {
        mention.first.checked_sub(1).filter(|before| self.gap(*before, mention.first) == Some(" "))
    }

    /// Whether a word is written like a name and is not one of a place.
    fn is_name(&self, word: u32) -> bool {
        let capital = self.words.get(word as usize).is_some_and(|word| word.token.shape == Shape::Capital);
        capital && !self.named[word as usize]
    }

    /// "New London" is not in England; that New York is in the table makes it no part of this.
    fn is_another_place(&self, mention: &Mention) -> bool {
        mention.role == Field::Body && self.word_before(mention).is_some_and(|word| self.text(word) == "New")
    }

    /// Whether a given name stands before it: "Michael Jordan".
    fn is_family_name(&self, mention: &Mention) -> bool {
        let is_given_name = |word: u32| {
            let begins_sentence = word.checked_sub(1).and_then(|before| self.gap(before, word)) != Some(" ");
            let text = self.text(word);
            self.is_name(word) && !PLACED.contains(&text) && !(begins_sentence && BEGINNINGS.contains(&text))
        };
        mention.first == mention.last && self.word_before(mention).is_some_and(is_given_name)
    }

    /// The hash of the name that stands behind it: "Chad Smith".
    fn name_behind(&self, mention: &Mention) -> Option<u64> {
        let next = mention.last + 1;
        (self.gap(mention.last, next) == Some(" ") && self.is_name(next)).then(|| self.words[next as usize].hash)
    }
}

/// What a place means before the name of what it lies in: "Moscow, Idaho", "Paris, France".
fn within(place: &[Meaning], container: &[Meaning]) -> Option<Meaning> {
    let (first, holds) = (place.first()?, container.first().filter(|holds| holds.share >= CERTAIN)?);
    let a_town = first.kind.is_town();
    match holds.kind {
        // A state holds towns that the table does not have, and towns with the names of countries.
        Kind::State | Kind::Abbreviation if a_town || first.kind == Kind::Country => {
            Some(Meaning { code: holds.code, kind: Kind::City, share: 1.0 })
        }
        // "Cairo, Syria and Lebanon" is a list.
        Kind::Country | Kind::Nation if a_town => {
            place.iter().find(|one| one.code == holds.code).map(|one| Meaning { share: 1.0, ..*one })
        }
        _ => None,
    }
}

fn is_open(reading: &Reading) -> bool {
    reading.meanings.len() > 1 && !reading.told
}

/// Whether [`weigh`] has anything to do.
pub fn open(readings: &[Reading]) -> bool {
    readings.iter().any(is_open)
}

/// Weighs the meanings of the names that have several by what else the article names, by its other words, and by the
/// country of its outlet, where that is known.
pub fn weigh(readings: &mut [Reading], scores: &TextScores<'_>, home: Option<&str>) {
    let speaks = |reading: &Reading, meaning: &Meaning| {
        let alone = reading.meanings.len() == 1;
        tree::is_country(meaning.code) && meaning.share >= CERTAIN && (!meaning.kind.is_town() || alone)
    };
    // By code, in order. More than so many of one term say no more, see MOST_NAMES: a text that repeats a name takes no
    // longer for it.
    let enough = (MOST_NAMES / f64::from(CERTAIN)).ceil() as usize;
    let mut certain: BTreeMap<&str, Vec<(u32, f64)>> = BTreeMap::new();
    let mut counted: BTreeMap<(&str, u32), usize> = BTreeMap::new();
    for reading in readings.iter() {
        for meaning in reading.meanings.iter().filter(|meaning| speaks(reading, meaning)) {
            let count = counted.entry((meaning.code, reading.mention.term)).or_default();
            *count += 1;
            if *count <= enough {
                certain.entry(meaning.code).or_default().push((reading.mention.term, f64::from(meaning.share)));
            }
        }
    }
    let text_shares = scores.shares(SHARPNESS);
    for reading in readings.iter_mut().filter(|reading| is_open(reading)) {
        let term = reading.mention.term;
        let weigh = |meaning: &Meaning| {
            let by_others = certain.get(meaning.code).into_iter().flatten().filter(|(other, _)| *other != term);
            let mut names = 0.0;
            for (_, share) in by_others {
                names += share;
                if names >= MOST_NAMES {
                    break;
                }
            }
            let prior = if meaning.kind == Kind::Namesake { NAMESAKE } else { f64::from(meaning.share) };
            let at_home = if Some(meaning.code) == home { HOME } else { 0.0 };
            prior * (FLOOR + at_home + names.min(MOST_NAMES) + TEXT * text_shares.of(meaning.code))
        };
        let weights: Vec<f64> = reading.meanings.iter().map(weigh).collect();
        let place = |one: &&Meaning| one.kind != Kind::Namesake;
        let all = reading.meanings.iter().filter(place).map(|one| one.share).sum::<f32>().min(1.0);
        let sum: f64 = weights.iter().sum();
        for (meaning, weight) in reading.meanings.to_mut().iter_mut().zip(weights) {
            meaning.share = all * (weight / sum) as f32;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        article::Article,
        clean,
        region::{TextModel, gazetteer::gazetteer, mentions},
        text::words_into,
    };

    /// The likeliest country of each name, or `-`, with its share in hundredths.
    fn read(body: &str, home: Option<&str>) -> Vec<(&'static str, u32)> {
        let article = Article { body: body.to_owned(), ..Article::default() };
        let document = clean::clean(&article, crate::region::known);
        let mut words = Vec::new();
        words_into(&document, &mut words);
        let mentions = mentions::find(gazetteer(), &document, &words);
        let named = mentions::named_words(&mentions, words.len());
        let mut readings = readings(gazetteer(), &document, &words, &mentions, &named);
        weigh(&mut readings, &TextModel::none().scores(std::iter::empty()), home);
        let likeliest = |reading: &Reading| {
            let best = reading.meanings.iter().max_by(|a, b| a.share.total_cmp(&b.share));
            best.map_or(("-", 0), |one| (one.code, (one.share * 100.0).round() as u32))
        };
        readings.iter().map(likeliest).collect()
    }

    fn codes(body: &str) -> Vec<&'static str> {
        read(body, None).into_iter().map(|(code, _)| code).collect()
    }

    #[test]
    fn a_town_lies_in_what_is_named_behind_it() {
        assert_eq!(read("police in Moscow, Idaho, said", None)[0], ("US", 100));
        assert_eq!(codes("a fire in Lebanon, N.H., was out")[0], "US");
        assert_eq!(codes("in Birmingham, England, and")[0], "GB");
        assert_eq!(codes("in Birmingham, Ala., and")[0], "US");
        // Lists are not read so.
        assert_eq!(codes("between Cairo, Syria and Lebanon"), ["EG", "SY", "LB"]);
        assert_eq!(codes("between Moscow, Washington and Kiev")[0], "RU");
    }

    #[test]
    fn people_are_no_places() {
        assert_eq!(codes("a clinic that Michael Jordan opened. Later Jordan left."), ["-", "-"]);
        assert_eq!(codes("Michael Jordan opened a clinic"), ["-"]);
        assert!(read("the drummer Chad Gillory won; Chad wept", None).iter().all(|(_, share)| *share < 30));
        assert_eq!(read("In Jordan the rain stopped. West Jordan is dry.", None)[0].0, "JO");
        // A river has a name like a person's, and a people beside it.
        assert_eq!(read("the Jordan River in Jordan, where Jordanians swim", None)[1], ("JO", 85));
    }

    #[test]
    fn towns_of_one_name_are_told_by_the_rest() {
        assert_eq!(codes("London asked Ontario for help; London and Toronto lose, says Ontario, says Quebec")[0], "CA");
        assert_eq!(codes("London asked the Treasury for help")[0], "GB");
        assert_eq!(read("buses in Cambridge stopped", Some("NZ"))[0].0, "NZ");
        assert_eq!(read("buses in Cambridge stopped", None)[0].0, "GB");
        assert_eq!(codes("the council of New London met"), ["-"]);
    }
}
