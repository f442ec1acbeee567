//! A worker on a message broker: reads articles, labels them, and publishes them.
//!
//! In: messages, each a JSON row or an item of ninjs, NewsML-G2 or NITF. Out: the same with labels, on a subject that may be made of
//! the labels. Messages that cannot be labelled are published as dead letters, with the reason. Several relays share the work.
//!
//! What is the same for all brokers is here: `worker` decides what becomes of a message. [`jetstream`] and `kafka` read messages, and
//! do what was decided.

mod backoff;
mod delivery;
mod error;
mod health;
mod isolation;
pub mod jetstream;
#[cfg(feature = "kafka")]
pub mod kafka;
mod labeller;
mod message;
mod metrics;
mod settings;
mod subject;
mod worker;

pub use error::{LabelError, RelayError};
pub use health::{Health, Need};
pub use labeller::Labeller;
pub use message::{Incoming, Outgoing};
pub use metrics::{MessageOutcome, Metrics};
pub use settings::Settings;
pub use subject::{Template, is_subject};

use std::{fmt::Display, future::Future, sync::Arc};

/// A relay that is connected to its broker. Displayed, it says what it reads and what it publishes to.
pub trait Relay: Display + Sized {
    /// Its settings.
    type Settings;

    /// Checks what can be checked without the broker.
    ///
    /// # Errors
    /// [`RelayError`].
    fn check(settings: &Self::Settings) -> impl Future<Output = Result<(), RelayError>>;

    /// Connects to the broker; finds, or creates, what the relay reads from and publishes to.
    ///
    /// # Errors
    /// [`RelayError`].
    fn connect(settings: Self::Settings, metrics: Arc<Metrics>) -> impl Future<Output = Result<Self, RelayError>>;

    /// What the relay needs, and whether it is there.
    fn health(&self) -> Arc<Health>;

    /// Processes messages until `stop` completes, and then finishes what it holds, within the drain time.
    ///
    /// # Errors
    /// [`RelayError`], if the relay cannot go on.
    fn run(self, labeller: Labeller, stop: impl Future<Output = ()>) -> impl Future<Output = Result<(), RelayError>>;
}
