//! The service `dateline.v1.Admin`: reloads the model and reports the status of the server.

use super::status::INTERNAL_ERROR;
use crate::{
    live::{ModelSlot, ReloadError, Reloaded, Shadow, Status},
    wire::proto::dateline::v1::{self as pb, admin_server::Admin},
};
use std::sync::Arc;
use tokio::sync::watch;
use tonic::{Request, Response};

/// The service `dateline.v1.Admin`.
#[derive(Clone)]
pub struct AdminService {
    pub live: Arc<ModelSlot>,
    /// The shadow model, and its comparison with the live one.
    pub shadow: Option<(Arc<ModelSlot>, Arc<Shadow>)>,
    pub draining: watch::Receiver<bool>,
}

fn status_to_proto(Status { version, loaded, refused, refusal, .. }: Status) -> pb::ModelStatus {
    pb::ModelStatus { version, loaded, refused, refusal: refusal.unwrap_or_default() }
}

#[tonic::async_trait]
impl Admin for AdminService {
    async fn reload_model(
        &self,
        _: Request<pb::ReloadModelRequest>,
    ) -> Result<Response<pb::ReloadModelResponse>, tonic::Status> {
        let live = self.live.clone();
        let reloaded = tokio::task::spawn_blocking(move || live.reload()).await;
        let reloaded = reloaded.map_err(|_| tonic::Status::internal(INTERNAL_ERROR))?;
        let (from, to) = match reloaded {
            Ok(Reloaded::Swapped { from, to }) => (from, to),
            Ok(Reloaded::Unchanged(version)) => (version.clone(), version),
            Ok(Reloaded::Bundled) => {
                let reason = "the bundled model cannot be reloaded: start the server with --model to use a folder";
                return Err(tonic::Status::failed_precondition(reason));
            }
            Err(error @ ReloadError::Busy { .. }) => return Err(tonic::Status::unavailable(error.to_string())),
            Err(error) => return Err(tonic::Status::failed_precondition(error.to_string())),
        };
        Ok(Response::new(pb::ReloadModelResponse { from, to }))
    }

    async fn get_status(&self, _: Request<pb::GetStatusRequest>) -> Result<Response<pb::ServerStatus>, tonic::Status> {
        let status_of = |slot: &ModelSlot| status_to_proto(slot.status().borrow().clone());
        let comparison = self.shadow.as_ref().map(|(slot, shadow)| {
            let tally = shadow.tally_of([self.live.current().version().into(), slot.current().version().into()]);
            pb::Comparison {
                articles: tally.articles,
                skipped: tally.skipped,
                topics_differ: tally.topics,
                regions_differ: tally.regions,
            }
        });
        Ok(Response::new(pb::ServerStatus {
            live: Some(status_of(&self.live)),
            shadow: self.shadow.as_ref().map(|(slot, _)| status_of(slot)),
            comparison,
            draining: *self.draining.borrow(),
        }))
    }
}
