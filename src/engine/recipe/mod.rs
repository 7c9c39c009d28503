//! A [`Recipe`] is one merge, in mergekit's own words: the configuration file of `mergekit-yaml`, read and written.
//!
//! Nothing here touches a tensor. [`crate::merge`] turns a recipe and its checkpoints into weights.
//! The vocabulary and the look-up rules are those of mergekit 0.1.5; the reference is the file format, not the code.
mod chat_template;
mod error;
mod lookup;
mod method;
mod model_ref;
mod parameters;
mod read;
mod renamed;
mod router;
mod router_read;
mod router_write;
mod tokenizer;
mod write;

use std::collections::BTreeMap;

pub use crate::units::Dtype;
pub use chat_template::{ChatFormat, ChatTemplate, InvalidChatTemplate};
pub use error::RecipeError;
pub use lookup::{Levels, ParameterError};
pub use method::{BaseUse, Kind, MergeMethod, ModelCount, ParameterSpec, RescaleRule, Scope};
pub use model_ref::{InvalidModelRef, ModelRef};
pub use parameters::{Condition, Parameters, Profile, Setting, Value};
pub use router::{
    AnswerStyle, Classes, DocumentRouter, Features, Gate, GateKind, GateMode, Pooling,
    PromptChange, Prompts, TokenExpert, TokenRouter,
};
pub use tokenizer::{TokenEntry, TokenName, TokenSource, TokenizerChoice, VocabularySource};

/// One merge: which models, by which method, with which parameters.
#[derive(Debug, Clone, PartialEq)]
pub struct Recipe {
    /// The formula that combines the tensors.
    pub merge_method: MergeMethod,
    /// The model that task vectors are taken against.
    pub base_model: Option<ModelRef>,
    /// Which layers of which models become the output's layers.
    pub layout: Layout,
    /// Parameters of the lowest precedence.
    pub parameters: Parameters,
    /// Seed of the random masks of DARE. mergekit takes its seed on the command line; here it is written as
    /// `parameters: {mask_seed: N}`, an entry that mergekit keeps and never looks up.
    pub mask_seed: u64,
    /// How the kept part of a dropped-out task vector is scaled up (`parameters: {rescale_by: ...}`).
    pub rescale_by: RescaleRule,
    /// What the inputs are cast to; the output's type too where `out_dtype` is absent.
    pub dtype: Option<Dtype>,
    /// What the output is stored as.
    pub out_dtype: Option<Dtype>,
    /// The output's vocabulary; `None` where all models have the same one.
    pub tokenizer: Option<TokenizerChoice>,
    /// The output's chat template; `None` = that of the model the tokenizer comes from.
    pub chat_template: Option<ChatTemplate>,
    /// At some layers, several feed-forward blocks of which each token goes through a few.
    pub token_router: Option<TokenRouter>,
    /// Other merges that some documents go to.
    pub document_router: Option<DocumentRouter>,
    /// By task, how it is asked.
    pub prompts: BTreeMap<String, PromptChange>,
}

/// How the output's layers are made up; a file has exactly one of the three.
#[derive(Debug, Clone, PartialEq)]
pub enum Layout {
    /// All layers of all models, one on one.
    Models(Vec<ModelEntry>),
    /// Stacked slices, each merged from the same number of layers of its sources.
    Slices(Vec<OutputSlice>),
    /// One of the above for each stack of layers: what a model with more than one stack needs for slices.
    Modules(Vec<OutputModule>),
}

/// One entry of `modules`: a stack of layers (`encoder`, `decoder`) with the tensors before and after them.
#[derive(Debug, Clone, PartialEq)]
pub struct OutputModule {
    /// Name of the stack.
    pub name: String,
    /// How its layers are made up.
    pub body: ModuleBody,
    /// Parameters between those of the slice and those of the recipe.
    pub parameters: Parameters,
}

/// How a module's layers are made up.
#[derive(Debug, Clone, PartialEq)]
pub enum ModuleBody {
    /// All layers of all models.
    Models(Vec<ModelEntry>),
    /// Stacked slices.
    Slices(Vec<OutputSlice>),
}

/// One entry of `models`.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelEntry {
    /// The model.
    pub model: ModelRef,
    /// Parameters of the highest precedence.
    pub parameters: Parameters,
}

/// One entry of `slices`: a run of output layers.
#[derive(Debug, Clone, PartialEq)]
pub struct OutputSlice {
    /// What is merged; all have the same number of layers.
    pub sources: Vec<SliceSource>,
    /// Overrides [`Recipe::base_model`] for this slice.
    pub base_model: Option<ModelRef>,
    /// Parameters of the middle precedence.
    pub parameters: Parameters,
}

/// One entry of a slice's `sources`.
#[derive(Debug, Clone, PartialEq)]
pub struct SliceSource {
    /// The model.
    pub model: ModelRef,
    /// Which of its layers.
    pub layer_range: LayerRange,
    /// Parameters of the highest precedence.
    pub parameters: Parameters,
}

/// Layers `start..end`, counted from 0, never empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LayerRange {
    start: usize,
    end: usize,
}

impl LayerRange {
    /// `None` unless `start < end`.
    pub fn new(start: usize, end: usize) -> Option<LayerRange> {
        (start < end).then_some(LayerRange { start, end })
    }

    /// First layer.
    pub fn start(self) -> usize {
        self.start
    }

    /// One past the last layer.
    pub fn end(self) -> usize {
        self.end
    }

    /// Number of layers, at least 1.
    pub fn layers(self) -> usize {
        self.end - self.start
    }
}

impl Recipe {
    /// A recipe over whole models, with nothing else set.
    pub fn of_models(merge_method: MergeMethod, models: Vec<ModelEntry>) -> Recipe {
        Recipe::of_layout(merge_method, Layout::Models(models))
    }

    /// A recipe over slices, with nothing else set.
    pub fn of_slices(merge_method: MergeMethod, slices: Vec<OutputSlice>) -> Recipe {
        Recipe::of_layout(merge_method, Layout::Slices(slices))
    }

    fn of_layout(merge_method: MergeMethod, layout: Layout) -> Recipe {
        Recipe {
            merge_method,
            base_model: None,
            layout,
            parameters: Parameters::default(),
            mask_seed: 0,
            rescale_by: RescaleRule::default(),
            dtype: None,
            out_dtype: None,
            tokenizer: None,
            chat_template: None,
            token_router: None,
            document_router: None,
            prompts: BTreeMap::new(),
        }
    }

    /// Reads a mergekit configuration, and beside its keys our own: `token_router`, `document_router`, `prompts`.
    ///
    /// # Errors
    /// Malformed YAML; a key, method, dtype or model name that is not known (the message names it, its line and what
    /// is valid); not exactly one of `models`, `slices` and `modules`; an empty layer range; a number that is not finite;
    /// a router that routes to what there is not.
    pub fn from_yaml(text: &str) -> Result<Recipe, RecipeError> {
        read::from_yaml(text)
    }

    /// The recipe as a file that mergekit accepts, routers and prompts apart; reading it back gives an equal recipe.
    pub fn to_yaml(&self) -> String {
        write::to_yaml(self)
    }

    /// Every model named, each once, in order of first mention; behind them the base model where only `base_model` names
    /// it, and the model whose tokenizer is taken where it is none of them. Then those that only routers name.
    pub fn models(&self) -> Vec<&ModelRef> {
        let mut seen = Vec::new();
        let of_tokenizer = self.tokenizer.iter().filter_map(TokenizerChoice::model);
        let of_tokens = self.token_experts().iter().map(|expert| &expert.source_model);
        let of_merges = self.other_merges().iter().flat_map(Recipe::models);
        let all = self.sources().chain(&self.base_model).chain(of_tokenizer);
        for model in all.chain(of_tokens).chain(of_merges) {
            if !seen.contains(&model) {
                seen.push(model);
            }
        }
        seen
    }

    /// The parameters of all levels, and of all merges.
    pub fn all_parameters(&self) -> impl Iterator<Item = &Parameters> {
        let others = self.other_merges().iter().flat_map(Recipe::own_parameters);
        self.own_parameters().chain(others)
    }

    fn own_parameters(&self) -> impl Iterator<Item = &Parameters> {
        let (entries, slices) = self.entries_and_slices();
        let of_entries = entries.into_iter().map(|entry| &entry.parameters);
        let of_slices = slices.into_iter().flat_map(|slice| {
            slice.sources.iter().map(|source| &source.parameters).chain([&slice.parameters])
        });
        let of_modules = self.modules().iter().map(|module| &module.parameters);
        of_entries.chain(of_slices).chain(of_modules).chain([&self.parameters])
    }

    fn sources(&self) -> impl Iterator<Item = &ModelRef> {
        let (entries, slices) = self.entries_and_slices();
        let of_entries = entries.into_iter().map(|entry| &entry.model);
        let of_slices = slices.into_iter().flat_map(|slice| {
            slice.sources.iter().map(|source| &source.model).chain(&slice.base_model)
        });
        of_entries.chain(of_slices)
    }

    fn modules(&self) -> &[OutputModule] {
        match &self.layout {
            Layout::Modules(modules) => modules,
            Layout::Models(_) | Layout::Slices(_) => &[],
        }
    }

    fn entries_and_slices(&self) -> (Vec<&ModelEntry>, Vec<&OutputSlice>) {
        let (mut entries, mut slices) = (Vec::new(), Vec::new());
        match &self.layout {
            Layout::Models(all) => entries.extend(all),
            Layout::Slices(all) => slices.extend(all),
            Layout::Modules(modules) => {
                for module in modules {
                    match &module.body {
                        ModuleBody::Models(all) => entries.extend(all),
                        ModuleBody::Slices(all) => slices.extend(all),
                    }
                }
            }
        }
        (entries, slices)
    }
}

impl ModelEntry {
    /// An entry with the parameters given.
    pub fn new(model: ModelRef, parameters: impl Into<Parameters>) -> ModelEntry {
        ModelEntry { model, parameters: parameters.into() }
    }
}

#[cfg(test)]
mod router_tests;
#[cfg(test)]
mod tests;
