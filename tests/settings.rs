//! Settings from flags, environment variables and a file, as `--check-config` reports them, and the errors of invalid ones.
#![cfg(unix)]

mod common;

use common::{Server, TempDir, client, dateline, request, stderr, stdout};
use std::process::Output;

/// A directory with the file `dateline.toml`.
fn with_settings(settings: &str) -> TempDir {
    let folder = TempDir::new();
    folder.write("dateline.toml", settings);
    folder
}

/// Runs `dateline serve --check-config` with the file `dateline.toml` of a directory, environment variables and flags.
fn check(folder: &TempDir, variables: &[(&str, &str)], flags: &[&str]) -> Output {
    let args = ["serve", "--config", "dateline.toml", "--check-config"];
    let mut command = dateline();
    command.args(args).args(flags).envs(variables.iter().copied()).current_dir(folder);
    command.output().expect("the command runs")
}

#[test]
fn check_config_lists_each_setting_with_its_source() {
    let folder = with_settings(
        "# The desk's server.\nlisten = \"127.0.0.1:50061\"\nmax-articles = 128\nkeepalive = 30\n\
         drain-timeout = 2.5\nno-reflection = true\nweb-origin = [\"https://a.example\", \"https://b.example\"]\n\
         tokens = \"tokens\"\notlp-headers = \"key=hidden-0123\"\n",
    );
    folder.write("tokens", "a-token-0123456789\n");
    let variables = [("DATELINE_KEEPALIVE", "40"), ("DATELINE_MAX_ARTICLES", "256")];
    let output = check(&folder, &variables, &["--max-articles", "512", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let all: serde_json::Value = serde_json::from_str(&stdout(&output)).expect("JSON");
    for (setting, value, from) in [
        ("listen", "127.0.0.1:50061", "dateline.toml:2"),
        ("max-articles", "512", "--max-articles"),
        ("keepalive", "40", "DATELINE_KEEPALIVE"),
        ("drain-timeout", "2.5", "dateline.toml:5"),
        ("no-reflection", "true", "dateline.toml:6"),
        ("web-origin", "https://a.example,https://b.example", "dateline.toml:7"),
        ("max-streams", "256", "default"),
        ("otlp-headers", "****", "dateline.toml:9"),
    ] {
        assert_eq!(all[setting]["value"], value, "{setting}");
        assert_eq!(all[setting]["from"], from, "{setting}");
    }
    assert_eq!(all["model"]["value"], serde_json::Value::Null);

    let table = check(&folder, &[("DATELINE_INSECURE", "yes")], &[]);
    assert_eq!(table.status.code(), Some(0), "{}", stderr(&table));
    let text = stdout(&table);
    assert!(
        text.lines()
            .any(|line| line.contains("max-articles") && line.contains("128") && line.contains("dateline.toml:3"))
    );
    assert!(!text.contains("hidden-0123") && !text.contains("a-token"), "{text}");
    assert!(stderr(&table).contains("all settings are valid"), "{}", stderr(&table));
}

#[test]
fn errors_in_a_file_name_the_line_and_the_setting() {
    for (settings, status, message) in [
        (
            "listen = \"127.0.0.1:0\"\nmax_article = 3\n",
            2,
            "dateline.toml:2: unknown setting max_article; the nearest is max-articles",
        ),
        ("insecur = true\n", 2, "the nearest is insecure"),
        ("config = \"other.toml\"\n", 2, "unknown setting config"),
        ("listen = \n", 2, "dateline.toml:1: "),
        ("max-articles = \"many\"\n", 2, "dateline.toml:1: invalid value 'many' for '--max-articles <N>'"),
        ("max-articles = 0\n", 2, "0 is not in 1..1000000"),
        ("listen = [\"127.0.0.1:0\", \"127.0.0.1:1\"]\n", 2, "listen has one value, not 2"),
        ("max-articles = 2026-11-25\n", 2, "dateline.toml:1: max-articles: write a text"),
        ("[listen]\nport = 3\n", 2, "dateline.toml:1: listen: write a text"),
        ("insecure = true\n[serve]\nlisten = \"127.0.0.1:0\"\n", 2, "dateline.toml:2: [serve] is a section"),
        ("tls-cert = \"cert.pem\"\n", 2, "tls-cert needs tls-key"),
        ("listen = \"0.0.0.0:0\"\n", 2, "can be reached from other machines"),
        ("tokens = \"none\"\n", 2, "none: "),
        ("model = \"none\"\n", 1, "none"),
        (
            "otlp-headers = \"hidden\"\notlp-endpoint = \"http://127.0.0.1:1\"\n",
            2,
            "invalid --otlp-headers: write key=value",
        ),
        ("otlp-endpoint = \"collector\"\n", 2, "otlp-endpoint is not a valid URL"),
        ("otlp-endpoint = \"https://me:hidden@collector\"\n", 2, "otlp-endpoint contains a user and password"),
        ("max-message-bytes = 0\n", 2, "0 is not in 1024..=1073741824"),
        ("web-origin = \"*\"\n", 2, "invalid web origin \"*\""),
    ] {
        let folder = with_settings(settings);
        let output = check(&folder, &[], &[]);
        assert_eq!(output.status.code(), Some(status), "{settings}: {}", stderr(&output));
        assert!(stderr(&output).contains(message), "{settings}: {}", stderr(&output));
        assert!(!stderr(&output).contains("hidden"), "{}", stderr(&output));
    }
    let output = dateline().args(["serve", "--config", "/no/such.toml"]).output().expect("the command runs");
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("/no/such.toml: "), "{}", stderr(&output));
}

#[tokio::test]
async fn a_server_applies_the_settings_of_its_file() {
    let folder = with_settings("max-articles = 7\nlog = \"json\"\n");
    let server = Server::start(&["--config", &folder.arg("dateline.toml")]);
    assert!(server.log().lines().all(|line| line.starts_with('{')), "{}", server.log());
    client(&server).await.classify(request(1)).await.expect("an answer");
}
