use super::{Failure, output};
use crate::{
    model::Model,
    train::{self, Progress, TopicParams, TrainError, TrainRequest},
};
use anstream::println;
use std::{path::PathBuf, time::Instant};

/// Train a model on labelled articles
///
/// Rows are JSON Lines, plain or .gz: {"id": "...", "headline": "...", "body": "...", "topics": ["medtop:15000000"]}, for
/// regions with "dateline" and "regions": ["KE"]. Any topic codes do; the model carries those of the data. The half that
/// is given no files is taken over from the bundled model. The same files and the same seed give the same bytes. A model
/// that the folder holds already is replaced.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("files").args(["topics", "regions"]).required(true).multiple(true))]
#[command(after_help = "Examples:\n  dateline train --topics archive.jsonl.gz --out my-model\n  \
                        dateline train --topics a.jsonl b.jsonl --regions wire.jsonl.gz --out my-model --seed 7\n  \
                        dateline classify --model my-model article.txt")]
pub struct Args {
    /// Files whose rows have "topics"
    #[arg(long, num_args = 1.., value_name = "FILE")]
    topics: Vec<PathBuf>,
    /// Files whose rows have no labels: rules give some of them a topic that hardly any labelled row teaches, and the places
    /// that they name say their country, to learn which other words speak for it
    #[arg(long, num_args = 1.., value_name = "FILE", requires = "files")]
    unlabelled: Vec<PathBuf>,
    /// A file of rules for --unlabelled, instead of those for IPTC Media Topics that come with the program
    #[arg(long, value_name = "FILE", requires = "unlabelled")]
    rules: Option<PathBuf>,
    /// Files whose rows have "regions"
    #[arg(long, num_args = 1.., value_name = "FILE")]
    regions: Vec<PathBuf>,
    /// A file of word vectors, instead of those of the bundled model
    #[arg(long, value_name = "FILE")]
    vectors: Option<PathBuf>,
    /// The folder to write the model into; made where it is missing
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// The seed of all that is random
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

pub fn run(args: Args) -> Result<(), Failure> {
    // With all it takes, a model can be made from nothing: the bundled one is made so.
    let complete = !args.topics.is_empty() && !args.regions.is_empty() && args.vectors.is_some();
    let base = if complete { None } else { Some(Model::bundled().map_err(Failure::failed)?) };
    let begun = Instant::now();
    let request = TrainRequest {
        topics: args.topics,
        unlabelled: args.unlabelled,
        rules: args.rules,
        regions: args.regions,
        vectors: args.vectors,
        params: TopicParams { seed: args.seed, ..TopicParams::default() },
    };
    let trained = train::train(&request, base.as_ref(), &Progress::default()).map_err(|error| match error {
        TrainError::Input(_)
        | TrainError::Read { .. }
        | TrainError::NoRows { .. }
        | TrainError::NothingUnlabelled { .. }
        | TrainError::Rule { .. }
        | TrainError::OneLabel { .. }
        | TrainError::RareLabel { .. }
        | TrainError::UnknownCountry { .. } => Failure::BadInput(error.to_string()),
        _ => Failure::failed(error),
    })?;
    trained.save(&args.out).map_err(Failure::failed)?;

    let manifest = trained.model.manifest();
    if let Some(topics) = &trained.topics {
        println!(
            "{}",
            output::topic_table(&topics.scores, |code| {
                let known = manifest.topics.labels.iter().find(|label| label.code == code);
                known.map(|label| label.name.clone()).unwrap_or_else(|| code.to_owned())
            })
        );
    }
    let trained_parts = [
        ("topics", trained.topics.as_ref().map(|part| &part.measured)),
        ("regions", trained.regions.as_ref().map(|part| &part.measured)),
    ];
    for (name, measured) in trained_parts {
        match measured {
            Some(measured) => println!("{}", output::measures(name, measured)),
            None => println!("{name}: taken over from the bundled model"),
        }
    }
    if let Some(regions) = &trained.regions {
        println!("{}", output::peers(&regions.peers, &regions.scores));
    }
    println!(
        "model {} in {}: {:.1} MB, trained in {:.0} s; measured by cross-validation, more in MODEL_CARD.md",
        trained.model.version(),
        args.out.display(),
        trained.size() as f64 / 1e6,
        begun.elapsed().as_secs_f64()
    );
    Ok(())
}
