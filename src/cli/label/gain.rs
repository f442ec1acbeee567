//! What labels are worth: the quality of a model that is trained without them, and with them.

use crate::{
    cli::{failure::Failure, progress::Bars},
    formats::Reading,
    report::{Cell, Table, number, share, text},
    train::{Outcome, RetrainRequest, TrainRequest, retrain},
};
use anstream::println;
use std::path::PathBuf;

/// Trains with and without the labels, and prints the quality of both on the same test rows.
pub fn print(topics: Vec<PathBuf>, test: Vec<PathBuf>, labels: PathBuf, reading: Reading) -> Result<(), Failure> {
    let without = TrainRequest { topics, test, reading, ..TrainRequest::default() };
    let mut with = without.clone();
    with.topics.push(labels);
    let mut table = Table::new([
        text("trained"),
        number("rows"),
        number("test rows"),
        number("micro-F1"),
        number("macro-F1"),
        number("best topic right"),
    ]);
    for (name, train) in [("without the labels", without), ("with them", with)] {
        let outcome = retrain(&RetrainRequest { train, ..RetrainRequest::default() }, &Bars)?;
        table.push(row(name, &outcome)?);
    }
    println!("{}", table.to_terminal());
    Ok(())
}

fn row(name: &str, outcome: &Outcome) -> Result<Vec<Cell>, Failure> {
    let rows = outcome.data.topics.records.len();
    let scores = outcome.evaluation.topics.as_ref();
    let scores = scores.ok_or_else(|| Failure::BadInput("no test row has topics".to_owned()))?;
    Ok(vec![
        name.into(),
        rows.into(),
        scores.rows.into(),
        share(scores.micro_f1),
        share(scores.macro_f1),
        share(scores.accuracy),
    ])
}
