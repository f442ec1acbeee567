//! What the words beside a place name say: an article is about the place of "officials in Lima said", and hardly about
//! those of "a Lima-born chef" and "Lima beans".

use super::{gazetteer::Kind, mentions::Mention};
use crate::{
    article::Field,
    linear::LinearSvm,
    text::{HashIndex, pair_hash},
};

/// The value of each cue of a mention. A mention has about 25 cues, which makes vectors of about unit length.
pub const CUE_VALUE: f32 = 0.2;

/// A linear model over cues: one score a mention, whatever country it is of.
///
/// Only cues that say enough are kept, each weight in a byte.
#[derive(Debug, Clone, PartialEq)]
pub struct MentionModel {
    index: HashIndex,
    weights: Vec<i8>,
    step: f32,
    bias: f32,
}

impl MentionModel {
    /// A model that scores all mentions alike.
    pub fn none() -> Self {
        MentionModel { index: HashIndex::build::<u8>([]).0, weights: Vec::new(), step: 1.0, bias: 0.0 }
    }

    /// Keeps the cues of a fitted machine whose weight is not lost in a byte. `cues` are the hashes of its columns.
    pub fn prune(fitted: &LinearSvm, cues: &[u64]) -> Self {
        let column = fitted.weights.column(0);
        let largest = column.iter().fold(0.0_f32, |most, weight| most.max(weight.abs()));
        let step = if largest > 0.0 { largest / f32::from(i8::MAX) } else { 1.0 };
        let rounded = cues.iter().zip(column).map(|(cue, weight)| (*cue, (weight / step).round() as i8));
        let (index, weights) = HashIndex::build(rounded.filter(|(_, weight)| *weight != 0));
        MentionModel { index, weights, step: step * CUE_VALUE, bias: fitted.bias[0] }
    }

    /// Puts a model together from its parts, as they were stored; `None` if they do not fit each other, or a number is not
    /// finite.
    pub fn from_parts(index: HashIndex, weights: Vec<i8>, step: f32, bias: f32) -> Option<Self> {
        let sound = index.len() == weights.len() && step.is_finite() && bias.is_finite();
        sound.then_some(MentionModel { index, weights, step, bias })
    }

    /// The hashes of the cues, and their weights in steps.
    pub fn parts(&self) -> (&HashIndex, &[i8]) {
        (&self.index, &self.weights)
    }

    /// The weight that one step stands for, and the score of a mention without cues.
    pub fn step_and_bias(&self) -> (f32, f32) {
        (self.step, self.bias)
    }

    /// Whether names had a cue so often that the model knows it.
    pub fn knows(&self, cue: u64) -> bool {
        self.index.find(cue).is_some()
    }

    /// Whether it knows a cue, and the cue does not clearly speak against a name.
    pub fn allows(&self, cue: u64) -> bool {
        const CLEARLY_AGAINST: i8 = -8;
        self.index.find(cue).is_some_and(|at| self.weights[at as usize] > CLEARLY_AGAINST)
    }

    /// The score of a mention by its cues, from about -2 to 2: above 0 if the article more likely is about the place.
    pub fn score(&self, cues: &[u64]) -> f32 {
        let steps: i32 =
            cues.iter().filter_map(|cue| self.index.find(*cue)).map(|at| i32::from(self.weights[at as usize])).sum();
        self.bias + self.step * steps as f32
    }
}

/// What kinds of names are to the cues.
pub fn kind_group(kind: Kind) -> u64 {
    match kind {
        Kind::Country | Kind::Nation | Kind::Historic => 1,
        Kind::Adjective => 2,
        Kind::Capital | Kind::LesserCapital => 3,
        Kind::City => 4,
        Kind::Town | Kind::Namesake => 5,
        Kind::State | Kind::Abbreviation => 6,
        Kind::Part => 7,
        Kind::Seat => 8,
        Kind::Region => 9,
        Kind::Body | Kind::Idiom => 10,
    }
}

/// Collects the cues of a mention.
#[derive(Debug, Default)]
pub struct Cues {
    hashes: Vec<u64>,
    kind: u64,
}

/// What a cue is about.
#[derive(Debug, Clone, Copy)]
pub enum Cue {
    /// The kind of the name.
    Kind = 1,
    /// The name.
    Name,
    /// What stands before it.
    Before,
    /// What stands before that.
    SecondBefore,
    /// What stands behind it.
    Behind,
    /// What stands behind that.
    SecondBehind,
    /// How what stands before it is written.
    ShapeBefore,
    /// How what stands behind it is written.
    ShapeBehind,
    /// Where it stands.
    Position,
    /// Whether the words beside it say which place it is.
    Told,
    /// How sure its meaning is.
    Share,
    /// Its section has no capitals.
    Caseless,
    /// A word shortly before it.
    NearBefore,
    /// A word shortly behind it.
    NearBehind,
    /// The words on both sides.
    Around,
}

impl Cues {
    /// Begins with the kind of the name, the name itself, and where it stands.
    pub fn of(kind: Kind, name: u64, mention: &Mention) -> Self {
        let mut cues = Cues { hashes: Vec::with_capacity(20), kind: kind_group(kind) };
        cues.hashes.push(cue_hash(Cue::Kind, cues.kind));
        cues.add_alike(Cue::Name, name);
        if mention.caseless {
            cues.add_alike(Cue::Caseless, 0);
            cues.add_alike(Cue::Caseless, name);
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
        cues.add_of_kind(Cue::Position, position);
        cues
    }

    /// A cue that says the same of names of all kinds.
    pub fn add_alike(&mut self, cue: Cue, value: u64) {
        self.hashes.push(cue_hash(cue, value));
    }

    /// A cue that says something of names of this kind.
    pub fn add_of_kind(&mut self, cue: Cue, value: u64) {
        self.hashes.push(pair_hash(cue_hash(cue, value), self.kind));
    }

    /// A cue of both sorts.
    pub fn add(&mut self, cue: Cue, value: u64) {
        self.add_alike(cue, value);
        self.add_of_kind(cue, value);
    }

    /// Their hashes.
    pub fn finish(self) -> Vec<u64> {
        self.hashes
    }
}

/// The hash of a cue.
pub fn cue_hash(cue: Cue, value: u64) -> u64 {
    const CUES: u64 = 0x6375_6573_6375_6573;
    pair_hash(CUES.wrapping_add(cue as u64), value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{arr1, arr2};

    #[test]
    fn cues_score_a_mention() {
        let fitted = LinearSvm { weights: arr2(&[[2.0], [-1.0], [0.001]]), bias: arr1(&[-0.5]) };
        let model = MentionModel::prune(&fitted, &[1, 2, 3]);
        assert!(model.knows(1) && model.knows(2) && !model.knows(3), "a weight that is lost in a byte is left out");
        assert!((model.score(&[]) - -0.5).abs() < 1e-6);
        assert!((model.score(&[1, 2, 9]) - (-0.5 + CUE_VALUE * (2.0 - 1.0))).abs() < 0.01);
        let ((index, weights), (step, bias)) = (model.parts(), model.step_and_bias());
        assert_eq!(MentionModel::from_parts(index.clone(), weights.to_vec(), step, bias), Some(model.clone()));
        assert_eq!(MentionModel::from_parts(index.clone(), weights[1..].to_vec(), step, bias), None);
        assert_eq!(MentionModel::from_parts(index.clone(), weights.to_vec(), f32::NAN, bias), None);
        assert_eq!(MentionModel::none().score(&[1, 2]), 0.0);
    }
}
