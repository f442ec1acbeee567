//! The text model: scores countries by the words outside place names: "the Bundesbank", "Bajwa", "crore", "the Sheriff's
//! deputies".

use crate::{
    article::Field,
    geography,
    linear::LinearSvm,
    text::{self, Term, Vocabulary, Word},
};
use fearless_simd::{Level, dispatch};
use ndarray::ArrayView1;
use std::{collections::HashMap, ops::Range};

/// The score of a country that the model lacks, and of every country if the model knows no word of the text. Most articles
/// have about this score for most countries.
pub const UNKNOWN: f32 = -1.2;

/// A one-vs-rest linear model over the words and word pairs of an article outside place names: one score per country.
///
/// Only the most influential cells of the matrix (terms × countries) are kept, quantised to a byte each.
#[derive(Debug, Clone, PartialEq)]
pub struct TextModel {
    /// ISO 3166-1 alpha-2 codes, sorted.
    countries: Vec<&'static str>,
    vocabulary: Vocabulary,
    /// The offset of each term's cells, and the total number of cells.
    starts: Vec<u32>,
    /// Country (index in `countries`) and weight, in units of `step`.
    cells: Vec<(u8, i8)>,
    /// The weights of all countries for terms with many cells, which are faster to add than the cells.
    dense_rows: Vec<i8>,
    /// The index of the dense row of each term, or [`NO_ROW`].
    dense_row: Vec<u16>,
    step: f32,
    bias: Vec<f32>,
}

/// The index of the dense row of a term that has none.
const NO_ROW: u16 = u16::MAX;
/// The fewest cells of a term with a dense row, as a fraction of the countries.
const LEAST_FILLED: usize = 16;

/// The words and word pairs of a document outside its place names and its dateline. `named` holds, for each word, whether
/// it is part of a place name.
pub fn terms(words: &[Word], named: &[bool]) -> Vec<Term> {
    let is_unnamed = |term: &Term| !named[term.first as usize] && !named[term.last as usize];
    let read = opening(words);
    text::words(read).chain(text::pairs(read)).filter(is_unnamed).collect()
}

/// The number of words of the body that are read; later words say less about the country of the article.
const MOST_BODY_WORDS: usize = 150;

/// The words of headline and dateline, and the first words of the body.
fn opening(words: &[Word]) -> &[Word] {
    // Headline and dateline come first.
    let before = words.iter().position(|word| word.role == Field::Body).unwrap_or(words.len());
    &words[..words.len().min(before + MOST_BODY_WORDS)]
}

impl TextModel {
    /// The most countries of one model.
    pub const MOST_COUNTRIES: usize = u8::MAX as usize;

    /// A model without countries.
    pub fn none() -> Self {
        TextModel::new(Vec::new(), Vocabulary::build([], 0), (vec![0], Vec::new()), 1.0, Vec::new())
    }

    /// `starts` holds the offset of each term's cells in `cells`, and the number of cells.
    fn new(
        countries: Vec<&'static str>,
        vocabulary: Vocabulary,
        (starts, cells): (Vec<u32>, Vec<(u8, i8)>),
        step: f32,
        bias: Vec<f32>,
    ) -> Self {
        let mut model = TextModel {
            countries,
            vocabulary,
            starts,
            cells,
            dense_rows: Vec::new(),
            dense_row: Vec::new(),
            step,
            bias,
        };
        let width = model.countries.len();
        for term in 0..model.vocabulary.len() as u32 {
            let cells = &model.cells[model.range(term)];
            let row = model.dense_rows.len().checked_div(width).map_or(NO_ROW, |row| row as u16);
            if cells.len() * LEAST_FILLED < width || row == NO_ROW {
                model.dense_row.push(NO_ROW);
                continue;
            }
            let start = model.dense_rows.len();
            model.dense_rows.resize(start + width, 0);
            for (country, weight) in cells {
                model.dense_rows[start + usize::from(*country)] = *weight;
            }
            model.dense_row.push(row);
        }
        model
    }

    /// Keeps the `most` cells of a fitted machine with the greatest influence: |weight| × √df, the error of the scores
    /// without the cell. The columns of the machine are `countries`; `terms` are those of its vocabulary `fitted_on` (hash,
    /// document frequency df), counted over `documents` documents.
    pub fn prune(
        fitted: &LinearSvm,
        fitted_on: &Vocabulary,
        terms: &[(u64, u32)],
        documents: usize,
        countries: Vec<&'static str>,
        most: usize,
    ) -> Self {
        let rows: Vec<(u64, u32, ArrayView1<'_, f32>)> = terms
            .iter()
            .filter_map(|(hash, df)| Some((*hash, *df, fitted.weights.row(fitted_on.find(*hash)? as usize))))
            .collect();
        let influence = |df: u32, weight: f32| weight.abs() * (df as f32).sqrt();
        let mut all: Vec<f32> = rows
            .iter()
            .flat_map(|row| row.2.iter().map(|weight| influence(row.1, *weight)))
            .filter(|influence| *influence > 0.0)
            .collect();
        let least = match all.len().checked_sub(most) {
            Some(at) if at > 0 => *all.select_nth_unstable_by(at, f32::total_cmp).1,
            _ => f32::MIN_POSITIVE,
        };
        let kept = rows.iter().filter(|row| row.2.iter().any(|weight| influence(row.1, *weight) >= least));
        let kept: Vec<(u64, u32, ArrayView1<'_, f32>)> = kept.cloned().collect();
        let largest = kept.iter().flat_map(|row| row.2).fold(0.0_f32, |most, weight| most.max(weight.abs()));
        let step = if largest > 0.0 { largest / f32::from(i8::MAX) } else { 1.0 };
        let vocabulary = Vocabulary::build(kept.iter().map(|row| (row.0, row.1)), documents);
        let mut cells_of: Vec<Vec<(u8, i8)>> = vec![Vec::new(); vocabulary.len()];
        for (hash, df, weights) in &kept {
            let Some(term) = vocabulary.find(*hash) else { continue };
            let influential = weights.iter().enumerate().filter(|(_, weight)| influence(*df, **weight) >= least);
            cells_of[term as usize] =
                influential.map(|(country, weight)| (country as u8, (weight / step).round() as i8)).collect();
        }
        let mut starts = vec![0_u32];
        let mut cells = Vec::new();
        for of_term in cells_of {
            cells.extend(of_term);
            starts.push(cells.len() as u32);
        }
        TextModel::new(countries, vocabulary, (starts, cells), step, fitted.bias.to_vec())
    }

    /// Assembles a model from its stored parts; `None` if they are inconsistent or a number is not finite. `lengths` holds
    /// the number of cells of each term.
    pub fn from_parts(
        countries: &[String],
        vocabulary: Vocabulary,
        lengths: &[u8],
        cells: Vec<(u8, i8)>,
        step: f32,
        bias: Vec<f32>,
    ) -> Option<Self> {
        let countries: Vec<&'static str> =
            countries.iter().map(|code| geography::subject(code).map(|place| &*place.code)).collect::<Option<_>>()?;
        let mut starts = vec![0_u32];
        for length in lengths {
            starts.push(starts.last()?.checked_add(u32::from(*length))?);
        }
        let is_valid = countries.is_sorted()
            && countries.len() == bias.len()
            && lengths.len() == vocabulary.len()
            && starts.last().map(|end| *end as usize) == Some(cells.len())
            && cells.iter().all(|(country, _)| usize::from(*country) < countries.len())
            && step.is_finite()
            && bias.iter().all(|bias| bias.is_finite());
        is_valid.then(|| TextModel::new(countries, vocabulary, (starts, cells), step, bias))
    }

    /// The countries, sorted by code.
    pub fn countries(&self) -> &[&'static str] {
        &self.countries
    }

    /// The vocabulary of its terms.
    pub fn vocabulary(&self) -> &Vocabulary {
        &self.vocabulary
    }

    /// The number of cells of each term, and all cells, term by term.
    pub fn cells_by_term(&self) -> (Vec<u8>, &[(u8, i8)]) {
        (self.starts.windows(2).map(|pair| (pair[1] - pair[0]) as u8).collect(), &self.cells)
    }

    /// The quantisation step of the weights, and the bias of each country.
    pub fn step_and_bias(&self) -> (f32, &[f32]) {
        (self.step, &self.bias)
    }

    /// The range of a term's cells.
    fn range(&self, term: u32) -> Range<usize> {
        self.starts[term as usize] as usize..self.starts[term as usize + 1] as usize
    }

    fn cells(&self, term: u32) -> &[(u8, i8)] {
        &self.cells[self.range(term)]
    }

    /// Scores the countries by the hashes of a document's terms.
    pub fn scores(&self, hashes: impl ExactSizeIterator<Item = u64>) -> TextScores<'_> {
        let mut known = Vec::new();
        self.vocabulary.find_all(hashes, &mut known);
        if known.is_empty() {
            return TextScores { countries: &self.countries, values: vec![UNKNOWN; self.countries.len()] };
        }
        let mut values = self.bias.clone();
        let terms = self.vocabulary.tf_idf(known);
        dispatch!(Level::new(), _simd => self.add_to(&mut values, &terms));
        TextScores { countries: &self.countries, values }
    }

    /// Adds the products of tf-idf and weights to the values, one per country.
    #[inline(always)]
    fn add_to(&self, values: &mut [f32], terms: &[(u32, f32)]) {
        for (term, value) in terms {
            let value = value * self.step;
            match self.dense_row[*term as usize] {
                NO_ROW => {
                    for (country, weight) in self.cells(*term) {
                        values[usize::from(*country)] += value * f32::from(*weight);
                    }
                }
                row => {
                    let row = &self.dense_rows[usize::from(row) * values.len()..][..values.len()];
                    values.iter_mut().zip(row).for_each(|(sum, weight)| *sum += value * f32::from(*weight));
                }
            }
        }
    }

    /// The terms of a document that raise the score of a country, each at its first occurrence, with the contribution of
    /// all its occurrences; the largest contribution first.
    pub fn contributions_to(&self, country: &str, terms: &[Term]) -> Vec<(Term, f32)> {
        let Ok(country) = self.countries.binary_search(&country) else { return Vec::new() };
        let mut known = Vec::new();
        let mut first: HashMap<u32, Term> = HashMap::new();
        for term in terms {
            if let Some(index) = self.vocabulary.find(term.hash) {
                known.push(index);
                first.entry(index).or_insert(*term);
            }
        }
        let mut contributions: Vec<(Term, f32)> = self
            .vocabulary
            .tf_idf(known)
            .into_iter()
            .filter_map(|(term, value)| {
                let weight = self.cells(term).iter().find(|(other, _)| usize::from(*other) == country)?.1;
                (weight > 0).then(|| (first[&term], value * self.step * f32::from(weight)))
            })
            .collect();
        contributions.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.first.cmp(&b.0.first)));
        contributions
    }
}

/// The score of each country of a model: about -1 for most, above 0 if the words suggest the country.
#[derive(Debug, Clone, PartialEq)]
pub struct TextScores<'m> {
    countries: &'m [&'static str],
    values: Vec<f32>,
}

impl TextScores<'_> {
    /// The score of a country; `UNKNOWN` if the model lacks it.
    pub fn of(&self, code: &str) -> f32 {
        self.countries.binary_search(&code).map_or(UNKNOWN, |at| self.values[at])
    }

    /// The `n` highest scores with their countries, the highest first.
    pub fn best(&self, n: usize) -> Vec<(&'static str, f32)> {
        let mut best: Vec<(&'static str, f32)> = Vec::with_capacity(n + 1);
        for (code, value) in self.countries.iter().zip(&self.values) {
            // Most are not among the best.
            if best.len() == n && best.last().is_none_or(|(_, least)| value <= least) {
                continue;
            }
            let at = best.iter().position(|(_, other)| value > other).unwrap_or(best.len());
            if at < n {
                best.insert(at, (code, *value));
                best.truncate(n);
            }
        }
        best
    }

    /// The softmax of the scores times `sharpness`.
    pub fn probabilities(&self, sharpness: f32) -> TextProbabilities<'_> {
        let highest = self.values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let powers: Vec<f64> = self.values.iter().map(|value| f64::from((value - highest) * sharpness).exp()).collect();
        let sum: f64 = powers.iter().sum();
        TextProbabilities {
            countries: self.countries,
            probabilities: powers.into_iter().map(|power| power / sum).collect(),
        }
    }
}

/// The scores of all countries as probabilities that sum to 1.
#[derive(Debug, Clone, PartialEq)]
pub struct TextProbabilities<'m> {
    countries: &'m [&'static str],
    probabilities: Vec<f64>,
}

impl TextProbabilities<'_> {
    /// The probability of a country; `None` if the model lacks it.
    pub fn of(&self, code: &str) -> Option<f64> {
        self.countries.binary_search(&code).ok().map(|at| self.probabilities[at])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{arr1, arr2};

    /// Hash 1 suggests Germany, 2 India, 3 weakly both.
    fn model(most: usize) -> TextModel {
        let terms = [(1, 9), (2, 9), (3, 9)];
        let vocabulary = Vocabulary::build(terms, 20);
        let fitted = LinearSvm { weights: arr2(&[[2.0, -0.5], [-0.25, 1.0], [0.1, 0.1]]), bias: arr1(&[-1.0, -0.9]) };
        TextModel::prune(&fitted, &vocabulary, &terms, 20, vec!["DE", "IN"], most)
    }

    #[test]
    fn words_score_countries() {
        let model = model(6);
        let scores = model.scores([1, 1, 7].into_iter());
        assert!((scores.of("DE") - 1.0).abs() < 0.02, "{}", scores.of("DE"));
        assert!((scores.of("IN") - -1.4).abs() < 0.02, "{}", scores.of("IN"));
        assert_eq!(scores.of("FR"), UNKNOWN);
        assert_eq!(scores.best(1)[0].0, "DE");
        let probabilities = scores.probabilities(3.0);
        assert!(probabilities.of("DE").is_some_and(|share| share > 0.99) && probabilities.of("FR").is_none());
        assert_eq!(model.scores([7].into_iter()).of("DE"), UNKNOWN, "no word is known");
        let term = |hash, first| Term { hash, first, last: first };
        let contributions = model.contributions_to("IN", &[term(1, 0), term(2, 1), term(3, 2)]);
        assert_eq!(contributions.iter().map(|(term, _)| term.first).collect::<Vec<_>>(), [1, 2]);
    }

    #[test]
    fn the_least_influential_cells_are_dropped() {
        let pruned = model(3);
        assert_eq!(pruned.cells_by_term().1.len(), 3);
        assert_eq!(pruned.vocabulary().len(), 2);
        let scores = pruned.scores([2].into_iter());
        assert!((scores.of("IN") - 0.1).abs() < 0.02 && (scores.of("DE") - -1.0).abs() < 0.02);
    }

    #[test]
    fn inconsistent_parts_are_refused() {
        let model = model(6);
        let (lengths, cells) = model.cells_by_term();
        let (step, bias) = model.step_and_bias();
        let build = |countries: &[&str], lengths: &[u8], cells: &[(u8, i8)]| {
            let countries: Vec<String> = countries.iter().map(|code| (*code).to_owned()).collect();
            TextModel::from_parts(&countries, model.vocabulary().clone(), lengths, cells.to_vec(), step, bias.to_vec())
        };
        assert_eq!(build(&["DE", "IN"], &lengths, cells), Some(model.clone()));
        assert_eq!(build(&["DE", "ZZ"], &lengths, cells), None, "an unknown country");
        assert_eq!(build(&["IN", "DE"], &lengths, cells), None, "out of order");
        assert_eq!(build(&["DE"], &lengths, cells), None, "a cell without a country");
        assert_eq!(build(&["DE", "IN"], &lengths[1..], cells), None);
        assert_eq!(build(&["DE", "IN"], &lengths, &cells[1..]), None);
        // More cells than a u32 can count, as a crafted file may announce.
        assert_eq!(build(&["DE", "IN"], &vec![u8::MAX; (1 << 24) + (1 << 17)], cells), None);
    }
}
