//! A client of a Dateline server, for the command line and the relay.

use super::{
    MAX_MESSAGE_BYTES, answer_from_proto, article_to_proto, options_to_proto,
    proto::dateline::v1::{ClassifyRequest, ClassifyResponse, classifier_client::ClassifierClient},
};
use crate::article::{Article, Classification, Options};
use tokio_stream::{Stream, StreamExt};
use tonic::{Code, Status, Streaming, transport::Channel};

/// A client of a Dateline server.
#[derive(Debug, Clone)]
pub struct Client(ClassifierClient<Channel>);

/// The responses of one `ClassifyStream` call, in the order of its articles.
#[derive(Debug)]
pub struct Responses(Streaming<ClassifyResponse>);

/// The answer to one article.
pub type Answer = Result<Classification, ArticleStatus>;

/// Why the server did not classify an article.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArticleStatus {
    /// The gRPC code.
    pub code: Code,
    /// The server's message.
    pub message: String,
}

/// Why a stream ended early.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The server, or the connection to it, ended the stream.
    #[error("the server ended the stream: {} ({:?})", .0.message(), .0.code())]
    Status(#[from] Status),
    /// A response is not one of this contract.
    #[error("the server does not speak this version of dateline.v1")]
    Incompatible,
}

impl Client {
    /// A client on a connection. Requests may be twice the default limit of a server: the server refuses those that are over its own.
    pub fn new(channel: Channel) -> Self {
        Client(
            ClassifierClient::new(channel)
                .max_encoding_message_size(2 * MAX_MESSAGE_BYTES)
                .max_decoding_message_size(usize::MAX),
        )
    }

    /// Classifies articles on one stream.
    ///
    /// # Errors
    /// [`ClientError::Status`] if the call cannot be made.
    pub async fn classify_stream(
        &mut self,
        articles: impl Stream<Item = Article> + Send + 'static,
        options: Options,
    ) -> Result<Responses, ClientError> {
        let options = options_to_proto(options);
        let request =
            move |article| ClassifyRequest { article: Some(article_to_proto(article)), options: Some(options) };
        Ok(Responses(self.0.classify_stream(articles.map(request)).await?.into_inner()))
    }
}

impl Responses {
    /// The answer to the next article; `None` at the end of the stream.
    pub async fn next(&mut self) -> Option<Result<Answer, ClientError>> {
        let response = match self.0.next().await? {
            Ok(response) => response,
            Err(status) => return Some(Err(status.into())),
        };
        let Some(answer) = answer_from_proto(response) else { return Some(Err(ClientError::Incompatible)) };
        Some(Ok(answer.map_err(|error| ArticleStatus { code: Code::from(error.code), message: error.message })))
    }
}
