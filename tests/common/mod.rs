//! Helpers of the end-to-end tests: the `dateline` program, servers, temporary directories, and sample articles.
#![allow(dead_code, unused_imports)] // each test file compiles this module anew and uses a part of it

pub mod broker;
pub mod certificates;
mod command;
mod external;
#[cfg(feature = "kafka")]
pub mod kafka;
mod metrics;
mod process;
pub mod proxy;
mod server;
mod temp_dir;
pub mod web;

pub use command::{dateline, dateline_in_project, json_lines, printed, run, stderr, stdout, succeed};
pub use external::{build_dir, is_installed, npm_package, virtual_environment};
pub use metrics::{http_get, sample};
pub use process::{ChildGuard, LoggedProcess};
pub use server::{
    Client, Server, channel, classify_all, client, end_status, health, model_version, next_answer, open_stream,
    read_until_status, request,
};
pub use temp_dir::{TempDir, utf8};

use dateline::Model;
use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// The path of a file or directory of the project.
pub fn project_path(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The version of the model in a directory.
pub fn version_of(folder: impl AsRef<Path>) -> String {
    Model::load(folder.as_ref()).expect("the model loads").version().to_owned()
}

/// Polls a condition until it holds; fails after thirty seconds.
pub async fn wait_until(what: &str, condition: impl AsyncFn() -> bool) {
    let begun = Instant::now();
    while !condition().await {
        assert!(begun.elapsed() < Duration::from_secs(30), "not within thirty seconds: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// `count` different short articles as JSON Lines, some of them HTML, with datelines, or without a body.
pub fn sample_articles(count: usize) -> String {
    let places = ["Nairobi", "Lima", "Oslo", "Hanoi", "Warsaw", "Dakar", "Quito", "Manila"];
    let events = [
        "parliament passed the budget by two votes after a long debate",
        "the home side won the cup final on penalties before a full stadium",
        "an earthquake damaged houses and cut the road to the coast",
        "the central bank raised interest rates as inflation climbed",
        "a new vaccine halved infections in a trial, doctors said",
        "police arrested four men over a bank robbery",
    ];
    let mut lines = String::new();
    for i in 0..count {
        let (place, event) = (places[i % places.len()], events[i % events.len()]);
        let row = match i % 4 {
            0 => {
                serde_json::json!({"id": format!("a{i}"), "headline": format!("Report {i} from {place}"), "body": format!("In {place} {event}.")})
            }
            1 => {
                serde_json::json!({"id": format!("a{i}"), "body": format!("{} (Reuters) - On day {i} {event}.", place.to_uppercase())})
            }
            2 => {
                serde_json::json!({"id": format!("a{i}"), "format": "html", "body": format!("<h1>News {i} &amp; more</h1><p>{place}: {event}.</p><p>Share this article</p>")})
            }
            _ => {
                serde_json::json!({"id": format!("a{i}"), "headline": format!("{place}: {event}"), "dateline": place, "source_country": "KE"})
            }
        };
        lines.push_str(&(row.to_string() + "\n"));
    }
    lines
}
