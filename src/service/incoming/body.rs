//! A request body that charges large messages to the text budget.

use super::{
    super::{
        admission::TextPermit,
        framing::{PREFIX_BYTES, Prefix},
        status::overloaded,
    },
    encoding::Encoding,
    large::{LargeMessage, SMALL_BYTES, is_large, required_bytes},
    queue::RequestQueue,
    timeouts::MessageTimeouts,
};
use bytes::{Buf, Bytes, BytesMut};
use http_body::Frame;
use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};
use tonic::{Status, body::Body};

/// An empty message, not compressed.
const EMPTY_MESSAGE: &[u8] = &[0; PREFIX_BYTES];

/// What happens to a large message that exceeds the free budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenFull {
    /// The message waits for its permit.
    Wait,
    /// The call is refused with UNAVAILABLE.
    Refuse,
}

/// A request body whose large messages are charged.
pub struct ChargedBody {
    body: Body,
    queue: RequestQueue,
    encoding: Option<Encoding>,
    when_full: WhenFull,
    timeouts: MessageTimeouts,
    /// Bytes that were received and not passed on.
    received: BytesMut,
    /// The number of bytes of the current small message that are still to be passed on.
    left: usize,
    /// The pending permit of a large message.
    acquiring: Option<Pin<Box<dyn Future<Output = Option<TextPermit>> + Send>>>,
    /// The large message that is being read.
    large: Option<LargeMessage>,
    /// Whether the first message has begun.
    begun: bool,
    ended: bool,
}

impl ChargedBody {
    /// A message may take `message_time` from its first to its last byte; unlimited if zero.
    pub fn new(
        body: Body,
        queue: RequestQueue,
        encoding: Option<Encoding>,
        when_full: WhenFull,
        message_time: Duration,
    ) -> Self {
        ChargedBody {
            body,
            queue,
            encoding,
            when_full,
            timeouts: MessageTimeouts::new(message_time),
            received: BytesMut::new(),
            left: 0,
            acquiring: None,
            large: None,
            begun: false,
            ended: false,
        }
    }

    /// The received bytes that can be passed on now.
    fn pass(&mut self) -> Result<Option<Bytes>, Status> {
        if self.large.is_some() {
            return self.read_large();
        }
        let mut end = 0;
        loop {
            let part = self.left.min(self.received.len() - end);
            (self.left, end) = (self.left - part, end + part);
            let Some(prefix) = self.received[end..].first_chunk().filter(|_| self.left == 0).map(Prefix::parse) else {
                break;
            };
            if self.must_charge(prefix) {
                // Earlier bytes pass first. A message that is only announced is not charged: some of it must be there.
                let has_begun = self.received.len() - end >= PREFIX_BYTES + prefix.length.min(SMALL_BYTES);
                if end == 0 && has_begun {
                    self.begin_message()?;
                    self.acquire(prefix)?;
                }
                break;
            }
            self.begin_message()?;
            self.queue.push_small();
            self.timeouts.reset_message();
            (self.left, end) = (prefix.length, end + PREFIX_BYTES);
        }
        Ok((end > 0).then(|| self.received.split_to(end).freeze()))
    }

    /// Whether a message is held back until it has a permit. tonic refuses messages that exceed the limit or have an unknown
    /// encoding before it reads them, so that these pass.
    fn must_charge(&self, prefix: Prefix) -> bool {
        let over_limit = prefix.length > self.queue.budget().message_bytes();
        let unknown_encoding = prefix.compressed && self.encoding.is_none();
        is_large(prefix) && !over_limit && !unknown_encoding
    }

    /// Refuses the second message of a unary call.
    fn begin_message(&mut self) -> Result<(), Status> {
        match self.when_full {
            WhenFull::Refuse if self.begun => Err(Status::unimplemented("a unary call must have one message")),
            WhenFull::Refuse | WhenFull::Wait => {
                self.begun = true;
                Ok(())
            }
        }
    }

    /// Acquires the permit of the large message at the beginning of the received bytes, or begins to wait for it.
    fn acquire(&mut self, prefix: Prefix) -> Result<(), Status> {
        let budget = self.queue.budget().clone();
        let received = self.received.get(PREFIX_BYTES..).unwrap_or_default();
        let bytes = required_bytes(prefix, self.encoding, received, budget.message_bytes())?;
        match self.when_full {
            WhenFull::Refuse => {
                let permit = budget.try_acquire_large(bytes).ok_or_else(overloaded)?;
                self.begin_large(permit);
            }
            WhenFull::Wait if self.acquiring.is_none() => {
                self.queue.set_waiting(true);
                self.acquiring = Some(Box::pin(async move { budget.acquire_large(bytes).await }));
            }
            WhenFull::Wait => {}
        }
        Ok(())
    }

    /// Starts to read the large message at the beginning of the received bytes.
    fn begin_large(&mut self, permit: TextPermit) {
        let Some(prefix) = self.received.first_chunk().map(Prefix::parse) else { return };
        self.received.advance(PREFIX_BYTES);
        self.large = Some(LargeMessage::new(prefix, permit));
        self.timeouts.reset_message();
    }

    /// Continues to read the large message. When it is complete, queues it and passes an empty message in its place.
    fn read_large(&mut self) -> Result<Option<Bytes>, Status> {
        if let Some(large) = &mut self.large {
            large.fill(&mut self.received);
        }
        let Some(large) = self.large.take_if(|large| large.is_complete()) else { return Ok(None) };
        let (request, permit) = large.decode(self.encoding, self.queue.budget().message_bytes())?;
        self.queue.push_large(request, permit);
        self.timeouts.reset_pause();
        Ok(Some(Bytes::from_static(EMPTY_MESSAGE)))
    }

    /// The rest of the received bytes at the end of the body.
    fn finish(&mut self) -> Option<Result<Frame<Bytes>, Status>> {
        if self.large.is_some() {
            return Some(Err(Status::internal("the last message is incomplete")));
        }
        // tonic refuses an incomplete prefix.
        let rest = std::mem::take(&mut self.received).freeze();
        (!rest.is_empty()).then(|| Ok(Frame::data(rest)))
    }
}

impl http_body::Body for ChargedBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.get_mut();
        loop {
            if let Some(acquiring) = &mut this.acquiring {
                let permit = ready!(acquiring.as_mut().poll(context));
                this.acquiring = None;
                this.queue.set_waiting(false);
                permit.into_iter().for_each(|permit| this.begin_large(permit));
            }
            let was_reading = this.large.is_some();
            match this.pass() {
                Ok(Some(bytes)) => return Poll::Ready(Some(Ok(Frame::data(bytes)))),
                // A large message waits for its permit, or has just got it.
                Ok(None) if this.acquiring.is_some() || this.large.is_some() != was_reading => continue,
                Ok(None) => {}
                Err(status) => return Poll::Ready(Some(Err(status))),
            }
            if this.ended {
                return Poll::Ready(this.finish());
            }
            match Pin::new(&mut this.body).poll_frame(context) {
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => {
                        this.timeouts.reset_pause();
                        this.received.extend_from_slice(&data);
                    }
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                Poll::Ready(Some(Err(status))) => return Poll::Ready(Some(Err(status))),
                Poll::Ready(None) => this.ended = true,
                Poll::Pending => {
                    let is_large = this.large.is_some();
                    let between_messages = this.left == 0 && this.received.is_empty() && !is_large;
                    let expired = this.timeouts.poll_expired(between_messages, is_large, context);
                    return expired.map(|status| Some(Err(status)));
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        (self.ended || self.body.is_end_stream())
            && self.received.is_empty()
            && self.large.is_none()
            && self.acquiring.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::{
        admission::{Admission, CallBudget},
        metrics::Metrics,
        settings::Limits,
    };
    use super::*;
    use crate::wire::proto::dateline::v1::{Article, ClassifyRequest};
    use futures_util::StreamExt;
    use http_body_util::{BodyExt, StreamBody};
    use prost::Message;
    use std::{io::Write, sync::Arc};
    use tokio::time::sleep;

    const MAX_BYTES: usize = 1 << 20;

    fn budget() -> CallBudget {
        let limits = Limits { text_bytes: 8 << 20, message_bytes: MAX_BYTES, ..Limits::default() };
        Arc::new(Admission::new(&limits, &Metrics::for_tests())).call()
    }

    fn framed(compressed: bool, message: &[u8]) -> Vec<u8> {
        [&[u8::from(compressed)][..], &(message.len() as u32).to_be_bytes(), message].concat()
    }

    fn request(id: &str, bytes: usize) -> ClassifyRequest {
        let article = Article { id: id.to_owned(), body: "x".repeat(bytes), ..Article::default() };
        ClassifyRequest { article: Some(article), options: None }
    }

    /// The ids of the requests in a body that arrives in pieces of this length, or the status that ends it.
    async fn read(wire: Vec<u8>, piece: usize, encoding: Option<Encoding>) -> Result<Vec<String>, Status> {
        let pieces: Vec<_> =
            wire.chunks(piece).map(|piece| Ok::<_, Status>(Frame::data(Bytes::copy_from_slice(piece)))).collect();
        let queue = RequestQueue::new(budget());
        let body = Body::new(StreamBody::new(tokio_stream::iter(pieces)));
        let charged = ChargedBody::new(body, queue.clone(), encoding, WhenFull::Wait, Duration::ZERO);
        let mut passed = charged.collect().await?.to_bytes();
        assert!(passed.len() < 20_000, "large messages do not pass");
        let mut ids = Vec::new();
        while passed.len() >= PREFIX_BYTES {
            let Prefix { compressed, length } = Prefix::parse(passed.first_chunk().expect("a prefix"));
            assert!(!compressed);
            passed.advance(PREFIX_BYTES);
            let message = ClassifyRequest::decode(passed.split_to(length)).expect("a message");
            ids.push(queue.take(message).0.article.expect("an article").id);
        }
        assert!(queue.is_empty());
        Ok(ids)
    }

    #[tokio::test]
    async fn messages_keep_their_order_in_pieces_of_any_length() {
        let sizes = [10, 100_000, 20, 16_000, 17_000, 0, 150_000, 150_000, 5];
        let wire: Vec<u8> = sizes
            .iter()
            .enumerate()
            .flat_map(|(i, bytes)| framed(false, &request(&i.to_string(), *bytes).encode_to_vec()))
            .collect();
        for piece in [1, 7, 16_384, usize::MAX] {
            let ids = read(wire.clone(), piece, None).await.expect("valid messages");
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
        assert_eq!(read(wire, 1000, Some(Encoding::Gzip)).await.expect("valid messages"), ["a", "b"]);
        let bomb = read(zipped(&request("a", MAX_BYTES + 1)), 1000, Some(Encoding::Gzip)).await.expect_err("a bomb");
        assert_eq!(bomb.code(), tonic::Code::ResourceExhausted);
        let garbage = read(framed(true, b"garbage"), 1000, Some(Encoding::Zstd)).await.expect_err("garbage");
        assert_eq!(garbage.code(), tonic::Code::Internal);
        let incomplete = framed(false, &request("a", 100_000).encode_to_vec())[..50_000].to_vec();
        assert!(read(incomplete, 1000, None).await.expect_err("incomplete").message().contains("incomplete"));
    }

    #[tokio::test]
    async fn a_unary_call_is_refused_if_the_budget_is_full() {
        let budget = budget();
        let held = budget.try_acquire_large(MAX_BYTES).expect("the budget is free");
        let wire = framed(false, &request("a", 900_000).encode_to_vec());
        let charged = |budget| {
            ChargedBody::new(
                Body::new(http_body_util::Full::new(Bytes::from(wire.clone()))),
                RequestQueue::new(budget),
                None,
                WhenFull::Refuse,
                Duration::ZERO,
            )
        };
        let mut all = vec![held];
        all.extend(std::iter::from_fn(|| budget.try_acquire_large(MAX_BYTES)));
        let refused = charged(budget.clone()).collect().await.expect_err("the budget is full");
        assert_eq!(refused.code(), tonic::Code::Unavailable);
        drop(all);
        assert!(charged(budget.clone()).collect().await.is_ok());
        // A second message is refused.
        let twice = [&wire[..], &framed(false, b"")].concat();
        let queue = RequestQueue::new(budget);
        let body = Body::new(http_body_util::Full::new(Bytes::from(twice)));
        let refused = ChargedBody::new(body, queue, None, WhenFull::Refuse, Duration::ZERO).collect().await;
        assert_eq!(refused.expect_err("two messages").code(), tonic::Code::Unimplemented);
    }

    #[tokio::test]
    async fn a_message_that_is_only_announced_is_not_charged() {
        let budget = budget();
        for prefix in [&b"\x01\0\0\0\x01"[..], b"\0\0\x0f\0\0"] {
            let body = Body::new(StreamBody::new(
                tokio_stream::iter([Ok::<_, Status>(Frame::data(Bytes::from_static(prefix)))])
                    .chain(futures_util::stream::pending()),
            ));
            let (encoding, queue) = (Some(Encoding::Gzip), RequestQueue::new(budget.clone()));
            let mut charged =
                Box::pin(ChargedBody::new(body, queue, encoding, WhenFull::Wait, Duration::ZERO).collect());
            assert!(futures_util::poll!(&mut charged).is_pending());
            assert!(budget.try_acquire_large(3 * MAX_BYTES).is_some(), "nothing is held");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_incomplete_message_ends_its_stream() {
        // A large message, which holds a part of the budget, may pause for 10 s at most.
        for (length, allowed, pause, late) in [
            (100, 10, 5, false),
            (100, 10, 15, true),
            (100, 60, 15, false),
            (3 * SMALL_BYTES, 60, 5, false),
            (3 * SMALL_BYTES, 60, 15, true),
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
            let charged = ChargedBody::new(body, RequestQueue::new(budget()), None, WhenFull::Wait, time);
            let outcome = charged.collect().await.map(|_| ()).map_err(|status| status.code());
            let expected = if late { Err(tonic::Code::Aborted) } else { Ok(()) };
            assert_eq!(outcome, expected, "{length} bytes, {pause} s of {allowed} s");
        }
    }
}
