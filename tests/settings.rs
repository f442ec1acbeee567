//! Settings from flags, the environment and a file, and what `--check-config` says of them.
#![cfg(unix)]

mod common;

use common::{dateline, stderr, stdout};
use std::{fs, path::PathBuf, process::Output};

/// A folder with a file of settings.
struct Folder(tempfile::TempDir);

impl Folder {
    fn with(settings: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("dateline.toml"), settings).expect("it is written");
        Folder(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Checks the settings in the folder, with these variables and flags.
    fn check(&self, variables: &[(&str, &str)], flags: &[&str]) -> Output {
        let args = ["serve", "--config", "dateline.toml", "--check-config"];
        dateline()
            .args(args)
            .args(flags)
            .envs(variables.iter().copied())
            .current_dir(&self.0)
            .output()
            .expect("it runs")
    }
}

#[test]
fn each_setting_knows_where_it_came_from() {
    let folder = Folder::with(
        "# The desk's server.\nlisten = \"127.0.0.1:50061\"\nmax-articles = 128\nkeepalive = 30\n\
         drain-timeout = 2.5\nno-reflection = true\nweb-origin = [\"https://a.example\", \"https://b.example\"]\n\
         tokens = \"tokens\"\notlp-headers = \"key=hidden-0123\"\n",
    );
    fs::write(folder.path("tokens"), "a-token-0123456789\n").expect("it is written");
    let variables = [("DATELINE_KEEPALIVE", "40"), ("DATELINE_MAX_ARTICLES", "256")];
    let output = folder.check(&variables, &["--max-articles", "512", "--json"]);
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

    let table = folder.check(&[("DATELINE_INSECURE", "yes")], &[]);
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
fn what_is_wrong_in_a_file_is_told_by_its_line() {
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
        ("tls-cert = \"cert.pem\"\n", 2, "tls-cert needs tls-key"),
        ("listen = \"0.0.0.0:0\"\n", 2, "can be reached from other machines"),
        ("tokens = \"none\"\n", 1, "none: "),
        ("model = \"none\"\n", 1, "none"),
        (
            "otlp-headers = \"hidden\"\notlp-endpoint = \"http://127.0.0.1:1\"\n",
            2,
            "invalid --otlp-headers: write key=value",
        ),
        ("otlp-endpoint = \"collector\"\n", 2, "otlp-endpoint is not a valid URL"),
        ("otlp-endpoint = \"https://me:hidden@collector\"\n", 2, "otlp-endpoint contains a user and password"),
        ("max-message-bytes = 0\n", 2, "0 is not in 1024..=1073741824"),
        ("web-origin = \"*\"\n", 1, "\"*\" is no origin"),
    ] {
        let folder = Folder::with(settings);
        let output = folder.check(&[], &[]);
        assert_eq!(output.status.code(), Some(status), "{settings}: {}", stderr(&output));
        assert!(stderr(&output).contains(message), "{settings}: {}", stderr(&output));
        assert!(!stderr(&output).contains("hidden"), "{}", stderr(&output));
    }
    let output = dateline().args(["serve", "--config", "/no/such.toml"]).output().expect("it runs");
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("/no/such.toml: "), "{}", stderr(&output));
}

#[tokio::test]
async fn a_server_serves_as_its_file_says() {
    let folder = Folder::with("max-articles = 7\nlog = \"json\"\n");
    let file = folder.path("dateline.toml");
    let server = common::Server::start(&["--config", file.to_str().expect("UTF-8")]);
    assert!(server.log().lines().all(|line| line.starts_with('{')), "{}", server.log());
    common::client(&server).await.classify(common::request(1)).await.expect("an answer");
}
