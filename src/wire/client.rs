//! A client of a Dateline server, for the command line and the relay.

use super::{
    convert::{answer_from_proto, article_to_proto, options_to_proto},
    limits::MAX_MESSAGE_BYTES,
    proto::dateline::v1::{ClassifyRequest, ClassifyResponse, classifier_client::ClassifierClient},
};
use crate::{
    article::{Article, Classification, Options},
    credentials::{CredentialError, tokens},
};
use std::path::PathBuf;
use tokio_stream::{Stream, StreamExt};
use tonic::{
    Code, Request, Status, Streaming,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::Channel,
};

/// A client of a Dateline server.
#[derive(Debug, Clone)]
pub struct Client(ClassifierClient<InterceptedService<Channel, Authorization>>);

/// A file with one token, read for each call.
#[derive(Debug, Clone)]
pub struct TokenFile(PathBuf);

/// Sends the token of a file, if given, with each call.
#[derive(Debug, Clone)]
struct Authorization(Option<TokenFile>);

impl TokenFile {
    /// The token file at `path`; it is not read yet.
    pub fn new(path: PathBuf) -> Self {
        TokenFile(path)
    }

    /// The token as the value of the header `authorization`.
    ///
    /// # Errors
    /// If the file cannot be read or does not have exactly one token; the message does not quote it.
    pub fn read(&self) -> Result<MetadataValue<Ascii>, CredentialError> {
        let tokens = tokens(&self.0)?;
        let [(_, token)] = &tokens[..] else {
            return Err(CredentialError::invalid(&self.0, format!("{} tokens: write one", tokens.len())));
        };
        let header = format!("Bearer {token}").parse();
        let mut value: MetadataValue<Ascii> = header.map_err(|error| CredentialError::invalid(&self.0, error))?;
        value.set_sensitive(true);
        Ok(value)
    }
}

impl Interceptor for Authorization {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(file) = &self.0 {
            request
                .metadata_mut()
                .insert("authorization", file.read().map_err(|error| Status::unauthenticated(error.to_string()))?);
        }
        Ok(request)
    }
}

/// The responses of one `ClassifyStream` call, in the order of its articles.
#[derive(Debug)]
pub struct Responses(Streaming<ClassifyResponse>);

/// The classification of one article, or its error.
pub type Answer = Result<Classification, ArticleStatus>;

/// The error of one article.
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
    /// A response does not follow this version of the contract.
    #[error("the server uses an incompatible version of dateline.v1")]
    Incompatible,
}

impl Client {
    /// A client on a connection; it sends the token, if given. Requests may have twice the default limit of a server, which
    /// refuses those over its own limit.
    pub fn new(channel: Channel, token: Option<TokenFile>) -> Self {
        Client(
            ClassifierClient::with_interceptor(channel, Authorization(token))
                .max_encoding_message_size(2 * MAX_MESSAGE_BYTES)
                .max_decoding_message_size(usize::MAX),
        )
    }

    /// Classifies articles on one stream.
    ///
    /// # Errors
    /// [`ClientError::Status`] if the call fails.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_file_has_one_token() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("token");
        for (text, token) in [
            ("secret-1\n", Some("Bearer secret-1")),
            ("# for the desk\n\n secret-2 \n", Some("Bearer secret-2")),
            ("", None),
            ("one\ntwo\n", None),
            ("\u{FEFF}secret-3\n", None),
            ("s\u{E9}cret\n", None),
        ] {
            std::fs::write(&file, text).expect("the file is written");
            let read = TokenFile::new(file.clone()).read();
            assert_eq!(read.as_ref().ok().and_then(|value| value.to_str().ok()), token, "{read:?}");
            assert!(read.err().is_none_or(|error| !error.to_string().contains("cret")));
        }
    }
}
