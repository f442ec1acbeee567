//! The load generator: closed loops, which keep a number of articles in flight, and an open loop, which sends at a constant
//! rate.

use crate::{
    Outcome,
    figures::{Call, Rate, Workload},
    machine,
    servers::Server,
};
use dateline::wire::proto::dateline::v1::{
    ClassifyRequest, ClassifyResponse, classifier_client::ClassifierClient, classify_response::Outcome as Answer,
};
use futures_util::{TryStreamExt, stream::FuturesUnordered};
use std::{
    cell::Cell,
    convert::Infallible,
    future::Future,
    pin::Pin,
    time::{Duration, Instant},
};
use tokio::{sync::mpsc, time::sleep};
use tokio_stream::wrappers::{ReceiverStream, UnboundedReceiverStream};
use tonic::transport::Channel;

/// The time for the last answers of an open loop.
const LAST_ANSWERS: Duration = Duration::from_secs(30);
/// The interval at which the number of answers is compared with its goal.
const COUNT_INTERVAL: Duration = Duration::from_millis(5);

type Client = ClassifierClient<Channel>;

/// The requests of a worker, repeated without end.
struct Requests<'a> {
    all: &'a [ClassifyRequest],
    next: usize,
}

impl<'a> Requests<'a> {
    /// Of worker number `worker`: each begins at another article.
    fn of(all: &'a [ClassifyRequest], worker: usize) -> Self {
        Requests { all, next: worker * 37 % all.len() }
    }

    fn next(&mut self) -> &'a ClassifyRequest {
        let request = &self.all[self.next];
        self.next = (self.next + 1) % self.all.len();
        request
    }
}

/// Keeps articles in flight on a stream until an error.
async fn stream(
    mut client: Client,
    mut requests: Requests<'_>,
    in_flight: usize,
    answers: &Cell<u64>,
) -> Outcome<Infallible> {
    let mut expected = Requests { ..requests };
    let (send, sent) = mpsc::channel(in_flight);
    for _ in 0..in_flight {
        send.send(requests.next().clone()).await?;
    }
    let mut responses = client.classify_stream(ReceiverStream::new(sent)).await?.into_inner();
    loop {
        let response = responses.message().await?.ok_or("the server ended the stream")?;
        check(&response, expected.next())?;
        answers.set(answers.get() + 1);
        send.send(requests.next().clone()).await?;
    }
}

/// Calls once after another until an error.
async fn call(mut client: Client, mut requests: Requests<'_>, answers: &Cell<u64>) -> Outcome<Infallible> {
    loop {
        let request = requests.next();
        let response = client.classify(request.clone()).await?.into_inner();
        check(&response, request)?;
        answers.set(answers.get() + 1);
    }
}

/// Checks that a response classifies the article of the request.
fn check(response: &ClassifyResponse, request: &ClassifyRequest) -> Outcome<()> {
    let id = request.article.as_ref().map_or("", |article| &article.id);
    match &response.outcome {
        Some(Answer::Classification(_)) if response.id == id => Ok(()),
        Some(Answer::Error(error)) => Err(format!("article {id} was not classified: {}", error.message).into()),
        _ => Err(format!("article {id} was expected, the answer is to {}", response.id).into()),
    }
}

/// Loads a server until `until` completes, which sees the number of answers. Then all calls are cancelled.
async fn load<T>(
    server: &Server,
    workload: &Workload,
    requests: &[ClassifyRequest],
    until: impl AsyncFnOnce(&Cell<u64>) -> T,
) -> Outcome<T> {
    let client = server.connect().await?;
    let answers = Cell::new(0);
    let mut workers = FuturesUnordered::<Pin<Box<dyn Future<Output = Outcome<Infallible>>>>>::new();
    match workload.call {
        Call::Stream => workers.extend((0..workload.streams).map(|i| {
            let each = workload.in_flight / workload.streams;
            Box::pin(stream(client.clone(), Requests::of(requests, i), each, &answers)) as _
        })),
        Call::Unary => workers.extend(
            (0..workload.in_flight).map(|i| Box::pin(call(client.clone(), Requests::of(requests, i), &answers)) as _),
        ),
    }
    tokio::select! {
        failed = workers.try_next() => Err(failed.err().unwrap_or_else(|| "no worker runs".into())),
        value = until(&answers) => Ok(value),
    }
}

/// The throughput of a server over `time`, after `warm_up`.
pub async fn closed_loop(
    server: &Server,
    workload: &Workload,
    requests: &[ClassifyRequest],
    (warm_up, time): (Duration, Duration),
) -> Outcome<Rate> {
    let cpu = || [server.pid(), std::process::id()].map(machine::cpu_seconds);
    load(server, workload, requests, async |answers| {
        sleep(warm_up).await;
        let (begun, [server_before, client_before], before) = (Instant::now(), cpu(), answers.get());
        sleep(time).await;
        let (seconds, [server_after, client_after]) = (begun.elapsed().as_secs_f64(), cpu());
        let count = (answers.get() - before) as f64;
        let used = |after: Option<f64>, before| after.zip(before).map(|(after, before): (f64, f64)| after - before);
        let server_cpu = used(server_after, server_before);
        Rate {
            articles_per_second: count / seconds,
            server_cpu_us: server_cpu.filter(|_| count > 0.0).map(|cpu| 1e6 * cpu / count),
            server_percent: server_cpu.map(|cpu| 100.0 * cpu / seconds),
            client_percent: used(client_after, client_before).map(|cpu| 100.0 * cpu / seconds),
        }
    })
    .await
}

/// Loads a server until it has given a number of answers.
pub async fn answers(server: &Server, workload: &Workload, requests: &[ClassifyRequest], count: u64) -> Outcome<()> {
    load(server, workload, requests, async |answers| {
        while answers.get() < count {
            sleep(COUNT_INTERVAL).await;
        }
    })
    .await
}

/// Sends articles on one stream at a constant rate, whether or not earlier ones are answered. Returns the latency of each
/// article that was due after `warm_up`, in microseconds, from the time at which it was due to its answer: a server that
/// stalls delays all articles that are due meanwhile.
pub async fn open_loop(
    server: &Server,
    requests: &[ClassifyRequest],
    articles_per_second: f64,
    (warm_up, time): (Duration, Duration),
) -> Outcome<Vec<f64>> {
    let mut client = server.connect().await?;
    let (send, sent) = mpsc::unbounded_channel();
    let mut to_send = Requests::of(requests, 0);
    let mut expected = Requests::of(requests, 0);
    // The stream is open before the schedule begins.
    send.send(to_send.next().clone())?;
    let mut responses = client.classify_stream(UnboundedReceiverStream::new(sent)).await?.into_inner();
    check(&responses.message().await?.ok_or("the server ended the stream")?, expected.next())?;

    let begun = Instant::now();
    let due = |i: u32| begun + Duration::from_secs_f64(f64::from(i) / articles_per_second);
    let articles = |time: Duration| (time.as_secs_f64() * articles_per_second).ceil() as u32;
    let (skipped, all) = (articles(warm_up), articles(warm_up + time));
    let sender = async {
        for i in 0..all {
            // Timers are too coarse, with a resolution of a millisecond.
            while Instant::now() < due(i) {
                tokio::task::yield_now().await;
            }
            send.send(to_send.next().clone())?;
        }
        Outcome::Ok(())
    };
    let receiver = async {
        let mut latencies = Vec::new();
        for i in 0..all {
            let response = responses.message().await?.ok_or("the server ended the stream")?;
            check(&response, expected.next())?;
            if i >= skipped {
                latencies.push(1e6 * due(i).elapsed().as_secs_f64());
            }
        }
        Outcome::Ok(latencies)
    };
    let both = async { tokio::try_join!(sender, receiver) };
    match tokio::time::timeout(warm_up + time + LAST_ANSWERS, both).await {
        Ok(done) => Ok(done?.1),
        Err(_) => Err(format!("no answer within {} s after the last article", LAST_ANSWERS.as_secs()).into()),
    }
}
