//! A server in this process, and connections to it whose bytes are arbitrary.

use dateline::{
    live::ModelSlot,
    service::{Addresses, Listening, Models, Settings},
    wire::proto::dateline::v1::{Article, ClassifyRequest, classifier_client::ClassifierClient},
};
use std::{
    io::{ErrorKind, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    sync::{
        LazyLock,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};
use tokio::runtime::Runtime;

/// The runtime of the server, and its address.
static SERVER: LazyLock<(Runtime, SocketAddr)> = LazyLock::new(|| {
    let runtime = Runtime::new().expect("a runtime");
    let live = ModelSlot::open(None).expect("the bundled model opens").into();
    let classifier = (Ipv4Addr::LOCALHOST, 0).into();
    let addresses = Addresses { classifier, admin: None, metrics: None, web: None };
    let listening = runtime.block_on(Listening::on(addresses, Settings::default())).expect("the server listens");
    let address = listening.addresses().classifier;
    runtime.spawn(listening.serve(Models { live, shadow: None }, std::future::pending()));
    (runtime, address)
});

/// One connection in this number is followed by a call that must be answered.
const CALL_EVERY: u32 = 16;
/// A connection that is open for longer, although its client has ended it, is a fault.
const CLOSED_WITHIN: Duration = Duration::from_secs(10);

/// Sends bytes to the server. The first byte says what the others are: frames of an HTTP/2 connection, the message of a
/// call, or the body of a stream. The server must close the connection and answer other clients.
pub fn connection(bytes: &[u8]) {
    let Some((kind, rest)) = bytes.split_first() else { return };
    let mut sent = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec();
    match kind % 3 {
        0 => sent.extend(rest),
        1 => {
            let length = (rest.len() as u32).to_be_bytes();
            let message = [&[0][..], &length, rest].concat();
            sent.extend(call("/dateline.v1.Classifier/Classify", &message));
        }
        _ => sent.extend(call("/dateline.v1.Classifier/ClassifyStream", rest)),
    }
    exchange(&sent);
    static CONNECTIONS: AtomicU32 = AtomicU32::new(0);
    if CONNECTIONS.fetch_add(1, Ordering::Relaxed).is_multiple_of(CALL_EVERY) {
        let (runtime, address) = &*SERVER;
        runtime.block_on(async {
            let mut client = ClassifierClient::connect(format!("http://{address}")).await.expect("a connection");
            let article = Article { body: "Rain fell in Nairobi".into(), ..Article::default() };
            let answer = client.classify(ClassifyRequest { article: Some(article), options: None }).await;
            answer.expect("the server answers other clients");
        });
    }
}

/// Sends bytes, and reads until the server closes the connection.
fn exchange(sent: &[u8]) {
    let mut connection = TcpStream::connect(SERVER.1).expect("the server accepts connections");
    connection.set_read_timeout(Some(CLOSED_WITHIN)).expect("a timeout can be set");
    // The server may have closed the connection before all is sent.
    let _ = connection.write_all(sent);
    let _ = connection.shutdown(std::net::Shutdown::Write);
    let mut read = [0; 4096];
    loop {
        match connection.read(&mut read) {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                panic!("the connection is open after {CLOSED_WITHIN:?}")
            }
            Err(_) => return,
        }
    }
}

/// The frames of a call on the first stream.
fn call(path: &str, body: &[u8]) -> Vec<u8> {
    let headers = [
        (":method", "POST"),
        (":scheme", "http"),
        (":authority", "localhost"),
        (":path", path),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    ];
    // Literal header fields without indexing, whose lengths are below 127 (RFC 7541, 6.2.2).
    let literal = |text: &str| [&[text.len() as u8], text.as_bytes()].concat();
    let block: Vec<u8> =
        headers.iter().flat_map(|(name, value)| [&[0][..], &literal(name), &literal(value)].concat()).collect();
    let mut frames = frame(1, 4, &block);
    let mut pieces = body.chunks(16 << 10).peekable();
    if pieces.peek().is_none() {
        frames.extend(frame(0, 1, b""));
    }
    while let Some(piece) = pieces.next() {
        frames.extend(frame(0, u8::from(pieces.peek().is_none()), piece));
    }
    frames
}

/// A frame of the first stream (RFC 9113, 4.1).
fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    [&length[1..], &[kind, flags], &1_u32.to_be_bytes(), payload].concat()
}
