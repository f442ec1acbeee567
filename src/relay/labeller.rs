use super::isolation::Isolated;
use crate::{
    article::{Article, Classification, Options},
    live::ModelSlot,
    wire::{
        MAX_MESSAGE_BYTES, answer_from_proto, article_to_proto, options_to_proto,
        proto::dateline::v1::{ClassifyRequest, classifier_client::ClassifierClient},
    },
};
use rayon::prelude::*;
use std::{
    ffi::OsString,
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};
use tokio_stream::StreamExt;
use tonic::{Code, Status, transport::Channel};

/// Who classifies.
#[derive(Clone)]
pub enum Labeller {
    /// A model in this process.
    Here {
        /// The model.
        slot: Arc<ModelSlot>,
        /// A program, with its arguments, that answers JSON Lines with the same model: `dateline classify --json -`.
        isolated: Vec<OsString>,
    },
    /// A Dateline server.
    Server(ClassifierClient<Channel>),
}

/// Why articles have no answers; they may be asked about again.
pub struct Broken {
    /// The answers that came before.
    pub answers: Vec<Result<Classification, Fault>>,
    /// Why there are no more.
    pub status: Status,
    /// Whether the connection broke while the server had the articles, which one of them may have caused.
    pub in_stream: bool,
}

/// Why an article has no labels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// It cannot be classified, however often it is tried.
    Article(String),
    /// It could not be, this time.
    Program(String),
}

impl Broken {
    fn of(answers: Vec<Result<Classification, Fault>>, status: Status) -> Self {
        // A status that a server sends has no cause in this process, and a server that was not reached had no article.
        let first = std::error::Error::source(&status);
        let mut causes = std::iter::successors(first, |cause| cause.source());
        let in_stream = first.is_some() && !causes.any(|cause| cause.is::<tonic::ConnectError>());
        Broken { answers, status, in_stream }
    }
}

impl Labeller {
    /// A server at an address; it is connected to when it is asked.
    pub fn server(channel: Channel) -> Self {
        Labeller::Server(
            ClassifierClient::new(channel)
                .max_encoding_message_size(2 * MAX_MESSAGE_BYTES)
                .max_decoding_message_size(usize::MAX),
        )
    }

    /// A process of its own that answers as this does; `None` if another process answers anyway.
    pub fn isolated(&self) -> Option<Isolated> {
        match self {
            Labeller::Here { isolated, .. } => Some(Isolated::new(isolated.clone())),
            Labeller::Server(_) => None,
        }
    }

    /// The version of the model in this process; empty without one.
    pub fn model(&self) -> String {
        match self {
            Labeller::Here { slot, .. } => slot.current().version().to_owned(),
            Labeller::Server(_) => String::new(),
        }
    }

    /// The answers about a range of articles, in their order.
    ///
    /// # Errors
    /// [`Broken`].
    pub(super) async fn label(
        &self,
        articles: &Arc<Vec<Article>>,
        range: Range<usize>,
    ) -> Result<Vec<Result<Classification, Fault>>, Broken> {
        match self {
            Labeller::Here { slot, .. } => {
                let (model, articles) = (slot.current(), articles.clone());
                let label = move || -> Vec<Result<Classification, Fault>> {
                    let one = |article: &Article| {
                        let answer = AssertUnwindSafe(|| model.classify(article, &Options::default()));
                        match catch_unwind(answer) {
                            Ok(answer) => answer.map_err(|error| Fault::Article(error.to_string())),
                            Err(_) => Err(Fault::Program("internal error".to_owned())),
                        }
                    };
                    articles[range].par_iter().map(one).collect()
                };
                let stopped = |_| Broken {
                    answers: Vec::new(),
                    status: Status::internal("the work was stopped"),
                    in_stream: false,
                };
                tokio::task::spawn_blocking(label).await.map_err(stopped)
            }
            Labeller::Server(client) => ask(client.clone(), articles.clone(), range).await,
        }
    }
}

/// Asks a server about a range of articles on one stream.
async fn ask(
    mut client: ClassifierClient<Channel>,
    articles: Arc<Vec<Article>>,
    range: Range<usize>,
) -> Result<Vec<Result<Classification, Fault>>, Broken> {
    let wanted = range.len();
    let options = Some(options_to_proto(Options::default()));
    let request = move |i: usize| {
        let article = articles.get(i)?.clone();
        Some(ClassifyRequest { article: Some(article_to_proto(article)), options })
    };
    let mut answers = Vec::with_capacity(wanted);
    let requests = tokio_stream::iter(range.filter_map(request));
    let mut responses = match client.classify_stream(requests).await {
        Ok(stream) => stream.into_inner(),
        Err(status) => return Err(Broken::of(answers, status)),
    };
    while let Some(response) = responses.next().await {
        let answer = response.and_then(|response| {
            let other = || Status::unimplemented("the server does not speak this version of dateline.v1");
            match answer_from_proto(response).ok_or_else(other)? {
                Ok(answer) => Ok(Ok(answer)),
                Err(error) => match Code::from(error.code) {
                    Code::Unavailable => Err(Status::unavailable(error.message)),
                    Code::InvalidArgument => Ok(Err(Fault::Article(error.message))),
                    _ => Ok(Err(Fault::Program(error.message))),
                },
            }
        });
        match answer {
            Ok(answer) => answers.push(answer),
            Err(status) => return Err(Broken::of(answers, status)),
        }
    }
    match answers.len() == wanted {
        true => Ok(answers),
        false => {
            let status = Status::unavailable("the server ended the stream before all answers came");
            Err(Broken { answers, status, in_stream: false })
        }
    }
}
