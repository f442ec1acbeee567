use super::{
    candidates::{self, Candidate, FEATURES},
    gazetteer::gazetteer,
    mentions, tree,
};
use crate::{
    article::{Decision, Evidence, Label, Region, Role},
    clean::Document,
    linear::LogisticLayer,
    text::Word,
};

/// From which probability on a country counts, and what an article without any place is worth.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegionThresholds {
    /// [`Role::About`] from here on: where micro-F1 is best on held-out articles.
    pub about: f32,
    /// [`Decision::Auto`] from here on.
    pub auto: f32,
    /// The probability that an article that names no place is about its outlet's country.
    pub home: f32,
}

/// Mentions in, countries with calibrated probabilities out.
#[derive(Debug, Clone, PartialEq)]
pub struct RegionRanker {
    layer: LogisticLayer,
    thresholds: RegionThresholds,
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

impl RegionRanker {
    /// Puts a ranker together; `None` where the layer does not have one finite weight for each of [`FEATURES`].
    pub fn new(layer: LogisticLayer, thresholds: RegionThresholds) -> Option<Self> {
        let finite = layer.weights.iter().chain([&layer.intercept]).all(|weight| weight.is_finite());
        (layer.weights.len() == FEATURES.len() && finite).then_some(RegionRanker { layer, thresholds })
    }

    /// The weights.
    pub fn layer(&self) -> &LogisticLayer {
        &self.layer
    }

    /// When to say what.
    pub fn thresholds(&self) -> RegionThresholds {
        self.thresholds
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
        let role = if confidence >= self.thresholds.about {
            Role::About
        } else if ranked.candidate.dateline >= 0.5 {
            Role::Dateline
        } else {
            Role::Mentioned
        };
        region(ranked.candidate.code, confidence, self.decide(confidence), role)
    }

    fn decide(&self, confidence: f32) -> Decision {
        if confidence >= self.thresholds.auto {
            Decision::Auto
        } else if confidence >= self.thresholds.about {
            Decision::Review
        } else {
            Decision::Abstain
        }
    }

    /// The outlet's country, for an article that names no place; `None` where the code is none.
    pub fn home(&self, source_country: &str) -> Option<Region> {
        let code = &tree::country(source_country)?.code;
        region(code, self.thresholds.home, self.decide(self.thresholds.home), Role::About)
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
        let section = &document.sections[mention.section as usize];
        let range = words[mention.first as usize].token.start as usize..words[mention.last as usize].token.end as usize;
        let source = section.text.source(range.clone());
        evidence.push(Evidence {
            term: section.text.as_str()[range].to_owned(),
            field: section.origin,
            start: source.start as u32,
            end: source.end as u32,
            weight: *share,
        });
    }
    evidence
}
