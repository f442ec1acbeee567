//! Weighs the meanings of names that have several by the rest of the article: "London" among Ontario and Toronto is hardly the one
//! in England.

use super::{
    gazetteer::{Kind, Meaning},
    mention_model::MentionModel,
    reading::{CERTAIN, Doubt, Reading},
    text_model::TextScores,
};
use crate::geography;
use std::collections::BTreeMap;

/// How often a name that may be a common noun is one, where nothing else is known ...
const NOUN: f64 = 0.8;
/// ... and one that may be a given name.
const GIVEN_NAME: f64 = 0.85;
/// ... and an adjective that may be a mere attribute.
const ATTRIBUTE: f64 = 0.8;
/// What speaks for other things than places, against one certain name.
const NO_PLACE: f64 = 0.8;
/// What the text says for a country whose words the text model does not know.
const UNKNOWN_TEXT: f64 = 0.25;
/// A namesake is as likely as this before anything is known of the article.
const NAMESAKE: f64 = 0.1;
/// More certain names of a country than this say no more.
const MOST_NAMES: f64 = 3.0;
/// So much speaks for every meaning.
const FLOOR: f64 = 0.15;
/// The same for a country that nothing else names, where other names say another of the meanings.
const FLOOR_BESIDE_NAMED: f64 = 0.05;
/// How much the text score counts, as the weight of its probability against one certain name.
const TEXT: f64 = 2.0;
/// How much the outlet's country counts, against one certain name: papers write of their own London.
const HOME: f64 = 3.0;
/// How sharp the text scores are as probabilities.
const SHARPNESS: f32 = 3.0;
/// In an article of so many words they are half as sharp: few words say less than their scores do.
const HALF_SHARP: f32 = 60.0;

fn is_open(reading: &Reading) -> bool {
    !reading.told && !reading.meanings.is_empty() && (reading.meanings.len() > 1 || reading.doubt != Doubt::None)
}

/// Whether [`weigh`] has anything to do.
pub fn open(readings: &[Reading]) -> bool {
    readings.iter().any(is_open)
}

/// Weighs the meanings of the names that have several by what else the article names, by its other words, and by the
/// country of its outlet, where that is known.
pub fn weigh(
    readings: &mut [Reading],
    scores: &TextScores<'_>,
    words: usize,
    mentions: &MentionModel,
    home: Option<&str>,
) {
    let speaks = |reading: &Reading, meaning: &Meaning| {
        let alone = reading.meanings.len() == 1;
        let certain = meaning.share >= CERTAIN && reading.doubt == Doubt::None;
        geography::is_subject(meaning.code) && certain && (!meaning.kind.is_town() || alone)
    };
    // By code, in order. More than so many of one term say no more, see MOST_NAMES: a text that repeats a name takes no
    // longer for it.
    let enough = (MOST_NAMES / f64::from(CERTAIN)).ceil() as usize;
    let mut certain: BTreeMap<&str, Vec<(u32, f64)>> = BTreeMap::new();
    let mut counted: BTreeMap<(&str, u32), usize> = BTreeMap::new();
    for reading in readings.iter() {
        for meaning in reading.meanings.iter().filter(|meaning| speaks(reading, meaning)) {
            let count = counted.entry((meaning.code, reading.mention.name)).or_default();
            *count += 1;
            if *count <= enough {
                certain.entry(meaning.code).or_default().push((reading.mention.name, f64::from(meaning.share)));
            }
        }
    }
    let text_shares = scores.shares(SHARPNESS * words as f32 / (words as f32 + HALF_SHARP));
    for reading in readings.iter_mut().filter(|reading| is_open(reading)) {
        let term = reading.mention.name;
        // How often other names say each country.
        let named: Vec<f64> = reading
            .meanings
            .iter()
            .map(|meaning| {
                let by_others = certain.get(meaning.code).into_iter().flatten().filter(|(other, _)| *other != term);
                let mut names = 0.0;
                for (_, share) in by_others {
                    names += share;
                    if names >= MOST_NAMES {
                        break;
                    }
                }
                names.min(MOST_NAMES)
            })
            .collect();
        let weigh = |(meaning, names): (&Meaning, &f64)| {
            let prior = if meaning.kind == Kind::Namesake { NAMESAKE } else { f64::from(meaning.share) };
            let at_home = if Some(meaning.code) == home { HOME } else { 0.0 };
            let rival = *names == 0.0 && named.iter().any(|names| *names > 0.0);
            let floor = if rival { FLOOR_BESIDE_NAMED } else { FLOOR };
            prior * (floor + at_home + names + TEXT * text_shares.of(meaning.code).unwrap_or(UNKNOWN_TEXT))
        };
        let weights: Vec<f64> = reading.meanings.iter().zip(&named).map(weigh).collect();
        let place = |one: &&Meaning| one.kind != Kind::Namesake;
        let all = reading.meanings.iter().filter(place).map(|one| one.share).sum::<f32>().min(1.0);
        let sum: f64 = weights.iter().sum();
        // Where no other country is named, an attribute is all that says which one the article is about.
        let is_another = |code: &&str| reading.meanings.iter().all(|one| one.code != *code);
        let elsewhere = certain.keys().any(is_another);
        let no_place = match reading.doubt {
            Doubt::Noun => NOUN,
            Doubt::GivenName(cue) if !mentions.knows(cue) => GIVEN_NAME,
            Doubt::Attribute(cue) if !mentions.allows(cue) && elsewhere => ATTRIBUTE,
            Doubt::None | Doubt::GivenName(_) | Doubt::Attribute(_) => 0.0,
        };
        let is_place = (1.0 - no_place) * sum / ((1.0 - no_place) * sum + no_place * NO_PLACE);
        let all = if no_place > 0.0 { all * is_place as f32 } else { all };
        for (meaning, weight) in reading.meanings.to_mut().iter_mut().zip(weights) {
            meaning.share = all * (weight / sum) as f32;
        }
    }
}
