//! Models of a running server: swapped under load, refused if invalid, reloaded by an operator, compared with a shadow model.
#![cfg(unix)]

mod common;

use common::{
    ChildGuard, Client, Server, TempDir, build_dir, channel, client, dateline, health, http_get, is_installed,
    model_version, next_answer, open_stream, project_path, request, run, sample, stderr, succeed, utf8, version_of,
    wait_until,
};
use dateline::{
    Model,
    wire::proto::dateline::v1::{
        GetModelRequest, GetStatusRequest, ReloadModelRequest, ServerStatus, admin_client::AdminClient,
    },
};
use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use tokio_stream::StreamExt;
use tonic::{Code, Request, Status};
use tonic_health::pb::health_check_response::ServingStatus;

const OPERATOR: &str = "operator-0123456789";

/// The directory of a small model, trained once on the tests' own articles.
fn small_model() -> &'static Path {
    static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
        let folder = build_dir("small-model");
        let rows = ["--topics", "tests/data/topics.jsonl", "--regions", "tests/data/regions.jsonl"];
        let output = run(&[&["train", "--out", utf8(&folder)], &rows[..]].concat(), b"");
        assert!(output.status.success(), "{}", stderr(&output));
        folder
    });
    &FOLDER
}

/// A temporary directory, and the directory `live` in it with a copy of the bundled model.
fn live_model() -> (TempDir, PathBuf) {
    let folder = TempDir::new();
    let live = folder.join("live");
    fs::create_dir(&live).expect("the directory can be created");
    install(&project_path("models"), &live);
    (folder, live)
}

/// A call with an operator's token.
fn as_operator<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", format!("Bearer {OPERATOR}").parse().expect("the header is valid"));
    request
}

/// Reloads the live model. Returns its version before and after.
async fn reload(address: &str) -> Result<(String, String), Status> {
    let answer =
        AdminClient::new(channel(address)).reload_model(as_operator(ReloadModelRequest {})).await?.into_inner();
    Ok((answer.from, answer.to))
}

/// The status of a server.
async fn status(address: &str) -> ServerStatus {
    let answer = AdminClient::new(channel(address)).get_status(as_operator(GetStatusRequest {})).await;
    answer.expect("an answer").into_inner()
}

/// Copies a model to another directory, replacing each file atomically, as `dateline train` and orchestrators do.
fn install(from: &Path, to: &Path) {
    for name in ["model.safetensors", "manifest.json"] {
        fs::copy(from.join(name), to.join("new")).expect("the file can be copied");
        fs::rename(to.join("new"), to.join(name)).expect("the file can be moved");
    }
}

#[tokio::test]
async fn models_are_swapped_during_a_stream_and_invalid_ones_refused() {
    let (_folder, live) = live_model();
    let bundled = project_path("models");
    let (bundled_version, small_version) = (version_of(&bundled), version_of(small_model()));

    let server = Server::start(&["--model", utf8(&live), "--metrics-listen", "127.0.0.1:0"]);
    let metrics = server.logged_field("metrics");
    let mut client = client(&server).await;
    let (send, mut answers) = open_stream(&mut client).await;
    let (mut sent, mut versions) = (0, BTreeSet::new());
    let mut classify = async || {
        send.send(request(sent)).await.expect("the stream is open");
        let answer = next_answer(&mut answers).await;
        assert_eq!(answer.id, sent.to_string());
        sent += 1;
        model_version(&answer)
    };
    assert_eq!(classify().await, bundled_version);

    // The server finds a new model by polling the directory, and on SIGHUP.
    install(small_model(), &live);
    let begun = Instant::now();
    loop {
        let version = classify().await;
        versions.insert(version.clone());
        if version == small_version {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "the new model takes over");
    }
    assert_eq!(versions, BTreeSet::from([bundled_version.clone(), small_version.clone()]), "no other version answered");
    install(&bundled, &live);
    server.signal("HUP");
    let begun = Instant::now();
    while classify().await != bundled_version {
        assert!(begun.elapsed() < Duration::from_secs(30), "the old model takes over again");
    }

    // A truncated file, then a valid model again.
    fs::write(live.join("model.safetensors"), b"half").expect("the file can be written");
    wait_until("the invalid model is refused", async || server.log().contains("model refused")).await;
    assert_eq!(classify().await, bundled_version, "the old model stays in service");
    assert!(!server.log().contains("budget"), "article text is not logged");
    let (_, text) = http_get(&metrics, "/metrics");
    assert!(sample(&text, "dateline_model_loads_total{slot=\"live\",outcome=\"refused\"}") >= 1.0, "{text}");
    assert!(sample(&text, "dateline_model_loads_total{slot=\"live\",outcome=\"loaded\"}") >= 2.0, "{text}");
    assert_eq!(sample(&text, &format!("dateline_model_info{{slot=\"live\",version=\"{bundled_version}\"}}")), 1.0);
    install(small_model(), &live);
    let begun = Instant::now();
    while classify().await != small_version {
        assert!(begun.elapsed() < Duration::from_secs(30), "a valid model is loaded after an invalid one");
    }
    let info = client.get_model(GetModelRequest {}).await.expect("an answer").into_inner();
    assert_eq!(info.version, small_version);
}

#[tokio::test]
async fn an_operator_reloads_models_and_sees_why_one_is_refused() {
    let (folder, live) = live_model();
    let tokens = folder.write("operators", OPERATOR);
    let callers = folder.write("callers", "caller-0123456789");
    let server = Server::start(&[
        "--model",
        utf8(&live),
        "--tokens",
        &callers,
        "--admin-tokens",
        &tokens,
        "--admin-listen",
        "127.0.0.1:0",
        "--metrics-listen",
        "127.0.0.1:0",
    ]);
    let (admin, metrics) = (server.logged_field("admin"), server.logged_field("metrics"));
    let (bundled_version, small_version) = (version_of(project_path("models")), version_of(small_model()));

    // Admin is served only at its own address, and only with an operator's token.
    let elsewhere = reload(&server.address).await.expect_err("not served there");
    assert_eq!(elsewhere.code(), Code::Unimplemented);
    let mut client = AdminClient::new(channel(&admin));
    assert_eq!(client.get_status(GetStatusRequest {}).await.expect_err("no token").code(), Code::Unauthenticated);
    let mut caller = Request::new(ReloadModelRequest {});
    caller.metadata_mut().insert("authorization", "Bearer caller-0123456789".parse().expect("the header is valid"));
    assert_eq!(client.reload_model(caller).await.expect_err("a caller's token").code(), Code::Unauthenticated);

    assert_eq!(reload(&admin).await.expect("the model loads"), (bundled_version.clone(), bundled_version.clone()));
    install(small_model(), &live);
    // The server may have loaded the model already by polling, so that only `to` is certain.
    let (_, to) = reload(&admin).await.expect("the model loads");
    assert_eq!(to, small_version);
    assert_eq!(http_get(&metrics, "/readyz"), (200, "ready\n".to_owned()));

    fs::write(live.join("model.safetensors"), b"half").expect("the file can be written");
    let refused = reload(&admin).await.expect_err("the file is truncated");
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert!(refused.message().contains("model.safetensors"), "{refused}");
    let now = status(&admin).await.live.expect("a model is live");
    assert_eq!((now.version, now.refusal.as_str()), (small_version, refused.message()));
    assert!(now.refused >= 1 && now.loaded == 1, "{} and {}", now.refused, now.loaded);
    wait_until("the health changes", async || {
        health(&server.address, "dateline.model").await.expect("an answer") == ServingStatus::NotServing
    })
    .await;
    assert_eq!(health(&server.address, "dateline.v1.Classifier").await.expect("an answer"), ServingStatus::Serving);
    assert_eq!(http_get(&metrics, "/readyz").1, "ready, with an old model: the new one was refused\n");
    assert_eq!(sample(&http_get(&metrics, "/metrics").1, "dateline_model_refused{slot=\"live\"}"), 1.0);

    install(&project_path("models"), &live);
    assert_eq!(reload(&admin).await.expect("the model loads").1, bundled_version);
    assert_eq!(status(&admin).await.live.expect("a model is live").refusal, "");
    wait_until("the health changes", async || {
        health(&server.address, "dateline.model").await.expect("an answer") == ServingStatus::Serving
    })
    .await;
}

#[tokio::test]
async fn the_bundled_model_is_not_reloaded() {
    let folder = TempDir::new();
    let server = Server::start(&["--admin-tokens", &folder.write("operators", OPERATOR)]);
    // Without --admin-listen, Admin is served at the address of the classifier.
    let refused = reload(&server.address).await.expect_err("the server watches no directory");
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert!(refused.message().contains("--model"), "{refused}");
    assert_eq!(status(&server.address).await.shadow, None);
}

/// Twenty swaps and five invalid models under four streams and single calls: each article is answered without an error by a
/// model that was live.
#[tokio::test(flavor = "multi_thread")]
async fn no_answer_is_lost_while_models_are_swapped() {
    let (folder, live) = live_model();
    let operators = folder.write("operators", OPERATOR);
    let server = Server::start(&["--model", utf8(&live), "--admin-tokens", &operators]);
    let models = [project_path("models"), small_model().to_owned()];
    let live_versions: BTreeSet<String> = models.iter().map(version_of).collect();

    let stop = Arc::new(AtomicBool::new(false));
    let mut loads = Vec::new();
    for _ in 0..4 {
        let (mut client, stop) = (client(&server).await, stop.clone());
        loads.push(tokio::spawn(async move {
            let (send, mut answers) = open_stream(&mut client).await;
            let sender = tokio::spawn(async move {
                let mut sent = 0;
                while !stop.load(Ordering::Relaxed) {
                    send.send(request(sent)).await.expect("the stream is open");
                    sent += 1;
                }
                sent
            });
            let (mut count, mut versions) = (0, BTreeSet::new());
            while let Some(answer) = answers.next().await {
                let answer = answer.expect("an answer, not a status");
                assert_eq!(answer.id, count.to_string());
                versions.insert(model_version(&answer));
                count += 1;
            }
            assert_eq!(count, sender.await.expect("all requests are sent"));
            (count, versions)
        }));
    }
    let mut caller = client(&server).await;
    for swap in 1..=20 {
        install(&models[swap % 2], &live);
        reload(&server.address).await.expect("a valid model is loaded");
        let answer = caller.classify(request(swap)).await.expect("an answer").into_inner();
        assert_eq!(model_version(&answer), version_of(&models[swap % 2]));
        if swap % 4 == 0 {
            let name = ["model.safetensors", "manifest.json"][swap / 4 % 2];
            fs::write(live.join(name), b"half").expect("the file can be written");
            let refused = reload(&server.address).await.expect_err("the model is invalid");
            assert_eq!(refused.code(), Code::FailedPrecondition, "{refused}");
        }
    }
    stop.store(true, Ordering::Relaxed);
    let mut versions = BTreeSet::new();
    for load in loads {
        let (count, seen) = load.await.expect("all answers arrive");
        assert!(count > 0);
        versions.extend(seen);
    }
    assert_eq!(versions, live_versions);
    let live = status(&server.address).await.live.expect("a model is live");
    assert!(live.loaded >= 20 && live.refused >= 5, "{} and {}", live.loaded, live.refused);
}

#[tokio::test]
async fn a_shadow_model_is_compared_and_its_answers_never_sent() {
    let (folder, live) = live_model();
    let shadow = folder.join("shadow");
    fs::create_dir(&shadow).expect("the directory can be created");
    install(small_model(), &shadow);
    let operators = folder.write("operators", OPERATOR);
    let server = Server::start(&[
        "--model",
        utf8(&live),
        "--shadow",
        utf8(&shadow),
        "--admin-tokens",
        &operators,
        "--metrics-listen",
        "127.0.0.1:0",
    ]);
    let metrics = server.logged_field("metrics");
    let (bundled_version, small_version) = (version_of(project_path("models")), version_of(small_model()));
    let mut client = client(&server).await;
    let classify = async |client: &mut Client, count: usize| {
        for i in 0..count {
            let answer = client.classify(request(i)).await.expect("an answer").into_inner();
            assert_eq!(model_version(&answer), bundled_version, "only the live model answers");
        }
    };
    classify(&mut client, 20).await;
    let compared = async || status(&server.address).await.comparison.expect("a shadow model is compared");
    wait_until("all articles are compared or skipped", async || {
        let now = compared().await;
        now.articles + now.skipped == 20
    })
    .await;
    let now = compared().await;
    assert!(now.articles > 0 && now.topics_differ <= now.articles && now.regions_differ <= now.articles, "{now:?}");
    let all = status(&server.address).await;
    assert_eq!(all.live.expect("a model is live").version, bundled_version);
    assert_eq!(all.shadow.expect("a shadow model is loaded").version, small_version);
    let text = http_get(&metrics, "/metrics").1;
    assert_eq!(sample(&text, "dateline_shadow_articles_total{outcome=\"compared\"}"), now.articles as f64, "{text}");
    assert_eq!(sample(&text, "dateline_shadow_differs_total{part=\"topics\"}"), now.topics_differ as f64, "{text}");
    assert_eq!(sample(&text, &format!("dateline_model_info{{slot=\"shadow\",version=\"{small_version}\"}}")), 1.0);
    assert_eq!(
        sample(&text, "dateline_articles_total{outcome=\"classified\"}"),
        20.0,
        "the shadow model's answers are not counted"
    );

    // A new shadow model resets the counts. One that equals the live model never differs.
    install(&project_path("models"), &shadow);
    wait_until("the shadow model is swapped", async || {
        status(&server.address).await.shadow.expect("a shadow model is loaded").version == bundled_version
    })
    .await;
    classify(&mut client, 10).await;
    wait_until("all articles are compared or skipped", async || {
        let now = compared().await;
        now.articles + now.skipped == 10
    })
    .await;
    let now = compared().await;
    assert_eq!((now.topics_differ, now.regions_differ), (0, 0));
}

#[test]
fn pipes_and_devices_are_not_models() {
    let folder = TempDir::new();
    let pipe = folder.join("manifest.json");
    succeed(std::process::Command::new("mkfifo").arg(&pipe));
    let begun = Instant::now();
    let error = Model::load(folder.path()).expect_err("a pipe is refused");
    assert!(error.to_string().contains("is not a regular file"), "{error}");
    fs::remove_file(&pipe).expect("the pipe can be removed");
    std::os::unix::fs::symlink("/dev/zero", &pipe).expect("the link can be created");
    assert!(Model::load(folder.path()).is_err_and(|error| error.to_string().contains("is not a regular file")));
    assert!(begun.elapsed() < Duration::from_secs(5), "the pipe is not read");
}

#[tokio::test]
async fn folders_and_links_can_be_replaced_by_others() {
    let folder = TempDir::new();
    let (bundled, small) = (folder.join("bundled"), folder.join("small"));
    for (from, to) in [(&*project_path("models"), &bundled), (small_model(), &small)] {
        fs::create_dir(to).expect("the directory can be created");
        install(from, to);
    }
    let versions = [version_of(&bundled), version_of(&small)];
    let (live, staged) = (folder.join("live"), folder.join("staged"));
    std::os::unix::fs::symlink(&bundled, &live).expect("the link can be made");
    let server = Server::start(&["--model", utf8(&live)]);
    let mut client = client(&server).await;
    let mut wait_for = async |version: &str, how: &str| {
        let mut answered =
            async || model_version(&client.classify(request(1)).await.expect("an answer").into_inner()) == version;
        let begun = Instant::now();
        while !answered().await {
            assert!(begun.elapsed() < Duration::from_secs(30), "a model is swapped by {how}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    wait_for(&versions[0], "nothing").await;
    std::os::unix::fs::symlink(&small, &staged).expect("the link can be made");
    fs::rename(&staged, &live).expect("the link can be replaced");
    wait_for(&versions[1], "a symbolic link").await;
    fs::remove_file(&live).expect("the link can be removed");
    fs::rename(&bundled, &live).expect("the directory can be moved");
    wait_for(&versions[0], "a renamed directory").await;
    assert!(!server.log().contains("model refused"), "{}", server.log());
}

/// Holds a lease on a file, so that whoever opens it waits; ends with its standard input.
const HOLD_LEASE: &str = "import fcntl, os, signal, sys
signal.signal(signal.SIGIO, signal.SIG_IGN)
file = os.open(sys.argv[1], os.O_RDWR)
fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
print('held', flush=True)
sys.stdin.read()
";

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn a_load_that_hangs_is_reported_and_does_not_keep_the_server_from_stopping() {
    if !is_installed("python3", &["--version"]) {
        return;
    }
    let (folder, live) = live_model();
    let manifest = folder.join("manifest.json");
    fs::copy(small_model().join("manifest.json"), &manifest).expect("the file can be copied");
    let mut holder = ChildGuard::spawn_piped(Command::new("python3").args(["-c", HOLD_LEASE]).arg(&manifest));
    let mut held = String::new();
    let output = holder.stdout.as_mut().expect("standard output is piped");
    BufReader::new(output).read_line(&mut held).expect("a line");
    if held.trim() != "held" {
        println!("skipped: the file system has no leases");
        return;
    }
    let tokens = folder.write("tokens", OPERATOR);
    let args = ["--model", utf8(&live), "--metrics-listen", "127.0.0.1:0", "--admin-tokens", &tokens];
    let mut server = Server::start(&args);
    let metrics = server.logged_field("metrics");
    fs::rename(&manifest, live.join("manifest.json")).expect("the file can be moved");
    wait_until("the load is reported", async || server.log().contains("the load of a model takes too long")).await;
    assert_eq!(sample(&http_get(&metrics, "/metrics").1, "dateline_model_load_stalled{slot=\"live\"}"), 1.0);
    let ready = http_get(&metrics, "/readyz");
    assert!(ready.0 == 200 && ready.1.contains("takes too long"), "{ready:?}");
    assert_eq!(health(&server.address, "dateline.model").await.expect("an answer"), ServingStatus::NotServing);
    client(&server).await.classify(request(1)).await.expect("the current model answers");
    let busy = reload(&server.address).await.expect_err("another load is under way");
    assert_eq!(busy.code(), Code::Unavailable, "{busy}");
    let begun = Instant::now();
    server.terminate();
    assert!(server.wait().success(), "{}", server.log());
    assert!(begun.elapsed() < Duration::from_secs(8), "it does not wait for the load");
    drop(holder);
}

#[tokio::test]
async fn files_that_this_user_cannot_read_are_named() {
    use std::os::unix::{fs::PermissionsExt, process::CommandExt};
    const NOBODY: u32 = 65_534;
    let (folder, live) = live_model();
    let tokens = folder.write("tokens", OPERATOR);
    for path in [Path::new(&tokens), &live.join("manifest.json")] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o000)).expect("the owner may");
    }
    for directory in [folder.path(), &live] {
        fs::set_permissions(directory, fs::Permissions::from_mode(0o755)).expect("the owner may");
    }
    let is_root = fs::read(&tokens).is_ok();
    for (args, status) in [(["--tokens", &tokens], 2), (["--model", utf8(&live)], 1)] {
        let mut command = dateline();
        command.args(["serve", "--listen", "127.0.0.1:0"]).args(args);
        if is_root {
            command.uid(NOBODY);
        }
        let Ok(output) = command.output() else {
            println!("skipped: another user cannot run the program");
            return;
        };
        assert_eq!(output.status.code(), Some(status), "{}", stderr(&output));
        assert!(stderr(&output).contains("Permission denied"), "{}", stderr(&output));
        assert!(stderr(&output).contains(args[1]), "the path is named: {}", stderr(&output));
    }
}
