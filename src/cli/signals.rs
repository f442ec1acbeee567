//! Signals that stop a command, and that reload its model.

use std::sync::Arc;
#[cfg(unix)]
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Notify, watch};

/// The exit status after a second signal, as after SIGINT.
const STOPPED_AT_ONCE: i32 = 130;

/// The signals that a long-running command handles.
pub struct Signals {
    #[cfg(unix)]
    interrupt: Signal,
    #[cfg(unix)]
    terminate: Signal,
    #[cfg(unix)]
    hang_up: Signal,
}

/// Completes when a drain was requested.
pub async fn drain_requested(mut draining: watch::Receiver<bool>) {
    // An error means that the sender, and with it the runtime, is gone.
    let _ = draining.wait_for(|draining| *draining).await;
}

impl Signals {
    /// Handles signals from now on.
    pub fn listen() -> std::io::Result<Self> {
        Ok(Signals {
            #[cfg(unix)]
            interrupt: signal(SignalKind::interrupt())?,
            #[cfg(unix)]
            terminate: signal(SignalKind::terminate())?,
            #[cfg(unix)]
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// Becomes true at the first SIGINT or SIGTERM, which requests a drain; a second one exits at once. SIGHUP calls
    /// `reload` on a blocking thread: one call at a time, and one more for all signals that arrive during it.
    pub fn draining(mut self, reload: impl Fn() + Send + Sync + 'static) -> watch::Receiver<bool> {
        let (drain, draining) = watch::channel(false);
        let requested = Arc::new(Notify::new());
        let reload = Arc::new(reload);
        let reloading = requested.clone();
        tokio::spawn(async move {
            loop {
                reloading.notified().await;
                let reload = reload.clone();
                // `reload` logs and counts its result.
                let _ = tokio::task::spawn_blocking(move || reload()).await;
            }
        });
        tokio::spawn(async move {
            self.until_stop(|| requested.notify_one()).await;
            drain.send_replace(true);
            self.until_stop(|| {}).await;
            tracing::warn!("stopped at once by a second signal");
            std::process::exit(STOPPED_AT_ONCE);
        });
        draining
    }

    /// Completes at the next SIGINT or SIGTERM; calls `reload` at every SIGHUP before it.
    #[cfg(unix)]
    async fn until_stop(&mut self, reload: impl Fn()) {
        loop {
            tokio::select! {
                _ = self.interrupt.recv() => return,
                _ = self.terminate.recv() => return,
                _ = self.hang_up.recv() => reload(),
            }
        }
    }

    /// Completes at the next interrupt from the keyboard.
    #[cfg(not(unix))]
    async fn until_stop(&mut self, _: impl Fn()) {
        let _ = tokio::signal::ctrl_c().await;
    }
}
