//! Exports spans over OTLP: they carry the client's trace id, counts and status codes, and no article text.
#![cfg(unix)]

mod common;

use common::{Server, channel, request, wait_until};
use dateline::wire::proto::dateline::v1::{ClassifyRequest, classifier_client::ClassifierClient};
use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
    common::v1::{KeyValue, any_value::Value},
    trace::v1::{Span, status::StatusCode},
};
use std::sync::{Arc, Mutex};
use tokio_stream::{StreamExt, wrappers::TcpListenerStream};
use tonic::{Request, Response, Status};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

/// An OTLP collector that stores what it receives, with the values of the header `x-key`.
#[derive(Clone, Default)]
struct Collector {
    received: Arc<Mutex<Vec<ExportTraceServiceRequest>>>,
    tokens: Arc<Mutex<Vec<String>>>,
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let token = request.metadata().get("x-key").and_then(|token| token.to_str().ok());
        self.tokens.lock().expect("not poisoned").extend(token.map(ToOwned::to_owned));
        self.received.lock().expect("not poisoned").push(request.into_inner());
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

impl Collector {
    async fn start() -> (Collector, String) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let address = listener.local_addr().expect("the listener has an address");
        let collector = Collector::default();
        let service = TraceServiceServer::new(collector.clone());
        let server = tonic::transport::Server::builder().add_service(service);
        tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
        (collector, format!("http://{address}"))
    }

    fn spans(&self) -> Vec<Span> {
        let received = self.received.lock().expect("not poisoned");
        let resources = received.iter().flat_map(|request| &request.resource_spans);
        resources.flat_map(|of| &of.scope_spans).flat_map(|of| of.spans.clone()).collect()
    }
}

/// The value of an attribute.
fn value(attributes: &[KeyValue], key: &str) -> Option<Value> {
    attributes.iter().find(|pair| pair.key == key)?.value.clone()?.value
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A call with the trace context of [`TRACE`] and [`PARENT`].
fn traced<T>(message: T, sampled: bool) -> Request<T> {
    let mut request = Request::new(message);
    let parent = format!("00-{TRACE}-{PARENT}-0{}", u8::from(sampled));
    request.metadata_mut().insert("traceparent", parent.parse().expect("the header is valid"));
    request
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_reaches_the_collector_with_the_clients_id() {
    let (collector, endpoint) = Collector::start().await;
    let mut server = Server::start(&["--otlp-endpoint", &endpoint, "--otlp-headers", "X-Key=news-0123"]);
    let mut client = ClassifierClient::new(channel(&server.address));
    let mut requests: Vec<ClassifyRequest> = (0..5).map(request).collect();
    requests.push(ClassifyRequest::default());
    let answers = client.classify_stream(traced(tokio_stream::iter(requests), true)).await.expect("the stream opens");
    assert_eq!(answers.into_inner().collect::<Vec<_>>().await.len(), 6);
    client.classify(request(0)).await.expect("an answer");
    // A trace that its client does not sample is not exported.
    client.classify(traced(request(0), false)).await.expect("an answer");

    // The server exports the remaining spans before it exits.
    server.terminate();
    assert_eq!(server.wait().code(), Some(0), "{}", server.log());
    wait_until("the spans are received", async || collector.spans().len() >= 2).await;
    let spans = collector.spans();
    assert_eq!(spans.len(), 2, "{spans:#?}");
    let of_stream =
        spans.iter().find(|span| span.name == "dateline.v1.Classifier/ClassifyStream").expect("the span is exported");
    assert_eq!(hex(&of_stream.trace_id), TRACE);
    assert_eq!(hex(&of_stream.parent_span_id), PARENT);
    for (key, expected) in [
        ("classified", Value::IntValue(5)),
        ("errors", Value::IntValue(1)),
        ("rpc.grpc.status_code", Value::IntValue(0)),
        ("rpc.method", Value::StringValue("ClassifyStream".to_owned())),
    ] {
        assert_eq!(value(&of_stream.attributes, key), Some(expected), "{key} in {of_stream:#?}");
    }
    assert!(of_stream.status.as_ref().is_none_or(|status| status.code() != StatusCode::Error));
    let of_call =
        spans.iter().find(|span| span.name == "dateline.v1.Classifier/Classify").expect("the span is exported");
    assert_ne!(hex(&of_call.trace_id), TRACE, "a call without a trace context starts a new trace");

    let received = collector.received.lock().expect("not poisoned");
    let resource = received[0].resource_spans[0].resource.as_ref().expect("the spans have a resource");
    assert_eq!(value(&resource.attributes, "service.name"), Some(Value::StringValue("dateline".to_owned())));
    assert!(!format!("{received:?}").contains("budget"), "no article text is exported");
    assert_eq!(collector.tokens.lock().expect("not poisoned")[0], "news-0123");
    assert!(!server.log().contains("news-0123"), "header values are not logged");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreachable_collector_does_not_affect_the_server() {
    // A socket that is bound and does not listen refuses connections and keeps its port from other processes.
    let socket = tokio::net::TcpSocket::new_v4().expect("a socket can be created");
    socket.bind("127.0.0.1:0".parse().expect("the address is valid")).expect("a port is free");
    let address = socket.local_addr().expect("the socket has an address");
    let mut server = Server::start(&["--otlp-endpoint", &format!("http://{address}")]);
    let mut client = ClassifierClient::new(channel(&server.address));
    for i in 0..100 {
        client.classify(request(i)).await.expect("an answer");
    }
    drop(client);
    wait_until("the loss is logged", async || server.log().contains("telemetry data will be lost")).await;
    server.terminate();
    assert_eq!(server.wait().code(), Some(0), "{}", server.log());
}
