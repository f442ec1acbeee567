//! Who may ask: TLS, certificates of clients, tokens.
#![cfg(unix)]

mod common;

use common::{
    Server,
    certificates::{Authority, Files},
    run, stderr, until,
};
use dateline::wire::proto::dateline::v1::{Article, ClassifyRequest, classifier_client::ClassifierClient};
use std::{net::TcpStream, time::Duration};
use tonic::{
    Code, Request, Status,
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity},
};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

fn https(server: &Server, tls: ClientTlsConfig) -> Channel {
    let port = server.address.rsplit_once(':').expect("a port").1;
    let endpoint = Endpoint::from_shared(format!("https://localhost:{port}")).expect("a URL");
    endpoint.tls_config(tls).expect("a configuration").connect_lazy()
}

fn trusting(authority: &Authority) -> ClientTlsConfig {
    ClientTlsConfig::new().ca_certificate(Certificate::from_pem(&authority.pem)).domain_name("localhost")
}

async fn ask(channel: Channel, token: Option<&str>) -> Result<(), Status> {
    let article = Article { id: "x".into(), body: "Rain fell in Kenya.".into(), ..Article::default() };
    let mut request = Request::new(ClassifyRequest { article: Some(article), options: None });
    if let Some(token) = token {
        request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().expect("metadata"));
    }
    ClassifierClient::new(channel).classify(request).await.map(|_| ())
}

#[tokio::test]
async fn tls_is_spoken_and_certificates_are_renewed() {
    let (files, ours, other) = (Files::new(), Authority::new(), Authority::new());
    let (certificate, key) = ours.sign(2100);
    let (certificate, key) = (files.put("cert.pem", &certificate), files.put("key.pem", &key));
    let server = Server::start(&["--tls-cert", &certificate, "--tls-key", &key]);
    ask(https(&server, trusting(&ours)), None).await.expect("an answer");
    assert_eq!(ask(https(&server, trusting(&other)), None).await.expect_err("another CA").code(), Code::Unavailable);
    let plain = Endpoint::from_shared(server.url()).expect("a URL").connect_lazy();
    assert!(ask(plain, None).await.is_err(), "no plain text");

    // An open connection goes on while the certificate changes.
    let open = https(&server, trusting(&ours));
    ask(open.clone(), None).await.expect("an answer");
    let (renewed, key) = other.sign(2100);
    files.put("key.pem", &key);
    files.put("cert.pem", &renewed);
    until("the renewed certificate is shown", async || ask(https(&server, trusting(&other)), None).await.is_ok()).await;
    ask(open, None).await.expect("the old connection goes on");

    // One that does not fit its key is refused, and the old one goes on.
    files.put("cert.pem", &ours.sign(2100).0);
    until("it is refused", async || server.log().contains("the old ones go on")).await;
    ask(https(&server, trusting(&other)), None).await.expect("an answer");

    // Clients refuse what has expired.
    let (expired, key) = ours.sign(2001);
    let (expired, key) = (files.put("expired.pem", &expired), files.put("expired-key.pem", &key));
    let server = Server::start(&["--tls-cert", &expired, "--tls-key", &key]);
    assert_eq!(ask(https(&server, trusting(&ours)), None).await.expect_err("expired").code(), Code::Unavailable);
}

#[tokio::test]
async fn clients_may_need_a_certificate() {
    let (files, ours, clients) = (Files::new(), Authority::new(), Authority::new());
    let (certificate, key) = ours.sign(2100);
    let (certificate, key) = (files.put("cert.pem", &certificate), files.put("key.pem", &key));
    let ca = files.put("clients.pem", &clients.pem);
    let server = Server::start(&["--tls-cert", &certificate, "--tls-key", &key, "--client-ca", &ca]);
    let with = |authority: &Authority| {
        let (certificate, key) = authority.sign(2100);
        trusting(&ours).identity(Identity::from_pem(certificate, key))
    };
    ask(https(&server, with(&clients)), None).await.expect("an answer");
    assert!(ask(https(&server, trusting(&ours)), None).await.is_err(), "none");
    assert!(ask(https(&server, with(&ours)), None).await.is_err(), "signed by another");
}

#[tokio::test]
async fn tokens_open_the_service_and_are_rotated() {
    const OLD: &str = "old-token-0123456789";
    const NEW: &str = "new-token-0123456789";
    let files = Files::new();
    let tokens = files.put("tokens", &format!("# the desk\n{OLD}\n"));
    let server = Server::start(&["--tokens", &tokens]);
    let channel = Endpoint::from_shared(server.url()).expect("a URL").connect_lazy();
    ask(channel.clone(), Some(OLD)).await.expect("an answer");
    for token in [None, Some("wrong-token-0123456"), Some(""), Some("# the desk")] {
        let refused = ask(channel.clone(), token).await.expect_err("no right token");
        assert_eq!(refused.code(), Code::Unauthenticated, "{token:?}");
    }
    let check = HealthCheckRequest { service: "dateline.v1.Classifier".into() };
    HealthClient::new(channel.clone()).check(check).await.expect("orchestrators have no token");

    files.put("tokens", &format!("{OLD}\n{NEW}\n"));
    until("both open it", async || ask(channel.clone(), Some(NEW)).await.is_ok()).await;
    ask(channel.clone(), Some(OLD)).await.expect("an answer");
    files.put("tokens", &format!("{NEW}\n"));
    until("the old one is closed", async || ask(channel.clone(), Some(OLD)).await.is_err()).await;
    // A file without tokens locks nobody out, and lets nobody in.
    files.put("tokens", "\n");
    until("it is refused", async || server.log().contains("no token is in it")).await;
    ask(channel.clone(), Some(NEW)).await.expect("an answer");
    assert!(ask(channel, None).await.is_err());
    assert!(!server.log().contains(NEW) && !server.log().contains(OLD), "no token is logged");
}

#[test]
fn what_is_not_safe_is_refused_at_the_start() {
    let files = Files::new();
    let (short, text) = (files.put("short", "abc"), files.put("text", "no PEM"));
    let cases: [(&[&str], i32, &str); 7] = [
        (&["--listen", "0.0.0.0:0"], 2, "--insecure on a trusted network"),
        (&["--tls-cert", &text], 2, "tls-cert needs tls-key"),
        (&["--client-ca", &text], 2, "client-ca needs tls-cert"),
        (&["--admin-listen", "127.0.0.1:0"], 2, "admin-listen needs admin-tokens"),
        (&["--listen", "127.0.0.1:0", "--tls-cert", &text, "--tls-key", &text], 1, "text: "),
        (&["--listen", "127.0.0.1:0", "--tokens", &short], 1, "line 1: a token needs at least 16 characters"),
        (&["--listen", "127.0.0.1:0", "--tokens", "/no/such/file"], 1, "/no/such/file"),
    ];
    for (args, status, message) in cases {
        let output = run(&[&["serve"], args].concat(), b"");
        assert_eq!(output.status.code(), Some(status), "{args:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(message), "{args:?}: {}", stderr(&output));
        assert!(!stderr(&output).contains("listening"), "{args:?}: it never did");
    }
}

#[tokio::test]
async fn silent_connections_give_their_places_free() {
    let server = Server::start(&["--max-connections", "2"]);
    let silent: Vec<TcpStream> = (0..2).map(|_| TcpStream::connect(&server.address).expect("it accepts")).collect();
    let channel = Endpoint::from_shared(server.url()).expect("a URL").connect_lazy();
    let answer = tokio::time::timeout(Duration::from_secs(60), ask(channel, None)).await;
    answer.expect("in time").expect("an answer, once the silent ones are closed");
    drop(silent);
}
