//! Timeouts for messages that stay incomplete.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};
use tokio::time::{Sleep, sleep};
use tonic::Status;

/// The maximum pause within a large message, which holds a part of the text budget.
const LARGE_MESSAGE_PAUSE: Duration = Duration::from_secs(10);

/// The timers of the current message.
pub struct MessageTimeouts {
    /// The maximum time from the first to the last byte of a message; unlimited if zero.
    message_time: Duration,
    message: Timer,
    pause: Timer,
}

/// A timer that starts when it is first polled.
type Timer = Option<Pin<Box<Sleep>>>;

impl MessageTimeouts {
    pub fn new(message_time: Duration) -> Self {
        MessageTimeouts { message_time, message: None, pause: None }
    }

    /// Restarts the timer of the whole message.
    pub fn reset_message(&mut self) {
        self.message = None;
    }

    /// Restarts the timer of the pause within a large message.
    pub fn reset_pause(&mut self) {
        self.pause = None;
    }

    /// Ready with ABORTED when the current message has taken too long, or when a large one has paused too long. Between
    /// messages no timer runs.
    pub fn poll_expired(&mut self, between_messages: bool, is_large: bool, context: &mut Context<'_>) -> Poll<Status> {
        if self.message_time.is_zero() || between_messages {
            self.reset_message();
            return Poll::Pending;
        }
        if is_large {
            let time = self.message_time.min(LARGE_MESSAGE_PAUSE);
            if poll_timer(&mut self.pause, time, context).is_ready() {
                return Poll::Ready(aborted("no data of an incomplete message for", time));
            }
        }
        poll_timer(&mut self.message, self.message_time, context)
            .map(|()| aborted("message still incomplete after", self.message_time))
    }
}

fn poll_timer(timer: &mut Timer, time: Duration, context: &mut Context<'_>) -> Poll<()> {
    timer.get_or_insert_with(|| Box::pin(sleep(time))).as_mut().poll(context)
}

fn aborted(what: &str, time: Duration) -> Status {
    Status::aborted(format!("{what} {} s: send it again on a new stream", time.as_secs_f64()))
}
