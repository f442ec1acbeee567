use super::{
    Failure, input, model,
    output::{self, ArticleFault},
};
use crate::{
    article::{Classification, Options},
    document::UNDETERMINED,
    formats::{self, InputError, Item, Reading, Record, Source, newsml, ninjs},
    wire::{
        MAX_MESSAGE_BYTES, WINDOW, answer_from_proto, article_to_proto, options_to_proto,
        proto::dateline::v1::{ClassifyRequest, classifier_client::ClassifierClient},
    },
};
use rayon::prelude::*;
use std::{borrow::Cow, io::Write, path::PathBuf, thread};
use tokio::sync::mpsc;
use tokio_stream::{StreamExt, wrappers::ReceiverStream};

/// Classify articles by topic and country
///
/// Reads plain text, HTML, JSON (lines, laid out, or an array), ninjs, NewsML-G2, NITF, CSV, RSS and Atom feeds, each also compressed
/// with gzip or zstd, and answers in the order of the input, each article as soon as it is read. A row of JSON is an article:
/// {"id": "7", "headline": "...", "body": "..."}, with "dateline", "language", "source_country" and "format" ("text" or "html") if
/// they are known. An article that cannot be used answers with its own error, and the rest goes on.
///
/// --ninjs prints the articles themselves with labels in them, as "subjects" and "places": items of ninjs 1.x, 2.x and 3.x in
/// their own version with all that they hold, others as ninjs 3.0. --newsml prints documents of NewsML-G2 with labels in them, as
/// "subject". Canceled items pass without labels.
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
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
    /// Print the articles as ninjs with their labels, one a line; what is wrong goes to standard error
    #[arg(long, conflicts_with = "json")]
    ninjs: bool,
    /// Print documents of NewsML-G2 with labels in their items; what is wrong goes to standard error
    #[arg(long, conflicts_with_all = ["json", "ninjs"])]
    newsml: bool,
    /// Say what each label rests on, and what was left out of the text
    #[arg(long)]
    explain: bool,
    /// Leave out labels with less confidence, from 0 to 1 [default: 0.1 for topics, 0 for regions]
    #[arg(long, value_name = "P", value_parser = probability)]
    min_confidence: Option<f32>,
    /// From which confidence on a label is AUTO, instead of the model's threshold
    #[arg(long, value_name = "P", value_parser = probability)]
    auto: Option<f32>,
    /// From which confidence on a label is REVIEW, instead of the model's threshold
    #[arg(long, value_name = "P", value_parser = probability)]
    review: Option<f32>,
    /// At most so many topics and so many regions; 0 is no limit
    #[arg(long, value_name = "N")]
    max_labels: Option<usize>,
    /// A folder that `dateline train` wrote, instead of the bundled model
    #[arg(long, value_name = "DIR", conflicts_with = "server")]
    model: Option<PathBuf>,
    /// Ask a running server instead
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    #[command(flatten)]
    reading: input::ReadingArgs,
}

/// An input, in its order: an article, or why there is none.
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
    let mut printer = Printer { out: anstream::stdout(), form, articles: 0, faults: 0 };
    let inputs = read(&args.files, args.reading.reading());
    match &args.server {
        Some(url) => ask_server(url, options, inputs, &mut printer)?,
        None => {
            let model = model(args.model.as_ref()).map_err(Failure::failed)?;
            classify_here(inputs, &mut printer, |record| {
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

/// Reads on a thread of its own, a little ahead of what is classified.
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

/// Classifies what has been read so far on all cores, and prints it before it waits for more.
fn classify_here(
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

/// Streams the same input to a server, and prints its answers.
fn ask_server(
    url: &str,
    options: Options,
    inputs: mpsc::Receiver<Input>,
    printer: &mut Printer,
) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::failed)?;
    runtime.block_on(async {
        let away = |error: &dyn std::fmt::Display| {
            Failure::Failed(format!("cannot reach {url}: {error}; is `dateline serve` running there?"))
        };
        let channel = super::server(url)?.connect().await.map_err(|error| away(&root_cause(&error)))?;
        let mut client = ClassifierClient::new(channel)
            .max_encoding_message_size(2 * MAX_MESSAGE_BYTES)
            .max_decoding_message_size(usize::MAX);

        // Every input goes to the plan, in order; articles also go to the server, and their answers come in that order.
        let (send_request, requests) = mpsc::channel(WINDOW);
        let (send_plan, mut plan) = mpsc::channel(4 * WINDOW);
        let sending = tokio::spawn(feed(inputs, options, send_request, send_plan));
        let lost = |status: tonic::Status| {
            Failure::Failed(format!("the server ended the stream: {} ({:?})", status.message(), status.code()))
        };
        let mut answers = client.classify_stream(ReceiverStream::new(requests)).await.map_err(lost)?.into_inner();
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
            let response = answers
                .next()
                .await
                .ok_or_else(|| Failure::Failed("the server ended the stream before all answers came".to_owned()))?
                .map_err(lost)?;
            let answer = answer_from_proto(response)
                .ok_or_else(|| Failure::Failed(format!("{url} does not speak this version of dateline.v1")))?
                .map_err(|error| ArticleFault { code: code_name(error.code), message: error.message });
            printer.print(&record.article.id, Some(&record), &answer)?;
        }
        sending.abort();
        Ok(())
    })
}

async fn feed(
    mut inputs: mpsc::Receiver<Input>,
    options: Options,
    requests: mpsc::Sender<ClassifyRequest>,
    plan: mpsc::Sender<Input>,
) {
    while let Some(input) = inputs.recv().await {
        let request = input.as_ref().ok().filter(|record| !is_canceled(record)).map(|record| ClassifyRequest {
            article: Some(article_to_proto(record.article.clone())),
            options: Some(options_to_proto(options)),
        });
        if plan.send(input).await.is_err() {
            return;
        }
        if let Some(request) = request
            && requests.send(request).await.is_err()
        {
            return;
        }
    }
}

/// Whether a publication was taken back.
fn is_canceled(record: &Record) -> bool {
    record.item.as_ref().is_some_and(Item::is_canceled)
}

/// The answer about an item that is canceled.
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

/// `INVALID_ARGUMENT` for 3: tonic's name of the code, as gRPC spells it.
fn code_name(code: i32) -> String {
    let mut name = String::new();
    for c in format!("{:?}", tonic::Code::from(code)).chars() {
        if c.is_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(c.to_ascii_uppercase());
    }
    name
}

/// What answers are printed as.
enum Form {
    Block,
    Json,
    Ninjs,
    /// With the answers about the items of the document that is being read.
    NewsMl(Vec<Option<Classification>>),
}

/// Prints answers as they come, and counts.
struct Printer {
    out: anstream::AutoStream<std::io::Stdout>,
    form: Form,
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
        match (&mut self.form, record) {
            (Form::Json, _) => output::json_line(&mut line, id, answer)?,
            (Form::Block, _) => output::block(&mut line, id, record, answer)?,
            (Form::Ninjs, record) => {
                say_fault(id, answer);
                // Nothing is lost: an item without labels passes as it is. What is no item has nothing to pass.
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
                        let id = output::printable(id);
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
        self.print(&error.place, None, &Err(ArticleFault::invalid(&error.message)))
    }
}

/// Says on standard error why an article has no labels.
fn say_fault(id: &str, answer: &Result<Classification, ArticleFault>) {
    if let Err(fault) = answer {
        anstream::eprintln!("{}: {}", output::printable(id), output::printable(&fault.message));
    }
}

/// An article as ninjs. Nothing is lost: what has no labels passes as it is.
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

/// The document of an item, with the answers about all its items.
fn with_labels(item: &newsml::Item, answers: &[Option<Classification>]) -> String {
    item.document().labelled(&answers.iter().map(Option::as_ref).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_their_grpc_names() {
        assert_eq!([3, 4, 13, 99].map(code_name), ["INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "INTERNAL", "UNKNOWN"]);
    }
}
