//! `dateline evaluate`: measures a model on labelled articles.

use super::{
    failure::Failure,
    input,
    output::{self, TITLE},
    shared::model,
};
use crate::{
    geography,
    model::Model,
    report::{Report, label_rows, tables},
    train::{
        Intake, LabelMap, LeftOut, Teaching,
        evaluate::{self, Evaluation},
        metrics::RegionScores,
        topic_scores::TopicScores,
    },
};
use anstream::{eprintln, print, println};
use jiff::civil::Date;
use std::path::PathBuf;

/// Measure a model on labelled articles
///
/// Topics: micro-F1 over all pairs of an article and a topic that is AUTO or REVIEW, the share of articles with exactly
/// the right topics, the share whose best topic is right, the precision of AUTO, and precision, recall and F1 of each
/// label and source. The same for sub-topics, if rows have some. Regions: micro-F1 over the countries answered as
/// ABOUT, the share of articles with exactly the right countries, and the share whose most confident country is right.
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
    /// The folder of a model; the bundled model by default
    #[arg(long, value_name = "DIR")]
    model: Option<PathBuf>,
    /// An HTML page with tables and plots, and its JSON form beside it
    #[arg(long, value_name = "FILE.html", value_parser = output::report_path)]
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
        output::check_not_overwriting(report, args.topics.iter().chain(&args.regions))?;
    }
    let map = args.input.map.as_deref().map(LabelMap::read).transpose()?;
    let reading = args.input.reading();
    let mut intake = Intake {
        reading: &reading,
        map: map.as_ref(),
        max_bad: args.input.max_bad,
        last_day: Date::MAX,
        left_out: LeftOut::default(),
    };
    let (topics, _) = intake.read(&args.topics, Teaching::Topics, |_| {})?;
    let (regions, _) = intake.read(&args.regions, Teaching::Regions, |_| {})?;
    let left_out = intake.left_out;
    input::print_left_out(&left_out);
    let topic_answers = evaluate::topics(&model, &topics);
    let region_answers = evaluate::regions(&model, &regions);
    let evaluation = Evaluation {
        topics: topic_answers.scores(),
        topics_of_known_labels: topic_answers.scores_of_known_labels(),
        unknown_topics: topic_answers.unknown_topics.clone(),
        subtopics: topic_answers.subtopic_scores(),
        regions: (!regions.is_empty()).then(|| RegionScores::of(&region_answers)),
    };
    if let Some(path) = &args.report {
        let report = Report::of_evaluation(&model, (&topics, &topic_answers), (&regions, &region_answers), &left_out);
        report.write(path).map_err(|error| Failure::Failed(format!("{}: {error}", path.display())))?;
    }
    if let Some(scores) = &evaluation.topics
        && !scores.labels.keys().any(|code| model.topics().topics().iter().any(|topic| *topic.code == **code))
    {
        eprintln!(
            "no topic of the files is a topic of the model: if it was trained on other labels, name the right one with --model"
        );
    }
    if args.json {
        println!("{}", serde_json::to_string(&evaluation).map_err(Failure::failed)?);
    } else {
        print!("{}", text_of(&evaluation, &model));
    }
    match left_out.bad_rows() {
        0 => Ok(()),
        bad => Err(Failure::BadInput(format!("{bad} rows could not be read and were left out"))),
    }
}

/// An evaluation for people.
fn text_of(evaluation: &Evaluation, model: &Model) -> String {
    let mut text = String::new();
    let topic_name = |code: &str| model.topics().name_of(code).unwrap_or(code).to_owned();
    if let Some(scores) = &evaluation.topics {
        let labels = tables::labels(&label_rows(&scores.labels, topic_name)).to_terminal();
        text += &format!("{TITLE}Topics{TITLE:#}\n{labels}\n{}\n", topic_line(scores));
        if let Some(line) = output::unknown_topics(evaluation) {
            text += &format!("{line}\n");
        }
        if scores.sources.len() > 1 {
            text += &format!("{}\n", tables::sources(&scores.sources).to_terminal());
        }
        let confusion = tables::confusion(scores).to_terminal();
        text += &format!(
            "\n{TITLE}Confusion{TITLE:#} (rows: true topic, columns: best topic answered; - is no answer)\n{confusion}\n\n"
        );
    }
    if let Some(scores) = &evaluation.subtopics {
        let labels = tables::labels(&label_rows(&scores.labels, topic_name)).to_terminal();
        text += &format!("{TITLE}Sub-topics{TITLE:#}\n{labels}\n{}\n\n", topic_line(scores));
    }
    if let Some(scores) = &evaluation.regions {
        let name = |code: &str| geography::place(code).map_or_else(|| code.to_owned(), |place| place.name.to_string());
        let labels = tables::labels(&label_rows(&scores.labels, name)).to_terminal();
        text += &format!("{TITLE}Regions{TITLE:#}\n{labels}\n");
        text += &format!(
            "rows {}   micro-F1 {:.3}   macro-F1 {:.3}   exact {:.3}   top-1 {:.3}   answers with countries of no row {}\n",
            scores.rows, scores.micro_f1, scores.macro_f1, scores.exact, scores.top1, scores.elsewhere
        );
    }
    text
}

fn topic_line(scores: &TopicScores) -> String {
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
