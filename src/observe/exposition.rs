//! The text format of metrics.

use prometheus_client::{encoding::text::encode, registry::Registry};
use std::collections::BTreeSet;

/// Registries in the text format of Prometheus (0.0.4), which every monitor reads.
///
/// # Errors
/// Where a label cannot be written.
pub fn text_of(registries: &[Registry]) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    for registry in registries {
        encode(&mut text, registry)?;
    }
    Ok(without_open_metrics(&text))
}

/// The same metrics in the older format: counters are described by the names of their samples, and there is no unit and no
/// end mark.
fn without_open_metrics(text: &str) -> String {
    let counters: BTreeSet<&str> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.strip_suffix(" counter")).collect();
    let mut older = String::with_capacity(text.len());
    for line in text.lines() {
        let mut words = line.splitn(4, ' ');
        match (words.next(), words.next(), words.next(), words.next()) {
            (Some("#"), Some(what @ ("HELP" | "TYPE")), Some(name), Some(rest)) => {
                let total = if counters.contains(name) { "_total" } else { "" };
                older.push_str(&format!("# {what} {name}{total} {rest}\n"));
            }
            (Some("#"), ..) => {}
            _ => {
                older.push_str(line);
                older.push('\n');
            }
        }
    }
    older
}
