//! Gates of a mixture of experts: which of a layer's feed-forward blocks a token goes through.

use std::fmt;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::MergeError;

/// What stands for an expert: for each layer of the base model, a vector as long as its hidden states.
pub type Prototype = Vec<Vec<f64>>;

/// Below this share of an expert's prototype, what distinguishes it from the others is rounding.
const NOTHING: f64 = 1e-6;

/// Gates of one set of experts for all layers of the base model, at temperature 1.
///
/// With `p_e` the prototype of expert `e` at a layer and `m` their mean over the experts, its gate is the unit vector
/// `g_e = (p_e − m) / ‖p_e − m‖`, or 0 where `p_e` is `m`: what all experts' prompts have in common says nothing about which
/// expert a token is for. A Mixtral's router reads `h`, normalised to root mean square 1, so that `‖h‖` is about `√hidden` and
/// the logit `g_e · h` is about `√hidden · cos(g_e, h)`: of standard deviation 1 for a token that has nothing to do with the
/// expert, whatever the model's width. At temperature `T` the gates are `g_e / T`.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerGates {
    experts: usize,
    hidden: usize,
    /// By layer, `[experts, hidden]`, row-major.
    layers: Vec<Vec<f32>>,
}

impl LayerGates {
    /// The gates of experts with these prototypes, one for each.
    ///
    /// # Errors
    /// [`MergeError::Prototypes`]: there are none, or they have different shapes.
    pub fn new(prototypes: &[&Prototype]) -> Result<LayerGates, MergeError> {
        let [first, ..] = prototypes else {
            return Err(MergeError::Prototypes { found: "there is none".to_owned() });
        };
        let shape = |prototype: &Prototype| prototype.iter().map(Vec::len).collect::<Vec<usize>>();
        let hidden = first.first().map_or(0, Vec::len);
        let alike = |prototype: &&Prototype| shape(prototype) == vec![hidden; first.len()];
        if !prototypes.iter().all(alike) {
            return Err(MergeError::Prototypes { found: "they have different shapes".to_owned() });
        }
        let of_layer = |layer: usize| {
            let rows: Vec<&[f64]> = prototypes.iter().map(|own| own[layer].as_slice()).collect();
            directions(&rows, hidden)
        };
        let layers = (0..first.len()).map(of_layer).collect();
        Ok(LayerGates { experts: prototypes.len(), hidden, layers })
    }

    /// Number of experts.
    pub fn experts(&self) -> usize {
        self.experts
    }

    /// Width of the base model.
    pub fn hidden(&self) -> usize {
        self.hidden
    }

    /// `[experts, hidden]`, row-major, of a layer of the base model; `None`: there is no such layer.
    pub fn layer(&self, layer: usize) -> Option<&[f32]> {
        self.layers.get(layer).map(Vec::as_slice)
    }
}

/// See [`LayerGates`].
fn directions(prototypes: &[&[f64]], hidden: usize) -> Vec<f32> {
    let count = prototypes.len() as f64;
    let mean: Vec<f64> =
        (0..hidden).map(|i| prototypes.iter().map(|own| own[i]).sum::<f64>() / count).collect();
    let mut gates = Vec::with_capacity(prototypes.len() * hidden);
    for prototype in prototypes {
        let own: Vec<f64> = prototype.iter().zip(&mean).map(|(p, m)| p - m).collect();
        let length = norm(&own);
        let is_distinct = length > NOTHING * norm(prototype);
        gates.extend(own.iter().map(|x| if is_distinct { (x / length) as f32 } else { 0.0 }));
    }
    gates
}

fn norm(vector: &[f64]) -> f64 {
    vector.iter().map(|x| x * x).sum::<f64>().sqrt()
}

/// A tensor's elements, known before anything is merged. Cheap to clone; its debug form names the elements by their SHA-256.
#[derive(Clone, PartialEq)]
pub struct Given {
    digest: [u8; 32],
    values: Arc<[f32]>,
}

impl Given {
    /// Row-major.
    pub fn new(values: Vec<f32>) -> Given {
        let mut hash = Sha256::new();
        values.iter().for_each(|value| hash.update(value.to_le_bytes()));
        Given { digest: hash.finalize().into(), values: values.into() }
    }

    /// Row-major.
    pub fn values(&self) -> &[f32] {
        &self.values
    }
}

impl fmt::Debug for Given {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Given({} × ", self.values.len())?;
        self.digest.iter().try_for_each(|byte| write!(out, "{byte:02x}"))?;
        write!(out, ")")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Prototypes (3, 4) and (1, 0) have the mean (2, 2) and lie (1, 2) and (−1, −2) from it, √5 away.
    #[test]
    fn two_experts_of_width_two_by_hand() {
        let (first, second) = (vec![vec![3.0, 4.0]], vec![vec![1.0, 0.0]]);
        let gates = LayerGates::new(&[&first, &second]).unwrap();
        let (a, b) = (0.447_213_6, 0.894_427_2);
        let expected = [a, b, -a, -b];
        for (got, expected) in gates.layer(0).unwrap().iter().zip(expected) {
            assert!((got - expected).abs() < 1e-6, "{got}, expected {expected}");
        }
        assert_eq!((gates.experts(), gates.hidden(), gates.layer(1)), (2, 2, None));
    }

    #[test]
    fn experts_that_are_for_the_same_are_not_told_apart_by_rounding() {
        let same = vec![vec![0.1, 0.7, -0.3]];
        let gates = LayerGates::new(&[&same, &same, &same]).unwrap();
        assert_eq!(gates.layer(0).unwrap(), [0.0; 9]);
    }

    #[test]
    fn what_differs_in_shape_is_refused() {
        let (short, long) = (vec![vec![1.0]], vec![vec![1.0, 2.0]]);
        assert!(matches!(LayerGates::new(&[&short, &long]), Err(MergeError::Prototypes { .. })));
        assert!(matches!(LayerGates::new(&[]), Err(MergeError::Prototypes { .. })));
    }

    #[test]
    fn given_values_are_told_apart() {
        let [a, b, same] = [vec![1.0, 2.0], vec![1.0, 2.000_000_2], vec![1.0, 2.0]].map(Given::new);
        assert!(a == same && a != b);
        assert!(format!("{a:?}") == format!("{same:?}") && format!("{a:?}") != format!("{b:?}"));
    }
}
