//! `dateline relay-kafka` with a real broker: `cargo test --features kafka --test kafka`.
#![cfg(unix)]

mod common;

use common::{
    LoggedProcess, TempDir,
    broker::article,
    dateline, http_get,
    kafka::{Kafka, header, headers},
    run, sample, sample_articles, stderr, wait_until,
};
use rdkafka::{Message, message::OwnedMessage};
use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

fn value(message: &OwnedMessage) -> serde_json::Value {
    serde_json::from_slice(message.payload().unwrap_or_default()).expect("JSON")
}

fn text(message: &OwnedMessage) -> String {
    String::from_utf8_lossy(message.payload().unwrap_or_default()).into_owned()
}

async fn wait_for_partitions(relay: &LoggedProcess) {
    wait_until("the relay has partitions", async || relay.log().contains("partitions assigned")).await;
}

/// Waits until a topic has this many committed messages; fails if that takes longer than five minutes.
async fn wait_for_messages(kafka: &Kafka, topic: &str, wanted: usize) -> Vec<OwnedMessage> {
    let begun = Instant::now();
    loop {
        let messages = kafka.all(topic);
        if messages.len() >= wanted {
            return messages;
        }
        assert!(begun.elapsed() < Duration::from_secs(300), "{topic}: {} of {wanted} messages", messages.len());
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

#[tokio::test]
async fn articles_are_labelled_with_key_and_headers_and_invalid_ones_become_dead_letters() {
    let Some(kafka) = Kafka::start().await else { return };
    kafka.create_topic("labelled", 100_000).await;
    let relay = kafka.start_relay(&["--copies", "100", "--metrics-listen", "127.0.0.1:0"]);
    let metrics = relay.logged_field("metrics");
    wait_for_partitions(&relay).await;
    let trace = headers(&[("traceparent", "00-1"), ("Dateline-Reason", "of an earlier relay")]);
    // With its labels it exceeds the limit of the topic; those beside it do not.
    let large = serde_json::json!({"id": "large", "body": "x".repeat(100) + &"The parliament passed the budget. ".repeat(2_925)});
    let beside = (0..40).map(|i| {
        let row = serde_json::json!({"id": i, "body": format!("Report {i}. ") + &"The parliament passed the budget. ".repeat(150)});
        ("large".to_owned(), row.to_string().into_bytes(), headers(&[]))
    });
    kafka.publish(
        "news",
        [
            ("first".to_owned(), article("first").into_bytes(), trace),
            ("copy".to_owned(), article("copy").into_bytes(), headers(&[])),
            ("broken".to_owned(), b"{\"body\": \"half".to_vec(), headers(&[("desk", "7")])),
            ("own".to_owned(), article("own").into_bytes(), headers(&[("Dateline-Relay", "dateline")])),
            ("other".to_owned(), article("other").into_bytes(), headers(&[("Dateline-Relay", "another")])),
            ("large".to_owned(), large.to_string().into_bytes(), headers(&[])),
        ]
        .into_iter()
        .chain(beside),
    );
    let labelled = wait_for_messages(&kafka, "labelled", 43).await;
    let by_key = |messages: &[OwnedMessage], key: &str| {
        messages.iter().find(|message| message.key() == Some(key.as_bytes())).cloned().expect("a message")
    };
    let first = by_key(&labelled, "first");
    assert_eq!(value(&first)["classification"]["topics"][0]["code"], "medtop:11000000", "{}", text(&first));
    assert_eq!(value(&first)["desk"], 7);
    assert_eq!(
        ["traceparent", "Dateline-Reason", "Dateline-Relay"].map(|name| header(&first, name)),
        ["00-1", "", "dateline"]
    );
    assert_eq!(header(&by_key(&labelled, "copy"), "Dateline-Group"), header(&first, "Dateline-Group"));
    let dead = wait_for_messages(&kafka, "dead.dateline", 2).await;
    let broken = by_key(&dead, "broken");
    assert_eq!((text(&broken).as_str(), header(&broken, "desk")), ("{\"body\": \"half", "7".to_owned()));
    assert!(header(&broken, "Dateline-Reason").contains("JSON"), "{}", header(&broken, "Dateline-Reason"));
    let place = |message: &OwnedMessage| (message.partition().to_string(), message.offset().to_string());
    let read = by_key(&kafka.all(&header(&broken, "Dateline-Topic")), "broken");
    assert_eq!((header(&broken, "Dateline-Partition"), header(&broken, "Dateline-Offset")), place(&read));
    let large = by_key(&dead, "large");
    assert!(header(&large, "Dateline-Reason").contains("exceeds the broker's size limit"));
    wait_until("the lag is known", async || http_get(&metrics, "/metrics").1.contains("\ndateline_relay_lag{} 0"))
        .await;
    let counts = http_get(&metrics, "/metrics").1;
    let outcome = |name: &str| sample(&counts, &format!("dateline_relay_articles_total{{outcome=\"{name}\"}}"));
    assert_eq!(["labelled", "dead", "looped"].map(outcome), [43.0, 2.0, 1.0]);
    assert_eq!(http_get(&metrics, "/readyz").0, 200);
    let log = relay.stop();
    assert!(!log.contains("parliament"), "{log}");
    assert_eq!((kafka.all("labelled").len(), kafka.all("dead.dateline").len()), (43, 2));
}

#[tokio::test]
async fn every_article_has_one_result_though_relays_and_the_broker_are_killed() {
    const ARTICLES: usize = 20_000;
    let Some(mut kafka) = Kafka::start().await else { return };
    let mut relays: Vec<LoggedProcess> = vec![kafka.start_relay(&[])];
    wait_for_partitions(&relays[0]).await;
    relays.extend([kafka.start_relay(&[]), kafka.start_relay(&[])]);
    let rows = sample_articles(ARTICLES);
    kafka.publish(
        "news",
        rows.lines().enumerate().map(|(i, row)| (format!("key-{i}"), row.as_bytes().to_vec(), headers(&[]))),
    );
    // A simple generator of pseudo-random numbers (Marsaglia's xorshift), so that a failure can be repeated.
    let mut random = 0x2545_F491_u32;
    for kill in 0..9 {
        for shift in [13, -17, 5_i32] {
            random ^= if shift > 0 { random << shift } else { random >> -shift };
        }
        tokio::time::sleep(Duration::from_millis(u64::from(500 + random % 2_500))).await;
        if kill == 4 {
            kafka.restart().await;
            continue;
        }
        let killed = random as usize / 7 % relays.len();
        relays[killed] = kafka.start_relay(&[]);
    }
    let labelled = wait_for_messages(&kafka, "labelled", ARTICLES).await;
    let mut results: HashMap<String, usize> = HashMap::new();
    for message in &labelled {
        *results.entry(String::from_utf8_lossy(message.key().expect("a key")).into_owned()).or_default() += 1;
    }
    let doubled: Vec<_> = results.iter().filter(|(_, count)| **count > 1).collect();
    assert!(doubled.is_empty(), "{} doubled: {:?}", doubled.len(), &doubled[..doubled.len().min(5)]);
    assert_eq!(results.len(), ARTICLES);
    for relay in relays {
        relay.stop();
    }
    assert_eq!((kafka.all("labelled").len(), kafka.all("dead.dateline").len()), (ARTICLES, 0));
}

#[tokio::test]
async fn a_relay_connects_with_tls_and_a_password() {
    let Some(kafka) = Kafka::start().await else { return };
    let ca = kafka.folder.join("data/ca.pem");
    let files = TempDir::new();
    let config = |password: &str, more: &str| {
        format!("sasl.mechanism=SCRAM-SHA-512\nsasl.username=tester\nsasl.password={password}\n{more}")
    };
    let tls = format!("security.protocol=SASL_SSL\nssl.ca.location={}\n", ca.display());
    let plain = "security.protocol=SASL_PLAINTEXT\n";
    for (number, (address, more)) in
        [(kafka.tls_address(), tls.as_str()), (kafka.password_address(), plain)].into_iter().enumerate()
    {
        let right = files.write("right.properties", config("open-sesame", more));
        let wrong = files.write("wrong.properties", config("swordfish", more));
        let args = ["relay-kafka", "--brokers", &address, "--create", "--client-config"];
        let refused = run(&[&args[..], &[&wrong]].concat(), b"");
        assert_eq!(refused.status.code(), Some(1), "{}", stderr(&refused));
        assert!(stderr(&refused).contains("Authentication"), "{}", stderr(&refused));
        assert!(!stderr(&refused).contains("swordfish"), "{}", stderr(&refused));
        let relay = LoggedProcess::spawn(dateline().args(args).arg(&right));
        wait_for_partitions(&relay).await;
        kafka.publish("news", [("a".to_owned(), article("a").into_bytes(), headers(&[]))]);
        wait_for_messages(&kafka, "labelled", number + 1).await;
        assert!(!relay.stop().contains("open-sesame"));
    }
}

#[test]
fn settings_are_checked_before_the_broker_is_asked() {
    let files = TempDir::new();
    let config = |text: &str| files.write(&format!("{}.properties", text.len()), text);
    let own = config("group.id=x\n");
    let unknown = config("sasl.passwort=swordfish\n");
    let invalid = config("security.protocol=swordfish\n");
    let cases: [(&[&str], &str); 9] = [
        (&["--group", ""], "the group has no name"),
        (&["--topics", "a b"], "invalid topic"),
        (&["--publish", "x y"], "labelled.{topic}"),
        (&["--publish", "news"], "would be read again"),
        (&["--topics", "labelled.sport", "--publish", "labelled.{topic}"], "would be read again"),
        (&["--client-config", "no/such.properties"], "no/such.properties"),
        (&["--client-config", &own], ":1: group.id is set by the relay"),
        (&["--client-config", &unknown], "invalid property sasl.passwort"),
        (&["--client-config", &invalid], "invalid property security.protocol"),
    ];
    for (args, message) in cases {
        let output = run(&[&["relay-kafka", "--check-config"], args].concat(), b"");
        assert_eq!(output.status.code(), Some(2), "{args:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(message), "{args:?}: {}", stderr(&output));
        assert!(!stderr(&output).contains("swordfish"), "{args:?}: {}", stderr(&output));
    }
    let unreachable = run(&["relay-kafka", "--brokers", "127.0.0.1:1"], b"");
    assert_eq!(unreachable.status.code(), Some(1));
    assert!(stderr(&unreachable).contains("cannot connect to 127.0.0.1:1"), "{}", stderr(&unreachable));
}
