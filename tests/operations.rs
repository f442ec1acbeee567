//! Operation of a server: drains that lose no answer, bounded memory, metrics, probes and logs.
#![cfg(unix)]

mod common;

use common::{
    Server, classify_all, client, end_status, health, http_get, next_answer, open_stream, read_until_status, request,
    sample, wait_until,
};
use dateline::wire::proto::dateline::v1::{Article, ClassifyRequest, classifier_client::ClassifierClient};
use std::{
    io::{Read, Write},
    time::Duration,
};
use tokio::{sync::mpsc, task::JoinHandle};
use tokio_stream::StreamExt;
use tonic::Code;
use tonic_health::pb::health_check_response::ServingStatus;

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_answers_all_requests_sent_before_it() {
    let mut server = Server::start(&["--metrics-listen", "127.0.0.1:0", "--drain-timeout", "20"]);
    let metrics = server.logged_field("metrics");
    let mut client = client(&server).await;
    for service in ["", "dateline.v1.Classifier", "dateline.model"] {
        assert_eq!(health(&server.address, service).await.expect("an answer"), ServingStatus::Serving, "{service}");
    }
    assert_eq!(http_get(&metrics, "/readyz"), (200, "ready\n".to_owned()));

    // Three streams: all requests sent but not ended by its client; ended by its client before the drain; idle.
    let (send, mut answers) = open_stream(&mut client).await;
    let (ended, mut of_ended) = open_stream(&mut client).await;
    let (_idle, mut of_idle) = open_stream(&mut client).await;
    let sender = tokio::spawn(async move {
        for i in 0..500 {
            send.send(request(i)).await.expect("the server reads");
        }
        send
    });
    ended.send(request(0)).await.expect("the server reads");
    assert_eq!(next_answer(&mut of_ended).await.id, "0");
    // Once the first answer arrives, the other requests are in flight.
    assert_eq!(next_answer(&mut answers).await.id, "0");
    ended.send(request(1)).await.expect("the server reads on");
    drop(ended);
    server.terminate();

    let _open = sender.await.expect("all requests are sent");
    for i in 1..500 {
        assert_eq!(next_answer(&mut answers).await.id, i.to_string());
    }
    let end = end_status(&mut answers).await;
    assert_eq!(end.code(), Code::Unavailable, "{end}");
    assert!(end.message().contains("resend unanswered articles"), "{end}");
    // A stream that its client ended completes without an error.
    assert_eq!(next_answer(&mut of_ended).await.id, "1");
    assert!(of_ended.next().await.is_none());
    assert_eq!(end_status(&mut of_idle).await.code(), Code::Unavailable);
    assert_eq!(server.wait().code(), Some(0), "{}", server.log());
    assert!(server.log().contains("drain started"));
}

/// Sends articles with this body and the ids 0, 1, 2 and so on until the stream is closed.
fn spawn_sender(send: mpsc::Sender<ClassifyRequest>, body: String) -> JoinHandle<()> {
    tokio::spawn(async move {
        for i in 0.. {
            let article = Article { id: i.to_string(), body: body.clone(), ..Article::default() };
            if send.send(ClassifyRequest { article: Some(article), options: None }).await.is_err() {
                return;
            }
        }
    })
}

/// The client sends faster than the server answers, and has to send the articles without an answer again.
#[tokio::test(flavor = "multi_thread")]
async fn a_drain_ends_a_stream_whose_client_never_pauses() {
    let mut server = Server::start(&["--drain-timeout", "4", "--max-articles", "2"]);
    let mut client = client(&server).await;
    let (send, requests) = mpsc::channel(1024);
    let requests = tokio_stream::wrappers::ReceiverStream::new(requests);
    let sender = spawn_sender(send, "Kenya's parliament passed the budget after a long debate. ".repeat(60));
    // A health watch must not delay the exit.
    let mut health = tonic_health::pb::health_client::HealthClient::new(server.channel());
    let watched = tonic_health::pb::HealthCheckRequest { service: "dateline.v1.Classifier".into() };
    let mut watch = health.watch(watched).await.expect("the watch opens").into_inner();
    assert_eq!(
        watch.next().await.expect("the health is sent").expect("an answer, not a status").status(),
        ServingStatus::Serving
    );
    let mut answers = client.classify_stream(requests).await.expect("the stream opens").into_inner();
    let terminate_at_100 = |count| {
        if count == 100 {
            server.terminate();
        }
    };
    let (_, end) = read_until_status(&mut answers, terminate_at_100).await;
    assert_eq!(end.code(), Code::Unavailable, "{end}");
    assert!(end.message().contains("resend unanswered articles"), "{end}");
    assert_eq!(
        watch.next().await.expect("the health is sent").expect("an answer, not a status").status(),
        ServingStatus::NotServing
    );
    assert_eq!(watch.next().await.expect("the stream ends").expect_err("the server stops").code(), Code::Unavailable);
    assert_eq!(server.wait().code(), Some(0), "{}", server.log());
    assert!(!server.log().contains("still open"), "{}", server.log());
    sender.await.expect("the sender ends");
}

/// After the server has ended a connection, it must not answer further frames with a TCP reset: a reset would discard answers
/// that the client has not read yet.
#[test]
fn an_ended_connection_is_not_reset_before_its_client_has_read() {
    const SETTINGS: u8 = 4;
    const PING: u8 = 6;
    const ACKNOWLEDGED: u8 = 1;
    let mut server = Server::start(&[]);
    let mut connection = std::net::TcpStream::connect(&server.address).expect("the server accepts connections");
    let frame =
        |kind: u8, flags: u8, payload: &[u8]| [&[0, 0, payload.len() as u8, kind, flags, 0, 0, 0, 0], payload].concat();
    let settings = frame(SETTINGS, 0, &[]);
    connection.write_all(&[b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &settings[..]].concat()).expect("the server reads");

    let mut header = [0; 9];
    let end = loop {
        if let Err(end) = connection.read_exact(&mut header) {
            break end;
        }
        let mut payload = vec![0; u32::from_be_bytes([0, header[0], header[1], header[2]]) as usize];
        connection.read_exact(&mut payload).expect("a whole frame");
        match (header[3], header[4] & ACKNOWLEDGED) {
            // The server now serves the connection. A drain before this point would drop it.
            (SETTINGS, ACKNOWLEDGED) => server.terminate(),
            // The server sends a ping before it ends a connection, and waits for the acknowledgement.
            (PING, 0) => {
                connection.write_all(&frame(PING, ACKNOWLEDGED, &payload)).expect("the server reads");
            }
            _ => {}
        }
    };
    assert_eq!(end.kind(), std::io::ErrorKind::UnexpectedEof, "{end}");
    for _ in 0..3 {
        connection.write_all(&frame(PING, 0, &[0; 8])).expect("the connection is not reset");
        std::thread::sleep(Duration::from_millis(100));
    }
    // A client that never closes its side does not delay the exit.
    assert_eq!(server.wait().code(), Some(0), "{}", server.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_refuses_new_calls_and_a_second_signal_ends_it() {
    let mut server = Server::start(&["--metrics-listen", "127.0.0.1:0", "--drain-timeout", "60"]);
    let metrics = server.logged_field("metrics");
    let mut client = client(&server).await;
    // The client reads no answer, so that its window fills and the stream cannot complete.
    let (send, _unread) = open_stream(&mut client).await;
    let sender = spawn_sender(send, "Kenya's parliament passed the budget. ".repeat(2_000));
    tokio::time::sleep(Duration::from_millis(300)).await;
    server.terminate();
    wait_until("the readiness probe fails", async || http_get(&metrics, "/readyz").0 == 503).await;
    assert_eq!(http_get(&metrics, "/livez").0, 200);
    // The client sees GOAWAY, or the server's refusal if the call was already on its way.
    let refused = client.classify(request(1)).await.expect_err("the server drains");
    assert!(matches!(refused.code(), Code::Unavailable | Code::Cancelled), "{refused}");
    wait_until("new connections are refused", async || ClassifierClient::connect(server.url()).await.is_err()).await;
    server.terminate();
    assert_eq!(server.wait().code(), Some(130), "{}", server.log());
    sender.abort();
}

#[tokio::test]
async fn a_watch_of_an_unknown_service_stays_open() {
    let server = Server::start(&[]);
    let mut health = tonic_health::pb::health_client::HealthClient::new(server.channel());
    let unknown = tonic_health::pb::HealthCheckRequest { service: "dateline.v2.Classifier".into() };
    assert_eq!(health.check(unknown.clone()).await.expect_err("it is unknown").code(), Code::NotFound);
    let mut watch = health.watch(unknown).await.expect("the watch opens").into_inner();
    let first = watch.next().await.expect("the health is sent").expect("an answer, not a status");
    assert_eq!(first.status(), ServingStatus::ServiceUnknown);
    let more = tokio::time::timeout(Duration::from_millis(500), watch.next()).await;
    assert!(more.is_err(), "it stays open without another answer");
    server.terminate();
    let ended = watch.next().await.expect("a status").expect_err("the server drains");
    assert_eq!(ended.code(), Code::Unavailable);
}

#[tokio::test]
async fn metrics_count_calls_articles_and_bytes() {
    let server = Server::start(&["--metrics-listen", "127.0.0.1:0"]);
    let metrics = server.logged_field("metrics");
    let mut client = client(&server).await;
    let mut requests: Vec<ClassifyRequest> = (0..20).map(request).collect();
    requests.push(ClassifyRequest::default());
    assert_eq!(classify_all(&mut client, requests).await.len(), 21);
    client.classify(request(0)).await.expect("an answer");

    // A call is counted when its last byte is released.
    wait_until("all calls are counted", async || {
        let text = http_get(&metrics, "/metrics").1;
        sample(&text, "dateline_calls_total{method=\"Classify\",code=\"OK\"}") == 1.0
            && sample(&text, "dateline_streams_open") == 0.0
            && ["places_taken", "text_taken_bytes", "articles_in_flight"]
                .iter()
                .all(|gauge| sample(&text, &format!("dateline_{gauge}")) == 0.0)
    })
    .await;
    let (status, text) = http_get(&metrics, "/metrics");
    assert_eq!(status, 200);
    for (name, value) in [
        ("dateline_articles_total{outcome=\"classified\"}", 21.0),
        ("dateline_articles_total{outcome=\"error\"}", 1.0),
        ("dateline_articles_total{outcome=\"fault\"}", 0.0),
        ("dateline_places_taken", 0.0),
        ("dateline_text_taken_bytes", 0.0),
        ("dateline_calls_total{method=\"ClassifyStream\",code=\"OK\"}", 1.0),
        ("dateline_calls_total{method=\"Classify\",code=\"OK\"}", 1.0),
        ("dateline_regions_total{code=\"KE\",decision=\"AUTO\"}", 21.0),
        ("dateline_classify_seconds_count", 21.0),
        ("dateline_queue_seconds_count", 21.0),
        ("dateline_clean_seconds_count", 21.0),
        ("dateline_article_seconds_count", 21.0),
        ("dateline_articles_in_flight", 0.0),
        ("dateline_streams_open", 0.0),
        ("dateline_connections_open", 1.0),
    ] {
        assert_eq!(sample(&text, name), value, "{name} in\n{text}");
    }
    assert!(sample(&text, "dateline_received_bytes_total") > 21.0 * 80.0, "{text}");
    assert!(sample(&text, "dateline_sent_bytes_total") > 21.0 * 80.0, "{text}");
    assert!(sample(&text, "process_resident_memory_bytes") > 1e6, "{text}");
    assert!(sample(&text, "process_open_fds") > 3.0, "{text}");
    assert!(sample(&text, "process_cpu_seconds_total") > 0.0, "{text}");
    assert!(sample(&text, "process_start_time_seconds") > 1.7e9, "{text}");
    assert!(!text.contains("budget"), "metrics contain no article text");
    assert_eq!(http_get(&metrics, "/nothing").0, 404);
}

/// Flow control stops a client that sends 100,000 articles and reads no answer: memory stays flat, and other clients are
/// answered. Once the client reads, it gets all its answers in order.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_reads_no_answer_does_not_grow_memory() {
    const ARTICLES: usize = 100_000;
    let server = Server::start(&["--max-articles", "32", "--metrics-listen", "127.0.0.1:0"]);
    let metrics = server.logged_field("metrics");
    let mut client = client(&server).await;
    // The first articles start threads and fill pools and caches.
    assert_eq!(classify_all(&mut client, (0..200).map(request).collect()).await.len(), 200);
    let before = server.resident_bytes();

    let (send, mut answers) = open_stream(&mut client).await;
    let (count, sent) = tokio::sync::watch::channel(0);
    let sender = tokio::spawn(async move {
        for i in 0..ARTICLES {
            send.send(request(i)).await.expect("the stream is open");
            count.send_replace(i);
        }
    });
    let classified = |text: &str| sample(text, "dateline_articles_total{outcome=\"classified\"}");
    wait_until("articles arrive", async || classified(&http_get(&metrics, "/metrics").1) > 200.0).await;
    // Unread answers do not occupy the places of articles in flight.
    wait_until("no article is in flight", async || {
        sample(&http_get(&metrics, "/metrics").1, "dateline_articles_in_flight") == 0.0
    })
    .await;
    // Wait until flow control stops the sender.
    let mut last = usize::MAX;
    while last != *sent.borrow() {
        last = *sent.borrow();
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert!(last < ARTICLES - 1, "the server reads only part of the requests");
    let grown = server.resident_bytes().saturating_sub(before);
    assert!(grown < 64 << 20, "{grown} bytes");
    let mut other = self::client(&server).await;
    other.classify(request(0)).await.expect("other clients are answered");

    for i in 0..ARTICLES {
        assert_eq!(next_answer(&mut answers).await.id, i.to_string());
    }
    assert!(answers.next().await.is_none());
    sender.await.expect("all requests are sent");
    let grown = server.resident_bytes().saturating_sub(before);
    assert!(grown < 64 << 20, "{grown} bytes");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_streams_get_their_own_answers() {
    let small_limits = ["--max-message-bytes", "2000", "--max-answer-bytes", "65536", "--max-text-bytes", "80000"];
    let server = Server::start(&[&["--max-articles", "64"][..], &small_limits].concat());
    let client = client(&server).await;
    let streams: Vec<_> = (0..200_usize)
        .map(|stream| {
            let mut client = client.clone();
            tokio::spawn(async move {
                let requests: Vec<ClassifyRequest> = (0..200).map(|i| request(stream * 1000 + i)).collect();
                let answers = classify_all(&mut client, requests).await;
                let ids: Vec<String> = answers.into_iter().map(|answer| answer.id).collect();
                assert_eq!(ids, (0..200).map(|i| (stream * 1000 + i).to_string()).collect::<Vec<_>>());
            })
        })
        .collect();
    for stream in streams {
        stream.await.expect("all answers arrive in order");
    }
}

#[test]
fn the_log_can_be_json() {
    let server = Server::start(&["--log", "json"]);
    for line in server.log().lines() {
        let line: serde_json::Value = serde_json::from_str(line).expect("one JSON object per line");
        assert!(line["timestamp"].is_string() && line["level"].is_string(), "{line}");
    }
}
