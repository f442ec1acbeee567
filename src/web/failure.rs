//! Errors of HTTP requests: a status, and a JSON object with the code and the message.

use crate::{formats::ArticleFault, wire::code_name};
use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use tonic::{Code, Status};

/// Why a request has no answer.
#[derive(Debug)]
pub struct Failure {
    status: StatusCode,
    fault: ArticleFault,
}

#[derive(Serialize)]
struct Object<'a> {
    error: &'a ArticleFault,
}

impl Failure {
    fn new(status: StatusCode, code: Code, message: impl Into<String>) -> Self {
        Failure { status, fault: ArticleFault { code: code_name(code).to_owned(), message: message.into() } }
    }

    /// The error of a gRPC call.
    pub fn of_status(status: &Status) -> Self {
        Failure::new(http_status(status.code()), status.code(), status.message())
    }

    /// 400
    pub fn invalid(message: impl Into<String>) -> Self {
        Failure::new(StatusCode::BAD_REQUEST, Code::InvalidArgument, message)
    }

    /// 403
    pub fn forbidden(message: &str) -> Self {
        Failure::new(StatusCode::FORBIDDEN, Code::PermissionDenied, message)
    }

    /// 404
    pub fn not_found(message: &str) -> Self {
        Failure::new(StatusCode::NOT_FOUND, Code::Unimplemented, message)
    }

    /// 405
    pub fn wrong_method(message: &str) -> Self {
        Failure::new(StatusCode::METHOD_NOT_ALLOWED, Code::Unimplemented, message)
    }

    /// 408
    pub fn too_slow(message: &str) -> Self {
        Failure::new(StatusCode::REQUEST_TIMEOUT, Code::Aborted, message)
    }

    /// 413
    pub fn too_large(message: String) -> Self {
        Failure::new(StatusCode::PAYLOAD_TOO_LARGE, Code::ResourceExhausted, message)
    }

    /// 415
    pub fn unsupported(message: &str) -> Self {
        Failure::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, Code::InvalidArgument, message)
    }

    /// 503
    pub fn overloaded(message: &str) -> Self {
        Failure::new(StatusCode::SERVICE_UNAVAILABLE, Code::Unavailable, message)
    }

    /// The error, for the answer to an article.
    pub fn into_fault(self) -> ArticleFault {
        self.fault
    }

    /// The error as an object, and a line break.
    pub fn into_line(self) -> Vec<u8> {
        let mut line = serde_json::to_vec(&Object { error: &self.fault }).unwrap_or_default();
        line.push(b'\n');
        line
    }
}

/// The HTTP status of a gRPC code, as Google's APIs map them.
pub fn http_status(code: Code) -> StatusCode {
    match code {
        Code::InvalidArgument | Code::OutOfRange | Code::FailedPrecondition => StatusCode::BAD_REQUEST,
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::PermissionDenied => StatusCode::FORBIDDEN,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::Aborted => StatusCode::CONFLICT,
        Code::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
        Code::Unimplemented => StatusCode::NOT_IMPLEMENTED,
        Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Code::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let status = self.status;
        let mut response = (status, [(header::CONTENT_TYPE, "application/json")], self.into_line()).into_response();
        let headers = response.headers_mut();
        match status {
            StatusCode::UNAUTHORIZED => {
                drop(headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")))
            }
            StatusCode::SERVICE_UNAVAILABLE => drop(headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"))),
            _ => {}
        }
        response
    }
}
