//! Scores of topics: each article carries one or more, and is given none or more.

use super::metrics::{LabelScore, SourceScore};
use crate::article::Decision;
use linfa::metrics::ToConfusionMatrix;
use ndarray::Array1;
use serde::Serialize;
use std::{collections::BTreeMap, sync::Arc};

/// Labels of smaller confidence are not kept for measuring: they count as labels of confidence 0.
pub const LEAST_CONFIDENCE: f32 = 0.001;

/// A label of an answer.
#[derive(Debug, Clone, PartialEq)]
pub struct AnsweredLabel {
    /// Its code.
    pub code: Arc<str>,
    /// Its probability.
    pub confidence: f64,
    /// Its decision.
    pub decision: Decision,
}

/// The topics, or sub-topics, of a row, and the answer.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TopicAnswer {
    /// The labels that the row carries.
    pub truth: Vec<String>,
    /// The labels of the answer, most confident first.
    pub labels: Vec<AnsweredLabel>,
    /// The source of the row; empty if unknown.
    pub source: String,
}

impl TopicAnswer {
    /// The best label; `None` if the article has none.
    pub fn best(&self) -> Option<&str> {
        self.labels.first().map(|label| &*label.code)
    }

    /// The probability of the best label.
    pub fn confidence(&self) -> f64 {
        self.labels.first().map_or(0.0, |label| label.confidence)
    }

    /// Whether the best label is one of the row's.
    pub fn is_right(&self) -> bool {
        self.best().is_some_and(|best| self.carries(best))
    }

    /// Whether the row carries a label.
    pub fn carries(&self, code: &str) -> bool {
        self.truth.iter().any(|label| label == code)
    }

    /// The labels that an article is given: those that are AUTO or REVIEW.
    pub fn given(&self) -> impl Iterator<Item = &str> {
        self.labels.iter().filter(|label| label.decision != Decision::Abstain).map(|label| &*label.code)
    }

    /// Counts by label: given and right, given, carried.
    pub fn counts(&self) -> BTreeMap<&str, [usize; 3]> {
        let mut counts: BTreeMap<&str, [usize; 3]> = BTreeMap::new();
        for code in self.given() {
            let right = usize::from(self.carries(code));
            let count = counts.entry(code).or_default();
            *count = [count[0] + right, count[1] + 1, count[2]];
        }
        for code in &self.truth {
            counts.entry(code).or_default()[2] += 1;
        }
        counts
    }
}

/// The quality of answered topics.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TopicScores {
    /// The number of articles.
    pub rows: usize,
    /// The share of articles whose best topic is one of theirs.
    pub accuracy: f64,
    /// F1 over all (article, topic) pairs.
    pub micro_f1: f64,
    /// Mean F1 of the labels that the articles carry.
    pub macro_f1: f64,
    /// The share of articles whose given topics are exactly theirs.
    pub exact: f64,
    /// Expected calibration error over all (article, topic) pairs, in fifteen bins.
    pub calibration_error: f64,
    /// The share of AUTO labels that are right.
    pub auto_precision: f64,
    /// The share of carried labels that are given as AUTO.
    pub auto_recall: f64,
    /// The share of articles with an AUTO label.
    pub auto_coverage: f64,
    /// The share of these articles whose AUTO labels are all right.
    pub auto_articles_right: f64,
    /// The labels that the articles carry, by code.
    pub labels: BTreeMap<String, LabelScore>,
    /// By source, for rows with a source.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub sources: BTreeMap<String, SourceScore>,
    /// Articles by true code, then by best code; [`NO_ANSWER`] is no answer. If an article has several topics, the true
    /// one is the answered one, otherwise the first.
    #[serde(skip)]
    pub confusion: BTreeMap<String, BTreeMap<String, usize>>,
}

/// The code of no answer.
pub const NO_ANSWER: &str = "-";

impl TopicScores {
    /// Scores the answers of a model with this number of labels.
    pub fn of(answers: &[TopicAnswer], known_labels: usize) -> Self {
        let part = |of: usize, all: usize| if all == 0 { 0.0 } else { of as f64 / all as f64 };
        let count = |holds: &dyn Fn(&TopicAnswer) -> bool| answers.iter().filter(|answer| holds(answer)).count();
        let labels = by_label(answers);
        let sum = labels.values().fold([0; 3], |sum, one| [0, 1, 2].map(|k| sum[k] + one[k]));
        let is_exact = |answer: &TopicAnswer| {
            answer.given().count() == answer.truth.len() && answer.given().all(|code| answer.carries(code))
        };
        let auto = |answer: &TopicAnswer| -> [usize; 2] {
            let auto = answer.labels.iter().filter(|label| label.decision == Decision::Auto);
            auto.fold([0, 0], |[right, all], label| [right + usize::from(answer.carries(&label.code)), all + 1])
        };
        let [auto_right, auto_all] = answers.iter().map(auto).fold([0, 0], |a, b| [a[0] + b[0], a[1] + b[1]]);
        let auto_articles = count(&|answer| auto(answer)[1] > 0);
        let (confusion, accuracy) = confusion(answers);
        TopicScores {
            rows: answers.len(),
            accuracy,
            micro_f1: LabelScore::of_counts(sum[0], sum[1], sum[2]).f1,
            macro_f1: macro_f1(&labels),
            exact: part(count(&is_exact), answers.len()),
            calibration_error: calibration_error(answers, known_labels),
            auto_precision: part(auto_right, auto_all),
            auto_recall: part(auto_right, sum[2]),
            auto_coverage: part(auto_articles, answers.len()),
            auto_articles_right: part(
                count(&|answer| matches!(auto(answer), [a, b] if a == b && b > 0)),
                auto_articles,
            ),
            sources: sources(answers),
            labels: labels
                .into_iter()
                .filter(|(_, [_, _, carried])| *carried > 0)
                .map(|(code, [right, given, carried])| (code.to_owned(), LabelScore::of_counts(right, given, carried)))
                .collect(),
            confusion,
        }
    }

    /// The measures as stored in a manifest.
    pub fn measures(&self) -> BTreeMap<String, f64> {
        let measures = [
            ("accuracy", self.accuracy),
            ("micro_f1", self.micro_f1),
            ("macro_f1", self.macro_f1),
            ("exact", self.exact),
            ("calibration_error", self.calibration_error),
            ("auto_precision", self.auto_precision),
            ("auto_recall", self.auto_recall),
            ("auto_coverage", self.auto_coverage),
            ("auto_articles_right", self.auto_articles_right),
        ];
        measures.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

fn by_label(answers: &[TopicAnswer]) -> BTreeMap<&str, [usize; 3]> {
    let mut labels: BTreeMap<&str, [usize; 3]> = BTreeMap::new();
    for (code, count) in answers.iter().flat_map(TopicAnswer::counts) {
        let sum = labels.entry(code).or_default();
        *sum = [0, 1, 2].map(|k| sum[k] + count[k]);
    }
    labels
}

/// Mean F1 of the labels that rows carry, from counts of given and right, given, and carried.
pub fn macro_f1(labels: &BTreeMap<&str, [usize; 3]>) -> f64 {
    let carried = labels.values().filter(|[_, _, carried]| *carried > 0);
    let f1: Vec<f64> =
        carried.map(|[right, given, carried]| LabelScore::of_counts(*right, *given, *carried).f1).collect();
    f1.iter().sum::<f64>() / f1.len().max(1) as f64
}

fn sources(answers: &[TopicAnswer]) -> BTreeMap<String, SourceScore> {
    let mut by_source: BTreeMap<&str, Vec<TopicAnswer>> = BTreeMap::new();
    for answer in answers.iter().filter(|answer| !answer.source.is_empty()) {
        by_source.entry(&answer.source).or_default().push(answer.clone());
    }
    let score = |answers: &[TopicAnswer]| {
        let labels = by_label(answers);
        let sum = labels.values().fold([0; 3], |sum, one| [0, 1, 2].map(|k| sum[k] + one[k]));
        let right = answers.iter().filter(|answer| answer.is_right()).count();
        let measures = [
            ("micro_f1", LabelScore::of_counts(sum[0], sum[1], sum[2]).f1),
            ("macro_f1", macro_f1(&labels)),
            ("accuracy", right as f64 / answers.len() as f64),
        ];
        SourceScore { rows: answers.len(), measures: measures.into() }
    };
    by_source.into_iter().map(|(source, answers)| (source.to_owned(), score(&answers))).collect()
}

/// Expected calibration error over all pairs of an article and a known label; see
/// [`expected_calibration_error`](super::metrics::expected_calibration_error).
fn calibration_error(answers: &[TopicAnswer], known_labels: usize) -> f64 {
    const BINS: usize = 15;
    let mut gaps = [0.0; BINS];
    for answer in answers {
        for label in &answer.labels {
            let bin = ((label.confidence * BINS as f64) as usize).min(BINS - 1);
            gaps[bin] += label.confidence - f64::from(u8::from(answer.carries(&label.code)));
        }
        let answered = |code: &&String| answer.labels.iter().any(|label| *label.code == ***code);
        gaps[0] -= answer.truth.iter().filter(|code| !answered(code)).count() as f64;
    }
    gaps.iter().map(|gap| gap.abs()).sum::<f64>() / (answers.len() * known_labels).max(1) as f64
}

type Confusion = BTreeMap<String, BTreeMap<String, usize>>;

/// Articles by true and best label, and the share of articles whose best label is one of theirs, by linfa's confusion
/// matrix. Articles without a label, such as those without a sub-topic, are left out.
fn confusion(answers: &[TopicAnswer]) -> (Confusion, f64) {
    let answers: Vec<&TopicAnswer> = answers.iter().filter(|answer| !answer.truth.is_empty()).collect();
    let truth: Array1<String> = answers
        .iter()
        .map(|answer| {
            let right = answer.truth.iter().find(|code| Some(code.as_str()) == answer.best());
            right.or(answer.truth.first()).cloned().unwrap_or_default()
        })
        .collect();
    let best: Array1<String> = answers.iter().map(|answer| answer.best().unwrap_or(NO_ANSWER).to_owned()).collect();
    let mut confusion = Confusion::new();
    for (truth, best) in truth.iter().zip(&best) {
        *confusion.entry(truth.clone()).or_default().entry(best.clone()).or_default() += 1;
    }
    let accuracy = truth.confusion_matrix(&best).map_or(0.0, |matrix| f64::from(matrix.accuracy()));
    (confusion, if accuracy.is_finite() { accuracy } else { 0.0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(truth: &[&str], labels: &[(&str, f64, Decision)]) -> TopicAnswer {
        TopicAnswer {
            truth: truth.iter().map(|code| (*code).to_owned()).collect(),
            labels: labels
                .iter()
                .map(|(code, confidence, decision)| AnsweredLabel {
                    code: (*code).into(),
                    confidence: *confidence,
                    decision: *decision,
                })
                .collect(),
            source: String::new(),
        }
    }

    #[test]
    fn sets_are_measured_by_pairs_and_by_articles() {
        use Decision::{Abstain, Auto, Review};
        let answers = [
            answer(&["a", "b"], &[("a", 0.95, Auto), ("b", 0.5, Review), ("c", 0.1, Abstain)]),
            answer(&["a"], &[("b", 0.9, Auto), ("a", 0.85, Auto)]),
            answer(&["c"], &[("a", 0.3, Abstain)]),
            answer(&["b"], &[]),
        ];
        let scores = TopicScores::of(&answers, 3);
        assert_eq!(scores.rows, 4);
        // Given 4 pairs, 3 of them right; carried 5.
        assert!((scores.micro_f1 - 6.0 / 9.0).abs() < 1e-9);
        let f1 = [1.0, 0.5, 0.0];
        assert!((scores.macro_f1 - f1.iter().sum::<f64>() / 3.0).abs() < 1e-9);
        let b = scores.labels["b"];
        assert!((b.precision - 0.5).abs() < 1e-9 && (b.recall - 0.5).abs() < 1e-9 && b.support == 2, "{b:?}");
        assert_eq!((scores.exact, scores.accuracy), (0.25, 0.25));
        assert!((scores.auto_precision - 2.0 / 3.0).abs() < 1e-9);
        assert_eq!((scores.auto_recall, scores.auto_coverage, scores.auto_articles_right), (0.4, 0.5, 0.5));
        assert_eq!(scores.confusion["b"][NO_ANSWER], 1);
        assert_eq!(TopicScores::of(&[], 3).rows, 0);
    }

    #[test]
    fn confidence_is_held_against_the_truth() {
        let half = |truth: &[&str]| answer(truth, &[("a", 0.5, Decision::Review)]);
        let honest = [half(&["a"]), half(&["b"])];
        // One pair of b, carried and not answered, is off by 1, of four pairs in all.
        assert!((TopicScores::of(&honest, 2).calibration_error - 0.25).abs() < 1e-9);
        let boastful = [half(&[]), half(&[])];
        assert!((TopicScores::of(&boastful, 1).calibration_error - 0.5).abs() < 1e-9);
    }

    #[test]
    fn sources_are_scored_apart() {
        let right = answer(&["a"], &[("a", 0.9, Decision::Review)]);
        let wrong = answer(&["b"], &[("a", 0.9, Decision::Review)]);
        let of = |source: &str, answer: &TopicAnswer| TopicAnswer { source: source.to_owned(), ..answer.clone() };
        let scores = TopicScores::of(&[of("x", &right), of("y", &wrong), of("y", &right), right.clone()], 2);
        assert_eq!(scores.sources.keys().collect::<Vec<_>>(), ["x", "y"]);
        let measure = |source: &str, name: &str| scores.sources[source].measures[name];
        assert_eq!((measure("x", "micro_f1"), measure("y", "accuracy")), (1.0, 0.5));
    }
}
