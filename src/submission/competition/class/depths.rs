//! Merges of unlike depth behind one router. The class runs them on the network of the deepest; the others are its first
//! so many layers, as each layer swaps its weights in anyway.

use crate::merge::MergePlan;

use super::super::{ClassParts, CompetitionError};
use super::unsupported;

/// Where the families that can be cut keep their layers.
const LAYERS: &str = "model.layers.{}.";

/// Layers of the first stack.
fn depth(plan: &MergePlan) -> usize {
    plan.source_layers().first().map_or(0, Vec::len)
}

/// The same submission, the merge with the most layers first: the first one is written out in full, of the others only
/// what differs.
pub(super) fn deepest_first<'p>(parts: &ClassParts<'p>) -> ClassParts<'p> {
    let mut order: Vec<usize> = (0..parts.merges.len()).collect();
    let layers = |merge: usize| parts.merges.get(merge).map_or(0, |plan| depth(plan));
    order.sort_by_key(|merge| std::cmp::Reverse(layers(*merge)));
    let mut sorted = parts.clone();
    sorted.merges = order.iter().filter_map(|merge| parts.merges.get(*merge).copied()).collect();
    let place = |merge: &usize| order.iter().position(|own| own == merge).unwrap_or(*merge);
    if let Some(router) = &mut sorted.router {
        router.routes = router.routes.iter().map(place).collect();
    }
    sorted
}

/// How many layers each merge has, the deepest first; `None` where all have as many.
///
/// # Errors
/// [`CompetitionError::Unsupported`] for merges that are not the beginning of the first one's network.
pub(super) fn depths(parts: &ClassParts) -> Result<Option<Vec<usize>>, CompetitionError> {
    let depths: Vec<usize> = parts.merges.iter().map(|plan| depth(plan)).collect();
    let Some((first, others)) = parts.merges.split_first() else {
        return Ok(None);
    };
    let is_alike = others.iter().all(|plan| depth(plan) == depth(first));
    for (merge, plan) in others.iter().enumerate() {
        require_beginning(first, plan, merge + 1)?;
    }
    Ok((!is_alike).then_some(depths))
}

/// Whether a merge has the tensors of the first one's first layers and all that are outside the layers.
fn require_beginning(
    first: &MergePlan,
    plan: &MergePlan,
    merge: usize,
) -> Result<(), CompetitionError> {
    let is_left_out = |name: &str| match first.architecture().layer_pattern(name) {
        Some((pattern, layer)) => pattern.starts_with(LAYERS) && layer >= depth(plan),
        None => false,
    };
    let own: Vec<_> = plan.tensors().iter().map(|tensor| (&tensor.name, &tensor.shape)).collect();
    let of_first = first.tensors().iter().filter(|tensor| !is_left_out(&tensor.name));
    match of_first.map(|tensor| (&tensor.name, &tensor.shape)).eq(own) {
        true => Ok(()),
        false => Err(unsupported(format!(
            "routes between networks of unlike layers: merge {merge} is not the beginning of the deepest one"
        ))),
    }
}
