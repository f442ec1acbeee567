//! The Prometheus text format.

use prometheus_client::{encoding::text, registry::Registry};
use std::collections::BTreeSet;

/// Encodes registries in the Prometheus text format, version 0.0.4.
///
/// # Errors
/// If a label cannot be encoded.
pub fn encode(registries: &[Registry]) -> Result<String, std::fmt::Error> {
    let mut encoded = String::new();
    for registry in registries {
        text::encode(&mut encoded, registry)?;
    }
    Ok(without_open_metrics(&encoded))
}

/// Converts OpenMetrics, the crate's format: HELP and TYPE lines of counters get the suffix `_total`, UNIT lines and the final EOF
/// line are dropped.
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
