//! `dateline label`: offers articles, takes labels, goes on where it ended, and measures what labels are worth.

mod common;

use common::{TempDir, project_path, run, sample_articles, stderr, stdout};
use serde_json::Value;
use std::fs;

/// The rows of a file.
fn rows(path: &str) -> Vec<Value> {
    let text = fs::read_to_string(path).expect("the file can be read");
    text.lines().map(|line| serde_json::from_str(line).expect("a row")).collect()
}

#[test]
fn labels_are_written_at_once_and_a_later_run_goes_on() {
    let folder = TempDir::new();
    let pool = folder.write("pool.jsonl", sample_articles(40));
    let out = folder.arg("labels.jsonl");
    let args = ["label", &pool, "--out", &out, "--count", "4", "--countries"];
    // The best topic, with its countries; a wrong number, then two topics, for no country; one to be taken back; a skipped one.
    let output = run(&args, b"\n\n99\n2 1\n-\nsport\nKenya, nowhere\nKE TZ\nu\ns\ns\n");
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stderr(&output).contains("no topic has this number"), "{}", stderr(&output));
    assert!(stderr(&output).contains("unknown country nowhere"), "{}", stderr(&output));
    assert!(stdout(&output).contains("2 articles labelled"), "{}", stdout(&output));
    let first = rows(&out);
    assert_eq!(first.len(), 2);
    assert_eq!(first[1]["topics"].as_array().map(Vec::len), Some(2));
    assert_eq!((&first[1]["regions"], &first[1]["how"]), (&serde_json::json!([]), &serde_json::json!("selected")));
    // The input ends: what was labelled is there.
    let output = run(&["label", &pool, "--out", &out, "--count", "40"], b"\n\n\n");
    assert!(output.status.success(), "{}", stderr(&output));
    let all = rows(&out);
    assert_eq!((all.len(), &all[..2]), (5, &first[..]));
    let mut ids: Vec<&str> = all.iter().map(|row| row["id"].as_str().expect("an id")).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 5, "no article is offered twice");
    let trained = folder.arg("model");
    let archive = project_path("tests/data/topics.jsonl");
    let archive = archive.to_str().expect("UTF-8");
    let output = run(&["train", "--json", "--topics", archive, &out, "--out", &trained], b"");
    assert!(output.status.success(), "{}", stderr(&output));
    let broken = folder.write("broken.jsonl", "{\"id\": ");
    let output = run(&["label", &pool, "--out", &broken], b"");
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    assert!(stderr(&output).contains("mend this row first"), "{}", stderr(&output));
}

#[test]
fn the_gain_of_labels_is_measured_on_the_same_test_rows() {
    let folder = TempDir::new();
    let text = fs::read_to_string(project_path("tests/data/topics.jsonl")).expect("the rows can be read");
    let all: Vec<&str> = text.lines().collect();
    let file = |name: &str, rows: &[&str]| folder.write(name, rows.join("\n"));
    let (archive, labels, test) =
        (file("a.jsonl", &all[..80]), file("l.jsonl", &all[80..160]), file("t.jsonl", &all[160..]));
    let output = run(&["label", "--gain", "--topics", &archive, "--test", &test, "--out", &labels], b"");
    assert!(output.status.success(), "{}", stderr(&output));
    let table = stdout(&output);
    let cells = |name: &str| -> Vec<String> {
        let row = table.lines().find(|line| line.contains(name)).unwrap_or_else(|| panic!("{name} in\n{table}"));
        row.split(['│', '┆']).map(|cell| cell.trim().to_owned()).collect()
    };
    let (without, with) = (cells("without the labels"), cells("with them"));
    assert_eq!(
        (&without[2..4], &with[2..4]),
        (&["80", "80"].map(str::to_owned)[..], &["160", "80"].map(str::to_owned)[..])
    );
    let micro_f1 = |cells: &[String]| cells[4].parse::<f64>().expect("a number");
    assert!(micro_f1(&with) >= micro_f1(&without), "{table}");
}
