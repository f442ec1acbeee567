//! What must hold for any input. The fuzz targets check these properties on inputs of a fuzzer, `tests/properties.rs` on
//! random ones.

pub mod server;

use dateline::{
    Article, Classification, Model, Options,
    article::{Field, Format},
    clean,
    formats::{self, Reading, records_from},
    geography::Known,
    region, relay, text,
    train::{Data, Rows, Silent, TrainRequest},
    wire::{article_from_proto, options_from_proto, proto::dateline::v1::ClassifyRequest},
};
use prost::Message;
use sha2::{Digest, Sha256};
use std::{io::Cursor, sync::LazyLock};

/// The bundled model.
pub static BUNDLED: LazyLock<Model> = LazyLock::new(|| Model::bundled().expect("the bundled model opens"));

/// The bytes as text, without those that are not UTF-8.
pub fn text_of(bytes: &[u8]) -> String {
    bytes.utf8_chunks().map(|chunk| chunk.valid()).collect()
}

/// Cleans an article. Removed parts are sorted ranges of the field, and each part of the text stands for a range of its source,
/// all on character boundaries.
pub fn cleaning_keeps_offsets(article: &Article) {
    let document = clean::clean(article, region::known);
    let is_range = |field: Field, start: usize, end: usize| {
        let source = article.field(field);
        start <= end && source.is_char_boundary(start) && source.is_char_boundary(end)
    };
    for part in &document.removed {
        assert!(is_range(part.field, part.start as usize, part.end as usize), "{part:?}");
    }
    assert!(document.removed.is_sorted_by_key(|part| (part.field, part.start)));
    for section in &document.sections {
        let cleaned = section.text.as_str();
        assert!(!cleaned.trim().is_empty());
        for token in text::tokens(cleaned) {
            let source = section.text.source(token.start as usize..token.end as usize);
            assert!(is_range(section.origin, source.start, source.end), "{source:?} of {token:?}");
        }
    }
}

/// Cleans bytes as an HTML page and as its headline.
pub fn html(bytes: &[u8]) {
    let body = text_of(bytes);
    cleaning_keeps_offsets(&Article { headline: body.clone(), format: Format::Html, ..Article::default() });
    cleaning_keeps_offsets(&Article { body, format: Format::Html, ..Article::default() });
}

/// Cleans bytes as plain text: datelines, notices, lists of places.
pub fn plain_text(bytes: &[u8]) {
    cleaning_keeps_offsets(&Article { body: text_of(bytes), ..Article::default() });
}

/// Splits bytes into tokens. They are in order and on character boundaries, no token is empty, and every ASCII letter and
/// digit, except those of a possessive `'s`, is part of a token.
pub fn tokens(bytes: &[u8]) {
    let text = text_of(bytes);
    let mut end = 0;
    let is_covered = |gap: &str| {
        let gap = gap.strip_prefix(['\'', '’']).and_then(|rest| rest.strip_prefix(['s', 'S'])).unwrap_or(gap);
        !gap.contains(|c: char| c.is_ascii_alphanumeric())
    };
    for token in text::tokens(&text) {
        let (start, stop) = (token.start as usize, token.end as usize);
        assert!(
            end <= start && start < stop && text.is_char_boundary(start) && text.is_char_boundary(stop),
            "{token:?}"
        );
        assert!(is_covered(&text[end..start]), "{:?} is not covered", &text[end..start]);
        end = stop;
    }
    assert!(is_covered(&text[end..]), "{:?} is not covered", &text[end..]);
}

/// Finds the place names of bytes, and looks them up as one name. Each name is a range of words of the text.
pub fn places(bytes: &[u8]) {
    let text = text_of(bytes);
    let (body, dateline) = text.split_once('\n').unwrap_or((&text, ""));
    let known = region::known(body);
    assert!(known == Known::Nothing || !body.trim().is_empty());
    let article = Article { body: body.into(), dateline: dateline.into(), ..Article::default() };
    let document = clean::clean(&article, region::known);
    let mut words = Vec::new();
    text::words_into(&document, &mut words);
    let places = region::Places::of(&document, &words);
    for reading in places.readings() {
        let (first, last) = (reading.mention.first as usize, reading.mention.last as usize);
        assert!(first <= last && last < words.len(), "{reading:?}");
        assert!(reading.meanings.iter().all(|meaning| meaning.share > 0.0 && meaning.share <= 1.0), "{reading:?}");
    }
}

/// Checks that an answer is complete: labels are sorted, confidences are probabilities, and evidence is text of the article.
pub fn answer_is_sound(article: &Article, answer: &Classification) {
    let regions = || answer.regions.iter().map(|region| &region.label);
    for label in answer.topics.iter().chain(&answer.subtopics).chain(regions()) {
        assert!((0.0..=1.0).contains(&label.confidence), "{label:?}");
        for evidence in &label.evidence {
            let (start, end) = (evidence.start as usize, evidence.end as usize);
            assert!(start < end && article.field(evidence.field).get(start..end).is_some(), "{evidence:?}");
            assert!(evidence.weight.is_finite(), "{evidence:?}");
        }
    }
    for labels in [&answer.topics, &answer.subtopics] {
        assert!(labels.is_sorted_by(|a, b| a.confidence >= b.confidence));
    }
    for subtopic in &answer.subtopics {
        assert!(answer.topics.iter().any(|topic| subtopic.broader.as_ref() == Some(&topic.code)), "{subtopic:?}");
    }
}

/// Classifies an article whose fields are lines of the bytes. Explanations do not change the labels.
pub fn classification(bytes: &[u8]) {
    let text = text_of(bytes);
    let mut lines = text.splitn(5, '\n');
    let mut next = || lines.next().unwrap_or_default().to_owned();
    let (dateline, language, source_country) = (next(), next(), next());
    let format = if language.len() % 2 == 0 { Format::Text } else { Format::Html };
    let (headline, body) = (next(), next());
    let article = Article { id: String::new(), headline, body, format, dateline, language, source_country };
    let explain = Options { explain: true, ..Options::default() };
    let answers = [Options::default(), explain].map(|options| BUNDLED.classify(&article, &options));
    let [Ok(plain), Ok(explained)] = answers else {
        assert!(article.check().is_err(), "a valid article is answered");
        return;
    };
    answer_is_sound(&article, &explained);
    let labels = |answer: &Classification| {
        let regions = answer.regions.iter().map(|region| &region.label);
        let labels = answer.topics.iter().chain(&answer.subtopics).chain(regions);
        labels.map(|label| (label.code.clone(), label.confidence.to_bits(), label.decision)).collect::<Vec<_>>()
    };
    assert_eq!(labels(&plain), labels(&explained));
}

/// The kinds of files, each with a name for which it is read as one.
pub const FILES: [(&str, &str); 6] = [
    ("json", "file.jsonl"),
    ("table", "file.csv"),
    ("fasttext", "file.txt"),
    ("xml", "file.xml"),
    ("page", "file.html"),
    ("unnamed", "file"),
];

/// Reads bytes as a file of this name. Each item is a record or an error with its place, and their number is bounded by the
/// number of bytes.
pub fn file(name: &str, bytes: &[u8]) {
    for reading in
        [Reading::default(), Reading { encoding: formats::encoding("windows-1252").ok(), ..Reading::default() }]
    {
        let records = records_from(Cursor::new(bytes.to_vec()), name, &reading);
        let mut items = 0;
        for item in records {
            items += 1;
            match item {
                Ok(record) => assert!(!record.article.id.is_empty()),
                Err(error) => assert!(!error.message.is_empty() && error.to_string().starts_with(name), "{error}"),
            }
        }
        assert!(items <= bytes.len() + 1, "{items} items of {} bytes", bytes.len());
    }
}

/// Reads bytes as a message of a broker. What the relay publishes of it can be read as a message again.
pub fn message(bytes: &[u8]) {
    let Ok(incoming) = relay::Incoming::read(bytes, "message") else { return };
    let template = "labelled.{topic}.{country}".parse().expect("a valid template");
    let answer = BUNDLED.classify(&incoming.article, &Options::default()).ok();
    for answer in [None, answer.as_ref()] {
        let outgoing = incoming.outgoing(answer, &template);
        let again =
            relay::Incoming::read(outgoing.payload.as_bytes(), "message").expect("a published message is valid");
        assert_eq!(again.is_canceled(), incoming.is_canceled());
        assert!(outgoing.headers.iter().all(|(_, value)| !value.contains(['\r', '\n'])));
        assert!(!outgoing.subject.contains(char::is_whitespace), "{:?}", outgoing.subject);
    }
}

/// Reads bytes as a request of the contract, and classifies its article.
pub fn request(bytes: &[u8]) {
    let Ok(request) = ClassifyRequest::decode(bytes) else { return };
    let (Ok(article), Ok(options)) = (article_from_proto(request.article), options_from_proto(request.options)) else {
        return;
    };
    if let Ok(answer) = BUNDLED.classify(&article, &options) {
        answer_is_sound(&article, &answer);
    }
}

/// The two files of a small model.
#[derive(Clone)]
pub struct ModelFiles {
    pub manifest: Vec<u8>,
    pub tensors: Vec<u8>,
}

/// A model that is trained on the articles of the tests.
pub static SMALL: LazyLock<ModelFiles> = LazyLock::new(|| {
    let rows = |name: &str, bytes: &'static [u8]| {
        let records = records_from(bytes, name, &Reading::default());
        Rows { records: records.map(|row| row.expect("the row is valid")).collect(), ..Rows::default() }
    };
    let mut topics = rows("topics.jsonl", include_bytes!("../../tests/data/topics.jsonl"));
    let mut data =
        Data { regions: rows("regions.jsonl", include_bytes!("../../tests/data/regions.jsonl")), ..Data::default() };
    // Every other article of a topic has its sub-topic.
    for record in topics.records.iter_mut().step_by(2) {
        let subtopic = format!("part of {}", record.topics[0]);
        data.broader.insert(subtopic.clone(), record.topics[0].clone());
        record.subtopics.push(subtopic);
    }
    data.topics = topics;
    let trained =
        dateline::train::train(&data, &TrainRequest::default(), None, &Silent).expect("the small model trains");
    let mut files = trained.files("").into_iter().map(|(_, bytes)| bytes);
    let mut next = || files.next().expect("a file");
    ModelFiles { manifest: next(), tensors: next() }
});

/// Opens a model and classifies with it, if it opens. It must then answer like any other.
pub fn model_answers(files: &ModelFiles) {
    let Ok(model) = Model::open(&files.manifest, &files.tensors) else { return };
    for body in ["Rain fell in Nairobi, the minister said.", "Ministers of Kenya and France met the IMF in Geneva"] {
        let article = Article { headline: "Talks on a loan".into(), body: body.into(), ..Article::default() };
        let answer = model.classify(&article, &Options { explain: true, ..Options::default() });
        answer_is_sound(&article, &answer.expect("a valid article is answered"));
    }
}

/// Opens a model of which the bytes change a part. The first byte says what: some weights, all tensors, or the manifest. The
/// checksums are made right again, as whoever manipulates a model can do.
pub fn model(bytes: &[u8]) {
    let Some((kind, rest)) = bytes.split_first() else { return };
    let mut files = SMALL.clone();
    match kind % 3 {
        0 => edit(&mut files.tensors, rest),
        1 => files.tensors = rest.to_vec(),
        _ => edit(&mut files.manifest, rest),
    }
    model_answers(&files);
    if seal(&mut files).is_some() {
        model_answers(&files);
    }
}

/// Changes bytes: each six bytes of `edits` are an offset and the new value of two bytes. One offset in eight is one into the
/// first kilobytes, where headers are.
fn edit(bytes: &mut [u8], edits: &[u8]) {
    for edit in edits.as_chunks::<6>().0 {
        let offset = u32::from_le_bytes([edit[0], edit[1], edit[2], edit[3]]) as usize;
        let range = if offset.is_multiple_of(8) { bytes.len().min(8 << 10) } else { bytes.len() };
        let at = offset / 8 % range.max(1);
        bytes[at..].iter_mut().zip(&edit[4..]).for_each(|(byte, value)| *byte = *value);
    }
}

/// Sets the checksum and the version of a manifest; `None` if it is not a manifest.
fn seal(files: &mut ModelFiles) -> Option<()> {
    let hex = |bytes: &[u8]| Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let mut manifest: dateline::model::Manifest = serde_json::from_slice(&files.manifest).ok()?;
    manifest.tensors_sha256 = hex(&files.tensors);
    manifest.version = String::new();
    manifest.version = hex(&serde_json::to_vec(&manifest).ok()?)[..12].to_owned();
    files.manifest = serde_json::to_vec(&manifest).ok()?;
    Some(())
}
