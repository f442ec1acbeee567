//! NATS JetStream: from a durable pull consumer to streams.
//!
//! Delivery is at least once: a message is acknowledged after the broker has acknowledged its publication. Publications carry an id
//! made of the message's place in its stream, by which the broker drops duplicates. Relays with the same durable consumer share the
//! work.
//!
//! The main loop pulls messages from the consumer and gives them to the worker, until it is asked to stop. If the consumer or a stream
//! is missing, it sets them up again, or ends.

mod budget;
mod connect;
mod provision;
mod publisher;
mod settings;
mod tracking;

pub use settings::{NewStreams, Settings};

use super::{
    backoff::BackOff,
    error::RelayError,
    health::{Health, Need},
    labeller::Labeller,
    metrics::Metrics,
    worker::{CHUNK, CHUNK_BYTES, Worker},
};
use async_nats::{
    Client,
    jetstream::{
        self, Context,
        consumer::{
            PullConsumer,
            pull::{Batch, BatchError},
        },
        context::{ConsumerInfoErrorKind, ContextBuilder},
    },
};
use budget::{Allowance, Budget};
use connect::connect;
use futures_util::{FutureExt, future::Shared};
use provision::{check_subjects, create_streams, provision};
use publisher::Publisher;
use std::{fmt, future::Future, sync::Arc, time::Duration};
use tokio::task::JoinSet;
use tokio_stream::StreamExt;
use tracking::{Held, Tracker};

/// How long a pull waits for messages; a relay that is asked to stop waits for its last pull.
const PULL_EXPIRES: Duration = Duration::from_secs(2);
/// The interval between looks at the consumer.
const LOOK_INTERVAL: Duration = Duration::from_secs(2);
/// Bytes that the broker counts beside payload and headers: the subjects of a message.
const SUBJECT_BYTES: usize = 4 << 10;

/// A relay that is connected to its broker.
pub struct Relay {
    settings: Settings,
    client: Client,
    context: Context,
    consumer: PullConsumer,
    health: Arc<Health>,
    metrics: Arc<Metrics>,
}

impl fmt::Display for Relay {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Settings { stream, durable, relay, .. } = &self.settings;
        write!(formatter, "stream {stream}, consumer {durable}, to {}", relay.publish)
    }
}

impl super::Relay for Relay {
    type Settings = Settings;

    /// Checks addresses, files, and that the relay does not read what it publishes.
    async fn check(settings: &Settings) -> Result<(), RelayError> {
        check_subjects(settings)?;
        connect::check(settings).await
    }

    async fn connect(settings: Settings, metrics: Arc<Metrics>) -> Result<Self, RelayError> {
        Self::check(&settings).await?;
        let health = Arc::new(Health::new(metrics.clone()));
        let client = connect(&settings, health.clone()).await?;
        // The event of the connection may come later.
        health.set(Need::Broker, true);
        // Each message waits for the acknowledgement of its publication and then of its own.
        let context =
            ContextBuilder::new().max_ack_inflight(4 * settings.relay.in_flight.max(CHUNK)).build(client.clone());
        let consumer = provision(&context, &settings).await?;
        Ok(Relay { settings, client, context, consumer, health, metrics })
    }

    fn health(&self) -> Arc<Health> {
        self.health.clone()
    }

    /// A consumer or stream that goes missing is created again with [`Settings::create`].
    ///
    /// # Errors
    /// [`RelayError::Missing`] if the consumer or its stream is missing, and is not to be created.
    async fn run(self, labeller: Labeller, stop: impl Future<Output = ()>) -> Result<(), RelayError> {
        let Relay { settings, client, context, consumer, health, metrics } = self;
        let relay = settings.relay.clone();
        let (in_flight, in_flight_bytes, drain) = (relay.in_flight, relay.in_flight_bytes, relay.drain);
        // An existing consumer may have another wait than the settings.
        let ack_wait = settings.ack_wait.min(consumer.cached_info().config.ack_wait);
        let look = tokio::spawn(look(consumer.clone(), metrics.clone(), health.clone()));
        let tracker = Arc::new(Tracker::new(metrics.clone(), settings.durable.clone(), ack_wait));
        let progress = tokio::spawn(tracker.clone().acknowledge_progress());
        let publisher = Publisher::new(context.clone(), metrics.clone(), health.clone(), &settings);
        let processor = Arc::new(Processor { worker: Worker::new(labeller, metrics, relay), publisher });
        let restore = tokio::spawn(restore_outputs(context.clone(), settings.clone(), health.clone()));
        let mut puller = Puller {
            processor,
            tracker,
            consumer,
            budget: Budget::new(in_flight, in_flight_bytes, client.max_payload() + SUBJECT_BYTES),
            client,
            context,
            settings,
            health,
            tasks: JoinSet::new(),
            back_off: BackOff::default(),
        };
        let outcome = puller.pull_until(&stop.shared()).await;
        let client = puller.client.clone();
        puller.drain(drain).await;
        for task in [look, progress, restore] {
            task.abort();
        }
        // Acknowledgements may still be buffered.
        let _ = tokio::time::timeout(PULL_EXPIRES, client.flush()).await;
        tracing::info!("stopped");
        outcome
    }
}

/// Decides what becomes of messages, and does it.
struct Processor {
    worker: Worker,
    publisher: Publisher,
}

impl Processor {
    /// Processes messages together.
    async fn process(self: Arc<Self>, messages: Vec<Held>) {
        let Some(_permit) = self.worker.admit(&messages).await else { return };
        self.publisher.finish(self.worker.decide(messages).await).await;
    }

    /// Processes redelivered messages in their order, one at a time.
    async fn process_redelivered(self: Arc<Self>, mut messages: Vec<Held>) {
        messages.sort_by_key(Held::sequence);
        for message in messages.into_iter().map(|held| vec![held]) {
            let Some(_permit) = self.worker.admit(&message).await else { return };
            self.publisher.finish(self.worker.decide_isolated(message).await).await;
        }
    }
}

/// Pulls messages and starts their processing.
struct Puller {
    processor: Arc<Processor>,
    tracker: Arc<Tracker>,
    consumer: PullConsumer,
    budget: Budget,
    client: Client,
    context: Context,
    settings: Settings,
    health: Arc<Health>,
    tasks: JoinSet<()>,
    back_off: BackOff,
}

/// The result of waiting for messages.
enum Next {
    Batch(Allowance, Box<Batch>),
    /// The consumer, or its stream, is missing.
    Missing,
    Stop,
}

impl Puller {
    async fn pull_until<F: Future<Output = ()>>(&mut self, stop: &Shared<F>) -> Result<(), RelayError> {
        loop {
            match self.next(stop).await {
                Next::Stop => return Ok(()),
                Next::Batch(allowance, batch) => self.process(*batch, allowance, stop).await,
                Next::Missing => {
                    tokio::select! {
                        biased;
                        () = stop.clone() => return Ok(()),
                        restored = self.restore_consumer() => restored?,
                    }
                }
            }
        }
    }

    /// The next batch, with an allowance for its messages.
    async fn next<F: Future<Output = ()>>(&mut self, stop: &Shared<F>) -> Next {
        loop {
            // Finished tasks are dropped. One that panicked has left its messages to be redelivered.
            while self.tasks.try_join_next().is_some() {}
            let pulled = tokio::select! {
                biased;
                () = stop.clone() => return Next::Stop,
                () = self.health.missing(Need::Consumer) => return Next::Missing,
                pulled = self.pull() => pulled,
            };
            match pulled {
                Ok(Some((allowance, batch))) => return Next::Batch(allowance, Box::new(batch)),
                // The semaphores are never closed.
                Ok(None) => return Next::Stop,
                Err(error) => self.wait_after(&error, stop).await,
            }
        }
    }

    /// Asks for as many messages and bytes as are free, once these are enough.
    async fn pull(&self) -> Result<Option<(Allowance, Batch)>, BatchError> {
        self.health.until(Need::Broker, true).await;
        let Some(allowance) = self.budget.allowance(self.client.max_payload() + SUBJECT_BYTES).await else {
            return Ok(None);
        };
        let pull = self.consumer.batch().max_messages(allowance.messages()).max_bytes(allowance.bytes());
        let batch = pull.expires(PULL_EXPIRES).messages().await?;
        Ok(Some((allowance, batch)))
    }

    /// Starts the processing of a batch's messages as they arrive. A batch is read to its end even after `stop`: the broker counts
    /// its messages as delivered. After a broken connection, or without the consumer, no more arrive.
    async fn process<F: Future<Output = ()>>(&mut self, mut batch: Batch, mut allowance: Allowance, stop: &Shared<F>) {
        let health = self.health.clone();
        let mut open = true;
        while open {
            let chunk = tokio::select! {
                biased;
                chunk = next_chunk(&mut batch) => chunk,
                () = health.missing(Need::Broker) => None,
                () = health.missing(Need::Consumer) => None,
            };
            let Some(chunk) = chunk else { return };
            let mut messages = Vec::with_capacity(chunk.len());
            for message in chunk {
                match message {
                    Ok(message) => {
                        self.back_off = BackOff::default();
                        if let Some(permit) = allowance.take(message.length) {
                            messages.extend(self.tracker.track(message, permit));
                        }
                    }
                    Err(error) => {
                        open = false;
                        self.wait_after(&*error, stop).await;
                    }
                }
            }
            let (redelivered, first): (Vec<Held>, Vec<Held>) = messages.into_iter().partition(Held::is_redelivered);
            if !first.is_empty() {
                self.tasks.spawn(self.processor.clone().process(first));
            }
            if !redelivered.is_empty() {
                self.tasks.spawn(self.processor.clone().process_redelivered(redelivered));
            }
        }
    }

    async fn wait_after<F: Future<Output = ()>>(
        &mut self,
        error: &(dyn std::error::Error + Send + Sync),
        stop: &Shared<F>,
    ) {
        tracing::warn!(%error, "cannot pull messages, trying again");
        tokio::select! {
            () = self.back_off.wait() => {}
            () = stop.clone() => {}
        }
    }

    /// Creates the consumer and its stream again.
    ///
    /// # Errors
    /// [`RelayError::Missing`] if they are not to be created; [`RelayError::Loop`], [`RelayError::Unfit`] if others have created them
    /// in a way that does not fit.
    async fn restore_consumer(&mut self) -> Result<(), RelayError> {
        let mut back_off = BackOff::default();
        loop {
            match provision(&self.context, &self.settings).await {
                Ok(consumer) => {
                    self.consumer = consumer;
                    self.health.set(Need::Consumer, true);
                    tracing::info!(durable = self.settings.durable, "the consumer is there again");
                    return Ok(());
                }
                Err(error @ (RelayError::Loop { .. } | RelayError::Unfit { .. })) => return Err(error),
                Err(error @ RelayError::Missing { .. }) if self.settings.create.is_none() => return Err(error),
                Err(error) => {
                    tracing::warn!(%error, "cannot create the consumer again, trying again");
                    back_off.wait().await;
                }
            }
        }
    }

    /// Waits for unfinished messages, up to a time.
    async fn drain(mut self, longest: Duration) {
        tracing::info!(unfinished = self.budget.held(), "drain started");
        let finished = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(longest, finished).await.is_err() {
            tracing::warn!("drain timed out: unfinished messages will be redelivered");
        }
    }
}

/// The next messages of a batch: waits for the first, and adds those that have arrived behind it.
async fn next_chunk(batch: &mut Batch) -> Option<Vec<Result<jetstream::Message, async_nats::Error>>> {
    let size = |message: &Result<jetstream::Message, _>| message.as_ref().map_or(0, |message| message.payload.len());
    let first = batch.next().await?;
    let (mut bytes, mut chunk) = (size(&first), vec![first]);
    while chunk.len() < CHUNK
        && bytes < CHUNK_BYTES
        && let Some(Some(next)) = batch.next().now_or_never()
    {
        bytes += size(&next);
        chunk.push(next);
    }
    Some(chunk)
}

/// Looks at the consumer, at intervals: whether it is there, and its backlog.
async fn look(mut consumer: PullConsumer, metrics: Arc<Metrics>, health: Arc<Health>) {
    loop {
        let info = tokio::select! {
            info = consumer.info() => info,
            () = health.missing(Need::Broker) => {
                set_backlog(&metrics, None);
                health.until(Need::Broker, true).await;
                continue;
            }
        };
        match info {
            Ok(info) => set_backlog(&metrics, Some((info.num_pending, info.num_ack_pending as u64))),
            Err(error) => {
                set_backlog(&metrics, None);
                let is_missing =
                    matches!(error.kind(), ConsumerInfoErrorKind::NotFound | ConsumerInfoErrorKind::StreamNotFound);
                if is_missing && health.set(Need::Consumer, false) {
                    tracing::warn!(%error, "the consumer is missing");
                }
            }
        }
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
}

/// Sets the messages that the consumer has not delivered yet, and those that are not acknowledged yet.
fn set_backlog(metrics: &Metrics, backlog: Option<(u64, u64)>) {
    metrics.set_lag(backlog.map(|(lag, _)| lag));
    metrics.set_ack_pending(backlog.map(|(_, pending)| pending));
}

/// Creates the streams to publish to again, if that is asked for, whenever one of them is missing. The publisher finds out whether
/// they are there.
async fn restore_outputs(context: Context, settings: Settings, health: Arc<Health>) {
    loop {
        health.missing(Need::Outputs).await;
        tracing::warn!("a stream to publish to is missing");
        if let Some(names) = &settings.create
            && let Err(error) = create_streams(&context, &settings, names).await
        {
            tracing::warn!(%error, "cannot create the streams again, trying again");
        }
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
}
