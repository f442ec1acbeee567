//! `dateline relay` between JetStream streams of a nats-server, which the tests install with pip: labels, dead letters, and
//! crashes of relays, brokers and servers.

mod common;

use async_nats::{
    ConnectOptions, HeaderMap,
    jetstream::{
        self, AckKind,
        consumer::{PullConsumer, pull},
        stream,
    },
};
use common::{
    LoggedProcess, Server, TempDir,
    broker::{BODY, Broker, all, article, count, header, publish, start_relay, wait_until_created},
    certificates::Authority,
    dateline, http_get, run, sample, stderr, stdout, wait_until,
};
use futures_util::{StreamExt, future::join_all};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[tokio::test]
async fn articles_are_labelled_and_invalid_messages_become_dead_letters() {
    let Some(broker) = Broker::start("").await else { return };
    let context = broker.context().await;
    let relay = start_relay(&broker, &["--metrics-listen", "127.0.0.1:0"]);
    let metrics = relay.logged_field("metrics");
    wait_until_created(&context).await;
    let mut headers = HeaderMap::new();
    headers.insert("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    let item = serde_json::json!({ "uri": "http://wire.example/1", "standard": { "name": "ninjs", "version": "3.0" },
        "headlines": [{ "value": "Parliament in Nairobi passes budget" }], "bodies": [{ "value": BODY }], "x_desk": { "a": [1, null] } });
    let canceled = serde_json::json!({ "uri": "http://wire.example/2", "pubStatus": "canceled", "headlines": [{ "value": "No" }] });
    for message in [
        article("a"),
        item.to_string(),
        canceled.to_string(),
        "secret".into(),
        "{\"id\": \"empty\"}".into(),
        String::new(),
    ] {
        let sent = context.publish_with_headers("news.in.wire", headers.clone(), message.into()).await;
        sent.expect("the message is sent").await.expect("the broker stores the message");
    }
    wait_until("all messages are processed", async || {
        count(&context, "LABELLED").await + count(&context, "DEAD").await == 6
    })
    .await;

    let labelled = all(&context, "LABELLED").await;
    let find = |text: &str| {
        labelled
            .iter()
            .find(|(.., payload)| String::from_utf8_lossy(payload).contains(text))
            .expect("the message is published")
    };
    let json = |payload: &[u8]| -> serde_json::Value { serde_json::from_slice(payload).expect("JSON") };
    let (subject, headers, payload) = find("\"id\":\"a\"");
    let row = json(payload);
    let best = row["classification"]["topics"][0]["code"].as_str().expect("a topic");
    assert_eq!(*subject, format!("labelled.{best}.KE"));
    assert_eq!((&row["desk"], &row["body"]), (&7.into(), &BODY.into()), "the other fields are unchanged");
    assert_eq!(
        header(headers, "Dateline-Model"),
        row["classification"]["model_version"].as_str().expect("the row has a model version")
    );
    assert!(header(headers, "traceparent").starts_with("00-0af7651916cd43dd8448eb211c80319c"));
    let (_, _, payload) = find("wire.example/1");
    let labelled_item = json(payload);
    assert_eq!(labelled_item["places"][0]["uri"], "http://cvx.iptc.org/iso3166-1a2/KE");
    assert!(labelled_item["subjects"][0]["confidence"].as_u64().is_some_and(|confidence| confidence <= 100));
    assert_eq!(labelled_item["x_desk"], item["x_desk"]);
    let (subject, _, payload) = find("wire.example/2");
    assert_eq!((subject.as_str(), json(payload)), ("labelled.none.none", canceled), "a canceled item is unchanged");

    let dead: Vec<(String, String)> = all(&context, "DEAD")
        .await
        .iter()
        .map(|(_, headers, payload)| {
            (String::from_utf8_lossy(payload).into_owned(), header(headers, "Dateline-Reason"))
        })
        .collect();
    for (payload, reason) in
        [("secret", "not a JSON object"), ("{\"id\": \"empty\"}", "no text"), ("", "no article found")]
    {
        assert!(
            dead.iter().any(|(text, why)| text == payload && why.contains(reason)),
            "{payload} {reason} in {dead:?}"
        );
    }

    let (status, text) = http_get(&metrics, "/metrics");
    assert_eq!(status, 200);
    let of = |outcome: &str| sample(&text, &format!("dateline_relay_articles_total{{outcome=\"{outcome}\"}}"));
    assert_eq!([of("labelled"), of("passed"), of("dead")], [2.0, 1.0, 3.0], "{text}");
    assert_eq!(http_get(&metrics, "/readyz"), (200, "ready\n".to_owned()));
    let log = relay.stop();
    assert!(log.contains("stopped") && !log.contains("secret"), "{log}");
}

/// 20,000 articles through three relays. Every 0.2 to 1 s one relay is killed, twice the broker instead.
#[tokio::test(flavor = "multi_thread")]
async fn no_article_is_lost_or_published_twice_though_relays_and_the_broker_are_killed() {
    const ARTICLES: usize = 20_000;
    let Some(mut broker) = Broker::start("").await else { return };
    let context = broker.context().await;
    let start = |broker: &Broker| start_relay(broker, &["--in-flight", "100"]);
    let mut relays: Vec<LoggedProcess> = (0..3).map(|_| start(&broker)).collect();
    wait_until_created(&context).await;
    let is_invalid = |i: usize| i % 500 == 7;
    let publisher = broker.context().await;
    // At most a thousand per second, so that processes are killed while articles arrive.
    let sending = tokio::spawn(async move {
        for first in (0..ARTICLES).step_by(100) {
            let send = async |i: usize| {
                let id = format!("n{i}");
                let text = if is_invalid(i) { format!("{{\"id\": \"{id}\", \"body\": ") } else { article(&id) };
                let mut headers = HeaderMap::new();
                headers.insert("Nats-Msg-Id", id);
                let sent = publisher.publish_with_headers(format!("news.in.{}", i % 5), headers, text.into()).await?;
                sent.await
            };
            // Repeat until the broker has stored all of them; it drops repeated message ids.
            while join_all((first..first + 100).map(send)).await.iter().any(Result::is_err) {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            tokio::time::sleep(Duration::from_millis(90)).await;
        }
    });
    // A linear congruential generator with a fixed seed.
    let mut random = 7_u64;
    let mut next = |below: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (random >> 33) % below
    };
    let (mut killed, mut restarted) = (0, 0);
    let begun = Instant::now();
    loop {
        tokio::time::sleep(Duration::from_millis(200 + next(800))).await;
        let done = count(&context, "LABELLED").await + count(&context, "DEAD").await;
        if done >= ARTICLES {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(240), "{done} of {ARTICLES}");
        let restart_broker = restarted < 2 && done > ARTICLES / 3 * (restarted + 1);
        if restart_broker {
            broker.restart().await;
            restarted += 1;
        } else {
            let i = next(3) as usize;
            relays[i].kill();
            relays[i] = start(&broker);
            killed += 1;
        }
    }
    sending.await.expect("all articles are sent");
    // Leave time for redeliveries, which would be published twice.
    tokio::time::sleep(Duration::from_secs(3)).await;
    println!("killed relays {killed} times and the broker {restarted} times in {:?}", begun.elapsed());
    assert!(killed >= 4 && restarted == 2, "{killed} {restarted}");

    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for (_, _, payload) in all(&context, "LABELLED").await {
        let row: serde_json::Value = serde_json::from_slice(&payload).expect("JSON");
        assert!(row["classification"]["topics"].is_array());
        *counts.entry(row["id"].as_str().expect("an id").to_owned()).or_default() += 1;
    }
    let wanted: BTreeSet<String> = (0..ARTICLES).filter(|i| !is_invalid(*i)).map(|i| format!("n{i}")).collect();
    assert_eq!(counts.keys().cloned().collect::<BTreeSet<_>>(), wanted, "every article is labelled");
    let repeated: Vec<_> = counts.iter().filter(|(_, count)| **count != 1).collect();
    assert!(repeated.is_empty(), "each article is published once: {repeated:?}");
    let dead = all(&context, "DEAD").await;
    assert_eq!(dead.len(), (0..ARTICLES).filter(|i| is_invalid(*i)).count());
    for (_, headers, payload) in dead {
        assert!(header(&headers, "Dateline-Reason").contains("cut off"), "{headers:?}");
        assert!(String::from_utf8_lossy(&payload).ends_with("\"body\": "));
    }
}

#[tokio::test]
async fn agency_items_keep_their_embargo_and_status() {
    let Some(broker) = Broker::start("").await else { return };
    let context = broker.context().await;
    let _relay = start_relay(&broker, &[]);
    wait_until_created(&context).await;
    let superdesk = |guid: &str, status: &str| {
        serde_json::json!({
            "guid": guid, "type": "text", "pubstatus": status, "headline": "Parliament in Nairobi passes budget", "body_html": format!("<p>{BODY}</p>"),
            "embargoed": "2030-01-01T00:00:00+0000", "place": null,
        })
        .to_string()
    };
    let newsml = format!(
        "<newsItem guid=\"urn:wire.example:n\"><itemMeta><embargoed/></itemMeta><contentSet><inlineData>{BODY}</inlineData></contentSet></newsItem>"
    );
    let nitf = format!("<nitf><body><body.content><p>{BODY}</p></body.content></body></nitf>");
    publish(&context, [superdesk("urn:a", "usable"), superdesk("urn:b", "canceled"), newsml, nitf]).await;
    wait_until("all are published", async || count(&context, "LABELLED").await == 4).await;
    let labelled = all(&context, "LABELLED").await;
    let find = |text: &str| {
        let found = labelled.iter().find(|(.., payload)| String::from_utf8_lossy(payload).contains(text));
        let (subject, headers, payload) = found.expect("the message is published");
        (subject.as_str(), header(headers, "Dateline-Embargoed"), String::from_utf8_lossy(payload).into_owned())
    };
    let (subject, embargoed, payload) = find("urn:a");
    assert!(subject.ends_with(".KE") && payload.contains("\"code\":\"KE\""), "{subject} {payload}");
    assert_eq!(embargoed, "2030-01-01T00:00:00+0000");
    let (subject, embargoed, payload) = find("urn:b");
    assert_eq!((subject, &*embargoed), ("labelled.none.none", "2030-01-01T00:00:00+0000"));
    assert!(payload.contains("\"place\":null") && !payload.contains("subject"), "{payload}");
    let (subject, embargoed, payload) = find("urn:wire.example:n");
    assert!(subject.ends_with(".KE") && payload.contains("iso3166-1a2/KE"), "{subject} {payload}");
    assert_eq!(embargoed, "until further notice");
    let (subject, _, payload) = find("\"name\":\"ninjs\"");
    assert!(subject.ends_with(".KE") && payload.contains("\"places\":["), "{subject} {payload}");
}

#[tokio::test]
async fn messages_held_by_killed_relays_are_labelled_despite_max_deliver() {
    let Some(broker) = Broker::start("").await else { return };
    let context = broker.context().await;
    let relay = start_relay(&broker, &[]);
    wait_until_created(&context).await;
    relay.stop();
    publish(&context, ["a", "b", "c"].map(article)).await;
    let stream = context.get_stream("NEWS").await.expect("the relay has created the stream");
    let consumer: PullConsumer = stream.get_consumer("dateline").await.expect("the relay has created the consumer");
    // Deliver the messages three times, as if three relays had been killed while they held them.
    for _ in 0..3 {
        let mut batch = consumer
            .fetch()
            .max_messages(3)
            .expires(Duration::from_secs(5))
            .messages()
            .await
            .expect("the broker answers");
        while let Some(message) = batch.next().await {
            message
                .expect("the message is delivered")
                .ack_with(AckKind::Nak(None))
                .await
                .expect("the message is returned");
        }
    }
    let _relay = start_relay(&broker, &["--max-deliver", "2"]);
    wait_until("all are labelled", async || count(&context, "LABELLED").await == 3).await;
    assert_eq!(count(&context, "DEAD").await, 0, "a crash of a relay is not blamed on its messages");
    let labelled = all(&context, "LABELLED").await;
    let json = |payload: &[u8]| serde_json::from_slice::<serde_json::Value>(payload).expect("JSON");
    let bundled = dateline::Model::bundled().expect("the bundled model loads");
    for (subject, headers, payload) in &labelled {
        assert!(subject.ends_with(".KE"), "{subject}");
        assert_eq!(header(headers, "Dateline-Model"), bundled.version());
        assert!(json(payload)["classification"]["topics"][0]["confidence"].is_number());
    }
}

/// A proxy that forwards connections to a server, and closes a connection when an article contains "poison", as if the server
/// had crashed. Returns its address.
async fn start_crashing_proxy(server: String) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let address = listener.local_addr().expect("the listener has an address").to_string();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let mut upstream = tokio::net::TcpStream::connect(&server).await.expect("the server accepts connections");
            tokio::spawn(async move {
                let (mut from_client, mut to_client) = client.split();
                let (mut from_server, mut to_server) = upstream.split();
                let forward = async {
                    let mut buffer = vec![0; 1 << 16];
                    loop {
                        match from_client.read(&mut buffer).await {
                            Ok(0) | Err(_) => return,
                            Ok(read) if buffer[..read].windows(6).any(|part| part == b"poison") => return,
                            Ok(read) => drop(to_server.write_all(&buffer[..read]).await),
                        }
                    }
                };
                let backward = tokio::io::copy(&mut from_server, &mut to_client);
                tokio::select! {
                    () = forward => {}
                    _ = backward => {}
                }
            });
        }
    });
    address
}

#[tokio::test]
async fn only_the_articles_that_crash_a_server_become_dead_letters() {
    let Some(broker) = Broker::start("").await else { return };
    let context = broker.context().await;
    let server = Server::start(&[]);
    let address = start_crashing_proxy(server.address.clone()).await;
    let relay = start_relay(&broker, &["--server", &address]);
    wait_until_created(&context).await;
    relay.stop();
    publish(&context, ["a", "poison-1", "b", "c", "poison-2", "d"].map(article)).await;
    let _relay = start_relay(&broker, &["--server", &address]);
    wait_until("the other articles are labelled", async || count(&context, "LABELLED").await == 4).await;
    wait_until("both articles are dead letters", async || count(&context, "DEAD").await == 2).await;
    for (_, headers, payload) in all(&context, "DEAD").await {
        assert!(String::from_utf8_lossy(&payload).contains("poison"));
        let reason = header(&headers, "Dateline-Reason");
        assert_eq!(reason, "the server broke off 3 times while it had this article alone");
    }
}

#[tokio::test]
async fn a_relay_stops_while_its_broker_is_down() {
    let Some(broker) = Broker::start("").await else { return };
    let context = broker.context().await;
    let relay = start_relay(&broker, &[]);
    wait_until_created(&context).await;
    drop(broker);
    tokio::time::sleep(Duration::from_secs(2)).await;
    let begun = Instant::now();
    relay.stop();
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_relay_keeps_its_messages_while_its_server_is_down() {
    let Some(broker) = Broker::start("").await else { return };
    let context = broker.context().await;
    let server = Server::start(&[]);
    let address = server.address.clone();
    let relay = start_relay(&broker, &["--server", &address, "--max-deliver", "1"]);
    wait_until_created(&context).await;
    drop(server);
    publish(&context, (0..100).map(|i| article(&i.to_string()))).await;
    // Longer than --ack-wait, after which the broker delivers messages again unless it gets progress acknowledgements.
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(count(&context, "LABELLED").await, 0);
    let _server = Server::start_at(&address, &[]);
    wait_until("all are labelled", async || count(&context, "LABELLED").await == 100).await;
    assert_eq!(count(&context, "DEAD").await, 0, "an outage of the server is not blamed on the messages");
    assert!(relay.stop().contains("articles not classified, trying again"));
}

#[tokio::test]
async fn each_durable_consumer_gets_all_articles() {
    let Some(broker) = Broker::start("").await else { return };
    let context = broker.context().await;
    let _one = start_relay(&broker, &["--durable", "one"]);
    wait_until_created(&context).await;
    publish(&context, (0..10).map(|i| article(&i.to_string()))).await;
    wait_until("one has labelled all articles", async || count(&context, "LABELLED").await == 10).await;
    let _other = start_relay(&broker, &["--durable", "other"]);
    wait_until("the other has labelled them, too", async || count(&context, "LABELLED").await == 20).await;
}

#[tokio::test]
async fn an_article_that_the_server_refuses_does_not_block_the_others() {
    let Some(broker) = Broker::start("").await else { return };
    let context = broker.context().await;
    let server = Server::start(&["--max-message-bytes", "100000"]);
    let relay = start_relay(&broker, &["--server", &server.address]);
    wait_until_created(&context).await;
    relay.stop();
    let long = serde_json::json!({ "id": "long", "body": BODY.repeat(1000) }).to_string();
    publish(&context, [article("a"), long, article("b"), article("c")]).await;
    let _relay = start_relay(&broker, &["--server", &server.address]);
    wait_until("the other articles are labelled", async || count(&context, "LABELLED").await == 3).await;
    wait_until("the long article is a dead letter", async || count(&context, "DEAD").await == 1).await;
}

#[tokio::test]
async fn a_relay_connects_with_tls_and_a_password() {
    let (files, authority) = (TempDir::new(), Authority::new());
    let (certificate, key) = authority.write_pair(&files);
    let ca = files.write("ca.pem", &authority.pem);
    let config = format!(
        "tls {{ cert_file: \"{certificate}\", key_file: \"{key}\" }}\nauthorization {{ user: desk, password: secret-0123 }}"
    );
    let Some(broker) = Broker::start(&config).await else { return };
    let port = broker.port;
    let relay = |url: String, more: &[&str]| {
        let args = [&["relay", "--create", "--nats", &url, "--drain-timeout", "0"], more].concat();
        run(&args, b"")
    };
    for (user, more) in
        [("desk:wrong-0123@", &["--nats-ca", &*ca][..]), ("", &["--nats-ca", &ca]), ("desk:secret-0123@", &[])]
    {
        let output = relay(format!("nats://{user}localhost:{port}"), more);
        assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
        let error = stderr(&output);
        assert!(error.contains("cannot connect to ") && !error.contains("-0123"), "{error}");
    }
    let output = relay("nats://localhost".into(), &["--credentials", "no/such.creds"]);
    assert!(stderr(&output).contains("no/such.creds: "), "{}", stderr(&output));
    let url = format!("nats://desk:secret-0123@localhost:{port}");
    let mut relay = LoggedProcess::spawn(dateline().args(["relay", "--create", "--nats", &url, "--nats-ca", &ca]));
    let options = ConnectOptions::with_user_and_password("desk".into(), "secret-0123".into());
    let client = options.add_root_certificates(ca.into()).connect(&url).await.expect("the broker accepts connections");
    let context = jetstream::new(client);
    wait_until_created(&context).await;
    publish(&context, [article("a")]).await;
    wait_until("the article is labelled", async || count(&context, "LABELLED").await == 1).await;
    relay.kill();
    relay.wait();
    assert!(!relay.log().contains("-0123"), "{}", relay.log());
}

#[tokio::test]
async fn missing_streams_and_invalid_settings_are_errors() {
    let Some(broker) = Broker::start("").await else { return };
    let context = broker.context().await;
    let relay = |more: &[&str]| run(&[&["relay", "--nats", &broker.url()], more].concat(), b"");
    let output = relay(&[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains("stream NEWS not found") && stderr(&output).contains("--create"),
        "{}",
        stderr(&output)
    );
    let config = stream::Config { name: "NEWS".into(), subjects: vec!["news.in.>".into()], ..Default::default() };
    let stream = context.create_stream(config).await.expect("the stream is created");
    assert!(stderr(&relay(&[])).contains("consumer dateline of the stream NEWS not found"));
    let config = pull::Config { durable_name: Some("dateline".into()), max_deliver: 3, ..Default::default() };
    let _: PullConsumer = stream.create_consumer(config).await.expect("the consumer is created");
    assert!(stderr(&relay(&[])).contains("before the relay makes it a dead letter"));
    let config = pull::Config { durable_name: Some("desk".into()), ..Default::default() };
    let _: PullConsumer = stream.create_consumer(config).await.expect("the consumer is created");
    let output = relay(&["--durable", "desk"]);
    assert!(stderr(&output).contains("stream that takes labelled.none.none not found"), "{}", stderr(&output));
    let config = stream::Config { name: "TAKEN".into(), subjects: vec!["labelled.>".into()], ..Default::default() };
    context.create_stream(config).await.expect("the stream is created");
    let output = relay(&["--create", "--durable", "new"]);
    assert!(stderr(&output).contains("cannot create the stream LABELLED"), "{}", stderr(&output));
    for (args, message) in [
        (&["--publish", "a b"][..], "write a subject"),
        (&["--publish", "{section}"], "{section} is unknown"),
        (&["--dead-letter", "dead.>"], "write a subject"),
        (&["--stream", "a.b"], "write a name of letters"),
        (&["--ack-wait", "0"], "from 1 to 3600"),
        (&["--server", "ftp://a:1"], "invalid server address ftp://a:1"),
        (&["--nats-cert", "a"], "--nats-key"),
    ] {
        let output = relay(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(message), "{args:?}: {}", stderr(&output));
    }
    let unreachable = run(&["relay", "--nats", "nats://127.0.0.1:1"], b"");
    assert!(stderr(&unreachable).contains("cannot connect to nats://127.0.0.1:1"), "{}", stderr(&unreachable));
    let settings = "nats = \"nats://desk:secret@nats.example\"\npublish = \"l.{topic}\"\n";
    let file = broker.folder.write("relay.toml", settings);
    let report = stdout(&run(&["relay", "--config", &file, "--check-config"], b""));
    assert!(report.contains("l.{topic}") && report.contains("****") && !report.contains("secret"), "{report}");
}
