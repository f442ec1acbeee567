//! The work on messages: read, classified, published, acknowledged, or put aside as dead letters.

use super::{
    Settings,
    backoff::{BackOff, LONGEST_WAIT},
    cause,
    isolation::Isolated,
    labeller::{Broken, Fault, Labeller},
    message::{Incoming, Outgoing, one_line, passed_on},
    metrics::{MessageOutcome, Metrics},
};
use crate::article::{Article, Classification};
use async_nats::{
    HeaderMap,
    header::NATS_MESSAGE_ID,
    jetstream::{
        self, AckKind, Context, Error as BrokerError, ErrorCode,
        context::{PublishError, PublishErrorKind},
        message::{Acker, OutboundMessage},
    },
};
use futures_util::future::join_all;
use std::{
    collections::HashMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::Code;

/// The message of an internal error.
const FAULT: &str = "internal error";
/// What may be at work at once, in KiB of messages: each is held several times over then.
const AT_WORK_KIB: usize = 32 << 10;
/// An article that an internal error met is delivered again after this time.
const AFTER_A_FAULT: Duration = Duration::from_secs(1);
/// An article is put aside after a server broke off this many times while it worked on it alone.
const MOST_BREAKS: u32 = 3;

/// What works on messages.
pub struct Worker {
    labeller: Labeller,
    /// One for all messages that come again, so that they take the memory of one model more; `None` with a server.
    isolated: Option<tokio::sync::Mutex<Isolated>>,
    metrics: Arc<Metrics>,
    context: Context,
    settings: Settings,
    ack_wait: Duration,
    /// Room for messages at work, in KiB.
    at_work: Semaphore,
    /// The messages that are held, for progress acknowledgements.
    held: Mutex<HashMap<u64, Arc<Acker>>>,
    next: AtomicU64,
}

/// A message that is held.
pub struct Held {
    worker: Arc<Worker>,
    number: u64,
    message: async_nats::Message,
    acker: Arc<Acker>,
    /// `STREAM:SEQUENCE`.
    place: String,
    /// The same, the durable name, for relays of another one publish it too, and the time at which the broker had it, which
    /// tells it from one of an earlier stream of this name.
    id: String,
    sequence: u64,
    deliveries: i64,
    since: Instant,
    _room: OwnedSemaphorePermit,
}

impl Held {
    /// Whether the message was delivered before.
    pub fn is_redelivered(&self) -> bool {
        self.deliveries > 1
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.worker.held.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.number);
        self.worker.metrics.in_flight.dec();
    }
}

/// Messages that were read, by what happens to them next.
#[derive(Default)]
struct Sorted {
    /// To be classified.
    articles: Vec<(Held, Incoming)>,
    /// Canceled: published without labels.
    canceled: Vec<(Held, Incoming)>,
    /// Dead letters, with the reason.
    dead: Vec<(Held, String)>,
    /// Those that met an internal error.
    faults: Vec<Held>,
}

/// What becomes of a message.
enum Fate {
    Publish(Outgoing, MessageOutcome),
    DeadLetter(String),
    Again(String),
}

impl Fate {
    /// Of a message that met an internal error: it is tried again, until it was delivered often enough.
    fn of_fault(held: &Held, reason: String, max_deliver: u32) -> Fate {
        match held.deliveries >= i64::from(max_deliver) {
            true => Fate::DeadLetter(reason),
            false => Fate::Again(reason),
        }
    }
}

impl Worker {
    pub fn new(
        labeller: Labeller,
        metrics: Arc<Metrics>,
        context: Context,
        settings: Settings,
        ack_wait: Duration,
    ) -> Self {
        let (at_work, held, next) = (Semaphore::new(AT_WORK_KIB), Mutex::default(), AtomicU64::default());
        let isolated = labeller.isolated().map(tokio::sync::Mutex::new);
        Worker { labeller, isolated, metrics, context, settings, ack_wait, at_work, held, next }
    }

    /// Tracks a message; `None` if it is not one of a stream.
    pub fn track(self: &Arc<Self>, message: jetstream::Message, room: OwnedSemaphorePermit) -> Option<Held> {
        let info = message.info().ok()?;
        let place = format!("{}:{}", info.stream, info.stream_sequence);
        let id = format!("{}:{place}:{}", self.settings.durable, info.published.unix_timestamp_nanos());
        let (sequence, deliveries) = (info.stream_sequence, info.delivered);
        if deliveries > 1 {
            self.metrics.redelivered.inc();
        }
        let (message, acker) = message.split();
        let acker = Arc::new(acker);
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.held.lock().unwrap_or_else(PoisonError::into_inner).insert(number, acker.clone());
        self.metrics.in_flight.inc();
        let since = Instant::now();
        Some(Held { worker: self.clone(), number, message, acker, place, id, sequence, deliveries, since, _room: room })
    }

    /// Sends progress acknowledgements for all messages that are held, for ever.
    pub async fn acknowledge_progress(self: Arc<Self>) {
        loop {
            tokio::time::sleep(self.ack_wait / 3).await;
            let held: Vec<Arc<Acker>> =
                self.held.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
            for acker in held {
                // A message whose acknowledgement is lost is delivered once more; its publication counts once.
                let _ = acker.ack_with(AckKind::Progress).await;
            }
        }
    }

    /// Processes messages together.
    pub async fn process(self: Arc<Self>, messages: Vec<Held>) {
        let Some(_room) = self.admit(&messages).await else { return };
        let Sorted { mut articles, canceled, dead, faults } = read(messages).await;
        let label = async {
            let wanted = articles.iter_mut().map(|(_, incoming)| std::mem::take(&mut incoming.article)).collect();
            let answers = self.label(wanted).await;
            self.finish(articles, answers.into_iter().map(Some).collect()).await;
        };
        let pass = self.pass(canceled);
        // What needs no answer does not wait for any.
        tokio::join!(label, pass, self.bury(dead), self.fail(faults));
    }

    /// Processes messages that were delivered before, each alone: one of them may have ended the process that took it. A model of
    /// this process answers in a process of its own, so that the message which ends that is known, and no other one is
    /// suspected.
    pub async fn process_redelivered(self: Arc<Self>, mut messages: Vec<Held>) {
        messages.sort_by_key(|held| held.sequence);
        for held in messages {
            let messages = vec![held];
            let Some(isolated) = &self.isolated else {
                self.clone().process(messages).await;
                continue;
            };
            let Some(_room) = self.admit(&messages).await else { return };
            let Sorted { articles, canceled, dead, faults } = read(messages).await;
            for (held, mut incoming) in articles {
                let article = std::mem::take(&mut incoming.article);
                let answer = isolated.lock().await.classify(&article, &self.labeller.model()).await;
                let answers = match answer {
                    Ok(answer) => vec![answer],
                    Err(error) => {
                        tracing::warn!(%error, "classified in this process");
                        self.label(vec![article]).await
                    }
                };
                self.finish(vec![(held, incoming)], answers.into_iter().map(Some).collect()).await;
            }
            self.pass(canceled).await;
            self.bury(dead).await;
            self.fail(faults).await;
        }
    }

    /// Room for messages at work.
    async fn admit(&self, messages: &[Held]) -> Option<tokio::sync::SemaphorePermit<'_>> {
        let bytes: usize = messages.iter().map(|held| held.message.payload.len()).sum();
        let kib = bytes.div_ceil(1 << 10).min(AT_WORK_KIB) as u32;
        // The semaphore is never closed.
        self.at_work.acquire_many(kib).await.ok()
    }

    /// Answers about articles, in their order; asks until there are some.
    async fn label(&self, articles: Vec<Article>) -> Vec<Result<Classification, Fault>> {
        let articles = Arc::new(articles);
        let mut answers = Vec::with_capacity(articles.len());
        let mut back_off = BackOff::default();
        while answers.len() < articles.len() {
            let rest = answers.len()..articles.len();
            let broken = match self.labeller.label(&articles, rest.clone()).await {
                Ok(more) => {
                    answers.extend(more);
                    continue;
                }
                Err(broken) => broken,
            };
            answers.extend(broken.answers);
            let rest = answers.len()..articles.len();
            // One that ends the stream whoever sends it must not hold up the others.
            let by_article =
                matches!(broken.status.code(), Code::ResourceExhausted | Code::OutOfRange | Code::InvalidArgument);
            if by_article || broken.in_stream {
                for i in rest {
                    answers.push(self.label_alone(&articles, i).await);
                }
                break;
            }
            self.wait_for_answers(&broken.status, &mut back_off).await;
        }
        answers
    }

    /// The answer about one article; asks until there is one, or until it is clear that the article is at fault: a server broke
    /// off several times while it had this one, and answered another one each time before.
    async fn label_alone(&self, articles: &Arc<Vec<Article>>, i: usize) -> Result<Classification, Fault> {
        let mut back_off = BackOff::default();
        let (mut breaks, mut serves) = (0, false);
        loop {
            let Broken { status, in_stream, .. } = match self.labeller.label(articles, i..i + 1).await {
                Ok(mut answers) if answers.len() == 1 => return answers.remove(0),
                Ok(_) => return Err(Fault::Program("the server did not answer".to_owned())),
                Err(broken) => broken,
            };
            if is_about_articles(&status) {
                return Err(Fault::Article(status.message().to_owned()));
            }
            breaks += u32::from(in_stream && serves);
            if breaks >= MOST_BREAKS {
                return Err(Fault::Article(format!(
                    "the server broke off {breaks} times while it had this article alone"
                )));
            }
            self.wait_for_answers(&status, &mut back_off).await;
            serves = self.labeller.label(&Arc::new(vec![probe()]), 0..1).await.is_ok();
        }
    }

    async fn wait_for_answers(&self, status: &tonic::Status, back_off: &mut BackOff) {
        self.metrics.retries.inc();
        tracing::warn!(code = ?status.code(), reason = status.message(), "no answers, asking again");
        back_off.wait().await;
    }

    /// Publishes canceled items.
    async fn pass(&self, canceled: Vec<(Held, Incoming)>) {
        let answers = canceled.iter().map(|_| None).collect();
        self.finish(canceled, answers).await;
    }

    /// Finishes messages as their answers say; `None` for one that needs none.
    async fn finish(&self, messages: Vec<(Held, Incoming)>, answers: Vec<Option<Result<Classification, Fault>>>) {
        if messages.is_empty() {
            return;
        }
        let (publish, max_deliver) = (self.settings.publish.clone(), self.settings.max_deliver);
        let fate = move |held: &Held, incoming: Incoming, answer: Option<Result<Classification, Fault>>| match answer {
            None => Fate::Publish(incoming.outgoing(None, &publish), MessageOutcome::Passed),
            Some(Ok(answer)) => Fate::Publish(incoming.outgoing(Some(&answer), &publish), MessageOutcome::Labelled),
            Some(Err(Fault::Article(reason))) => Fate::DeadLetter(reason),
            Some(Err(Fault::Program(reason))) => Fate::of_fault(held, reason, max_deliver),
        };
        let fates = off_the_runtime(move || {
            let pairs = messages.into_iter().zip(answers);
            pairs
                .map(|((held, incoming), answer)| {
                    let made = catch_unwind(AssertUnwindSafe(|| fate(&held, incoming, answer)));
                    let fate = made.unwrap_or_else(|_| Fate::of_fault(&held, FAULT.to_owned(), max_deliver));
                    (held, fate)
                })
                .collect::<Vec<_>>()
        });
        join_all(fates.await.into_iter().map(|(held, fate)| self.meet(held, fate))).await;
    }

    async fn meet(&self, held: Held, fate: Fate) {
        match fate {
            Fate::DeadLetter(reason) => self.dead_letter(held, reason).await,
            Fate::Again(reason) => {
                tracing::warn!(message = held.place, reason, "delivered again later");
                self.metrics.retries.inc();
                let _ = held.acker.ack_with(AckKind::Nak(Some(AFTER_A_FAULT))).await;
            }
            Fate::Publish(outgoing, outcome) => {
                let mut headers = passed_on(held.message.headers.as_ref());
                headers.insert(NATS_MESSAGE_ID, held.id.as_str());
                for (name, value) in outgoing.headers {
                    headers.insert(name, value);
                }
                let message = OutboundMessage::new(outgoing.subject.into(), outgoing.payload.into(), Some(headers));
                if self.publish(message).await {
                    self.acknowledge(held, outcome).await;
                } else {
                    self.dead_letter(held, "with its labels it is larger than the broker accepts".to_owned()).await;
                }
            }
        }
    }

    /// Finishes messages that met an internal error.
    async fn fail(&self, faults: Vec<Held>) {
        join_all(faults.into_iter().map(|held| {
            let fate = Fate::of_fault(&held, FAULT.to_owned(), self.settings.max_deliver);
            self.meet(held, fate)
        }))
        .await;
    }

    async fn bury(&self, dead: Vec<(Held, String)>) {
        join_all(dead.into_iter().map(|(held, reason)| self.dead_letter(held, reason))).await;
    }

    /// Publishes a message as a dead letter, as it came, with the reason.
    async fn dead_letter(&self, held: Held, reason: String) {
        tracing::warn!(message = held.place, reason, "dead letter");
        let mut headers = passed_on(held.message.headers.as_ref());
        headers.insert(NATS_MESSAGE_ID, format!("dead:{}", held.id));
        headers.insert("Dateline-Reason", one_line(&reason));
        headers.insert("Dateline-Stream", self.settings.stream.as_str());
        headers.insert("Dateline-Subject", one_line(&held.message.subject));
        headers.insert("Dateline-Sequence", held.sequence.to_string());
        headers.insert("Dateline-Deliveries", held.deliveries.to_string());
        let payload = held.message.payload.clone();
        let subject = self.settings.dead_letter.clone();
        // One that fills the largest message has no room for a reason.
        if !self.publish(OutboundMessage::new(subject.clone().into(), payload, Some(headers.clone()))).await {
            let mut short = HeaderMap::new();
            for name in ["Nats-Msg-Id", "Dateline-Reason", "Dateline-Stream", "Dateline-Sequence"] {
                headers.get(name).into_iter().for_each(|value| short.insert(name, value.clone()));
            }
            short.insert("Dateline-Cut-Off", "the message is too large, its place in the stream tells where it is");
            if !self.publish(OutboundMessage::new(subject.into(), Vec::new().into(), Some(short))).await {
                tracing::error!(
                    message = held.place,
                    "the stream for dead letters does not accept it: delivered again later"
                );
                let _ = held.acker.ack_with(AckKind::Nak(Some(LONGEST_WAIT))).await;
                return;
            }
        }
        self.acknowledge(held, MessageOutcome::Dead).await;
    }

    /// Publishes until the broker has it; `false` if it is too large for that.
    async fn publish(&self, message: OutboundMessage) -> bool {
        let mut back_off = BackOff::default();
        loop {
            let headers = message.headers.clone().unwrap_or_default();
            let sent =
                self.context.publish_with_headers(message.subject.clone(), headers, message.payload.clone()).await;
            let answer = match sent {
                Ok(answer) => answer.await,
                Err(error) => Err(error),
            };
            match answer {
                Ok(answer) => {
                    self.metrics.duplicates.inc_by(u64::from(answer.duplicate));
                    return true;
                }
                Err(error) if is_too_large(&error) => return false,
                Err(error) => {
                    self.metrics.retries.inc();
                    tracing::warn!(subject = %message.subject, reason = cause(&error), "not published, trying again");
                    back_off.wait().await;
                }
            }
        }
    }

    async fn acknowledge(&self, held: Held, outcome: MessageOutcome) {
        // If the broker does not hear it, the message comes again, and its publication counts once.
        if let Err(error) = held.acker.double_ack().await {
            tracing::debug!(message = held.place, %error, "not acknowledged");
        }
        self.metrics.count(outcome).inc();
        self.metrics.whole.observe(held.since.elapsed().as_secs_f64());
    }
}

/// Whether a stream ended because of what was sent on it.
fn is_about_articles(status: &tonic::Status) -> bool {
    matches!(status.code(), Code::ResourceExhausted | Code::OutOfRange | Code::InvalidArgument)
}

/// An article of no news, to learn whether a server answers.
fn probe() -> Article {
    Article { headline: "Rain is expected in the north".to_owned(), ..Article::default() }
}

/// Reads messages, on a thread that may take its time.
async fn read(messages: Vec<Held>) -> Sorted {
    off_the_runtime(move || {
        let mut sorted = Sorted::default();
        for held in messages {
            let read = catch_unwind(AssertUnwindSafe(|| Incoming::read(&held.message.payload, &held.place)));
            let Ok(read) = read else {
                sorted.faults.push(held);
                continue;
            };
            match read {
                Ok(incoming) if incoming.is_canceled() => sorted.canceled.push((held, incoming)),
                Ok(incoming) => match incoming.article.check() {
                    Ok(()) => sorted.articles.push((held, incoming)),
                    Err(error) => sorted.dead.push((held, error.to_string())),
                },
                Err(reason) => sorted.dead.push((held, reason)),
            }
        }
        sorted
    })
    .await
}

/// Runs on a thread that may block: megabytes of JSON must not hold up the connection to the broker.
async fn off_the_runtime<T: Send + Default + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    // A panic loses what was held: it is delivered again.
    tokio::task::spawn_blocking(work).await.unwrap_or_default()
}

/// Whether a broker, or a stream, accepts no message of this size.
fn is_too_large(error: &PublishError) -> bool {
    let of_broker = std::error::Error::source(error).and_then(|source| source.downcast_ref::<BrokerError>());
    let code = of_broker.map(BrokerError::error_code);
    let limits = [ErrorCode::STREAM_MESSAGE_EXCEEDS_MAXIMUM, ErrorCode::STREAM_HEADER_EXCEEDS_MAXIMUM];
    error.kind() == PublishErrorKind::MaxPayloadExceeded || code.is_some_and(|code| limits.contains(&code))
}
