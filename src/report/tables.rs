//! The tables of reports: each is built here once, for the card, the page and the terminal.

use super::{
    data::{Bin, LabelRow, Mistake, Slice},
    table::{Cell, Table, bar, number, share, text},
};
use crate::{
    model::TrainingFile,
    train::{
        LeftOut,
        metrics::{self, RegionScores, SourceScore},
        promotion::Comparison,
        topic_scores::TopicScores,
        topics::Tried,
    },
};
use std::collections::BTreeMap;

/// Labels with fewer changes than this between two models are left out of their comparison on a terminal.
const NOTABLE_DIFFERENCE: f64 = 0.02;

/// Measures, with their meaning.
pub fn measures(title: &str, measured: &BTreeMap<String, f64>) -> Table {
    let mut table = Table::new([text(title), text("meaning"), number("value")]);
    for (name, value) in measured {
        table.push([name.into(), meaning(name).into(), share(*value)]);
    }
    table
}

fn meaning(measure: &str) -> &'static str {
    match measure {
        "accuracy" => "articles whose best label is one of theirs",
        "macro_f1" => "mean F1 over labels",
        "micro_f1" => "F1 over all pairs of article and label",
        "exact" => "articles with exactly the right labels",
        "top1" => "articles whose most confident country is right",
        "macro_f1_five" => "mean F1 over countries with at least five articles",
        "micro_f1_others" => "micro-F1 without the most frequent country",
        "calibration_error" => "expected calibration error",
        "calibration_error_about" => "the same over countries answered as ABOUT",
        "auto_coverage" => "articles with an AUTO label",
        "auto_precision" => "AUTO labels that are right",
        "auto_recall" => "labels of articles that are given as AUTO",
        "auto_articles_right" => "articles with AUTO labels, all of them right",
        "without_dateline_micro_f1" => "micro-F1 without datelines",
        "without_dateline_macro_f1" => "macro-F1 without datelines",
        "without_country_names_top1" => "top1, names and adjectives of countries masked",
        "without_names_top1" => "top1, all place names masked",
        "without_country_names_top1_others" | "without_names_top1_others" => {
            "the same without the most frequent country"
        }
        _ => "",
    }
}

/// Precision, recall and F1 of labels; thresholds and terms if the rows have them.
pub fn labels(rows: &[LabelRow]) -> Table {
    let has_auto = rows.iter().any(|row| row.auto_from.is_some());
    let has_terms = rows.iter().any(|row| !row.terms.is_empty());
    let mut columns = vec![
        text("code"),
        text("name"),
        number("precision"),
        number("recall"),
        number("F1"),
        bar(),
        number("articles"),
    ];
    columns.extend(has_auto.then(|| number("AUTO from")));
    columns.extend(has_terms.then(|| text("most telling")));
    let mut table = Table::new(columns);
    for row in rows {
        let mut cells: Vec<Cell> = vec![
            (&row.code).into(),
            (&row.name).into(),
            share(row.precision),
            share(row.recall),
            share(row.f1),
            Cell::Bar(row.f1),
            row.support.into(),
        ];
        cells.extend(has_auto.then(|| row.auto_from.as_deref().unwrap_or("-").into()));
        cells.extend(has_terms.then(|| row.terms.join(", ").into()));
        table.push(cells);
    }
    table
}

/// Scores by source.
pub fn sources(sources: &BTreeMap<String, SourceScore>) -> Table {
    let measures = metrics::source_measures(sources);
    let mut table =
        Table::new([text("source"), number("articles")].into_iter().chain(measures.into_iter().map(number)));
    for (source, score) in sources {
        let head = [source.into(), score.rows.into()];
        table.push(head.into_iter().chain(score.measures.values().map(|value| share(*value))));
    }
    table
}

/// Usual methods to find countries, and the model, on the same articles.
pub fn peers(peers: &[(&str, RegionScores)], model: &RegionScores) -> Table {
    let titles = ["micro-F1", "macro-F1", "of five", "of others", "exact", "top-1"];
    let mut table = Table::new([text("method")].into_iter().chain(titles.map(number)));
    for (name, scores) in peers.iter().map(|(name, scores)| (*name, scores)).chain([("Dateline", model)]) {
        let values =
            [scores.micro_f1, scores.macro_f1, scores.macro_f1_five, scores.micro_f1_others, scores.exact, scores.top1];
        table.push([name.into()].into_iter().chain(values.map(share)));
    }
    table
}

/// The new model and the one in service on the same test rows; with `notable_only` without labels that hardly differ.
pub fn comparisons(comparisons: &[Comparison], notable_only: bool) -> Table {
    let mut table = Table::new([
        text("measure"),
        number("rows"),
        number("in service"),
        number("new"),
        number("difference"),
        number("95 % of resamplings"),
        text("objection"),
    ]);
    for one in comparisons {
        let difference = one.live.map(|live| one.candidate - live);
        let hardly = difference.is_none_or(|difference| difference.abs() < NOTABLE_DIFFERENCE);
        if notable_only && one.interval.is_none() && one.objection.is_none() && hardly {
            continue;
        }
        table.push([
            (&one.measure).into(),
            one.rows.into(),
            one.live.map_or("-".into(), share),
            share(one.candidate),
            difference.map_or("-".into(), |difference| format!("{difference:+.3}").into()),
            one.interval.map_or("".into(), |(low, high)| format!("{low:+.3} to {high:+.3}").into()),
            Cell::Warning(one.objection.clone().unwrap_or_default()),
        ]);
    }
    table
}

/// The files that a model was trained on.
pub fn files(files: &[TrainingFile]) -> Table {
    let mut table = Table::new([text("file"), text("task"), text("labels"), number("rows"), text("sha256")]);
    for file in files {
        let (task, labels) = (file.task.as_str(), file.labels.as_str());
        table.push([(&file.name).into(), task.into(), labels.into(), file.rows.into(), (&file.sha256).into()]);
    }
    table
}

/// Confidence against the share that is right.
pub fn reliability(bins: &[Bin]) -> Table {
    let mut table = Table::new([number("confidence"), number("right"), bar(), number("predictions")]);
    for bin in bins {
        table.push([share(bin.confidence), share(bin.right), Cell::Bar(bin.right), bin.predictions.into()]);
    }
    table
}

/// Slices of the articles by one property.
pub fn slices(property: &str, what: &str, slices: &[Slice]) -> Table {
    let mut table = Table::new([text(property), number("articles"), number(what), bar()]);
    for slice in slices {
        table.push([(&slice.name).into(), slice.rows.into(), share(slice.right), Cell::Bar(slice.right)]);
    }
    table
}

/// Wrong answers.
pub fn mistakes(mistakes: &[Mistake]) -> Table {
    let mut table =
        Table::new([text("id"), text("row"), text("labels of the row"), text("answer"), number("confidence")]);
    for one in mistakes {
        let Mistake { id, place, label, answer, confidence } = one;
        table.push([id.into(), place.into(), label.into(), answer.into(), share(*confidence)]);
    }
    table
}

/// Articles by true label (rows) and best label (columns).
pub fn confusion(scores: &TopicScores) -> Table {
    let mut answers: Vec<&String> =
        scores.confusion.values().flat_map(BTreeMap::keys).chain(scores.confusion.keys()).collect();
    answers.sort();
    answers.dedup();
    // The codes of first-level Media Topics differ in two digits only: without the rest, columns are narrow.
    let short = |code: &str| {
        code.strip_prefix("medtop:").and_then(|digits| digits.strip_suffix("000000")).unwrap_or(code).to_owned()
    };
    let mut table = Table::new([text("")].into_iter().chain(answers.iter().map(|code| number(short(code)))));
    for (truth, row) in &scores.confusion {
        let counts = answers.iter().map(|answer| row.get(*answer).map_or_else(|| "·".into(), Cell::from));
        table.push([short(truth).into()].into_iter().chain(counts));
    }
    table
}

/// The settings that tuning tried, the best first.
pub fn tried(tried: &[Tried]) -> Table {
    let mut sorted = tried.to_vec();
    sorted.sort_by(|a, b| b.accuracy.total_cmp(&a.accuracy));
    let titles = ["cost of an error", "weight of word vectors", "character n-grams", "accuracy, first fold"];
    let mut table = Table::new(titles.map(number).into_iter().chain([text("")]));
    for one in sorted {
        table.push([
            one.cost.into(),
            one.vector_weight.into(),
            (if one.ngrams { "yes" } else { "no" }).into(),
            format!("{:.4}", one.accuracy).into(),
            (if one.taken { "taken" } else { "" }).into(),
        ]);
    }
    table
}

/// Rows that cannot be read, by reason.
pub fn bad_rows(left_out: &LeftOut) -> Table {
    let mut table = Table::new([number("bad rows"), text("first at"), text("reason")]);
    for bad in &left_out.bad {
        table.push([bad.rows.into(), bad.first.to_string().into(), (&bad.reason).into()]);
    }
    table
}

/// Labels that the map does not contain, the most frequent first; at most `most`.
pub fn unmapped(left_out: &LeftOut, most: usize) -> Table {
    counted("label that the map lacks", &left_out.unmapped, most)
}

/// Labels of regions that are no country, the most frequent first; at most `most`.
pub fn unknown_regions(left_out: &LeftOut, most: usize) -> Table {
    counted("region that is no country, by ISO 3166-1 code or English name", &left_out.unknown_regions, most)
}

fn counted(title: &str, counts: &BTreeMap<String, u64>, most: usize) -> Table {
    let mut labels: Vec<(&String, &u64)> = counts.iter().collect();
    labels.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
    let mut table = Table::new([number("rows"), text(title)]);
    for (label, rows) in labels.iter().take(most) {
        table.push([Cell::from(rows), Cell::from(label)]);
    }
    let more = labels.len().saturating_sub(most);
    if more > 0 {
        table.push(["".into(), format!("and {more} more").into()]);
    }
    table
}
