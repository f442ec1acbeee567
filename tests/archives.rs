//! Archives as they are: what `dateline train`, `--check` and `evaluate` say of odd files, rows, labels and corrections.

mod common;

use common::{TempDir, run, stderr, stdout, utf8};
use std::{fs, process::Output};

/// The texts and labels of the tests' own archive.
fn rows() -> Vec<serde_json::Value> {
    let text = fs::read_to_string(common::project_path("tests/data/topics.jsonl")).expect("the file can be read");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

fn body(row: &serde_json::Value) -> &str {
    row["body"].as_str().expect("a body")
}

fn topic(row: &serde_json::Value) -> &str {
    row["topics"][0].as_str().expect("a topic")
}

/// The archive as a table.
fn table(end: &str, cell: impl Fn(&str) -> String) -> String {
    let lines = rows().iter().map(|row| format!("{},{}", cell(body(row)), topic(row))).collect::<Vec<_>>();
    format!("body,topics{end}{}{end}", lines.join(end))
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

fn check(args: &[&str]) -> Output {
    run(&[&["train", "--check", "--topics"], args].concat(), b"")
}

/// The result of `--check --json`.
fn checked(args: &[&str]) -> serde_json::Value {
    let output = check(&[args, &["--json"]].concat());
    serde_json::from_str(&stdout(&output)).unwrap_or_else(|_| panic!("{}", stderr(&output)))
}

fn warns(report: &serde_json::Value, of: &str) -> bool {
    report["warnings"].as_array().expect("warnings").iter().any(|warning| warning.as_str().expect("text").contains(of))
}

#[test]
fn a_missing_quote_ends_the_run_with_the_line_where_it_opened() {
    let folder = TempDir::new();
    let mut lines: Vec<String> = table("\r\n", quoted).split("\r\n").map(str::to_owned).collect();
    // The closing quote of the last row is lost.
    let last = lines.len() - 2;
    lines[last] = lines[last].replacen("\",", ",", 1);
    let file = folder.write("cut.csv", lines.join("\r\n"));
    let output = check(&[&file]);
    assert_eq!(output.status.code(), Some(3), "{}", stdout(&output));
    let place = format!("cut.csv:{}: the quote that opens in this line is never closed", last + 1);
    assert!(stderr(&output).contains(&place), "{}", stderr(&output));
}

#[test]
fn html_and_character_references_in_a_table_are_not_learned_as_words() {
    let folder = TempDir::new();
    let html = |text: &str| quoted(&format!("<div class=\"section-sport\"><p>{text}</p></div>"));
    for (name, cell) in [
        ("tags.csv", &html as &dyn Fn(&str) -> String),
        ("references.csv", &|text| quoted(&format!("&lt;p&gt;{text} &quot;yes&quot;&lt;/p&gt;"))),
    ] {
        let file = folder.write(name, table("\n", cell));
        assert!(warns(&checked(&[&file]), "they are read as HTML"), "{name}");
        let out = folder.join(&format!("model-{name}"));
        let output = run(&["train", "--topics", &file, "--out", utf8(&out)], b"");
        assert!(output.status.success() && stderr(&output).contains("read as HTML"), "{}", stderr(&output));
        let report = folder.arg("report.html");
        let output = run(&["evaluate", "--topics", &file, "--model", utf8(&out), "--report", &report], b"");
        assert!(output.status.success(), "{}", stderr(&output));
        let manifest = fs::read_to_string(out.join("MODEL_CARD.md")).expect("a card");
        for word in ["| lt", "quot", "div", "class"] {
            assert!(!manifest.contains(&format!(" {word} ")), "{word}");
        }
    }
    // Stated formats have priority.
    let file = folder.write("stated.csv", table("\n", |text| quoted(&format!("<p>{text}</p>"))));
    assert!(!warns(&checked(&[&file, "--format", "html"]), "HTML"));
    let with_format = table("\n", |text| format!("text,{}", quoted(&format!("<p>{text}</p>")))).replacen(
        "body,topics",
        "format,body,topics",
        1,
    );
    let file = folder.write("column.csv", with_format);
    assert!(!warns(&checked(&[&file]), "HTML"));
}

#[test]
fn tables_are_read_in_the_forms_that_programs_write() {
    let folder = TempDir::new();
    let semicolons = table("\r\n", quoted).replace("\",", "\";").replacen("body,", "body;", 1);
    let wide: Vec<u8> = format!("\u{FEFF}{semicolons}").encode_utf16().flat_map(u16::to_le_bytes).collect();
    let single =
        rows().iter().map(|row| format!("{};'{}'\n", topic(row), body(row).replace('\'', "''"))).collect::<String>();
    let bars = rows().iter().map(|row| format!("{}|{}\n", topic(row), body(row).replace('|', "/"))).collect::<String>();
    let files: [(&str, Vec<u8>, &[&str]); 4] = [
        ("excel.csv", format!("sep=;\r\n{semicolons}").into_bytes(), &[]),
        ("wide.csv", wide, &[]),
        ("single.csv", single.into_bytes(), &["--quote", "'", "--delimiter", ";", "--columns", "topics=1,body=2"]),
        ("bars.csv", bars.into_bytes(), &["--delimiter", "|", "--columns", "topics=1,body=2"]),
    ];
    let words = |report: &serde_json::Value| (report["topics"]["rows"].clone(), report["topics"]["words"].clone());
    let expected = words(&checked(&[&folder.write("plain.csv", table("\n", quoted))]));
    assert_eq!(expected.0, rows().len());
    for (name, bytes, args) in files {
        let report = checked(&[&[&*folder.write(name, bytes)], args].concat());
        assert_eq!(words(&report), expected, "{name}");
    }
    let unnamed = folder.write("unnamed.csv", table("\n", quoted).replacen("topics", "Ressort", 1));
    let output = check(&[&unnamed]);
    let message = "the columns, separated by \",\", are body, Ressort";
    assert!(stderr(&output).contains(message) && !stderr(&output).contains("{\"body\""), "{}", stderr(&output));
}

#[test]
fn several_labels_are_written_in_one_way() {
    let folder = TempDir::new();
    let json = rows()
        .iter()
        .map(|row| {
            serde_json::json!({ "body": body(row), "topics": [format!("{}|more; other", topic(row))] }).to_string()
                + "\n"
        })
        .collect::<String>();
    let from_json = checked(&[&folder.write("a.jsonl", json)]);
    let csv =
        rows().iter().map(|row| format!("{},{}|more; other\n", quoted(body(row)), topic(row))).collect::<String>();
    let from_csv = checked(&[&folder.write("a.csv", format!("body,topics\n{csv}"))]);
    assert_eq!(from_json["topics"]["labels"], from_csv["topics"]["labels"]);
    assert_eq!(from_json["topics"]["labels"]["other"], rows().len());
}

#[test]
fn countries_are_known_by_code_and_name_and_others_listed() {
    let folder = TempDir::new();
    let text = fs::read_to_string(common::project_path("tests/data/regions.jsonl")).expect("the file can be read");
    let other = |code: &str, i: usize| match (code, i % 3) {
        ("KE", 0) => "Kenya".to_owned(),
        ("KE", 1) => "KEN".to_owned(),
        ("GB", _) => "UK".to_owned(),
        _ => code.to_owned(),
    };
    let mut lines = String::new();
    for (i, line) in text.lines().enumerate() {
        let mut row: serde_json::Value = serde_json::from_str(line).expect("JSON");
        let codes: Vec<String> = row["regions"]
            .as_array()
            .expect("codes")
            .iter()
            .map(|code| other(code.as_str().expect("a code"), i))
            .collect();
        row["regions"] = serde_json::json!(codes);
        lines += &format!("{row}\n");
    }
    let same = |file: &str| {
        let output = run(&["train", "--regions", file, "--check", "--json"], b"");
        let report: serde_json::Value =
            serde_json::from_str(&stdout(&output)).unwrap_or_else(|_| panic!("{}", stderr(&output)));
        report["regions"]["labels"].clone()
    };
    let named = same(&folder.write("named.jsonl", &lines));
    assert_eq!(named, same(&folder.write("codes.jsonl", text)));
    lines += "{\"body\": \"Rain fell.\", \"regions\": [\"150\"]}\n{\"body\": \"Snow fell.\", \"regions\": [\"KE\", \"150\"]}\n";
    let output = run(&["train", "--regions", &folder.write("unknown.jsonl", lines), "--check"], b"");
    assert!(
        stderr(&output).contains("region that is no country") && stderr(&output).contains("150"),
        "{}",
        stderr(&output)
    );
    let europe = folder.write("europe.jsonl", "{\"body\": \"Rain fell.\", \"regions\": [\"150\"]}\n");
    let output = run(&["train", "--regions", &europe, "--check"], b"");
    assert_eq!(output.status.code(), Some(3));
    assert!(stderr(&output).contains("\"150\" (1)"), "{}", stderr(&output));
}

#[test]
fn a_check_finds_what_ends_a_training() {
    let folder = TempDir::new();
    let one_topic = rows().iter().map(|row| format!("{},sport\n", quoted(body(row)))).collect::<String>();
    let topics = folder.write("one.csv", format!("body,topics\n{one_topic}"));
    // No article names its country.
    let nowhere = (0..60)
        .map(|i| {
            serde_json::json!({ "body": format!("The team of day {i} won again in the rain."), "regions": ["KE"] })
                .to_string()
                + "\n"
        })
        .collect::<String>();
    let regions = folder.write("nowhere.jsonl", nowhere);
    for (option, file, reason) in [
        ("--topics", &topics, "at least two different topics"),
        ("--regions", &regions, "the regions cannot be learned"),
    ] {
        let output = run(&["train", option, file, "--check"], b"");
        assert_eq!(output.status.code(), Some(3), "{}", stdout(&output));
        assert!(
            stderr(&output).contains("a training would end with") && stderr(&output).contains(reason),
            "{}",
            stderr(&output)
        );
        let output = run(&["train", option, file, "--out", &folder.arg("out")], b"");
        assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
        assert!(stderr(&output).contains(reason), "{}", stderr(&output));
    }
}

#[test]
fn repeated_ids_long_texts_and_dates_in_the_future_are_reported() {
    let folder = TempDir::new();
    let mut lines = String::new();
    for (i, row) in rows().iter().enumerate() {
        let long = if i == 3 { format!("{} {}", body(row), "and so on ".repeat(30_000)) } else { body(row).to_owned() };
        let published = if i == 5 { "2999-01-01".to_owned() } else { format!("2024-01-{:02}", i % 28 + 1) };
        let id = (i % 100).to_string();
        lines += &format!(
            "{}\n",
            serde_json::json!({ "id": id, "body": long, "topics": row["topics"], "published": published })
        );
    }
    let file = folder.write("a.jsonl", lines);
    let report = checked(&[&file]);
    assert_eq!(report["topics"]["repeated_ids"], rows().len() - 100);
    assert_eq!(
        report["topics"]["first_repeated_id"].as_str().expect("a place").rsplit_once(':').expect("a line").1,
        "101"
    );
    for of in ["have the id of an earlier row", "a text of more than 200,000 bytes", "dated in the future"] {
        assert!(warns(&report, of), "{of}: {report}");
    }
    // The article of the future is not the newest.
    let output = run(&["train", "--topics", &file, "--hold-out", "0.2", "--out", &folder.arg("out"), "--json"], b"");
    let summary: serde_json::Value = serde_json::from_str(&stdout(&output)).expect("JSON");
    assert!(summary["held_out"]["topics"]["from"].as_str().is_some_and(|from| from.starts_with("2024-")), "{summary}");
    let report = checked(&[&file, "--last-day", "2024-01-10"]);
    assert!(report["left_out"]["future"].as_u64().expect("a number") > 100, "{}", report["left_out"]);
}

#[test]
fn test_rows_with_topics_that_the_model_lacks_are_counted() {
    let folder = TempDir::new();
    let (mut known, mut test) = (String::new(), String::new());
    for (i, row) in rows().iter().enumerate() {
        let line = row.to_string() + "\n";
        if i % 4 == 0 { test += &line } else { known += &line }
    }
    test += "{\"body\": \"A museum of chess opened.\", \"topics\": [\"chess\"]}\n";
    let (known, test) = (folder.write("known.jsonl", known), folder.write("test.jsonl", test));
    let out = folder.arg("model");
    let output = run(&["train", "--topics", &known, "--test", &test, "--out", &out], b"");
    let message = "the model lacks topics of these rows, which count as wrong (chess 1); without these rows: 60 rows";
    assert!(stdout(&output).contains(message), "{}", stdout(&output));
    let output = run(&["evaluate", "--topics", &test, "--model", &out], b"");
    assert!(stdout(&output).contains(message), "{}", stdout(&output));
    let output = run(&["evaluate", "--topics", &test, "--model", &out, "--json"], b"");
    let report: serde_json::Value = serde_json::from_str(&stdout(&output)).expect("JSON");
    assert_eq!(
        (&report["unknown_topics"]["chess"], &report["topics_of_known_labels"]["rows"]),
        (&1.into(), &60.into())
    );
}

#[test]
fn a_model_in_service_that_learned_the_test_file_is_reported_and_the_list_names_its_own_rows() {
    let folder = TempDir::new();
    let (mut first, mut second) = (String::new(), String::new());
    for (i, row) in rows().iter().enumerate() {
        let line = row.to_string() + "\n";
        if i % 2 == 0 { first += &line } else { second += &line }
    }
    let (first, second) = (folder.write("first.jsonl", first), folder.write("second.jsonl", second));
    let live = folder.arg("live");
    let output = run(&["train", "--topics", &first, "--promote", &live, "--hold-out", "0.1"], b"");
    assert!(output.status.success(), "{}", stderr(&output));
    let output = run(&["train", "--topics", &second, "--test", &first, "--promote", &live, "--tolerance", "1"], b"");
    assert!(stdout(&output).contains("was trained on the test file first.jsonl"), "{}", stdout(&output));
    let output = run(&["models", "list", &live], b"");
    assert!(stdout(&output).contains("rows of topics") && stdout(&output).contains("bundled"), "{}", stdout(&output));
}

#[test]
fn languages_belong_to_each_half_of_a_model() {
    let folder = TempDir::new();
    let german = rows()
        .iter()
        .map(|row| serde_json::json!({ "body": body(row), "topics": row["topics"] }).to_string() + "\n")
        .collect::<String>();
    let out = folder.arg("model");
    let file = folder.write("german.jsonl", german);
    let output = run(&["train", "--topics", &file, "--language", "de", "--out", &out], b"");
    assert!(output.status.success(), "{}", stderr(&output));
    let article = "{\"body\": \"Das Parlament in Nairobi hat am Dienstag nach langer Debatte den Haushalt beschlossen, sagte die \
                   Regierung von Kenia.\", \"language\": \"de\"}\n";
    let output = run(&["classify", "--json", "--model", &out, &folder.write("a.jsonl", article)], b"");
    let answer: serde_json::Value = serde_json::from_str(&stdout(&output)).expect("JSON");
    let decisions = |part: &str| -> Vec<String> {
        let labels = answer[part].as_array().map(Vec::as_slice).unwrap_or_default();
        labels.iter().map(|label| label["decision"].as_str().unwrap_or_default().to_lowercase()).collect()
    };
    assert!(decisions("regions").iter().all(|decision| decision == "abstain"), "{answer}");
    let notes = answer["notes"].to_string();
    assert!(notes.contains("regions were trained on en") && !notes.contains("topics were"), "{answer}");
}

#[test]
fn corrections_without_a_text_and_repeated_ones_are_counted() {
    let folder = TempDir::new();
    let archive = rows()
        .iter()
        .enumerate()
        .map(|(i, row)| {
            serde_json::json!({ "id": format!("a{i}"), "body": body(row), "topics": row["topics"] }).to_string() + "\n"
        })
        .collect::<String>();
    let archive = folder.write("archive.jsonl", archive);
    let other = topic(&rows()[1]).to_owned();
    let corrections = [
        serde_json::json!({ "id": "a0", "topics": [other] }),
        serde_json::json!({ "id": "nobody", "topics": [other] }),
        serde_json::json!({ "id": "a3", "body": "Quite another story about a bridge.", "topics": [other] }),
        serde_json::json!({ "id": "new", "body": body(&rows()[5]).to_uppercase(), "topics": [other] }),
        serde_json::json!({ "id": "new", "body": body(&rows()[5]), "topics": [other] }),
    ];
    let lines = corrections.map(|row| row.to_string() + "\n").concat();
    let file = folder.write("corrections.jsonl", lines);
    let left_out = |more: &[&str]| checked(&[&[&*archive, "--corrections", &file], more].concat())["left_out"].clone();
    let found = left_out(&[]);
    for (field, count) in
        [("corrected", 2), ("superseded_corrections", 1), ("unmatched_corrections", 1), ("clashing_corrections", 1)]
    {
        assert_eq!(found[field], count, "{field}: {found}");
    }
    let found = left_out(&["--correct-by-id"]);
    assert_eq!((&found["corrected"], &found["clashing_corrections"]), (&3.into(), &0.into()), "{found}");
}
