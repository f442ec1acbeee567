//! Reads and writes a model on disk: `model.safetensors` (weights), `manifest.json` (metadata) and `MODEL_CARD.md` (written
//! for people, never read).
//!
//! Files are read into memory, not mapped: the bundle is small (reading it takes milliseconds), and an edit of a mapped
//! file would change the weights of a running server.

use super::{
    Manifest, Model, ModelError, RegionManifest, SCHEMA, TopicManifest,
    files::{CARD, CURRENT, LARGEST_FILE, MANIFEST, TENSORS},
};
use crate::{
    linear::LogisticLayer,
    region::{MentionModel, RankerLayers, RegionRanker, TextModel, feature_names},
    text::{HashIndex, Vocabulary},
    topic::{
        Cells, DecisionLayer, LinearLayer, SparseLayer, Subtopic, Subtopics, Topic, TopicClassifier, TopicLayers,
        WordVectors,
    },
};
use ndarray::{Array1, Array2};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use sha2::{Digest, Sha256};
use std::{
    fs::{self, File},
    io::{self, Read},
    path::Path,
};

fn sha256_hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The version of a manifest: a digest of everything in it except the version. It covers the weights, because the manifest
/// holds the digest of the tensors.
fn version(manifest: &Manifest) -> String {
    let unversioned = Manifest { version: String::new(), ..manifest.clone() };
    let json = serde_json::to_vec(&unversioned).unwrap_or_default();
    sha256_hex(&json)[..12].to_owned()
}

/// Reads a bundle's two files.
pub fn read(folder: &Path) -> Result<(Vec<u8>, Vec<u8>), ModelError> {
    Ok((read_file(&folder.join(MANIFEST))?, read_file(&folder.join(TENSORS))?))
}

/// Reads a file of a model. Pipes and devices are refused before they are opened, because they may never end.
fn read_file(path: &Path) -> Result<Vec<u8>, ModelError> {
    let found = fs::metadata(path).map_err(ModelError::NotAModel)?;
    if !found.is_file() {
        return Err(ModelError::NotAModel(io::Error::other(format!("{} is not a regular file", path.display()))));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(found.len().min(LARGEST_FILE)).unwrap_or(0));
    let file = File::open(path).map_err(ModelError::NotAModel)?;
    // Limit the read: the file may have grown since its size was checked.
    file.take(LARGEST_FILE + 1).read_to_end(&mut bytes).map_err(ModelError::NotAModel)?;
    match bytes.len() as u64 {
        bytes if bytes > LARGEST_FILE => Err(ModelError::TooLarge { path: path.to_owned() }),
        _ => Ok(bytes),
    }
}

/// Opens a bundle after checks of its schema, its checksums and the consistency of its parts.
pub fn open(manifest: &[u8], tensors: &[u8]) -> Result<Model, ModelError> {
    // Check the schema first: a manifest of another schema may have other fields.
    let value: serde_json::Value = serde_json::from_slice(manifest).map_err(ModelError::Manifest)?;
    match value.get("schema").and_then(serde_json::Value::as_u64) {
        Some(found) if found != u64::from(SCHEMA) => return Err(ModelError::Schema { found }),
        _ => {}
    }
    let manifest: Manifest = serde_json::from_slice(manifest).map_err(ModelError::Manifest)?;
    if manifest.version != version(&manifest) {
        return Err(ModelError::Checksum { file: MANIFEST });
    }
    let (digest, parts) = rayon::join(|| sha256_hex(tensors), || open_parts(&manifest, tensors));
    if manifest.tensors_sha256 != digest {
        return Err(ModelError::Checksum { file: TENSORS });
    }
    let (topics, regions) = parts?;
    Ok(Model::new(topics, regions, manifest))
}

fn open_parts(manifest: &Manifest, tensors: &[u8]) -> Result<(TopicClassifier, RegionRanker), ModelError> {
    let tensors = SafeTensors::deserialize(tensors).map_err(|error| ModelError::Tensors(error.to_string()))?;
    let tensors = Tensors(&tensors);

    let (topics, regions) =
        rayon::join(|| open_topics(&manifest.topics, &tensors), || open_regions(&manifest.regions, &tensors));
    Ok((topics?, regions?))
}

fn open_topics(manifest: &TopicManifest, tensors: &Tensors<'_>) -> Result<TopicClassifier, ModelError> {
    let topics: Vec<Topic> = manifest
        .labels
        .iter()
        .map(|label| Topic {
            code: label.code.as_str().into(),
            name: label.name.as_str().into(),
            auto_from: label.auto_from,
        })
        .collect();
    let (subtopics, linear) = rayon::join(|| open_subtopics(manifest, &topics, tensors), || open_linear(tensors));
    let layers = TopicLayers {
        vocabulary: Vocabulary::from_parts(
            tensors.index("topic.vocabulary")?,
            tensors.numbers("topic.vocabulary.idf", Dtype::U8, u8::from_le_bytes)?,
        )?,
        vectors: WordVectors::from_parts(
            tensors.index("topic.vectors")?,
            tensors.matrix("topic.vectors.values", Dtype::I8, i8::from_le_bytes)?,
        )?,
        ngrams: manifest.ngrams,
        linear: linear?,
        decision: tensors.decision("topic.decision")?,
        exclusive: manifest.exclusive,
        subtopics: subtopics?,
    };
    Ok(TopicClassifier::new(topics, layers, manifest.thresholds)?)
}

fn open_linear(tensors: &Tensors<'_>) -> Result<LinearLayer, ModelError> {
    LinearLayer::new(
        &tensors.matrix("topic.linear.weights", Dtype::I8, i8::from_le_bytes)?,
        &tensors.floats("topic.linear.scales")?,
        &tensors.matrix("topic.linear.dense", Dtype::F32, f32::from_le_bytes)?,
        &tensors.floats("topic.linear.bias")?,
    )
    .ok_or_else(|| ModelError::Tensors("the parts of the topic model are inconsistent".into()))
}

fn open_subtopics(manifest: &TopicManifest, topics: &[Topic], tensors: &Tensors<'_>) -> Result<Subtopics, ModelError> {
    let inconsistent = || ModelError::Tensors("the parts of the sub-topic model are inconsistent".into());
    let labels = manifest.subtopics.iter().map(|label| {
        let topic =
            topics.iter().position(|topic| Some(&*topic.code) == label.broader.as_deref()).ok_or_else(inconsistent)?;
        let (code, name) = (label.code.as_str().into(), label.name.as_str().into());
        Ok(Subtopic { code, name, topic, auto_from: label.auto_from })
    });
    let labels: Vec<Subtopic> = labels.collect::<Result<_, ModelError>>()?;
    let cells = Cells {
        lengths: tensors.numbers("subtopic.linear.lengths", Dtype::U16, u16::from_le_bytes)?,
        labels: tensors.numbers("subtopic.linear.labels", Dtype::U16, u16::from_le_bytes)?,
        weights: tensors.numbers("subtopic.linear.weights", Dtype::I8, i8::from_le_bytes)?,
    };
    let layer = SparseLayer::from_parts(
        cells,
        tensors.floats("subtopic.linear.scales")?,
        &tensors.matrix("subtopic.linear.dense", Dtype::F32, f32::from_le_bytes)?,
        tensors.floats("subtopic.linear.bias")?,
    )
    .ok_or_else(inconsistent)?;
    Subtopics::new(labels, layer, tensors.decision("subtopic.decision")?, manifest.subtopic_review)
        .ok_or_else(inconsistent)
}

fn open_regions(manifest: &RegionManifest, tensors: &Tensors<'_>) -> Result<RegionRanker, ModelError> {
    if !manifest.features.iter().map(String::as_str).eq(feature_names()) {
        return Err(ModelError::Tensors(
            "the region features differ from those of this program; train it again".into(),
        ));
    }
    let layer = |name: &str| -> Result<LogisticLayer, ModelError> {
        let weights: Array1<f64> =
            tensors.numbers(&format!("region.{name}.weights"), Dtype::F64, f64::from_le_bytes)?.into();
        let intercept = tensors.numbers(&format!("region.{name}.intercept"), Dtype::F64, f64::from_le_bytes)?;
        let [intercept] = intercept[..] else {
            return Err(ModelError::Tensors(format!("region.{name}.intercept: expected one number")));
        };
        Ok(LogisticLayer { weights, intercept })
    };
    let layers = RankerLayers { alone: layer("alone")?, beside: layer("beside")? };
    let idf = tensors.numbers("region.text.idf", Dtype::U8, u8::from_le_bytes)?;
    let vocabulary = Vocabulary::from_parts(tensors.index("region.text")?, idf)?;
    let lengths = tensors.numbers("region.text.lengths", Dtype::U8, u8::from_le_bytes)?;
    let countries = tensors.numbers("region.text.countries", Dtype::U8, u8::from_le_bytes)?;
    let weights_of_text = tensors.numbers("region.text.weights", Dtype::I8, i8::from_le_bytes)?;
    let bias = tensors.numbers("region.text.bias", Dtype::F32, f32::from_le_bytes)?;
    let text = TextModel::from_parts(
        &manifest.text_countries,
        vocabulary,
        &lengths,
        countries.into_iter().zip(weights_of_text).collect(),
        manifest.text_step,
        bias,
    )
    .ok_or_else(|| ModelError::Tensors("the parts of the region text model are inconsistent".into()))?;
    let weights_of_mentions = tensors.numbers("region.mentions.weights", Dtype::I8, i8::from_le_bytes)?;
    let mentions = MentionModel::from_parts(
        tensors.index("region.mentions")?,
        weights_of_mentions,
        manifest.mention_step,
        manifest.mention_bias,
    )
    .ok_or_else(|| ModelError::Tensors("the parts of the region mention model are inconsistent".into()))?;
    RegionRanker::new(text, mentions, layers, manifest.thresholds, manifest.home).ok_or_else(|| {
        ModelError::Tensors(
            "invalid region weights or thresholds: expected one finite weight per feature, and thresholds from 0 to 1"
                .into(),
        )
    })
}

/// Reads a file of word vectors: `hashes` (U64, one per word) and `values` (I8, words × dimensions), as
/// `src/topic/data/distil.py` writes them.
///
/// # Errors
/// [`ModelError::Vectors`].
pub fn read_vectors(path: &Path) -> Result<WordVectors, ModelError> {
    let invalid =
        |reason: &dyn std::fmt::Display| ModelError::Vectors { path: path.to_owned(), reason: reason.to_string() };
    let bytes = read_file(path).map_err(|error| match error {
        ModelError::NotAModel(error) => invalid(&error),
        error => error,
    })?;
    let tensors = SafeTensors::deserialize(&bytes).map_err(|error| invalid(&error))?;
    let tensors = Tensors(&tensors);
    let hashes = tensors.numbers("hashes", Dtype::U64, u64::from_le_bytes).map_err(|error| invalid(&error))?;
    let values = tensors.matrix("values", Dtype::I8, i8::from_le_bytes).map_err(|error| invalid(&error))?;
    WordVectors::build(&hashes, &values).map_err(|error| invalid(&error))
}

/// Reads the tensors of a file with checks of type and dimensions.
struct Tensors<'a>(&'a SafeTensors<'a>);

impl Tensors<'_> {
    fn view(&self, name: &str, dtype: Dtype, dimensions: usize) -> Result<TensorView<'_>, ModelError> {
        let view = self.0.tensor(name).map_err(|_| ModelError::Tensors(format!("{name} is missing")))?;
        if view.dtype() != dtype || view.shape().len() != dimensions {
            return Err(ModelError::Tensors(format!(
                "{name}: expected {dtype:?} with {dimensions} dimensions, found {:?} of shape {:?}",
                view.dtype(),
                view.shape()
            )));
        }
        Ok(view)
    }

    fn index(&self, name: &str) -> Result<HashIndex, ModelError> {
        let part = |part: &str| self.numbers(&format!("{name}.{part}"), Dtype::U32, u32::from_le_bytes);
        Ok(HashIndex::from_parts(&part("buckets")?, part("fingerprints")?)?)
    }

    fn decision(&self, name: &str) -> Result<DecisionLayer, ModelError> {
        Ok(DecisionLayer {
            weights: self.matrix(&format!("{name}.weights"), Dtype::F64, f64::from_le_bytes)?,
            intercept: self.numbers(&format!("{name}.intercept"), Dtype::F64, f64::from_le_bytes)?.into(),
        })
    }

    fn floats(&self, name: &str) -> Result<Vec<f32>, ModelError> {
        self.numbers(name, Dtype::F32, f32::from_le_bytes)
    }

    fn numbers<T, const N: usize>(
        &self,
        name: &str,
        dtype: Dtype,
        read: fn([u8; N]) -> T,
    ) -> Result<Vec<T>, ModelError> {
        Ok(decode(self.view(name, dtype, 1)?.data(), read))
    }

    fn matrix<T, const N: usize>(
        &self,
        name: &str,
        dtype: Dtype,
        read: fn([u8; N]) -> T,
    ) -> Result<Array2<T>, ModelError> {
        let view = self.view(name, dtype, 2)?;
        Array2::from_shape_vec((view.shape()[0], view.shape()[1]), decode(view.data(), read))
            .map_err(|error| ModelError::Tensors(format!("{name}: {error}")))
    }
}

fn decode<T, const N: usize>(bytes: &[u8], read: fn([u8; N]) -> T) -> Vec<T> {
    bytes.as_chunks::<N>().0.iter().map(|chunk| read(*chunk)).collect()
}

/// Encodes a model as the bytes of its manifest and of its tensors, and fills in the checksum and version of the manifest.
pub fn encode(
    topics: &TopicClassifier,
    regions: &RegionRanker,
    mut manifest: Manifest,
) -> Result<(Vec<u8>, Vec<u8>), ModelError> {
    fn bytes<'v, T: Copy + 'v, const N: usize>(
        values: impl IntoIterator<Item = &'v T>,
        write: fn(T) -> [u8; N],
    ) -> Vec<u8> {
        values.into_iter().flat_map(|value| write(*value)).collect()
    }
    let TopicLayers { linear, decision, subtopics, .. } = topics.layers();
    let RankerLayers { alone, beside } = regions.layers();
    let (vocabulary, idf) = topics.vocabulary().parts();
    let (vectors, values) = topics.vectors().parts();
    let (weights, scales) = linear.term_weights();
    let (dense, bias) = linear.dense_weights();
    let (terms, labels) = weights.dim();
    let sub_cells = subtopics.layer().cells();
    let (sub_scales, sub_dense, sub_bias) = subtopics.layer().parts_by_label();
    let (lengths, cells) = regions.text().cells_by_term();
    let (_, text_bias) = regions.text().step_and_bias();
    let (mentions, mention_weights) = regions.mentions().parts();
    let (text, text_idf) = regions.text().vocabulary().parts();
    let (countries, weights_of_text): (Vec<u8>, Vec<i8>) = cells.iter().copied().unzip();
    let i8s = |values: &[i8]| (Dtype::I8, vec![values.len()], bytes(values, i8::to_le_bytes));
    let u16s = |values: &[u16]| (Dtype::U16, vec![values.len()], bytes(values, u16::to_le_bytes));
    let u32s = |values: &[u32]| (Dtype::U32, vec![values.len()], bytes(values, u32::to_le_bytes));
    let f32s = |values: &[f32]| (Dtype::F32, vec![values.len()], bytes(values, f32::to_le_bytes));
    let f32_matrix = |values: &Array2<f32>| (Dtype::F32, values.shape().to_vec(), bytes(values, f32::to_le_bytes));
    let f64s = |values: &Array1<f64>| (Dtype::F64, vec![values.len()], bytes(values, f64::to_le_bytes));
    let f64_matrix = |values: &Array2<f64>| (Dtype::F64, values.shape().to_vec(), bytes(values, f64::to_le_bytes));
    let data = [
        ("region.alone.intercept", (Dtype::F64, vec![1], bytes([&alone.intercept], f64::to_le_bytes))),
        ("region.alone.weights", (Dtype::F64, vec![alone.weights.len()], bytes(&alone.weights, f64::to_le_bytes))),
        ("region.beside.intercept", (Dtype::F64, vec![1], bytes([&beside.intercept], f64::to_le_bytes))),
        ("region.beside.weights", (Dtype::F64, vec![beside.weights.len()], bytes(&beside.weights, f64::to_le_bytes))),
        ("region.mentions.buckets", u32s(&mentions.parts().0)),
        ("region.mentions.fingerprints", u32s(&mentions.parts().1)),
        ("region.mentions.weights", i8s(mention_weights)),
        ("region.text.bias", (Dtype::F32, vec![text_bias.len()], bytes(text_bias, f32::to_le_bytes))),
        ("region.text.buckets", u32s(&text.parts().0)),
        ("region.text.countries", (Dtype::U8, vec![countries.len()], countries)),
        ("region.text.fingerprints", u32s(&text.parts().1)),
        ("region.text.idf", (Dtype::U8, vec![text_idf.len()], text_idf.to_vec())),
        ("region.text.lengths", (Dtype::U8, vec![lengths.len()], lengths)),
        ("region.text.weights", i8s(&weights_of_text)),
        ("subtopic.decision.intercept", f64s(&subtopics.decision().intercept)),
        ("subtopic.decision.weights", f64_matrix(&subtopics.decision().weights)),
        ("subtopic.linear.bias", f32s(sub_bias)),
        ("subtopic.linear.dense", f32_matrix(&sub_dense)),
        ("subtopic.linear.labels", u16s(&sub_cells.labels)),
        ("subtopic.linear.lengths", u16s(&sub_cells.lengths)),
        ("subtopic.linear.scales", f32s(sub_scales)),
        ("subtopic.linear.weights", i8s(&sub_cells.weights)),
        ("topic.decision.intercept", f64s(&decision.intercept)),
        ("topic.decision.weights", f64_matrix(&decision.weights)),
        ("topic.linear.bias", f32s(bias)),
        ("topic.linear.dense", f32_matrix(&dense)),
        ("topic.linear.scales", f32s(&scales)),
        ("topic.linear.weights", (Dtype::I8, vec![terms, labels], bytes(&weights, i8::to_le_bytes))),
        ("topic.vectors.buckets", u32s(&vectors.parts().0)),
        ("topic.vectors.fingerprints", u32s(&vectors.parts().1)),
        ("topic.vectors.values", (Dtype::I8, vec![values.nrows(), values.ncols()], bytes(values, i8::to_le_bytes))),
        ("topic.vocabulary.buckets", u32s(&vocabulary.parts().0)),
        ("topic.vocabulary.fingerprints", u32s(&vocabulary.parts().1)),
        ("topic.vocabulary.idf", (Dtype::U8, vec![terms], idf.to_vec())),
    ];
    let invalid = |error: safetensors::SafeTensorError| ModelError::Tensors(error.to_string());
    let mut views = Vec::with_capacity(data.len());
    for (name, (dtype, shape, bytes)) in &data {
        views.push((*name, TensorView::new(*dtype, shape.clone(), bytes).map_err(invalid)?));
    }
    let tensors = safetensors::serialize(views, None).map_err(invalid)?;

    manifest.tensors_sha256 = sha256_hex(&tensors);
    manifest.version = version(&manifest);
    let mut json = serde_json::to_vec_pretty(&manifest).map_err(ModelError::Manifest)?;
    json.push(b'\n');
    Ok((json, tensors))
}

/// Checks that a bundle may be written into a folder: it must not contain versions.
///
/// # Errors
/// [`ModelError::HasVersions`].
pub fn may_hold(folder: &Path) -> Result<(), ModelError> {
    match folder.join(CURRENT).exists() {
        true => Err(ModelError::HasVersions { folder: folder.to_owned() }),
        false => Ok(()),
    }
}

/// Writes a bundle into `folder`, which is created if it does not exist. Each file is written under a temporary name and
/// renamed, the manifest last: a concurrent reader finds the old model or a checksum error.
pub fn write(folder: &Path, manifest: &[u8], tensors: &[u8], card: &str) -> Result<(), ModelError> {
    let at = |path: &Path| {
        let path = path.to_owned();
        move |source| ModelError::Write { path, source }
    };
    may_hold(folder)?;
    fs::create_dir_all(folder).map_err(at(folder))?;
    for (name, bytes) in [(TENSORS, tensors), (CARD, card.as_bytes()), (MANIFEST, manifest)] {
        let path = folder.join(name);
        let temporary = folder.join(format!(".{name}.{}", std::process::id()));
        fs::write(&temporary, bytes).map_err(at(&temporary))?;
        fs::rename(&temporary, &path).map_err(at(&path))?;
    }
    Ok(())
}
