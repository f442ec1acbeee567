//! Documentation that names tests names existing ones.

use std::{fs, path::Path};

/// Each `file::test` in docs/guarantees.md is a test in `tests/file.rs`.
#[test]
fn the_guarantees_name_existing_tests() {
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(project.join("docs/guarantees.md")).expect("the file can be read");
    let mut named = 0;
    for (file, test) in text.split('`').skip(1).step_by(2).filter_map(|code| code.split_once("::")) {
        if file == "file" {
            continue;
        }
        let source = fs::read_to_string(project.join("tests").join(file).with_extension("rs"));
        let source = source.unwrap_or_else(|error| panic!("{file}::{test}: {error}"));
        assert!(source.contains(&format!("fn {test}() {{")), "{file}::{test} does not exist");
        named += 1;
    }
    assert!(named > 50, "{named}");
    // Rows of two cells are those of promises.
    let rows = text.lines().filter(|line| line.starts_with("| ") && line.matches('|').count() == 3);
    for row in rows.filter(|row| !row.starts_with("| promise") && !row.starts_with("| ---")) {
        assert!(row.split('|').nth(2).is_some_and(|proof| proof.contains('`')), "no proof: {row}");
    }
}
