//! Runs `dateline classify` on valid and invalid input, and checks its answers, errors and exit statuses.

mod common;

use common::{ChildGuard, dateline, json_lines, project_path, run, sample_articles, stderr, stdout};
use serde_json::Value;
use std::io::{BufRead, BufReader, Write};

/// The codes of labels, optionally of those with one role.
fn codes<'v>(labels: &'v Value, role: Option<&str>) -> Vec<&'v str> {
    let labels = labels.as_array().expect("labels are a list");
    labels
        .iter()
        .filter(|label| role.is_none_or(|role| label["role"] == role))
        .map(|label| label["code"].as_str().expect("a code"))
        .collect()
}

#[test]
fn sample_articles_get_topics_and_regions() {
    let output = run(
        &[
            "classify",
            "--json",
            "examples/articles/flood.txt",
            "examples/articles/islamabad-visit.html",
            "examples/articles/wire.jsonl",
        ],
        b"",
    );
    assert!(output.status.success(), "{}", stderr(&output));
    let answers = json_lines(&output);
    let expected = [
        ("examples/articles/flood.txt", "medtop:03000000", "IT"),
        ("examples/articles/islamabad-visit.html", "medtop:11000000", "PK"),
        ("w-001", "medtop:04000000", "JP"),
        ("w-002", "medtop:15000000", "NG"),
        ("w-003", "medtop:13000000", "GF"),
        ("w-004", "medtop:02000000", "US"),
        ("w-005", "medtop:01000000", "FR"),
        ("w-006", "medtop:07000000", "CD"),
        ("w-007", "medtop:03000000", "CL"),
        ("w-008", "medtop:11000000", "NL"),
    ];
    assert_eq!(answers.len(), expected.len());
    for (answer, (id, topic, country)) in answers.iter().zip(expected) {
        assert_eq!(answer["id"], id);
        assert_eq!(codes(&answer["topics"], None).first(), Some(&topic), "{id}");
        assert_eq!(codes(&answer["regions"], Some("ABOUT")).first(), Some(&country), "{id}");
    }
}

#[test]
fn a_scraped_page_is_classified_without_its_boilerplate() {
    let page = std::fs::read_to_string(project_path("examples/articles/islamabad-visit.html"))
        .expect("the sample can be read");
    let output = run(&["classify", "--json", "--explain", "examples/articles/islamabad-visit.html"], b"");
    let answer = &json_lines(&output)[0];
    let about = codes(&answer["regions"], Some("ABOUT"));
    assert!(about.contains(&"PK") && about.contains(&"US"), "{about:?}");

    let range = |part: &Value| {
        let at = |key: &str| part[key].as_u64().expect("an offset") as usize;
        at("start")..at("end")
    };
    let removed: Vec<_> = answer["removed"].as_array().expect("a list").iter().map(range).collect();
    let removed_text: Vec<&str> = removed.iter().map(|range| &page[range.clone()]).collect();
    for boilerplate in ["Your Opinion Counts", "Share this article", "Related Articles", "Show More"] {
        assert!(removed_text.iter().any(|text| text.contains(boilerplate)), "{boilerplate} is removed");
    }
    let mut pieces = 0;
    for label in
        answer["topics"].as_array().expect("a list").iter().chain(answer["regions"].as_array().expect("a list"))
    {
        for evidence in label["evidence"].as_array().expect("evidence") {
            let (place, term) = (range(evidence), evidence["term"].as_str().expect("a term"));
            // A dateline is removed from the body, but is evidence of a region.
            let in_dateline =
                removed.iter().any(|part| part.contains(&place.start) && page[part.clone()].contains("(Reuters)"));
            let is_removed = removed.iter().any(|part| part.start < place.end && place.start < part.end);
            assert!(in_dateline || !is_removed, "{term} is in a removed part");
            assert_eq!(&page[place], term, "offsets point at the term");
            pieces += 1;
        }
    }
    assert!(pieces > 10);
}

#[test]
fn json_has_the_documented_shape() {
    let output =
        run(&["classify", "--json", "-"], b"{\"id\": \"x\", \"headline\": \"Parliament in Kenya passes budget\"}\n");
    let answer = &json_lines(&output)[0];
    let keys: Vec<&String> = answer.as_object().expect("an object").keys().collect();
    assert_eq!(keys, ["id", "topics", "subtopics", "regions", "language", "model_version", "notes"]);
    let topic = answer["topics"][0].as_object().expect("a topic");
    assert_eq!(topic.keys().collect::<Vec<_>>(), ["code", "name", "confidence", "decision"]);
    let region = answer["regions"][0].as_object().expect("a region");
    assert_eq!(region.keys().collect::<Vec<_>>(), ["code", "name", "confidence", "decision", "role", "path"]);
    assert_eq!(region["path"], serde_json::json!(["KE", "014", "002", "001"]));
    let confidence = topic["confidence"].as_f64().expect("a number");
    assert!((0.0..=1.0).contains(&confidence));
}

#[test]
fn options_limit_the_labels() {
    let article = b"{\"headline\": \"Kenya and Uganda sign trade deal, ministers say after talks on hospitals\"}";
    let count = |args: &[&str], key: &str| {
        let args = [&["classify", "--json"], args, &["-"]].concat();
        json_lines(&run(&args, article))[0][key].as_array().expect("a list").len()
    };
    assert_eq!(count(&["--max-labels", "1"], "topics"), 1);
    assert_eq!(count(&["--max-labels", "1"], "regions"), 1);
    assert_eq!(count(&["--min-confidence", "0"], "topics"), 17, "every topic of the model");
    assert_eq!(count(&["--min-confidence", "1"], "regions"), 0);
}

#[test]
fn thresholds_can_be_set() {
    let article = b"{\"headline\": \"Kenya and Uganda sign trade deal, ministers say after talks on hospitals\"}";
    let decisions = |args: &[&str]| {
        let answer = &json_lines(&run(&[&["classify", "--json"], args, &["-"]].concat(), article))[0];
        ["topics", "regions"].map(|key| answer[key][0]["decision"].as_str().expect("a decision").to_owned())
    };
    assert_eq!(decisions(&["--auto", "0"]), ["AUTO", "AUTO"]);
    assert_eq!(decisions(&["--auto", "1", "--review", "0"]), ["REVIEW", "REVIEW"]);
    assert_eq!(decisions(&["--auto", "1", "--review", "1"]), ["ABSTAIN", "ABSTAIN"]);
}

#[test]
fn notes_state_the_reason_of_an_abstention() {
    let reason = |text: &str, args: &[&str]| {
        let row = serde_json::json!({"body": text, "language": "en"}).to_string();
        let answer = &json_lines(&run(&[&["classify", "--json"], args, &["-"]].concat(), row.as_bytes()))[0];
        let notes: Vec<&str> = answer["notes"].as_array().expect("notes").iter().filter_map(Value::as_str).collect();
        notes.into_iter().find(|note| note.starts_with("topics: ABSTAIN")).unwrap_or("none").to_owned()
    };
    let always_abstain = ["--auto", "1", "--review", "1"];
    let sport = "The striker scored twice in the second half as the champions won the league match at home.";
    assert_eq!(reason(sport, &[]), "none");
    for (text, args, expected) in [
        ("He said so.", &always_abstain[..], "too short"),
        (sport, &always_abstain[..], "low confidence"),
        ("Zxq vbnm qwrtz plkj hgfd sdfg mnbvc zxcvq wrtp lkjhg fdsz xcvbn", &[], "knows no word"),
        ("Zxq vbnm qwrtz plkj hgfd sdfg league zxcvq wrtp lkjhg fdsz xcvbn", &[], "unlike anything seen"),
    ] {
        let note = reason(text, args);
        assert!(note.contains(expected), "{text}: {note}");
    }
}

#[test]
fn the_bundled_model_classifies_full_articles_on_all_seventeen_topics() {
    // 119 articles written for this test, seven per topic. Most topics have no full articles among the training rows.
    let output = run(&["evaluate", "--json", "--topics", "tests/data/articles.jsonl"], b"");
    let report: Value = serde_json::from_str(&stdout(&output)).expect("one JSON object");
    assert_eq!(report["topics"]["rows"], 119);
    let accuracy = report["topics"]["accuracy"].as_f64().expect("a number");
    assert!(accuracy >= 0.6, "{accuracy}");
}

#[test]
fn gzip_and_standard_input_are_read() {
    let plain = sample_articles(20);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(plain.as_bytes()).expect("the input can be compressed");
    let zipped = run(&["classify", "--json", "-"], &gzip.finish().expect("the input can be compressed"));
    let straight = run(&["classify", "--json"], plain.as_bytes());
    assert!(straight.status.success());
    assert_eq!(json_lines(&straight).len(), 20);
    assert_eq!(stdout(&zipped), stdout(&straight));
}

#[test]
fn an_answer_does_not_depend_on_the_other_articles() {
    let all = sample_articles(40);
    let together: Vec<String> =
        stdout(&run(&["classify", "--json"], all.as_bytes())).lines().map(str::to_owned).collect();
    for (line, answer) in all.lines().zip(&together).step_by(7) {
        assert_eq!(stdout(&run(&["classify", "--json"], line.as_bytes())).trim_end(), answer);
    }
}

#[test]
fn each_kind_of_invalid_input_has_its_own_answer() {
    let big = serde_json::json!({"id": "big", "body": "Rain fell in Kenya. ".repeat(550_000)}).to_string();
    let deep = serde_json::json!({"id": "deep", "format": "html", "body": format!("{}Floods hit Kenya.", "<div>".repeat(100_000))}).to_string();
    let good = "{\"id\": \"good\", \"body\": \"Floods hit Kenya.\"}";
    let cases: [(&str, &[u8], &str); 10] = [
        ("an empty article", b"{\"id\": \"e\"}", "the article has no text"),
        ("white space", b"{\"body\": \" \\n\\t \"}", "the article has no text"),
        ("10 MB", big.as_bytes(), "the limit is 2097152"),
        ("a cut line", b"{\"id\": \"cut\", \"body\": \"Floods in Ke", "the JSON object is cut off"),
        ("a list without articles", b"[1]", "not a JSON object"),
        ("a wrong type", b"{\"body\": 7}", "wrong type or value"),
        ("bytes that are not UTF-8", b"{\"body\": \"\xff\xfe\"}", "not"),
        (
            "Arabic",
            "{\"body\": \"قال الوزير يوم الاثنين إن الحكومة ستنشر التقرير كاملا في الأسبوع المقبل\"}".as_bytes(),
            "the language is ar",
        ),
        ("Chinese", "{\"body\": \"部长周一表示政府将公布报告全文\"}".as_bytes(), "the language is zh"),
        ("deep HTML", deep.as_bytes(), "\"code\":\"KE\""),
    ];
    for (name, line, expected) in cases {
        let input = [good.as_bytes(), b"\n", line, b"\n", good.as_bytes(), b"\n"].concat();
        let output = run(&["classify", "--json"], &input);
        let lines: Vec<String> = stdout(&output).lines().map(str::to_owned).collect();
        assert_eq!(lines.len(), 3, "{name}: one answer per line");
        assert!(lines[1].contains(expected), "{name}: {}", lines[1]);
        assert!(lines[2].starts_with("{\"id\":\"good\",\"topics\""), "{name}: the next line is classified");
        let status = if lines[1].contains("\"error\"") { 3 } else { 0 };
        assert_eq!(output.status.code(), Some(status), "{name}");
    }
}

#[test]
fn errors_name_the_invalid_files_and_the_other_files_are_classified() {
    let files = ["blank.txt", "binary.bin", "latin1.txt", "missing.txt", "unclosed.html", "arabic.txt", "cut.jsonl"];
    let paths: Vec<String> = files.iter().map(|name| format!("tests/data/hostile/{name}")).collect();
    let mut args = vec!["classify", "--json"];
    args.extend(paths.iter().map(String::as_str));
    args.push("tests/data");
    let output = run(&args, b"");
    assert_eq!(output.status.code(), Some(3));
    let answers = json_lines(&output);
    let outcomes: Vec<(&str, &str)> = answers
        .iter()
        .map(|answer| (answer["id"].as_str().expect("an id"), answer["error"]["message"].as_str().unwrap_or("ok")))
        .collect();
    let expected = [
        ("blank.txt", "no text"),
        ("binary.bin", "binary"),
        ("latin1.txt", "not UTF-8"),
        ("missing.txt", "no such file"),
        ("unclosed.html", "ok"),
        ("arabic.txt", "ok"),
        ("h1", "ok"),
        ("cut.jsonl:2", "cut off"),
        ("h3", "ok"),
        ("tests/data", "a folder"),
    ];
    assert_eq!(outcomes.len(), expected.len(), "{outcomes:?}");
    for ((id, message), (expected_id, part)) in outcomes.iter().zip(expected) {
        assert!(id.ends_with(expected_id) && message.contains(part), "{id}: {message}");
    }
    let arabic = &answers[5];
    assert_eq!(arabic["language"], "ar");
    assert!(arabic["notes"][0].as_str().expect("a note").starts_with("ABSTAIN"));
}

#[test]
fn exit_statuses_distinguish_failures() {
    let cases: [(&[&str], i32, &str); 8] = [
        (&["classify", "--model", "tests/data", "-"], 1, "tests/data: not a model folder"),
        (&["classify", "--server", "http://127.0.0.1:9", "-"], 1, "is `dateline serve` running there?"),
        (&["classify", "--server", "not a url", "-"], 2, "invalid server address"),
        (&["classify", "--server", "ftp://127.0.0.1:9", "-"], 2, "invalid server address ftp://127.0.0.1:9"),
        (&["classify", "--min-confidence", "7", "-"], 2, "from 0 to 1"),
        (&["serve", "--listen", "8080"], 2, "write ADDRESS:PORT"),
        (&["classify", "--no-such-flag"], 2, "unexpected argument"),
        (&["classify", "no-such-file.txt"], 3, "1 of 1 inputs could not be classified"),
    ];
    for (args, status, message) in cases {
        let output = run(args, b"{\"body\": \"Rain.\"}");
        assert_eq!(output.status.code(), Some(status), "{args:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(message), "{args:?}: {}", stderr(&output));
    }
}

#[test]
fn each_article_is_answered_before_the_next_is_sent() {
    let mut child = ChildGuard::spawn_piped(dateline().args(["classify", "--json", "-"]));
    let mut input = child.stdin.take().expect("the stream is piped");
    let mut answers = BufReader::new(child.stdout.take().expect("the stream is piped")).lines();
    for id in 0..5 {
        writeln!(input, "{{\"id\": \"{id}\", \"body\": \"Rain fell in Lisbon.\"}}")
            .expect("the command reads its input");
        let answer = answers.next().expect("an answer").expect("UTF-8");
        assert!(answer.starts_with(&format!("{{\"id\":\"{id}\"")), "{answer}");
    }
    drop(input);
    assert!(child.wait().success());
}

#[test]
fn a_closed_standard_output_ends_the_command_without_an_error() {
    let mut child = ChildGuard::spawn_piped(dateline().args(["classify", "--json", "-"]));
    drop(child.stdout.take());
    let mut stdin = child.stdin.take().expect("standard input is piped");
    let _ = stdin.write_all(sample_articles(2_000).as_bytes());
    drop(stdin);
    let output = child.wait_with_output();
    assert!(output.status.success());
    assert_eq!(stderr(&output), "");
}

#[test]
fn the_table_has_no_colours_without_a_terminal() {
    let output = run(&["classify", "--explain", "examples/articles/flood.txt"], b"");
    let text = stdout(&output);
    for part in [
        "topics   disaster, accident and emergency incident",
        "regions  Italy (IT)",
        "about",
        "AUTO",
        "Southern Europe",
        "dateline",
    ] {
        assert!(text.contains(part), "{part} is missing in\n{text}");
    }
    assert!(!text.contains('\u{1b}'), "no escape codes are printed");
}
