//! `GET /v1/model`: the labels that an answer can have, and whether corrections are recorded.

use super::{KeepsText, Web, failure::Failure, metadata};
use crate::{
    geography,
    wire::proto::dateline::v1::{self as pb, classifier_client::ClassifierClient},
};
use axum::{
    extract::{Request, State},
    http::header,
    response::{IntoResponse, Response},
};
use serde::Serialize;

#[derive(Serialize)]
struct Described {
    version: String,
    topics: Vec<LabelName>,
    subtopics: Vec<LabelName>,
    regions: Vec<LabelName>,
    corrections: Corrections,
}

/// Whether the server records corrections.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Corrections {
    Disabled,
    WithoutText,
    WithText,
}

#[derive(Serialize)]
struct LabelName {
    code: String,
    name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    broader: String,
}

/// Describes the live model.
pub async fn model(State(web): State<Web>, request: Request) -> Response {
    let mut client = ClassifierClient::new(web.backend.calls.clone());
    let call =
        tonic::Request::from_parts(metadata(request.headers()), request.extensions().clone(), pb::GetModelRequest {});
    let model = match client.get_model(call).await {
        Ok(model) => model.into_inner(),
        Err(status) => return Failure::of_status(&status).into_response(),
    };
    let named = |label: pb::ModelLabel| LabelName { code: label.code, name: label.name, broader: label.broader };
    let place = |place: &geography::Place| LabelName {
        code: place.code.to_string(),
        name: place.name.to_string(),
        broader: String::new(),
    };
    let described = Described {
        version: model.version,
        topics: model.topics.into_iter().map(named).collect(),
        subtopics: model.subtopics.into_iter().map(named).collect(),
        regions: geography::all_subjects().into_iter().map(place).collect(),
        corrections: match web.backend.corrections {
            None => Corrections::Disabled,
            Some(KeepsText(false)) => Corrections::WithoutText,
            Some(KeepsText(true)) => Corrections::WithText,
        },
    };
    let body = serde_json::to_string(&described).unwrap_or_default() + "\n";
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}
