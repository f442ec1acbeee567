use crate::linear::SoftmaxLayer;
use ndarray::{Array1, ArrayView1, Axis, Slice};

/// Lengths, in words, beyond which an article counts as no shorter or longer: training rows have few beyond.
const LENGTHS: (f64, f64) = (4.0, 1000.0);
/// The natural logarithm of a usual length (55 words), so that usual articles are near 0.
const USUAL_LENGTH: f64 = 4.0;

/// How an article is put together. What a score is worth depends on it: the same score says more of a headline alone than of
/// a thousand words, and the decision layer reads it beside the scores.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Form {
    kind: FormKind,
    /// The logarithm of the number of words, against a usual length.
    length: f64,
}

/// What an article has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FormKind {
    /// A body alone, or nothing.
    Body,
    /// A headline and a body.
    Both,
    /// A headline alone.
    Headline,
}

impl Form {
    /// The form of an article of so many words, of which so many are the headline's.
    pub fn of(words: usize, headline: usize) -> Self {
        Form {
            kind: match headline {
                0 => FormKind::Body,
                _ if words > headline => FormKind::Both,
                _ => FormKind::Headline,
            },
            length: (words as f64).clamp(LENGTHS.0, LENGTHS.1).ln() - USUAL_LENGTH,
        }
    }

    /// What the article has.
    pub fn kind(&self) -> FormKind {
        self.kind
    }

    /// Whether there are both headline and body, whether there is a headline alone, and the length.
    fn factors(&self) -> [f64; 3] {
        let is = |kind: FormKind| f64::from(u8::from(self.kind == kind));
        [is(FormKind::Both), is(FormKind::Headline), self.length]
    }

    /// How many inputs a decision layer has that reads the form beside so many scores.
    pub fn inputs_for(scores: usize) -> usize {
        4 * scores + 3
    }

    /// Whether the forms of articles differ: whether less than nine in ten have both headline and body, or a headline alone,
    /// or a body alone. Where they do not, the form says nothing, and the decision layer reads the scores alone.
    pub fn differ(forms: &[Form]) -> bool {
        let count = |kind: FormKind| forms.iter().filter(|form| form.kind == kind).count();
        let commonest = [FormKind::Body, FormKind::Both, FormKind::Headline].map(count).into_iter().max().unwrap_or(0);
        commonest * 10 < forms.len() * 9
    }

    /// What the decision layer reads: the scores, the scores once more times each of the three numbers above, and these.
    pub fn inputs(&self, scores: ArrayView1<'_, f64>) -> Array1<f64> {
        let factors = self.factors();
        let scaled = factors.iter().flat_map(|factor| scores.iter().map(move |score| score * factor));
        scores.iter().copied().chain(scaled).chain(factors).collect()
    }

    /// The decision layer as it is for articles of this form, over plain scores: what it says of [`inputs`](Self::inputs),
    /// this one says of the scores. So every score keeps one weight, and evidence stays exact. A layer that reads the scores
    /// alone is left as it is.
    pub fn layer(&self, layer: &SoftmaxLayer) -> SoftmaxLayer {
        let n = layer.intercept.len();
        if layer.weights.nrows() == n {
            return layer.clone();
        }
        let of_scores = |block: usize| layer.weights.slice_axis(Axis(0), Slice::from(block * n..(block + 1) * n));
        let mut weights = of_scores(0).to_owned();
        let mut intercept = layer.intercept.clone();
        for (i, factor) in self.factors().into_iter().enumerate() {
            weights.scaled_add(factor, &of_scores(i + 1));
            intercept.scaled_add(factor, &layer.weights.row(4 * n + i));
        }
        SoftmaxLayer { weights, intercept }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array2, array};

    fn form(headline: usize, words: usize) -> Form {
        Form::of(words, headline)
    }

    #[test]
    fn forms_are_told_apart() {
        assert_eq!(form(5, 5).factors()[..2], [0.0, 1.0]);
        assert_eq!(form(5, 60).factors()[..2], [1.0, 0.0]);
        assert_eq!(form(0, 60).factors()[..2], [0.0, 0.0]);
        assert!(form(0, 60).length > form(0, 6).length);
        assert_eq!(form(0, 5_000), form(0, 50_000));
        assert_eq!(form(0, 0), form(0, 4));
        assert!(Form::differ(&[form(5, 5), form(5, 60)]));
        assert!(!Form::differ(&[form(0, 5), form(0, 60)]));
    }

    #[test]
    fn the_folded_layer_says_the_same() {
        let weights =
            Array2::from_shape_fn((Form::inputs_for(2), 2), |(i, j)| (i as f64 - 3.0) * 0.1 + j as f64 * 0.37);
        let layer = SoftmaxLayer { weights, intercept: array![0.2, -0.1] };
        let scores = array![0.7, -1.3];
        for form in [form(5, 5), form(5, 60), form(0, 700)] {
            let whole = layer.probabilities(form.inputs(scores.view()).view());
            let folded = form.layer(&layer).probabilities(scores.view());
            assert!((&whole - &folded).iter().all(|gap| gap.abs() < 1e-12), "{whole} {folded}");
        }
    }
}
