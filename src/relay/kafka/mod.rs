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
use futures_util::{
    FutureExt,
    future::{Shared, join_all},
};
use held::Held;
use rdkafka::{
    consumer::ConsumerGroupMetadata,
    error::{KafkaError, KafkaResult},
};
use session::{Batch, Publisher, Reader};
use std::{
    fmt,
    future::Future,
    hash::{BuildHasher, RandomState},
    sync::Arc,
    time::Duration,
};

/// A message that caused an internal error is tried again after this time.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// A batch that was decided about and is not published yet.
struct Decided {
    messages: Vec<(Held, Action)>,
    membership: ConsumerGroupMetadata,
}

/// A relay that is connected to a Kafka cluster.
pub struct Relay {
    settings: Arc<Settings>,
    client: Client,
    /// The same for all sessions: each one ends what is left of the one before.
    transactional_id: String,
    session: Option<(Reader, Publisher)>,
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
        relay.session = Some(relay.open().await.map_err(refused)?);
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
        tokio::select! {
            () = self.relay_until(&worker, &stop) => {}
            () = drained => tracing::warn!("drain timed out: unfinished messages will be delivered again"),
        }
        tracing::info!("stopped");
        Ok(())
    }
}

impl Relay {
    /// Processes batches until `stop` completes. After an error, a new session goes on.
    async fn relay_until<F: Future<Output = ()>>(mut self, worker: &Worker, stop: &Shared<F>) {
        let mut back_off = BackOff::default();
        while stop.clone().now_or_never().is_none() {
            let opened = match self.session.take() {
                Some(session) => Ok(session),
                None => tokio::select! {
                    biased;
                    () = stop.clone() => return,
                    opened = self.open() => opened,
                },
            };
            let ended = match opened {
                Ok(session) => self.relay_session(session, worker, stop, &mut back_off).await,
                Err(error) => Err(error),
            };
            if let Err(error) = ended {
                self.metrics.retries.inc();
                tracing::warn!(%error, "the session has ended, reading again from what was committed last");
                tokio::select! {
                    () = stop.clone() => {}
                    () = back_off.wait() => {}
                }
            }
        }
    }

    async fn open(&self) -> KafkaResult<(Reader, Publisher)> {
        let (client, settings) = (self.client.clone(), self.settings.clone());
        let (id, health, metrics) = (self.transactional_id.clone(), self.health.clone(), self.metrics.clone());
        blocking(move || session::open(&client, settings, &id, health, metrics)).await
    }

    /// Processes batches until `stop` completes: publishes each one while it decides about the next.
    ///
    /// # Errors
    /// What ended the session. Batches that were not published are read again.
    async fn relay_session<F: Future<Output = ()>>(
        &self,
        (mut reader, publisher): (Reader, Publisher),
        worker: &Worker,
        stop: &Shared<F>,
        back_off: &mut BackOff,
    ) -> KafkaResult<()> {
        let publisher = Arc::new(publisher);
        let mut decided = None;
        loop {
            let is_stopped = stop.clone().now_or_never().is_some();
            let published = async {
                match decided.take() {
                    Some(batch) => self.publish(publisher.clone(), batch).await,
                    None => Ok(()),
                }
            };
            let next = async {
                match is_stopped {
                    true => Ok((reader, None)),
                    false => self.next(reader, worker).await,
                }
            };
            let (published, next) = tokio::join!(published, next);
            (reader, decided) = match next {
                Ok(next) => next,
                Err(error) => {
                    return blocking(move || {
                        drop(publisher);
                        Err(error)
                    })
                    .await;
                }
            };
            if published.is_err() || (is_stopped && decided.is_none()) {
                // Leaves the group, so that others take over at once.
                return blocking(move || {
                    drop((reader, publisher));
                    published
                })
                .await;
            }
            *back_off = BackOff::default();
        }
    }

    /// Reads the next batch, if there is one, and decides about its messages.
    async fn next(&self, mut reader: Reader, worker: &Worker) -> KafkaResult<(Reader, Option<Decided>)> {
        let next = blocking(move || reader.next().map(|batch| (reader, batch))).await?;
        let (reader, Some(Batch { messages, membership })) = next else { return Ok((next.0, None)) };
        let wanted = messages.len();
        let messages = self.decide(messages, worker).await;
        if messages.len() != wanted {
            tracing::error!("a panic has lost messages of a batch, which is not committed");
            return Err(KafkaError::Canceled);
        }
        Ok((reader, Some(Decided { messages, membership })))
    }

    async fn publish(&self, publisher: Arc<Publisher>, batch: Decided) -> KafkaResult<()> {
        let finished = blocking(move || publisher.finish(batch.messages, &batch.membership)).await;
        self.health.set(Need::Outputs, finished.is_ok());
        for (held, outcome) in finished? {
            self.metrics.count(outcome).inc();
            self.metrics.whole.observe(held.since.elapsed().as_secs_f64());
        }
        Ok(())
    }

    /// Decides what becomes of messages, in their order. Those that cause internal errors are tried again.
    async fn decide(&self, messages: Vec<Held>, worker: &Worker) -> Vec<(Held, Action)> {
        let (mut decided, mut waiting) = (Vec::with_capacity(messages.len()), messages);
        loop {
            let mut failed = Vec::new();
            let actions = join_all(chunks(waiting).into_iter().map(|chunk| decide_chunk(chunk, worker))).await;
            for (mut held, action) in actions.into_iter().flatten() {
                if let Action::Redeliver(reason) = action {
                    tracing::warn!(message = held.place(), reason, "message will be tried again");
                    held.deliveries += 1;
                    failed.push(held);
                } else {
                    decided.push((held, action));
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

async fn decide_chunk(chunk: Vec<Held>, worker: &Worker) -> Vec<(Held, Action)> {
    let Some(_permit) = worker.admit(&chunk).await else { return Vec::new() };
    let (redelivered, first) = chunk.into_iter().partition(|held| held.deliveries() > 1);
    let mut actions = worker.decide(first).await;
    actions.extend(worker.decide_isolated(redelivered).await);
    actions
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
///
/// # Errors
/// Those of the work; [`KafkaError::Canceled`] if it panics.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> KafkaResult<T> + Send + 'static) -> KafkaResult<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or(Err(KafkaError::Canceled))
}
