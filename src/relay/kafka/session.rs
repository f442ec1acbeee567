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
use std::{collections::HashMap, sync::Arc, time::Duration};

/// How long a poll waits for messages; a relay that is asked to stop waits for its last poll.
const POLL: Duration = Duration::from_millis(500);
/// The longest time for one step of a transaction. A step that only takes longer is repeated.
const STEP: Duration = Duration::from_secs(10);
/// A step is repeated this many times.
const MOST_STEPS: usize = 6;

/// A consumer and a producer.
pub struct Session {
    consumer: BaseConsumer<ConsumerEvents>,
    producer: ThreadedProducer<ProducerEvents>,
    group: Arc<str>,
    most_messages: usize,
    most_bytes: usize,
    /// The first offset of each partition since it was assigned.
    starts: HashMap<(String, i32), i64>,
}

/// Messages that are published and committed together.
pub struct Batch {
    pub messages: Vec<Held>,
    /// What proves to the broker that the partitions of these messages are still this relay's when they are committed: it is refused
    /// after the group has shared out its partitions anew.
    pub membership: ConsumerGroupMetadata,
}

impl Session {
    /// Connects; a transaction that an earlier session of this transactional id left open is aborted.
    ///
    /// # Errors
    /// If the broker cannot be reached, or refuses the producer or the consumer.
    pub fn open(
        client: &Client,
        settings: &Settings,
        transactional_id: &str,
        health: Arc<Health>,
        metrics: Arc<Metrics>,
    ) -> KafkaResult<Self> {
        let producer: ThreadedProducer<ProducerEvents> =
            client.producer(transactional_id).create_with_context(ProducerEvents::default())?;
        repeat(|| producer.init_transactions(STEP))?;
        let consumer: BaseConsumer<ConsumerEvents> =
            client.consumer().create_with_context(ConsumerEvents::new(health, metrics))?;
        let topics: Vec<&str> = settings.topics.iter().map(String::as_str).collect();
        consumer.subscribe(&topics)?;
        Ok(Session {
            consumer,
            producer,
            group: settings.group.as_str().into(),
            most_messages: settings.relay.in_flight,
            most_bytes: settings.relay.in_flight_bytes,
            starts: HashMap::new(),
        })
    }

    /// The next messages, after a short wait; `None` if there are none. Only here does the relay give partitions to others, so that
    /// what it holds between two calls is its own, or refused when it is committed.
    ///
    /// # Errors
    /// If the session must end.
    pub fn next(&mut self) -> KafkaResult<Option<Batch>> {
        let (mut messages, mut bytes, mut wait) = (Vec::new(), 0, POLL);
        while messages.len() < self.most_messages && bytes < self.most_bytes {
            let polled = self.consumer.poll(wait);
            if self.consumer.context().take_revoked() {
                // Whoever has their partitions now reads these again.
                messages.clear();
                self.starts.clear();
                bytes = 0;
            }
            match polled {
                None => break,
                Some(Ok(message)) => {
                    let held = hold(&mut self.starts, &message, self.most_messages, &self.group);
                    bytes += held.payload().len();
                    messages.push(held);
                    wait = Duration::ZERO;
                }
                Some(Err(error)) => self.observe(error)?,
            }
        }
        if messages.is_empty() {
            return Ok(None);
        }
        self.consumer.context().health.set(Need::Consumer, true);
        if self.consumer.assignment_lost() {
            return Err(KafkaError::Rebalance(RDKafkaErrorCode::AssignmentLost));
        }
        let membership = self.consumer.group_metadata();
        let membership = membership.ok_or(KafkaError::Rebalance(RDKafkaErrorCode::UnknownGroup))?;
        Ok(Some(Batch { messages, membership }))
    }

    /// An error of a poll: most pass by themselves.
    fn observe(&self, error: KafkaError) -> KafkaResult<()> {
        match error.rdkafka_error_code() {
            _ if matches!(error, KafkaError::MessageConsumptionFatal(_)) => return Err(error),
            // The group has given the partitions to others.
            Some(RDKafkaErrorCode::PollExceeded) => return Err(error),
            Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => {
                self.consumer.context().health.set(Need::Consumer, false);
            }
            _ => {}
        }
        tracing::warn!(%error, "cannot read messages, trying again");
        Ok(())
    }

    /// Publishes what was decided about the messages of a batch and commits their offsets, all in one transaction: all of it happens
    /// or nothing. Returns the outcome of each message.
    ///
    /// # Errors
    /// If it did not happen, or it is not known whether it did: the session must end.
    pub fn finish(
        &self,
        settings: &Settings,
        decided: Vec<(Held, Action)>,
        membership: &ConsumerGroupMetadata,
    ) -> KafkaResult<Vec<(Held, MessageOutcome)>> {
        let offsets = next_offsets(decided.iter().map(|(held, _)| held))?;
        let mut publications: Vec<Publication> =
            decided.into_iter().map(|(held, action)| Publication::new(held, action, settings)).collect();
        loop {
            match self.transact(&publications, &offsets, membership) {
                Ok(()) => break,
                Err(error) => {
                    let refused = self.abort(error)?;
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
            if let Err((error, _)) = self.producer.send(record) {
                if is_too_large(&error) {
                    self.producer.context().refuse(position, error.clone());
                }
                return Err(error);
            }
        }
        repeat(|| self.producer.send_offsets_to_transaction(offsets, membership, STEP))?;
        repeat(|| self.producer.commit_transaction(STEP))
    }

    /// Aborts the transaction after an error; returns the messages that are too large, if these are all that is wrong.
    fn abort(&self, error: KafkaError) -> KafkaResult<Vec<usize>> {
        repeat(|| self.producer.abort_transaction(STEP))?;
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

/// Takes a message. The first ones since their partition was assigned may have been with another relay before: it may hold as many as
/// this one.
fn hold(
    starts: &mut HashMap<(String, i32), i64>,
    message: &BorrowedMessage<'_>,
    most_messages: usize,
    group: &Arc<str>,
) -> Held {
    let partition = (message.topic().to_owned(), message.partition());
    let start = *starts.entry(partition).or_insert(message.offset());
    let may_be_redelivered = message.offset() - start < i64::try_from(most_messages).unwrap_or(i64::MAX);
    Held::new(message, may_be_redelivered, group.clone())
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
    for _ in 1..MOST_STEPS {
        match step() {
            Err(KafkaError::Transaction(error)) if error.is_retriable() => {
                tracing::warn!(%error, "the transaction is not finished, trying again");
            }
            finished => return finished,
        }
    }
    step()
}
