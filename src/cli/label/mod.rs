//! `dateline label`: offers the articles of a pool that would teach a model most, takes their labels, and measures what these are
//! worth.

mod answer;
mod gain;
mod rows;

use super::{
    failure::Failure,
    input,
    output::{ERROR, FAINT, TITLE, printable},
    progress::Bars,
    shared::model,
};
use crate::{
    article::{Decision, Label, Options, Region, Role},
    formats::{Record, Source, records},
    geography,
    model::Model,
    train::{
        Progress,
        active::{Candidate, choose},
        country_code,
    },
};
use anstream::{eprintln, println};
use answer::{Answer, Choice};
use rayon::prelude::*;
use rows::LabelFile;
use std::{
    io::{self, BufRead, IsTerminal, Write},
    path::PathBuf,
};

/// The characters of a body that are shown.
const SHOWN: usize = 700;
/// The labels that are offered with a number.
const OFFERED: usize = 9;

/// Label the articles that would teach a model most
///
/// Reads a pool of articles in the formats of `classify`, and offers recent ones that are probably on rare topics, and that
/// differ from each other. Labels are typed: Enter takes the best topic, "2 1" takes the second as the main topic
/// and the first, and names or codes take any other. "s" skips an article, "u" takes back the last one, "?" lists all labels,
/// and "q" ends.
///
/// Each answer is written at once, as a row for `train --topics`. A later run with the same file goes on: articles that are in
/// it are not offered again. After about a hundred labels, train a model with them and go on with it (--model).
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  dateline label pool.jsonl --out labels.jsonl\n  \
                        dateline label wire.csv --columns body=Text --out labels.jsonl --model my-model --countries\n  \
                        dateline label --out labels.jsonl --gain --topics archive.jsonl --test test.jsonl")]
pub struct Args {
    /// Files of articles to label; - is not possible, because labels are typed
    #[arg(value_name = "POOL", required_unless_present = "gain")]
    pool: Vec<PathBuf>,
    /// The file that labelled rows are appended to
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// The most articles to label in this run
    #[arg(long, value_name = "N", default_value_t = 100)]
    count: usize,
    /// Ask for the countries that an article is about, too
    #[arg(long)]
    countries: bool,
    /// The folder of the model that is to learn; the bundled model by default
    #[arg(long, value_name = "DIR")]
    model: Option<PathBuf>,
    /// Label nothing: train with and without the labels, and print what they are worth
    #[arg(long, requires_all = ["topics", "test"], conflicts_with_all = ["pool", "countries"])]
    gain: bool,
    /// The archive that is trained on, for --gain
    #[arg(long, num_args = 1.., value_name = "FILE", requires = "gain")]
    topics: Vec<PathBuf>,
    /// The test rows for --gain
    #[arg(long, num_args = 1.., value_name = "FILE", requires = "gain")]
    test: Vec<PathBuf>,
    #[command(flatten)]
    reading: input::ReadingArgs,
}

pub fn run(args: Args) -> Result<(), Failure> {
    if args.gain {
        return gain::print(args.topics, args.test, args.out, args.reading.reading());
    }
    let model = model(args.model.as_ref()).map_err(Failure::failed)?;
    let mut file = LabelFile::open(&args.out)?;
    let pool = pool(&args, &file)?;
    let order = choose(&candidates(&pool, &model), args.count.min(pool.len()));
    if order.is_empty() {
        println!("no article is left to label");
        return Ok(());
    }
    let mut session = Session { model: &model, countries: args.countries, input: io::stdin().lock() };
    let mut labelled = 0;
    let mut at = 0;
    while let Some(record) = order.get(at).map(|i| &pool[*i]) {
        println!("{FAINT}{} of {}{FAINT:#}", at + 1, order.len());
        match session.ask(record)? {
            Answer::Labels(labels) => {
                file.append(record, &labels)?;
                labelled += 1;
                at += 1;
            }
            Answer::Skip => at += 1,
            Answer::Undo if at > 0 => {
                at -= 1;
                labelled -= usize::from(file.take_back(&pool[order[at]])?);
            }
            Answer::Undo => eprintln!("this is the first article"),
            Answer::Quit => break,
        }
    }
    println!(
        "\n{labelled} articles labelled; {} in {}\ntrain with them: dateline train --topics ARCHIVE {} --out MODEL",
        file.len(),
        printable(&args.out.display().to_string()),
        printable(&args.out.display().to_string()),
    );
    Ok(())
}

/// The articles of the pool that are not labelled yet.
fn pool(args: &Args, file: &LabelFile) -> Result<Vec<Record>, Failure> {
    let reading = args.reading.reading();
    let mut pool = Vec::new();
    let mut faults = 0_u64;
    for source in args.pool.iter().map(|path| Source::from(path.as_path())) {
        if matches!(source, Source::Stdin) {
            return Err(Failure::Usage("the pool cannot be standard input: labels are typed there".to_owned()));
        }
        for record in records(&source, &reading) {
            match record {
                Ok(record) if record.article.check().is_err() || file.contains(&record) => {}
                Ok(record) => pool.push(record),
                Err(error) => {
                    faults += 1;
                    eprintln!("{}", printable(&error.to_string()));
                }
            }
        }
    }
    match pool.is_empty() && faults > 0 {
        true => Err(Failure::BadInput("no article of the pool can be read".to_owned())),
        false => Ok(pool),
    }
}

fn candidates(pool: &[Record], model: &Model) -> Vec<Candidate> {
    let steps = Bars.start("classifying", pool.len() as u64);
    let candidate = |record: &Record| {
        let candidate = Candidate::new(model, record);
        steps.advance(1);
        // Every article of the pool was checked; one without an answer would teach nothing.
        candidate.unwrap_or(Candidate { topics: Vec::new(), vector: Vec::new(), day: None })
    };
    pool.par_iter().map(candidate).collect()
}

/// Asks for labels.
struct Session<'a> {
    model: &'a Model,
    countries: bool,
    input: io::StdinLock<'a>,
}

/// The labels of an article, as codes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Labels {
    topics: Vec<String>,
    /// `None` if they were not asked for.
    countries: Option<Vec<String>>,
}

impl Session<'_> {
    /// Shows an article, and asks for its labels until they are valid.
    fn ask(&mut self, record: &Record) -> Result<Answer, Failure> {
        let options = Options { min_confidence: Some(0.0), ..Options::default() };
        let model = self.model;
        let answer = model.classify(&record.article, &options).map_err(Failure::failed)?;
        show(record);
        let offered: Vec<&Label> = answer.topics.iter().take(OFFERED).collect();
        for (number, label) in (1..).zip(&offered) {
            println!("  {number}  {:<44} {:>5.2}", printable(&label.name), label.confidence);
        }
        let names: Vec<(&str, &str)> =
            model.topics().topics().iter().map(|topic| (&*topic.code, &*topic.name)).collect();
        let offered: Vec<&str> = offered.iter().map(|label| &*label.code).collect();
        let topics = loop {
            let Some(line) = self.read("topics")? else { return Ok(Answer::Quit) };
            match answer::read(&line, &offered, &names) {
                Ok(Choice::Labels(topics)) => break topics,
                Ok(Choice::List) => names.iter().for_each(|(code, name)| println!("  {name:<44} {code}")),
                Ok(Choice::Other(answer)) => return Ok(answer),
                Err(wrong) => eprintln!("{ERROR}{}{ERROR:#}", printable(&wrong)),
            }
        };
        let countries = match self.countries {
            true => {
                let about = answer.regions.iter().filter(|region| is_subject(region));
                let Some(countries) =
                    self.ask_countries(about.map(|region| region.label.code.to_string()).collect())?
                else {
                    return Ok(Answer::Quit);
                };
                Some(countries)
            }
            false => None,
        };
        Ok(Answer::Labels(Labels { topics, countries }))
    }

    /// Asks for countries; `None` at the end of the input.
    fn ask_countries(&mut self, answered: Vec<String>) -> Result<Option<Vec<String>>, Failure> {
        loop {
            let default = if answered.is_empty() { "none".to_owned() } else { answered.join(" ") };
            let Some(line) = self.read(&format!("countries, by code; - is none [{default}]"))? else { return Ok(None) };
            let line = line.trim();
            match line {
                "" => return Ok(Some(answered)),
                "-" => return Ok(Some(Vec::new())),
                _ => {}
            }
            let codes = line.split([',', ' ']).filter(|code| !code.is_empty());
            let known: Result<Vec<String>, &str> =
                codes.map(|code| country_code(code).map(ToOwned::to_owned).ok_or(code)).collect();
            match known {
                Ok(codes) => return Ok(Some(codes)),
                Err(code) => eprintln!("{ERROR}unknown country {}{ERROR:#}", printable(code)),
            }
        }
    }

    /// Reads a line; `None` at the end of the input.
    fn read(&mut self, what: &str) -> Result<Option<String>, Failure> {
        let mut out = anstream::stdout();
        write!(out, "{TITLE}{what}:{TITLE:#} ")?;
        out.flush()?;
        let mut line = String::new();
        let read = self.input.read_line(&mut line).map_err(|error| Failure::failed(format!("cannot read: {error}")))?;
        if !io::stdin().is_terminal() {
            writeln!(out)?;
        }
        Ok((read > 0).then_some(line))
    }
}

/// Whether an article is about a region, by its answer.
fn is_subject(region: &Region) -> bool {
    let is_sure = region.label.decision != Decision::Abstain;
    region.role == Role::About && is_sure && geography::is_subject(&region.label.code)
}

/// Shows the beginning of an article.
fn show(record: &Record) {
    let article = &record.article;
    let of = [&record.published, &record.source].map(|text| printable(text)).join(" ");
    println!("{TITLE}{}{TITLE:#} {FAINT}{} {of}{FAINT:#}", printable(&article.headline), printable(&article.id));
    let shown: String = article.body.chars().take(SHOWN).collect();
    let more = if shown.len() < article.body.len() { " ..." } else { "" };
    for line in shown.lines().filter(|line| !line.trim().is_empty()) {
        println!("{}", printable(line.trim()));
    }
    println!("{FAINT}{more}{FAINT:#}");
}
