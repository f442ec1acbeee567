//! Trains a model on labelled articles, from Rust. Topics and regions without files are taken from the bundled model.
//!
//! ```sh
//! cargo run --release --no-default-features --features train --example train -- archive.jsonl my-model
//! ```

use dateline::{
    report::card,
    train::{RetrainRequest, Silent, TrainRequest, retrain},
};
use std::{env, error::Error};

fn main() -> Result<(), Box<dyn Error>> {
    let usage = "usage: train ARCHIVE FOLDER";
    let (archive, folder) = (env::args().nth(1).ok_or(usage)?, env::args().nth(2).ok_or(usage)?);
    let train = TrainRequest { topics: vec![archive.into()], ..TrainRequest::default() };
    let request = RetrainRequest { train, out: Some(folder.into()), ..RetrainRequest::default() };

    let outcome = retrain(&request, &Silent)?;
    if let Some(topics) = &outcome.trained.topics {
        println!("micro-F1 {:.3} in cross-validation", topics.scores.micro_f1);
    }
    outcome.save(&card(&outcome.trained, &outcome.data, ""))?;
    println!("model {}", outcome.trained.model.version());
    Ok(())
}
