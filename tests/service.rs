//! Calls a server with tonic and with `dateline classify --server`: answers, errors, health, and what is logged.

mod common;

use common::{Server, classify_all, client, health, json_lines, next_answer, run, sample_articles, stderr, stdout};
use dateline::wire::proto::dateline::v1::{
    Article, ClassifyRequest, ClassifyResponse, Decision, GetModelRequest, Options, Role, classify_response::Outcome,
};
use tonic_health::pb::health_check_response::ServingStatus;

fn request(id: &str, body: &str) -> ClassifyRequest {
    let article = Article { id: id.into(), body: body.into(), ..Article::default() };
    ClassifyRequest { article: Some(article), options: None }
}

/// The code of an in-band error.
fn error_code(response: &ClassifyResponse) -> Option<i32> {
    match response.outcome.as_ref().expect("an answer has an outcome") {
        Outcome::Error(error) => Some(error.code),
        Outcome::Classification(_) => None,
    }
}

#[tokio::test]
async fn each_request_gets_one_answer_in_order() {
    let server = Server::start(&[]);
    let requests = (0..1_000).map(|i| {
        let body = if i % 10 == 9 {
            "  ".to_owned()
        } else {
            format!("Match {i}: the home side won the cup final in Lagos. {}", "The crowd cheered. ".repeat(i % 50))
        };
        request(&format!("id-{i}"), &body)
    });
    let answers = classify_all(&mut client(&server).await, requests.collect()).await;
    assert_eq!(answers.len(), 1_000);
    let (mut classified, mut errors) = (0, 0);
    for (i, answer) in answers.iter().enumerate() {
        assert_eq!(answer.id, format!("id-{i}"));
        match error_code(answer) {
            Some(code) => {
                assert_eq!((code, i % 10), (3, 9));
                errors += 1;
            }
            None => classified += 1,
        }
    }
    assert_eq!((classified, errors), (900, 100));
}

#[tokio::test]
async fn a_single_call_answers_as_the_stream_does() {
    let server = Server::start(&[]);
    let mut client = client(&server).await;
    let one = request("x", "NAIROBI (Reuters) - Kenya's parliament passed the budget on Tuesday.");
    let alone = client.classify(one.clone()).await.expect("an answer").into_inner();
    let streamed = classify_all(&mut client, vec![one]).await;
    assert_eq!(alone, streamed[0]);
    let Some(Outcome::Classification(answer)) = alone.outcome else { panic!("a classification") };
    assert_eq!(answer.topics[0].code, "medtop:11000000");
    let region = &answer.regions[0];
    assert_eq!((region.label.as_ref().expect("a label").code.as_str(), region.role()), ("KE", Role::About));
    assert_eq!(region.path, ["KE", "014", "002", "001"]);
    assert!(answer.removed.is_empty() && answer.topics[0].evidence.is_empty(), "evidence needs the option explain");
}

#[tokio::test]
async fn the_source_country_is_the_fallback_region() {
    let server = Server::start(&[]);
    let mut client = client(&server).await;
    let mut classify = async |source_country: &str| {
        let mut request = request("x", "The council voted to repair the old bridge next year.");
        request.article.as_mut().expect("an article").source_country = source_country.into();
        match client.classify(request).await.expect("an answer").into_inner().outcome {
            Some(Outcome::Classification(answer)) => answer,
            other => panic!("a classification, not {other:?}"),
        }
    };
    let known = classify("ke").await;
    assert_eq!(known.regions[0].label.as_ref().expect("a label").code, "KE");
    assert!(known.notes.iter().any(|note| note.contains("source_country KE answers for it")), "{:?}", known.notes);
    for (country, note) in [("", "no country is named"), ("ZZ", "is no ISO 3166-1 alpha-2 code")] {
        let answer = classify(country).await;
        let labels = answer.regions.iter().filter_map(|region| region.label.as_ref());
        assert!(labels.into_iter().all(|label| label.decision() == Decision::Abstain), "{:?}", answer.regions);
        assert!(answer.notes.iter().any(|text| text.contains(note)), "{:?}", answer.notes);
    }
}

#[tokio::test]
async fn invalid_requests_get_errors_in_band() {
    let server = Server::start(&[]);
    let mut client = client(&server).await;
    let with_options =
        |options: Options| ClassifyRequest { options: Some(options), ..request("o", "Rain fell in Kenya.") };
    let mut odd_format = request("f", "Rain fell in Kenya.");
    odd_format.article.as_mut().expect("an article").format = 9;
    let cases = [
        (ClassifyRequest::default(), "the request has no article"),
        (request("e", ""), "the article has no text"),
        (odd_format, "invalid format 9"),
        (with_options(Options { min_confidence: Some(f32::NAN), ..Options::default() }), "from 0 to 1"),
        (with_options(Options { min_confidence: Some(-0.5), ..Options::default() }), "from 0 to 1"),
        (with_options(Options { auto_from: Some(2.0), ..Options::default() }), "invalid auto_from 2"),
        (request("l", &"long ".repeat(500_000)), "the limit is 2097152"),
    ];
    let requests: Vec<ClassifyRequest> =
        cases.iter().map(|case| case.0.clone()).chain([request("good", "Rain fell in Kenya.")]).collect();
    let answers = classify_all(&mut client, requests).await;
    assert_eq!(answers.len(), cases.len() + 1);
    for ((_, message), answer) in cases.iter().zip(&answers) {
        match &answer.outcome {
            Some(Outcome::Error(error)) => {
                assert_eq!(error.code, 3);
                assert!(error.message.contains(message), "{}", error.message);
            }
            other => panic!("{message}: an error, not {other:?}"),
        }
    }
    let last = &answers[cases.len()];
    assert_eq!((last.id.as_str(), error_code(last)), ("good", None));
}

#[tokio::test]
async fn the_server_survives_clients_that_disconnect_in_mid_stream() {
    let server = Server::start(&[]);
    for _ in 0..20 {
        let requests = (0..200).map(|i| request(&i.to_string(), "The home side won the cup final in Lagos."));
        let mut answers = client(&server)
            .await
            .classify_stream(tokio_stream::iter(requests))
            .await
            .expect("the stream opens")
            .into_inner();
        next_answer(&mut answers).await;
    }
    let answer =
        client(&server).await.classify(request("x", "Rain fell in Kenya.")).await.expect("an answer").into_inner();
    assert_eq!(error_code(&answer), None);
}

#[tokio::test]
async fn health_and_model_are_reported_and_articles_not_logged() {
    let server = Server::start(&[]);
    for service in ["", "dateline.v1.Classifier"] {
        let health = health(&server.address, service).await;
        assert_eq!(health.expect("an answer"), ServingStatus::Serving, "{service:?}");
    }
    let mut client = client(&server).await;
    let model = client.get_model(GetModelRequest {}).await.expect("a model").into_inner();
    assert!(
        model
            .topics
            .iter()
            .any(|topic| topic.code == "medtop:11000000" && topic.name == "politics" && topic.support > 0)
    );
    // The countries and the European Union.
    assert_eq!(model.region_count, 251);
    assert_eq!(model.languages, ["en"]);
    assert!(model.trained_on.iter().all(|file| file.rows > 0 && file.sha256.len() == 64));
    assert!(
        model.measured["topics.accuracy"] > 0.7 && model.measured["regions.micro_f1"] > 0.85,
        "{:?}",
        model.measured
    );

    let secret = "The unannounced merger of Quennell and Brodrick in Kenya is under embargo.";
    let answer = client.classify(request("s", secret)).await.expect("an answer").into_inner();
    let Some(Outcome::Classification(answer)) = answer.outcome else { panic!("a classification") };
    assert_eq!(answer.model_version, model.version);
    assert!(answer.topics.iter().all(|topic| topic.decision() != Decision::Unspecified));
    let log = server.log();
    assert!(log.contains(&format!("model={}", model.version)), "{log}");
    assert!(!log.contains("Quennell"), "article text is never logged, not even at level debug");
}

#[test]
fn the_server_answers_as_the_command_does() {
    let server = Server::start(&[]);
    let mut input = sample_articles(200);
    // A line that cannot be parsed and an article without text get errors in their places.
    input.insert_str(0, "{\"id\": \"cut\n{\"id\": \"blank\", \"body\": \" \"}\n");
    for explain in [&[][..], &["--explain"]] {
        let local = run(&[&["classify", "--json"], explain].concat(), input.as_bytes());
        let remote = run(&[&["classify", "--json", "--server", &server.url()], explain].concat(), input.as_bytes());
        assert_eq!(json_lines(&local).len(), 202);
        assert_eq!(stdout(&local), stdout(&remote));
        assert_eq!((local.status.code(), remote.status.code()), (Some(3), Some(3)));
    }
}

#[test]
fn a_port_in_use_is_an_error() {
    let server = Server::start(&[]);
    let output = run(&["serve", "--listen", &server.address], b"");
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("choose another address with --listen"), "{}", stderr(&output));
}
