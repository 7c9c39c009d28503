//! Names of tensors that stand for all tensors that a space or a recipe tells apart.

use super::Decoder;
use crate::recipe::{Recipe, Setting};
use crate::space::Group;
use crate::units::TensorGroup;

/// A tensor's name, or a part of it, on which a condition can be tried.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Probe {
    pub(super) tensor: String,
    /// Index into the space's groups; their number stands for the rest.
    pub(super) group: usize,
    /// Whether such tensors stand in the layers.
    pub(super) layered: bool,
}

impl Decoder {
    /// One or more for each group of the space.
    pub(super) fn probes(&self) -> Vec<Probe> {
        let groups = self.space.groups.iter().enumerate();
        let of_group = groups.flat_map(|(group, what)| {
            let filters = match what {
                Group::Named(named) => self.filters.of(*named).to_vec(),
                Group::Filter(filter) => vec![filter.clone()],
            };
            let layered = what.has_depth();
            filters.into_iter().map(move |tensor| Probe { tensor, group, layered })
        });
        let rest = Probe { tensor: String::new(), group: self.space.groups.len(), layered: true };
        of_group.chain([rest]).collect()
    }

    /// Those of the groups, and those that only the recipe tells apart.
    pub(super) fn probes_of(&self, recipe: &Recipe) -> Vec<Probe> {
        let groups = self.probes();
        let mut probes = groups.clone();
        for filter in filters(recipe) {
            let overlaps = |probe: &Probe| {
                !probe.tensor.is_empty()
                    && (probe.tensor.contains(filter) || filter.contains(&probe.tensor))
            };
            if groups.iter().any(|probe| probe.tensor == filter) {
                continue;
            }
            let inside = groups
                .iter()
                .find(|probe| !probe.tensor.is_empty() && filter.contains(&probe.tensor));
            // A group's name as the space has it, with the finer condition; or a tensor of the rest.
            let combined = groups.iter().filter(|probe| {
                !probe.tensor.is_empty() && probe.layered && !self.is_named(filter)
            });
            if let Some(group) = inside {
                probes.push(Probe { tensor: filter.to_owned(), ..group.clone() });
            } else if !groups.iter().any(overlaps) {
                let tensor = |probe: &Probe| format!("{}.{filter}", probe.tensor);
                probes
                    .extend(combined.map(|probe| Probe { tensor: tensor(probe), ..probe.clone() }));
                let rest = self.space.groups.len();
                probes.push(Probe { tensor: filter.to_owned(), group: rest, layered: true });
            }
        }
        probes
    }

    /// Whether the architecture has a group of tensors with that filter, which then are no other group's.
    fn is_named(&self, filter: &str) -> bool {
        TensorGroup::NAMED.iter().any(|group| self.filters.of(*group).iter().any(|f| f == filter))
    }
}

/// Every filter of a recipe's conditions, each once.
fn filters(recipe: &Recipe) -> Vec<&str> {
    let mut filters = Vec::new();
    for (_, setting) in recipe.all_parameters().flat_map(|parameters| parameters.iter()) {
        if let Setting::Conditional(conditions) = setting {
            for filter in conditions.iter().filter_map(|condition| condition.filter.as_deref()) {
                if filter != "*" && !filter.is_empty() && !filters.contains(&filter) {
                    filters.push(filter);
                }
            }
        }
    }
    filters
}
