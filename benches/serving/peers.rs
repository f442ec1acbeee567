//! The Python programs of `peers`: their environment, their models and their processes.

use crate::{
    Outcome,
    child::ChildGuard,
    options::Options,
    servers::System,
    texts::{gold_files, project_path},
};
use std::{
    fmt::Write as _,
    fs,
    io::{BufRead, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{ChildStdin, ChildStdout, Command, Stdio},
};
use tempfile::TempDir;

/// Python with its packages, the trained models, and the code generated from the contract.
pub struct Peers {
    python: PathBuf,
    models: PathBuf,
    bytecode: PathBuf,
    /// The generated code, and the texts for `speed.py`.
    work: TempDir,
}

/// A running `speed.py`, which measures fastText.
pub struct Speed {
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    _child: ChildGuard,
}

impl Peers {
    /// Installs the packages, trains the models and generates the code, unless an earlier run did. `None`, with the reason
    /// printed, without --corpora or if a step fails.
    pub fn prepare(options: &Options) -> Option<Self> {
        let Some(corpora) = &options.corpora else {
            eprintln!("no Python servers: they need --corpora for their training");
            return None;
        };
        match Peers::build(&options.python, corpora) {
            Ok(peers) => Some(peers),
            Err(error) => {
                eprintln!("no Python servers: {error}");
                None
            }
        }
    }

    fn build(python: &Path, corpora: &Path) -> Outcome<Self> {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("serving-peers");
        let (venv, models) = (folder.join("venv"), folder.join("models"));
        let requirements = source("requirements.txt");
        let wanted = format!("{}\n{}", python.display(), fs::read_to_string(&requirements)?);
        let installed = venv.join("bin/python");
        once(&venv, &wanted, || {
            eprintln!("installing the packages of the Python servers");
            run(Command::new(python).args(["-m", "venv", "--clear"]).arg(&venv))?;
            let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"];
            run(Command::new(&installed).args(pip).arg(&requirements))
        })?;
        let bytecode = folder.join("bytecode");
        let peers = Peers { python: installed, models, bytecode, work: TempDir::new()? };
        once(&peers.models, &training(corpora, &wanted)?, || {
            eprintln!("training the models of the Python servers");
            run(peers.command(&mut Command::new(&peers.python)).arg(source("train.py")).arg(corpora).arg(&peers.models))
        })?;
        let mut protoc = Command::new(&peers.python);
        protoc.args(["-m", "grpc_tools.protoc", "-I"]).arg(project_path("proto"));
        for option in ["--python_out", "--grpc_python_out"] {
            protoc.arg(option).arg(peers.work.path());
        }
        run(protoc.arg("dateline/v1/classifier.proto"))?;
        Ok(peers)
    }

    /// The Python with the packages.
    pub fn python(&self) -> &Path {
        &self.python
    }

    /// Adds the arguments of a server to a command that runs [`Peers::python`].
    pub fn add_server_args(&self, command: &mut Command, system: System, address: &str) {
        let name = if system == System::FastText { "fasttext" } else { "scikit-learn" };
        let command = self.command(command);
        command.arg(source("server.py")).arg(name).arg(address).arg(&self.models).arg(self.work.path());
    }

    /// Keeps the bytecode of the programs out of the source folder.
    fn command<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command.env("PYTHONPYCACHEPREFIX", &self.bytecode)
    }

    /// Starts `speed.py` with the texts of each number of words.
    pub fn start_speed(&self, texts: &[(usize, Vec<String>)]) -> Outcome<Speed> {
        let file = self.work.path().join("texts.json");
        fs::write(&file, serde_json::to_vec(texts)?)?;
        let mut command = Command::new(&self.python);
        self.command(&mut command).arg(source("speed.py")).arg(&self.models).arg(file);
        let mut child = ChildGuard::spawn(command.stdin(Stdio::piped()).stdout(Stdio::piped()))?;
        let process = child.process();
        let pipes = process.stdin.take().zip(process.stdout.take());
        let (input, output) = pipes.ok_or("speed.py has no pipes")?;
        Ok(Speed { input, output: BufReader::new(output), _child: child })
    }
}

impl Speed {
    /// The CPU time of fastText per text of a number of words, in microseconds, measured for a number of seconds.
    pub fn round(&mut self, words: usize, seconds: f64) -> Outcome<f64> {
        writeln!(self.input, "{words} {seconds}")?;
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        line.trim().parse().map_err(|_| format!("speed.py failed: it printed {line:?}").into())
    }
}

/// What the trained models depend on: the programs, the packages and the rows.
fn training(corpora: &Path, wanted: &str) -> Outcome<String> {
    let mut text = wanted.to_owned();
    for program in ["train.py", "models.py"] {
        text.push_str(&fs::read_to_string(source(program))?);
    }
    for file in gold_files(corpora)? {
        let size = fs::metadata(&file)?.len();
        writeln!(text, "{} {size}", file.canonicalize()?.display())?;
    }
    Ok(text)
}

/// Fills a folder anew, unless it was filled for the same `key`.
fn once(folder: &Path, key: &str, fill: impl FnOnce() -> Outcome<()>) -> Outcome<()> {
    let complete = folder.join("complete");
    if fs::read_to_string(&complete).is_ok_and(|found| found == key) {
        return Ok(());
    }
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    fs::create_dir_all(folder)?;
    fill()?;
    Ok(fs::write(complete, key)?)
}

/// A file of `peers`.
fn source(name: &str) -> PathBuf {
    project_path("benches/serving/peers").join(name)
}

/// Runs a command. The error is the end of what it printed.
fn run(command: &mut Command) -> Outcome<()> {
    let output = command.output().map_err(|error| format!("cannot start {command:?}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let printed = String::from_utf8_lossy(&output.stderr);
    let reason = printed.trim().lines().last().unwrap_or("it printed no reason");
    Err(format!("{command:?} failed: {reason}").into())
}
