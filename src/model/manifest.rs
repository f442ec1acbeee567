use crate::article::Thresholds;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The layout of bundles that this program reads and writes. Rises with any change to tokenizer, features or tensors that
/// would make an older model answer differently.
pub const SCHEMA: u32 = 5;

/// `manifest.json`: what a model is, beside its weights.
///
/// It holds no time and no path, so that the same training gives the same bytes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`SCHEMA`]
    pub schema: u32,
    /// A digest of everything else in the manifest and of the tensors: the same bytes have the same version.
    pub version: String,
    /// The version of the program that trained it.
    pub trained_by: String,
    /// The seed of the training.
    pub seed: u64,
    /// ISO 639 codes of the languages in the training data.
    pub languages: Vec<String>,
    /// SHA-256 of `model.safetensors`, in hex.
    pub tensors_sha256: String,
    /// The topic model.
    pub topics: TopicManifest,
    /// The region model.
    pub regions: RegionManifest,
    /// What it was trained on.
    pub trained_on: Vec<TrainingFile>,
}

/// The topic model's part of the manifest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TopicManifest {
    /// The topics, in the order of the layers.
    pub labels: Vec<LabelEntry>,
    /// The sub-topics, in the order of the layers.
    pub subtopics: Vec<LabelEntry>,
    /// Where AUTO and REVIEW begin for topics.
    pub thresholds: Thresholds,
    /// Where REVIEW begins for sub-topics.
    pub subtopic_review: f32,
    /// Whether each training row had exactly one topic: then the topics of an article exclude each other.
    pub exclusive: bool,
    /// Whether the model reads character n-grams.
    pub ngrams: bool,
    /// Articles of whose words a lesser share is known are unlike anything seen: all their topics are ABSTAIN.
    pub least_known: f64,
    /// Metric by name, measured in cross-validation; from 0 to 1.
    pub measured: BTreeMap<String, f64>,
    /// The same of the sub-topics; empty if there are none.
    pub measured_subtopics: BTreeMap<String, f64>,
}

/// The region model's part of the manifest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegionManifest {
    /// The names of the features, in the order of the weights.
    pub features: Vec<String>,
    /// The countries that the text model scores, in its order.
    pub text_countries: Vec<String>,
    /// The weight that one step of its cells stands for.
    pub text_step: f32,
    /// The weight that one step of the mention model's stands for.
    pub mention_step: f32,
    /// The mention model's score of a name without cues.
    pub mention_bias: f32,
    /// When to decide what; a country is ABOUT from `review` on.
    pub thresholds: Thresholds,
    /// The probability that an article that names no place is about its outlet's country.
    pub home: f32,
    /// Metric by name, measured in cross-validation; from 0 to 1.
    pub measured: BTreeMap<String, f64>,
}

/// The value of [`LabelEntry::auto_from`] of a label that is never AUTO: too few held-out rows tell how often it is right.
pub const NEVER_AUTO: f32 = 2.0;

/// A label that the model knows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LabelEntry {
    /// Its code.
    pub code: String,
    /// Its English name.
    pub name: String,
    /// How many training articles carried it.
    pub support: u64,
    /// AUTO begins here for this label, if that is later than for all; [`NEVER_AUTO`] if it is never AUTO.
    pub auto_from: f32,
    /// Of a sub-topic, the code of its topic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broader: Option<String>,
}

/// A file that the model was trained on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainingFile {
    /// Its name, without folders.
    pub name: String,
    /// The rows used.
    pub rows: u64,
    /// SHA-256 of the file as it was read, in hex.
    pub sha256: String,
    /// What it taught.
    pub task: Task,
    /// How its rows came by their labels.
    pub labels: LabelSource,
}

/// How the rows of a training file came by their labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LabelSource {
    /// All labels of each article are given.
    Given,
    /// One topic of each article is given, though it may have more.
    SingleTopic,
    /// None were given: rules gave them.
    Rule,
}

impl LabelSource {
    /// The words for it in the card and in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            LabelSource::Given => "given",
            LabelSource::SingleTopic => "one per row",
            LabelSource::Rule => "by rule",
        }
    }
}

/// What a file teaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Task {
    /// Topics.
    Topics,
    /// Regions.
    Regions,
}

impl Task {
    /// The word for it on the wire and in the card.
    pub fn as_str(self) -> &'static str {
        match self {
            Task::Topics => "topics",
            Task::Regions => "regions",
        }
    }
}
