//! Active learning: chooses the articles whose labels would teach a model most.
//!
//! A model knows least about the topics that it has seen least of: an article teaches much if it is probably on a topic that random
//! articles seldom bring, if it differs from those that were chosen before, and if it is recent. Articles are chosen one after the
//! other (greedy maximisation of a function with diminishing returns; Nemhauser et al. 1978).

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
    /// The probability of each topic of the model, in its order.
    pub topics: Vec<f32>,
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
        let probability =
            |code: &str| answer.topics.iter().find(|topic| *topic.code == *code).map_or(0.0, |topic| topic.confidence);
        let topics = model.topics().topics().iter().map(|topic| probability(&topic.code)).collect();
        Some(Candidate { topics, vector: direction(model, record), day: day(record) })
    }
}

/// The sum of the vectors of an article's words, scaled to length 1.
fn direction(model: &Model, record: &Record) -> Vec<f32> {
    let mut words = word_hashes(&record.article);
    words.sort_unstable();
    let weighted: Vec<(u64, f32)> = words.chunk_by(|a, b| a == b).map(|same| (same[0], dampened(same.len()))).collect();
    unit(model.topics().vectors().sum(&weighted).0)
}

/// Scales a vector to length 1; empty if its length is 0.
fn unit(mut vector: Vec<f32>) -> Vec<f32> {
    let length = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
    if length == 0.0 {
        return Vec::new();
    }
    vector.iter_mut().for_each(|value| *value /= length);
    vector
}

/// Chooses up to `most` of the candidates; returns their indices, the most instructive first. Candidates without a vector come last,
/// unless no candidate has one.
pub fn choose(candidates: &[Candidate], most: usize) -> Vec<usize> {
    let most = most.min(candidates.len());
    let newest = candidates.iter().filter_map(|candidate| candidate.day).max();
    let recency: Vec<f32> = candidates.iter().map(|candidate| recency(candidate.day, newest)).collect();
    // The rows of each topic that as many random articles would bring, and those of the chosen ones.
    let mut rows = expected_rows(candidates, most);
    // How much each article differs from the chosen one that is most similar to it, from 0 to 1.
    let without_vectors = candidates.iter().all(|candidate| candidate.vector.is_empty());
    let is_readable = |candidate: &Candidate| without_vectors || !candidate.vector.is_empty();
    let mut novelty: Vec<f32> = candidates.iter().map(|candidate| f32::from(is_readable(candidate))).collect();
    let mut chosen = Vec::with_capacity(most);
    let mut is_chosen = vec![false; candidates.len()];
    while chosen.len() < most {
        let value = |i: usize| {
            let of_topics: f32 =
                candidates[i].topics.iter().zip(&rows).map(|(probability, rows)| probability / (rows + 1.0)).sum();
            recency[i] * novelty[i] * of_topics
        };
        let open = (0..candidates.len()).into_par_iter().filter(|i| !is_chosen[*i]).map(|i| (value(i), i));
        let Some((_, best)) = open.max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1))) else { break };
        chosen.push(best);
        is_chosen[best] = true;
        rows.iter_mut().zip(&candidates[best].topics).for_each(|(rows, probability)| *rows += probability);
        let vector = &candidates[best].vector;
        novelty
            .par_iter_mut()
            .zip(candidates)
            .for_each(|(known, candidate)| *known = known.min(1.0 - cosine(&candidate.vector, vector)));
    }
    chosen
}

/// The rows of each topic among this many random candidates, by their probabilities.
fn expected_rows(candidates: &[Candidate], random: usize) -> Vec<f32> {
    let topics = candidates.iter().map(|candidate| candidate.topics.len()).max().unwrap_or_default();
    let share = random as f32 / candidates.len().max(1) as f32;
    (0..topics)
        .map(|topic| share * candidates.iter().filter_map(|candidate| candidate.topics.get(topic)).sum::<f32>())
        .collect()
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

    fn candidate(topics: [f32; 2], vector: [f32; 2], day: Option<Date>) -> Candidate {
        Candidate { topics: topics.to_vec(), vector: unit(vector.to_vec()), day }
    }

    #[test]
    fn rare_topics_come_first_and_then_what_differs() {
        let mut pool = vec![candidate([0.9, 0.1], [1.0, 0.0], None); 8];
        pool.push(candidate([0.1, 0.9], [0.1, 1.0], None));
        pool.push(candidate([0.1, 0.9], [0.3, 1.0], None));
        pool.push(Candidate { topics: vec![0.5, 0.5], vector: Vec::new(), day: None });
        // The first of the rare topic, then one that differs from it, then the one between both.
        assert_eq!(choose(&pool, 3), [8, 0, 9]);
        let all = choose(&pool, 20);
        assert_eq!(all.last(), Some(&10), "no word of it is known");
        assert_eq!(all.len(), 11, "no more than there are, each once");
        assert!(choose(&[], 2).is_empty() && choose(&pool, 0).is_empty());
        pool.insert(0, Candidate { topics: Vec::new(), vector: Vec::new(), day: None });
        assert_eq!(choose(&pool, 3), [9, 1, 10], "an article without an answer");
        pool.remove(0);
        pool.iter_mut().for_each(|candidate| candidate.vector.clear());
        assert_eq!(choose(&pool, 2), [8, 9], "a model without word vectors");
    }

    #[test]
    fn recent_articles_come_first() {
        let of_day = |day| candidate([0.5, 0.5], [1.0, 0.0], Some(day));
        let pool = [of_day(Date::constant(2020, 1, 1)), of_day(Date::constant(2024, 1, 1))];
        assert_eq!(choose(&pool, 1), [1]);
        assert!((recency(pool[0].day, pool[1].day) - 0.53).abs() < 0.01);
    }
}
