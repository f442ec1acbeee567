use super::{Failure, input, output};
use crate::{
    model::{self, Lock, Model, Store, StoreError, load_version},
    train::{
        self, Data, HeldOut, MIN_ROWS, MIN_SUBTOPIC_ROWS, Progress, TopicParams, TrainError, TrainRequest, Trained,
        evaluate,
        metrics::RegionScores,
        promotion::{Comparison, Gate},
        report::{RegionReport, Report, TopicFindings, TopicReport},
    },
};
use anstream::eprintln;
use std::{
    collections::BTreeMap,
    io::Write,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

/// Train a model on labelled articles
///
/// Reads JSON Lines, CSV and TSV (plain, .gz or .zst), folders of these, folders of one folder a label with an article a file,
/// and standard input (-). A row of JSON Lines: {"id": "...", "headline": "...", "body": "...", "topics": ["medtop:15000000"]},
/// for regions with "dateline" and "regions": ["KE"]; "published" and "source" where they are known. Any topic codes do; the
/// model carries those of the data. The half that is given no files is taken over from the model in service (--promote) or
/// the bundled one. The same files and the same seed give the same bytes.
///
/// --check reads, reports and trains nothing. --promote puts the new model into service if it is no worse, on test rows that
/// no training row is a copy of, than the one there: a server that watches the folder takes it over.
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
    /// Files of rows that editors corrected: they take the places of rows with the same id or text, and count four times
    #[arg(long, num_args = 1.., value_name = "PATH")]
    corrections: Vec<PathBuf>,
    /// Files whose rows have one of the topics of --topics each, though the article may be on more; what they teach is weighed by
    /// what it says of the rows of --topics
    #[arg(long, num_args = 1.., value_name = "PATH", requires = "topics")]
    single_topic: Vec<PathBuf>,
    /// Files whose rows have no labels: the places that they name say their country, to learn which other words speak for it
    #[arg(long, num_args = 1.., value_name = "PATH", requires = "regions")]
    unlabelled: Vec<PathBuf>,
    /// A file of word vectors, instead of those of the model that is taken over from
    #[arg(long, value_name = "FILE")]
    vectors: Option<PathBuf>,
    /// A file of Markdown about the data, for the model card: sources, licences, how labels came about
    #[arg(long, value_name = "FILE.md")]
    notes: Option<PathBuf>,
    /// The folder to write the model into; made where it is missing, and what it holds replaced
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Try more settings for so many seconds, each on the first fold of the cross-validation, and show what came of them
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    tune: u32,
    /// A page of HTML with tables and plots about the new model, and the same as JSON beside it
    #[arg(long, value_name = "FILE.html", value_parser = output::page)]
    report: Option<PathBuf>,
    /// Topics with fewer different rows are left out. With fewer than five a topic can be learned, and not be measured
    #[arg(long, value_name = "N", default_value_t = MIN_ROWS as u32, value_parser = clap::value_parser!(u32).range(1..))]
    min_rows: u32,
    /// Sub-topics with fewer rows are left out
    #[arg(long, value_name = "N", default_value_t = MIN_SUBTOPIC_ROWS as u32)]
    min_subtopic_rows: u32,
    /// Measure each source by a model that has seen no row of it as well: takes about a minute per source of a large archive
    #[arg(long)]
    leave_sources_out: bool,
    /// The seed of all that is random
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Report what the files hold and what is odd about them; train nothing
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
    /// Files of rows to test with; nothing is learned from them, nor from copies of them
    #[arg(long, num_args = 1.., value_name = "PATH", conflicts_with = "hold_out")]
    test: Vec<PathBuf>,
    /// Hold this share of the rows out to test with: the newest where rows have days, otherwise by lot, copies together [default
    /// with --promote: 0.1]
    #[arg(long, value_name = "SHARE", value_parser = held_out)]
    hold_out: Option<f64>,
    /// The folder of the model in service: the new one takes its place if it is no worse on the test rows
    #[arg(long, value_name = "DIR")]
    promote: Option<PathBuf>,
    /// How much worse is still no worse: what micro-F1 may fall by, at the lower end of the interval that holds
    /// the difference in 95 of 100 resamplings
    #[arg(long, value_name = "X", default_value_t = Gate::default().tolerance, value_parser = share)]
    tolerance: f64,
    /// What the F1 of a label, and macro-F1, may fall by; labels with fewer than twenty test rows do not decide
    #[arg(long, value_name = "X", default_value_t = Gate::default().label_tolerance, value_parser = share)]
    label_tolerance: f64,
    /// The least F1 that a label must have; may be given several times
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
            | TrainError::NothingUnlabelled { .. }
            | TrainError::Map { .. }
            | TrainError::OneLabel { .. }
            | TrainError::TooManySubtopics { .. }
            | TrainError::AllRare { .. } => Failure::BadInput(error.to_string()),
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
    stop_at_a_signal()?;
    // All that is written to is tried at once, so that nobody trains for an hour to learn that it cannot be.
    let _places = Places::take(&args)?;
    let promote = args.test.promote.as_deref();
    let live = match promote.map(Store::open).transpose()?.map(|store| store.current()).transpose()? {
        Some(Some(version)) => promote.map(|folder| load_version(folder, &version)).transpose()?,
        _ => None,
    };
    let read_notes = |path: &PathBuf| {
        let failed = |error| Failure::BadInput(format!("{}: {error}", path.display()));
        std::fs::read_to_string(path).map_err(failed)
    };
    let request = TrainRequest {
        notes: args.notes.as_ref().map(read_notes).transpose()?.unwrap_or_default(),
        topics: args.topics,
        single_topic: args.single_topic,
        unlabelled: args.unlabelled,
        regions: args.regions,
        corrections: args.corrections,
        hold_out: args.test.hold_out.or((promote.is_some() && args.test.test.is_empty()).then_some(0.1)),
        test: args.test.test,
        reading: args.input.reading(),
        map: args.input.map,
        max_bad: args.input.max_bad,
        min_rows: args.min_rows as usize,
        min_subtopic_rows: args.min_subtopic_rows as usize,
        keep_rare_labels: args.check,
        vectors: args.vectors,
        params: TopicParams {
            seed: args.seed,
            learning_curve: args.report.is_some(),
            leave_sources_out: args.leave_sources_out,
            tune: Duration::from_secs(args.tune.into()),
        },
    };
    let progress = Progress::default();
    let data = train::read(&request, &progress)?;
    input::tell(&data.left_out);
    if args.check {
        let found = train::check(&data);
        return say(match args.json {
            true => serde_json::to_string(&found).map_err(Failure::failed)?,
            false => output::check(&found),
        });
    }
    // With all it takes, a model can be made from nothing: the bundled one is made so.
    let complete = !request.topics.is_empty() && !request.regions.is_empty() && request.vectors.is_some();
    let base = match (&live, complete) {
        (Some(live), _) => Some(live.clone()),
        (None, true) => None,
        (None, false) => Some(Model::bundled().map_err(Failure::failed)?),
    };
    let trained = train::train(&data, &request, base.as_ref(), &progress)?;
    let gate = Gate {
        tolerance: args.test.tolerance,
        label_tolerance: args.test.label_tolerance,
        floors: args.test.floor.into_iter().collect(),
        seed: args.seed,
        ..Gate::default()
    };
    let tested = if promote.is_some() { tested(&data, &trained, live.as_ref(), &gate) } else { Vec::new() };
    let test = test(&data, &trained);
    if let Some(out) = &args.out {
        trained.save(out).map_err(Failure::failed)?;
    }
    let promoted =
        promote.map(|folder| put_into_service(folder, &trained, live.as_ref(), &tested, args.out.as_deref()));
    if let Some(path) = &args.report {
        let report = report(&data, &trained, &tested);
        report.write(path).map_err(|error| Failure::Failed(format!("{}: {error}", path.display())))?;
    }
    say(if args.json {
        let summary = serde_json::json!({
            "version": trained.model.version(),
            "bytes": trained.size(),
            "seconds": begun.elapsed().as_secs_f64(),
            "topics": trained.topics.as_ref().map(|part| part.scores.measures()),
            "topics_of_all_rows": trained.topics.as_ref().and_then(|part| Some(part.scores_of_all.as_ref()?.measures())),
            "subtopics": trained.topics.as_ref().and_then(|part| Some(part.subtopic_scores.as_ref()?.measures())),
            "sources": trained.topics.as_ref().map(|part| &part.scores.sources),
            "left_out_sources": trained.topics.as_ref().map(|part| &part.left_out_sources),
            "regions": trained.regions.as_ref().map(|part| &part.measured),
            "region_sources": trained.regions.as_ref().map(|part| &part.sources),
            "left_out_region_sources": trained.regions.as_ref().map(|part| &part.left_out_sources),
            "tried": trained.topics.as_ref().map(|part| &part.tried),
            "corrections": corrections(&data, &trained),
            "held_out": data.held_out,
            "test": test,
            "against_the_model_in_service": tested,
            "promoted": promoted.as_ref().map(Result::is_ok),
            "left_out": data.left_out,
        });
        serde_json::to_string(&summary).map_err(Failure::failed)?
    } else {
        let told = tell(&data, &trained, &test, &tested, live.is_some());
        format!(
            "{told}model {}: {:.1} MB, trained in {:.0} s; measured by cross-validation, more in MODEL_CARD.md",
            trained.model.version(),
            trained.size() as f64 / 1e6,
            begun.elapsed().as_secs_f64()
        )
    })?;
    if let (Some(promoted), Some(folder)) = (promoted, promote) {
        promoted?;
        eprintln!("model {} is in service in {}", trained.model.version(), folder.display());
    }
    Ok(())
}

/// Ends the program at Ctrl-C with a word about what that means. Nothing has to be undone: what is written becomes a version, or
/// a model, by one renaming.
fn stop_at_a_signal() -> Result<(), Failure> {
    const INTERRUPTED: i32 = 130;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::failed)?;
    thread::spawn(move || {
        if runtime.block_on(tokio::signal::ctrl_c()).is_ok() {
            eprintln!("\nstopped; what is in service is whole, and the same command begins again");
            std::process::exit(INTERRUPTED);
        }
    });
    Ok(())
}

fn say(text: String) -> Result<(), Failure> {
    Ok(writeln!(anstream::stdout().lock(), "{text}")?)
}

/// The folders that are written into, kept from other trainings.
struct Places {
    _locks: Vec<Lock>,
}

impl Places {
    fn take(args: &Args) -> Result<Self, Failure> {
        let inputs =
            [&args.topics, &args.single_topic, &args.regions, &args.corrections, &args.unlabelled, &args.test.test];
        if let Some(report) = &args.report {
            output::spares(report, inputs.into_iter().flatten())?;
        }
        let (out, promote) = (args.out.as_deref(), args.test.promote.as_deref());
        if let Some(out) = out {
            model::may_hold(out).map_err(Failure::failed)?;
        }
        let mut locks = Vec::new();
        for folder in [out, promote].into_iter().flatten() {
            locks.push(Lock::training(folder)?);
            if out.and_then(|out| out.canonicalize().ok()) == folder.canonicalize().ok() && Some(folder) == promote {
                return Err(Failure::Usage("--out and --promote are one folder: give --promote alone".to_owned()));
            }
        }
        Ok(Places { _locks: locks })
    }
}

/// Puts a new model into service, unless something stands in its way.
fn put_into_service(
    folder: &Path,
    trained: &Trained,
    live: Option<&Model>,
    tested: &[Comparison],
    out: Option<&Path>,
) -> Result<(), Failure> {
    let refused = |why: String| {
        let kept = match out {
            None => "give --out to keep the new one".to_owned(),
            Some(out) => format!("the new one is in {}", out.display()),
        };
        let goes_on = if live.is_some() { "; the model in service goes on" } else { "" };
        Err(Failure::Failed(format!("not promoted: {why}{goes_on}; {kept}")))
    };
    let objections = tested.iter().filter(|one| one.objection.is_some()).count();
    if objections > 0 {
        return refused(format!("{objections} objections above"));
    }
    if live.is_some() && tested.is_empty() {
        return refused("no row was left to test with, give --test".to_owned());
    }
    let store = Store::open(folder)?;
    if store.current()?.as_deref() != live.map(Model::version) {
        return refused("another model came into service meanwhile, which it was not compared with".to_owned());
    }
    Ok(store.publish(trained.model.version(), &trained.files())?)
}

/// How a part was measured, for people.
fn how(held_out: Option<&HeldOut>) -> String {
    match held_out {
        None => "measured by cross-validation: each article was answered by a model that had not seen it".to_owned(),
        Some(HeldOut::Files { leaks }) => {
            format!("measured on test rows that were given; {leaks} training rows were left out as copies of them")
        }
        Some(HeldOut::Date { from, leaks }) => {
            format!(
                "measured on the newest rows, from {from} on; {leaks} of them were left out as copies of older ones"
            )
        }
        Some(HeldOut::Lot) => "measured on rows drawn by lot, evenly of each label, copies together".to_owned(),
    }
}

/// The report: on the test rows where there are some, otherwise by cross-validation.
fn report(data: &Data, trained: &Trained, tested: &[Comparison]) -> Report {
    let model = &trained.model;
    let topics = trained.topics.as_ref().map(|part| match data.test_topics[..] {
        [] => {
            let records: Vec<_> = part.answered.iter().map(|i| data.topics.records[*i].clone()).collect();
            let findings = TopicFindings {
                scores: &part.scores,
                subtopic_scores: part.subtopic_scores.as_ref(),
                records: &records,
                answers: &part.answers,
            };
            Some(TopicReport::of(model, &findings))
        }
        _ => {
            let answers = evaluate::topics(model, &data.test_topics);
            TopicReport::of_answers(model, &data.test_topics, &answers)
        }
    });
    let topics = topics.flatten().zip(trained.topics.as_ref()).map(|(report, part)| TopicReport {
        learning: part.learning.clone(),
        left_out_sources: part.left_out_sources.clone(),
        ..report
    });
    let regions = trained.regions.as_ref().map(|part| match data.test_regions[..] {
        [] => {
            let records: Vec<_> = part.answered.iter().map(|i| data.regions.records[*i].clone()).collect();
            RegionReport {
                sources: part.sources.clone(),
                left_out_sources: part.left_out_sources.clone(),
                ..RegionReport::of(&records, &part.answers)
            }
        }
        _ => RegionReport::of(&data.test_regions, &evaluate::regions(model, &data.test_regions)),
    });
    let parts = [("topics", topics.is_some(), &data.test_topics), ("regions", regions.is_some(), &data.test_regions)];
    let measured = parts.into_iter().filter(|(_, is_there, _)| *is_there);
    Report {
        version: model.version().to_owned(),
        how: measured
            .map(|(part, _, test)| {
                let held_out = data.held_out.get(part).filter(|_| !test.is_empty());
                format!("{part}: {}.", how(held_out))
            })
            .collect(),
        trained_on: model.manifest().trained_on.clone(),
        topics,
        regions,
        comparisons: tested.to_vec(),
        corrections: corrections(data, trained),
        left_out: data.left_out.clone(),
    }
}

/// The new model on the test rows.
fn test(data: &Data, trained: &Trained) -> evaluate::Report {
    let topics = !data.test_topics.is_empty() && trained.topics.is_some();
    let regions = !data.test_regions.is_empty() && trained.regions.is_some();
    let answers = topics.then(|| evaluate::topics(&trained.model, &data.test_topics));
    evaluate::Report {
        topics: answers.as_ref().and_then(evaluate::TopicAnswers::scores),
        subtopics: answers.as_ref().and_then(evaluate::TopicAnswers::subtopic_scores),
        regions: regions.then(|| RegionScores::of(&evaluate::regions(&trained.model, &data.test_regions))),
    }
}

/// The new model, and the one in service where there is one, on the test rows.
fn tested(data: &Data, trained: &Trained, live: Option<&Model>, gate: &Gate) -> Vec<Comparison> {
    let mut comparisons = Vec::new();
    if !data.test_topics.is_empty() && trained.topics.is_some() {
        let of = |model: &Model| evaluate::topics(model, &data.test_topics);
        comparisons.extend(gate.topics(live.map(of).as_ref(), &of(&trained.model)));
    }
    if !data.test_regions.is_empty() && trained.regions.is_some() {
        let of = |model: &Model| evaluate::regions(model, &data.test_regions);
        comparisons.extend(gate.regions(live.map(of).as_deref(), &of(&trained.model)));
    }
    let unmeasured = gate.unmeasured(&comparisons);
    comparisons.extend(unmeasured);
    comparisons
}

/// How many corrections there are, and how many of them the new model gets right.
fn corrections(data: &Data, trained: &Trained) -> BTreeMap<String, [usize; 2]> {
    let mut told = BTreeMap::new();
    let rows = |rows: &train::Rows| rows.records[rows.records.len() - rows.corrections..].to_vec();
    if data.topics.corrections > 0 {
        let answers = evaluate::topics(&trained.model, &rows(&data.topics));
        let right = answers.topics.iter().filter(|answer| answer.is_right()).count();
        told.insert("topics".to_owned(), [answers.topics.len(), right]);
    }
    if data.regions.corrections > 0 {
        let answers = evaluate::regions(&trained.model, &rows(&data.regions));
        let right = answers.iter().filter(|answer| {
            let [right, given, carried] = answer.counts();
            right == given && right == carried
        });
        told.insert("regions".to_owned(), [answers.len(), right.count()]);
    }
    told
}

fn tell(data: &Data, trained: &Trained, test: &evaluate::Report, tested: &[Comparison], has_live: bool) -> String {
    let mut told = String::new();
    let mut say = |line: String| {
        told.push_str(&line);
        told.push('\n');
    };
    if let Some(topics) = &trained.topics {
        if topics.tried.len() > 2 {
            say(output::tried(&topics.tried).to_string());
        }
        let name = |code: &str| trained.model.topics().name_of(code).unwrap_or(code).to_owned();
        say(output::topic_table(&topics.scores, name).to_string());
        if let Some(scores) = &topics.subtopic_scores {
            say(output::topic_table(scores, name).to_string());
        }
        for (title, sources) in [("source", &topics.scores.sources), ("source left out", &topics.left_out_sources)] {
            if sources.len() > 1 {
                say(output::source_table(title, sources).to_string());
            }
        }
    }
    let trained_parts = [
        ("topics", trained.topics.as_ref().map(|part| part.scores.measures())),
        ("regions", trained.regions.as_ref().map(|part| part.measured.clone())),
    ];
    for (name, measured) in trained_parts {
        match measured {
            Some(measured) => say(output::measures(name, &measured).to_string()),
            None if has_live => say(format!("{name}: taken over from the model in service")),
            None => say(format!("{name}: taken over from the bundled model")),
        }
    }
    if let Some(regions) = &trained.regions {
        let tables = [("source of regions", &regions.sources), ("source left out", &regions.left_out_sources)];
        for (title, sources) in tables {
            if sources.len() > 1 {
                say(output::source_table(title, sources).to_string());
            }
        }
        say(output::peers(&regions.peers, &regions.scores).to_string());
    }
    if let Some(scores) = trained.topics.as_ref().and_then(|part| part.subtopic_scores.as_ref()) {
        say(output::measures("sub-topics", &scores.measures()).to_string());
    }
    for (part, [all, right]) in corrections(data, trained) {
        say(format!(
            "corrections: {right} of {all} about {part} are answered right by the model that learned from them"
        ));
    }
    for (part, held_out) in &data.held_out {
        say(format!("{part}: {}", how(Some(held_out))));
    }
    if let Some(topics) = &test.topics {
        say(format!(
            "topics: micro-F1 {:.3}, macro-F1 {:.3}, exact {:.3}, accuracy {:.3} on {} test rows",
            topics.micro_f1, topics.macro_f1, topics.exact, topics.accuracy, topics.rows
        ));
    }
    if let Some(regions) = &test.regions {
        say(format!(
            "regions: micro-F1 {:.3}, exact {:.3} on {} test rows",
            regions.micro_f1, regions.exact, regions.rows
        ));
    }
    if !tested.is_empty() {
        say(output::comparison(tested).to_string());
    }
    told
}
