//! HTTP/1.1, and gRPC-Web over it.

use prost::Message;
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    thread,
    time::Duration,
};

/// A message in its gRPC frame.
pub fn framed(message: &impl Message) -> Vec<u8> {
    let bytes = message.encode_to_vec();
    [&[0][..], &(bytes.len() as u32).to_be_bytes(), &bytes].concat()
}

/// The message of the frame that a body begins with, and the rest of the body.
pub fn unframed<M: Message + Default>(body: &[u8]) -> (M, &[u8]) {
    let length = u32::from_be_bytes(body[1..5].try_into().expect("a length has four bytes")) as usize;
    (M::decode(&body[5..5 + length]).expect("a message"), &body[5 + length..])
}

/// Reads a body in chunked transfer encoding to its end.
pub fn read_chunked(reader: &mut impl BufRead) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).expect("a chunk has a size");
        let size = usize::from_str_radix(line.trim_end(), 16).expect("a size is hexadecimal");
        let mut chunk = vec![0; size + 2];
        reader.read_exact(&mut chunk).expect("the chunk is complete");
        if size == 0 {
            return body;
        }
        body.extend_from_slice(&chunk[..size]);
    }
}

/// The response to an HTTP request.
#[derive(Debug)]
pub struct Response {
    pub status: u16,
    /// The head, in lower case.
    pub head: String,
    pub body: String,
}

/// Sends a request over HTTP/1.1, with more headers than those that every request has.
pub fn send(address: &str, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Response {
    let connection = TcpStream::connect(address).expect("the server accepts connections");
    connection.set_read_timeout(Some(Duration::from_secs(30))).expect("the time-out can be set");
    let mut head = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\nContent-Length: {}\r\n", body.len());
    if !headers.iter().any(|(name, _)| *name == "Host") {
        head.push_str(&format!("Host: {address}\r\n"));
    }
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    let mut sending = connection.try_clone().expect("a socket can be cloned");
    let request = [head.as_bytes(), b"\r\n", body].concat();
    // At the same time as reading: answers may come before the whole body is sent. A server that refuses the body closes the
    // connection, which is no fault here.
    let sender = thread::spawn(move || drop(sending.write_all(&request)));
    let response = read_response(&mut BufReader::new(connection));
    sender.join().expect("the request is sent");
    response
}

/// Reads a response to its end.
fn read_response(reader: &mut impl BufRead) -> Response {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert!(reader.read_line(&mut head).expect("a line of the head") > 0, "the head is cut off: {head}");
    }
    let head = head.to_lowercase();
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    let body = match head.contains("transfer-encoding: chunked") {
        true => read_chunked(reader),
        false => {
            let mut body = Vec::new();
            reader.read_to_end(&mut body).expect("a body");
            body
        }
    };
    Response { status, head, body: String::from_utf8(body).expect("UTF-8") }
}
