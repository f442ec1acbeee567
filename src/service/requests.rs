//! The requests of a stream, and when a stream ends that its client has not ended.

use super::incoming::Incoming;
use crate::wire::proto::dateline::v1 as pb;
use futures_util::{Stream, StreamExt};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tonic::{Status, Streaming};

/// Once the server drains, a stream whose client pauses for this time has sent all that it had to send.
const PAUSE: Duration = Duration::from_millis(100);

/// When streams end though their clients have not ended them.
#[derive(Clone)]
pub struct StreamEnd {
    /// Turns true once: the server drains.
    pub draining: watch::Receiver<bool>,
    /// How long open streams may go on reading what keeps coming, once their end has come.
    pub read_on: Duration,
    /// How old a connection may get; for ever, if zero.
    pub connection_age: Duration,
    /// How long a stream may bring no article; for ever, if zero.
    pub idle: Duration,
}

/// The requests of a stream until the client ends it. Once the server drains or the connection is old, until the client
/// pauses or the time for reading on is over; then an error is the last item: what was read is answered before it, and the
/// client knows that the rest was not.
pub fn requests(
    input: Streaming<pb::ClassifyRequest>,
    incoming: Incoming,
    end: StreamEnd,
    accepted: Option<tokio::time::Instant>,
) -> impl Stream<Item = Result<pb::ClassifyRequest, Status>> + Send {
    struct Reading {
        input: Streaming<pb::ClassifyRequest>,
        incoming: Incoming,
        end: StreamEnd,
        /// When the connection is old.
        old: Option<tokio::time::Instant>,
        until: Option<Instant>,
        over: bool,
    }
    let old = accepted.filter(|_| !end.connection_age.is_zero()).map(|accepted| accepted + end.connection_age);
    let reading = Reading { input, incoming, end, old, until: None, over: false };
    futures_util::stream::unfold(reading, async |mut reading| {
        if reading.over {
            return None;
        }
        let next = loop {
            let Some(until) = reading.until else {
                let StreamEnd { draining, read_on, idle, .. } = &mut reading.end;
                tokio::select! {
                    // First, for a client that is faster than the server has always sent more already.
                    biased;
                    // An error means that the server is gone, and this stream with it.
                    _ = draining.wait_for(|draining| *draining) => reading.until = Some(Instant::now() + *read_on),
                    () = sleep_until(reading.old) => reading.until = Some(Instant::now() + *read_on),
                    next = reading.input.next() => break Ok(next),
                    // A message of the client's that waits for room has come.
                    () = sleep(*idle), if !reading.incoming.is_waiting() => break Err("no article has come for long: open a stream again when there is one"),
                }
                continue;
            };
            let left = until.saturating_duration_since(Instant::now()).min(PAUSE);
            let waits = reading.incoming.is_waiting() && !left.is_zero();
            break match tokio::time::timeout(left, reading.input.next()).await {
                // The client has ended it, however late that is seen.
                Ok(None) => Ok(None),
                Ok(next) if !left.is_zero() => Ok(next),
                // It pauses for the server's sake.
                Err(_) if waits => continue,
                _ if reading.old.is_some_and(|old| old <= tokio::time::Instant::now()) => {
                    Err("the connection is old: send again, on another, what was not answered")
                }
                _ => Err("the server is about to stop: send again, to another, what was not answered"),
            };
        };
        match next {
            Ok(next) => next.map(|next| (next, reading)),
            Err(reason) => {
                reading.over = true;
                Some((Err(Status::unavailable(reason)), reading))
            }
        }
    })
}

/// Done at a time; never, without one.
async fn sleep_until(time: Option<tokio::time::Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}

/// Done after a time; never, if it is zero.
async fn sleep(time: Duration) {
    match time.is_zero() {
        true => std::future::pending().await,
        false => tokio::time::sleep(time).await,
    }
}
