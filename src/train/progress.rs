//! How long work reports how far it has come. The command line draws bars; a library user may count, or stay silent.

use super::left_out::LeftOut;

/// Receives the progress of long work.
pub trait Progress: Sync {
    /// Starts a piece of work of this many steps; 0 if their number is not known yet. The work ends when the result is dropped.
    fn start(&self, what: &'static str, steps: u64) -> Box<dyn Steps>;

    /// All rows were read, but for these.
    fn rows_read(&self, _left_out: &LeftOut) {}
}

/// The progress of one piece of work.
pub trait Steps: Send + Sync {
    /// This many steps are done.
    fn advance(&self, steps: u64);
    /// This many steps more are to do.
    fn extend(&self, steps: u64);
}

/// Reports nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn start(&self, _what: &'static str, _steps: u64) -> Box<dyn Steps> {
        Box::new(Silent)
    }
}

impl Steps for Silent {
    fn advance(&self, _steps: u64) {}
    fn extend(&self, _steps: u64) {}
}
