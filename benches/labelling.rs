//! What labels of chosen articles are worth, against labels of random ones.
//!
//! `cargo bench --bench labelling -- FILE [REPEATS]` with labelled rows of topics. A first model is trained on 500 random rows. Then
//! 500 rows more are labelled, in five rounds: random ones, or those that the model of the round before would learn most from.
//! Both are measured on rows that are in neither, as is the gain over the first model.

use dateline::{
    Model,
    formats::{Reading, Record, Source, records},
    train::{
        RetrainRequest, Silent, TrainRequest,
        active::{Candidate, choose},
        retrain,
    },
};
use rayon::prelude::*;
use std::{collections::BTreeMap, env, error::Error, fs, path::Path};

const FIRST: usize = 500;
const ROUNDS: usize = 5;
const ROUND: usize = 100;
/// The number of sets of random rows in each run: one set alone may be lucky.
const RANDOM: usize = 3;
/// The share of rows to measure with, as one in so many.
const TEST: usize = 4;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Trains a model on random and on chosen rows, and measures it.
type Train<'a> = dyn Fn(&[usize], &[usize]) -> Outcome<(Model, Quality)> + 'a;

/// The quality of a model on the test rows.
#[derive(Clone, Copy)]
struct Quality {
    micro_f1: f64,
    macro_f1: f64,
    accuracy: f64,
}

/// A row, and the line that it was read from.
struct Row {
    record: Record,
    json: String,
}

fn main() -> Outcome<()> {
    let args: Vec<String> = env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    let Some(file) = args.first() else {
        eprintln!("labelling: nothing measured; run cargo bench --bench labelling -- FILE [REPEATS]");
        return Ok(());
    };
    let repeats: u64 = args.get(1).map_or(Ok(3), |repeats| repeats.parse())?;
    let rows = read(Path::new(file))?;
    let folder = tempfile::tempdir()?;
    println!("| run | rows | labels | micro-F1 | macro-F1 | best topic right |");
    println!("| --- | ---: | ------ | -------: | -------: | ---------------: |");
    let mut gains: BTreeMap<&str, [f64; 3]> = BTreeMap::new();
    for run in 1..=repeats {
        let order = shuffled(rows.len(), run);
        let (test, pool) = order.split_at(rows.len() / TEST);
        let test_file = folder.path().join("test.jsonl");
        write(&test_file, test.iter().map(|row| rows[*row].json.as_str()))?;
        // Rows that were chosen say so, as `dateline label` writes them.
        let train = |labelled: &[usize], chosen: &[usize]| -> Outcome<(Model, Quality)> {
            let file = folder.path().join("rows.jsonl");
            let of = |how: &str, row: usize| format!("{{\"how\": \"{how}\", {}", &rows[row].json[1..]);
            let random = labelled.iter().map(|row| of("random", *row));
            write(&file, random.chain(chosen.iter().map(|row| of("selected", *row))))?;
            measure(&file, &test_file)
        };
        let (first, rest) = pool.split_at(FIRST);
        let (model, before) = train(first, &[])?;
        print(run, FIRST, "first", before);
        let mut add = |labels: &'static str, quality: Quality, share: f64| {
            print(run, FIRST + ROUNDS * ROUND, labels, quality);
            let gain = gains.entry(labels).or_default();
            gain[0] += share * (quality.micro_f1 - before.micro_f1);
            gain[1] += share * (quality.macro_f1 - before.macro_f1);
            gain[2] += share * (quality.accuracy - before.accuracy);
        };
        for more in rest.chunks_exact(ROUNDS * ROUND).take(RANDOM) {
            let labelled = [first, more].concat();
            add("random", train(&labelled, &[])?.1, 1.0 / RANDOM as f64);
        }
        let chosen = label(&rows, first, rest, model, &train)?;
        add("chosen", train(first, &chosen)?.1, 1.0);
    }
    let [random, chosen] = ["random", "chosen"].map(|labels| gains[labels]);
    let ratio = |i: usize| chosen[i] / random[i];
    println!(
        "\ngain of chosen labels, as a multiple of that of random ones: micro-F1 {:.2}, macro-F1 {:.2}, best topic right {:.2}",
        ratio(0),
        ratio(1),
        ratio(2)
    );
    Ok(())
}

/// The rows with topics of a file.
fn read(path: &Path) -> Outcome<Vec<Row>> {
    let mut rows = Vec::new();
    for record in records(&Source::from(path), &Reading::default()) {
        let record = record?;
        if record.topics.is_empty() {
            continue;
        }
        let article = &record.article;
        // Rows are taken as random ones, whatever their file says.
        let json = serde_json::json!({
            "id": article.id, "headline": article.headline, "body": article.body, "topics": record.topics,
        });
        rows.push(Row { json: json.to_string(), record });
    }
    Ok(rows)
}

/// The numbers below `n`, in a random order.
fn shuffled(n: usize, seed: u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by_key(|i| xxhash_rust::xxh3::xxh3_64_with_seed(&i.to_le_bytes(), seed));
    order
}

/// Labels rows in rounds: those that the model of the round before would learn most from.
fn label(rows: &[Row], first: &[usize], rest: &[usize], mut model: Model, train: &Train<'_>) -> Outcome<Vec<usize>> {
    let (mut labelled, mut open) = (Vec::new(), rest.to_vec());
    for round in 0..ROUNDS {
        let candidates: Vec<Candidate> = open
            .par_iter()
            .map(|row| Candidate::new(&model, &rows[*row].record).ok_or("an invalid row"))
            .collect::<Result<_, _>>()?;
        let mut chosen = choose(&candidates, ROUND);
        labelled.extend(chosen.iter().map(|at| open[*at]));
        chosen.sort_unstable();
        for at in chosen.into_iter().rev() {
            open.swap_remove(at);
        }
        if round + 1 < ROUNDS {
            model = train(first, &labelled)?.0;
        }
    }
    Ok(labelled)
}

/// Trains on rows, and measures the model on others.
fn measure(rows: &Path, test: &Path) -> Outcome<(Model, Quality)> {
    let train = TrainRequest { topics: vec![rows.to_owned()], test: vec![test.to_owned()], ..TrainRequest::default() };
    let outcome = retrain(&RetrainRequest { train, ..RetrainRequest::default() }, &Silent)?;
    let scores = outcome.evaluation.topics.as_ref().ok_or("no test rows")?;
    let quality = Quality { micro_f1: scores.micro_f1, macro_f1: scores.macro_f1, accuracy: scores.accuracy };
    Ok((outcome.trained.model, quality))
}

fn write<S: AsRef<str>>(path: &Path, lines: impl Iterator<Item = S>) -> std::io::Result<()> {
    fs::write(path, lines.map(|line| line.as_ref().to_owned() + "\n").collect::<String>())
}

fn print(run: u64, rows: usize, labels: &str, quality: Quality) {
    let Quality { micro_f1, macro_f1, accuracy } = quality;
    println!("| {run:<3} | {rows:4} | {labels:<6} | {micro_f1:8.3} | {macro_f1:8.3} | {accuracy:16.3} |");
}
