//! MODEL_CARD.md: what the model is, what it learned from, how good it measured and where it falls short.

use super::{
    LeftOut,
    metrics::{self, LabelScore, Outcome},
    regions::TrainedRegions,
    topics::{FOLDS, TrainedTopics},
};
use crate::{
    model::Model,
    region::{FEATURES, tree},
    topic::taxonomy,
};
use std::{collections::BTreeMap, fmt::Write as _};

/// The card. Parts that were taken over from another model are told by their measures alone.
pub fn write(
    model: &Model,
    topics: Option<&TrainedTopics>,
    regions: Option<&TrainedRegions>,
    left_out: &LeftOut,
    bytes: usize,
) -> String {
    let mut card = String::new();
    // Writing to a string cannot fail.
    let _ = write_card(&mut card, model, topics, regions, left_out, bytes);
    card
}

fn write_card(
    card: &mut String,
    model: &Model,
    topics: Option<&TrainedTopics>,
    regions: Option<&TrainedRegions>,
    left_out: &LeftOut,
    bytes: usize,
) -> std::fmt::Result {
    let manifest = model.manifest();
    writeln!(card, "# Model {}\n", model.version())?;
    writeln!(
        card,
        "Tells the topics and the countries of news articles. {} topics, {} countries, languages: {}, {:.1} MB.\n",
        manifest.topics.labels.len(),
        tree::countries(),
        manifest.languages.join(", "),
        bytes as f64 / 1e6,
    )?;
    writeln!(card, "## How it was made\n")?;
    writeln!(
        card,
        "Datasets, training and prediction traits, metrics and the calibrated decision layers are linfa 0.8.1: stock\n\
         `MultiLogisticRegression` on cross-fitted scores for topics, stock `LogisticRegression` on the features of candidate\n\
         countries for regions. linfa has no estimator for sparse input (rust-ml/linfa#192), so the sparse linear solver is\n\
         this project's, implementing linfa's `Fit` and `PredictInplace`.\n"
    )?;
    let (terms, vectors) = (model.topics().vocabulary().len(), model.topics().vectors());
    writeln!(
        card,
        "The linear layer of the topics reads {terms} words, word pairs and words of headlines and leads, and the sum of word\n\
         vectors ({} words, {} dimensions; distilled from a sentence encoder, see NOTICE). The decision layer reads its scores,\n\
         alone and times how the article is put together: headline and body, headline alone, length. Labels with few articles\n\
         of a form (full articles, headlines, one-liners) are also taught with ones made of their other rows.\n",
        vectors.len(),
        vectors.dimensions(),
    )?;
    writeln!(card, "Trained by {} with seed {} on:\n", manifest.trained_by, manifest.seed)?;
    let mut table = Table::new(&["file", "task", "labels", "rows", "sha256"], "lllrl");
    for file in &manifest.trained_on {
        let labels = if file.weak { "by rule" } else { "given" };
        let task = file.task.as_str().to_owned();
        table.row([file.name.clone(), task, labels.into(), file.rows.to_string(), file.sha256.clone()]);
    }
    writeln!(card, "{table}")?;
    if topics.is_some() && !left_out.rare_labels.is_empty() {
        let rare = left_out.rare_labels.iter().map(|(label, rows)| format!("{label} ({rows})"));
        writeln!(
            card,
            "Labels with too few different rows to be learned, with the number of these: {}.\n",
            rare.collect::<Vec<_>>().join(", ")
        )?;
    }

    writeln!(card, "## Topics\n")?;
    writeln!(
        card,
        "Measured on held-out folds ({FOLDS}-fold cross-validation over all rows above; the thresholds were chosen on the same\n\
         folds, so that figures that depend on them are a little kind). Rows labelled by rule and made rows are never among\n\
         the measured ones:\n"
    )?;
    writeln!(card, "{}", measures(&manifest.topics.measured))?;
    let thresholds = manifest.topics.thresholds;
    writeln!(
        card,
        "AUTO begins at {:.3}: from there on labels were right at least {:.0} times in 100, and close to it at least {:.0} times.\n\
         REVIEW begins at {:.3}. `auto_coverage` is the share of articles whose best topic is AUTO.\n",
        thresholds.auto,
        metrics::AUTO_PRECISION * 100.0,
        metrics::AUTO_PRECISION_AT_THRESHOLD * 100.0,
        thresholds.review,
    )?;
    if let Some(trained) = topics {
        let name = |code: &str| taxonomy::name(code).unwrap_or(code).to_owned();
        let mut table = Table::new(&["file", "rows", "accuracy"], "lrr");
        for (file, (rows, right)) in &trained.by_file {
            table.row([file.clone(), rows.to_string(), format!("{:.3}", *right as f64 / *rows as f64)]);
        }
        writeln!(card, "{table}")?;
        writeln!(card, "{}", label_table(&trained.scores.labels, name))?;
        write_weak(card, model, trained)?;
        writeln!(card, "Confidence of the best topic against how often it was right:\n")?;
        writeln!(card, "{}", reliability(&trained.outcomes))?;
        let known = || manifest.topics.labels.iter().map(|label| label.code.as_str());
        let missing: Vec<String> = taxonomy::codes()
            .filter(|code| known().any(|label| label.starts_with("medtop:")) && !known().any(|label| label == *code))
            .map(|code| format!("{} ({code})", name(code)))
            .collect();
        if !missing.is_empty() {
            writeln!(card, "Never answered, because no training row carries them: {}.\n", missing.join(", "))?;
        }
    }

    writeln!(card, "## Regions\n")?;
    writeln!(
        card,
        "Measured in the same way, over all countries; `*_five` over those with at least five articles, `*_others` without the\n\
         commonest country. `without_dateline_*` is for the same articles with their datelines taken away. For `without_country_names_*`\n\
         all names, adjectives and peoples of countries are masked, for `without_names_*` all place names, in the datelines too.\n\
         Each article was scored by a text model that had not seen it; the ranker's weights come from the other folds, whose text\n\
         models had. `calibration_error` is over all countries that are listed, `calibration_error_about` over those answered.\n"
    )?;
    writeln!(card, "{}", measures(&manifest.regions.measured))?;
    writeln!(
        card,
        "A country is ABOUT from {:.3} on (best micro-F1) and AUTO from {:.3} on. An article that names no place, and whose\n\
         words speak for none, is answered with the client's `source_country` at {:.3}: the share of training articles without\n\
         place names that are about the commonest country.\n",
        manifest.regions.thresholds.review, manifest.regions.thresholds.auto, manifest.regions.home,
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
        let mut table = Table::new(&["file", "rows", "micro-F1", "exact", "top-1"], "lrrrr");
        for (file, scores) in &trained.by_file {
            let [a, b, c] = [scores.micro_f1, scores.exact, scores.top1].map(|value| format!("{value:.3}"));
            table.row([file.clone(), scores.rows.to_string(), a, b, c]);
        }
        writeln!(card, "{table}")?;
    }
    let text = model.regions().text();
    writeln!(
        card,
        "The ranker reads {} features of each candidate. The text model behind `score` knows {} countries by {} words and\n\
         word pairs that are no place names. Features overlap, so that single weights can look odd; only sums count.\n",
        FEATURES.len(),
        text.countries().len(),
        text.vocabulary().len(),
    )?;
    let mut table = Table::new(&["feature", "range", "weight", "what it is"], "llrl");
    for (feature, weight) in FEATURES.iter().zip(&model.regions().layer().weights) {
        table.row([
            format!("`{}`", feature.name),
            feature.range.to_owned(),
            format!("{weight:+.3}"),
            feature.meaning.to_owned(),
        ]);
    }
    writeln!(card, "{table}")?;
    if let Some(trained) = regions {
        let name = |code: &str| tree::place(code).map_or_else(|| code.to_owned(), |place| place.name.to_string());
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
           are harder.\n\
         - Training rows carry one topic each wherever the source files say one; second topics are told only by their\n  \
           probability.\n\
         - Place names are found in English text. Organisations and people count where training rows had them.\n\
         - Parts of the world (\"West African leaders\") are answered with the probability of a country named in the same way;\n  \
           no training row says them, so that this is not measured.\n\
         - Articles in languages other than those above get the decision ABSTAIN."
    )
}

/// The labels that rules gave, apart from the others.
fn write_weak(card: &mut String, model: &Model, trained: &TrainedTopics) -> std::fmt::Result {
    let weak = model.manifest().topics.labels.iter().filter(|label| label.weak > 0);
    let mut table = Table::new(&["code", "name", "given", "by rule", "found again", "answered for others"], "llrrrr");
    for label in weak {
        let found = trained.weak_scores.labels.get(&label.code).map_or(0.0, |score| score.recall);
        let mistaken: usize = trained
            .scores
            .confusion
            .iter()
            .filter(|(truth, _)| **truth != label.code)
            .filter_map(|(_, answers)| answers.get(&label.code))
            .sum();
        table.row([
            label.code.clone(),
            label.name.clone(),
            label.support.to_string(),
            label.weak.to_string(),
            format!("{found:.3}"),
            mistaken.to_string(),
        ]);
    }
    if table.rows.len() > 1 {
        writeln!(
            card,
            "Labels that rules gave to rows without topics (`src/train/data/weak-labels.tsv`). Where no row was given the label by\n\
             people, its quality is not measured: `found again` is only how many of the held-out rows that a rule saw the model\n\
             sees too, and `answered for others` how many rows with another label it was answered for.\n"
        )?;
        writeln!(card, "{table}")?;
    }
    Ok(())
}

fn measures(measured: &BTreeMap<String, f64>) -> Table {
    let mut table = Table::new(&["measure", "value"], "lr");
    measured.iter().for_each(|(name, value)| table.row([name.clone(), format!("{value:.3}")]));
    table
}

fn label_table(labels: &BTreeMap<String, LabelScore>, name: impl Fn(&str) -> String) -> Table {
    let mut table = Table::new(&["code", "name", "precision", "recall", "F1", "support"], "llrrrr");
    for (code, score) in labels {
        let share = |value: f64| format!("{value:.3}");
        table.row([
            code.clone(),
            name(code),
            share(score.precision),
            share(score.recall),
            share(score.f1),
            score.support.to_string(),
        ]);
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
