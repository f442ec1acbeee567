//! Every call from outside: a span with the client's trace around it, its limits, its deadline, and its status, whoever
//! answered or refused it.

use super::{
    admission::{Admission, Outbox},
    incoming::{ChargedBody, Encoding, Incoming, NoRoom, too_large},
    metrics::{Metrics, code_name},
    outgoing::{Answer, Ongoing},
    settings::nonzero,
    transport::Activity,
};
use futures_util::future::BoxFuture;
use http::{HeaderMap, Request, Response, header::HeaderName};
use opentelemetry::{global, propagation::Extractor};
use std::{
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};
use tonic::{Code, Status, body::Body};
use tower::{Layer, Service};
use tracing::{Instrument, Span, field};
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// Streams that watch are told that the server drains, and end so long after.
pub const LAST_NEWS: Duration = Duration::from_millis(500);

/// Watches the calls of the services that it is put around.
#[derive(Clone)]
pub struct Calls {
    /// Counts them.
    pub metrics: Arc<Metrics>,
    /// Charges the messages of the classifier.
    pub admission: Arc<Admission>,
    /// How long a unary call may take, from its first byte to its answer; unlimited if zero.
    pub longest: Duration,
    /// How long a client may take no part of an answer, or leave a message incomplete; unlimited if zero.
    pub stall: Duration,
    /// The largest message that is read, in bytes.
    pub largest: usize,
    /// The largest list of headers that is accepted, in bytes.
    pub header_bytes: u32,
    /// Turns true once: the server drains.
    pub draining: watch::Receiver<bool>,
    /// How long a drain may take.
    pub drain: Duration,
}

impl<S> Layer<S> for Calls {
    type Service = Watched<S>;

    fn layer(&self, service: S) -> Watched<S> {
        Watched { service, calls: self.clone() }
    }
}

/// A service whose calls are watched.
#[derive(Clone)]
pub struct Watched<S> {
    service: S,
    calls: Calls,
}

/// The service whose messages are charged.
const CLASSIFIER: &str = "dateline.v1.Classifier";

/// The methods that a server may have, with whether they stream: only these are told apart in metrics and traces, as
/// clients may call what they like.
const METHODS: [(&str, &str, bool); 9] = [
    (CLASSIFIER, "Classify", false),
    (CLASSIFIER, "ClassifyStream", true),
    (CLASSIFIER, "GetModel", false),
    ("dateline.v1.Admin", "ReloadModel", false),
    ("dateline.v1.Admin", "GetStatus", false),
    ("grpc.health.v1.Health", "Check", false),
    ("grpc.health.v1.Health", "Watch", true),
    ("grpc.reflection.v1.ServerReflection", "ServerReflectionInfo", true),
    ("grpc.reflection.v1alpha.ServerReflection", "ServerReflectionInfo", true),
];

impl<S> Service<Request<Body>> for Watched<S>
where
    S: Service<Request<Body>, Response = Response<Body>> + Send,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Response<Body>, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.service.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let path = request.uri().path().trim_start_matches('/').split_once('/').unwrap_or_default();
        let known = METHODS.iter().find(|(service, method, _)| (*service, *method) == path);
        let (service, method, streams) = *known.unwrap_or(&("other", "other", false));
        let mut call = Call::begin(&self.calls, service, method, request.headers());
        if let Err(status) = self.calls.check_headers(request.headers()) {
            let mut refused = status.into_http();
            call.see(refused.headers_mut());
            return Box::pin(std::future::ready(Ok(refused)));
        }
        let open = request.extensions().get::<Activity>().map(Activity::begin);
        // A stream too must get to its response headers in this time; how long it lasts then is the client's affair.
        let longest = nonzero(self.calls.longest);
        let given = deadline(request.headers());
        let after = |left: Option<Duration>| left.and_then(|left| Instant::now().checked_add(left));
        let deadline = after([given, longest].into_iter().flatten().min());
        let end_by = if streams { after(given) } else { deadline };
        let end = self.calls.clone().end(method, end_by);
        let stall = nonzero(self.calls.stall);

        let classifies = service == CLASSIFIER && method.starts_with("Classify");
        let request = if classifies { self.calls.charge(request, streams) } else { request };
        let answer = self.service.call(request).instrument(call.span.clone());
        Box::pin(async move {
            let mut call = call;
            let answer = match deadline {
                Some(deadline) => tokio::time::timeout_at(deadline, answer).await,
                None => Ok(answer.await),
            };
            let mut response = match answer {
                Ok(response) => response?,
                Err(_) => too_late().into_http(),
            };
            // Only the answer to a call that failed at once has its status here.
            call.see(response.headers_mut());
            let outbox = response.extensions_mut().remove::<Outbox>().unwrap_or_default();
            Ok(response.map(|body| Body::new(Answer::new(Ongoing { body, call, outbox, _open: open }, end, stall))))
        })
    }
}

impl Calls {
    /// Lets the messages of a request be charged before they are read.
    fn charge(&self, mut request: Request<Body>, streams: bool) -> Request<Body> {
        let incoming = Incoming::new(self.admission.call());
        request.extensions_mut().insert(incoming.clone());
        let (no_room, message_time) = match streams {
            true => (NoRoom::Wait, self.stall),
            // A unary call has its time as a whole.
            false => (NoRoom::Refuse, Duration::ZERO),
        };
        let encoding = request.headers().get("grpc-encoding").and_then(|name| Encoding::of(name.as_bytes()));
        request.map(|body| Body::new(ChargedBody::new(body, incoming, encoding, no_room, message_time)))
    }

    /// Refuses calls with more headers than the limit. HTTP/2 measures them as names, values and 32 bytes each (RFC 9113,
    /// 6.5.2).
    fn check_headers(&self, headers: &HeaderMap) -> Result<(), Status> {
        const OVERHEAD: usize = 32;
        let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + OVERHEAD).sum();
        match bytes > self.header_bytes as usize {
            true => Err(Status::resource_exhausted(format!(
                "the headers have {bytes} bytes, the limit is {}: send less metadata",
                self.header_bytes
            ))),
            false => Ok(()),
        }
    }

    /// Done, with the status for the client, once an answer must end: at its deadline, or as the server drains. Streams that only
    /// watch end soon, those that answer articles when the drain is over, if they do not before.
    async fn end(mut self, method: &'static str, deadline: Option<Instant>) -> Status {
        let deadline = async {
            match deadline {
                Some(deadline) => sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        let drained = async {
            // An error means that the server is gone, and this call with it.
            let _ = self.draining.wait_for(|draining| *draining).await;
            let left = if method == "ClassifyStream" { self.drain } else { LAST_NEWS };
            tokio::time::sleep(left).await;
        };
        tokio::select! {
            () = deadline => too_late(),
            () = drained => Status::unavailable("the server stops: go on with another"),
        }
    }
}

fn too_late() -> Status {
    Status::deadline_exceeded("the deadline of this call is over: set a longer one, or send less at once")
}

/// How much time the client gives, from `grpc-timeout`: at most eight digits and a unit.
fn deadline(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let amount: u32 = Some(digits).filter(|digits| digits.len() <= 8)?.parse().ok()?;
    let unit = match unit {
        "H" => Duration::from_secs(3600),
        "M" => Duration::from_secs(60),
        "S" => Duration::from_secs(1),
        "m" => Duration::from_millis(1),
        "u" => Duration::from_micros(1),
        "n" => Duration::from_nanos(1),
        _ => return None,
    };
    unit.checked_mul(amount)
}

/// A call, counted when it ends. Until its status is seen it is one whose client went away.
pub struct Call {
    calls: Calls,
    method: &'static str,
    pub span: Span,
    code: Code,
}

impl Call {
    fn begin(calls: &Calls, service: &'static str, method: &'static str, headers: &HeaderMap) -> Self {
        let span = tracing::info_span!(
            "call",
            otel.name = format!("{service}/{method}"),
            otel.kind = "server",
            otel.status_code = field::Empty,
            rpc.system = "grpc",
            rpc.service = service,
            rpc.method = method,
            rpc.grpc.status_code = field::Empty,
            classified = field::Empty,
            errors = field::Empty,
        );
        let parent = global::get_text_map_propagator(|propagator| propagator.extract(&Headers(headers)));
        // Without a tracer there is nobody to tell.
        let _ = span.set_parent(parent);
        Call { calls: calls.clone(), method, span, code: Code::Cancelled }
    }

    /// Keeps the status that headers or trailers hold, if they do.
    pub fn see(&mut self, headers: &mut HeaderMap) {
        let Some(code) = headers.get(Status::GRPC_STATUS) else { return };
        self.code = Code::from_bytes(code.as_bytes());
        // tonic's words for a message over the limit; ours never use this code.
        if self.code == Code::OutOfRange && self.method.starts_with("Classify") {
            self.code = Code::ResourceExhausted;
            // A status of ours always fits into headers.
            let _ = too_large(self.calls.largest).add_header(headers);
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.code = Code::Internal;
        }
        self.calls.metrics.called(self.method, self.code);
        self.span.record("rpc.grpc.status_code", self.code as i32);
        // What is the server's fault; the rest is the client's affair.
        if matches!(
            self.code,
            Code::Unknown | Code::Internal | Code::DataLoss | Code::Unavailable | Code::DeadlineExceeded
        ) {
            self.span.record("otel.status_code", "ERROR");
        }
        self.span.in_scope(|| tracing::debug!(code = code_name(self.code), "ended"));
    }
}

/// The trace of a client, in the headers of W3C Trace Context.
struct Headers<'h>(&'h HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_are_read_as_the_protocol_writes_them() {
        let of = |text: &str| {
            let headers =
                HeaderMap::from_iter([(HeaderName::from_static("grpc-timeout"), text.parse().expect("a value"))]);
            deadline(&headers)
        };
        assert_eq!(of("5S"), Some(Duration::from_secs(5)));
        assert_eq!(of("99999999H").map(|time| time.as_secs()), Some(359_999_996_400));
        assert_eq!(of("250m"), Some(Duration::from_millis(250)));
        for wrong in ["", "S", "5", "5X", "-1S", "123456789S", "5 S", "é"] {
            assert_eq!(of(wrong), None, "{wrong:?}");
        }
    }
}
