//! What people and scripts read: colours, tables, JSON.

use super::Failure;
use crate::{
    article::{Classification, Decision, Evidence, Field, Label, Role},
    formats::Record,
    geography,
    model::Model,
    train::{
        Check,
        evaluate::Report,
        metrics::{self, LabelScore, RegionScores, SourceScore},
        promotion::Comparison,
        topic_scores::TopicScores,
        topics::Tried,
    },
};
use anstyle::{AnsiColor, Style};
use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;
use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
};

/// For the word "error".
pub const ERROR: Style = AnsiColor::Red.on_default().bold();
const WARNING: Style = AnsiColor::Yellow.on_default().bold();
const TITLE: Style = Style::new().bold();
const FAINT: Style = Style::new().dimmed();

fn style_of(decision: Decision) -> Style {
    match decision {
        Decision::Auto => AnsiColor::Green.on_default(),
        Decision::Review => AnsiColor::Yellow.on_default(),
        Decision::Abstain => FAINT,
    }
}

/// Why one article has no labels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ArticleFault {
    /// The name of a gRPC status code: `INVALID_ARGUMENT`, `INTERNAL`.
    pub code: String,
    /// What is wrong, and what to do.
    pub message: String,
}

impl ArticleFault {
    /// A fault of the input.
    pub fn invalid(reason: impl std::fmt::Display) -> Self {
        ArticleFault { code: "INVALID_ARGUMENT".to_owned(), message: reason.to_string() }
    }
}

#[derive(Serialize)]
struct JsonLine<'a> {
    id: &'a str,
    #[serde(flatten)]
    answer: Option<&'a Classification>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a ArticleFault>,
}

/// One JSON object and a line break.
pub fn json_line(out: &mut dyn io::Write, id: &str, answer: &Result<Classification, ArticleFault>) -> io::Result<()> {
    let line = JsonLine { id, answer: answer.as_ref().ok(), error: answer.as_ref().err() };
    serde_json::to_writer(&mut *out, &line)?;
    out.write_all(b"\n")
}

/// Features of a region that are shown to people; JSON has all.
const MOST_CONTRIBUTIONS: usize = 5;

/// The labels of one article, for people. `record` lends the text for what was left out.
pub fn block(
    out: &mut dyn io::Write,
    id: &str,
    record: Option<&Record>,
    answer: &Result<Classification, ArticleFault>,
) -> io::Result<()> {
    writeln!(out, "{TITLE}{}{TITLE:#}", printable(id))?;
    let answer = match answer {
        Ok(answer) => answer,
        Err(fault) => {
            return writeln!(
                out,
                "  {ERROR}error{ERROR:#}    {} ({})\n",
                printable(&fault.message),
                printable(&fault.code)
            );
        }
    };
    labels(out, "topics", &answer.topics)?;
    labels(out, "narrower", &answer.subtopics)?;
    let mut what = "regions";
    for region in &answer.regions {
        let label = &region.label;
        let style = style_of(label.decision);
        let up: Vec<&str> = region
            .path
            .iter()
            .skip(1)
            .take(2)
            .filter_map(|code| geography::place(code))
            .map(|place| &*place.name)
            .collect();
        let name = printable(&format!("{} ({})", label.name, label.code));
        let role = match region.role {
            Role::About => "about",
            Role::Mentioned => "mentioned",
            Role::Dateline => "dateline",
        };
        writeln!(
            out,
            "  {what:<8} {name:<44} {:>5.2}  {style}{:<8}{style:#} {role:<10} {FAINT}{}{FAINT:#}",
            label.confidence,
            label.decision.as_str(),
            up.join(", ")
        )?;
        evidence(out, &label.evidence)?;
        for one in region.contributions.iter().take(MOST_CONTRIBUTIONS) {
            writeln!(
                out,
                "           {FAINT}{:>+7.3}  {} = {:.3}{FAINT:#}",
                one.log_odds,
                printable(&one.feature),
                one.value
            )?;
        }
        what = "";
    }
    for note in &answer.notes {
        writeln!(out, "  {:<8} {}", "note", printable(note))?;
    }
    for part in &answer.removed {
        let text =
            record.and_then(|record| record.article.field(part.field).get(part.start as usize..part.end as usize));
        writeln!(
            out,
            "  {:<8} {:<12} {:<9} {:>6}-{:<6} {FAINT}{}{FAINT:#}",
            "left out",
            part.reason.as_str(),
            field(part.field),
            part.start,
            part.end,
            excerpt(text.unwrap_or_default())
        )?;
    }
    writeln!(out)
}

/// Topics or sub-topics, a line each, with what they rest on.
fn labels(out: &mut dyn io::Write, title: &str, labels: &[Label]) -> io::Result<()> {
    let mut what = title;
    for label in labels {
        let style = style_of(label.decision);
        writeln!(
            out,
            "  {what:<8} {:<44} {:>5.2}  {style}{}{style:#}",
            printable(&label.name),
            label.confidence,
            label.decision.as_str()
        )?;
        evidence(out, &label.evidence)?;
        if let Some(remainder) = label.evidence_remainder {
            writeln!(out, "           {FAINT}{remainder:>+7.3}  (function words and all other terms){FAINT:#}")?;
        }
        what = "";
    }
    Ok(())
}

fn evidence(out: &mut dyn io::Write, evidence: &[Evidence]) -> io::Result<()> {
    for one in evidence {
        writeln!(
            out,
            "           {FAINT}{:>+7.3}  {:<34} {:<9} {}-{}{FAINT:#}",
            one.weight,
            excerpt(&one.term),
            field(one.field),
            one.start,
            one.end
        )?;
    }
    Ok(())
}

fn field(field: Field) -> &'static str {
    match field {
        Field::Headline => "headline",
        Field::Body => "body",
        Field::Dateline => "dateline",
    }
}

/// A stranger's text on one line, without control characters that could steer the terminal.
pub fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn excerpt(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let text = printable(&words.join(" "));
    if text.chars().count() > 60 { text.chars().take(57).chain("...".chars()).collect() } else { text }
}

/// An empty table under its heads, the first columns with their text to the left, the others to the right.
pub fn table(head: &[&str], left_columns: usize) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED).set_header(head);
    for (i, column) in table.column_iter_mut().enumerate() {
        column.set_cell_alignment(if i < left_columns { CellAlignment::Left } else { CellAlignment::Right });
    }
    table
}

/// Puts the text of some columns to the left.
pub fn to_the_left(table: &mut Table, columns: &[usize]) {
    for i in columns {
        if let Some(column) = table.column_mut(*i) {
            column.set_cell_alignment(CellAlignment::Left);
        }
    }
}

/// The name of a page of HTML: JSON goes beside it under another.
pub fn page(name: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(name);
    match path.extension().is_some_and(|end| end == "html" || end == "htm") {
        true => Ok(path),
        false => Err("write a name that ends in .html".to_owned()),
    }
}

/// Sees to it that a report takes the place of no file that is read.
pub fn spares<'a>(report: &Path, read: impl Iterator<Item = &'a PathBuf>) -> Result<(), Failure> {
    let same = |a: &Path, b: &Path| a.canonicalize().is_ok_and(|a| b.canonicalize().is_ok_and(|b| a == b));
    let written = [report.to_owned(), report.with_extension("json")];
    for path in read {
        if let Some(written) = written.iter().find(|written| same(written, path)) {
            return Err(Failure::Usage(format!(
                "the report would be written over {}: name another",
                written.display()
            )));
        }
    }
    match report.parent().filter(|folder| !folder.as_os_str().is_empty() && !folder.is_dir()) {
        Some(folder) => Err(Failure::Usage(format!("{}: there is no such folder for the report", folder.display()))),
        None => Ok(()),
    }
}

/// What files hold, for people.
pub fn check(check: &Check) -> String {
    let mut text = String::new();
    for (what, part) in [("topics", &check.topics), ("regions", &check.regions)] {
        let Some(part) = part else { continue };
        let mut about = table(&[what, ""], 1);
        let most = |counts: &BTreeMap<String, usize>, shown: usize| {
            let mut sorted: Vec<_> = counts.iter().collect();
            sorted.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
            let more = if sorted.len() > shown { ", ..." } else { "" };
            let all: Vec<String> =
                sorted.iter().take(shown).map(|(name, rows)| format!("{} {rows}", printable(name))).collect();
            format!("{}{more}", all.join(", "))
        };
        let [least, quarter, median, three_quarters, longest] = part.words;
        about.add_row(["rows".to_owned(), part.rows.to_string()]);
        about.add_row(["rows with several labels".to_owned(), part.several_labels.to_string()]);
        about.add_row([
            "words: least, a quarter, median, three quarters, most".to_owned(),
            format!("{least}, {quarter}, {median}, {three_quarters}, {longest}"),
        ]);
        about.add_row(["languages".to_owned(), most(&part.languages, 6)]);
        about.add_row(["years".to_owned(), most(&part.years, 8)]);
        about.add_row(["copies, word for word".to_owned(), part.duplicates.to_string()]);
        about.add_row(["copies, nearly".to_owned(), part.near_duplicates.to_string()]);
        about.add_row(["rows with other labels than their copies".to_owned(), part.conflicting.to_string()]);
        text.push_str(&format!("{about}\n"));
        let mut labels = table(&["label", "rows", "share"], 1);
        let mut sorted: Vec<_> = part.labels.iter().collect();
        sorted.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
        const SHOWN: usize = 40;
        for (label, rows) in sorted.iter().take(SHOWN) {
            let share = **rows as f64 / part.rows as f64;
            labels.add_row([printable(label), rows.to_string(), format!("{:.1} %", share * 100.0)]);
        }
        if sorted.len() > SHOWN {
            labels.add_row([format!("and {} more", sorted.len() - SHOWN), String::new(), String::new()]);
        }
        text.push_str(&format!("{labels}\n"));
        for (first, second) in &part.conflicts {
            text.push_str(&format!("other labels: {} and {}\n", printable(first), printable(second)));
        }
    }
    if check.unlabelled > 0 {
        text.push_str(&format!("{} rows without labels\n", check.unlabelled));
    }
    for warning in &check.warnings {
        text.push_str(&format!("{WARNING}warning:{WARNING:#} {}\n", printable(warning)));
    }
    if check.warnings.is_empty() {
        text.push_str("nothing stands in the way of a training\n");
    }
    text
}

/// What tuning tried, the best first.
pub fn tried(tried: &[Tried]) -> Table {
    let mut sorted = tried.to_vec();
    sorted.sort_by(|a, b| b.accuracy.total_cmp(&a.accuracy));
    let head = ["cost of an error", "weight of word vectors", "character n-grams", "accuracy, first fold", ""];
    let mut table = table(&head, 0);
    for one in sorted {
        let taken = if one.taken { "taken" } else { "" };
        let accuracy = format!("{:.4}", one.accuracy);
        let ngrams = if one.ngrams { "yes" } else { "no" };
        table.add_row([one.cost.to_string(), one.vector_weight.to_string(), ngrams.into(), accuracy, taken.to_owned()]);
    }
    table
}

/// Both models on the same test rows; labels that hardly differ are left out.
pub fn comparison(comparisons: &[Comparison]) -> Table {
    let mut table =
        table(&["measure", "rows", "in service", "new", "difference", "95 % of resamplings", "objection"], 1);
    to_the_left(&mut table, &[6]);
    const HARDLY: f64 = 0.02;
    for one in comparisons {
        let difference = one.live.map(|live| one.candidate - live);
        let hardly = difference.is_none_or(|difference| difference.abs() < HARDLY);
        if one.interval.is_none() && one.objection.is_none() && hardly {
            continue;
        }
        let told = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.3}"));
        table.add_row([
            printable(&one.measure),
            one.rows.to_string(),
            told(one.live),
            format!("{:.3}", one.candidate),
            difference.map_or_else(|| "-".to_owned(), |difference| format!("{difference:+.3}")),
            one.interval.map_or_else(String::new, |(low, high)| format!("{low:+.3} to {high:+.3}")),
            one.objection.clone().unwrap_or_default(),
        ]);
    }
    table
}

fn label_table(labels: &BTreeMap<String, LabelScore>, name: impl Fn(&str) -> String) -> Table {
    let mut table = table(&["code", "name", "precision", "recall", "F1", "support"], 2);
    for (code, score) in labels {
        let share = |value: f64| format!("{value:.3}");
        table.add_row([
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

/// Precision, recall and F1 of each topic.
pub fn topic_table(scores: &TopicScores, name: impl Fn(&str) -> String) -> Table {
    label_table(&scores.labels, name)
}

/// The figures of topics or sub-topics on a line.
pub fn topic_line(scores: &TopicScores) -> String {
    format!(
        "rows {}   accuracy {:.3}   micro-F1 {:.3}   macro-F1 {:.3}   exact {:.3}   AUTO right {:.3}   articles with AUTO {:.3}   \
         calibration error {:.4}",
        scores.rows,
        scores.accuracy,
        scores.micro_f1,
        scores.macro_f1,
        scores.exact,
        scores.auto_precision,
        scores.auto_coverage,
        scores.calibration_error,
    )
}

/// The scores of sources.
pub fn source_table(title: &str, sources: &BTreeMap<String, SourceScore>) -> Table {
    let mut head = vec![title, "rows"];
    head.extend(metrics::source_measures(sources));
    let mut table = table(&head, 1);
    for (source, score) in sources {
        let measures = score.measures.values().map(|value| format!("{value:.3}"));
        table.add_row([printable(source), score.rows.to_string()].into_iter().chain(measures));
    }
    table
}

/// What was measured of one half of a model when it was trained.
pub fn measures(title: &str, measured: &BTreeMap<String, f64>) -> Table {
    let mut table = table(&[title, "", "value"], 2);
    for (name, value) in measured {
        table.add_row([name.clone(), meaning(name).to_owned(), format!("{value:.3}")]);
    }
    table
}

/// How well the countries of the same articles are told by the usual ways, and by the model.
pub fn peers(peers: &[(&str, RegionScores)], scores: &RegionScores) -> Table {
    let mut table = table(&["", "micro-F1", "macro-F1", "of five", "of others", "exact", "top-1"], 1);
    for (name, scores) in peers.iter().map(|(name, scores)| (*name, scores)).chain([("Dateline", scores)]) {
        let values =
            [scores.micro_f1, scores.macro_f1, scores.macro_f1_five, scores.micro_f1_others, scores.exact, scores.top1];
        table.add_row(std::iter::once(name.to_owned()).chain(values.iter().map(|value| format!("{value:.3}"))));
    }
    table
}

fn meaning(measure: &str) -> &'static str {
    match measure {
        "accuracy" => "articles whose best topic is one of theirs",
        "macro_f1" => "mean F1 over labels",
        "micro_f1" => "F1 over all pairs of article and label",
        "exact" => "articles with exactly the right labels",
        "top1" => "articles whose most confident country is right",
        "macro_f1_five" => "mean F1 over countries with at least five articles",
        "micro_f1_others" => "micro-F1 without the commonest country",
        "calibration_error" => "mean distance of confidence from truth",
        "calibration_error_about" => "the same over ABOUT countries alone",
        "auto_coverage" => "articles with an AUTO topic; articles with a country that are given an AUTO one",
        "auto_precision" => "AUTO labels that are right",
        "auto_recall" => "labels of articles that are given as AUTO",
        "auto_articles_right" => "articles with AUTO topics, all of them right",
        "without_dateline_micro_f1" | "without_dateline_macro_f1" => "the same with datelines taken away",
        "without_country_names_top1" => "top1, names and adjectives of countries masked",
        "without_names_top1" => "top1, all place names masked",
        "without_country_names_top1_others" | "without_names_top1_others" => "the same without the commonest country",
        _ => "",
    }
}

/// An evaluation, for people.
pub fn report(report: &Report, model: &Model) -> String {
    let mut text = String::new();
    if let Some(scores) = &report.topics {
        let name = |code: &str| model.topics().name_of(code).unwrap_or(code).to_owned();
        text += &format!("{TITLE}Topics{TITLE:#}\n{}\n{}\n", label_table(&scores.labels, name), topic_line(scores));
        if scores.sources.len() > 1 {
            text += &format!("{}\n", source_table("source", &scores.sources));
        }
        text += &format!(
            "\n{TITLE}Confusion{TITLE:#} (a row a true topic, a column the best topic; - is no answer)\n{}\n\n",
            confusion(scores)
        );
        if let Some(scores) = &report.subtopics {
            let table = label_table(&scores.labels, name);
            text += &format!("{TITLE}Sub-topics{TITLE:#}\n{table}\n{}\n\n", topic_line(scores));
        }
    }
    if let Some(scores) = &report.regions {
        let name = |code: &str| geography::place(code).map_or_else(|| code.to_owned(), |place| place.name.to_string());
        text += &format!("{TITLE}Regions{TITLE:#}\n{}\n", label_table(&scores.labels, name));
        text += &format!(
            "rows {}   micro-F1 {:.3}   macro-F1 {:.3}   exact {:.3}   top-1 {:.3}   answers with other countries {}\n",
            scores.rows, scores.micro_f1, scores.macro_f1, scores.exact, scores.top1, scores.elsewhere
        );
    }
    text
}

fn confusion(scores: &TopicScores) -> Table {
    let mut answers: Vec<&String> =
        scores.confusion.values().flat_map(BTreeMap::keys).chain(scores.confusion.keys()).collect();
    answers.sort();
    answers.dedup();
    // IPTC codes share all but two digits: columns are narrow without the rest.
    let short = |code: &str| {
        code.strip_prefix("medtop:").and_then(|digits| digits.strip_suffix("000000")).unwrap_or(code).to_owned()
    };
    let mut head = vec![String::new()];
    head.extend(answers.iter().map(|code| short(code)));
    let mut table = table(&head.iter().map(String::as_str).collect::<Vec<_>>(), 1);
    for (truth, row) in &scores.confusion {
        let counts = answers.iter().map(|answer| row.get(*answer).map_or_else(|| "·".to_owned(), ToString::to_string));
        table.add_row(std::iter::once(short(truth)).chain(counts));
    }
    table
}
