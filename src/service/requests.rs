//! Reads the requests of a stream, and decides when the server ends a stream that its client keeps open.

use super::incoming::RequestQueue;
use crate::wire::proto::dateline::v1 as pb;
use futures_util::{Stream, StreamExt};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tonic::{Status, Streaming};

/// A closing stream ends when its client pauses for this time: the client has sent all that it had to send.
const CLOSING_PAUSE: Duration = Duration::from_millis(100);

/// When the server ends a stream.
#[derive(Clone)]
pub struct StreamLimits {
    /// Turns true once, when the server drains.
    pub draining: watch::Receiver<bool>,
    /// The maximum time for which a closing stream still reads requests.
    pub closing_time: Duration,
    /// The maximum age of a connection; unlimited if zero.
    pub connection_age: Duration,
    /// The maximum time without an article; unlimited if zero.
    pub idle: Duration,
}

/// The requests of a stream until its client ends it.
///
/// When the server drains or the connection reaches its maximum age, the stream is closing: it reads on until the client
/// pauses or [`StreamLimits::closing_time`] is over. Its last item is then UNAVAILABLE. The requests before it are answered;
/// the client knows that later ones are not.
pub fn requests(
    input: Streaming<pb::ClassifyRequest>,
    queue: RequestQueue,
    limits: StreamLimits,
    accepted: Option<tokio::time::Instant>,
) -> impl Stream<Item = Result<pb::ClassifyRequest, Status>> + Send {
    let max_age =
        accepted.filter(|_| !limits.connection_age.is_zero()).map(|accepted| accepted + limits.connection_age);
    let reader = StreamReader { input, queue, limits, max_age, close_by: None, ended: false };
    futures_util::stream::unfold(reader, async |mut reader| {
        if reader.ended {
            return None;
        }
        match reader.next().await {
            Ok(next) => next.map(|next| (next, reader)),
            Err(reason) => {
                reader.ended = true;
                Some((Err(Status::unavailable(reason)), reader))
            }
        }
    })
}

struct StreamReader {
    input: Streaming<pb::ClassifyRequest>,
    queue: RequestQueue,
    limits: StreamLimits,
    /// When the connection reaches its maximum age.
    max_age: Option<tokio::time::Instant>,
    /// When a closing stream ends at the latest; `None` while the stream is open.
    close_by: Option<Instant>,
    ended: bool,
}

impl StreamReader {
    /// The next request, or `None` if the client ended the stream. The error is the reason why the server ends it.
    async fn next(&mut self) -> Result<Option<Result<pb::ClassifyRequest, Status>>, &'static str> {
        let close_by = match self.close_by {
            Some(close_by) => close_by,
            None => {
                let idle = self.limits.idle;
                tokio::select! {
                    // In this order: the requests of a fast client are always ready.
                    biased;
                    // An error means that the server, and with it this stream, is gone.
                    _ = self.limits.draining.wait_for(|draining| *draining) => {}
                    () = sleep_until(self.max_age) => {}
                    next = self.input.next() => return Ok(next),
                    // While a message waits for its permit, the stream is not idle.
                    () = sleep(idle), if !self.queue.is_waiting() => {
                        return Err("no article within the idle timeout: open a new stream for the next one");
                    }
                }
                *self.close_by.insert(Instant::now() + self.limits.closing_time)
            }
        };
        self.next_while_closing(close_by).await
    }

    /// As [`StreamReader::next`], for a closing stream.
    async fn next_while_closing(
        &mut self,
        close_by: Instant,
    ) -> Result<Option<Result<pb::ClassifyRequest, Status>>, &'static str> {
        loop {
            let left = close_by.saturating_duration_since(Instant::now()).min(CLOSING_PAUSE);
            let is_waiting = self.queue.is_waiting() && !left.is_zero();
            return match tokio::time::timeout(left, self.input.next()).await {
                // The client ended the stream, even if that is seen late.
                Ok(None) => Ok(None),
                Ok(next) if !left.is_zero() => Ok(next),
                // The client does not pause: its message waits for a permit.
                Err(_) if is_waiting => continue,
                _ if self.max_age.is_some_and(|max_age| max_age <= tokio::time::Instant::now()) => {
                    Err("the connection reached its maximum age: resend unanswered articles on a new connection")
                }
                _ => Err("the server is shutting down: resend unanswered articles to another server"),
            };
        }
    }
}

/// Completes at a time; never if there is none.
async fn sleep_until(time: Option<tokio::time::Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}

/// Completes after a duration; never if it is zero.
async fn sleep(time: Duration) {
    match time.is_zero() {
        true => std::future::pending().await,
        false => tokio::time::sleep(time).await,
    }
}
