//! What an on-call engineer relies on: models swapped under load, drains that lose nothing, metrics and probes.
#![cfg(unix)]

mod common;

use common::{Server, file, run, stderr, until};
use dateline::{
    Model,
    service::proto::dateline::v1::{
        Article, ClassifyRequest, ClassifyResponse, GetModelRequest, classifier_client::ClassifierClient,
        classify_response::Outcome,
    },
};
use std::{
    collections::BTreeSet,
    fs,
    io::{Read, Write},
    net::TcpStream,
    path::Path,
    time::{Duration, Instant},
};
use tokio_stream::{StreamExt, wrappers::ReceiverStream};
use tonic::{Code, Streaming, transport::Channel};
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};

async fn client(server: &Server) -> ClassifierClient<Channel> {
    ClassifierClient::connect(server.url()).await.expect("the server takes connections")
}

fn request(id: usize) -> ClassifyRequest {
    let body = format!("NAIROBI (Reuters) - On day {id} Kenya's parliament passed the budget after a long debate.");
    ClassifyRequest { article: Some(Article { id: id.to_string(), body, ..Article::default() }), options: None }
}

/// A stream that requests can be sent on one by one.
async fn stream(
    client: &mut ClassifierClient<Channel>,
) -> (tokio::sync::mpsc::Sender<ClassifyRequest>, Streaming<ClassifyResponse>) {
    let (send, requests) = tokio::sync::mpsc::channel(8);
    let answers = client.classify_stream(ReceiverStream::new(requests)).await.expect("a stream").into_inner();
    (send, answers)
}

fn version(answer: &ClassifyResponse) -> String {
    match answer.outcome.as_ref().expect("an outcome") {
        Outcome::Classification(answer) => answer.model_version.clone(),
        Outcome::Error(error) => panic!("{}", error.message),
    }
}

/// Puts the model of one folder into another, each file whole, as `dateline train` and orchestrators do.
fn put(from: &Path, to: &Path) {
    for name in ["model.safetensors", "manifest.json"] {
        fs::copy(from.join(name), to.join("new")).expect("it is copied");
        fs::rename(to.join("new"), to.join(name)).expect("it is moved");
    }
}

/// The status and the body of a GET.
fn get(address: &str, path: &str) -> (u16, String) {
    let mut connection = TcpStream::connect(address).expect("it listens");
    connection.set_read_timeout(Some(Duration::from_secs(10))).expect("a time-out");
    write!(connection, "GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n").expect("it is sent");
    let mut answer = String::new();
    connection.read_to_string(&mut answer).expect("an answer");
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default();
    (status, body)
}

fn metrics_address(server: &Server) -> String {
    let log = server.log();
    let rest = log.split_once("metrics=").expect("the log says where").1;
    rest.split_whitespace().next().expect("an address").to_owned()
}

/// The value of a sample, by its whole name with labels; 0 where there is none.
fn sample(text: &str, name: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.map_or(0.0, |value| value.parse().expect("a number"))
}

#[tokio::test]
async fn models_are_swapped_under_a_stream_and_broken_ones_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let (live, small) = (folder.path().join("live"), folder.path().join("small"));
    fs::create_dir(&live).expect("a folder");
    let bundled = file("models");
    put(&bundled, &live);
    let output = run(
        &[
            "train",
            "--topics",
            "tests/data/topics.jsonl",
            "--regions",
            "tests/data/regions.jsonl",
            "--out",
            small.to_str().expect("UTF-8"),
        ],
        b"",
    );
    assert!(output.status.success(), "{}", stderr(&output));
    let [of_bundled, of_small] =
        [&bundled, &small].map(|folder| Model::load(folder).expect("it loads").version().to_owned());

    let server = Server::start(&["--model", live.to_str().expect("UTF-8"), "--metrics-listen", "127.0.0.1:0"]);
    let metrics = metrics_address(&server);
    let mut client = client(&server).await;
    let (send, mut answers) = stream(&mut client).await;
    let (mut sent, mut versions) = (0, BTreeSet::new());
    let mut ask = async || {
        send.send(request(sent)).await.expect("the stream goes on");
        let answer = answers.next().await.expect("an answer").expect("no status");
        assert_eq!(answer.id, sent.to_string());
        sent += 1;
        version(&answer)
    };
    assert_eq!(ask().await, of_bundled);

    // By looking at the folder, and by SIGHUP.
    put(&small, &live);
    let begun = Instant::now();
    loop {
        let version = ask().await;
        versions.insert(version.clone());
        if version == of_small {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "the new model takes over");
    }
    assert_eq!(versions, BTreeSet::from([of_bundled.clone(), of_small.clone()]), "no other version answered");
    put(&bundled, &live);
    server.signal("HUP");
    let begun = Instant::now();
    while ask().await != of_bundled {
        assert!(begun.elapsed() < Duration::from_secs(30), "the old model takes over again");
    }

    // Half a file, and then a whole model again.
    fs::write(live.join("model.safetensors"), b"half").expect("it is written");
    until("the broken model is refused", async || server.log().contains("the model is refused")).await;
    assert_eq!(ask().await, of_bundled, "the old model goes on");
    assert!(!server.log().contains("budget"), "no article is logged");
    let (_, text) = get(&metrics, "/metrics");
    assert!(sample(&text, "dateline_model_loads_total{outcome=\"refused\"}") >= 1.0, "{text}");
    assert!(sample(&text, "dateline_model_loads_total{outcome=\"loaded\"}") >= 2.0, "{text}");
    assert_eq!(sample(&text, &format!("dateline_model_info{{version=\"{of_bundled}\"}}")), 1.0);
    put(&small, &live);
    let begun = Instant::now();
    while ask().await != of_small {
        assert!(begun.elapsed() < Duration::from_secs(30), "a whole model is taken after a broken one");
    }
    let info = client.get_model(GetModelRequest {}).await.expect("an answer").into_inner();
    assert_eq!(info.version, of_small);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_answers_all_that_was_sent_and_refuses_the_rest() {
    let mut server = Server::start(&["--metrics-listen", "127.0.0.1:0", "--drain-timeout", "20"]);
    let metrics = metrics_address(&server);
    let mut client = client(&server).await;
    let mut health = HealthClient::new(Channel::from_shared(server.url()).expect("a URL").connect_lazy());
    let mut status = async || {
        let check = health.check(HealthCheckRequest { service: "dateline.v1.Classifier".into() }).await;
        check.map(|answer| answer.into_inner().status())
    };
    assert_eq!(status().await.expect("an answer"), ServingStatus::Serving);
    assert_eq!(get(&metrics, "/readyz"), (200, "ready\n".to_owned()));

    // One stream with all its requests sent and not ended, one busy until the end, one idle.
    let (send, mut answers) = stream(&mut client).await;
    let (busy, mut of_busy) = stream(&mut client).await;
    let (_idle, mut of_idle) = stream(&mut client).await;
    let sender = tokio::spawn(async move {
        for i in 0..500 {
            send.send(request(i)).await.expect("the server reads");
        }
        send
    });
    busy.send(request(0)).await.expect("the server reads");
    assert_eq!(of_busy.next().await.expect("an answer").expect("no status").id, "0");
    // As the first answer comes the other requests are under way.
    assert_eq!(answers.next().await.expect("an answer").expect("no status").id, "0");
    busy.send(request(1)).await.expect("the server reads on");
    drop(busy);
    server.terminate();

    let _not_ended = sender.await.expect("all are sent");
    for i in 1..500 {
        assert_eq!(answers.next().await.expect("an answer").expect("no status").id, i.to_string());
    }
    let end = answers.next().await.expect("an end").expect_err("the client has not ended it");
    assert_eq!(end.code(), Code::Unavailable, "{end}");
    assert!(end.message().contains("send again"), "{end}");
    // A stream that its client ended is ended well.
    assert_eq!(of_busy.next().await.expect("an answer").expect("no status").id, "1");
    assert!(of_busy.next().await.is_none());
    assert_eq!(of_idle.next().await.expect("an end").expect_err("not ended").code(), Code::Unavailable);
    assert_eq!(server.wait().code(), Some(0), "{}", server.log());
    assert!(server.log().contains("draining"));
}

#[tokio::test(flavor = "multi_thread")]
async fn new_work_is_refused_during_a_drain_and_a_second_signal_ends_it() {
    let mut server = Server::start(&["--metrics-listen", "127.0.0.1:0", "--drain-timeout", "60"]);
    let metrics = metrics_address(&server);
    let mut client = client(&server).await;
    // Reads no answer: its window is full, so that it cannot end.
    let (send, _unread) = stream(&mut client).await;
    let sender = tokio::spawn(async move {
        let long = "Kenya's parliament passed the budget. ".repeat(2_000);
        for i in 0..10_000 {
            let article = Article { id: i.to_string(), body: long.clone(), ..Article::default() };
            if send.send(ClassifyRequest { article: Some(article), options: None }).await.is_err() {
                break;
            }
        }
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    server.terminate();
    until("the probe says that the server drains", async || get(&metrics, "/readyz").0 == 503).await;
    assert_eq!(get(&metrics, "/livez").0, 200);
    // The connection is told to go away; where a call was on its way already, the server refuses it.
    let refused = client.classify(request(1)).await.expect_err("it drains");
    assert!(matches!(refused.code(), Code::Unavailable | Code::Cancelled), "{refused}");
    until("no new connection is taken", async || ClassifierClient::connect(server.url()).await.is_err()).await;
    server.terminate();
    assert_eq!(server.wait().code(), Some(130), "{}", server.log());
    sender.abort();
}

#[tokio::test]
async fn what_happens_is_counted() {
    let server = Server::start(&["--metrics-listen", "127.0.0.1:0"]);
    let metrics = metrics_address(&server);
    let mut client = client(&server).await;
    let mut requests: Vec<ClassifyRequest> = (0..20).map(request).collect();
    requests.push(ClassifyRequest::default());
    let answers = client.classify_stream(tokio_stream::iter(requests)).await.expect("a stream").into_inner();
    assert_eq!(answers.collect::<Vec<_>>().await.len(), 21);
    client.classify(request(0)).await.expect("an answer");

    let (status, text) = get(&metrics, "/metrics");
    assert_eq!(status, 200);
    for (name, value) in [
        ("dateline_articles_total{outcome=\"classified\"}", 21.0),
        ("dateline_articles_total{outcome=\"error\"}", 1.0),
        ("dateline_calls_total{method=\"ClassifyStream\",code=\"Ok\"}", 1.0),
        ("dateline_calls_total{method=\"Classify\",code=\"Ok\"}", 1.0),
        ("dateline_regions_total{code=\"KE\",decision=\"AUTO\"}", 21.0),
        ("dateline_classify_seconds_count", 21.0),
        ("dateline_queue_seconds_count", 21.0),
        ("dateline_articles_in_flight", 0.0),
        ("dateline_streams_open", 0.0),
    ] {
        assert_eq!(sample(&text, name), value, "{name} in\n{text}");
    }
    assert!(sample(&text, "dateline_process_resident_memory_bytes") > 1e6, "{text}");
    assert!(sample(&text, "dateline_process_open_fds") > 3.0, "{text}");
    assert!(!text.contains("budget"), "no article is in it");
    assert_eq!(get(&metrics, "/nothing").0, 404);
}

/// Resident memory of a process, in bytes.
#[cfg(target_os = "linux")]
fn resident(server: &Server) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", server.id())).expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a size");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") << 10
}

/// A client that sends 100,000 articles and reads no answer is stopped by flow control, with flat memory, and others go on;
/// as it reads, all its answers come, in order.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_reads_nothing_costs_no_memory() {
    const ARTICLES: usize = 100_000;
    let server = Server::start(&["--max-articles", "32", "--metrics-listen", "127.0.0.1:0"]);
    let metrics = metrics_address(&server);
    let mut client = client(&server).await;
    // Threads, pools and caches are there after the first articles.
    let warm: Vec<ClassifyRequest> = (0..200).map(request).collect();
    let answers = client.classify_stream(tokio_stream::iter(warm)).await.expect("a stream").into_inner();
    assert_eq!(answers.collect::<Vec<_>>().await.len(), 200);
    let before = resident(&server);

    let (send, mut answers) = stream(&mut client).await;
    let (count, sent) = tokio::sync::watch::channel(0);
    let sender = tokio::spawn(async move {
        for i in 0..ARTICLES {
            send.send(request(i)).await.expect("the stream is open");
            count.send_replace(i);
        }
    });
    // It holds no place that others need, though its answers are not taken.
    until("its articles are answered", async || {
        sample(&get(&metrics, "/metrics").1, "dateline_articles_in_flight") == 0.0
    })
    .await;
    // Until nothing more goes through.
    let mut last = usize::MAX;
    while last != *sent.borrow() {
        last = *sent.borrow();
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert!(last < ARTICLES - 1, "the server read on and on");
    let grown = resident(&server).saturating_sub(before);
    assert!(grown < 64 << 20, "{grown} bytes");
    let mut other = self::client(&server).await;
    other.classify(request(0)).await.expect("others are answered");

    for i in 0..ARTICLES {
        assert_eq!(answers.next().await.expect("an answer").expect("no status").id, i.to_string());
    }
    assert!(answers.next().await.is_none());
    sender.await.expect("all are sent");
    let grown = resident(&server).saturating_sub(before);
    assert!(grown < 64 << 20, "{grown} bytes");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_streams_get_their_own_answers() {
    let server = Server::start(&["--max-articles", "64"]);
    let client = client(&server).await;
    let streams: Vec<_> = (0..200_usize)
        .map(|stream| {
            let mut client = client.clone();
            tokio::spawn(async move {
                let requests: Vec<ClassifyRequest> = (0..200).map(|i| request(stream * 1000 + i)).collect();
                let answers =
                    client.classify_stream(tokio_stream::iter(requests)).await.expect("a stream").into_inner();
                let ids: Vec<String> = answers.map(|answer| answer.expect("no status").id).collect().await;
                assert_eq!(ids, (0..200).map(|i| (stream * 1000 + i).to_string()).collect::<Vec<_>>());
            })
        })
        .collect();
    for stream in streams {
        stream.await.expect("all answers, in order");
    }
}

#[test]
fn the_log_can_be_json() {
    let server = Server::start(&["--log", "json"]);
    for line in server.log().lines() {
        let line: serde_json::Value = serde_json::from_str(line).expect("an object a line");
        assert!(line["timestamp"].is_string() && line["level"].is_string(), "{line}");
    }
}
