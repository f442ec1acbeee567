//! Answers HTTP requests that are not gRPC, so that their senders can read what is wrong.

use super::metrics::Metrics;
use futures_util::future::{Either, Ready, ready};
use http::{HeaderValue, Method, Request, Response, StatusCode, Version, header};
use std::{
    sync::Arc,
    task::{Context, Poll},
};
use tonic::body::Body;
use tower::{Layer, Service};

/// Refuses requests that are not gRPC, nor gRPC-Web where that is enabled.
#[derive(Clone)]
pub struct GrpcOnlyLayer {
    pub is_web_enabled: bool,
    pub metrics: Arc<Metrics>,
}

impl<S> Layer<S> for GrpcOnlyLayer {
    type Service = GrpcOnly<S>;

    fn layer(&self, service: S) -> GrpcOnly<S> {
        GrpcOnly { service, layer: self.clone() }
    }
}

/// A service that gets only gRPC requests.
#[derive(Clone)]
pub struct GrpcOnly<S> {
    service: S,
    layer: GrpcOnlyLayer,
}

/// Why a request is not gRPC, and what to do.
struct Refusal {
    status: StatusCode,
    /// As in metrics.
    reason: &'static str,
    text: &'static str,
}

impl GrpcOnlyLayer {
    fn check<B>(&self, request: &Request<B>) -> Result<(), Refusal> {
        let refusal = |status, reason, text| Err(Refusal { status, reason, text });
        let content_type = request.headers().get(header::CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
        let is_web = content_type.starts_with(b"application/grpc-web");
        if request.version() < Version::HTTP_2 && !(is_web && self.is_web_enabled) {
            return refusal(
                StatusCode::HTTP_VERSION_NOT_SUPPORTED,
                "http1",
                "This is a gRPC server, which needs HTTP/2: call it with a gRPC client, such as grpcurl. Metrics and probes have \
                 their own address, --metrics-listen.\n",
            );
        }
        if request.method() != Method::POST {
            return refusal(
                StatusCode::METHOD_NOT_ALLOWED,
                "method",
                "This is a gRPC server, whose calls are POST requests: call it with a gRPC client, such as grpcurl.\n",
            );
        }
        if is_web && !self.is_web_enabled {
            return refusal(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "content_type",
                "gRPC-Web is disabled: start the server with --web-origin.\n",
            );
        }
        if !content_type.starts_with(b"application/grpc") {
            return refusal(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "content_type",
                "This is a gRPC server: the content type must be application/grpc. Call it with a gRPC client, such as grpcurl.\n",
            );
        }
        Ok(())
    }
}

impl<S> Service<Request<Body>> for GrpcOnly<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Either<Ready<Result<Response<Body>, S::Error>>, S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.service.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let Err(Refusal { status, reason, text }) = self.layer.check(&request) else {
            return Either::Right(self.service.call(request));
        };
        self.layer.metrics.connections.count_not_grpc(reason);
        let mut response = Response::new(Body::new(text.to_owned()));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        if status == StatusCode::METHOD_NOT_ALLOWED {
            headers.insert(header::ALLOW, HeaderValue::from_static("POST"));
        }
        if request.version() < Version::HTTP_2 {
            // The body of the request is not read.
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        Either::Left(ready(Ok(response)))
    }
}
