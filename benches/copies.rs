//! Precision and recall of near-copies, on articles of a corpus and edited copies of them.
//!
//! `cargo bench --bench copies -- FILE ...` with JSON Lines as for `dateline classify`. Each article is followed, after a hundred
//! others, by one copy that was edited in one of the ways below.

use dateline::{
    Article,
    copies::{DEFAULT_WINDOW, Window},
    formats::{Reading, Source, records},
    model::word_hashes,
};
use std::{collections::BTreeMap, env, path::Path};

/// The distance between an article and its copy.
const DISTANCE: usize = 100;
/// Shorter bodies, in words, are left out: an edit of them is another text.
const LEAST_WORDS: usize = 40;

/// Makes a copy of a body; the second text is another body to take words from.
type Edit = fn(&str, &str) -> String;

/// The ways in which copies are edited.
const EDITS: [(&str, Edit); 7] = [
    ("unchanged, other headline", |body, _| body.to_owned()),
    ("dateline and byline added", |body, _| {
        format!("LISBON, May 3 (Harbour Wire) - {body} Additional reporting by Ana Sol.")
    }),
    ("last quarter cut", |body, _| words(body, 0.0, 0.75)),
    ("first sentence replaced", |body, other| match body.split_once(". ") {
        Some((_, rest)) => format!("{}. {rest}", other.split(". ").next().unwrap_or_default()),
        None => body.to_owned(),
    }),
    ("one word in 25 replaced", |body, _| {
        let replaced = |(i, word): (usize, &str)| if i % 25 == 12 { "elsewhere".to_owned() } else { word.to_owned() };
        body.split_whitespace().enumerate().map(replaced).collect::<Vec<_>>().join(" ")
    }),
    ("a tenth of another appended", |body, other| format!("{body} {}", words(other, 0.0, 0.1))),
    ("half cut", |body, _| words(body, 0.0, 0.5)),
];

/// A part of the words of a text.
fn words(text: &str, from: f64, to: f64) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let at = |share: f64| (words.len() as f64 * share) as usize;
    words[at(from)..at(to)].join(" ")
}

/// Counts of one way to edit.
#[derive(Default)]
struct Count {
    copies: usize,
    found: usize,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let files: Vec<String> = env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    if files.is_empty() {
        eprintln!("copies: nothing measured; run cargo bench --bench copies -- FILE ...");
        return Ok(());
    }
    // Each text once: what the corpus itself has twice is neither a copy nor an original here.
    let mut known = Window::new(DEFAULT_WINDOW);
    let mut articles: Vec<Article> = Vec::new();
    let (mut read, mut repeated) = (0, 0);
    for record in files.iter().flat_map(|file| records(&Source::from(Path::new(file)), &Reading::default())) {
        let article = record?.article;
        if article.body.split_whitespace().count() < LEAST_WORDS {
            continue;
        }
        read += 1;
        match known.add(&word_hashes(&article), read).copy_of {
            Some(_) => repeated += 1,
            None => articles.push(article),
        }
    }
    // Originals have even numbers, copies odd ones.
    let mut window = Window::new(DEFAULT_WINDOW);
    let mut counts: BTreeMap<usize, Count> = BTreeMap::new();
    let (mut answered, mut right) = (0, 0);
    for i in 0..articles.len() + DISTANCE {
        if let Some(article) = articles.get(i)
            && window.add(&word_hashes(article), 2 * i).copy_of.is_some()
        {
            answered += 1;
        }
        let Some(original) = i.checked_sub(DISTANCE) else { continue };
        let edit = original % EDITS.len();
        let other = &articles[(original + 1) % articles.len()];
        let body = EDITS[edit].1(&articles[original].body, &other.body);
        let copy = Article { headline: "What we know so far".to_owned(), body, ..Article::default() };
        let count = counts.entry(edit).or_default();
        count.copies += 1;
        if let Some((of, _)) = window.add(&word_hashes(&copy), 2 * original + 1).copy_of {
            answered += 1;
            right += usize::from(of == 2 * original);
            count.found += usize::from(of == 2 * original);
        }
    }
    println!("{read} articles, of which {repeated} are copies within the corpus and were left out\n");
    println!("| edit                        | copies | found |");
    println!("| --------------------------- | -----: | ----: |");
    for (edit, Count { copies, found }) in &counts {
        println!("| {:<27} | {copies:6} | {:.3} |", EDITS[*edit].0, *found as f64 / *copies as f64);
    }
    let (copies, found) = counts.values().fold((0, 0), |sums, one| (sums.0 + one.copies, sums.1 + one.found));
    println!("| all                         | {copies:6} | {:.3} |", found as f64 / copies as f64);
    println!(
        "\nprecision {:.4}: {right} of {answered} answers name the right original",
        right as f64 / answered as f64
    );
    Ok(())
}
