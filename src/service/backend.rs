//! The services of a server, and the models behind them.

use super::{
    admin::AdminService,
    admission::Admission,
    classifier::ClassifierService,
    corrections::{CorrectionLog, CorrectionsService},
    error::ServeError,
    health::HealthService,
    metrics::Metrics,
    reflection,
    requests::StreamLimits,
    security::TokenGate,
    settings::Settings,
};
use crate::{
    article::MAX_ARTICLE_BYTES,
    live::{ModelSlot, Shadow},
    observe::{Ready, serve_probes},
    wire::proto::dateline::v1::{
        admin_server::AdminServer, classifier_server::ClassifierServer, corrections_server::CorrectionsServer,
    },
};
use std::sync::Arc;
use tokio::{net::TcpListener, sync::watch};
use tonic::{
    codec::CompressionEncoding,
    service::{Routes, interceptor::InterceptedService},
};
use tonic_health::pb::health_server::HealthServer;

/// The maximum size of a message of the other services, in bytes.
const SMALL_MESSAGE_BYTES: usize = 4 << 10;
/// The maximum size of a correction, in bytes: of the text of its article, and of its labels.
const CORRECTION_BYTES: usize = MAX_ARTICLE_BYTES + (64 << 10);

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
}

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
    pub fn services(
        &self,
        settings: &Settings,
        limits: StreamLimits,
        admission: Arc<Admission>,
        corrections: Option<Arc<CorrectionLog>>,
        (gate, admin_gate): (TokenGate, TokenGate),
        has_admin_listener: bool,
    ) -> Result<Services, ServeError> {
        let draining = limits.draining.clone();
        let classifier = self.classifier(limits, admission, settings.limits.message_bytes, gate.clone())?;
        let health = HealthService { draining: draining.clone(), model: self.live.status() };
        let health = HealthServer::new(health).max_decoding_message_size(SMALL_MESSAGE_BYTES);
        let admin = self.admin(draining, admin_gate);

        let mut main = Routes::new(health.clone());
        if settings.reflection {
            let mut names = vec!["dateline.v1.Classifier", "dateline.v1.Corrections", "grpc.health.v1.Health"];
            names.extend((admin.is_some() && !has_admin_listener).then_some("dateline.v1.Admin"));
            main = with_reflection(main, &names, &gate);
        }
        main = main.add_service(classifier).add_service(self.corrections(corrections, gate));
        let admin = match admin {
            Some(admin) if has_admin_listener => Some(Routes::new(health).add_service(admin)),
            Some(admin) => {
                main = main.add_service(admin);
                None
            }
            None => None,
        };
        Ok(Services { main, admin })
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

    fn corrections(
        &self,
        log: Option<Arc<CorrectionLog>>,
        gate: TokenGate,
    ) -> InterceptedService<CorrectionsServer<CorrectionsService>, TokenGate> {
        let service = CorrectionsService { live: self.live.clone(), log };
        InterceptedService::new(CorrectionsServer::new(service).max_decoding_message_size(CORRECTION_BYTES), gate)
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
        let ready = move || {
            let model = status.borrow();
            if *draining.borrow() {
                Ready(false, "draining")
            } else if model.is_load_stalled {
                Ready(true, "ready, with an old model: the load of the new one takes too long")
            } else if model.refusal.is_some() {
                Ready(true, "ready, with an old model: the new one was refused")
            } else {
                Ready(true, "ready")
            }
        };
        tokio::spawn(serve_probes(listener, move || metrics.text(), ready));
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
