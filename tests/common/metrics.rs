//! Reads metrics and probes over HTTP/1.1.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

/// Sends a GET request. Returns the status and the body of the response.
pub fn http_get(address: &str, path: &str) -> (u16, String) {
    let mut connection = TcpStream::connect(address).expect("the server accepts connections");
    connection.set_read_timeout(Some(Duration::from_secs(10))).expect("the time-out can be set");
    write!(connection, "GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n").expect("the request is sent");
    let mut answer = String::new();
    connection.read_to_string(&mut answer).expect("the response is UTF-8");
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("the response has a status");
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default();
    (status, body)
}

/// The value of a sample in the Prometheus text format, by its full name with labels; 0 if absent.
pub fn sample(text: &str, name: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.map_or(0.0, |value| value.parse().expect("a sample is a number"))
}
