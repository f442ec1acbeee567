//! gRPC-Web and CORS: sends the HTTP/1.1 requests of a browser, and checks the responses.
#![cfg(unix)]

mod common;

use common::{
    Server, client, request, run, stderr,
    web::{framed, read_chunked, unframed},
};
use dateline::wire::proto::dateline::v1::ClassifyResponse;
use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

const ORIGIN: &str = "https://desk.example";

/// Sends a request over HTTP/1.1. Returns the head of the response, in lower case, and its body.
fn exchange(server: &Server, method: &str, headers: &[(&str, &str)], body: &[u8]) -> (String, Vec<u8>) {
    let mut connection = TcpStream::connect(&server.address).expect("the server accepts connections");
    connection.set_read_timeout(Some(Duration::from_secs(10))).expect("the time-out can be set");
    let mut head = format!(
        "{method} /dateline.v1.Classifier/Classify HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Length: {}\r\n",
        server.address,
        body.len()
    );
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    connection.write_all(&[head.as_bytes(), b"\r\n", body].concat()).expect("the request is sent");
    let mut answer = Vec::new();
    connection.read_to_end(&mut answer).expect("the response can be read");
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").expect("the response has a head");
    (String::from_utf8_lossy(&answer[..end]).to_lowercase(), answer[end + 4..].to_vec())
}

#[tokio::test]
async fn configured_origins_may_call_from_a_browser() {
    let server = Server::start(&["--web-origin", ORIGIN, "--web-origin", "http://localhost:8080"]);
    for origin in [ORIGIN, "http://localhost:8080"] {
        let preflight = [
            ("Origin", origin),
            ("Access-Control-Request-Method", "POST"),
            ("Access-Control-Request-Headers", "authorization,content-type,x-grpc-web"),
        ];
        let (head, _) = exchange(&server, "OPTIONS", &preflight, b"");
        assert!(head.starts_with("http/1.1 200"), "{head}");
        assert!(head.contains(&format!("access-control-allow-origin: {origin}\r\n")), "{head}");
        assert!(head.contains("access-control-allow-methods: post"), "{head}");
    }
    let (head, _) = exchange(&server, "OPTIONS", &[("Origin", "https://evil.example")], b"");
    assert!(!head.contains("access-control-allow-origin"), "{head}");

    let headers = [("Origin", ORIGIN), ("Content-Type", "application/grpc-web+proto"), ("X-Grpc-Web", "1")];
    let (head, body) = exchange(&server, "POST", &headers, &framed(&request(3)));
    assert!(head.starts_with("http/1.1 200") && head.contains("content-type: application/grpc-web+proto"), "{head}");
    assert!(head.contains(&format!("access-control-allow-origin: {ORIGIN}")), "{head}");
    let body = read_chunked(&mut &body[..]);
    let (answer, trailers): (ClassifyResponse, _) = unframed(&body);
    assert_eq!(answer.id, "3");
    // The trailers follow in a frame of their own.
    assert_eq!(trailers[0], 0x80);
    assert!(String::from_utf8_lossy(&trailers[5..]).contains("grpc-status:0"));

    client(&server).await.classify(request(4)).await.expect("gRPC clients are still answered");
}

#[tokio::test]
async fn grpc_web_is_disabled_without_origins() {
    let server = Server::start(&[]);
    let mut connection = TcpStream::connect(&server.address).expect("the server accepts connections");
    connection.set_read_timeout(Some(Duration::from_secs(15))).expect("the time-out can be set");
    let head =
        "POST /dateline.v1.Classifier/Classify HTTP/1.1\r\nHost: x\r\nContent-Type: application/grpc-web+proto\r\n\r\n";
    connection.write_all(head.as_bytes()).expect("the request is sent");
    let mut answer = String::new();
    connection.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 505"), "{answer}");
}

#[test]
fn invalid_origins_are_refused() {
    for wrong in ["*", "desk.example", "https://desk.example/path", "https://"] {
        let output = run(&["serve", "--listen", "127.0.0.1:0", "--web-origin", wrong], b"");
        assert_eq!(output.status.code(), Some(2), "{wrong}");
        let message = format!("invalid web origin {wrong:?}: expected scheme and host as browsers send them");
        assert!(stderr(&output).contains(&message), "{}", stderr(&output));
    }
}
