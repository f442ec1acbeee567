//! Request messages on their way in: charged to the text budget before they are read.
//!
//! gRPC puts five bytes before each message: whether it is compressed, and its length. A message that may take much memory is
//! held up behind these five bytes until its [`TextPermit`] is there; the rest waits with the client, by the flow control of
//! HTTP/2. It is then read and decoded here, and a blank message goes on in its place: tonic would keep a buffer of its size
//! for as long as the stream is open. Small messages pass as they are; whoever takes them charges them then.

use super::admission::{CallBudget, TextPermit};
use crate::wire::proto::dateline::v1::ClassifyRequest;
use bytes::{Buf, Bytes, BytesMut};
use flate2::read::MultiGzDecoder;
use http_body::Frame;
use prost::Message;
use std::{
    collections::VecDeque,
    future::Future,
    io::{self, Read},
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::time::{Sleep, sleep};
use tonic::{Status, body::Body, metadata::MetadataValue};

/// Messages up to this size, in bytes, pass as they are, unless they are compressed.
const SMALL: usize = 16 << 10;
/// A large message of which nothing comes for this time is given up.
const STOPPED: Duration = Duration::from_secs(10);
/// The length of what gRPC puts before a message.
const PREFIX: usize = 5;
/// A message without a byte, not compressed.
const BLANK: &[u8] = &[0; PREFIX];

/// The requests of a call, with what they have taken of its budget.
#[derive(Clone)]
pub struct Incoming {
    budget: CallBudget,
    /// The messages that have passed and were not taken yet, in order.
    passed: Arc<Mutex<VecDeque<Passed>>>,
    waiting: Arc<AtomicBool>,
}

/// What became of messages.
enum Passed {
    /// This many passed as they were, one after the other.
    Small(usize),
    /// It was charged and decoded, and a blank one passed.
    Decoded(Box<ClassifyRequest>, TextPermit),
}

impl Incoming {
    pub fn new(budget: CallBudget) -> Self {
        Incoming { budget, passed: Arc::default(), waiting: Arc::default() }
    }

    /// The request that a message stands for, and what it has taken of the budget.
    pub fn take(&self, message: ClassifyRequest) -> (ClassifyRequest, Option<TextPermit>) {
        let mut passed = self.passed.lock().unwrap_or_else(PoisonError::into_inner);
        match passed.pop_front() {
            Some(Passed::Decoded(request, permit)) => (*request, Some(permit)),
            Some(Passed::Small(left)) if left > 1 => {
                passed.push_front(Passed::Small(left - 1));
                (message, None)
            }
            Some(Passed::Small(_)) | None => (message, None),
        }
    }

    /// Whether a message of the client's waits for room: it is not the client that is idle then.
    pub fn is_waiting(&self) -> bool {
        self.waiting.load(Ordering::Relaxed)
    }

    /// The budget of the call.
    pub fn budget(&self) -> &CallBudget {
        &self.budget
    }

    fn push_small(&self) {
        let mut passed = self.passed.lock().unwrap_or_else(PoisonError::into_inner);
        match passed.back_mut() {
            Some(Passed::Small(count)) => *count += 1,
            _ => passed.push_back(Passed::Small(1)),
        }
    }

    fn push_decoded(&self, request: ClassifyRequest, permit: TextPermit) {
        let decoded = Passed::Decoded(Box::new(request), permit);
        self.passed.lock().unwrap_or_else(PoisonError::into_inner).push_back(decoded);
    }
}

/// The status of a call that cannot be admitted now: clients that retry do so after a moment.
pub fn overloaded() -> Status {
    let mut status = Status::unavailable("too many articles are under way: try again in a moment, or use a stream");
    status.metadata_mut().insert("grpc-retry-pushback-ms", MetadataValue::from_static("200"));
    status
}

/// The status of a call with a message over the limit.
pub fn too_large(largest: usize) -> Status {
    Status::resource_exhausted(format!("a message may have {largest} bytes: send shorter articles"))
}

/// How compressed messages of a call are compressed: `grpc-encoding`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    Gzip,
    Zstd,
}

impl Encoding {
    /// `None` for what is refused by whoever reads the call.
    pub fn of(name: &[u8]) -> Option<Self> {
        match name {
            b"gzip" => Some(Encoding::Gzip),
            b"zstd" => Some(Encoding::Zstd),
            _ => None,
        }
    }
}

/// What to do with a large message for which there is no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoRoom {
    /// Wait for room.
    Wait,
    /// Refuse the call.
    Refuse,
}

/// A request body whose large messages are charged.
pub struct ChargedBody {
    body: Body,
    incoming: Incoming,
    encoding: Option<Encoding>,
    no_room: NoRoom,
    /// How long a message may take from its first byte to its last; unlimited if zero.
    message_time: Duration,
    /// What was read and has not passed.
    read: BytesMut,
    /// Bytes of the current message that are still to pass.
    left: usize,
    acquiring: Option<Pin<Box<dyn Future<Output = Option<TextPermit>> + Send>>>,
    /// A large message that is being read.
    large: Option<Large>,
    late: Option<Pin<Box<Sleep>>>,
    /// When a large message that stopped coming is given up: it holds a part of the budget.
    stopped: Option<Pin<Box<Sleep>>>,
    /// Whether a message has begun.
    begun: bool,
    ended: bool,
}

struct Large {
    compressed: bool,
    length: usize,
    bytes: BytesMut,
    permit: TextPermit,
}

impl ChargedBody {
    pub fn new(
        body: Body,
        incoming: Incoming,
        encoding: Option<Encoding>,
        no_room: NoRoom,
        message_time: Duration,
    ) -> Self {
        ChargedBody {
            body,
            incoming,
            encoding,
            no_room,
            message_time,
            read: BytesMut::new(),
            left: 0,
            acquiring: None,
            large: None,
            late: None,
            stopped: None,
            begun: false,
            ended: false,
        }
    }

    /// What can pass of what was read.
    fn pass(&mut self) -> Result<Option<Bytes>, Status> {
        if let Some(large) = &mut self.large {
            let wanted = large.length - large.bytes.len();
            large.bytes.extend_from_slice(&self.read.split_to(wanted.min(self.read.len())));
            return match large.bytes.len() == large.length {
                true => self.decode().map(Some),
                false => Ok(None),
            };
        }
        let mut end = 0;
        loop {
            let part = self.left.min(self.read.len() - end);
            (self.left, end) = (self.left - part, end + part);
            let Some(prefix) = self.read[end..].first_chunk::<PREFIX>().filter(|_| self.left == 0) else { break };
            let (compressed, length) = read_prefix(prefix);
            let is_large = compressed || length > SMALL;
            // What is over the limit, or compressed in an unknown way, is refused by whoever decodes it, before it is read.
            let passes =
                !is_large || length > self.incoming.budget.message_bytes() || (compressed && self.encoding.is_none());
            if !passes {
                // What stands before it passes first, and a client that announces a message must send some of it.
                let has_begun = self.read.len() - end >= PREFIX + length.min(SMALL);
                if end == 0 && has_begun {
                    self.begin_message()?;
                    self.acquire(compressed, length)?;
                }
                break;
            }
            self.begin_message()?;
            self.incoming.push_small();
            (self.left, self.late, end) = (length, None, end + PREFIX);
        }
        Ok((end > 0).then(|| self.read.split_to(end).freeze()))
    }

    /// A unary call has one message: whoever reads it reads the call to its end.
    fn begin_message(&mut self) -> Result<(), Status> {
        match self.no_room {
            NoRoom::Refuse if self.begun => Err(Status::unimplemented("a unary call has one message")),
            NoRoom::Refuse | NoRoom::Wait => {
                self.begun = true;
                Ok(())
            }
        }
    }

    /// Takes room for a message as it comes, as it is decompressed, and as it is decoded.
    fn acquire(&mut self, compressed: bool, length: usize) -> Result<(), Status> {
        let budget = self.incoming.budget.clone();
        let largest = budget.message_bytes();
        let decompressed = match (compressed, self.encoding) {
            (true, Some(encoding)) if length <= SMALL => {
                // It is all there: how large it gets is counted before it takes any room.
                let read = self.read.get(PREFIX..PREFIX + length).unwrap_or_default();
                decompressed_length(read, encoding, largest)?
            }
            (true, _) => largest,
            (false, _) => 0,
        };
        let bytes = if compressed { length + 2 * decompressed } else { 2 * length };
        match self.no_room {
            NoRoom::Refuse => {
                let permit = budget.try_acquire_large(bytes).ok_or_else(overloaded)?;
                self.admit(permit);
            }
            NoRoom::Wait if self.acquiring.is_none() => {
                self.incoming.waiting.store(true, Ordering::Relaxed);
                self.acquiring = Some(Box::pin(async move { budget.acquire_large(bytes).await }));
            }
            NoRoom::Wait => {}
        }
        Ok(())
    }

    /// Begins to read a large message, whose prefix was read.
    fn admit(&mut self, permit: TextPermit) {
        let Some(prefix) = self.read.first_chunk::<PREFIX>() else { return };
        let (compressed, length) = read_prefix(prefix);
        self.read.advance(PREFIX);
        self.large = Some(Large { compressed, length, bytes: BytesMut::with_capacity(length), permit });
        self.late = None;
    }

    /// Decodes the large message that was read; what passes in its place.
    fn decode(&mut self) -> Result<Bytes, Status> {
        let Some(Large { compressed, bytes, permit, .. }) = self.large.take() else { return Ok(Bytes::new()) };
        let largest = self.incoming.budget.message_bytes();
        let bytes = match self.encoding.filter(|_| compressed) {
            Some(encoding) => decompress(&bytes, encoding, largest)?,
            None => bytes.freeze(),
        };
        let request = ClassifyRequest::decode(bytes)
            .map_err(|error| Status::internal(format!("a message is not a ClassifyRequest: {error}")))?;
        self.incoming.push_decoded(request, permit);
        self.stopped = None;
        Ok(Bytes::from_static(BLANK))
    }

    /// Ready when the current message has taken too long, or a large one has stopped coming.
    fn poll_late(&mut self, context: &mut Context<'_>) -> Poll<Status> {
        let between_messages = self.left == 0 && self.read.is_empty() && self.large.is_none();
        if self.message_time.is_zero() || between_messages {
            self.late = None;
            return Poll::Pending;
        }
        let mut late = |timer: &mut Option<Pin<Box<Sleep>>>, what: &str, time: Duration| {
            let timer = timer.get_or_insert_with(|| Box::pin(sleep(time)));
            timer
                .as_mut()
                .poll(context)
                .map(|()| Status::aborted(format!("{what} {} s: send it again, on a new stream", time.as_secs_f64())))
        };
        if self.large.is_some() {
            let time = self.message_time.min(STOPPED);
            if let Poll::Ready(status) = late(&mut self.stopped, "nothing more of a message came for", time) {
                return Poll::Ready(status);
            }
        }
        late(&mut self.late, "a message was not complete within", self.message_time)
    }
}

/// Whether a message is compressed, and its length.
fn read_prefix(prefix: &[u8; PREFIX]) -> (bool, usize) {
    (prefix[0] != 0, u32::from_be_bytes([prefix[1], prefix[2], prefix[3], prefix[4]]) as usize)
}

/// A message as it was before it was compressed, unless that is larger than the limit.
fn decompress(bytes: &[u8], encoding: Encoding, largest: usize) -> Result<Bytes, Status> {
    let mut decompressed = Vec::new();
    decompress_into(bytes, encoding, largest, &mut decompressed)?;
    Ok(decompressed.into())
}

/// How long a message was before it was compressed; it is not held.
fn decompressed_length(bytes: &[u8], encoding: Encoding, largest: usize) -> Result<usize, Status> {
    decompress_into(bytes, encoding, largest, &mut io::sink())
}

fn decompress_into(bytes: &[u8], encoding: Encoding, largest: usize, out: &mut dyn io::Write) -> Result<usize, Status> {
    let fault = |error: io::Error| Status::internal(format!("a message cannot be decompressed: {error}"));
    let reader: Box<dyn Read + '_> = match encoding {
        Encoding::Gzip => Box::new(MultiGzDecoder::new(bytes)),
        Encoding::Zstd => Box::new(zstd::Decoder::with_buffer(bytes).map_err(fault)?),
    };
    let length = io::copy(&mut reader.take(largest as u64 + 1), out).map_err(fault)? as usize;
    if length > largest { Err(too_large(largest)) } else { Ok(length) }
}

impl http_body::Body for ChargedBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let body = self.get_mut();
        loop {
            if let Some(acquiring) = &mut body.acquiring {
                let permit = ready!(acquiring.as_mut().poll(context));
                body.acquiring = None;
                body.incoming.waiting.store(false, Ordering::Relaxed);
                permit.into_iter().for_each(|permit| body.admit(permit));
            }
            let reading = body.large.is_some();
            match body.pass() {
                Ok(Some(bytes)) => return Poll::Ready(Some(Ok(Frame::data(bytes)))),
                // It waits for room, or has just got it.
                Ok(None) if body.acquiring.is_some() || body.large.is_some() != reading => continue,
                Ok(None) => {}
                Err(status) => return Poll::Ready(Some(Err(status))),
            }
            if body.ended {
                if body.large.is_some() {
                    return Poll::Ready(Some(Err(Status::internal("a message is cut off"))));
                }
                // What is cut off in its prefix is for whoever decodes it to refuse.
                let rest = std::mem::take(&mut body.read).freeze();
                return Poll::Ready((!rest.is_empty()).then(|| Ok(Frame::data(rest))));
            }
            match Pin::new(&mut body.body).poll_frame(context) {
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => {
                        body.stopped = None;
                        body.read.extend_from_slice(&data);
                    }
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                Poll::Ready(Some(Err(status))) => return Poll::Ready(Some(Err(status))),
                Poll::Ready(None) => body.ended = true,
                Poll::Pending => return body.poll_late(context).map(|status| Some(Err(status))),
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        (self.ended || self.body.is_end_stream())
            && self.read.is_empty()
            && self.large.is_none()
            && self.acquiring.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{admission::Admission, metrics::Metrics, settings::Limits};
    use super::*;
    use crate::wire::proto::dateline::v1::Article;
    use futures_util::StreamExt;
    use http_body_util::{BodyExt, StreamBody};
    use std::io::Write;

    const LARGEST: usize = 1 << 20;

    fn budget() -> CallBudget {
        let limits = Limits { text_bytes: 8 << 20, message_bytes: LARGEST, ..Limits::default() };
        Arc::new(Admission::new(&limits, &Metrics::for_tests())).call()
    }

    fn framed(compressed: bool, message: &[u8]) -> Vec<u8> {
        [&[u8::from(compressed)][..], &(message.len() as u32).to_be_bytes(), message].concat()
    }

    fn request(id: &str, bytes: usize) -> ClassifyRequest {
        let article = Article { id: id.to_owned(), body: "x".repeat(bytes), ..Article::default() };
        ClassifyRequest { article: Some(article), options: None }
    }

    /// The ids of the requests in a body that comes in pieces of some length, or the status that ends it.
    async fn read(wire: Vec<u8>, piece: usize, encoding: Option<Encoding>) -> Result<Vec<String>, Status> {
        let pieces: Vec<_> =
            wire.chunks(piece).map(|piece| Ok::<_, Status>(Frame::data(Bytes::copy_from_slice(piece)))).collect();
        let incoming = Incoming::new(budget());
        let body = Body::new(StreamBody::new(tokio_stream::iter(pieces)));
        let charged = ChargedBody::new(body, incoming.clone(), encoding, NoRoom::Wait, Duration::ZERO);
        let mut passed = charged.collect().await?.to_bytes();
        assert!(passed.len() < 20_000, "large messages stay outside");
        let mut ids = Vec::new();
        while passed.len() >= PREFIX {
            let (compressed, length) = read_prefix(passed.first_chunk().expect("a prefix"));
            assert!(!compressed);
            passed.advance(PREFIX);
            let message = ClassifyRequest::decode(passed.split_to(length)).expect("a message");
            ids.push(incoming.take(message).0.article.expect("an article").id);
        }
        assert!(incoming.passed.lock().expect("no panic").is_empty());
        Ok(ids)
    }

    #[tokio::test]
    async fn messages_keep_their_order_however_they_are_cut() {
        let sizes = [10, 100_000, 20, 16_000, 17_000, 0, 150_000, 150_000, 5];
        let wire: Vec<u8> = sizes
            .iter()
            .enumerate()
            .flat_map(|(i, bytes)| framed(false, &request(&i.to_string(), *bytes).encode_to_vec()))
            .collect();
        for piece in [1, 7, 16_384, usize::MAX] {
            let ids = read(wire.clone(), piece, None).await.expect("they are read");
            assert_eq!(ids, ["0", "1", "2", "3", "4", "5", "6", "7", "8"], "pieces of {piece}");
        }
    }

    #[tokio::test]
    async fn compressed_messages_are_decompressed_up_to_the_limit() {
        let zipped = |message: &ClassifyRequest| {
            let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            gzip.write_all(&message.encode_to_vec()).expect("in memory");
            framed(true, &gzip.finish().expect("in memory"))
        };
        let wire = [zipped(&request("a", 200_000)), framed(false, &request("b", 10).encode_to_vec())].concat();
        assert_eq!(read(wire, 1000, Some(Encoding::Gzip)).await.expect("they are read"), ["a", "b"]);
        let bomb = read(zipped(&request("a", LARGEST + 1)), 1000, Some(Encoding::Gzip)).await.expect_err("a bomb");
        assert_eq!(bomb.code(), tonic::Code::ResourceExhausted);
        let garbage = read(framed(true, b"garbage"), 1000, Some(Encoding::Zstd)).await.expect_err("garbage");
        assert_eq!(garbage.code(), tonic::Code::Internal);
        let cut_off = framed(false, &request("a", 100_000).encode_to_vec())[..50_000].to_vec();
        assert!(read(cut_off, 1000, None).await.expect_err("cut off").message().contains("cut off"));
    }

    #[tokio::test]
    async fn a_unary_call_is_refused_where_there_is_no_room() {
        let budget = budget();
        let held = budget.try_acquire_large(LARGEST).expect("there is room");
        let wire = framed(false, &request("a", 900_000).encode_to_vec());
        let charged = |budget| {
            ChargedBody::new(
                Body::new(http_body_util::Full::new(Bytes::from(wire.clone()))),
                Incoming::new(budget),
                None,
                NoRoom::Refuse,
                Duration::ZERO,
            )
        };
        let mut all = vec![held];
        all.extend(std::iter::from_fn(|| budget.try_acquire_large(LARGEST)));
        let refused = charged(budget.clone()).collect().await.expect_err("no room");
        assert_eq!(refused.code(), tonic::Code::Unavailable);
        drop(all);
        assert!(charged(budget.clone()).collect().await.is_ok());
        // A second message would never be taken.
        let twice = [&wire[..], &framed(false, b"")].concat();
        let incoming = Incoming::new(budget);
        let body = Body::new(http_body_util::Full::new(Bytes::from(twice)));
        let refused = ChargedBody::new(body, incoming, None, NoRoom::Refuse, Duration::ZERO).collect().await;
        assert_eq!(refused.expect_err("two messages").code(), tonic::Code::Unimplemented);
    }

    #[tokio::test]
    async fn a_message_that_is_only_announced_takes_nothing() {
        let budget = budget();
        for prefix in [&b"\x01\0\0\0\x01"[..], b"\0\0\x0f\0\0"] {
            let body = Body::new(StreamBody::new(
                tokio_stream::iter([Ok::<_, Status>(Frame::data(Bytes::from_static(prefix)))])
                    .chain(futures_util::stream::pending()),
            ));
            let (encoding, incoming) = (Some(Encoding::Gzip), Incoming::new(budget.clone()));
            let mut charged =
                Box::pin(ChargedBody::new(body, incoming, encoding, NoRoom::Wait, Duration::ZERO).collect());
            assert!(futures_util::poll!(&mut charged).is_pending());
            assert!(budget.try_acquire_large(3 * LARGEST).is_some(), "nothing is held");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_message_that_stays_incomplete_ends_its_stream() {
        // Of a large message, which holds much of the budget, more must come soon.
        for (length, allowed, pause, late) in [
            (100, 10, 5, false),
            (100, 10, 15, true),
            (100, 60, 15, false),
            (3 * SMALL, 60, 5, false),
            (3 * SMALL, 60, 15, true),
        ] {
            let wire = framed(false, &request("a", length).encode_to_vec());
            let (start, rest) = wire.split_at(wire.len() / 2);
            let (start, rest) = (Bytes::copy_from_slice(start), Bytes::copy_from_slice(rest));
            let pieces = futures_util::stream::unfold(0, move |step| {
                let (start, rest) = (start.clone(), rest.clone());
                async move {
                    let piece = match step {
                        0 => start,
                        1 => {
                            sleep(Duration::from_secs(pause)).await;
                            rest
                        }
                        _ => return None,
                    };
                    Some((Ok::<_, Status>(Frame::data(piece)), step + 1))
                }
            });
            let body = Body::new(StreamBody::new(pieces));
            let time = Duration::from_secs(allowed);
            let charged = ChargedBody::new(body, Incoming::new(budget()), None, NoRoom::Wait, time);
            let outcome = charged.collect().await.map(|_| ()).map_err(|status| status.code());
            let expected = if late { Err(tonic::Code::Aborted) } else { Ok(()) };
            assert_eq!(outcome, expected, "{length} bytes, {pause} s of {allowed} s");
        }
    }
}
