//! What the genes say of blocks of layers, put on a recipe that has all layers in their places.
//!
//! The blocks stand in a row. First blocks change places, from the left to the right: what stands at the place of a block
//! that says `swap` by then changes places with what stands behind it, so that a chain of them carries the first of them
//! as far to the right. Then each block, wherever it stands, is left out, stands once, or twice in a row. If nothing is
//! left, the first block stands.
//!
//! Tensors outside the layers are merged as if all layers were in their places. Only where each layer is one model's
//! (passthrough) they come, as in mergekit, from the models of the first and the last layer.

use super::layered::Layered;
use super::values::Reading;
use super::{Decoder, DecoderError};
use crate::recipe::{Layout, MergeMethod, ModelRef, Parameters, Recipe};
use crate::space::{DepthChoice, GeneKey, LayerRouting, SearchSpace};

/// One block of layers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct BlockChoice {
    /// Whose layers, as [`SearchSpace::model_name`] counts models; `None`: merged.
    pub(super) source: Option<usize>,
    pub(super) depth: DepthChoice,
    /// Factor on what its layers add to the residual stream.
    pub(super) scale: f64,
}

impl BlockChoice {
    fn is_plain(&self) -> bool {
        self.source.is_none() && self.depth == DepthChoice::Keep && self.scale == 1.0
    }
}

/// The blocks of the output, in its order.
pub(super) fn arrangement(choices: &[DepthChoice]) -> Vec<usize> {
    let mut row: Vec<usize> = (0..choices.len()).collect();
    for (place, choice) in choices.iter().enumerate() {
        if *choice == DepthChoice::Swap && place + 1 < row.len() {
            row.swap(place, place + 1);
        }
    }
    let times = |block: usize| match choices.get(block) {
        Some(DepthChoice::Skip) => 0,
        Some(DepthChoice::Repeat) => 2,
        _ => 1,
    };
    let mut output: Vec<usize> =
        row.into_iter().flat_map(|block| std::iter::repeat_n(block, times(block))).collect();
    if output.is_empty() {
        output.push(0);
    }
    output
}

/// Refuses genes that the models have no use for.
pub(super) fn check(decoder: &Decoder) -> Result<(), DecoderError> {
    let landmarks = decoder.filters.landmarks();
    let Some(routing) = &decoder.space.routing.layers else {
        return Ok(());
    };
    if landmarks.before.is_empty() && landmarks.after.is_empty() {
        return Err(DecoderError::SeveralStacks);
    }
    if routing.scale.is_some() && landmarks.outputs.is_empty() {
        return Err(DecoderError::NoOutputs);
    }
    Ok(())
}

impl Reading<'_> {
    /// `plain`, as the space's other genes have it, with its layers as those of `[routing.layers]` say.
    pub(super) fn with_layers(&self, plain: Recipe) -> Recipe {
        let Some(routing) = &self.space().routing.layers else {
            return plain;
        };
        let blocks = self.block_choices(routing);
        if blocks.iter().all(BlockChoice::is_plain) {
            return plain;
        }
        let plain = if routing.depth_only() { plain } else { with_weights(plain) };
        match Layered::of(&plain, self.decoder.layers) {
            None => plain,
            Some(layered) => self.laid_out(&layered, routing, &blocks),
        }
    }

    fn laid_out(
        &self,
        layered: &Layered<'_>,
        routing: &LayerRouting,
        blocks: &[BlockChoice],
    ) -> Recipe {
        let depth: Vec<DepthChoice> = blocks.iter().map(|block| block.depth).collect();
        let landmarks = self.decoder.filters.landmarks();
        let mut slices = Vec::new();
        for block in arrangement(&depth) {
            let Some(choice) = blocks.get(block) else { continue };
            for slice in layered.layers(routing.layers_of(block, self.decoder.layers)) {
                let mut slice = slice.clone();
                if let Some(model) = choice.source {
                    layered.take(&mut slice, &model_of(self.space(), model));
                }
                if choice.scale != 1.0 {
                    layered.scale(&mut slice, choice.scale, &landmarks.outputs);
                }
                slices.push(slice);
            }
        }
        layered.recipe(slices, landmarks)
    }

    pub(super) fn block_choices(&self, routing: &LayerRouting) -> Vec<BlockChoice> {
        let blocks = routing.blocks(self.decoder.layers);
        let choice = |block: usize| {
            let depth = self.category(GeneKey::Depth { block }).unwrap_or(0);
            let depth = routing.choices(block, blocks).get(depth).copied();
            BlockChoice {
                source: self.category(GeneKey::Source { block }).unwrap_or(0).checked_sub(1),
                depth: depth.unwrap_or(DepthChoice::Keep),
                scale: self.real(GeneKey::BlockScale { block }).unwrap_or(1.0),
            }
        };
        (0..blocks).map(choice).collect()
    }
}

/// What comes back where no expert takes part has no weights; the mean of one model has.
fn with_weights(plain: Recipe) -> Recipe {
    match (plain.merge_method, plain.layout) {
        (MergeMethod::Passthrough, Layout::Models(mut entries)) => {
            for entry in &mut entries {
                entry.parameters = Parameters::from([("weight", 1.0)]);
            }
            let (merge_method, layout) = (MergeMethod::Linear, Layout::Models(entries));
            Recipe { merge_method, layout, ..plain }
        }
        (_, layout) => Recipe { layout, ..plain },
    }
}

fn model_of(space: &SearchSpace, model: usize) -> ModelRef {
    let expert = model.checked_sub(1).and_then(|expert| space.experts.get(expert));
    expert.map_or_else(|| space.base.clone(), |expert| expert.model.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use DepthChoice::{Keep, Repeat, Skip, Swap};

    #[test]
    fn blocks_stand_as_worked_out_by_hand() {
        assert_eq!(arrangement(&[Keep, Keep, Keep]), [0, 1, 2]);
        assert_eq!(arrangement(&[Keep, Skip, Repeat]), [0, 2, 2]);
        assert_eq!(arrangement(&[Swap, Keep, Keep]), [1, 0, 2]);
        assert_eq!(arrangement(&[Swap, Swap, Keep]), [1, 2, 0], "carried on");
        assert_eq!(arrangement(&[Swap, Repeat, Skip]), [1, 1, 0]);
        assert_eq!(arrangement(&[Keep, Keep, Swap]), [0, 1, 2], "nothing to change places with");
        assert_eq!(arrangement(&[Skip, Skip, Skip]), [0], "the first block stays");
    }
}
