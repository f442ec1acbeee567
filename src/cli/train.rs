//! `dateline train`: trains a model, tests it, and puts it into service.

use super::{
    failure::Failure,
    input,
    output::{self, WARNING, printable},
    progress::Bars,
};
use crate::{
    model::{Model, StoreError},
    report::{self, Cell, Report, Table, how_measured, label_rows, tables},
    train::{
        self, Check, MIN_ROWS, MIN_SUBTOPIC_ROWS, Outcome, PromotionError, RetrainRequest, TrainError, TrainParams,
        TrainRequest, metrics::SourceScore, promotion::PromotionGate, topics::TrainedTopics,
    },
};
use anstream::eprintln;
use jiff::civil::Date;
use std::{
    collections::BTreeMap,
    io::Write,
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

/// Train a model on labelled articles
///
/// Reads JSON Lines, CSV and TSV (plain, .gz or .zst), folders of these, folders with one folder per label and one file
/// per article, and standard input (-). A row of JSON Lines: {"id": "...", "headline": "...", "body": "...", "topics":
/// ["medtop:15000000"]}; for regions "dateline" and "regions": ["KE"]; optional "published" and "source". Topic codes
/// are your own; the model has those of the data. Topics or regions without files are taken from the model in service
/// (--promote) or the bundled one. The same files and the same seed give the same bytes.
///
/// --check describes the rows and trains nothing. --promote puts the new model into service if it is no worse than the
/// current one on test rows without copies in the training rows. A server that watches the folder loads it.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("files").args(["topics", "regions"]).required(true).multiple(true))]
#[command(group = clap::ArgGroup::new("purpose").args(["out", "promote", "check"]).required(true).multiple(true))]
#[command(after_help = "Examples:\n  dateline train --topics archive.jsonl.gz --check\n  \
                        dateline train --topics archive.jsonl.gz --out my-model\n  \
                        dateline train --topics archive.csv --columns body=Text,topics=Ressort --map sections.csv --out my-model\n  \
                        dateline train --topics 20news-bydate-train --encoding windows-1252 --out my-model\n  \
                        dateline train --topics a.jsonl b.jsonl --regions wire.jsonl.gz --out my-model --seed 7\n  \
                        dateline train --topics archive.jsonl.gz --corrections desk.jsonl --hold-out 0.1 --promote live\n  \
                        dateline serve --model live")]
pub struct Args {
    /// Files or folders whose rows have "topics"
    #[arg(long, num_args = 1.., value_name = "PATH")]
    topics: Vec<PathBuf>,
    /// Files whose rows have "regions"
    #[arg(long, num_args = 1.., value_name = "PATH")]
    regions: Vec<PathBuf>,
    /// Files of rows that editors corrected: they replace the rows of the same articles, and weigh four times. A row with
    /// an id and labels needs no text
    #[arg(long, num_args = 1.., value_name = "PATH")]
    corrections: Vec<PathBuf>,
    /// Corrections replace all rows with their id, whatever the text; otherwise the words, or the id or headline of a
    /// nearly equal text, decide
    #[arg(long, requires = "corrections")]
    correct_by_id: bool,
    /// Files whose rows have one topic of --topics each, even if the article is about several; they weigh as much as
    /// they agree with the rows of --topics
    #[arg(long, num_args = 1.., value_name = "PATH", requires = "topics")]
    single_topic: Vec<PathBuf>,
    /// Files whose rows have no regions: the places that they name stand for their countries, to learn which other words
    /// go with these
    #[arg(long, num_args = 1.., value_name = "PATH", requires = "regions")]
    unlabelled: Vec<PathBuf>,
    /// A file of word vectors; those of the base model by default
    #[arg(long, value_name = "FILE")]
    vectors: Option<PathBuf>,
    /// A file of Markdown about the data for the model card: sources, licences, how labels were made
    #[arg(long, value_name = "FILE.md")]
    notes: Option<PathBuf>,
    /// The folder to write the model into; created if missing, its model replaced
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Try more hyperparameters for this many seconds, each on the first fold of the cross-validation, and show the
    /// results
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    tune: u32,
    /// An HTML page with tables and plots about the new model, and its JSON form beside it
    #[arg(long, value_name = "FILE.html", value_parser = output::report_path)]
    report: Option<PathBuf>,
    /// The least different rows of a topic; rarer ones are left out. Below five, a topic is learned but not measured
    #[arg(long, value_name = "N", default_value_t = MIN_ROWS as u32, value_parser = clap::value_parser!(u32).range(1..))]
    min_rows: u32,
    /// The least rows of a sub-topic; rarer ones are left out
    #[arg(long, value_name = "N", default_value_t = MIN_SUBTOPIC_ROWS as u32)]
    min_subtopic_rows: u32,
    /// Also measure each source by a model that has seen no row of it: about a minute per source of a large archive
    #[arg(long)]
    leave_sources_out: bool,
    /// The seed of all random choices
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Describe the rows of the files, with warnings; train nothing
    #[arg(long, conflicts_with_all = ["out", "promote"])]
    check: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    input: input::InputArgs,
    #[command(flatten)]
    test: TestArgs,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Test and promotion")]
struct TestArgs {
    /// Files of test rows; nothing is learned from them or their copies
    #[arg(long, num_args = 1.., value_name = "PATH", conflicts_with = "hold_out")]
    test: Vec<PathBuf>,
    /// The share of the rows to hold out as test rows: the newest if rows have dates, otherwise a random sample, copies
    /// together [default with --promote: 0.1]
    #[arg(long, value_name = "SHARE", value_parser = held_out)]
    hold_out: Option<f64>,
    /// The last day that a row may have, such as 2024-12-31; rows with a later one are used as rows without a day
    /// [default: today]
    #[arg(long, value_name = "DAY")]
    last_day: Option<Date>,
    /// The folder of the model in service, which the new one replaces if it is no worse on the test rows
    #[arg(long, value_name = "DIR")]
    promote: Option<PathBuf>,
    /// The most that micro-F1 may fall, at the lower end of the 95 % interval of the difference
    #[arg(long, value_name = "X", default_value_t = PromotionGate::default().tolerance, value_parser = share)]
    tolerance: f64,
    /// The most that the F1 of a label, and macro-F1, may fall; labels with fewer than twenty test rows do not decide
    #[arg(long, value_name = "X", default_value_t = PromotionGate::default().label_tolerance, value_parser = share)]
    label_tolerance: f64,
    /// The least F1 of a label; may be repeated
    #[arg(long, value_name = "CODE=F1", value_parser = floor)]
    floor: Vec<(String, f64)>,
}

fn share(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(|share| (0.0..=1.0).contains(share)).ok_or_else(|| "write a number from 0 to 1".to_owned())
}

fn held_out(text: &str) -> Result<f64, String> {
    share(text)
        .ok()
        .filter(|share| (0.01..=0.5).contains(share))
        .ok_or_else(|| "write a number from 0.01 to 0.5".to_owned())
}

fn floor(text: &str) -> Result<(String, f64), String> {
    let wrong = || "write CODE=F1, such as medtop:15000000=0.9".to_owned();
    let (code, f1) = text.rsplit_once('=').ok_or_else(wrong)?;
    Ok((code.to_owned(), share(f1).map_err(|_| wrong())?))
}

impl From<TrainError> for Failure {
    fn from(error: TrainError) -> Self {
        match error {
            TrainError::Input(_)
            | TrainError::TooManyBad { .. }
            | TrainError::Read { .. }
            | TrainError::NoRows { .. }
            | TrainError::NoCountries { .. }
            | TrainError::NoContrast { .. }
            | TrainError::NothingLeft { .. }
            | TrainError::NothingUnlabelled { .. }
            | TrainError::Map { .. }
            | TrainError::OneLabel { .. }
            | TrainError::TooManySubtopics { .. }
            | TrainError::AllRare { .. } => Failure::BadInput(error.to_string()),
            TrainError::SameFolder => Failure::Usage(error.to_string()),
            _ => Failure::failed(error),
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Failure::failed(error)
    }
}

pub fn run(args: Args) -> Result<(), Failure> {
    let begun = Instant::now();
    exit_at_interrupt()?;
    if let Some(report) = &args.report {
        output::check_not_overwriting(report, args.inputs())?;
    }
    let (check, json, report_path) = (args.check, args.json, args.report.clone());
    let request = args.request()?;
    if check {
        let data = train::read(&request.train, &Bars)?;
        input::print_left_out(&data.left_out);
        let found = train::check(&data);
        print(match json {
            true => serde_json::to_string(&found).map_err(Failure::failed)?,
            false => check_text(&found),
        })?;
        return match &found.obstacles[..] {
            [] => Ok(()),
            obstacles => Err(Failure::BadInput(format!("a training would end with: {}", obstacles.join("; ")))),
        };
    }
    let outcome = train::retrain(&request, &Bars)?;
    let card = report::card(&outcome.trained, &outcome.data, &request.train.notes);
    outcome.save(&card).map_err(Failure::failed)?;
    let promoted = outcome.promote(&card);
    if let Some(path) = &report_path {
        let written = Report::of_training(&outcome).write(path);
        written.map_err(|error| Failure::Failed(format!("{}: {error}", path.display())))?;
    }
    let seconds = begun.elapsed().as_secs_f64();
    print(match json {
        true => serde_json::to_string(&summary(&outcome, promoted.as_ref(), seconds)).map_err(Failure::failed)?,
        false => text_of(&outcome, seconds),
    })?;
    match promoted {
        None => Ok(()),
        Some(Ok(())) => {
            let folder = request.promote.unwrap_or_default();
            eprintln!("model {} is in service in {}", outcome.trained.model.version(), folder.display());
            Ok(())
        }
        Some(Err(PromotionError::Store(error))) => Err(error.into()),
        Some(Err(reason)) => {
            let kept = match &request.out {
                None => "give --out to keep the new one".to_owned(),
                Some(out) => format!("the new one is in {}", out.display()),
            };
            let current = if outcome.current.is_some() { "; the model in service stays" } else { "" };
            Err(Failure::Failed(format!("not promoted: {reason}{current}; {kept}")))
        }
    }
}

impl Args {
    /// All files that are read.
    fn inputs(&self) -> impl Iterator<Item = &PathBuf> {
        let files =
            [&self.topics, &self.single_topic, &self.regions, &self.corrections, &self.unlabelled, &self.test.test];
        files.into_iter().flatten()
    }

    fn request(self) -> Result<RetrainRequest, Failure> {
        let read_notes = |path: &PathBuf| {
            let failed = |error| Failure::BadInput(format!("{}: {error}", path.display()));
            std::fs::read_to_string(path).map_err(failed)
        };
        let gate = PromotionGate {
            tolerance: self.test.tolerance,
            label_tolerance: self.test.label_tolerance,
            floors: self.test.floor.into_iter().collect(),
            seed: self.seed,
            ..PromotionGate::default()
        };
        let train = TrainRequest {
            notes: self.notes.as_ref().map(read_notes).transpose()?.unwrap_or_default(),
            topics: self.topics,
            single_topic: self.single_topic,
            unlabelled: self.unlabelled,
            regions: self.regions,
            corrections: self.corrections,
            hold_out: self.test.hold_out,
            test: self.test.test,
            correct_by_id: self.correct_by_id,
            last_day: self.test.last_day,
            reading: self.input.reading(),
            map: self.input.map,
            max_bad: self.input.max_bad,
            min_rows: self.min_rows as usize,
            min_subtopic_rows: self.min_subtopic_rows as usize,
            keep_rare_labels: self.check,
            vectors: self.vectors,
            params: TrainParams {
                seed: self.seed,
                learning_curve: self.report.is_some(),
                leave_sources_out: self.leave_sources_out,
                tune: Duration::from_secs(self.tune.into()),
            },
        };
        Ok(RetrainRequest { train, out: self.out, promote: self.test.promote, gate })
    }
}

/// Exits at Ctrl-C. Nothing has to be undone: a model, or a version, comes into being by renaming a complete folder.
fn exit_at_interrupt() -> Result<(), Failure> {
    const INTERRUPTED: i32 = 130;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::failed)?;
    thread::spawn(move || {
        if runtime.block_on(tokio::signal::ctrl_c()).is_ok() {
            eprintln!("\ninterrupted; nothing was changed, and the same command starts over");
            std::process::exit(INTERRUPTED);
        }
    });
    Ok(())
}

fn print(text: String) -> Result<(), Failure> {
    Ok(writeln!(anstream::stdout().lock(), "{text}")?)
}

/// The result of a training for scripts.
fn summary(outcome: &Outcome, promoted: Option<&Result<(), PromotionError>>, seconds: f64) -> serde_json::Value {
    let Outcome { data, trained, .. } = outcome;
    let (topics, regions) = (trained.topics.as_ref(), trained.regions.as_ref());
    serde_json::json!({
        "version": trained.model.version(),
        "bytes": trained.size(),
        "seconds": seconds,
        "topics": topics.map(|part| part.scores.measures()),
        "topics_of_all_rows": topics.and_then(|part| Some(part.scores_of_all.as_ref()?.measures())),
        "subtopics": topics.and_then(|part| Some(part.subtopic_scores.as_ref()?.measures())),
        "sources": topics.map(|part| &part.scores.sources),
        "left_out_sources": topics.map(|part| &part.left_out_sources),
        "regions": regions.map(|part| &part.measured),
        "region_sources": regions.map(|part| &part.sources),
        "left_out_region_sources": regions.map(|part| &part.left_out_sources),
        "tried": topics.map(|part| &part.tried),
        "corrections": outcome.corrections,
        "held_out": data.held_out,
        "test_files_that_the_model_in_service_learned": outcome.learned_tests,
        "test": outcome.evaluation,
        "against_the_model_in_service": outcome.comparisons,
        "promoted": promoted.map(Result::is_ok),
        "left_out": data.left_out,
    })
}

/// The result of a training for people.
fn text_of(outcome: &Outcome, seconds: f64) -> String {
    let trained = &outcome.trained;
    let mut lines = Vec::new();
    if let Some(topics) = &trained.topics {
        lines.extend(topic_lines(topics, &trained.model));
    }
    let base = if outcome.current.is_some() { "the model in service" } else { "the bundled model" };
    let measured = [
        ("topics", trained.topics.as_ref().map(|part| part.scores.measures())),
        ("regions", trained.regions.as_ref().map(|part| part.measured.clone())),
    ];
    for (part, measured) in measured {
        lines.push(match measured {
            Some(measured) => tables::measures(part, &measured).to_terminal(),
            None => format!("{part}: taken from {base}"),
        });
    }
    if let Some(regions) = &trained.regions {
        lines.extend(source_lines(&regions.sources, &regions.left_out_sources));
        lines.push(tables::peers(&regions.peers, &regions.scores).to_terminal());
    }
    if let Some(scores) = trained.topics.as_ref().and_then(|part| part.subtopic_scores.as_ref()) {
        lines.push(tables::measures("sub-topics", &scores.measures()).to_terminal());
    }
    lines.extend(test_lines(outcome));
    lines.push(format!(
        "model {}: {:.1} MB, trained in {seconds:.0} s; measured by cross-validation, details in MODEL_CARD.md",
        trained.model.version(),
        trained.size() as f64 / 1e6,
    ));
    lines.join("\n")
}

fn topic_lines(topics: &TrainedTopics, model: &Model) -> Vec<String> {
    let mut lines = Vec::new();
    if topics.tried.len() > 2 {
        lines.push(tables::tried(&topics.tried).to_terminal());
    }
    let name = |code: &str| model.topics().name_of(code).unwrap_or(code).to_owned();
    for scores in [Some(&topics.scores), topics.subtopic_scores.as_ref()].into_iter().flatten() {
        lines.push(tables::labels(&label_rows(&scores.labels, name)).to_terminal());
    }
    lines.extend(source_lines(&topics.scores.sources, &topics.left_out_sources));
    lines
}

fn source_lines(sources: &BTreeMap<String, SourceScore>, left_out: &BTreeMap<String, SourceScore>) -> Vec<String> {
    let mut lines = Vec::new();
    if sources.len() > 1 {
        lines.push(tables::sources(sources).to_terminal());
    }
    if left_out.len() > 1 {
        lines.push("each source by a model that has seen no row of it:".to_owned());
        lines.push(tables::sources(left_out).to_terminal());
    }
    lines
}

/// Corrections, held-out rows, and the comparison with the model in service.
fn test_lines(outcome: &Outcome) -> Vec<String> {
    let mut lines = Vec::new();
    for (part, [all, right]) in &outcome.corrections {
        lines.push(format!("corrections of {part}: the model that learned from them answers {right} of {all} right"));
    }
    for (part, held_out) in &outcome.data.held_out {
        lines.push(format!("{part}: {}", how_measured(Some(held_out))));
    }
    if let Some(topics) = &outcome.evaluation.topics {
        lines.push(format!(
            "topics: micro-F1 {:.3}, macro-F1 {:.3}, exact {:.3}, accuracy {:.3} on {} test rows",
            topics.micro_f1, topics.macro_f1, topics.exact, topics.accuracy, topics.rows
        ));
    }
    lines.extend(output::unknown_topics(&outcome.evaluation));
    if let Some(regions) = &outcome.evaluation.regions {
        lines.push(format!(
            "regions: micro-F1 {:.3}, exact {:.3} on {} test rows",
            regions.micro_f1, regions.exact, regions.rows
        ));
    }
    if !outcome.learned_tests.is_empty() {
        lines.push(format!(
            "{WARNING}warning:{WARNING:#} the model in service was trained on the test file {}: its figures below are too high; test with rows that neither model has seen",
            printable(&outcome.learned_tests.join(", "))
        ));
    }
    if !outcome.comparisons.is_empty() {
        lines.push(tables::comparisons(&outcome.comparisons, true).to_terminal());
    }
    lines
}

/// The result of `--check` for people.
fn check_text(check: &Check) -> String {
    let mut text = String::new();
    for (what, part) in [("topics", &check.topics), ("regions", &check.regions)] {
        let Some(part) = part else { continue };
        let mut about = Table::new([report::text(what), report::number("")]);
        let most = |counts: &BTreeMap<String, usize>, shown: usize| {
            let mut sorted: Vec<_> = counts.iter().collect();
            sorted.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
            let more = if sorted.len() > shown { ", ..." } else { "" };
            let all: Vec<String> =
                sorted.iter().take(shown).map(|(name, rows)| format!("{} {rows}", printable(name))).collect();
            format!("{}{more}", all.join(", "))
        };
        let [least, quarter, median, three_quarters, longest] = part.words;
        about.push(["rows".into(), part.rows.into()]);
        about.push(["rows with several labels".into(), part.several_labels.into()]);
        about.push([
            "words: minimum, quartiles, maximum".into(),
            format!("{least}, {quarter}, {median}, {three_quarters}, {longest}").into(),
        ]);
        about.push(["languages".into(), most(&part.languages, 6).into()]);
        about.push(["years".into(), most(&part.years, 8).into()]);
        about.push(["copies, word for word".into(), part.duplicates.into()]);
        about.push(["near-copies".into(), part.near_duplicates.into()]);
        about.push(["rows with the id of another".into(), part.repeated_ids.into()]);
        about.push(["rows whose copies have other labels".into(), part.conflicting.into()]);
        text.push_str(&format!("{}\n", about.to_terminal()));
        let mut labels = Table::new([report::text("label"), report::number("rows"), report::number("share")]);
        let mut sorted: Vec<_> = part.labels.iter().collect();
        sorted.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
        const SHOWN: usize = 40;
        for (label, rows) in sorted.iter().take(SHOWN) {
            let share = **rows as f64 / part.rows as f64;
            labels.push([Cell::from(label), Cell::from(rows), format!("{:.1} %", share * 100.0).into()]);
        }
        if sorted.len() > SHOWN {
            labels.push([format!("and {} more", sorted.len() - SHOWN).into(), "".into(), "".into()]);
        }
        text.push_str(&format!("{}\n", labels.to_terminal()));
        for (first, second) in &part.conflicts {
            let (first, second) = (printable(&first.to_string()), printable(&second.to_string()));
            text.push_str(&format!("copies with different labels: {first} and {second}\n"));
        }
    }
    if check.unlabelled > 0 {
        text.push_str(&format!("{} rows without labels\n", check.unlabelled));
    }
    for warning in &check.warnings {
        text.push_str(&format!("{WARNING}warning:{WARNING:#} {}\n", printable(warning)));
    }
    if check.warnings.is_empty() {
        text.push_str("no warnings\n");
    }
    text
}
