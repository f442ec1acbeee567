//! The messages that a relay has not finished: kept alive by progress acknowledgements, and counted.

use crate::relay::{delivery::Delivery, message::PUBLISHED_BY, metrics::Metrics};
use async_nats::jetstream::{self, AckKind, message::Acker};
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::sync::OwnedSemaphorePermit;

/// The messages that are not finished.
pub struct Tracker {
    metrics: Arc<Metrics>,
    durable: String,
    ack_wait: Duration,
    unfinished: Mutex<HashMap<u64, Arc<Acker>>>,
    next_key: AtomicU64,
}

/// A message that is not finished. Dropped without an acknowledgement, it is redelivered.
pub struct Held {
    tracker: Arc<Tracker>,
    key: u64,
    pub(super) message: async_nats::Message,
    pub(super) acker: Arc<Acker>,
    place: String,
    pub(super) id: String,
    sequence: u64,
    deliveries: u32,
    pub(super) since: Instant,
    _permit: Permit,
}

/// Permission to hold one message: by number and by size.
pub struct Permit {
    /// One of the messages that may be unfinished.
    pub _message: OwnedSemaphorePermit,
    /// The KiB of the message, of those that may be unfinished.
    pub _kib: Option<OwnedSemaphorePermit>,
}

impl Tracker {
    /// A tracker without messages, for the durable consumer of this name.
    pub fn new(metrics: Arc<Metrics>, durable: String, ack_wait: Duration) -> Self {
        let (unfinished, next_key) = (Mutex::default(), AtomicU64::default());
        Tracker { metrics, durable, ack_wait, unfinished, next_key }
    }

    /// Tracks a message; `None` if it does not come from a stream.
    pub fn track(self: &Arc<Self>, message: jetstream::Message, permit: Permit) -> Option<Held> {
        let info = message.info().ok()?;
        let place = format!("{}:{}", info.stream, info.stream_sequence);
        // The durable name distinguishes it from the same message published by another relay, the time from a message of an earlier stream
        // of the same name.
        let id = format!("{}:{place}:{}", self.durable, info.published.unix_timestamp_nanos());
        let (sequence, deliveries) = (info.stream_sequence, u32::try_from(info.delivered).unwrap_or(u32::MAX));
        if deliveries > 1 {
            self.metrics.redelivered.inc();
        }
        let (message, acker) = message.split();
        let acker = Arc::new(acker);
        let key = self.next_key.fetch_add(1, Ordering::Relaxed);
        self.unfinished.lock().unwrap_or_else(PoisonError::into_inner).insert(key, acker.clone());
        self.metrics.in_flight.inc();
        self.metrics.in_flight_bytes.inc_by(size_of(&message));
        let (tracker, since) = (self.clone(), Instant::now());
        Some(Held { tracker, key, message, acker, place, id, sequence, deliveries, since, _permit: permit })
    }

    /// Sends progress acknowledgements for all unfinished messages, without end.
    pub async fn acknowledge_progress(self: Arc<Self>) {
        loop {
            tokio::time::sleep(self.ack_wait / 3).await;
            let unfinished: Vec<Arc<Acker>> =
                self.unfinished.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
            for acker in unfinished {
                // If this one is lost, the message is redelivered, and the broker drops its second publication.
                let _ = acker.ack_with(AckKind::Progress).await;
            }
        }
    }
}

impl Held {
    /// Whether the message was delivered before.
    pub fn is_redelivered(&self) -> bool {
        self.deliveries > 1
    }

    /// The message's sequence number in its stream.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }
}

impl Delivery for Held {
    fn payload(&self) -> &[u8] {
        &self.message.payload
    }

    /// `STREAM:SEQUENCE`.
    fn place(&self) -> &str {
        &self.place
    }

    fn deliveries(&self) -> u32 {
        self.deliveries
    }

    fn is_own(&self) -> bool {
        let headers = self.message.headers.as_ref();
        let relay = headers.and_then(|headers| headers.get(PUBLISHED_BY));
        relay.is_some_and(|relay| relay.as_str() == self.tracker.durable)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.tracker.unfinished.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
        self.tracker.metrics.in_flight.dec();
        self.tracker.metrics.in_flight_bytes.dec_by(size_of(&self.message));
    }
}

fn size_of(message: &async_nats::Message) -> i64 {
    i64::try_from(message.length).unwrap_or(i64::MAX)
}
