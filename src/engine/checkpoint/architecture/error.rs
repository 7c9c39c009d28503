/// Why the layout of a checkpoint is unknown, or cannot be kept in a merge.
#[derive(Debug, thiserror::Error)]
pub enum ArchitectureError {
    /// No number of layers.
    #[error("`{key}` must be a whole number")]
    Count {
        /// The key of `config.json`.
        key: String,
    },
    /// A definition of this program is malformed: a bug.
    #[error("families/{file} cannot be read")]
    Definition {
        /// The file.
        file: &'static str,
        /// Why.
        #[source]
        source: Box<toml::de::Error>,
    },
    /// Layers taken out of an architecture that runs through them several times.
    #[error(
        "{family} uses each of its {layers} groups of layers several times; only all of them, in order, can be taken, found {found:?}"
    )]
    SharedLayers {
        /// The family.
        family: String,
        /// How many groups.
        layers: usize,
        /// What was asked for.
        found: Vec<usize>,
    },
    /// An unknown architecture whose number of layers is nowhere in its config.
    #[error(
        "no key of config.json says that the stack `{stack}` has {layers} layers, so that another number cannot be written"
    )]
    NoCount {
        /// The stack.
        stack: String,
        /// How many layers its tensors have.
        layers: usize,
    },
    /// A setting by which a layer computes other numbers at another depth.
    #[error("`{key}` depends on the number of the layer; layers must keep their numbers")]
    LayerNumber {
        /// The key of `config.json`.
        key: String,
    },
}
