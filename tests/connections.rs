//! Connections: their limits, failed handshakes, cancelled calls, and requests that are not gRPC.
#![cfg(target_os = "linux")]

mod common;

use common::{
    Server, TempDir, certificates::Authority, client, http_get, next_answer, open_stream, request, sample, wait_until,
};
use dateline::wire::proto::dateline::v1::{Article, ClassifyRequest};
use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};
use tonic::Request;

/// A server with metrics, and their address.
fn server(args: &[&str]) -> (Server, String) {
    let server = Server::start(&[&["--metrics-listen", "127.0.0.1:0"], args].concat());
    let metrics = server.logged_field("metrics");
    (server, metrics)
}

fn connect(server: &Server) -> TcpStream {
    let connection = TcpStream::connect(&server.address).expect("the server accepts connections");
    connection.set_read_timeout(Some(Duration::from_secs(15))).expect("the time-out can be set");
    connection
}

/// Waits until a sample has at least this value.
async fn wait_for_sample(metrics: &str, name: &str, least: f64) {
    wait_until(name, async || sample(&http_get(metrics, "/metrics").1, name) >= least).await;
}

#[tokio::test]
async fn a_full_server_says_so() {
    let (server, metrics) = server(&["--max-connections", "2"]);
    let open: Vec<TcpStream> = (0..3).map(|_| connect(&server)).collect();
    wait_for_sample(&metrics, "dateline_connections_limit_reached_total", 1.0).await;
    wait_for_sample(&metrics, "dateline_connections_open", 2.0).await;
    assert_eq!(sample(&http_get(&metrics, "/metrics").1, "dateline_connections_limit"), 2.0);
    wait_until("it is logged", async || server.log().contains("the maximum number of connections is open")).await;
    drop(open);
    client(&server).await.classify(request(1)).await.expect("an answer, once connections have ended");
}

#[tokio::test]
async fn one_peer_cannot_take_all_connections() {
    let (server, metrics) = server(&["--max-connections-per-peer", "3"]);
    let mut open = client(&server).await;
    open.classify(request(0)).await.expect("an answer");
    let kept: Vec<TcpStream> = (0..2).map(|_| connect(&server)).collect();
    wait_for_sample(&metrics, "dateline_connections_open", 3.0).await;
    let mut refused = connect(&server);
    assert_eq!(refused.read(&mut [0]).unwrap_or(0), 0, "it is closed at once");
    wait_for_sample(&metrics, "dateline_connections_refused_total{reason=\"peer_limit\"}", 1.0).await;
    wait_until("it is logged", async || server.log().contains("its peer has too many")).await;
    open.classify(request(1)).await.expect("the open connections go on");
    drop(kept);
    wait_for_sample(&metrics, "dateline_connections_open", 1.0).await;
    client(&server).await.classify(request(2)).await.expect("a place is free again");
}

#[tokio::test]
async fn failed_handshakes_are_counted_by_reason() {
    let (files, authority) = (TempDir::new(), Authority::new());
    let (certificate, key) = authority.write_pair(&files);
    let (server, metrics) = server(&["--tls-cert", &certificate, "--tls-key", &key]);
    let mut plain = connect(&server);
    plain.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").expect("the server reads");
    let _ = plain.read_to_end(&mut Vec::new());
    drop(connect(&server));
    for reason in ["not_tls", "closed"] {
        wait_for_sample(&metrics, &format!("dateline_handshakes_failed_total{{reason=\"{reason}\"}}"), 1.0).await;
    }
}

/// An article that takes longer than the deadline of the calls below.
fn long_request(id: usize) -> ClassifyRequest {
    let body = "Parliament in Nairobi passed the budget after a long debate about roads and schools. ".repeat(600);
    ClassifyRequest { article: Some(Article { id: id.to_string(), body, ..Article::default() }), options: None }
}

#[tokio::test]
async fn calls_that_time_out_do_not_end_other_streams() {
    let (server, metrics) = server(&[]);
    let mut client = client(&server).await;
    let (send, mut answers) = open_stream(&mut client).await;
    send.send(request(0)).await.expect("the stream is open");
    next_answer(&mut answers).await;
    // In all fewer than the 1,024 that server and client allow, however busy the machine is; with the server's limit at 20 the
    // stream ends.
    for round in 0..9 {
        let calls: Vec<_> = (0..100)
            .map(|id| {
                let mut client = client.clone();
                let mut call = Request::new(long_request(round * 100 + id));
                call.set_timeout(Duration::from_millis(5));
                tokio::spawn(async move { client.classify(call).await.is_ok() })
            })
            .collect();
        for call in calls {
            call.await.expect("the call ends");
        }
    }
    send.send(request(1)).await.expect("the stream is open");
    assert_eq!(next_answer(&mut answers).await.id, "1", "{}", server.log());
    let text = http_get(&metrics, "/metrics").1;
    assert!(sample(&text, "dateline_connections_open") <= 1.0, "the stream is on the same connection");
}

/// An HTTP/2 frame.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Opens and cancels this many calls with one write; whether the server ends the connection because of it.
fn is_ended_after_cancelled_calls(server: &Server, calls: u32) -> bool {
    const HEADERS: u8 = 1;
    const RST_STREAM: u8 = 3;
    const SETTINGS: u8 = 4;
    const GOAWAY: u8 = 7;
    const END_HEADERS: u8 = 4;
    const CANCEL: [u8; 4] = [0, 0, 0, 8];
    let path = b"/dateline.v1.Classifier/ClassifyStream";
    // POST, http, and then :path, :authority and content-type as literals.
    let head = [&[0x83, 0x86, 0x04, path.len() as u8], &path[..], &[0x01, 1, b'x', 0x0f, 16, 16], b"application/grpc"];
    let head = head.concat();
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend(frame(SETTINGS, 0, 0, &[]));
    for call in 0..calls {
        bytes.extend(frame(HEADERS, END_HEADERS, 2 * call + 1, &head));
        bytes.extend(frame(RST_STREAM, 0, 2 * call + 1, &CANCEL));
    }
    let mut connection = connect(server);
    connection.set_read_timeout(Some(Duration::from_secs(2))).expect("the time-out can be set");
    // The server may end the connection before it has read all.
    let _ = connection.write_all(&bytes);
    let mut answer = Vec::new();
    let _ = connection.read_to_end(&mut answer);
    let mut rest = &answer[..];
    while rest.len() >= 9 {
        let length = u32::from_be_bytes([0, rest[0], rest[1], rest[2]]) as usize;
        if rest[3] == GOAWAY {
            return true;
        }
        rest = rest.get(9 + length..).unwrap_or_default();
    }
    false
}

#[tokio::test]
async fn clients_that_only_open_and_cancel_calls_are_bounded() {
    let (server, _) = server(&["--max-pending-resets", "20"]);
    assert!(!is_ended_after_cancelled_calls(&server, 15));
    assert!(is_ended_after_cancelled_calls(&server, 2_000));
    client(&server).await.classify(request(1)).await.expect("other connections are answered");
}

/// Sends a request over HTTP/1.1, and returns the whole answer.
fn http1(server: &Server, request: &str) -> String {
    let mut connection = connect(server);
    connection.write_all(request.as_bytes()).expect("the request is sent");
    let mut answer = String::new();
    connection.read_to_string(&mut answer).expect("a text, and then the end of the connection");
    answer
}

/// The status of a request over HTTP/2, and the value of its header `allow`.
async fn http2(server: &Server, method: &str, content_type: Option<&str>) -> (u16, Option<String>) {
    let connection = tokio::net::TcpStream::connect(&server.address).await.expect("the server accepts connections");
    let (mut send, driver) = h2::client::handshake(connection).await.expect("HTTP/2");
    tokio::spawn(driver);
    let mut head =
        http::Request::builder().method(method).uri(format!("{}/dateline.v1.Classifier/Classify", server.url()));
    if let Some(content_type) = content_type {
        head = head.header("content-type", content_type);
    }
    let (response, _) = send.send_request(head.body(()).expect("a head"), true).expect("the request is sent");
    let response = response.await.expect("an answer");
    let allow = response.headers().get("allow").map(|allow| allow.to_str().expect("ASCII").to_owned());
    (response.status().as_u16(), allow)
}

#[tokio::test]
async fn requests_that_are_not_grpc_get_answers_that_people_can_read() {
    let (server, metrics) = server(&[]);
    let answer = http1(&server, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 505") && answer.contains("This is a gRPC server"), "{answer}");
    let web = "POST /dateline.v1.Classifier/Classify HTTP/1.1\r\nHost: x\r\nContent-Type: application/grpc-web+proto\r\n\
               Content-Length: 0\r\n\r\n";
    assert!(http1(&server, web).starts_with("HTTP/1.1 505"));
    assert_eq!(http2(&server, "GET", None).await, (405, Some("POST".to_owned())));
    for content_type in [None, Some("application/json"), Some("text/plain"), Some("application/grpc-web+proto")] {
        assert_eq!(http2(&server, "POST", content_type).await.0, 415, "{content_type:?}");
    }
    assert_eq!(http2(&server, "POST", Some("application/grpc+proto")).await.0, 200);
    for (reason, count) in [("http1", 2.0), ("method", 1.0), ("content_type", 4.0)] {
        let name = format!("dateline_requests_not_grpc_total{{reason=\"{reason}\"}}");
        assert_eq!(sample(&http_get(&metrics, "/metrics").1, &name), count, "{name}");
    }
    client(&server).await.classify(request(1)).await.expect("gRPC clients are answered");
}
