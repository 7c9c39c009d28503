/// Why a space cannot be searched with models of this architecture.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecoderError {
    /// As mergekit-evolve refuses it.
    #[error(
        "key `genome.layer_granularity` is {layers_per_block}; valid: 0 or a divisor of the model's {layers} layers"
    )]
    UnevenBlocks {
        /// Layers of a block.
        layers_per_block: usize,
        /// Layers of the model.
        layers: usize,
    },
    /// Its genes would change nothing.
    #[error(
        "key `merge.groups` has `{group}`, of which the models have no tensors; leave it out, or write a filter"
    )]
    NoSuchGroup {
        /// The group's word.
        group: &'static str,
    },
}
