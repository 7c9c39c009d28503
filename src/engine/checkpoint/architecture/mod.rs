//! What the tensors of a checkpoint are: which layer they stand in, what they compute, which are copies of others.
//!
//! A known family is a file of name patterns in `families/`; any other checkpoint gets patterns inferred from its tensor
//! names (`generic.rs`). Everything else here reads the patterns and knows no family by name.
mod error;
mod family;
mod generic;
mod output;

use serde_json::Value;

use crate::units::TensorGroup;

pub use error::ArchitectureError;

use family::Family;

/// The layout of a checkpoint's tensors.
#[derive(Debug, Clone, PartialEq)]
pub struct Architecture {
    family: Family,
    known: bool,
    stacks: Vec<Stack>,
    tied: bool,
    /// Of the checkpoint that it was made for: targets of copies, by their name without prefix.
    originals: Vec<(String, String)>,
}

/// A run of layers with what belongs to it outside of them. What all stacks of an encoder-decoder use is a stack without
/// layers, `shared`, as in mergekit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stack {
    /// mergekit's name of the module: `default`, or `encoder`, `decoder` and `shared`.
    pub name: String,
    /// Number of layers that have tensors of their own.
    pub layers: usize,
    /// Whether the model runs through these layers more than once (ALBERT): then only all of them, in order, can be taken.
    pub shared: bool,
}

/// Where in the model a tensor stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Index into [`Architecture::stacks`].
    pub stack: usize,
    /// Where in the stack.
    pub position: Position,
}

/// A place in a stack, in the order of computation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Position {
    /// Ahead of the layers: embeddings.
    Before,
    /// In that layer, counted from 0.
    Layer(usize),
    /// Behind the layers: final norm and head.
    After,
}

impl Architecture {
    /// The architecture of a checkpoint with this `config.json` and tensors of these names.
    ///
    /// # Errors
    /// No number of layers in `config.json`, and none to be inferred.
    pub fn of<'a>(
        config: &Value,
        names: impl Iterator<Item = &'a str>,
    ) -> Result<Architecture, ArchitectureError> {
        let names: Vec<&str> = names.collect();
        let known = Family::find(config)?;
        let is_known = known.is_some();
        let (family, stacks) = match known {
            Some(family) => {
                let stacks = output::stacks(&family, config)?;
                (family, stacks)
            }
            None => generic::infer(config, &names)?,
        };
        let tied = config.get("tie_word_embeddings").and_then(Value::as_bool);
        let tied = tied.unwrap_or(family.tied_by_default);
        let originals = family.originals(&names);
        Ok(Architecture { family, known: is_known, stacks, tied, originals })
    }

    /// `llama`, `t5`, …; of an unknown one, the `model_type` in its `config.json`.
    pub fn family(&self) -> &str {
        &self.family.name
    }

    /// Whether it is one of the families with patterns of their own; the others are inferred and may be misread.
    pub fn is_known(&self) -> bool {
        self.known
    }

    /// At least one.
    pub fn stacks(&self) -> &[Stack] {
        &self.stacks
    }

    /// Where a tensor stands. One that no pattern names stands behind the layers of the last stack.
    pub fn place(&self, tensor: &str) -> Place {
        self.family.place(tensor)
    }

    /// The same tensor in another layer of its stack; unchanged outside the layers.
    pub fn in_layer(&self, tensor: &str, layer: usize) -> String {
        match self.family.layer_number(tensor) {
            Some((_, digits)) => {
                format!("{}{layer}{}", &tensor[..digits.start], &tensor[digits.end..])
            }
            None => tensor.to_owned(),
        }
    }

    /// A tensor's name with `{}` for the number of its layer, and that number; `None` outside the layers.
    pub fn layer_pattern(&self, tensor: &str) -> Option<(String, usize)> {
        let (place, digits) = self.family.layer_number(tensor)?;
        let Position::Layer(layer) = place.position else { return None };
        Some((format!("{}{{}}{}", &tensor[..digits.start], &tensor[digits.end..]), layer))
    }

    /// What a tensor computes.
    pub fn group(&self, tensor: &str) -> TensorGroup {
        let is_of = |group: &TensorGroup| {
            self.filters(*group).iter().any(|filter| tensor.contains(filter.as_str()))
        };
        TensorGroup::NAMED.into_iter().find(is_of).unwrap_or(TensorGroup::Other)
    }

    /// Parts of tensor names that select a group by mergekit's conditional values, where the first filter that occurs
    /// in the name decides, when the groups are listed in the order of [`TensorGroup::NAMED`]. None for
    /// [`TensorGroup::Other`].
    pub fn filters(&self, group: TensorGroup) -> &[String] {
        self.family.groups.filters(group)
    }

    /// Today's name of a tensor that an old checkpoint may have under another.
    pub fn todays_name(&self, tensor: &str) -> String {
        let mut renamed = self.family.renamed.iter();
        let renamed =
            renamed.find_map(|(old, new)| Some(format!("{}{new}", tensor.strip_suffix(old)?)));
        renamed.unwrap_or_else(|| tensor.to_owned())
    }

    /// All names that checkpoints of the family may have a tensor under: with and without the word that a class with a
    /// head puts before those of the class without one.
    pub fn spellings(&self, tensor: &str) -> impl Iterator<Item = String> {
        let bare = self.family.without_prefix(tensor);
        let prefixed = self.family.prefixes.iter().map(move |prefix| format!("{prefix}{bare}"));
        [tensor.to_owned(), bare.to_owned()].into_iter().chain(prefixed)
    }

    /// The axis with one entry per token id; `None` for a tensor without. Positions are not tokens.
    pub fn vocabulary_axis(&self, tensor: &str) -> Option<usize> {
        self.family.vocabulary.get(self.family.without_prefix(tensor)).copied()
    }

    /// The tensor that the model reads instead of this one, if the checkpoint does not store them with different
    /// content (transformers 5 then takes both as they are).
    pub fn copy_of(&self, tensor: &str) -> Option<&str> {
        let original = self.family.copy_of(self.family.without_prefix(tensor), self.tied)?;
        let found = self.originals.iter().find(|(name, _)| name == original);
        found.map(|(_, stored)| stored.as_str()).filter(|stored| *stored != tensor)
    }

    /// Whether `config.json`, or the family's default, says that the head is the embedding.
    pub fn is_tied(&self) -> bool {
        self.tied
    }

    /// Whether a tensor is computed when the model is made, so that what a checkpoint stores of it has no effect: rotary
    /// tables, causal masks, position numbers.
    pub fn is_computed(&self, tensor: &str) -> bool {
        self.family.computed.iter().any(|ending| tensor.ends_with(ending.as_str()))
    }

    /// Whether a layer's product with this tensor (or this tensor itself, a bias) is added to the residual stream as it is.
    /// Of no tensor where a norm comes in between, or it is not known.
    pub fn is_residual(&self, tensor: &str) -> bool {
        self.family.residual.iter().any(|part| tensor.contains(part.as_str()))
    }

    /// Whether some checkpoints of the family lack the tensor: biases, norms of queries and keys, heads.
    pub fn is_optional(&self, tensor: &str) -> bool {
        self.family.optional.iter().any(|part| tensor.contains(part.as_str()))
    }

    /// `config.json` for a model put together from other layers: the number of layers of each stack, settings that
    /// are listed per layer, and those that depend on the layer's number.
    ///
    /// `source_layers` has, for each stack, the layer of this architecture that each output layer comes from.
    ///
    /// # Errors
    /// A setting or a layout that cannot be kept.
    pub fn output_config(
        &self,
        config: &Value,
        source_layers: &[Vec<usize>],
    ) -> Result<Value, ArchitectureError> {
        output::config(self, config, source_layers)
    }
}
