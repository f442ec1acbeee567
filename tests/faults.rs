//! Faults of the machine and of the network: a model that is damaged while it is served, no free descriptors, little memory, a
//! clock that steps, read-only folders, and connections that are slow or cut. The server keeps answering, and what is in service
//! stays valid.
#![cfg(target_os = "linux")]

mod common;

use common::{
    Server, TempDir, client, http_get, model_version, next_answer, open_stream, project_path,
    proxy::{GOOD, Network, start_proxy},
    request, run, sample, sample_articles, stderr, stdout, utf8, version_of, wait_until,
};
use std::{
    fs::{self, OpenOptions},
    io::{Read, Write},
    net::TcpStream,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

/// Copies the files of a model.
fn copy_model(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("the folder can be created");
    for name in ["manifest.json", "model.safetensors"] {
        fs::copy(from.join(name), to.join(name)).expect("the file can be copied");
    }
}

#[tokio::test]
async fn a_model_that_is_cut_off_while_it_is_served_is_refused_and_the_previous_one_answers() {
    let folder = TempDir::new();
    let live = folder.join("live");
    copy_model(&project_path("models"), &live);
    let server = Server::start(&["--model", utf8(&live), "--metrics-listen", "127.0.0.1:0"]);
    let metrics = server.logged_field("metrics");
    let mut client = client(&server).await;
    let (send, mut answers) = open_stream(&mut client).await;
    send.send(request(0)).await.expect("the server reads");
    let version = model_version(&next_answer(&mut answers).await);
    // The file that is served, not a copy that replaces it.
    let tensors = OpenOptions::new().write(true).open(live.join("model.safetensors")).expect("the file can be opened");
    tensors.set_len(1_000_000).expect("the file can be cut off");
    wait_until("the model is refused", async || {
        sample(&http_get(&metrics, "/metrics").1, "dateline_model_refused{slot=\"live\"}") == 1.0
    })
    .await;
    for id in 1..50 {
        send.send(request(id)).await.expect("the server reads");
        assert_eq!(model_version(&next_answer(&mut answers).await), version);
    }
    assert_eq!(http_get(&metrics, "/readyz").0, 200, "it answers with the previous model");
}

#[tokio::test]
async fn a_server_without_free_descriptors_answers_again_when_some_are_closed() {
    let server = Server::start_in_shell(
        "ulimit -n 64; exec \"$0\" serve --listen 127.0.0.1:0 --max-connections 1000 --max-connections-per-peer 0",
    );
    let mut before = client(&server).await;
    before.classify(request(0)).await.expect("an answer");
    let connections: Vec<TcpStream> =
        (0..200).map(|_| TcpStream::connect(&server.address).expect("the system accepts the connection")).collect();
    wait_until("no descriptor is free", async || server.open_descriptors() >= 64).await;
    before.classify(request(1)).await.expect("open connections are still answered");
    drop(connections);
    wait_until("descriptors are released", async || server.open_descriptors() < 40).await;
    client(&server).await.classify(request(2)).await.expect("new connections are answered again");
}

#[tokio::test]
async fn a_server_with_little_memory_survives_clients_that_fill_its_budget() {
    // Address space, most of which is reserved for stacks and never used.
    let server = Server::start_in_shell("ulimit -v 1500000; exec \"$0\" serve --listen 127.0.0.1:0");
    let body = "Parliament in Nairobi passed the budget. ".repeat(40_000);
    let mut tasks = Vec::new();
    for _ in 0..40 {
        let (mut client, mut large) = (client(&server).await, request(0));
        large.article.as_mut().expect("a request has an article").body.clone_from(&body);
        tasks.push(tokio::spawn(async move { client.classify(large).await.map(|_| ()) }));
    }
    let mut answered = 0;
    for task in tasks {
        match task.await.expect("the task ends") {
            Ok(()) => answered += 1,
            Err(status) => assert_eq!(status.code(), tonic::Code::Unavailable, "{status}"),
        }
    }
    assert!(answered > 0);
    client(&server).await.classify(request(1)).await.expect("the server still answers");
}

#[test]
fn a_training_that_runs_out_of_memory_leaves_the_model_in_service() {
    let folder = TempDir::new();
    let live = folder.arg("live");
    let topics = "tests/data/topics.jsonl";
    let promote = ["train", "--topics", topics, "--promote", &live, "--hold-out", "0.2"];
    let output = run(&promote, b"");
    assert!(output.status.success(), "{}", stderr(&output));
    let limited = |limit: &str, threads: &str| {
        let script = "ulimit -v $1; shift; exec \"$0\" \"$@\" --tolerance 1 --label-tolerance 1 --seed 5";
        let mut command = Command::new("bash");
        command.args(["-c", script, env!("CARGO_BIN_EXE_dateline"), limit]).args(promote);
        command.env("RAYON_NUM_THREADS", threads).current_dir(env!("CARGO_MANIFEST_DIR"));
        let before = version_of(&live);
        let output = command.output().expect("bash runs");
        assert!(output.status.success() || version_of(&live) == before, "{limit}");
        output
    };
    assert!(!limited("60000", "2").status.success(), "it needs more memory");
    // They end the training at other steps, or not at all: what is reserved for threads depends on the machine.
    limited("120000", "2");
    limited("300000", "2");
    // No memory for the stacks of so many threads.
    let output = limited("100000", "100");
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(stderr(&output).contains("error: cannot start threads"), "{}", stderr(&output));
    assert!(run(&promote, b"").status.success(), "the next training is not locked out");
}

#[test]
fn a_read_only_folder_is_an_error_before_anything_is_trained() {
    let folder = TempDir::new();
    let live = folder.join("live");
    fs::create_dir(&live).expect("the folder can be created");
    // Only a mount is read-only for root, too.
    let script = "mount -t tmpfs none \"$1\" && mount -o remount,ro \"$1\" && shift && exec \"$0\" \"$@\"";
    let mut command = Command::new("unshare");
    command.args(["--mount", "--map-root-user", "bash", "-c", script, env!("CARGO_BIN_EXE_dateline"), utf8(&live)]);
    command.args(["train", "--topics", "tests/data/topics.jsonl", "--promote", utf8(&live)]);
    let output = command.current_dir(env!("CARGO_MANIFEST_DIR")).output();
    let Some(output) =
        output.ok().filter(|output| !stderr(output).contains("unshare:") && !stderr(output).contains("mount:"))
    else {
        println!("skipped: this user cannot mount a file system (unshare --mount)");
        return;
    };
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(stderr(&output).contains("Read-only file system"), "{}", stderr(&output));
}

#[tokio::test]
async fn the_wall_clock_may_step_without_ending_streams() {
    const LIBRARY: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1";
    if !Path::new(LIBRARY).exists() {
        println!("skipped: libfaketime is not installed (apt-get install faketime)");
        return;
    }
    let folder = TempDir::new();
    let clock = folder.write("clock", "+0");
    let server = Server::start_in_shell(&format!(
        "LD_PRELOAD={LIBRARY} FAKETIME_TIMESTAMP_FILE={clock} FAKETIME_NO_CACHE=1 FAKETIME_DONT_FAKE_MONOTONIC=1 \
         exec \"$0\" serve --listen 127.0.0.1:0 --stream-idle 60 --connection-age 600"
    ));
    let mut client = client(&server).await;
    let (send, mut answers) = open_stream(&mut client).await;
    for (id, step) in ["+0", "+40d", "-40d", "+1y", "+0"].into_iter().enumerate() {
        fs::write(&clock, step).expect("the file can be written");
        send.send(request(id)).await.expect("the server reads");
        assert_eq!(next_answer(&mut answers).await.id, id.to_string(), "after a step to {step}");
        client.classify(request(id)).await.expect("a unary call is answered");
    }
    // The log shows that the server saw another year.
    let year = |line: &str| line.split('-').next().and_then(|year| year.trim().parse::<i32>().ok());
    let log = server.log();
    let years: std::collections::BTreeSet<i32> = log.lines().filter_map(year).collect();
    assert!(years.len() >= 2, "{years:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_connections_only_delay_answers() {
    let server = Server::start(&[]);
    let rows = sample_articles(300);
    let direct = run(&["classify", "--json", "--server", &server.url()], rows.as_bytes());
    assert!(direct.status.success(), "{}", stderr(&direct));
    for network in [
        Network { piece: 7, delay: Duration::from_micros(50), ..GOOD },
        Network { delay: Duration::from_millis(150), ..GOOD },
    ] {
        let proxy = start_proxy(&server.address, network).await;
        let url = format!("http://{proxy}");
        let rows = rows.clone();
        let slow = tokio::task::spawn_blocking(move || run(&["classify", "--json", "--server", &url], rows.as_bytes()));
        let slow = slow.await.expect("the command runs");
        assert!(slow.status.success(), "{network:?}: {}", stderr(&slow));
        assert_eq!(stdout(&slow), stdout(&direct), "{network:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_connection_is_an_error_and_what_was_printed_is_right() {
    let server = Server::start(&["--metrics-listen", "127.0.0.1:0"]);
    let metrics = server.logged_field("metrics");
    let rows = sample_articles(3000);
    let direct = stdout(&run(&["classify", "--json", "--server", &server.url()], rows.as_bytes()));
    for cut_after in [0, 24, 500, 20_000, 100_000] {
        let proxy = start_proxy(&server.address, Network { cut_after, ..GOOD }).await;
        let url = format!("http://{proxy}");
        let rows = rows.clone();
        let cut = tokio::task::spawn_blocking(move || run(&["classify", "--json", "--server", &url], rows.as_bytes()));
        let cut = cut.await.expect("the command runs");
        assert!(!cut.status.success(), "cut after {cut_after} bytes");
        assert!(stderr(&cut).contains("error"), "{}", stderr(&cut));
        let printed = stdout(&cut);
        let complete = printed.rfind('\n').map_or(0, |end| end + 1);
        assert!(direct.starts_with(&printed[..complete]), "cut after {cut_after} bytes");
    }
    wait_until("no stream is left", async || {
        let text = http_get(&metrics, "/metrics").1;
        sample(&text, "dateline_streams_open") == 0.0 && sample(&text, "dateline_articles_in_flight") == 0.0
    })
    .await;
}

/// Each byte of a message is progress, but a message that is never complete ends its stream all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_sends_a_byte_at_a_time_is_ended() {
    let server = Server::start(&["--stream-stall", "2", "--call-timeout", "2", "--metrics-listen", "127.0.0.1:0"]);
    let metrics = server.logged_field("metrics");
    // The head of a request for metrics, which never ends.
    let mut http = TcpStream::connect(&metrics).expect("the server accepts connections");
    let begun = Instant::now();
    http.set_read_timeout(Some(Duration::from_millis(200))).expect("the timeout can be set");
    let mut ended = http.write_all(b"GET /metrics HTTP/1.1\r\nX-Slow: ").is_err();
    while !ended {
        assert!(begun.elapsed() < Duration::from_secs(60), "the connection is still open");
        ended = http.write_all(b"a").is_err() || matches!(http.read(&mut [0; 512]), Ok(0));
    }

    let connection = tokio::net::TcpStream::connect(&server.address).await.expect("the server accepts connections");
    let (send, connection) = h2::client::handshake(connection).await.expect("the handshake succeeds");
    tokio::spawn(connection);
    for method in ["Classify", "ClassifyStream"] {
        let head = http::Request::post(format!("{}/dateline.v1.Classifier/{method}", server.url()))
            .header("content-type", "application/grpc")
            .header("te", "trailers");
        let mut send = send.clone().ready().await.expect("the connection is ready");
        let (response, mut body) = send.send_request(head.body(()).expect("a head"), false).expect("the head is sent");
        let dribble = tokio::spawn(async move {
            for byte in [0, 0, 0, 16, 0].into_iter().chain(std::iter::repeat(b'a')) {
                if body.send_data(vec![byte].into(), false).is_err() {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        });
        let ended = async {
            let mut response = response.await?;
            while response.body_mut().data().await.transpose()?.is_some() {}
            Ok::<_, h2::Error>(())
        };
        let end = tokio::time::timeout(Duration::from_secs(30), ended).await;
        assert!(end.is_ok(), "{method}: the call is still open");
        dribble.abort();
    }
    client(&server).await.classify(request(0)).await.expect("the server still answers");
}
