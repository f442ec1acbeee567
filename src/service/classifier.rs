use super::{
    Limits, ServeError,
    convert::{answer_to_proto, article_from_proto, error_to_proto, options_from_proto},
    metrics::{Metrics, Raised, Took},
    proto::dateline::v1::{self as pb, classifier_server::Classifier, classify_response::Outcome},
    shadow::{Digest, Shadow},
    slot::ModelSlot,
    transport::Activity,
};
use crate::{
    article::{Article, Options},
    model::clean_article,
    region::tree,
};
use futures_util::{Stream, StreamExt, stream::BoxStream};
use prometheus_client::metrics::gauge::Gauge;
use prost::Message;
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};
use tokio_util::task::AbortOnDropHandle;
use tonic::{Code, Request, Response, Status, Streaming, metadata::MetadataValue};
use tracing::{Instrument, Span};

/// How many articles of one stream may be under way: read, and not yet taken by the client. Throughput hardly rises
/// beyond; memory does.
pub const WINDOW: usize = 64;

/// What an article is told that the server stumbled over.
const FAULT: &str = "a fault of the server's; it is in its log";

/// Once the server drains, a stream whose client pauses for so long has sent what it had to send.
const PAUSE: Duration = Duration::from_millis(100);

/// The service `dateline.v1.Classifier`.
#[derive(Clone)]
pub struct Service(Arc<Parts>);

struct Parts {
    slot: Arc<ModelSlot>,
    shadow: Option<Arc<Shadow>>,
    metrics: Arc<Metrics>,
    /// Threads for classifying, so that the network's are always free. One for each core.
    threads: rayon::ThreadPool,
    streams: StreamEnd,
    room: Room,
}

/// Room for the articles that may be under way.
struct Room {
    /// A place for each.
    places: Arc<Semaphore>,
    /// [`PIECE`]s of their text.
    text: Arc<Semaphore>,
    /// How many pieces there are.
    pieces: u32,
    places_taken: Gauge,
    text_taken: Gauge,
}

/// In how many bytes text is counted.
const PIECE: usize = 1024;

/// Room that is taken, and the gauge that says so.
struct Taken {
    _permit: OwnedSemaphorePermit,
    gauge: Gauge,
    amount: i64,
}

impl Taken {
    fn new(permit: OwnedSemaphorePermit, gauge: &Gauge, amount: i64) -> Self {
        gauge.inc_by(amount);
        Taken { _permit: permit, gauge: gauge.clone(), amount }
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.gauge.dec_by(self.amount);
    }
}

impl Room {
    fn new(limits: &Limits, metrics: &Metrics) -> Self {
        let bytes = limits.text_bytes.max(limits.message_bytes);
        let pieces = u32::try_from(bytes / PIECE).unwrap_or(u32::MAX).max(1);
        Room {
            places: Arc::new(Semaphore::new(limits.articles)),
            text: Arc::new(Semaphore::new(pieces as usize)),
            pieces,
            places_taken: metrics.places_taken.clone(),
            text_taken: metrics.text_taken.clone(),
        }
    }

    fn pieces_of(&self, request: &pb::ClassifyRequest) -> u32 {
        u32::try_from(request.encoded_len().div_ceil(PIECE)).unwrap_or(u32::MAX).min(self.pieces)
    }

    /// Room for the text of a request, once there is some.
    async fn for_text(&self, request: &pb::ClassifyRequest) -> Option<Taken> {
        let pieces = self.pieces_of(request);
        // Never closed.
        let permit = self.text.clone().acquire_many_owned(pieces).await.ok()?;
        Some(Taken::new(permit, &self.text_taken, i64::from(pieces) * PIECE as i64))
    }

    /// A place for an article, once there is one.
    async fn for_article(&self) -> Option<Taken> {
        Some(Taken::new(self.places.clone().acquire_owned().await.ok()?, &self.places_taken, 1))
    }

    /// Room for a request, if there is some at once.
    fn at_once(&self, request: &pb::ClassifyRequest) -> Option<[Taken; 2]> {
        let pieces = self.pieces_of(request);
        let place = Taken::new(self.places.clone().try_acquire_owned().ok()?, &self.places_taken, 1);
        let text = self.text.clone().try_acquire_many_owned(pieces).ok()?;
        Some([place, Taken::new(text, &self.text_taken, i64::from(pieces) * PIECE as i64)])
    }
}

/// When streams end though their clients have not ended them.
#[derive(Clone)]
pub struct StreamEnd {
    /// Turns true once: the server drains.
    pub draining: watch::Receiver<bool>,
    /// How long open streams may go on reading what keeps coming, once their end has come.
    pub read_on: Duration,
    /// How old a connection may get; for ever, if zero.
    pub connection_age: Duration,
    /// How long a stream may bring no article; for ever, if zero.
    pub idle: Duration,
}

impl Service {
    /// A service that answers with the slot's model.
    pub fn new(
        slot: Arc<ModelSlot>,
        shadow: Option<Arc<Shadow>>,
        metrics: Arc<Metrics>,
        streams: StreamEnd,
        limits: &Limits,
    ) -> Result<Self, ServeError> {
        let threads = rayon::ThreadPoolBuilder::new()
            .thread_name(|i| format!("classify-{i}"))
            .build()
            .map_err(|error| ServeError::Threads(error.to_string()))?;
        let room = Room::new(limits, &metrics);
        Ok(Service(Arc::new(Parts { slot, shadow, metrics, threads, streams, room })))
    }

    /// Answers one request, whatever is wrong with it.
    async fn answer(&self, request: pb::ClassifyRequest, under_way: UnderWay) -> pb::ClassifyResponse {
        let id = request.article.as_ref().map(|article| article.id.clone()).unwrap_or_default();
        let outcome = match checked(request) {
            Ok((article, options)) => self.classify_on_a_thread(article, options, under_way.since).await,
            // Told at once: an article over the limit does not wait for its turn with all its text.
            Err(message) => Outcome::Error(error_to_proto(Code::InvalidArgument, &message)),
        };
        if let Outcome::Error(error) = &outcome {
            self.0.metrics.failed(error.code == Code::Internal as i32);
        }
        pb::ClassifyResponse { id, outcome: Some(outcome) }
    }

    async fn classify_on_a_thread(&self, article: Article, options: Options, read: Instant) -> Outcome {
        let (reply, answer) = oneshot::channel();
        let parts = self.0.clone();
        let span = Span::current();
        self.0.threads.spawn(move || {
            // A client that is gone needs no answer.
            if reply.is_closed() {
                return;
            }
            let queued = read.elapsed();
            // A fault is logged with the call that it befell.
            let _inside = span.enter();
            // Whatever model takes over meanwhile, this article is answered by one.
            let model = parts.slot.current();
            let answer = catch_unwind(AssertUnwindSafe(|| {
                let document = clean_article(&article);
                let cleaned = read.elapsed() - queued;
                let answer = model.classify_document(&article, document, &options);
                (answer, Took { queued, cleaned, classified: read.elapsed() - queued - cleaned })
            }));
            // Dropping the reply makes a panic an INTERNAL error of this one article.
            let Ok((answer, took)) = answer else { return };
            parts.metrics.classified(&answer, &took);
            match &parts.shadow {
                Some(shadow) => {
                    let live = Digest::of(&answer);
                    let _ = reply.send(answer);
                    shadow.give(article, &options, live);
                }
                None => {
                    let _ = reply.send(answer);
                }
            }
        });
        match answer.await {
            Ok(classification) => Outcome::Classification(answer_to_proto(classification)),
            Err(_) => Outcome::Error(error_to_proto(Code::Internal, FAULT)),
        }
    }

    /// Refuses what comes after the drain has begun: another server, or this one's successor, answers it.
    fn refuse_while_draining(&self) -> Result<(), Status> {
        match *self.0.streams.draining.borrow() {
            true => Err(Status::unavailable("the server is about to stop: ask another, or try again")),
            false => Ok(()),
        }
    }
}

/// An article from its reading to its answer.
struct UnderWay {
    since: Instant,
    _counted: Raised,
}

impl UnderWay {
    fn begin(metrics: &Metrics) -> Self {
        UnderWay { since: Instant::now(), _counted: Raised::by_one(&metrics.in_flight) }
    }
}

/// What a single call is told while too many articles are under way: to come back in a moment, as clients that retry do.
fn overloaded() -> Status {
    let mut status = Status::unavailable("too many articles are under way: try again in a moment, or use a stream");
    status.metadata_mut().insert("grpc-retry-pushback-ms", MetadataValue::from_static("200"));
    status
}

/// The requests of a stream until the client ends it. Once the server drains or the connection is old, until the client
/// pauses or the time for reading on is over; then an error is the last item: what was read is answered before it, and the
/// client knows that the rest was not.
fn requests(
    input: Streaming<pb::ClassifyRequest>,
    end: StreamEnd,
    accepted: Option<tokio::time::Instant>,
) -> impl Stream<Item = Result<pb::ClassifyRequest, Status>> + Send {
    struct Reading {
        input: Streaming<pb::ClassifyRequest>,
        end: StreamEnd,
        /// When the connection is old.
        old: Option<tokio::time::Instant>,
        until: Option<Instant>,
        over: bool,
    }
    let old = accepted.filter(|_| !end.connection_age.is_zero()).map(|accepted| accepted + end.connection_age);
    let reading = Reading { input, end, old, until: None, over: false };
    futures_util::stream::unfold(reading, async |mut reading| {
        if reading.over {
            return None;
        }
        let next = loop {
            let Some(until) = reading.until else {
                let StreamEnd { draining, read_on, idle, .. } = &mut reading.end;
                tokio::select! {
                    // First, for a client that is faster than the server has always sent more already.
                    biased;
                    // An error means that the server is gone, and this stream with it.
                    _ = draining.wait_for(|draining| *draining) => reading.until = Some(Instant::now() + *read_on),
                    () = sleep_until(reading.old) => reading.until = Some(Instant::now() + *read_on),
                    next = reading.input.next() => break Ok(next),
                    () = sleep(*idle) => break Err("no article has come for long: open a stream again when there is one"),
                }
                continue;
            };
            let left = until.saturating_duration_since(Instant::now()).min(PAUSE);
            break match tokio::time::timeout(left, reading.input.next()).await {
                // The client has ended it, however late that is seen.
                Ok(None) => Ok(None),
                Ok(next) if !left.is_zero() => Ok(next),
                _ if reading.old.is_some_and(|old| old <= tokio::time::Instant::now()) => {
                    Err("the connection is old: send again, on another, what was not answered")
                }
                _ => Err("the server is about to stop: send again, to another, what was not answered"),
            };
        };
        match next {
            Ok(next) => next.map(|next| (next, reading)),
            Err(reason) => {
                reading.over = true;
                Some((Err(Status::unavailable(reason)), reading))
            }
        }
    })
}

/// Done at a time; never, without one.
async fn sleep_until(time: Option<tokio::time::Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}

/// Done after a time; never, if it is zero.
async fn sleep(time: Duration) {
    match time.is_zero() {
        true => std::future::pending().await,
        false => tokio::time::sleep(time).await,
    }
}

/// What a request asks, or what is wrong with it.
fn checked(request: pb::ClassifyRequest) -> Result<(Article, Options), String> {
    let article = article_from_proto(request.article)?;
    article.check().map_err(|error| error.to_string())?;
    Ok((article, options_from_proto(request.options)?))
}

#[tonic::async_trait]
impl Classifier for Service {
    async fn classify(&self, request: Request<pb::ClassifyRequest>) -> Result<Response<pb::ClassifyResponse>, Status> {
        self.refuse_while_draining()?;
        let request = request.into_inner();
        let _room = self.0.room.at_once(&request).ok_or_else(overloaded)?;
        let answer = self.answer(request, UnderWay::begin(&self.0.metrics)).await;
        let mut counts = Counts::of_this_call();
        counts.count(&answer);
        Ok(Response::new(answer))
    }

    type ClassifyStreamStream = BoxStream<'static, Result<pb::ClassifyResponse, Status>>;

    async fn classify_stream(
        &self,
        request: Request<Streaming<pb::ClassifyRequest>>,
    ) -> Result<Response<Self::ClassifyStreamStream>, Status> {
        self.refuse_while_draining()?;
        let service = self.clone();
        let open = Raised::by_one(&self.0.metrics.streams);
        let mut counts = Counts::of_this_call();
        let accepted = request.extensions().get::<Activity>().map(Activity::accepted);
        // `buffered` reads the next request only while fewer than WINDOW answers wait, and it is polled only while the
        // client takes answers: a client that stops reading stops the reading of its requests. Each article has a task of its
        // own, so that what is read is answered, and gives its place free, though nobody polls. Dropping the stream, as a
        // client that goes away does, ends these tasks.
        let reader = self.0.clone();
        let answers = requests(request.into_inner(), self.0.streams.clone(), accepted)
            // Before the next is read.
            .then(move |message| {
                let reader = reader.clone();
                async move {
                    let request = message?;
                    let under_way = UnderWay::begin(&reader.metrics);
                    let text = reader.room.for_text(&request).await;
                    Ok::<_, Status>((request, under_way, text))
                }
            })
            .map(move |message| {
                let task = message.map(|(request, under_way, text)| {
                    let service = service.clone();
                    let answer = async move {
                        let _text = text;
                        let _place = service.0.room.for_article().await;
                        service.answer(request, under_way).await
                    };
                    AbortOnDropHandle::new(tokio::spawn(answer.in_current_span()))
                });
                async move {
                    // A task ends early only with its stream.
                    task?.await.map_err(|_| Status::internal(FAULT))
                }
            })
            .buffered(WINDOW)
            .inspect(move |answer| {
                let _open = &open;
                if let Ok(answer) = answer {
                    counts.count(answer);
                }
            });
        Ok(Response::new(answers.boxed()))
    }

    async fn get_model(&self, _: Request<pb::GetModelRequest>) -> Result<Response<pb::Model>, Status> {
        let model = self.0.slot.current();
        let manifest = model.manifest();
        let measured = |part: &str, of: &std::collections::BTreeMap<String, f64>| {
            of.iter().map(|(name, value)| (format!("{part}.{name}"), *value)).collect::<Vec<_>>()
        };
        Ok(Response::new(pb::Model {
            version: manifest.version.clone(),
            topics: manifest
                .topics
                .labels
                .iter()
                .map(|label| pb::ModelLabel {
                    code: label.code.clone(),
                    name: label.name.clone(),
                    support: label.support,
                })
                .collect(),
            region_count: tree::countries() as u32,
            languages: manifest.languages.clone(),
            trained_on: manifest
                .trained_on
                .iter()
                .map(|file| pb::TrainingFile {
                    name: file.name.clone(),
                    rows: file.rows,
                    sha256: file.sha256.clone(),
                    task: file.task.as_str().to_owned(),
                })
                .collect(),
            measured: measured("topics", &manifest.topics.measured)
                .into_iter()
                .chain(measured("regions", &manifest.regions.measured))
                .collect(),
            program_version: env!("CARGO_PKG_VERSION").to_owned(),
        }))
    }
}

/// Counts the answers of a call, for its span.
struct Counts {
    span: Span,
    /// Signed, as the attributes of spans are.
    classified: i64,
    errors: i64,
}

impl Counts {
    fn of_this_call() -> Self {
        Counts { span: Span::current(), classified: 0, errors: 0 }
    }

    fn count(&mut self, answer: &pb::ClassifyResponse) {
        match answer.outcome {
            Some(Outcome::Classification(_)) => self.classified += 1,
            _ => self.errors += 1,
        }
    }
}

impl Drop for Counts {
    fn drop(&mut self) {
        self.span.record("classified", self.classified);
        self.span.record("errors", self.errors);
    }
}
