//! Checks which top-level modules import which, and the length of files.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// Each module, and the modules that it may import. ARCHITECTURE.md has the same table.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("article", &[]),
    ("geography", &[]),
    ("credentials", &[]),
    ("document", &["article"]),
    ("clean", &["article", "document", "geography"]),
    ("text", &["article", "document"]),
    ("copies", &["text"]),
    ("linear", &[]),
    ("topic", &["article", "document", "linear", "text"]),
    ("region", &["article", "document", "geography", "linear", "text"]),
    ("model", &["article", "clean", "document", "linear", "region", "text", "topic"]),
    ("formats", &["article", "geography"]),
    ("train", &["article", "copies", "document", "formats", "geography", "linear", "model", "region", "text", "topic"]),
    ("report", &["article", "formats", "geography", "model", "region", "text", "topic", "train"]),
    ("wire", &["article", "credentials"]),
    ("live", &["article", "model"]),
    ("observe", &[]),
    ("web", &["article", "formats", "geography", "wire"]),
    ("service", &["article", "credentials", "formats", "geography", "live", "model", "observe", "web", "wire"]),
    ("relay", &["article", "copies", "credentials", "formats", "geography", "live", "model", "observe", "wire"]),
    (
        "cli",
        &[
            "article",
            "copies",
            "credentials",
            "document",
            "formats",
            "geography",
            "live",
            "model",
            "observe",
            "relay",
            "report",
            "service",
            "train",
            "wire",
        ],
    ),
];

/// The most lines of a file.
const MAX_LINES: usize = 500;

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The path and the text of each source file.
fn files() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    sources(&root.join("src"), &mut found);
    found.sort();
    let of_path = |path: PathBuf| {
        let name = path.strip_prefix(root).expect("below the project").to_str().expect("UTF-8").replace('\\', "/");
        (name, fs::read_to_string(&path).expect("a source"))
    };
    found.into_iter().map(of_path).collect()
}

/// The code without comments and unit tests, which may import anything.
fn code(source: &str) -> String {
    let without_tests = source.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
    let lines = without_tests.lines().map(|line| line.split("//").next().unwrap_or_default());
    lines.collect::<Vec<_>>().join("\n")
}

/// The first name after each `crate::`, also within braces.
fn imports(code: &str) -> BTreeSet<String> {
    let name = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let mut found = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        let Some(list) = rest.strip_prefix('{') else {
            found.insert(name(rest));
            continue;
        };
        let mut depth = 0;
        let mut begins = true;
        for (i, c) in list.char_indices() {
            match c {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => begins = true,
                c if begins && !c.is_whitespace() => {
                    found.insert(name(&list[i..]));
                    begins = false;
                }
                _ => {}
            }
        }
    }
    found
}

#[test]
fn no_module_imports_one_above_it() {
    let mut wrong = Vec::new();
    let mut seen = BTreeSet::new();
    for (path, source) in files() {
        let module = path["src/".len()..].split(['/', '.']).next().unwrap_or_default().to_owned();
        if matches!(module.as_str(), "lib" | "main") {
            continue;
        }
        let Some((_, may)) = MAY_IMPORT.iter().find(|(name, _)| *name == module) else {
            wrong.push(format!("{path}: the table has no module {module}"));
            continue;
        };
        let is_module = |name: &&String| MAY_IMPORT.iter().any(|(module, _)| module == name);
        for import in imports(&code(&source)).iter().filter(is_module).filter(|import| **import != module) {
            seen.insert((module.clone(), import.clone()));
            if !may.contains(&import.as_str()) {
                wrong.push(format!("{path} imports {import}, which {module} may not"));
            }
        }
    }
    for (module, may) in MAY_IMPORT {
        let unused = may.iter().filter(|import| !seen.contains(&((*module).to_owned(), (**import).to_owned())));
        wrong.extend(unused.map(|import| format!("the table lets {module} import {import}, and it does not")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_table_is_in_order_without_cycles() {
    for (i, (module, may)) in MAY_IMPORT.iter().enumerate() {
        for import in *may {
            let at = MAY_IMPORT.iter().position(|(name, _)| name == import);
            assert!(at.is_some_and(|at| at < i), "{module} imports {import}, which comes after it");
        }
    }
}

#[test]
fn imports_are_found_in_all_their_forms() {
    let source = "use crate::{\n    article::{self, Article},\n    text,\n};\nlet a = crate::model::open(); // crate::no\n\
                  #[cfg(test)]\nmod tests {\n    use crate::cli;\n}";
    assert_eq!(imports(&code(source)), BTreeSet::from(["article", "model", "text"].map(str::to_owned)));
}

#[test]
fn files_are_short() {
    let mut wrong = Vec::new();
    for (path, source) in files() {
        let lines = source.lines().count();
        if lines > MAX_LINES {
            wrong.push(format!("{path} has {lines} lines, the maximum is {MAX_LINES}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
