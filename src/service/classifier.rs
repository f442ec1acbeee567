//! The service `dateline.v1.Classifier`: takes each article through admission, classification and answer.

use super::{
    admission::{Admission, Outbox, PlacePermit, TextPermit},
    connection::Activity,
    error::ServeError,
    incoming::RequestQueue,
    metrics::{GaugeGuard, Metrics, StageTimes},
    model_info,
    requests::{StreamLimits, requests},
    status::{INTERNAL_ERROR, overloaded},
};
use crate::{
    article::{Article, Options},
    geography,
    live::{Digest, ModelSlot, Shadow},
    model::clean_article,
    wire::{
        WINDOW, answer_to_proto, article_from_proto, error_to_proto, options_from_proto,
        proto::dateline::v1::{self as pb, classifier_server::Classifier, classify_response::Outcome},
        truncate_answer, truncate_id,
    },
};
use futures_util::{StreamExt, stream::BoxStream};
use prost::Message;
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Instant,
};
use tokio::sync::oneshot;
use tokio_util::task::AbortOnDropHandle;
use tonic::{Code, Request, Response, Status, Streaming};
use tracing::{Instrument, Span};

/// The service `dateline.v1.Classifier`.
#[derive(Clone)]
pub struct ClassifierService(Arc<Inner>);

struct Inner {
    slot: Arc<ModelSlot>,
    shadow: Option<Arc<Shadow>>,
    metrics: Arc<Metrics>,
    /// One thread per core, apart from those of the network, which must never be blocked.
    threads: rayon::ThreadPool,
    limits: StreamLimits,
    admission: Arc<Admission>,
}

/// A response, and its permit until the transport has taken it.
type ChargedResponse = (pb::ClassifyResponse, Option<TextPermit>);

/// What an article holds until it is answered. It moves into the thread pool with the article, so that a cancelled call does
/// not free a permit whose text is still in memory.
struct InFlight {
    since: Instant,
    text: Option<TextPermit>,
    _place: Option<PlacePermit>,
    _counted: GaugeGuard,
}

impl ClassifierService {
    /// A service that answers with the model of `slot`.
    ///
    /// # Errors
    /// [`ServeError::Threads`].
    pub fn new(
        slot: Arc<ModelSlot>,
        shadow: Option<Arc<Shadow>>,
        metrics: Arc<Metrics>,
        limits: StreamLimits,
        admission: Arc<Admission>,
    ) -> Result<Self, ServeError> {
        let threads = rayon::ThreadPoolBuilder::new()
            .thread_name(|i| format!("classify-{i}"))
            .build()
            .map_err(|error| ServeError::Threads(error.to_string()))?;
        Ok(ClassifierService(Arc::new(Inner { slot, shadow, metrics, threads, limits, admission })))
    }

    /// Answers one request; an invalid one with its own error.
    async fn answer(&self, request: pb::ClassifyRequest, in_flight: InFlight) -> ChargedResponse {
        let id = request.article.as_ref().map(|article| truncate_id(&article.id)).unwrap_or_default();
        let (outcome, permit) = match parse(request) {
            Ok((article, options)) => self.classify_on_pool(article, options, in_flight).await,
            // At once: an article over its limit must not hold its text while it waits for a thread.
            Err(message) => (Outcome::Error(error_to_proto(Code::InvalidArgument, &message)), in_flight.text),
        };
        if let Outcome::Error(error) = &outcome {
            self.0.metrics.articles.count_failed(error.code == Code::Internal as i32);
        }
        let response = pb::ClassifyResponse { id, outcome: Some(outcome) };
        let permit = permit.map(|permit| permit.shrink_to_answer(response.encoded_len()));
        (response, permit)
    }

    async fn classify_on_pool(
        &self,
        article: Article,
        options: Options,
        in_flight: InFlight,
    ) -> (Outcome, Option<TextPermit>) {
        let (reply, answer) = oneshot::channel();
        let inner = self.0.clone();
        let span = Span::current();
        self.0.threads.spawn(move || {
            let mut in_flight = in_flight;
            // The client has disconnected.
            if reply.is_closed() {
                return;
            }
            let queued = in_flight.since.elapsed();
            // A panic is logged within the span of its call.
            let _entered = span.enter();
            // One model answers the whole article, even if another is loaded meanwhile.
            let model = inner.slot.current();
            let answer = catch_unwind(AssertUnwindSafe(|| {
                let document = clean_article(&article);
                let cleaned = in_flight.since.elapsed() - queued;
                let answer = model.classify_document(&article, document, &options);
                let classified = in_flight.since.elapsed() - queued - cleaned;
                (answer, StageTimes { queued, cleaned, classified })
            }));
            // After a panic, dropping `reply` makes the answer an INTERNAL error.
            let Ok((answer, times)) = answer else { return };
            inner.metrics.articles.count_classified(&answer, &times);
            let digest = inner.shadow.as_ref().map(|shadow| (shadow, Digest::of(&answer)));
            let answer = truncate_answer(answer_to_proto(answer), inner.admission.answer_bytes());
            let mut permit = in_flight.text.take();
            let Some((shadow, live)) = digest else {
                let _ = reply.send((answer, permit));
                return;
            };
            let text = permit.as_mut().and_then(|permit| permit.split_off(article.bytes()));
            let _ = reply.send((answer, permit));
            shadow.offer(article, &options, live, text);
        });
        match answer.await {
            Ok((answer, permit)) => (Outcome::Classification(answer), permit),
            Err(_) => (Outcome::Error(error_to_proto(Code::Internal, INTERNAL_ERROR)), None),
        }
    }

    /// The maximum size of the answer to a request, in bytes. Explanations grow with the article; the rest of an answer grows
    /// only with the labels of the model, whose names and codes have up to 200 bytes each.
    fn max_answer_bytes(&self, request: &pb::ClassifyRequest) -> usize {
        let limit = self.0.admission.answer_bytes();
        if request.options.is_some_and(|options| options.explain) {
            return limit;
        }
        let model = self.0.slot.current();
        let topics = model.topics().topics().len() + model.topics().subtopics().labels().len();
        limit.min((2 << 10) + topics * 512 + geography::subjects() * 128)
    }

    /// The queue that the call layer has added to a request, or a new one.
    fn queue<T>(&self, request: &Request<T>) -> RequestQueue {
        let queue = request.extensions().get::<RequestQueue>().cloned();
        queue.unwrap_or_else(|| RequestQueue::new(self.0.admission.call()))
    }

    /// Starts to count an article, and its time.
    fn begin(&self, text: Option<TextPermit>, place: Option<PlacePermit>) -> InFlight {
        let counted = GaugeGuard::new(&self.0.metrics.resources.in_flight);
        InFlight { since: Instant::now(), text, _place: place, _counted: counted }
    }

    /// Takes the next request of a stream, and waits for its permit.
    async fn next_of_stream(
        &self,
        queue: &RequestQueue,
        message: pb::ClassifyRequest,
    ) -> (pb::ClassifyRequest, InFlight) {
        let (request, permit) = queue.take(message);
        let in_flight = self.begin(None, None);
        let (bytes, answer_bytes) = (request.encoded_len(), self.max_answer_bytes(&request));
        let text = match permit {
            Some(permit) => Some(permit.shrink_to(bytes + answer_bytes)),
            None => queue.budget().acquire(bytes, answer_bytes).await,
        };
        (request, InFlight { text, ..in_flight })
    }

    /// Answers a request of a stream in its own task, so that it completes and frees its place even if the client does not
    /// read. Dropping the handle ends the task.
    fn spawn_answer(&self, request: pb::ClassifyRequest, in_flight: InFlight) -> AbortOnDropHandle<ChargedResponse> {
        let service = self.clone();
        let answer = async move {
            let place = service.0.admission.place().await;
            service.answer(request, InFlight { _place: place, ..in_flight }).await
        };
        AbortOnDropHandle::new(tokio::spawn(answer.in_current_span()))
    }

    /// Refuses calls that begin during a drain.
    fn refuse_while_draining(&self) -> Result<(), Status> {
        match *self.0.limits.draining.borrow() {
            true => Err(Status::unavailable("the server is shutting down: retry, or use another server")),
            false => Ok(()),
        }
    }
}

/// The article and the options of a request; the error is the message for the client.
fn parse(request: pb::ClassifyRequest) -> Result<(Article, Options), String> {
    let article = article_from_proto(request.article)?;
    article.check().map_err(|error| error.to_string())?;
    Ok((article, options_from_proto(request.options)?))
}

#[tonic::async_trait]
impl Classifier for ClassifierService {
    async fn classify(&self, request: Request<pb::ClassifyRequest>) -> Result<Response<pb::ClassifyResponse>, Status> {
        self.refuse_while_draining()?;
        let queue = self.queue(&request);
        let (request, permit) = queue.take(request.into_inner());
        let (bytes, answer_bytes) = (request.encoded_len(), self.max_answer_bytes(&request));
        let text = match permit {
            Some(permit) => permit.shrink_to(bytes + answer_bytes),
            None => queue.budget().try_acquire(bytes, answer_bytes).ok_or_else(overloaded)?,
        };
        let place = self.0.admission.try_place().ok_or_else(overloaded)?;
        let (answer, permit) = self.answer(request, self.begin(Some(text), Some(place))).await;
        let mut counts = AnswerCounts::for_current_span();
        counts.count(&answer);
        let mut response = Response::new(answer);
        let outbox = Outbox::default();
        permit.into_iter().for_each(|permit| outbox.put(permit));
        response.extensions_mut().insert(outbox);
        Ok(response)
    }

    type ClassifyStreamStream = BoxStream<'static, Result<pb::ClassifyResponse, Status>>;

    async fn classify_stream(
        &self,
        request: Request<Streaming<pb::ClassifyRequest>>,
    ) -> Result<Response<Self::ClassifyStreamStream>, Status> {
        self.refuse_while_draining()?;
        let open = GaugeGuard::new(&self.0.metrics.resources.streams);
        let mut counts = AnswerCounts::for_current_span();
        let accepted = request.extensions().get::<Activity>().map(Activity::accepted);
        let queue = self.queue(&request);
        let (reader, answerer) = (self.clone(), self.clone());
        let outbox = Outbox::default();
        let permits = outbox.clone();
        // `buffered` reads the next request only while fewer than WINDOW answers wait, and it is polled only while the client
        // reads answers: a client that stops reading stops the reading of its requests. When the client disconnects, the
        // stream is dropped, and with it the tasks of its articles.
        let answers = requests(request.into_inner(), queue.clone(), self.0.limits.clone(), accepted)
            .then(move |message| {
                let (reader, queue) = (reader.clone(), queue.clone());
                async move { Ok::<_, Status>(reader.next_of_stream(&queue, message?).await) }
            })
            .map(move |next| {
                let task = next.map(|(request, in_flight)| answerer.spawn_answer(request, in_flight));
                // A task fails only if its stream is dropped.
                async move { task?.await.map_err(|_| Status::internal(INTERNAL_ERROR)) }
            })
            .buffered(WINDOW)
            .map(move |answer| {
                let _open = &open;
                let (answer, permit) = answer?;
                counts.count(&answer);
                permit.into_iter().for_each(|permit| permits.put(permit));
                Ok(answer)
            });
        let mut response = Response::new(answers.boxed());
        response.extensions_mut().insert(outbox);
        Ok(response)
    }

    async fn get_model(&self, _: Request<pb::GetModelRequest>) -> Result<Response<pb::Model>, Status> {
        Ok(Response::new(model_info::describe(&self.0.slot.current())))
    }
}

/// Counts the answers of a call, and records the counts in its span when dropped.
struct AnswerCounts {
    span: Span,
    /// Signed, as the attributes of spans are.
    classified: i64,
    errors: i64,
}

impl AnswerCounts {
    fn for_current_span() -> Self {
        AnswerCounts { span: Span::current(), classified: 0, errors: 0 }
    }

    fn count(&mut self, answer: &pb::ClassifyResponse) {
        match answer.outcome {
            Some(Outcome::Classification(_)) => self.classified += 1,
            _ => self.errors += 1,
        }
    }
}

impl Drop for AnswerCounts {
    fn drop(&mut self) {
        self.span.record("classified", self.classified);
        self.span.record("errors", self.errors);
    }
}
