//! How good answers are: linfa's confusion matrix where an article has one label, sets where it has several.

use super::evaluate::TopicAnswer;
use linfa::metrics::ToConfusionMatrix;
use ndarray::Array1;
use serde::Serialize;
use std::collections::BTreeMap;

/// Precision, recall and F1 of one label, from 0 to 1, and how many articles carry it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct LabelScore {
    /// Share of the articles given the label that carry it; 0 where none was given it.
    pub precision: f64,
    /// Share of the articles that carry the label that were given it.
    pub recall: f64,
    /// Harmonic mean of both.
    pub f1: f64,
    /// Articles that carry the label.
    pub support: usize,
}

impl LabelScore {
    /// From counts: given and carried, given, carried.
    fn of_counts(right: usize, given: usize, support: usize) -> Self {
        let part = |of: usize, all: usize| if all == 0 { 0.0 } else { of as f64 / all as f64 };
        LabelScore {
            precision: part(right, given),
            recall: part(right, support),
            f1: part(2 * right, given + support),
            support,
        }
    }
}

/// How well the best topic of each article was told.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TopicScores {
    /// Articles measured.
    pub rows: usize,
    /// Share of articles whose best topic is among their topics.
    pub accuracy: f64,
    /// Mean F1 of the labels that occur in the file.
    pub macro_f1: f64,
    /// By code: the labels that occur in the file.
    pub labels: BTreeMap<String, LabelScore>,
    /// Articles by true code, then by answered code; `-` is no answer.
    #[serde(skip)]
    pub confusion: BTreeMap<String, BTreeMap<String, usize>>,
}

/// What stands for an article without an answer.
pub const NO_ANSWER: &str = "-";

impl TopicScores {
    /// Scores answers.
    pub fn of_answers(answers: &[TopicAnswer]) -> Self {
        let pairs: Vec<_> = answers.iter().map(|answer| (answer.truth.clone(), answer.best.clone())).collect();
        TopicScores::of(&pairs)
    }

    /// Scores answers against the topics that the articles carry (at least one each). Where an article carries several,
    /// the answer counts as right if it is one of them; otherwise the first counts as the true one.
    pub fn of(articles: &[(Vec<String>, Option<String>)]) -> Self {
        let answer = |given: &Option<String>| given.clone().unwrap_or_else(|| NO_ANSWER.to_owned());
        let truth: Array1<String> = articles
            .iter()
            .map(|(topics, given)| {
                let right = topics.iter().find(|topic| Some(*topic) == given.as_ref());
                right.or(topics.first()).cloned().unwrap_or_default()
            })
            .collect();
        let given: Array1<String> = articles.iter().map(|article| answer(&article.1)).collect();

        let mut confusion: BTreeMap<String, BTreeMap<String, usize>> = BTreeMap::new();
        for (truth, given) in truth.iter().zip(&given) {
            *confusion.entry(truth.clone()).or_default().entry(given.clone()).or_default() += 1;
        }
        // Rows of the matrix are the labels of `truth`, so that linfa's precision is precision.
        let Ok(matrix) = truth.confusion_matrix(&given) else {
            return TopicScores { rows: 0, accuracy: 0.0, macro_f1: 0.0, labels: BTreeMap::new(), confusion };
        };
        // linfa sorts the labels, and turns them round where there are just two.
        let mut members: Vec<&String> = truth.iter().chain(&given).collect();
        members.sort();
        members.dedup();
        if members.len() == 2 {
            members.reverse();
        }
        let or_zero = |value: f32| if value.is_finite() { f64::from(value) } else { 0.0 };
        let labels: BTreeMap<String, LabelScore> = members
            .into_iter()
            .zip(matrix.split_one_vs_all())
            .filter_map(|(label, one)| {
                let support = confusion.get(label)?.values().sum();
                Some((
                    label.clone(),
                    LabelScore {
                        precision: or_zero(one.precision()),
                        recall: or_zero(one.recall()),
                        f1: or_zero(one.f1_score()),
                        support,
                    },
                ))
            })
            .collect();
        TopicScores {
            rows: articles.len(),
            accuracy: or_zero(matrix.accuracy()),
            macro_f1: labels.values().map(|label| label.f1).sum::<f64>() / labels.len().max(1) as f64,
            labels,
            confusion,
        }
    }
}

/// The countries of one article, and what was answered.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RegionAnswer {
    /// The countries that the article is about.
    pub truth: Vec<String>,
    /// The countries answered as ABOUT.
    pub about: Vec<String>,
    /// The most confident country, whether or not that is enough for ABOUT.
    pub top: Option<String>,
    /// Its probability.
    pub confidence: f64,
}

impl RegionAnswer {
    /// How many countries are right, answered, and carried.
    pub fn counts(&self) -> [usize; 3] {
        let right = self.about.iter().filter(|country| self.truth.contains(country)).count();
        [right, self.about.len(), self.truth.len()]
    }
}

/// How well the countries of articles were told.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RegionScores {
    /// Articles measured.
    pub rows: usize,
    /// F1 over all (article, country) pairs.
    pub micro_f1: f64,
    /// Mean F1 of the countries that occur in the file.
    pub macro_f1: f64,
    /// Mean F1 of the countries that at least five articles carry.
    pub macro_f1_five: f64,
    /// F1 over all (article, country) pairs but those with the country that most articles carry.
    pub micro_f1_others: f64,
    /// Share of articles answered with exactly their countries.
    pub exact: f64,
    /// Share of articles whose most confident country, whether or not that is enough for ABOUT, is one of theirs. An article
    /// without countries counts as right where none was listed.
    pub top1: f64,
    /// By code: the countries that occur in the file.
    pub labels: BTreeMap<String, LabelScore>,
    /// Answers with countries that do not occur in the file: all of them wrong.
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

/// A prediction's probability, and whether it was right.
pub type Outcome = (f64, bool);

/// Expected calibration error in fifteen bins of equal width: the mean distance of confidence from the share of right
/// ones, weighted by bin (Guo, Pleiss, Sun, Weinberger: On Calibration of Modern Neural Networks, ICML 2017).
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

/// From the AUTO threshold on, labels were right at least this often ...
pub const AUTO_PRECISION: f64 = 0.95;
/// ... and those at the threshold itself at least this often, so that many sure labels cannot carry doubtful ones.
pub const AUTO_PRECISION_AT_THRESHOLD: f64 = 0.8;

/// Where AUTO begins: the least confidence that has both precisions; 1 where there is none. The precision at a confidence is
/// that of an isotonic fit.
pub fn auto_threshold(outcomes: &[Outcome]) -> f64 {
    let mut sorted = outcomes.to_vec();
    sorted.sort_by(|a, b| b.0.total_cmp(&a.0));
    let (mut right, mut above) = (0, 1.0);
    for (i, (confidence, is_right)) in sorted.iter().enumerate() {
        right += usize::from(*is_right);
        let last_of_equals = sorted.get(i + 1).is_none_or(|next| next.0 < *confidence);
        if last_of_equals && right as f64 >= AUTO_PRECISION * (i + 1) as f64 {
            above = *confidence;
        }
    }
    // Pool adjacent violators, from the least confident up: (least confidence, right, all) of each pool.
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
    let at = pools.iter().find(|(_, right, all)| right / all >= AUTO_PRECISION_AT_THRESHOLD).map_or(1.0, |pool| pool.0);
    above.max(at)
}

/// The share of predictions at or above a threshold, and the share of those that are right.
pub fn coverage_and_precision(threshold: f64, outcomes: &[Outcome]) -> (f64, f64) {
    let above: Vec<bool> =
        outcomes.iter().filter(|(confidence, _)| *confidence >= threshold).map(|(_, right)| *right).collect();
    let right = above.iter().filter(|right| **right).count();
    (above.len() as f64 / outcomes.len().max(1) as f64, right as f64 / above.len().max(1) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topics(pairs: &[(&str, Option<&str>)]) -> TopicScores {
        let articles: Vec<_> =
            pairs.iter().map(|(truth, given)| (vec![(*truth).to_owned()], given.map(str::to_owned))).collect();
        TopicScores::of(&articles)
    }

    #[test]
    fn precision_and_recall_are_not_mixed_up() {
        // a: carried 3, given 2, both right. b: carried 1, given 2, one right.
        for third in [None, Some("c")] {
            let mut pairs = vec![("a", Some("a")), ("a", Some("a")), ("a", Some("b")), ("b", Some("b"))];
            pairs.extend(third.map(|label| (label, Some(label))));
            let scores = topics(&pairs);
            let a = scores.labels["a"];
            assert!((a.precision - 1.0).abs() < 1e-6 && (a.recall - 2.0 / 3.0).abs() < 1e-6, "{a:?}");
            let b = scores.labels["b"];
            assert!((b.precision - 0.5).abs() < 1e-6 && (b.recall - 1.0).abs() < 1e-6, "{b:?}");
        }
    }

    #[test]
    fn macro_f1_is_the_mean_over_labels_that_occur() {
        let scores = topics(&[("a", Some("a")), ("b", Some("c")), ("b", None)]);
        assert_eq!(scores.labels.keys().collect::<Vec<_>>(), ["a", "b"]);
        assert!((scores.macro_f1 - 0.5).abs() < 1e-6);
        assert!((scores.accuracy - 1.0 / 3.0).abs() < 1e-6);
    }

    #[test]
    fn one_of_several_topics_is_right() {
        let articles = [(vec!["a".to_owned(), "b".to_owned()], Some("b".to_owned()))];
        assert!((TopicScores::of(&articles).accuracy - 1.0).abs() < 1e-6);
        assert_eq!(TopicScores::of(&[]).rows, 0);
    }

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
        assert_eq!(auto_threshold(&outcomes), 0.8);
        assert_eq!(auto_threshold(&[(0.9, false)]), 1.0);
        // A hundred sure ones cannot carry ten that are right half the time.
        let doubtful = (0..10).map(|i| (0.5, i % 2 == 0));
        let carried: Vec<Outcome> = (0..100).map(|_| (0.99, true)).chain(doubtful).collect();
        assert_eq!(auto_threshold(&carried), 0.99);
        let (coverage, precision) = coverage_and_precision(0.7, &outcomes);
        assert!((coverage - 0.75).abs() < 1e-9 && (precision - 2.0 / 3.0).abs() < 1e-9);
    }
}
