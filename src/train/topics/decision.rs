//! Third stage: decision layers. Scores become probabilities, by stock logistic regression on cross-fitted scores.

use super::{
    rows::{Row, TopicRows},
    trainer::{Fitted, Scored},
};
use crate::{
    linear::{LinearError, LogisticLayer},
    topic::{DECISION_INPUTS, DecisionLayer, LinearLayer, best_others, decision_inputs, normalise},
    train::{TrainError, folds::LEAST_USUAL_ROWS},
};
use ndarray::{Array1, Array2, ArrayView1, Axis, arr2};
use rayon::prelude::*;

/// The gradient at which a fit of a decision layer has converged.
const GRADIENT_TOLERANCE: f64 = 1e-5;
/// The most rows that a layer is fitted to, an even sample.
const MOST_ROWS: usize = 30_000;
/// A label with fewer rows shares its layer with all such labels.
const LEAST_CARRIED: usize = 20;
/// The most pairs of a row and a label that the shared layer is fitted to, an even sample.
const MOST_PAIRS: usize = 400_000;

/// Turns the scores of topics into probabilities.
#[derive(Debug, Clone)]
pub struct TopicDecision {
    /// The blend of the two scores of each topic.
    blend: Vec<Blend>,
    layer: DecisionLayer,
    /// The decision layer of the sub-topics.
    subtopics: DecisionLayer,
}

/// The weights that blend two scores into one: that from rows with all their topics, and that from rows with one topic
/// each.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Blend {
    topics: f64,
    single_topic: f64,
    constant: f64,
}

/// The blend without second scores.
const UNBLENDED: Blend = Blend { topics: 1.0, single_topic: 0.0, constant: 0.0 };

/// The probabilities of one row.
pub struct RowProbabilities {
    /// Of each topic.
    pub topics: Vec<f64>,
    /// Of each sub-topic, among articles on its topic.
    pub subtopics: Vec<f64>,
}

/// Fits decision layers.
pub struct DecisionTrainer<'a> {
    /// The rows.
    pub rows: &'a TopicRows,
    /// Their cross-fitted scores.
    pub scored: &'a [Scored],
}

impl DecisionTrainer<'_> {
    /// Fits decision layers to some of the scored rows, given as indices.
    ///
    /// # Errors
    /// [`TrainError::Linear`] if linfa-logistic fails.
    pub fn fit(&self, learned: &[usize]) -> Result<TopicDecision, TrainError> {
        let every = learned.len().div_ceil(MOST_ROWS).max(1);
        let learned: Vec<usize> = learned.iter().copied().step_by(every).collect();
        let n_topics = self.rows.topics.len();
        let blend = self.blend(&learned)?;
        let blended: Vec<Array1<f64>> = self.scored.iter().map(|scored| blended(&blend, scored)).collect();
        let others: Vec<_> = blended.iter().map(|scores| best_others(scores.view(), 0..n_topics)).collect();
        let inputs = |label: usize, i: usize| self.inputs(i, blended[i][label], others[i](label).1, true);
        let mut layers = self.layers(n_topics, |label| self.rows_of(&learned, label), inputs, |row| &row.topics)?;
        self.restore_frequencies(&mut layers, &learned, inputs);
        Ok(TopicDecision {
            layer: DecisionLayer::of_labels(&layers),
            subtopics: DecisionLayer::of_labels(&self.subtopic_layers(&learned)?),
            blend,
        })
    }

    /// Fits the layers of the sub-topics, each to the rows of its topic.
    fn subtopic_layers(&self, learned: &[usize]) -> Result<Vec<LogisticLayer>, TrainError> {
        let labels = self.rows.subtopics.len();
        if labels == 0 {
            return Ok(Vec::new());
        }
        let topic_of = |label: usize| self.rows.subtopics[label].topic;
        let of_topic: Vec<Vec<usize>> = (0..self.rows.topics.len())
            .map(|topic| learned.iter().copied().filter(|i| self.row(*i).topics.contains(&topic)).collect())
            .collect();
        // For each row, the highest scores of siblings within each of its topics.
        let siblings = |i: usize| {
            let scores = self.scored[i].subtopics.view();
            let of_topic = move |topic: &usize| (*topic, best_others(scores, self.rows.subtopics_of(*topic)));
            self.row(i).topics.iter().map(of_topic).collect::<Vec<_>>()
        };
        let others: Vec<_> = (0..self.scored.len()).map(siblings).collect();
        let inputs = |label: usize, i: usize| {
            let best = others[i].iter().find(|(topic, _)| *topic == topic_of(label));
            let best_other = best.map_or(0.0, |(_, best_other)| best_other(label).1);
            self.inputs(i, self.scored[i].subtopics[label], best_other, false)
        };
        self.layers(labels, |label| of_topic[topic_of(label)].clone(), inputs, |row| &row.subtopics)
    }

    fn row(&self, scored: usize) -> &Row {
        &self.rows.labelled[self.scored[scored].row]
    }

    /// The inputs of a label's layer for a row.
    fn inputs(&self, i: usize, own: f64, best_other: f64, with_form: bool) -> [f64; DECISION_INPUTS] {
        let mut inputs = decision_inputs(own, best_other, self.row(i).form);
        if !(with_form && self.rows.forms_differ) {
            inputs[2..].fill(0.0);
        }
        inputs
    }

    /// The rows that show how frequent topics are: those not selected by label.
    fn usual_rows(&self, learned: &[usize]) -> Vec<usize> {
        learned.iter().copied().filter(|i| !self.row(*i).is_selected).collect()
    }

    /// The number of rows that carry a topic.
    fn carried(&self, rows: &[usize], topic: usize) -> usize {
        rows.iter().filter(|i| self.row(**i).topics.contains(&topic)).count()
    }

    /// The rows that a topic's layer is fitted to: those that show how frequent it is, if enough of them carry it, or else all.
    fn rows_of(&self, learned: &[usize], topic: usize) -> Vec<usize> {
        let usual = self.usual_rows(learned);
        if self.carried(&usual, topic) >= LEAST_CARRIED { usual } else { learned.to_vec() }
    }

    /// Makes topics as frequent as among the rows that show it, where layers were fitted to more than these, or to more topics.
    fn restore_frequencies(
        &self,
        layers: &mut [LogisticLayer],
        learned: &[usize],
        inputs: impl Fn(usize, usize) -> [f64; DECISION_INPUTS],
    ) {
        let usual = self.usual_rows(learned);
        if usual.len() < LEAST_USUAL_ROWS {
            return;
        }
        for (topic, layer) in layers.iter_mut().enumerate() {
            let carried = self.carried(&usual, topic);
            if carried < LEAST_CARRIED {
                let rows: Vec<[f64; DECISION_INPUTS]> = usual.iter().map(|i| inputs(topic, *i)).collect();
                // Half a row more on either side (Jeffreys' prior): a topic that no such row carries is rare, not impossible.
                layer.set_mean(arr2(&rows).view(), (carried as f64 + 0.5) / (usual.len() as f64 + 1.0));
            }
        }
    }

    /// The blend of the two scores of each topic, by a logistic regression on both.
    fn blend(&self, learned: &[usize]) -> Result<Vec<Blend>, TrainError> {
        let n_topics = self.rows.topics.len();
        let [Scored { single_topic: Some(_), .. }, ..] = self.scored else { return Ok(vec![UNBLENDED; n_topics]) };
        let inputs = |label: usize, i: usize| {
            let Scored { topics, single_topic, .. } = &self.scored[i];
            [topics[label], single_topic.as_ref().map_or(0.0, |scores| scores[label])]
        };
        let layers = self.layers(n_topics, |label| self.rows_of(learned, label), inputs, |row| &row.topics)?;
        let blend = |layer: LogisticLayer| Blend {
            topics: layer.weights[0],
            single_topic: layer.weights[1],
            constant: layer.intercept,
        };
        Ok(layers.into_iter().map(blend).collect())
    }

    /// Fits one logistic regression per label. Labels with few rows share one.
    fn layers<const N: usize>(
        &self,
        labels: usize,
        rows_of: impl Fn(usize) -> Vec<usize> + Sync,
        inputs: impl Fn(usize, usize) -> [f64; N] + Sync,
        labels_of: fn(&Row) -> &Vec<usize>,
    ) -> Result<Vec<LogisticLayer>, TrainError> {
        let carries = |label: usize, i: usize| labels_of(self.row(i)).contains(&label);
        let fit = |pairs: &[(usize, usize)]| -> Result<LogisticLayer, LinearError> {
            let mut features = Array2::zeros((pairs.len(), N));
            for (mut features, (label, i)) in features.rows_mut().into_iter().zip(pairs) {
                features.assign(&ArrayView1::from(&inputs(*label, *i)));
            }
            let answers: Vec<bool> = pairs.iter().map(|(label, i)| carries(*label, *i)).collect();
            LogisticLayer::fit(features.view(), &answers, GRADIENT_TOLERANCE)
        };
        let own: Vec<Option<LogisticLayer>> = (0..labels)
            .into_par_iter()
            .map(|label| {
                let rows = rows_of(label);
                let carried = rows.iter().filter(|i| carries(label, **i)).count();
                let enough = carried >= LEAST_CARRIED && rows.len() - carried >= LEAST_CARRIED;
                // Scores that do not separate a label give no layer either.
                enough.then(|| fit(&rows.into_iter().map(|i| (label, i)).collect::<Vec<_>>()).ok()).flatten()
            })
            .collect();
        if own.iter().all(Option::is_some) {
            return Ok(own.into_iter().flatten().collect());
        }
        // If all of these labels together are too few, the rows of every label are used.
        let shared = |of: &dyn Fn(usize) -> bool| {
            let all: usize = (0..labels).filter(|label| of(*label)).map(|label| rows_of(label).len()).sum();
            let pairs = (0..labels)
                .filter(|label| of(*label))
                .flat_map(|label| rows_of(label).into_iter().map(move |i| (label, i)));
            fit(&pairs.step_by(all.div_ceil(MOST_PAIRS).max(1)).collect::<Vec<_>>())
        };
        // If no input varies, the probability is the label's share.
        let constant = || {
            let pairs = || (0..labels).flat_map(|label| rows_of(label).into_iter().map(move |i| (label, i)));
            let yes = pairs().filter(|(label, i)| carries(*label, *i)).count() as f64 + 1.0;
            let no = pairs().count() as f64 + 2.0 - yes;
            LogisticLayer { weights: Array1::zeros(N), intercept: (yes / no).ln() }
        };
        let shared =
            shared(&|label| own[label].is_none()).or_else(|_| shared(&|_| true)).unwrap_or_else(|_| constant());
        Ok(own.into_iter().map(|layer| layer.unwrap_or_else(|| shared.clone())).collect())
    }
}

fn blended(blend: &[Blend], scored: &Scored) -> Array1<f64> {
    let second = |label: usize| scored.single_topic.as_ref().map_or(0.0, |scores| scores[label]);
    let of_topic = |(label, score): (usize, &f64)| {
        blend[label].topics * score + blend[label].single_topic * second(label) + blend[label].constant
    };
    scored.topics.iter().enumerate().map(of_topic).collect()
}

impl TopicDecision {
    /// The decision layers of topics and of sub-topics.
    pub fn layers(&self) -> (&DecisionLayer, &DecisionLayer) {
        (&self.layer, &self.subtopics)
    }

    /// The linear layer of the topics, with both scores blended into one.
    pub fn linear(&self, fitted: &Fitted) -> LinearLayer {
        let (mut weights, mut bias) = (fitted.topics.weights.clone(), fitted.topics.bias.clone());
        for (label, blend) in self.blend.iter().enumerate() {
            let second = fitted.single_topic.as_ref();
            weights.column_mut(label).mapv_inplace(|weight| weight * blend.topics as f32);
            if let Some(second) = second {
                weights.column_mut(label).scaled_add(blend.single_topic as f32, &second.weights.column(label));
            }
            let of_second = second.map_or(0.0, |second| f64::from(second.bias[label]) * blend.single_topic);
            bias[label] = (f64::from(bias[label]) * blend.topics + of_second + blend.constant) as f32;
        }
        debug_assert_eq!(weights.len_of(Axis(1)), self.blend.len());
        LinearLayer::quantise(&weights, &bias, fitted.vocabulary.len())
    }

    /// The probabilities of a row from its scores.
    pub fn probabilities(&self, rows: &TopicRows, scored: &Scored) -> RowProbabilities {
        let form = rows.labelled[scored.row].form;
        let scores = blended(&self.blend, scored);
        let mut topics = self.layer.probabilities(scores.view(), 0..rows.topics.len(), form);
        if rows.exclusive {
            normalise(&mut topics);
        }
        let of_topic = |topic| self.subtopics.probabilities(scored.subtopics.view(), rows.subtopics_of(topic), form);
        RowProbabilities { subtopics: (0..rows.topics.len()).flat_map(of_topic).collect(), topics }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        topic::Form,
        train::lexicon::{Lexicon, PackedRow},
    };

    /// Rows of two frequent topics and a rare one, whose scores separate the topics.
    fn rows(n: usize) -> (TopicRows, Vec<Scored>) {
        let topic = |i: usize| if i % 10 == 1 && i < 30 { 2 } else { i % 2 };
        let row = |i: usize| Row::for_tests(PackedRow::default(), vec![topic(i)]);
        let labelled: Vec<Row> = (0..n).map(row).collect();
        let scored = (0..n)
            .map(|i| Scored {
                row: i,
                topics: (0..3).map(|label| if label == topic(i) { 1.0 } else { -1.0 }).collect(),
                single_topic: None,
                subtopics: Array1::zeros(0),
                known: 1.0,
            })
            .collect();
        let rows = TopicRows {
            topics: ["a", "b", "c"].map(str::to_owned).to_vec(),
            subtopics: Vec::new(),
            lexicon: Lexicon::default(),
            labelled,
            single_topic: Vec::new(),
            exclusive: true,
            forms_differ: false,
            languages: Vec::new(),
        };
        (rows, scored)
    }

    #[test]
    fn a_topic_is_as_frequent_as_among_rows_that_were_not_selected() {
        // Rows of topic 2 were selected, but for three.
        let (mut rows, scored) = rows(600);
        for i in 300..500 {
            rows.labelled[i].topics = vec![2];
            rows.labelled[i].is_selected = true;
        }
        let trainer = DecisionTrainer { rows: &rows, scored: &scored };
        let decision = trainer.fit(&(0..600).collect::<Vec<_>>()).expect("every label has rows");
        rows.exclusive = false;
        let of_row = |i: usize| decision.probabilities(&rows, &scored[i]).topics[2];
        let mean = (0..300).chain(500..600).map(of_row).sum::<f64>() / 400.0;
        assert!((mean - 3.5 / 401.0).abs() < 1e-3, "{mean}");
    }

    #[test]
    fn a_topic_of_few_rows_shares_a_layer_and_is_found() {
        let (rows, scored) = rows(600);
        let trainer = DecisionTrainer { rows: &rows, scored: &scored };
        let decision = trainer.fit(&(0..600).collect::<Vec<_>>()).expect("every label has rows");
        for i in [1, 2, 3, 11, 21] {
            let p = decision.probabilities(&rows, &scored[i]).topics;
            assert_eq!(super::super::trainer::argmax(p.iter()), rows.labelled[i].topics[0], "{p:?}");
            assert!((p.iter().sum::<f64>() - 1.0).abs() < 1e-9, "topics exclude each other");
        }
        assert_eq!(rows.labelled[0].form, Form::of(0, 0));
    }
}
