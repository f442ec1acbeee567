//! Retraining as a newsroom does it: archives as they are, corrections, tests, reports, promotion, and all that goes wrong.
#![cfg(unix)]

mod common;

use common::{Server, dateline, file, request, run, stderr, stdout, until, version};
use dateline::{Article, Model, Options};
use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::Duration,
};

const TOPICS: &str = "tests/data/topics.jsonl";

/// A folder for one test.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Folder(tempfile::tempdir().expect("a folder"))
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().expect("UTF-8").to_owned()
    }

    fn put(&self, name: &str, bytes: impl AsRef<[u8]>) -> String {
        let path = PathBuf::from(self.path(name));
        fs::create_dir_all(path.parent().expect("a folder")).expect("it is made");
        fs::write(&path, bytes).expect("it is written");
        self.path(name)
    }
}

/// The rows of the tests' topics.
fn rows() -> Vec<serde_json::Value> {
    let text = fs::read_to_string(file(TOPICS)).expect("the rows are there");
    text.lines().map(|line| serde_json::from_str(line).expect("a row")).collect()
}

fn lines(rows: &[serde_json::Value]) -> String {
    rows.iter().map(|row| format!("{row}\n")).collect()
}

fn text<'r>(row: &'r serde_json::Value, field: &str) -> &'r str {
    row[field].as_str().unwrap_or_default()
}

/// The first half of the rows to learn from, the second to test with; labels are mixed all through.
fn halves() -> (Vec<serde_json::Value>, Vec<serde_json::Value>) {
    let mut learn = rows();
    let test = learn.split_off(learn.len() / 2);
    (learn, test)
}

/// `dateline train` with arguments; what it prints is JSON.
fn train(args: &[&str]) -> Output {
    run(&[&["train", "--json"], args].concat(), b"")
}

fn done(output: &Output) -> serde_json::Value {
    assert!(output.status.success(), "{}", stderr(output));
    serde_json::from_str(&stdout(output)).expect("JSON")
}

fn topics_of(folder: &str) -> Vec<String> {
    let model = Model::load(Path::new(folder)).expect("it loads");
    model.topics().topics().iter().map(|topic| topic.code.to_string()).collect()
}

#[test]
fn archives_are_read_as_they_are() {
    let folder = Folder::new();
    let rows = rows();
    for (i, row) in rows.iter().enumerate() {
        let label = row["topics"][0].as_str().expect("a topic");
        let body = format!("{}\n\n{} Caf\u{e9}", text(row, "headline"), text(row, "body"));
        // As Windows wrote it.
        let bytes: Vec<u8> = body.chars().map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?')).collect();
        folder.put(&format!("archive/{label}/{i}"), bytes);
    }
    let mut table = String::from("Nummer;Titel;Inhalt;Ressort\n");
    let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
    for (i, row) in rows.iter().enumerate() {
        let section = format!("Section {}", row["topics"][0].as_str().expect("a topic"));
        let cells = [&i.to_string(), &quoted(text(row, "headline")), &quoted(text(row, "body")), &section];
        table.push_str(&(cells.map(String::as_str).join(";") + "\n"));
    }
    table.push_str("x;y;z;Horoscope\nx;y;z;Advert\n");
    let table = folder.put("archive.csv", &table);
    let mut map = String::from("section,code\nadvert,\n");
    let mut labels: Vec<&str> = rows.iter().map(|row| row["topics"][0].as_str().expect("a topic")).collect();
    labels.sort_unstable();
    labels.dedup();
    labels.iter().for_each(|label| map.push_str(&format!("section {label},{label}\n")));
    let map = folder.put("map.csv", &map);

    let (archive, out) = (folder.path("archive"), folder.path("model"));
    let output = done(&train(&["--topics", &archive, "--encoding", "windows-1252", "--out", &out]));
    assert_eq!(topics_of(&out), labels);
    assert_eq!(output["left_out"]["bad"], serde_json::json!([]));
    let utf8 = train(&["--topics", &archive, "--out", &out]);
    assert_eq!(utf8.status.code(), Some(3), "all files are bad");
    assert!(stderr(&utf8).contains("not UTF-8 at byte"), "{}", stderr(&utf8));
    assert!(stderr(&utf8).contains("--encoding windows-1252"), "{}", stderr(&utf8));

    let columns = ["--columns", "id=Nummer,headline=Titel,body=Inhalt,topics=Ressort", "--map", &map];
    let output = train(&[&["--topics", &table, "--out", &out], &columns[..]].concat());
    assert!(stderr(&output).contains("Horoscope"), "{}", stderr(&output));
    let output = done(&output);
    assert_eq!(output["left_out"]["unmapped"], serde_json::json!({ "Horoscope": 1 }));
    assert_eq!(output["left_out"]["unwanted"], 1);
    assert_eq!(topics_of(&out), labels);

    // Compressed, and from standard input: the same rows give the same bytes, but for the name of the file.
    let plain = fs::read(file(TOPICS)).expect("the rows are there");
    let packed = folder.put("packed.jsonl.zst", zstd::encode_all(&plain[..], 3).expect("it is packed"));
    done(&train(&["--topics", &packed, "--out", &out]));
    let tensors = fs::read(folder.path("model/model.safetensors")).expect("it is written");
    let piped = run(&["train", "--json", "--topics", "-", "--out", &out], &plain);
    assert_eq!(done(&piped)["left_out"]["bad"], serde_json::json!([]));
    assert_eq!(fs::read(folder.path("model/model.safetensors")).expect("it is written"), tensors);
}

#[test]
fn a_check_tells_what_is_odd_and_trains_nothing() {
    let folder = Folder::new();
    let mut all = rows();
    let other = |row: &serde_json::Value| if row["topics"][0] == "a" { "b" } else { "a" };
    // A copy, a copy with another label, a near copy, a misspelt code, a label with two rows, a language.
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
    let archive = folder.put("archive.jsonl", lines(&all));
    let found = done(&train(&["--topics", &archive, "--check"]));
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
    assert!(!stdout(&table).contains("harbour"), "no article is told");

    // Training rows that are copies of test rows are leaks.
    let test = folder.put("test.jsonl", lines(&all[..5]));
    let found = done(&train(&["--topics", &archive, "--test", &test, "--check"]));
    assert!(found["warnings"].to_string().contains("5 training rows are copies of test rows"), "{}", found["warnings"]);
}

#[test]
fn corrections_win_and_are_counted() {
    let folder = Folder::new();
    let rows = rows();
    let archive = folder.put("archive.jsonl", lines(&rows));
    // Editors move one label's first rows to another label.
    let from = rows[0]["topics"][0].as_str().expect("a topic").to_owned();
    let to = rows
        .iter()
        .map(|row| row["topics"][0].as_str().expect("a topic"))
        .find(|label| **label != from)
        .expect("another");
    let mut corrected: Vec<serde_json::Value> =
        rows.iter().filter(|row| row["topics"][0] == from.as_str()).take(6).cloned().collect();
    // The first correction of the first row is corrected in turn.
    let first = corrected[0].clone();
    corrected.iter_mut().for_each(|row| row["topics"] = serde_json::json!([to]));
    let corrections = folder.put("corrections.jsonl", lines(&[&[first], &corrected[..]].concat()));
    let out = folder.path("model");
    let output = done(&train(&["--topics", &archive, "--corrections", &corrections, "--out", &out]));
    assert_eq!(output["left_out"]["corrected"], 6);
    assert_eq!(output["corrections"]["topics"][0], 6);
    let right = output["corrections"]["topics"][1].as_u64().expect("a number");
    let model = Model::load(Path::new(&out)).expect("it loads");
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
    assert!(right >= 4, "four times the weight is heard: {right} of 6");
    let files = &model.manifest().trained_on;
    assert!(files.iter().any(|file| file.name == "corrections.jsonl"), "{files:?}");
}

#[test]
fn a_better_model_is_promoted_a_worse_one_refused_and_what_was_is_brought_back() {
    let folder = Folder::new();
    let (learn, test) = halves();
    let few = learn[..learn.len() / 2].to_vec();
    // A year in which labels went astray.
    let labels: Vec<serde_json::Value> = learn.iter().map(|row| row["topics"].clone()).collect();
    let mut astray = learn.clone();
    astray.iter_mut().enumerate().for_each(|(i, row)| row["topics"] = labels[(i + 1) % labels.len()].clone());
    let [few, learn, astray, test] = [("few", &few), ("learn", &learn), ("astray", &astray), ("test", &test)]
        .map(|(name, rows)| folder.put(name, lines(rows)));
    let live = folder.path("live");
    let promote = |archive: &str, more: &[&str]| {
        run(&[&["train", "--topics", archive, "--test", &test, "--promote", &live], more].concat(), b"")
    };
    let loaded = || Model::load(Path::new(&live)).expect("it is in service");
    let bytes = |version: &str| {
        ["manifest.json", "model.safetensors"]
            .map(|name| fs::read(Path::new(&live).join("versions").join(version).join(name)).expect("kept"))
    };

    assert!(promote(&few, &[]).status.success(), "the first takes an empty place");
    let first = loaded().version().to_owned();
    let of_first = bytes(&first);
    let output = promote(&learn, &["--tolerance", "0.2", "--label-tolerance", "1"]);
    assert!(output.status.success(), "{}{}", stdout(&output), stderr(&output));
    let second = loaded().version().to_owned();
    assert_ne!(first, second);

    let output = promote(&astray, &[]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(
        stdout(&output).contains("topics.micro_f1") && stdout(&output).contains("may be worse by"),
        "{}",
        stdout(&output)
    );
    assert!(stderr(&output).contains("not promoted") && stderr(&output).contains("--out"), "{}", stderr(&output));
    assert_eq!(loaded().version(), second);
    let floor = format!("{}=1", loaded().topics().topics()[0].code);
    // The test file says one thing of a label and the archive gone astray another: its floor cannot hold.
    let output = promote(&astray, &["--seed", "2", "--tolerance", "1", "--label-tolerance", "1", "--floor", &floor]);
    assert_eq!(output.status.code(), Some(1), "{}", stdout(&output));
    assert!(
        stdout(&output).contains("below its floor") && !stdout(&output).contains("may be worse"),
        "{}",
        stdout(&output)
    );
    let output = promote(&learn, &["--tolerance", "1", "--label-tolerance", "1", "--floor", "medtop:misspelt=0.5"]);
    assert_eq!(output.status.code(), Some(1), "{}", stdout(&output));
    assert!(stdout(&output).contains("no test row carries it"), "{}", stdout(&output));
    assert_eq!(loaded().version(), second);
    let first_of_all = folder.path("first");
    let output =
        run(&["train", "--topics", &astray, "--test", &test, "--promote", &first_of_all, "--floor", &floor], b"");
    assert_eq!(output.status.code(), Some(1), "floors hold for the first model too: {}", stdout(&output));
    assert!(Model::load(Path::new(&first_of_all)).is_err());

    let models = |args: &[&str]| run(&[&["models"], args].concat(), b"");
    let now = loaded().version().to_owned();
    let list: serde_json::Value = serde_json::from_str(&stdout(&models(&["list", &live, "--json"]))).expect("JSON");
    assert_eq!((&list[0]["version"], &list[0]["place"]), (&now.clone().into(), &0.into()), "{list}");
    assert!(list.as_array().is_some_and(|all| all.len() >= 2), "{list}");
    assert!(stdout(&models(&["list", &live])).contains("in service"));
    let diff = stdout(&models(&["diff", &live, &first, &second]));
    assert!(diff.contains(&first) && diff.contains(&second) && diff.contains("rows of medtop:"), "{diff}");

    assert!(models(&["promote", &live, &second]).status.success());
    while loaded().version() != first {
        let output = models(&["rollback", &live]);
        assert!(output.status.success(), "{}", stderr(&output));
    }
    assert_eq!(bytes(&first), of_first, "the earlier bytes");
    let output = models(&["rollback", &live]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("no version was in service before"), "{}", stderr(&output));
    for (args, message) in [
        (&["promote", &live, "nothing"][..], "there is no version nothing"),
        (&["list", "/no/such/folder"], "no such folder"),
        (&["diff", &live, &first, "../live"], "there is no version ../live"),
    ] {
        let output = models(args);
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        assert!(stderr(&output).contains(message), "{args:?}: {}", stderr(&output));
    }
    // A folder of versions is no place for --out.
    let output = run(&["train", "--topics", &learn, "--out", &live], b"");
    assert!(stderr(&output).contains("versions of a model are in this folder"), "{}", stderr(&output));
}

#[tokio::test]
async fn a_server_takes_over_what_is_promoted() {
    let folder = Folder::new();
    let live = folder.path("live");
    assert!(
        run(&["models", "promote", &live, "--from", file("models").to_str().expect("UTF-8")], b"").status.success()
    );
    let server = Server::start(&["--model", &live]);
    let mut client = common::client(&server).await;
    let bundled = Model::bundled().expect("it opens").version().to_owned();
    assert_eq!(version(&client.classify(request(0)).await.expect("an answer").into_inner()), bundled);
    let out = folder.path("other");
    done(&train(&["--topics", TOPICS, "--out", &out]));
    let other = Model::load(Path::new(&out)).expect("it loads").version().to_owned();
    assert!(run(&["models", "promote", &live, "--from", &out], b"").status.success());
    let answers = async |client: &common::Client| {
        let mut client = client.clone();
        version(&client.classify(request(0)).await.expect("an answer").into_inner())
    };
    until("it is taken over", async || answers(&client).await == other).await;
    assert!(run(&["models", "rollback", &live], b"").status.success());
    until("what was is taken back", async || answers(&client).await == bundled).await;
    assert!(!server.log().contains("refused"), "no half model was seen: {}", server.log());
}

#[test]
fn a_killed_training_leaves_a_whole_model_in_service() {
    let folder = Folder::new();
    let live = folder.path("live");
    done(&train(&["--topics", TOPICS, "--promote", &live, "--hold-out", "0.2"]));
    let mut promoted = 0;
    for kill in 0..20_u64 {
        let seed = (kill + 2).to_string();
        let before = Model::load(Path::new(&live)).expect("a whole model").version().to_owned();
        let mut child = dateline()
            .args([
                "train",
                "--topics",
                TOPICS,
                "--promote",
                &live,
                "--seed",
                &seed,
                "--tolerance",
                "1",
                "--label-tolerance",
                "1",
            ])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        // Anywhere from the start to the end; the later kills near the end, where files are written.
        std::thread::sleep(Duration::from_millis(60 * kill % 700 + kill * 7 % 50));
        let _ = child.kill();
        child.wait().expect("it ends");
        let after = Model::load(Path::new(&live)).expect("a whole model is in service").version().to_owned();
        promoted += u32::from(after != before);
    }
    // The locks went with the process.
    let output =
        train(&["--topics", TOPICS, "--promote", &live, "--seed", "99", "--tolerance", "1", "--label-tolerance", "1"]);
    assert!(output.status.success(), "{}", stderr(&output));
    println!("{promoted} of 20 were quicker than their end");
}

#[test]
fn a_run_killed_while_it_publishes_leaves_a_whole_model_in_service() {
    let folder = Folder::new();
    let live = folder.path("live");
    let args = |seed: &str| {
        let args = ["train", "--topics", TOPICS, "--promote", &live, "--seed", seed, "--tolerance", "1"];
        let mut command = dateline();
        command.args(args).args(["--label-tolerance", "1"]).current_dir(env!("CARGO_MANIFEST_DIR"));
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command
    };
    let place = Path::new(&live);
    let whole = |folder: &Path| Model::load(folder).map(|model| model.version().to_owned());
    let mut caught = 0;
    // From the very first model on: each is killed a little later after it began to write.
    for kill in 0..16_u64 {
        let before = whole(place);
        let mut child = args(&(kill + 2).to_string()).spawn().expect("it starts");
        let versions = || fs::read_dir(place.join("versions")).map(Iterator::count).unwrap_or(0);
        let known = versions();
        while versions() == known && child.try_wait().expect("it is there").is_none() {
            std::thread::sleep(Duration::from_micros(200));
        }
        std::thread::sleep(Duration::from_millis(kill * 3 / 2));
        let _ = child.kill();
        caught += u32::from(!child.wait().expect("it ends").success());
        match (before, whole(place)) {
            (Ok(_), after) => drop(after.expect("a whole model is in service")),
            (Err(_), Ok(_)) => {}
            // Nothing was in service yet: the folder must not be locked for good.
            (Err(_), Err(_)) => assert!(!place.join("CURRENT").exists()),
        }
    }
    assert!(caught >= 3, "{caught} were killed while they wrote");
    let output = args("99").stderr(Stdio::piped()).output().expect("it runs");
    assert!(output.status.success(), "{}", stderr(&output));
    let left = fs::read_dir(place.join("versions")).expect("versions").flatten();
    let begun: Vec<_> =
        left.map(|entry| entry.file_name()).filter(|name| name.to_string_lossy().contains('.')).collect();
    assert!(begun.is_empty(), "what killed runs left is tidied up: {begun:?}");
}

#[test]
fn what_is_bad_is_named_counted_and_limited() {
    let folder = Folder::new();
    let good = lines(&rows());
    let mut mixed = good.clone().into_bytes();
    mixed.extend(b"{\"body\": \"half a li\n");
    mixed.extend(b"{\"body\": \"Caf\xE9\", \"topics\": [\"a\"]}\n");
    mixed.extend(b"{\"body\": \"x\", \"topics\": [\"a\"], \"published\": \"2024-02-31\"}\n");
    mixed.extend(b"{\"body\": \"x\", \"topics\": [\"a\"], \"published\": \"yesterday\"}\n");
    mixed.extend(b"{\"body\": \"x\", \"topics\": [\"\"]}\n");
    let mixed = folder.put("mixed.jsonl", &mixed);
    let out = folder.path("model");
    let output = train(&["--topics", &mixed, "--out", &out]);
    let lines_of = good.lines().count();
    let told = stderr(&output);
    for (line, reason) in [(1, "the JSON object is cut off"), (2, "a string is not UTF-8"), (5, "a label is blank")] {
        let place = format!("mixed.jsonl:{}", lines_of + line);
        assert!(told.lines().any(|row| row.contains(&place) && row.contains(reason)), "{place} {reason} in\n{told}");
    }
    assert!(!told.contains("half a li") && !told.contains("Caf"), "no article is told: {told}");
    let bad = done(&output)["left_out"]["bad"].clone();
    let rows: u64 = bad.as_array().expect("a list").iter().map(|bad| bad["rows"].as_u64().expect("a number")).sum();
    assert_eq!(rows, 3, "{bad}");
    let place = format!("mixed.jsonl:{}", lines_of + 3);
    assert!(told.contains("2 rows are kept without their date, the first at") && told.contains(&place), "{told}");
    let output = train(&["--topics", &mixed, "--out", &out, "--max-bad", "2"]);
    assert_eq!(output.status.code(), Some(3));
    assert!(
        stderr(&output).contains("that is bad row 3, and no more than 2 are left out (--max-bad)"),
        "{}",
        stderr(&output)
    );

    let one = folder.put("one.jsonl", good.clone() + "{\"body\": \"Only one.\", \"topics\": [\"zz\"]}\n");
    let same = folder.put("same.jsonl", "{\"body\": \"x\", \"topics\": [\"a\"]}\n".repeat(9));
    let none = folder.put("none.jsonl", "");
    let empty = folder.path("empty");
    fs::create_dir(&empty).expect("it is made");
    let table = folder.put("table.csv", "a,b\n1,2\n");
    let wrong_map = folder.put("map.csv", "a,b,c\n");
    for (args, status, message) in [
        (&["--topics", &one, "--min-rows", "0", "--out", &out][..], 2, "1.."),
        (&["--topics", &same, "--out", &out], 3, "no topic has 5 different rows"),
        (&["--topics", &none, "--out", &out], 3, "there is no article in it"),
        (&["--topics", &empty, "--out", &out], 3, "there is no file in this folder"),
        (&["--topics", &table, "--out", &out], 3, "no column is called body, headline, text or title; there are a, b"),
        (&["--topics", TOPICS, "--columns", "topics=Text", "--out", &out], 3, "no row has text"),
        (&["--topics", TOPICS, "--columns", "text=Text", "--out", &out], 2, "\"text\" is no field"),
        (&["--topics", TOPICS, "--encoding", "klingon", "--out", &out], 2, "\"klingon\" is no encoding"),
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
fn a_full_disk_and_a_second_run_do_no_harm() {
    let folder = Folder::new();
    let live = folder.path("live");
    done(&train(&["--topics", TOPICS, "--promote", &live, "--hold-out", "0.2"]));
    let before = Model::load(Path::new(&live)).expect("a whole model").version().to_owned();
    let args =
        format!("train --topics {TOPICS} --promote {live} --seed 5 --tolerance 1 --label-tolerance 1 --hold-out 0.2");
    // A file may have eight kilobytes: as if the disk were full.
    let script = format!("trap '' XFSZ; ulimit -f 8; exec {} {args}", env!("CARGO_BIN_EXE_dateline"));
    let output =
        Command::new("bash").args(["-c", &script]).current_dir(env!("CARGO_MANIFEST_DIR")).output().expect("bash runs");
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(stderr(&output).contains("the model in service is as it was"), "{}", stderr(&output));
    assert_eq!(Model::load(Path::new(&live)).expect("a whole model").version(), before);

    // A run that waits for its input holds the folder; what is in service can be rolled back meanwhile.
    let mut first = dateline()
        .args(["train", "--topics", "-", "--promote", &live])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut input = first.stdin.take().expect("it is piped");
    // More than a pipe holds: once it is written, the run reads, and has the folder.
    input.write_all(&vec![b'{'; 1 << 20]).expect("it reads");
    let second = run(&["train", "--topics", TOPICS, "--promote", &live], b"");
    assert!(stderr(&second).contains("another run is at work on this folder"), "{}", stderr(&second));
    assert!(stderr(&run(&["models", "rollback", &live], b"")).contains("no version was in service before"));
    first.kill().expect("it is killed");
    first.wait().expect("it ends");
    assert!(run(&["models", "list", &live], b"").status.success(), "the lock is gone");

    // Before anything is trained.
    let archive = folder.put("report.json", fs::read(file(TOPICS)).expect("it is there"));
    for (args, message) in [
        (
            vec!["--topics", &archive, "--out", &folder.path("out"), "--report", &folder.path("report.html")],
            "would overwrite",
        ),
        (vec!["--topics", TOPICS, "--out", &live, "--promote", &live], "versions of a model are in this folder"),
        (vec!["--topics", TOPICS, "--out", &folder.path("n"), "--report", "no/such/page.html"], "no such folder"),
        (vec!["--topics", TOPICS, "--test", TOPICS, "--out", &folder.path("n")], "no row is left to learn from"),
    ] {
        let output = run(&[&["train"], &args[..]].concat(), b"");
        assert!(!output.status.success() && stderr(&output).contains(message), "{args:?}: {}", stderr(&output));
    }
    assert_eq!(fs::read(&archive).expect("it is there"), fs::read(file(TOPICS)).expect("it is there"));
}

#[test]
fn a_report_shows_everything_and_asks_for_nothing() {
    let folder = Folder::new();
    let mut rows = rows();
    for (i, row) in rows.iter_mut().enumerate() {
        row["published"] = serde_json::json!(format!("20{:02}-05-01", 20 + i % 5));
        row["source"] = serde_json::json!(["wire", "<b>desk</b>"][i % 2]);
    }
    let archive = folder.put("archive.jsonl", lines(&rows));
    let (out, page) = (folder.path("model"), folder.path("report.html"));
    let args = ["--topics", &archive, "--regions", "tests/data/regions.jsonl", "--out", &out, "--report", &page];
    done(&train(&args));
    let html = fs::read_to_string(&page).expect("it is written");
    assert!(html.matches("<svg").count() >= 6, "{}", html.matches("<svg").count());
    assert!(!html.contains("not drawn"));
    for what in
        ["Labels", "Confusion", "By length, year and source", "The most confident mistakes", "most telling", "Regions"]
    {
        assert!(html.contains(what), "{what}");
    }
    assert!(html.contains("&lt;b&gt;desk&lt;/b&gt;") && !html.contains("<b>desk"), "what files say is escaped");
    // Nothing is asked of a network: the one address is the name of a namespace.
    let addresses = html.matches("://").count();
    assert_eq!(addresses, html.matches("http://www.w3.org/2000/svg").count());
    assert!(!html.contains("<script") && html.contains("default-src 'none'"));
    let body = text(&rows[0], "body");
    let sentence = body.split(". ").next().expect("a sentence");
    assert!(!html.contains(sentence), "no article is in it");

    let report: serde_json::Value =
        serde_json::from_slice(&fs::read(folder.path("report.json")).expect("it is written")).expect("JSON");
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

    let page = folder.path("evaluation.html");
    let output = run(&["evaluate", "--topics", &archive, "--model", &out, "--report", &page, "--json"], b"");
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(fs::read_to_string(&page).expect("it is written").contains("Measured on labelled rows"));
}

#[test]
fn tuning_shows_what_it_tried_and_takes_the_best() {
    let folder = Folder::new();
    let out = folder.path("model");
    let output = done(&train(&["--topics", TOPICS, "--out", &out, "--tune", "600"]));
    let tried = output["tried"].as_array().expect("a list").clone();
    assert!(tried.len() >= 10, "{tried:?}");
    let usual = done(&train(&["--topics", TOPICS, "--out", &out]));
    let settings = |tried: &[serde_json::Value]| -> Vec<serde_json::Value> {
        tried.iter().map(|one| serde_json::json!([one["cost"], one["vector_weight"], one["accuracy"]])).collect()
    };
    let usual = usual["tried"].as_array().expect("a list").clone();
    assert_eq!(settings(&usual), settings(&tried[..usual.len()]), "the usual ones come first");
    // The first with the best accuracy was taken; n-grams must be better by half a point.
    let accuracy = |one: &serde_json::Value| {
        one["accuracy"].as_f64().expect("a number") - if one["ngrams"] == true { 0.0051 } else { 0.0 }
    };
    let best = tried.iter().map(accuracy).fold(0.0, f64::max);
    let first = tried.iter().position(|one| accuracy(one) == best).expect("one of them");
    let chosen: Vec<bool> = tried.iter().map(|one| one["taken"].as_bool().expect("yes or no")).collect();
    assert_eq!(chosen.iter().position(|taken| *taken), Some(first), "{tried:?}");
    assert_eq!(chosen.iter().filter(|taken| **taken).count(), 1);
    let table = run(&["train", "--topics", TOPICS, "--out", &out, "--tune", "600"], b"");
    assert!(stdout(&table).contains("weight of word vectors"), "{}", stdout(&table));
}

#[test]
fn the_newest_rows_test_where_rows_have_days() {
    let folder = Folder::new();
    let mut rows = rows();
    let count = rows.len();
    for (i, row) in rows.iter_mut().enumerate() {
        row["published"] = serde_json::json!(format!("2024-{:02}-{:02}T10:00:00Z", i * 12 / count + 1, i % 28 + 1));
    }
    let archive = folder.put("archive.jsonl", lines(&rows));
    let out = folder.path("model");
    let args = ["--topics", &archive, "--hold-out", "0.2", "--out", &out];
    let output = done(&train(&args));
    let held_out = &output["held_out"]["topics"];
    assert_eq!(held_out["by"], "date");
    assert!(held_out["from"].as_str().is_some_and(|day| day > "2024-09"), "{held_out}");
    let tested = output["test"]["topics"]["rows"].as_u64().expect("a number");
    assert!((count as u64 / 6..=count as u64 / 4).contains(&tested), "{tested} of {count}");
    assert_eq!(done(&train(&args))["version"], output["version"], "the same again");
}
