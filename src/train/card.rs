//! MODEL_CARD.md: what the model is, what it learned from, how good it measured and where it falls short.

use super::{
    LeftOut,
    metrics::{self, LabelScore, Outcome, SourceScore},
    regions::TrainedRegions,
    topic_scores::TopicAnswer,
    topics::{FOLDS, TrainedTopics},
};
use crate::{
    geography,
    model::{Model, NEVER_AUTO},
    region::{BESIDE, FEATURES},
    topic::taxonomy,
};
use std::{collections::BTreeMap, fmt::Write as _};

/// What a card tells of.
#[derive(Clone, Copy)]
pub struct Findings<'a> {
    /// The model.
    pub model: &'a Model,
    /// Present if topics were trained; otherwise they are told by their measures alone.
    pub topics: Option<&'a TrainedTopics>,
    /// The same of regions.
    pub regions: Option<&'a TrainedRegions>,
    /// What was left out of the archives.
    pub left_out: &'a LeftOut,
    /// What the trainer's own words say of the data; may be empty.
    pub notes: &'a str,
    /// Bytes of manifest and weights.
    pub bytes: usize,
}

/// The card.
pub fn write(findings: &Findings<'_>) -> String {
    let mut card = String::new();
    // Writing to a string cannot fail.
    let _ = write_card(&mut card, findings);
    card
}

fn write_card(card: &mut String, findings: &Findings<'_>) -> std::fmt::Result {
    let Findings { model, topics, regions, left_out, notes, bytes } = *findings;
    let manifest = model.manifest();
    writeln!(card, "# Model {}\n", model.version())?;
    writeln!(
        card,
        "Classifies news articles by topic and country. {} topics, {} sub-topics, {} countries, languages: {}, {:.1} MB.\n",
        manifest.topics.labels.len(),
        manifest.topics.subtopics.len(),
        geography::subjects(),
        manifest.languages.join(", "),
        bytes as f64 / 1e6,
    )?;
    writeln!(card, "## How it was made\n")?;
    writeln!(
        card,
        "Datasets, training and prediction traits, metrics and the calibrated decision layers are linfa 0.8.1: stock\n\
         `LogisticRegression` on cross-fitted scores, one per topic and sub-topic, and on the features of candidate countries for\n\
         regions. linfa has no estimator for sparse input (rust-ml/linfa#192), so the sparse linear solver is this project's,\n\
         implementing linfa's `Fit` and `PredictInplace`.\n"
    )?;
    let (terms, vectors) = (model.topics().vocabulary().len(), model.topics().vectors());
    let ngrams = if manifest.topics.ngrams { ", character n-grams" } else { "" };
    writeln!(
        card,
        "The linear layer of the topics reads {terms} words, word pairs{ngrams} and words of headlines and openings, and the sums of\n\
         word vectors over article and opening ({} words, {} dimensions; distilled from a sentence encoder, see NOTICE). The\n\
         decision layer of each topic reads its score, the best score of the other topics, and how the article is put together:\n\
         headline and body, headline alone, length. Topics {}. Sub-topics are learned from the articles of their topic and\n\
         given only together with it; their probability is that of the topic times their own among articles on it.\n",
        vectors.len(),
        vectors.dimensions(),
        if manifest.topics.exclusive {
            "exclude each other, because each training row has one: their probabilities sum to 1"
        } else {
            "do not exclude each other: each probability stands for itself"
        },
    )?;
    writeln!(card, "Trained by {} with seed {} on:\n", manifest.trained_by, manifest.seed)?;
    let mut table = Table::new(&["file", "task", "labels", "rows", "sha256"], "lllrl");
    for file in &manifest.trained_on {
        let labels = file.labels.as_str();
        let task = file.task.as_str().to_owned();
        table.row([file.name.clone(), task, labels.into(), file.rows.to_string(), file.sha256.clone()]);
    }
    writeln!(card, "{table}")?;
    if !notes.trim().is_empty() {
        writeln!(card, "{}\n", notes.trim())?;
    }
    if topics.is_some() && !left_out.rare_labels.is_empty() {
        let rare = left_out.rare_labels.iter().map(|(label, rows)| format!("{label} ({rows})"));
        writeln!(
            card,
            "Labels with too few different rows to be learned, with the number of these: {}.\n",
            rare.collect::<Vec<_>>().join(", ")
        )?;
    }

    write_topics(card, findings)?;

    writeln!(card, "## Regions\n")?;
    writeln!(
        card,
        "Measured in the same way, over all countries; `*_five` over those with at least five articles, `*_others` without the\n\
         commonest country. `without_dateline_*` is for the same articles with their datelines taken away. For `without_country_names_*`\n\
         all names, adjectives and peoples of countries are masked, for `without_names_*` all place names, in the datelines too.\n\
         Each article was scored by a text model that had not seen it; the ranker's weights come from the other folds, whose text\n\
         models had. `calibration_error` is over all countries that are listed, `calibration_error_about` over those answered;\n\
         `auto_coverage` is the share of the articles with a country that are given one as AUTO.\n"
    )?;
    writeln!(card, "{}", measures(&manifest.regions.measured))?;
    writeln!(
        card,
        "A country is ABOUT from {:.3} on (best micro-F1, or nearly), and AUTO from {:.3} on, if it is named by more than an adjective:\n\
         from there on countries were right at least {:.0} times in 100. An article that names no place, and whose words speak for\n\
         none, is answered with the client's `source_country` at {:.3}: the share of training articles without place names that\n\
         are about the commonest country.\n",
        manifest.regions.thresholds.review,
        manifest.regions.thresholds.auto,
        metrics::AUTO_REGION.precision * 100.0,
        manifest.regions.home,
    )?;
    if let Some(trained) = regions {
        writeln!(card, "On the same folds, the usual ways to tell countries:\n")?;
        let head = ["", "micro-F1", "macro-F1", "of five", "of others", "exact", "top-1"];
        let mut table = Table::new(&head, "lrrrrrr");
        for (name, scores) in
            trained.peers.iter().map(|(name, scores)| (*name, scores)).chain([("Dateline", &trained.scores)])
        {
            let [a, b, c, d, e, f] = [
                scores.micro_f1,
                scores.macro_f1,
                scores.macro_f1_five,
                scores.micro_f1_others,
                scores.exact,
                scores.top1,
            ]
            .map(|value| format!("{value:.3}"));
            table.row([name.to_owned(), a, b, c, d, e, f]);
        }
        writeln!(card, "{table}")?;
        write_sources(card, "By source:", &trained.sources)?;
        write_sources(card, "By source, each by a model that has seen no row of it:", &trained.left_out_sources)?;
    }
    let text = model.regions().text();
    writeln!(
        card,
        "The ranker reads {} features of each candidate. The text model behind `score` knows {} countries by {} words and\n\
         word pairs that are no place names. Features overlap, so that single weights can look odd; only sums count.\n",
        FEATURES.len() + BESIDE.len(),
        text.countries().len(),
        text.vocabulary().len(),
    )?;
    let mut table = Table::new(&["feature", "range", "weight", "what it is"], "llrl");
    let weights = &model.regions().layers().beside.weights;
    let alone = FEATURES.iter().map(|feature| (feature.name, feature.range, feature.meaning));
    let beside = BESIDE.iter().map(|feature| (feature.name, feature.range, feature.meaning));
    for ((name, range, meaning), weight) in alone.chain(beside).zip(weights) {
        table.row([format!("`{name}`"), range.to_owned(), format!("{weight:+.3}"), meaning.to_owned()]);
    }
    writeln!(card, "{table}")?;
    if let Some(trained) = regions {
        let name = |code: &str| geography::place(code).map_or_else(|| code.to_owned(), |place| place.name.to_string());
        let common = trained.scores.labels.iter().filter(|(_, score)| score.support >= 5);
        writeln!(card, "Countries with at least five articles:\n")?;
        writeln!(card, "{}", label_table(&common.map(|(code, score)| (code.clone(), *score)).collect(), name))?;
        writeln!(card, "Confidence of countries that are listed against how often the article was about them:\n")?;
        writeln!(card, "{}", reliability(&trained.outcomes))?;
    }

    writeln!(card, "## Limits\n")?;
    writeln!(
        card,
        "- Cross-validation draws test rows from the same sources as training rows; articles of other outlets and years\n  \
           are harder: see the sources that were left out.\n\
         - Place names are found in English text. Organisations and people count where training rows had them.\n\
         - Parts of the world (\"West African leaders\") are answered with the probability of a country named in the same way;\n  \
           no training row says them, so that this is not measured.\n\
         - Articles in languages other than those above get the decision ABSTAIN."
    )
}

fn write_topics(card: &mut String, findings: &Findings<'_>) -> std::fmt::Result {
    let Findings { model, topics, .. } = *findings;
    let manifest = model.manifest();
    writeln!(card, "## Topics\n")?;
    writeln!(
        card,
        "Measured on held-out folds ({FOLDS}-fold cross-validation, near-duplicates in one fold; the thresholds were chosen on the same\n\
         folds, so that figures that depend on them are a little kind). An article is given the topics that are AUTO or REVIEW.\n\
         `accuracy` is the share of articles whose best topic is one of theirs; `calibration_error` is over all pairs of an article\n\
         and a topic.\n"
    )?;
    writeln!(card, "{}", measures(&manifest.topics.measured))?;
    let thresholds = manifest.topics.thresholds;
    let percent = |share: f64| format!("{:.0}", share * 100.0);
    writeln!(
        card,
        "AUTO begins at {:.3}, for some topics later: from there on labels were right at least {} times in 100, those of each\n\
         topic at least {} times, and those close to the threshold at least {} times. REVIEW begins at {:.3}, where micro-F1 is\n\
         best.\n",
        thresholds.auto,
        percent(metrics::AUTO.precision),
        percent(metrics::AUTO.precision_of_label),
        percent(metrics::AUTO.precision_at_threshold),
        thresholds.review,
    )?;
    let Some(trained) = topics else { return Ok(()) };
    if let Some(scores) = &trained.scores_of_all {
        writeln!(
            card,
            "Rows that were picked for what they are about (`how` is `selected`) teach, and are not among the measured ones. On all\n\
             {} rows: micro-F1 {:.3}, macro-F1 {:.3}, accuracy {:.3}.\n",
            scores.rows, scores.micro_f1, scores.macro_f1, scores.accuracy
        )?;
    }
    let auto_from: BTreeMap<&str, f32> = manifest
        .topics
        .labels
        .iter()
        .chain(&manifest.topics.subtopics)
        .map(|label| (&*label.code, label.auto_from))
        .collect();
    let name = |code: &str| model.topics().name_of(code).unwrap_or(code).to_owned();
    let auto = |code: &str| match auto_from.get(code) {
        Some(from) if *from >= NEVER_AUTO => "never".to_owned(),
        Some(from) => format!("{from:.3}"),
        None => "-".to_owned(),
    };
    writeln!(card, "{}", label_table_with(&trained.scores.labels, name, Some(("AUTO from", &auto))))?;
    write_sources(card, "By source:", &trained.scores.sources)?;
    write_sources(card, "By source, each by a model that has seen no row of it:", &trained.left_out_sources)?;
    writeln!(card, "Confidence of every topic against how often articles were about it:\n")?;
    writeln!(card, "{}", reliability(&pairs(&trained.answers)))?;
    let is_known = |code: &str| manifest.topics.labels.iter().any(|label| label.code == code);
    let missing: Vec<String> = taxonomy::topics()
        .filter(|code| taxonomy::topics().any(&is_known) && !is_known(code))
        .map(|code| format!("{} ({code})", taxonomy::name(code).unwrap_or(code)))
        .collect();
    if !missing.is_empty() {
        writeln!(card, "Never answered, because no training row carries them: {}.\n", missing.join(", "))?;
    }
    if let Some(scores) = &trained.subtopic_scores {
        writeln!(card, "### Sub-topics\n")?;
        writeln!(
            card,
            "Measured in the same way. AUTO: right at least {} times in 100, each sub-topic at least {} times; only if the topic is\n\
             AUTO too. REVIEW begins at {:.3}.\n",
            percent(metrics::AUTO_SUBTOPIC.precision),
            percent(metrics::AUTO_SUBTOPIC.precision_of_label),
            manifest.topics.subtopic_review,
        )?;
        writeln!(card, "{}", measures(&scores.measures()))?;
        writeln!(card, "{}", label_table_with(&scores.labels, name, Some(("AUTO from", &auto))))?;
    }
    Ok(())
}

fn write_sources(card: &mut String, title: &str, sources: &BTreeMap<String, SourceScore>) -> std::fmt::Result {
    if sources.len() < 2 {
        return Ok(());
    }
    let mut head = vec!["source", "rows"];
    head.extend(metrics::source_measures(sources));
    let mut table = Table::new(&head, "lrrrrrrrrr");
    for (source, score) in sources {
        let measures = score.measures.values().map(|value| format!("{value:.3}"));
        table.rows.push([source.clone(), score.rows.to_string()].into_iter().chain(measures).collect());
    }
    writeln!(card, "{title}\n\n{table}")
}

/// Every answered label with whether it is right.
fn pairs(answers: &[TopicAnswer]) -> Vec<Outcome> {
    let of_answer = |answer: &TopicAnswer| -> Vec<Outcome> {
        let is_right = |code: &str| answer.truth.iter().any(|label| label == code);
        answer.labels.iter().map(|label| (label.confidence, is_right(&label.code))).collect()
    };
    answers.iter().flat_map(of_answer).collect()
}

fn measures(measured: &BTreeMap<String, f64>) -> Table {
    let mut table = Table::new(&["measure", "value"], "lr");
    measured.iter().for_each(|(name, value)| table.row([name.clone(), format!("{value:.3}")]));
    table
}

fn label_table(labels: &BTreeMap<String, LabelScore>, name: impl Fn(&str) -> String) -> Table {
    label_table_with(labels, name, None)
}

/// The head of a column, and its cells by code.
type Column<'a> = (&'a str, &'a dyn Fn(&str) -> String);

/// The figures of labels, with one more column if given: its head and its cells by code.
fn label_table_with(
    labels: &BTreeMap<String, LabelScore>,
    name: impl Fn(&str) -> String,
    more: Option<Column<'_>>,
) -> Table {
    let mut head = vec!["code", "name", "precision", "recall", "F1", "support"];
    head.extend(more.map(|(head, _)| head));
    let mut table = Table::new(&head, "llrrrrr");
    for (code, score) in labels {
        let mut cells = vec![code.clone(), name(code)];
        cells.extend([score.precision, score.recall, score.f1].map(|value| format!("{value:.3}")));
        cells.push(score.support.to_string());
        cells.extend(more.map(|(_, cell)| cell(code)));
        table.rows.push(cells);
    }
    table
}

/// Ten bins, drawn.
fn reliability(outcomes: &[Outcome]) -> Table {
    let mut table = Table::new(&["confidence", "right", "", "predictions"], "lrlr");
    for bin in 0..10 {
        let (from, to) = (f64::from(bin) / 10.0, f64::from(bin + 1) / 10.0);
        let inside: Vec<&Outcome> = outcomes.iter().filter(|(p, _)| *p >= from && (*p < to || bin == 9)).collect();
        if inside.is_empty() {
            continue;
        }
        let mean = inside.iter().map(|(p, _)| p).sum::<f64>() / inside.len() as f64;
        let right = inside.iter().filter(|(_, right)| *right).count() as f64 / inside.len() as f64;
        let bar = "█".repeat((right * 20.0).round() as usize);
        table.row([format!("{mean:.3}"), format!("{right:.3}"), bar, inside.len().to_string()]);
    }
    table
}

/// An aligned Markdown table.
struct Table {
    rows: Vec<Vec<String>>,
    align: &'static str,
}

impl Table {
    /// `align` has `l` or `r` for each column.
    fn new(head: &[&str], align: &'static str) -> Self {
        Table { rows: vec![head.iter().map(|cell| (*cell).to_owned()).collect()], align }
    }

    fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.to_vec());
    }
}

impl std::fmt::Display for Table {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let columns: Vec<(usize, bool)> = self
            .align
            .chars()
            .take(self.rows[0].len())
            .enumerate()
            .map(|(i, align)| {
                (self.rows.iter().map(|row| row[i].chars().count()).max().unwrap_or(0).max(3), align == 'r')
            })
            .collect();
        for (n, row) in self.rows.iter().enumerate() {
            for (cell, (width, right)) in row.iter().zip(&columns) {
                if *right {
                    write!(out, "| {cell:>width$} ")?;
                } else {
                    write!(out, "| {cell:<width$} ")?;
                }
            }
            writeln!(out, "|")?;
            if n == 0 {
                for (width, right) in &columns {
                    write!(out, "| {}{} ", "-".repeat(width - 1), if *right { ":" } else { "-" })?;
                }
                writeln!(out, "|")?;
            }
        }
        Ok(())
    }
}
