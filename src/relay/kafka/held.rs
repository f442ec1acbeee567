//! A message that a relay of Kafka has read, and not committed yet.

use crate::relay::{delivery::Delivery, message::PUBLISHED_BY, metrics::Metrics};
use rdkafka::{
    Message,
    message::{BorrowedMessage, Headers, OwnedMessage},
};
use std::{sync::Arc, time::Instant};

/// A message that is not finished.
pub struct Held {
    pub message: OwnedMessage,
    place: String,
    /// One more than the times that it failed in this session; at least two if another relay may have had it before.
    pub deliveries: u32,
    pub since: Instant,
    group: Arc<str>,
    metrics: Arc<Metrics>,
}

impl Held {
    /// A message for a relay of `group`.
    pub fn new(
        message: &BorrowedMessage<'_>,
        may_be_redelivered: bool,
        group: Arc<str>,
        metrics: Arc<Metrics>,
    ) -> Self {
        let place = format!("{}:{}:{}", message.topic(), message.partition(), message.offset());
        let deliveries = 1 + u32::from(may_be_redelivered);
        let held = Held { message: message.detach(), place, deliveries, since: Instant::now(), group, metrics };
        held.metrics.in_flight.inc();
        held.metrics.in_flight_bytes.inc_by(held.bytes() as i64);
        held
    }

    /// Its payload, key and headers, in bytes.
    pub fn bytes(&self) -> usize {
        let headers = self.message.headers().into_iter().flat_map(Headers::iter);
        let of_headers: usize = headers.map(|header| header.key.len() + header.value.map_or(0, <[u8]>::len)).sum();
        self.payload().len() + self.message.key().map_or(0, <[u8]>::len) + of_headers
    }

    /// Its topic and partition, and its offset in them.
    pub fn position(&self) -> ((&str, i32), i64) {
        ((self.message.topic(), self.message.partition()), self.message.offset())
    }
}

impl Delivery for Held {
    fn payload(&self) -> &[u8] {
        self.message.payload().unwrap_or_default()
    }

    /// `TOPIC:PARTITION:OFFSET`.
    fn place(&self) -> &str {
        &self.place
    }

    fn deliveries(&self) -> u32 {
        self.deliveries
    }

    fn is_own(&self) -> bool {
        let headers = self.message.headers().into_iter().flat_map(Headers::iter);
        headers.filter(|header| header.key == PUBLISHED_BY).any(|header| header.value == Some(self.group.as_bytes()))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.metrics.in_flight.dec();
        self.metrics.in_flight_bytes.dec_by(self.bytes() as i64);
    }
}
