//! What became of a training or an evaluation, for people to look at and scripts to read: one page of HTML that needs nothing
//! else, and the same as JSON. It holds ids, labels and single words, no articles.

mod page;
mod plots;

use super::{
    LeftOut, corpus,
    evaluate::TopicAnswers,
    metrics::{LabelScore, Outcome, RegionAnswer, RegionScores, SourceScore},
    promotion::Comparison,
    topic_scores::{NO_ANSWER, TopicAnswer, TopicScores},
};
use crate::{
    article::Options,
    formats::Record,
    geography,
    model::{Model, TrainingFile},
};
use rayon::prelude::*;
use serde::Serialize;
use std::{collections::BTreeMap, io, path::Path};

/// All that is told.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// The version of the model.
    pub version: String,
    /// How the figures were measured, in sentences.
    pub how: Vec<String>,
    /// What the model was trained on.
    pub trained_on: Vec<TrainingFile>,
    /// About topics, where rows carry some.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topics: Option<TopicReport>,
    /// About regions, where rows carry some.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub regions: Option<RegionReport>,
    /// The new model and the one in service on the same test rows.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub comparisons: Vec<Comparison>,
    /// By part, how many corrections there are and how many of them are answered right by the model that learned from them.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub corrections: BTreeMap<String, [usize; 2]>,
    /// Rows that were left out, and why.
    pub left_out: LeftOut,
}

/// Rows of one kind by some property of theirs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Slice {
    /// What they have in common.
    pub name: String,
    /// How many there are.
    pub rows: usize,
    /// The share that is answered right: the best topic is one of theirs, or the countries are exactly theirs.
    pub right: f64,
}

/// Slices by property.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Slices {
    /// By words of the article.
    pub length: Vec<Slice>,
    /// By year of publication.
    pub year: Vec<Slice>,
    /// By source.
    pub source: Vec<Slice>,
}

/// A label's figures.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LabelRow {
    /// Its code.
    pub code: String,
    /// Its name.
    pub name: String,
    /// Share of the articles given the label that carry it.
    pub precision: f64,
    /// Share of the articles that carry the label that were given it.
    pub recall: f64,
    /// Harmonic mean of both.
    pub f1: f64,
    /// Articles that carry it.
    pub support: usize,
    /// The words and word pairs that spoke for it most, in articles that were told right.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub terms: Vec<String>,
}

/// An answer that is wrong, or a label that is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Mistake {
    /// The id of the article.
    pub id: String,
    /// Where its row stands.
    pub place: String,
    /// What the row says.
    pub label: String,
    /// What was answered.
    pub answer: String,
    /// How sure the answer was, from 0 to 1.
    pub confidence: f64,
}

/// Predictions of about the same confidence.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Bin {
    /// Their mean confidence.
    pub confidence: f64,
    /// The share that is right.
    pub right: f64,
    /// How many there are.
    pub predictions: usize,
}

/// About topics.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TopicReport {
    /// Rows measured.
    pub rows: usize,
    /// Measure by name.
    pub measures: BTreeMap<String, f64>,
    /// Labels, by code.
    pub labels: Vec<LabelRow>,
    /// The labels of rows and columns of `confusion`: those that most rows carry, and `-` for no answer or any other.
    pub confusion_labels: Vec<String>,
    /// Articles by true label (rows) and answered label (columns).
    pub confusion: Vec<Vec<usize>>,
    /// Confidence against being right, over pairs of an article and a topic.
    pub reliability: Vec<Bin>,
    /// Coverage and precision of the best topic, from the surest answer to all.
    pub coverage: Vec<(f64, f64)>,
    /// Scores by source, if rows say theirs.
    pub sources: BTreeMap<String, SourceScore>,
    /// Scores by source, each by a model that has seen no row of it; empty if not measured.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub left_out_sources: BTreeMap<String, SourceScore>,
    /// About the sub-topics, if there are any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subtopics: Option<SubtopicReport>,
    /// Rows learned from and accuracy on the same held-out fold; empty where it was not measured.
    pub learning: Vec<(usize, f64)>,
    /// By length, year and source.
    pub slices: Slices,
    /// The surest mistakes: many of them are wrong labels.
    pub mistakes: Vec<Mistake>,
}

/// About regions.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RegionReport {
    /// Rows measured.
    pub rows: usize,
    /// Measure by name.
    pub measures: BTreeMap<String, f64>,
    /// Countries with at least five rows, by code.
    pub labels: Vec<LabelRow>,
    /// Confidence of the first country against being one of the row's.
    pub reliability: Vec<Bin>,
    /// Coverage and precision of the first country.
    pub coverage: Vec<(f64, f64)>,
    /// Scores by source; empty if there is only one, or none was measured.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub sources: BTreeMap<String, SourceScore>,
    /// Scores by source, each by a model that has seen no row of it; empty if not measured.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub left_out_sources: BTreeMap<String, SourceScore>,
    /// By length, year and source.
    pub slices: Slices,
    /// The surest mistakes.
    pub mistakes: Vec<Mistake>,
}

const MOST_MISTAKES: usize = 50;
/// Labels in the heat map.
const MOST_LABELS: usize = 30;
/// Articles that a label's terms are drawn from.
const TERM_ARTICLES: usize = 200;
const MOST_TERMS: usize = 15;
/// Points of a curve.
const POINTS: usize = 200;
const LEAST_OF_SOURCE: usize = 20;

/// About sub-topics.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SubtopicReport {
    /// Measure by name.
    pub measures: BTreeMap<String, f64>,
    /// Sub-topics, by code.
    pub labels: Vec<LabelRow>,
}

/// What a report on topics is made of.
pub struct TopicFindings<'a> {
    /// The scores of the topics.
    pub scores: &'a TopicScores,
    /// Those of the sub-topics.
    pub subtopic_scores: Option<&'a TopicScores>,
    /// The rows that were answered.
    pub records: &'a [Record],
    /// The answers to them, in the same order.
    pub answers: &'a [TopicAnswer],
}

fn label_rows(scores: &BTreeMap<String, LabelScore>, name: impl Fn(&str) -> String) -> Vec<LabelRow> {
    let row = |(code, score): (&String, &LabelScore)| LabelRow {
        code: code.clone(),
        name: name(code),
        precision: score.precision,
        recall: score.recall,
        f1: score.f1,
        support: score.support,
        terms: Vec::new(),
    };
    scores.iter().map(row).collect()
}

impl TopicReport {
    /// From the answers of a model to labelled rows.
    pub fn of_answers(model: &Model, records: &[Record], answers: &TopicAnswers) -> Option<Self> {
        let scores = answers.scores()?;
        let subtopic_scores = answers.subtopic_scores();
        let findings = TopicFindings {
            scores: &scores,
            subtopic_scores: subtopic_scores.as_ref(),
            records,
            answers: &answers.topics,
        };
        Some(TopicReport::of(model, &findings))
    }

    /// From answers to rows.
    pub fn of(model: &Model, findings: &TopicFindings<'_>) -> Self {
        let TopicFindings { scores, subtopic_scores, records, answers } = *findings;
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
        let mut common: Vec<(&String, usize)> =
            scores.labels.iter().map(|(code, score)| (code, score.support)).collect();
        common.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
        let mut confusion_labels: Vec<String> =
            common.iter().take(MOST_LABELS).map(|(code, _)| (*code).clone()).collect();
        confusion_labels.sort();
        confusion_labels.push(NO_ANSWER.to_owned());
        let place =
            |code: &str| confusion_labels.iter().position(|label| label == code).unwrap_or(confusion_labels.len() - 1);
        let mut confusion = vec![vec![0; confusion_labels.len()]; confusion_labels.len()];
        for (truth, given) in &scores.confusion {
            given.iter().for_each(|(code, rows)| confusion[place(truth)][place(code)] += rows);
        }
        let mistakes =
            records.iter().zip(answers).filter(|(_, answer)| !answer.is_right()).map(|(record, answer)| Mistake {
                id: record.article.id.clone(),
                place: record.place.clone(),
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
            mistakes: surest(mistakes.collect()),
            confusion_labels,
        }
    }
}

impl RegionReport {
    /// From answers to rows, in the same order.
    pub fn of(records: &[Record], answers: &[RegionAnswer]) -> Self {
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
            place: record.place.clone(),
            label: answer.truth.join(", "),
            answer: answer.top.clone().unwrap_or_default(),
            confidence: answer.confidence,
        });
        let exact = |answer: &RegionAnswer| {
            let [right, given, carried] = answer.counts();
            right == given && right == carried
        };
        RegionReport {
            rows: answers.len(),
            measures,
            labels: label_rows(&common, name),
            reliability: bins(&outcomes),
            coverage: curve(&outcomes, answers.len()),
            sources: BTreeMap::new(),
            left_out_sources: BTreeMap::new(),
            slices: slices(records, &answers.iter().map(exact).collect::<Vec<_>>()),
            mistakes: surest(mistakes.collect()),
        }
    }
}

/// What spoke for each label, in articles that the model tells right: the terms with the most weight in all.
fn terms(model: &Model, records: &[Record], answers: &[TopicAnswer]) -> BTreeMap<String, Vec<String>> {
    let mut picked: BTreeMap<&str, Vec<&Record>> = BTreeMap::new();
    for (record, answer) in records.iter().zip(answers).filter(|(_, answer)| answer.is_right()) {
        let Some(best) = answer.best() else { continue };
        let of_label = picked.entry(best).or_default();
        if of_label.len() < TERM_ARTICLES {
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
        (code.to_owned(), sorted.into_iter().take(MOST_TERMS).map(|(term, _)| term).collect())
    };
    picked.into_iter().map(of_label).collect()
}

/// Ten bins of equal width; empty ones are left out.
fn bins(outcomes: &[Outcome]) -> Vec<Bin> {
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

/// The precision of the surest answers, for each share of all articles, of which some may have no answer.
fn curve(outcomes: &[Outcome], articles: usize) -> Vec<(f64, f64)> {
    let mut sorted = outcomes.to_vec();
    sorted.sort_by(|a, b| b.0.total_cmp(&a.0));
    let (mut right, mut points) = (0, Vec::new());
    let step = sorted.len().div_ceil(POINTS).max(1);
    for (i, (_, is_right)) in sorted.iter().enumerate() {
        right += usize::from(*is_right);
        if (i + 1) % step == 0 || i + 1 == sorted.len() {
            points.push(((i + 1) as f64 / articles as f64, right as f64 / (i + 1) as f64));
        }
    }
    points
}

fn surest(mut mistakes: Vec<Mistake>) -> Vec<Mistake> {
    mistakes.sort_by(|a, b| b.confidence.total_cmp(&a.confidence).then(a.place.cmp(&b.place)));
    mistakes.truncate(MOST_MISTAKES);
    mistakes
}

fn slices(records: &[Record], right: &[bool]) -> Slices {
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
        let year = corpus::day(record)?.year();
        Some((0, year.to_string()))
    });
    let mut source = by(&|record| (!record.source.is_empty()).then(|| (0, record.source.clone())));
    source.retain(|slice| slice.rows >= LEAST_OF_SOURCE);
    source.sort_by_key(|slice| std::cmp::Reverse(slice.rows));
    Slices { length, year, source }
}

impl Report {
    /// Writes the page, and the same as JSON beside it, with `.json` for its end.
    ///
    /// # Errors
    /// What the system says.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        std::fs::write(path, page::page(self))?;
        let mut json = serde_json::to_vec_pretty(self)?;
        json.push(b'\n');
        std::fs::write(path.with_extension("json"), json)
    }
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
        assert_eq!(curve.len(), POINTS);
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
        let slices = slices(&rows, &(0..40).map(|i| i % 2 == 0).collect::<Vec<_>>());
        let named: Vec<(&str, usize)> = slices.length.iter().map(|slice| (&*slice.name, slice.rows)).collect();
        assert_eq!(named, [("up to 15 words", 30), ("more than 1000", 10)]);
        assert_eq!((slices.year[0].name.as_str(), slices.year[0].right), ("2024", 0.5));
        assert_eq!(slices.source.len(), 1, "few say nothing");
    }
}
