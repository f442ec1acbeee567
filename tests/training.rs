//! `dateline train` and `dateline evaluate` on small files written for the project, and models that are damaged.

mod common;

use common::{dateline, file, run, stderr, stdout};
use dateline::{Article, Model, Options, model::Task};
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
    assert!(micro_f1("Dateline") > micro_f1("most mentioned") && micro_f1("Dateline") > micro_f1("one-vs-rest SVM"));

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

#[test]
fn rules_label_rows_without_topics_and_those_are_told_apart() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).to_str().expect("a path in UTF-8").to_owned();
    let towns = ["Ulm", "Graz", "Brno", "Pecs", "Cluj", "Linz", "Bern", "Nice", "Faro", "Turku"];
    let row = |i: usize| match i % 3 {
        0 => format!("The rain fell on {} for all of the day and the river rose.", towns[i % 10]),
        1 => format!("The sun shone and the rain stayed away from {} for the day.", towns[i % 10]),
        _ => format!("The mayor of {} opened a bridge over the river today.", towns[i % 10]),
    };
    let lines: String = (0..60).map(|i| serde_json::json!({"body": row(i)}).to_string() + "\n").collect();
    fs::write(path("unlabelled.jsonl"), lines).expect("it is written");
    fs::write(path("rules.tsv"), "rain\t8\t1\t\\brain\\b\t\\bsun\\b\n").expect("it is written");
    let args = ["--topics", TOPICS, "--unlabelled", &path("unlabelled.jsonl"), "--rules", &path("rules.tsv")];
    let output = train(&folder.path().join("model"), &args);
    assert!(output.status.success(), "{}", stderr(&output));

    let model = Model::load(&folder.path().join("model")).expect("it loads");
    let labels = &model.manifest().topics.labels;
    let rain = labels.iter().find(|label| label.code == "rain").expect("a label");
    assert_eq!((labels.len(), rain.support, rain.weak), (7, 0, 8));
    for label in labels.iter().filter(|label| label.code != "rain") {
        assert!(label.support >= 40 && label.weak == 0, "{label:?}");
    }
    let weak = model.manifest().trained_on.iter().find(|file| file.weak).expect("a file");
    assert_eq!((weak.name.as_str(), weak.rows), ("unlabelled.jsonl", 8));
    let article = Article { body: "Rain fell on Porto for all of the day.".into(), ..Article::default() };
    assert_eq!(&*model.classify(&article, &Options::default()).expect("an answer").topics[0].code, "rain");
    let card = fs::read_to_string(folder.path().join("model/MODEL_CARD.md")).expect("a card");
    assert!(card.contains("| by rule |") && card.contains("| rain "), "{card}");
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
    let rules = write("rules.tsv", "a\tmany\t1\tb\tc\n");
    let cases: [(&[&str], i32, &str); 9] = [
        (&["--topics", TOPICS, "--unlabelled", &none, "--rules", &rules], 3, "rules.tsv:1: \"many\" is no number"),
        (&["--topics", TOPICS, "--unlabelled", TOPICS], 3, "every row has topics or regions; give it with --topics"),
        (&[], 2, "--topics <PATH>"),
        (&["--topics", "missing.jsonl"], 3, "no such file"),
        (&["--topics", &cut], 3, "cut.jsonl:2"),
        (&["--topics", &one], 3, "no topic has 5 different rows"),
        (&["--topics", &rare], 3, "at least two different topics"),
        (&["--topics", &none], 3, "no row has text and a \"topics\" list"),
        (&["--regions", &country], 3, "a region is no ISO 3166-1 alpha-2 country code"),
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
    let foreign = text.replacen("\"schema\": 3", "\"schema\": 99", 1);
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
    let weak: Vec<_> =
        model.manifest().trained_on.iter().filter(|file| file.weak && file.task == Task::Regions).collect();
    assert_eq!(weak.len(), 1, "{:?}", model.manifest().trained_on);
    assert!(weak[0].name == "unlabelled.jsonl" && weak[0].rows > 50 && weak[0].rows < 150, "{weak:?}");
}
