//! The promotion gate: whether a new model may replace the one in service. Both answer the same test rows, and the
//! difference is tested by a paired bootstrap.

use super::{
    evaluate::TopicAnswers,
    metrics::{LabelScore, RegionAnswer, RegionScores},
    topic_scores::macro_f1,
};
use crate::linear::SplitMix;
use serde::Serialize;
use std::collections::BTreeMap;

/// The conditions for a promotion.
#[derive(Debug, Clone, PartialEq)]
pub struct PromotionGate {
    /// The most that micro-F1 may fall, at the lower end of the 95 % interval of the difference; from 0 to 1.
    pub tolerance: f64,
    /// The most that the F1 of a label may fall, and macro-F1 (a mean over labels) at the lower end of its interval;
    /// from 0 to 1.
    pub label_tolerance: f64,
    /// Labels with fewer test rows are shown and do not decide.
    pub label_rows: usize,
    /// The least F1 that a label must have, by code.
    pub floors: BTreeMap<String, f64>,
    /// The seed of the resampling.
    pub seed: u64,
}

impl Default for PromotionGate {
    fn default() -> Self {
        PromotionGate { tolerance: 0.01, label_tolerance: 0.1, label_rows: 20, floors: BTreeMap::new(), seed: 1 }
    }
}

/// Resamples of the paired bootstrap (Efron, Tibshirani: An Introduction to the Bootstrap, 1993; Berg-Kirkpatrick,
/// Burkett, Klein: An Empirical Investigation of Statistical Significance in NLP, EMNLP 2012).
const RESAMPLINGS: usize = 2000;

/// Both models by one measure.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// `topics.micro_f1`, `topics.macro_f1`, `regions.micro_f1`, or `topics.f1 CODE`.
    pub measure: String,
    /// The number of test rows; of a label, those that carry it.
    pub rows: usize,
    /// The value of the model in service; `None` if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub live: Option<f64>,
    /// The value of the new model.
    pub candidate: f64,
    /// The 95 % interval of the difference, new minus old; only of measures over all rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<(f64, f64)>,
    /// Why the new model is refused; `None` if this measure allows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub objection: Option<String>,
}

impl PromotionGate {
    /// Compares the answers about topics of the model in service, if there is one, and of the new one to the same test
    /// rows.
    pub fn topics(&self, live: Option<&TopicAnswers>, candidate: &TopicAnswers) -> Vec<Comparison> {
        let Some(scores) = candidate.scores() else { return Vec::new() };
        let before = live.and_then(TopicAnswers::scores);
        let counts = |answers: &TopicAnswers| -> Vec<Counts> {
            let owned = |counts: BTreeMap<&str, [usize; 3]>| {
                counts.into_iter().map(|(code, counts)| (code.to_owned(), counts)).collect()
            };
            answers.topics.iter().map(|answer| owned(answer.counts())).collect()
        };
        let (of_live, of_candidate) = (live.map(counts), counts(candidate));
        let whole = |name: &str, of: fn(&[Counts], &[usize]) -> f64, values: [Option<f64>; 2]| {
            let [live, candidate] = values;
            let interval = of_live.as_ref().map(|of_live| {
                self.interval(of_candidate.len(), |picked| of(&of_candidate, picked) - of(of_live, picked))
            });
            let measure = format!("topics.{name}");
            Comparison {
                measure,
                rows: of_candidate.len(),
                live,
                candidate: candidate.unwrap_or(0.0),
                interval,
                objection: None,
            }
        };
        let micro = whole("micro_f1", micro_f1_of, [before.as_ref().map(|s| s.micro_f1), Some(scores.micro_f1)]);
        let macro_ = whole("macro_f1", macro_f1_of, [before.as_ref().map(|s| s.macro_f1), Some(scores.macro_f1)]);
        self.decide("topics", vec![micro, macro_], before.as_ref().map(|before| &before.labels), &scores.labels)
    }

    /// Compares the answers about regions in the same way.
    pub fn regions(&self, live: Option<&[RegionAnswer]>, candidate: &[RegionAnswer]) -> Vec<Comparison> {
        let counts =
            |answers: &[RegionAnswer]| -> Vec<[usize; 3]> { answers.iter().map(RegionAnswer::counts).collect() };
        let (of_live, of_candidate) = (live.map(counts), counts(candidate));
        let f1 = |counts: &[[usize; 3]], picked: &[usize]| {
            let sum = picked.iter().fold([0; 3], |sum, i| [0, 1, 2].map(|k| sum[k] + counts[*i][k]));
            2.0 * sum[0] as f64 / ((sum[1] + sum[2]) as f64).max(1.0)
        };
        let scores = RegionScores::of(candidate);
        let before = live.map(RegionScores::of);
        let whole = Comparison {
            measure: "regions.micro_f1".to_owned(),
            rows: candidate.len(),
            live: before.as_ref().map(|before| before.micro_f1),
            candidate: scores.micro_f1,
            interval: of_live.map(|of_live| {
                self.interval(candidate.len(), |picked| f1(&of_candidate, picked) - f1(&of_live, picked))
            }),
            objection: None,
        };
        self.decide("regions", vec![whole], before.as_ref().map(|before| &before.labels), &scores.labels)
    }

    /// Floors of labels that no test row carries: they cannot be checked.
    pub fn unmeasured(&self, comparisons: &[Comparison]) -> Vec<Comparison> {
        let measured = |code: &String| {
            comparisons
                .iter()
                .any(|one| one.rows > 0 && one.measure.split_once(".f1 ").is_some_and(|(_, of)| of == code))
        };
        let floors = self.floors.iter().filter(|(code, _)| !measured(code));
        let object = |(code, floor): (&String, &f64)| Comparison {
            measure: format!("f1 {code}"),
            rows: 0,
            live: None,
            candidate: 0.0,
            interval: None,
            objection: Some(format!("no test row carries it, so its floor of {floor:.3} cannot be seen (--floor)")),
        };
        floors.map(object).collect()
    }

    fn decide(
        &self,
        part: &str,
        mut whole: Vec<Comparison>,
        live: Option<&BTreeMap<String, LabelScore>>,
        candidate: &BTreeMap<String, LabelScore>,
    ) -> Vec<Comparison> {
        for one in &mut whole {
            let (tolerance, option) = match one.measure.ends_with(".macro_f1") {
                true => (self.label_tolerance, "--label-tolerance"),
                false => (self.tolerance, "--tolerance"),
            };
            one.objection = one
                .interval
                .filter(|interval| interval.0 < -tolerance)
                .map(|interval| format!("may be worse by {:.3}, more than {tolerance:.3} ({option})", -interval.0));
        }
        let labels = candidate.iter().map(|(code, score)| {
            let before = live.map(|live| live.get(code).map_or(0.0, |score| score.f1));
            let fell = before.map_or(0.0, |before| before - score.f1);
            let floor = self.floors.get(code).filter(|floor| score.f1 < **floor);
            let objection = if let Some(floor) = floor {
                Some(format!("below its floor of {floor:.3} (--floor)"))
            } else if score.support >= self.label_rows && fell > self.label_tolerance {
                Some(format!("fell by {fell:.3}, more than {:.3} (--label-tolerance)", self.label_tolerance))
            } else {
                None
            };
            Comparison {
                measure: format!("{part}.f1 {code}"),
                rows: score.support,
                live: before,
                candidate: score.f1,
                interval: None,
                objection,
            }
        });
        whole.into_iter().chain(labels).collect()
    }

    /// The 95 % interval of a difference, over resamples of the rows.
    fn interval(&self, rows: usize, difference: impl Fn(&[usize]) -> f64) -> (f64, f64) {
        if rows == 0 {
            return (0.0, 0.0);
        }
        let mut random = SplitMix(self.seed);
        let mut differences: Vec<f64> =
            (0..RESAMPLINGS).map(|_| difference(&(0..rows).map(|_| random.below(rows)).collect::<Vec<_>>())).collect();
        differences.sort_by(f64::total_cmp);
        (differences[RESAMPLINGS / 40], differences[RESAMPLINGS - 1 - RESAMPLINGS / 40])
    }
}

type Counts = BTreeMap<String, [usize; 3]>;

/// Micro-F1 of some rows, from the counts of each.
fn micro_f1_of(counts: &[Counts], picked: &[usize]) -> f64 {
    let all = picked.iter().flat_map(|i| counts[*i].values());
    let sum = all.fold([0; 3], |sum, one| [0, 1, 2].map(|k| sum[k] + one[k]));
    LabelScore::of_counts(sum[0], sum[1], sum[2]).f1
}

/// Macro-F1 of some rows, from the counts of each.
fn macro_f1_of(counts: &[Counts], picked: &[usize]) -> f64 {
    let mut labels: BTreeMap<&str, [usize; 3]> = BTreeMap::new();
    for (code, count) in picked.iter().flat_map(|i| &counts[*i]) {
        let sum = labels.entry(code).or_default();
        *sum = [0, 1, 2].map(|k| sum[k] + count[k]);
    }
    macro_f1(&labels)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        article::Decision,
        train::topic_scores::{AnsweredLabel, TopicAnswer},
    };

    /// Answers to a thousand rows of two labels; of each hundred, the first `wrong` are wrong.
    fn answers(wrong: usize) -> TopicAnswers {
        let rows = (0..1000).map(|i| {
            let truth = ["a", "b"][i % 2];
            let given = if i % 100 < wrong { ["b", "a"][i % 2] } else { truth };
            let label = AnsweredLabel { code: given.into(), confidence: 0.9, decision: Decision::Auto };
            TopicAnswer { truth: vec![truth.to_owned()], labels: vec![label], source: String::new() }
        });
        TopicAnswers::for_tests(rows.collect(), 2)
    }

    #[test]
    fn a_better_model_is_let_through_and_a_worse_one_is_not() {
        let gate = PromotionGate::default();
        let better = gate.topics(Some(&answers(10)), &answers(6));
        assert!(better.iter().all(|one| one.objection.is_none()), "{better:?}");
        assert!((better[0].candidate - better[0].live.expect("both answered") - 0.04).abs() < 1e-6);
        let (low, high) = better[0].interval.expect("a whole measure");
        assert!(low > 0.02 && high < 0.06, "{low} {high}");
        let worse = gate.topics(Some(&answers(6)), &answers(10));
        assert!(worse[0].objection.as_ref().is_some_and(|why| why.contains("--tolerance")), "{worse:?}");
        let same = gate.topics(Some(&answers(6)), &answers(6));
        assert_eq!(same[0].interval, Some((0.0, 0.0)));
        assert!(same.iter().all(|one| one.objection.is_none()));
    }

    #[test]
    fn labels_have_tolerances_and_floors() {
        let fallen =
            PromotionGate { tolerance: 1.0, ..PromotionGate::default() }.topics(Some(&answers(0)), &answers(20));
        assert!(fallen[2].objection.as_ref().is_some_and(|why| why.contains("--label-tolerance")), "{fallen:?}");
        let floors = BTreeMap::from([("b".to_owned(), 0.99)]);
        let gate = PromotionGate { floors, ..PromotionGate::default() };
        // For a first model too.
        for live in [None, Some(&answers(6))] {
            let low = gate.topics(live, &answers(6));
            assert_eq!(low.iter().filter(|one| one.objection.is_some()).count(), 1);
            assert_eq!(low[3].measure, "topics.f1 b");
            assert!(gate.unmeasured(&low).is_empty());
            assert!(gate.unmeasured(&low[..3])[0].objection.as_ref().is_some_and(|why| why.contains("no test row")));
        }
        let few = PromotionGate { tolerance: 1.0, label_rows: 501, ..PromotionGate::default() }
            .topics(Some(&answers(0)), &answers(20));
        assert!(few.iter().filter(|one| one.measure.contains(".f1 ")).all(|one| one.objection.is_none()));
    }

    #[test]
    fn regions_are_compared_by_micro_f1() {
        let answers = |wrong: usize| -> Vec<RegionAnswer> {
            (0..500)
                .map(|i| {
                    let given = if i % 100 < wrong { "FR" } else { "KE" };
                    RegionAnswer {
                        truth: vec!["KE".into()],
                        about: vec![given.into()],
                        top: Some(given.into()),
                        confidence: 0.9,
                    }
                })
                .collect()
        };
        let worse = PromotionGate::default().regions(Some(&answers(0)), &answers(8));
        assert!(worse[0].objection.is_some() && (worse[0].candidate - 0.92).abs() < 1e-9, "{worse:?}");
    }
}
