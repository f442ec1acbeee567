//! Reads the messages of a request body, with limits of size, time and memory.
//!
//! A message is a line, or the whole body. Short ones are read at once. A longer one needs room before it is read further, and
//! holds it until the classifier takes its article: many clients that send slowly, or read no answers, cannot fill the memory.

use super::failure::Failure;
use axum::body::{Body, BodyDataStream};
use bytes::BytesMut;
use futures_util::StreamExt;
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout_at},
};

/// Messages up to this size, in bytes, need no room.
const SMALL_BYTES: usize = 64 << 10;
/// What a longer message needs at first, in bytes: most pages with an article are shorter.
const PAGE_BYTES: usize = 512 << 10;
/// The unit of room, in bytes.
const UNIT_BYTES: usize = 1 << 10;
/// The time to send a message, if it is not limited.
const FOREVER: Duration = Duration::from_secs(365 * 24 * 3600);

/// The limits of request bodies.
#[derive(Debug, Clone, Copy)]
pub struct MessageLimits {
    /// The maximum size of a message, in bytes.
    pub message_bytes: usize,
    /// The maximum size of all longer messages that the classifier has not taken, in bytes; at least `message_bytes`.
    pub total_bytes: usize,
    /// The maximum time from the first to the last byte of a message; unlimited if zero.
    pub time: Duration,
}

/// The room for longer messages.
pub struct Room {
    free: Arc<Semaphore>,
    limits: MessageLimits,
}

/// The room that a message takes, free again when dropped.
#[derive(Default)]
pub struct Taken(Option<OwnedSemaphorePermit>);

/// What ends a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// A line break, or the end of the body. Blank lines are skipped.
    Lines,
    /// The end of the body.
    Whole,
}

/// The messages of a body.
pub struct Messages {
    body: BodyDataStream,
    framing: Framing,
    room: Arc<Room>,
    /// Bytes that belong to no returned message.
    buffer: BytesMut,
    /// The number of bytes of the buffer without a line break.
    scanned: usize,
    taken: Taken,
    /// When the current message must be complete.
    deadline: Option<Instant>,
    ended: bool,
}

/// A complete message.
pub struct Message {
    pub bytes: BytesMut,
    pub taken: Taken,
}

impl Taken {
    /// Adds room.
    fn add(&mut self, more: OwnedSemaphorePermit) {
        match &mut self.0 {
            Some(taken) => taken.merge(more),
            None => self.0 = Some(more),
        }
    }

    /// Gives back what a message of this size does not need.
    fn shrink_to(&mut self, bytes: usize) {
        if let Some(taken) = &mut self.0 {
            drop(taken.split(taken.num_permits().saturating_sub(bytes.div_ceil(UNIT_BYTES))));
        }
    }

    /// Its size, in bytes.
    fn bytes(&self) -> usize {
        self.0.as_ref().map_or(0, |taken| taken.num_permits() * UNIT_BYTES)
    }
}

impl Room {
    pub fn new(limits: MessageLimits) -> Self {
        let units = limits.total_bytes.max(limits.message_bytes).div_ceil(UNIT_BYTES).min(Semaphore::MAX_PERMITS);
        Room { free: Arc::new(Semaphore::new(units)), limits }
    }
}

impl Messages {
    pub fn new(body: Body, framing: Framing, room: Arc<Room>) -> Self {
        Messages {
            body: body.into_data_stream(),
            framing,
            room,
            buffer: BytesMut::new(),
            scanned: 0,
            taken: Taken::default(),
            deadline: None,
            ended: false,
        }
    }

    /// The next message; `None` at the end of the body. After an error there is no other message.
    pub async fn next(&mut self) -> Option<Result<Message, Failure>> {
        loop {
            if let Some(message) = self.take_complete() {
                let most = self.room.limits.message_bytes;
                if message.bytes.len() > most {
                    self.end();
                    return Some(Err(too_large(most)));
                }
                if message.bytes.iter().all(u8::is_ascii_whitespace) && self.framing == Framing::Lines {
                    // Other tasks go on meanwhile: a body may have any number of blank lines.
                    tokio::task::consume_budget().await;
                    continue;
                }
                return Some(Ok(message));
            }
            if self.ended {
                return None;
            }
            if let Err(failure) = self.read().await {
                self.end();
                return Some(Err(failure));
            }
        }
    }

    /// Reads no further.
    fn end(&mut self) {
        self.ended = true;
        (self.buffer, self.scanned) = (BytesMut::new(), 0);
    }

    /// The message at the beginning of the buffer, if it is complete.
    fn take_complete(&mut self) -> Option<Message> {
        let line = match self.framing {
            Framing::Lines => memchr::memchr(b'\n', &self.buffer[self.scanned..]).map(|at| self.scanned + at + 1),
            Framing::Whole => None,
        };
        self.scanned = self.buffer.len();
        let end = match line {
            Some(end) => end,
            None if self.ended && !self.buffer.is_empty() => self.buffer.len(),
            None => return None,
        };
        let bytes = self.buffer.split_to(end);
        self.scanned = 0;
        // The next message, if some of it is there, has its own time and room.
        self.deadline = None;
        let mut taken = std::mem::take(&mut self.taken);
        taken.shrink_to(bytes.len());
        Some(Message { bytes, taken })
    }

    /// Reads on.
    async fn read(&mut self) -> Result<(), Failure> {
        let MessageLimits { message_bytes, time, .. } = self.room.limits;
        // A client that sends lines may pause between them; the call has a time limit for that.
        let waits = self.framing == Framing::Lines && self.buffer.is_empty();
        let limit = if time.is_zero() { FOREVER } else { time };
        let deadline = *self.deadline.get_or_insert_with(|| Instant::now() + limit);
        self.make_room(deadline).await?;
        let next = match waits {
            true => Ok(self.body.next().await),
            false => timeout_at(deadline, self.body.next()).await,
        };
        if waits {
            self.deadline = None;
        }
        match next {
            Ok(None) => self.ended = true,
            Ok(Some(Ok(bytes))) => self.buffer.extend_from_slice(&bytes),
            Ok(Some(Err(_))) => return Err(Failure::invalid("the request was cut off")),
            Err(_) => return Err(Failure::too_slow("the article was not sent in time: send it at once")),
        }
        let is_complete = memchr::memchr(b'\n', &self.buffer[self.scanned..]).is_some();
        if self.buffer.len() > message_bytes && !(self.framing == Framing::Lines && is_complete) {
            return Err(too_large(message_bytes));
        }
        Ok(())
    }

    /// Takes the room that the message in the buffer needs to be read further.
    async fn make_room(&mut self, deadline: Instant) -> Result<(), Failure> {
        let overloaded = || Failure::overloaded("too many long articles at once: retry later");
        let units = |bytes: usize| u32::try_from(bytes.div_ceil(UNIT_BYTES)).unwrap_or(u32::MAX);
        let message_bytes = self.room.limits.message_bytes;
        let page = PAGE_BYTES.min(message_bytes);
        if self.buffer.len() > SMALL_BYTES && self.taken.0.is_none() {
            let acquired = timeout_at(deadline, self.room.free.clone().acquire_many_owned(units(page))).await;
            self.taken.add(acquired.ok().and_then(Result::ok).ok_or_else(overloaded)?);
        }
        // Without waiting: two messages that wait for more room would wait for each other.
        if self.buffer.len() > page && self.taken.bytes() < message_bytes {
            let more = self.room.free.clone().try_acquire_many_owned(units(message_bytes - page));
            self.taken.add(more.map_err(|_| overloaded())?);
        }
        Ok(())
    }
}

fn too_large(most: usize) -> Failure {
    Failure::too_large(format!("the article exceeds the limit of {most} bytes: send a shorter one"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::stream;
    use std::convert::Infallible;

    const LIMITS: MessageLimits =
        MessageLimits { message_bytes: 1 << 20, total_bytes: 1 << 20, time: Duration::from_millis(200) };

    fn messages(parts: &[Vec<u8>], framing: Framing, room: &Arc<Room>) -> Messages {
        let parts: Vec<Result<Vec<u8>, Infallible>> = parts.iter().cloned().map(Ok).collect();
        Messages::new(Body::from_stream(stream::iter(parts)), framing, room.clone())
    }

    fn room() -> Arc<Room> {
        Arc::new(Room::new(LIMITS))
    }

    async fn texts(mut messages: Messages) -> Vec<Result<String, String>> {
        let mut texts = Vec::new();
        while let Some(next) = messages.next().await {
            texts.push(match next {
                Ok(message) => Ok(String::from_utf8_lossy(&message.bytes).trim_end().to_owned()),
                Err(failure) => Err(failure.into_fault().code),
            });
        }
        texts
    }

    #[tokio::test]
    async fn lines_may_be_cut_anywhere_and_the_last_one_needs_no_end() {
        let whole = "one\n\ntwo\r\n   \nthree";
        for at in 0..whole.len() {
            let (a, b) = whole.split_at(at);
            let parts = [a.as_bytes().to_vec(), b.as_bytes().to_vec()];
            let lines = texts(messages(&parts, Framing::Lines, &room())).await;
            assert_eq!(lines, ["one", "two", "three"].map(|line| Ok(line.to_owned())), "{at}");
            let body = texts(messages(&parts, Framing::Whole, &room())).await;
            assert_eq!(body, [Ok(whole.to_owned())]);
        }
        assert!(texts(messages(&[], Framing::Whole, &room())).await.is_empty());
    }

    #[tokio::test]
    async fn long_messages_need_room_until_it_is_given_back() {
        let long = vec![vec![b'x'; 300 << 10], vec![b'x'; 300 << 10]];
        let room = room();
        let held = messages(&long, Framing::Whole, &room).next().await.expect("a message").expect("there is room");
        let refused = texts(messages(&long, Framing::Whole, &room)).await;
        assert_eq!(refused, [Err("UNAVAILABLE".to_owned())]);
        drop(held);
        assert!(messages(&long, Framing::Whole, &room).next().await.expect("a message").is_ok());
        let longer = vec![vec![b'x'; 300 << 10]; 4];
        assert_eq!(texts(messages(&longer, Framing::Lines, &room)).await, [Err("RESOURCE_EXHAUSTED".to_owned())]);
    }

    #[tokio::test]
    async fn messages_that_are_sent_too_slowly_end_the_body() {
        let never = stream::iter([Ok::<_, Infallible>(b"half".to_vec())]).chain(stream::pending());
        let mut messages = Messages::new(Body::from_stream(never), Framing::Lines, room());
        let failure = messages.next().await.expect("an error").err().expect("an error");
        assert_eq!(failure.into_fault().code, "ABORTED");
        assert!(messages.next().await.is_none());
    }
}
