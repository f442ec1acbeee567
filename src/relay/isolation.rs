//! Classification in a process of its own, one article after the other.
//!
//! A message that comes again may have ended the relay that took it before. It is classified here, so that it is known which
//! article ended its process, and that no other one goes with it.

use super::labeller::Fault;
use crate::article::{Article, Classification, Format};
use serde::Deserialize;
use std::{ffi::OsString, io, process::Stdio, time::Duration};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
};

/// How long one article may take, the start of the process included.
const ARTICLE_TIME: Duration = Duration::from_secs(30);

/// A process that answers JSON Lines as `dateline classify --json -` does; started when it is needed, and again for another model.
pub struct Isolated {
    command: Vec<OsString>,
    running: Option<Running>,
    model: String,
}

/// The process cannot be started: that is no article's fault.
#[derive(Debug)]
pub struct StartError(io::Error);

impl std::fmt::Display for StartError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "a process of its own for redelivered articles cannot be started: {}", self.0)
    }
}

struct Running {
    _child: Child,
    articles: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

#[derive(Deserialize)]
struct Answer {
    error: Option<Error>,
    #[serde(flatten)]
    classification: Option<Classification>,
}

#[derive(Deserialize)]
struct Error {
    code: String,
    message: String,
}

impl Isolated {
    /// A program and its arguments.
    pub fn new(command: Vec<OsString>) -> Self {
        Isolated { command, running: None, model: String::new() }
    }

    /// The answer about an article of the model in service, whose version is `model`: [`Fault::Article`] if the article cannot be
    /// classified, [`Fault::Program`] if the process ended or did not answer in time; the next article gets another one.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn classify(
        &mut self,
        article: &Article,
        model: &str,
    ) -> Result<Result<Classification, Fault>, StartError> {
        if self.model != model {
            (self.running, self.model) = (None, model.to_owned());
        }
        let mut running = match self.running.take() {
            Some(running) => running,
            None => start(&self.command).map_err(StartError)?,
        };
        let answer = match tokio::time::timeout(ARTICLE_TIME, running.ask(article)).await {
            Ok(answer) => answer,
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        };
        Ok(match answer {
            Ok(answer) => {
                self.running = Some(running);
                answer
            }
            Err(error) => Err(Fault::Program(format!("a process of its own did not classify the article: {error}"))),
        })
    }
}

impl Running {
    async fn ask(&mut self, article: &Article) -> io::Result<Result<Classification, Fault>> {
        let mut row = row_of(article).to_string();
        row.push('\n');
        self.articles.write_all(row.as_bytes()).await?;
        self.articles.flush().await?;
        let line = self.answers.next_line().await?.ok_or_else(|| io::Error::other("the process ended"))?;
        let answer: Answer =
            serde_json::from_str(&line).map_err(|_| io::Error::other("the answer is not understood"))?;
        Ok(match (answer.classification, answer.error) {
            (Some(classification), None) => Ok(classification),
            (_, Some(Error { code, message })) if code == "INVALID_ARGUMENT" => Err(Fault::Article(message)),
            (_, Some(error)) => Err(Fault::Program(error.message)),
            (None, None) => return Err(io::Error::other("the answer has no labels and no error")),
        })
    }
}

fn start(command: &[OsString]) -> io::Result<Running> {
    let (program, arguments) = command.split_first().ok_or_else(|| io::Error::other("no program is named"))?;
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        // What a program says as it ends may quote the article.
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    let (Some(articles), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(io::Error::other("the process has no standard input and output"));
    };
    Ok(Running { _child: child, articles, answers: BufReader::new(answers).lines() })
}

/// An article as a row of JSON Lines.
fn row_of(article: &Article) -> serde_json::Value {
    serde_json::json!({
        "id": article.id,
        "headline": article.headline,
        "body": article.body,
        "format": match article.format {
            Format::Text => "text",
            Format::Html => "html",
        },
        "dateline": article.dateline,
        "language": article.language,
        "source_country": article.source_country,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers as `dateline classify --json -` does, and dies of some articles.
    const DIES_OF_POISON: &str = r#"while read -r line; do case "$line" in
        *poison*) kill -9 $$;;
        *blank*) echo '{"id":"","error":{"code":"INVALID_ARGUMENT","message":"no text"}}';;
        *) echo '{"id":"","topics":[],"regions":[],"language":"en","model_version":"v1","notes":[]}';;
        esac; done"#;

    #[tokio::test]
    async fn only_the_article_that_ends_the_process_is_at_fault() {
        let mut isolated = Isolated::new(["sh", "-c", DIES_OF_POISON].map(OsString::from).to_vec());
        let article = |body: &str| Article { body: body.to_owned(), ..Article::default() };
        for body in ["a", "poison one", "b", "c", "poison two", "blank", "d"] {
            let answer = isolated.classify(&article(body), "v1").await.expect("it starts");
            match body {
                "blank" => assert_eq!(answer, Err(Fault::Article("no text".to_owned()))),
                poison if poison.contains("poison") => assert!(matches!(answer, Err(Fault::Program(_))), "{answer:?}"),
                _ => assert_eq!(&*answer.expect("labels").model_version, "v1", "{body}"),
            }
        }
    }

    #[tokio::test]
    async fn a_program_that_cannot_be_started_is_said() {
        let mut isolated = Isolated::new(vec!["/no/such/program".into()]);
        let error = isolated.classify(&Article::default(), "v1").await.expect_err("there is none");
        assert!(error.to_string().contains("cannot be started"), "{error}");
    }
}
