//! Metrics of this process, under the standard names of Prometheus exporters.

use prometheus_client::{
    metrics::{counter::Counter, gauge::Gauge},
    registry::{Registry, Unit},
};
use std::sync::atomic::{AtomicU64, Ordering};

/// Metrics of this process. All are zero on systems other than Linux.
#[derive(Default)]
pub struct Process {
    resident: Gauge,
    files: Gauge,
    cpu: Counter<f64, AtomicU64>,
    start: Gauge<f64, AtomicU64>,
}

impl Process {
    /// The metrics, and the registry that holds them.
    pub fn new() -> (Self, Registry) {
        let mut registry = Registry::with_prefix("process");
        let process = Process::default();
        registry.register_with_unit("resident_memory", "Resident memory", Unit::Bytes, process.resident.clone());
        registry.register("open_fds", "Open file descriptors", process.files.clone());
        let what = "User and system CPU time of all threads";
        registry.register_with_unit("cpu", what, Unit::Seconds, process.cpu.clone());
        let what = "Start time of the process since the Unix epoch";
        registry.register_with_unit("start_time", what, Unit::Seconds, process.start.clone());
        (process, registry)
    }

    /// Reads the current values.
    pub fn update(&self) {
        if let Some(now) = Values::read() {
            self.resident.set(now.resident_bytes);
            self.files.set(now.open_files);
            self.cpu.inner().store(now.cpu_seconds.to_bits(), Ordering::Relaxed);
            self.start.set(now.start_seconds);
        }
    }
}

struct Values {
    resident_bytes: i64,
    open_files: i64,
    cpu_seconds: f64,
    start_seconds: f64,
}

impl Values {
    /// From `/proc`; `None` if it is not mounted.
    #[cfg(target_os = "linux")]
    fn read() -> Option<Values> {
        let process = procfs::process::Process::myself().ok()?;
        let stat = process.stat().ok()?;
        let ticks_per_second = procfs::ticks_per_second() as f64;
        Some(Values {
            resident_bytes: i64::try_from(stat.rss * procfs::page_size()).ok()?,
            open_files: i64::try_from(process.fd_count().ok()?).ok()?,
            cpu_seconds: (stat.utime + stat.stime) as f64 / ticks_per_second,
            start_seconds: procfs::boot_time_secs().ok()? as f64 + stat.starttime as f64 / ticks_per_second,
        })
    }

    #[cfg(not(target_os = "linux"))]
    fn read() -> Option<Values> {
        None
    }
}
