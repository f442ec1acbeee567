//! Classification over plain HTTP, and the page for editors.
//!
//! In: articles as JSON, on one request or as JSON Lines. Out: the objects that `dateline classify --json` prints. Every request
//! becomes a call of the gRPC services in the same process, so that tokens, limits, metrics and the drain are the same.

mod answers;
mod classify;
mod corrections;
mod failure;
mod host;
mod messages;
mod model;
mod page;

pub use messages::MessageLimits;

use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderMap, HeaderName, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use failure::Failure;
use messages::Room;
use std::{convert::Infallible, fmt, sync::Arc};
use tonic::{Status, body::Body, metadata::MetadataMap};
use tower::util::BoxCloneSyncService;

/// The gRPC services of the server.
pub type Calls = BoxCloneSyncService<http::Request<Body>, http::Response<Body>, Infallible>;

/// Refuses a request by its metadata.
type Authorize = dyn Fn(&MetadataMap) -> Result<(), Status> + Send + Sync;

/// The server behind the page.
#[derive(Clone)]
pub struct Backend {
    /// Its services.
    pub calls: Calls,
    /// Refuses requests without a valid token.
    pub authorize: Arc<Authorize>,
    /// Its metrics in the Prometheus text format.
    pub metrics: Arc<dyn Fn() -> Result<String, fmt::Error> + Send + Sync>,
    /// Whether it records corrections, and keeps their texts.
    pub corrections: Option<KeepsText>,
    /// The names of the server, beside `localhost` and IP addresses, that requests may be sent to; `None` for all names.
    pub hosts: Option<Vec<String>>,
    /// The limits of request bodies.
    pub limits: MessageLimits,
}

/// Whether the texts of corrections are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeepsText(pub bool);

/// What the handlers share.
#[derive(Clone)]
struct Web {
    backend: Backend,
    room: Arc<Room>,
}

/// The headers of a trace (W3C Trace Context).
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// The routes of the web listener.
pub fn router(backend: Backend) -> Router {
    let room = Arc::new(Room::new(backend.limits));
    let web = Web { backend, room };
    let api = Router::new()
        .route("/v1/classify", post(classify::classify))
        .route("/v1/corrections", post(corrections::correct))
        .route("/v1/model", get(model::model))
        .route("/v1/metrics", get(metrics))
        .route_layer(middleware::from_fn_with_state(web.clone(), authorize));
    let app = page::routes(Router::new()).merge(api);
    app.method_not_allowed_fallback(method_not_allowed).fallback(not_found).with_state(web)
}

/// Refuses requests without a valid token, and those that a page of another site sends, directly or by a name of its own that
/// leads here (DNS rebinding): where no token is needed, any page that an editor visits could otherwise use the server.
async fn authorize(State(web): State<Web>, request: Request, next: Next) -> Response {
    let site = request.headers().get("sec-fetch-site").map(|site| site.as_bytes());
    if site.is_some_and(|site| site != b"same-origin" && site != b"none") {
        return Failure::forbidden("requests of pages of other sites are refused").into_response();
    }
    if let Some(names) = &web.backend.hosts
        && let Err(unknown) = host::check(&request, names)
    {
        return Failure::forbidden(&unknown).into_response();
    }
    match (web.backend.authorize)(&metadata(request.headers())) {
        Ok(()) => next.run(request).await,
        Err(status) => Failure::of_status(&status).into_response(),
    }
}

async fn metrics(State(web): State<Web>) -> Response {
    match (web.backend.metrics)() {
        Ok(text) => ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response(),
        Err(_) => Failure::of_status(&Status::internal("the metrics cannot be encoded")).into_response(),
    }
}

async fn not_found() -> Failure {
    Failure::not_found("no such path: the page is at /, articles go to POST /v1/classify")
}

async fn method_not_allowed() -> Failure {
    Failure::wrong_method(
        "articles go to POST /v1/classify, corrections to POST /v1/corrections; all other paths are read with GET",
    )
}

/// The content type of a request without its parameters, in lower case; empty if there is none.
fn content_type(headers: &HeaderMap) -> String {
    let given = headers.get(header::CONTENT_TYPE).and_then(|given| given.to_str().ok()).unwrap_or_default();
    given.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// The headers of an HTTP request that its calls carry on.
fn metadata(headers: &HeaderMap) -> MetadataMap {
    let names = [header::AUTHORIZATION, header::USER_AGENT, TRACEPARENT, TRACESTATE];
    let kept = names.into_iter().filter_map(|name| headers.get(&name).cloned().map(|value| (name, value)));
    MetadataMap::from_headers(kept.collect())
}
