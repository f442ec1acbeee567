//! The same articles get the same answers in all ways: from the library, on the command line, by a unary call, by a stream,
//! over gRPC-Web, and from the relay.

mod common;

use common::{
    Server, TempDir,
    broker::{Broker, all, count, publish, start_relay, wait_until_created},
    classify_all, client, json_lines, project_path, run, wait_until,
    web::{framed, read_chunked, unframed},
};
use dateline::{
    Model, Options,
    formats::{Reading, Record, Source, records},
    wire::{
        article_to_proto,
        proto::dateline::v1::{ClassifyRequest, ClassifyResponse},
    },
};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{BufRead, BufReader, Write},
    net::TcpStream,
    path::Path,
};

const ARTICLES: usize = 5_000;

/// Different articles: the headlines and halves of bodies of those that were written for the tests, some as HTML, some with
/// fields of their own.
fn rows() -> String {
    let read = |name: &str| fs::read_to_string(project_path("tests/data").join(name)).expect("the file can be read");
    let parsed: Vec<Value> = ["articles.jsonl", "world.jsonl", "topics.jsonl", "regions.jsonl"]
        .iter()
        .flat_map(|name| read(name).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect::<Vec<_>>())
        .collect();
    let text = |row: &Value, field: &str| row[field].as_str().unwrap_or_default().to_owned();
    let half = |row: &Value, second: bool| {
        let body = text(row, "body");
        let middle = (body.len() / 2..body.len()).find(|at| body.is_char_boundary(*at)).unwrap_or(body.len());
        if second { body[middle..].to_owned() } else { body[..middle].to_owned() }
    };
    let mut lines = String::new();
    for i in 0..ARTICLES {
        let (one, two) = (&parsed[i % parsed.len()], &parsed[(i * 7 + i / parsed.len()) % parsed.len()]);
        let (headline, body) = (text(one, "headline"), format!("{}{}", half(one, false), half(two, true)));
        let id = format!("d{i}");
        let row = match i % 5 {
            0 => serde_json::json!({"id": id, "headline": headline, "body": body, "source_country": "KE"}),
            1 => {
                serde_json::json!({"id": id, "format": "html", "body": format!("<h1>{headline}</h1><p>{body}</p><p>Share this article</p>")})
            }
            2 => serde_json::json!({"id": id, "body": format!("LIMA (Reuters) - {body}")}),
            3 => serde_json::json!({"id": id, "headline": headline, "dateline": "Oslo"}),
            _ => serde_json::json!({"id": id, "headline": headline, "body": body}),
        };
        lines.push_str(&(row.to_string() + "\n"));
    }
    lines
}

/// Calls `Classify` over gRPC-Web, one request after the other on one connection.
fn classify_by_web(server: &Server, requests: &[ClassifyRequest]) -> Vec<ClassifyResponse> {
    let mut connection = TcpStream::connect(&server.address).expect("the server accepts connections");
    let mut answers = BufReader::new(connection.try_clone().expect("the connection can be cloned"));
    let call = |request: &ClassifyRequest| {
        let message = framed(request);
        let head = format!(
            "POST /dateline.v1.Classifier/Classify HTTP/1.1\r\nHost: {}\r\nOrigin: https://desk.example\r\n\
             Content-Type: application/grpc-web+proto\r\nX-Grpc-Web: 1\r\nContent-Length: {}\r\n\r\n",
            server.address,
            message.len()
        );
        connection.write_all(&[head.as_bytes(), &message].concat()).expect("the request is sent");
        let mut line = String::new();
        while line != "\r\n" {
            line.clear();
            answers.read_line(&mut line).expect("the head can be read");
        }
        unframed(&read_chunked(&mut answers)).0
    };
    requests.iter().map(call).collect()
}

/// An answer as JSON, without its id.
fn without_id(mut row: Value) -> Value {
    row.as_object_mut().expect("an object").shift_remove("id");
    row
}

#[tokio::test]
async fn five_thousand_articles_have_the_same_answers_in_all_ways() {
    let (folder, rows) = (TempDir::new(), rows());
    let file = folder.write("rows.jsonl", &rows);
    let articles: Vec<Record> = records(&Source::from(Path::new(&file)), &Reading::default())
        .map(|record| record.expect("the row is valid"))
        .collect();
    let requests: Vec<ClassifyRequest> = articles
        .iter()
        .map(|record| ClassifyRequest { article: Some(article_to_proto(record.article.clone())), options: None })
        .collect();
    let model = Model::bundled().expect("the bundled model opens");
    let library = articles.iter().map(|record| {
        let answer = model.classify(&record.article, &Options::default()).expect("a valid article");
        serde_json::to_value(answer).expect("an answer is JSON")
    });
    let library: Vec<Value> = library.collect();
    let topics: BTreeSet<String> = library.iter().map(|answer| answer["topics"][0]["code"].to_string()).collect();
    assert!(articles.len() == ARTICLES && topics.len() > 10, "the articles differ");

    let output = run(&["classify", "--json", &file], b"");
    let embedded: Vec<Value> = json_lines(&output).into_iter().map(without_id).collect();
    assert!(embedded == library, "the command line differs from the library");

    let server = Server::start(&["--web-origin", "https://desk.example"]);
    let by_server = run(&["classify", "--json", "--server", &server.url(), &file], b"");
    assert!(by_server.stdout == output.stdout, "the answers of a server differ");

    let mut client = client(&server).await;
    let streamed = classify_all(&mut client, requests.clone()).await;
    let mut unary = Vec::new();
    for request in &requests {
        unary.push(client.classify(request.clone()).await.expect("an answer").into_inner());
    }
    assert!(unary == streamed, "unary calls differ from the stream");
    assert!(classify_by_web(&server, &requests) == streamed, "gRPC-Web differs from the stream");

    let Some(broker) = Broker::start("").await else { return };
    let context = broker.context().await;
    let _relay = start_relay(&broker, &[]);
    wait_until_created(&context).await;
    publish(&context, rows.lines().map(ToOwned::to_owned)).await;
    wait_until("all articles are labelled", async || count(&context, "LABELLED").await == ARTICLES).await;
    let mut published: BTreeMap<String, Value> = BTreeMap::new();
    for (_, _, payload) in all(&context, "LABELLED").await {
        let mut row: Value = serde_json::from_slice(&payload).expect("JSON");
        published.insert(row["id"].as_str().expect("an id").to_owned(), row["classification"].take());
    }
    for (record, answer) in articles.iter().zip(&library) {
        assert_eq!(published.get(&record.article.id), Some(answer), "{}", record.article.id);
    }
}
