//! Waits between retries: exponential with jitter, so that relays that lost the same broker do not all reconnect at once.

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use std::time::Duration;

const FIRST_WAIT: Duration = Duration::from_millis(100);
/// The longest wait, without its jitter.
pub const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// Waits that double from the first to the longest, plus a random time of up to the same length.
pub struct BackOff(ExponentialBackoff);

impl Default for BackOff {
    fn default() -> Self {
        let waits = ExponentialBuilder::new().with_min_delay(FIRST_WAIT).with_max_delay(LONGEST_WAIT);
        BackOff(waits.without_max_times().with_jitter().build())
    }
}

impl BackOff {
    /// Waits before the next attempt.
    pub async fn wait(&mut self) {
        tokio::time::sleep(self.0.next().unwrap_or(LONGEST_WAIT)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_limit_and_differ() {
        let waits = || BackOff::default().0.take(50).collect::<Vec<Duration>>();
        let one = waits();
        assert!(one[0] >= FIRST_WAIT && one[0] <= 2 * FIRST_WAIT, "{:?}", one[0]);
        assert!(one.iter().all(|wait| *wait <= 2 * LONGEST_WAIT));
        assert!(one[40..].iter().all(|wait| *wait >= LONGEST_WAIT));
        assert_ne!(one, waits());
    }
}
