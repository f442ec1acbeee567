//! Signals: to stop, and to look for a new model.

use std::sync::Arc;
#[cfg(unix)]
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Notify, watch};

/// The exit status of a command that did not drain, as of one that SIGINT ended.
const STOPPED_AT_ONCE: i32 = 130;

/// The signals that a long-running command listens to.
pub struct Signals {
    #[cfg(unix)]
    interrupt: Signal,
    #[cfg(unix)]
    terminate: Signal,
    #[cfg(unix)]
    hang_up: Signal,
}

/// Done once a drain was requested.
pub async fn drain_requested(mut draining: watch::Receiver<bool>) {
    // An error means that whoever listens is gone, and the runtime with it.
    let _ = draining.wait_for(|draining| *draining).await;
}

impl Signals {
    /// Listens from now on.
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

    /// Turns true at the next SIGINT or SIGTERM, which requests a drain; one more ends the program at once. Calls `reload`, on a
    /// thread that may block, after SIGHUP: one call at a time, and one more for all signals that come during it.
    pub fn draining(mut self, reload: impl Fn() + Send + Sync + 'static) -> watch::Receiver<bool> {
        let (drain, draining) = watch::channel(false);
        let requested = Arc::new(Notify::new());
        let reload = Arc::new(reload);
        let reloading = requested.clone();
        tokio::spawn(async move {
            loop {
                reloading.notified().await;
                let reload = reload.clone();
                // What came of it is logged and counted.
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

    /// Done at the next SIGINT or SIGTERM; calls `reload` at every SIGHUP before it.
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

    /// Done at the next interrupt from the keyboard.
    #[cfg(not(unix))]
    async fn until_stop(&mut self, _: impl Fn()) {
        let _ = tokio::signal::ctrl_c().await;
    }
}
