//! `POST /v1/corrections`: the right labels of an article, as a row of JSON.

use super::{
    Web, content_type,
    failure::Failure,
    messages::{Framing, Messages},
    metadata,
};
use crate::{
    formats,
    wire::{
        article_to_proto,
        proto::dateline::v1::{self as pb, corrections_client::CorrectionsClient},
    },
};
use axum::{
    extract::{Request, State},
    http::header,
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};

const JSON: &str = "application/json";

/// What a correction has in addition to a row.
#[derive(Deserialize)]
struct More {
    #[serde(default)]
    author: String,
}

#[derive(Serialize)]
struct Recorded {
    id: String,
}

/// Records a correction.
pub async fn correct(State(web): State<Web>, request: Request) -> Response {
    match record(&web, request).await {
        Ok(recorded) => {
            let body = serde_json::to_string(&recorded).unwrap_or_default() + "\n";
            ([(header::CONTENT_TYPE, JSON)], body).into_response()
        }
        Err(failure) => failure.into_response(),
    }
}

async fn record(web: &Web, request: Request) -> Result<Recorded, Failure> {
    if content_type(request.headers()) != JSON {
        return Err(Failure::unsupported("the content type must be application/json"));
    }
    let (metadata, extensions) = (metadata(request.headers()), request.extensions().clone());
    let mut messages = Messages::new(request.into_body(), Framing::Whole, web.room.clone());
    let Some(message) = messages.next().await.transpose()? else {
        return Err(Failure::invalid("the body is empty: send a row with an id and the right labels"));
    };
    let record = formats::read_one(&message.bytes, "").map_err(Failure::invalid)?;
    let more: More = serde_json::from_slice(&message.bytes)
        .map_err(|_| Failure::invalid("a correction is one JSON object, whose author is a string"))?;
    let has_id = record.has_own_id();
    let mut article = article_to_proto(record.article);
    if !has_id {
        article.id.clear();
    }
    let correction = pb::CorrectRequest {
        article: Some(article),
        topics: record.topics,
        subtopics: record.subtopics,
        countries: record.regions.map(|codes| pb::Countries { codes }),
        author: more.author,
    };
    let mut client = CorrectionsClient::new(web.backend.calls.clone()).max_encoding_message_size(usize::MAX);
    let response = client.correct(tonic::Request::from_parts(metadata, extensions, correction)).await;
    let response = response.map_err(|status| Failure::of_status(&status))?;
    Ok(Recorded { id: response.into_inner().id })
}
