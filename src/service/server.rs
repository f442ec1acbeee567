//! A server from its start to the end of its drain.

use super::{
    admin,
    admission::Admission,
    calls::{Calls, LAST_NEWS},
    classifier,
    error::ServeError,
    listen::Listening,
    metrics::Metrics,
    reflection,
    requests::StreamEnd,
    security::{Gate, Tls, Tokens},
    settings::{Limits, Settings, nonzero},
    transport, web,
};
use crate::{
    live::{ModelSlot, Shadow, Status},
    observe::{Ready, serve_probes},
    wire::proto::dateline::v1::{admin_server::AdminServer, classifier_server::ClassifierServer},
};
use std::{future::Future, sync::Arc, time::Duration};
use tokio::{net::TcpListener, sync::watch};
use tonic::{codec::CompressionEncoding, service::interceptor::InterceptedService, transport::Server};
use tonic_health::{ServingStatus, server::HealthReporter};
use tower_http::cors::CorsLayer;

/// The largest message of the services beside the classifier.
const SMALL_MESSAGE: usize = 4 << 10;
/// How many bytes of one stream are read ahead by the transport, as HTTP/2 proposes.
const STREAM_WINDOW: u32 = 64 << 10;
/// How much larger the window of a connection is than those of all its streams together. It bounds nothing, as they do, but
/// h2 measures by it: it ends a connection on which frames below 256 bytes wait whose missing bytes add up to half this
/// window, and many clients put each message, be it a headline, into a frame of its own.
const CONNECTION_WINDOW: u32 = 4;
/// Headers of up to this many times the limit are read to be refused with a status; the transport refuses longer ones with
/// HTTP status 431.
const REFUSED_HEADERS: u32 = 16;
/// How long a client has for a sign of life.
const SIGN_OF_LIFE: Duration = Duration::from_secs(20);
/// What health checks ask for to learn whether the folder's model is the one that answers.
pub const MODEL_HEALTH: &str = "dateline.model";

/// The models of a server.
pub struct Models {
    /// The one that answers.
    pub live: Arc<ModelSlot>,
    /// One that answers beside it without being heard.
    pub shadow: Option<Arc<ModelSlot>>,
}

/// Who may call.
struct Security {
    cors: Option<CorsLayer>,
    tls: Option<Arc<Tls>>,
    gate: Gate,
    admin_gate: Gate,
}

impl Security {
    /// Reads the files, and watches them from now on.
    fn open(settings: &Settings) -> Result<Self, ServeError> {
        let cors = web::cors(&settings.web_origins)?;
        let tls = settings.tls.clone().map(|files| Tls::open(files, cors.is_some())).transpose()?.map(Arc::new);
        let gate = Gate(settings.tokens.clone().map(Tokens::open).transpose()?.map(Arc::new));
        let admin_gate = Gate(settings.admin_tokens.clone().map(Tokens::open).transpose()?.map(Arc::new));
        if let Some(tls) = &tls {
            tokio::spawn(tls.clone().watch());
        }
        for tokens in [&gate, &admin_gate].into_iter().filter_map(|gate| gate.0.as_ref()) {
            tokio::spawn(tokens.clone().watch());
        }
        Ok(Security { cors, tls, gate, admin_gate })
    }
}

/// The models at work, and what is counted.
struct Answering {
    live: Arc<ModelSlot>,
    shadow: Option<(Arc<ModelSlot>, Arc<Shadow>)>,
    metrics: Arc<Metrics>,
}

impl Answering {
    /// Watches the folders of the models from now on.
    fn start(models: Models) -> Result<Self, ServeError> {
        let Models { live, shadow } = models;
        let metrics = Arc::new(Metrics::new(live.status(), shadow.as_ref().map(|slot| slot.status())));
        let shadow = match shadow {
            Some(slot) => {
                tokio::spawn(slot.clone().watch());
                let counts = metrics.clone();
                let shadow = Shadow::start(slot.clone(), live.clone(), move |outcome| counts.shadowed(outcome));
                Some((slot, Arc::new(shadow.map_err(|error| ServeError::Threads(error.to_string()))?)))
            }
            None => None,
        };
        tokio::spawn(live.clone().watch());
        Ok(Answering { live, shadow, metrics })
    }

    /// The service of the contract.
    fn classifier(
        &self,
        streams: StreamEnd,
        admission: Arc<Admission>,
        limits: &Limits,
        gate: Gate,
    ) -> Result<InterceptedService<ClassifierServer<classifier::Service>, Gate>, ServeError> {
        let heard = self.shadow.as_ref().map(|(_, shadow)| shadow.clone());
        let service = classifier::Service::new(self.live.clone(), heard, self.metrics.clone(), streams, admission)?;
        let server = ClassifierServer::new(service)
            .accept_compressed(CompressionEncoding::Gzip)
            .accept_compressed(CompressionEncoding::Zstd)
            .max_decoding_message_size(limits.message_bytes)
            .max_encoding_message_size(usize::MAX);
        Ok(InterceptedService::new(server, gate))
    }

    /// The service of an operator; there is none without tokens for it.
    fn admin(
        &self,
        draining: watch::Receiver<bool>,
        gate: Gate,
    ) -> Option<InterceptedService<AdminServer<admin::Service>, Gate>> {
        gate.0.is_some().then(|| {
            let service = admin::Service { live: self.live.clone(), shadow: self.shadow.clone(), draining };
            InterceptedService::new(AdminServer::new(service).max_decoding_message_size(SMALL_MESSAGE), gate)
        })
    }

    /// Answers monitors from now on.
    fn serve_metrics(&self, listener: TcpListener, draining: watch::Receiver<bool>) {
        let (metrics, status) = (self.metrics.clone(), self.live.status());
        // A server whose folder holds a model that was refused is ready, and says so.
        let ready = move || match (*draining.borrow(), status.borrow().refusal.is_some()) {
            (true, _) => Ready(false, "draining"),
            (false, true) => Ready(true, "ready, with an old model: the new one was refused"),
            (false, false) => Ready(true, "ready"),
        };
        tokio::spawn(serve_probes(listener, move || metrics.text(), ready));
    }
}

/// The builder of a server whose connections have their limits.
fn limited_server(limits: &Limits) -> Server {
    let windows = limits.streams_per_connection.saturating_mul(STREAM_WINDOW * CONNECTION_WINDOW);
    Server::builder()
        .max_concurrent_streams(limits.streams_per_connection)
        .http2_keepalive_interval(nonzero(limits.keepalive))
        .http2_keepalive_timeout(Some(SIGN_OF_LIFE))
        // Calls over the limit must be read to be refused with a status of gRPC.
        .http2_max_header_list_size(limits.header_bytes.saturating_mul(REFUSED_HEADERS).min(16 << 20))
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(windows.clamp(8 << 20, 1 << 30))
}

/// Waits for `stop`, and begins the drain.
async fn begin_drain(
    stop: impl Future<Output = ()>,
    drain: watch::Sender<bool>,
    health: HealthReporter,
    drain_for: Duration,
) {
    stop.await;
    tracing::info!(seconds = drain_for.as_secs_f64(), "draining");
    health.set_not_serving::<ClassifierServer<classifier::Service>>().await;
    health.set_service_status("", ServingStatus::NotServing).await;
    drain.send_replace(true);
}

/// Waits for the beginning of the drain.
async fn drained(mut draining: watch::Receiver<bool>) {
    // An error means that the task that drains is gone, and the runtime with it.
    let _ = draining.wait_for(|draining| *draining).await;
}

impl Listening {
    /// Answers with the live model until `stop` is done. Then the server drains: health turns NOT_SERVING, new articles and
    /// streams are refused, open streams go on as long as their clients keep sending without a pause, for half of
    /// `settings.drain` at most, and end when all that was read is answered. After `settings.drain` this returns, whatever is
    /// open; what is open then, and the watching of files, ends with the runtime.
    ///
    /// # Errors
    /// [`ServeError`].
    pub async fn serve(
        self,
        models: Models,
        settings: Settings,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), ServeError> {
        let (limits, drain_for) = (settings.limits, settings.drain);
        let Security { cors, tls, gate, admin_gate } = Security::open(&settings)?;
        let web = cors.is_some();
        let answering = Answering::start(models)?;
        let metrics = answering.metrics.clone();
        let (drain, draining) = watch::channel(false);

        let streams = StreamEnd {
            draining: draining.clone(),
            read_on: drain_for / 2,
            connection_age: limits.connection_age,
            idle: limits.stream_idle,
        };
        let admission = Arc::new(Admission::new(&limits, &metrics));
        let classifier = answering.classifier(streams, admission.clone(), &limits, gate.clone())?;
        let admin = answering.admin(draining.clone(), admin_gate);
        let (health, health_service) = tonic_health::server::health_reporter();
        let health_service = health_service.max_decoding_message_size(SMALL_MESSAGE);
        health.set_serving::<ClassifierServer<classifier::Service>>().await;
        tokio::spawn(tell_of_refusals(answering.live.status(), health.clone()));
        if let Some(listener) = self.metrics {
            answering.serve_metrics(listener, draining.clone());
        }
        let mut spoken = vec!["dateline.v1.Classifier", "grpc.health.v1.Health"];
        spoken.extend((admin.is_some() && self.admin.is_none()).then_some("dateline.v1.Admin"));
        let reflection = settings.reflection.then(|| {
            (
                InterceptedService::new(reflection::v1(&spoken).max_decoding_message_size(SMALL_MESSAGE), gate.clone()),
                InterceptedService::new(reflection::v1alpha(&spoken).max_decoding_message_size(SMALL_MESSAGE), gate),
            )
        });
        let (v1, v1alpha) = reflection.unzip();

        let calls = Calls {
            metrics: metrics.clone(),
            admission,
            longest: limits.call,
            stall: limits.stream_stall,
            largest: limits.message_bytes,
            header_bytes: limits.header_bytes,
            draining: draining.clone(),
            drain: drain_for,
        };
        let own_admin = self.admin.zip(admin.clone());
        let aged = match nonzero(limits.connection_age) {
            // Its streams end by themselves; whoever takes no end is closed where connections are read.
            Some(age) => limited_server(&limits).max_connection_age(age),
            None => limited_server(&limits),
        };
        let router = aged
            .accept_http1(web)
            .layer(tower::util::option_layer(cors))
            .layer(tower::util::option_layer(web.then(tonic_web::GrpcWebLayer::new)))
            .layer(calls.clone())
            .add_service(health_service.clone())
            .add_optional_service(v1)
            .add_optional_service(v1alpha)
            .add_service(classifier)
            .add_optional_service(admin.filter(|_| own_admin.is_none()));

        // Done with the classifier.
        let (classifying, classified) = tokio::sync::oneshot::channel::<()>();
        let connections = transport::connections(self.classifier, tls.clone(), &limits, drain_for, metrics.clone());
        let classifier = router.serve_with_incoming_shutdown(connections, drained(draining.clone()));
        let classifier = async {
            let ended = classifier.await;
            drop(classifying);
            ended
        };
        let admin = async {
            let Some((listener, admin)) = own_admin else { return Ok(()) };
            let connections = transport::connections(listener, tls, &limits, drain_for, metrics);
            let router = limited_server(&limits).layer(calls).add_service(health_service).add_service(admin);
            // An operator looks at a drain as well.
            let over = async {
                let _ = classified.await;
            };
            router.serve_with_incoming_shutdown(connections, over).await
        };
        tokio::spawn(begin_drain(stop, drain, health, drain_for));
        // tonic waits for idle connections for as long as they stay open.
        let deadline = async {
            drained(draining.clone()).await;
            // What can be told its end is told at the end of the drain.
            tokio::time::sleep(drain_for + LAST_NEWS).await;
        };
        tokio::select! {
            ended = futures_util::future::try_join(classifier, admin) => { ended?; }
            () = deadline => tracing::warn!("connections were still open at the end of the drain and are closed"),
        }
        Ok(())
    }
}

/// Says in health whether the folder's model was refused.
async fn tell_of_refusals(mut status: watch::Receiver<Status>, health: HealthReporter) {
    loop {
        let serving = match status.borrow_and_update().refusal {
            None => ServingStatus::Serving,
            Some(_) => ServingStatus::NotServing,
        };
        health.set_service_status(MODEL_HEALTH, serving).await;
        if status.changed().await.is_err() {
            return;
        }
    }
}
