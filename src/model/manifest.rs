//! The manifest of a model: its labels, thresholds, measurements and training files.

use crate::article::Thresholds;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The version of the bundle layout that this program reads and writes. Increment it for any change to tokenizer, features or
/// tensors that changes the answers of older models.
pub const SCHEMA: u32 = 5;

/// The content of `manifest.json`: everything about a model except its weights.
///
/// It contains no times and no paths, so that the same training produces the same bytes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The layout of the bundle; see [`SCHEMA`].
    pub schema: u32,
    /// A digest of the tensors and of the rest of the manifest: the same bytes have the same version.
    pub version: String,
    /// The version of the program that trained it.
    pub trained_by: String,
    /// The seed of the training.
    pub seed: u64,
    /// ISO 639 codes of the languages in the training data of the topics, and of the regions unless these name others.
    pub languages: Vec<String>,
    /// SHA-256 of `model.safetensors`, in hex.
    pub tensors_sha256: String,
    /// The topic model.
    pub topics: TopicManifest,
    /// The region model.
    pub regions: RegionManifest,
    /// The files that the model was trained on.
    pub trained_on: Vec<TrainingFile>,
}

impl Manifest {
    /// ISO 639 codes of the languages in the training data of the regions.
    pub fn region_languages(&self) -> &[String] {
        self.regions.languages.as_deref().unwrap_or(&self.languages)
    }
}

/// The topic model's part of the manifest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TopicManifest {
    /// The topics, in the order of the model's outputs.
    pub labels: Vec<LabelEntry>,
    /// The sub-topics, in the order of the model's outputs.
    pub subtopics: Vec<LabelEntry>,
    /// The thresholds of AUTO and REVIEW for topics.
    pub thresholds: Thresholds,
    /// The threshold of REVIEW for sub-topics.
    pub subtopic_review: f32,
    /// Whether topics are mutually exclusive, because each training row had exactly one topic.
    pub exclusive: bool,
    /// Whether the model reads character n-grams.
    pub ngrams: bool,
    /// The least share of known words, from 0 to 1. Articles below it are unlike the training data: all their topics are
    /// ABSTAIN.
    pub least_known: f64,
    /// Cross-validated metrics by name, from 0 to 1.
    pub measured: BTreeMap<String, f64>,
    /// The same for sub-topics; empty if the model has none.
    pub measured_subtopics: BTreeMap<String, f64>,
}

/// The region model's part of the manifest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegionManifest {
    /// The names of the features, in the order of the weights.
    pub features: Vec<String>,
    /// The countries of the text model, in its order.
    pub text_countries: Vec<String>,
    /// The quantisation step of the text model's weights.
    pub text_step: f32,
    /// The quantisation step of the mention model's weights.
    pub mention_step: f32,
    /// The mention model's score of a name without cues.
    pub mention_bias: f32,
    /// The thresholds of AUTO and REVIEW; a country is ABOUT from `review` on.
    pub thresholds: Thresholds,
    /// The probability that an article without place names is about its outlet's country.
    pub home: f32,
    /// ISO 639 codes of the languages in the training data of the regions, if they are not those of the topics.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub languages: Option<Vec<String>>,
    /// Cross-validated metrics by name, from 0 to 1.
    pub measured: BTreeMap<String, f64>,
}

/// The [`LabelEntry::auto_from`] of a label that is never AUTO, because too few held-out rows measure its precision.
pub const NEVER_AUTO: f32 = 2.0;

/// A label of the model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LabelEntry {
    /// The code.
    pub code: String,
    /// The English name.
    pub name: String,
    /// The number of training articles with this label.
    pub support: u64,
    /// The AUTO threshold of this label, if higher than the general one; [`NEVER_AUTO`] if it is never AUTO.
    pub auto_from: f32,
    /// For a sub-topic, the code of its topic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broader: Option<String>,
}

/// A file that the model was trained on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainingFile {
    /// The file name, without folders.
    pub name: String,
    /// The number of rows used.
    pub rows: u64,
    /// SHA-256 of the file as it was read, in hex.
    pub sha256: String,
    /// The task that it was used for.
    pub task: Task,
    /// The source of its labels.
    pub labels: LabelSource,
}

/// The source of the labels of a training file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LabelSource {
    /// Given in the file, all labels of each article.
    Given,
    /// Given in the file, one topic per article even if it has more.
    SingleTopic,
    /// Assigned by rules, because the file has no labels.
    Rule,
}

impl LabelSource {
    /// The text for the model card and reports.
    pub fn as_str(self) -> &'static str {
        match self {
            LabelSource::Given => "given",
            LabelSource::SingleTopic => "one per row",
            LabelSource::Rule => "by rule",
        }
    }
}

/// The task that a training file is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Task {
    /// Topics.
    Topics,
    /// Regions.
    Regions,
}

impl Task {
    /// The name on the wire and in the model card.
    pub fn as_str(self) -> &'static str {
        match self {
            Task::Topics => "topics",
            Task::Regions => "regions",
        }
    }
}
