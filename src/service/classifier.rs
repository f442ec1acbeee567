//! The service of the contract: each article through admission, classification and answer.

use super::{
    admission::{Admission, Outbox, PlacePermit, TextPermit},
    error::ServeError,
    incoming::{Incoming, overloaded},
    metrics::{GaugeGuard, Metrics, StageTimes},
    requests::{StreamEnd, requests},
    transport::Activity,
};
use crate::{
    article::{Article, Options},
    geography,
    live::{Digest, ModelSlot, Shadow},
    model::{LabelEntry, clean_article},
    wire::{
        WINDOW, answer_to_proto, article_from_proto, error_to_proto, fitted, options_from_proto,
        proto::dateline::v1::{self as pb, classifier_server::Classifier, classify_response::Outcome},
        shortened_id,
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

/// The message of an internal error.
const FAULT: &str = "internal error; the server's log says more";

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
    admission: Arc<Admission>,
}

/// An answer, and its part of the text budget until the transport has taken it.
type Charged = (pb::ClassifyResponse, Option<TextPermit>);

/// What an article holds from its admission to its answer. It goes into the thread pool with the article, so that a cancelled
/// call does not give back what its text still takes.
struct Admitted {
    since: Instant,
    text: Option<TextPermit>,
    _place: Option<PlacePermit>,
    _counted: GaugeGuard,
}

impl Service {
    /// A service that answers with the slot's model.
    pub fn new(
        slot: Arc<ModelSlot>,
        shadow: Option<Arc<Shadow>>,
        metrics: Arc<Metrics>,
        streams: StreamEnd,
        admission: Arc<Admission>,
    ) -> Result<Self, ServeError> {
        let threads = rayon::ThreadPoolBuilder::new()
            .thread_name(|i| format!("classify-{i}"))
            .build()
            .map_err(|error| ServeError::Threads(error.to_string()))?;
        Ok(Service(Arc::new(Parts { slot, shadow, metrics, threads, streams, admission })))
    }

    /// Answers one request, whatever is wrong with it.
    async fn answer(&self, request: pb::ClassifyRequest, admitted: Admitted) -> Charged {
        let id = request.article.as_ref().map(|article| shortened_id(&article.id)).unwrap_or_default();
        let (outcome, permit) = match checked(request) {
            Ok((article, options)) => self.classify_on_a_thread(article, options, admitted).await,
            // Answered at once: an article over the limit does not wait for its turn with all its text.
            Err(message) => (Outcome::Error(error_to_proto(Code::InvalidArgument, &message)), admitted.text),
        };
        if let Outcome::Error(error) = &outcome {
            self.0.metrics.failed(error.code == Code::Internal as i32);
        }
        let response = pb::ClassifyResponse { id, outcome: Some(outcome) };
        let permit = permit.map(|permit| permit.of_answer(response.encoded_len()));
        (response, permit)
    }

    async fn classify_on_a_thread(
        &self,
        article: Article,
        options: Options,
        admitted: Admitted,
    ) -> (Outcome, Option<TextPermit>) {
        let (reply, answer) = oneshot::channel();
        let parts = self.0.clone();
        let span = Span::current();
        self.0.threads.spawn(move || {
            let mut admitted = admitted;
            // A client that is gone needs no answer.
            if reply.is_closed() {
                return;
            }
            let queued = admitted.since.elapsed();
            // A fault is logged with the call that it befell.
            let _inside = span.enter();
            // Whatever model takes over meanwhile, this article is answered by one.
            let model = parts.slot.current();
            let answer = catch_unwind(AssertUnwindSafe(|| {
                let document = clean_article(&article);
                let cleaned = admitted.since.elapsed() - queued;
                let answer = model.classify_document(&article, document, &options);
                let classified = admitted.since.elapsed() - queued - cleaned;
                (answer, StageTimes { queued, cleaned, classified })
            }));
            // Dropping the reply makes a panic an INTERNAL error of this one article.
            let Ok((answer, times)) = answer else { return };
            parts.metrics.classified(&answer, &times);
            let digest = parts.shadow.as_ref().map(|shadow| (shadow, Digest::of(&answer)));
            let answer = fitted(answer_to_proto(answer), parts.admission.answer_bytes());
            let mut permit = admitted.text.take();
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
            Err(_) => (Outcome::Error(error_to_proto(Code::Internal, FAULT)), None),
        }
    }

    /// The most bytes that the answer to a request may have. An answer that explains itself grows with its article, any other
    /// only with the labels of the model: names and codes of topics have up to 200 bytes each.
    fn answer_bytes(&self, request: &pb::ClassifyRequest) -> usize {
        let most = self.0.admission.answer_bytes();
        if request.options.is_some_and(|options| options.explain) {
            return most;
        }
        let model = self.0.slot.current();
        let topics = model.topics().topics().len() + model.topics().subtopics().labels().len();
        most.min((2 << 10) + topics * 512 + geography::subjects() * 128)
    }

    /// The budget of a call, and what its messages took of it on their way in.
    fn incoming<T>(&self, request: &Request<T>) -> Incoming {
        let known = request.extensions().get::<Incoming>().cloned();
        known.unwrap_or_else(|| Incoming::new(self.0.admission.call()))
    }

    /// An article that was read now.
    fn admitted(&self, text: Option<TextPermit>, place: Option<PlacePermit>) -> Admitted {
        Admitted { since: Instant::now(), text, _place: place, _counted: GaugeGuard::new(&self.0.metrics.in_flight) }
    }

    /// Refuses what comes after the drain has begun: another server, or this one's successor, answers it.
    fn refuse_while_draining(&self) -> Result<(), Status> {
        match *self.0.streams.draining.borrow() {
            true => Err(Status::unavailable("the server is about to stop: ask another, or try again")),
            false => Ok(()),
        }
    }
}

/// The article and the options of a request, or what is wrong with it.
fn checked(request: pb::ClassifyRequest) -> Result<(Article, Options), String> {
    let article = article_from_proto(request.article)?;
    article.check().map_err(|error| error.to_string())?;
    Ok((article, options_from_proto(request.options)?))
}

#[tonic::async_trait]
impl Classifier for Service {
    async fn classify(&self, request: Request<pb::ClassifyRequest>) -> Result<Response<pb::ClassifyResponse>, Status> {
        self.refuse_while_draining()?;
        let incoming = self.incoming(&request);
        let (request, held) = incoming.take(request.into_inner());
        let (bytes, answer_bytes) = (request.encoded_len(), self.answer_bytes(&request));
        let text = match held {
            Some(held) => held.shrunk_to(bytes + answer_bytes),
            None => incoming.budget().try_acquire(bytes, answer_bytes).ok_or_else(overloaded)?,
        };
        let place = self.0.admission.try_place().ok_or_else(overloaded)?;
        let (answer, permit) = self.answer(request, self.admitted(Some(text), Some(place))).await;
        let mut counts = Counts::of_this_call();
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
        let open = GaugeGuard::new(&self.0.metrics.streams);
        let mut counts = Counts::of_this_call();
        let accepted = request.extensions().get::<Activity>().map(Activity::accepted);
        let (reader, incoming) = (self.clone(), self.incoming(&request));
        let service = self.clone();
        let outbox = Outbox::default();
        let leaving = outbox.clone();
        // `buffered` reads the next request only while fewer than WINDOW answers wait, and it is polled only while the
        // client takes answers: a client that stops reading stops the reading of its requests. Each article has a task of its
        // own, so that what is read is answered, and gives its place free, though nobody polls. Dropping the stream, as a
        // client that goes away does, ends these tasks.
        let answers = requests(request.into_inner(), incoming.clone(), self.0.streams.clone(), accepted)
            // Before the next is read.
            .then(move |message| {
                let (reader, incoming) = (reader.clone(), incoming.clone());
                async move {
                    let (request, held) = incoming.take(message?);
                    let admitted = reader.admitted(None, None);
                    let (bytes, answer_bytes) = (request.encoded_len(), reader.answer_bytes(&request));
                    let text = match held {
                        Some(held) => Some(held.shrunk_to(bytes + answer_bytes)),
                        None => incoming.budget().acquire(bytes, answer_bytes).await,
                    };
                    Ok::<_, Status>((request, Admitted { text, ..admitted }))
                }
            })
            .map(move |message| {
                let task = message.map(|(request, admitted)| {
                    let service = service.clone();
                    let answer = async move {
                        let place = service.0.admission.place().await;
                        service.answer(request, Admitted { _place: place, ..admitted }).await
                    };
                    AbortOnDropHandle::new(tokio::spawn(answer.in_current_span()))
                });
                async move {
                    // A task ends early only with its stream.
                    task?.await.map_err(|_| Status::internal(FAULT))
                }
            })
            .buffered(WINDOW)
            .map(move |answer| {
                let _open = &open;
                let (answer, permit) = answer?;
                counts.count(&answer);
                permit.into_iter().for_each(|permit| leaving.put(permit));
                Ok(answer)
            });
        let mut response = Response::new(answers.boxed());
        response.extensions_mut().insert(outbox);
        Ok(response)
    }

    async fn get_model(&self, _: Request<pb::GetModelRequest>) -> Result<Response<pb::Model>, Status> {
        let model = self.0.slot.current();
        let manifest = model.manifest();
        let measured = |part: &str, of: &std::collections::BTreeMap<String, f64>| {
            of.iter().map(|(name, value)| (format!("{part}.{name}"), *value)).collect::<Vec<_>>()
        };
        let labels = |labels: &[LabelEntry]| -> Vec<pb::ModelLabel> {
            let label = |label: &LabelEntry| pb::ModelLabel {
                code: label.code.clone(),
                name: label.name.clone(),
                support: label.support,
                broader: label.broader.clone().unwrap_or_default(),
            };
            labels.iter().map(label).collect()
        };
        Ok(Response::new(pb::Model {
            version: manifest.version.clone(),
            topics: labels(&manifest.topics.labels),
            subtopics: labels(&manifest.topics.subtopics),
            region_count: geography::subjects() as u32,
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
                .chain(measured("subtopics", &manifest.topics.measured_subtopics))
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
