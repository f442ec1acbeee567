//! Which web pages may call.

use super::error::ServeError;
use http::{HeaderName, HeaderValue, Method, header};
use std::time::Duration;
use tower_http::cors::CorsLayer;

/// Lets pages of these origins call, and no others; `None` where there are none.
pub fn cors(origins: &[String]) -> Result<Option<CorsLayer>, ServeError> {
    if origins.is_empty() {
        return Ok(None);
    }
    let allowed = origins.iter().map(|origin| {
        let uri: Option<http::Uri> = origin.parse().ok();
        let named = uri.is_some_and(|uri| {
            let plain = origin.trim_start_matches(|other| other != ':').strip_prefix("://");
            uri.scheme().is_some() && plain.is_some_and(|host| uri.authority().is_some_and(|name| name == host))
        });
        // As browsers write it.
        let value = HeaderValue::from_str(&origin.to_ascii_lowercase()).ok().filter(|_| named);
        value.ok_or_else(|| ServeError::Origin(origin.clone()))
    });
    let allowed: Vec<HeaderValue> = allowed.collect::<Result<_, _>>()?;
    let names = |names: &[&'static str]| names.iter().copied().map(HeaderName::from_static).collect::<Vec<_>>();
    let mut asked = names(&[
        "x-grpc-web",
        "x-user-agent",
        "grpc-timeout",
        "grpc-encoding",
        "grpc-accept-encoding",
        "traceparent",
        "tracestate",
    ]);
    asked.extend([header::CONTENT_TYPE, header::AUTHORIZATION]);
    let layer = CorsLayer::new()
        .allow_origin(allowed)
        .allow_methods([Method::POST])
        .allow_headers(asked)
        .expose_headers(names(&["grpc-status", "grpc-message", "grpc-status-details-bin", "grpc-retry-pushback-ms"]))
        .max_age(Duration::from_secs(3600));
    Ok(Some(layer))
}
