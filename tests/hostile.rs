//! What hostile, broken and vanishing clients do to a server: nothing that lasts.
#![cfg(target_os = "linux")]

mod common;

use bytes::Bytes;
use common::{Server, client, dateline, descriptors, get, request, resident, sample, stream, until};
use dateline::wire::proto::dateline::v1::{
    Article, ClassifyRequest, Format, Options, classifier_client::ClassifierClient, classify_response::Outcome,
};
use prost::Message;
use std::{
    io::{Read, Write},
    net::TcpStream,
    process::{Command, Stdio},
    time::{Duration, Instant},
};
use tokio_stream::StreamExt;
use tonic::{Code, Request, codec::CompressionEncoding};

/// What a server holds; compared before and after.
struct Held {
    memory: u64,
    descriptors: usize,
}

/// A warm server, what it holds, and where it tells its metrics.
async fn warm(args: &[&str]) -> (Server, Held, String) {
    let server = Server::start(&[&["--metrics-listen", "127.0.0.1:0"], args].concat());
    let metrics = server.told("metrics");
    let warm: Vec<ClassifyRequest> = (0..200).map(request).collect();
    let answers = client(&server).await.classify_stream(tokio_stream::iter(warm)).await.expect("a stream").into_inner();
    assert_eq!(answers.collect::<Vec<_>>().await.len(), 200);
    nothing_is_open(&metrics).await;
    let held = Held { memory: resident(&server), descriptors: descriptors(&server) };
    (server, held, metrics)
}

async fn nothing_is_open(metrics: &str) {
    until("nothing is open", async || {
        let text = get(metrics, "/metrics").1;
        ["streams_open", "articles_in_flight", "connections_open"]
            .iter()
            .all(|what| sample(&text, &format!("dateline_{what}")) == 0.0)
    })
    .await;
}

/// The server serves on, and holds what it held before, and `most` bytes at most.
async fn serves_on(server: &Server, held: &Held, metrics: &str, most: u64) {
    let answer = client(server).await.classify(request(7)).await.expect("the server serves on").into_inner();
    assert_eq!(answer.id, "7");
    nothing_is_open(metrics).await;
    until("no descriptor is left behind", async || descriptors(server) <= held.descriptors).await;
    let grown = resident(server).saturating_sub(held.memory);
    assert!(grown < most, "{grown} bytes");
    assert!(!server.log().contains("internal error: panic"), "{}", server.log());
}

fn article(body: String) -> ClassifyRequest {
    ClassifyRequest { article: Some(Article { id: "x".into(), body, ..Article::default() }), options: None }
}

#[tokio::test]
async fn compressed_messages_are_taken_and_bombs_are_not() {
    let (server, held, metrics) = warm(&[]).await;
    for encoding in [CompressionEncoding::Gzip, CompressionEncoding::Zstd] {
        let mut client = client(&server).await.send_compressed(encoding);
        let answer = client.classify(request(1)).await.expect("an answer").into_inner();
        assert_eq!(answer.id, "1", "{encoding:?}");
        // 64 MiB in a few kilobytes, over the limit of 4 MiB.
        let bomb = article("x".repeat(64 << 20));
        let refused = client.classify(bomb.clone()).await.expect_err("a bomb");
        assert_eq!(refused.code(), Code::ResourceExhausted, "{encoding:?}: {refused}");
        let requests = tokio_stream::iter([request(1), bomb]);
        let mut answers = client.classify_stream(requests).await.expect("a stream").into_inner();
        assert_eq!(answers.next().await.expect("an answer").expect("no status").id, "1", "what was before is answered");
        let refused = answers.next().await.expect("an end").expect_err("a bomb");
        assert_eq!(refused.code(), Code::ResourceExhausted, "{encoding:?}: {refused}");
    }
    serves_on(&server, &held, &metrics, 64 << 20).await;
    let text = get(&metrics, "/metrics").1;
    for method in ["Classify", "ClassifyStream"] {
        let name = format!("dateline_calls_total{{method=\"{method}\",code=\"RESOURCE_EXHAUSTED\"}}");
        assert_eq!(sample(&text, &name), 2.0, "{text}");
    }
}

/// A connection below gRPC, and a call of `Classify` on it whose body is sent by hand.
async fn by_hand(
    server: &Server,
    headers: &[(String, String)],
) -> Result<(h2::SendStream<Bytes>, Option<String>), h2::Error> {
    let connection = tokio::net::TcpStream::connect(&server.address).await.expect("it accepts");
    let (send, connection) = h2::client::handshake(connection).await?;
    tokio::spawn(connection);
    let mut call = http::Request::post(format!("{}/dateline.v1.Classifier/Classify", server.url()))
        .header("content-type", "application/grpc")
        .header("te", "trailers");
    for (name, value) in headers {
        call = call.header(name, value);
    }
    let mut send = send.ready().await?;
    let (response, mut body) = send.send_request(call.body(()).expect("a request"), false)?;
    // One gigabyte is announced, and eleven bytes come.
    let _ = body.send_data(Bytes::from_static(b"\0\x40\0\0\0hello world"), false);
    let response = tokio::time::timeout(Duration::from_secs(10), response).await.expect("an answer, not a wait")?;
    let status = response.headers().get("grpc-status").and_then(|status| status.to_str().ok());
    Ok((body, status.map(ToOwned::to_owned)))
}

#[tokio::test]
async fn announcements_and_headers_without_measure_are_refused() {
    let (server, held, metrics) = warm(&["--max-message-bytes", "100000"]).await;
    let (_, status) = by_hand(&server, &[]).await.expect("an answer");
    assert_eq!(status.as_deref(), Some("8"), "RESOURCE_EXHAUSTED");
    let refused = client(&server).await.classify(article("x ".repeat(100_000))).await.expect_err("too large");
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused}");
    assert!(refused.message().contains("100000 bytes"), "{refused}");

    let headers: Vec<(String, String)> = (0..10_000).map(|i| (format!("x-header-{i}"), "value".to_owned())).collect();
    let answer = by_hand(&server, &headers).await;
    assert!(answer.is_err() || answer.is_ok_and(|(_, status)| status.is_none()), "no call was taken");
    let mut large = Request::new(request(0));
    large.metadata_mut().insert("x-large", "y".repeat(100_000).parse().expect("metadata"));
    let refused = client(&server).await.classify(large).await.expect_err("too many headers");
    assert!(refused.code() == Code::ResourceExhausted, "{refused}");
    serves_on(&server, &held, &metrics, 32 << 20).await;
}

/// Clients in C++, Go and Java put each message into a frame of its own, however small, and send as much as flow control lets
/// them. That must not end the connection.
#[tokio::test]
async fn headlines_in_frames_of_their_own_wait_for_their_turn() {
    const STREAMS: usize = 32;
    let (server, held, metrics) = warm(&["--max-articles", "4"]).await;
    let connection = tokio::net::TcpStream::connect(&server.address).await.expect("it accepts");
    let (mut send, connection) = h2::client::handshake(connection).await.expect("HTTP/2");
    tokio::spawn(async move { connection.await.expect("the connection goes on") });
    let headline = ClassifyRequest {
        article: Some(Article { id: "1".into(), headline: "Kenya passes budget".into(), ..Article::default() }),
        options: None,
    };
    let message = headline.encode_to_vec();
    let frame = Bytes::from([&[0][..], &(message.len() as u32).to_be_bytes(), &message].concat());
    let mut open = Vec::new();
    for _ in 0..STREAMS {
        let call = http::Request::post(format!("{}/dateline.v1.Classifier/ClassifyStream", server.url()))
            .header("content-type", "application/grpc")
            .body(())
            .expect("a request");
        send = send.ready().await.expect("ready");
        open.push(send.send_request(call, false).expect("it is sent"));
    }
    // All are stuffed as far as they go, and none is read.
    let mut sent = 0;
    for (_, body) in &mut open {
        loop {
            body.reserve_capacity(frame.len());
            let room = tokio::time::timeout(
                Duration::from_millis(100),
                std::future::poll_fn(|context| body.poll_capacity(context)),
            );
            match room.await {
                Ok(room) => assert!(room.expect("the stream is open").is_ok(), "the connection is open"),
                Err(_) => break,
            }
            if body.capacity() >= frame.len() {
                body.send_data(frame.clone(), false).expect("the stream is open");
                sent += 1;
            }
        }
    }
    assert!(sent > STREAMS * 1000, "{sent}");
    // All that are read come to their end.
    let read: Vec<_> = open
        .into_iter()
        .map(|(response, mut body)| {
            tokio::spawn(async move {
                body.send_data(Bytes::new(), true).expect("the stream is open");
                let mut answers = response.await.expect("an answer").into_body();
                while let Some(data) = answers.data().await {
                    let length = data.expect("the stream goes on").len();
                    answers.flow_control().release_capacity(length).expect("it was held");
                }
                let trailers = answers.trailers().await.expect("an end").expect("a status");
                assert_eq!(trailers.get("grpc-status").expect("a status"), "0");
            })
        })
        .collect();
    for stream in read {
        stream.await.expect("it ends well");
    }
    drop(send);
    serves_on(&server, &held, &metrics, 64 << 20).await;
    let answered = sample(&get(&metrics, "/metrics").1, "dateline_articles_total{outcome=\"classified\"}");
    assert_eq!(answered, (sent + 201) as f64, "each was answered");
}

#[tokio::test]
async fn garbage_and_silence_leave_nothing_behind() {
    let (server, held, metrics) = warm(&[]).await;
    for garbage in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        &[0xff; 1000],
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\xff\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ] {
        let mut connection = TcpStream::connect(&server.address).expect("it accepts");
        connection.set_read_timeout(Some(Duration::from_secs(15))).expect("a time-out");
        connection.write_all(garbage).expect("it is sent");
        let mut answer = Vec::new();
        // Whatever it says, it ends.
        let _ = connection.read_to_end(&mut answer);
    }
    let half_open: Vec<TcpStream> =
        (0..100).map(|_| TcpStream::connect(&server.address).expect("it accepts")).collect();
    client(&server).await.classify(request(0)).await.expect("others are answered meanwhile");
    // They are closed though their clients keep them.
    nothing_is_open(&metrics).await;
    drop(half_open);
    serves_on(&server, &held, &metrics, 32 << 20).await;
}

#[tokio::test]
async fn a_client_killed_in_mid_stream_is_forgotten() {
    let (server, held, metrics) = warm(&[]).await;
    for _ in 0..3 {
        let mut killed = dateline()
            .args(["classify", "--json", "--server", &server.url(), "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("dateline starts");
        let mut input = killed.stdin.take().expect("it is piped");
        std::thread::spawn(move || while input.write_all(common::articles(100).as_bytes()).is_ok() {});
        until("it is in mid-stream", async || sample(&get(&metrics, "/metrics").1, "dateline_streams_open") == 1.0)
            .await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        killed.kill().expect("it is killed");
        killed.wait().expect("it ends");
        nothing_is_open(&metrics).await;
    }
    serves_on(&server, &held, &metrics, 32 << 20).await;
}

#[tokio::test]
async fn a_client_that_freezes_is_found_out() {
    let server = Server::start(&["--keepalive", "1", "--metrics-listen", "127.0.0.1:0"]);
    let metrics = server.told("metrics");
    let mut frozen = dateline()
        .args(["classify", "--json", "--server", &server.url(), "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("dateline starts");
    frozen.stdin.as_mut().expect("it is piped").write_all(common::articles(10).as_bytes()).expect("it reads");
    until("it is in mid-stream", async || sample(&get(&metrics, "/metrics").1, "dateline_streams_open") == 1.0).await;
    let stop = Command::new("kill").args(["-STOP", &frozen.id().to_string()]).status().expect("kill runs");
    assert!(stop.success());
    nothing_is_open(&metrics).await;
    frozen.kill().expect("it is killed");
    frozen.wait().expect("it ends");
}

#[tokio::test]
async fn slow_calls_and_idle_streams_and_connections_end() {
    let server = Server::start(&[
        "--call-timeout",
        "1",
        "--stream-idle",
        "1",
        "--connection-idle",
        "2",
        "--metrics-listen",
        "127.0.0.1:0",
    ]);
    let metrics = server.told("metrics");
    // A message that does not come to its end.
    let connection = tokio::net::TcpStream::connect(&server.address).await.expect("it accepts");
    let (send, connection) = h2::client::handshake(connection).await.expect("HTTP/2");
    tokio::spawn(connection);
    let call = http::Request::post(format!("{}/dateline.v1.Classifier/Classify", server.url()))
        .header("content-type", "application/grpc")
        .body(())
        .expect("a request");
    let (response, mut body) = send.ready().await.expect("ready").send_request(call, false).expect("it is sent");
    body.send_data(Bytes::from_static(b"\0\0\0\x10\0hello"), false).expect("it is sent");
    let response = response.await.expect("an answer");
    assert_eq!(response.headers().get("grpc-status").expect("a status"), "4", "DEADLINE_EXCEEDED");

    let mut client = client(&server).await;
    let (send, mut answers) = stream(&mut client).await;
    send.send(request(0)).await.expect("the server reads");
    assert_eq!(answers.next().await.expect("an answer").expect("no status").id, "0");
    let begun = Instant::now();
    let end = answers.next().await.expect("an end").expect_err("it was idle");
    assert_eq!(end.code(), Code::Unavailable, "{end}");
    assert!(end.message().contains("no article has come"), "{end}");
    assert!(begun.elapsed() > Duration::from_millis(900), "it waited");
    nothing_is_open(&metrics).await;
    // The client connects again by itself.
    client.classify(request(1)).await.expect("an answer");

    // What a client gives as its time holds for streams too.
    let (_send, requests) = tokio::sync::mpsc::channel(1);
    let mut timed = Request::new(tokio_stream::wrappers::ReceiverStream::new(requests));
    timed.set_timeout(Duration::from_millis(300));
    let mut answers = client.classify_stream(timed).await.expect("a stream").into_inner();
    let end = answers.next().await.expect("an end").expect_err("its time is over");
    assert_eq!(end.code(), Code::DeadlineExceeded, "{end}");
}

#[tokio::test]
async fn old_connections_end_as_in_a_drain() {
    let server = Server::start(&["--connection-age", "2", "--metrics-listen", "127.0.0.1:0"]);
    let metrics = server.told("metrics");
    let mut client = ClassifierClient::new(server.channel());
    let (send, mut answers) = stream(&mut client).await;
    let sender = tokio::spawn(async move {
        let mut sent = 0;
        while send.send(request(sent)).await.is_ok() {
            sent += 1;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    let mut count = 0;
    let end = loop {
        match answers.next().await.expect("an end") {
            Ok(answer) => assert_eq!(answer.id, count.to_string()),
            Err(end) => break end,
        }
        count += 1;
    };
    assert!(count > 10, "{count}");
    assert_eq!(end.code(), Code::Unavailable, "{end}");
    assert!(end.message().contains("the connection is old"), "{end}");
    sender.await.expect("the stream is closed");
    // The old connection takes no new calls: the client goes on with another, which is not old.
    let (send, mut answers) = stream(&mut client).await;
    for i in 0..20 {
        send.send(request(i)).await.expect("the stream goes on");
        assert_eq!(answers.next().await.expect("an answer").expect("no status").id, i.to_string());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    drop(send);
    assert!(answers.next().await.is_none(), "it ends well");
    drop(client);
    nothing_is_open(&metrics).await;
}

/// Requests whose explained answers would have megabytes each, if what was removed were listed without measure.
fn laborious(id: usize) -> ClassifyRequest {
    let body = format!("<p>Dockers in Kenya walked off the job.</p>{}", "<svg/>".repeat(300_000));
    let article = Article { id: id.to_string(), body, format: Format::Html as i32, ..Article::default() };
    ClassifyRequest { article: Some(article), options: Some(Options { explain: true, ..Options::default() }) }
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_nobody_reads_are_bounded_and_their_streams_end() {
    const STREAMS: usize = 8;
    const EACH: usize = 40;
    let (server, held, metrics) = warm(&["--stream-stall", "4"]).await;
    let mut streams = Vec::new();
    for _ in 0..STREAMS {
        // A client whose window is small takes little before it is read.
        let channel = tonic::transport::Channel::from_shared(server.url()).expect("a URL");
        let channel = channel.initial_stream_window_size(64 << 10).initial_connection_window_size(64 << 10);
        let mut client = ClassifierClient::new(channel.connect().await.expect("it accepts"));
        let (send, requests) = tokio::sync::mpsc::channel(1);
        tokio::spawn(async move {
            for i in 0..EACH {
                if send.send(laborious(i)).await.is_err() {
                    return;
                }
            }
            std::future::pending::<()>().await;
        });
        let requests = tokio_stream::wrappers::ReceiverStream::new(requests);
        streams.push(client.classify_stream(requests).await.expect("a stream").into_inner());
    }
    let taken = || sample(&get(&metrics, "/metrics").1, "dateline_text_taken_bytes");
    let aborted = "dateline_calls_total{method=\"ClassifyStream\",code=\"ABORTED\"}";
    let (mut most, mut seen, begun) = (0, 0.0_f64, Instant::now());
    for i in 0.. {
        let text = get(&metrics, "/metrics").1;
        seen = seen.max(sample(&text, "dateline_text_taken_bytes"));
        most = most.max(resident(&server));
        if sample(&text, aborted) == STREAMS as f64 {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "all stall and end within a minute:\n{text}");
        // Others are served meanwhile.
        if i % 10 == 0 {
            let mut client = client(&server).await;
            let answer = tokio::time::timeout(Duration::from_secs(5), client.classify(request(i))).await;
            let answer = answer.expect("an answer in time").expect("the server serves on").into_inner();
            assert_eq!(answer.id, i.to_string());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(seen > 0.0, "what is in work and in answers is counted");
    let grown = most.saturating_sub(held.memory);
    println!("the server grew from {} to {most} bytes", held.memory);
    assert!(grown < 64 << 20, "{grown} bytes");
    // Whoever reads in time is answered; these did not, and are told so when they do.
    let mut ended = 0;
    for mut answers in streams {
        let mut last = None;
        let reading = async {
            while let Some(answer) = answers.next().await {
                last = Some(answer);
            }
        };
        tokio::time::timeout(Duration::from_secs(10), reading).await.expect("it ends");
        match last.expect("an end") {
            Ok(answer) => panic!("a status, not the answer to {}", answer.id),
            Err(status) => {
                assert_eq!(status.code(), Code::Aborted, "{status}");
                assert!(status.message().contains("took no answer for 4 s"), "{status}");
                ended += 1;
            }
        }
    }
    assert_eq!(ended, STREAMS);
    until("all is given back", async || taken() == 0.0).await;
    serves_on(&server, &held, &metrics, 64 << 20).await;
}

#[tokio::test]
async fn a_deadline_holds_though_the_client_does_not_read() {
    let (server, _, metrics) = warm(&[]).await;
    let mut client = client(&server).await;
    let endless = tokio_stream::iter(0..).map(request);
    let mut timed = Request::new(endless);
    timed.set_timeout(Duration::from_secs(1));
    let answers = client.classify_stream(timed).await.expect("a stream").into_inner();
    let text = || get(&metrics, "/metrics").1;
    until("it is over", async || sample(&text(), "dateline_streams_open") == 0.0).await;
    until("its work is over", async || sample(&text(), "dateline_articles_in_flight") == 0.0).await;
    assert_eq!(sample(&text(), "dateline_text_taken_bytes"), 0.0);
    assert_eq!(sample(&text(), "dateline_calls_total{method=\"ClassifyStream\",code=\"DEADLINE_EXCEEDED\"}"), 1.0);
    drop(answers);
}

#[tokio::test]
async fn messages_that_stay_incomplete_take_no_more_than_the_budget() {
    let (server, held, metrics) = warm(&["--stream-stall", "3"]).await;
    let mut connections = Vec::new();
    let large = Bytes::from(vec![b'x'; 64 << 10]);
    for _ in 0..4 {
        let connection = tokio::net::TcpStream::connect(&server.address).await.expect("it accepts");
        let (mut send, connection) = h2::client::handshake(connection).await.expect("HTTP/2");
        tokio::spawn(connection);
        for _ in 0..25 {
            let call = http::Request::post(format!("{}/dateline.v1.Classifier/ClassifyStream", server.url()))
                .header("content-type", "application/grpc")
                .body(())
                .expect("a request");
            send = send.ready().await.expect("ready");
            let (response, mut body) = send.send_request(call, false).expect("it is sent");
            let large = large.clone();
            // All of four megabytes but the last piece.
            let writing = tokio::spawn(async move {
                body.send_data(Bytes::from_static(b"\0\0\x3f\xff\xff"), false).expect("it is open");
                for _ in 0..63 {
                    body.reserve_capacity(large.len());
                    while body.capacity() < large.len() {
                        match std::future::poll_fn(|context| body.poll_capacity(context)).await {
                            Some(Ok(_)) => {}
                            _ => return,
                        }
                    }
                    if body.send_data(large.clone(), false).is_err() {
                        return;
                    }
                }
                std::future::pending::<()>().await;
            });
            connections.push((response, writing));
        }
    }
    let mut most = 0;
    for i in 0..20 {
        let mut client = client(&server).await;
        let answer = tokio::time::timeout(Duration::from_secs(5), client.classify(request(i))).await;
        answer.expect("an answer in time").expect("small articles are served on");
        most = most.max(resident(&server));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let grown = most.saturating_sub(held.memory);
    // The budget, and what flow control lets each stream send.
    assert!(grown < (64 + 32) << 20, "{grown} bytes");
    let aborted = "dateline_calls_total{method=\"ClassifyStream\",code=\"ABORTED\"}";
    until("they end", async || sample(&get(&metrics, "/metrics").1, aborted) >= 15.0).await;
    connections.iter().for_each(|(_, writing)| writing.abort());
    drop(connections);
    serves_on(&server, &held, &metrics, 96 << 20).await;
}

#[tokio::test]
async fn every_field_has_a_limit_and_headers_have_one() {
    let server = Server::start(&[]);
    let mut client = client(&server).await;
    let long = "é".repeat(1 << 19);
    let with = |change: &dyn Fn(&mut Article)| {
        let mut article = Article { id: "x".into(), body: "Rain fell in Kenya.".into(), ..Article::default() };
        change(&mut article);
        ClassifyRequest { article: Some(article), options: None }
    };
    let cases = [
        ("id", with(&|article| article.id = long.clone())),
        ("uri", with(&|article| article.uri = long.clone())),
        ("dateline", with(&|article| article.dateline = long.clone())),
        ("language", with(&|article| article.language = long.clone())),
        ("source_country", with(&|article| article.source_country = long.clone())),
    ];
    let requests: Vec<_> = cases.iter().map(|case| case.1.clone()).chain([request(9)]).collect();
    let mut answers = client.classify_stream(tokio_stream::iter(requests)).await.expect("a stream").into_inner();
    for (field, _) in &cases {
        let answer = answers.next().await.expect("an answer").expect("no status");
        assert!(answer.encoded_len() < 8 << 10, "{field}: {}", answer.encoded_len());
        let Some(Outcome::Error(error)) = answer.outcome else { panic!("{field}: an error") };
        assert_eq!(error.code, Code::InvalidArgument as i32);
        assert!(error.message.contains(&format!("the field {field} has 1048576 bytes")), "{}", error.message);
    }
    assert_eq!(answers.next().await.expect("an answer").expect("no status").id, "9");
    for bytes in [20_000, 200_000] {
        let mut call = Request::new(request(0));
        call.metadata_mut().insert("x-large", "y".repeat(bytes).parse().expect("metadata"));
        let refused = client.classify(call).await.expect_err("too many headers");
        assert_eq!(refused.code(), Code::ResourceExhausted, "{refused}");
        assert!(refused.message().contains("the limit is 16384"), "{refused}");
    }
}
