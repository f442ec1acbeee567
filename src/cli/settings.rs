//! Settings from flags, the environment and a file, in this order, each with its origin.

use super::failure::Failure;
use crate::report::{self, Table};
use clap::{ArgMatches, Command, error::ContextKind, parser::ValueSource};
use serde::Serialize;
use std::{
    collections::BTreeMap,
    fs,
    io::{self, Write},
    net::{SocketAddr, ToSocketAddrs},
    path::{Path, PathBuf},
};
use toml::de::{DeTable, DeValue};

/// Flags that are not settings.
const NO_SETTINGS: [&str; 4] = ["config", "check-config", "json", "help"];
/// Settings whose values are never printed.
const SECRETS: [&str; 1] = ["otlp-headers"];
/// A value with this character is not printed: in an address, it follows a user and a password.
const BEHIND_SECRETS: char = '@';

/// The file of settings, and its check.
#[derive(Debug, clap::Args)]
pub struct ConfigArgs {
    /// A file of settings in TOML, such as: drain-timeout = 30
    #[arg(long, env = "DATELINE_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print every setting with its origin, and exit; serve also tries the files that they name
    #[arg(long)]
    pub check_config: bool,
    /// Print JSON (with --check-config)
    #[arg(long, requires = "check_config")]
    json: bool,
}

/// A setting, for people and scripts.
#[derive(Debug, Serialize)]
struct Origin {
    setting: String,
    value: Option<String>,
    from: String,
}

impl ConfigArgs {
    /// Reads the settings of a command from the command line, the environment and the file; prints them if asked. The command line
    /// was parsed before, without the file.
    ///
    /// # Errors
    /// If the file cannot be read, or holds an invalid setting, or if printing fails.
    pub fn read<A: clap::Args>(&self, command: &'static str) -> Result<A, Failure> {
        let (args, origins) = read(command, self.config.as_deref())?;
        if self.check_config {
            print(&origins, &mut anstream::stdout().lock(), self.json)?;
        }
        Ok(args)
    }
}

/// The settings of a command, and their origins.
fn read<A: clap::Args>(name: &'static str, file: Option<&Path>) -> Result<(A, Vec<Origin>), Failure> {
    let words = std::env::args_os().skip_while(|word| word != name).skip(1);
    let command = || A::augment_args(Command::new(name).no_binary_name(true));
    let values = match file {
        None => BTreeMap::new(),
        Some(path) => {
            let text = fs::read_to_string(path).map_err(|error| {
                Failure::Usage(format!("{}: {error}; --config names a file of settings in TOML", path.display()))
            })?;
            parse(path, &text, &command())?
        }
    };
    let lines: BTreeMap<String, usize> = values.iter().map(|(setting, value)| (setting.clone(), value.line)).collect();
    let wrong = |error: clap::Error| match file {
        // Without the file, the command line was valid.
        Some(path) => in_file(name, path, &lines, &error),
        None => Failure::Usage(error.to_string()),
    };
    let matches = with_defaults(command(), values).try_get_matches_from(words).map_err(wrong)?;
    let args = A::from_arg_matches(&matches).map_err(wrong)?;
    let origins = origins(&command(), &matches, file, &lines);
    Ok((args, origins))
}

/// The value of a setting in a file.
struct Value {
    words: Vec<String>,
    line: usize,
}

fn in_file(command: &str, path: &Path, lines: &BTreeMap<String, usize>, error: &clap::Error) -> Failure {
    let text = error.render().to_string();
    let reason = text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
    let setting = error.get(ContextKind::InvalidArg).map(ToString::to_string).unwrap_or_default();
    let setting = setting.split(' ').next().unwrap_or_default().trim_start_matches("--");
    let line = lines.get(setting).map(|line| format!(":{line}")).unwrap_or_default();
    Failure::Usage(format!("{}{line}: {reason}; see `dateline {command} --help`", path.display()))
}

/// The settings of a file, by the names of their flags.
fn parse(path: &Path, text: &str, command: &Command) -> Result<BTreeMap<String, Value>, Failure> {
    let line_of = |offset: usize| text[..offset].matches('\n').count() + 1;
    let table = DeTable::parse(text).map_err(|error| {
        let line = error.span().map_or(1, |span| line_of(span.start));
        Failure::Usage(format!("{}:{line}: {}", path.display(), error.message()))
    })?;
    let known = settings(command);
    let mut values = BTreeMap::new();
    for (key, value) in table.get_ref() {
        let line = line_of(key.span().start);
        let fault = |reason: String| Failure::Usage(format!("{}:{line}: {reason}", path.display()));
        let key = key.get_ref().to_string();
        if !known.contains(&key) && matches!(value.get_ref(), DeValue::Table(_)) {
            return Err(fault(format!(
                "[{key}] is a section: write its settings at the top of the file, without sections"
            )));
        }
        if !known.contains(&key) {
            let nearest = known.iter().max_by(|a, b| {
                let likeness = |other: &str| strsim::jaro_winkler(&key, other);
                likeness(a).total_cmp(&likeness(b))
            });
            let nearest = nearest.map(|nearest| format!("; the nearest is {nearest}")).unwrap_or_default();
            return Err(fault(format!("unknown setting {key}{nearest}")));
        }
        let word = |value: &DeValue<'_>| match value {
            DeValue::String(text) => Some(text.to_string()),
            DeValue::Integer(number) if number.radix() == 10 => Some(number.as_str().to_owned()),
            DeValue::Float(number) => Some(number.as_str().to_owned()),
            DeValue::Boolean(is) => Some(is.to_string()),
            _ => None,
        };
        let words: Option<Vec<String>> = match value.get_ref() {
            DeValue::Array(values) => values.iter().map(|value| word(value.get_ref())).collect(),
            value => word(value).map(|word| vec![word]),
        };
        let words =
            words.ok_or_else(|| fault(format!("{key}: write a text, a number, true, false, or a list of texts")))?;
        let several = command
            .get_arguments()
            .any(|arg| arg.get_long() == Some(&key) && matches!(arg.get_action(), clap::ArgAction::Append));
        if words.len() != 1 && !several {
            return Err(fault(format!("{key} has one value, not {}", words.len())));
        }
        values.insert(key, Value { words, line });
    }
    Ok(values)
}

/// The names of all settings.
fn settings(command: &Command) -> Vec<String> {
    let names = command.get_arguments().filter_map(|arg| arg.get_long());
    names.filter(|name| !NO_SETTINGS.contains(name)).map(ToOwned::to_owned).collect()
}

/// A time in seconds, from 0 to a day.
pub fn seconds(text: &str) -> Result<f64, String> {
    let seconds = text.parse().ok().filter(|seconds| (0.0..=86_400.0).contains(seconds));
    seconds.ok_or_else(|| "write a number of seconds from 0 to 86400".to_owned())
}

/// An address, or a host name with a port.
pub fn address(text: &str) -> Result<SocketAddr, String> {
    let found = text.to_socket_addrs().ok().and_then(|mut addresses| addresses.next());
    found.ok_or_else(|| "write ADDRESS:PORT, such as 127.0.0.1:50051 or localhost:0".to_owned())
}

/// The command with these values as defaults.
fn with_defaults(command: Command, mut values: BTreeMap<String, Value>) -> Command {
    command.mut_args(|arg| match arg.get_long().and_then(|name| values.remove(name)) {
        Some(value) => arg.default_values(value.words),
        None => arg,
    })
}

fn origins(
    command: &Command,
    matches: &ArgMatches,
    file: Option<&Path>,
    lines: &BTreeMap<String, usize>,
) -> Vec<Origin> {
    let args = command.get_arguments().filter_map(|arg| Some((arg, arg.get_long()?)));
    args.filter(|(_, name)| !NO_SETTINGS.contains(name))
        .map(|(arg, name)| {
            let id = arg.get_id().as_str();
            let words = matches.get_raw(id).map(|words| words.map(|word| word.to_string_lossy()).collect::<Vec<_>>());
            let value = match words {
                Some(_) if SECRETS.contains(&name) => Some("****".to_owned()),
                words => words.map(|words| words.join(",")).map(|value| match value.contains(BEHIND_SECRETS) {
                    true => "****".to_owned(),
                    false => value,
                }),
            };
            let from = match (matches.value_source(id), lines.get(name), file) {
                (Some(ValueSource::CommandLine), ..) => format!("--{name}"),
                (Some(ValueSource::EnvVariable), ..) => {
                    arg.get_env().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
                }
                (_, Some(line), Some(file)) => format!("{}:{line}", file.display()),
                _ => "default".to_owned(),
            };
            Origin { setting: name.to_owned(), value, from }
        })
        .collect()
}

/// Prints settings and their origins, as a table or as a JSON object by setting.
fn print(origins: &[Origin], out: &mut dyn Write, json: bool) -> io::Result<()> {
    if json {
        let all: serde_json::Map<String, serde_json::Value> = origins
            .iter()
            .map(|origin| (origin.setting.clone(), serde_json::json!({ "value": origin.value, "from": origin.from })))
            .collect();
        serde_json::to_writer_pretty(&mut *out, &all)?;
        return writeln!(out);
    }
    let mut table = Table::new(["setting", "value", "from"].map(report::text));
    for Origin { setting, value, from } in origins {
        table.push([setting.into(), value.as_deref().unwrap_or("-").into(), from.into()]);
    }
    writeln!(out, "{}", table.to_terminal())
}
