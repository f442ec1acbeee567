//! Detects changes of files by polling.

use std::{sync::Arc, time::Duration};

/// The polling interval. Polling always works; file system events do not reach network mounts, and miss symbolic links that
/// orchestrators replace.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// Polls the state of some files.
pub struct Watch<T> {
    poll: Arc<dyn Fn() -> Option<T> + Send + Sync>,
    last: Option<T>,
}

impl<T: Clone + PartialEq + Send + 'static> Watch<T> {
    /// `poll` returns the state of the files, such as sizes and times, or `None` if one is missing.
    pub fn new(poll: impl Fn() -> Option<T> + Send + Sync + 'static) -> Self {
        Watch { poll: Arc::new(poll), last: None }
    }

    /// Waits until two consecutive polls return the same state, and returns it. Files that are still being written do not
    /// settle.
    pub async fn settled(&mut self) -> T {
        loop {
            tokio::time::sleep(POLL_INTERVAL).await;
            let poll = self.poll.clone();
            // Polling may block on a slow disk.
            let now = tokio::task::spawn_blocking(move || poll()).await.ok().flatten();
            let before = std::mem::replace(&mut self.last, now);
            if let Some(now) = self.last.clone().filter(|now| Some(now) == before.as_ref()) {
                return now;
            }
        }
    }
}
