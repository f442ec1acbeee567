//! `dateline dedupe` groups near-copies.

mod common;

use common::{
    TempDir,
    broker::{Broker, all, count, header, publish, start_relay, wait_until_created},
    json_lines, run, stderr, stdout, wait_until,
};

const STORY: &str = "Ministers of four lake states agreed on Tuesday to share the catch of perch for three years, after talks that \
                     lasted through the night in Kisumu. Boats will carry transponders, and a joint patrol will check nets at \
                     night, the four said in a statement that left open how the patrol is paid for.";

/// A wire story, two reprints of it, another story, and an invalid row.
fn rows() -> String {
    let reprint = format!("<p>NAIROBI (Lakeside News) &ndash; {STORY}</p><p>Share this article</p>");
    let cut = STORY.split(", the four said").next().expect("a part");
    let other = "A late goal sent the visitors home with a point on Saturday after a match in which the keeper of the home \
                 side had saved two penalties and the referee had shown five cards.";
    let rows = [
        serde_json::json!({"id": "wire", "headline": "Lake states agree on perch", "body": STORY}),
        serde_json::json!({"id": "page", "headline": "Four states share the lake's perch", "body": reprint, "format": "html"}),
        serde_json::json!({"id": "sport", "headline": "Late goal", "body": other}),
        serde_json::json!({"id": "cut", "headline": "Lake states agree on perch", "body": cut}),
    ];
    rows.iter().map(|row| row.to_string() + "\n").collect::<String>() + "{\"id\": 7\n"
}

#[test]
fn reprints_join_the_group_of_the_first_article() {
    let output = run(&["dedupe", "--json"], rows().as_bytes());
    assert_eq!(output.status.code(), Some(3), "one row is invalid");
    assert!(stderr(&output).contains("standard input:5"), "{}", stderr(&output));
    let lines = json_lines(&output);
    let of = |field: &str| lines.iter().map(|line| line[field].clone()).collect::<Vec<_>>();
    assert_eq!(of("id"), ["wire", "page", "sport", "cut"]);
    assert!(lines[0]["copy_of"].is_null() && lines[0].get("similarity").is_none() && lines[2]["copy_of"].is_null());
    assert_eq!(lines[1]["copy_of"], "wire");
    assert!(
        lines[3]["similarity"].as_f64().is_some_and(|similarity| (0.625..1.0).contains(&similarity)),
        "{}",
        lines[3]
    );
    let groups = of("group");
    assert!(groups[0] == groups[1] && groups[0] == groups[3] && groups[0] != groups[2], "{groups:?}");

    let first = run(&["dedupe", "--first"], rows().as_bytes());
    assert_eq!(stdout(&first), "wire\nsport\n");
    let text = stdout(&run(&["dedupe"], rows().as_bytes()));
    assert!(
        text.starts_with("page is a copy of wire (") && text.ends_with("2 of 4 articles are copies of earlier ones\n"),
        "{text}"
    );
}

#[test]
fn answers_have_the_group_of_their_article() {
    let rows = rows();
    let dedupe = json_lines(&run(&["dedupe", "--json"], rows.as_bytes()));
    let answers = json_lines(&run(&["classify", "--json", "--copies"], rows.as_bytes()));
    for (answer, expected) in answers.iter().zip(&dedupe) {
        assert!(answer["topics"].is_array());
        for field in ["id", "group", "copy_of", "similarity"] {
            assert_eq!(answer.get(field), expected.get(field), "{field}");
        }
    }
    assert!(answers[4].get("group").is_none() && answers[4]["error"].is_object(), "{}", answers[4]);
    let text = stdout(&run(&["classify", "--copies=1"], rows.as_bytes()));
    assert_eq!(text.matches("copy of wire").count(), 1, "{text}");
}

#[test]
fn the_window_bounds_what_is_compared() {
    let folder = TempDir::new();
    let file = folder.write("rows.jsonl", rows().lines().take(4).collect::<Vec<_>>().join("\n"));
    let output = run(&["dedupe", "--json", "--window", "1", &file], b"");
    let copies: Vec<bool> = json_lines(&output).iter().map(|line| line["copy_of"].is_string()).collect();
    assert_eq!(copies, [false, true, false, false], "the first article has left the window");
    assert_eq!(run(&["dedupe", "--window", "0", &file], b"").status.code(), Some(2));
}

#[tokio::test]
async fn a_relay_names_the_group_in_headers() {
    let Some(broker) = Broker::start("").await else { return };
    let context = broker.context().await;
    let relay = start_relay(&broker, &["--copies", "100"]);
    wait_until_created(&context).await;
    for (i, row) in rows().lines().take(4).enumerate() {
        publish(&context, [row.to_owned()]).await;
        wait_until("the article is labelled", async || count(&context, "LABELLED").await == i + 1).await;
    }
    let messages = all(&context, "LABELLED").await;
    let values = |name: &str| messages.iter().map(|(_, headers, _)| header(headers, name)).collect::<Vec<_>>();
    let groups = values("Dateline-Group");
    let expected: Vec<_> = json_lines(&run(&["dedupe", "--json"], rows().as_bytes())).into_iter().take(4).collect();
    let expected: Vec<&str> = expected.iter().filter_map(|line| line["group"].as_str()).collect();
    assert_eq!(groups, expected, "a group has the same id everywhere");
    let copies = values("Dateline-Copy-Of");
    assert_eq!(copies[..3], ["", "NEWS:1", ""]);
    assert!(["NEWS:1", "NEWS:2"].contains(&&*copies[3]), "{copies:?}");
    assert!(values("Dateline-Similarity")[1].parse().is_ok_and(|similarity: f32| similarity > 0.35));
    relay.stop();
}
