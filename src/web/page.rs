//! The page for editors: its files, which are part of the program.

use super::Web;
use axum::{
    Router,
    http::{HeaderName, HeaderValue, header},
    response::{IntoResponse, Response},
    routing::get,
};

/// Path, content type and content of each file.
const FILES: [(&str, &str, &str); 7] = [
    ("/", "text/html; charset=utf-8", include_str!("page/index.html")),
    ("/page.css", "text/css; charset=utf-8", include_str!("page/page.css")),
    ("/page.js", "text/javascript; charset=utf-8", include_str!("page/page.js")),
    ("/common.js", "text/javascript; charset=utf-8", include_str!("page/common.js")),
    ("/live.js", "text/javascript; charset=utf-8", include_str!("page/live.js")),
    ("/rows.js", "text/javascript; charset=utf-8", include_str!("page/rows.js")),
    ("/world.svg", "image/svg+xml", include_str!("page/world.svg")),
];

/// The page loads nothing from elsewhere, sends nothing elsewhere, and no other page can embed it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Adds the files of the page.
pub fn routes(router: Router<Web>) -> Router<Web> {
    FILES.into_iter().fold(router, |router, (path, content_type, content)| {
        router.route(path, get(move || async move { file(content_type, content) }))
    })
}

fn file(content_type: &'static str, content: &'static str) -> Response {
    let mut response = content.into_response();
    let headers: [(HeaderName, &'static str); 5] = [
        (header::CONTENT_TYPE, content_type),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    for (name, value) in headers {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}
