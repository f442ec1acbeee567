//! A trained model: loads the bundle from disk, and classifies articles with [`Model::classify`].
//!
//! The module accesses no network and no files except those of the model. Answers are deterministic: the same article and
//! model give the same answer.

mod bundle;
mod error;
mod files;
mod manifest;
mod store;
mod topics;

pub use bundle::{encode, may_hold, read_vectors, write};
pub use error::ModelError;
pub use files::{CARD, CURRENT, MANIFEST, TENSORS};
pub use manifest::{
    LabelEntry, LabelSource, Manifest, NEVER_AUTO, RegionManifest, SCHEMA, Task, TopicManifest, TrainingFile,
};
pub use store::{Lock, Store, StoreError, Version, in_service, load_version, versions};

use crate::{
    article::{Article, ArticleError, Classification, Decision, Format, Options, Region},
    clean,
    document::{Document, MOST_REMOVED, UNDETERMINED},
    region::{self, MOST_SURE_COUNTRIES, Places, RegionRanker},
    text::{Word, words_into},
    topic::{TopicAnswer, TopicClassifier},
};
use std::{path::Path, sync::Arc};

/// The share of known words from which a detected language is ignored. Detectors support some seventy languages, and
/// misclassify texts in others and texts full of abbreviations.
const KNOWN_LANGUAGE_SHARE: f64 = 0.85;
/// The most evidence items of a region.
const MOST_EVIDENCE: usize = 10;

/// A model, ready to classify. It is immutable and can be shared between threads.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    topics: TopicClassifier,
    regions: RegionRanker,
    manifest: Manifest,
    version: Arc<str>,
}

impl Model {
    /// The model that is compiled into the program.
    ///
    /// # Errors
    /// [`ModelError`], if the program was built with a damaged `models` folder.
    pub fn bundled() -> Result<Model, ModelError> {
        Model::open(
            include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/models/manifest.json")),
            include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/models/model.safetensors")),
        )
    }

    /// Loads the model from a folder that `dateline train` wrote. If the folder holds versions, loads the one in service.
    ///
    /// # Errors
    /// [`ModelError`], if the folder holds no model, or one that is damaged, incompatible or of another schema.
    pub fn load(folder: &Path) -> Result<Model, ModelError> {
        let folder = store::in_service(folder).map_err(|error| ModelError::In {
            folder: folder.to_owned(),
            source: Box::new(ModelError::NotAModel(error)),
        })?;
        bundle::read(&folder)
            .and_then(|(manifest, tensors)| Model::open(&manifest, &tensors))
            .map_err(|source| ModelError::In { folder, source: Box::new(source) })
    }

    /// Checks and opens the bytes of a bundle's two files, as [`encode`] returns them.
    ///
    /// # Errors
    /// See [`Model::load`].
    pub fn open(manifest: &[u8], tensors: &[u8]) -> Result<Model, ModelError> {
        bundle::open(manifest, tensors)
    }

    fn new(topics: TopicClassifier, regions: RegionRanker, manifest: Manifest) -> Model {
        let version = manifest.version.as_str().into();
        Model { topics, regions, manifest, version }
    }

    /// The manifest: labels, thresholds, measurements and training files.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The version; the same bytes have the same version.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The topic classifier.
    pub fn topics(&self) -> &TopicClassifier {
        &self.topics
    }

    /// The region ranker.
    pub fn regions(&self) -> &RegionRanker {
        &self.regions
    }

    /// Classifies an article.
    ///
    /// # Errors
    /// [`ArticleError`], if the article or an option is invalid.
    pub fn classify(&self, article: &Article, options: &Options) -> Result<Classification, ArticleError> {
        article.check()?;
        options.check()?;
        Ok(self.classify_document(article, clean_article(article), options))
    }

    /// Classifies an article that was cleaned by [`clean_article`]. Article and options must have been checked.
    pub(crate) fn classify_document(
        &self,
        article: &Article,
        document: Document<'_>,
        options: &Options,
    ) -> Classification {
        let mut words = Vec::new();
        words_into(&document, &mut words);
        let mut notes = Vec::new();
        let answer = self.topics.classify(&words, &document);
        let foreign = |languages: &[String]| foreign_language(&document, &answer, languages);
        let (of_topics, of_regions) = (&self.manifest.languages[..], self.manifest.region_languages());
        let foreign_to = [foreign(of_topics), foreign(of_regions)];
        // One note if both halves of the model were trained on the same languages.
        let parts = match of_topics == of_regions {
            true => &[("the model was", of_topics)][..],
            false => &[("topics were", of_topics), ("regions were", of_regions)],
        };
        for ((what, languages), language) in parts.iter().zip(foreign_to) {
            if let Some(language) = language {
                notes.push(format!("ABSTAIN: the language is {language}, {what} trained on {}", languages.join(", ")));
            }
        }
        if !document.is_article {
            notes.push("ABSTAIN: not an article: an error page, a login wall, a placeholder or a greeting".to_owned());
        }
        let [topics_readable, regions_readable] = foreign_to.map(|language| language.is_none() && document.is_article);
        let text = topics::Text { words: &words, document: &document, is_readable: topics_readable };
        let (topics, subtopics) = self.topics_of(&answer, &text, options, &mut notes);
        let mut regions = self.regions_of(article, &document, &words, options, &mut notes);
        if !regions_readable {
            regions.iter_mut().for_each(|region| region.label.decision = Decision::Abstain);
        }
        if options.explain && document.more_removed {
            notes.push(format!("removed: more parts were left out than the {MOST_REMOVED} that are listed"));
        }
        Classification {
            topics,
            subtopics,
            regions,
            language: document.language.into_owned(),
            model_version: self.version.clone(),
            notes,
            removed: if options.explain { document.removed } else { Vec::new() },
        }
    }

    fn regions_of(
        &self,
        article: &Article,
        document: &Document<'_>,
        words: &[Word],
        options: &Options,
        notes: &mut Vec<String>,
    ) -> Vec<Region> {
        let source = article.source_country.trim();
        let home = self.regions.home(source);
        let places = Places::of(document, words);
        let mut ranked = self.regions.rank(&places, home.as_ref().map(|home| &*home.label.code));
        if !source.is_empty() && home.is_none() {
            notes.push(format!("regions: source_country {source:?} is no ISO 3166-1 alpha-2 code and was left aside"));
        }
        let thresholds = options.thresholds(self.regions.thresholds());
        let mut regions = Vec::new();
        let is_any_named = ranked.iter().any(|one| !one.candidate.mentions.is_empty());
        let unnamed_best = ranked.first().filter(|best| best.candidate.mentions.is_empty());
        if let Some(best) = unnamed_best {
            notes.push(format!("regions: {} is not named, the words of the text speak for it", best.candidate.code));
        } else if !is_any_named {
            match home {
                Some(home) => {
                    notes.push(format!(
                        "regions: no country is named in the text; source_country {} answers for it",
                        home.label.code
                    ));
                    regions.push(home);
                    ranked.clear();
                }
                None => notes.push("regions: no country is named in the text, and its words speak for none".to_owned()),
            }
        }
        let review = f64::from(self.regions.thresholds().review);
        let is_a_list = ranked.iter().filter(|one| one.probability >= review).count() > MOST_SURE_COUNTRIES;
        for one in &ranked {
            if let Some(mut region) = self.regions.region(one) {
                region.label.decision = thresholds.decide(region.label.confidence);
                // Never AUTO: parts of the world, which were not measured, and countries without a sure name, whose words may
                // only be typical of a source.
                let is_sure_country = one.candidate.is_subject() && one.candidate.is_surely_named();
                if (!is_sure_country || is_a_list) && region.label.decision == Decision::Auto {
                    region.label.decision = Decision::Review;
                }
                regions.push(region);
            }
        }
        let least = options.min_confidence.unwrap_or(0.0);
        regions.retain(|region| region.label.confidence >= least);
        regions.truncate(options.most());
        if options.explain {
            for region in &mut regions {
                // The outlet's country is not among the ranked ones: it has no evidence.
                if let Some(one) = ranked.iter().find(|one| *one.candidate.code == *region.label.code) {
                    region.label.evidence = self.regions.evidence(one, &places, words, document, MOST_EVIDENCE);
                    region.contributions = self.regions.contributions(one);
                }
            }
        }
        regions
    }
}

/// Initialises the tables that do not depend on a model, so that the first article is not slower than the others. They are
/// otherwise initialised on first use.
pub fn warm_up() {
    let html = "<p>NAIROBI (Reuters) - Rain fell.</p><p>Share this article</p>";
    let article = Article { body: html.to_owned(), format: Format::Html, ..Article::default() };
    let document = clean_article(&article);
    let mut words = Vec::new();
    words_into(&document, &mut words);
    Places::of(&document, &words);
}

/// The hashes of the words of an article without markup and boilerplate, in order; copies are found by them.
pub fn word_hashes(article: &Article) -> Vec<u64> {
    let mut words = Vec::new();
    words_into(&clean_article(article), &mut words);
    words.iter().map(|word| word.hash).collect()
}

/// Cleans an article, in the same way for training and serving.
pub(crate) fn clean_article(article: &Article) -> Document<'_> {
    clean::clean(article, region::known)
}

/// The language of a document if a half of the model was not trained on it; `None` if it was, or if the language is
/// undetermined. A detected language, unlike a stated one, is ignored if the model knows most words.
fn foreign_language<'d>(document: &'d Document<'_>, answer: &TopicAnswer, trained: &[String]) -> Option<&'d str> {
    let language = &*document.language;
    let is_trained = language == UNDETERMINED || trained.iter().any(|known| known == language);
    let is_familiar = document.language_is_detected && answer.known_share() >= KNOWN_LANGUAGE_SHARE;
    (!is_trained && !is_familiar).then_some(language)
}
