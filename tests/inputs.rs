//! Classifies input with the faults that real files and feeds have, and checks each answer.

mod common;

use common::{ChildGuard, Server, TempDir, dateline, json_lines, printed, run, stderr, stdout};
use serde_json::Value;
use std::{io::Write, time::Instant};

const STORY: &str =
    "Ferry crews in Kenya walked out on Monday over unpaid wages, and the port of Mombasa stood still, the union said.";

/// Writes a file and classifies it.
fn classify(name: &str, bytes: &[u8], args: &[&str]) -> Vec<Value> {
    let folder = TempDir::new();
    let path = folder.write(name, bytes);
    json_lines(&run(&[&["classify", "--json", &path], args].concat(), b""))
}

/// The codes of the regions with the role ABOUT.
fn about(answer: &Value) -> Vec<&str> {
    let regions = answer["regions"].as_array().unwrap_or_else(|| panic!("an answer, not {answer}"));
    regions
        .iter()
        .filter(|region| region["role"] == "ABOUT")
        .map(|region| region["code"].as_str().expect("a code"))
        .collect()
}

/// The message of an error.
fn message(answer: &Value) -> &str {
    answer["error"]["message"].as_str().unwrap_or_else(|| panic!("an error, not {answer}"))
}

#[test]
fn json_is_read_in_any_layout() {
    let row = |id: u32| format!("{{\"id\": \"{id}\", \"body\": \"{STORY}\"}}");
    for (text, ids) in [
        (format!("[{}, {}]", row(1), row(2)), &["1", "2"][..]),
        (format!("{}{}\n{}", row(1), row(2), row(3)), &["1", "2", "3"]),
        (format!("{{ \"id\": \"1\",\n  \"body\": \"{STORY}\"\n}}\n{}", row(2)), &["1", "2"]),
        (format!("\u{FEFF}[\n{},\n{}\n]", row(1), row(2)), &["1", "2"]),
    ] {
        let answers = classify("a.json", text.as_bytes(), &[]);
        assert_eq!(
            answers.iter().map(|answer| answer["id"].as_str().expect("an id")).collect::<Vec<_>>(),
            ids,
            "{text}"
        );
        assert!(answers.iter().all(|answer| about(answer) == ["KE"]), "{answers:?}");
    }
    let trailing = classify("a.jsonl", format!("{} and more\n{}", row(1), row(2)).as_bytes(), &[]);
    assert!(message(&trailing[0]).contains("text after the JSON object"));
    assert_eq!(trailing[1]["id"], "2");
    let repeated = classify("a.jsonl", b"{\"body\": \"a\", \"body\": \"b\"}", &[]);
    assert!(message(&repeated[0]).starts_with("duplicate field body"));
    let lone_surrogate = classify("a.jsonl", format!("{{\"body\": \"{STORY} \\ud83d\"}}").as_bytes(), &[]);
    assert_eq!(about(&lone_surrogate[0]), ["KE"]);
}

#[test]
fn an_invalid_feed_entry_does_not_affect_the_others() {
    let item = |text: &str| format!("<item><guid>g</guid><description>{text}</description></item>");
    for (name, bytes) in [
        ("an unescaped &", item("fish & chips").into_bytes()),
        ("an invalid byte", [b"<item><title>Caf\xE9</title></item>".to_vec()].concat()),
        ("a mismatched tag", b"<item><title>One</titel></item>".to_vec()),
        ("an unknown entity", item("&madeup;").into_bytes()),
        ("an unclosed entry", b"<item><title>One</title>".to_vec()),
    ] {
        let feed =
            [b"<rss><channel>", &*item(STORY).into_bytes(), &bytes, &*item(STORY).into_bytes(), b"</channel></rss>"]
                .concat();
        let answers = classify("feed.xml", &feed, &[]);
        assert_eq!(answers.len(), 3, "{name}");
        assert!(about(&answers[0]) == ["KE"] && about(&answers[2]) == ["KE"], "{name}");
        assert!(!message(&answers[1]).is_empty(), "{name}");
    }
    let dated = "<rss><channel><item><title>Rain</title><pubDate>Mon, 06 May 2030 10:00:00 GMT</pubDate></item></channel></rss>";
    let output = run(&["classify", "--ninjs", "-"], dated.as_bytes());
    let item: Value = serde_json::from_str(&stdout(&output)).expect("JSON");
    assert_eq!(item["versionCreated"], "2030-05-06T10:00:00Z");
}

#[test]
fn hidden_text_is_ignored() {
    for hidden in [
        "<div hidden>{}</div>",
        "<div style=\"color:red; DISPLAY :none ! important\">{}</div>",
        "<section style=visibility:hidden><p>{}</p></section>",
        "<span class='sr-only'>{}</span>",
        "<template><p>{}</p></template>",
        "<select><option>{}<option>{}</select>",
        "<dialog open>{}</dialog>",
        "<div role=alertdialog>{}</div>",
    ] {
        let hidden = hidden.replace("{}", "The president of Brazil spoke in Brasilia about the Amazon on Friday.");
        let answers = classify("a.html", format!("<h1>Ferries</h1>{hidden}<p>{STORY}</p>").as_bytes(), &[]);
        assert_eq!(about(&answers[0]), ["KE"], "{hidden}");
    }
}

#[test]
fn notices_and_lists_of_places_are_ignored() {
    let countries =
        "Albania, Algeria, Angola, Argentina, Armenia, Australia, Austria, Bahrain, Belgium, Bolivia and Botswana";
    for notice in [
        "<p>We and our 512 partners store cookies on your device in Germany, Spain and France.</p>".to_owned(),
        "<p>Residents of Brazil and France may exercise their privacy rights: you can ask our vendors to delete your personal data.</p>".to_owned(),
        "<p>Choose your country: Australia, Canada, India, New Zealand</p>".to_owned(),
        "<p>Change edition</p><ul><li>Australia<li>Canada<li>India<li>New Zealand</ul>".to_owned(),
        "<div><a>Australia</a> | <a>Canada</a> | <a>India</a> | <a>Spain</a></div>".to_owned(),
        format!("<p>This offer holds in {countries}.</p>"),
        "<p>Example Media Ltd is registered in England and Wales, company number 01234567.</p>".to_owned(),
    ] {
        let answers = classify("a.html", format!("<h1>Ferries</h1>{notice}<p>{STORY}</p>").as_bytes(), &[]);
        assert_eq!(about(&answers[0]), ["KE"], "{notice}");
    }
    let news = "Ministers from Kenya, Uganda and Tanzania met in Arusha on Monday to sign a treaty on trade.";
    assert!(about(&classify("a.html", format!("<p>{news}</p>").as_bytes(), &[])[0]).len() >= 2);
}

#[test]
fn the_text_of_a_page_is_found_in_json_ld_shadow_roots_and_other_encodings() {
    let page = format!(
        "<title>Ferries</title><script type=\"application/ld+json\">{{\"@graph\": [{{\"@type\": \"NewsArticle\", \"articleBody\": \"{STORY}\"}}]}}</script>\
         <div id=app></div><noscript>Enable JavaScript to run this app.</noscript>"
    );
    assert_eq!(about(&classify("a.html", page.as_bytes(), &[])[0]), ["KE"]);
    let shadow = format!("<x-story><template shadowrootmode=open><p>{STORY}</p></template></x-story>");
    assert_eq!(about(&classify("a.html", shadow.as_bytes(), &[])[0]), ["KE"]);
    let latin = [b"<meta charset=iso-8859-1><p>Caf\xE9. ", STORY.as_bytes()].concat();
    assert_eq!(about(&classify("a.html", &latin, &[])[0]), ["KE"]);
    let utf16: Vec<u8> = std::iter::once(0xFEFF).chain(STORY.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    assert_eq!(about(&classify("a.txt", &utf16, &[])[0]), ["KE"]);
}

#[test]
fn texts_that_are_not_articles_abstain_with_the_reason() {
    for text in [
        "y",
        "Testing",
        "Hello all",
        "404 Page not found",
        "Forbidden. You do not have permission to access this page. Reference #9.1",
        "Your request was blocked by our security service because of unusual activity.",
        "Please sign in to continue reading. Already a subscriber?",
    ] {
        let answers = classify("a.txt", text.as_bytes(), &[]);
        let labels = ["topics", "regions"].iter().flat_map(|part| answers[0][part].as_array().expect("a list"));
        assert!(labels.into_iter().all(|label| label["decision"] == "ABSTAIN"), "{text}: {}", answers[0]);
        let notes = answers[0]["notes"].to_string();
        assert!(
            ["not an article", "too short", "no word"].iter().any(|reason| notes.contains(reason)),
            "{text}: {notes}"
        );
    }
    let brief = classify("a.txt", b"Magnitude 6.1 quake hits northern Chile", &[]);
    assert_ne!(brief[0]["topics"][0]["decision"], "ABSTAIN", "a brief is an article: {}", brief[0]);
}

#[test]
fn encoding_and_columns_can_be_set() {
    let text = [b"Caf\xE9. ", STORY.as_bytes()].concat();
    let refused = classify("a.txt", &text, &[]);
    assert!(message(&refused[0]).contains("--encoding windows-1252"));
    assert_eq!(about(&classify("a.txt", &text, &["--encoding", "windows-1252"])[0]), ["KE"]);
    let table = format!("Nr;Texte\n7;\"{STORY}\"\n");
    let refused = classify("a.csv", table.as_bytes(), &[]);
    assert!(message(&refused[0]).contains("--columns"));
    let answers = classify("a.csv", table.as_bytes(), &["--columns", "id=Nr,body=Texte"]);
    assert_eq!((answers[0]["id"].as_str(), about(&answers[0])), (Some("7"), vec!["KE"]));
}

/// A NewsML-G2 message with two items about invented events, the second one canceled.
fn newsml() -> String {
    let item = |guid: &str, status: &str| {
        format!(
            "<newsItem guid=\"{guid}\"><itemMeta><embargoed>2030-01-01T00:00:00Z</embargoed><pubStatus qcode=\"stat:{status}\"/></itemMeta>\
             <contentMeta><headline>Ferry crews walk out</headline></contentMeta><contentSet><inlineXML><html><body><p>{STORY}</p></body></html></inlineXML></contentSet></newsItem>"
        )
    };
    let (one, two) = (item("urn:wire.example:1", "usable"), item("urn:wire.example:2", "canceled"));
    format!(
        "<newsMessage xmlns=\"http://iptc.org/std/nar/2006-10-01/\"><header><sent>2030-01-01T00:00:00Z</sent></header><itemSet>{one}{two}</itemSet></newsMessage>"
    )
}

#[test]
fn news_agency_items_are_labelled_in_their_own_format() {
    let output = run(&["classify", "--newsml", "-"], newsml().as_bytes());
    assert!(output.status.success(), "{}", stderr(&output));
    let labelled = stdout(&output);
    assert_eq!(labelled.matches("iso3166-1a2/KE").count(), 1, "the canceled one has no labels: {labelled}");
    assert!(labelled.contains("<header><sent>2030-01-01T00:00:00Z</sent></header>"));
    let again = run(&["classify", "--newsml", "-"], labelled.trim().as_bytes());
    assert_eq!(stdout(&again), labelled, "new labels replace earlier ones");
    let items = run(&["classify", "--ninjs", "-"], newsml().as_bytes());
    let items: Vec<Value> = json_lines(&items);
    assert_eq!(
        (items[0]["embargoed"].as_str(), items[1]["pubStatus"].as_str()),
        (Some("2030-01-01T00:00:00Z"), Some("canceled"))
    );
    let nitf = format!(
        "<nitf><body><body.head><hedline><hl1>Ferry crews walk out</hl1></hedline></body.head><body.content><p>{STORY}</p></body.content></body></nitf>"
    );
    assert_eq!(about(&classify("a.xml", nitf.as_bytes(), &[])[0]), ["KE"]);
    let other = run(&["classify", "--newsml", "-"], STORY.as_bytes());
    assert_eq!(other.status.code(), Some(3));
    assert!(stderr(&other).contains("not an item of NewsML-G2"), "{}", stderr(&other));
    let unknown = classify("a.xml", b"<NewsML><secret/></NewsML>", &[]);
    assert!(message(&unknown[0]).contains("expected RSS, Atom, NewsML-G2 or NITF"), "{unknown:?}");
}

#[test]
fn a_superdesk_item_keeps_its_embargo() {
    let item = serde_json::json!({
        "guid": "urn:newsml:desk.example:7", "type": "text", "pubstatus": "usable", "headline": "Ferry crews walk out",
        "body_html": format!("<p>{STORY}</p>"), "embargoed": "2030-01-01T00:00:00+0000", "place": null, "subject": null,
    });
    let output = run(&["classify", "--ninjs", "-"], item.to_string().as_bytes());
    let labelled: Value = serde_json::from_str(&stdout(&output)).expect("JSON");
    for field in ["guid", "body_html", "embargoed", "pubstatus"] {
        assert_eq!(labelled[field], item[field], "{field}");
    }
    assert_eq!(labelled["place"][0]["code"], "KE");
}

#[test]
fn the_server_answers_html_as_the_command_does() {
    let server = Server::start(&[]);
    let rows = [format!("<div hidden>In Brazil.</div><p>{STORY}</p>"), "<p>404 Not Found</p>".to_owned()]
        .map(|body| serde_json::json!({"id": "x", "format": "html", "body": body}).to_string())
        .join("\n");
    let local = run(&["classify", "--json", "-"], rows.as_bytes());
    let remote = run(&["classify", "--json", "--server", &server.url(), "-"], rows.as_bytes());
    assert_eq!(stdout(&local), stdout(&remote));
    assert_eq!(json_lines(&local).len(), 2);
}

#[test]
fn archives_with_unusual_dates_and_labels_can_be_trained_on() {
    let folder = TempDir::new();
    let row = |i: usize, topic: &str, published: &str| {
        // Rows that differ only in numbers count as copies.
        let i = "x".repeat(i + 1);
        let topic_is_sport = topic.len() != "cafe\u{301}".len();
        let body = match topic_is_sport {
            true => {
                format!("The home side won match {i} in the cup before a full stadium, and the coach praised goal {i}.")
            }
            false => format!(
                "The central bank raised rate {i} as inflation climbed, and analysts expect move {i} in spring."
            ),
        };
        serde_json::json!({"body": body, "topics": topic, "published": published}).to_string()
    };
    let dates = [
        "26-FEB-1987 15:01:01.79",
        "Mon, 06 May 2024 10:00:00 GMT",
        "20240506T101112Z",
        "1714990272",
        "some day",
        "05/06/2024",
    ];
    let mut rows: Vec<String> =
        (0..120).map(|i| row(i, ["sport ", "cafe\u{301}"][i % 2], dates[i % dates.len()])).collect();
    rows.extend((0..6).map(|i| row(200 + 2 * i, "SPORT", "")));
    rows.push(row(202, "rare", ""));
    let archive = folder.write("a.jsonl", rows.join("\n"));
    let report = printed(&run(&["train", "--topics", &archive, "--check"], b""));
    assert!(report.contains("\"SPORT\"") && report.contains("differ by case alone"), "{report}");
    for part in ["40 rows have an invalid date", "rare has 1 different rows and will be left out"] {
        assert!(report.contains(part), "{part}: {report}");
    }
    let trained = run(&["train", "--topics", &archive, "--out", &folder.arg("model"), "--json"], b"");
    assert!(trained.status.success(), "{}", stderr(&trained));
    let manifest = std::fs::read_to_string(folder.join("model/manifest.json")).expect("the manifest can be read");
    assert!(
        manifest.contains("\"café\"") && manifest.contains("\"sport\"") && !manifest.contains("rare"),
        "{manifest}"
    );
    let card = std::fs::read_to_string(folder.join("model/MODEL_CARD.md")).expect("the model card can be read");
    assert!(card.contains("rare (1)"), "the card lists the topics that were left out");
}

#[test]
fn too_many_bad_rows_end_a_training_whose_input_never_ends() {
    let begun = Instant::now();
    let mut training = ChildGuard::spawn_piped(dateline().args(["train", "--topics", "-", "--check"]));
    let mut input = training.stdin.take().expect("the stream is piped");
    while input.write_all(b"{\"body\": 5}\n").is_ok() {
        assert!(begun.elapsed().as_secs() < 30, "the command stops reading");
    }
    let output = training.wait_with_output();
    assert_eq!(output.status.code(), Some(3));
    assert!(stderr(&output).contains("that is bad row 101"), "{}", stderr(&output));
}

/// Trains on Igbo words, which the language detector takes for another language.
#[test]
fn a_model_knows_the_language_it_was_trained_on_though_the_detector_does_not() {
    let folder = TempDir::new();
    let sport = ["nweba", "egwu", "bọọlụ", "ndị", "meriri", "asọmpi", "ọkpụkpọ", "otu", "nkuzi", "goolu"];
    let trade = ["ahia", "ego", "ụlọ", "akụ", "ọnụ", "ahịa", "nke", "ụtụ", "isi", "azụmahịa"];
    let text = |i: usize| {
        let words = [sport, trade][i % 2];
        (0..40).map(|k| words[(i * 7 + k * k + k) % words.len()]).collect::<Vec<_>>().join(" ")
    };
    let rows: Vec<String> = (0..200)
        .map(|i| {
            serde_json::json!({"body": text(i), "topics": (["sport", "trade"][i % 2]), "language": "ig"}).to_string()
        })
        .collect();
    let (archive, model) = (folder.write("a.jsonl", rows.join("\n")), folder.arg("model"));
    let trained = run(&["train", "--topics", &archive, "--out", &model], b"");
    assert!(trained.status.success(), "{}", stderr(&trained));
    let classify = |row: Value| {
        let output = run(&["classify", "--json", "--model", &model, "-"], row.to_string().as_bytes());
        json_lines(&output).remove(0)
    };
    for (i, topic) in ["sport", "trade"].iter().enumerate() {
        let answer = classify(serde_json::json!({"body": text(1000 + i)}));
        assert_eq!(answer["topics"][0]["code"], *topic);
        assert_ne!(answer["topics"][0]["decision"], "ABSTAIN", "{answer}");
        let stated = classify(serde_json::json!({"body": text(1000 + i), "language": "ig"}));
        assert_ne!(stated["topics"][0]["decision"], "ABSTAIN", "{stated}");
    }
    let german = "Der Minister sagte am Montag, die Regierung werde den Bericht vollständig veröffentlichen und neue Regeln vorlegen.";
    let foreign = classify(serde_json::json!({"body": german}));
    assert!(foreign["notes"].to_string().contains("ABSTAIN"), "{foreign}");
}
