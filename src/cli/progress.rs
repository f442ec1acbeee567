//! Progress bars of long work, and the rows that a training leaves out, on standard error.

use super::input;
use crate::train::{LeftOut, Progress, Steps};
use indicatif::{ProgressBar, ProgressStyle};

/// Draws a bar for each piece of work; silent if standard error is not a terminal.
pub struct Bars;

struct Bar(ProgressBar);

impl Progress for Bars {
    fn start(&self, what: &'static str, steps: u64) -> Box<dyn Steps> {
        let bar = ProgressBar::new(steps);
        let style =
            ProgressStyle::with_template("{msg:<26} {bar:32} {pos:>7}/{len} {per_sec}, {elapsed_precise}, {eta} left");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.set_message(what);
        Box::new(Bar(bar))
    }

    fn rows_read(&self, left_out: &LeftOut) {
        input::print_left_out(left_out);
    }
}

impl Steps for Bar {
    fn advance(&self, steps: u64) {
        self.0.inc(steps);
    }

    fn extend(&self, steps: u64) {
        self.0.inc_length(steps);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish();
    }
}
