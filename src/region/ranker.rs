//! The region ranker: from the place names and words of a document to countries with calibrated probabilities.

use super::{
    candidates::{self, Candidate},
    context,
    gazetteer::{NameKind, gazetteer},
    layers::{RankerLayers, feature_names},
    mention_model::MentionModel,
    mentions,
    reading::Reading,
    text_model::{self, TextModel},
    weighing,
};
use crate::{
    article::{Contribution, Decision, Evidence, Field, Label, Region, Role, Thresholds},
    document::Document,
    geography,
    text::{Term, Word, evidence_at},
};
use ndarray::{Array1, Array2, Axis, Slice};
use std::borrow::Cow;

/// The region model: text model, mention model, decision layers and thresholds.
#[derive(Debug, Clone, PartialEq)]
pub struct RegionRanker {
    text: TextModel,
    mentions: MentionModel,
    layers: RankerLayers,
    thresholds: Thresholds,
    home: f32,
}

/// The place names and terms of a document, independent of any weights; shared by training and serving.
#[derive(Debug, Clone)]
pub struct Places {
    readings: Vec<Reading>,
    terms: Vec<Term>,
    headline_words: u32,
    words: usize,
}

/// A candidate, with the probability that the article is about it.
#[derive(Debug, Clone)]
pub struct Ranked {
    /// The country, or the part of the world.
    pub candidate: Candidate,
    /// From 0 to 1. For a part of the world, the probability of a country that is named in the same way.
    pub probability: f64,
    features: Array1<f64>,
}

impl Places {
    /// Finds and reads the place names of a document.
    pub fn of(document: &Document<'_>, words: &[Word]) -> Self {
        let gazetteer = gazetteer();
        let names = mentions::find(gazetteer, document, words);
        let named = mentions::named_words(&names, words.len());
        let readings = context::readings(document, words, names, &named);
        let terms = text_model::terms(words, &named);
        let headline_words = words.iter().filter(|word| word.role == Field::Headline).count() as u32;
        Places { readings, terms, headline_words, words: words.len() }
    }

    /// The place names, disambiguated by their neighbouring words.
    pub fn readings(&self) -> &[Reading] {
        &self.readings
    }

    /// The words and word pairs outside the place names.
    pub fn terms(&self) -> &[Term] {
        &self.terms
    }

    /// A copy that keeps only some of the names. The terms are unchanged, as if the other names were placeholders.
    fn retain(&self, keep: impl Fn(&Reading) -> bool) -> Self {
        let readings = self.readings.iter().filter(|reading| keep(reading)).cloned().collect();
        Places { readings, ..self.clone() }
    }

    /// Whether the document has a dateline that names a place.
    pub fn has_dateline(&self) -> bool {
        self.readings.iter().any(|reading| reading.mention.role == Field::Dateline)
    }

    /// A copy without the names of the dateline.
    pub fn without_dateline(&self) -> Self {
        self.retain(|reading| reading.mention.role != Field::Dateline)
    }

    /// A copy without the names, adjectives and peoples of countries, including those of the dateline.
    pub fn without_country_names(&self) -> Self {
        let is_country_name =
            |kind| matches!(kind, NameKind::Country | NameKind::Nation | NameKind::Historic | NameKind::Adjective);
        self.retain(|reading| !reading.meanings.iter().any(|meaning| is_country_name(meaning.kind)))
    }

    /// A copy without place names.
    pub fn without_names(&self) -> Self {
        self.retain(|_| false)
    }

    /// The country of at least three quarters of the names, where each name of the headline counts three times. Ambiguous names
    /// count for no country. `None` if there is no such country.
    pub fn dominant(&self) -> Option<&'static str> {
        const SURE: f32 = 0.9;
        const HEADLINE_WEIGHT: f64 = 3.0;
        const DOMINANT: f64 = 0.75;
        let mut named: Vec<(&str, f64)> = Vec::new();
        let mut all = 0.0;
        for reading in &self.readings {
            let countries = reading.meanings.iter().filter(|meaning| geography::is_subject(meaning.code));
            let Some(likeliest) = countries.max_by(|a, b| a.share.total_cmp(&b.share)) else { continue };
            let weight = if reading.mention.role == Field::Headline { HEADLINE_WEIGHT } else { 1.0 };
            all += weight;
            if likeliest.share >= SURE {
                match named.iter_mut().find(|(code, _)| *code == likeliest.code) {
                    Some((_, sum)) => *sum += weight,
                    None => named.push((likeliest.code, weight)),
                }
            }
        }
        named.into_iter().find(|(_, sum)| *sum >= DOMINANT * all).map(|(code, _)| code)
    }

    /// The candidates and their features (candidates × [`FEATURES`](super::FEATURES)): first countries, then parts of the
    /// world. The features of a country do not depend on the parts of the world. `home` is the outlet's country, if known:
    /// it is evidence for ambiguous names.
    pub fn candidates(
        &self,
        text: &TextModel,
        mentions: &MentionModel,
        home: Option<&str>,
    ) -> (Vec<Candidate>, Array2<f64>) {
        let mut readings = Cow::Borrowed(&self.readings);
        let scores = text.scores(self.terms.iter().map(|term| term.hash));
        if weighing::needs_weighing(&readings) {
            weighing::weigh(readings.to_mut(), &scores, self.words, mentions, home);
        }
        let document = candidates::Document {
            readings: &readings,
            scores: &scores,
            mention_model: mentions,
            headline_words: self.headline_words,
            words: self.words,
        };
        let mut found = candidates::candidates(document);
        // The sort is stable: both groups keep their order.
        found.sort_by_key(|candidate| !candidate.is_subject());
        let n_countries = found.iter().filter(|candidate| candidate.is_subject()).count();
        let mut features = candidates::features(&found[..n_countries], document);
        if n_countries < found.len() {
            let of_all = candidates::features(&found, document);
            for row in of_all.rows().into_iter().skip(n_countries) {
                // Cannot fail: all rows have the same length.
                let _ = features.push_row(row);
            }
        }
        (found, features)
    }
}

impl RegionRanker {
    /// Assembles a ranker. `home` is the probability that an article without place names is about its outlet's country.
    /// `None` if a layer does not have one finite weight per feature, or if `home` or a threshold is outside 0 to 1.
    pub fn new(
        text: TextModel,
        mentions: MentionModel,
        layers: RankerLayers,
        thresholds: Thresholds,
        home: f32,
    ) -> Option<Self> {
        let is_valid = layers.are_valid() && thresholds.make_sense() && (0.0..=1.0).contains(&home);
        is_valid.then_some(RegionRanker { text, mentions, layers, thresholds, home })
    }

    /// The text model.
    pub fn text(&self) -> &TextModel {
        &self.text
    }

    /// The mention model.
    pub fn mentions(&self) -> &MentionModel {
        &self.mentions
    }

    /// The decision layers.
    pub fn layers(&self) -> &RankerLayers {
        &self.layers
    }

    /// The thresholds of decisions. A country is [`Role::About`] from `review` on, the best micro-F1 on held-out articles.
    pub fn thresholds(&self) -> Thresholds {
        self.thresholds
    }

    /// The probability that an article without place names is about its outlet's country.
    pub fn home_probability(&self) -> f32 {
        self.home
    }

    /// Ranks the candidates of a document, most probable first. A country that the document does not name is included only
    /// if its probability is at least [`unnamed_from`] and the document is not about a part of the world.
    pub fn rank(&self, places: &Places, home: Option<&str>) -> Vec<Ranked> {
        let (candidates, features) = places.candidates(&self.text, &self.mentions, home);
        let n_countries = candidates.iter().take_while(|candidate| candidate.is_subject()).count();
        // Countries are compared with countries alone, so that parts of the world do not change their probabilities.
        let of_countries = self.layers.read(features.slice_axis(Axis(0), Slice::from(..n_countries)));
        let of_all = (n_countries < candidates.len()).then(|| self.layers.read(features.view()));
        let of_others = of_all.iter().flat_map(|of_all| of_all.rows().into_iter().skip(n_countries));
        let rows = of_countries.rows().into_iter().chain(of_others);
        let mut ranked: Vec<Ranked> = candidates
            .into_iter()
            .zip(rows)
            .map(|(candidate, row)| Ranked {
                candidate,
                probability: self.layers.beside.probability(row),
                features: row.to_owned(),
            })
            .collect();
        // The sort is stable: ties keep the order of first mention.
        ranked.sort_by(|a, b| b.probability.total_cmp(&a.probability));
        let review = f64::from(self.thresholds.review);
        let is_about = |one: &Ranked| one.probability >= review;
        let is_about_part_of_world = ranked.iter().any(|one| is_about(one) && !one.candidate.is_subject());
        let is_named = |one: &Ranked| !one.candidate.mentions.is_empty();
        let unnamed_from = unnamed_from(review, ranked.iter().any(|one| is_named(one) && is_about(one)));
        ranked.retain(|one| is_named(one) || (one.probability >= unnamed_from && !is_about_part_of_world));
        ranked
    }

    /// The region of the answer for a ranked candidate; `None` if its code is not in the geography.
    pub fn region(&self, ranked: &Ranked) -> Option<Region> {
        let confidence = ranked.probability as f32;
        let is_unnamed = ranked.candidate.mentions.is_empty();
        let role = if confidence >= self.thresholds.review || is_unnamed {
            Role::About
        } else if ranked.candidate.dateline >= 0.5 {
            Role::Dateline
        } else {
            Role::Mentioned
        };
        region(ranked.candidate.code, confidence, self.thresholds.decide(confidence), role)
    }

    /// The outlet's country, for an article without place names; `None` if the code is invalid. Never AUTO, because the text
    /// has no evidence for it.
    pub fn home(&self, source_country: &str) -> Option<Region> {
        let code = &geography::country(source_country)?.code;
        region(code, self.home, Decision::Review, Role::About)
    }

    /// The evidence for a country, at most `most` items: the first mention of each name, in the order of the text, then the
    /// terms that raise its text score.
    pub fn evidence(
        &self,
        ranked: &Ranked,
        places: &Places,
        words: &[Word],
        document: &Document<'_>,
        most: usize,
    ) -> Vec<Evidence> {
        let mut named = Vec::new();
        let mut evidence = Vec::new();
        for (mention, share) in &ranked.candidate.mentions {
            if evidence.len() == most {
                break;
            }
            if !named.contains(&mention.name) {
                named.push(mention.name);
                evidence.push((mention.first, mention.last, *share));
            }
        }
        let contributions = self.text.contributions_to(ranked.candidate.code, &places.terms);
        evidence.extend(contributions.into_iter().map(|(term, weight)| (term.first, term.last, weight)));
        evidence.truncate(most);
        evidence
            .into_iter()
            .map(|(first, last, weight)| evidence_at(document, &words[first as usize], &words[last as usize], weight))
            .collect()
    }

    /// The contribution of each feature to the log-odds of a candidate, the largest magnitude first. Features with the value 0
    /// are omitted.
    pub fn contributions(&self, ranked: &Ranked) -> Vec<Contribution> {
        let mut contributions: Vec<Contribution> = feature_names()
            .zip(&ranked.features)
            .zip(&self.layers.beside.weights)
            .filter(|((_, value), _)| **value != 0.0)
            .map(|((name, value), weight)| Contribution {
                feature: name.into(),
                value: *value as f32,
                log_odds: (value * weight) as f32,
            })
            .collect();
        contributions.sort_by(|a, b| b.log_odds.abs().total_cmp(&a.log_odds.abs()));
        contributions
    }
}

/// An article about more countries than this is a list of countries, and none of them is AUTO: too few rows measure their
/// precision.
pub const MOST_SURE_COUNTRIES: usize = 8;

/// The least probability of a country that the article does not name. Single words must not outweigh a country that is named
/// (`beside_named`); otherwise, the country must be more likely right than wrong.
pub fn unnamed_from(review: f64, beside_named: bool) -> f64 {
    const BESIDE_NAMED: f64 = 0.75;
    const ALONE: f64 = 0.5;
    review.max(if beside_named { BESIDE_NAMED } else { ALONE })
}

fn region(code: &str, confidence: f32, decision: Decision, role: Role) -> Option<Region> {
    let place = geography::place(code)?;
    let label = Label { code: place.code.clone(), name: place.name.clone(), confidence, decision, ..Label::default() };
    Some(Region { label, role, path: place.path.clone(), contributions: Vec::new() })
}
