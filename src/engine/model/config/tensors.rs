//! Parts that several families have, by the names of their tensors.

use super::fields::{Fields, invalid};
use super::{ConfigError, Has};
use crate::model::spec::{
    AttentionSpec, LinearSpec, MatrixSpec, NormKind, NormSpec, PositionsSpec, VectorSpec,
};

/// `name.weight` `[outputs, inputs]` and, if `bias`, `name.bias` `[outputs]`.
pub(super) fn linear(name: &str, outputs: usize, inputs: usize, bias: bool) -> LinearSpec {
    LinearSpec {
        weight: MatrixSpec::whole(format!("{name}.weight"), outputs, inputs),
        bias: bias.then(|| VectorSpec::whole(format!("{name}.bias"), outputs)),
    }
}

/// `name.weight` and `name.bias`, both `[width]`.
pub(super) fn layer_norm(name: &str, width: usize, epsilon: f32) -> NormSpec {
    NormSpec {
        kind: NormKind::Layer,
        weight: VectorSpec::whole(format!("{name}.weight"), width),
        bias: Some(VectorSpec::whole(format!("{name}.bias"), width)),
        epsilon,
    }
}

/// Heads of a network that has as many for keys as for queries.
#[derive(Clone, Copy)]
pub(super) struct Heads {
    pub count: usize,
    /// Width of one.
    pub dim: usize,
}

impl Heads {
    /// `width` cut into as many heads as the file says.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] if they do not divide it.
    pub fn read(
        fields: &Fields,
        names: &[&str],
        default: usize,
        width: usize,
    ) -> Result<Self, ConfigError> {
        let count = fields.part_count_of(names, default)?;
        if width.is_multiple_of(count) {
            return Ok(Heads { count, dim: width / count });
        }
        let name = fields.spelling(names)?;
        Err(invalid(name, &count.into(), &format!("a divisor of the model's width {width}")))
    }

    /// Width of all heads together.
    pub fn width(self) -> usize {
        self.count * self.dim
    }

    /// Attention scaled by `1 / √dim` that knows no positions; the matrices are query, key, value and output.
    pub fn attention(self, [query, key, value, output]: [LinearSpec; 4]) -> AttentionSpec {
        AttentionSpec {
            query,
            key,
            value,
            output,
            head_norms: None,
            heads: self.count,
            kv_heads: self.count,
            head_dim: self.dim,
            scale: (self.dim as f64).powf(-0.5) as f32,
            softcap: None,
            window: None,
            positions: PositionsSpec::Absolute,
        }
    }
}

/// The matrix under its own name or, where `tied`, the first of `others` that is stored.
///
/// # Errors
/// [`ConfigError::NoHead`] if none is.
pub(super) fn tied_or_own(
    own: String,
    others: &[String],
    tied: bool,
    shape: [usize; 2],
    has: Has,
) -> Result<MatrixSpec, ConfigError> {
    let others = if tied { others } else { &[] };
    let tensor = std::iter::once(&own).chain(others).find(|name| has(name)).cloned();
    let tensor = tensor.ok_or(ConfigError::NoHead { expected: own })?;
    let [outputs, inputs] = shape;
    Ok(MatrixSpec::whole(tensor, outputs, inputs))
}

/// Refuses a checkpoint whose last layer tells labels apart where only language models are scored.
pub(super) fn refuse_classifier(has: Has, classifier: &str) -> Result<(), ConfigError> {
    match has(classifier) && !has("lm_head.weight") {
        true => Err(ConfigError::NoHead {
            expected: format!("language model's head (but `{classifier}`)"),
        }),
        false => Ok(()),
    }
}
