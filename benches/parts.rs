//! Measures the time per article of topics and of regions, in turn on the same articles, and their ratio.
//!
//! `cargo bench --bench parts [FILE]...` reads JSON Lines; by default the articles in `tests/data/articles.jsonl`.

use dateline::{
    Model, clean,
    formats::{self, Source},
    region::{self, Places},
    text::words_into,
};
use std::{hint::black_box, path::PathBuf, time::Instant};

const ROUNDS: usize = 15;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let model = Model::bundled()?;
    model.warm_up();
    let mut files: Vec<PathBuf> =
        std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).map(PathBuf::from).collect();
    if files.is_empty() {
        files.push(PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/articles.jsonl")));
    }
    let mut articles = Vec::new();
    for file in files {
        for record in formats::records(&Source::File(file), &formats::Reading::default()) {
            articles.push(record?.article);
        }
    }
    let documents: Vec<_> = articles
        .iter()
        .map(|article| {
            let document = clean::clean(article, region::known);
            let mut words = Vec::new();
            words_into(&document, &mut words);
            (document, words)
        })
        .collect();

    // The fastest round has the least interference from other processes.
    let (mut topics, mut regions) = (f64::MAX, f64::MAX);
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        documents.iter().for_each(|(document, words)| drop(black_box(model.topics().classify(words, document))));
        topics = topics.min(begun.elapsed().as_secs_f64());
        let begun = Instant::now();
        for (document, words) in &documents {
            drop(black_box(model.regions().rank(&Places::of(document, words), None)));
        }
        regions = regions.min(begun.elapsed().as_secs_f64());
    }
    let each = 1e6 / documents.len() as f64;
    let words = documents.iter().map(|(_, words)| words.len()).sum::<usize>() / documents.len();
    println!("{} articles of {words} words on average, one core", documents.len());
    println!("topics   {:7.1} µs per article", topics * each);
    println!("regions  {:7.1} µs per article, {:.2} times the topics", regions * each, regions / topics);
    Ok(())
}
