//! The mention model: scores from the neighbouring words of a place name whether the article is about the place.
//!
//! It tells "officials in Lima said" from "a Lima-born chef" and "Lima beans".

use super::{gazetteer::NameKind, mentions::Mention};
use crate::{
    article::Field,
    linear::LinearSvm,
    text::{HashIndex, pair_hash},
};

/// The value of each cue of a mention. A mention has about 25 cues, so that its vector has about unit length.
pub const CUE_VALUE: f32 = 0.2;

/// A linear model over cues: one score per mention, independent of the country.
///
/// Weights are quantised to a byte; cues whose weight rounds to 0 are dropped.
#[derive(Debug, Clone, PartialEq)]
pub struct MentionModel {
    index: HashIndex,
    weights: Vec<i8>,
    step: f32,
    bias: f32,
}

impl MentionModel {
    /// A model without cues, which scores every mention 0.
    pub fn none() -> Self {
        MentionModel { index: HashIndex::build::<u8>([]).0, weights: Vec::new(), step: 1.0, bias: 0.0 }
    }

    /// Quantises a fitted machine and drops the cues whose weight rounds to 0. `cues` are the hashes of its columns.
    pub fn prune(fitted: &LinearSvm, cues: &[u64]) -> Self {
        let column = fitted.weights.column(0);
        let largest = column.iter().fold(0.0_f32, |most, weight| most.max(weight.abs()));
        let step = if largest > 0.0 { largest / f32::from(i8::MAX) } else { 1.0 };
        let rounded = cues.iter().zip(column).map(|(cue, weight)| (*cue, (weight / step).round() as i8));
        let (index, weights) = HashIndex::build(rounded.filter(|(_, weight)| *weight != 0));
        MentionModel { index, weights, step: step * CUE_VALUE, bias: fitted.bias[0] }
    }

    /// Assembles a model from its stored parts; `None` if their lengths differ or a number is not finite.
    pub fn from_parts(index: HashIndex, weights: Vec<i8>, step: f32, bias: f32) -> Option<Self> {
        let is_valid = index.len() == weights.len() && step.is_finite() && bias.is_finite();
        is_valid.then_some(MentionModel { index, weights, step, bias })
    }

    /// The hashes of the cues, and their quantised weights.
    pub fn parts(&self) -> (&HashIndex, &[i8]) {
        (&self.index, &self.weights)
    }

    /// The quantisation step, multiplied by [`CUE_VALUE`], and the bias: the score of a mention without cues.
    pub fn step_and_bias(&self) -> (f32, f32) {
        (self.step, self.bias)
    }

    /// Whether the model has a weight for a cue, as it has for frequent ones.
    pub fn knows(&self, cue: u64) -> bool {
        self.index.find(cue).is_some()
    }

    /// Whether the model has a weight for a cue, and the weight is not clearly negative.
    pub fn allows(&self, cue: u64) -> bool {
        const CLEARLY_NEGATIVE: i8 = -8;
        self.index.find(cue).is_some_and(|at| self.weights[at as usize] > CLEARLY_NEGATIVE)
    }

    /// The score of a mention from its cues, about -2 to 2: above 0 if the article is more likely about the place than not.
    pub fn score(&self, cues: &[u64]) -> f32 {
        let steps: i32 =
            cues.iter().filter_map(|cue| self.index.find(*cue)).map(|at| i32::from(self.weights[at as usize])).sum();
        self.bias + self.step * steps as f32
    }
}

/// The group of a kind of name; cues do not distinguish the kinds of a group.
pub fn kind_group(kind: NameKind) -> u64 {
    match kind {
        NameKind::Country | NameKind::Nation | NameKind::Historic => 1,
        NameKind::Adjective => 2,
        NameKind::Capital | NameKind::LesserCapital => 3,
        NameKind::City => 4,
        NameKind::Town | NameKind::Namesake => 5,
        NameKind::State | NameKind::Abbreviation => 6,
        NameKind::Part => 7,
        NameKind::Seat => 8,
        NameKind::Region => 9,
        NameKind::Body | NameKind::Idiom => 10,
    }
}

/// Collects the cues of a mention.
#[derive(Debug, Default)]
pub struct Cues {
    hashes: Vec<u64>,
    /// The [`kind_group`] of the name.
    kind: u64,
}

/// The type of a cue.
#[derive(Debug, Clone, Copy)]
pub enum Cue {
    /// The kind of the name.
    Kind = 1,
    /// The name.
    Name,
    /// The word before the name.
    Before,
    /// The second word before the name.
    SecondBefore,
    /// The word after the name.
    After,
    /// The second word after the name.
    SecondAfter,
    /// The shape of the word, or the separator, before the name.
    ShapeBefore,
    /// The shape of the word, or the separator, after the name.
    ShapeAfter,
    /// The section, and the position in it.
    Position,
    /// The neighbouring words identify the place.
    Resolved,
    /// The share of the likeliest meaning, in quarters.
    Share,
    /// The section has no capitals.
    Caseless,
    /// A nearby word before the name.
    NearBefore,
    /// A nearby word after the name.
    NearAfter,
    /// The pair of words on both sides.
    Around,
}

impl Cues {
    /// Starts with the cues of the name, its kind and its position.
    pub fn new(kind: NameKind, name: u64, mention: &Mention) -> Self {
        let mut cues = Cues { hashes: Vec::with_capacity(20), kind: kind_group(kind) };
        cues.hashes.push(cue_hash(Cue::Kind, cues.kind));
        cues.add_shared(Cue::Name, name);
        if mention.caseless {
            cues.add_shared(Cue::Caseless, 0);
            cues.add_shared(Cue::Caseless, name);
        }
        let position = match (mention.role, mention.position) {
            (Field::Dateline, _) => 0,
            (Field::Headline, 0) => 1,
            (Field::Headline, _) => 2,
            (Field::Body, 0..10) => 3,
            (Field::Body, 10..30) => 4,
            (Field::Body, 30..80) => 5,
            (Field::Body, 80..200) => 6,
            (Field::Body, _) => 7,
        };
        cues.add_by_kind(Cue::Position, position);
        cues
    }

    /// Adds a cue that is shared by names of all kinds.
    pub fn add_shared(&mut self, cue: Cue, value: u64) {
        self.hashes.push(cue_hash(cue, value));
    }

    /// Adds a cue that is specific to names of this kind.
    pub fn add_by_kind(&mut self, cue: Cue, value: u64) {
        self.hashes.push(pair_hash(cue_hash(cue, value), self.kind));
    }

    /// Adds a cue in both forms, shared and specific.
    pub fn add_both(&mut self, cue: Cue, value: u64) {
        self.add_shared(cue, value);
        self.add_by_kind(cue, value);
    }

    /// Returns the hashes of the cues.
    pub fn finish(self) -> Vec<u64> {
        self.hashes
    }
}

/// The hash of a cue.
pub fn cue_hash(cue: Cue, value: u64) -> u64 {
    const SEED: u64 = 0x6375_6573_6375_6573;
    pair_hash(SEED.wrapping_add(cue as u64), value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{arr1, arr2};

    #[test]
    fn cues_score_a_mention() {
        let fitted = LinearSvm { weights: arr2(&[[2.0], [-1.0], [0.001]]), bias: arr1(&[-0.5]) };
        let model = MentionModel::prune(&fitted, &[1, 2, 3]);
        assert!(model.knows(1) && model.knows(2) && !model.knows(3), "a weight that rounds to 0 is dropped");
        assert!((model.score(&[]) - -0.5).abs() < 1e-6);
        assert!((model.score(&[1, 2, 9]) - (-0.5 + CUE_VALUE * (2.0 - 1.0))).abs() < 0.01);
        let ((index, weights), (step, bias)) = (model.parts(), model.step_and_bias());
        assert_eq!(MentionModel::from_parts(index.clone(), weights.to_vec(), step, bias), Some(model.clone()));
        assert_eq!(MentionModel::from_parts(index.clone(), weights[1..].to_vec(), step, bias), None);
        assert_eq!(MentionModel::from_parts(index.clone(), weights.to_vec(), f32::NAN, bias), None);
        assert_eq!(MentionModel::none().score(&[1, 2]), 0.0);
    }
}
