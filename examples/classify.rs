//! Classifies an article with the bundled model, without a server. The headline is the argument, the body is standard input:
//!
//! `cargo run --release --no-default-features --example classify -- "Central bank holds rates" < article.txt`

use dateline::{Article, Model, Options, article::Role};
use std::{env, error::Error, io};

fn main() -> Result<(), Box<dyn Error>> {
    let headline = env::args().nth(1).unwrap_or_default();
    let body = io::read_to_string(io::stdin())?;
    let article = Article { headline, body, ..Article::default() };

    // Open the model once. It can be shared between threads.
    let model = Model::bundled()?;
    let answer = model.classify(&article, &Options::default())?;
    for topic in &answer.topics {
        println!("{:.2}  {:<8} {}", topic.confidence, topic.decision.as_str(), topic.name);
    }
    for region in answer.regions.iter().filter(|region| region.role == Role::About) {
        println!("{:.2}  {:<8} {}", region.label.confidence, region.label.decision.as_str(), region.label.name);
    }
    answer.notes.iter().for_each(|note| println!("{note}"));
    Ok(())
}
