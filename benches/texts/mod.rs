//! The articles of the benchmarks.

use dateline::article::Article;
use serde_json::Value;

/// Number of articles of one length.
const ARTICLES: usize = 40;

/// Articles of this number of words, made of the bodies of the articles in `tests/data/articles.jsonl`.
pub fn articles(words: usize) -> Vec<Article> {
    let rows = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/articles.jsonl"));
    let bodies = rows.lines().map(|row| {
        let row: Value = serde_json::from_str(row).expect("a row of JSON Lines");
        row["body"].as_str().unwrap_or_default().to_owned()
    });
    let bodies: Vec<String> = bodies.filter(|body| !body.is_empty()).collect();
    let mut next = bodies.iter().cycle();
    let article = |_| {
        let mut body = String::new();
        let mut left = words;
        while left > 0 {
            let paragraph: Vec<&str> = next.next().into_iter().flat_map(|body| body.split(' ')).take(left).collect();
            left -= paragraph.len();
            body.push_str(&paragraph.join(" "));
            body.push_str("\n\n");
        }
        Article { body, ..Article::default() }
    };
    (0..ARTICLES).map(article).collect()
}
