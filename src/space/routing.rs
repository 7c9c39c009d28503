//! What of routing is searched: which layers there are and whose, and which inputs go where.

use crate::recipe::{AnswerStyle, Classes, Features, GateKind, GateMode, Prompts};

/// The `[routing]` tables of a space; all absent: every candidate has all layers once, merged, and one path through them.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Routing {
    /// Layers: whose, and which of them.
    pub layers: Option<LayerRouting>,
    /// Several merges, and which documents go to which.
    pub documents: Option<DocumentRouting>,
    /// Mixture of experts.
    pub tokens: Option<TokenRouting>,
    /// How tasks are asked.
    pub prompts: Vec<PromptRouting>,
}

impl Routing {
    /// Whether candidates can differ in time: by their layers, by what inputs go through, or by how tasks are asked.
    pub fn varies_time(&self) -> bool {
        let depth = self.layers.as_ref().is_some_and(|layers| layers.depth.len() > 1);
        depth || self.documents.is_some() || self.tokens.is_some() || !self.prompts.is_empty()
    }

    /// Layers of the base model that a document router reads prompts with, at most.
    pub fn router_layers(&self) -> usize {
        let features = self.documents.iter().flat_map(|documents| &documents.features);
        features.map(|features| features.layers()).max().unwrap_or(0)
    }
}

/// Genes of blocks of layers.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerRouting {
    /// Layers of a block; the last takes what is left.
    pub layers_per_block: usize,
    /// Whether a block may be taken from one model instead of being merged.
    pub choose_source: bool,
    /// What may be done with a block, `Keep` first; more than one makes a gene per block.
    pub depth: Vec<DepthChoice>,
    /// Range of a factor on what a block adds to the residual stream.
    pub scale: Option<(f64, f64)>,
}

/// What is done with a block of layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DepthChoice {
    /// Stands where it stood, once.
    Keep,
    /// Left out.
    Skip,
    /// Stands twice, one after the other.
    Repeat,
    /// Changes places with the block after it.
    Swap,
}

impl DepthChoice {
    /// All choices; the first leaves a block as it is.
    pub const ALL: [DepthChoice; 4] =
        [DepthChoice::Keep, DepthChoice::Skip, DepthChoice::Repeat, DepthChoice::Swap];

    /// The word in the file, and of the genes.
    pub fn as_str(self) -> &'static str {
        match self {
            DepthChoice::Keep => "keep",
            DepthChoice::Skip => "skip",
            DepthChoice::Repeat => "repeat",
            DepthChoice::Swap => "swap",
        }
    }
}

impl LayerRouting {
    /// Number of blocks of `layers` layers.
    pub fn blocks(&self, layers: usize) -> usize {
        layers.div_ceil(self.layers_per_block)
    }

    /// Layers of a block, of `layers` in all.
    pub fn layers_of(&self, block: usize, layers: usize) -> std::ops::Range<usize> {
        let start = block * self.layers_per_block;
        start.min(layers)..(start + self.layers_per_block).min(layers)
    }

    /// Whether layers are only left out, repeated and moved.
    pub fn depth_only(&self) -> bool {
        !self.choose_source && self.scale.is_none()
    }

    /// What may be done with a block of so many: The last has none to change places with, and the only one cannot be left
    /// out.
    pub fn choices(&self, block: usize, blocks: usize) -> Vec<DepthChoice> {
        let possible = |choice: &DepthChoice| match choice {
            DepthChoice::Keep | DepthChoice::Repeat => true,
            DepthChoice::Skip => blocks > 1,
            DepthChoice::Swap => block + 1 < blocks,
        };
        self.depth.iter().copied().filter(possible).collect()
    }
}

/// Genes of a document router.
#[derive(Debug, Clone, PartialEq)]
pub struct DocumentRouting {
    /// Number of merges, 2 to 4.
    pub merges: usize,
    /// What gates may see, at least one.
    pub features: Vec<Features>,
    /// How gates may decide, at least one.
    pub gates: Vec<GateKind>,
    /// What gates tell apart; each class has a gene that names its merge.
    pub classes: Classes,
}

/// Genes of a mixture of experts.
#[derive(Debug, Clone, PartialEq)]
pub struct TokenRouting {
    /// Layers of a block, which is routed or not; `None`: all layers are routed.
    pub layers_per_block: Option<usize>,
    /// Indices into the experts, and what each is for; `None`: a gene chooses one of the tasks.
    pub experts: Vec<(usize, Option<Prompts>)>,
    /// At least one.
    pub gate_modes: Vec<GateMode>,
    /// Numbers of blocks that a token goes through, at least one.
    pub experts_per_token: Vec<usize>,
    /// Range; `None`: 1.
    pub temperature: Option<(f64, f64)>,
}

/// Genes of a task's prompts: what there are several of is chosen, what there is one of is so, what there is none of stays as
/// in the task's file.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PromptRouting {
    /// Name of the task.
    pub task: String,
    pub num_fewshot: Vec<usize>,
    pub system_instruction: Vec<String>,
    pub doc_to_text: Vec<String>,
    pub answer_style: Vec<AnswerStyle>,
    pub max_gen_toks: Vec<usize>,
    pub apply_chat_template: Vec<bool>,
}
