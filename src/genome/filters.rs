//! What the named groups mean in one architecture.

use std::collections::BTreeMap;

use crate::units::TensorGroup;

/// For each named group, the parts of tensors' names that belong to it, in the order in which they are to be tried.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GroupFilters(BTreeMap<TensorGroup, Vec<String>>);

impl GroupFilters {
    /// Checkpoints named as Llama's are.
    pub fn llama() -> Self {
        [
            (TensorGroup::Attention, "self_attn"),
            (TensorGroup::Mlp, "mlp"),
            (TensorGroup::Norm, "norm"),
            (TensorGroup::Embedding, "embed_tokens"),
            (TensorGroup::Head, "lm_head"),
        ]
        .into_iter()
        .map(|(group, filter)| (group, vec![filter.to_owned()]))
        .collect()
    }

    /// None for a group that the architecture does not have.
    pub fn of(&self, group: TensorGroup) -> &[String] {
        self.0.get(&group).map_or(&[], Vec::as_slice)
    }
}

impl FromIterator<(TensorGroup, Vec<String>)> for GroupFilters {
    fn from_iter<I: IntoIterator<Item = (TensorGroup, Vec<String>)>>(groups: I) -> Self {
        Self(groups.into_iter().collect())
    }
}
