//! Classification in a separate process, one article at a time.
//!
//! A redelivered message may have crashed the relay that had it before. In a separate process it crashes nothing else, and the article
//! that caused the crash is known.

use super::error::LabelError;
use crate::{
    article::{Article, Classification},
    formats::ArticleFields,
};
use serde::{Deserialize, Serialize};
use std::{ffi::OsString, io, process::Stdio, time::Duration};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
};

/// The longest time for one article, including the start of the process.
const ARTICLE_TIMEOUT: Duration = Duration::from_secs(30);

/// A process that answers JSON Lines as `dateline classify --json -` does. It is started on first use, and again when the model changes.
pub struct Isolated {
    command: Vec<OsString>,
    running: Option<Running>,
    model: String,
}

/// The process cannot be started.
#[derive(Debug)]
pub struct StartError(io::Error);

impl std::fmt::Display for StartError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "cannot start a separate process for redelivered articles: {}", self.0)
    }
}

struct Running {
    _child: Child,
    articles: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

/// An article that the process is asked to classify.
#[derive(Serialize)]
struct Row<'a> {
    id: &'a str,
    #[serde(flatten)]
    article: ArticleFields<'a>,
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
    /// The process runs `command`, a program and its arguments.
    pub fn new(command: Vec<OsString>) -> Self {
        Isolated { command, running: None, model: String::new() }
    }

    /// Classifies an article with the current model, whose version is `model`. The answer is [`LabelError::Article`] for an invalid
    /// article, and [`LabelError::Internal`] if the process ended or timed out; the next article starts a new process.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn classify(
        &mut self,
        article: &Article,
        model: &str,
    ) -> Result<Result<Classification, LabelError>, StartError> {
        if self.model != model {
            (self.running, self.model) = (None, model.to_owned());
        }
        let mut running = match self.running.take() {
            Some(running) => running,
            None => start(&self.command).map_err(StartError)?,
        };
        let answer = match tokio::time::timeout(ARTICLE_TIMEOUT, running.classify(article)).await {
            Ok(answer) => answer,
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        };
        Ok(match answer {
            Ok(answer) => {
                self.running = Some(running);
                answer
            }
            Err(error) => {
                Err(LabelError::Internal(format!("the separate process did not classify the article: {error}")))
            }
        })
    }
}

impl Running {
    async fn classify(&mut self, article: &Article) -> io::Result<Result<Classification, LabelError>> {
        let row = Row { id: &article.id, article: article.into() };
        let mut row = serde_json::to_string(&row)?;
        row.push('\n');
        self.articles.write_all(row.as_bytes()).await?;
        self.articles.flush().await?;
        let line = self.answers.next_line().await?.ok_or_else(|| io::Error::other("the process ended"))?;
        let answer: Answer =
            serde_json::from_str(&line).map_err(|_| io::Error::other("invalid answer of the process"))?;
        Ok(match (answer.classification, answer.error) {
            (Some(classification), None) => Ok(classification),
            (_, Some(Error { code, message })) if code == "INVALID_ARGUMENT" => Err(LabelError::Article(message)),
            (_, Some(error)) => Err(LabelError::Internal(error.message)),
            (None, None) => return Err(io::Error::other("the answer has no labels and no error")),
        })
    }
}

fn start(command: &[OsString]) -> io::Result<Running> {
    let (program, arguments) = command.split_first().ok_or_else(|| io::Error::other("no program is given"))?;
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        // A panic message may quote the article.
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    let (Some(articles), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(io::Error::other("the process has no standard input and output"));
    };
    Ok(Running { _child: child, articles, answers: BufReader::new(answers).lines() })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers as `dateline classify --json -` does, and crashes on some articles.
    const CRASHES_ON_POISON: &str = r#"while read -r line; do case "$line" in
        *poison*) kill -9 $$;;
        *blank*) echo '{"id":"","error":{"code":"INVALID_ARGUMENT","message":"no text"}}';;
        *) echo '{"id":"","topics":[],"regions":[],"language":"en","model_version":"v1","notes":[]}';;
        esac; done"#;

    #[tokio::test]
    async fn only_the_article_that_crashes_the_process_fails() {
        let mut isolated = Isolated::new(["sh", "-c", CRASHES_ON_POISON].map(OsString::from).to_vec());
        let article = |body: &str| Article { body: body.to_owned(), ..Article::default() };
        for body in ["a", "poison one", "b", "c", "poison two", "blank", "d"] {
            let answer = isolated.classify(&article(body), "v1").await.expect("it starts");
            match body {
                "blank" => assert_eq!(answer, Err(LabelError::Article("no text".to_owned()))),
                poison if poison.contains("poison") => {
                    assert!(matches!(answer, Err(LabelError::Internal(_))), "{answer:?}")
                }
                _ => assert_eq!(&*answer.expect("labels").model_version, "v1", "{body}"),
            }
        }
    }

    #[tokio::test]
    async fn a_program_that_cannot_be_started_is_an_error() {
        let mut isolated = Isolated::new(vec!["/no/such/program".into()]);
        let error = isolated.classify(&Article::default(), "v1").await.expect_err("there is none");
        assert!(error.to_string().contains("cannot start"), "{error}");
    }
}
