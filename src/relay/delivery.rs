//! What brokers deliver, and what becomes of it.

use super::{message::Outgoing, metrics::MessageOutcome};

/// A message that a broker has delivered. It is finished when the broker has what it was made into; if it is dropped before, the
/// broker delivers it again.
pub trait Delivery: Send + 'static {
    /// The bytes of the message.
    fn payload(&self) -> &[u8];

    /// Where the broker keeps the message, such as `STREAM:SEQUENCE`: the same at each delivery, and another one for each message.
    fn place(&self) -> &str;

    /// How often the message was delivered, this time included, as far as is known. More than once, it may have crashed the relay
    /// that had it.
    fn deliveries(&self) -> u32;

    /// Whether it was published by a relay that shares the work of this one.
    fn is_own(&self) -> bool;
}

/// What to do with a message.
pub enum Action {
    /// Publish it, and count it with this outcome.
    Publish(Outgoing, MessageOutcome),
    /// Publish it as a dead letter, with this reason.
    DeadLetter(String),
    /// Try again after a while, for this reason.
    Redeliver(String),
    /// Drop it, for this reason.
    Drop(String),
}

impl Action {
    /// After an internal error: try again until the message has been delivered `max_deliver` times.
    pub fn after_error(delivery: &impl Delivery, reason: String, max_deliver: u32) -> Action {
        match delivery.deliveries() >= max_deliver {
            true => Action::DeadLetter(reason),
            false => Action::Redeliver(reason),
        }
    }
}
