//! The worker on a message broker: takes articles from a stream of NATS JetStream, labels them, publishes them.
//!
//! In: messages of a durable pull consumer, each a row of JSON or an item of ninjs. Out: the same with labels, on a subject built
//! of them. A message is acknowledged once the broker has acknowledged its publication, so that none is lost whatever dies;
//! publications carry an id made of the message's place in its stream, so that one made twice counts once. What cannot be
//! labelled goes to a subject of its own with the reason. Any number of relays with one durable name share the work.

mod labeller;
mod message;
mod metrics;
mod subject;

pub use labeller::{Fault, Labeller};
pub use metrics::{Became, Metrics};
pub use subject::{Template, is_subject};

use crate::article::{Article, Classification};
use async_nats::{
    Client, ConnectOptions, Event, HeaderMap, ServerAddr,
    header::NATS_MESSAGE_ID,
    jetstream::{
        self, AckKind, Context, Error as BrokerError, ErrorCode,
        consumer::{AckPolicy, PullConsumer, pull},
        context::{ContextBuilder, PublishError, PublishErrorKind},
        message::{Acker, OutboundMessage},
        stream,
    },
};
use futures_util::future::join_all;
use message::{Incoming, one_line, passed_on};
use std::{
    collections::HashMap,
    future::Future,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    task::JoinSet,
};
use tokio_stream::StreamExt;
use tonic::Code;

/// How a relay works.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The broker's addresses: `nats://127.0.0.1:4222`, `tls://...`, several with commas between.
    pub nats: String,
    /// A file of credentials.
    pub credentials: Option<PathBuf>,
    /// Certificates in PEM, one of which must have signed the broker's; those of the system without it.
    pub ca: Option<PathBuf>,
    /// The certificate and key that the relay shows, in PEM.
    pub certificate: Option<(PathBuf, PathBuf)>,
    /// The stream that articles are taken from.
    pub stream: String,
    /// The durable name that relays share.
    pub durable: String,
    /// Which subjects of the stream are taken; all without any.
    pub subjects: Vec<String>,
    /// Where labelled articles go.
    pub publish: Template,
    /// Where messages go that cannot be labelled.
    pub dead_letter: String,
    /// A message that was delivered more often, and never acknowledged, is dead.
    pub max_deliver: u32,
    /// How long the broker waits for a sign of life of a message before it gives it to another.
    pub ack_wait: Duration,
    /// The most messages that are held.
    pub in_flight: usize,
    /// Makes the streams and the consumer that are missing; the names of those for labelled articles and dead letters.
    pub create: Option<(String, String)>,
    /// How long what is held may take once the relay was asked to stop.
    pub drain: Duration,
}

/// Why a relay cannot work.
#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    /// The broker cannot be reached, or refuses.
    #[error(
        "cannot connect to {nats}: {reason}; is nats-server running there, and are TLS and credentials what it asks for?"
    )]
    Connect {
        /// The broker.
        nats: String,
        /// What it said.
        reason: String,
    },
    /// A file cannot be used.
    #[error("{}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A stream or consumer is not there.
    #[error("there is no {what}: {reason}; --create makes it")]
    Missing {
        /// What.
        what: String,
        /// What the broker said.
        reason: String,
    },
    /// A stream or consumer cannot be made.
    #[error("{what} cannot be made: {reason}")]
    Create {
        /// What.
        what: String,
        /// What the broker said.
        reason: String,
    },
    /// A consumer that is there does not fit.
    #[error("the consumer {durable} {reason}")]
    Unfit {
        /// Its name.
        durable: String,
        /// What does not fit, and what to do.
        reason: &'static str,
    },
}

/// A pull is answered, or asked again, after so long: a relay that is told to stop waits as long for what it asked for.
const PULL: Duration = Duration::from_secs(2);
/// Messages that are classified at once, and bytes of them from which on no more are.
const CHUNK: usize = 64;
const CHUNK_BYTES: usize = 4 << 20;
/// What may be at work at once, in KiB of messages: each is held several times over then.
const AT_WORK_KIB: usize = 32 << 10;
/// Waits between attempts double from the first to the longest.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// An article that a fault of the program met comes again after so long.
const AFTER_A_FAULT: Duration = Duration::from_secs(1);
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// What streams that are made keep.
const KEPT: Duration = Duration::from_secs(7 * 24 * 3600);
/// The least time within which a publication made twice counts once.
const LEAST_WINDOW: Duration = Duration::from_secs(120);

/// The waits between attempts.
struct BackOff(Duration);

impl Default for BackOff {
    fn default() -> Self {
        BackOff(FIRST_WAIT)
    }
}

impl BackOff {
    async fn wait(&mut self) {
        tokio::time::sleep(self.0).await;
        self.0 = (self.0 * 2).min(LONGEST_WAIT);
    }
}

/// A relay that is connected.
pub struct Relay {
    settings: Settings,
    client: Client,
    context: Context,
    consumer: PullConsumer,
    connected: watch::Receiver<bool>,
}

impl Relay {
    /// Connects to the broker and finds, or makes, streams and consumer.
    ///
    /// # Errors
    /// [`RelayError`].
    pub async fn connect(settings: Settings) -> Result<Self, RelayError> {
        let (tell, connected) = watch::channel(false);
        let client = connect(&settings, tell).await?;
        // Every message that is held may wait for two acknowledgements.
        let context = ContextBuilder::new().max_ack_inflight(4 * settings.in_flight.max(CHUNK)).build(client.clone());
        let consumer = consumer(&context, &settings).await?;
        Ok(Relay { settings, client, context, consumer, connected })
    }

    /// Whether the broker can be reached now.
    pub fn connected(&self) -> watch::Receiver<bool> {
        self.connected.clone()
    }

    /// Works until it is asked to stop, and then to the end of what it holds, if that does not take too long.
    pub async fn run(self, labeller: Labeller, metrics: Arc<Metrics>, stop: impl Future<Output = ()>) {
        let room = Arc::new(Semaphore::new(self.settings.in_flight));
        let drain = self.settings.drain;
        let looking = tokio::spawn(look(self.consumer.clone(), metrics.clone()));
        let worker = Arc::new(Worker {
            labeller,
            metrics,
            context: self.context,
            // What the consumer waits for is what counts.
            ack_wait: self.settings.ack_wait.min(self.consumer.cached_info().config.ack_wait),
            settings: self.settings,
            at_work: Semaphore::new(AT_WORK_KIB),
            held: Mutex::default(),
            next: AtomicU64::default(),
        });
        let progress = tokio::spawn(worker.clone().tell_of_progress());
        let mut tasks = JoinSet::new();
        let mut stop = std::pin::pin!(stop);
        let mut back_off = BackOff::default();
        let mut stopped = false;
        while !stopped {
            // What is done makes room; a task that stumbled has left its messages to be delivered again.
            while tasks.try_join_next().is_some() {}
            // Not for every single one that gets free.
            let least = (worker.settings.in_flight / 4).max(1);
            let wanted = room.available_permits().max(least) as u32;
            let mut permits = tokio::select! {
                permits = room.clone().acquire_many_owned(wanted) => match permits {
                    Ok(permits) => permits,
                    Err(_) => break,
                },
                () = &mut stop => break,
            };
            let batch = self.consumer.batch().max_messages(wanted as usize).expires(PULL).messages().await;
            let mut batch = match batch {
                Ok(batch) => batch,
                Err(error) => {
                    tracing::warn!(%error, "the broker gives no messages, asking again");
                    back_off.wait().await;
                    continue;
                }
            };
            loop {
                let next = tokio::select! {
                    next = batch.next() => next,
                    // What was asked for is waited for: it would be nobody's until its time is up.
                    () = &mut stop, if !stopped => {
                        stopped = true;
                        continue;
                    }
                };
                let Some(first) = next else { break };
                let size = |message: &Result<jetstream::Message, _>| {
                    message.as_ref().map_or(0, |message| message.payload.len())
                };
                let (mut bytes, mut chunk) = (size(&first), vec![first]);
                while chunk.len() < CHUNK
                    && bytes < CHUNK_BYTES
                    && let Some(Some(next)) = futures_util::FutureExt::now_or_never(batch.next())
                {
                    bytes += size(&next);
                    chunk.push(next);
                }
                let mut messages = Vec::with_capacity(chunk.len());
                for message in chunk {
                    match message {
                        Ok(message) => {
                            back_off = BackOff::default();
                            if let Some(permit) = permits.split(1) {
                                messages.extend(worker.hold(message, permit));
                            }
                        }
                        Err(error) => {
                            tracing::warn!(%error, "the broker gives no messages, asking again");
                            back_off.wait().await;
                        }
                    }
                }
                let (again, first): (Vec<Held>, Vec<Held>) = messages.into_iter().partition(|held| held.deliveries > 1);
                if !first.is_empty() {
                    tasks.spawn(worker.clone().work(first));
                }
                if !again.is_empty() {
                    tasks.spawn(worker.clone().work_one_by_one(again));
                }
            }
        }
        tracing::info!(held = worker.settings.in_flight - room.available_permits(), "draining");
        let drained = tokio::time::timeout(drain, async { while tasks.join_next().await.is_some() {} }).await;
        if drained.is_err() {
            tracing::warn!("what is still held will be delivered to another relay");
        }
        progress.abort();
        looking.abort();
        // What was told to the broker shall reach it.
        let _ = tokio::time::timeout(PULL, self.client.flush()).await;
        tracing::info!("stopped");
    }
}

async fn connect(settings: &Settings, tell: watch::Sender<bool>) -> Result<Client, RelayError> {
    let mut options = match &settings.credentials {
        Some(path) => ConnectOptions::with_credentials_file(path)
            .await
            .map_err(|error| RelayError::File { path: path.clone(), reason: error.to_string() })?,
        None => ConnectOptions::new(),
    };
    let refused = |reason: String| RelayError::Connect { nats: without_passwords(&settings.nats), reason };
    let addresses = settings.nats.split(',').map(str::trim).map(str::parse).collect::<Result<Vec<ServerAddr>, _>>();
    let addresses = addresses.map_err(|_| refused("write nats://HOST:PORT".to_owned()))?;
    // The client itself leaves aside what stands before a host.
    if let Some(named) = addresses.iter().find(|address| address.username().is_some()) {
        let name = decoded(named.username().unwrap_or_default());
        options = match named.password().map(decoded) {
            Some(password) => options.user_and_password(name, password),
            None => options.token(name),
        };
    }
    for path in settings.ca.iter().chain(settings.certificate.iter().flat_map(|(certificate, key)| [certificate, key]))
    {
        std::fs::read(path).map_err(|error| RelayError::File { path: path.clone(), reason: error.to_string() })?;
    }
    if let Some(ca) = &settings.ca {
        options = options.add_root_certificates(ca.clone()).require_tls(true);
    }
    if let Some((certificate, key)) = &settings.certificate {
        options = options.add_client_certificate(certificate.clone(), key.clone()).require_tls(true);
    }
    // Nothing that the client logs shall hold them.
    let addresses = settings.nats.split(',').map(|address| without_name(address.trim()).parse());
    let addresses = addresses.collect::<Result<Vec<ServerAddr>, _>>();
    let addresses = addresses.map_err(|_| refused("write nats://HOST:PORT".to_owned()))?;
    options
        .name("dateline relay")
        .event_callback(move |event| {
            match &event {
                Event::Connected => tracing::info!("connected to the broker"),
                Event::Disconnected => tracing::warn!("the broker is away, connecting again"),
                // As it is at the end.
                Event::Closed => tracing::debug!("the connection to the broker is closed"),
                event => tracing::warn!(%event, "the broker"),
            }
            match event {
                Event::Connected => drop(tell.send_replace(true)),
                Event::Disconnected | Event::Closed => drop(tell.send_replace(false)),
                _ => {}
            }
            async {}
        })
        .connect(addresses)
        .await
        .map_err(|error| refused(error.to_string()))
}

/// Addresses for people, without the names, passwords and tokens before their hosts, which may hold anything.
fn without_passwords(addresses: &str) -> String {
    addresses.rsplit_once('@').map_or_else(|| addresses.to_owned(), |(_, host)| format!("****@{host}"))
}

/// An address without what stands before its host.
fn without_name(address: &str) -> String {
    match (address.split_once("://"), address.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://{host}"),
        (None, Some((_, host))) => host.to_owned(),
        _ => address.to_owned(),
    }
}

/// A part of a URL without its percent signs (RFC 3986, 2.1).
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let hex = rest.strip_prefix('%').and_then(|code| u8::from_str_radix(code.get(..2)?, 16).ok());
        let read = if hex.is_some() { 3 } else { c.len_utf8() };
        match hex {
            Some(byte) => bytes.push(byte),
            None => bytes.extend(&rest.as_bytes()[..read]),
        }
        rest = &rest[read..];
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The consumer, and the streams where they are to be made.
async fn consumer(context: &Context, settings: &Settings) -> Result<PullConsumer, RelayError> {
    let window = LEAST_WINDOW.max(settings.ack_wait * 4);
    if let Some((labelled, dead)) = &settings.create {
        let streams = [
            (&settings.stream, settings.subjects.clone()),
            (labelled, vec![settings.publish.pattern()]),
            (dead, vec![settings.dead_letter.clone()]),
        ];
        for (name, subjects) in streams {
            let config = stream::Config {
                name: name.clone(),
                subjects,
                max_age: KEPT,
                duplicate_window: window,
                ..stream::Config::default()
            };
            let made = context.get_or_create_stream(config).await;
            made.map_err(|error| RelayError::Create { what: format!("the stream {name}"), reason: cause(&error) })?;
        }
    }
    let missing = |what: String| move |error: String| RelayError::Missing { what, reason: error };
    let stream = context.get_stream(&settings.stream).await;
    let stream = stream.map_err(|error| missing(format!("stream {}", settings.stream))(cause(&error)))?;
    let durable = &settings.durable;
    let consumer: PullConsumer = match settings.create {
        Some(_) => stream
            .get_or_create_consumer(
                durable,
                pull::Config {
                    durable_name: Some(durable.clone()),
                    ack_policy: AckPolicy::Explicit,
                    ack_wait: settings.ack_wait,
                    // The relay counts itself: what the broker gives up is told to nobody.
                    max_deliver: -1,
                    max_ack_pending: -1,
                    filter_subjects: if settings.subjects.len() > 1 { settings.subjects.clone() } else { Vec::new() },
                    filter_subject: match &settings.subjects[..] {
                        [one] => one.clone(),
                        _ => String::new(),
                    },
                    ..pull::Config::default()
                },
            )
            .await
            .map_err(|error| RelayError::Create { what: format!("the consumer {durable}"), reason: cause(&error) })?,
        None => stream.get_consumer(durable).await.map_err(|error| {
            missing(format!("consumer {durable} of the stream {}", settings.stream))(error.to_string())
        })?,
    };
    let config = &consumer.cached_info().config;
    let unfit = |reason| Err(RelayError::Unfit { durable: durable.clone(), reason });
    if config.ack_policy != AckPolicy::Explicit {
        return unfit(
            "does not ask for each message to be acknowledged: make another, with the acknowledgement policy explicit",
        );
    }
    if config.max_deliver > 0 && config.max_deliver <= i64::from(settings.max_deliver) {
        return unfit(
            "gives messages up before the relay does, and nobody would be told: raise its max_deliver above --max-deliver, or to -1",
        );
    }
    if config.ack_wait != settings.ack_wait {
        tracing::warn!(
            of_consumer = ?config.ack_wait,
            asked_for = ?settings.ack_wait,
            "the consumer that is there waits otherwise for acknowledgements than --ack-wait says; its own holds"
        );
    }
    // Somebody must take what is published.
    for subject in [settings.publish.subject(None), settings.dead_letter.clone()] {
        let what = || format!("stream that takes {subject}");
        let name = context.stream_by_subject(&subject).await.map_err(|error| missing(what())(cause(&error)))?;
        let taking = context.get_stream(&name).await.map_err(|error| missing(what())(cause(&error)))?;
        let window = taking.cached_info().config.duplicate_window;
        if window < config.ack_wait * 2 {
            tracing::warn!(
                stream = name,
                ?window,
                ack_wait = ?config.ack_wait,
                "a publication made twice may count twice: give the stream a de-duplication window of several times the wait"
            );
        }
    }
    Ok(consumer)
}

/// Whether a broker, or a stream, takes no message of this size.
fn is_too_large(error: &PublishError) -> bool {
    let of_broker = std::error::Error::source(error).and_then(|source| source.downcast_ref::<BrokerError>());
    let code = of_broker.map(BrokerError::error_code);
    let limits = [ErrorCode::STREAM_MESSAGE_EXCEEDS_MAXIMUM, ErrorCode::STREAM_HEADER_EXCEEDS_MAXIMUM];
    error.kind() == PublishErrorKind::MaxPayloadExceeded || code.is_some_and(|code| limits.contains(&code))
}

/// What lies beneath an error.
fn cause(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(deeper) = cause {
        text = deeper.to_string();
        cause = deeper.source();
    }
    text
}

/// Asks now and then how much waits.
async fn look(mut consumer: PullConsumer, metrics: Arc<Metrics>) {
    loop {
        if let Ok(info) = consumer.info().await {
            metrics.lag.set(i64::try_from(info.num_pending).unwrap_or(i64::MAX));
            metrics.ack_pending.set(i64::try_from(info.num_ack_pending).unwrap_or(i64::MAX));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// What works on messages.
struct Worker {
    labeller: Labeller,
    metrics: Arc<Metrics>,
    context: Context,
    settings: Settings,
    ack_wait: Duration,
    /// Room for messages at work, in KiB.
    at_work: Semaphore,
    /// The messages that are held, to tell the broker that they are being worked on.
    held: Mutex<HashMap<u64, Arc<Acker>>>,
    next: AtomicU64,
}

/// A message that is held.
struct Held {
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

impl Drop for Held {
    fn drop(&mut self) {
        self.worker.held.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.number);
        self.worker.metrics.in_flight.dec();
    }
}

impl Worker {
    /// Holds a message; `None` where it is none of a stream's.
    fn hold(self: &Arc<Self>, message: jetstream::Message, room: OwnedSemaphorePermit) -> Option<Held> {
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

    /// Tells the broker again and again of all messages that they are being worked on.
    async fn tell_of_progress(self: Arc<Self>) {
        loop {
            tokio::time::sleep(self.ack_wait / 3).await;
            let held: Vec<Arc<Acker>> =
                self.held.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
            for acker in held {
                // What does not reach it is delivered once more, and counts once.
                let _ = acker.ack_with(AckKind::Progress).await;
            }
        }
    }

    /// Brings messages that came before to their end, each alone: one of them may kill whoever takes it, and must not take the
    /// others with it. From the first to the last, and the next time from the last to the first, so that all others end.
    async fn work_one_by_one(self: Arc<Self>, mut messages: Vec<Held>) {
        messages.sort_by_key(|held| held.sequence);
        if messages.first().is_some_and(|held| held.deliveries % 2 == 1) {
            messages.reverse();
        }
        for held in messages {
            self.clone().work(vec![held]).await;
        }
    }

    /// Brings messages to their end.
    async fn work(self: Arc<Self>, messages: Vec<Held>) {
        let bytes: usize = messages.iter().map(|held| held.message.payload.len()).sum();
        let kib = bytes.div_ceil(1 << 10).min(AT_WORK_KIB) as u32;
        // It is never closed.
        let _room = self.at_work.acquire_many(kib).await;
        let mut wanted = Vec::with_capacity(messages.len());
        let (mut passing, mut dead) = (Vec::new(), Vec::new());
        for held in messages {
            // It was tried often enough, and whoever tried did not live to tell.
            if held.deliveries > i64::from(self.settings.max_deliver) {
                let reason = format!("it was delivered {} times without an end", held.deliveries - 1);
                dead.push((held, reason));
                continue;
            }
            match Incoming::read(&held.message.payload, &held.place) {
                Ok(incoming) if incoming.is_canceled() => passing.push((held, incoming)),
                Ok(incoming) => match incoming.article.check() {
                    Ok(()) => wanted.push((held, incoming)),
                    Err(error) => dead.push((held, error.to_string())),
                },
                Err(reason) => dead.push((held, reason)),
            }
        }
        let label = async {
            let articles = wanted.iter_mut().map(|(_, incoming)| std::mem::take(&mut incoming.article));
            let answers = self.label(articles.collect()).await;
            let ends = wanted.into_iter().zip(answers);
            join_all(ends.map(|((held, incoming), answer)| self.end(held, incoming, Some(answer)))).await;
        };
        let pass = join_all(passing.into_iter().map(|(held, incoming)| self.end(held, incoming, None)));
        // What needs no answer does not wait for any.
        tokio::join!(label, pass, join_all(dead.into_iter().map(|(held, reason)| self.bury(held, reason))));
    }

    /// Answers about articles; asks until there are some.
    async fn label(&self, articles: Vec<Article>) -> Vec<Result<Classification, Fault>> {
        if articles.is_empty() {
            return Vec::new();
        }
        let articles = Arc::new(articles);
        let mut back_off = BackOff::default();
        loop {
            let status = match self.labeller.label(articles.clone()).await {
                Ok(answers) => return answers,
                Err(status) => status,
            };
            // One that ends the stream whoever sends it must not hold up the others.
            if let Code::ResourceExhausted | Code::OutOfRange | Code::InvalidArgument = status.code() {
                return match &articles[..] {
                    [_] => vec![Err(Fault::Article(status.message().to_owned()))],
                    all => {
                        let mut answers = Vec::with_capacity(all.len());
                        for article in all {
                            answers.extend(Box::pin(self.label(vec![article.clone()])).await);
                        }
                        answers
                    }
                };
            }
            self.metrics.retries.inc();
            tracing::warn!(code = ?status.code(), reason = status.message(), "no answers, asking again");
            back_off.wait().await;
        }
    }

    /// Publishes an article and acknowledges its message.
    async fn end(&self, held: Held, incoming: Incoming, answer: Option<Result<Classification, Fault>>) {
        let answer = match answer {
            Some(Err(Fault::Article(reason))) => return self.bury(held, reason).await,
            Some(Err(Fault::Program(reason))) if held.deliveries >= i64::from(self.settings.max_deliver) => {
                return self.bury(held, reason).await;
            }
            Some(Err(Fault::Program(reason))) => {
                tracing::warn!(message = held.place, reason, "it comes again");
                self.metrics.retries.inc();
                let _ = held.acker.ack_with(AckKind::Nak(Some(AFTER_A_FAULT))).await;
                return;
            }
            Some(Ok(answer)) => Some(answer),
            None => None,
        };
        let (subject, payload) = incoming.outgoing(answer.as_ref(), &self.settings.publish);
        let mut headers = passed_on(held.message.headers.as_ref());
        headers.insert(NATS_MESSAGE_ID, held.id.as_str());
        for (name, value) in incoming.headers(answer.as_ref()) {
            headers.insert(name, value);
        }
        drop(incoming);
        if !self.publish(OutboundMessage::new(subject.into(), payload.into(), Some(headers))).await {
            return self.bury(held, "with its labels it is larger than the broker takes".to_owned()).await;
        }
        self.acknowledge(held, if answer.is_some() { Became::Labelled } else { Became::Passed }).await;
    }

    /// Puts a message aside, as it came, with the reason.
    async fn bury(&self, held: Held, reason: String) {
        tracing::warn!(message = held.place, reason, "a dead letter");
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
                tracing::error!(message = held.place, "the stream for dead letters does not take it: it comes again");
                let _ = held.acker.ack_with(AckKind::Nak(Some(LONGEST_WAIT))).await;
                return;
            }
        }
        self.acknowledge(held, Became::Dead).await;
    }

    /// Publishes until the broker has it; `false` where it is too large for that.
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

    async fn acknowledge(&self, held: Held, became: Became) {
        // Where the broker does not hear it, the message comes again, and its publication counts once.
        if let Err(error) = held.acker.double_ack().await {
            tracing::debug!(message = held.place, %error, "not acknowledged");
        }
        self.metrics.count(became).inc();
        self.metrics.whole.observe(held.since.elapsed().as_secs_f64());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_not_told() {
        assert_eq!(without_passwords("nats://desk:sec,ret@a:4222,tls://b:4222"), "****@a:4222,tls://b:4222");
        assert_eq!(without_passwords("nats://a:4222"), "nats://a:4222");
        assert_eq!(without_name("nats://desk:secret@a:4222"), "nats://a:4222");
        assert_eq!(
            ["p%40ss", "s3cret%3D", "100%", "%zz", "é%C3%A9"].map(decoded),
            ["p@ss", "s3cret=", "100%", "%zz", "éé"]
        );
    }
}
