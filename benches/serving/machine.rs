//! Cores, CPU time and memory of processes. Linux only; elsewhere nothing is pinned, and there are no such figures.

use std::{
    ffi::OsStr,
    process::{Command, Stdio},
    thread,
};

/// The cores that servers and load generator are pinned on.
pub struct Pinning {
    cores: usize,
    server_core: Option<u32>,
}

impl Pinning {
    /// Pins this process, and all that it starts, on one core, and keeps another one for servers. Must be called before the
    /// process has other threads.
    pub fn of_this_process() -> Self {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let Some([server_core, client_core]) = two_cores() else {
            eprintln!("not pinned: this needs Linux and two cores");
            return Pinning { cores, server_core: None };
        };
        let mut taskset = Command::new("taskset");
        taskset.args(["-cp", &client_core.to_string(), &std::process::id().to_string()]).stdout(Stdio::null());
        if !taskset.status().is_ok_and(|status| status.success()) {
            eprintln!("not pinned: taskset (util-linux) failed or is not installed");
            return Pinning { cores, server_core: None };
        }
        eprintln!("servers are pinned on core {server_core}, the load generator on core {client_core}");
        Pinning { cores, server_core: Some(server_core) }
    }

    /// The number of cores that this process could use before it was pinned.
    pub fn cores(&self) -> usize {
        self.cores
    }

    /// Whether servers and load generator have a core each.
    pub fn is_pinned(&self) -> bool {
        self.server_core.is_some()
    }

    /// A command that runs a program on the core of the servers, in the same process.
    pub fn server_command(&self, program: &OsStr) -> Command {
        let Some(core) = self.server_core else { return Command::new(program) };
        let mut command = Command::new("taskset");
        command.args(["-c", &core.to_string()]).arg(program);
        command
    }
}

/// The CPU time of a process, in seconds; exact to a clock tick, usually 10 milliseconds.
pub fn cpu_seconds(pid: u32) -> Option<f64> {
    #[cfg(target_os = "linux")]
    {
        let stat = procfs::process::Process::new(i32::try_from(pid).ok()?).ok()?.stat().ok()?;
        Some((stat.utime + stat.stime) as f64 / procfs::ticks_per_second() as f64)
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = pid;
        None
    }
}

/// The CPU time of the main thread of this process, in seconds; exact to a timer interrupt, usually 4 milliseconds.
pub fn main_thread_cpu_seconds() -> Option<f64> {
    #[cfg(target_os = "linux")]
    {
        Some(procfs::process::Process::myself().ok()?.schedstat().ok()?.sum_exec_runtime as f64 / 1e9)
    }
    #[cfg(not(target_os = "linux"))]
    None
}

/// What a process uses at one moment.
pub struct Usage {
    pub resident_bytes: u64,
    pub descriptors: u64,
    pub threads: u64,
}

/// What a process uses.
pub fn usage(pid: u32) -> Option<Usage> {
    #[cfg(target_os = "linux")]
    {
        let process = procfs::process::Process::new(i32::try_from(pid).ok()?).ok()?;
        let status = process.status().ok()?;
        let (resident_bytes, threads) = (status.vmrss? << 10, status.threads);
        Some(Usage { resident_bytes, descriptors: process.fd_count().ok()? as u64, threads })
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = pid;
        None
    }
}

/// The first two cores that this process may use; `None` if it has only one.
fn two_cores() -> Option<[u32; 2]> {
    #[cfg(target_os = "linux")]
    {
        let allowed = procfs::process::Process::myself().ok()?.status().ok()?.cpus_allowed_list?;
        let mut cores = allowed.into_iter().flat_map(|(first, last)| first..=last);
        Some([cores.next()?, cores.next()?])
    }
    #[cfg(not(target_os = "linux"))]
    None
}

/// Completes when SIGINT or SIGTERM asks this process to end.
pub async fn interrupted() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let [interrupt, terminate] = [SignalKind::interrupt(), SignalKind::terminate()].map(signal);
        if let (Ok(mut interrupt), Ok(mut terminate)) = (interrupt, terminate) {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            return;
        }
    }
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending().await
    }
}
