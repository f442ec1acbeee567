//! The worker on a message broker: takes articles from a stream of NATS JetStream, labels them, publishes them.
//!
//! In: messages of a durable pull consumer, each a row of JSON or an item of ninjs. Out: the same with labels, on a subject built
//! of them. A message is acknowledged once the broker has acknowledged its publication, so that none is lost whatever dies;
//! publications carry an id made of the message's place in its stream, so that one made twice counts once. What cannot be
//! labelled goes to a subject of its own with the reason. Any number of relays with one durable name share the work.

mod backoff;
mod isolation;
mod labeller;
mod message;
mod metrics;
mod subject;
mod worker;

pub use labeller::{Fault, Labeller};
pub use metrics::{MessageOutcome, Metrics};
pub use subject::{Template, is_subject};

use async_nats::{
    Client, ConnectOptions, Event, ServerAddr,
    jetstream::{
        self, Context,
        consumer::{AckPolicy, PullConsumer, pull},
        context::ContextBuilder,
        stream,
    },
};
use backoff::BackOff;
use std::{future::Future, path::PathBuf, sync::Arc, time::Duration};
use tokio::{
    sync::{Semaphore, watch},
    task::JoinSet,
};
use tokio_stream::StreamExt;
use worker::{Held, Worker};

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
    /// A message that meets an internal error is delivered again until it was delivered this many times; then it is a dead
    /// letter.
    pub max_deliver: u32,
    /// How long the broker waits for a progress acknowledgement of a message before it gives it to another.
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
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// What streams that are made keep.
const KEPT: Duration = Duration::from_secs(7 * 24 * 3600);
/// The least time within which a publication made twice counts once.
const LEAST_WINDOW: Duration = Duration::from_secs(120);

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
        // What the consumer waits for is what counts.
        let ack_wait = self.settings.ack_wait.min(self.consumer.cached_info().config.ack_wait);
        let in_flight = self.settings.in_flight;
        let worker = Arc::new(Worker::new(labeller, metrics, self.context, self.settings, ack_wait));
        let progress = tokio::spawn(worker.clone().acknowledge_progress());
        let mut tasks = JoinSet::new();
        let mut stop = std::pin::pin!(stop);
        let mut back_off = BackOff::default();
        let mut stopped = false;
        while !stopped {
            // What is done makes room; a task that stumbled has left its messages to be delivered again.
            while tasks.try_join_next().is_some() {}
            // Not for every single one that gets free.
            let least = (in_flight / 4).max(1);
            let wanted = room.available_permits().max(least) as u32;
            let mut permits = tokio::select! {
                permits = room.clone().acquire_many_owned(wanted) => match permits {
                    Ok(permits) => permits,
                    Err(_) => break,
                },
                () = &mut stop => break,
            };
            let pull = self.consumer.batch().max_messages(wanted as usize).expires(PULL).messages();
            let batch = tokio::select! {
                batch = pull => batch,
                () = &mut stop => break,
            };
            let mut batch = match batch {
                Ok(batch) => batch,
                Err(error) => {
                    tracing::warn!(%error, "the broker gives no messages, asking again");
                    tokio::select! {
                        () = back_off.wait() => continue,
                        () = &mut stop => break,
                    }
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
                                messages.extend(worker.track(message, permit));
                            }
                        }
                        Err(error) => {
                            tracing::warn!(%error, "the broker gives no messages, asking again");
                            tokio::select! {
                                () = back_off.wait() => {}
                                () = &mut stop, if !stopped => stopped = true,
                            }
                        }
                    }
                }
                let (again, first): (Vec<Held>, Vec<Held>) = messages.into_iter().partition(Held::is_redelivered);
                if !first.is_empty() {
                    tasks.spawn(worker.clone().process(first));
                }
                if !again.is_empty() {
                    tasks.spawn(worker.clone().process_redelivered(again));
                }
            }
        }
        tracing::info!(held = in_flight - room.available_permits(), "draining");
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
