//! Measures the stages of a classification, by length of the article: `cargo bench --bench stages`.
//!
//! The articles are made of those in `tests/data/articles.jsonl`. Each figure is the time for one article.

mod texts;

use dateline::{Model, article::Article, clean, model, region, region::Places, text::words_into};
use divan::{Bencher, black_box};
use std::sync::LazyLock;

const LENGTHS: [usize; 3] = [50, 500, 2000];

static MODEL: LazyLock<Model> = LazyLock::new(|| Model::bundled().expect("the bundled model opens"));

fn main() {
    model::warm_up();
    LazyLock::force(&MODEL);
    divan::main();
}

/// Runs a stage on articles of this length in turn.
fn each(bencher: Bencher<'_, '_>, words: usize, mut stage: impl FnMut(&Article)) {
    let articles = texts::articles(words);
    let mut next = articles.iter().cycle();
    bencher.bench_local(|| next.by_ref().take(1).for_each(&mut stage));
}

#[divan::bench(args = LENGTHS)]
fn clean_text(bencher: Bencher<'_, '_>, words: usize) {
    each(bencher, words, |article| drop(black_box(clean::clean(article, region::known))));
}

#[divan::bench(args = LENGTHS)]
fn find_words(bencher: Bencher<'_, '_>, words: usize) {
    let articles = texts::articles(words);
    let documents: Vec<_> = articles.iter().map(|article| clean::clean(article, region::known)).collect();
    let (mut next, mut found) = (documents.iter().cycle(), Vec::new());
    bencher.bench_local(|| next.by_ref().take(1).for_each(|document| words_into(document, &mut found)));
}

#[divan::bench(args = LENGTHS)]
fn score_topics(bencher: Bencher<'_, '_>, words: usize) {
    let articles = texts::articles(words);
    let documents: Vec<_> = articles.iter().map(with_words).collect();
    let mut next = documents.iter().cycle();
    bencher.bench_local(|| {
        next.by_ref().take(1).for_each(|(document, words)| drop(black_box(MODEL.topics().classify(words, document))));
    });
}

#[divan::bench(args = LENGTHS)]
fn find_places(bencher: Bencher<'_, '_>, words: usize) {
    let articles = texts::articles(words);
    let documents: Vec<_> = articles.iter().map(with_words).collect();
    let mut next = documents.iter().cycle();
    bencher.bench_local(|| {
        next.by_ref().take(1).for_each(|(document, words)| drop(black_box(Places::of(document, words))));
    });
}

#[divan::bench(args = LENGTHS)]
fn rank_regions(bencher: Bencher<'_, '_>, words: usize) {
    let articles = texts::articles(words);
    let places: Vec<_> =
        articles.iter().map(with_words).map(|(document, words)| Places::of(&document, &words)).collect();
    let mut next = places.iter().cycle();
    bencher
        .bench_local(|| next.by_ref().take(1).for_each(|places| drop(black_box(MODEL.regions().rank(places, None)))));
}

#[divan::bench(args = LENGTHS)]
fn classify(bencher: Bencher<'_, '_>, words: usize) {
    each(bencher, words, |article| drop(black_box(MODEL.classify(article, &Default::default()))));
}

/// The cleaned text of an article, with its words.
fn with_words(article: &Article) -> (dateline::document::Document<'_>, Vec<dateline::text::Word>) {
    let document = clean::clean(article, region::known);
    let mut words = Vec::new();
    words_into(&document, &mut words);
    (document, words)
}
