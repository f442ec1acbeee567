//! Active learning: chooses the articles whose labels would teach a model most.
//!
//! An article teaches much if the model is uncertain about it (uncertainty sampling, Lewis and Gale 1994), if it differs from
//! those that are chosen already (maximal marginal relevance, Carbonell and Goldstein 1998), and if it is recent.

use super::day;
use crate::{
    article::Options,
    formats::Record,
    model::{Model, word_hashes},
    text::dampened,
};
use jiff::civil::Date;
use rayon::prelude::*;

/// The age at which an article teaches three quarters of what it would teach today, in days.
const HALF_OLD: f32 = 365.0;

/// An article that may be chosen.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// How uncertain the model is about its topics: the sum of the entropies of its topics, in bits.
    pub uncertainty: f32,
    /// The direction of the sum of its word vectors; empty if no word has a vector.
    pub vector: Vec<f32>,
    /// The day of publication, if known.
    pub day: Option<Date>,
}

impl Candidate {
    /// What a model makes of an article; `None` if the article is invalid.
    pub fn new(model: &Model, record: &Record) -> Option<Self> {
        let options = Options { min_confidence: Some(0.0), ..Options::default() };
        let answer = model.classify(&record.article, &options).ok()?;
        let uncertainty = answer.topics.iter().map(|topic| entropy(topic.confidence)).sum();
        Some(Candidate { uncertainty, vector: direction(model, record), day: day(record) })
    }
}

/// The entropy of a decision with this probability, in bits.
fn entropy(p: f32) -> f32 {
    let term = |p: f32| if p > 0.0 { -p * p.log2() } else { 0.0 };
    term(p) + term(1.0 - p)
}

/// The sum of the vectors of an article's words, scaled to length 1.
fn direction(model: &Model, record: &Record) -> Vec<f32> {
    let mut words = word_hashes(&record.article);
    words.sort_unstable();
    let weighted: Vec<(u64, f32)> = words.chunk_by(|a, b| a == b).map(|same| (same[0], dampened(same.len()))).collect();
    let (mut sum, length) = model.topics().vectors().sum(&weighted);
    if length == 0.0 {
        return Vec::new();
    }
    sum.iter_mut().for_each(|value| *value /= length);
    sum
}

/// Chooses up to `most` of the candidates; returns their indices, the most instructive first.
pub fn choose(candidates: &[Candidate], most: usize) -> Vec<usize> {
    let newest = candidates.iter().filter_map(|candidate| candidate.day).max();
    // The value of each candidate, and its likeness to the chosen one that is most similar to it.
    let mut open: Vec<(f32, f32)> =
        candidates.iter().map(|one| (one.uncertainty * recency(one.day, newest), 0.0)).collect();
    let mut chosen = Vec::with_capacity(most.min(candidates.len()));
    while chosen.len() < most {
        let value = |(value, likeness): &(f32, f32)| value * (1.0 - likeness);
        let best = (0..open.len()).max_by(|a, b| value(&open[*a]).total_cmp(&value(&open[*b])).then(b.cmp(a)));
        let Some(best) = best.filter(|best| open[*best].0 >= 0.0) else { break };
        chosen.push(best);
        open.par_iter_mut().zip(candidates).for_each(|((_, likeness), candidate)| {
            *likeness = likeness.max(cosine(&candidate.vector, &candidates[best].vector));
        });
        // Chosen ones are below all others.
        open[best] = (-1.0, 0.0);
    }
    chosen
}

/// The weight of an article's age: 1 for the newest day and for unknown ones, and never below a half.
fn recency(day: Option<Date>, newest: Option<Date>) -> f32 {
    let (Some(day), Some(newest)) = (day, newest) else { return 1.0 };
    let days = (newest - day).get_days() as f32;
    0.5 + 0.5 * 0.5_f32.powf(days / HALF_OLD)
}

/// The cosine of two vectors of length 1; 0 if they point away from each other, or one is empty.
fn cosine(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>().clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(uncertainty: f32, vector: [f32; 2], day: Option<Date>) -> Candidate {
        Candidate { uncertainty, vector: vector.to_vec(), day }
    }

    #[test]
    fn uncertain_different_and_recent_articles_come_first() {
        let pool = [
            candidate(0.2, [0.0, 1.0], None),
            candidate(1.0, [1.0, 0.0], None),
            // As uncertain as the one before, and the same.
            candidate(1.0, [1.0, 0.0], None),
            candidate(0.9, [0.0, 1.0], None),
        ];
        assert_eq!(choose(&pool, 10), [1, 3, 0, 2]);
        assert_eq!(choose(&pool, 2), [1, 3]);
        assert!(choose(&[], 2).is_empty());
        let of_day = |day| candidate(1.0, [1.0, 0.0], Some(day));
        let pool = [of_day(Date::constant(2020, 1, 1)), of_day(Date::constant(2024, 1, 1))];
        assert_eq!(choose(&pool, 1), [1]);
    }

    #[test]
    fn entropy_is_highest_for_even_odds() {
        assert_eq!([0.0, 0.5, 1.0].map(entropy), [0.0, 1.0, 0.0]);
        assert!(entropy(0.1) < entropy(0.3));
    }
}
