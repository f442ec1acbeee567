//! Answers on their way out: handed to the transport in small parts, and ended by a timer, whether the client reads or not.
//!
//! The transport asks for the next part only when the client has room for the last one. A client that does not read is never
//! asked for, so that deadline, drain and stall are watched by a task beside the body: it ends the work, gives its permits
//! back, and leaves the status for the time when the client reads again.

use super::{admission::Outbox, calls::Call, transport::OpenCall};
use bytes::Bytes;
use http::HeaderMap;
use http_body::Frame;
use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::Duration,
};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::task::AbortOnDropHandle;
use tonic::{Status, body::Body};
use tracing::Instrument;

/// The largest part that the transport is handed at once, in bytes; a client that takes less than this in the time of a stall
/// takes nothing.
const PART: usize = 16 << 10;
/// Of what has been encoded and not been taken when an answer is ended, the message that is on its way goes out before the status:
/// a client understands no status in the midst of a message. If more than this is left of it, in bytes, the stream is reset.
const KEPT: usize = 64 << 10;
/// The length of what gRPC puts before a message.
const PREFIX: usize = 5;

/// A call whose answer has begun.
pub struct Ongoing {
    pub body: Body,
    pub call: Call,
    pub outbox: Outbox,
    pub _open: Option<OpenCall>,
}

/// A response body.
pub struct Answer {
    state: Arc<Mutex<State>>,
    _watch: AbortOnDropHandle<()>,
}

struct State {
    /// `None` once the answer has ended.
    ongoing: Option<Ongoing>,
    /// Encoded messages that were not handed over yet.
    encoded: Bytes,
    /// The same from its first byte on, to know where messages begin.
    frame: Bytes,
    /// Since when the transport has held a part without asking for the next one.
    handed: Option<Instant>,
    /// What the client is still to be told.
    status: Option<Status>,
    reset: bool,
    waker: Option<Waker>,
}

impl Answer {
    /// The answer ends when the work does, with the status of `end` when that is done, or with ABORTED when the client takes
    /// nothing for the time of `stall`.
    pub fn new(ongoing: Ongoing, end: impl Future<Output = Status> + Send + 'static, stall: Option<Duration>) -> Self {
        let span = ongoing.call.span.clone();
        let state = State {
            ongoing: Some(ongoing),
            encoded: Bytes::new(),
            frame: Bytes::new(),
            handed: None,
            status: None,
            reset: false,
            waker: None,
        };
        let state = Arc::new(Mutex::new(state));
        let watched = state.clone();
        let watch = async move {
            let status = tokio::select! {
                status = end => status,
                status = stalled(&watched, stall) => status,
            };
            State::end(&watched, status);
        };
        Answer { state, _watch: AbortOnDropHandle::new(tokio::spawn(watch.instrument(span))) }
    }
}

/// Done once the transport has held a part for the time of `stall`.
async fn stalled(state: &Mutex<State>, stall: Option<Duration>) -> Status {
    let Some(stall) = stall else { return std::future::pending().await };
    loop {
        let handed = lock(state).handed;
        match handed {
            None => sleep(stall).await,
            Some(since) if since.elapsed() >= stall => {
                let seconds = stall.as_secs_f64();
                return Status::aborted(format!(
                    "the client took no answer for {seconds} s: open a stream again, and read answers while you send"
                ));
            }
            Some(since) => sleep_until(since + stall).await,
        }
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    /// Ends the work, unless it has ended.
    fn end(state: &Mutex<State>, status: Status) {
        let mut locked = lock(state);
        let Some(mut ongoing) = locked.ongoing.take() else { return };
        // A status of ours always fits into headers.
        let mut trailers = HeaderMap::new();
        let _ = status.add_header(&mut trailers);
        ongoing.call.see(&mut trailers);
        locked.status = Some(status);
        let left = locked.left_of_message();
        let frame = std::mem::take(&mut locked.frame);
        match left <= KEPT {
            // Copied, so that it does not hold the rest.
            true => locked.encoded = Bytes::copy_from_slice(&locked.encoded[..left]),
            false => (locked.encoded, locked.reset) = (Bytes::new(), true),
        }
        drop(frame);
        let waker = locked.waker.take();
        drop(locked);
        ongoing.outbox.taken();
        // Not under the lock: this ends the tasks of the articles under way.
        drop(ongoing);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// How much is left of the message that is on its way.
    fn left_of_message(&self) -> usize {
        let handed = self.frame.len() - self.encoded.len();
        let mut start = 0;
        while start < handed
            && let Some(prefix) = self.frame[start..].first_chunk::<PREFIX>()
        {
            start += PREFIX + u32::from_be_bytes([prefix[1], prefix[2], prefix[3], prefix[4]]) as usize;
        }
        start.min(self.frame.len()).saturating_sub(handed)
    }

    fn hand_over(&mut self) -> Frame<Bytes> {
        let part = self.encoded.split_to(self.encoded.len().min(PART));
        self.handed = Some(Instant::now());
        Frame::data(part)
    }
}

impl http_body::Body for Answer {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let mut locked = lock(&self.state);
        let state = &mut *locked;
        state.handed = None;
        if !state.encoded.is_empty() {
            return Poll::Ready(Some(Ok(state.hand_over())));
        }
        let Some(ongoing) = &mut state.ongoing else {
            return Poll::Ready(state.status.take().map(|status| match state.reset {
                // In the midst of a message no trailers can be understood.
                true => Err(status),
                false => {
                    let mut trailers = HeaderMap::new();
                    let _ = status.add_header(&mut trailers);
                    Ok(Frame::trailers(trailers))
                }
            }));
        };
        // All that was encoded before is with the transport.
        ongoing.outbox.taken();
        let span = ongoing.call.span.clone();
        let _inside = span.enter();
        match Pin::new(&mut ongoing.body).poll_frame(context) {
            Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                Ok(data) => {
                    (state.frame, state.encoded) = (data.clone(), data);
                    Poll::Ready(Some(Ok(state.hand_over())))
                }
                Err(mut frame) => {
                    if let Some(trailers) = frame.trailers_mut() {
                        ongoing.call.see(trailers);
                    }
                    Poll::Ready(Some(Ok(frame)))
                }
            },
            Poll::Ready(other) => Poll::Ready(other),
            Poll::Pending => {
                state.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        let state = lock(&self.state);
        let done = match &state.ongoing {
            Some(ongoing) => ongoing.body.is_end_stream(),
            None => state.status.is_none(),
        };
        done && state.encoded.is_empty()
    }
}
