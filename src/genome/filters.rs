//! What the named groups mean in one architecture.

use std::collections::BTreeMap;

use crate::units::TensorGroup;

/// For each named group, the parts of tensors' names that belong to it, in the order in which they are to be tried; and the
/// tensors that layers are told apart by.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GroupFilters {
    groups: BTreeMap<TensorGroup, Vec<String>>,
    landmarks: Landmarks,
}

/// Names of tensors that matter where layers are chosen.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Landmarks {
    /// All tensors ahead of the layers: embeddings.
    pub before: Vec<String>,
    /// All tensors behind the layers: final norm and head.
    pub after: Vec<String>,
    /// Those of the first layer whose products are added to the residual stream. None where that is not known, or a norm
    /// stands between, which would undo a factor.
    pub outputs: Vec<String>,
}

impl GroupFilters {
    /// Checkpoints named as Llama's are.
    pub fn llama() -> Self {
        let filters: GroupFilters = [
            (TensorGroup::Attention, "self_attn"),
            (TensorGroup::Mlp, "mlp"),
            (TensorGroup::Norm, "norm"),
            (TensorGroup::Embedding, "embed_tokens"),
            (TensorGroup::Head, "lm_head"),
        ]
        .into_iter()
        .map(|(group, filter)| (group, vec![filter.to_owned()]))
        .collect();
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        filters.with_landmarks(Landmarks {
            before: names(&["model.embed_tokens.weight"]),
            after: names(&["model.norm.weight", "lm_head.weight"]),
            outputs: names(&[
                "model.layers.0.mlp.down_proj.weight",
                "model.layers.0.self_attn.o_proj.weight",
            ]),
        })
    }

    /// The same groups with these tensors.
    pub fn with_landmarks(self, landmarks: Landmarks) -> Self {
        Self { landmarks, ..self }
    }

    /// None for a group that the architecture does not have.
    pub fn of(&self, group: TensorGroup) -> &[String] {
        self.groups.get(&group).map_or(&[], Vec::as_slice)
    }

    /// The tensors that layers are told apart by.
    pub fn landmarks(&self) -> &Landmarks {
        &self.landmarks
    }
}

impl FromIterator<(TensorGroup, Vec<String>)> for GroupFilters {
    fn from_iter<I: IntoIterator<Item = (TensorGroup, Vec<String>)>>(groups: I) -> Self {
        Self { groups: groups.into_iter().collect(), landmarks: Landmarks::default() }
    }
}
