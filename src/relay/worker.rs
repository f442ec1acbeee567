//! Decides what becomes of messages: reads them, and classifies their articles.

use super::{
    backoff::BackOff,
    delivery::{Action, Delivery},
    error::LabelError,
    isolation::Isolated,
    labeller::{Labeller, StreamBroken},
    message::Incoming,
    metrics::{MessageOutcome, Metrics},
    settings::Settings,
    subject::Template,
};
use crate::{
    article::{Article, Classification},
    copies::{Found, Window},
    model::word_hashes,
};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, PoisonError},
};
use tokio::sync::Semaphore;
use tonic::Code;

/// The most messages that are classified together.
pub const CHUNK: usize = 64;
/// A chunk of this many bytes takes no further message.
pub const CHUNK_BYTES: usize = 4 << 20;
/// The most KiB of messages that are processed at once: each is in memory several times meanwhile.
const PROCESSING_KIB: usize = 32 << 10;
/// An article is a dead letter after the server has crashed this many times while it had only this one.
const MAX_BREAKS: u32 = 3;

/// The message of an internal error.
const INTERNAL_ERROR: &str = "internal error";

/// Decides what becomes of messages.
pub struct Worker {
    labeller: Labeller,
    /// One process for all redelivered messages, to bound memory to one more model; `None` with a server.
    isolated: Option<tokio::sync::Mutex<Isolated>>,
    metrics: Arc<Metrics>,
    settings: Settings,
    /// The recent articles by the place of their message, if near-copies are looked for.
    copies: Option<Arc<Mutex<Window<String>>>>,
    /// A permit for each KiB of messages that may be processed at once.
    processing: Semaphore,
}

/// Messages that were read.
struct Sorted<D> {
    /// To be classified.
    articles: Vec<(D, Incoming)>,
    /// Those that need no labels.
    decided: Vec<(D, Action)>,
}

impl Worker {
    /// A worker that labels with `labeller`.
    pub fn new(labeller: Labeller, metrics: Arc<Metrics>, settings: Settings) -> Self {
        Worker {
            isolated: labeller.isolated().map(tokio::sync::Mutex::new),
            processing: Semaphore::new(PROCESSING_KIB),
            copies: settings.copies.map(|window| Arc::new(Mutex::new(Window::new(window)))),
            labeller,
            metrics,
            settings,
        }
    }

    /// Decides about messages together. Waits as long as articles cannot be classified. The order may change.
    pub async fn decide<D: Delivery>(&self, messages: Vec<D>) -> Vec<(D, Action)> {
        let Sorted { mut articles, mut decided } = self.read(messages).await;
        let wanted = articles.iter_mut().map(|(_, incoming)| std::mem::take(&mut incoming.article)).collect();
        let answers = self.label(wanted).await;
        decided.extend(self.actions(articles, answers).await);
        decided
    }

    /// Decides about messages one at a time: one of them may have crashed the process that had it. With a model in this process, each is
    /// classified in a separate process, so that a crash concerns only its own message.
    pub async fn decide_isolated<D: Delivery>(&self, messages: Vec<D>) -> Vec<(D, Action)> {
        let Sorted { mut articles, mut decided } = self.read(messages).await;
        let mut answers = Vec::with_capacity(articles.len());
        for (_, incoming) in &mut articles {
            let article = std::mem::take(&mut incoming.article);
            answers.extend(match &self.isolated {
                Some(isolated) => self.label_isolated(isolated, article).await,
                None => self.label(vec![article]).await,
            });
        }
        decided.extend(self.actions(articles, answers).await);
        decided
    }

    async fn label_isolated(
        &self,
        isolated: &tokio::sync::Mutex<Isolated>,
        article: Article,
    ) -> Vec<Result<Classification, LabelError>> {
        match isolated.lock().await.classify(&article, &self.labeller.model()).await {
            Ok(answer) => vec![answer],
            Err(error) => {
                tracing::warn!(%error, "redelivered article classified in this process");
                self.label(vec![article]).await
            }
        }
    }

    /// Waits until the messages fit into the memory for processing.
    pub async fn admit(&self, messages: &[impl Delivery]) -> Option<tokio::sync::SemaphorePermit<'_>> {
        let bytes: usize = messages.iter().map(|message| message.payload().len()).sum();
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
    async fn read<D: Delivery>(&self, messages: Vec<D>) -> Sorted<D> {
        let (copies, max_deliver) = (self.copies.clone(), self.settings.max_deliver);
        let publish = self.settings.publish.clone();
        spawn_blocking(move || {
            let mut sorted = Sorted::default();
            for message in messages {
                let read = catch_unwind(AssertUnwindSafe(|| read(&message, &publish)));
                let internal = |_| Err(Action::after_error(&message, INTERNAL_ERROR.to_owned(), max_deliver));
                match read.unwrap_or_else(internal) {
                    Ok(incoming) => sorted.articles.push((message, *incoming)),
                    Err(action) => sorted.decided.push((message, action)),
                }
            }
            if let Some(copies) = copies {
                sorted.articles.iter_mut().for_each(|(message, incoming)| {
                    let find = || group_of(&copies, message.place(), &incoming.article);
                    incoming.group = catch_unwind(AssertUnwindSafe(find)).ok();
                });
            }
            sorted
        })
        .await
    }

    /// What to do with messages by the answers to their articles.
    async fn actions<D: Delivery>(
        &self,
        messages: Vec<(D, Incoming)>,
        answers: Vec<Result<Classification, LabelError>>,
    ) -> Vec<(D, Action)> {
        if messages.is_empty() {
            return Vec::new();
        }
        let (publish, max_deliver) = (self.settings.publish.clone(), self.settings.max_deliver);
        let action = move |message: &D, incoming: Incoming, answer| match answer {
            Ok(answer) => Action::Publish(incoming.outgoing(Some(&answer), &publish), MessageOutcome::Labelled),
            Err(LabelError::Article(reason)) => Action::DeadLetter(reason),
            Err(LabelError::Internal(reason)) => Action::after_error(message, reason, max_deliver),
        };
        spawn_blocking(move || {
            let pairs = messages.into_iter().zip(answers);
            pairs
                .map(|((message, incoming), answer)| {
                    let action = catch_unwind(AssertUnwindSafe(|| action(&message, incoming, answer)));
                    let internal = |_| Action::after_error(&message, INTERNAL_ERROR.to_owned(), max_deliver);
                    let action = action.unwrap_or_else(internal);
                    (message, action)
                })
                .collect::<Vec<_>>()
        })
        .await
    }
}

/// The article of a message, or what to do with a message that needs no labels.
fn read(message: &impl Delivery, publish: &Template) -> Result<Box<Incoming>, Action> {
    if message.is_own() {
        return Err(Action::Drop("this relay published it: its output overlaps its input".to_owned()));
    }
    let incoming = Incoming::read(message.payload(), message.place()).map_err(Action::DeadLetter)?;
    if incoming.is_canceled() {
        return Err(Action::Publish(incoming.outgoing(None, publish), MessageOutcome::Passed));
    }
    match incoming.article.check() {
        Ok(()) => Ok(Box::new(incoming)),
        Err(error) => Err(Action::DeadLetter(error.to_string())),
    }
}

/// Finds the group of near-copies of an article, and adds the article to the window. A message that is delivered again has the
/// same place, and gets the same group.
fn group_of(copies: &Mutex<Window<String>>, place: &str, article: &Article) -> Found<String> {
    let words = word_hashes(article);
    copies.lock().unwrap_or_else(PoisonError::into_inner).add(&words, place.to_owned())
}

/// Whether a stream ended because of what was sent on it.
fn is_about_articles(status: &tonic::Status) -> bool {
    matches!(status.code(), Code::ResourceExhausted | Code::OutOfRange | Code::InvalidArgument)
}

/// An article without news, to find out whether the server answers.
fn probe() -> Article {
    Article { headline: "Rain is expected in the north".to_owned(), ..Article::default() }
}

impl<D> Default for Sorted<D> {
    fn default() -> Self {
        Sorted { articles: Vec::new(), decided: Vec::new() }
    }
}

/// Runs work on a thread that may block: parsing megabytes of JSON must not delay the connection to the broker. A panic drops the
/// messages of the work, and the broker redelivers them.
async fn spawn_blocking<T: Send + Default + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap_or_default()
}
