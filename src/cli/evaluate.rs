use super::{Failure, input, model, output};
use crate::train::{
    Intake, LabelMap, LeftOut, Teaching,
    evaluate::{self, Report},
    metrics::RegionScores,
    report::{self, RegionReport, TopicReport},
};
use anstream::{eprintln, print, println};
use std::{collections::BTreeMap, path::PathBuf};

/// Measure a model on labelled articles
///
/// Topics: F1 over all pairs of an article and a topic that is AUTO or REVIEW, how often the set is exactly right, how often the
/// best topic is one of the article's, how often AUTO is right, and precision, recall and F1 of each label and source. The same
/// for sub-topics, if rows carry some. Regions: F1 over the countries answered as
/// ABOUT, how often the set is exactly right, and how often the most confident country is one of them.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("files").args(["topics", "regions"]).required(true).multiple(true))]
#[command(after_help = "Examples:\n  dateline evaluate --topics labelled.jsonl\n  \
                        dateline evaluate --regions wire.jsonl.gz --model my-model --json\n  \
                        dateline evaluate --topics labelled.csv --columns topics=Section --report report.html")]
pub struct Args {
    /// Files whose rows have "topics"
    #[arg(long, num_args = 1.., value_name = "FILE")]
    topics: Vec<PathBuf>,
    /// Files whose rows have "regions"
    #[arg(long, num_args = 1.., value_name = "FILE")]
    regions: Vec<PathBuf>,
    /// A folder that `dateline train` wrote, instead of the bundled model
    #[arg(long, value_name = "DIR")]
    model: Option<PathBuf>,
    /// A page of HTML with tables and plots, and the same as JSON beside it
    #[arg(long, value_name = "FILE.html", value_parser = output::page)]
    report: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    input: input::InputArgs,
}

pub fn run(args: Args) -> Result<(), Failure> {
    let model = model(args.model.as_ref()).map_err(Failure::failed)?;
    if let Some(report) = &args.report {
        output::spares(report, args.topics.iter().chain(&args.regions))?;
    }
    let map = args.input.map.as_deref().map(LabelMap::read).transpose()?;
    let reading = args.input.reading();
    let mut intake =
        Intake { reading: &reading, map: map.as_ref(), max_bad: args.input.max_bad, left_out: LeftOut::default() };
    let (topics, _) = intake.read(&args.topics, Teaching::Topics, |_| {})?;
    let (regions, _) = intake.read(&args.regions, Teaching::Regions, |_| {})?;
    input::tell(&intake.left_out);
    let topic_answers = evaluate::topics(&model, &topics);
    let region_answers = evaluate::regions(&model, &regions);
    let report = Report {
        topics: topic_answers.scores(),
        subtopics: topic_answers.subtopic_scores(),
        regions: (!regions.is_empty()).then(|| RegionScores::of(&region_answers)),
    };
    if let Some(path) = &args.report {
        let page = report::Report {
            version: model.version().to_owned(),
            how: vec!["Measured on labelled rows that were given.".to_owned()],
            trained_on: model.manifest().trained_on.clone(),
            topics: TopicReport::of_answers(&model, &topics, &topic_answers),
            regions: (!regions.is_empty()).then(|| RegionReport::of(&regions, &region_answers)),
            comparisons: Vec::new(),
            corrections: BTreeMap::new(),
            left_out: intake.left_out.clone(),
        };
        page.write(path).map_err(|error| Failure::Failed(format!("{}: {error}", path.display())))?;
    }
    if let Some(scores) = &report.topics
        && !scores.labels.keys().any(|code| model.topics().topics().iter().any(|topic| *topic.code == **code))
    {
        eprintln!("none of the topics of the files is one of the model's: was it trained on other labels (--model)?");
    }
    if args.json {
        println!("{}", serde_json::to_string(&report).map_err(Failure::failed)?);
    } else {
        print!("{}", output::report(&report, &model));
    }
    match intake.left_out.bad_rows() {
        0 => Ok(()),
        bad => Err(Failure::BadInput(format!("{bad} rows could not be read and were left out"))),
    }
}
