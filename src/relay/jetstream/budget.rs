//! What a relay may hold: a number of messages, and a number of bytes.

use super::tracking::Permit;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What a relay may hold.
pub struct Budget {
    messages: Arc<Semaphore>,
    kib: Arc<Semaphore>,
    most_messages: usize,
    most_kib: usize,
}

/// Permission to pull messages.
pub struct Allowance {
    messages: OwnedSemaphorePermit,
    kib: OwnedSemaphorePermit,
}

impl Budget {
    /// At most this many messages and bytes, but at least one message of `largest` bytes.
    pub fn new(messages: usize, bytes: usize, largest: usize) -> Self {
        let most_kib = bytes.max(largest).div_ceil(1 << 10).min(Semaphore::MAX_PERMITS);
        Budget {
            messages: Arc::new(Semaphore::new(messages)),
            kib: Arc::new(Semaphore::new(most_kib)),
            most_messages: messages,
            most_kib,
        }
    }

    /// What is free, once it is a quarter of the whole and a message of `largest` bytes.
    pub async fn allowance(&self, largest: usize) -> Option<Allowance> {
        let wanted = self.messages.available_permits().max(self.most_messages / 4).max(1);
        let messages = self.messages.clone().acquire_many_owned(u32::try_from(wanted).ok()?).await.ok()?;
        let least = largest.div_ceil(1 << 10).clamp(1, self.most_kib);
        let wanted = self.kib.available_permits().max(self.most_kib / 4).max(least);
        let kib = self.kib.clone().acquire_many_owned(u32::try_from(wanted).ok()?).await.ok()?;
        Some(Allowance { messages, kib })
    }

    /// The number of messages that are held.
    pub fn held(&self) -> usize {
        self.most_messages - self.messages.available_permits()
    }
}

impl Allowance {
    /// The messages that may be pulled.
    pub fn messages(&self) -> usize {
        self.messages.num_permits()
    }

    /// Their bytes.
    pub fn bytes(&self) -> usize {
        self.kib.num_permits() << 10
    }

    /// The permit for a message of this size; `None` if no message is left.
    pub fn take(&mut self, bytes: usize) -> Option<Permit> {
        // The broker counts bytes in another way: the last message may find fewer.
        let kib = bytes.div_ceil(1 << 10).min(self.kib.num_permits());
        Some(Permit { _message: self.messages.split(1)?, _kib: self.kib.split(kib) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn messages_and_bytes_are_bounded_and_a_large_message_fits() {
        let budget = Budget::new(4, 10 << 10, 16 << 10);
        let mut allowance = budget.allowance(16 << 10).await.expect("all is free");
        assert_eq!((allowance.messages(), allowance.bytes()), (4, 16 << 10));
        let large = allowance.take(15 << 10).expect("it fits");
        let small = allowance.take(10 << 10).expect("the rest counts as it is");
        drop(allowance);
        assert_eq!(budget.held(), 2);
        let waits = tokio::time::timeout(std::time::Duration::from_millis(20), budget.allowance(4 << 10)).await;
        assert!(waits.is_err(), "no byte is free");
        drop((large, small));
        assert_eq!(budget.allowance(1).await.expect("all is free").bytes(), 16 << 10);
    }
}
