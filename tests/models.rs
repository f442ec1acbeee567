//! Models in their places: swapped under load, refused when broken, compared with a shadow, changed by an operator.
#![cfg(unix)]

mod common;

use common::{Server, channel, client, file, get, health, request, run, sample, stderr, stream, until, version};
use dateline::{
    Model,
    wire::proto::dateline::v1::{
        GetModelRequest, GetStatusRequest, ReloadModelRequest, Status as ServerStatus, admin_client::AdminClient,
    },
};
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
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

/// A model of the tests' own articles, trained once.
fn small() -> &'static Path {
    static SMALL: LazyLock<PathBuf> = LazyLock::new(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("small-model");
        let out = folder.to_str().expect("UTF-8");
        let args =
            ["train", "--topics", "tests/data/topics.jsonl", "--regions", "tests/data/regions.jsonl", "--out", out];
        let output = run(&args, b"");
        assert!(output.status.success(), "{}", stderr(&output));
        folder
    });
    &SMALL
}

fn version_of(folder: &Path) -> String {
    Model::load(folder).expect("it loads").version().to_owned()
}

/// A folder with the bundled model in it, for a server to watch.
fn live() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let live = folder.path().join("live");
    fs::create_dir(&live).expect("a folder");
    put(&file("models"), &live);
    (folder, live)
}

/// A call of an operator's.
fn as_operator<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", format!("Bearer {OPERATOR}").parse().expect("metadata"));
    request
}

async fn reload(address: &str) -> Result<(String, String), Status> {
    let answer =
        AdminClient::new(channel(address)).reload_model(as_operator(ReloadModelRequest {})).await?.into_inner();
    Ok((answer.from, answer.to))
}

async fn status(address: &str) -> ServerStatus {
    let answer = AdminClient::new(channel(address)).get_status(as_operator(GetStatusRequest {})).await;
    answer.expect("a status").into_inner()
}

/// Puts the model of one folder into another, each file whole, as `dateline train` and orchestrators do.
fn put(from: &Path, to: &Path) {
    for name in ["model.safetensors", "manifest.json"] {
        fs::copy(from.join(name), to.join("new")).expect("it is copied");
        fs::rename(to.join("new"), to.join(name)).expect("it is moved");
    }
}

#[tokio::test]
async fn models_are_swapped_under_a_stream_and_broken_ones_refused() {
    let (_folder, live) = live();
    let bundled = file("models");
    let [of_bundled, of_small] = [&bundled, small()].map(version_of);

    let server = Server::start(&["--model", live.to_str().expect("UTF-8"), "--metrics-listen", "127.0.0.1:0"]);
    let metrics = server.told("metrics");
    let mut client = client(&server).await;
    let (send, mut answers) = stream(&mut client).await;
    let (mut sent, mut versions) = (0, BTreeSet::new());
    let mut ask = async || {
        send.send(request(sent)).await.expect("the stream goes on");
        let answer = answers.next().await.expect("an answer").expect("no status");
        assert_eq!(answer.id, sent.to_string());
        sent += 1;
        version(&answer)
    };
    assert_eq!(ask().await, of_bundled);

    // By looking at the folder, and by SIGHUP.
    put(small(), &live);
    let begun = Instant::now();
    loop {
        let version = ask().await;
        versions.insert(version.clone());
        if version == of_small {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "the new model takes over");
    }
    assert_eq!(versions, BTreeSet::from([of_bundled.clone(), of_small.clone()]), "no other version answered");
    put(&bundled, &live);
    server.signal("HUP");
    let begun = Instant::now();
    while ask().await != of_bundled {
        assert!(begun.elapsed() < Duration::from_secs(30), "the old model takes over again");
    }

    // Half a file, and then a whole model again.
    fs::write(live.join("model.safetensors"), b"half").expect("it is written");
    until("the broken model is refused", async || server.log().contains("the model is refused")).await;
    assert_eq!(ask().await, of_bundled, "the old model goes on");
    assert!(!server.log().contains("budget"), "no article is logged");
    let (_, text) = get(&metrics, "/metrics");
    assert!(sample(&text, "dateline_model_loads_total{slot=\"live\",outcome=\"refused\"}") >= 1.0, "{text}");
    assert!(sample(&text, "dateline_model_loads_total{slot=\"live\",outcome=\"loaded\"}") >= 2.0, "{text}");
    assert_eq!(sample(&text, &format!("dateline_model_info{{slot=\"live\",version=\"{of_bundled}\"}}")), 1.0);
    put(small(), &live);
    let begun = Instant::now();
    while ask().await != of_small {
        assert!(begun.elapsed() < Duration::from_secs(30), "a whole model is taken after a broken one");
    }
    let info = client.get_model(GetModelRequest {}).await.expect("an answer").into_inner();
    assert_eq!(info.version, of_small);
}

#[tokio::test]
async fn an_operator_changes_the_model_and_sees_why_one_is_refused() {
    let (folder, live) = live();
    let tokens = folder.path().join("operators");
    let callers = folder.path().join("callers");
    fs::write(&tokens, OPERATOR).expect("it is written");
    fs::write(&callers, "caller-0123456789").expect("it is written");
    let server = Server::start(&[
        "--model",
        live.to_str().expect("UTF-8"),
        "--tokens",
        callers.to_str().expect("UTF-8"),
        "--admin-tokens",
        tokens.to_str().expect("UTF-8"),
        "--admin-listen",
        "127.0.0.1:0",
        "--metrics-listen",
        "127.0.0.1:0",
    ]);
    let (admin, metrics) = (server.told("admin"), server.told("metrics"));
    let [of_bundled, of_small] = [&file("models"), small()].map(version_of);

    // Only on its address, and only with its own tokens.
    let elsewhere = reload(&server.address).await.expect_err("not there");
    assert_eq!(elsewhere.code(), Code::Unimplemented);
    let mut client = AdminClient::new(channel(&admin));
    assert_eq!(client.get_status(GetStatusRequest {}).await.expect_err("no token").code(), Code::Unauthenticated);
    let mut caller = Request::new(ReloadModelRequest {});
    caller.metadata_mut().insert("authorization", "Bearer caller-0123456789".parse().expect("metadata"));
    assert_eq!(client.reload_model(caller).await.expect_err("a caller's token").code(), Code::Unauthenticated);

    assert_eq!(reload(&admin).await.expect("it loads"), (of_bundled.clone(), of_bundled.clone()));
    put(small(), &live);
    // Unless the server saw it by itself before.
    let (_, to) = reload(&admin).await.expect("it loads");
    assert_eq!(to, of_small);
    assert_eq!(get(&metrics, "/readyz"), (200, "ready\n".to_owned()));

    fs::write(live.join("model.safetensors"), b"half").expect("it is written");
    let refused = reload(&admin).await.expect_err("half a file");
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert!(refused.message().contains("model.safetensors"), "{refused}");
    let now = status(&admin).await.live.expect("a model");
    assert_eq!((now.version, now.refusal.as_str()), (of_small, refused.message()));
    assert!(now.refused >= 1 && now.loaded == 1, "{} and {}", now.refused, now.loaded);
    until("health tells", async || {
        health(&server.address, "dateline.model").await.expect("an answer") == ServingStatus::NotServing
    })
    .await;
    assert_eq!(health(&server.address, "dateline.v1.Classifier").await.expect("an answer"), ServingStatus::Serving);
    assert_eq!(get(&metrics, "/readyz").1, "ready, with an old model: the new one was refused\n");
    assert_eq!(sample(&get(&metrics, "/metrics").1, "dateline_model_refused{slot=\"live\"}"), 1.0);

    put(&file("models"), &live);
    assert_eq!(reload(&admin).await.expect("it loads").1, of_bundled);
    assert_eq!(status(&admin).await.live.expect("a model").refusal, "");
    until("health tells", async || {
        health(&server.address, "dateline.model").await.expect("an answer") == ServingStatus::Serving
    })
    .await;
}

#[tokio::test]
async fn the_bundled_model_is_not_reloaded() {
    let folder = tempfile::tempdir().expect("a folder");
    let tokens = folder.path().join("operators");
    fs::write(&tokens, OPERATOR).expect("it is written");
    let server = Server::start(&["--admin-tokens", tokens.to_str().expect("UTF-8")]);
    // On the address of the classifier, where it has none of its own.
    let refused = reload(&server.address).await.expect_err("no folder");
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert!(refused.message().contains("--model"), "{refused}");
    assert_eq!(status(&server.address).await.shadow, None);
}

/// Twenty swaps and five broken models while four streams and single calls go on: each article is answered, without an
/// error, by a model that was live.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_while_models_come_and_go() {
    let (folder, live) = live();
    let tokens = folder.path().join("operators");
    fs::write(&tokens, OPERATOR).expect("it is written");
    let (model, operators) = (live.to_str().expect("UTF-8"), tokens.to_str().expect("UTF-8"));
    let server = Server::start(&["--model", model, "--admin-tokens", operators]);
    let models = [file("models"), small().to_owned()];
    let live_versions: BTreeSet<String> = models.iter().map(|folder| version_of(folder)).collect();

    let over = Arc::new(AtomicBool::new(false));
    let mut loads = Vec::new();
    for _ in 0..4 {
        let (mut client, over) = (client(&server).await, over.clone());
        loads.push(tokio::spawn(async move {
            let (send, mut answers) = stream(&mut client).await;
            let sender = tokio::spawn(async move {
                let mut sent = 0;
                while !over.load(Ordering::Relaxed) {
                    send.send(request(sent)).await.expect("the stream goes on");
                    sent += 1;
                }
                sent
            });
            let (mut count, mut versions) = (0, BTreeSet::new());
            while let Some(answer) = answers.next().await {
                let answer = answer.expect("no status");
                assert_eq!(answer.id, count.to_string());
                versions.insert(version(&answer));
                count += 1;
            }
            assert_eq!(count, sender.await.expect("all are sent"));
            (count, versions)
        }));
    }
    let mut caller = client(&server).await;
    for swap in 1..=20 {
        put(&models[swap % 2], &live);
        reload(&server.address).await.expect("a whole model is taken");
        let answer = caller.classify(request(swap)).await.expect("an answer").into_inner();
        assert_eq!(version(&answer), version_of(&models[swap % 2]));
        if swap % 4 == 0 {
            let name = ["model.safetensors", "manifest.json"][swap / 4 % 2];
            fs::write(live.join(name), b"half").expect("it is written");
            let refused = reload(&server.address).await.expect_err("it is broken");
            assert_eq!(refused.code(), Code::FailedPrecondition, "{refused}");
        }
    }
    over.store(true, Ordering::Relaxed);
    let mut versions = BTreeSet::new();
    for load in loads {
        let (count, seen) = load.await.expect("no answer is missing");
        assert!(count > 0);
        versions.extend(seen);
    }
    assert_eq!(versions, live_versions);
    let live = status(&server.address).await.live.expect("a model");
    assert!(live.loaded >= 20 && live.refused >= 5, "{} and {}", live.loaded, live.refused);
}

#[tokio::test]
async fn a_shadow_is_compared_and_never_heard() {
    let (folder, live) = live();
    let shadow = folder.path().join("shadow");
    fs::create_dir(&shadow).expect("a folder");
    put(small(), &shadow);
    let tokens = folder.path().join("operators");
    fs::write(&tokens, OPERATOR).expect("it is written");
    let [model, shadow_model, operators] = [&live, &shadow, &tokens].map(|path| path.to_str().expect("UTF-8"));
    let server = Server::start(&[
        "--model",
        model,
        "--shadow",
        shadow_model,
        "--admin-tokens",
        operators,
        "--metrics-listen",
        "127.0.0.1:0",
    ]);
    let metrics = server.told("metrics");
    let [of_bundled, of_small] = [&file("models"), small()].map(version_of);
    let mut client = client(&server).await;
    let send = async |client: &mut _, count: usize| {
        let mut caller: dateline::wire::proto::dateline::v1::classifier_client::ClassifierClient<_> =
            Clone::clone(client);
        for i in 0..count {
            let answer = caller.classify(request(i)).await.expect("an answer").into_inner();
            assert_eq!(version(&answer), of_bundled, "only the live model is heard");
        }
    };
    send(&mut client, 20).await;
    let compared = async || status(&server.address).await.comparison.expect("a shadow");
    until("all are dealt with", async || {
        let now = compared().await;
        now.articles + now.skipped == 20
    })
    .await;
    let now = compared().await;
    assert!(now.articles > 0 && now.topics_differ <= now.articles && now.regions_differ <= now.articles, "{now:?}");
    let all = status(&server.address).await;
    assert_eq!(all.live.expect("a model").version, of_bundled);
    assert_eq!(all.shadow.expect("a model").version, of_small);
    let text = get(&metrics, "/metrics").1;
    assert_eq!(sample(&text, "dateline_shadow_articles_total{outcome=\"compared\"}"), now.articles as f64, "{text}");
    assert_eq!(sample(&text, "dateline_shadow_differs_total{part=\"topics\"}"), now.topics_differ as f64, "{text}");
    assert_eq!(sample(&text, &format!("dateline_model_info{{slot=\"shadow\",version=\"{of_small}\"}}")), 1.0);
    assert_eq!(sample(&text, "dateline_articles_total{outcome=\"classified\"}"), 20.0, "the shadow's do not count");

    // The same model as the live one differs in nothing, and the count begins anew.
    put(&file("models"), &shadow);
    until("the shadow is swapped", async || {
        status(&server.address).await.shadow.expect("a model").version == of_bundled
    })
    .await;
    send(&mut client, 10).await;
    until("all are dealt with", async || {
        let now = compared().await;
        now.articles + now.skipped == 10
    })
    .await;
    let now = compared().await;
    assert_eq!((now.topics_differ, now.regions_differ), (0, 0));
}

#[test]
fn pipes_and_devices_are_not_models() {
    let folder = tempfile::tempdir().expect("a folder");
    let pipe = folder.path().join("manifest.json");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().expect("mkfifo runs").success());
    let begun = Instant::now();
    let error = Model::load(folder.path()).expect_err("nobody writes into it");
    assert!(error.to_string().contains("is not a regular file"), "{error}");
    fs::remove_file(&pipe).expect("it is removed");
    std::os::unix::fs::symlink("/dev/zero", &pipe).expect("a link");
    assert!(Model::load(folder.path()).is_err_and(|error| error.to_string().contains("is not a regular file")));
    assert!(begun.elapsed() < Duration::from_secs(5), "it does not wait");
}
