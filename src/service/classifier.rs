//! The service `dateline.v1.Classifier`: takes each article through admission, classification and answer.

use super::{
    admission::{Admission, Outbox, PlacePermit, TextPermit},
    connection::Activity,
    error::ServeError,
    incoming::RequestQueue,
    metrics::{GaugeGuard, Metrics, StageTimes},
    model_info,
    pool::{HandOver, Pool},
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
use futures_util::{StreamExt, TryFutureExt, future::Either, stream::BoxStream};
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
    pool: Pool,
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
        let pool = Pool::new()?;
        Ok(ClassifierService(Arc::new(Inner { slot, shadow, metrics, pool, limits, admission })))
    }

    /// Starts to answer one request, which has its place; an invalid one gets its own error. The answer is computed, and
    /// the place freed, even if nobody waits for it. If the receiver is dropped first, the article is skipped.
    fn submit(&self, request: pb::ClassifyRequest, in_flight: InFlight) -> oneshot::Receiver<ChargedResponse> {
        let (reply, answer) = oneshot::channel();
        let id = request.article.as_ref().map(|article| truncate_id(&article.id)).unwrap_or_default();
        let inner = self.0.clone();
        match parse(request) {
            Ok((article, options)) => {
                let span = Span::current();
                self.0.pool.spawn(article.bytes(), move || {
                    // The client has disconnected.
                    if reply.is_closed() {
                        return Box::new(|| ());
                    }
                    // A panic is logged within the span of its call.
                    let _entered = span.enter();
                    inner.classify(id, article, options, in_flight, reply)
                });
            }
            // At once: an article over its limit must not hold its text while it waits for a thread.
            Err(message) => {
                let outcome = Outcome::Error(error_to_proto(Code::InvalidArgument, &message));
                // An error means that the client has disconnected.
                let _ = reply.send(inner.charged(id, outcome, in_flight.text));
            }
        }
        answer
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

    /// Starts to answer a request of a stream as soon as there is a place for it.
    fn submit_of_stream(
        &self,
        request: pb::ClassifyRequest,
        in_flight: InFlight,
    ) -> impl Future<Output = Result<ChargedResponse, Status>> + use<> {
        let failed = |_| Status::internal(INTERNAL_ERROR);
        if let Some(place) = self.0.admission.try_place() {
            let answer = self.submit(request, InFlight { _place: Some(place), ..in_flight });
            return Either::Left(answer.map_err(failed));
        }
        // In a task of its own, which takes its place and frees it even while the client does not read. Dropping the handle
        // ends the task.
        let service = self.clone();
        let answer = async move {
            let place = service.0.admission.place().await;
            service.submit(request, InFlight { _place: place, ..in_flight }).await.map_err(failed)
        };
        let task = AbortOnDropHandle::new(tokio::spawn(answer.in_current_span()));
        Either::Right(async move { task.await.unwrap_or_else(|_| Err(Status::internal(INTERNAL_ERROR))) })
    }

    /// Refuses calls that begin during a drain.
    fn refuse_while_draining(&self) -> Result<(), Status> {
        match *self.0.limits.draining.borrow() {
            true => Err(Status::unavailable("the server is shutting down: retry, or use another server")),
            false => Ok(()),
        }
    }
}

impl Inner {
    /// Classifies an article, and returns what hands over its answer.
    fn classify(
        &self,
        id: String,
        article: Article,
        options: Options,
        mut in_flight: InFlight,
        reply: oneshot::Sender<ChargedResponse>,
    ) -> HandOver {
        let queued = in_flight.since.elapsed();
        // One model answers the whole article, even if another is loaded meanwhile.
        let model = self.slot.current();
        let answer = catch_unwind(AssertUnwindSafe(|| {
            let document = clean_article(&article);
            let cleaned = in_flight.since.elapsed() - queued;
            let answer = model.classify_document(&article, document, &options);
            let classified = in_flight.since.elapsed() - queued - cleaned;
            (answer, StageTimes { queued, cleaned, classified })
        }));
        let mut permit = in_flight.text.take();
        let Ok((answer, times)) = answer else {
            let outcome = Outcome::Error(error_to_proto(Code::Internal, INTERNAL_ERROR));
            let response = self.charged(id, outcome, permit);
            return Box::new(move || {
                // An error means that the client has disconnected, here and below.
                let _ = reply.send(response);
                drop(in_flight);
            });
        };
        self.metrics.articles.count_classified(&answer, &times);
        let shadow = self.shadow.clone().map(|shadow| {
            let text = permit.as_mut().and_then(|permit| permit.split_off(article.bytes()));
            (shadow, Digest::of(&answer), text)
        });
        let answer = truncate_answer(answer_to_proto(answer), self.admission.answer_bytes());
        let response = self.charged(id, Outcome::Classification(answer), permit);
        Box::new(move || {
            let _ = reply.send(response);
            drop(in_flight);
            if let Some((shadow, live, text)) = shadow {
                shadow.offer(article, &options, live, text);
            }
        })
    }

    /// The response with this outcome, with the permit for it.
    fn charged(&self, id: String, outcome: Outcome, permit: Option<TextPermit>) -> ChargedResponse {
        if let Outcome::Error(error) = &outcome {
            self.metrics.articles.count_failed(error.code == Code::Internal as i32);
        }
        let response = pb::ClassifyResponse { id, outcome: Some(outcome) };
        let permit = permit.map(|permit| permit.shrink_to_answer(response.encoded_len()));
        (response, permit)
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
        let answer = self.submit(request, self.begin(Some(text), Some(place))).await;
        let (answer, permit) = answer.map_err(|_| Status::internal(INTERNAL_ERROR))?;
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
                let answer = next.map(|(request, in_flight)| answerer.submit_of_stream(request, in_flight));
                async move { answer?.await }
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
