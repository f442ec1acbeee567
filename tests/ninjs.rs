//! Classifies ninjs items in versions 1.5, 2.1 and 3.0, and checks the labelled items against the standard.

mod common;

use common::{project_path, run, stderr, stdout};
use serde_json::Value;
use std::fs;

/// A sample of each version, with its names of the lists of subjects and of places.
const SAMPLES: [(&str, &str, &str); 3] = [
    ("examples/articles/ninjs-1.5.json", "subject", "place"),
    ("examples/articles/ninjs-2.1.json", "subjects", "places"),
    ("examples/articles/ninjs-3.0.json", "subjects", "places"),
];

/// Checks a subject or a place against the schema of its version: the fields' names, types and ranges.
fn check(concept: &Value, version: u32, is_subject: bool) {
    let fields = concept.as_object().expect("an object");
    assert!(!fields.is_empty());
    for (name, value) in fields {
        let is_uri = || {
            value.as_str().is_some_and(|uri| {
                uri.split_once("://").is_some_and(|(scheme, rest)| scheme == "http" && !rest.is_empty())
            })
        };
        let is_share = || value.as_u64().is_some_and(|share| share <= 100);
        let fits = match (name.as_str(), version, is_subject) {
            ("name" | "rel", ..) => value.is_string(),
            ("scheme", 1, _) => is_uri(),
            ("code", 1, _) => value.is_string(),
            ("uri", 2 | 3, _) => is_uri(),
            ("literal", 2 | 3, _) => value.is_string(),
            ("creator", _, true) => value.is_string(),
            ("confidence" | "relevance", _, true) => is_share(),
            ("contactinfo", 1 | 2, false) | ("contactInfo", 3, false) => value.is_array(),
            _ => false,
        };
        assert!(fits, "{name} of {concept} in ninjs {version}");
    }
}

#[test]
fn labelled_items_keep_all_their_fields() {
    for (version, (path, subjects, places)) in (1..).zip(SAMPLES) {
        let output = run(&["classify", "--ninjs", path], b"");
        assert!(output.status.success(), "{}", stderr(&output));
        let out = stdout(&output);
        assert_eq!(out.lines().count(), 1, "one line per item, whatever its layout");
        let before: Value =
            serde_json::from_slice(&fs::read(project_path(path)).expect("the sample can be read")).expect("JSON");
        let after: Value = serde_json::from_str(&out).expect("JSON");
        for (name, value) in
            before.as_object().expect("an object").iter().filter(|(name, _)| *name != subjects && *name != places)
        {
            assert_eq!(after[name], *value, "{name} in {path}");
        }
        let list = |item: &Value, name: &str| item[name].as_array().cloned().unwrap_or_default();
        let ours =
            |concept: &Value| concept["creator"].as_str().is_some_and(|creator| creator.starts_with("dateline/"));
        let (subjects_after, places_after) = (list(&after, subjects), list(&after, places));
        for theirs in list(&before, subjects).iter().filter(|concept| !ours(concept)) {
            assert!(subjects_after.contains(theirs), "{theirs} in {out}");
        }
        for theirs in list(&before, places) {
            assert!(places_after.contains(&theirs), "{theirs} in {out}");
        }
        let added: Vec<&Value> = subjects_after.iter().filter(|concept| ours(concept)).collect();
        assert!(!added.is_empty() && added.iter().all(|one| one["creator"] != "dateline/000000000000"), "{out}");
        subjects_after.iter().for_each(|concept| check(concept, version, true));
        places_after.iter().for_each(|concept| check(concept, version, false));
        let codes: Vec<String> = places_after
            .iter()
            .filter_map(|place| place["uri"].as_str().or(place["code"].as_str()))
            .map(|code| code.trim_start_matches("http://cvx.iptc.org/iso3166-1a2/").to_owned())
            .collect();
        assert_eq!(codes[0], ["KE", "PT", "PE"][version as usize - 1], "{out}");
        let mut different = codes.clone();
        different.sort();
        different.dedup();
        assert_eq!(different.len(), codes.len(), "no place is listed twice: {out}");
    }
    // Numbers keep all their digits, beyond the precision of a double.
    assert!(
        stdout(&run(&["classify", "--ninjs", SAMPLES[1].0], b"")).contains("\"x_price_eur\":12345678901234567890.25")
    );
}

#[test]
fn labelling_twice_gives_the_same_item() {
    let once = stdout(&run(&["classify", "--ninjs", SAMPLES[2].0], b""));
    let twice = stdout(&run(&["classify", "--ninjs", "-"], once.as_bytes()));
    assert_eq!(once, twice);
}

#[test]
fn canceled_and_invalid_items_are_unchanged() {
    let canceled = "{\"uri\":\"http://wire.example/9\",\"pubstatus\":\"canceled\",\"headline\":\"Kenya votes on budget\",\"x\":1.0}\n";
    let output = run(&["classify", "--ninjs"], canceled.as_bytes());
    assert_eq!(stdout(&output), canceled);
    let empty = "{\"uri\":\"http://wire.example/10\",\"pubstatus\":\"usable\",\"headline\":\"\"}\n";
    let output = run(&["classify", "--ninjs"], format!("{empty}{{\"uri\": \"secret\n").as_bytes());
    assert_eq!((stdout(&output).as_str(), output.status.code()), (empty, Some(3)));
    assert!(
        stderr(&output).contains("the article has no text") && !stderr(&output).contains("secret"),
        "{}",
        stderr(&output)
    );
    let answer = stdout(&run(&["classify", "--json"], canceled.as_bytes()));
    assert!(answer.contains("the item is canceled"), "{answer}");
}

#[test]
fn articles_in_other_formats_become_items() {
    let output =
        run(&["classify", "--ninjs", "examples/articles/wire.jsonl", "examples/articles/islamabad-visit.html"], b"");
    assert!(output.status.success(), "{}", stderr(&output));
    for line in stdout(&output).lines() {
        let item: Value = serde_json::from_str(line).expect("JSON");
        assert_eq!(item["standard"]["version"], "3.0");
        assert!(item["uri"].as_str().is_some_and(|uri| uri.contains(':')), "{item}");
        item["subjects"].as_array().into_iter().flatten().for_each(|concept| check(concept, 3, true));
        item["places"].as_array().into_iter().flatten().for_each(|concept| check(concept, 3, false));
    }
}

#[test]
fn feeds_are_read() {
    let rss = "<?xml version=\"1.0\"?><rss version=\"2.0\"><channel><title>Harbour Post</title><link>http://a.example/</link>\
               <description>News</description><item><guid>h1</guid><title>Kenya's parliament passes budget</title>\
               <description>&lt;p&gt;The finance minister in Nairobi said taxes would not rise.&lt;/p&gt;</description></item></channel></rss>";
    let output = run(&["classify", "--json"], rss.as_bytes());
    assert!(output.status.success(), "{}", stderr(&output));
    let answer: Value = serde_json::from_str(&stdout(&output)).expect("JSON");
    assert_eq!((&answer["id"], &answer["regions"][0]["code"]), (&"h1".into(), &"KE".into()), "{answer}");
}
