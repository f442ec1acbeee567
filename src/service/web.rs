//! Cross-origin resource sharing (CORS) for gRPC-Web.

use super::error::ServeError;
use http::{HeaderName, HeaderValue, Method, header};
use std::time::Duration;
use tower_http::cors::CorsLayer;

/// Allows calls from pages of exactly these origins; `None` if there are no origins.
///
/// # Errors
/// [`ServeError::Origin`].
pub fn cors(origins: &[String]) -> Result<Option<CorsLayer>, ServeError> {
    if origins.is_empty() {
        return Ok(None);
    }
    let allowed = origins.iter().map(|origin| {
        let uri: Option<http::Uri> = origin.parse().ok();
        // An origin has a scheme and an authority, and nothing else.
        let valid = uri.is_some_and(|uri| {
            let rest = origin.trim_start_matches(|other| other != ':').strip_prefix("://");
            uri.scheme().is_some() && rest.is_some_and(|host| uri.authority().is_some_and(|name| name == host))
        });
        // Browsers send origins in lower case.
        let value = HeaderValue::from_str(&origin.to_ascii_lowercase()).ok().filter(|_| valid);
        value.ok_or_else(|| ServeError::Origin(origin.clone()))
    });
    let allowed: Vec<HeaderValue> = allowed.collect::<Result<_, _>>()?;
    let names = |names: &[&'static str]| names.iter().copied().map(HeaderName::from_static).collect::<Vec<_>>();
    let mut request_headers = names(&[
        "x-grpc-web",
        "x-user-agent",
        "grpc-timeout",
        "grpc-encoding",
        "grpc-accept-encoding",
        "traceparent",
        "tracestate",
    ]);
    request_headers.extend([header::CONTENT_TYPE, header::AUTHORIZATION]);
    let layer = CorsLayer::new()
        .allow_origin(allowed)
        .allow_methods([Method::POST])
        .allow_headers(request_headers)
        .expose_headers(names(&["grpc-status", "grpc-message", "grpc-status-details-bin", "grpc-retry-pushback-ms"]))
        .max_age(Duration::from_secs(3600));
    Ok(Some(layer))
}
