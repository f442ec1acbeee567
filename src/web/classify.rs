//! `POST /v1/classify`: one article as JSON, or a stream of JSON Lines.

use super::{
    Web, answers, content_type,
    failure::{Failure, http_status},
    messages::{Framing, Message, Messages, Taken},
    metadata,
};
use crate::{
    article::Options,
    formats::{self, ArticleFault},
    wire::{
        WINDOW, article_to_proto, options_to_proto,
        proto::dateline::v1::{self as pb, classifier_client::ClassifierClient},
    },
};
use axum::{
    body::Body,
    extract::{Query, Request, State},
    http::{HeaderMap, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use futures_util::{StreamExt, stream};
use serde::Deserialize;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::task::AbortOnDropHandle;
use tonic::{Code, Status, Streaming};

/// The content types of one article, and of JSON Lines.
const JSON: &str = "application/json";
const JSON_LINES: [&str; 3] = ["application/x-ndjson", "application/ndjson", "application/jsonl"];

/// The options of an answer, with the names of the gRPC contract.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Choices {
    explain: bool,
    max_labels: Option<usize>,
    min_confidence: Option<f32>,
    auto_from: Option<f32>,
    review_from: Option<f32>,
}

/// Answers a request.
pub async fn classify(State(web): State<Web>, request: Request) -> Response {
    match answer(web, request).await {
        Ok(response) => response,
        Err(failure) => failure.into_response(),
    }
}

async fn answer(web: Web, request: Request) -> Result<Response, Failure> {
    let framing = framing(request.headers())?;
    let options = options(request.uri())?;
    let exchange = Exchange { headers: request.headers().clone(), extensions: request.extensions().clone(), web };
    let messages = Messages::new(request.into_body(), framing, exchange.web.room.clone());
    match framing {
        Framing::Whole => exchange.one(messages, options).await,
        Framing::Lines => exchange.lines(messages, options).await,
    }
}

/// What the content type says of the body.
fn framing(headers: &HeaderMap) -> Result<Framing, Failure> {
    match &*content_type(headers) {
        JSON => Ok(Framing::Whole),
        lines if JSON_LINES.contains(&lines) => Ok(Framing::Lines),
        _ => Err(Failure::unsupported(
            "the content type must be application/json for one article, or application/x-ndjson for JSON Lines",
        )),
    }
}

/// The checked options of the query.
fn options(uri: &Uri) -> Result<Options, Failure> {
    let Query(Choices { explain, max_labels, min_confidence, auto_from, review_from }) = Query::try_from_uri(uri)
        .map_err(|_| {
            Failure::invalid(
                "invalid query: the options are explain=true, max_labels, min_confidence, auto_from and review_from",
            )
        })?;
    let max_labels = max_labels.filter(|most| *most > 0);
    let options = Options { max_labels, min_confidence, explain, auto_from, review_from };
    options.check().map_err(|error| Failure::invalid(error.to_string()))?;
    Ok(options)
}

/// A request, and the calls that it becomes.
struct Exchange {
    web: Web,
    headers: HeaderMap,
    /// With the connection of the client.
    extensions: http::Extensions,
}

impl Exchange {
    fn client(&self) -> ClassifierClient<super::Calls> {
        // The server limits messages.
        ClassifierClient::new(self.web.backend.calls.clone())
            .max_encoding_message_size(usize::MAX)
            .max_decoding_message_size(usize::MAX)
    }

    fn request<T>(&self, message: T) -> tonic::Request<T> {
        tonic::Request::from_parts(metadata(&self.headers), self.extensions.clone(), message)
    }

    /// Answers one article.
    async fn one(&self, mut messages: Messages, options: Options) -> Result<Response, Failure> {
        let Some(message) = messages.next().await else {
            return Err(Failure::invalid("the body is empty: send an article as JSON, such as {\"body\": \"...\"}"));
        };
        let Message { bytes, taken: _taken } = message?;
        let (id, article) = read(&bytes, 1);
        drop(bytes);
        let answer = match article {
            Ok(article) => {
                let request = pb::ClassifyRequest { article: Some(article), options: Some(options_to_proto(options)) };
                let response = self.client().classify(self.request(request)).await;
                answers::of_response(response.map_err(|status| Failure::of_status(&status))?.into_inner())
            }
            Err(fault) => Err(fault),
        };
        let status = match &answer {
            Ok(_) => StatusCode::OK,
            Err(fault) if fault.code == "INVALID_ARGUMENT" => StatusCode::BAD_REQUEST,
            Err(_) => http_status(Code::Internal),
        };
        Ok((status, [(header::CONTENT_TYPE, JSON)], answers::line(&id, &answer)).into_response())
    }

    /// Answers lines, in their order.
    async fn lines(&self, messages: Messages, options: Options) -> Result<Response, Failure> {
        let (send_article, articles) = mpsc::channel(1);
        let (send_line, lines) = mpsc::channel(WINDOW);
        let reader = AbortOnDropHandle::new(tokio::spawn(async move {
            let ended = send_article.clone();
            tokio::select! {
                () = read_lines(messages, send_article, send_line) => {}
                () = ended.closed() => {}
            }
        }));
        let options = options_to_proto(options);
        let requests = ReceiverStream::new(articles)
            .map(move |Ready { article, .. }| pb::ClassifyRequest { article: Some(article), options: Some(options) });
        let responses = self.client().classify_stream(self.request(requests)).await;
        let responses = responses.map_err(|status| Failure::of_status(&status))?.into_inner();
        let answers = Answers { lines, responses, early: None, has_ended: false, _reader: reader };
        let body = stream::unfold(answers, async |mut answers| {
            let line = answers.next().await?;
            Some((Ok::<_, Status>(line), answers))
        });
        Ok(([(header::CONTENT_TYPE, JSON_LINES[0])], Body::from_stream(body)).into_response())
    }
}

/// The article of a message, or why there is none; and the id that its answer has: its own, or the number of the message.
fn read(bytes: &[u8], number: u64) -> (String, Result<pb::Article, ArticleFault>) {
    match formats::read_one(bytes, "") {
        Ok(record) => {
            let has_id = record.has_own_id();
            let is_canceled = record.item.as_ref().is_some_and(formats::Item::is_canceled);
            let article = record.article;
            let id = if has_id { article.id.clone() } else { number.to_string() };
            let article = match is_canceled {
                true => Err(ArticleFault::invalid("the item is canceled: it has no labels")),
                false => Ok(article_to_proto(article)),
            };
            (id, article)
        }
        Err(reason) => (number.to_string(), Err(ArticleFault::invalid(reason))),
    }
}

/// A line of the request, in order.
struct Line {
    id: String,
    /// What is wrong with it, if it has no article.
    fault: Option<ArticleFault>,
}

/// An article that the classifier has not taken yet. It then counts in the classifier's own limits.
struct Ready {
    article: pb::Article,
    _taken: Taken,
}

/// Sends all lines to be answered, and articles to the classifier.
async fn read_lines(mut messages: Messages, articles: mpsc::Sender<Ready>, lines: mpsc::Sender<Line>) {
    for number in 1.. {
        let Some(message) = messages.next().await else { return };
        let Message { bytes, taken } = match message {
            Ok(message) => message,
            // The body ends here.
            Err(failure) => {
                let line = Line { id: number.to_string(), fault: Some(failure.into_fault()) };
                // An error means that the client has disconnected, here and below.
                let _ = lines.send(line).await;
                return;
            }
        };
        let (id, article) = read(&bytes, number);
        drop(bytes);
        let (article, fault) = match article {
            Ok(article) => (Some(article), None),
            Err(fault) => (None, Some(fault)),
        };
        if lines.send(Line { id, fault }).await.is_err() {
            return;
        }
        if let Some(article) = article
            && articles.send(Ready { article, _taken: taken }).await.is_err()
        {
            return;
        }
    }
}

/// The answers to lines.
struct Answers {
    lines: mpsc::Receiver<Line>,
    responses: Streaming<pb::ClassifyResponse>,
    /// A response that was received before its line.
    early: Option<pb::ClassifyResponse>,
    has_ended: bool,
    _reader: AbortOnDropHandle<()>,
}

impl Answers {
    /// The next answer. If the classifier ends the stream early, the last object is the error, without an id.
    async fn next(&mut self) -> Option<Vec<u8>> {
        if self.has_ended {
            return None;
        }
        match self.try_next().await {
            Ok(Some(answer)) => Some(answer),
            Ok(None) => {
                self.has_ended = true;
                None
            }
            Err(status) => {
                self.has_ended = true;
                Some(Failure::of_status(&status).into_line())
            }
        }
    }

    async fn try_next(&mut self) -> Result<Option<Vec<u8>>, Status> {
        let Some(line) = self.next_line().await? else {
            // The client has sent all; the classifier may still report an error.
            self.responses.message().await?;
            return Ok(None);
        };
        if let Some(fault) = line.fault {
            return Ok(Some(answers::line(&line.id, &Err(fault))));
        }
        let response = match self.early.take() {
            Some(response) => Some(response),
            None => self.responses.message().await?,
        };
        let response = response.ok_or_else(|| Status::internal("the classifier ended the stream early"))?;
        Ok(Some(answers::line(&line.id, &answers::of_response(response))))
    }

    /// The next line of the request; `None` at its end. The classifier may end the stream meanwhile.
    async fn next_line(&mut self) -> Result<Option<Line>, Status> {
        if self.early.is_none() {
            tokio::select! {
                biased;
                line = self.lines.recv() => return Ok(line),
                response = self.responses.message() => {
                    let ended = || Status::internal("the classifier ended the stream early");
                    self.early = Some(response?.ok_or_else(ended)?);
                }
            }
        }
        Ok(self.lines.recv().await)
    }
}
