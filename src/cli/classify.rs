//! `dateline classify`: classifies files and standard input, by a model in this process or by a server.

use super::{
    answers,
    dedupe::{self, Grouping},
    failure::Failure,
    input,
    output::printable,
    remote::ServerArgs,
    shared::model,
};
use crate::{
    article::{Article, Classification, Options},
    copies::Window,
    document::UNDETERMINED,
    formats::{self, ArticleFault, InputError, Item, Reading, Record, Source, newsml, ninjs},
    model::word_hashes,
    wire::{ClientError, WINDOW, code_name},
};
use rayon::prelude::*;
use std::{borrow::Cow, io::Write, path::PathBuf, thread};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Endpoint;

/// Classify articles by topic and country
///
/// Reads plain text, HTML, JSON (lines, pretty-printed, or an array), ninjs, NewsML-G2, NITF, CSV, RSS and Atom feeds,
/// each also compressed with gzip or zstd. Answers come in the order of the input, each as soon as its article is read.
/// A row of JSON is an article: {"id": "7", "headline": "...", "body": "..."}; optional are "dateline", "language",
/// "source_country" and "format" ("text" or "html"). An invalid article is answered with its own error, and the others
/// go on.
///
/// --ninjs prints the articles as ninjs with labels as "subjects" and "places": items of ninjs 1.x, 2.x and 3.x in
/// their own version with all their fields, other articles as ninjs 3.0. --newsml prints NewsML-G2 documents with
/// labels as "subject". Canceled items are printed without labels.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  dateline classify article.txt page.html\n  \
                        zcat archive.jsonl.gz | dateline classify --json - > labels.jsonl\n  \
                        dateline classify --explain article.txt\n  \
                        dateline classify --ninjs < wire.ninjs.json > labelled.jsonl\n  \
                        dateline classify --newsml wire.xml > labelled.xml\n  \
                        dateline classify --json --columns headline=Titre,body=Texte --encoding windows-1252 archive.csv\n  \
                        dateline classify --server http://127.0.0.1:50051 articles.jsonl")]
pub struct Args {
    /// Files to read; - is standard input
    #[arg(default_value = "-", value_name = "FILES")]
    files: Vec<PathBuf>,
    /// Print one JSON object per line
    #[arg(long)]
    json: bool,
    /// Print the articles as ninjs with their labels, one per line; errors go to standard error
    #[arg(long, conflicts_with = "json")]
    ninjs: bool,
    /// Print NewsML-G2 documents with labels in their items; errors go to standard error
    #[arg(long, conflicts_with_all = ["json", "ninjs"])]
    newsml: bool,
    /// Show the evidence of each label, and the parts of the text that were left out
    #[arg(long)]
    explain: bool,
    /// Leave out labels with less confidence, from 0 to 1 [default: 0.1 for topics, 0 for regions]
    #[arg(long, value_name = "P", value_parser = probability)]
    min_confidence: Option<f32>,
    /// The confidence from which a label is AUTO; the model's threshold by default
    #[arg(long, value_name = "P", value_parser = probability)]
    auto: Option<f32>,
    /// The confidence from which a label is REVIEW; the model's threshold by default
    #[arg(long, value_name = "P", value_parser = probability)]
    review: Option<f32>,
    /// The most topics and the most regions of an answer; 0 is no limit
    #[arg(long, value_name = "N")]
    max_labels: Option<usize>,
    /// Group near-copies as `dedupe` does, within a window of the N most recent articles
    #[arg(long, value_name = "N", num_args = 0..=1, require_equals = true, default_missing_value = "50000", value_parser = dedupe::window, conflicts_with_all = ["ninjs", "newsml"])]
    copies: Option<usize>,
    /// The folder of a model; the bundled model by default
    #[arg(long, value_name = "DIR", conflicts_with = "server")]
    model: Option<PathBuf>,
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    reading: input::ReadingArgs,
}

/// An input: an article, or why it cannot be read.
type Input = Result<Record, InputError>;

pub fn run(args: Args) -> Result<(), Failure> {
    let options = Options {
        max_labels: args.max_labels.filter(|most| *most > 0),
        min_confidence: args.min_confidence,
        explain: args.explain,
        auto_from: args.auto,
        review_from: args.review,
    };
    let form = match (args.json, args.ninjs, args.newsml) {
        (true, _, _) => Form::Json,
        (_, true, _) => Form::Ninjs,
        (_, _, true) => Form::NewsMl(Vec::new()),
        _ => Form::Block,
    };
    let copies = args.copies.map(Window::new);
    let mut printer = Printer { out: anstream::stdout(), form, copies, articles: 0, faults: 0 };
    let inputs = read(&args.files, args.reading.reading());
    match args.server.endpoint()? {
        Some(endpoint) => classify_on_server(&args.server, endpoint, options, inputs, &mut printer)?,
        None => {
            let model = model(args.model.as_ref()).map_err(Failure::failed)?;
            classify_locally(inputs, &mut printer, |record| {
                model.classify(&record.article, &options).map_err(ArticleFault::invalid)
            })?;
        }
    }
    match printer.faults {
        0 => Ok(()),
        faults => Err(Failure::BadInput(format!("{faults} of {} inputs could not be classified", printer.articles))),
    }
}

fn probability(given: &str) -> Result<f32, String> {
    given.parse().ok().filter(|p| (0.0..=1.0).contains(p)).ok_or_else(|| "it must be a number from 0 to 1".to_owned())
}

/// Reads on a separate thread, a little ahead of the classification.
fn read(files: &[PathBuf], reading: Reading) -> mpsc::Receiver<Input> {
    let sources: Vec<Source> = files.iter().map(|path| Source::from(path.as_path())).collect();
    let (sender, receiver) = mpsc::channel(4 * WINDOW);
    thread::spawn(move || {
        for input in sources.iter().flat_map(|source| formats::records(source, &reading)) {
            if sender.blocking_send(input).is_err() {
                return;
            }
        }
    });
    receiver
}

/// Classifies all inputs read so far on all cores, and prints the answers before it waits for more.
fn classify_locally(
    mut inputs: mpsc::Receiver<Input>,
    printer: &mut Printer,
    classify: impl Fn(&Record) -> Result<Classification, ArticleFault> + Sync,
) -> Result<(), Failure> {
    while let Some(first) = inputs.blocking_recv() {
        let mut batch = vec![first];
        while batch.len() < 4 * WINDOW
            && let Ok(next) = inputs.try_recv()
        {
            batch.push(next);
        }
        let answer = |record: &Record| match is_canceled(record) {
            true => Ok(without_labels()),
            false => classify(record),
        };
        let answers: Vec<_> = batch.par_iter().map(|input| input.as_ref().ok().map(answer)).collect();
        for (input, answer) in batch.into_iter().zip(answers) {
            match (input, answer) {
                (Ok(record), Some(answer)) => printer.print(&record.article.id, Some(&record), &answer)?,
                (Err(error), _) => printer.print_fault(&error)?,
                (Ok(_), None) => {}
            }
        }
    }
    Ok(())
}

/// Classifies the input by a server, on one stream.
fn classify_on_server(
    server: &ServerArgs,
    endpoint: Endpoint,
    options: Options,
    inputs: mpsc::Receiver<Input>,
    printer: &mut Printer,
) -> Result<(), Failure> {
    let url = endpoint.uri().clone();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::failed)?;
    runtime.block_on(async {
        let unreachable = |error: &dyn std::fmt::Display| {
            Failure::Failed(format!("cannot reach {url}: {error}; is `dateline serve` running there?"))
        };
        let channel = endpoint.connect().await.map_err(|error| unreachable(&root_cause(&error)))?;
        let failed = |error: ClientError| match error {
            ClientError::Incompatible => Failure::Failed(format!("{url}: {error}")),
            ended => Failure::failed(ended),
        };
        // All inputs go to the plan, in order. The articles among them also go to the server, which answers in that
        // order.
        let (send_article, articles) = mpsc::channel(WINDOW);
        let (send_plan, mut plan) = mpsc::channel(4 * WINDOW);
        let sending = tokio::spawn(send_inputs(inputs, send_article, send_plan));
        let mut client = server.client(channel);
        let mut responses = client.classify_stream(ReceiverStream::new(articles), options).await.map_err(failed)?;
        while let Some(input) = plan.recv().await {
            let record = match input {
                Ok(record) => record,
                Err(error) => {
                    printer.print_fault(&error)?;
                    continue;
                }
            };
            if is_canceled(&record) {
                printer.print(&record.article.id, Some(&record), &Ok(without_labels()))?;
                continue;
            }
            let answer = responses
                .next()
                .await
                .ok_or_else(|| Failure::failed("the server ended the stream before all answers came"))?
                .map_err(failed)?
                .map_err(|error| ArticleFault { code: code_name(error.code).to_owned(), message: error.message });
            printer.print(&record.article.id, Some(&record), &answer)?;
        }
        sending.abort();
        Ok(())
    })
}

/// Sends all inputs to the plan, and articles that are not canceled to the server.
async fn send_inputs(mut inputs: mpsc::Receiver<Input>, articles: mpsc::Sender<Article>, plan: mpsc::Sender<Input>) {
    while let Some(input) = inputs.recv().await {
        let article = input.as_ref().ok().filter(|record| !is_canceled(record)).map(|record| record.article.clone());
        if plan.send(input).await.is_err() {
            return;
        }
        if let Some(article) = article
            && articles.send(article).await.is_err()
        {
            return;
        }
    }
}

/// Whether the publisher withdrew the item.
fn is_canceled(record: &Record) -> bool {
    record.item.as_ref().is_some_and(Item::is_canceled)
}

/// The answer to a canceled item.
fn without_labels() -> Classification {
    Classification {
        topics: Vec::new(),
        subtopics: Vec::new(),
        regions: Vec::new(),
        language: UNDETERMINED.to_owned(),
        model_version: "".into(),
        notes: vec!["the item is canceled: it passes without labels".to_owned()],
        removed: Vec::new(),
    }
}

fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

/// The format of the output.
enum Form {
    Block,
    Json,
    Ninjs,
    /// With the answers to the items of the current document.
    NewsMl(Vec<Option<Classification>>),
}

/// Prints answers as they come, and counts them.
struct Printer {
    out: anstream::AutoStream<std::io::Stdout>,
    form: Form,
    /// The recent articles, in which copies are looked for; `None` if not asked for.
    copies: Option<Window<(u64, String)>>,
    articles: u64,
    faults: u64,
}

impl Printer {
    fn print(
        &mut self,
        id: &str,
        record: Option<&Record>,
        answer: &Result<Classification, ArticleFault>,
    ) -> Result<(), Failure> {
        self.articles += 1;
        self.faults += u64::from(answer.is_err());
        let mut line = Vec::new();
        let grouping = self
            .copies
            .as_mut()
            .zip(record)
            .map(|(copies, record)| Grouping::find(copies, &word_hashes(&record.article), (self.articles, id)));
        match (&mut self.form, record) {
            (Form::Json, _) => answers::json_line(&mut line, id, answer, grouping.as_ref())?,
            (Form::Block, _) => answers::block(&mut line, id, record, answer, grouping.as_ref())?,
            (Form::Ninjs, record) => {
                say_fault(id, answer);
                // Nothing is lost: an item without labels is printed unchanged. Other input without labels has no item
                // to print.
                if let Some(record) = record.filter(|record| answer.is_ok() || record.item.is_some()) {
                    line.extend(as_ninjs(record, answer.as_ref().ok()).as_bytes());
                    line.push(b'\n');
                }
            }
            (Form::NewsMl(answers), record) => {
                say_fault(id, answer);
                match record.and_then(|record| record.item.as_ref()) {
                    Some(Item::NewsMl(item)) => {
                        answers.push(answer.as_ref().ok().cloned());
                        if item.is_last() {
                            line.extend(with_labels(item, &std::mem::take(answers)).as_bytes());
                            if !line.ends_with(b"\n") {
                                line.push(b'\n');
                            }
                        }
                    }
                    _ if record.is_some() => {
                        self.faults += u64::from(answer.is_ok());
                        let id = printable(id);
                        anstream::eprintln!(
                            "{id}: not an item of NewsML-G2: --ninjs and --json print labels of any article"
                        );
                    }
                    _ => {}
                }
            }
        }
        self.out.write_all(&line)?;
        self.out.flush()?;
        Ok(())
    }

    fn print_fault(&mut self, error: &InputError) -> Result<(), Failure> {
        self.print(&error.place.to_string(), None, &Err(ArticleFault::invalid(&error.message)))
    }
}

/// Prints on standard error why an article has no labels.
fn say_fault(id: &str, answer: &Result<Classification, ArticleFault>) {
    if let Err(fault) = answer {
        anstream::eprintln!("{}: {}", printable(id), printable(&fault.message));
    }
}

/// An article as ninjs, unchanged if it has no labels.
fn as_ninjs(record: &Record, answer: Option<&Classification>) -> String {
    let item = match &record.item {
        Some(Item::Ninjs(item)) => Cow::Borrowed(&**item),
        _ => Cow::Owned(ninjs::Item::of(record)),
    };
    match answer.filter(|_| !item.is_canceled()) {
        Some(answer) => item.labelled(answer),
        None => item.unlabelled(),
    }
}

/// The document of an item, with the labels of all its items.
fn with_labels(item: &newsml::Item, answers: &[Option<Classification>]) -> String {
    item.document().labelled(&answers.iter().map(Option::as_ref).collect::<Vec<_>>())
}
