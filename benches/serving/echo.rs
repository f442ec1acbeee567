//! The echo server: the same contract on the same gRPC stack as Dateline's server, without classification. Its figures are
//! the limit of what this stack allows.

use crate::Outcome;
use dateline::{
    service::Limits,
    wire::proto::dateline::v1::{
        Classification, ClassifyRequest, ClassifyResponse, GetModelRequest, Label, Model,
        classifier_server::{Classifier, ClassifierServer},
        classify_response::Outcome as Answer,
    },
};
use std::{net::SocketAddr, pin::Pin};
use tokio::{net::TcpListener, runtime::Runtime};
use tokio_stream::{Stream, StreamExt};
use tonic::{Request, Response, Status, Streaming, codec::CompressionEncoding, transport::server::TcpIncoming};

struct Echo;

/// The answer to a request: its id, and the number of words as the confidence of a label.
fn answer(request: ClassifyRequest) -> ClassifyResponse {
    let article = request.article.unwrap_or_default();
    let words = article.headline.split_whitespace().count() + article.body.split_whitespace().count();
    let label = Label { code: "words".to_owned(), confidence: words as f32, ..Label::default() };
    let answer = Classification { topics: vec![label], ..Classification::default() };
    ClassifyResponse { id: article.id, outcome: Some(Answer::Classification(answer)) }
}

#[tonic::async_trait]
impl Classifier for Echo {
    async fn classify(&self, request: Request<ClassifyRequest>) -> Result<Response<ClassifyResponse>, Status> {
        Ok(Response::new(answer(request.into_inner())))
    }

    type ClassifyStreamStream = Pin<Box<dyn Stream<Item = Result<ClassifyResponse, Status>> + Send>>;

    async fn classify_stream(
        &self,
        request: Request<Streaming<ClassifyRequest>>,
    ) -> Result<Response<Self::ClassifyStreamStream>, Status> {
        Ok(Response::new(Box::pin(request.into_inner().map(|request| request.map(answer)))))
    }

    async fn get_model(&self, _: Request<GetModelRequest>) -> Result<Response<Model>, Status> {
        Ok(Response::new(Model::default()))
    }
}

/// Serves until the process is killed.
pub fn serve(address: SocketAddr) -> Outcome<()> {
    let limits = Limits::default();
    let service = ClassifierServer::new(Echo)
        .accept_compressed(CompressionEncoding::Gzip)
        .accept_compressed(CompressionEncoding::Zstd)
        .max_decoding_message_size(limits.message_bytes)
        .max_encoding_message_size(usize::MAX);
    // The default runtime, as in Dateline's server.
    Runtime::new()?.block_on(async {
        let listener = TcpListener::bind(address).await?;
        limits
            .transport()
            .add_service(service)
            .serve_with_incoming(TcpIncoming::from(listener).with_nodelay(Some(true)))
            .await?;
        Ok(())
    })
}
