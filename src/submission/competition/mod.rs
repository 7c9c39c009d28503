//! A submission to the LLM Merging competition (NeurIPS 2024): a class for the organisers' starter kit that merges, scores
//! and answers as the search did.
//!
//! [`class_file`] writes the class: the recipe as a literal, worked out tensor by tensor (`merging`), and the code that
//! reads it, put together from the parts that the recipe needs.

mod class;
mod depths;
pub mod dry_run;
mod error;
mod folder;
pub mod kit;
mod manifest;
mod merging;
mod names;
mod transformers;

use serde_json::Value;

use crate::merge::MergePlan;

pub use class::{class_file, needed_transformers};
pub use error::CompetitionError;
pub use folder::{
    CARD_FILE, ENTRY_POINT_FOLDER, ExportTexts, Files, HEAD_FOLDER, REPORT_FILE, export_files,
    sealed, write_folder,
};
pub use manifest::{MANIFEST_FILE, MANIFEST_FORMAT, SubmissionManifest, SubmittedModel};
pub use merging::{MergeLiteral, literal_text, merge_literal};
pub use names::{class_name, fault_of_class_name, method_name};
pub use transformers::{NewerTransformers, newer_transformers, window_of_newer};

/// A model where everybody can get it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Published {
    /// `owner/name` on the hub.
    pub repository: String,
    /// Commit, 40 hexadecimal digits.
    pub revision: String,
    /// Repository and commit of an adapter on it.
    pub adapter: Option<(String, String)>,
}

/// How the choices of a question are scored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChoiceScorer {
    /// As the starter kit does, which never scores a decoder's first token.
    Kit,
    /// The same with all tokens.
    KitFixed,
    /// lm-eval's `acc`: prompt and choice tokenized together.
    Acc,
    /// The same divided by the choice's length in characters.
    AccNorm,
}

impl ChoiceScorer {
    /// All of them.
    pub const ALL: [ChoiceScorer; 4] =
        [ChoiceScorer::Kit, ChoiceScorer::KitFixed, ChoiceScorer::Acc, ChoiceScorer::AccNorm];

    /// The name of the metric.
    pub fn as_str(self) -> &'static str {
        match self {
            ChoiceScorer::Kit => "kit",
            ChoiceScorer::KitFixed => "kit_fixed",
            ChoiceScorer::Acc => "acc",
            ChoiceScorer::AccNorm => "acc_norm",
        }
    }

    /// The scorer of that name.
    pub fn named(name: &str) -> Option<ChoiceScorer> {
        ChoiceScorer::ALL.into_iter().find(|scorer| scorer.as_str() == name)
    }
}

/// What the class holds its weights in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClassDtype {
    /// `torch.float32`
    Float32,
    /// `torch.bfloat16`
    Bfloat16,
}

/// What sends prompts to one of several merges.
#[derive(Debug, Clone, PartialEq)]
pub struct ClassRouter {
    /// A `FittedGate` as JSON: `features`, `kind`, `terms`.
    pub gate: Value,
    /// The merge of each class.
    pub routes: Vec<usize>,
    /// Index of the model whose layers a gate on hidden states reads prompts with.
    pub base: usize,
}

/// All that a class is made of.
#[derive(Debug, Clone)]
pub struct ClassParts<'a> {
    /// Its name in Python.
    pub class: String,
    /// What it is called on the kit's command line.
    pub method: String,
    /// In the order of the models that the plans were made with; all plans with the same.
    pub models: Vec<Published>,
    /// More than one with a router only; each with all tensors of the deepest but those of its last layers.
    pub merges: Vec<&'a MergePlan<'a>>,
    /// Which prompt goes to which merge.
    pub router: Option<ClassRouter>,
    /// Of choices.
    pub scorer: ChoiceScorer,
    /// Of the merged weights.
    pub dtype: ClassDtype,
    /// Tokens that prompt and answer may have together.
    pub max_seq_len: usize,
    /// New tokens of a text.
    pub max_gen_len: usize,
}
