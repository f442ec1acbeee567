//! The service `grpc.health.v1.Health`: the health of the server, and of the model in the watched folder.

use crate::live::Status as ModelStatus;
use futures_util::{Stream, stream};
use std::pin::Pin;
use tokio::sync::watch;
use tonic::{Request, Response, Status};
use tonic_health::{
    ServingStatus,
    pb::{HealthCheckRequest, HealthCheckResponse, health_check_response, health_server::Health},
};

/// The name in health checks that shows whether the model in the folder was loaded.
pub const MODEL_HEALTH: &str = "dateline.model";
/// The name of the whole server.
const SERVER: &str = "";
const CLASSIFIER: &str = "dateline.v1.Classifier";

/// The service `grpc.health.v1.Health`. Unlike that of tonic-health, a watch of an unknown service stays open with
/// SERVICE_UNKNOWN, as the protocol demands.
#[derive(Clone)]
pub struct HealthService {
    /// Turns true once, when the server drains.
    pub draining: watch::Receiver<bool>,
    pub model: watch::Receiver<ModelStatus>,
}

impl HealthService {
    /// The status of a name now; `None` for an unknown one. Changes after this call complete [`HealthService::changed`].
    fn status(&mut self, name: &str) -> Option<ServingStatus> {
        let draining = *self.draining.borrow_and_update();
        let model = self.model.borrow_and_update();
        let serving = match name {
            SERVER | CLASSIFIER => !draining,
            MODEL_HEALTH => model.refusal.is_none() && !model.is_load_stalled,
            _ => return None,
        };
        Some(if serving { ServingStatus::Serving } else { ServingStatus::NotServing })
    }

    /// Completes when a status may have changed.
    async fn changed(&mut self) {
        tokio::select! {
            // An error means that nothing changes any more.
            Ok(()) = self.draining.changed() => {}
            Ok(()) = self.model.changed() => {}
            else => std::future::pending().await,
        }
    }
}

fn response(status: Option<ServingStatus>) -> HealthCheckResponse {
    let status = status.map_or(health_check_response::ServingStatus::ServiceUnknown, Into::into);
    HealthCheckResponse { status: status.into() }
}

#[tonic::async_trait]
impl Health for HealthService {
    type WatchStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

    async fn check(&self, request: Request<HealthCheckRequest>) -> Result<Response<HealthCheckResponse>, Status> {
        match self.clone().status(&request.get_ref().service) {
            None => Err(Status::not_found("unknown service")),
            status => Ok(Response::new(response(status))),
        }
    }

    /// Sends the status now and after each change, without end: a drain ends the call.
    async fn watch(&self, request: Request<HealthCheckRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let name = request.into_inner().service;
        let sent: Option<HealthCheckResponse> = None;
        let statuses = stream::unfold((self.clone(), sent), move |(mut health, sent)| {
            let name = name.clone();
            async move {
                loop {
                    let now = response(health.status(&name));
                    if sent.as_ref() != Some(&now) {
                        return Some((Ok(now), (health, Some(now))));
                    }
                    health.changed().await;
                }
            }
        });
        Ok(Response::new(Box::pin(statuses)))
    }
}
