//! Reloads files when they change.

use crate::{credentials::CredentialError, live::Watch, service::metrics::CredentialMetrics};
use std::{fs, path::PathBuf, sync::Arc, time::SystemTime};

/// The modification times of files; `None` if one is missing.
pub type Modified = Option<Vec<SystemTime>>;

pub fn modified(paths: &[PathBuf]) -> Modified {
    paths.iter().map(|path| fs::metadata(path).and_then(|metadata| metadata.modified()).ok()).collect()
}

/// Polls files forever, and calls `reload` when they have changed since they were last read and are complete. Slow disks may
/// block, so that both run outside of the network's threads. `what` names the files in the log and in metrics.
pub async fn watch(
    paths: Vec<PathBuf>,
    mut last_tried: Modified,
    what: &'static str,
    metrics: &CredentialMetrics,
    reload: impl Fn() -> Result<(), CredentialError> + Send + Sync + 'static,
) {
    let reload = Arc::new(reload);
    let mut files = Watch::new(move || modified(&paths));
    metrics.set_refused(what, false);
    loop {
        let now = files.settled().await;
        if Some(&now) != last_tried.as_ref() {
            last_tried = Some(now);
            let reload = reload.clone();
            let reloaded = tokio::task::spawn_blocking(move || reload()).await;
            metrics.set_refused(what, !matches!(reloaded, Ok(Ok(()))));
            match reloaded {
                Ok(Ok(())) => tracing::info!(what, "reloaded"),
                Ok(Err(error)) => tracing::error!(what, %error, "refused, the previous ones stay in use"),
                Err(error) => tracing::error!(what, %error, "internal error while reloading"),
            }
        }
    }
}
