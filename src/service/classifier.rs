use super::{
    ServeError,
    convert::{answer_to_proto, article_from_proto, error_to_proto, options_from_proto},
    proto::dateline::v1::{self as pb, classifier_server::Classifier, classify_response::Outcome},
    slot::ModelSlot,
};
use crate::{
    article::{Article, Options},
    region::tree,
};
use futures_util::{Stream, StreamExt, stream::BoxStream};
use prometheus_client::metrics::gauge::Gauge;
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::{Semaphore, oneshot, watch};
use tokio_util::task::AbortOnDropHandle;
use tonic::{Code, Request, Response, Status, Streaming, metadata::MetadataValue};

/// How many articles of one stream may be under way: read, and not yet taken by the client. Throughput hardly rises
/// beyond; memory does.
pub const WINDOW: usize = 64;

/// Once the server drains, a stream whose client pauses for so long has sent what it had to send.
const PAUSE: Duration = Duration::from_millis(100);

/// The service `dateline.v1.Classifier`.
#[derive(Clone)]
pub struct Service {
    slot: Arc<ModelSlot>,
    /// Threads for classifying, so that the network's are always free. One for each core.
    threads: Arc<rayon::ThreadPool>,
    drain: Drain,
    /// A place for each article that may be under way.
    places: Arc<Semaphore>,
}

/// Whether the server drains, and until when streams may go on reading.
#[derive(Clone)]
pub struct Drain {
    /// Turns true once.
    pub draining: watch::Receiver<bool>,
    /// How long open streams may go on reading what keeps coming.
    pub read_on: Duration,
}

impl Service {
    /// A service that answers with the slot's model, at most so many articles at once.
    pub fn new(slot: Arc<ModelSlot>, drain: Drain, most: usize) -> Result<Self, ServeError> {
        let threads = rayon::ThreadPoolBuilder::new()
            .thread_name(|i| format!("classify-{i}"))
            .build()
            .map_err(|error| ServeError::Threads(error.to_string()))?;
        Ok(Service { slot, threads: Arc::new(threads), drain, places: Arc::new(Semaphore::new(most)) })
    }

    /// Answers one request, whatever is wrong with it.
    async fn answer(&self, request: pb::ClassifyRequest, under_way: UnderWay) -> pb::ClassifyResponse {
        let id = request.article.as_ref().map(|article| article.id.clone()).unwrap_or_default();
        let outcome = match checked(request) {
            Ok((article, options)) => self.classify_on_a_thread(article, options, under_way.since).await,
            // Told at once: an article over the limit does not wait for its turn with all its text.
            Err(message) => Outcome::Error(error_to_proto(Code::InvalidArgument, &message)),
        };
        if matches!(outcome, Outcome::Error(_)) {
            self.slot.metrics().failed();
        }
        pb::ClassifyResponse { id, outcome: Some(outcome) }
    }

    async fn classify_on_a_thread(&self, article: Article, options: Options, read: Instant) -> Outcome {
        let (reply, answer) = oneshot::channel();
        let slot = self.slot.clone();
        self.threads.spawn(move || {
            // A client that is gone needs no answer.
            if reply.is_closed() {
                return;
            }
            let queued = read.elapsed();
            // Whatever model takes over meanwhile, this article is answered by one.
            let model = slot.current();
            // Dropping the reply makes a panic an INTERNAL error of this one article.
            if let Ok(answer) = catch_unwind(AssertUnwindSafe(|| model.classify(&article, &options))) {
                if let Ok(answer) = &answer {
                    slot.metrics().classified(answer, queued, read.elapsed() - queued);
                }
                let _ = reply.send(answer);
            }
        });
        match answer.await {
            Ok(Ok(classification)) => Outcome::Classification(answer_to_proto(classification)),
            Ok(Err(error)) => Outcome::Error(error_to_proto(Code::InvalidArgument, &error.to_string())),
            Err(_) => Outcome::Error(error_to_proto(Code::Internal, "a fault of the server's; it is in its log")),
        }
    }

    /// Refuses what comes after the drain has begun: another server, or this one's successor, answers it.
    fn refuse_while_draining(&self) -> Result<(), Status> {
        match *self.drain.draining.borrow() {
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
    fn begin(slot: &ModelSlot) -> Self {
        UnderWay { since: Instant::now(), _counted: Raised::by_one(&slot.metrics().in_flight) }
    }
}

/// A call or stream, counted when it ends. Until its end is seen it is one whose client went away.
struct Call {
    slot: Arc<ModelSlot>,
    method: &'static str,
    code: Code,
}

impl Drop for Call {
    fn drop(&mut self) {
        self.slot.metrics().called(self.method, self.code);
    }
}

/// What a single call is told while too many articles are under way: to come back in a moment, as clients that retry do.
fn overloaded() -> Status {
    let mut status = Status::unavailable("too many articles are under way: try again in a moment, or use a stream");
    status.metadata_mut().insert("grpc-retry-pushback-ms", MetadataValue::from_static("200"));
    status
}

/// A gauge that is one higher as long as this lives.
struct Raised(Gauge);

impl Raised {
    fn by_one(gauge: &Gauge) -> Self {
        gauge.inc();
        Raised(gauge.clone())
    }
}

impl Drop for Raised {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// The requests of a stream until the client ends it; once the server drains, until the client pauses or the time for
/// reading on is over. Then an error is the last item: what was read is answered before it, and the client knows that the
/// rest was not.
fn requests(
    input: Streaming<pb::ClassifyRequest>,
    drain: Drain,
) -> impl Stream<Item = Result<pb::ClassifyRequest, Status>> + Send {
    struct Reading {
        input: Streaming<pb::ClassifyRequest>,
        drain: Drain,
        until: Option<Instant>,
        over: bool,
    }
    let reading = Reading { input, drain, until: None, over: false };
    futures_util::stream::unfold(reading, async |mut reading| {
        if reading.over {
            return None;
        }
        let next = loop {
            let Some(until) = reading.until else {
                tokio::select! {
                    biased;
                    next = reading.input.next() => break Some(next),
                    // An error means that the server is gone, and this stream with it.
                    _ = reading.drain.draining.wait_for(|draining| *draining) => {
                        reading.until = Some(Instant::now() + reading.drain.read_on);
                        continue;
                    }
                }
            };
            let left = until.saturating_duration_since(Instant::now()).min(PAUSE);
            break match tokio::time::timeout(left, reading.input.next()).await {
                // The client has ended it, however late that is seen.
                Ok(None) => Some(None),
                Ok(next) if !left.is_zero() => Some(next),
                _ => None,
            };
        };
        match next {
            Some(next) => next.map(|next| (next, reading)),
            None => {
                reading.over = true;
                let status = "the server is about to stop: send again, to another, what was not answered";
                Some((Err(Status::unavailable(status)), reading))
            }
        }
    })
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
        let mut call = Call { slot: self.slot.clone(), method: "Classify", code: Code::Cancelled };
        let refused = self.refuse_while_draining();
        let place = refused.and_then(|()| self.places.try_acquire().map_err(|_| overloaded()));
        let _place = place.inspect_err(|status| call.code = status.code())?;
        let answer = self.answer(request.into_inner(), UnderWay::begin(&self.slot)).await;
        call.code = Code::Ok;
        Ok(Response::new(answer))
    }

    type ClassifyStreamStream = BoxStream<'static, Result<pb::ClassifyResponse, Status>>;

    async fn classify_stream(
        &self,
        request: Request<Streaming<pb::ClassifyRequest>>,
    ) -> Result<Response<Self::ClassifyStreamStream>, Status> {
        let service = self.clone();
        let mut log = StreamLog::new(self.slot.clone());
        self.refuse_while_draining().inspect_err(|status| log.call.code = status.code())?;
        // `buffered` reads the next request only while fewer than WINDOW answers wait, and it is polled only while the
        // client takes answers: a client that stops reading stops the reading of its requests. Each article has a task of its
        // own, so that what is read is answered, and gives its place free, though nobody polls. Dropping the stream, as a
        // client that goes away does, ends these tasks.
        let answers = requests(request.into_inner(), self.drain.clone())
            .map(move |message| {
                let task = message.map(|request| {
                    let service = service.clone();
                    AbortOnDropHandle::new(tokio::spawn(async move {
                        let under_way = UnderWay::begin(&service.slot);
                        // Never closed.
                        let _place = service.places.acquire().await;
                        service.answer(request, under_way).await
                    }))
                });
                async move {
                    // A task ends early only with its stream.
                    task?.await.map_err(|_| Status::internal("a fault of the server's; it is in its log"))
                }
            })
            .buffered(WINDOW);
        Ok(Response::new(logged(answers.boxed(), log).boxed()))
    }

    async fn get_model(&self, _: Request<pb::GetModelRequest>) -> Result<Response<pb::Model>, Status> {
        let model = self.slot.current();
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

/// Counts the answers of a stream and logs them when it ends, however it does.
struct StreamLog {
    call: Call,
    classified: u64,
    errors: u64,
    _open: Raised,
}

impl StreamLog {
    fn new(slot: Arc<ModelSlot>) -> Self {
        let open = Raised::by_one(&slot.metrics().streams);
        let call = Call { slot, method: "ClassifyStream", code: Code::Cancelled };
        StreamLog { call, classified: 0, errors: 0, _open: open }
    }

    fn count(&mut self, answer: &Result<pb::ClassifyResponse, Status>) {
        match answer {
            Ok(pb::ClassifyResponse { outcome: Some(Outcome::Classification(_)), .. }) => self.classified += 1,
            Ok(_) => self.errors += 1,
            Err(status) => self.call.code = status.code(),
        }
    }

    fn ended(&mut self) {
        if self.call.code == Code::Cancelled {
            self.call.code = Code::Ok;
        }
    }
}

impl Drop for StreamLog {
    fn drop(&mut self) {
        tracing::debug!(classified = self.classified, errors = self.errors, code = ?self.call.code, "stream ended");
    }
}

/// The answers, counted; the end of the stream is seen.
fn logged<S>(answers: S, log: StreamLog) -> impl Stream<Item = Result<pb::ClassifyResponse, Status>> + Send
where
    S: Stream<Item = Result<pb::ClassifyResponse, Status>> + Send + Unpin,
{
    futures_util::stream::unfold((answers, log), async |(mut answers, mut log)| {
        let next = answers.next().await;
        match next {
            Some(answer) => {
                log.count(&answer);
                Some((answer, (answers, log)))
            }
            None => {
                log.ended();
                None
            }
        }
    })
}
