//! Trains a model on rows that were read.

use super::{
    Progress, TrainError, TrainRequest,
    data::Data,
    regions::{self, TrainedRegions},
    topics::{self, TopicSource, TrainedTopics},
};
use crate::{
    model::{self, Manifest, Model, ModelError, SCHEMA, Task, TrainingFile},
    topic::WordVectors,
};
use std::path::Path;

/// A trained model, and its quality.
pub struct Trained {
    /// The model.
    pub model: Model,
    /// `None` if the topics were taken from the base model.
    pub topics: Option<TrainedTopics>,
    /// `None` if the regions were taken from the base model.
    pub regions: Option<TrainedRegions>,
    manifest: Vec<u8>,
    tensors: Vec<u8>,
}

impl Trained {
    /// Writes the model and its card into a folder, which is created if it is missing.
    ///
    /// # Errors
    /// [`ModelError::Write`]; [`ModelError::HasVersions`] if the folder holds versions of a model.
    pub fn save(&self, folder: &Path, card: &str) -> Result<(), ModelError> {
        model::write(folder, &self.manifest, &self.tensors, card)
    }

    /// Names and contents of the files that [`save`](Self::save) writes.
    pub fn files(&self, card: &str) -> Vec<(String, Vec<u8>)> {
        let files = [
            (model::MANIFEST, &self.manifest[..]),
            (model::TENSORS, &self.tensors[..]),
            (model::CARD, card.as_bytes()),
        ];
        files.into_iter().map(|(name, bytes)| (name.to_owned(), bytes.to_vec())).collect()
    }

    /// Size of weights and manifest, in bytes.
    pub fn size(&self) -> usize {
        self.manifest.len() + self.tensors.len()
    }
}

/// Trains a model. Topics or regions without rows are taken from `base`.
///
/// # Errors
/// [`TrainError`]; nothing is written.
pub fn train(
    data: &Data,
    request: &TrainRequest,
    base: Option<&Model>,
    progress: &dyn Progress,
) -> Result<Trained, TrainError> {
    let vectors = match (&request.vectors, base) {
        (Some(path), _) => model::read_vectors(path)?,
        (None, Some(base)) => base.topics().vectors().clone(),
        (None, None) => WordVectors::none(),
    };
    let regions = match data.regions.records[..] {
        [] => None,
        _ => Some(regions::train(&data.regions, &data.unlabelled, &request.params, progress)?),
    };
    let topics = match data.topics.records[..] {
        [] => None,
        _ => {
            let single_topic = &data.single_topic.records;
            let source = TopicSource { archive: &data.topics, single_topic, broader: &data.broader };
            Some(topics::train(&source, &vectors, &request.params, progress)?)
        }
    };
    let (manifest, tensors) = encode(data, request, base, topics.as_ref(), regions.as_ref())?;
    let model = Model::open(&manifest, &tensors)?;
    Ok(Trained { model, topics, regions, manifest, tensors })
}

/// Manifest and weights of the model: what was trained, and the rest of the base.
fn encode(
    data: &Data,
    request: &TrainRequest,
    base: Option<&Model>,
    topics: Option<&TrainedTopics>,
    regions: Option<&TrainedRegions>,
) -> Result<(Vec<u8>, Vec<u8>), TrainError> {
    let base_or_error = || base.ok_or(TrainError::NoFiles);
    let (classifier, topic_manifest, languages) = match topics {
        Some(trained) => (&trained.classifier, trained.manifest(), trained.languages.clone()),
        None => {
            let base = base_or_error()?;
            (base.topics(), base.manifest().topics.clone(), base.manifest().languages.clone())
        }
    };
    let (ranker, mut region_manifest, region_languages) = match regions {
        Some(trained) => (&trained.ranker, trained.manifest(), trained.languages.clone()),
        None => {
            let base = base_or_error()?;
            (base.regions(), base.manifest().regions.clone(), base.manifest().region_languages().to_vec())
        }
    };
    region_manifest.languages = Some(region_languages).filter(|of_regions| *of_regions != languages);
    let manifest = Manifest {
        schema: SCHEMA,
        version: String::new(),
        trained_by: format!("dateline {}", env!("CARGO_PKG_VERSION")),
        seed: request.params.seed,
        languages,
        tensors_sha256: String::new(),
        topics: topic_manifest,
        regions: region_manifest,
        trained_on: training_files(data, request, base, topics, regions),
    };
    Ok(model::encode(classifier, ranker, manifest)?)
}

/// The files that the model was trained on, those of the base's part included.
fn training_files(
    data: &Data,
    request: &TrainRequest,
    base: Option<&Model>,
    topics: Option<&TrainedTopics>,
    regions: Option<&TrainedRegions>,
) -> Vec<TrainingFile> {
    let of_base =
        |task| base.into_iter().flat_map(|base| &base.manifest().trained_on).filter(move |file| file.task == task);
    let mut files = data.topics.files.clone();
    files.extend(data.single_topic.files.iter().cloned());
    if topics.is_none() {
        files.extend(of_base(Task::Topics).cloned());
    }
    match regions {
        Some(regions) => {
            files.extend(data.regions.files.iter().cloned());
            let unlabelled = data.unlabelled_files.iter().zip(&request.unlabelled);
            files.extend(unlabelled.map(|(file, path)| TrainingFile {
                rows: regions.weak_rows.get(path).copied().unwrap_or_default(),
                ..file.clone()
            }));
        }
        None => files.extend(of_base(Task::Regions).cloned()),
    }
    files
}
