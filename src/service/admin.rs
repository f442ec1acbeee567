//! The calls of an operator.

use crate::{
    live::{ModelSlot, Reloaded, Shadow, Status},
    wire::proto::dateline::v1::{self as pb, admin_server::Admin},
};
use std::sync::Arc;
use tokio::sync::watch;
use tonic::{Request, Response};

/// The service `dateline.v1.Admin`.
#[derive(Clone)]
pub struct Service {
    pub live: Arc<ModelSlot>,
    pub shadow: Option<(Arc<ModelSlot>, Arc<Shadow>)>,
    pub draining: watch::Receiver<bool>,
}

fn status(Status { version, loaded, refused, refusal }: Status) -> pb::ModelStatus {
    pb::ModelStatus { version, loaded, refused, refusal: refusal.unwrap_or_default() }
}

#[tonic::async_trait]
impl Admin for Service {
    async fn reload_model(
        &self,
        _: Request<pb::ReloadModelRequest>,
    ) -> Result<Response<pb::ReloadModelResponse>, tonic::Status> {
        let live = self.live.clone();
        let reloaded = tokio::task::spawn_blocking(move || live.reload()).await;
        let reloaded = reloaded.map_err(|_| tonic::Status::internal("a fault of the server's; it is in its log"))?;
        let (from, to) = match reloaded {
            Ok(Reloaded::Swapped { from, to }) => (from, to),
            Ok(Reloaded::Unchanged(version)) => (version.clone(), version),
            Ok(Reloaded::Bundled) => {
                let reason = "the bundled model answers: start the server with --model to give it others";
                return Err(tonic::Status::failed_precondition(reason));
            }
            Err(error) => return Err(tonic::Status::failed_precondition(error.to_string())),
        };
        Ok(Response::new(pb::ReloadModelResponse { from, to }))
    }

    async fn get_status(&self, _: Request<pb::GetStatusRequest>) -> Result<Response<pb::Status>, tonic::Status> {
        let of = |slot: &ModelSlot| status(slot.status().borrow().clone());
        let comparison = self.shadow.as_ref().map(|(slot, shadow)| {
            let tally = shadow.tally_of([self.live.current().version().into(), slot.current().version().into()]);
            pb::Comparison {
                articles: tally.articles,
                skipped: tally.skipped,
                topics_differ: tally.topics,
                regions_differ: tally.regions,
            }
        });
        Ok(Response::new(pb::Status {
            live: Some(of(&self.live)),
            shadow: self.shadow.as_ref().map(|(slot, _)| of(slot)),
            comparison,
            draining: *self.draining.borrow(),
        }))
    }
}
