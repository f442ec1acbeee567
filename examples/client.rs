//! A client that streams a file of articles to a server, prints their labels, and resumes after a broken stream.
//!
//! `cargo run --release --example client -- articles.jsonl http://127.0.0.1:50051`
//!
//! Answers come in the order of the requests, so that the client only keeps the unanswered requests. After a broken stream it
//! resends them before the rest: no article is lost or printed twice. A separate crate generates its code from
//! `proto/dateline/v1/classifier.proto` with `tonic-prost-build`; this example uses that of the library.

use dateline::wire::proto::dateline::v1::{
    Article, ClassifyRequest, ClassifyResponse, Role, classifier_client::ClassifierClient, classify_response::Outcome,
};
use std::{
    collections::VecDeque,
    env,
    error::Error,
    fs::File,
    io::{BufRead, BufReader, Lines},
    time::{Duration, Instant},
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, transport::Channel};

/// The maximum number of unanswered articles, all of which are held in memory. The server reads no further ahead.
const WINDOW: usize = 64;
/// The maximum time without an answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// The requests of a file, read one by one; the file is never held in memory.
struct Articles(Lines<BufReader<File>>);

impl Iterator for Articles {
    type Item = Result<ClassifyRequest, Box<dyn Error>>;

    fn next(&mut self) -> Option<Self::Item> {
        let line = match self.0.next()? {
            Ok(line) if line.trim().is_empty() => return self.next(),
            Ok(line) => line,
            Err(error) => return Some(Err(error.into())),
        };
        Some(serde_json::from_str::<serde_json::Value>(&line).map_err(Into::into).map(|row| {
            let text = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
            let article =
                Article { id: text("id"), headline: text("headline"), body: text("body"), ..Article::default() };
            ClassifyRequest { article: Some(article), options: None }
        }))
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let [_, file, address] = &env::args().collect::<Vec<_>>()[..] else {
        return Err("give a file of JSON Lines and an address, such as http://127.0.0.1:50051".into());
    };
    let mut articles = Articles(BufReader::new(File::open(file)?).lines());
    let channel = Channel::from_shared(address.clone())?.connect_lazy();
    let mut unanswered = VecDeque::new();
    let (mut wait, mut progress) = (Duration::from_millis(100), Instant::now());
    loop {
        let before = unanswered.len();
        let answered = stream(ClassifierClient::new(channel.clone()), &mut articles, &mut unanswered).await?;
        let Err(status) = answered.1 else { return Ok(()) };
        match status.code() {
            // A retry does not help.
            Code::InvalidArgument | Code::Unauthenticated | Code::PermissionDenied | Code::Unimplemented => {
                return Err(status.into());
            }
            _ if progress.elapsed() > PATIENCE && answered.0 == 0 => {
                return Err(format!(
                    "no answer for {} seconds, {before} articles unanswered: {status}",
                    PATIENCE.as_secs()
                )
                .into());
            }
            code => eprintln!("{code:?}: {}; resending {} articles", status.message(), unanswered.len()),
        }
        if answered.0 > 0 {
            (wait, progress) = (Duration::from_millis(100), Instant::now());
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(Duration::from_secs(5));
    }
}

/// Streams until all articles are answered or the stream breaks. Returns the number of answers and the status of the stream;
/// `unanswered` then holds the unanswered requests, oldest first.
async fn stream(
    mut client: ClassifierClient<Channel>,
    articles: &mut Articles,
    unanswered: &mut VecDeque<ClassifyRequest>,
) -> Result<(usize, Result<(), Status>), Box<dyn Error>> {
    let (send, requests) = mpsc::channel(WINDOW);
    // The channel has room for all of them: at most WINDOW requests are unanswered.
    for request in unanswered.iter() {
        send.send(request.clone()).await?;
    }
    let mut send = Some(send);
    let mut responses = match client.classify_stream(ReceiverStream::new(requests)).await {
        Ok(responses) => responses.into_inner(),
        Err(status) => return Ok((0, Err(status))),
    };
    let mut answers = 0;
    loop {
        while let Some(sender) = &send
            && unanswered.len() < WINDOW
        {
            match articles.next().transpose()? {
                Some(request) => {
                    unanswered.push_back(request.clone());
                    // If the stream is broken, the answers end with the reason.
                    let _ = sender.send(request).await;
                }
                // Dropping the sender closes the sending side.
                None => send = None,
            }
        }
        match responses.message().await {
            Ok(Some(response)) => {
                unanswered.pop_front();
                answers += 1;
                print(response);
            }
            Ok(None) if unanswered.is_empty() && send.is_none() => return Ok((answers, Ok(()))),
            // A draining server answers what it has read, and ends the stream.
            Ok(None) => return Ok((answers, Err(Status::unavailable("the server ended the stream")))),
            Err(status) => return Ok((answers, Err(status))),
        }
    }
}

/// Prints a line: id, best topic or error, its confidence, and the first country that the article is about.
fn print(response: ClassifyResponse) {
    match response.outcome {
        Some(Outcome::Classification(answer)) => {
            let (topic, confidence) =
                answer.topics.first().map_or(("-", 0.0), |label| (label.code.as_str(), label.confidence));
            let mut about = answer.regions.iter().filter(|region| region.role() == Role::About);
            let country =
                about.next().and_then(|region| region.label.as_ref()).map_or("-", |label| label.code.as_str());
            println!("{}\t{topic}\t{confidence:.2}\t{country}", response.id);
        }
        Some(Outcome::Error(error)) => println!("{}\t-: {}\t0.00\t-", response.id, error.message),
        None => println!("{}\t-: no answer in this version of dateline.v1\t0.00\t-", response.id),
    }
}
