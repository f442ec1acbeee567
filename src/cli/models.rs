//! `dateline models`: lists, compares and switches the versions of a model in service.

use super::failure::Failure;
use crate::{
    model::{Manifest, Model, Store, Task, TrainingFile, Version, load_version, versions},
    report::{self, Cell, Table},
};
use anstream::println;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

/// Manage the versions of a model in service
///
/// A folder that `dateline train --promote` writes into keeps every version that was ever in service. A server that
/// watches the folder loads the version in service.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  dateline models list live\n  dateline models diff live 901969fa5013 4d57436ac060\n  \
                        dateline models promote live 4d57436ac060\n  dateline models promote live --from my-model\n  \
                        dateline models rollback live"
)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List the versions, the one in service first
    List {
        /// The folder
        folder: PathBuf,
        /// Print a JSON list
        #[arg(long)]
        json: bool,
    },
    /// Put a version into service without a test; `dateline train --promote` tests first
    Promote {
        /// The folder
        folder: PathBuf,
        /// A version of the folder
        #[arg(required_unless_present = "from", conflicts_with = "from")]
        version: Option<String>,
        /// A folder that `dateline train --out` wrote; its model becomes a version
        #[arg(long, value_name = "DIR")]
        from: Option<PathBuf>,
    },
    /// Put the previous version back into service
    Rollback {
        /// The folder
        folder: PathBuf,
    },
    /// Show the differences between two versions
    Diff {
        /// The folder
        folder: PathBuf,
        /// The old version
        old: String,
        /// The new version
        new: String,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
}

pub fn run(args: Args) -> Result<(), Failure> {
    match args.command {
        Command::List { folder, json } => list(&versions(existing(&folder)?)?, json),
        Command::Promote { folder, version: Some(version), .. } => {
            Store::open(existing(&folder)?)?.put(&version)?;
            println!("model {version} is in service in {}", folder.display());
            Ok(())
        }
        Command::Promote { folder, version: None, from } => {
            // clap sees to it that there is one.
            let from = from.unwrap_or_default();
            let version = Store::open(&folder)?.publish_folder(&from)?;
            println!("model {version} is in service in {}", folder.display());
            Ok(())
        }
        Command::Rollback { folder } => {
            let (from, to) = Store::open(existing(&folder)?)?.roll_back()?;
            println!("model {to} is in service in {} again, instead of {from}", folder.display());
            Ok(())
        }
        Command::Diff { folder, old, new, json } => {
            let folder = existing(&folder)?;
            let (old, new) = (load_version(folder, &old)?, load_version(folder, &new)?);
            diff(old.manifest(), new.manifest(), json)
        }
    }
}

/// An existing folder: a query must not create it.
fn existing(folder: &Path) -> Result<&Path, Failure> {
    match folder.is_dir() {
        true => Ok(folder),
        false => Err(Failure::Failed(format!("no such folder: {}", folder.display()))),
    }
}

fn list(versions: &[Version], json: bool) -> Result<(), Failure> {
    let place = |version: &Version| match version.place {
        Some(0) => "in service".to_owned(),
        Some(n) => format!("{n} before"),
        None => String::new(),
    };
    if json {
        let all: Vec<serde_json::Value> = versions
            .iter()
            .map(|version| {
                serde_json::json!({
                    "version": version.manifest.version,
                    "place": version.place,
                    "written": at(version.written),
                    "bytes": version.bytes,
                    "topics": version.manifest.topics.measured,
                    "regions": version.manifest.regions.measured,
                })
            })
            .collect();
        println!("{}", serde_json::to_string(&all).map_err(Failure::failed)?);
        return Ok(());
    }
    let texts = ["version", "place", "written"].map(report::text);
    let numbers =
        ["topics", "accuracy", "regions, micro-F1", "rows of topics", "rows of regions", "MB"].map(report::number);
    let bundled = Model::bundled().map_err(Failure::failed)?;
    let mut table = Table::new(texts.into_iter().chain(numbers));
    for version in versions {
        let manifest = &version.manifest;
        let measure = |measured: &BTreeMap<String, f64>, name: &str| {
            measured.get(name).map_or_else(|| "-".to_owned(), |value| format!("{value:.3}"))
        };
        table.push([
            (&manifest.version).into(),
            place(version).into(),
            at(version.written).into(),
            manifest.topics.labels.len().into(),
            measure(&manifest.topics.measured, "accuracy").into(),
            measure(&manifest.regions.measured, "micro_f1").into(),
            own_rows(manifest, Task::Topics, bundled.manifest()).into(),
            own_rows(manifest, Task::Regions, bundled.manifest()).into(),
            format!("{:.1}", version.bytes as f64 / 1e6).into(),
        ]);
    }
    println!("{}", table.to_terminal());
    Ok(())
}

/// The number of rows that a half of a model was trained on; `bundled` if the half is that of the bundled model.
fn own_rows(manifest: &Manifest, task: Task, bundled: &Manifest) -> String {
    let files = |manifest: &Manifest| -> Vec<TrainingFile> {
        manifest.trained_on.iter().filter(|file| file.task == task).cloned().collect()
    };
    let own = files(manifest);
    match own == files(bundled) {
        true => "bundled".to_owned(),
        false => own.iter().map(|file| file.rows).sum::<u64>().to_string(),
    }
}

/// A time in UTC, to the second.
fn at(time: SystemTime) -> String {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let time = jiff::Timestamp::from_second(i64::try_from(since.as_secs()).unwrap_or(0)).unwrap_or_default();
    time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

fn diff(old: &Manifest, new: &Manifest, json: bool) -> Result<(), Failure> {
    let mut rows: Vec<[String; 3]> = Vec::new();
    let mut row = |what: &str, old: String, new: String| {
        if old != new {
            rows.push([what.to_owned(), old, new]);
        }
    };
    row("version", old.version.clone(), new.version.clone());
    row("trained by", old.trained_by.clone(), new.trained_by.clone());
    row("seed", old.seed.to_string(), new.seed.to_string());
    row("languages", old.languages.join(", "), new.languages.join(", "));
    for (part, old, new) in [
        ("topics", &old.topics.measured, &new.topics.measured),
        ("regions", &old.regions.measured, &new.regions.measured),
    ] {
        let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
        for name in names {
            let of = |measured: &BTreeMap<String, f64>| {
                measured.get(name).map_or_else(|| "-".to_owned(), |value| format!("{value:.3}"))
            };
            row(&format!("{part}: {name}"), of(old), of(new));
        }
    }
    let thresholds = |manifest: &Manifest| {
        let (topics, regions) = (manifest.topics.thresholds, manifest.regions.thresholds);
        [topics.auto, topics.review, regions.auto, regions.review].map(|value| format!("{value:.3}"))
    };
    let names = ["topics: AUTO from", "topics: REVIEW from", "regions: AUTO from", "regions: ABOUT from"];
    for ((name, old), new) in names.iter().zip(thresholds(old)).zip(thresholds(new)) {
        row(name, old, new);
    }
    let support = |manifest: &Manifest| -> BTreeMap<String, u64> {
        manifest.topics.labels.iter().map(|label| (label.code.clone(), label.support)).collect()
    };
    let (old_support, new_support) = (support(old), support(new));
    let codes: BTreeSet<&String> = old_support.keys().chain(new_support.keys()).collect();
    for code in codes {
        let of =
            |support: &BTreeMap<String, u64>| support.get(code).map_or_else(|| "-".to_owned(), ToString::to_string);
        row(&format!("rows of {code}"), of(&old_support), of(&new_support));
    }
    let files = |manifest: &Manifest| -> BTreeMap<(String, &str), String> {
        let of = |file: &crate::model::TrainingFile| {
            format!("{} rows, sha256 {}", file.rows, &file.sha256.get(..12).unwrap_or_default())
        };
        manifest.trained_on.iter().map(|file| ((file.name.clone(), file.task.as_str()), of(file))).collect()
    };
    let (old_files, new_files) = (files(old), files(new));
    let names: BTreeSet<_> = old_files.keys().chain(new_files.keys()).collect();
    for name in names {
        let of = |files: &BTreeMap<_, String>| files.get(name).cloned().unwrap_or_else(|| "-".to_owned());
        row(&format!("file {} for {}", name.0, name.1), of(&old_files), of(&new_files));
    }
    if json {
        let all: serde_json::Map<String, serde_json::Value> =
            rows.into_iter().map(|[what, old, new]| (what, serde_json::json!({ "old": old, "new": new }))).collect();
        println!("{}", serde_json::to_string(&all).map_err(Failure::failed)?);
        return Ok(());
    }
    let mut table = Table::new([report::text(""), report::number("old"), report::number("new")]);
    rows.into_iter().for_each(|cells| table.push(cells.map(Cell::from)));
    println!("{}", table.to_terminal());
    Ok(())
}
