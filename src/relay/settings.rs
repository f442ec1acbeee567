//! The settings that relays of all brokers have.

use super::subject::Template;
use std::time::Duration;

/// The settings of a relay.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The subject of labelled articles.
    pub publish: Template,
    /// The subject of dead letters: messages that cannot be labelled.
    pub dead_letter: String,
    /// A message that causes an internal error becomes a dead letter after this number of deliveries.
    pub max_deliver: u32,
    /// The most unfinished messages.
    pub in_flight: usize,
    /// The most bytes of unfinished messages. One message of the largest size that the broker accepts always fits.
    pub in_flight_bytes: usize,
    /// The number of recent articles among which near-copies of each one are looked for; `None` to look for none.
    pub copies: Option<usize>,
    /// The longest time to finish messages in after a request to stop.
    pub drain: Duration,
}
