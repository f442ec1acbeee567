use super::{
    candidates::{self, Candidate},
    context,
    gazetteer::{Kind, gazetteer},
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

/// Mentions and words in, countries with calibrated probabilities out.
#[derive(Debug, Clone, PartialEq)]
pub struct RegionRanker {
    text: TextModel,
    mentions: MentionModel,
    layers: RankerLayers,
    thresholds: Thresholds,
    home: f32,
}

/// What a document names and what else it says, before any weights: all that training and serving share.
#[derive(Debug, Clone)]
pub struct Places {
    readings: Vec<Reading>,
    terms: Vec<Term>,
    headline_words: u32,
    words: usize,
}

/// A candidate with the probability that the article is about it.
#[derive(Debug, Clone)]
pub struct Ranked {
    /// The country, or the part of the world.
    pub candidate: Candidate,
    /// From 0 to 1. For a part of the world it is what a country named in the same way would have.
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

    /// The place names, as the words beside them read.
    pub fn readings(&self) -> &[Reading] {
        &self.readings
    }

    /// The words and word pairs outside the place names.
    pub fn terms(&self) -> &[Term] {
        &self.terms
    }

    /// The same, as if some names had been written as a placeholder. Which words are terms stays.
    fn retain(&self, keep: impl Fn(&Reading) -> bool) -> Self {
        let readings = self.readings.iter().filter(|reading| keep(reading)).cloned().collect();
        Places { readings, ..self.clone() }
    }

    /// Whether there is a dateline that names a place.
    pub fn has_dateline(&self) -> bool {
        self.readings.iter().any(|reading| reading.mention.role == Field::Dateline)
    }

    /// The same, as if it had come without a dateline.
    pub fn without_dateline(&self) -> Self {
        self.retain(|reading| reading.mention.role != Field::Dateline)
    }

    /// The same, as if all names, adjectives and peoples of countries had been masked, in the dateline too.
    pub fn without_country_names(&self) -> Self {
        let names = |kind| matches!(kind, Kind::Country | Kind::Nation | Kind::Historic | Kind::Adjective);
        self.retain(|reading| !reading.meanings.iter().any(|meaning| names(meaning.kind)))
    }

    /// The same, as if all place names had been masked.
    pub fn without_names(&self) -> Self {
        self.retain(|_| false)
    }

    /// The country that a document names at least three times in four, the headline counting three times; `None` where
    /// there is none, or an ambiguous name may change it.
    pub fn dominant(&self) -> Option<&'static str> {
        const SURE: f32 = 0.9;
        const HEADLINE: f64 = 3.0;
        const DOMINANT: f64 = 0.75;
        let mut named: Vec<(&str, f64)> = Vec::new();
        let mut all = 0.0;
        for reading in &self.readings {
            let countries = reading.meanings.iter().filter(|meaning| geography::is_subject(meaning.code));
            let Some(likeliest) = countries.max_by(|a, b| a.share.total_cmp(&b.share)) else { continue };
            let weight = if reading.mention.role == Field::Headline { HEADLINE } else { 1.0 };
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

    /// The candidates and their features (candidates × [`FEATURES`](super::FEATURES)): countries, then parts of the world. The features of a
    /// country do not depend on the parts of the world that are named. `home` is the outlet's country, where it is known: it
    /// decides between places of one name.
    pub fn candidates(
        &self,
        text: &TextModel,
        mentions: &MentionModel,
        home: Option<&str>,
    ) -> (Vec<Candidate>, Array2<f64>) {
        let mut readings = Cow::Borrowed(&self.readings);
        let scores = text.scores(self.terms.iter().map(|term| term.hash));
        if weighing::open(&readings) {
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
        // Stable: each keeps its order.
        found.sort_by_key(|candidate| !candidate.is_subject());
        let countries = found.iter().filter(|candidate| candidate.is_subject()).count();
        let mut features = candidates::features(&found[..countries], document);
        if countries < found.len() {
            let of_all = candidates::features(&found, document);
            for row in of_all.rows().into_iter().skip(countries) {
                // Rows have the right length.
                let _ = features.push_row(row);
            }
        }
        (found, features)
    }
}

impl RegionRanker {
    /// Puts a ranker together; `None` if a layer does not have one finite weight a feature, or if a threshold or `home` (the
    /// probability that an article that names no place is about its outlet's country) is no probability.
    pub fn new(
        text: TextModel,
        mentions: MentionModel,
        layers: RankerLayers,
        thresholds: Thresholds,
        home: f32,
    ) -> Option<Self> {
        let probabilities = thresholds.make_sense() && (0.0..=1.0).contains(&home);
        (layers.make_sense() && probabilities).then_some(RegionRanker { text, mentions, layers, thresholds, home })
    }

    /// The text model.
    pub fn text(&self) -> &TextModel {
        &self.text
    }

    /// The model of what the words beside names say.
    pub fn mentions(&self) -> &MentionModel {
        &self.mentions
    }

    /// The weights.
    pub fn layers(&self) -> &RankerLayers {
        &self.layers
    }

    /// When to decide what; a country is [`Role::About`] from `review` on, where micro-F1 was best on held-out articles.
    pub fn thresholds(&self) -> Thresholds {
        self.thresholds
    }

    /// The probability that an article that names no place is about its outlet's country.
    pub fn home_probability(&self) -> f32 {
        self.home
    }

    /// What a document is about and what else it names, most probable first. A country that it does not name is there only if
    /// its words speak for it enough, and not beside a part of the world that it is about.
    pub fn rank(&self, places: &Places, home: Option<&str>) -> Vec<Ranked> {
        let (candidates, features) = places.candidates(&self.text, &self.mentions, home);
        let subjects = candidates.iter().take_while(|candidate| candidate.is_subject()).count();
        // Countries are ranked among countries, whatever parts of the world are named.
        let of_subjects = self.layers.read(features.slice_axis(Axis(0), Slice::from(..subjects)));
        let of_all = (subjects < candidates.len()).then(|| self.layers.read(features.view()));
        let others = of_all.iter().flat_map(|of_all| of_all.rows().into_iter().skip(subjects));
        let rows = of_subjects.rows().into_iter().chain(others);
        let mut ranked: Vec<Ranked> = candidates
            .into_iter()
            .zip(rows)
            .map(|(candidate, row)| Ranked {
                candidate,
                probability: self.layers.beside.probability(row),
                features: row.to_owned(),
            })
            .collect();
        // Stable: equal probabilities stay in the order of first mention.
        ranked.sort_by(|a, b| b.probability.total_cmp(&a.probability));
        let review = f64::from(self.thresholds.review);
        let about = |one: &Ranked| one.probability >= review;
        let a_part_of_the_world = ranked.iter().any(|one| about(one) && !one.candidate.is_subject());
        let named = |one: &Ranked| !one.candidate.mentions.is_empty();
        let unnamed_from = unnamed_from(review, ranked.iter().any(|one| named(one) && about(one)));
        ranked.retain(|one| named(one) || (one.probability >= unnamed_from && !a_part_of_the_world));
        ranked
    }

    /// A ranked candidate as it is answered with.
    pub fn region(&self, ranked: &Ranked) -> Option<Region> {
        let confidence = ranked.probability as f32;
        let by_words = ranked.candidate.mentions.is_empty();
        let role = if confidence >= self.thresholds.review || by_words {
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
        let code = &geography::country(source_country)?.code;
        region(code, self.home, Decision::Review, Role::About)
    }

    /// Where a document names a country: the first mention of each term, in the order of the text, then, up to `most` in
    /// all, the words that speak for it.
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
        let speaking = self.text.speaking_for(ranked.candidate.code, &places.terms);
        evidence.extend(speaking.into_iter().map(|(term, weight)| (term.first, term.last, weight)));
        evidence.truncate(most);
        evidence
            .into_iter()
            .map(|(first, last, weight)| evidence_at(document, &words[first as usize], &words[last as usize], weight))
            .collect()
    }

    /// What each feature adds to the log-odds of a candidate, the weightiest first; features that add nothing are left out.
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

/// An article that is about more countries than this lists them, and none of them is AUTO: too few rows tell how often they are
/// right.
pub const MOST_SURE_COUNTRIES: usize = 8;

/// From which probability on an article is about a country that it does not name: single words must not outweigh a country that
/// is named, and without one the country must more likely be right than not.
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
