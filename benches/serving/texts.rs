//! The articles: made from texts of a corpus, deterministically.

use crate::Outcome;
use dateline::{
    formats::{self, Reading, Source},
    wire::proto::dateline::v1::{Article, ClassifyRequest},
};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// The number of different articles of a size.
const ARTICLES: usize = 256;
/// Texts that are shorter than half an article are used only if there are fewer longer ones.
const ENOUGH_LONG_TEXTS: usize = 100;
const SEED: u64 = 20_260_101;

/// The texts of a corpus.
pub struct Texts {
    origin: &'static str,
    bodies: Vec<String>,
}

impl Texts {
    /// The bodies of the gold rows of a corpus; by default, of the articles written for the tests.
    pub fn read(corpora: Option<&Path>) -> Outcome<Self> {
        let (origin, files) = match corpora {
            Some(folder) => ("gold rows", gold_files(folder)?),
            None => ("tests/data/articles.jsonl", vec![project_path("tests/data/articles.jsonl")]),
        };
        let mut bodies = Vec::new();
        for file in files {
            for record in formats::records(&Source::File(file), &Reading::default()) {
                bodies.push(record?.article.body);
            }
        }
        bodies.retain(|body| !body.trim().is_empty());
        match bodies.is_empty() {
            true => Err(format!("no row of {origin} has a body").into()),
            false => Ok(Texts { origin, bodies }),
        }
    }

    /// Where the texts come from.
    pub fn origin(&self) -> &str {
        self.origin
    }

    /// Different requests, each with an article of at most `bytes` bytes, cut between words. The id is the position.
    pub fn requests(&self, bytes: usize) -> Vec<ClassifyRequest> {
        let articles = self.articles(ARTICLES, bytes, str::len, |text| end_within(text, bytes));
        let request = |(i, body): (usize, String)| {
            let article = Article { id: i.to_string(), body, ..Article::default() };
            ClassifyRequest { article: Some(article), options: None }
        };
        articles.into_iter().enumerate().map(request).collect()
    }

    /// Different texts of exactly `words` words.
    pub fn of_words(&self, count: usize, words: usize) -> Vec<String> {
        self.articles(count, words, |text| text.split_whitespace().count(), |text| end_of_words(text, words))
    }

    /// Joins bodies until each text is longer than `size`, then cuts it at the position that `end_of` returns.
    fn articles(
        &self,
        count: usize,
        size: usize,
        size_of: impl Fn(&str) -> usize,
        end_of: impl Fn(&str) -> usize,
    ) -> Vec<String> {
        let mut bodies: Vec<&str> = self.bodies.iter().map(String::as_str).collect();
        let long: Vec<&str> = bodies.iter().copied().filter(|body| size_of(body) >= size / 2).collect();
        if long.len() >= ENOUGH_LONG_TEXTS {
            bodies = long;
        }
        let mut random = SplitMix(SEED);
        let text = |_| {
            let mut text = String::new();
            let mut length = 0;
            // One more than asked for, so that the cut is between words.
            while length <= size {
                let body = bodies[random.below(bodies.len())];
                text.push_str(body);
                text.push_str("\n\n");
                length += size_of(body);
            }
            text.truncate(end_of(&text));
            text
        };
        (0..count).map(text).collect()
    }
}

/// The end of the last word of which all characters are within the first `bytes` bytes.
fn end_within(text: &str, bytes: usize) -> usize {
    let starts = || text.char_indices().take_while(|(at, _)| *at <= bytes);
    let space = starts().filter(|(_, c)| c.is_whitespace()).last();
    space.or_else(|| starts().last()).map_or(0, |(at, _)| at)
}

/// The end of word number `words`.
fn end_of_words(text: &str, words: usize) -> usize {
    let (mut begun, mut in_word) = (0, false);
    for (at, c) in text.char_indices() {
        if c.is_whitespace() {
            if in_word && begun == words {
                return at;
            }
            in_word = false;
        } else if !in_word {
            in_word = true;
            begun += 1;
        }
    }
    text.len()
}

/// The files of gold rows in a folder of corpora.
pub fn gold_files(corpora: &Path) -> Outcome<Vec<PathBuf>> {
    let folder = corpora.join("gold");
    let entries = fs::read_dir(&folder).map_err(|error| format!("cannot read {}: {error}", folder.display()))?;
    let mut files = entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>()?;
    files.retain(|file| {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("gold") && name.ends_with(".jsonl.gz")
    });
    files.sort();
    match files.is_empty() {
        true => {
            Err(format!("{} has no gold*.jsonl.gz: --corpora needs the folder above gold", folder.display()).into())
        }
        false => Ok(files),
    }
}

/// A path within the project.
pub fn project_path(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The generator SplitMix64: the same numbers everywhere.
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 to `limit`, exclusive.
    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }
}
