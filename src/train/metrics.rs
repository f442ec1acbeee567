//! Quality measures: scores of label sets, calibration, and thresholds.

use serde::Serialize;
use std::collections::BTreeMap;

/// Precision, recall and F1 of one label, from 0 to 1, and its number of articles.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct LabelScore {
    /// The share of articles given the label that carry it; 0 if no article is given it.
    pub precision: f64,
    /// The share of articles that carry the label that are given it.
    pub recall: f64,
    /// Harmonic mean of both.
    pub f1: f64,
    /// The number of articles that carry the label.
    pub support: usize,
}

impl LabelScore {
    /// From counts of articles: given and carrying, given, carrying.
    pub fn of_counts(right: usize, given: usize, support: usize) -> Self {
        let part = |of: usize, all: usize| if all == 0 { 0.0 } else { of as f64 / all as f64 };
        LabelScore {
            precision: part(right, given),
            recall: part(right, support),
            f1: part(2 * right, given + support),
            support,
        }
    }
}

/// The scores of one source.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SourceScore {
    /// The number of articles.
    pub rows: usize,
    /// Measure by name.
    #[serde(flatten)]
    pub measures: BTreeMap<&'static str, f64>,
}

/// The names of the measures of sources.
pub fn source_measures(sources: &BTreeMap<String, SourceScore>) -> Vec<&'static str> {
    sources.values().next().map(|score| score.measures.keys().copied().collect()).unwrap_or_default()
}

/// The countries of one article, and the answer.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RegionAnswer {
    /// The countries that the article is about.
    pub truth: Vec<String>,
    /// The countries answered as ABOUT.
    pub about: Vec<String>,
    /// The most confident country, ABOUT or not.
    pub top: Option<String>,
    /// Its probability.
    pub confidence: f64,
}

impl RegionAnswer {
    /// Whether the answer is exactly the article's countries.
    pub fn is_exact(&self) -> bool {
        let [right, given, carried] = self.counts();
        right == given && right == carried
    }

    /// Counts of countries: answered and right, answered, carried.
    pub fn counts(&self) -> [usize; 3] {
        let right = self.about.iter().filter(|country| self.truth.contains(country)).count();
        [right, self.about.len(), self.truth.len()]
    }
}

/// The quality of answered countries.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RegionScores {
    /// The number of articles.
    pub rows: usize,
    /// F1 over all (article, country) pairs.
    pub micro_f1: f64,
    /// Mean F1 of the countries that the articles carry.
    pub macro_f1: f64,
    /// Mean F1 of the countries that at least five articles carry.
    pub macro_f1_five: f64,
    /// F1 over all (article, country) pairs without the most frequent country.
    pub micro_f1_others: f64,
    /// The share of articles whose answer is exactly their countries.
    pub exact: f64,
    /// The share of articles whose most confident country, ABOUT or not, is one of theirs. An article without countries
    /// is right if none is listed.
    pub top1: f64,
    /// The countries that the articles carry, by code.
    pub labels: BTreeMap<String, LabelScore>,
    /// Wrong answers with countries that no article carries.
    #[serde(skip)]
    pub elsewhere: usize,
}

impl RegionScores {
    /// Scores answers.
    pub fn of(articles: &[RegionAnswer]) -> Self {
        let mut counts: BTreeMap<&str, [usize; 3]> = BTreeMap::new();
        let (mut exact, mut top1) = (0, 0);
        for article in articles {
            for country in &article.about {
                counts.entry(country).or_default()[1] += 1;
                if article.truth.contains(country) {
                    counts.entry(country).or_default()[0] += 1;
                }
            }
            for country in &article.truth {
                counts.entry(country).or_default()[2] += 1;
            }
            let same = article.truth.len() == article.about.len()
                && article.truth.iter().all(|country| article.about.contains(country));
            exact += usize::from(same);
            top1 += usize::from(match &article.top {
                Some(top) => article.truth.contains(top),
                None => article.truth.is_empty(),
            });
        }
        let all = counts.values().fold([0; 3], |sum, one| [sum[0] + one[0], sum[1] + one[1], sum[2] + one[2]]);
        let commonest = counts.values().copied().max_by_key(|[_, _, support]| *support).unwrap_or_default();
        let others = [all[0] - commonest[0], all[1] - commonest[1], all[2] - commonest[2]];
        let elsewhere = counts.values().filter(|[_, _, support]| *support == 0).map(|[_, given, _]| given).sum();
        let labels: BTreeMap<String, LabelScore> = counts
            .into_iter()
            .filter(|(_, [_, _, support])| *support > 0)
            .map(|(code, [right, given, support])| (code.to_owned(), LabelScore::of_counts(right, given, support)))
            .collect();
        let rows = articles.len();
        let mean = |scores: Vec<f64>| scores.iter().sum::<f64>() / scores.len().max(1) as f64;
        RegionScores {
            rows,
            micro_f1: LabelScore::of_counts(all[0], all[1], all[2]).f1,
            macro_f1: mean(labels.values().map(|label| label.f1).collect()),
            macro_f1_five: mean(labels.values().filter(|label| label.support >= 5).map(|label| label.f1).collect()),
            micro_f1_others: LabelScore::of_counts(others[0], others[1], others[2]).f1,
            exact: exact as f64 / rows.max(1) as f64,
            top1: top1 as f64 / rows.max(1) as f64,
            labels,
            elsewhere,
        }
    }
}

/// The probability of a prediction, and whether it is right.
pub type Outcome = (f64, bool);

/// Expected calibration error: the mean distance between confidence and the share that is right, in fifteen bins of
/// equal width, weighted by bin (Guo, Pleiss, Sun, Weinberger: On Calibration of Modern Neural Networks, ICML 2017).
pub fn expected_calibration_error(outcomes: &[Outcome]) -> f64 {
    const BINS: usize = 15;
    let mut bins = [(0.0, 0.0); BINS];
    for (confidence, right) in outcomes {
        let bin = &mut bins[((confidence * BINS as f64) as usize).min(BINS - 1)];
        bin.0 += confidence;
        bin.1 += f64::from(u8::from(*right));
    }
    bins.iter().map(|(confidence, right)| f64::abs(confidence - right)).sum::<f64>() / outcomes.len().max(1) as f64
}

/// The precision that labels need to be AUTO.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AutoRule {
    /// The precision of all labels from the threshold up.
    pub precision: f64,
    /// The precision of each label from its threshold up.
    pub precision_of_label: f64,
    /// The precision at the threshold itself, so that many confident labels cannot make up for doubtful ones.
    pub precision_at_threshold: f64,
}

/// The rule for topics.
pub const AUTO: AutoRule = AutoRule { precision: 0.95, precision_of_label: 0.9, precision_at_threshold: 0.8 };
/// The rule for countries. It is stricter than the promise of 0.95, because outlets without training rows are harder.
pub const AUTO_REGION: AutoRule = AutoRule { precision: 0.97, ..AUTO };
/// The rule for sub-topics.
pub const AUTO_SUBTOPIC: AutoRule = AutoRule { precision: 0.9, precision_of_label: 0.8, precision_at_threshold: 0.7 };

/// A label with fewer held-out predictions above its threshold is never AUTO: its precision is unknown.
const LEAST_AUTO_PREDICTIONS: usize = 10;

/// The smallest confidence from which predictions have this precision; 1 if there is none.
fn precise_from(precision: f64, outcomes: &[Outcome]) -> f64 {
    let sorted = most_confident_first(outcomes);
    let (mut right, mut from) = (0, 1.0);
    for (i, (confidence, is_right)) in sorted.iter().enumerate() {
        right += usize::from(*is_right);
        let last_of_equals = sorted.get(i + 1).is_none_or(|next| next.0 < *confidence);
        if last_of_equals && right as f64 >= precision * (i + 1) as f64 {
            from = *confidence;
        }
    }
    from
}

fn most_confident_first(outcomes: &[Outcome]) -> Vec<Outcome> {
    let mut sorted = outcomes.to_vec();
    sorted.sort_by(|a, b| b.0.total_cmp(&a.0));
    sorted
}

/// The smallest confidence at which predictions have this precision, by isotonic regression; 1 if there is none.
fn precise_at(precision: f64, outcomes: &[Outcome]) -> f64 {
    let mut sorted = most_confident_first(outcomes);
    // Pool adjacent violators, in ascending confidence: (smallest confidence, right, all) of each pool.
    sorted.reverse();
    let mut pools: Vec<(f64, f64, f64)> = Vec::new();
    for equals in sorted.chunk_by(|a, b| a.0 == b.0) {
        let right = equals.iter().filter(|(_, right)| *right).count();
        let mut pool = (equals[0].0, right as f64, equals.len() as f64);
        while let Some(below) = pools.pop_if(|below| below.1 * pool.2 >= pool.1 * below.2) {
            pool = (below.0, below.1 + pool.1, below.2 + pool.2);
        }
        pools.push(pool);
    }
    pools.iter().find(|(_, right, all)| right / all >= precision).map_or(1.0, |pool| pool.0)
}

/// The AUTO threshold that applies to all labels; 1 if there is none.
pub fn auto_threshold(outcomes: &[Outcome], rule: AutoRule) -> f64 {
    precise_from(rule.precision, outcomes).max(precise_at(rule.precision_at_threshold, outcomes))
}

/// The AUTO threshold of each label, from its predictions; `None` for labels that are never AUTO. The first value is
/// the threshold of labels that need no higher one of their own.
pub fn auto_thresholds(outcomes: &[Vec<Outcome>], rule: AutoRule) -> (f64, Vec<Option<f64>>) {
    let at = precise_at(rule.precision_at_threshold, &outcomes.concat());
    let of_label = |label: &Vec<Outcome>, from: f64| {
        let above: Vec<Outcome> = label.iter().filter(|(confidence, _)| *confidence >= from).copied().collect();
        let own = precise_from(rule.precision_of_label, &above);
        let sure = above.iter().filter(|(confidence, _)| *confidence >= own).count();
        // A label whose predictions are all precise enough has the threshold of all labels.
        let own = if sure == above.len() { from } else { own };
        (sure >= LEAST_AUTO_PREDICTIONS).then_some(own)
    };
    // The predictions that remain above the labels' own thresholds are measured together.
    let left: Vec<Outcome> = outcomes
        .iter()
        .filter_map(|label| Some((label, of_label(label, at)?)))
        .flat_map(|(label, threshold)| label.iter().filter(move |(confidence, _)| *confidence >= threshold).copied())
        .collect();
    let from = precise_from(rule.precision, &left).max(at);
    (from, outcomes.iter().map(|label| of_label(label, from)).collect())
}

/// The highest threshold whose micro-F1 is at most `less` below the best. `carried` is the number of true labels.
pub fn review_threshold(outcomes: &[Outcome], carried: usize, less: f64) -> f64 {
    let sorted = most_confident_first(outcomes);
    let mut right = 0;
    // Threshold and micro-F1.
    let mut tried = Vec::new();
    for (i, (confidence, is_right)) in sorted.iter().enumerate() {
        right += usize::from(*is_right);
        let last_of_equals = sorted.get(i + 1).is_none_or(|next| next.0 < *confidence);
        if last_of_equals {
            tried.push((*confidence, 2.0 * right as f64 / (i + 1 + carried) as f64));
        }
    }
    let best = tried.iter().map(|(_, f1)| *f1).fold(0.0, f64::max);
    let good = tried.iter().find(|(_, f1)| *f1 > 0.0 && *f1 >= best - less);
    good.map_or(0.5, |(threshold, _)| *threshold)
}

/// The share of predictions from a threshold up, and the share of these that are right.
pub fn coverage_and_precision(threshold: f64, outcomes: &[Outcome]) -> (f64, f64) {
    let above: Vec<bool> =
        outcomes.iter().filter(|(confidence, _)| *confidence >= threshold).map(|(_, right)| *right).collect();
    let right = above.iter().filter(|right| **right).count();
    (above.len() as f64 / outcomes.len().max(1) as f64, right as f64 / above.len().max(1) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_are_sets() {
        let answer = |truth: &[&str], about: &[&str]| RegionAnswer {
            truth: truth.iter().map(|code| (*code).to_owned()).collect(),
            about: about.iter().map(|code| (*code).to_owned()).collect(),
            top: about.first().map(|code| (*code).to_owned()),
            confidence: 0.9,
        };
        let scores = RegionScores::of(&[
            answer(&["US", "PK"], &["PK", "US"]),
            answer(&["FR"], &["DE", "FR"]),
            answer(&[], &[]),
            answer(&["KE"], &[]),
        ]);
        assert!((scores.micro_f1 - 2.0 * 3.0 / (4.0 + 4.0)).abs() < 1e-9);
        assert!((scores.exact - 0.5).abs() < 1e-9);
        assert!((scores.top1 - 0.5).abs() < 1e-9);
        assert_eq!((scores.labels.len(), scores.elsewhere), (4, 1), "DE does not occur");
        assert!((scores.macro_f1 - 3.0 / 4.0).abs() < 1e-9);
        assert_eq!(scores.macro_f1_five, 0.0, "no country has five articles");
        let many = [vec![answer(&["US"], &["US"]); 5], vec![answer(&["FR"], &["DE"]); 2]].concat();
        let scores = RegionScores::of(&many);
        assert_eq!((scores.macro_f1_five, scores.micro_f1_others), (1.0, 0.0));
    }

    #[test]
    fn calibration_and_thresholds() {
        let honest: Vec<Outcome> = (0..100).map(|i| (0.8, i < 80)).collect();
        assert!(expected_calibration_error(&honest) < 1e-9);
        let boastful: Vec<Outcome> = (0..100).map(|i| (0.8, i < 50)).collect();
        assert!((expected_calibration_error(&boastful) - 0.3).abs() < 1e-9);
        let outcomes = [(0.9, true), (0.8, true), (0.7, false), (0.6, true)];
        assert_eq!(auto_threshold(&outcomes, AUTO), 0.8);
        assert_eq!(auto_threshold(&[(0.9, false)], AUTO), 1.0);
        // A hundred confident predictions cannot make up for ten that are right half of the time.
        let doubtful = (0..10).map(|i| (0.5, i % 2 == 0));
        let carried: Vec<Outcome> = (0..100).map(|_| (0.99, true)).chain(doubtful).collect();
        assert_eq!(auto_threshold(&carried, AUTO), 0.99);
        let (coverage, precision) = coverage_and_precision(0.7, &outcomes);
        assert!((coverage - 0.75).abs() < 1e-9 && (precision - 2.0 / 3.0).abs() < 1e-9);
    }

    #[test]
    fn labels_have_thresholds_of_their_own() {
        let outcomes = |confidence: f64, right: usize, all: usize| (0..all).map(move |i| (confidence, i < right));
        // Right nearly always; right 85 of 100 at 0.9 and always at 0.95; seen too rarely.
        let sure: Vec<Outcome> = outcomes(0.9, 990, 1000).collect();
        let mixed: Vec<Outcome> = outcomes(0.9, 85, 100).chain(outcomes(0.95, 20, 20)).collect();
        let rare: Vec<Outcome> = outcomes(0.99, 3, 3).collect();
        let (from, thresholds) = auto_thresholds(&[sure, mixed, rare], AUTO);
        assert_eq!((from, thresholds), (0.9, vec![Some(0.9), Some(0.95), None]));
    }

    #[test]
    fn review_begins_where_micro_f1_is_best() {
        let outcomes = [(0.9, true), (0.6, true), (0.5, false), (0.4, true), (0.1, false), (0.1, false)];
        assert_eq!(review_threshold(&outcomes, 3, 0.0), 0.4);
        assert_eq!(review_threshold(&outcomes, 30, 0.0), 0.4, "labels that no prediction finds");
        assert_eq!(review_threshold(&outcomes, 3, 0.1), 0.6, "6/7 at 0.4, 4/5 at 0.6");
        assert_eq!(review_threshold(&[], 0, 0.0), 0.5);
    }
}
