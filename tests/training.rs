//! `dateline train` and `dateline evaluate` on small files written for the tests, and the errors of invalid rows and models.

mod common;

use common::{TempDir, dateline_in_project, project_path, run, stderr, stdout, succeed, utf8, version_of};
use dateline::{
    Article, Model, Options,
    model::{LabelSource, Task},
};
use safetensors::{Dtype, tensor::TensorView};
use std::{fs, path::Path, process::Output};

const TOPICS: &str = "tests/data/topics.jsonl";
const REGIONS: &str = "tests/data/regions.jsonl";

/// Runs `dateline train` with an output directory and more arguments.
fn train(out: &Path, args: &[&str]) -> Output {
    run(&[&["train", "--out", utf8(out)], args].concat(), b"")
}

/// A directory with a model trained with these arguments.
fn trained(args: &[&str]) -> TempDir {
    let folder = TempDir::new();
    let output = train(folder.path(), args);
    assert!(output.status.success(), "{}", stderr(&output));
    folder
}

#[test]
fn a_small_archive_trains_topics_and_regions() {
    let folder = TempDir::new();
    let output = train(folder.path(), &["--topics", TOPICS, "--regions", REGIONS]);
    assert!(output.status.success(), "{}", stderr(&output));
    for part in ["medtop:15000000", "macro_f1", "micro_f1", "MODEL_CARD.md"] {
        assert!(stdout(&output).contains(part), "{part} is missing in\n{}", stdout(&output));
    }
    let card = fs::read_to_string(folder.path().join("MODEL_CARD.md")).expect("the model card can be read");
    for part in
        ["5-fold cross-validation", "topics.jsonl", "regions.jsonl", "| medtop:15000000 | sport", "rust-ml/linfa#192"]
    {
        assert!(card.contains(part), "{part} is missing in the card");
    }

    let model = Model::load(folder.path()).expect("the model loads");
    let measured = &model.manifest().topics.measured;
    assert!(measured["accuracy"] > 0.8, "the words of the six topics differ: {measured:?}");
    let micro_f1 = |system: &str| -> f64 {
        let row = card.lines().find(|line| line.starts_with(&format!("| {system}"))).expect(system);
        row.split('|').nth(2).and_then(|cell| cell.trim().parse().ok()).expect("a number")
    };
    assert!((micro_f1("Dateline") - model.manifest().regions.measured["micro_f1"]).abs() < 1e-3);
    assert!(micro_f1("Dateline") > micro_f1("most mentioned"));

    let folder = utf8(folder.path());
    let output = run(&["evaluate", "--topics", TOPICS, "--regions", REGIONS, "--model", folder, "--json"], b"");
    let report: serde_json::Value = serde_json::from_str(&stdout(&output)).expect("one JSON object");
    assert_eq!(report["topics"]["rows"], 240);
    assert!(
        report["topics"]["accuracy"].as_f64().expect("a number") > 0.9,
        "these rows were seen in training: {report}"
    );
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
fn the_card_has_the_quality_by_part_of_the_world() {
    let folder = TempDir::new();
    let mut rows = desk_rows(120);
    for (i, row) in rows.iter_mut().enumerate() {
        let (city, country) = [("Nairobi", "KE"), ("Lima", "PE")][i % 2];
        row["body"] = format!("{}, said people in {city}", row["body"].as_str().expect("a body")).into();
        row["regions"] = serde_json::json!([country]);
    }
    let (rows, out) = (write_rows(&folder, "rows.jsonl", &rows), folder.join("model"));
    let output = train(&out, &["--topics", &rows, "--regions", REGIONS]);
    assert!(output.status.success(), "{}", stderr(&output));
    let card = fs::read_to_string(out.join("MODEL_CARD.md")).expect("the model card can be read");
    for part in ["Eastern Africa", "South America"] {
        let row = card.lines().find(|line| line.starts_with(&format!("| {part}"))).expect("the part is listed");
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let number = |cell: usize| cells[cell].parse::<f64>().expect("a number");
        assert!(number(2) == 60.0 && number(3) > 0.5, "articles, and the share with the right topic: {row}");
        assert!(number(6) >= 1.0 && number(7) > 0.5, "named countries, and the share that is found: {row}");
    }
}

#[test]
fn the_same_data_and_seed_give_the_same_bytes_on_any_number_of_threads() {
    let folders = [TempDir::new(), TempDir::new()];
    for (folder, threads) in folders.iter().zip(["1", "3"]) {
        let args = ["train", "--topics", TOPICS, "--regions", REGIONS, "--seed", "7", "--out", utf8(folder.path())];
        succeed(dateline_in_project(&args).env("RAYON_NUM_THREADS", threads));
    }
    for name in ["model.safetensors", "manifest.json", "MODEL_CARD.md"] {
        let [one, other] = [0, 1].map(|i| fs::read(folders[i].join(name)).expect("the file can be read"));
        assert!(one == other, "{name} differs");
    }
    let other_seed = trained(&["--topics", TOPICS, "--regions", REGIONS, "--seed", "8"]);
    assert_ne!(version_of(&other_seed), version_of(&folders[0]));
}

#[test]
fn the_half_that_is_not_trained_comes_from_the_bundled_model() {
    let folder = TempDir::new();
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
    let rows = folder.write("sections.jsonl", lines);
    let model = folder.join("model");
    let output = train(&model, &["--topics", &rows]);
    assert!(output.status.success(), "{}", stderr(&output));
    let model = Model::load(&model).expect("the model loads");
    let article =
        Article { body: "The queen took the bishop in Nairobi, Kenya, in round nine.".into(), ..Article::default() };
    let answer = model.classify(&article, &Options::default()).expect("an answer");
    assert_eq!((&*answer.topics[0].code, &*answer.topics[0].name), ("Chess", "Chess"));
    assert_eq!(&*answer.regions[0].label.code, "KE", "the bundled model's answer");
    let bundled = Model::bundled().expect("the bundled model loads");
    assert_eq!(model.regions(), bundled.regions());
}

#[test]
fn word_vectors_classify_by_words_that_no_row_has() {
    let folder = TempDir::new();
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
    let (rows, model) = (folder.write("rows.jsonl", lines), folder.arg("model"));

    // "Pawn" and "weed" are in no row. Their vectors are close to those of the other words of their topic.
    let words: Vec<&str> = chess.iter().chain(&["pawn"]).chain(&garden).chain(&["weed"]).copied().collect();
    let hash = |word: &str| dateline::text::word_hash(word, dateline::text::Shape::Lower, &mut Vec::new());
    let hashes: Vec<u8> = words.iter().flat_map(|word| hash(word).to_le_bytes()).collect();
    let values: Vec<u8> = (0..words.len()).flat_map(|i| if i < 7 { [100, 3] } else { [2, 90] }).collect();
    let tensors =
        [("hashes", Dtype::U64, vec![words.len()], hashes), ("values", Dtype::I8, vec![words.len(), 2], values)];
    let views = tensors.iter().map(|(name, dtype, shape, bytes)| {
        (*name, TensorView::new(*dtype, shape.clone(), bytes).expect("the shape fits"))
    });
    let tensors = safetensors::serialize(views, None).expect("the tensors can be serialised");
    let vectors = folder.write("vectors.safetensors", tensors);

    let output = run(&["train", "--topics", &rows, "--vectors", &vectors, "--out", &model], b"");
    assert!(output.status.success(), "{}", stderr(&output));
    let model = Model::load(Path::new(&model)).expect("the model loads");
    for (word, topic) in [("Pawn", "Chess"), ("weed", "Gardening")] {
        let article = Article { body: word.into(), ..Article::default() };
        let answer = model.classify(&article, &Options { explain: true, ..Options::default() }).expect("an answer");
        assert_eq!(&*answer.topics[0].code, topic);
        let evidence = &answer.topics[0].evidence[0];
        assert!(evidence.term == word && evidence.weight > 0.0, "{evidence:?}");
    }

    for file in ["missing", "rows.jsonl"] {
        let (invalid, out) = (folder.arg(file), folder.arg("none"));
        let output = run(&["train", "--topics", &rows, "--vectors", &invalid, "--out", &out], b"");
        assert_eq!(output.status.code(), Some(1));
        assert!(stderr(&output).contains("is not a valid file of word vectors"), "{}", stderr(&output));
    }
}

/// Invented rows: each is about one or two of three topics, and every second one about a sub-topic of its first topic.
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
            // The town is unique, so that no row is a copy of another.
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

/// Writes rows as JSON Lines.
fn write_rows(folder: &TempDir, name: &str, rows: &[serde_json::Value]) -> String {
    let lines: Vec<String> = rows.iter().map(ToString::to_string).collect();
    folder.write(name, lines.join("\n"))
}

#[test]
fn articles_can_have_several_topics_and_subtopics() {
    let folder = TempDir::new();
    let archive = write_rows(&folder, "desk.jsonl", &desk_rows(600));
    let model = folder.join("model");
    let page = folder.arg("report.html");
    let output = train(&model, &["--topics", &archive, "--leave-sources-out", "--report", &page, "--json"]);
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
    let card = fs::read_to_string(model.join("MODEL_CARD.md")).expect("the model card can be read");
    for part in ["### Sub-topics", "| rowing", "| north", "do not exclude each other", "AUTO from"] {
        assert!(card.contains(part), "{part} is missing in\n{card}");
    }
    let page = fs::read_to_string(page).expect("the report can be read");
    assert!(page.contains("Sub-topics") && page.contains("has seen no row of it"), "the page has both tables");

    let model = Model::load(&model).expect("the model loads");
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
    assert!(sum > 1.2, "the confidences of topics are independent: {:?}", answer.topics);
    let narrower = answer.subtopics.first().unwrap_or_else(|| panic!("{answer:?}"));
    assert_eq!((&*narrower.code, narrower.broader.as_deref()), ("rowing", Some("sport")));
    let sport = answer.topics.iter().find(|label| &*label.code == "sport").expect("a topic");
    assert!(narrower.confidence <= sport.confidence);
    assert!(narrower.evidence.iter().any(|one| one.term == "oarsmen"), "{:?}", narrower.evidence);
    // The log-odds are the sum of the weights and the remainder, which includes function words.
    let listed: f32 = sport.evidence.iter().map(|one| one.weight).sum();
    let log_odds = (sport.confidence / (1.0 - sport.confidence)).ln();
    let remainder = sport.evidence_remainder.expect("a remainder");
    assert!((listed + remainder - log_odds).abs() < 0.02 * log_odds.abs().max(1.0), "{listed} {remainder} {log_odds}");
    assert!(sport.evidence.iter().all(|one| one.term != "the"), "{:?}", sport.evidence);

    let model = folder.arg("model");
    let output = run(&["evaluate", "--topics", &archive, "--model", &model, "--json"], b"");
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
    let output = run(&["evaluate", "--topics", &archive, "--model", &model], b"");
    for part in ["Sub-topics", "north", "AUTO right"] {
        assert!(stdout(&output).contains(part), "{part} is missing in\n{}", stdout(&output));
    }
}

#[test]
fn single_topic_rows_can_be_added_to_an_archive() {
    let folder = TempDir::new();
    let rows = desk_rows(600);
    let archive = write_rows(&folder, "desk.jsonl", &rows[..200]);
    // Rows with only their first topic. Ten are copies of archive rows, and one has a topic that the archive lacks.
    let single = rows[190..]
        .iter()
        .map(|row| serde_json::json!({"body": row["body"], "language": "en", "topics": [row["topics"][0]]}));
    let unknown = serde_json::json!({"body": "A cake was baked.", "topics": ["food"]});
    let single = write_rows(&folder, "single.jsonl", &single.chain([unknown]).collect::<Vec<_>>());
    let model = folder.join("model");
    let output = run(&["train", "--topics", &archive, &single, "--check"], b"");
    assert!(stdout(&output).contains("single.jsonl: each of its 411 rows has one topic"), "{}", stdout(&output));
    let output = train(&model, &["--topics", &archive, "--single-topic", &single, "--json"]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stderr(&output).contains("1 rows of --single-topic have the topic \"food\""), "{}", stderr(&output));
    let summary: serde_json::Value = serde_json::from_str(&stdout(&output)).expect("one JSON object");
    assert_eq!(summary["left_out"]["copied_single_topics"], 10, "{summary}");
    let model = Model::load(&model).expect("the model loads");
    assert!(model.manifest().topics.measured["micro_f1"] > 0.85, "{:?}", model.manifest().topics.measured);
    let file = model
        .manifest()
        .trained_on
        .iter()
        .find(|file| file.labels == LabelSource::SingleTopic)
        .expect("the manifest lists the file");
    assert_eq!((file.name.as_str(), file.rows), ("single.jsonl", 400));
    assert!(
        model.manifest().topics.labels.iter().all(|label| label.support < 200),
        "single-topic rows do not count as support"
    );
}

#[test]
fn odd_labels_get_warnings() {
    let folder = TempDir::new();
    let mut rows = desk_rows(240);
    // A sub-topic without its topic, and a sub-topic that is also a topic.
    rows[0]["topics"] = serde_json::json!(["court"]);
    rows[0]["subtopics"] = serde_json::json!(["chess"]);
    rows[1]["subtopics"] = serde_json::json!(["court", "unheard of"]);
    // A topic with a single row.
    rows[2]["topics"] = serde_json::json!(["sport", "kites"]);
    let odd = write_rows(&folder, "odd.jsonl", &rows);
    let model = folder.join("model");
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
        Model::load(&model).expect("the model loads").topics().topics().len(),
        4,
        "--min-rows 1 keeps a topic with a single row"
    );

    // All rows have all topics, so that there is nothing to learn.
    let mut alike = desk_rows(60);
    alike.iter_mut().for_each(|row| row["topics"] = serde_json::json!(["sport", "money", "court"]));
    let alike = write_rows(&folder, "alike.jsonl", &alike);
    let output = train(&model, &["--topics", &alike]);
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    assert!(stderr(&output).contains("all rows have the same topics"), "{}", stderr(&output));

    // 120 topics.
    let many: Vec<serde_json::Value> = (0..960)
        .map(|i| serde_json::json!({"body": format!("Word{} again word{} on day{i}.", i / 8, i / 8), "topics": [format!("t{}", i / 8)]}))
        .collect();
    let many = write_rows(&folder, "many.jsonl", &many);
    let output = train(&model, &["--topics", &many]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(Model::load(&model).expect("the model loads").topics().topics().len(), 120);
}

#[test]
fn unusable_training_files_are_errors() {
    let folder = TempDir::new();
    let row = |topic: &str| format!("{{\"body\": \"Rain fell.\", \"topics\": [\"{topic}\"]}}\n");
    let cut = folder.write("cut.jsonl", row("a") + "{\"body\": \"Rai\n" + &row("b"));
    let one = folder.write("one.jsonl", row("a").repeat(9));
    let different = |i: u8| format!("{{\"body\": \"Rain fell in {}.\", \"topics\": [\"a\"]}}\n", "x".repeat(i.into()));
    let rare = folder.write("rare.jsonl", (1..9).map(different).collect::<String>() + &row("b"));
    let none = folder.write("none.jsonl", "{\"body\": \"Rain fell.\"}\n");
    let country = folder.write("country.jsonl", "{\"body\": \"Rain fell.\", \"regions\": [\"Atlantis\"]}\n");
    let cases: [(&[&str], i32, &str); 9] = [
        (&["--topics", TOPICS, "--unlabelled", TOPICS], 2, "--regions <PATH>"),
        (&["--regions", REGIONS, "--unlabelled", REGIONS], 3, "every row has regions; give it with --regions"),
        (&[], 2, "--topics <PATH>"),
        (&["--topics", "missing.jsonl"], 3, "no such file"),
        (&["--topics", &cut], 3, "cut.jsonl:2"),
        (&["--topics", &one], 3, "no topic has 5 different rows"),
        (&["--topics", &rare], 3, "at least two different topics"),
        (&["--topics", &none], 3, "no row has a text and topics"),
        (&["--regions", &country], 3, "unknown are \"Atlantis\" (1)"),
    ];
    let out = folder.join("model");
    for (args, status, message) in cases {
        let output = train(&out, args);
        assert_eq!(output.status.code(), Some(status), "{args:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(message), "{args:?}: {}", stderr(&output));
        assert!(!out.exists(), "nothing is written");
    }
}

#[test]
fn damaged_and_incompatible_models_are_errors() {
    let folder = trained(&["--topics", TOPICS, "--regions", REGIONS]);
    let read = |name: &str| fs::read(folder.join(name)).expect("the file can be read");
    let (tensors, manifest) = (read("model.safetensors"), read("manifest.json"));
    let text = String::from_utf8(manifest.clone()).expect("JSON is UTF-8");
    let mut flipped = tensors.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    let edited = text.replacen("\"review\": 0.", "\"review\": 0.0", 1);
    let unknown_schema = text.replacen("\"schema\": 5", "\"schema\": 99", 1);
    let cases: [(&str, &[u8], &[u8], &str); 7] = [
        ("a flipped bit", &flipped, &manifest, "model.safetensors is damaged"),
        ("a truncated file", &tensors[..middle], &manifest, "model.safetensors is damaged"),
        ("another file format", b"PNG", &manifest, "model.safetensors is damaged"),
        ("an edited manifest", &tensors, edited.as_bytes(), "manifest.json is damaged"),
        ("another schema", &tensors, unknown_schema.as_bytes(), "schema 99"),
        ("invalid JSON", &tensors, b"{", "invalid manifest.json"),
        ("another JSON object", &tensors, b"{\"name\": \"x\"}", "invalid manifest.json"),
    ];
    for (name, tensors, manifest, message) in cases {
        folder.write("model.safetensors", tensors);
        folder.write("manifest.json", manifest);
        let error = Model::load(folder.path()).expect_err(name).to_string();
        assert!(error.contains(message), "{name}: {error}");
        let output = run(&["serve", "--listen", "127.0.0.1:0", "--model", utf8(folder.path())], b"");
        assert_eq!(output.status.code(), Some(1), "{name}");
    }
}

#[test]
fn the_bundled_model_is_small_and_matches_its_files() {
    let model = Model::bundled().expect("the bundled model loads");
    let bytes: u64 = ["model.safetensors", "manifest.json", "MODEL_CARD.md"]
        .iter()
        .map(|name| fs::metadata(project_path("models").join(name)).expect("the file exists").len())
        .sum();
    assert!(bytes < 16 << 20, "{bytes} bytes");
    assert_eq!(
        model,
        Model::load(&project_path("models")).expect("the model loads"),
        "the compiled-in model equals the files"
    );
    let card = fs::read_to_string(project_path("models/MODEL_CARD.md")).expect("the model card can be read");
    assert!(card.contains(model.version()), "the card names this version");
}

#[test]
fn unlabelled_rows_train_the_words_that_indicate_a_country() {
    let folder = TempDir::new();
    let rows: Vec<String> = fs::read_to_string(project_path("tests/data/world.jsonl"))
        .expect("the rows can be read")
        .lines()
        .map(|line| {
            let mut row: serde_json::Value = serde_json::from_str(line).expect("a row");
            row.as_object_mut().expect("an object").remove("regions");
            row.to_string()
        })
        .collect();
    let unlabelled = folder.write("unlabelled.jsonl", rows.join("\n"));
    let model =
        Model::load(trained(&["--regions", REGIONS, "--unlabelled", &unlabelled]).path()).expect("the model loads");
    let rule_labelled: Vec<_> =
        model.manifest().trained_on.iter().filter(|file| file.labels == LabelSource::Rule).collect();
    assert_eq!(rule_labelled.len(), 1, "{:?}", model.manifest().trained_on);
    assert_eq!(rule_labelled[0].task, Task::Regions);
    assert!(
        rule_labelled[0].name == "unlabelled.jsonl" && rule_labelled[0].rows > 50 && rule_labelled[0].rows < 150,
        "{rule_labelled:?}"
    );
}
