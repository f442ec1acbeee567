//! TLS, client certificates, tokens and the limit on connections, with the renewal of certificates and tokens.
#![cfg(unix)]

mod common;

use common::{Server, TempDir, certificates::Authority, http_get, run, sample, stderr, wait_until};
use dateline::wire::proto::dateline::v1::{Article, ClassifyRequest, classifier_client::ClassifierClient};
use std::{net::TcpStream, time::Duration};
use tonic::{
    Code, Request, Status,
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity},
};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

/// A TLS channel that connects on first use.
fn https(server: &Server, tls: ClientTlsConfig) -> Channel {
    let endpoint = Endpoint::from_shared(format!("https://localhost:{}", server.port())).expect("the URL is valid");
    endpoint.tls_config(tls).expect("the configuration is valid").connect_lazy()
}

/// A client that trusts an authority.
fn trusting(authority: &Authority) -> ClientTlsConfig {
    ClientTlsConfig::new().ca_certificate(Certificate::from_pem(&authority.pem)).domain_name("localhost")
}

/// Classifies an article, optionally with a token.
async fn classify(channel: Channel, token: Option<&str>) -> Result<(), Status> {
    let article = Article { id: "x".into(), body: "Rain fell in Kenya.".into(), ..Article::default() };
    let mut request = Request::new(ClassifyRequest { article: Some(article), options: None });
    if let Some(token) = token {
        request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().expect("the header is valid"));
    }
    ClassifierClient::new(channel).classify(request).await.map(|_| ())
}

#[tokio::test]
async fn certificates_are_verified_and_renewed() {
    let (files, authority, other) = (TempDir::new(), Authority::new(), Authority::new());
    let (certificate, key) = authority.write_pair(&files);
    let server = Server::start(&["--tls-cert", &certificate, "--tls-key", &key]);
    classify(https(&server, trusting(&authority)), None).await.expect("an answer");
    assert_eq!(
        classify(https(&server, trusting(&other)), None).await.expect_err("another CA").code(),
        Code::Unavailable
    );
    assert!(classify(server.channel(), None).await.is_err(), "no plain text");

    // Open connections survive a renewal.
    let open = https(&server, trusting(&authority));
    classify(open.clone(), None).await.expect("an answer");
    other.write_pair(&files);
    wait_until("the renewed certificate is used", async || {
        classify(https(&server, trusting(&other)), None).await.is_ok()
    })
    .await;
    classify(open, None).await.expect("the open connection still works");

    // A certificate that does not match its key is refused, and the previous one stays in use.
    files.write("cert.pem", authority.sign().0);
    wait_until("the certificate is refused", async || server.log().contains("the previous ones stay in use")).await;
    classify(https(&server, trusting(&other)), None).await.expect("an answer");

    // Clients refuse an expired certificate.
    let (expired, key) = authority.sign_until(2001);
    let (expired, key) = (files.write("expired.pem", expired), files.write("expired-key.pem", key));
    let server = Server::start(&["--tls-cert", &expired, "--tls-key", &key]);
    assert_eq!(
        classify(https(&server, trusting(&authority)), None).await.expect_err("expired").code(),
        Code::Unavailable
    );
}

#[tokio::test]
async fn client_certificates_can_be_required() {
    let (files, authority, clients) = (TempDir::new(), Authority::new(), Authority::new());
    let (certificate, key) = authority.write_pair(&files);
    let ca = files.write("clients.pem", &clients.pem);
    let args = ["--tls-cert", &certificate, "--tls-key", &key, "--client-ca", &ca, "--metrics-listen", "127.0.0.1:0"];
    let server = Server::start(&args);
    let with = |signer: &Authority| {
        let (certificate, key) = signer.sign();
        trusting(&authority).identity(Identity::from_pem(certificate, key))
    };
    classify(https(&server, with(&clients)), None).await.expect("an answer");
    assert!(classify(https(&server, trusting(&authority)), None).await.is_err(), "no client certificate");
    assert!(classify(https(&server, with(&authority)), None).await.is_err(), "a certificate of another authority");
    let metrics = server.logged_field("metrics");
    for reason in ["no_client_certificate", "invalid_client_certificate"] {
        let name = format!("dateline_handshakes_failed_total{{reason=\"{reason}\"}}");
        assert!(sample(&http_get(&metrics, "/metrics").1, &name) >= 1.0, "{name}");
    }
}

#[tokio::test]
async fn tokens_are_required_and_rotated() {
    const OLD: &str = "old-token-0123456789";
    const NEW: &str = "new-token-0123456789";
    let files = TempDir::new();
    let tokens = files.write("tokens", format!("# the desk\n{OLD}\n"));
    let server = Server::start(&["--tokens", &tokens]);
    let channel = server.channel();
    classify(channel.clone(), Some(OLD)).await.expect("an answer");
    for token in [None, Some("wrong-token-0123456"), Some(""), Some("# the desk")] {
        let refused = classify(channel.clone(), token).await.expect_err("the token is invalid");
        assert_eq!(refused.code(), Code::Unauthenticated, "{token:?}");
    }
    let check = HealthCheckRequest { service: "dateline.v1.Classifier".into() };
    HealthClient::new(channel.clone()).check(check).await.expect("health checks need no token");

    files.write("tokens", format!("{OLD}\n{NEW}\n"));
    wait_until("the new token is accepted", async || classify(channel.clone(), Some(NEW)).await.is_ok()).await;
    classify(channel.clone(), Some(OLD)).await.expect("an answer");
    files.write("tokens", format!("{NEW}\n"));
    wait_until("the old token is refused", async || classify(channel.clone(), Some(OLD)).await.is_err()).await;
    // A file without tokens revokes all, until it has one again.
    files.write("tokens", "# none\n");
    wait_until("all tokens are revoked", async || classify(channel.clone(), Some(NEW)).await.is_err()).await;
    assert!(server.log().contains("calls are refused until it has one"), "{}", server.log());
    files.write("tokens", format!("{OLD}\n"));
    wait_until("a token is valid again", async || classify(channel.clone(), Some(OLD)).await.is_ok()).await;
    assert!(classify(channel, None).await.is_err());
    assert!(!server.log().contains(NEW) && !server.log().contains(OLD), "tokens are not logged");
}

/// Waits until a sample has this value.
async fn wait_for_sample(metrics: &str, name: &str, value: f64) {
    wait_until(name, async || sample(&http_get(metrics, "/metrics").1, name) == value).await;
}

#[tokio::test]
async fn refused_token_files_keep_the_previous_tokens() {
    const TOKEN: &str = "a-token-0123456789";
    const REFUSED: &str = "dateline_credentials_refused{file=\"tokens\"}";
    let files = TempDir::new();
    let tokens = files.write("tokens", format!("{TOKEN}\n"));
    let server = Server::start(&["--tokens", &tokens, "--on-empty-tokens", "keep", "--metrics-listen", "127.0.0.1:0"]);
    let (metrics, channel) = (server.logged_field("metrics"), server.channel());
    for (content, reason) in [
        ("\n".to_owned(), "no token: write one per line"),
        (format!("\u{FEFF}{TOKEN}\n"), "begins with a byte order mark"),
        ("short\n".to_owned(), "at least 16 characters"),
    ] {
        files.write("tokens", content);
        wait_until(reason, async || server.log().contains(reason)).await;
        wait_for_sample(&metrics, REFUSED, 1.0).await;
        classify(channel.clone(), Some(TOKEN)).await.expect("the previous token is valid");
    }
    files.write("tokens", format!("{TOKEN}\n"));
    wait_for_sample(&metrics, REFUSED, 0.0).await;
}

#[tokio::test]
async fn the_expiry_of_certificates_is_exported() {
    const EXPIRY: &str = "dateline_certificate_expiry_timestamp_seconds";
    let (files, authority) = (TempDir::new(), Authority::new());
    let (certificate, key) = authority.sign_until(2040);
    let (certificate, key) = (files.write("cert.pem", certificate), files.write("key.pem", key));
    std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o644)).expect("the owner may");
    let ca = files.write("clients.pem", &authority.pem);
    let args = ["--tls-cert", &certificate, "--tls-key", &key, "--client-ca", &ca, "--metrics-listen", "127.0.0.1:0"];
    let server = Server::start(&args);
    let metrics = server.logged_field("metrics");
    wait_for_sample(&metrics, &format!("{EXPIRY}{{file=\"certificate\"}}"), 2_208_988_800.0).await;
    assert!(sample(&http_get(&metrics, "/metrics").1, &format!("{EXPIRY}{{file=\"client_ca\"}}")) > 2e9);
    let warning = "every user of this machine can read this secret";
    assert!(server.log().lines().any(|line| line.contains(warning) && line.contains("key.pem")), "{}", server.log());
    // Expired and refused ones are seen too.
    let (expired, key) = authority.sign_until(2001);
    files.write("key.pem", key);
    files.write("cert.pem", expired);
    wait_for_sample(&metrics, &format!("{EXPIRY}{{file=\"certificate\"}}"), 978_307_200.0).await;
    assert!(server.log().contains("a certificate has expired"), "{}", server.log());
    files.write("cert.pem", authority.sign().0);
    wait_for_sample(&metrics, "dateline_credentials_refused{file=\"certificates\"}", 1.0).await;
}

#[test]
fn unsafe_settings_are_refused_at_start() {
    let files = TempDir::new();
    let (short, text) = (files.write("short", "abc"), files.write("text", "no PEM"));
    let cases: [(&[&str], i32, &str); 7] = [
        (&["--listen", "0.0.0.0:0"], 2, "--insecure on a trusted network"),
        (&["--tls-cert", &text], 2, "tls-cert needs tls-key"),
        (&["--client-ca", &text], 2, "client-ca needs tls-cert"),
        (&["--admin-listen", "127.0.0.1:0"], 2, "admin-listen needs admin-tokens"),
        (&["--listen", "127.0.0.1:0", "--tls-cert", &text, "--tls-key", &text], 2, "text: "),
        (&["--listen", "127.0.0.1:0", "--tokens", &short], 2, "line 1: invalid token: expected at least 16 characters"),
        (&["--listen", "127.0.0.1:0", "--tokens", "/no/such/file"], 2, "/no/such/file"),
    ];
    for (args, status, message) in cases {
        let output = run(&[&["serve"], args].concat(), b"");
        assert_eq!(output.status.code(), Some(status), "{args:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(message), "{args:?}: {}", stderr(&output));
        assert!(!stderr(&output).contains("listening"), "{args:?}: the server never listens");
    }
}

#[tokio::test]
async fn silent_connections_are_closed_and_free_their_places() {
    let server = Server::start(&["--max-connections", "2"]);
    let silent: Vec<TcpStream> =
        (0..2).map(|_| TcpStream::connect(&server.address).expect("the server accepts connections")).collect();
    let channel = server.channel();
    let answer = tokio::time::timeout(Duration::from_secs(60), classify(channel, None)).await;
    answer.expect("an answer in time").expect("an answer once the silent connections are closed");
    drop(silent);
}
