use super::{
    candidates::{self, Candidate, FEATURES},
    gazetteer::gazetteer,
    mentions, tree,
};
use crate::{
    article::{Decision, Evidence, Field, Label, Region, Role, Thresholds},
    clean::Document,
    linear::LogisticLayer,
    text::{Word, evidence_at},
};

/// Mentions in, countries with calibrated probabilities out.
#[derive(Debug, Clone, PartialEq)]
pub struct RegionRanker {
    layer: LogisticLayer,
    thresholds: Thresholds,
    home: f32,
}

/// A candidate with the probability that the article is about it.
#[derive(Debug, Clone)]
pub struct Ranked {
    /// The country and its mentions.
    pub candidate: Candidate,
    /// From 0 to 1.
    pub probability: f64,
}

/// The candidates of a document, unranked: what training and serving share.
pub fn candidates_of(document: &Document<'_>, words: &[Word]) -> Vec<Candidate> {
    let gazetteer = gazetteer();
    candidates::candidates(gazetteer, &mentions::find(gazetteer, document, words), words)
}

/// The candidates that a document would have if it had come without a dateline.
pub fn candidates_without_dateline(document: &Document<'_>, words: &[Word]) -> Vec<Candidate> {
    let gazetteer = gazetteer();
    let mut mentions = mentions::find(gazetteer, document, words);
    mentions.retain(|mention| mention.role != Field::Dateline);
    candidates::candidates(gazetteer, &mentions, words)
}

impl RegionRanker {
    /// Puts a ranker together; `None` where the layer does not have one finite weight for each of [`FEATURES`], or a
    /// threshold or `home` (the probability that an article that names no place is about its outlet's country) is no
    /// probability.
    pub fn new(layer: LogisticLayer, thresholds: Thresholds, home: f32) -> Option<Self> {
        let finite = layer.weights.iter().chain([&layer.intercept]).all(|weight| weight.is_finite());
        let probabilities = thresholds.make_sense() && (0.0..=1.0).contains(&home);
        (layer.weights.len() == FEATURES.len() && finite && probabilities).then_some(RegionRanker {
            layer,
            thresholds,
            home,
        })
    }

    /// The weights.
    pub fn layer(&self) -> &LogisticLayer {
        &self.layer
    }

    /// When to decide what; a country is [`Role::About`] from `review` on, where micro-F1 was best on held-out articles.
    pub fn thresholds(&self) -> Thresholds {
        self.thresholds
    }

    /// The probability that an article that names no place is about its outlet's country.
    pub fn home_probability(&self) -> f32 {
        self.home
    }

    /// Candidates with their probabilities, most probable first.
    pub fn rank(&self, candidates: Vec<Candidate>) -> Vec<Ranked> {
        let features = candidates::features(&candidates);
        let mut ranked: Vec<Ranked> = candidates
            .into_iter()
            .zip(features.rows())
            .map(|(candidate, row)| Ranked { candidate, probability: self.layer.probability(row) })
            .collect();
        // Stable: equal probabilities stay in the order of first mention.
        ranked.sort_by(|a, b| b.probability.total_cmp(&a.probability));
        ranked
    }

    /// A ranked candidate as it is answered with.
    pub fn region(&self, ranked: &Ranked) -> Option<Region> {
        let confidence = ranked.probability as f32;
        let role = if confidence >= self.thresholds.review {
            Role::About
        } else if ranked.candidate.dateline >= 0.5 {
            Role::Dateline
        } else {
            Role::Mentioned
        };
        region(ranked.candidate.code, confidence, self.thresholds.decide(confidence), role)
    }

    /// The outlet's country, for an article that names no place; `None` where the code is none. Never AUTO: nothing in the
    /// text speaks for it.
    pub fn home(&self, source_country: &str) -> Option<Region> {
        let code = &tree::country(source_country)?.code;
        region(code, self.home, Decision::Review, Role::About)
    }
}

fn region(code: &str, confidence: f32, decision: Decision, role: Role) -> Option<Region> {
    let place = tree::place(code)?;
    let label =
        Label { code: place.code.clone(), name: place.name.clone(), confidence, decision, evidence: Vec::new() };
    Some(Region { label, role, path: place.path.clone() })
}

/// Where a document names a country: the first mention of each term, dateline and headline before body.
pub fn evidence(candidate: &Candidate, words: &[Word], document: &Document<'_>, most: usize) -> Vec<Evidence> {
    let mut terms = Vec::new();
    let mut evidence = Vec::new();
    for (mention, share) in &candidate.mentions {
        if terms.contains(&mention.term) || evidence.len() == most {
            continue;
        }
        terms.push(mention.term);
        let (first, last) = (&words[mention.first as usize], &words[mention.last as usize]);
        evidence.push(evidence_at(document, first, last, *share));
    }
    evidence
}
