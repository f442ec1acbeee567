//! The services of a server, and the models behind them.

use super::{
    admin::AdminService, admission::Admission, classifier::ClassifierService, error::ServeError, metrics::Metrics,
    reflection, requests::StreamLimits, security::TokenGate, settings::Settings,
};
use crate::{
    live::{ModelSlot, Shadow, Status},
    observe::{Ready, serve_probes},
    wire::proto::dateline::v1::{admin_server::AdminServer, classifier_server::ClassifierServer},
};
use std::sync::Arc;
use tokio::{net::TcpListener, sync::watch};
use tonic::{
    codec::CompressionEncoding,
    service::{Routes, interceptor::InterceptedService},
};
use tonic_health::{ServingStatus, server::HealthReporter};

/// The maximum size of a message of the other services, in bytes.
const SMALL_MESSAGE_BYTES: usize = 4 << 10;
/// The name in health checks that shows whether the candidate model in the folder was accepted.
pub const MODEL_HEALTH: &str = "dateline.model";

/// The models of a server.
pub struct Models {
    /// The live model.
    pub live: Arc<ModelSlot>,
    /// The shadow model: its answers are compared, never sent.
    pub shadow: Option<Arc<ModelSlot>>,
}

/// The running models, and the metrics.
pub struct Backend {
    live: Arc<ModelSlot>,
    shadow: Option<(Arc<ModelSlot>, Arc<Shadow>)>,
    pub metrics: Arc<Metrics>,
}

/// The services of each listener.
pub struct Services {
    pub main: Routes,
    /// Set if the admin service is enabled and has its own listener.
    pub admin: Option<Routes>,
    pub health: Health,
}

/// Sets the health of the server.
#[derive(Clone)]
pub struct Health(HealthReporter);

impl Backend {
    /// Starts the shadow model, and to watch the folders of both models.
    ///
    /// # Errors
    /// [`ServeError::Threads`].
    pub fn start(models: Models) -> Result<Self, ServeError> {
        let Models { live, shadow } = models;
        let metrics = Arc::new(Metrics::new(live.status(), shadow.as_ref().map(|slot| slot.status())));
        let shadow = match shadow {
            Some(slot) => {
                tokio::spawn(slot.clone().watch());
                let counts = metrics.clone();
                let shadow =
                    Shadow::start(slot.clone(), live.clone(), move |outcome| counts.models.count_shadowed(outcome));
                Some((slot, Arc::new(shadow.map_err(|error| ServeError::Threads(error.to_string()))?)))
            }
            None => None,
        };
        tokio::spawn(live.clone().watch());
        Ok(Backend { live, shadow, metrics })
    }

    /// Builds the services of all listeners. `gate` protects all services except health, `admin_gate` the admin service, which
    /// is disabled without tokens.
    ///
    /// # Errors
    /// [`ServeError::Threads`].
    pub async fn services(
        &self,
        settings: &Settings,
        limits: StreamLimits,
        admission: Arc<Admission>,
        (gate, admin_gate): (TokenGate, TokenGate),
        has_admin_listener: bool,
    ) -> Result<Services, ServeError> {
        let draining = limits.draining.clone();
        let classifier = self.classifier(limits, admission, settings.limits.message_bytes, gate.clone())?;
        let admin = self.admin(draining, admin_gate);
        let (health, health_service) = tonic_health::server::health_reporter();
        let health_service = health_service.max_decoding_message_size(SMALL_MESSAGE_BYTES);
        health.set_serving::<ClassifierServer<ClassifierService>>().await;
        tokio::spawn(report_refusals(self.live.status(), health.clone()));

        let mut main = Routes::new(health_service.clone());
        if settings.reflection {
            let mut names = vec!["dateline.v1.Classifier", "grpc.health.v1.Health"];
            names.extend((admin.is_some() && !has_admin_listener).then_some("dateline.v1.Admin"));
            main = with_reflection(main, &names, &gate);
        }
        main = main.add_service(classifier);
        let admin = match admin {
            Some(admin) if has_admin_listener => Some(Routes::new(health_service).add_service(admin)),
            Some(admin) => {
                main = main.add_service(admin);
                None
            }
            None => None,
        };
        Ok(Services { main, admin, health: Health(health) })
    }

    fn classifier(
        &self,
        limits: StreamLimits,
        admission: Arc<Admission>,
        message_bytes: usize,
        gate: TokenGate,
    ) -> Result<InterceptedService<ClassifierServer<ClassifierService>, TokenGate>, ServeError> {
        let shadow = self.shadow.as_ref().map(|(_, shadow)| shadow.clone());
        let service = ClassifierService::new(self.live.clone(), shadow, self.metrics.clone(), limits, admission)?;
        let server = ClassifierServer::new(service)
            .accept_compressed(CompressionEncoding::Gzip)
            .accept_compressed(CompressionEncoding::Zstd)
            .max_decoding_message_size(message_bytes)
            .max_encoding_message_size(usize::MAX);
        Ok(InterceptedService::new(server, gate))
    }

    /// `None` without tokens for it.
    fn admin(
        &self,
        draining: watch::Receiver<bool>,
        gate: TokenGate,
    ) -> Option<InterceptedService<AdminServer<AdminService>, TokenGate>> {
        gate.0.is_some().then(|| {
            let service = AdminService { live: self.live.clone(), shadow: self.shadow.clone(), draining };
            InterceptedService::new(AdminServer::new(service).max_decoding_message_size(SMALL_MESSAGE_BYTES), gate)
        })
    }

    /// Starts to serve metrics and probes over HTTP.
    pub fn serve_metrics(&self, listener: TcpListener, draining: watch::Receiver<bool>) {
        let (metrics, status) = (self.metrics.clone(), self.live.status());
        // A refused candidate model does not affect readiness: the previous one still answers.
        let ready = move || match (*draining.borrow(), status.borrow().refusal.is_some()) {
            (true, _) => Ready(false, "draining"),
            (false, true) => Ready(true, "ready, with an old model: the new one was refused"),
            (false, false) => Ready(true, "ready"),
        };
        tokio::spawn(serve_probes(listener, move || metrics.text(), ready));
    }
}

impl Health {
    /// Sets the health of the classifier and of the whole server to NOT_SERVING.
    pub async fn set_draining(&self) {
        self.0.set_not_serving::<ClassifierServer<ClassifierService>>().await;
        self.0.set_service_status("", ServingStatus::NotServing).await;
    }
}

/// Adds both versions of server reflection, which list `names`.
fn with_reflection(routes: Routes, names: &[&str], gate: &TokenGate) -> Routes {
    let v1 = reflection::v1(names).max_decoding_message_size(SMALL_MESSAGE_BYTES);
    let v1alpha = reflection::v1alpha(names).max_decoding_message_size(SMALL_MESSAGE_BYTES);
    routes
        .add_service(InterceptedService::new(v1, gate.clone()))
        .add_service(InterceptedService::new(v1alpha, gate.clone()))
}

/// Sets the health of [`MODEL_HEALTH`] to NOT_SERVING while the folder holds a refused model.
async fn report_refusals(mut status: watch::Receiver<Status>, health: HealthReporter) {
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
