//! A consumer and a producer that read, publish and commit together. After an error that ends a session, a new one goes on from what
//! was committed last.

use super::{
    client::Client,
    events::{ConsumerEvents, ProducerEvents, is_too_large},
    held::Held,
    publication::Publication,
    settings::Settings,
};
use crate::relay::{
    delivery::{Action, Delivery},
    health::{Health, Need},
    metrics::{MessageOutcome, Metrics},
};
use rdkafka::{
    Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer, ConsumerGroupMetadata},
    error::{KafkaError, KafkaResult},
    message::BorrowedMessage,
    producer::{Producer, ThreadedProducer},
    types::RDKafkaErrorCode,
};
use std::{
    collections::HashMap,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

/// How long a poll waits for messages; a relay that is asked to stop waits for its last poll.
const POLL: Duration = Duration::from_millis(500);
/// The time-out of one step of a transaction. A step that only takes longer is repeated.
const STEP_TIMEOUT: Duration = Duration::from_secs(10);
/// The interval between looks at undelivered messages.
const DELIVERY_INTERVAL: Duration = Duration::from_millis(1);
/// The maximum number of attempts at a step.
const MAX_ATTEMPTS: usize = 6;
/// How often a message can be shortened.
const MAX_SHORTENED: usize = 2;
/// The number of batches at once: one is published while the next one is classified.
const BATCHES: usize = 2;
/// The maximum number of messages of a batch in which some may be redelivered: they take longer.
const MAX_REDELIVERED: usize = 64;

/// Reads messages.
pub struct Reader {
    consumer: BaseConsumer<ConsumerEvents>,
    group: Arc<str>,
    /// The limits of a batch.
    max_messages: usize,
    max_bytes: usize,
    /// The first offset of each partition since it was assigned.
    starts: HashMap<(String, i32), i64>,
    metrics: Arc<Metrics>,
}

/// Publishes results.
pub struct Publisher {
    producer: ThreadedProducer<ProducerEvents>,
    settings: Arc<Settings>,
}

/// Connects; a transaction that an earlier session of this transactional id left open is aborted.
///
/// # Errors
/// If the broker cannot be reached, or refuses the producer or the consumer.
pub fn open(
    client: &Client,
    settings: Arc<Settings>,
    transactional_id: &str,
    health: Arc<Health>,
    metrics: Arc<Metrics>,
) -> KafkaResult<(Reader, Publisher)> {
    let producer: ThreadedProducer<ProducerEvents> =
        client.producer(transactional_id).create_with_context(ProducerEvents::new(health.clone(), metrics.clone()))?;
    repeat(|| producer.init_transactions(STEP_TIMEOUT))?;
    let consumer: BaseConsumer<ConsumerEvents> =
        client.consumer().create_with_context(ConsumerEvents::new(health, metrics.clone()))?;
    let topics: Vec<&str> = settings.topics.iter().map(String::as_str).collect();
    consumer.subscribe(&topics)?;
    let reader = Reader {
        consumer,
        group: settings.group.as_str().into(),
        max_messages: settings.relay.in_flight.div_ceil(BATCHES),
        max_bytes: settings.relay.in_flight_bytes / BATCHES,
        starts: HashMap::new(),
        metrics,
    };
    Ok((reader, Publisher { producer, settings }))
}

/// Messages that are published and committed together.
pub struct Batch {
    pub messages: Vec<Held>,
    /// What proves to the broker that the partitions of these messages are still this relay's when they are committed: it is refused
    /// after the group has shared out its partitions anew.
    pub membership: ConsumerGroupMetadata,
}

impl Reader {
    /// The next messages, after a short wait; `None` if there are none. Only here does the relay give partitions to others; what it
    /// holds of them then is refused when it is committed, or committed before the new owners begin.
    ///
    /// # Errors
    /// If the session must end.
    pub fn next(&mut self) -> KafkaResult<Option<Batch>> {
        let (mut messages, mut bytes, mut wait) = (Vec::new(), 0, POLL);
        let mut max_messages = self.max_messages;
        while messages.len() < max_messages && bytes < self.max_bytes {
            let polled = self.consumer.poll(wait);
            if self.consumer.context().take_revoked() {
                // The new owners of the partitions read these again.
                messages.clear();
                self.starts.clear();
                bytes = 0;
            }
            match polled {
                None => break,
                Some(Ok(message)) => {
                    let redelivered = may_be_redelivered(&mut self.starts, &message, BATCHES * self.max_messages);
                    let held = Held::new(&message, redelivered, self.group.clone(), self.metrics.clone());
                    bytes += held.bytes();
                    if held.deliveries() > 1 {
                        max_messages = max_messages.min(MAX_REDELIVERED);
                    }
                    messages.push(held);
                    wait = Duration::ZERO;
                }
                Some(Err(error)) => {
                    self.observe(error)?;
                    break;
                }
            }
        }
        if messages.is_empty() {
            return Ok(None);
        }
        if self.consumer.assignment_lost() {
            return Err(KafkaError::Rebalance(RDKafkaErrorCode::AssignmentLost));
        }
        let membership = self.consumer.group_metadata();
        let membership = membership.ok_or(KafkaError::Rebalance(RDKafkaErrorCode::UnknownGroup))?;
        Ok(Some(Batch { messages, membership }))
    }

    /// An error of a poll. The client recovers from those of a connection. After any other one a partition may stay unread until it is
    /// assigned anew, which the next session does.
    fn observe(&self, error: KafkaError) -> KafkaResult<()> {
        use RDKafkaErrorCode as Code;
        match error.rdkafka_error_code() {
            Some(
                Code::BrokerTransportFailure
                | Code::AllBrokersDown
                | Code::Resolve
                | Code::OperationTimedOut
                | Code::Authentication
                | Code::SSL,
            ) => {}
            Some(
                Code::UnknownTopicOrPartition
                | Code::UnknownTopic
                | Code::TopicAuthorizationFailed
                | Code::GroupAuthorizationFailed,
            ) => drop(self.consumer.context().health.set(Need::Consumer, false)),
            _ => return Err(error),
        }
        tracing::warn!(%error, "cannot read messages, trying again");
        Ok(())
    }
}

impl Publisher {
    /// Publishes what was decided about the messages of a batch and commits their offsets, all in one transaction: all of it happens
    /// or nothing. Returns the outcome of each message.
    ///
    /// # Errors
    /// If it did not happen, or it is not known whether it did: the session must end.
    pub fn finish(
        &self,
        decided: Vec<(Held, Action)>,
        membership: &ConsumerGroupMetadata,
    ) -> KafkaResult<Vec<(Held, MessageOutcome)>> {
        let settings = &*self.settings;
        let offsets = next_offsets(decided.iter().map(|(held, _)| held))?;
        let mut publications: Vec<Publication> =
            decided.into_iter().map(|(held, action)| Publication::new(held, action, settings)).collect();
        // Each attempt may find one message more that is too large.
        let mut attempts = MAX_SHORTENED * publications.len();
        loop {
            match self.transact(&publications, &offsets, membership) {
                Ok(()) => break,
                Err(error) => {
                    let refused = self.abort(error.clone())?;
                    if attempts == 0 {
                        return Err(error);
                    }
                    attempts -= 1;
                    let shorten = |(position, publication): (usize, Publication)| match refused.contains(&position) {
                        true => publication.shorten(settings),
                        false => publication,
                    };
                    publications = publications.into_iter().enumerate().map(shorten).collect();
                }
            }
        }
        Ok(publications.into_iter().map(Publication::into_outcome).collect())
    }

    fn transact(
        &self,
        publications: &[Publication],
        offsets: &TopicPartitionList,
        membership: &ConsumerGroupMetadata,
    ) -> KafkaResult<()> {
        self.producer.context().take_refused();
        self.producer.begin_transaction()?;
        for (position, publication) in publications.iter().enumerate() {
            let Some(record) = publication.record(position) else { continue };
            self.producer.send(record).map_err(|(error, _)| error)?;
        }
        repeat(|| self.producer.send_offsets_to_transaction(offsets, membership, STEP_TIMEOUT))?;
        self.wait_for_delivery()?;
        repeat(|| self.producer.commit_transaction(STEP_TIMEOUT))
    }

    /// Waits until all messages are delivered, for the time of one step. The commit waits for them too, but looks only ten times a
    /// second, and does not end while messages wait behind one that was refused.
    fn wait_for_delivery(&self) -> KafkaResult<()> {
        let begun = Instant::now();
        loop {
            if let Some(error) = self.producer.context().refusal() {
                return Err(error);
            }
            if self.producer.in_flight_count() == 0 || begun.elapsed() >= STEP_TIMEOUT {
                return Ok(());
            }
            thread::sleep(DELIVERY_INTERVAL);
        }
    }

    /// Aborts the transaction after an error; returns the messages that are too large, if these are all that is wrong.
    fn abort(&self, error: KafkaError) -> KafkaResult<Vec<usize>> {
        if let Err(failed) = repeat(|| self.producer.abort_transaction(STEP_TIMEOUT)) {
            tracing::warn!(error = %failed, "the transaction cannot be aborted: the next session does it");
            return Err(error);
        }
        let refused = self.producer.context().take_refused();
        let (too_large, others): (Vec<_>, Vec<_>) = refused.into_iter().partition(|(_, error)| is_too_large(error));
        // Messages behind the one that was refused are purged from the queue.
        let is_purged = |error: &KafkaError| {
            let code = error.rdkafka_error_code();
            matches!(code, Some(RDKafkaErrorCode::PurgeQueue | RDKafkaErrorCode::PurgeInflight))
        };
        match too_large.is_empty() || !others.iter().all(|(_, error)| is_purged(error)) {
            true => Err(error),
            false => Ok(too_large.into_iter().map(|(position, _)| position).collect()),
        }
    }
}

/// Whether another relay may have had a message before. It may have had as many of a partition as this one has at most.
fn may_be_redelivered(
    starts: &mut HashMap<(String, i32), i64>,
    message: &BorrowedMessage<'_>,
    max_messages: usize,
) -> bool {
    let partition = (message.topic().to_owned(), message.partition());
    let start = *starts.entry(partition).or_insert(message.offset());
    message.offset() - start < i64::try_from(max_messages).unwrap_or(i64::MAX)
}

/// The offsets that follow these messages.
fn next_offsets<'a>(messages: impl Iterator<Item = &'a Held>) -> KafkaResult<TopicPartitionList> {
    let mut last = HashMap::new();
    for (partition, offset) in messages.map(Held::position) {
        let last = last.entry(partition).or_insert(offset);
        *last = offset.max(*last);
    }
    let mut offsets = TopicPartitionList::new();
    for ((topic, partition), offset) in last {
        offsets.add_partition_offset(topic, partition, Offset::Offset(offset + 1))?;
    }
    Ok(offsets)
}

/// Repeats a step of a transaction as long as the client says that it may yet succeed.
fn repeat(mut step: impl FnMut() -> KafkaResult<()>) -> KafkaResult<()> {
    for _ in 1..MAX_ATTEMPTS {
        match step() {
            Err(error) if is_retriable(&error) => {
                tracing::warn!(%error, "the transaction is not finished, trying again")
            }
            finished => return finished,
        }
    }
    step()
}

fn is_retriable(error: &KafkaError) -> bool {
    match error {
        // A call that conflicts with an earlier one, which has timed out, conflicts again.
        KafkaError::Transaction(error) => error.is_retriable() && error.code() != RDKafkaErrorCode::Conflict,
        // The messages are on their way.
        KafkaError::Flush(RDKafkaErrorCode::OperationTimedOut) => true,
        _ => false,
    }
}
