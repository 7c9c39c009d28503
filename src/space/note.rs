//! What a file asks for and is done otherwise here; most of it in another tool's files.

use std::fmt;

use crate::recipe::{MergeMethod, ModelRef};

/// One difference between mergekit-evolve and a search of the same file, or between the letter of a file and its meaning.
#[derive(Debug, Clone, PartialEq)]
pub enum Note {
    /// Merging and scoring in bfloat16 (always).
    Float32,
    /// No `base_model`.
    BaseIsFirstModel {
        /// The first of `models`.
        base: ModelRef,
    },
    /// `base_model` is no model of the merge, and the method merges none besides them; mergekit 0.1.5 refuses it.
    BaseNotMerged {
        /// `base_model`.
        base: ModelRef,
        /// The method.
        method: MergeMethod,
    },
    /// `base_model` among `models` has no task vector; mergekit-evolve gives it genes that change nothing.
    BaseAmongModels {
        /// `base_model`.
        base: ModelRef,
    },
    /// A parameter without bounds in mergekit-evolve.
    Bounded {
        /// Its name.
        parameter: &'static str,
        /// Smallest.
        low: f64,
        /// Largest.
        high: f64,
    },
    /// `random_init`: uniform in [0, 1).
    StartsAtMean,
    /// A filter after one that is a part of it.
    HiddenFilter {
        /// The one that no tensor is left for.
        filter: String,
        /// The earlier one.
        by: String,
    },
    /// The sum of the tasks' metrics, each times its weight.
    WeightedSum {
        /// In the order of the tasks.
        weights: Vec<f64>,
    },
    /// Weights that do not sum to 1.
    WeightsSum {
        /// Over all tasks.
        sum: f64,
        /// Tasks that the file gives no weight, which have 1.
        unlisted: usize,
    },
    /// A task's folder has a metric of its own.
    MetricOfTask {
        /// Name in the file.
        task: String,
        /// As in the file.
        asked: String,
        /// As in the task's folder.
        scored: String,
    },
    /// `num_fewshot` above 0.
    ZeroShot {
        /// As in the file.
        asked: i64,
    },
    /// `apply_chat_template`, which is on where the file does not say otherwise.
    NoChatTemplate,
    /// `shuffle`.
    NotShuffled,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Note::Float32 => {
                f.write_str("models are merged and scored in float32; mergekit-evolve uses bfloat16")
            }
            Note::BaseIsFirstModel { base } => {
                write!(f, "without `base_model`, `{base}` stands for the base model in tables")
            }
            Note::BaseNotMerged { base, method } => write!(
                f,
                "`base_model` `{base}` takes no part in {method}; it is only scored for comparison"
            ),
            Note::BaseAmongModels { base } => write!(
                f,
                "`{base}` is the base model, which has no task vector: no genes are searched for it"
            ),
            Note::Bounded { parameter, low, high } => write!(
                f,
                "`{parameter}` is searched in [{low}, {high}]; mergekit-evolve sets no such bound"
            ),
            Note::StartsAtMean => f.write_str(
                "`random_init`: the search starts at 0.5, the mean of mergekit-evolve's random start",
            ),
            Note::HiddenFilter { filter, by } => write!(
                f,
                "filter `{filter}` stands after `{by}`, which takes its tensors: its genes change nothing"
            ),
            Note::WeightedSum { weights } => write!(
                f,
                "the score is the mean of the tasks' metrics, weighted by {weights:?}; mergekit-evolve's is their sum, \
                 {} times as large: merges are ordered alike",
                weights.iter().sum::<f64>()
            ),
            Note::WeightsSum { sum, unlisted } => {
                write!(f, "the weights of the tasks sum to {sum}")?;
                if *unlisted > 0 {
                    write!(f, " ({unlisted} not listed, at 1 each)")?;
                }
                f.write_str("; each counts as its share of the sum")
            }
            Note::MetricOfTask { task, asked, scored } => write!(
                f,
                "task `{task}` is scored by {scored}, as its folder says; the file asks for {asked}"
            ),
            Note::ZeroShot { asked } => write!(
                f,
                "`num_fewshot: {asked}` is not supported: prompts have no examples but their own"
            ),
            Note::NoChatTemplate => f.write_str(
                "`apply_chat_template` (mergekit-evolve's default) is not supported: prompts are plain text",
            ),
            Note::NotShuffled => f.write_str(
                "`shuffle` is not done: `limit` takes the first documents of each task's file",
            ),
        }
    }
}
