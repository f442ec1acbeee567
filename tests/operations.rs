//! What an on-call engineer relies on: drains that lose nothing, bounds, metrics and probes.
#![cfg(unix)]

mod common;

use common::{Server, client, get, health, request, resident, sample, stream, until};
use dateline::wire::proto::dateline::v1::{Article, ClassifyRequest, classifier_client::ClassifierClient};
use std::{
    io::{Read, Write},
    time::Duration,
};
use tokio_stream::StreamExt;
use tonic::Code;
use tonic_health::pb::health_check_response::ServingStatus;

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_answers_all_that_was_sent_and_refuses_the_rest() {
    let mut server = Server::start(&["--metrics-listen", "127.0.0.1:0", "--drain-timeout", "20"]);
    let metrics = server.told("metrics");
    let mut client = client(&server).await;
    for service in ["", "dateline.v1.Classifier", "dateline.model"] {
        assert_eq!(health(&server.address, service).await.expect("an answer"), ServingStatus::Serving, "{service}");
    }
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

/// A client that is faster than the server, and never pauses: it is told where the reading ended.
#[tokio::test(flavor = "multi_thread")]
async fn a_drain_ends_a_stream_that_never_pauses() {
    let mut server = Server::start(&["--drain-timeout", "4", "--max-articles", "2"]);
    let mut client = client(&server).await;
    let (send, requests) = tokio::sync::mpsc::channel(1024);
    let requests = tokio_stream::wrappers::ReceiverStream::new(requests);
    let sender = tokio::spawn(async move {
        let long = "Kenya's parliament passed the budget after a long debate. ".repeat(60);
        for i in 0.. {
            let article = Article { id: i.to_string(), body: long.clone(), ..Article::default() };
            if send.send(ClassifyRequest { article: Some(article), options: None }).await.is_err() {
                return;
            }
        }
    });
    // Watches too must not hold up the end.
    let mut health = tonic_health::pb::health_client::HealthClient::new(server.channel());
    let watched = tonic_health::pb::HealthCheckRequest { service: "dateline.v1.Classifier".into() };
    let mut watch = health.watch(watched).await.expect("a watch").into_inner();
    assert_eq!(watch.next().await.expect("news").expect("no status").status(), ServingStatus::Serving);
    let mut answers = client.classify_stream(requests).await.expect("a stream").into_inner();
    let mut count = 0;
    let end = loop {
        match answers.next().await.expect("an end") {
            Ok(answer) => assert_eq!(answer.id, count.to_string()),
            Err(end) => break end,
        }
        count += 1;
        if count == 100 {
            server.terminate();
        }
    };
    assert_eq!(end.code(), Code::Unavailable, "{end}");
    assert!(end.message().contains("send again"), "{end}");
    assert_eq!(watch.next().await.expect("news").expect("no status").status(), ServingStatus::NotServing);
    assert_eq!(watch.next().await.expect("an end").expect_err("the server stops").code(), Code::Unavailable);
    assert_eq!(server.wait().code(), Some(0), "{}", server.log());
    assert!(!server.log().contains("still open"), "{}", server.log());
    sender.await.expect("the stream is closed");
}

/// What a client still sends after the end of a connection must not be answered with a reset: the client may not yet have
/// read the last answers.
#[test]
fn the_end_of_a_connection_leaves_its_client_time_to_read() {
    const SETTINGS: u8 = 4;
    const PING: u8 = 6;
    const ACKNOWLEDGED: u8 = 1;
    let mut server = Server::start(&[]);
    let mut connection = std::net::TcpStream::connect(&server.address).expect("it listens");
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
            // From here on the server serves the connection; before, a drain drops it.
            (SETTINGS, ACKNOWLEDGED) => server.terminate(),
            // The server waits for the answer to a ping before it ends a connection.
            (PING, 0) => {
                connection.write_all(&frame(PING, ACKNOWLEDGED, &payload)).expect("the server reads");
            }
            _ => {}
        }
    };
    assert_eq!(end.kind(), std::io::ErrorKind::UnexpectedEof, "{end}");
    for _ in 0..3 {
        connection.write_all(&frame(PING, 0, &[0; 8])).expect("the server still takes it");
        std::thread::sleep(Duration::from_millis(100));
    }
    // Nor does a client that never ends its side hold up the server.
    assert_eq!(server.wait().code(), Some(0), "{}", server.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn new_work_is_refused_during_a_drain_and_a_second_signal_ends_it() {
    let mut server = Server::start(&["--metrics-listen", "127.0.0.1:0", "--drain-timeout", "60"]);
    let metrics = server.told("metrics");
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
    let metrics = server.told("metrics");
    let mut client = client(&server).await;
    let mut requests: Vec<ClassifyRequest> = (0..20).map(request).collect();
    requests.push(ClassifyRequest::default());
    let answers = client.classify_stream(tokio_stream::iter(requests)).await.expect("a stream").into_inner();
    assert_eq!(answers.collect::<Vec<_>>().await.len(), 21);
    client.classify(request(0)).await.expect("an answer");

    // What a call came to is counted as its last byte is let go.
    until("all are counted", async || {
        let text = get(&metrics, "/metrics").1;
        sample(&text, "dateline_calls_total{method=\"Classify\",code=\"OK\"}") == 1.0
            && sample(&text, "dateline_streams_open") == 0.0
            && ["places_taken", "text_taken_bytes", "articles_in_flight"]
                .iter()
                .all(|gauge| sample(&text, &format!("dateline_{gauge}")) == 0.0)
    })
    .await;
    let (status, text) = get(&metrics, "/metrics");
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
    assert!(!text.contains("budget"), "no article is in it");
    assert_eq!(get(&metrics, "/nothing").0, 404);
}

/// A client that sends 100,000 articles and reads no answer is stopped by flow control, with flat memory, and others go on;
/// as it reads, all its answers come, in order.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_reads_nothing_costs_no_memory() {
    const ARTICLES: usize = 100_000;
    let server = Server::start(&["--max-articles", "32", "--metrics-listen", "127.0.0.1:0"]);
    let metrics = server.told("metrics");
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
    let classified = |text: &str| sample(text, "dateline_articles_total{outcome=\"classified\"}");
    until("its articles arrive", async || classified(&get(&metrics, "/metrics").1) > 200.0).await;
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
    let little = ["--max-message-bytes", "2000", "--max-answer-bytes", "65536", "--max-text-bytes", "80000"];
    let server = Server::start(&[&["--max-articles", "64"][..], &little].concat());
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
