//! Trains a model on an archive, and says how good it is:
//!
//! `cargo run --release --no-default-features --features train --example train -- archive.jsonl my-model`

use dateline::{
    Model,
    train::{Progress, TrainRequest, read, train},
};
use std::{env, error::Error, path::Path};

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = env::args().skip(1);
    let (Some(archive), Some(folder)) = (args.next(), args.next()) else {
        return Err("write the archive and the folder of the model: train -- archive.jsonl my-model".into());
    };
    let request = TrainRequest { topics: vec![archive.into()], ..TrainRequest::default() };
    let progress = Progress::default();
    let data = read(&request, &progress)?;
    // What the archive does not teach, here the countries and the word vectors, comes from the bundled model.
    let trained = train(&data, &request, Some(&Model::bundled()?), &progress)?;
    for (measure, value) in &trained.model.manifest().topics.measured {
        println!("{value:.3}  {measure}");
    }
    trained.save(Path::new(&folder))?;
    Ok(())
}
