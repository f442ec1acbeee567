//! Active learning: chooses the articles whose labels would teach a model most.
//!
//! An article teaches much if the model is uncertain about it (uncertainty sampling by the margin of the two best labels; Scheffer
//! et al. 2001) and if it is recent. The most uncertain articles are clustered by their word vectors, weighted by their uncertainty,
//! and the one in the middle of each cluster is chosen (Zhdanov 2019): articles that are alike teach little more than one of them,
//! and one in the middle stands for others, which an outlier does not.

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
/// How many candidates are clustered for each one that is chosen.
const CLUSTERED: usize = 10;
/// The maximum number of passes over the candidates.
const PASSES: usize = 20;

/// An article that may be chosen.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// How uncertain the model is about its best topic, from 0 to 1.
    pub uncertainty: f32,
    /// The direction of the sum of its word vectors; empty if no word has a vector.
    pub vector: Vec<f32>,
    /// The day of publication, if known.
    pub day: Option<Date>,
}

impl Candidate {
    /// What a model makes of an article; `None` if the article is invalid.
    pub fn new(model: &Model, record: &Record) -> Option<Self> {
        let options = Options { min_confidence: Some(0.0), max_labels: Some(2), ..Options::default() };
        let answer = model.classify(&record.article, &options).ok()?;
        let confidence = |i: usize| answer.topics.get(i).map_or(0.0, |topic| topic.confidence);
        let margin = confidence(0) - confidence(1);
        Some(Candidate { uncertainty: 1.0 - margin, vector: direction(model, record), day: day(record) })
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

/// Chooses up to `most` of the candidates; returns their indices, the most instructive first.
pub fn choose(candidates: &[Candidate], most: usize) -> Vec<usize> {
    let newest = candidates.iter().filter_map(|candidate| candidate.day).max();
    let value = |i: usize| candidates[i].uncertainty * recency(candidates[i].day, newest);
    let mut order: Vec<usize> = (0..candidates.len()).collect();
    order.sort_by(|a, b| value(*b).total_cmp(&value(*a)).then(a.cmp(b)));
    order.truncate(most.saturating_mul(CLUSTERED));
    let weighted: Vec<(f32, &[f32])> = order.iter().map(|i| (value(*i), &*candidates[*i].vector)).collect();
    let mut middles = middles(&weighted, most);
    middles.sort_unstable();
    // Fewer, if clusters are empty: then the most uncertain of the rest.
    let rest = (0..order.len()).filter(|i| middles.binary_search(i).is_err());
    let missing: Vec<usize> = rest.take(most.saturating_sub(middles.len())).collect();
    middles.into_iter().chain(missing).map(|i| order[i]).collect()
}

/// The members in the middle of up to `clusters` clusters: weighted spherical k-means. Begins with members that are heavy and far
/// from each other.
fn middles(members: &[(f32, &[f32])], clusters: usize) -> Vec<usize> {
    let mut centres = first_centres(members, clusters);
    if centres.is_empty() {
        return Vec::new();
    }
    let mut nearest: Vec<usize> = Vec::new();
    for _ in 0..PASSES {
        let assigned: Vec<usize> = members.par_iter().map(|(_, vector)| most_alike(vector, &centres)).collect();
        if assigned == nearest {
            break;
        }
        nearest = assigned;
        let mut sums: Vec<Vec<f32>> = centres.iter().map(|centre| vec![0.0; centre.len()]).collect();
        for ((weight, vector), cluster) in members.iter().zip(&nearest) {
            sums[*cluster].iter_mut().zip(*vector).for_each(|(sum, value)| *sum += weight * value);
        }
        for (centre, sum) in centres.iter_mut().zip(sums) {
            let sum = unit(sum);
            if !sum.is_empty() {
                *centre = sum;
            }
        }
    }
    let mut best: Vec<Option<(f32, usize)>> = vec![None; centres.len()];
    for (i, ((_, vector), cluster)) in members.iter().zip(&nearest).enumerate() {
        let likeness = cosine(vector, &centres[*cluster]);
        if best[*cluster].is_none_or(|(known, _)| likeness > known) {
            best[*cluster] = Some((likeness, i));
        }
    }
    best.into_iter().flatten().map(|(_, i)| i).collect()
}

/// The vectors of members that are heavy and far from each other. Members without a vector are none.
fn first_centres(members: &[(f32, &[f32])], most: usize) -> Vec<Vec<f32>> {
    let mut centres: Vec<Vec<f32>> = Vec::new();
    // How alike each member is to the centre that is most similar to it.
    let mut likeness = vec![0.0_f32; members.len()];
    while centres.len() < most {
        let score = |i: usize| members[i].0 * (1.0 - likeness[i]);
        let open = (0..members.len()).filter(|i| !members[*i].1.is_empty() && score(*i) > 0.0);
        let Some(next) = open.max_by(|a, b| score(*a).total_cmp(&score(*b)).then(b.cmp(a))) else { break };
        let centre = members[next].1;
        likeness
            .par_iter_mut()
            .zip(members)
            .for_each(|(known, (_, vector))| *known = known.max(cosine(vector, centre)));
        // Whatever rounding makes of its likeness to itself.
        likeness[next] = 1.0;
        centres.push(centre.to_vec());
    }
    centres
}

/// The centre that is most similar to a vector; the first of several.
fn most_alike(vector: &[f32], centres: &[Vec<f32>]) -> usize {
    let mut best = (f32::MIN, 0);
    for (i, centre) in centres.iter().enumerate() {
        let likeness = cosine(vector, centre);
        if likeness > best.0 {
            best = (likeness, i);
        }
    }
    best.1
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
        Candidate { uncertainty, vector: unit(vector.to_vec()), day }
    }

    #[test]
    fn uncertain_articles_of_different_kinds_come_first() {
        let pool = [
            candidate(0.2, [0.1, 1.0], None),
            candidate(0.9, [1.0, 0.0], None),
            // The middle of the three that are most alike.
            candidate(0.9, [1.0, 0.2], None),
            candidate(0.9, [1.0, 0.4], None),
            candidate(0.8, [0.0, 1.0], None),
        ];
        assert_eq!(choose(&pool, 2), [2, 4]);
        let mut all = choose(&pool, 10);
        all.sort_unstable();
        assert_eq!(all, [0, 1, 2, 3, 4], "no more than there are, each once");
        assert!(choose(&[], 2).is_empty() && choose(&pool, 0).is_empty());
        let without_vectors = vec![Candidate { uncertainty: 0.5, vector: Vec::new(), day: None }; 3];
        assert_eq!(choose(&without_vectors, 2), [0, 1]);
    }

    #[test]
    fn recent_articles_come_first() {
        let of_day = |day| candidate(1.0, [1.0, 0.0], Some(day));
        let pool = [of_day(Date::constant(2020, 1, 1)), of_day(Date::constant(2024, 1, 1))];
        assert_eq!(choose(&pool, 1), [1]);
        assert!((recency(pool[0].day, pool[1].day) - 0.53).abs() < 0.01);
    }
}
