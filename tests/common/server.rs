//! A running `dateline serve` and its gRPC client.

use super::{LoggedProcess, dateline};
use dateline::wire::proto::dateline::v1::{
    Article, ClassifyRequest, ClassifyResponse, classifier_client::ClassifierClient, classify_response::Outcome,
};
use std::{
    ops::{Deref, DerefMut},
    process::Command,
};
use tokio_stream::{StreamExt, wrappers::ReceiverStream};
use tonic::{Status, Streaming, transport::Channel};
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};

/// A running `dateline serve`, killed when dropped.
pub struct Server {
    process: LoggedProcess,
    pub address: String,
}

impl Server {
    /// Starts a server on a port that the system chooses, and waits until it listens.
    pub fn start(args: &[&str]) -> Server {
        Server::start_at("127.0.0.1:0", args)
    }

    /// Starts a server at the address of an earlier one, for clients that connect again. Another process can take the port in
    /// between, so use [`Server::start`] unless the address has to stay the same.
    pub fn start_at(address: &str, args: &[&str]) -> Server {
        let mut command = dateline();
        Server::spawn(command.args(["serve", "--listen", address]).args(args))
    }

    /// Starts a server whose process gets its arguments, limits and environment from a command of a shell, in which `$0` is the
    /// program: `ulimit -n 64; exec "$0" serve --listen 127.0.0.1:0`.
    pub fn start_in_shell(script: &str) -> Server {
        let mut command = Command::new("bash");
        Server::spawn(command.args(["-c", script, env!("CARGO_BIN_EXE_dateline")]))
    }

    /// Starts a server, and waits until it listens.
    fn spawn(command: &mut Command) -> Server {
        let process = LoggedProcess::spawn(command.env("RUST_LOG", "debug"));
        let address = process.wait_for_line(|line| {
            let text = line.split_once("listening address=").and_then(|(_, rest)| rest.split_whitespace().next());
            let json = || line.split_once("\"message\":\"listening\",\"address\":\"")?.1.split('"').next();
            text.or_else(json).map(ToOwned::to_owned)
        });
        Server { process, address }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The port alone, for clients that verify the name `localhost` in a certificate.
    pub fn port(&self) -> &str {
        self.address.rsplit_once(':').expect("an address has a port").1
    }

    /// A channel that connects on first use.
    pub fn channel(&self) -> Channel {
        channel(&self.address)
    }
}

impl Deref for Server {
    type Target = LoggedProcess;

    fn deref(&self) -> &LoggedProcess {
        &self.process
    }
}

impl DerefMut for Server {
    fn deref_mut(&mut self) -> &mut LoggedProcess {
        &mut self.process
    }
}

/// A client of a server.
pub type Client = ClassifierClient<Channel>;

/// A plain-text channel that connects on first use.
pub fn channel(address: &str) -> Channel {
    Channel::from_shared(format!("http://{address}")).expect("the URL is valid").connect_lazy()
}

pub async fn client(server: &Server) -> Client {
    ClassifierClient::connect(server.url()).await.expect("the server accepts connections")
}

/// A request to classify a short article about Kenya.
pub fn request(id: usize) -> ClassifyRequest {
    let body = format!("NAIROBI (Reuters) - On day {id} Kenya's parliament passed the budget after a long debate.");
    ClassifyRequest { article: Some(Article { id: id.to_string(), body, ..Article::default() }), options: None }
}

/// Opens a stream whose requests are sent one by one.
pub async fn open_stream(
    client: &mut Client,
) -> (tokio::sync::mpsc::Sender<ClassifyRequest>, Streaming<ClassifyResponse>) {
    let (send, requests) = tokio::sync::mpsc::channel(8);
    let answers = client.classify_stream(ReceiverStream::new(requests)).await.expect("the stream opens").into_inner();
    (send, answers)
}

/// The next answer of a stream.
pub async fn next_answer(answers: &mut Streaming<ClassifyResponse>) -> ClassifyResponse {
    answers.next().await.expect("the stream goes on").expect("an answer, not a status")
}

/// The status that ends a stream in place of the next answer.
pub async fn end_status(answers: &mut Streaming<ClassifyResponse>) -> Status {
    answers.next().await.expect("a status, not a normal end").expect_err("a status, not an answer")
}

/// Reads answers, whose ids must be 0, 1, 2 and so on, until a status ends the stream. Calls a function with the number of
/// answers after each one; returns the final number and the status.
pub async fn read_until_status(
    answers: &mut Streaming<ClassifyResponse>,
    mut after_each: impl FnMut(usize),
) -> (usize, Status) {
    let mut count = 0;
    loop {
        match answers.next().await.expect("a status, not a normal end") {
            Ok(answer) => assert_eq!(answer.id, count.to_string()),
            Err(status) => return (count, status),
        }
        count += 1;
        after_each(count);
    }
}

/// Sends requests over one stream, and returns all its answers; fails if the stream ends with a status.
pub async fn classify_all(client: &mut Client, requests: Vec<ClassifyRequest>) -> Vec<ClassifyResponse> {
    let answers = client.classify_stream(tokio_stream::iter(requests)).await.expect("the stream opens").into_inner();
    answers.map(|answer| answer.expect("an answer, not a status")).collect().await
}

/// The version of the model that gave an answer.
pub fn model_version(answer: &ClassifyResponse) -> String {
    match answer.outcome.as_ref().expect("an answer has an outcome") {
        Outcome::Classification(answer) => answer.model_version.clone(),
        Outcome::Error(error) => panic!("{}", error.message),
    }
}

/// The health of a service.
pub async fn health(address: &str, service: &str) -> Result<ServingStatus, Status> {
    let check = HealthCheckRequest { service: service.into() };
    HealthClient::new(channel(address)).check(check).await.map(|answer| answer.into_inner().status())
}
