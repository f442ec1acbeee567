use super::{
    ServeError,
    convert::{answer_to_proto, article_from_proto, error_to_proto, options_from_proto},
    proto::dateline::v1::{self as pb, classifier_server::Classifier, classify_response::Outcome},
};
use crate::{
    article::{Article, Options},
    model::Model,
    region::tree,
};
use futures_util::{StreamExt, stream::BoxStream};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};
use tokio::sync::oneshot;
use tonic::{Code, Request, Response, Status, Streaming};

/// How many articles of one stream may be under way: read, and not yet taken by the client. Throughput hardly rises
/// beyond; memory does.
pub const WINDOW: usize = 64;

/// The service `dateline.v1.Classifier`.
#[derive(Clone)]
pub struct Service {
    model: Arc<Model>,
    /// Threads for classifying, so that the network's are always free. One for each core.
    threads: Arc<rayon::ThreadPool>,
}

impl Service {
    /// A service that answers with `model`.
    pub fn new(model: Arc<Model>) -> Result<Self, ServeError> {
        let threads = rayon::ThreadPoolBuilder::new()
            .thread_name(|i| format!("classify-{i}"))
            .build()
            .map_err(|error| ServeError::Threads(error.to_string()))?;
        Ok(Service { model, threads: Arc::new(threads) })
    }

    /// Answers one request, whatever is wrong with it.
    async fn answer(&self, request: pb::ClassifyRequest) -> pb::ClassifyResponse {
        let id = request.article.as_ref().map(|article| article.id.clone()).unwrap_or_default();
        let outcome = match checked(request) {
            Ok((article, options)) => self.classify_on_a_thread(article, options).await,
            // Told at once: an article over the limit does not wait for its turn with all its text.
            Err(message) => Outcome::Error(error_to_proto(Code::InvalidArgument, &message)),
        };
        pb::ClassifyResponse { id, outcome: Some(outcome) }
    }

    async fn classify_on_a_thread(&self, article: Article, options: Options) -> Outcome {
        let (reply, answer) = oneshot::channel();
        let model = self.model.clone();
        self.threads.spawn(move || {
            // A client that is gone needs no answer.
            if reply.is_closed() {
                return;
            }
            // Dropping the reply makes a panic an INTERNAL error of this one article.
            if let Ok(answer) = catch_unwind(AssertUnwindSafe(|| model.classify(&article, &options))) {
                let _ = reply.send(answer);
            }
        });
        match answer.await {
            Ok(Ok(classification)) => Outcome::Classification(answer_to_proto(classification)),
            Ok(Err(error)) => Outcome::Error(error_to_proto(Code::InvalidArgument, &error.to_string())),
            Err(_) => Outcome::Error(error_to_proto(Code::Internal, "a fault of the server's; it is in its log")),
        }
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
        Ok(Response::new(self.answer(request.into_inner()).await))
    }

    type ClassifyStreamStream = BoxStream<'static, Result<pb::ClassifyResponse, Status>>;

    async fn classify_stream(
        &self,
        request: Request<Streaming<pb::ClassifyRequest>>,
    ) -> Result<Response<Self::ClassifyStreamStream>, Status> {
        let service = self.clone();
        let mut log = StreamLog::default();
        // `buffered` reads the next request only while fewer than WINDOW answers wait, and it is polled only while the
        // client takes answers: a client that stops reading stops the reading of its requests. Dropping the stream, as a
        // client that goes away does, drops what is under way.
        let answers = request
            .into_inner()
            .map(move |message| {
                let service = service.clone();
                async move {
                    match message {
                        Ok(request) => Ok(service.answer(request).await),
                        Err(status) => Err(status),
                    }
                }
            })
            .buffered(WINDOW)
            .inspect(move |answer| log.count(answer));
        Ok(Response::new(answers.boxed()))
    }

    async fn get_model(&self, _: Request<pb::GetModelRequest>) -> Result<Response<pb::Model>, Status> {
        let manifest = self.model.manifest();
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
#[derive(Default)]
struct StreamLog {
    classified: u64,
    errors: u64,
}

impl StreamLog {
    fn count(&mut self, answer: &Result<pb::ClassifyResponse, Status>) {
        match answer {
            Ok(pb::ClassifyResponse { outcome: Some(Outcome::Classification(_)), .. }) => self.classified += 1,
            _ => self.errors += 1,
        }
    }
}

impl Drop for StreamLog {
    fn drop(&mut self) {
        tracing::debug!(classified = self.classified, errors = self.errors, "stream ended");
    }
}
