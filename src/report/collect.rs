//! Makes the data of a report from the answers of a model to labelled rows.

use super::data::{Bin, LabelRow, Mistake, RegionReport, Report, Slice, Slices, SubtopicReport, TopicReport};
use crate::{
    article::Options,
    formats::Record,
    geography,
    model::Model,
    train::{
        self, HeldOut, LeftOut, day,
        evaluate::TopicAnswers,
        metrics::{LabelScore, Outcome, RegionAnswer, RegionScores},
        topic_scores::{NO_ANSWER, TopicAnswer, TopicScores},
    },
};
use rayon::prelude::*;
use std::collections::BTreeMap;

const MAX_MISTAKES: usize = 50;
/// The most labels in the heat map of the confusion.
const MAX_HEAT_MAP_LABELS: usize = 30;
/// The most articles to take a label's terms from.
const MAX_TERM_ARTICLES: usize = 200;
const MAX_TERMS: usize = 15;
/// The most points of a curve.
const MAX_POINTS: usize = 200;
/// Sources with fewer articles have no slice.
const MIN_SOURCE_ARTICLES: usize = 20;

/// Rows for the labels with scores.
pub fn label_rows(scores: &BTreeMap<String, LabelScore>, name: impl Fn(&str) -> String) -> Vec<LabelRow> {
    let row = |(code, score): (&String, &LabelScore)| LabelRow {
        code: code.clone(),
        name: name(code),
        precision: score.precision,
        recall: score.recall,
        f1: score.f1,
        support: score.support,
        auto_from: None,
        terms: Vec::new(),
    };
    scores.iter().map(row).collect()
}

impl Report {
    /// Of a training: on test rows if there are some, otherwise by cross-validation.
    pub fn of_training(outcome: &train::Outcome) -> Self {
        let train::Outcome { data, trained, answers, .. } = outcome;
        let model = &trained.model;
        let topics = trained.topics.as_ref().and_then(|part| {
            let report = match &answers.topics {
                Some(answers) => TopicReport::of_answers(model, &data.test_topics.iter().collect::<Vec<_>>(), answers)?,
                None => {
                    let records: Vec<&Record> = part.answered.iter().map(|i| &data.topics.records[*i]).collect();
                    TopicReport::of(model, &part.scores, part.subtopic_scores.as_ref(), &records, &part.answers)
                }
            };
            let (learning, left_out_sources) = (part.learning.clone(), part.left_out_sources.clone());
            Some(TopicReport { learning, left_out_sources, ..report })
        });
        let regions = trained.regions.as_ref().map(|part| match &answers.regions {
            Some(answers) => RegionReport::of(&data.test_regions.iter().collect::<Vec<_>>(), answers),
            None => {
                let records: Vec<&Record> = part.answered.iter().map(|i| &data.regions.records[*i]).collect();
                let (sources, left_out_sources) = (part.sources.clone(), part.left_out_sources.clone());
                RegionReport { sources, left_out_sources, ..RegionReport::of(&records, &part.answers) }
            }
        });
        let parts =
            [("topics", topics.is_some(), &data.test_topics), ("regions", regions.is_some(), &data.test_regions)];
        let measured = parts.into_iter().filter(|(_, is_measured, _)| *is_measured);
        Report {
            version: model.version().to_owned(),
            how: measured
                .map(|(part, _, test)| {
                    let held_out = data.held_out.get(part).filter(|_| !test.is_empty());
                    format!("{part}: {}.", how_measured(held_out))
                })
                .collect(),
            trained_on: model.manifest().trained_on.clone(),
            topics,
            regions,
            comparisons: outcome.comparisons.clone(),
            corrections: outcome.corrections.clone(),
            left_out: data.left_out.clone(),
        }
    }

    /// Of a model's answers to labelled rows.
    pub fn of_evaluation(
        model: &Model,
        topics: (&[Record], &TopicAnswers),
        regions: (&[Record], &[RegionAnswer]),
        left_out: &LeftOut,
    ) -> Self {
        let ((topic_rows, topic_answers), (region_rows, region_answers)) = (topics, regions);
        let region_rows: Vec<&Record> = region_rows.iter().collect();
        Report {
            version: model.version().to_owned(),
            how: vec!["Measured on labelled rows that were given.".to_owned()],
            trained_on: model.manifest().trained_on.clone(),
            topics: TopicReport::of_answers(model, &topic_rows.iter().collect::<Vec<_>>(), topic_answers),
            regions: (!region_rows.is_empty()).then(|| RegionReport::of(&region_rows, region_answers)),
            comparisons: Vec::new(),
            corrections: BTreeMap::new(),
            left_out: left_out.clone(),
        }
    }
}

/// How a part was measured, as a sentence without its full stop; `None` is cross-validation.
pub fn how_measured(held_out: Option<&HeldOut>) -> String {
    match held_out {
        None => "measured by cross-validation: a model that had not seen the article answered it".to_owned(),
        Some(HeldOut::Files { leaks }) => {
            format!("measured on the given test rows; {leaks} training rows were left out as copies of test rows")
        }
        Some(HeldOut::Date { from, leaks }) => {
            format!("measured on the newest rows, from {from}; {leaks} of them were left out as copies of older rows")
        }
        Some(HeldOut::Lot) => "measured on rows drawn at random, evenly from each label, copies together".to_owned(),
    }
}

impl TopicReport {
    /// Of answers to rows, in the same order; `None` without answers.
    fn of_answers(model: &Model, records: &[&Record], answers: &TopicAnswers) -> Option<Self> {
        let (scores, subtopic_scores) = (answers.scores()?, answers.subtopic_scores());
        Some(TopicReport::of(model, &scores, subtopic_scores.as_ref(), records, &answers.topics))
    }

    /// Of scores, and the answers to rows, in the same order, that were scored.
    fn of(
        model: &Model,
        scores: &TopicScores,
        subtopic_scores: Option<&TopicScores>,
        records: &[&Record],
        answers: &[TopicAnswer],
    ) -> Self {
        let outcomes: Vec<Outcome> = answers.iter().map(|answer| (answer.confidence(), answer.is_right())).collect();
        let pairs: Vec<Outcome> = answers
            .iter()
            .flat_map(|answer| {
                answer.labels.iter().map(|label| (label.confidence, answer.truth.contains(&label.code.to_string())))
            })
            .collect();
        let mut terms = terms(model, records, answers);
        let mut labels = label_rows(&scores.labels, |code| model.topics().name_of(code).unwrap_or(code).to_owned());
        labels.iter_mut().for_each(|label| label.terms = terms.remove(&label.code).unwrap_or_default());
        let subtopics = subtopic_scores.map(|scores| SubtopicReport {
            measures: scores.measures(),
            labels: label_rows(&scores.labels, |code| model.topics().name_of(code).unwrap_or(code).to_owned()),
        });
        let (confusion_labels, confusion) = confusion(scores);
        let mistakes =
            records.iter().zip(answers).filter(|(_, answer)| !answer.is_right()).map(|(record, answer)| Mistake {
                id: record.article.id.clone(),
                place: record.place.to_string(),
                label: answer.truth.join(", "),
                answer: answer.best().unwrap_or(NO_ANSWER).to_owned(),
                confidence: answer.confidence(),
            });
        TopicReport {
            rows: answers.len(),
            measures: scores.measures(),
            labels,
            confusion,
            reliability: bins(&pairs),
            coverage: curve(&outcomes, outcomes.len()),
            sources: scores.sources.clone(),
            left_out_sources: BTreeMap::new(),
            subtopics,
            learning: Vec::new(),
            slices: slices(records, &answers.iter().map(TopicAnswer::is_right).collect::<Vec<_>>()),
            mistakes: most_confident(mistakes.collect()),
            confusion_labels,
        }
    }
}

/// The most frequent labels with `-` behind them, and articles by true label (rows) and answered label (columns).
fn confusion(scores: &TopicScores) -> (Vec<String>, Vec<Vec<usize>>) {
    let mut common: Vec<(&String, usize)> = scores.labels.iter().map(|(code, score)| (code, score.support)).collect();
    common.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    let mut labels: Vec<String> = common.iter().take(MAX_HEAT_MAP_LABELS).map(|(code, _)| (*code).clone()).collect();
    labels.sort();
    labels.push(NO_ANSWER.to_owned());
    let index = |code: &str| labels.iter().position(|label| label == code).unwrap_or(labels.len() - 1);
    let mut confusion = vec![vec![0; labels.len()]; labels.len()];
    for (truth, given) in &scores.confusion {
        given.iter().for_each(|(code, rows)| confusion[index(truth)][index(code)] += rows);
    }
    (labels, confusion)
}

impl RegionReport {
    /// Of answers to rows, in the same order.
    fn of(records: &[&Record], answers: &[RegionAnswer]) -> Self {
        let scores = RegionScores::of(answers);
        let top_is_right = |answer: &RegionAnswer| answer.top.as_ref().is_some_and(|top| answer.truth.contains(top));
        let topped = answers.iter().filter(|answer| answer.top.is_some());
        let outcomes: Vec<Outcome> = topped.map(|answer| (answer.confidence, top_is_right(answer))).collect();
        let measures = BTreeMap::from([
            ("micro_f1".to_owned(), scores.micro_f1),
            ("macro_f1".to_owned(), scores.macro_f1),
            ("macro_f1_five".to_owned(), scores.macro_f1_five),
            ("exact".to_owned(), scores.exact),
            ("top1".to_owned(), scores.top1),
        ]);
        let common = scores.labels.iter().filter(|(_, score)| score.support >= 5);
        let common: BTreeMap<String, LabelScore> = common.map(|(code, score)| (code.clone(), *score)).collect();
        let name = |code: &str| geography::place(code).map_or_else(|| code.to_owned(), |place| place.name.to_string());
        let wrong = records.iter().zip(answers).filter(|(_, answer)| answer.top.is_some() && !top_is_right(answer));
        let mistakes = wrong.map(|(record, answer)| Mistake {
            id: record.article.id.clone(),
            place: record.place.to_string(),
            label: answer.truth.join(", "),
            answer: answer.top.clone().unwrap_or_default(),
            confidence: answer.confidence,
        });
        RegionReport {
            rows: answers.len(),
            measures,
            labels: label_rows(&common, name),
            reliability: bins(&outcomes),
            coverage: curve(&outcomes, answers.len()),
            sources: BTreeMap::new(),
            left_out_sources: BTreeMap::new(),
            slices: slices(records, &answers.iter().map(RegionAnswer::is_exact).collect::<Vec<_>>()),
            mistakes: most_confident(mistakes.collect()),
        }
    }
}

/// The terms with the most evidence for each label, in articles with right answers.
fn terms(model: &Model, records: &[&Record], answers: &[TopicAnswer]) -> BTreeMap<String, Vec<String>> {
    let mut picked: BTreeMap<&str, Vec<&Record>> = BTreeMap::new();
    for (record, answer) in records.iter().zip(answers).filter(|(_, answer)| answer.is_right()) {
        let Some(best) = answer.best() else { continue };
        let of_label = picked.entry(best).or_default();
        if of_label.len() < MAX_TERM_ARTICLES {
            of_label.push(record);
        }
    }
    let options = Options { explain: true, max_labels: Some(1), ..Options::default() };
    let of_label = |(code, records): (&str, Vec<&Record>)| {
        let found: Vec<(String, f64)> = records
            .par_iter()
            .filter_map(|record| model.classify(&record.article, &options).ok())
            .flat_map_iter(|answer| {
                let label = answer.topics.into_iter().find(|label| *label.code == *code);
                label.into_iter().flat_map(|label| label.evidence)
            })
            .map(|evidence| (evidence.term.to_lowercase(), f64::from(evidence.weight)))
            .collect();
        let mut weights: BTreeMap<String, f64> = BTreeMap::new();
        found.into_iter().for_each(|(term, weight)| *weights.entry(term).or_default() += weight);
        let mut sorted: Vec<(String, f64)> = weights.into_iter().filter(|(_, weight)| *weight > 0.0).collect();
        sorted.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        (code.to_owned(), sorted.into_iter().take(MAX_TERMS).map(|(term, _)| term).collect())
    };
    picked.into_iter().map(of_label).collect()
}

/// Predictions by confidence in ten bins of equal width, without empty ones.
pub fn bins(outcomes: &[Outcome]) -> Vec<Bin> {
    const BINS: usize = 10;
    let mut sums = [(0.0, 0, 0); BINS];
    for (confidence, right) in outcomes {
        let bin = &mut sums[((confidence * BINS as f64) as usize).min(BINS - 1)];
        *bin = (bin.0 + confidence, bin.1 + usize::from(*right), bin.2 + 1);
    }
    let full = sums.into_iter().filter(|(_, _, all)| *all > 0);
    full.map(|(confidence, right, predictions)| Bin {
        confidence: confidence / predictions as f64,
        right: right as f64 / predictions as f64,
        predictions,
    })
    .collect()
}

/// The precision of the most confident answers, for each share of all articles, some of which may have no answer.
fn curve(outcomes: &[Outcome], articles: usize) -> Vec<(f64, f64)> {
    let mut sorted = outcomes.to_vec();
    sorted.sort_by(|a, b| b.0.total_cmp(&a.0));
    let (mut right, mut points) = (0, Vec::new());
    let step = sorted.len().div_ceil(MAX_POINTS).max(1);
    for (i, (_, is_right)) in sorted.iter().enumerate() {
        right += usize::from(*is_right);
        if (i + 1) % step == 0 || i + 1 == sorted.len() {
            points.push(((i + 1) as f64 / articles as f64, right as f64 / (i + 1) as f64));
        }
    }
    points
}

fn most_confident(mut mistakes: Vec<Mistake>) -> Vec<Mistake> {
    mistakes.sort_by(|a, b| b.confidence.total_cmp(&a.confidence).then(a.place.cmp(&b.place)));
    mistakes.truncate(MAX_MISTAKES);
    mistakes
}

fn slices(records: &[&Record], right: &[bool]) -> Slices {
    let by = |key: &dyn Fn(&Record) -> Option<(usize, String)>| -> Vec<Slice> {
        let mut counts: BTreeMap<(usize, String), (usize, usize)> = BTreeMap::new();
        for (record, right) in records.iter().zip(right) {
            let Some(key) = key(record) else { continue };
            let count = counts.entry(key).or_default();
            *count = (count.0 + 1, count.1 + usize::from(*right));
        }
        let slices = counts.into_iter().map(|((_, name), (rows, right))| Slice {
            name,
            rows,
            right: right as f64 / rows as f64,
        });
        slices.collect()
    };
    let length = by(&|record| {
        let words = record.article.headline.split_whitespace().count() + record.article.body.split_whitespace().count();
        let bounds = [15, 50, 150, 400, 1000];
        let bin = bounds.iter().take_while(|bound| words > **bound).count();
        let name = match (bin.checked_sub(1).map(|below| bounds[below]), bounds.get(bin)) {
            (None, Some(most)) => format!("up to {most} words"),
            (Some(least), Some(most)) => format!("{} to {most}", least + 1),
            (Some(least), None) => format!("more than {least}"),
            (None, None) => String::new(),
        };
        Some((bin, name))
    });
    let year = by(&|record| {
        let year = day(record)?.year();
        Some((0, year.to_string()))
    });
    let mut source = by(&|record| (!record.source.is_empty()).then(|| (0, record.source.clone())));
    source.retain(|slice| slice.rows >= MIN_SOURCE_ARTICLES);
    source.sort_by_key(|slice| std::cmp::Reverse(slice.rows));
    Slices { length, year, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn curves_and_bins_hold_every_answer() {
        let outcomes: Vec<Outcome> = (0..1000).map(|i| (f64::from(i) / 1000.0, i % 4 != 0)).collect();
        let bins = bins(&outcomes);
        assert_eq!((bins.len(), bins.iter().map(|bin| bin.predictions).sum::<usize>()), (10, 1000));
        let half = curve(&outcomes, 2000);
        assert!(half.last().is_some_and(|last| (last.0 - 0.5).abs() < 1e-9), "half of them have no answer");
        let curve = curve(&outcomes, 1000);
        assert_eq!(curve.len(), MAX_POINTS);
        let last = curve.last().expect("points");
        assert!((last.0 - 1.0).abs() < 1e-9 && (last.1 - 0.75).abs() < 1e-9, "{last:?}");
        assert!(super::curve(&[], 0).is_empty() && super::bins(&[]).is_empty());
        assert_eq!(super::bins(&[(1.0, true)])[0].predictions, 1);
    }

    #[test]
    fn rows_are_sliced_by_length_year_and_source() {
        let row = |words: usize, published: &str, source: &str| {
            let article = crate::article::Article { body: "x ".repeat(words), ..Default::default() };
            Record { article, published: published.into(), source: source.into(), ..Record::default() }
        };
        let rows: Vec<Record> = (0..40)
            .map(|i| row(if i < 30 { 10 } else { 2000 }, "2024-01-02", if i < 25 { "wire" } else { "desk" }))
            .collect();
        let slices = slices(&rows.iter().collect::<Vec<_>>(), &(0..40).map(|i| i % 2 == 0).collect::<Vec<_>>());
        let named: Vec<(&str, usize)> = slices.length.iter().map(|slice| (&*slice.name, slice.rows)).collect();
        assert_eq!(named, [("up to 15 words", 30), ("more than 1000", 10)]);
        assert_eq!((slices.year[0].name.as_str(), slices.year[0].right), ("2024", 0.5));
        assert_eq!(slices.source.len(), 1, "small sources have no slice");
    }
}
