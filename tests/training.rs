//! `dateline train` and `dateline evaluate` on small files written for the project, and models that are damaged.

mod common;

use common::{dateline, file, run, stderr, stdout};
use dateline::{
    Article, Model, Options,
    model::{LabelSource, Task},
};
use safetensors::{Dtype, tensor::TensorView};
use std::{fs, path::Path, process::Output};

const TOPICS: &str = "tests/data/topics.jsonl";
const REGIONS: &str = "tests/data/regions.jsonl";

fn train(out: &Path, args: &[&str]) -> Output {
    let out = out.to_str().expect("a path in UTF-8");
    run(&[&["train", "--out", out], args].concat(), b"")
}

fn trained(args: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let output = train(folder.path(), args);
    assert!(output.status.success(), "{}", stderr(&output));
    folder
}

#[test]
fn a_small_archive_teaches_topics_and_regions() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = train(folder.path(), &["--topics", TOPICS, "--regions", REGIONS]);
    assert!(output.status.success(), "{}", stderr(&output));
    for part in ["medtop:15000000", "macro_f1", "micro_f1", "MODEL_CARD.md"] {
        assert!(stdout(&output).contains(part), "{part} is missing in\n{}", stdout(&output));
    }
    let card = fs::read_to_string(folder.path().join("MODEL_CARD.md")).expect("a card");
    for part in
        ["5-fold cross-validation", "topics.jsonl", "regions.jsonl", "| medtop:15000000 | sport", "rust-ml/linfa#192"]
    {
        assert!(card.contains(part), "{part} is missing in the card");
    }

    let model = Model::load(folder.path()).expect("it loads");
    let measured = &model.manifest().topics.measured;
    assert!(measured["accuracy"] > 0.8, "six topics that words tell apart: {measured:?}");
    let micro_f1 = |system: &str| -> f64 {
        let row = card.lines().find(|line| line.starts_with(&format!("| {system}"))).expect(system);
        row.split('|').nth(2).and_then(|cell| cell.trim().parse().ok()).expect("a number")
    };
    assert!((micro_f1("Dateline") - model.manifest().regions.measured["micro_f1"]).abs() < 1e-3);
    assert!(micro_f1("Dateline") > micro_f1("most mentioned"));

    let folder = folder.path().to_str().expect("a path in UTF-8");
    let output = run(&["evaluate", "--topics", TOPICS, "--regions", REGIONS, "--model", folder, "--json"], b"");
    let report: serde_json::Value = serde_json::from_str(&stdout(&output)).expect("one JSON object");
    assert_eq!(report["topics"]["rows"], 240);
    assert!(report["topics"]["accuracy"].as_f64().expect("a number") > 0.9, "seen in training: {report}");
    assert_eq!(report["topics"]["labels"].as_object().expect("labels").len(), 6);
    let label = report["topics"]["labels"]["medtop:15000000"].as_object().expect("a label");
    assert_eq!(label.keys().collect::<Vec<_>>(), ["precision", "recall", "f1", "support"]);
    let keys: Vec<&String> = report["regions"].as_object().expect("regions").keys().collect();
    assert_eq!(keys, ["rows", "micro_f1", "macro_f1", "macro_f1_five", "micro_f1_others", "exact", "top1", "labels"]);
    assert_eq!(report["regions"]["rows"], 120);

    let output = run(&["evaluate", "--topics", TOPICS, "--model", folder], b"");
    assert!(stdout(&output).contains("Confusion") && stdout(&output).contains("macro-F1"), "{}", stdout(&output));
}

#[test]
fn the_same_data_and_seed_give_the_same_bytes_on_any_number_of_threads() {
    let folders = [tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder")];
    for (folder, threads) in folders.iter().zip(["1", "3"]) {
        let status = dateline()
            .args(["train", "--topics", TOPICS, "--regions", REGIONS, "--seed", "7", "--out"])
            .arg(folder.path())
            .env("RAYON_NUM_THREADS", threads)
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .stdout(std::process::Stdio::null())
            .status();
        assert!(status.expect("it runs").success());
    }
    for name in ["model.safetensors", "manifest.json", "MODEL_CARD.md"] {
        let [one, other] = [0, 1].map(|i| fs::read(folders[i].path().join(name)).expect("it was written"));
        assert!(one == other, "{name} differs");
    }
    let other_seed = trained(&["--topics", TOPICS, "--regions", REGIONS, "--seed", "8"]);
    let version = |folder: &Path| Model::load(folder).expect("it loads").version().to_owned();
    assert_ne!(version(other_seed.path()), version(folders[0].path()));
}

#[test]
fn labels_come_from_the_data_and_the_other_half_from_the_bundled_model() {
    let folder = tempfile::tempdir().expect("a folder");
    let rows = folder.path().join("sections.jsonl");
    let mut lines = String::new();
    let tools = ["spade", "rake", "hoe", "shears", "trowel", "barrow", "sieve", "hose", "fork", "dibber"];
    for i in 0..30 {
        let tool = tools[i / 3];
        let (section, body) = if i % 2 == 0 {
            (
                "Gardening",
                format!("Take the {tool}, prune the roses, water the seedlings and feed the lawn with compost."),
            )
        } else {
            ("Chess", format!("Player {tool} sacrificed a bishop for the grandmaster's rook and mated with the queen."))
        };
        lines += &(serde_json::json!({"body": body, "topics": [section]}).to_string() + "\n");
    }
    fs::write(&rows, lines).expect("it is written");
    let model = folder.path().join("model");
    let output = train(&model, &["--topics", rows.to_str().expect("a path in UTF-8")]);
    assert!(output.status.success(), "{}", stderr(&output));
    let model = Model::load(&model).expect("it loads");
    let article =
        Article { body: "The queen took the bishop in Nairobi, Kenya, in round nine.".into(), ..Article::default() };
    let answer = model.classify(&article, &Options::default()).expect("an answer");
    assert_eq!((&*answer.topics[0].code, &*answer.topics[0].name), ("Chess", "Chess"));
    assert_eq!(&*answer.regions[0].label.code, "KE", "as the bundled model says");
    let bundled = Model::bundled().expect("it opens");
    assert_eq!(model.regions(), bundled.regions());
}

#[test]
fn word_vectors_tell_topics_by_words_that_no_row_has() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).to_str().expect("a path in UTF-8").to_owned();
    let chess = ["rook", "bishop", "queen", "mate", "gambit", "knight"];
    let garden = ["rose", "compost", "lawn", "seedling", "hedge", "mulch"];
    let mut lines = String::new();
    for i in 0..30 {
        let words = if i % 2 == 0 { chess } else { garden };
        let body = format!("{} {} {}", words[i / 5], words[(i / 2) % 6], words[i % 6]);
        lines += &(serde_json::json!({"body": body, "topics": [if i % 2 == 0 { "Chess" } else { "Gardening" }]})
            .to_string()
            + "\n");
    }
    fs::write(path("rows.jsonl"), lines).expect("it is written");

    // "Pawn" and "weed" stand in no row; their vectors lie with those of their kind.
    let words: Vec<&str> = chess.iter().chain(&["pawn"]).chain(&garden).chain(&["weed"]).copied().collect();
    let hash = |word: &str| dateline::text::word_hash(word, dateline::text::Shape::Lower, &mut Vec::new());
    let hashes: Vec<u8> = words.iter().flat_map(|word| hash(word).to_le_bytes()).collect();
    let values: Vec<u8> = (0..words.len()).flat_map(|i| if i < 7 { [100, 3] } else { [2, 90] }).collect();
    let tensors =
        [("hashes", Dtype::U64, vec![words.len()], hashes), ("values", Dtype::I8, vec![words.len(), 2], values)];
    let views = tensors.iter().map(|(name, dtype, shape, bytes)| {
        (*name, TensorView::new(*dtype, shape.clone(), bytes).expect("the shape fits"))
    });
    fs::write(path("vectors.safetensors"), safetensors::serialize(views, None).expect("it serialises"))
        .expect("it is written");

    let output = run(
        &["train", "--topics", &path("rows.jsonl"), "--vectors", &path("vectors.safetensors"), "--out", &path("model")],
        b"",
    );
    assert!(output.status.success(), "{}", stderr(&output));
    let model = Model::load(&folder.path().join("model")).expect("it loads");
    for (word, topic) in [("Pawn", "Chess"), ("weed", "Gardening")] {
        let article = Article { body: word.into(), ..Article::default() };
        let answer = model.classify(&article, &Options { explain: true, ..Options::default() }).expect("an answer");
        assert_eq!(&*answer.topics[0].code, topic);
        let evidence = &answer.topics[0].evidence[0];
        assert!(evidence.term == word && evidence.weight > 0.0, "{evidence:?}");
    }

    for file in ["missing", "rows.jsonl"] {
        let output =
            run(&["train", "--topics", &path("rows.jsonl"), "--vectors", &path(file), "--out", &path("none")], b"");
        assert_eq!(output.status.code(), Some(1));
        assert!(stderr(&output).contains("is no file of word vectors"), "{}", stderr(&output));
    }
}

/// Rows of an invented desk: each is about one or two of three topics, and names a sub-topic of the first in half of the rows.
fn desk_rows(n: usize) -> Vec<serde_json::Value> {
    let words = [
        ("sport", ["match", "coach", "league", "stadium"], [("rowing", "oarsmen"), ("chess", "gambit")]),
        ("money", ["bank", "shares", "profit", "market"], [("coffee", "arabica"), ("ships", "tanker")]),
        ("court", ["judge", "trial", "jury", "verdict"], [("fraud", "forged"), ("theft", "burglar")]),
    ];
    (0..n)
        .map(|i| {
            let (topic, of_topic, narrower) = words[i % 3];
            let (other, of_other, _) = words[(i + 1) % 3];
            let (subtopic, telling) = narrower[(i / 6) % 2];
            let is_second = i % 5 == 0;
            // Short, and with a word of its own: no row is a copy of another.
            let mut body =
                format!("Town{i}: {} and {}, {}", of_topic[i % 4], of_topic[(i / 4) % 4], of_topic[(i / 5) % 4]);
            if is_second {
                body += &format!(", then {} and {}", of_other[i % 4], of_other[(i / 3) % 4]);
            }
            if i % 2 == 0 {
                body += &format!(", the {telling}");
            }
            let topics = if is_second { vec![topic, other] } else { vec![topic] };
            let subtopics = if i % 2 == 0 { vec![subtopic] } else { vec![] };
            let source = ["north", "south"][(i / 7) % 2];
            serde_json::json!({"body": body, "language": "en", "topics": topics, "subtopics": subtopics, "source": source})
        })
        .collect()
}

fn put(folder: &Path, name: &str, rows: &[serde_json::Value]) -> String {
    let path = folder.join(name);
    let lines: Vec<String> = rows.iter().map(ToString::to_string).collect();
    fs::write(&path, lines.join("\n")).expect("it is written");
    path.to_str().expect("a path in UTF-8").to_owned()
}

#[test]
fn articles_have_several_topics_and_subtopics_within_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let archive = put(folder.path(), "desk.jsonl", &desk_rows(600));
    let model = folder.path().join("model");
    let page = folder.path().join("report.html");
    let report = page.to_str().expect("UTF-8");
    let output = train(&model, &["--topics", &archive, "--leave-sources-out", "--report", report, "--json"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let summary: serde_json::Value = serde_json::from_str(&stdout(&output)).expect("one JSON object");
    let measure = |part: &str, name: &str| summary[part][name].as_f64().expect("a number");
    for (part, name) in [
        ("topics", "micro_f1"),
        ("topics", "macro_f1"),
        ("topics", "exact"),
        ("topics", "accuracy"),
        ("subtopics", "micro_f1"),
    ] {
        assert!(measure(part, name) > 0.9, "{part}.{name}: {summary}");
    }
    assert!(measure("topics", "auto_precision") >= 0.95 && measure("topics", "calibration_error") < 0.05, "{summary}");
    for part in ["sources", "left_out_sources"] {
        let sources = summary[part].as_object().expect("sources");
        assert_eq!(sources.keys().collect::<Vec<_>>(), ["north", "south"]);
        assert!(sources.values().all(|score| score["micro_f1"].as_f64().is_some_and(|f1| f1 > 0.8)), "{summary}");
    }
    let card = fs::read_to_string(model.join("MODEL_CARD.md")).expect("a card");
    for part in ["### Sub-topics", "| rowing", "| north", "do not exclude each other", "AUTO from"] {
        assert!(card.contains(part), "{part} is missing in\n{card}");
    }
    let page = fs::read_to_string(page).expect("a page");
    assert!(page.contains("Sub-topics") && page.contains("has seen no row of it"), "the page tells of both");

    let model = Model::load(&model).expect("it loads");
    assert!(!model.manifest().topics.exclusive && model.manifest().topics.subtopics.len() == 6);
    let article = Article {
        body: "Match and coach, stadium, then judge and trial, the oarsmen".into(),
        language: "en".into(),
        ..Article::default()
    };
    let answer = model.classify(&article, &Options { explain: true, ..Options::default() }).expect("an answer");
    let given: Vec<&str> = answer.topics.iter().take(2).map(|label| &*label.code).collect();
    assert!(given.contains(&"sport") && given.contains(&"court"), "{:?}", answer.topics);
    let sum: f32 = answer.topics.iter().map(|label| label.confidence).sum();
    assert!(sum > 1.2, "topics stand for themselves: {:?}", answer.topics);
    let narrower = answer.subtopics.first().unwrap_or_else(|| panic!("{answer:?}"));
    assert_eq!((&*narrower.code, narrower.broader.as_deref()), ("rowing", Some("sport")));
    let sport = answer.topics.iter().find(|label| &*label.code == "sport").expect("a topic");
    assert!(narrower.confidence <= sport.confidence);
    assert!(narrower.evidence.iter().any(|one| one.term == "oarsmen"), "{:?}", narrower.evidence);
    // Weights add up to the log-odds, function words in the remainder.
    let listed: f32 = sport.evidence.iter().map(|one| one.weight).sum();
    let log_odds = (sport.confidence / (1.0 - sport.confidence)).ln();
    let remainder = sport.evidence_remainder.expect("a remainder");
    assert!((listed + remainder - log_odds).abs() < 0.02 * log_odds.abs().max(1.0), "{listed} {remainder} {log_odds}");
    assert!(sport.evidence.iter().all(|one| one.term != "the"), "{:?}", sport.evidence);

    let folder = model_folder(&folder);
    let output = run(&["evaluate", "--topics", &archive, "--model", &folder, "--json"], b"");
    let report: serde_json::Value = serde_json::from_str(&stdout(&output)).expect("one JSON object");
    let keys: Vec<&String> = report["topics"].as_object().expect("topics").keys().collect();
    assert_eq!(
        keys,
        [
            "rows",
            "accuracy",
            "micro_f1",
            "macro_f1",
            "exact",
            "calibration_error",
            "auto_precision",
            "auto_recall",
            "auto_coverage",
            "auto_articles_right",
            "labels",
            "sources"
        ]
    );
    assert_eq!(report["subtopics"]["labels"].as_object().expect("labels").len(), 6);
    let output = run(&["evaluate", "--topics", &archive, "--model", &folder], b"");
    for part in ["Sub-topics", "north", "AUTO right"] {
        assert!(stdout(&output).contains(part), "{part} is missing in\n{}", stdout(&output));
    }
}

fn model_folder(folder: &tempfile::TempDir) -> String {
    folder.path().join("model").to_str().expect("a path in UTF-8").to_owned()
}

#[test]
fn rows_with_one_topic_teach_beside_rows_with_all() {
    let folder = tempfile::tempdir().expect("a folder");
    let rows = desk_rows(600);
    let archive = put(folder.path(), "desk.jsonl", &rows[..200]);
    // The others lose all topics but the first; some are copies, one has a topic that the archive lacks.
    let single = rows[190..]
        .iter()
        .map(|row| serde_json::json!({"body": row["body"], "language": "en", "topics": [row["topics"][0]]}));
    let unknown = serde_json::json!({"body": "A cake was baked.", "topics": ["food"]});
    let single = put(folder.path(), "single.jsonl", &single.chain([unknown]).collect::<Vec<_>>());
    let model = folder.path().join("model");
    let output = run(&["train", "--topics", &archive, &single, "--check"], b"");
    assert!(stdout(&output).contains("single.jsonl: each of its 411 rows has one topic"), "{}", stdout(&output));
    let output = train(&model, &["--topics", &archive, "--single-topic", &single, "--json"]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stderr(&output).contains("1 rows of --single-topic have the topic \"food\""), "{}", stderr(&output));
    let summary: serde_json::Value = serde_json::from_str(&stdout(&output)).expect("one JSON object");
    assert_eq!(summary["left_out"]["copied_single_topics"], 10, "{summary}");
    let model = Model::load(&model).expect("it loads");
    assert!(model.manifest().topics.measured["micro_f1"] > 0.85, "{:?}", model.manifest().topics.measured);
    let file = model.manifest().trained_on.iter().find(|file| file.labels == LabelSource::SingleTopic).expect("a file");
    assert_eq!((file.name.as_str(), file.rows), ("single.jsonl", 400));
    assert!(model.manifest().topics.labels.iter().all(|label| label.support < 200), "they are not among the archive's");
}

#[test]
fn odd_labels_are_told_and_nothing_crashes() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut rows = desk_rows(240);
    // A sub-topic without its topic, and one that is a topic.
    rows[0]["topics"] = serde_json::json!(["court"]);
    rows[0]["subtopics"] = serde_json::json!(["chess"]);
    rows[1]["subtopics"] = serde_json::json!(["court", "unheard of"]);
    // A topic of one row.
    rows[2]["topics"] = serde_json::json!(["sport", "kites"]);
    let odd = put(folder.path(), "odd.jsonl", &rows);
    let model = folder.path().join("model");
    let output = train(&model, &["--topics", &odd, "--min-subtopic-rows", "10"]);
    assert!(output.status.success(), "{}", stderr(&output));
    for part in
        ["sub-topics stand in rows without their topic", "odd.jsonl:1", "unheard of (1)", "\"kites\" has too few rows"]
    {
        assert!(stderr(&output).contains(part), "{part} is missing in\n{}", stderr(&output));
    }
    let output = train(&model, &["--topics", &odd, "--min-rows", "1", "--min-subtopic-rows", "1"]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(
        Model::load(&model).expect("it loads").topics().topics().len(),
        4,
        "a topic of one row is learned if wanted"
    );

    // All rows have all labels: nothing tells them apart, and no label is ever sure.
    let mut alike = desk_rows(60);
    alike.iter_mut().for_each(|row| row["topics"] = serde_json::json!(["sport", "money", "court"]));
    let alike = put(folder.path(), "alike.jsonl", &alike);
    let output = train(&model, &["--topics", &alike]);
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    assert!(stderr(&output).contains("all rows have the same topics"), "{}", stderr(&output));

    // Many labels.
    let many: Vec<serde_json::Value> = (0..960)
        .map(|i| serde_json::json!({"body": format!("Word{} again word{} on day{i}.", i / 8, i / 8), "topics": [format!("t{}", i / 8)]}))
        .collect();
    let many = put(folder.path(), "many.jsonl", &many);
    let output = train(&model, &["--topics", &many]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(Model::load(&model).expect("it loads").topics().topics().len(), 120);
}

#[test]
fn training_files_that_cannot_teach_are_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).expect("it is written");
        path.to_str().expect("a path in UTF-8").to_owned()
    };
    let row = |topic: &str| format!("{{\"body\": \"Rain fell.\", \"topics\": [\"{topic}\"]}}\n");
    let cut = write("cut.jsonl", &(row("a") + "{\"body\": \"Rai\n" + &row("b")));
    let one = write("one.jsonl", &row("a").repeat(9));
    let different = |i: u8| format!("{{\"body\": \"Rain fell in {}.\", \"topics\": [\"a\"]}}\n", "x".repeat(i.into()));
    let rare = write("rare.jsonl", &((1..9).map(different).collect::<String>() + &row("b")));
    let none = write("none.jsonl", "{\"body\": \"Rain fell.\"}\n");
    let country = write("country.jsonl", "{\"body\": \"Rain fell.\", \"regions\": [\"Kenya\"]}\n");
    let cases: [(&[&str], i32, &str); 9] = [
        (&["--topics", TOPICS, "--unlabelled", TOPICS], 2, "--regions <PATH>"),
        (&["--regions", REGIONS, "--unlabelled", TOPICS], 3, "every row has topics or regions; give it with --topics"),
        (&[], 2, "--topics <PATH>"),
        (&["--topics", "missing.jsonl"], 3, "no such file"),
        (&["--topics", &cut], 3, "cut.jsonl:2"),
        (&["--topics", &one], 3, "no topic has 5 different rows"),
        (&["--topics", &rare], 3, "at least two different topics"),
        (&["--topics", &none], 3, "no row has text and a \"topics\" list"),
        (&["--regions", &country], 3, "expected an ISO 3166-1 alpha-2 country code"),
    ];
    let out = folder.path().join("model");
    for (args, status, message) in cases {
        let output = train(&out, args);
        assert_eq!(output.status.code(), Some(status), "{args:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(message), "{args:?}: {}", stderr(&output));
        assert!(!out.exists(), "nothing is written");
    }
}

#[test]
fn a_damaged_or_foreign_model_is_one_clear_error() {
    let folder = trained(&["--topics", TOPICS, "--regions", REGIONS]);
    let path = |name: &str| folder.path().join(name);
    let good = |name: &str| fs::read(path(name)).expect("it was written");
    let (tensors, manifest) = (good("model.safetensors"), good("manifest.json"));
    let text = String::from_utf8(manifest.clone()).expect("JSON is UTF-8");
    let mut flipped = tensors.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    let edited = text.replacen("\"review\": 0.", "\"review\": 0.0", 1);
    let foreign = text.replacen("\"schema\": 5", "\"schema\": 99", 1);
    let cases: [(&str, &[u8], &[u8], &str); 7] = [
        ("a flipped bit", &flipped, &manifest, "model.safetensors is damaged"),
        ("half a file", &tensors[..middle], &manifest, "model.safetensors is damaged"),
        ("another's tensors", b"PNG", &manifest, "model.safetensors is damaged"),
        ("an edited manifest", &tensors, edited.as_bytes(), "manifest.json is damaged"),
        ("another schema", &tensors, foreign.as_bytes(), "schema 99"),
        ("no JSON", &tensors, b"{", "manifest.json is not a manifest"),
        ("another's JSON", &tensors, b"{\"name\": \"x\"}", "manifest.json is not a manifest"),
    ];
    for (name, tensors, manifest, message) in cases {
        fs::write(path("model.safetensors"), tensors).expect("it is written");
        fs::write(path("manifest.json"), manifest).expect("it is written");
        let error = Model::load(folder.path()).expect_err(name).to_string();
        assert!(error.contains(message), "{name}: {error}");
        let output = run(&["serve", "--listen", "127.0.0.1:0", "--model", folder.path().to_str().expect("UTF-8")], b"");
        assert_eq!(output.status.code(), Some(1), "{name}");
    }
}

#[test]
fn the_bundled_model_is_small_and_knows_its_origin() {
    let model = Model::bundled().expect("it opens");
    let bytes: u64 = ["model.safetensors", "manifest.json", "MODEL_CARD.md"]
        .iter()
        .map(|name| fs::metadata(file("models").join(name)).expect("it is there").len())
        .sum();
    assert!(bytes < 16 << 20, "{bytes} bytes");
    assert_eq!(model, Model::load(&file("models")).expect("it loads"), "the folder is what was compiled in");
    let card = fs::read_to_string(file("models/MODEL_CARD.md")).expect("a card");
    assert!(card.contains(model.version()), "the card is this model's");
}

#[test]
fn rows_without_labels_teach_which_words_speak_for_a_country() {
    let folder = tempfile::tempdir().expect("a folder");
    let unlabelled = folder.path().join("unlabelled.jsonl");
    let rows: Vec<String> = fs::read_to_string("tests/data/world.jsonl")
        .expect("the rows are there")
        .lines()
        .map(|line| {
            let mut row: serde_json::Value = serde_json::from_str(line).expect("a row");
            row.as_object_mut().expect("an object").remove("regions");
            row.to_string()
        })
        .collect();
    fs::write(&unlabelled, rows.join("\n")).expect("it is written");
    let unlabelled = unlabelled.to_str().expect("a path in UTF-8");
    let model = Model::load(trained(&["--regions", REGIONS, "--unlabelled", unlabelled]).path()).expect("it loads");
    let weak: Vec<_> = model.manifest().trained_on.iter().filter(|file| file.labels == LabelSource::Rule).collect();
    assert_eq!(weak.len(), 1, "{:?}", model.manifest().trained_on);
    assert_eq!(weak[0].task, Task::Regions);
    assert!(weak[0].name == "unlabelled.jsonl" && weak[0].rows > 50 && weak[0].rows < 150, "{weak:?}");
}
