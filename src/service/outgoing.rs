//! Response bodies: hand answers to the transport in small parts, and end on time even if the client does not read.
//!
//! The transport asks for the next part only when the client has room for the last one, so that it never polls the body for a
//! client that does not read. A separate task therefore watches deadline, drain and stall. It ends the work, frees its
//! permits, and leaves the status for the time when the client reads again.

use super::{
    admission::Outbox,
    call_record::CallRecord,
    calls::CallPlace,
    connection::OpenCall,
    framing::{PREFIX_BYTES, Prefix},
};
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

/// The maximum size of a part, in bytes. A client that takes less than this within the stall timeout stalls.
const PART_BYTES: usize = 16 << 10;
/// The maximum rest of a message, in bytes, that is still sent when the response ends early: a client understands no status
/// within a message. If more is left, the stream is reset.
const MAX_REST_BYTES: usize = 64 << 10;

/// A response whose body has begun.
pub struct OpenResponse {
    pub body: Body,
    pub record: CallRecord,
    pub outbox: Outbox,
    /// The place of the call, and its count on the connection; dropped with the call.
    pub _open: (CallPlace, Option<OpenCall>),
}

/// A response body.
pub struct ResponseBody {
    state: Arc<Mutex<State>>,
    _watch: AbortOnDropHandle<()>,
}

struct State {
    /// `None` once the response has ended early.
    response: Option<OpenResponse>,
    /// The part of `frame` that is not handed over yet.
    unsent: Bytes,
    /// The last frame of encoded messages, from its first byte, to find the boundaries of messages.
    frame: Bytes,
    /// Since when the transport has held a part without asking for the next one.
    handed_over: Option<Instant>,
    /// The final status of a response that ended early, until it is sent.
    status: Option<Status>,
    /// Whether to reset the stream instead of sending the status.
    reset: bool,
    waker: Option<Waker>,
}

impl ResponseBody {
    /// The body ends with the response, with the status of `end` when that completes, or with ABORTED if the client takes
    /// nothing for the time of `stall`.
    pub fn new(
        response: OpenResponse,
        end: impl Future<Output = Status> + Send + 'static,
        stall: Option<Duration>,
    ) -> Self {
        let span = response.record.span.clone();
        let state = State {
            response: Some(response),
            unsent: Bytes::new(),
            frame: Bytes::new(),
            handed_over: None,
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
        ResponseBody { state, _watch: AbortOnDropHandle::new(tokio::spawn(watch.instrument(span))) }
    }
}

/// Completes once the transport has held a part for the time of `stall`.
async fn stalled(state: &Mutex<State>, stall: Option<Duration>) -> Status {
    let Some(stall) = stall else { return std::future::pending().await };
    loop {
        let handed_over = lock(state).handed_over;
        match handed_over {
            None => sleep(stall).await,
            Some(since) if since.elapsed() >= stall => {
                let seconds = stall.as_secs_f64();
                return Status::aborted(format!(
                    "the client read no answers for {seconds} s: open a new stream and read answers while sending"
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
    /// Ends the response early, unless it has ended.
    fn end(state: &Mutex<State>, status: Status) {
        let mut locked = lock(state);
        let Some(mut response) = locked.response.take() else { return };
        // Never fails: a status of this server is valid in headers.
        let mut trailers = HeaderMap::new();
        let _ = status.add_header(&mut trailers);
        response.record.observe(&mut trailers);
        locked.status = Some(status);
        let rest = locked.rest_of_message();
        let frame = std::mem::take(&mut locked.frame);
        match rest <= MAX_REST_BYTES {
            // Copied, so that the memory of the frame is freed.
            true => locked.unsent = Bytes::copy_from_slice(&locked.unsent[..rest]),
            false => (locked.unsent, locked.reset) = (Bytes::new(), true),
        }
        drop(frame);
        let waker = locked.waker.take();
        drop(locked);
        response.outbox.release();
        // Without the lock: this drops the tasks of articles in process.
        drop(response);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// The number of bytes that are left of the message that is partly handed over.
    fn rest_of_message(&self) -> usize {
        let handed_over = self.frame.len() - self.unsent.len();
        let mut start = 0;
        while start < handed_over
            && let Some(prefix) = self.frame[start..].first_chunk()
        {
            start += PREFIX_BYTES + Prefix::parse(prefix).length;
        }
        start.min(self.frame.len()).saturating_sub(handed_over)
    }

    /// The next part for the transport.
    fn hand_over(&mut self) -> Frame<Bytes> {
        let part = self.unsent.split_to(self.unsent.len().min(PART_BYTES));
        self.handed_over = Some(Instant::now());
        Frame::data(part)
    }

    /// The end of a response that ended early: its status, once.
    fn take_end(&mut self) -> Option<Result<Frame<Bytes>, Status>> {
        self.status.take().map(|status| match self.reset {
            // Within a message, a client understands no trailers.
            true => Err(status),
            false => {
                let mut trailers = HeaderMap::new();
                let _ = status.add_header(&mut trailers);
                Ok(Frame::trailers(trailers))
            }
        })
    }
}

impl http_body::Body for ResponseBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let mut locked = lock(&self.state);
        let state = &mut *locked;
        state.handed_over = None;
        if !state.unsent.is_empty() {
            return Poll::Ready(Some(Ok(state.hand_over())));
        }
        let Some(response) = &mut state.response else { return Poll::Ready(state.take_end()) };
        // The transport has taken all earlier answers.
        response.outbox.release();
        let span = response.record.span.clone();
        let _entered = span.enter();
        match Pin::new(&mut response.body).poll_frame(context) {
            Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                Ok(data) => {
                    (state.frame, state.unsent) = (data.clone(), data);
                    Poll::Ready(Some(Ok(state.hand_over())))
                }
                Err(mut frame) => {
                    if let Some(trailers) = frame.trailers_mut() {
                        response.record.observe(trailers);
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
        let ended = match &state.response {
            Some(response) => response.body.is_end_stream(),
            None => state.status.is_none(),
        };
        ended && state.unsent.is_empty()
    }
}
