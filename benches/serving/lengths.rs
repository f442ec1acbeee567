//! The CPU time of an article against its length, in this process and without a server, next to fastText in Python.

use crate::{
    Outcome,
    figures::{LengthCost, median},
    machine,
    options::Plan,
    peers::{Peers, Speed},
    texts::Texts,
};
use dateline::{Article, Model, Options};
use std::{
    hint::black_box,
    time::{Duration, Instant},
};

/// The approximate number of words of all articles of a length.
const WORDS: usize = 100_000;
/// Longer articles are measured for Dateline only.
const MOST_WORDS_OF_FASTTEXT: usize = 2_000;

/// Measures articles of each length, by Dateline and by fastText in turn in each round; the medians.
pub fn measure(peers: Option<&Peers>, texts: &Texts, plan: &Plan) -> Outcome<Vec<LengthCost>> {
    let model = Model::bundled()?;
    dateline::model::warm_up();
    let texts = plan.words.iter().map(|words| (*words, texts.of_words((WORDS / words).clamp(10, 400), *words)));
    let texts: Vec<(usize, Vec<String>)> = texts.collect();
    let mut speed = peers.map(|peers| peers.start_speed(&texts)).transpose()?;
    let mut found = Vec::new();
    for (words, texts) in texts {
        let speed = speed.as_mut().filter(|_| words <= MOST_WORDS_OF_FASTTEXT);
        found.push(of_length(&model, speed, words, texts, plan)?);
    }
    Ok(found)
}

/// Measures articles of one length.
fn of_length(
    model: &Model,
    mut speed: Option<&mut Speed>,
    words: usize,
    texts: Vec<String>,
    plan: &Plan,
) -> Outcome<LengthCost> {
    let article = |body| Article { body, ..Article::default() };
    let articles: Vec<Article> = texts.into_iter().map(article).collect();
    let (mut dateline, mut fasttext) = (Vec::new(), Vec::new());
    for _ in 0..plan.rounds {
        dateline.push(round(model, &articles, plan.time())?);
        if let Some(speed) = &mut speed {
            fasttext.push(speed.round(words, plan.seconds)?);
        }
    }
    let dateline_us = median(dateline).ok_or("there are no rounds")?;
    let fasttext_us = median(fasttext);
    let shown = fasttext_us.map_or_else(String::new, |us| format!(", fastText {us:.0} µs"));
    eprintln!("{words} words: Dateline {dateline_us:.0} µs{shown}");
    Ok(LengthCost { words, dateline_us, fasttext_us })
}

/// Classifies all articles, again and again for a time; the CPU time per article in microseconds, or the time that has passed
/// where the system does not tell it.
fn round(model: &Model, articles: &[Article], time: Duration) -> Outcome<f64> {
    let options = Options::default();
    let (begun, cpu, mut count) = (Instant::now(), machine::main_thread_cpu_seconds(), 0);
    while begun.elapsed() < time {
        for article in articles {
            black_box(model.classify(article, &options)?);
        }
        count += articles.len();
    }
    let passed = begun.elapsed().as_secs_f64();
    let used = machine::main_thread_cpu_seconds().zip(cpu).map(|(after, before)| after - before);
    Ok(1e6 * used.unwrap_or(passed) / count as f64)
}
