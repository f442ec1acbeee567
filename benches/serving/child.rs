//! Child processes that do not outlive the benchmark.

use crate::Outcome;
use std::process::{Child, Command};

/// A child process; killed when dropped.
pub struct ChildGuard(Child);

impl ChildGuard {
    /// Starts a command.
    pub fn spawn(command: &mut Command) -> Outcome<Self> {
        let child = command.spawn().map_err(|error| format!("cannot start {command:?}: {error}"))?;
        Ok(ChildGuard(child))
    }

    /// The identifier of the process.
    pub fn id(&self) -> u32 {
        self.0.id()
    }

    /// The process itself.
    pub fn process(&mut self) -> &mut Child {
        &mut self.0
    }
}

impl Drop for ChildGuard {
    fn drop(&mut self) {
        // Fails if the process has ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
