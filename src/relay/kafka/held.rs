//! A message that a relay of Kafka has read, and not committed yet.

use crate::relay::{delivery::Delivery, message::PUBLISHED_BY};
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
}

impl Held {
    /// A message for a relay of `group`.
    pub fn new(message: &BorrowedMessage<'_>, may_be_redelivered: bool, group: Arc<str>) -> Self {
        let place = format!("{}:{}:{}", message.topic(), message.partition(), message.offset());
        let deliveries = 1 + u32::from(may_be_redelivered);
        Held { message: message.detach(), place, deliveries, since: Instant::now(), group }
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
