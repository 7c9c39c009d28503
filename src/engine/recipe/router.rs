//! Which inputs go through which weights, where not all go through the same: Whole documents can go to one of several
//! merges, single tokens to a few of several feed-forward blocks.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{ModelRef, Recipe};

/// Sends each document to one of several merges, by what it looks like before any of them has read it.
#[derive(Debug, Clone, PartialEq)]
pub struct DocumentRouter {
    /// Tells the class of a document.
    pub gate: Gate,
    /// The merge of each class: 0 is the recipe itself, `i` entry `i - 1` of `merges`.
    pub routes: Vec<usize>,
    /// The other merges; none of them has a document router or prompts of its own.
    pub merges: Vec<Recipe>,
}

/// A classifier of documents. Its parameters follow from the documents of the search split and the base model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gate {
    /// What it sees of a document's prompt.
    pub features: Features,
    /// How it decides.
    pub kind: GateKind,
    /// What it tells apart.
    pub classes: Classes,
}

/// What a gate sees of a document's prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Features {
    /// Counts of hashed n-grams of its words, in so many buckets. Almost free.
    Ngrams { buckets: usize },
    /// The base model's hidden state at the input of a layer, which takes a prefill of that many layers.
    Hidden { layer: usize, pool: Pooling },
    /// Whether a choice or a text is asked for, and how long the prompt is.
    Shape,
}

impl Features {
    /// Layers of the base model that a prompt is read with.
    pub fn layers(self) -> usize {
        match self {
            Features::Hidden { layer, .. } => layer,
            Features::Ngrams { .. } | Features::Shape => 0,
        }
    }
}

/// One vector of many tokens'.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Pooling {
    /// Their mean.
    Mean,
    /// The last one's.
    Last,
}

/// How a gate decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum GateKind {
    /// The class whose mean is nearest.
    Centroid,
    /// The greatest of one linear function per class.
    Linear,
}

/// What a gate tells apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Classes {
    /// The tasks, in their order.
    Tasks(usize),
    /// So many clusters of the search split's documents.
    Clusters(usize),
}

/// A mixture of experts: at some layers, each token goes through a few of several feed-forward blocks (Mixtral's, Jiang et
/// al. 2024). Everything else is the recipe's merge.
#[derive(Debug, Clone, PartialEq)]
pub struct TokenRouter {
    /// Layers of the output that are routed, ascending.
    pub layers: Vec<usize>,
    /// Where the feed-forward blocks come from.
    pub experts: Vec<TokenExpert>,
    /// What the gates are made of.
    pub gate_mode: GateMode,
    /// Blocks that a token goes through.
    pub experts_per_token: usize,
    /// Gates are divided by it: the greater, the more alike the shares of the blocks chosen.
    pub temperature: f64,
}

/// One expert of a mixture.
#[derive(Debug, Clone, PartialEq)]
pub struct TokenExpert {
    /// Whose feed-forward blocks.
    pub source_model: ModelRef,
    /// What it is for.
    pub positive_prompts: Prompts,
}

/// Texts that stand for what an expert is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Prompts {
    /// As written.
    Texts(Vec<String>),
    /// The prompts of a task's search split.
    Task(String),
}

/// What a mixture's gates are made of; mergekit-moe's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GateMode {
    /// The base model's hidden states at each layer, mean over the prompts' tokens.
    HiddenAvg,
    /// The same of the prompts' last tokens.
    HiddenLast,
    /// The embeddings of the prompts' tokens, the same at all layers.
    CheapEmbed,
}

/// How a task is asked, where otherwise than its file says.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PromptChange {
    /// Solved examples in front of a question.
    pub num_fewshot: Option<usize>,
    /// What comes before everything else.
    pub system_instruction: Option<String>,
    /// A template over the document's fields that takes the place of the task's.
    pub doc_to_text: Option<String>,
    /// How choices are answered.
    pub answer_style: Option<AnswerStyle>,
    /// Tokens of a written answer at most.
    pub max_gen_toks: Option<usize>,
    /// Whether the model's chat template writes the prompt.
    pub apply_chat_template: Option<bool>,
}

/// How a question with choices is put and answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnswerStyle {
    /// Each choice is scored as a text behind the question.
    Text,
    /// The choices are listed with letters in the question, and the letters are scored.
    Letter,
}

impl Recipe {
    /// The recipe without document router and prompts: merge 0 of those that documents are sent to.
    pub fn plain(&self) -> Recipe {
        Recipe { document_router: None, prompts: BTreeMap::new(), ..self.clone() }
    }

    /// The merge of that number, as [`DocumentRouter::routes`] counts them; `None` where there are not so many.
    pub fn merge(&self, number: usize) -> Option<Recipe> {
        match number.checked_sub(1) {
            None => Some(self.plain()),
            Some(other) => self.other_merges().get(other).cloned(),
        }
    }

    /// Those of the document router.
    pub(super) fn other_merges(&self) -> &[Recipe] {
        self.document_router.as_ref().map_or(&[], |router| &router.merges)
    }

    pub(super) fn token_experts(&self) -> &[TokenExpert] {
        self.token_router.as_ref().map_or(&[], |router| &router.experts)
    }
}

impl Features {
    /// The word in the names of genes: `ngrams`, `hidden.2`, `shape`.
    pub fn label(self) -> String {
        match self {
            Features::Ngrams { .. } => "ngrams".to_owned(),
            Features::Hidden { layer, .. } => format!("hidden.{layer}"),
            Features::Shape => "shape".to_owned(),
        }
    }
}

impl Classes {
    /// How many there are.
    pub fn count(self) -> usize {
        match self {
            Classes::Tasks(count) | Classes::Clusters(count) => count,
        }
    }
}

impl Pooling {
    /// As a recipe has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Pooling::Mean => "mean",
            Pooling::Last => "last",
        }
    }
}

impl GateKind {
    /// As a recipe has it.
    pub fn as_str(self) -> &'static str {
        match self {
            GateKind::Centroid => "centroid",
            GateKind::Linear => "linear",
        }
    }
}

impl GateMode {
    /// As a recipe has it.
    pub fn as_str(self) -> &'static str {
        match self {
            GateMode::HiddenAvg => "hidden_avg",
            GateMode::HiddenLast => "hidden_last",
            GateMode::CheapEmbed => "cheap_embed",
        }
    }
}

impl AnswerStyle {
    /// As a recipe has it.
    pub fn as_str(self) -> &'static str {
        match self {
            AnswerStyle::Text => "text",
            AnswerStyle::Letter => "letter",
        }
    }
}
