//! Classifies fixed articles, for `benches/instructions.sh`, which counts the instructions of [`counted`].

mod texts;

use dateline::{Model, article::Article};
use std::hint::black_box;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let model = Model::bundled()?;
    let articles: Vec<Article> = [50, 500, 2000].into_iter().flat_map(texts::articles).collect();
    // Once before, so that no table is initialised while instructions are counted.
    counted(&model, &articles);
    counted_again(&model, &articles);
    Ok(())
}

#[inline(never)]
fn counted_again(model: &Model, articles: &[Article]) {
    counted(model, articles);
}

fn counted(model: &Model, articles: &[Article]) {
    for article in articles {
        drop(black_box(model.classify(article, &Default::default())));
    }
}
