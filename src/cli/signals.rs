//! Signals: to stop, and to look for a new model.

#[cfg(unix)]
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

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

/// Done once a drain was asked for.
pub async fn asked(mut draining: watch::Receiver<bool>) {
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

    /// Turns true at the next SIGINT or SIGTERM, which asks for a drain; one more ends the program at once. Calls `reload` at
    /// every SIGHUP before.
    pub fn draining(mut self, reload: impl Fn() + Send + Sync + 'static) -> watch::Receiver<bool> {
        let (drain, draining) = watch::channel(false);
        tokio::spawn(async move {
            self.until_stop(reload).await;
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
