//! `dateline relay` when operators, the broker or settings misbehave: consumers and streams that disappear, loops, invalid settings,
//! and servers behind TLS and tokens.
#![cfg(unix)]

mod common;

use async_nats::{
    HeaderMap,
    jetstream::{Context, stream},
};
use common::{
    LoggedProcess, Server, TempDir,
    broker::{Broker, all, article, count, publish, start_relay, start_relay_at, wait_until_created},
    certificates::Authority,
    dateline, http_get, json_lines,
    proxy::{GOOD, Network, start_proxy},
    run, sample, stderr, wait_until,
};
use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

/// How long a relay with `--create` may take to label again after a loss.
const RECOVERY: Duration = Duration::from_secs(10);

async fn is_ready(metrics: &str) -> bool {
    http_get(metrics, "/readyz").0 == 200
}

/// Waits until the relay reports a reason not to be ready.
async fn wait_until_not_ready(metrics: &str, reason: &str) {
    wait_until("the relay is not ready", async || {
        let (status, text) = http_get(metrics, "/readyz");
        status == 503 && text.contains(reason)
    })
    .await;
}

/// Waits until the relay has missed its consumer this many times. It may restore it before `/readyz` can be asked: that is
/// tested where it cannot.
async fn wait_until_missed(relay: &LoggedProcess, times: usize) {
    let missed = async || relay.log().matches("the consumer is missing").count() >= times;
    wait_until("the relay misses its consumer", missed).await;
}

/// Publishes an article, and waits until it is labelled; fails if that takes longer than [`RECOVERY`].
async fn label(context: &Context, id: &str) {
    let begun = Instant::now();
    wait_until("the stream takes the article", async || {
        let sent = context.publish("news.in.a", article(id).into()).await;
        match sent {
            Ok(stored) => stored.await.is_ok(),
            Err(_) => false,
        }
    })
    .await;
    wait_until("the article is labelled", async || {
        let Ok(stream) = context.get_stream("LABELLED").await else { return false };
        let last = stream.cached_info().state.last_sequence;
        let Ok(message) = stream.get_raw_message(last).await else { return false };
        String::from_utf8_lossy(&message.payload).contains(&format!("\"id\":\"{id}\""))
    })
    .await;
    assert!(begun.elapsed() < RECOVERY, "{id}: {:?}", begun.elapsed());
}

#[tokio::test]
async fn a_lost_consumer_stream_or_broker_is_reported_and_restored() {
    let Some(mut broker) = Broker::start("").await else { return };
    let context = broker.context().await;
    let relay = start_relay(&broker, &["--metrics-listen", "127.0.0.1:0"]);
    let metrics = relay.logged_field("metrics");
    wait_until_created(&context).await;
    label(&context, "first").await;
    assert!(is_ready(&metrics).await);

    let stream = context.get_stream("NEWS").await.expect("the stream exists");
    stream.delete_consumer("dateline").await.expect("the consumer is deleted");
    wait_until_missed(&relay, 1).await;
    label(&context, "after the consumer").await;

    context.delete_stream("NEWS").await.expect("the stream is deleted");
    wait_until_missed(&relay, 2).await;
    label(&context, "after the stream").await;

    context.delete_stream("LABELLED").await.expect("the stream is deleted");
    label(&context, "after the output").await;
    wait_until("the relay is ready", async || is_ready(&metrics).await).await;

    broker.child.kill();
    wait_until_not_ready(&metrics, "disconnected from the broker").await;
    let text = http_get(&metrics, "/metrics").1;
    assert_eq!(sample(&text, "dateline_relay_available{part=\"broker\"}"), 0.0);
    assert!(!text.contains("\ndateline_relay_lag"), "an unknown lag is not reported: {text}");
    broker.restart().await;
    label(&context, "after the broker").await;
    wait_until("the relay is ready", async || is_ready(&metrics).await).await;
    wait_until("the lag is known", async || http_get(&metrics, "/metrics").1.contains("\ndateline_relay_lag")).await;

    let log = relay.stop();
    for line in ["the consumer is missing", "the consumer is there again", "disconnected from the broker"] {
        assert!(log.contains(line), "{line}: {log}");
    }
}

#[tokio::test]
async fn without_create_a_lost_consumer_ends_the_relay() {
    let Some(broker) = Broker::start("").await else { return };
    let context = broker.context().await;
    let creating = start_relay(&broker, &[]);
    wait_until_created(&context).await;
    wait_until("the relay runs", async || creating.log().contains("relaying")).await;
    creating.stop();
    let mut relay = LoggedProcess::spawn(dateline().args(["relay", "--nats", &broker.url(), "--ack-wait", "2"]));
    wait_until("the relay runs", async || relay.log().contains("relaying")).await;
    context.delete_stream("NEWS").await.expect("the stream is deleted");
    assert_eq!(relay.wait().code(), Some(1), "{}", relay.log());
    assert!(relay.log().contains("stream NEWS not found"), "{}", relay.log());
}

#[tokio::test]
async fn a_relay_does_not_read_what_it_publishes() {
    for args in [&["--publish", "news.in.{topic}"][..], &["--dead-letter", "news.in.dead"], &["--subjects", ">"]] {
        for check in [&["--check-config"][..], &[]] {
            let output = run(&[&["relay", "--nats", "nats://127.0.0.1:1"], args, check].concat(), b"");
            assert_eq!(output.status.code(), Some(2), "{args:?}: {}", stderr(&output));
            assert!(stderr(&output).contains("would be read again"), "{args:?}: {}", stderr(&output));
        }
    }
    let Some(broker) = Broker::start("").await else { return };
    let context = broker.context().await;
    let relay = start_relay(&broker, &["--metrics-listen", "127.0.0.1:0"]);
    let metrics = relay.logged_field("metrics");
    wait_until_created(&context).await;
    // A mapping of the broker, or another consumer, may bring labelled articles back.
    let mut headers = HeaderMap::new();
    headers.insert("Dateline-Relay", "dateline");
    let stored = context.publish_with_headers("news.in.a", headers.clone(), article("own").into()).await;
    stored.expect("the message is sent").await.expect("the broker stores the message");
    headers.insert("Dateline-Relay", "another");
    let stored = context.publish_with_headers("news.in.a", headers, article("chained").into()).await;
    stored.expect("the message is sent").await.expect("the broker stores the message");
    publish(&context, [article("new")]).await;
    wait_until("the others are labelled", async || count(&context, "LABELLED").await == 2).await;
    let text = http_get(&metrics, "/metrics").1;
    assert_eq!(sample(&text, "dateline_relay_articles_total{outcome=\"looped\"}"), 1.0);
    assert_eq!(count(&context, "DEAD").await, 0);
}

#[tokio::test]
async fn an_existing_consumer_that_reads_the_output_is_refused() {
    let Some(broker) = Broker::start("").await else { return };
    let context = broker.context().await;
    let config = async_nats::jetstream::stream::Config {
        name: "NEWS".into(),
        subjects: vec![">".into()],
        no_ack: true,
        ..Default::default()
    };
    let stream = context.create_stream(config).await.expect("the stream is created");
    let config = async_nats::jetstream::consumer::pull::Config {
        durable_name: Some("dateline".into()),
        ack_wait: Duration::from_secs(30),
        ..Default::default()
    };
    stream.create_consumer(config).await.expect("the consumer is created");
    let output = run(&["relay", "--nats", &broker.url()], b"");
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    assert!(stderr(&output).contains("the relay reads >"), "{}", stderr(&output));
}

#[test]
fn a_check_of_the_settings_finds_what_a_start_would() {
    let files = TempDir::new();
    let text = files.write("text.pem", "no PEM");
    let (certificate, key) = Authority::new().write_pair(&files);
    let check = |args: &[&str]| run(&[&["relay", "--check-config"], args].concat(), b"");
    let output = check(&["--nats-cert", &certificate, "--nats-key", &key]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stderr(&output).contains("all settings are valid"), "{}", stderr(&output));
    let cases: [(&[&str], &str); 8] = [
        (&["--nats", "nats://a b"], "invalid address of the broker"),
        (&["--credentials", "no/such.creds"], "no/such.creds"),
        (&["--nats-ca", &text], "no certificate in PEM"),
        (&["--nats-cert", &key, "--nats-key", &key], "no certificate in PEM"),
        (&["--nats-cert", &certificate, "--nats-key", &text], "no private key in PEM"),
        (&["--server", "https://localhost", "--server-ca", &text], "no certificate in PEM"),
        (&["--server", "http://localhost", "--server-token", "no/such/token"], "no/such/token"),
        (&["--server", "ftp://localhost"], "invalid server address"),
    ];
    for (args, message) in cases {
        let output = check(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(message), "{args:?}: {}", stderr(&output));
    }
}

#[tokio::test]
async fn a_server_behind_tls_and_a_token_labels_for_relay_and_command() {
    const TOKEN: &str = "desk-token-0123456789";
    let (files, ours, clients) = (TempDir::new(), Authority::new(), Authority::new());
    let (certificate, key) = ours.write_pair(&files);
    let client_files = TempDir::new();
    let (client_certificate, client_key) = clients.write_pair(&client_files);
    let (ca, client_ca) = (files.write("ca.pem", &ours.pem), files.write("client-ca.pem", &clients.pem));
    let (tokens, token) = (files.write("tokens", format!("{TOKEN}\n")), files.write("token", format!("{TOKEN}\n")));
    let server =
        Server::start(&["--tls-cert", &certificate, "--tls-key", &key, "--client-ca", &client_ca, "--tokens", &tokens]);
    let url = format!("https://localhost:{}", server.port());
    let identity = ["--server-cert", &client_certificate, "--server-key", &client_key];
    let all = [&["--server", &url, "--server-ca", &ca, "--server-token", &token], &identity[..]].concat();
    let input = article("a");
    let output = run(&[&["classify", "--json"], &all[..]].concat(), input.as_bytes());
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(json_lines(&output).len(), 1);
    for (missing, message) in [("--server-token", "authorization"), ("--server-ca", "cannot reach")] {
        let i = all.iter().position(|arg| *arg == missing).expect("it is given");
        let without = [&all[..i], &all[i + 2..]].concat();
        let output = run(&[&["classify", "--json"], &without[..]].concat(), input.as_bytes());
        assert_eq!(output.status.code(), Some(1), "{missing}: {}", stderr(&output));
        assert!(stderr(&output).contains(message), "{missing}: {}", stderr(&output));
    }
    let Some(broker) = Broker::start("").await else { return };
    let context = broker.context().await;
    let relay = start_relay(&broker, &all);
    wait_until_created(&context).await;
    publish(&context, [article("a"), article("b")]).await;
    wait_until("both are labelled", async || count(&context, "LABELLED").await == 2).await;
    assert!(!relay.stop().contains(TOKEN), "the token is not logged");
}

#[tokio::test]
async fn an_article_that_takes_longer_than_the_acknowledgement_wait_is_labelled_once() {
    let Some(broker) = Broker::start("").await else { return };
    let context = broker.context().await;
    let server = Server::start(&[]);
    let relay = start_relay(&broker, &["--server", &server.address, "--metrics-listen", "127.0.0.1:0"]);
    let metrics = relay.logged_field("metrics");
    wait_until_created(&context).await;
    label(&context, "before").await;
    // Longer than two acknowledgement waits of two seconds.
    server.signal("STOP");
    publish(&context, ["a", "b", "c"].map(article)).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(count(&context, "LABELLED").await, 1);
    server.signal("CONT");
    wait_until("all are labelled", async || count(&context, "LABELLED").await == 4).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(count(&context, "LABELLED").await, 4);
    assert_eq!(count(&context, "DEAD").await, 0);
    let text = http_get(&metrics, "/metrics").1;
    assert_eq!(sample(&text, "dateline_relay_duplicates_total"), 0.0, "nothing was published twice: {text}");
}

#[tokio::test]
async fn a_short_window_for_duplicates_is_reported() {
    let Some(broker) = Broker::start("").await else { return };
    let context = broker.context().await;
    let labelled = stream::Config {
        name: "LABELLED".into(),
        subjects: vec!["labelled.>".into()],
        duplicate_window: Duration::from_secs(3),
        ..stream::Config::default()
    };
    context.create_stream(labelled).await.expect("the stream is created");
    let relay = start_relay(&broker, &["--publish", "labelled.{topic}"]);
    wait_until("the relay starts", async || relay.log().contains("relaying")).await;
    let log = relay.stop();
    assert!(log.contains("messages may be published twice") && log.contains("stream=\"LABELLED\""), "{log}");
}

#[tokio::test]
async fn a_relay_that_cannot_restore_its_stream_stops_at_once_when_asked() {
    let Some(broker) = Broker::start("").await else { return };
    let context = broker.context().await;
    let mut relay = start_relay(&broker, &["--metrics-listen", "127.0.0.1:0"]);
    let metrics = relay.logged_field("metrics");
    wait_until_created(&context).await;
    label(&context, "before").await;
    // Its stream cannot be created again while another one has the subjects.
    context.delete_stream("NEWS").await.expect("the stream is deleted");
    let other = stream::Config { name: "OTHER".into(), subjects: vec!["news.in.>".into()], ..Default::default() };
    context.create_stream(other).await.expect("the stream is created");
    wait_until_not_ready(&metrics, "the consumer or its stream is missing").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let begun = Instant::now();
    relay.terminate();
    relay.wait();
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}: {}", begun.elapsed(), relay.log());
}

/// The connection to the broker is slow, and is cut again and again, so that acknowledgements come late or not at all and
/// messages are delivered twice.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_connection_that_is_cut_again_and_again_loses_and_doubles_nothing() {
    const ARTICLES: usize = 100;
    let Some(broker) = Broker::start("").await else { return };
    let context = broker.context().await;
    let network = Network { delay: Duration::from_millis(20), cut_after: 40_000, ..GOOD };
    let proxy = start_proxy(&format!("127.0.0.1:{}", broker.port), network).await;
    let relay = start_relay_at(&format!("nats://{proxy}"), &[]);
    wait_until_created(&context).await;
    publish(&context, (0..ARTICLES).map(|i| article(&format!("c{i}")))).await;
    // Each cut costs the time until the messages are delivered again.
    let all_labelled = async {
        while count(&context, "LABELLED").await < ARTICLES {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(180), all_labelled).await.expect("all articles are labelled in time");
    // Those that are delivered again come within the acknowledgement wait of two seconds.
    tokio::time::sleep(Duration::from_secs(5)).await;
    let labelled = all(&context, "LABELLED").await;
    let ids: BTreeSet<String> = labelled
        .iter()
        .map(|(.., payload)| serde_json::from_slice::<serde_json::Value>(payload).expect("JSON")["id"].to_string())
        .collect();
    assert_eq!((labelled.len(), ids.len(), count(&context, "DEAD").await), (ARTICLES, ARTICLES, 0));
    let log = relay.log();
    assert!(log.matches("disconnected").count() >= 2, "the connection was cut: {log}");
}
