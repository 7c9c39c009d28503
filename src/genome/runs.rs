//! Slices that go on where the one before ends.

use crate::recipe::{LayerRange, OutputSlice, SliceSource};

/// Runs of layers that are merged alike, as one slice each.
pub(super) fn joined(slices: Vec<OutputSlice>) -> Vec<OutputSlice> {
    let mut joined: Vec<OutputSlice> = Vec::new();
    for slice in slices {
        match joined.last_mut() {
            Some(last) if continues(last, &slice) => extend(last, &slice),
            _ => joined.push(slice),
        }
    }
    joined
}

fn continues(last: &OutputSlice, next: &OutputSlice) -> bool {
    let alike = |(a, b): (&SliceSource, &SliceSource)| {
        a.model == b.model
            && a.parameters == b.parameters
            && a.layer_range.end() == b.layer_range.start()
    };
    last.base_model == next.base_model
        && last.parameters == next.parameters
        && last.sources.len() == next.sources.len()
        && last.sources.iter().zip(&next.sources).all(alike)
}

fn extend(last: &mut OutputSlice, next: &OutputSlice) {
    for (a, b) in last.sources.iter_mut().zip(&next.sources) {
        let range = LayerRange::new(a.layer_range.start(), b.layer_range.end());
        a.layer_range = range.unwrap_or(a.layer_range);
    }
}
