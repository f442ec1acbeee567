//! Signals: to stop, and to look for a new model.

#[cfg(unix)]
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The exit status of a command that did not drain, as of one that SIGINT ended.
pub const STOPPED_AT_ONCE: i32 = 130;

/// The signals that a long-running command listens to.
pub struct Signals {
    #[cfg(unix)]
    interrupt: Signal,
    #[cfg(unix)]
    terminate: Signal,
    #[cfg(unix)]
    hang_up: Signal,
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

    /// Done at the next SIGINT or SIGTERM; calls `reload` at every SIGHUP before it.
    #[cfg(unix)]
    pub async fn until_stop(&mut self, reload: impl Fn()) {
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
    pub async fn until_stop(&mut self, _: impl Fn()) {
        let _ = tokio::signal::ctrl_c().await;
    }
}
