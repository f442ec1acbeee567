//! The service `dateline.v1.Corrections`: checks the corrections of editors, and appends them to a log.

mod log;
mod row;

pub use log::{CorrectionLog, LogError};

use super::{calls::CallPlace, status::INTERNAL_ERROR};
use crate::{
    article::{MAX_ID_BYTES, check_length},
    geography,
    live::ModelSlot,
    model::{LabelEntry, Model},
    wire::{
        article_from_proto,
        proto::dateline::v1::{self as pb, corrections_server::Corrections},
    },
};
use row::Row;
use std::{sync::Arc, time::SystemTime};
use tonic::{Request, Response, Status};

/// The maximum size of the name of an author, in bytes.
const MAX_AUTHOR_BYTES: usize = 256;
/// The maximum number of labels of each kind.
const MAX_LABELS: usize = 100;

/// The service `dateline.v1.Corrections`.
#[derive(Clone)]
pub struct CorrectionsService {
    pub live: Arc<ModelSlot>,
    /// `None` if the server keeps no corrections.
    pub log: Option<Arc<CorrectionLog>>,
}

#[tonic::async_trait]
impl Corrections for CorrectionsService {
    async fn correct(&self, request: Request<pb::CorrectRequest>) -> Result<Response<pb::CorrectResponse>, Status> {
        let Some(log) = self.log.clone() else {
            let reason = "the server keeps no corrections: start it with --corrections-log FOLDER";
            return Err(Status::failed_precondition(reason));
        };
        let place = request.extensions().get::<CallPlace>().cloned();
        let correction = check(request.into_inner(), &self.live.current()).map_err(Status::invalid_argument)?;
        let id = correction.article.id.clone();
        let row = Row::new(&correction, SystemTime::now(), log.keeps_text());
        let line = serde_json::to_string(&row).map_err(|_| Status::internal(INTERNAL_ERROR))?;
        // Not cancelled with the call: what is half written is finished.
        let append = move || {
            let _place = place;
            log.append(&line)
        };
        let appended = tokio::task::spawn_blocking(append).await;
        match appended.map_err(|_| Status::internal(INTERNAL_ERROR))? {
            Ok(()) => Ok(Response::new(pb::CorrectResponse { id })),
            Err(error) => {
                tracing::error!(%error, "a correction was not recorded");
                Err(Status::unavailable("the correction was not recorded, the server's log says why: retry later"))
            }
        }
    }
}

/// A valid correction.
struct Correction {
    article: crate::Article,
    topics: Vec<String>,
    subtopics: Vec<String>,
    countries: Option<Vec<String>>,
    author: String,
}

/// Checks a correction; the error is the message for the client.
fn check(request: pb::CorrectRequest, model: &Model) -> Result<Correction, String> {
    let pb::CorrectRequest { article, topics, subtopics, countries, author } = request;
    let article = article_from_proto(article)?;
    if article.id.trim().is_empty() {
        return Err("the article has no id: corrections are found by it".to_owned());
    }
    check_length("id", &article.id, MAX_ID_BYTES).map_err(|error| error.to_string())?;
    check_length("author", &author, MAX_AUTHOR_BYTES).map_err(|error| error.to_string())?;
    if article.headline.len() + article.body.len() > 0 {
        article.check().map_err(|error| error.to_string())?;
    }
    if topics.is_empty() && countries.is_none() {
        return Err("the correction has no labels: give topics or countries".to_owned());
    }
    let labels = &model.manifest().topics;
    let topics = known("topic", topics, &labels.labels)?;
    let subtopics = known("sub-topic", subtopics, &labels.subtopics)?;
    for code in &subtopics {
        let broader =
            labels.subtopics.iter().find(|label| label.code == *code).and_then(|label| label.broader.as_ref());
        if !broader.is_some_and(|topic| topics.contains(topic)) {
            return Err(format!(
                "the sub-topic {code:?} is not within one of the topics of the correction: add its topic"
            ));
        }
    }
    let countries = countries.map(|countries| known_countries(countries.codes)).transpose()?;
    Ok(Correction { article, topics, subtopics, countries, author })
}

/// Checks that labels are those of a model, each once.
fn known(what: &str, codes: Vec<String>, labels: &[LabelEntry]) -> Result<Vec<String>, String> {
    distinct(what, codes, |code| {
        let label = labels.iter().find(|label| label.code == code);
        label
            .map(|label| label.code.clone())
            .ok_or_else(|| format!("the live model has no {what} {:?}: GetModel lists its labels", shown(code)))
    })
}

fn known_countries(codes: Vec<String>) -> Result<Vec<String>, String> {
    distinct("country", codes, |code| {
        geography::subject(code).map(|place| place.code.to_string()).ok_or_else(|| {
            format!("unknown country {:?}: expected an ISO 3166-1 alpha-2 code such as KE, or EU", shown(code))
        })
    })
}

/// Checks each code, and that there are not too many and none twice.
fn distinct(
    what: &str,
    codes: Vec<String>,
    check: impl Fn(&str) -> Result<String, String>,
) -> Result<Vec<String>, String> {
    if codes.len() > MAX_LABELS {
        return Err(format!("{} labels of the kind {what}, the limit is {MAX_LABELS}", codes.len()));
    }
    let mut distinct = Vec::with_capacity(codes.len());
    for code in codes {
        let code = check(&code)?;
        if !distinct.contains(&code) {
            distinct.push(code);
        }
    }
    Ok(distinct)
}

/// The beginning of a client's label, for a message.
fn shown(code: &str) -> &str {
    crate::article::prefix(code, 64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> pb::CorrectRequest {
        pb::CorrectRequest {
            article: Some(pb::Article { id: "a7".to_owned(), ..pb::Article::default() }),
            topics: vec!["medtop:15000000".to_owned()],
            subtopics: vec!["medtop:20001065".to_owned()],
            countries: Some(pb::Countries { codes: vec!["ke".to_owned(), "KE".to_owned()] }),
            author: "desk".to_owned(),
        }
    }

    #[test]
    fn corrections_are_checked_against_the_model() {
        let model = Model::bundled().expect("the bundled model loads");
        let checked = check(request(), &model).expect("a correction");
        assert_eq!(checked.countries, Some(vec!["KE".to_owned()]));
        type Change = fn(&mut pb::CorrectRequest);
        let wrong: [(&str, Change); 9] = [
            ("no article", |request| request.article = None),
            ("no id", |request| request.article = Some(pb::Article::default())),
            ("no labels", |request| {
                (request.topics, request.subtopics, request.countries) = (Vec::new(), Vec::new(), None);
            }),
            ("no topic \"sport\"", |request| request.topics.push("sport".to_owned())),
            ("no sub-topic \"x\"", |request| request.subtopics.push("x".to_owned())),
            ("not within", |request| request.topics = vec!["medtop:11000000".to_owned()]),
            ("unknown country \"Kenya\"", |request| {
                request.countries = Some(pb::Countries { codes: vec!["Kenya".to_owned()] });
            }),
            ("author has 300 bytes", |request| request.author = "x".repeat(300)),
            ("101 labels", |request| request.topics = vec!["medtop:15000000".to_owned(); 101]),
        ];
        for (reason, change) in wrong {
            let mut request = request();
            change(&mut request);
            let refused = check(request, &model).err().expect("an error");
            assert!(refused.contains(reason), "{refused}");
        }
    }
}
