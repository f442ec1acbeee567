//! `dateline dedupe`: groups near-copies of articles.

use super::{
    failure::Failure,
    input,
    output::{FAINT, TITLE, printable},
};
use crate::{
    copies::{DEFAULT_WINDOW, Window},
    formats::{InputError, Record, Source, records},
    model::word_hashes,
};
use rayon::prelude::*;
use serde::Serialize;
use std::{fmt, io::Write, path::PathBuf};

/// Articles whose words are read at once, on all cores.
const BATCH: usize = 256;

/// Group near-copies of articles: wire stories and their reprints
///
/// Reads the same formats as `classify`. Two articles are near-copies if they share about a third of their sequences of
/// five words, without markup, notices and what many articles share, such as footers; articles of fewer than fifteen
/// words only if all words are equal. Each article is compared with those in a window of the most recent ones.
///
/// The id of a group is a hash of the words of its first article: the same in every run and on every machine.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  dateline dedupe archive.jsonl\n  \
                        zcat wire.jsonl.gz | dateline dedupe --json - | jq -r 'select(.copy_of == null).id'\n  \
                        dateline dedupe --first archive.jsonl > ids.txt")]
pub struct Args {
    /// Files to read; - is standard input
    #[arg(default_value = "-", value_name = "FILES")]
    files: Vec<PathBuf>,
    /// Print one JSON object per article: id, group, copy_of, similarity
    #[arg(long)]
    json: bool,
    /// Print only the ids of the first articles of groups, one per line
    #[arg(long, conflicts_with = "json")]
    first: bool,
    /// The number of recent articles that each one is compared with; 50,000 take about 60 MB and their ids
    #[arg(long, value_name = "N", default_value_t = DEFAULT_WINDOW, value_parser = window)]
    window: usize,
    #[command(flatten)]
    reading: input::ReadingArgs,
}

/// The line of an article.
#[derive(Serialize)]
struct Line<'a> {
    id: &'a str,
    #[serde(flatten)]
    grouping: &'a Grouping,
}

/// The group of an article, in JSON.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Grouping {
    group: String,
    /// The id of the article that it is a copy of; `null` for the first of its group.
    copy_of: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    similarity: Option<f32>,
}

impl Grouping {
    /// Finds the group of an article by the hashes of its words, and adds the article to the window.
    ///
    /// Two articles of the input may have the same id: its number tells them apart.
    pub fn find(window: &mut Window<(u64, String)>, words: &[u64], (number, id): (u64, &str)) -> Self {
        let found = window.add(words, (number, id.to_owned()));
        let group = found.group_id();
        let (copy_of, similarity) = found.copy_of.map(|((_, id), similarity)| (id, similarity)).unzip();
        Grouping { group, copy_of, similarity }
    }
}

impl fmt::Display for Grouping {
    /// What the article is a copy of; empty for the first of its group.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.copy_of, self.similarity) {
            (Some(of), Some(similarity)) => {
                write!(out, "copy of {TITLE}{}{TITLE:#} {FAINT}({similarity:.2}){FAINT:#}", printable(of))
            }
            _ => Ok(()),
        }
    }
}

/// The number of articles of a window.
pub fn window(text: &str) -> Result<usize, String> {
    let number = text.parse().ok().filter(|number| (1..=10_000_000).contains(number));
    number.ok_or_else(|| "expected a number of articles from 1 to 10000000".to_owned())
}

pub fn run(args: Args) -> Result<(), Failure> {
    let reading = args.reading.reading();
    let sources: Vec<Source> = args.files.iter().map(|path| Source::from(path.as_path())).collect();
    let mut inputs = sources.iter().flat_map(|source| records(source, &reading)).peekable();
    let mut out = anstream::stdout();
    let mut window = Window::new(args.window);
    let (mut articles, mut copies, mut faults) = (0_u64, 0_u64, 0_u64);
    while inputs.peek().is_some() {
        let batch: Vec<Result<Record, InputError>> = inputs.by_ref().take(BATCH).collect();
        let words: Vec<Vec<u64>> = batch
            .par_iter()
            .map(|input| input.as_ref().map_or(Vec::new(), |record| word_hashes(&record.article)))
            .collect();
        for (input, words) in batch.into_iter().zip(words) {
            let record = match input {
                Ok(record) => record,
                Err(error) => {
                    faults += 1;
                    anstream::eprintln!("{}", printable(&error.to_string()));
                    continue;
                }
            };
            articles += 1;
            let id = record.article.id;
            let grouping = Grouping::find(&mut window, &words, (articles, &id));
            copies += u64::from(grouping.copy_of.is_some());
            print(&mut out, &args, &id, &grouping)?;
        }
    }
    if !args.json && !args.first {
        writeln!(out, "{copies} of {articles} articles are copies of earlier ones")?;
    }
    match faults {
        0 => Ok(()),
        faults => Err(Failure::BadInput(format!("{faults} inputs could not be read"))),
    }
}

fn print(out: &mut dyn Write, args: &Args, id: &str, grouping: &Grouping) -> Result<(), Failure> {
    if args.json {
        serde_json::to_writer(&mut *out, &Line { id, grouping }).map_err(std::io::Error::from)?;
        writeln!(out)?;
    } else if args.first {
        if grouping.copy_of.is_none() {
            writeln!(out, "{}", printable(id))?;
        }
    } else if grouping.copy_of.is_some() {
        writeln!(out, "{TITLE}{}{TITLE:#} is a {grouping}", printable(id))?;
    }
    Ok(())
}
