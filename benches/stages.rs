//! Measures the stages of a classification, by length of the article: `cargo bench --bench stages`.
//!
//! The articles are made of those in `tests/data/articles.jsonl`. Each figure is the time for one article.

mod texts;

use dateline::{
    Model,
    article::Article,
    clean,
    document::Document,
    model,
    region::{self, Places},
    text::{Word, words_into},
};
use divan::{Bencher, black_box};
use std::sync::LazyLock;

const LENGTHS: [usize; 3] = [50, 500, 2000];

static MODEL: LazyLock<Model> = LazyLock::new(|| Model::bundled().expect("the bundled model opens"));

fn main() {
    model::warm_up();
    LazyLock::force(&MODEL);
    divan::main();
}

/// The cleaned text of an article, with its words.
type Read<'a> = (Document<'a>, Vec<Word>);

fn read(article: &Article) -> Read<'_> {
    let document = clean::clean(article, region::known);
    let mut words = Vec::new();
    words_into(&document, &mut words);
    (document, words)
}

/// Runs a stage on each input in turn.
fn run<T>(bencher: Bencher<'_, '_>, inputs: &[T], mut stage: impl FnMut(&T)) {
    let mut next = inputs.iter().cycle();
    bencher.bench_local(|| next.by_ref().take(1).for_each(&mut stage));
}

/// Runs a stage on the cleaned texts of articles of this length.
fn run_on_read(bencher: Bencher<'_, '_>, words: usize, stage: impl FnMut(&Read<'_>)) {
    let articles = texts::articles(words);
    run(bencher, &articles.iter().map(read).collect::<Vec<_>>(), stage);
}

#[divan::bench(args = LENGTHS)]
fn clean_text(bencher: Bencher<'_, '_>, words: usize) {
    run(bencher, &texts::articles(words), |article| drop(black_box(clean::clean(article, region::known))));
}

#[divan::bench(args = LENGTHS)]
fn find_words(bencher: Bencher<'_, '_>, words: usize) {
    let mut found = Vec::new();
    run_on_read(bencher, words, |(document, _)| words_into(document, &mut found));
}

#[divan::bench(args = LENGTHS)]
fn score_topics(bencher: Bencher<'_, '_>, words: usize) {
    run_on_read(bencher, words, |(document, words)| drop(black_box(MODEL.topics().classify(words, document))));
}

#[divan::bench(args = LENGTHS)]
fn find_places(bencher: Bencher<'_, '_>, words: usize) {
    run_on_read(bencher, words, |(document, words)| drop(black_box(Places::of(document, words))));
}

#[divan::bench(args = LENGTHS)]
fn rank_regions(bencher: Bencher<'_, '_>, words: usize) {
    let articles = texts::articles(words);
    let places: Vec<Places> =
        articles.iter().map(read).map(|(document, words)| Places::of(&document, &words)).collect();
    run(bencher, &places, |places| drop(black_box(MODEL.regions().rank(places, None))));
}

#[divan::bench(args = LENGTHS)]
fn classify(bencher: Bencher<'_, '_>, words: usize) {
    run(bencher, &texts::articles(words), |article| drop(black_box(MODEL.classify(article, &Default::default()))));
}
