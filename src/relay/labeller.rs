use crate::{
    article::{Article, Classification, Options},
    service::{
        MAX_MESSAGE_BYTES, ModelSlot, answer_from_proto, article_to_proto, options_to_proto,
        proto::dateline::v1::{ClassifyRequest, classifier_client::ClassifierClient},
    },
};
use rayon::prelude::*;
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};
use tokio_stream::StreamExt;
use tonic::{Code, Status, transport::Channel};

/// Who classifies.
#[derive(Clone)]
pub enum Labeller {
    /// A model in this process.
    Here(Arc<ModelSlot>),
    /// A Dateline server.
    Server(ClassifierClient<Channel>),
}

/// Why an article has no labels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// It cannot be classified, however often it is tried.
    Article(String),
    /// It could not be, this time.
    Program(String),
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

    /// The answers about some articles, in their order.
    ///
    /// # Errors
    /// Where the server cannot be asked: all of them may be asked again.
    pub async fn label(&self, articles: Arc<Vec<Article>>) -> Result<Vec<Result<Classification, Fault>>, Status> {
        match self {
            Labeller::Here(slot) => {
                let model = slot.current();
                let label = move || -> Vec<Result<Classification, Fault>> {
                    let one = |article: &Article| {
                        let answer = AssertUnwindSafe(|| model.classify(article, &Options::default()));
                        match catch_unwind(answer) {
                            Ok(answer) => answer.map_err(|error| Fault::Article(error.to_string())),
                            Err(_) => Err(Fault::Program("a fault of the program".to_owned())),
                        }
                    };
                    articles.par_iter().map(one).collect()
                };
                tokio::task::spawn_blocking(label).await.map_err(|_| Status::internal("the work was stopped"))
            }
            Labeller::Server(client) => {
                let wanted = articles.len();
                let options = Some(options_to_proto(Options::default()));
                let request = move |i: usize| {
                    let article = articles.get(i)?.clone();
                    Some(ClassifyRequest { article: Some(article_to_proto(article)), options })
                };
                let requests = tokio_stream::iter((0..wanted).filter_map(request));
                let stream = client.clone().classify_stream(requests).await?;
                let mut responses = stream.into_inner();
                let mut answers = Vec::with_capacity(wanted);
                while let Some(response) = responses.next().await {
                    let other = || Status::unimplemented("the server does not speak this version of dateline.v1");
                    answers.push(match answer_from_proto(response?).ok_or_else(other)? {
                        Ok(answer) => Ok(answer),
                        Err(error) => match Code::from(error.code) {
                            Code::Unavailable => return Err(Status::unavailable(error.message)),
                            Code::InvalidArgument => Err(Fault::Article(error.message)),
                            _ => Err(Fault::Program(error.message)),
                        },
                    });
                }
                match answers.len() == wanted {
                    true => Ok(answers),
                    false => Err(Status::unavailable("the server ended the stream before all answers came")),
                }
            }
        }
    }
}
