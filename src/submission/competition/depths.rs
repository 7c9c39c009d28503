//! Merges of unlike depth behind one router. The class runs them on the network of the deepest; the others are its first
//! so many layers, as each layer swaps its weights in anyway.

use crate::merge::MergePlan;

use super::{ClassParts, CompetitionError};

/// Where the families that can be cut keep their layers.
const LAYERS: &str = "model.layers.{}.";

/// Layers of the first stack.
pub(super) fn depth(plan: &MergePlan) -> usize {
    plan.source_layers().first().map_or(0, Vec::len)
}

/// The order in which a class has the merges, by their places in the recipe: the one with the most layers first, which is
/// written out in full, of the others only what differs.
pub(super) fn deepest_first(plans: &[&MergePlan]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..plans.len()).collect();
    order.sort_by_key(|merge| plans.get(*merge).map(|plan| std::cmp::Reverse(depth(plan))));
    order
}

/// How many layers each merge has, in the class's order; `None` where all have as many.
///
/// # Errors
/// [`CompetitionError::Unsupported`] for merges that are not the beginning of the deepest one's network.
pub(super) fn depths(
    parts: &ClassParts,
    order: &[usize],
) -> Result<Option<Vec<usize>>, CompetitionError> {
    let plans = order.iter().filter_map(|merge| Some((*merge, *parts.merges.get(*merge)?)));
    let plans: Vec<(usize, &MergePlan)> = plans.collect();
    let Some(((deepest, first), others)) = plans.split_first() else {
        return Ok(None);
    };
    for (merge, plan) in others {
        if !is_beginning(first, plan) {
            return Err(CompetitionError::Unsupported {
                what: format!(
                    "routes between merge {deepest} and merge {merge}, which has other tensors than the first {} layers of merge {deepest}",
                    depth(plan)
                ),
            });
        }
    }
    let depths: Vec<usize> = plans.iter().map(|(_, plan)| depth(plan)).collect();
    let is_alike = depths.iter().all(|own| *own == depth(first));
    Ok((!is_alike).then_some(depths))
}

/// Whether a merge has the tensors of a deeper one's first layers and all that are outside the layers.
fn is_beginning(deepest: &MergePlan, plan: &MergePlan) -> bool {
    let is_left_out = |name: &str| match deepest.architecture().layer_pattern(name) {
        Some((pattern, layer)) => pattern.starts_with(LAYERS) && layer >= depth(plan),
        None => false,
    };
    let own = plan.tensors().iter().map(|tensor| (&tensor.name, &tensor.shape));
    let all = deepest.tensors().iter().filter(|tensor| !is_left_out(&tensor.name));
    all.map(|tensor| (&tensor.name, &tensor.shape)).eq(own)
}
