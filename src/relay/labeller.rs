//! Where the relay gets its labels: a model in this process, or a Dateline server.

use super::{error::LabelError, isolation::Isolated};
use crate::{
    article::{Article, Classification, Options},
    live::ModelSlot,
    wire::{ArticleStatus, Client, ClientError},
};
use rayon::prelude::*;
use std::{
    ffi::OsString,
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};
use tonic::{Code, Status};

/// What classifies the articles of a relay.
#[derive(Clone)]
pub enum Labeller {
    /// A model in this process.
    Local {
        /// The model.
        slot: Arc<ModelSlot>,
        /// A program, with its arguments, that answers JSON Lines with the same model: `dateline classify --json -`. Redelivered
        /// messages are classified in it.
        isolated: Vec<OsString>,
    },
    /// A Dateline server.
    Server(Client),
}

/// A stream that ended before all its articles were answered. The rest may be sent again.
pub struct StreamBroken {
    /// The answers that came before.
    pub answers: Vec<Result<Classification, LabelError>>,
    /// The status that ended the stream.
    pub status: Status,
    /// Whether the connection broke while the server worked on the articles, so that one of them may be the cause.
    pub in_stream: bool,
}

impl StreamBroken {
    fn new(answers: Vec<Result<Classification, LabelError>>, error: ClientError) -> Self {
        let status = match error {
            ClientError::Status(status) => status,
            ClientError::Incompatible => Status::unimplemented(error.to_string()),
        };
        // A status that the server sent has no source in this process, and a server that was not reached had no article.
        let first = std::error::Error::source(&status);
        let mut causes = std::iter::successors(first, |cause| cause.source());
        let in_stream = first.is_some() && !causes.any(|cause| cause.is::<tonic::ConnectError>());
        StreamBroken { answers, status, in_stream }
    }
}

impl Labeller {
    /// A separate process with the same model; `None` with a server, which is one already.
    pub fn isolated(&self) -> Option<Isolated> {
        match self {
            Labeller::Local { isolated, .. } => Some(Isolated::new(isolated.clone())),
            Labeller::Server(_) => None,
        }
    }

    /// The version of the model in this process; empty without one.
    pub fn model(&self) -> String {
        match self {
            Labeller::Local { slot, .. } => slot.current().version().to_owned(),
            Labeller::Server(_) => String::new(),
        }
    }

    /// Classifies a range of articles; the answers are in their order.
    ///
    /// # Errors
    /// [`StreamBroken`].
    pub(super) async fn label(
        &self,
        articles: &Arc<Vec<Article>>,
        range: Range<usize>,
    ) -> Result<Vec<Result<Classification, LabelError>>, StreamBroken> {
        match self {
            Labeller::Local { slot, .. } => {
                let (model, articles) = (slot.current(), articles.clone());
                let label = move || -> Vec<Result<Classification, LabelError>> {
                    let one = |article: &Article| {
                        let answer = AssertUnwindSafe(|| model.classify(article, &Options::default()));
                        match catch_unwind(answer) {
                            Ok(answer) => answer.map_err(|error| LabelError::Article(error.to_string())),
                            Err(_) => Err(LabelError::Internal("internal error".to_owned())),
                        }
                    };
                    articles[range].par_iter().map(one).collect()
                };
                let stopped = |_| StreamBroken {
                    answers: Vec::new(),
                    status: Status::internal("the classification was cancelled"),
                    in_stream: false,
                };
                tokio::task::spawn_blocking(label).await.map_err(stopped)
            }
            Labeller::Server(client) => ask(client.clone(), articles.clone(), range).await,
        }
    }
}

/// Classifies a range of articles on one stream of a server.
async fn ask(
    mut client: Client,
    articles: Arc<Vec<Article>>,
    range: Range<usize>,
) -> Result<Vec<Result<Classification, LabelError>>, StreamBroken> {
    let wanted = range.len();
    let mut answers = Vec::with_capacity(wanted);
    let requests = tokio_stream::iter(range.filter_map(move |i| articles.get(i).cloned()));
    let mut responses = match client.classify_stream(requests, Options::default()).await {
        Ok(responses) => responses,
        Err(error) => return Err(StreamBroken::new(answers, error)),
    };
    while let Some(response) = responses.next().await {
        match response {
            Ok(Ok(answer)) => answers.push(Ok(answer)),
            Ok(Err(ArticleStatus { code: Code::Unavailable, message })) => {
                return Err(StreamBroken::new(answers, Status::unavailable(message).into()));
            }
            Ok(Err(ArticleStatus { code: Code::InvalidArgument, message })) => {
                answers.push(Err(LabelError::Article(message)));
            }
            Ok(Err(ArticleStatus { message, .. })) => answers.push(Err(LabelError::Internal(message))),
            Err(error) => return Err(StreamBroken::new(answers, error)),
        }
    }
    if answers.len() == wanted {
        return Ok(answers);
    }
    let status = Status::unavailable("the server ended the stream before all answers came");
    Err(StreamBroken { answers, status, in_stream: false })
}
