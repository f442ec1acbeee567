//! Retraining on a newsroom's archives: formats, checks, corrections, test sets, promotion and rollback, reports, and failures.
#![cfg(unix)]

mod common;

use common::{
    ChildGuard, Client, Server, TempDir, client, dateline, dateline_in_project, model_version, project_path, request,
    run, stderr, stdout, utf8, version_of, wait_until,
};
use dateline::{Article, Model, Options};
use std::{
    fs,
    io::Write,
    path::Path,
    process::{Command, Output, Stdio},
    time::Duration,
};

const TOPICS: &str = "tests/data/topics.jsonl";

/// The rows of [`TOPICS`].
fn rows() -> Vec<serde_json::Value> {
    let text = fs::read_to_string(project_path(TOPICS)).expect("the rows can be read");
    text.lines().map(|line| serde_json::from_str(line).expect("a row")).collect()
}

/// Rows as JSON Lines.
fn lines(rows: &[serde_json::Value]) -> String {
    rows.iter().map(|row| format!("{row}\n")).collect()
}

/// A text field of a row; empty if absent.
fn text<'r>(row: &'r serde_json::Value, field: &str) -> &'r str {
    row[field].as_str().unwrap_or_default()
}

/// The first half of the rows for training, the second for testing. The labels are evenly spread over the rows.
fn halves() -> (Vec<serde_json::Value>, Vec<serde_json::Value>) {
    let mut training = rows();
    let test = training.split_off(training.len() / 2);
    (training, test)
}

/// Runs `dateline train --json` with more arguments.
fn train(args: &[&str]) -> Output {
    run(&[&["train", "--json"], args].concat(), b"")
}

/// The summary of a run that must succeed.
fn summary(output: &Output) -> serde_json::Value {
    assert!(output.status.success(), "{}", stderr(output));
    serde_json::from_str(&stdout(output)).expect("JSON")
}

/// The topic codes of a model.
fn topics_of(folder: &str) -> Vec<String> {
    let model = Model::load(Path::new(folder)).expect("the model loads");
    model.topics().topics().iter().map(|topic| topic.code.to_string()).collect()
}

#[test]
fn archives_are_read_in_many_formats() {
    let folder = TempDir::new();
    let rows = rows();
    for (i, row) in rows.iter().enumerate() {
        let label = row["topics"][0].as_str().expect("a topic");
        let body = format!("{}\n\n{} Caf\u{e9}", text(row, "headline"), text(row, "body"));
        // Encoded as windows-1252.
        let bytes: Vec<u8> = body.chars().map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?')).collect();
        folder.write(&format!("archive/{label}/{i}"), bytes);
    }
    let mut table = String::from("Nummer;Titel;Inhalt;Ressort\n");
    let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
    for (i, row) in rows.iter().enumerate() {
        let section = format!("Section {}", row["topics"][0].as_str().expect("a topic"));
        let cells = [&i.to_string(), &quoted(text(row, "headline")), &quoted(text(row, "body")), &section];
        table.push_str(&(cells.map(String::as_str).join(";") + "\n"));
    }
    table.push_str("x;y;z;Horoscope\nx;y;z;Advert\n");
    let table = folder.write("archive.csv", &table);
    let mut map = String::from("section,code\nadvert,\n");
    let mut labels: Vec<&str> = rows.iter().map(|row| row["topics"][0].as_str().expect("a topic")).collect();
    labels.sort_unstable();
    labels.dedup();
    labels.iter().for_each(|label| map.push_str(&format!("section {label},{label}\n")));
    let map = folder.write("map.csv", &map);

    let (archive, out) = (folder.arg("archive"), folder.arg("model"));
    let output = summary(&train(&["--topics", &archive, "--encoding", "windows-1252", "--out", &out]));
    assert_eq!(topics_of(&out), labels);
    assert_eq!(output["left_out"]["bad"], serde_json::json!([]));
    let utf8 = train(&["--topics", &archive, "--out", &out]);
    assert_eq!(utf8.status.code(), Some(3), "all files are invalid");
    assert!(stderr(&utf8).contains("not UTF-8 at byte"), "{}", stderr(&utf8));
    assert!(stderr(&utf8).contains("--encoding windows-1252"), "{}", stderr(&utf8));

    let columns = ["--columns", "id=Nummer,headline=Titel,body=Inhalt,topics=Ressort", "--map", &map];
    let output = train(&[&["--topics", &table, "--out", &out], &columns[..]].concat());
    assert!(stderr(&output).contains("Horoscope"), "{}", stderr(&output));
    let output = summary(&output);
    assert_eq!(output["left_out"]["unmapped"], serde_json::json!({ "Horoscope": 1 }));
    assert_eq!(output["left_out"]["unwanted"], 1);
    assert_eq!(topics_of(&out), labels);

    // The same rows give the same tensors from a compressed file and from standard input.
    let plain = fs::read(project_path(TOPICS)).expect("the rows can be read");
    let packed = folder.write("packed.jsonl.zst", zstd::encode_all(&plain[..], 3).expect("the rows can be compressed"));
    summary(&train(&["--topics", &packed, "--out", &out]));
    let tensors = fs::read(folder.arg("model/model.safetensors")).expect("the tensors can be read");
    let piped = run(&["train", "--json", "--topics", "-", "--out", &out], &plain);
    assert_eq!(summary(&piped)["left_out"]["bad"], serde_json::json!([]));
    assert_eq!(fs::read(folder.arg("model/model.safetensors")).expect("the tensors can be read"), tensors);
}

#[test]
fn a_check_reports_duplicates_conflicts_and_odd_labels() {
    let folder = TempDir::new();
    let mut all = rows();
    let other = |row: &serde_json::Value| if row["topics"][0] == "a" { "b" } else { "a" };
    // A copy, a copy with another label, a near copy, an unknown code, a row without a label, a row without text.
    let long = "The harbour of the invented town was closed on Monday while engineers looked at the cracks in its outer wall, \
                and fishermen sold their catch from vans on the road above it instead.";
    let copy = serde_json::json!({"body": long, "topics": ["a"], "published": "2024-03-01"});
    let mut conflict = copy.clone();
    conflict["topics"] = serde_json::json!([other(&copy)]);
    let mut near = copy.clone();
    near["body"] = serde_json::json!(format!("{long} It opens again on Friday."));
    all.extend([copy.clone(), copy, conflict, near]);
    all.push(serde_json::json!({"body": "Something else.", "topics": ["medtop:99999999"]}));
    all.push(serde_json::json!({"headline": "No label"}));
    all.push(serde_json::json!({"body": " ", "topics": ["a"]}));
    let archive = folder.write("archive.jsonl", lines(&all));
    let found = summary(&train(&["--topics", &archive, "--check"]));
    let topics = &found["topics"];
    assert_eq!(topics["rows"], all.len() - 2);
    assert_eq!((topics["duplicates"].as_u64(), topics["near_duplicates"].as_u64()), (Some(2), Some(1)), "{topics}");
    assert_eq!(topics["conflicting"], 1);
    assert!(topics["conflicts"][0][1].as_str().is_some_and(|place| place.contains("archive.jsonl:")), "{topics}");
    assert_eq!(topics["years"]["2024"], 4);
    assert_eq!((&found["left_out"]["unlabelled"], &found["left_out"]["unusable"]), (&1.into(), &1.into()));
    let warnings = found["warnings"].to_string();
    for warning in
        ["medtop:99999999 is not one of the seventeen", "other labels than a copy", "the minimum is --min-rows"]
    {
        assert!(warnings.contains(warning), "{warning} in {warnings}");
    }
    let table = run(&["train", "--topics", &archive, "--check"], b"");
    assert!(
        stdout(&table).contains("copies, word for word") && stdout(&table).contains("warning:"),
        "{}",
        stdout(&table)
    );
    assert!(!stdout(&table).contains("harbour"), "article text is not printed");

    // Training rows that are copies of test rows leak the answers.
    let test = folder.write("test.jsonl", lines(&all[..5]));
    let found = summary(&train(&["--topics", &archive, "--test", &test, "--check"]));
    assert!(found["warnings"].to_string().contains("5 training rows are copies of test rows"), "{}", found["warnings"]);
}

#[test]
fn corrections_replace_labels_and_are_counted() {
    let folder = TempDir::new();
    let rows = rows();
    let archive = folder.write("archive.jsonl", lines(&rows));
    // The corrections move the first rows of one label to another label.
    let from = rows[0]["topics"][0].as_str().expect("a topic").to_owned();
    let to = rows
        .iter()
        .map(|row| row["topics"][0].as_str().expect("a topic"))
        .find(|label| **label != from)
        .expect("there are two labels");
    let mut corrected: Vec<serde_json::Value> =
        rows.iter().filter(|row| row["topics"][0] == from.as_str()).take(6).cloned().collect();
    // The first row has two corrections: the later one applies.
    let first = corrected[0].clone();
    corrected.iter_mut().for_each(|row| row["topics"] = serde_json::json!([to]));
    let corrections = folder.write("corrections.jsonl", lines(&[&[first], &corrected[..]].concat()));
    let out = folder.arg("model");
    let output = summary(&train(&["--topics", &archive, "--corrections", &corrections, "--out", &out]));
    assert_eq!(output["left_out"]["corrected"], 6);
    assert_eq!(output["corrections"]["topics"][0], 6);
    let right = output["corrections"]["topics"][1].as_u64().expect("a number");
    let model = Model::load(Path::new(&out)).expect("the model loads");
    let answers = corrected.iter().filter(|row| {
        let article = Article {
            headline: text(row, "headline").to_owned(),
            body: text(row, "body").to_owned(),
            ..Article::default()
        };
        let answer = model.classify(&article, &Options::default()).expect("an answer");
        answer.topics.first().is_some_and(|label| *label.code == *to)
    });
    assert_eq!(answers.count() as u64, right);
    assert!(right >= 4, "corrections have four times the weight: {right} of 6");
    let files = &model.manifest().trained_on;
    assert!(files.iter().any(|file| file.name == "corrections.jsonl"), "{files:?}");
}

#[test]
fn better_models_are_promoted_worse_ones_refused_and_earlier_ones_restored() {
    let folder = TempDir::new();
    let (training, test) = halves();
    let few = training[..training.len() / 2].to_vec();
    // Every row has the label of the next one.
    let labels: Vec<serde_json::Value> = training.iter().map(|row| row["topics"].clone()).collect();
    let mut mislabelled = training.clone();
    mislabelled.iter_mut().enumerate().for_each(|(i, row)| row["topics"] = labels[(i + 1) % labels.len()].clone());
    let [few, training, mislabelled, test] =
        [("few", &few), ("training", &training), ("mislabelled", &mislabelled), ("test", &test)]
            .map(|(name, rows)| folder.write(name, lines(rows)));
    let live = folder.arg("live");
    let promote = |archive: &str, more: &[&str]| {
        run(&[&["train", "--topics", archive, "--test", &test, "--promote", &live], more].concat(), b"")
    };
    let live_version = || version_of(&live);
    let bytes = |version: &str| {
        ["manifest.json", "model.safetensors"].map(|name| {
            fs::read(Path::new(&live).join("versions").join(version).join(name)).expect("the version is kept")
        })
    };

    assert!(promote(&few, &[]).status.success(), "the first model needs no comparison");
    let first = live_version();
    let of_first = bytes(&first);
    let output = promote(&training, &["--tolerance", "0.2", "--label-tolerance", "1"]);
    assert!(output.status.success(), "{}{}", stdout(&output), stderr(&output));
    let second = live_version();
    assert_ne!(first, second);

    let output = promote(&mislabelled, &[]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let text = stdout(&output);
    assert!(text.contains("topics.micro_f1") && text.contains("may be worse by"), "{text}");
    assert!(stderr(&output).contains("not promoted") && stderr(&output).contains("--out"), "{}", stderr(&output));
    assert_eq!(live_version(), second);
    let floor = format!("{}=1", topics_of(&live)[0]);
    // A model of mislabelled rows cannot reach an F1 of 1.
    let output =
        promote(&mislabelled, &["--seed", "2", "--tolerance", "1", "--label-tolerance", "1", "--floor", &floor]);
    assert_eq!(output.status.code(), Some(1), "{}", stdout(&output));
    let text = stdout(&output);
    assert!(text.contains("below its floor") && !text.contains("may be worse"), "{text}");
    let output = promote(&training, &["--tolerance", "1", "--label-tolerance", "1", "--floor", "medtop:misspelt=0.5"]);
    assert_eq!(output.status.code(), Some(1), "{}", stdout(&output));
    assert!(stdout(&output).contains("no test row carries it"), "{}", stdout(&output));
    assert_eq!(live_version(), second);
    let unused = folder.arg("first");
    let output =
        run(&["train", "--topics", &mislabelled, "--test", &test, "--promote", &unused, "--floor", &floor], b"");
    assert_eq!(output.status.code(), Some(1), "floors apply to the first model too: {}", stdout(&output));
    assert!(Model::load(Path::new(&unused)).is_err());

    let models = |args: &[&str]| run(&[&["models"], args].concat(), b"");
    let current = live_version();
    let list: serde_json::Value = serde_json::from_str(&stdout(&models(&["list", &live, "--json"]))).expect("JSON");
    assert_eq!((&list[0]["version"], &list[0]["place"]), (&current.clone().into(), &0.into()), "{list}");
    assert!(list.as_array().is_some_and(|all| all.len() >= 2), "{list}");
    assert!(stdout(&models(&["list", &live])).contains("in service"));
    let diff = stdout(&models(&["diff", &live, &first, &second]));
    assert!(diff.contains(&first) && diff.contains(&second) && diff.contains("rows of medtop:"), "{diff}");

    assert!(models(&["promote", &live, &second]).status.success());
    while live_version() != first {
        let output = models(&["rollback", &live]);
        assert!(output.status.success(), "{}", stderr(&output));
    }
    assert_eq!(bytes(&first), of_first, "the files are unchanged");
    let output = models(&["rollback", &live]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("no version was in service before"), "{}", stderr(&output));
    for (args, message) in [
        (&["promote", &live, "nothing"][..], "version nothing not found"),
        (&["list", "/no/such/folder"], "no such folder"),
        (&["diff", &live, &first, "../live"], "version ../live not found"),
    ] {
        let output = models(args);
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        assert!(stderr(&output).contains(message), "{args:?}: {}", stderr(&output));
    }
    // --out refuses a directory of versions.
    let output = run(&["train", "--topics", &training, "--out", &live], b"");
    assert!(stderr(&output).contains("the folder contains model versions"), "{}", stderr(&output));
}

#[tokio::test]
async fn a_server_loads_promoted_and_restored_models() {
    let folder = TempDir::new();
    let live = folder.arg("live");
    assert!(run(&["models", "promote", &live, "--from", utf8(&project_path("models"))], b"").status.success());
    let server = Server::start(&["--model", &live]);
    let mut client = client(&server).await;
    let bundled = Model::bundled().expect("the bundled model loads").version().to_owned();
    assert_eq!(model_version(&client.classify(request(0)).await.expect("an answer").into_inner()), bundled);
    let out = folder.arg("other");
    summary(&train(&["--topics", TOPICS, "--out", &out]));
    let other = version_of(&out);
    assert!(run(&["models", "promote", &live, "--from", &out], b"").status.success());
    let current_version = async |client: &Client| {
        let mut client = client.clone();
        model_version(&client.classify(request(0)).await.expect("an answer").into_inner())
    };
    wait_until("the promoted model answers", async || current_version(&client).await == other).await;
    assert!(run(&["models", "rollback", &live], b"").status.success());
    wait_until("the restored model answers", async || current_version(&client).await == bundled).await;
    assert!(!server.log().contains("refused"), "no incomplete model is loaded: {}", server.log());
}

/// A training that promotes its model to `live`, whatever its quality.
fn promotion(live: &str, seed: &str) -> Command {
    let args = ["train", "--topics", TOPICS, "--promote", live, "--seed", seed, "--tolerance", "1"];
    let mut command = dateline_in_project(&args);
    command.args(["--label-tolerance", "1"]).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

#[test]
fn killed_trainings_leave_a_valid_model_in_service() {
    let folder = TempDir::new();
    let live = folder.arg("live");
    summary(&train(&["--topics", TOPICS, "--promote", &live, "--hold-out", "0.2"]));
    let mut promoted = 0;
    for kill in 0..20_u64 {
        let seed = (kill + 2).to_string();
        let before = version_of(&live);
        let mut child = ChildGuard::spawn(&mut promotion(&live, &seed));
        // Kill at different moments, some of them near the end, when files are written.
        std::thread::sleep(Duration::from_millis(60 * kill % 700 + kill * 7 % 50));
        child.kill();
        promoted += u32::from(version_of(&live) != before);
    }
    // No lock outlives its process.
    let output =
        train(&["--topics", TOPICS, "--promote", &live, "--seed", "99", "--tolerance", "1", "--label-tolerance", "1"]);
    assert!(output.status.success(), "{}", stderr(&output));
    println!("{promoted} of 20 trainings completed before they were killed");
}

#[test]
fn promotions_killed_in_mid_write_leave_a_valid_model_in_service() {
    let folder = TempDir::new();
    let live = folder.arg("live");
    let place = Path::new(&live);
    let mut interrupted = 0;
    // Starts without a model in service. Each run is killed about 1.5 ms later into its writing than the one before.
    for kill in 0..16_u64 {
        let before = Model::load(place);
        let mut child = ChildGuard::spawn(&mut promotion(&live, &(kill + 2).to_string()));
        let versions = || fs::read_dir(place.join("versions")).map(Iterator::count).unwrap_or(0);
        let known = versions();
        while versions() == known && child.try_wait().expect("the process can be waited for").is_none() {
            std::thread::sleep(Duration::from_micros(200));
        }
        std::thread::sleep(Duration::from_millis(kill * 3 / 2));
        interrupted += u32::from(!child.kill().success());
        match (before, Model::load(place)) {
            (Ok(_), after) => drop(after.expect("a valid model is in service")),
            (Err(_), Ok(_)) => {}
            // No model was in service before, and none is now: the directory must not name one.
            (Err(_), Err(_)) => assert!(!place.join("CURRENT").exists()),
        }
    }
    assert!(interrupted >= 3, "only {interrupted} runs were killed while they wrote");
    let output = promotion(&live, "99").stderr(Stdio::piped()).output().expect("the command runs");
    assert!(output.status.success(), "{}", stderr(&output));
    let left = fs::read_dir(place.join("versions")).expect("the directory can be read").flatten();
    let partial: Vec<_> =
        left.map(|entry| entry.file_name()).filter(|name| name.to_string_lossy().contains('.')).collect();
    assert!(partial.is_empty(), "the leftovers of killed runs are removed: {partial:?}");
}

#[test]
fn bad_rows_are_named_counted_and_limited() {
    let folder = TempDir::new();
    let good = lines(&rows());
    let mut mixed = good.clone().into_bytes();
    mixed.extend(b"{\"body\": \"half a li\n");
    mixed.extend(b"{\"body\": \"Caf\xE9\", \"topics\": [\"a\"]}\n");
    mixed.extend(b"{\"body\": \"x\", \"topics\": [\"a\"], \"published\": \"2024-02-31\"}\n");
    mixed.extend(b"{\"body\": \"x\", \"topics\": [\"a\"], \"published\": \"yesterday\"}\n");
    mixed.extend(b"{\"body\": \"x\", \"topics\": [\"\"]}\n");
    let mixed = folder.write("mixed.jsonl", &mixed);
    let out = folder.arg("model");
    let output = train(&["--topics", &mixed, "--out", &out]);
    let good_lines = good.lines().count();
    let log = stderr(&output);
    for (line, reason) in [(1, "the JSON object is cut off"), (2, "a string is not UTF-8"), (5, "a label is blank")] {
        let place = format!("mixed.jsonl:{}", good_lines + line);
        assert!(log.lines().any(|row| row.contains(&place) && row.contains(reason)), "{place} {reason} in\n{log}");
    }
    assert!(!log.contains("half a li") && !log.contains("Caf"), "article text is not printed: {log}");
    let bad = summary(&output)["left_out"]["bad"].clone();
    let rows: u64 = bad.as_array().expect("a list").iter().map(|bad| bad["rows"].as_u64().expect("a number")).sum();
    assert_eq!(rows, 3, "{bad}");
    let place = format!("mixed.jsonl:{}", good_lines + 3);
    assert!(log.contains("2 rows are kept without their date: ") && log.contains(&place), "{log}");
    let output = train(&["--topics", &mixed, "--out", &out, "--max-bad", "2"]);
    assert_eq!(output.status.code(), Some(3));
    assert!(
        stderr(&output).contains("that is bad row 3, and no more than 2 are left out (--max-bad)"),
        "{}",
        stderr(&output)
    );

    let one = folder.write("one.jsonl", good.clone() + "{\"body\": \"Only one.\", \"topics\": [\"zz\"]}\n");
    let same = folder.write("same.jsonl", "{\"body\": \"x\", \"topics\": [\"a\"]}\n".repeat(9));
    let none = folder.write("none.jsonl", "");
    let empty = folder.arg("empty");
    fs::create_dir(&empty).expect("the directory can be created");
    let table = folder.write("table.csv", "a,b\n1,2\n");
    let wrong_map = folder.write("map.csv", "a,b,c\n");
    for (args, status, message) in [
        (&["--topics", &one, "--min-rows", "0", "--out", &out][..], 2, "1.."),
        (&["--topics", &same, "--out", &out], 3, "no topic has 5 different rows"),
        (&["--topics", &none, "--out", &out], 3, "no article found"),
        (&["--topics", &empty, "--out", &out], 3, "the folder has no files"),
        (
            &["--topics", &table, "--out", &out],
            3,
            "no column is named body, headline, text or title; the columns, separated by \",\", are a, b",
        ),
        (&["--topics", TOPICS, "--columns", "topics=Text", "--out", &out], 3, "no row has a text and topics"),
        (&["--topics", TOPICS, "--columns", "text=Text", "--out", &out], 2, "unknown field \"text\""),
        (&["--topics", TOPICS, "--encoding", "klingon", "--out", &out], 2, "unknown encoding \"klingon\""),
        (&["--topics", TOPICS, "--map", &wrong_map, "--out", &out], 3, "map.csv:1: 3 cells"),
        (&["--topics", TOPICS, "--hold-out", "0.9", "--out", &out], 2, "write a number from 0.01 to 0.5"),
        (&["--topics", TOPICS, "--floor", "a", "--out", &out], 2, "write CODE=F1"),
        (&["--topics", TOPICS, "--report", "report.txt", "--out", &out], 2, "a name that ends in .html"),
        (&["--topics", TOPICS], 2, "--out <DIR>"),
    ] {
        let output = train(args);
        assert_eq!(output.status.code(), Some(status), "{args:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(message), "{args:?}: {}", stderr(&output));
    }
}

#[test]
fn a_full_disk_and_a_concurrent_run_leave_the_live_model_unchanged() {
    let folder = TempDir::new();
    let live = folder.arg("live");
    summary(&train(&["--topics", TOPICS, "--promote", &live, "--hold-out", "0.2"]));
    let before = version_of(&live);
    let args =
        format!("train --topics {TOPICS} --promote {live} --seed 5 --tolerance 1 --label-tolerance 1 --hold-out 0.2");
    // A limit of 8 KiB per file makes writes fail as on a full disk.
    let script = format!("trap '' XFSZ; ulimit -f 8; exec {} {args}", env!("CARGO_BIN_EXE_dateline"));
    let output =
        Command::new("bash").args(["-c", &script]).current_dir(env!("CARGO_MANIFEST_DIR")).output().expect("bash runs");
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(stderr(&output).contains("the model in service is unchanged"), "{}", stderr(&output));
    assert_eq!(version_of(&live), before);

    // A run that waits for its input locks the directory for training; `models rollback` still works.
    let mut first = ChildGuard::spawn_piped(dateline().args(["train", "--topics", "-", "--promote", &live]));
    let mut input = first.stdin.take().expect("the stream is piped");
    // More than a pipe holds: once it is written, the run is reading and has the lock.
    input.write_all(&vec![b'{'; 1 << 20]).expect("the command reads its input");
    let second = run(&["train", "--topics", TOPICS, "--promote", &live], b"");
    assert!(stderr(&second).contains("the folder is locked by another run"), "{}", stderr(&second));
    assert!(stderr(&run(&["models", "rollback", &live], b"")).contains("no version was in service before"));
    first.kill();
    assert!(run(&["models", "list", &live], b"").status.success(), "the lock is released");

    // Invalid arguments are refused before training.
    let archive = folder.write("report.json", fs::read(project_path(TOPICS)).expect("the rows can be read"));
    for (args, message) in [
        (
            vec!["--topics", &archive, "--out", &folder.arg("out"), "--report", &folder.arg("report.html")],
            "would overwrite",
        ),
        (vec!["--topics", TOPICS, "--out", &live, "--promote", &live], "the folder contains model versions"),
        (vec!["--topics", TOPICS, "--out", &folder.arg("n"), "--report", "no/such/page.html"], "no such folder"),
        (vec!["--topics", TOPICS, "--test", TOPICS, "--out", &folder.arg("n")], "no row is left to learn from"),
    ] {
        let output = run(&[&["train"], &args[..]].concat(), b"");
        assert!(!output.status.success() && stderr(&output).contains(message), "{args:?}: {}", stderr(&output));
    }
    let rows = fs::read(project_path(TOPICS)).expect("the rows can be read");
    assert_eq!(fs::read(&archive).expect("the archive can be read"), rows);
}

#[test]
fn a_report_is_complete_and_loads_nothing_from_the_network() {
    let folder = TempDir::new();
    let mut rows = rows();
    for (i, row) in rows.iter_mut().enumerate() {
        row["published"] = serde_json::json!(format!("20{:02}-05-01", 20 + i % 5));
        row["source"] = serde_json::json!(["wire", "<b>desk</b>"][i % 2]);
    }
    let archive = folder.write("archive.jsonl", lines(&rows));
    let (out, page) = (folder.arg("model"), folder.arg("report.html"));
    let args = ["--topics", &archive, "--regions", "tests/data/regions.jsonl", "--out", &out, "--report", &page];
    summary(&train(&args));
    let html = fs::read_to_string(&page).expect("the report can be read");
    assert!(html.matches("<svg").count() >= 6, "{}", html.matches("<svg").count());
    assert!(!html.contains("not drawn"));
    for what in
        ["Labels", "Confusion", "By length, year and source", "The most confident mistakes", "most telling", "Regions"]
    {
        assert!(html.contains(what), "{what}");
    }
    assert!(html.contains("&lt;b&gt;desk&lt;/b&gt;") && !html.contains("<b>desk"), "text from files is escaped");
    // The page has no URL other than the name of an XML namespace.
    let addresses = html.matches("://").count();
    assert_eq!(addresses, html.matches("http://www.w3.org/2000/svg").count());
    assert!(!html.contains("<script") && html.contains("default-src 'none'"));
    let body = text(&rows[0], "body");
    let sentence = body.split(". ").next().expect("a sentence");
    assert!(!html.contains(sentence), "the page contains no article text");

    let report: serde_json::Value =
        serde_json::from_slice(&fs::read(folder.arg("report.json")).expect("the report can be read")).expect("JSON");
    let topics = &report["topics"];
    assert_eq!(topics["rows"], rows.len());
    assert_eq!(topics["learning"].as_array().map(Vec::len), Some(4));
    assert_eq!(topics["slices"]["year"].as_array().map(Vec::len), Some(5));
    assert!(topics["labels"][0]["terms"].as_array().is_some_and(|terms| !terms.is_empty()), "{}", topics["labels"][0]);
    let counted: u64 = topics["confusion"]
        .as_array()
        .expect("rows")
        .iter()
        .flat_map(|row| row.as_array().expect("cells"))
        .map(|cell| cell.as_u64().expect("a count"))
        .sum();
    assert_eq!(counted, rows.len() as u64);

    let page = folder.arg("evaluation.html");
    let output = run(&["evaluate", "--topics", &archive, "--model", &out, "--report", &page, "--json"], b"");
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(fs::read_to_string(&page).expect("the report can be read").contains("Measured on labelled rows"));
}

#[test]
fn tuning_lists_all_settings_it_tried_and_takes_the_best() {
    let folder = TempDir::new();
    let out = folder.arg("model");
    let output = summary(&train(&["--topics", TOPICS, "--out", &out, "--tune", "600"]));
    let tried = output["tried"].as_array().expect("a list").clone();
    assert!(tried.len() >= 10, "{tried:?}");
    let untuned = summary(&train(&["--topics", TOPICS, "--out", &out]));
    let settings = |tried: &[serde_json::Value]| -> Vec<serde_json::Value> {
        tried.iter().map(|one| serde_json::json!([one["cost"], one["vector_weight"], one["accuracy"]])).collect()
    };
    let untuned = untuned["tried"].as_array().expect("a list").clone();
    assert_eq!(settings(&untuned), settings(&tried[..untuned.len()]), "the default settings come first");
    // The first settings with the best accuracy are taken. N-grams must be better by half a percentage point.
    let accuracy = |one: &serde_json::Value| {
        one["accuracy"].as_f64().expect("a number") - if one["ngrams"] == true { 0.0051 } else { 0.0 }
    };
    let best = tried.iter().map(accuracy).fold(0.0, f64::max);
    let first = tried.iter().position(|one| accuracy(one) == best).expect("one of them is the best");
    let chosen: Vec<bool> = tried.iter().map(|one| one["taken"].as_bool().expect("a boolean")).collect();
    assert_eq!(chosen.iter().position(|taken| *taken), Some(first), "{tried:?}");
    assert_eq!(chosen.iter().filter(|taken| **taken).count(), 1);
    let table = run(&["train", "--topics", TOPICS, "--out", &out, "--tune", "600"], b"");
    assert!(stdout(&table).contains("weight of word vectors"), "{}", stdout(&table));
}

#[test]
fn the_newest_rows_are_held_out_if_rows_have_dates() {
    let folder = TempDir::new();
    let mut rows = rows();
    let count = rows.len();
    for (i, row) in rows.iter_mut().enumerate() {
        row["published"] = serde_json::json!(format!("2024-{:02}-{:02}T10:00:00Z", i * 12 / count + 1, i % 28 + 1));
    }
    let archive = folder.write("archive.jsonl", lines(&rows));
    let out = folder.arg("model");
    let args = ["--topics", &archive, "--hold-out", "0.2", "--out", &out];
    let output = summary(&train(&args));
    let held_out = &output["held_out"]["topics"];
    assert_eq!(held_out["by"], "date");
    assert!(held_out["from"].as_str().is_some_and(|day| day > "2024-09"), "{held_out}");
    let tested = output["test"]["topics"]["rows"].as_u64().expect("a number");
    assert!((count as u64 / 6..=count as u64 / 4).contains(&tested), "{tested} of {count}");
    assert_eq!(summary(&train(&args))["version"], output["version"], "training again gives the same model");
}
