//! The topic classifier: applies the layers of a topic model to the words of an article.

use super::{
    ArticleTerms, DecisionLayer, Direction, Features, Form, LinearLayer, Subtopics, TopicError, WordVectors,
    decision::normalise,
    evidence::{Explainer, Explanation},
};
use crate::{
    article::Thresholds,
    document::Document,
    text::{Vocabulary, Word},
};
use ndarray::Array1;
use std::sync::Arc;

/// A topic of a model.
#[derive(Debug, Clone, PartialEq)]
pub struct Topic {
    /// Its code, as in the training data.
    pub code: Arc<str>,
    /// Its English name; the code if the name is unknown.
    pub name: Arc<str>,
    /// Minimum confidence of AUTO for this topic, if higher than the model's threshold; above 1 if the topic is never AUTO.
    pub auto_from: f32,
}

/// The layers of a topic model.
#[derive(Debug, Clone, PartialEq)]
pub struct TopicLayers {
    /// The terms of the model.
    pub vocabulary: Vocabulary,
    /// The word vectors.
    pub vectors: WordVectors,
    /// Whether the terms include character n-grams.
    pub ngrams: bool,
    /// Computes the scores of the topics.
    pub linear: LinearLayer,
    /// Converts the scores to probabilities.
    pub decision: DecisionLayer,
    /// Whether each article has exactly one topic. If so, probabilities sum to 1.
    pub exclusive: bool,
    /// The sub-topics.
    pub subtopics: Subtopics,
}

/// Classifies the words of an article into topics with calibrated probabilities.
#[derive(Debug, Clone, PartialEq)]
pub struct TopicClassifier {
    topics: Vec<Topic>,
    layers: TopicLayers,
    thresholds: Thresholds,
}

/// The topics of one article.
#[derive(Debug, Clone, PartialEq)]
pub struct TopicAnswer {
    /// All topics, as indices into the classifier's topics, with their probabilities; most probable first.
    pub ranked: Vec<(usize, f32)>,
    /// Whether the model knows any word of the article. If not, the probabilities depend only on the form of the article.
    pub knows_a_word: bool,
    /// Number of words of headline and body.
    pub words: usize,
    /// Number of these words in the vocabulary.
    pub known_words: usize,
    features: Features,
    form: Form,
    scores: Array1<f64>,
}

/// The sub-topics of some topics of an article.
#[derive(Debug, Clone, PartialEq)]
pub struct SubtopicAnswer {
    /// Sub-topics, as indices into the classifier's sub-topics, with their probabilities; most probable first.
    pub ranked: Vec<(usize, f32)>,
    scores: Array1<f64>,
}

impl TopicAnswer {
    /// The share of the article's words in the vocabulary, from 0 to 1.
    pub fn known_share(&self) -> f64 {
        self.known_words as f64 / self.words.max(1) as f64
    }
}

impl TopicClassifier {
    /// Assembles a classifier.
    ///
    /// # Errors
    /// [`TopicError::Tensor`] if the layers have different sizes or weights that are not finite, or thresholds are invalid.
    pub fn new(topics: Vec<Topic>, layers: TopicLayers, thresholds: Thresholds) -> Result<Self, TopicError> {
        let n = topics.len();
        let terms = layers.vocabulary.len();
        let dimensions = Features::vector_length(layers.vectors.dimensions());
        let subtopics = layers.subtopics.labels();
        let is_consistent = n >= 2
            && layers.linear.has_shape(terms, dimensions, n)
            && layers.decision.has_shape(n)
            && layers.subtopics.layer().has_shape(terms, dimensions, subtopics.len())
            && subtopics.iter().all(|label| label.topic < n);
        if !is_consistent {
            return Err(TopicError::Tensor(
                "invalid topic model: its layers have different sizes, or weights that are not finite",
            ));
        }
        if !thresholds.make_sense() || !topics.iter().all(|topic| topic.auto_from >= 0.0) {
            return Err(TopicError::Tensor(
                "invalid topic model: expected thresholds from 0 to 1, with REVIEW at most AUTO",
            ));
        }
        Ok(TopicClassifier { topics, layers, thresholds })
    }

    /// The topics, in the order of the layers.
    pub fn topics(&self) -> &[Topic] {
        &self.topics
    }

    /// The name of a topic or sub-topic by its code; `None` if the model does not have the code.
    pub fn name_of(&self, code: &str) -> Option<&str> {
        let topics = self.topics.iter().map(|topic| (&topic.code, &topic.name));
        let subtopics = self.subtopics().labels().iter().map(|subtopic| (&subtopic.code, &subtopic.name));
        topics.chain(subtopics).find(|(own, _)| ***own == *code).map(|(_, name)| &**name)
    }

    /// The layers.
    pub fn layers(&self) -> &TopicLayers {
        &self.layers
    }

    /// The vocabulary.
    pub fn vocabulary(&self) -> &Vocabulary {
        &self.layers.vocabulary
    }

    /// The word vectors.
    pub fn vectors(&self) -> &WordVectors {
        &self.layers.vectors
    }

    /// The sub-topics.
    pub fn subtopics(&self) -> &Subtopics {
        &self.layers.subtopics
    }

    /// The thresholds of AUTO and REVIEW for all topics.
    pub fn thresholds(&self) -> Thresholds {
        self.thresholds
    }

    /// Classifies the words of an article.
    pub fn classify(&self, words: &[Word], document: &Document<'_>) -> TopicAnswer {
        let layers = &self.layers;
        let terms = ArticleTerms::of(words, document, layers.ngrams);
        let features = Features::new(&layers.vocabulary, &layers.vectors, &terms);
        let form = Form::of(terms.words.len(), terms.headline);
        let scores = layers.linear.scores(&features);
        let mut probabilities = layers.decision.probabilities(scores.view(), 0..self.topics.len(), form);
        if layers.exclusive {
            normalise(&mut probabilities);
        }
        TopicAnswer {
            ranked: ranked(probabilities.into_iter().map(|p| p as f32).enumerate().collect()),
            knows_a_word: !features.terms.is_empty() || features.vector_scales[0] > 0.0,
            words: terms.words.len(),
            known_words: features.known_words,
            features,
            form,
            scores,
        }
    }

    /// Classifies an article into the sub-topics of the given topics (indices with their probabilities).
    pub fn subtopics_within(&self, answer: &TopicAnswer, topics: &[(usize, f32)]) -> SubtopicAnswer {
        let subtopics = &self.layers.subtopics;
        let parents = topics.iter().filter(|(topic, _)| !subtopics.of_topic(*topic).is_empty());
        let parents: Vec<(usize, f32)> = parents.copied().collect();
        if parents.is_empty() {
            return SubtopicAnswer { ranked: Vec::new(), scores: Array1::zeros(0) };
        }
        let scores = subtopics.scores(&answer.features, parents.iter().map(|(topic, _)| *topic));
        let found = parents.into_iter().flat_map(|(topic, p)| subtopics.of(topic, p, &scores, answer.form)).collect();
        SubtopicAnswer { ranked: ranked(found), scores }
    }

    /// Explains a topic of an answer. The weights and the remainder sum to its log-odds.
    pub fn explain(&self, answer: &TopicAnswer, topic: usize, words: &[Word], document: &Document<'_>) -> Explanation {
        self.explainer(answer, topic).explain(words, document)
    }

    fn explainer<'a>(&'a self, answer: &'a TopicAnswer, topic: usize) -> Explainer<'a, LinearLayer> {
        let all_topics = 0..self.topics.len();
        let direction = self.layers.decision.direction(topic, answer.scores.view(), all_topics, answer.form);
        self.explainer_of(answer, &self.layers.linear, topic, direction)
    }

    /// Explains a sub-topic of an answer. The weights and the remainder sum to its log-odds given its topic.
    pub fn explain_subtopic(
        &self,
        (answer, found): (&TopicAnswer, &SubtopicAnswer),
        subtopic: usize,
        words: &[Word],
        document: &Document<'_>,
    ) -> Explanation {
        let subtopics = &self.layers.subtopics;
        let direction = subtopics.direction(subtopic, &found.scores, answer.form);
        self.explainer_of(answer, subtopics.layer(), subtopic, direction).explain(words, document)
    }

    fn explainer_of<'a, L>(
        &'a self,
        answer: &'a TopicAnswer,
        layer: &'a L,
        label: usize,
        direction: Direction,
    ) -> Explainer<'a, L> {
        let TopicLayers { vocabulary, vectors, .. } = &self.layers;
        Explainer { vocabulary, vectors, layer, features: &answer.features, label, direction }
    }
}

/// Sorts labels by probability, most probable first. The sort is stable: labels of equal probability keep their order.
fn ranked(mut labels: Vec<(usize, f32)>) -> Vec<(usize, f32)> {
    labels.sort_by(|a, b| b.1.total_cmp(&a.1));
    labels
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        article::{Article, Field},
        linear::SplitMix,
        model::clean_article,
        text::words_into,
        topic::{DECISION_INPUTS, SparseColumn, SparseLayer, Subtopic, terms::in_headline},
    };
    use ndarray::Array2;

    const TEXT: [&str; 2] = ["harbour ferry", "a harbour of a town a ferry ferry of x"];

    fn words_of(document: &Document<'_>) -> Vec<Word> {
        let mut words = Vec::new();
        words_into(document, &mut words);
        words
    }

    fn article() -> Article {
        Article { headline: TEXT[0].to_owned(), body: TEXT[1].to_owned(), ..Article::default() }
    }

    /// Three topics and two sub-topics of the second, with random weights.
    fn small_classifier(words: &[Word]) -> TopicClassifier {
        let mut random = SplitMix(11);
        let mut number = || (random.next_u64() >> 40) as f32 / (1 << 24) as f32 - 0.5;
        let hashes: Vec<u64> = words.iter().map(|word| word.hash).collect();
        // All words except the last; "a" is in most articles.
        let known_words = hashes[..hashes.len() - 1].iter().enumerate();
        let terms = known_words.map(|(i, hash)| (*hash, if i == 2 || *hash == hashes[2] { 90 } else { 1 }));
        let vocabulary = Vocabulary::build(terms.chain([(in_headline(hashes[0]), 3)]), 100);
        let values = Array2::from_shape_simple_fn((2, 4), || (number() * 200.0) as i8);
        let vectors = WordVectors::build(&hashes[..2], &values).expect("one vector per word");
        let rows = vocabulary.len() + 8;
        let weights = Array2::from_shape_simple_fn((rows, 3), &mut number);
        let linear = LinearLayer::quantise(&weights, &Array1::from_shape_simple_fn(3, &mut number), vocabulary.len());
        let decision = |labels, number: &mut dyn FnMut() -> f32| DecisionLayer {
            weights: Array2::from_shape_simple_fn((labels, DECISION_INPUTS), || f64::from(number())),
            intercept: Array1::from_shape_simple_fn(labels, || f64::from(number())),
        };
        let topic_decision = decision(3, &mut number);
        let reach = vec![1.0; vocabulary.len()];
        let columns: Vec<SparseColumn> = (0..2)
            .map(|_| {
                let weights = Array1::from_shape_simple_fn(rows, &mut number);
                SparseColumn::new(weights.view(), number(), &reach, 100)
            })
            .collect();
        let layer = SparseLayer::of_columns(&columns, vocabulary.len(), 8, 100);
        let label = |code: &str| Subtopic { code: code.into(), name: code.into(), topic: 1, auto_from: 0.9 };
        let subtopics = Subtopics::new(vec![label("d"), label("e")], layer, decision(2, &mut number), 0.5)
            .expect("consistent parts");
        let topics = ["a", "b", "c"].map(|code| Topic { code: code.into(), name: code.into(), auto_from: 0.0 });
        let layers = TopicLayers {
            vocabulary,
            vectors,
            ngrams: false,
            linear,
            decision: topic_decision,
            exclusive: false,
            subtopics,
        };
        TopicClassifier::new(topics.to_vec(), layers, Thresholds { auto: 0.9, review: 0.4 }).expect("consistent parts")
    }

    #[test]
    fn explanations_add_up_to_the_log_odds_and_show_content_words() {
        let article = article();
        let document = clean_article(&article);
        let words = words_of(&document);
        let classifier = small_classifier(&words);
        let answer = classifier.classify(&words, &document);
        let log_odds = |p: f32| f64::from((p / (1.0 - p)).ln());
        for (topic, p) in &answer.ranked {
            let explainer = classifier.explainer(&answer, *topic);
            // The sum of all contributions and the log-odds without them.
            let sum: f64 = explainer.contributions(&words).iter().map(|(_, weight)| weight).sum();
            let score = |label: usize| f64::from(classifier.layers.linear.dense_of(label).1);
            let other = explainer.direction.other.map_or(0.0, |(other, weight)| weight * score(other));
            let without = explainer.direction.own * score(*topic) + other + explainer.direction.constant;
            assert!((sum + without - log_odds(*p)).abs() < 1e-3, "{} {}", sum + without, log_odds(*p));

            let explanation = classifier.explain(&answer, *topic, &words, &document);
            let listed: f64 = explanation.evidence.iter().map(|one| f64::from(one.weight)).sum();
            assert!((listed + f64::from(explanation.remainder) - log_odds(*p)).abs() < 1e-3);
            let terms: Vec<&str> = explanation.evidence.iter().map(|one| &*one.term).collect();
            assert!(terms.contains(&"harbour") && !terms.contains(&"a"), "{terms:?}");
            assert_eq!(
                explanation.evidence.iter().find(|one| one.term == "ferry").map(|one| one.field),
                Some(Field::Headline)
            );
        }
    }

    #[test]
    fn subtopics_are_less_probable_than_their_topic() {
        let article = article();
        let document = clean_article(&article);
        let words = words_of(&document);
        let classifier = small_classifier(&words);
        let answer = classifier.classify(&words, &document);
        let of = |topic: usize| answer.ranked.iter().find(|(one, _)| *one == topic).copied().expect("a ranked topic");
        assert!(classifier.subtopics_within(&answer, &[of(0), of(2)]).ranked.is_empty());
        let found = classifier.subtopics_within(&answer, &[of(0), of(1)]);
        assert_eq!(found.ranked.len(), 2);
        for (subtopic, p) in &found.ranked {
            assert!(*p < of(1).1);
            let explanation = classifier.explain_subtopic((&answer, &found), *subtopic, &words, &document);
            let listed: f32 = explanation.evidence.iter().map(|one| one.weight).sum();
            let given_topic = p / of(1).1;
            assert!((listed + explanation.remainder - (given_topic / (1.0 - given_topic)).ln()).abs() < 1e-2);
        }
    }

    #[test]
    fn inconsistent_parts_are_rejected() {
        let article = article();
        let document = clean_article(&article);
        let classifier = small_classifier(&words_of(&document));
        let TopicClassifier { topics, layers, thresholds } = classifier;
        let built =
            |topics: &[Topic], layers: &TopicLayers| TopicClassifier::new(topics.to_vec(), layers.clone(), thresholds);
        assert!(built(&topics, &layers).is_ok());
        assert!(built(&topics[..2], &layers).is_err());
        let other = TopicLayers { vocabulary: Vocabulary::build([(1, 1)], 10), ..layers.clone() };
        assert!(built(&topics, &other).is_err());
        let mut infinite = layers;
        infinite.decision.intercept[1] = f64::INFINITY;
        assert!(built(&topics, &infinite).is_err());
    }
}
