//! The relay's main loop: pulls messages from the consumer and gives them to the worker, until it is asked to stop.

use super::{
    backoff::BackOff, connect::connect, error::RelayError, labeller::Labeller, metrics::Metrics, provision::provision,
    settings::Settings, tracking::Held, worker::Worker,
};
use async_nats::{
    Client,
    jetstream::{
        self, Context,
        consumer::{
            PullConsumer,
            pull::{Batch, BatchError, BatchErrorKind},
        },
        context::ContextBuilder,
    },
};
use futures_util::{FutureExt, future::Shared};
use std::{future::Future, sync::Arc, time::Duration};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    task::JoinSet,
};
use tokio_stream::StreamExt;

/// How long a pull waits for messages; a relay that is asked to stop waits for its last pull.
const PULL_EXPIRES: Duration = Duration::from_secs(2);
/// The most messages that are classified together.
const CHUNK: usize = 64;
/// A chunk of this many bytes takes no further message.
const CHUNK_BYTES: usize = 4 << 20;
/// The interval between readings of the consumer's backlog.
const BACKLOG_INTERVAL: Duration = Duration::from_secs(2);

/// A relay that is connected to its broker.
pub struct Relay {
    settings: Settings,
    client: Client,
    context: Context,
    consumer: PullConsumer,
    connected: watch::Receiver<bool>,
}

impl Relay {
    /// Connects to the broker; finds, or creates, the streams and the consumer.
    ///
    /// # Errors
    /// [`RelayError`].
    pub async fn connect(settings: Settings) -> Result<Self, RelayError> {
        let (sender, connected) = watch::channel(false);
        let client = connect(&settings, sender).await?;
        // Each message waits for the acknowledgement of its publication and then of its own.
        let context = ContextBuilder::new().max_ack_inflight(4 * settings.in_flight.max(CHUNK)).build(client.clone());
        let consumer = provision(&context, &settings).await?;
        Ok(Relay { settings, client, context, consumer, connected })
    }

    /// Whether the connection to the broker stands.
    pub fn connected(&self) -> watch::Receiver<bool> {
        self.connected.clone()
    }

    /// Processes messages until `stop` completes, and then finishes what it holds, within the drain time.
    pub async fn run(self, labeller: Labeller, metrics: Arc<Metrics>, stop: impl Future<Output = ()>) {
        let Settings { in_flight, drain, ack_wait, .. } = self.settings;
        // An existing consumer may have another wait than the settings.
        let ack_wait = ack_wait.min(self.consumer.cached_info().config.ack_wait);
        let backlog = tokio::spawn(watch_backlog(self.consumer.clone(), metrics.clone()));
        let worker = Arc::new(Worker::new(labeller, metrics, self.context, self.settings, ack_wait));
        let progress = tokio::spawn(worker.clone().acknowledge_progress());
        let mut puller = Puller {
            worker,
            consumer: self.consumer,
            permits: Arc::new(Semaphore::new(in_flight)),
            in_flight,
            tasks: JoinSet::new(),
            back_off: BackOff::default(),
        };
        let stop = stop.shared();
        while let Some((permits, batch)) = puller.next_batch(&stop).await {
            puller.process(batch, permits, &stop).await;
        }
        puller.drain(drain).await;
        progress.abort();
        backlog.abort();
        // Acknowledgements may still be buffered.
        let _ = tokio::time::timeout(PULL_EXPIRES, self.client.flush()).await;
        tracing::info!("stopped");
    }
}

/// Pulls messages and starts their processing.
struct Puller {
    worker: Arc<Worker>,
    consumer: PullConsumer,
    /// A permit for each message that may be unfinished.
    permits: Arc<Semaphore>,
    in_flight: usize,
    tasks: JoinSet<()>,
    back_off: BackOff,
}

impl Puller {
    /// The next batch, with a permit for each of its messages; `None` once `stop` has completed.
    async fn next_batch<F: Future<Output = ()>>(&mut self, stop: &Shared<F>) -> Option<(OwnedSemaphorePermit, Batch)> {
        loop {
            // Finished tasks are dropped. One that panicked has left its messages to be redelivered.
            while self.tasks.try_join_next().is_some() {}
            let pulled = tokio::select! {
                biased;
                () = stop.clone() => return None,
                pulled = self.pull() => pulled,
            };
            match pulled {
                Ok(pulled) => return Some(pulled),
                Err(error) => self.wait_after(&error, stop).await,
            }
        }
    }

    /// Asks for as many messages as there are permits, once a quarter of them is free.
    async fn pull(&self) -> Result<(OwnedSemaphorePermit, Batch), BatchError> {
        let wanted = self.permits.available_permits().max(self.in_flight / 4).max(1);
        let permits = self.permits.clone().acquire_many_owned(wanted as u32).await;
        let permits = permits.map_err(|closed| BatchError::with_source(BatchErrorKind::Pull, closed))?;
        let batch = self.consumer.batch().max_messages(wanted).expires(PULL_EXPIRES).messages().await?;
        Ok((permits, batch))
    }

    /// Starts the processing of a batch's messages as they arrive. A batch is read to its end even after `stop`: the broker counts
    /// its messages as delivered.
    async fn process<F: Future<Output = ()>>(
        &mut self,
        mut batch: Batch,
        mut permits: OwnedSemaphorePermit,
        stop: &Shared<F>,
    ) {
        while let Some(chunk) = next_chunk(&mut batch).await {
            let mut messages = Vec::with_capacity(chunk.len());
            for message in chunk {
                match message {
                    Ok(message) => {
                        self.back_off = BackOff::default();
                        if let Some(permit) = permits.split(1) {
                            messages.extend(self.worker.track(message, permit));
                        }
                    }
                    Err(error) => self.wait_after(&*error, stop).await,
                }
            }
            let (redelivered, first): (Vec<Held>, Vec<Held>) = messages.into_iter().partition(Held::is_redelivered);
            if !first.is_empty() {
                self.tasks.spawn(self.worker.clone().process(first));
            }
            if !redelivered.is_empty() {
                self.tasks.spawn(self.worker.clone().process_redelivered(redelivered));
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

    /// Waits for unfinished messages, up to a time.
    async fn drain(mut self, longest: Duration) {
        tracing::info!(unfinished = self.in_flight - self.permits.available_permits(), "drain started");
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

/// Reads the consumer's backlog into the metrics, at intervals.
async fn watch_backlog(mut consumer: PullConsumer, metrics: Arc<Metrics>) {
    loop {
        if let Ok(info) = consumer.info().await {
            metrics.lag.set(i64::try_from(info.num_pending).unwrap_or(i64::MAX));
            metrics.ack_pending.set(i64::try_from(info.num_ack_pending).unwrap_or(i64::MAX));
        }
        tokio::time::sleep(BACKLOG_INTERVAL).await;
    }
}
