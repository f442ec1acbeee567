//! The topics and sub-topics of the model, computed a second time in the plainest way: from the files of the model, by their
//! description in docs/topic-model.md, with hash maps, dense weights and `f64`.

use dateline::{
    Article, Model, Options,
    article::Field,
    clean,
    model::{MANIFEST, TENSORS},
    region,
    text::{Word, pair_hash, words_into},
};
use safetensors::SafeTensors;
use std::{
    collections::{BTreeMap, HashMap},
    fs,
    path::Path,
};

/// The largest difference of a probability from that of the program, which computes with `f32`.
const TOLERANCE: f64 = 1e-5;

/// Number of words of the body that belong to the opening.
const OPENING: usize = 40;

/// The tensors of a model as numbers.
struct Tensors<'a>(SafeTensors<'a>);

impl Tensors<'_> {
    fn numbers<const N: usize>(&self, name: &str, read: fn([u8; N]) -> f64) -> Vec<f64> {
        let tensor = self.0.tensor(name).unwrap_or_else(|error| panic!("{name}: {error}"));
        tensor.data().as_chunks::<N>().0.iter().map(|bytes| read(*bytes)).collect()
    }

    fn bytes(&self, name: &str) -> Vec<f64> {
        self.numbers(name, |[byte]: [u8; 1]| f64::from(byte))
    }

    fn signed_bytes(&self, name: &str) -> Vec<f64> {
        self.numbers(name, |[byte]: [u8; 1]| f64::from(byte as i8))
    }

    fn shorts(&self, name: &str) -> Vec<usize> {
        self.numbers(name, |bytes| f64::from(u16::from_le_bytes(bytes)))
            .into_iter()
            .map(|number| number as usize)
            .collect()
    }

    fn words(&self, name: &str) -> Vec<usize> {
        self.numbers(name, |bytes| f64::from(u32::from_le_bytes(bytes)))
            .into_iter()
            .map(|number| number as usize)
            .collect()
    }

    fn floats(&self, name: &str) -> Vec<f64> {
        self.numbers(name, |bytes| f64::from(f32::from_le_bytes(bytes)))
    }

    fn doubles(&self, name: &str) -> Vec<f64> {
        self.numbers(name, f64::from_le_bytes)
    }
}

/// An index of hashes: the number of each pair of bucket and fingerprint.
struct Index {
    entries: HashMap<(usize, usize), usize>,
    bits: u32,
}

impl Index {
    fn read(tensors: &Tensors<'_>, name: &str) -> Self {
        let starts = tensors.words(&format!("{name}.buckets"));
        let fingerprints = tensors.words(&format!("{name}.fingerprints"));
        let bits = (starts.len() - 1).trailing_zeros();
        let bucket_of = |entry: usize| starts.partition_point(|start| *start <= entry) - 1;
        let entries =
            fingerprints.iter().enumerate().map(|(entry, print)| ((bucket_of(entry), *print), entry)).collect();
        Index { entries, bits }
    }

    fn find(&self, hash: u64) -> Option<usize> {
        self.entries.get(&((hash >> (64 - self.bits)) as usize, hash as u32 as usize)).copied()
    }
}

/// The weights of a linear layer: features × labels.
struct Linear {
    weights: Vec<Vec<f64>>,
    bias: Vec<f64>,
}

impl Linear {
    fn scores(&self, features: &[(usize, f64)]) -> Vec<f64> {
        let mut scores = self.bias.clone();
        for (feature, value) in features {
            scores.iter_mut().zip(&self.weights[*feature]).for_each(|(score, weight)| *score += value * weight);
        }
        scores
    }
}

/// The model of topics.
struct Plain {
    vocabulary: Index,
    idf: Vec<f64>,
    vectors: Index,
    values: Vec<Vec<f64>>,
    topics: Linear,
    decision: Vec<Vec<f64>>,
    subtopics: Linear,
    subtopic_decision: Vec<Vec<f64>>,
    codes: Vec<String>,
    /// The code of each sub-topic, and the number of its topic.
    subtopic_codes: Vec<(String, usize)>,
}

/// The rows of a matrix.
fn rows(numbers: Vec<f64>, columns: usize) -> Vec<Vec<f64>> {
    numbers.chunks(columns).map(<[f64]>::to_vec).collect()
}

impl Plain {
    fn read(folder: &Path) -> Self {
        let bytes = fs::read(folder.join(TENSORS)).expect("the file can be read");
        let tensors = Tensors(SafeTensors::deserialize(&bytes).expect("tensors"));
        let manifest: serde_json::Value =
            serde_json::from_slice(&fs::read(folder.join(MANIFEST)).expect("the file can be read")).expect("JSON");
        let labels = |name: &str| manifest["topics"][name].as_array().expect("labels").clone();
        let code = |label: &serde_json::Value, field: &str| label[field].as_str().expect("a code").to_owned();
        let codes: Vec<String> = labels("labels").iter().map(|label| code(label, "code")).collect();
        let topic_of = |label: &serde_json::Value| codes.iter().position(|topic| *topic == code(label, "broader"));
        let subtopic_codes: Vec<(String, usize)> = labels("subtopics")
            .iter()
            .map(|label| (code(label, "code"), topic_of(label).expect("the topic of a sub-topic")))
            .collect();
        let scales = tensors.floats("topic.linear.scales");
        let mut weights = rows(tensors.signed_bytes("topic.linear.weights"), codes.len());
        weights.iter_mut().zip(&scales).for_each(|(row, scale)| row.iter_mut().for_each(|weight| *weight *= scale));
        weights.extend(rows(tensors.floats("topic.linear.dense"), codes.len()));

        let scales = tensors.floats("subtopic.linear.scales");
        let labels_of_cells = tensors.shorts("subtopic.linear.labels");
        let weights_of_cells = tensors.signed_bytes("subtopic.linear.weights");
        let mut cells = labels_of_cells.into_iter().zip(weights_of_cells);
        let mut subtopic_weights: Vec<Vec<f64>> = Vec::new();
        for length in tensors.shorts("subtopic.linear.lengths") {
            let mut row = vec![0.0; subtopic_codes.len()];
            cells.by_ref().take(length).for_each(|(label, weight)| row[label] = weight * scales[label]);
            subtopic_weights.push(row);
        }
        subtopic_weights.extend(rows(tensors.floats("subtopic.linear.dense"), subtopic_codes.len()));
        let decision = |name: &str| {
            let intercepts = tensors.doubles(&format!("{name}.intercept"));
            let weights = tensors.doubles(&format!("{name}.weights"));
            let columns = weights.len() / intercepts.len();
            let rows = rows(weights, columns).into_iter().zip(intercepts);
            rows.map(|(row, intercept)| [row, vec![intercept]].concat()).collect()
        };
        Plain {
            vocabulary: Index::read(&tensors, "topic.vocabulary"),
            idf: tensors.bytes("topic.vocabulary.idf").into_iter().map(|sixteenths| sixteenths / 16.0).collect(),
            vectors: Index::read(&tensors, "topic.vectors"),
            values: rows(tensors.signed_bytes("topic.vectors.values"), 128),
            topics: Linear { weights, bias: tensors.floats("topic.linear.bias") },
            decision: decision("topic.decision"),
            subtopics: Linear { weights: subtopic_weights, bias: tensors.floats("subtopic.linear.bias") },
            subtopic_decision: decision("subtopic.decision"),
            codes,
            subtopic_codes,
        }
    }

    /// The features: tf-idf of the terms, then the sums of the vectors of all words and of those of the opening.
    fn features(&self, words: &[Word]) -> Vec<(usize, f64)> {
        let in_text: Vec<&Word> = words.iter().filter(|word| word.role != Field::Dateline).collect();
        let hashes: Vec<u64> = in_text.iter().map(|word| word.hash).collect();
        let headline = in_text.iter().filter(|word| word.role == Field::Headline).count();
        let opening = &hashes[..hashes.len().min(headline + OPENING)];
        let mut terms = hashes.clone();
        for two in words.windows(2) {
            if two[0].role != Field::Dateline && two[0].section == two[1].section {
                terms.push(pair_hash(two[0].hash, two[1].hash));
            }
        }
        terms.extend(hashes[..headline].iter().map(|word| pair_hash(u64::from_be_bytes(*b"headline"), *word)));
        terms.extend(opening.iter().map(|word| pair_hash(u64::from_be_bytes(*b"leadlead"), *word)));

        let mut features: BTreeMap<usize, f64> = BTreeMap::new();
        for term in terms.into_iter().filter_map(|hash| self.vocabulary.find(hash)) {
            *features.entry(term).or_default() += 1.0;
        }
        features.iter_mut().for_each(|(term, tf)| *tf = (1.0 + tf.ln()) * self.idf[*term]);
        let mut features: Vec<(usize, f64)> = features.into_iter().collect();
        let length = features.iter().map(|(_, value)| value * value).sum::<f64>().sqrt();
        features.iter_mut().for_each(|(_, value)| *value /= length);
        let sums = [self.sum(&hashes), self.sum(opening)].concat();
        features.extend(sums.into_iter().enumerate().map(|(i, value)| (self.idf.len() + i, value)));
        features
    }

    /// The sum of the vectors of words, scaled to length 1.
    fn sum(&self, words: &[u64]) -> Vec<f64> {
        let mut counts: BTreeMap<u64, f64> = BTreeMap::new();
        words.iter().for_each(|word| *counts.entry(*word).or_default() += 1.0);
        let mut sum = vec![0.0; 128];
        for (word, tf) in counts {
            if let Some(row) = self.vectors.find(word) {
                sum.iter_mut().zip(&self.values[row]).for_each(|(sum, value)| *sum += (1.0 + tf.ln()) * value);
            }
        }
        let length = sum.iter().map(|value| value * value).sum::<f64>().sqrt();
        sum.into_iter().map(|value| if length > 0.0 { value / length } else { 0.0 }).collect()
    }

    /// The probability of each topic, and of each sub-topic if its topic is given.
    fn probabilities(&self, words: &[Word]) -> (Vec<f64>, Vec<f64>) {
        let features = self.features(words);
        let in_text = words.iter().filter(|word| word.role != Field::Dateline).count();
        let headline = words.iter().filter(|word| word.role == Field::Headline).count();
        let is = |condition: bool| f64::from(u8::from(condition));
        let length = (in_text as f64).clamp(4.0, 1000.0).ln() - 4.0;
        let form = [is(headline > 0 && in_text > headline), is(headline > 0 && in_text == headline), length];
        let of_group = |scores: &[f64], group: &[usize], decision: &[Vec<f64>], label: usize| {
            let others = group.iter().filter(|other| **other != label).map(|other| scores[*other]);
            let best_other = others.reduce(f64::max).unwrap_or(-1.0);
            let own = scores[label];
            let inputs = [own, best_other, own * form[0], own * form[1], own * form[2], form[0], form[1], form[2], 1.0];
            let log_odds: f64 = inputs.iter().zip(&decision[label]).map(|(input, weight)| input * weight).sum();
            1.0 / (1.0 + (-log_odds).exp())
        };
        let scores = self.topics.scores(&features);
        let all: Vec<usize> = (0..self.codes.len()).collect();
        let topics: Vec<f64> = all.iter().map(|label| of_group(&scores, &all, &self.decision, *label)).collect();
        let scores = self.subtopics.scores(&features);
        let subtopics = self.subtopic_codes.iter().enumerate().map(|(label, (_, topic))| {
            let group = self.subtopic_codes.iter().enumerate().filter(|(_, (_, other))| other == topic);
            let group: Vec<usize> = group.map(|(label, _)| label).collect();
            topics[*topic] * of_group(&scores, &group, &self.subtopic_decision, label)
        });
        let subtopics = subtopics.collect();
        (topics, subtopics)
    }
}

#[test]
fn a_plain_scorer_gives_the_same_probabilities() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (model, plain) = (Model::bundled().expect("the bundled model opens"), Plain::read(&folder.join("models")));
    let options = Options { min_confidence: Some(0.0), ..Options::default() };
    let (mut compared, mut largest) = (0, 0.0_f64);
    for name in ["articles.jsonl", "world.jsonl", "topics.jsonl"] {
        let rows = fs::read_to_string(folder.join("tests/data").join(name)).expect("the file can be read");
        for row in rows.lines() {
            let row: serde_json::Value = serde_json::from_str(row).expect("JSON");
            let text = |field: &str| row[field].as_str().unwrap_or_default().to_owned();
            let article = Article { headline: text("headline"), body: text("body"), ..Article::default() };
            let mut words = Vec::new();
            words_into(&clean::clean(&article, region::known), &mut words);
            let (topics, subtopics) = plain.probabilities(&words);
            let answer = model.classify(&article, &options).expect("a valid article");
            for label in answer.topics.iter().chain(&answer.subtopics) {
                let topic = plain.codes.iter().position(|code| **code == *label.code).map(|at| topics[at]);
                let subtopic = || plain.subtopic_codes.iter().position(|(code, _)| **code == *label.code);
                let expected = topic.or_else(|| Some(subtopics[subtopic()?])).expect("a label of the model");
                let difference = (expected - f64::from(label.confidence)).abs();
                assert!(difference < TOLERANCE, "{}: {expected} {label:?}", text("id"));
                largest = largest.max(difference);
                compared += 1;
            }
        }
    }
    println!("{compared} probabilities, largest difference {largest:.1e}");
    assert!(compared > 10_000, "{compared}");
}
