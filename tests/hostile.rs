//! Hostile, broken and vanishing clients: the server bounds what they can use, releases it afterwards, and keeps serving.
#![cfg(target_os = "linux")]

mod common;

use bytes::Bytes;
use common::{
    ChildGuard, Server, classify_all, client, dateline, end_status, http_get, next_answer, open_stream,
    read_until_status, request, sample, sample_articles, wait_until,
};
use dateline::wire::proto::dateline::v1::{
    Article, ClassifyRequest, Format, Options, classifier_client::ClassifierClient, classify_response::Outcome,
};
use prost::Message;
use std::{
    io::{Read, Write},
    net::TcpStream,
    process::Stdio,
    time::{Duration, Instant},
};
use tokio_stream::StreamExt;
use tonic::{Code, Request, codec::CompressionEncoding};

/// The sample that counts aborted streams.
const ABORTED: &str = "dateline_calls_total{method=\"ClassifyStream\",code=\"ABORTED\"}";

/// What a server uses at one moment.
struct Usage {
    memory: u64,
    descriptors: usize,
}

/// A server after 200 articles, what it uses, and the address of its metrics.
async fn warm_server(args: &[&str]) -> (Server, Usage, String) {
    let server = Server::start(&[&["--metrics-listen", "127.0.0.1:0"], args].concat());
    let metrics = server.logged_field("metrics");
    let answers = classify_all(&mut client(&server).await, (0..200).map(request).collect()).await;
    assert_eq!(answers.len(), 200);
    wait_until_idle(&metrics).await;
    let usage = Usage { memory: server.resident_bytes(), descriptors: server.open_descriptors() };
    (server, usage, metrics)
}

/// Waits until no stream, article or connection is open.
async fn wait_until_idle(metrics: &str) {
    wait_until("the server is idle", async || {
        let text = http_get(metrics, "/metrics").1;
        ["streams_open", "articles_in_flight", "connections_open"]
            .iter()
            .all(|what| sample(&text, &format!("dateline_{what}")) == 0.0)
    })
    .await;
}

/// Checks that the server still answers, has released all descriptors, and has grown by less than `max_growth` bytes.
async fn check_recovered(server: &Server, before: &Usage, metrics: &str, max_growth: u64) {
    let answer = client(server).await.classify(request(7)).await.expect("the server still answers").into_inner();
    assert_eq!(answer.id, "7");
    wait_until_idle(metrics).await;
    wait_until("descriptors are released", async || server.open_descriptors() <= before.descriptors).await;
    let grown = server.resident_bytes().saturating_sub(before.memory);
    assert!(grown < max_growth, "{grown} bytes");
    assert!(!server.log().contains("internal error: panic"), "{}", server.log());
}

/// A request to classify an article with this body.
fn article(body: String) -> ClassifyRequest {
    ClassifyRequest { article: Some(Article { id: "x".into(), body, ..Article::default() }), options: None }
}

#[tokio::test]
async fn compressed_messages_are_accepted_and_decompression_bombs_refused() {
    let (server, before, metrics) = warm_server(&[]).await;
    for encoding in [CompressionEncoding::Gzip, CompressionEncoding::Zstd] {
        let mut client = client(&server).await.send_compressed(encoding);
        let answer = client.classify(request(1)).await.expect("an answer").into_inner();
        assert_eq!(answer.id, "1", "{encoding:?}");
        // 64 MiB in a few kilobytes, over the limit of 4 MiB.
        let bomb = article("x".repeat(64 << 20));
        let refused = client.classify(bomb.clone()).await.expect_err("the bomb is refused");
        assert_eq!(refused.code(), Code::ResourceExhausted, "{encoding:?}: {refused}");
        let requests = tokio_stream::iter([request(1), bomb]);
        let mut answers = client.classify_stream(requests).await.expect("the stream opens").into_inner();
        assert_eq!(next_answer(&mut answers).await.id, "1", "the request before the bomb is answered");
        let refused = end_status(&mut answers).await;
        assert_eq!(refused.code(), Code::ResourceExhausted, "{encoding:?}: {refused}");
    }
    check_recovered(&server, &before, &metrics, 64 << 20).await;
    let text = http_get(&metrics, "/metrics").1;
    for method in ["Classify", "ClassifyStream"] {
        let name = format!("dateline_calls_total{{method=\"{method}\",code=\"RESOURCE_EXHAUSTED\"}}");
        assert_eq!(sample(&text, &name), 2.0, "{text}");
    }
}

/// An HTTP/2 connection without gRPC: the handle that sends requests, and the driver.
type Http2 = (h2::client::SendRequest<Bytes>, h2::client::Connection<tokio::net::TcpStream, Bytes>);

async fn http2(server: &Server) -> Result<Http2, h2::Error> {
    let connection = tokio::net::TcpStream::connect(&server.address).await.expect("the server accepts connections");
    h2::client::handshake(connection).await
}

/// The head of a gRPC call.
fn grpc_head(server: &Server, method: &str) -> http::request::Builder {
    http::Request::post(format!("{}/dateline.v1.Classifier/{method}", server.url()))
        .header("content-type", "application/grpc")
}

/// Calls `Classify` with a message that is announced but never completed. Returns the open body and the gRPC status.
async fn announce_a_gigabyte(
    server: &Server,
    headers: &[(String, String)],
) -> Result<(h2::SendStream<Bytes>, Option<String>), h2::Error> {
    let (send, connection) = http2(server).await?;
    tokio::spawn(connection);
    let mut head = grpc_head(server, "Classify").header("te", "trailers");
    for (name, value) in headers {
        head = head.header(name, value);
    }
    let mut send = send.ready().await?;
    let (response, mut body) = send.send_request(head.body(()).expect("the head is valid"), false)?;
    // A length of one gigabyte, followed by eleven bytes.
    let _ = body.send_data(Bytes::from_static(b"\0\x40\0\0\0hello world"), false);
    let response = tokio::time::timeout(Duration::from_secs(10), response).await.expect("an answer in time")?;
    let status = response.headers().get("grpc-status").and_then(|status| status.to_str().ok());
    Ok((body, status.map(ToOwned::to_owned)))
}

#[tokio::test]
async fn oversized_messages_and_headers_are_refused() {
    let (server, before, metrics) = warm_server(&["--max-message-bytes", "100000"]).await;
    let (_, status) = announce_a_gigabyte(&server, &[]).await.expect("an answer");
    assert_eq!(status.as_deref(), Some("8"), "RESOURCE_EXHAUSTED");
    let refused =
        client(&server).await.classify(article("x ".repeat(100_000))).await.expect_err("the message is too large");
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused}");
    assert!(refused.message().contains("100000 bytes"), "{refused}");

    let headers: Vec<(String, String)> = (0..10_000).map(|i| (format!("x-header-{i}"), "value".to_owned())).collect();
    let answer = announce_a_gigabyte(&server, &headers).await;
    assert!(answer.is_err() || answer.is_ok_and(|(_, status)| status.is_none()), "the call is refused");
    let mut large = Request::new(request(0));
    large.metadata_mut().insert("x-large", "y".repeat(80_000).parse().expect("the header is valid"));
    let refused = client(&server).await.classify(large).await.expect_err("the headers are too large");
    assert!(refused.message().contains("HTTP status code 431"), "{refused}");
    check_recovered(&server, &before, &metrics, 32 << 20).await;
}

/// Clients in C++, Go and Java send each message, however small, in a frame of its own, as fast as flow control allows. That
/// must not end the connection.
#[tokio::test]
async fn many_small_frames_do_not_end_the_connection() {
    const STREAMS: usize = 32;
    let (server, before, metrics) = warm_server(&["--max-articles", "4"]).await;
    let (mut send, connection) = http2(&server).await.expect("the handshake succeeds");
    tokio::spawn(async move { connection.await.expect("the connection stays open") });
    let headline = ClassifyRequest {
        article: Some(Article { id: "1".into(), headline: "Kenya passes budget".into(), ..Article::default() }),
        options: None,
    };
    let message = headline.encode_to_vec();
    let frame = Bytes::from([&[0][..], &(message.len() as u32).to_be_bytes(), &message].concat());
    let mut open = Vec::new();
    for _ in 0..STREAMS {
        let head = grpc_head(&server, "ClassifyStream").body(()).expect("the head is valid");
        send = send.ready().await.expect("the connection is ready");
        open.push(send.send_request(head, false).expect("the head is sent"));
    }
    // Fill every stream up to its flow-control window, and read no answer.
    let mut sent = 0;
    for (_, body) in &mut open {
        loop {
            body.reserve_capacity(frame.len());
            let capacity = std::future::poll_fn(|context| body.poll_capacity(context));
            match tokio::time::timeout(Duration::from_millis(100), capacity).await {
                Ok(capacity) => assert!(capacity.expect("the stream is open").is_ok(), "the connection is open"),
                Err(_) => break,
            }
            if body.capacity() >= frame.len() {
                body.send_data(frame.clone(), false).expect("the stream is open");
                sent += 1;
            }
        }
    }
    assert!(sent > STREAMS * 1000, "{sent}");
    // Once they are read, all streams complete.
    let read: Vec<_> = open
        .into_iter()
        .map(|(response, mut body)| {
            tokio::spawn(async move {
                body.send_data(Bytes::new(), true).expect("the stream is open");
                let mut answers = response.await.expect("an answer").into_body();
                while let Some(data) = answers.data().await {
                    let length = data.expect("the stream is open").len();
                    answers.flow_control().release_capacity(length).expect("the capacity was in use");
                }
                let trailers = answers.trailers().await.expect("the stream is open").expect("the stream has trailers");
                assert_eq!(trailers.get("grpc-status").expect("the trailers have a status"), "0");
            })
        })
        .collect();
    for stream in read {
        stream.await.expect("the stream completes");
    }
    drop(send);
    check_recovered(&server, &before, &metrics, 64 << 20).await;
    let answered = sample(&http_get(&metrics, "/metrics").1, "dateline_articles_total{outcome=\"classified\"}");
    assert_eq!(answered, (sent + 201) as f64, "every message is answered");
}

#[tokio::test]
async fn garbage_and_silent_connections_are_closed() {
    let (server, before, metrics) = warm_server(&[]).await;
    for garbage in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        &[0xff; 1000],
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\xff\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ] {
        let mut connection = TcpStream::connect(&server.address).expect("the server accepts connections");
        connection.set_read_timeout(Some(Duration::from_secs(15))).expect("the time-out can be set");
        connection.write_all(garbage).expect("the garbage is sent");
        let mut answer = Vec::new();
        // The answer does not matter: the connection must end.
        let _ = connection.read_to_end(&mut answer);
    }
    let silent: Vec<TcpStream> =
        (0..100).map(|_| TcpStream::connect(&server.address).expect("the server accepts connections")).collect();
    client(&server).await.classify(request(0)).await.expect("other clients are answered meanwhile");
    // The server closes the silent connections though their clients keep them open.
    wait_until_idle(&metrics).await;
    drop(silent);
    check_recovered(&server, &before, &metrics, 32 << 20).await;
}

/// A `dateline classify` that reads articles from standard input and sends them to a server.
fn streaming_client(server: &Server) -> ChildGuard {
    let mut command = dateline();
    command.args(["classify", "--json", "--server", &server.url(), "-"]);
    ChildGuard::spawn(command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()))
}

/// Waits until one stream is open.
async fn wait_until_streaming(metrics: &str) {
    let open_streams = || sample(&http_get(metrics, "/metrics").1, "dateline_streams_open");
    wait_until("a stream is open", async || open_streams() == 1.0).await;
}

#[tokio::test]
async fn the_streams_of_killed_clients_are_closed() {
    let (server, before, metrics) = warm_server(&[]).await;
    for _ in 0..3 {
        let mut killed = streaming_client(&server);
        let mut input = killed.stdin.take().expect("the stream is piped");
        std::thread::spawn(move || while input.write_all(sample_articles(100).as_bytes()).is_ok() {});
        wait_until_streaming(&metrics).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        killed.kill();
        wait_until_idle(&metrics).await;
    }
    check_recovered(&server, &before, &metrics, 32 << 20).await;
}

#[tokio::test]
async fn the_stream_of_a_frozen_client_is_closed() {
    let server = Server::start(&["--keepalive", "1", "--metrics-listen", "127.0.0.1:0"]);
    let metrics = server.logged_field("metrics");
    let mut frozen = streaming_client(&server);
    let input = frozen.stdin.as_mut().expect("the stream is piped");
    input.write_all(sample_articles(10).as_bytes()).expect("the command reads its input");
    wait_until_streaming(&metrics).await;
    frozen.signal("STOP");
    wait_until_idle(&metrics).await;
}

#[tokio::test]
async fn slow_calls_and_idle_streams_are_ended() {
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
    let metrics = server.logged_field("metrics");
    // An incomplete message.
    let (send, connection) = http2(&server).await.expect("the handshake succeeds");
    tokio::spawn(connection);
    let head = grpc_head(&server, "Classify").body(()).expect("the head is valid");
    let mut send = send.ready().await.expect("the connection is ready");
    let (response, mut body) = send.send_request(head, false).expect("the head is sent");
    body.send_data(Bytes::from_static(b"\0\0\0\x10\0hello"), false).expect("the data is sent");
    let response = response.await.expect("an answer");
    assert_eq!(response.headers().get("grpc-status").expect("the answer has a status"), "4", "DEADLINE_EXCEEDED");

    let mut client = client(&server).await;
    let (send, mut answers) = open_stream(&mut client).await;
    send.send(request(0)).await.expect("the server reads");
    assert_eq!(next_answer(&mut answers).await.id, "0");
    let begun = Instant::now();
    let end = end_status(&mut answers).await;
    assert_eq!(end.code(), Code::Unavailable, "{end}");
    assert!(end.message().contains("no article within the idle timeout"), "{end}");
    assert!(begun.elapsed() > Duration::from_millis(900), "the idle time elapses first");
    wait_until_idle(&metrics).await;
    // The client reconnects by itself.
    client.classify(request(1)).await.expect("an answer");

    // A client's deadline also applies to streams.
    let (_send, requests) = tokio::sync::mpsc::channel(1);
    let mut timed = Request::new(tokio_stream::wrappers::ReceiverStream::new(requests));
    timed.set_timeout(Duration::from_millis(300));
    let mut answers = client.classify_stream(timed).await.expect("the stream opens").into_inner();
    let end = end_status(&mut answers).await;
    assert_eq!(end.code(), Code::DeadlineExceeded, "{end}");
}

#[tokio::test]
async fn connections_that_reach_their_maximum_age_drain() {
    let server = Server::start(&["--connection-age", "2", "--metrics-listen", "127.0.0.1:0"]);
    let metrics = server.logged_field("metrics");
    let mut client = ClassifierClient::new(server.channel());
    let (send, mut answers) = open_stream(&mut client).await;
    let sender = tokio::spawn(async move {
        let mut sent = 0;
        while send.send(request(sent)).await.is_ok() {
            sent += 1;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    let (count, end) = read_until_status(&mut answers, |_| {}).await;
    assert!(count > 10, "{count}");
    assert_eq!(end.code(), Code::Unavailable, "{end}");
    assert!(end.message().contains("the connection reached its maximum age"), "{end}");
    sender.await.expect("the sender ends");
    // The old connection accepts no new calls: the client opens a new one.
    let (send, mut answers) = open_stream(&mut client).await;
    for i in 0..20 {
        send.send(request(i)).await.expect("the stream is open");
        assert_eq!(next_answer(&mut answers).await.id, i.to_string());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    drop(send);
    assert!(answers.next().await.is_none(), "the stream completes");
    drop(client);
    wait_until_idle(&metrics).await;
}

/// A request whose explained answer would have megabytes if the list of removed parts were unbounded.
fn expensive_request(id: usize) -> ClassifyRequest {
    let body = format!("<p>Dockers in Kenya walked off the job.</p>{}", "<svg/>".repeat(300_000));
    let article = Article { id: id.to_string(), body, format: Format::Html as i32, ..Article::default() };
    ClassifyRequest { article: Some(article), options: Some(Options { explain: true, ..Options::default() }) }
}

#[tokio::test(flavor = "multi_thread")]
async fn unread_answers_are_bounded_and_their_streams_end() {
    const STREAMS: usize = 8;
    const EACH: usize = 40;
    let (server, before, metrics) = warm_server(&["--stream-stall", "4"]).await;
    let mut streams = Vec::new();
    for _ in 0..STREAMS {
        // A client with a small flow-control window buffers little.
        let channel = tonic::transport::Channel::from_shared(server.url()).expect("the URL is valid");
        let channel = channel.initial_stream_window_size(64 << 10).initial_connection_window_size(64 << 10);
        let mut client = ClassifierClient::new(channel.connect().await.expect("the server accepts connections"));
        let (send, requests) = tokio::sync::mpsc::channel(1);
        tokio::spawn(async move {
            for i in 0..EACH {
                if send.send(expensive_request(i)).await.is_err() {
                    return;
                }
            }
            std::future::pending::<()>().await;
        });
        let requests = tokio_stream::wrappers::ReceiverStream::new(requests);
        streams.push(client.classify_stream(requests).await.expect("the stream opens").into_inner());
    }
    let buffered = || sample(&http_get(&metrics, "/metrics").1, "dateline_text_taken_bytes");
    let (mut max_memory, mut max_buffered, begun) = (0, 0.0_f64, Instant::now());
    for i in 0.. {
        let text = http_get(&metrics, "/metrics").1;
        max_buffered = max_buffered.max(sample(&text, "dateline_text_taken_bytes"));
        max_memory = max_memory.max(server.resident_bytes());
        if sample(&text, ABORTED) == STREAMS as f64 {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "all streams are aborted within a minute:\n{text}");
        // Other clients are answered meanwhile.
        if i % 10 == 0 {
            let mut client = client(&server).await;
            let answer = tokio::time::timeout(Duration::from_secs(5), client.classify(request(i))).await;
            let answer = answer.expect("an answer in time").expect("the server still answers").into_inner();
            assert_eq!(answer.id, i.to_string());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(max_buffered > 0.0, "text in work and in unread answers is counted");
    let grown = max_memory.saturating_sub(before.memory);
    println!("the server grew from {} to {max_memory} bytes", before.memory);
    assert!(grown < 64 << 20, "{grown} bytes");
    // When these clients read at last, their streams end with the reason.
    let mut ended = 0;
    for mut answers in streams {
        let mut last = None;
        let reading = async {
            while let Some(answer) = answers.next().await {
                last = Some(answer);
            }
        };
        tokio::time::timeout(Duration::from_secs(10), reading).await.expect("the stream ends in time");
        match last.expect("the stream ends with a status") {
            Ok(answer) => panic!("a status, not the answer to {}", answer.id),
            Err(status) => {
                assert_eq!(status.code(), Code::Aborted, "{status}");
                assert!(status.message().contains("read no answers for 4 s"), "{status}");
                ended += 1;
            }
        }
    }
    assert_eq!(ended, STREAMS);
    wait_until("all text is released", async || buffered() == 0.0).await;
    check_recovered(&server, &before, &metrics, 64 << 20).await;
}

#[tokio::test]
async fn a_deadline_applies_though_the_client_does_not_read() {
    let (server, _, metrics) = warm_server(&[]).await;
    let mut client = client(&server).await;
    let endless = tokio_stream::iter(0..).map(request);
    let mut timed = Request::new(endless);
    timed.set_timeout(Duration::from_secs(1));
    let answers = client.classify_stream(timed).await.expect("the stream opens").into_inner();
    let text = || http_get(&metrics, "/metrics").1;
    wait_until("the stream is closed", async || sample(&text(), "dateline_streams_open") == 0.0).await;
    wait_until("no article is in flight", async || sample(&text(), "dateline_articles_in_flight") == 0.0).await;
    assert_eq!(sample(&text(), "dateline_text_taken_bytes"), 0.0);
    assert_eq!(sample(&text(), "dateline_calls_total{method=\"ClassifyStream\",code=\"DEADLINE_EXCEEDED\"}"), 1.0);
    drop(answers);
}

#[tokio::test]
async fn incomplete_messages_stay_within_the_budget() {
    let (server, before, metrics) = warm_server(&["--stream-stall", "3"]).await;
    let mut connections = Vec::new();
    let large = Bytes::from(vec![b'x'; 64 << 10]);
    for _ in 0..4 {
        let (mut send, connection) = http2(&server).await.expect("the handshake succeeds");
        tokio::spawn(connection);
        for _ in 0..25 {
            let head = grpc_head(&server, "ClassifyStream").body(()).expect("the head is valid");
            send = send.ready().await.expect("the connection is ready");
            let (response, mut body) = send.send_request(head, false).expect("the head is sent");
            let large = large.clone();
            // A message of 4 MiB without its last piece.
            let writing = tokio::spawn(async move {
                body.send_data(Bytes::from_static(b"\0\0\x3f\xff\xff"), false).expect("the stream is open");
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
    let mut max_memory = 0;
    for i in 0..20 {
        let mut client = client(&server).await;
        let answer = tokio::time::timeout(Duration::from_secs(5), client.classify(request(i))).await;
        answer.expect("an answer in time").expect("small articles are still answered");
        max_memory = max_memory.max(server.resident_bytes());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let grown = max_memory.saturating_sub(before.memory);
    // The budget, and the flow-control windows of the streams.
    assert!(grown < (64 + 32) << 20, "{grown} bytes");
    wait_until("stalled streams are aborted", async || sample(&http_get(&metrics, "/metrics").1, ABORTED) >= 15.0)
        .await;
    connections.iter().for_each(|(_, writing)| writing.abort());
    drop(connections);
    check_recovered(&server, &before, &metrics, 96 << 20).await;
}

#[tokio::test]
async fn every_field_and_the_headers_have_limits() {
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
    let mut answers =
        client.classify_stream(tokio_stream::iter(requests)).await.expect("the stream opens").into_inner();
    for (field, _) in &cases {
        let answer = next_answer(&mut answers).await;
        assert!(answer.encoded_len() < 8 << 10, "{field}: {}", answer.encoded_len());
        let Some(Outcome::Error(error)) = answer.outcome else { panic!("{field}: an error") };
        assert_eq!(error.code, Code::InvalidArgument as i32);
        assert!(error.message.contains(&format!("the field {field} has 1048576 bytes")), "{}", error.message);
    }
    assert_eq!(next_answer(&mut answers).await.id, "9");
    for bytes in [20_000, 60_000] {
        let mut call = Request::new(request(0));
        call.metadata_mut().insert("x-large", "y".repeat(bytes).parse().expect("the header is valid"));
        let refused = client.classify(call).await.expect_err("the headers are too large");
        assert_eq!(refused.code(), Code::ResourceExhausted, "{refused}");
        assert!(refused.message().contains("the limit is 16384"), "{refused}");
    }
}
