//! The layer around all services: gives each call a span, limits, a deadline and a recorded status, whichever service answers
//! or refuses it.

use super::{
    admission::{Admission, Outbox},
    call_record::CallRecord,
    connection::Activity,
    incoming::{ChargedBody, Encoding, RequestQueue, WhenFull},
    metrics::Metrics,
    outgoing::{OpenResponse, ResponseBody},
    settings::nonzero,
    status::{deadline_exceeded, too_many_calls, too_many_corrections},
};
use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderName, Request, Response, header};
use std::{
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    time::{Instant, sleep_until},
};
use tonic::{Status, body::Body};
use tower::{Layer, Service};
use tracing::Instrument;

/// Streams that only watch end at this time after the drain starts, so that their clients learn of it.
pub const WATCH_GRACE: Duration = Duration::from_millis(500);

/// Wraps services in a [`CallService`].
#[derive(Clone)]
pub struct CallLayer {
    pub metrics: Arc<Metrics>,
    /// Charges the messages of the classifier.
    pub admission: Arc<Admission>,
    /// The places for open calls, over all connections.
    pub places: Arc<Semaphore>,
    /// The places for corrections, which have their own.
    pub correction_places: Arc<Semaphore>,
    /// The maximum duration of a unary call, from its first byte to its answer; unlimited if zero.
    pub call_timeout: Duration,
    /// The maximum time that a client may take nothing of its answers, or leave a message incomplete; unlimited if zero.
    pub stall_timeout: Duration,
    /// The maximum size of a message, in bytes.
    pub message_bytes: usize,
    /// The maximum size of a header list, in bytes.
    pub header_bytes: u32,
    /// Turns true once, when the server drains.
    pub draining: watch::Receiver<bool>,
    /// The maximum duration of a drain.
    pub drain_time: Duration,
}

impl<S> Layer<S> for CallLayer {
    type Service = CallService<S>;

    fn layer(&self, service: S) -> CallService<S> {
        CallService { service, layer: self.clone() }
    }
}

/// The place of an open call. A service that works on after its call has ended keeps a clone until it has finished.
#[derive(Clone)]
pub struct CallPlace(#[expect(dead_code, reason = "held, not read")] Arc<OwnedSemaphorePermit>);

/// A service whose calls are limited and recorded.
#[derive(Clone)]
pub struct CallService<S> {
    service: S,
    layer: CallLayer,
}

/// The service whose messages are charged.
const CLASSIFIER: &str = "dateline.v1.Classifier";

/// The service whose messages may need many times their size when they are decoded: they have lists of labels.
const CORRECTIONS: &str = "dateline.v1.Corrections";
/// The maximum number of corrections at once.
pub const CORRECTIONS_AT_ONCE: usize = 4;

/// Service, method, and whether the method is a stream. Metrics and traces name only these methods, because clients may call
/// any name.
const METHODS: [(&str, &str, bool); 10] = [
    (CLASSIFIER, "Classify", false),
    (CLASSIFIER, "ClassifyStream", true),
    (CLASSIFIER, "GetModel", false),
    (CORRECTIONS, "Correct", false),
    ("dateline.v1.Admin", "ReloadModel", false),
    ("dateline.v1.Admin", "GetStatus", false),
    ("grpc.health.v1.Health", "Check", false),
    ("grpc.health.v1.Health", "Watch", true),
    ("grpc.reflection.v1.ServerReflection", "ServerReflectionInfo", true),
    ("grpc.reflection.v1alpha.ServerReflection", "ServerReflectionInfo", true),
];

impl<S> Service<Request<Body>> for CallService<S>
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
        let (service, method, is_stream) = *known.unwrap_or(&("other", "other", false));
        let (metrics, message_bytes) = (self.layer.metrics.clone(), self.layer.message_bytes);
        let mut record = CallRecord::begin(metrics, message_bytes, service, method, request.headers());
        if let Err(status) = self.layer.check_headers(request.headers()) {
            let mut refused = status.into_http();
            record.observe(refused.headers_mut());
            return Box::pin(std::future::ready(Ok(refused)));
        }
        let (places, full) = match service {
            CORRECTIONS => (&self.layer.correction_places, too_many_corrections as fn() -> Status),
            _ => (&self.layer.places, too_many_calls as fn() -> Status),
        };
        let Ok(place) = places.clone().try_acquire_owned() else {
            let mut refused = full().into_http();
            record.observe(refused.headers_mut());
            return Box::pin(std::future::ready(Ok(refused)));
        };
        let place = CallPlace(Arc::new(place));
        let open = (place.clone(), request.extensions().get::<Activity>().map(Activity::begin));
        let mut request = request;
        request.extensions_mut().insert(place);
        drop_unused(request.headers_mut());
        // The call timeout limits a stream only until its response headers; then only the client's timeout does.
        let client_timeout = client_timeout(request.headers());
        let after = |timeout: Option<Duration>| timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let deadline = after([client_timeout, nonzero(self.layer.call_timeout)].into_iter().flatten().min());
        let body_deadline = if is_stream { after(client_timeout) } else { deadline };
        let end = self.layer.clone().end(method, body_deadline);
        let stall = nonzero(self.layer.stall_timeout);

        let is_charged = service == CLASSIFIER && method.starts_with("Classify");
        let request = if is_charged { self.layer.charge(request, is_stream) } else { request };
        let answer = self.service.call(request).instrument(record.span.clone());
        Box::pin(async move {
            let mut record = record;
            let answer = match deadline {
                Some(deadline) => tokio::time::timeout_at(deadline, answer).await,
                None => Ok(answer.await),
            };
            let mut response = match answer {
                Ok(response) => response?,
                Err(_) => deadline_exceeded().into_http(),
            };
            // Headers have a status only if the call failed at once.
            record.observe(response.headers_mut());
            let outbox = response.extensions_mut().remove::<Outbox>().unwrap_or_default();
            Ok(response.map(|body| {
                Body::new(ResponseBody::new(OpenResponse { body, record, outbox, _open: open }, end, stall))
            }))
        })
    }
}

impl CallLayer {
    /// Charges the messages of a request before they are read.
    fn charge(&self, mut request: Request<Body>, is_stream: bool) -> Request<Body> {
        let queue = RequestQueue::new(self.admission.call());
        request.extensions_mut().insert(queue.clone());
        let (when_full, message_time) = match is_stream {
            true => (WhenFull::Wait, self.stall_timeout),
            // The call timeout limits the message of a unary call.
            false => (WhenFull::Refuse, Duration::ZERO),
        };
        let encoding = request.headers().get("grpc-encoding").and_then(|name| Encoding::from_header(name.as_bytes()));
        request.map(|body| Body::new(ChargedBody::new(body, queue, encoding, when_full, message_time)))
    }

    /// Refuses calls whose header list exceeds the limit. Its size is that of names and values, and 32 bytes per header
    /// (RFC 9113, section 6.5.2).
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

    /// Completes when a response must end, with its status: at its deadline, or during a drain. Streams that only watch end
    /// soon after the drain starts; streams of articles end with the drain, if not earlier.
    async fn end(mut self, method: &'static str, deadline: Option<Instant>) -> Status {
        let deadline = async {
            match deadline {
                Some(deadline) => sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        let drained = async {
            // An error means that the server, and with it this call, is gone.
            let _ = self.draining.wait_for(|draining| *draining).await;
            let left = if method == "ClassifyStream" { self.drain_time } else { WATCH_GRACE };
            tokio::time::sleep(left).await;
        };
        tokio::select! {
            () = deadline => deadline_exceeded(),
            () = drained => Status::unavailable("the server is shutting down: continue with another server"),
        }
    }
}

/// The headers that services read; a call holds no others while it is open.
const USED_HEADERS: [HeaderName; 7] = [
    header::AUTHORIZATION,
    header::CONTENT_TYPE,
    header::TE,
    header::USER_AGENT,
    HeaderName::from_static("grpc-accept-encoding"),
    HeaderName::from_static("grpc-encoding"),
    HeaderName::from_static("grpc-timeout"),
];

/// Drops the headers that nobody reads: a list at the limit takes several times its size in memory, for as long as its call.
fn drop_unused(headers: &mut HeaderMap) {
    let used = USED_HEADERS.into_iter().filter_map(|name| headers.get(&name).cloned().map(|value| (name, value)));
    *headers = used.collect();
}

/// The timeout that the client sets in the header `grpc-timeout`: at most eight digits and a unit.
fn client_timeout(headers: &HeaderMap) -> Option<Duration> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grpc_timeout_header_is_parsed() {
        let of = |text: &str| {
            let headers =
                HeaderMap::from_iter([(HeaderName::from_static("grpc-timeout"), text.parse().expect("a value"))]);
            client_timeout(&headers)
        };
        assert_eq!(of("5S"), Some(Duration::from_secs(5)));
        assert_eq!(of("99999999H").map(|time| time.as_secs()), Some(359_999_996_400));
        assert_eq!(of("250m"), Some(Duration::from_millis(250)));
        for wrong in ["", "S", "5", "5X", "-1S", "123456789S", "5 S", "é"] {
            assert_eq!(of(wrong), None, "{wrong:?}");
        }
    }
}
