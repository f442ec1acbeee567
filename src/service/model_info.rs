//! The description of a model, for `GetModel`.

use crate::{
    geography,
    model::{LabelEntry, Model},
    wire::proto::dateline::v1 as pb,
};
use std::collections::BTreeMap;

/// Describes a model from its manifest.
pub fn describe(model: &Model) -> pb::Model {
    let manifest = model.manifest();
    let measures = [
        measures("topics", &manifest.topics.measured),
        measures("subtopics", &manifest.topics.measured_subtopics),
        measures("regions", &manifest.regions.measured),
    ];
    pb::Model {
        version: manifest.version.clone(),
        topics: labels(&manifest.topics.labels),
        subtopics: labels(&manifest.topics.subtopics),
        region_count: geography::subjects() as u32,
        languages: manifest.languages.clone(),
        trained_on: manifest
            .trained_on
            .iter()
            .map(|file| pb::TrainingFile {
                name: file.name.clone(),
                rows: file.rows,
                sha256: file.sha256.clone(),
                task: file.task.as_str().to_owned(),
            })
            .collect(),
        measured: measures.into_iter().flatten().collect(),
        program_version: env!("CARGO_PKG_VERSION").to_owned(),
    }
}

fn labels(labels: &[LabelEntry]) -> Vec<pb::ModelLabel> {
    let label = |label: &LabelEntry| pb::ModelLabel {
        code: label.code.clone(),
        name: label.name.clone(),
        support: label.support,
        broader: label.broader.clone().unwrap_or_default(),
    };
    labels.iter().map(label).collect()
}

/// The measures of a part of the model, with its name as prefix.
fn measures(part: &str, measured: &BTreeMap<String, f64>) -> Vec<(String, f64)> {
    measured.iter().map(|(name, value)| (format!("{part}.{name}"), *value)).collect()
}
