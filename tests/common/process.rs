//! Child processes that do not outlive their test.

use std::{
    fs,
    io::{BufRead, BufReader},
    ops::{Deref, DerefMut},
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::{Arc, Mutex},
    thread::{self, JoinHandle},
    time::Duration,
};

/// A child process, killed and reaped when dropped.
pub struct ChildGuard(Option<Child>);

impl ChildGuard {
    pub fn spawn(command: &mut Command) -> Self {
        ChildGuard(Some(command.spawn().unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"))))
    }

    /// Starts a command with pipes for standard input, output and error.
    pub fn spawn_piped(command: &mut Command) -> Self {
        ChildGuard::spawn(command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()))
    }

    /// Sends a signal, such as `TERM`.
    #[cfg(unix)]
    pub fn signal(&self, name: &str) {
        let args = [format!("-{name}"), self.id().to_string()];
        assert!(Command::new("kill").args(args).status().expect("kill runs").success());
    }

    /// Kills the process and reaps it.
    pub fn kill(&mut self) -> ExitStatus {
        Child::kill(self).expect("the process can be killed");
        self.wait()
    }

    /// Waits until the process ends.
    pub fn wait(&mut self) -> ExitStatus {
        Child::wait(self).expect("the process can be waited for")
    }

    /// Reads the piped output to its end and waits until the process ends.
    pub fn wait_with_output(mut self) -> Output {
        let child = self.0.take().expect("the process is owned until the guard is consumed");
        child.wait_with_output().expect("the output can be read")
    }

    /// Resident memory, in bytes.
    #[cfg(target_os = "linux")]
    pub fn resident_bytes(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id())).expect("procfs is mounted");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("the status has VmRSS");
        line.trim().trim_end_matches(" kB").parse::<u64>().expect("VmRSS is a number") << 10
    }

    /// The number of open file descriptors.
    #[cfg(target_os = "linux")]
    pub fn open_descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.id())).expect("procfs is mounted").count()
    }
}

impl Deref for ChildGuard {
    type Target = Child;

    fn deref(&self) -> &Child {
        self.0.as_ref().expect("the process is owned until the guard is consumed")
    }
}

impl DerefMut for ChildGuard {
    fn deref_mut(&mut self) -> &mut Child {
        self.0.as_mut().expect("the process is owned until the guard is consumed")
    }
}

impl Drop for ChildGuard {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A child process whose standard error is collected as its log; killed when dropped.
pub struct LoggedProcess {
    child: ChildGuard,
    log: Arc<Mutex<String>>,
    /// Appends to the log until the process closes its standard error.
    reader: Option<JoinHandle<()>>,
}

impl LoggedProcess {
    pub fn spawn(command: &mut Command) -> Self {
        let mut child = ChildGuard::spawn(command.stdout(Stdio::null()).stderr(Stdio::piped()));
        let lines = BufReader::new(child.stderr.take().expect("standard error is piped")).lines();
        let log = Arc::new(Mutex::new(String::new()));
        let written = log.clone();
        let reader = thread::spawn(move || {
            for line in lines {
                let line = line.expect("the log is UTF-8");
                written.lock().expect("the log is not poisoned").push_str(&(line + "\n"));
            }
        });
        LoggedProcess { child, log, reader: Some(reader) }
    }

    /// What the process has logged so far; all of it after [`LoggedProcess::wait`].
    pub fn log(&self) -> String {
        self.log.lock().expect("the log is not poisoned").clone()
    }

    /// Waits for the first log line for which `find` returns a value; fails if the process ends without one.
    pub fn wait_for_line<T>(&self, find: impl Fn(&str) -> Option<T>) -> T {
        loop {
            let has_ended = self.reader.as_ref().is_none_or(JoinHandle::is_finished);
            let log = self.log();
            if let Some(found) = log.lines().find_map(&find) {
                return found;
            }
            assert!(!has_ended, "the process ended without the expected log line:\n{log}");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// The value of a logged field, such as the address `metrics`.
    pub fn logged_field(&self, name: &str) -> String {
        let prefix = format!(" {name}=");
        self.wait_for_line(|line| line.split_once(&prefix)?.1.split_whitespace().next().map(ToOwned::to_owned))
    }

    /// Sends SIGTERM, as an orchestrator does.
    #[cfg(unix)]
    pub fn terminate(&self) {
        self.signal("TERM");
    }

    /// Waits until the process ends by itself and its log is complete.
    pub fn wait(&mut self) -> ExitStatus {
        let status = self.child.wait();
        if let Some(reader) = self.reader.take() {
            reader.join().expect("the log can be read");
        }
        status
    }

    /// Sends SIGTERM, expects success, and returns the log.
    #[cfg(unix)]
    pub fn stop(mut self) -> String {
        self.terminate();
        assert!(self.wait().success(), "{}", self.log());
        self.log()
    }
}

impl Deref for LoggedProcess {
    type Target = ChildGuard;

    fn deref(&self) -> &ChildGuard {
        &self.child
    }
}

impl DerefMut for LoggedProcess {
    fn deref_mut(&mut self) -> &mut ChildGuard {
        &mut self.child
    }
}
