//! Weighs the meanings of ambiguous names by the rest of the article: "London" next to Ontario and Toronto is rarely the one in
//! England.

use super::{
    gazetteer::{Meaning, NameKind},
    mention_model::MentionModel,
    reading::{CERTAIN, Doubt, Reading},
    text_model::TextScores,
};
use crate::geography;
use std::collections::BTreeMap;

/// Prior probability that a name with [`Doubt::Noun`] is a common noun.
const NOUN_PRIOR: f64 = 0.8;
/// Prior probability that a name with [`Doubt::GivenName`] is a given name.
const GIVEN_NAME_PRIOR: f64 = 0.85;
/// Prior probability that an adjective with [`Doubt::Attribute`] is a mere attribute.
const ATTRIBUTE_PRIOR: f64 = 0.8;
/// Prior probability of a namesake, whose share is nominal.
const NAMESAKE_PRIOR: f64 = 0.1;

// Weights of evidence, where one other certain name of the country weighs 1.

/// The evidence for a use that does not mean a place.
const NOT_A_PLACE_WEIGHT: f64 = 0.8;
/// The weight of the country's probability by the text model.
const TEXT_WEIGHT: f64 = 2.0;
/// The weight of the outlet's country: newspapers write about their own London.
const HOME_WEIGHT: f64 = 3.0;
/// The most that other names of a country weigh together.
const MOST_NAMES_WEIGHT: f64 = 3.0;
/// The evidence that every meaning starts with.
const FLOOR: f64 = 0.15;
/// [`FLOOR`] for a country without other names, if other names support another meaning.
const FLOOR_WITH_RIVAL: f64 = 0.05;

/// The text probability of a country that the text model does not know.
const UNKNOWN_TEXT_PROBABILITY: f64 = 0.25;
/// The factor of the text scores in the softmax that makes probabilities of them, for long articles.
const SHARPNESS: f32 = 3.0;
/// The length in words of an article for which that factor is halved: scores of short texts are less reliable.
const HALF_SHARPNESS_WORDS: f32 = 60.0;

/// Whether the meanings of a name need weighing.
fn is_open(reading: &Reading) -> bool {
    !reading.resolved && !reading.meanings.is_empty() && (reading.meanings.len() > 1 || reading.doubt != Doubt::None)
}

/// Whether any reading needs [`weigh`].
pub fn needs_weighing(readings: &[Reading]) -> bool {
    readings.iter().any(is_open)
}

/// Multiplies the prior of each meaning of the open names by the evidence for its country: other names, the text model, and the
/// outlet's country, `home`, if known. `words` is the length of the article.
pub fn weigh(
    readings: &mut [Reading],
    scores: &TextScores<'_>,
    words: usize,
    mentions: &MentionModel,
    home: Option<&str>,
) {
    let certain = certain_names(readings);
    let text_probabilities = scores.probabilities(SHARPNESS * words as f32 / (words as f32 + HALF_SHARPNESS_WORDS));
    for reading in readings.iter_mut().filter(|reading| is_open(reading)) {
        let named: Vec<f64> = reading
            .meanings
            .iter()
            .map(|meaning| weight_of_other_names(&certain, meaning.code, reading.mention.name))
            .collect();
        let weigh = |(meaning, names): (&Meaning, &f64)| {
            let prior = if meaning.kind == NameKind::Namesake { NAMESAKE_PRIOR } else { f64::from(meaning.share) };
            let at_home = if Some(meaning.code) == home { HOME_WEIGHT } else { 0.0 };
            let has_rival = *names == 0.0 && named.iter().any(|names| *names > 0.0);
            let floor = if has_rival { FLOOR_WITH_RIVAL } else { FLOOR };
            let text = text_probabilities.of(meaning.code).unwrap_or(UNKNOWN_TEXT_PROBABILITY);
            prior * (floor + at_home + names + TEXT_WEIGHT * text)
        };
        let weights: Vec<f64> = reading.meanings.iter().zip(&named).map(weigh).collect();
        let is_place = |one: &&Meaning| one.kind != NameKind::Namesake;
        let all = reading.meanings.iter().filter(is_place).map(|one| one.share).sum::<f32>().min(1.0);
        let sum: f64 = weights.iter().sum();
        let not_a_place = probability_of_no_place(reading, &certain, mentions);
        let place = (1.0 - not_a_place) * sum / ((1.0 - not_a_place) * sum + not_a_place * NOT_A_PLACE_WEIGHT);
        let all = if not_a_place > 0.0 { all * place as f32 } else { all };
        for (meaning, weight) in reading.meanings.to_mut().iter_mut().zip(weights) {
            meaning.share = all * (weight / sum) as f32;
        }
    }
}

/// The certain names of each country: number of the name and share, in the order of the text.
type CertainNames = BTreeMap<&'static str, Vec<(u32, f64)>>;

/// Collects the certain names by country.
///
/// Repetitions of a name beyond [`MOST_NAMES_WEIGHT`] are skipped, so that a text that repeats a name takes no longer.
fn certain_names(readings: &[Reading]) -> CertainNames {
    let is_evidence = |reading: &Reading, meaning: &Meaning| {
        let is_unambiguous = reading.meanings.len() == 1;
        let is_certain = meaning.share >= CERTAIN && reading.doubt == Doubt::None;
        geography::is_subject(meaning.code) && is_certain && (!meaning.kind.is_town() || is_unambiguous)
    };
    let enough = (MOST_NAMES_WEIGHT / f64::from(CERTAIN)).ceil() as usize;
    let mut certain = CertainNames::new();
    let mut counted: BTreeMap<(&str, u32), usize> = BTreeMap::new();
    for reading in readings {
        for meaning in reading.meanings.iter().filter(|meaning| is_evidence(reading, meaning)) {
            let count = counted.entry((meaning.code, reading.mention.name)).or_default();
            *count += 1;
            if *count <= enough {
                certain.entry(meaning.code).or_default().push((reading.mention.name, f64::from(meaning.share)));
            }
        }
    }
    certain
}

/// The sum of the shares of a country's certain names other than `name`, up to [`MOST_NAMES_WEIGHT`].
fn weight_of_other_names(certain: &CertainNames, country: &str, name: u32) -> f64 {
    let others = certain.get(country).into_iter().flatten().filter(|(other, _)| *other != name);
    let mut weight = 0.0;
    for (_, share) in others {
        weight += share;
        if weight >= MOST_NAMES_WEIGHT {
            break;
        }
    }
    weight.min(MOST_NAMES_WEIGHT)
}

/// The prior probability that a name does not mean a place; 0 without doubt.
fn probability_of_no_place(reading: &Reading, certain: &CertainNames, mentions: &MentionModel) -> f64 {
    // If no other country is named, an attribute is the only evidence of the article's country, and counts.
    let is_another = |code: &&str| reading.meanings.iter().all(|one| one.code != *code);
    let others_are_named = certain.keys().any(is_another);
    match reading.doubt {
        Doubt::Noun => NOUN_PRIOR,
        Doubt::GivenName(cue) if !mentions.knows(cue) => GIVEN_NAME_PRIOR,
        Doubt::Attribute(cue) if !mentions.allows(cue) && others_are_named => ATTRIBUTE_PRIOR,
        Doubt::None | Doubt::GivenName(_) | Doubt::Attribute(_) => 0.0,
    }
}
