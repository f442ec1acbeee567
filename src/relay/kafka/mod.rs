//! Apache Kafka: from topics to topics, exactly once.
//!
//! Messages are read in batches. The results of a batch and its offsets are committed in one transaction, so that for a reader of
//! committed messages each message has one result, whatever crashes (KIP-98, KIP-447). Relays of one consumer group share the
//! partitions.
//!
//! Kafka does not count deliveries. The first messages of a partition since it was assigned may be what crashed the relay that had it
//! before; they are treated as redelivered.

mod client;
mod events;
mod held;
mod publication;
mod session;
mod settings;
mod topics;

pub use settings::Settings;

use super::{
    backoff::BackOff,
    delivery::{Action, Delivery},
    error::{RelayError, cause},
    health::{Health, Need},
    labeller::Labeller,
    metrics::Metrics,
    worker::{CHUNK, CHUNK_BYTES, Worker},
};
use client::Client;
use futures_util::{FutureExt, future::Shared};
use held::Held;
use rdkafka::error::KafkaError;
use session::{Batch, Session};
use std::{
    fmt,
    future::Future,
    hash::{BuildHasher, RandomState},
    sync::Arc,
    time::Duration,
};

/// A message that caused an internal error is tried again after this time.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// A relay that is connected to a Kafka cluster.
pub struct Relay {
    settings: Arc<Settings>,
    client: Client,
    /// The same for all sessions: each one ends what is left of the one before.
    transactional_id: String,
    session: Option<Session>,
    health: Arc<Health>,
    metrics: Arc<Metrics>,
}

impl fmt::Display for Relay {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Settings { topics, group, relay, .. } = &*self.settings;
        write!(formatter, "topics {}, group {group}, to {}", topics.join(","), relay.publish)
    }
}

impl super::Relay for Relay {
    type Settings = Settings;

    /// Checks the names of topics, the file of the client's properties, and that the relay does not read what it publishes.
    async fn check(settings: &Settings) -> Result<(), RelayError> {
        topics::check(settings)?;
        Client::new(settings).map(drop)
    }

    async fn connect(settings: Settings, metrics: Arc<Metrics>) -> Result<Self, RelayError> {
        topics::check(&settings)?;
        let client = Client::new(&settings)?;
        Client::warn_of_readable_secrets(&settings);
        topics::provision(&client, &settings).await?;
        // Groups of other relays may use the same cluster.
        let transactional_id = format!("{}-{:016x}", settings.group, RandomState::new().hash_one(std::process::id()));
        let health = Arc::new(Health::new(metrics.clone()));
        let mut relay =
            Relay { settings: Arc::new(settings), client, transactional_id, session: None, health, metrics };
        let refused =
            |error: KafkaError| RelayError::Connect { broker: relay.settings.brokers.clone(), reason: cause(&error) };
        relay.session = Some(relay.open().await?.map_err(refused)?);
        relay.health.set(Need::Broker, true);
        Ok(relay)
    }

    fn health(&self) -> Arc<Health> {
        self.health.clone()
    }

    async fn run(self, labeller: Labeller, stop: impl Future<Output = ()>) -> Result<(), RelayError> {
        let worker = Worker::new(labeller, self.metrics.clone(), self.settings.relay.clone());
        let (drain, stop) = (self.settings.relay.drain, stop.shared());
        let drained = async {
            stop.clone().await;
            tracing::info!("drain started");
            tokio::time::sleep(drain).await;
        };
        let outcome = tokio::select! {
            outcome = self.relay_until(&worker, &stop) => outcome,
            () = drained => {
                tracing::warn!("drain timed out: unfinished messages will be delivered again");
                Ok(())
            }
        };
        tracing::info!("stopped");
        outcome
    }
}

impl Relay {
    /// Processes batches until `stop` completes. After an error, a new session goes on.
    async fn relay_until<F: Future<Output = ()>>(
        mut self,
        worker: &Worker,
        stop: &Shared<F>,
    ) -> Result<(), RelayError> {
        let mut back_off = BackOff::default();
        while stop.clone().now_or_never().is_none() {
            let opened = match self.session.take() {
                Some(session) => Ok(session),
                None => tokio::select! {
                    biased;
                    () = stop.clone() => return Ok(()),
                    opened = self.open() => opened?,
                },
            };
            let relayed = match opened {
                Ok(session) => self.relay_batch(session, worker).await?,
                Err(error) => Err(error),
            };
            match relayed {
                Ok(session) => {
                    self.session = Some(session);
                    back_off = BackOff::default();
                }
                Err(error) => {
                    self.metrics.retries.inc();
                    tracing::warn!(%error, "the session has ended, reading again from what was committed last");
                    tokio::select! {
                        () = stop.clone() => {}
                        () = back_off.wait() => {}
                    }
                }
            }
        }
        // Leaves the group, so that others take over at once.
        let session = self.session.take();
        blocking(move || drop(session)).await
    }

    async fn open(&self) -> Result<Result<Session, KafkaError>, RelayError> {
        let (client, settings) = (self.client.clone(), self.settings.clone());
        let (id, health, metrics) = (self.transactional_id.clone(), self.health.clone(), self.metrics.clone());
        blocking(move || Session::open(&client, &settings, &id, health, metrics)).await
    }

    /// Processes the next batch, if there is one. Returns the session, or why it has ended.
    async fn relay_batch(
        &self,
        mut session: Session,
        worker: &Worker,
    ) -> Result<Result<Session, KafkaError>, RelayError> {
        let next = blocking(move || session.next().map(|batch| (session, batch))).await?;
        let (session, Batch { messages, membership }) = match next {
            Ok((session, Some(batch))) => (session, batch),
            Ok((session, None)) => return Ok(Ok(session)),
            Err(error) => return Ok(Err(error)),
        };
        let wanted = messages.len();
        let bytes: usize = messages.iter().map(|held| held.payload().len()).sum();
        self.metrics.in_flight.set(wanted as i64);
        self.metrics.in_flight_bytes.set(bytes as i64);
        let decided = self.decide(messages, worker).await;
        let settings = self.settings.clone();
        let finish = move || {
            if decided.len() != wanted {
                tracing::error!("a panic has lost messages of a batch, which is not committed");
                return Err(KafkaError::Canceled);
            }
            session.finish(&settings, decided, &membership).map(|finished| (session, finished))
        };
        let finished = blocking(finish).await?;
        self.metrics.in_flight.set(0);
        self.metrics.in_flight_bytes.set(0);
        Ok(match finished {
            Ok((session, finished)) => {
                for (held, outcome) in finished {
                    self.metrics.count(outcome).inc();
                    self.metrics.whole.observe(held.since.elapsed().as_secs_f64());
                }
                self.health.set(Need::Outputs, true);
                Ok(session)
            }
            Err(error) => {
                self.health.set(Need::Outputs, false);
                Err(error)
            }
        })
    }

    /// Decides what becomes of messages, in their order. Those that cause internal errors are tried again.
    async fn decide(&self, messages: Vec<Held>, worker: &Worker) -> Vec<(Held, Action)> {
        let (mut decided, mut waiting) = (Vec::with_capacity(messages.len()), messages);
        loop {
            let mut failed = Vec::new();
            for chunk in chunks(waiting) {
                let Some(_permit) = worker.admit(&chunk).await else { return decided };
                let (redelivered, first) = chunk.into_iter().partition(|held| held.deliveries() > 1);
                let mut actions = worker.decide(first).await;
                actions.extend(worker.decide_isolated(redelivered).await);
                for (mut held, action) in actions {
                    if let Action::Redeliver(reason) = action {
                        tracing::warn!(message = held.place(), reason, "message will be tried again");
                        held.deliveries += 1;
                        failed.push(held);
                    } else {
                        decided.push((held, action));
                    }
                }
            }
            if failed.is_empty() {
                break;
            }
            self.metrics.retries.inc_by(failed.len() as u64);
            tokio::time::sleep(RETRY_DELAY).await;
            waiting = failed;
        }
        decided.sort_by(|(a, _), (b, _)| a.position().cmp(&b.position()));
        decided
    }
}

/// Messages in groups that are classified together.
fn chunks(messages: Vec<Held>) -> Vec<Vec<Held>> {
    let mut chunks: Vec<Vec<Held>> = Vec::new();
    let mut bytes = CHUNK_BYTES;
    for held in messages {
        let size = held.payload().len();
        match chunks.last_mut() {
            Some(chunk) if chunk.len() < CHUNK && bytes < CHUNK_BYTES => {
                bytes += size;
                chunk.push(held);
            }
            _ => {
                bytes = size;
                chunks.push(vec![held]);
            }
        }
    }
    chunks
}

/// Runs work that blocks.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, RelayError> {
    let ended = |_| RelayError::Setting("the work was cancelled".to_owned());
    tokio::task::spawn_blocking(work).await.map_err(ended)
}
