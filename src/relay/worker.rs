//! Processes messages: reads them, classifies their articles, and applies the outcome to each.

use super::{
    backoff::BackOff,
    error::LabelError,
    health::Health,
    isolation::Isolated,
    labeller::{Labeller, StreamBroken},
    message::{Incoming, is_published_by},
    metrics::{MessageOutcome, Metrics},
    publisher::Publisher,
    settings::Settings,
    tracking::{Action, Held, INTERNAL_ERROR, Permit, Tracker},
};
use crate::{
    article::{Article, Classification},
    copies::{Found, Window},
    model::word_hashes,
};
use async_nats::jetstream::{self, Context};
use futures_util::future::join_all;
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::sync::Semaphore;
use tonic::Code;

/// The most KiB of messages that are processed at once: each is in memory several times meanwhile.
const PROCESSING_KIB: usize = 32 << 10;
/// An article is a dead letter after the server has crashed this many times while it had only this one.
const MAX_BREAKS: u32 = 3;

/// Processes messages.
pub struct Worker {
    labeller: Labeller,
    /// One process for all redelivered messages, to bound memory to one more model; `None` with a server.
    isolated: Option<tokio::sync::Mutex<Isolated>>,
    metrics: Arc<Metrics>,
    publisher: Publisher,
    tracker: Arc<Tracker>,
    settings: Settings,
    /// The recent articles by their sequence in the stream, if near-copies are looked for.
    copies: Option<Arc<Mutex<Window<u64>>>>,
    /// A permit for each KiB of messages that may be processed at once.
    processing: Semaphore,
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
    /// Those that caused an internal error.
    failed: Vec<Held>,
    /// Those that this relay published itself.
    looped: Vec<Held>,
}

impl Worker {
    /// A worker that publishes to `context`.
    pub fn new(
        labeller: Labeller,
        metrics: Arc<Metrics>,
        health: Arc<Health>,
        context: Context,
        settings: Settings,
        ack_wait: Duration,
    ) -> Self {
        Worker {
            isolated: labeller.isolated().map(tokio::sync::Mutex::new),
            publisher: Publisher::new(context, metrics.clone(), health, &settings),
            tracker: Arc::new(Tracker::new(metrics.clone(), settings.durable.clone(), ack_wait)),
            processing: Semaphore::new(PROCESSING_KIB),
            copies: settings.copies.map(|window| Arc::new(Mutex::new(Window::new(window)))),
            labeller,
            metrics,
            settings,
        }
    }

    /// Tracks a message until it is finished; `None` if it does not come from a stream.
    pub fn track(&self, message: jetstream::Message, permit: Permit) -> Option<Held> {
        self.tracker.track(message, permit)
    }

    /// Sends progress acknowledgements for all tracked messages, without end.
    pub async fn acknowledge_progress(self: Arc<Self>) {
        self.tracker.acknowledge_progress().await;
    }

    /// Processes messages together.
    pub async fn process(self: Arc<Self>, messages: Vec<Held>) {
        let Some(_permit) = self.admit(&messages).await else { return };
        let (mut articles, rest) = self.read(messages).await.split();
        let label = async {
            let wanted = articles.iter_mut().map(|(_, incoming)| std::mem::take(&mut incoming.article)).collect();
            let answers = self.label(wanted).await;
            self.finish(articles, answers.into_iter().map(Some).collect()).await;
        };
        tokio::join!(label, self.finish_without_labels(rest));
    }

    /// Processes redelivered messages one at a time: one of them may have crashed the process that had it. With a model in this process,
    /// each is classified in a separate process, so that a crash concerns only its own message.
    pub async fn process_redelivered(self: Arc<Self>, mut messages: Vec<Held>) {
        messages.sort_by_key(Held::sequence);
        for held in messages {
            let messages = vec![held];
            let Some(isolated) = &self.isolated else {
                self.clone().process(messages).await;
                continue;
            };
            let Some(_permit) = self.admit(&messages).await else { return };
            let (articles, rest) = self.read(messages).await.split();
            for (held, mut incoming) in articles {
                let article = std::mem::take(&mut incoming.article);
                let answer = isolated.lock().await.classify(&article, &self.labeller.model()).await;
                let answers = match answer {
                    Ok(answer) => vec![answer],
                    Err(error) => {
                        tracing::warn!(%error, "redelivered article classified in this process");
                        self.label(vec![article]).await
                    }
                };
                self.finish(vec![(held, incoming)], answers.into_iter().map(Some).collect()).await;
            }
            self.finish_without_labels(rest).await;
        }
    }

    /// Waits until the messages fit into the memory for processing.
    async fn admit(&self, messages: &[Held]) -> Option<tokio::sync::SemaphorePermit<'_>> {
        let bytes: usize = messages.iter().map(|held| held.payload().len()).sum();
        let kib = bytes.div_ceil(1 << 10).min(PROCESSING_KIB) as u32;
        // The semaphore is never closed.
        self.processing.acquire_many(kib).await.ok()
    }

    /// The answers to articles, in their order. Retries until all are answered.
    async fn label(&self, articles: Vec<Article>) -> Vec<Result<Classification, LabelError>> {
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
            // An article that breaks each stream it is sent on must not block the others.
            if is_about_articles(&broken.status) || broken.in_stream {
                for i in rest {
                    answers.push(self.label_alone(&articles, i).await);
                }
                break;
            }
            self.wait_to_retry(&broken.status, &mut back_off).await;
        }
        answers
    }

    /// The answer to one article. Retries until there is one, or until the article is known to be the cause: the server broke off
    /// several times while it had this article, and answered another one before each time.
    async fn label_alone(&self, articles: &Arc<Vec<Article>>, i: usize) -> Result<Classification, LabelError> {
        let mut back_off = BackOff::default();
        let (mut breaks, mut server_answers) = (0, false);
        loop {
            let StreamBroken { status, in_stream, .. } = match self.labeller.label(articles, i..i + 1).await {
                Ok(mut answers) if answers.len() == 1 => return answers.remove(0),
                Ok(_) => return Err(LabelError::Internal("the server did not answer".to_owned())),
                Err(broken) => broken,
            };
            if is_about_articles(&status) {
                return Err(LabelError::Article(status.message().to_owned()));
            }
            breaks += u32::from(in_stream && server_answers);
            if breaks >= MAX_BREAKS {
                return Err(LabelError::Article(format!(
                    "the server broke off {breaks} times while it had this article alone"
                )));
            }
            self.wait_to_retry(&status, &mut back_off).await;
            server_answers = self.labeller.label(&Arc::new(vec![probe()]), 0..1).await.is_ok();
        }
    }

    async fn wait_to_retry(&self, status: &tonic::Status, back_off: &mut BackOff) {
        self.metrics.retries.inc();
        tracing::warn!(code = ?status.code(), reason = status.message(), "articles not classified, trying again");
        back_off.wait().await;
    }

    /// Reads messages, on a blocking thread.
    async fn read(&self, messages: Vec<Held>) -> Sorted {
        let (durable, stream) = (self.settings.durable.clone(), self.settings.stream.clone());
        let copies = self.copies.clone();
        spawn_blocking(move || {
            let mut sorted = Sorted::default();
            messages.into_iter().for_each(|held| sorted.read(held, &durable));
            if let Some(copies) = copies {
                sorted.articles.iter_mut().for_each(|(held, incoming)| {
                    incoming.group = Some(group_of(&copies, &stream, held.sequence(), &incoming.article));
                });
            }
            sorted
        })
        .await
    }

    /// Finishes messages that are not classified.
    async fn finish_without_labels(&self, messages: Sorted) {
        let Sorted { canceled, dead, failed, looped, .. } = messages;
        let answers = canceled.iter().map(|_| None).collect();
        let dead = dead.into_iter().map(|(held, reason)| (held, Action::DeadLetter(reason)));
        let failed = failed.into_iter().map(|held| {
            let action = Action::after_error(&held, INTERNAL_ERROR.to_owned(), self.settings.max_deliver);
            (held, action)
        });
        let looped = looped.into_iter().map(|held| {
            let reason = "this relay published it: its output subjects overlap its input";
            (held, Action::Drop(reason.to_owned()))
        });
        let actions = dead.chain(failed).chain(looped).map(|(held, action)| self.publisher.apply(held, action));
        tokio::join!(self.finish(canceled, answers), join_all(actions));
    }

    /// Finishes messages by their answers; `None` publishes a message without labels.
    async fn finish(&self, messages: Vec<(Held, Incoming)>, answers: Vec<Option<Result<Classification, LabelError>>>) {
        if messages.is_empty() {
            return;
        }
        let (publish, max_deliver) = (self.settings.publish.clone(), self.settings.max_deliver);
        let action = move |held: &Held, incoming: Incoming, answer| match answer {
            None => Action::Publish(incoming.outgoing(None, &publish), MessageOutcome::Passed),
            Some(Ok(answer)) => Action::Publish(incoming.outgoing(Some(&answer), &publish), MessageOutcome::Labelled),
            Some(Err(LabelError::Article(reason))) => Action::DeadLetter(reason),
            Some(Err(LabelError::Internal(reason))) => Action::after_error(held, reason, max_deliver),
        };
        let actions = spawn_blocking(move || {
            let pairs = messages.into_iter().zip(answers);
            pairs
                .map(|((held, incoming), answer)| {
                    let action = catch_unwind(AssertUnwindSafe(|| action(&held, incoming, answer)));
                    let internal = |_| Action::after_error(&held, INTERNAL_ERROR.to_owned(), max_deliver);
                    let action = action.unwrap_or_else(internal);
                    (held, action)
                })
                .collect::<Vec<_>>()
        });
        join_all(actions.await.into_iter().map(|(held, action)| self.publisher.apply(held, action))).await;
    }
}

/// Finds the group of near-copies of an article, and adds the article to the window. A message that is delivered again has the
/// same sequence in the stream, and gets the same group.
fn group_of(copies: &Mutex<Window<u64>>, stream: &str, sequence: u64, article: &Article) -> Found<String> {
    let words = word_hashes(article);
    let found = copies.lock().unwrap_or_else(PoisonError::into_inner).add(&words, sequence);
    let copy_of = found.copy_of.map(|(of, similarity)| (format!("{stream}:{of}"), similarity));
    Found { group: found.group, copy_of }
}

/// Whether a stream ended because of what was sent on it.
fn is_about_articles(status: &tonic::Status) -> bool {
    matches!(status.code(), Code::ResourceExhausted | Code::OutOfRange | Code::InvalidArgument)
}

/// An article without news, to find out whether the server answers.
fn probe() -> Article {
    Article { headline: "Rain is expected in the north".to_owned(), ..Article::default() }
}

impl Sorted {
    /// Reads a message.
    fn read(&mut self, held: Held, durable: &str) {
        if is_published_by(durable, held.headers()) {
            self.looped.push(held);
            return;
        }
        let read = catch_unwind(AssertUnwindSafe(|| Incoming::read(held.payload(), held.place())));
        let Ok(read) = read else {
            self.failed.push(held);
            return;
        };
        match read {
            Ok(incoming) if incoming.is_canceled() => self.canceled.push((held, incoming)),
            Ok(incoming) => match incoming.article.check() {
                Ok(()) => self.articles.push((held, incoming)),
                Err(error) => self.dead.push((held, error.to_string())),
            },
            Err(reason) => self.dead.push((held, reason)),
        }
    }

    /// The messages to be classified, and the others.
    fn split(mut self) -> (Vec<(Held, Incoming)>, Sorted) {
        (std::mem::take(&mut self.articles), self)
    }
}

/// Runs work on a thread that may block: parsing megabytes of JSON must not delay the connection to the broker. A panic drops the
/// messages of the work, and the broker redelivers them.
async fn spawn_blocking<T: Send + Default + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap_or_default()
}
