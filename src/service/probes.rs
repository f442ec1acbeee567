//! Metrics and probes over HTTP, for orchestrators and monitors that speak no gRPC.

use super::slot::ModelSlot;
use axum::{
    Router,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use std::sync::Arc;
use tokio::{net::TcpListener, sync::watch};

/// The text format of Prometheus.
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Answers `/metrics`, `/livez` (200 as long as the process can answer) and `/readyz` (503 once the server drains).
pub async fn serve(listener: TcpListener, slot: Arc<ModelSlot>, draining: watch::Receiver<bool>) {
    let ready = move || {
        let draining = *draining.borrow();
        async move {
            match draining {
                true => (StatusCode::SERVICE_UNAVAILABLE, "draining\n"),
                false => (StatusCode::OK, "ready\n"),
            }
        }
    };
    let app = Router::new()
        .route("/metrics", get(move || metrics(slot.clone())))
        .route("/livez", get(|| async { "alive\n" }))
        .route("/readyz", get(ready));
    if let Err(error) = axum::serve(listener, app).await {
        tracing::error!(%error, "metrics and probes have stopped");
    }
}

async fn metrics(slot: Arc<ModelSlot>) -> Response {
    match slot.metrics().text() {
        Ok(text) => ([(header::CONTENT_TYPE, TEXT)], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
