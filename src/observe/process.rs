//! Figures of this process.

use prometheus_client::{
    metrics::{counter::Counter, gauge::Gauge},
    registry::{Registry, Unit},
};
use std::sync::atomic::{AtomicU64, Ordering};

/// What is told of the process.
#[derive(Default)]
pub struct Process {
    resident: Gauge,
    files: Gauge,
    cpu: Counter<f64, AtomicU64>,
    start: Gauge<f64, AtomicU64>,
}

impl Process {
    /// With a registry of its own: named as every exporter names them, so that dashboards for processes fit.
    pub fn new() -> (Self, Registry) {
        let mut own = Registry::with_prefix("process");
        let process = Process::default();
        own.register_with_unit("resident_memory", "Resident memory", Unit::Bytes, process.resident.clone());
        own.register("open_fds", "Open file descriptors", process.files.clone());
        let what = "Processor time of all threads since the start";
        own.register_with_unit("cpu", what, Unit::Seconds, process.cpu.clone());
        own.register_with_unit("start_time", "When the process began, from 1970", Unit::Seconds, process.start.clone());
        (process, own)
    }

    /// Looks now.
    pub fn look(&self) {
        if let Some(now) = Now::of_system() {
            self.resident.set(now.resident);
            self.files.set(now.files);
            self.cpu.inner().store(now.cpu.to_bits(), Ordering::Relaxed);
            self.start.set(now.start);
        }
    }
}

/// What the system says of this process.
struct Now {
    resident: i64,
    files: i64,
    cpu: f64,
    start: f64,
}

impl Now {
    /// From `/proc`; `None` where there is none.
    fn of_system() -> Option<Now> {
        let status = std::fs::read_to_string("/proc/self/status").ok()?;
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?.trim();
        let resident: i64 = resident.strip_suffix(" kB")?.parse().ok()?;
        let files = std::fs::read_dir("/proc/self/fd").ok()?.count() as i64;
        // Behind the name, which may hold anything, in brackets: fields 14, 15 and 22 of all, in ticks of a hundredth second.
        let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
        let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
        let mut ticks = |n: usize| fields.nth(n)?.parse::<f64>().ok();
        let cpu = ticks(0)? + ticks(0)?;
        let since_boot = ticks(6)?;
        let system = std::fs::read_to_string("/proc/stat").ok()?;
        let boot: f64 = system.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()?;
        Some(Now { resident: resident << 10, files, cpu: cpu / 100.0, start: boot + since_boot / 100.0 })
    }
}
