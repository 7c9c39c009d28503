//! What the experts of a mixture are for, in a model's own terms: its hidden states of their prompts.

use rayon::prelude::*;

use super::tokenize::Encoder;
use super::{Pool, TaskTokenizer, TokenizeError};
use crate::merge::Prototype;
use crate::model::spec::Reading;
use crate::model::{Batch, Network, Scratch};
use crate::recipe::{GateMode, Prompts};
use crate::task::Task;
use crate::units::Split;

/// So many documents stand for a task: the first ones of its search split.
const DOCS: usize = 64;

/// Why a token router's prompts give no gates.
#[derive(Debug, thiserror::Error)]
pub enum GateError {
    /// A task whose documents are not there.
    #[error(
        "the token router asks for the prompts of task `{task}`; tasks at hand: {}",
        if known.is_empty() { "none".to_owned() } else { known.join(", ") }
    )]
    NoTask {
        /// Its name.
        task: String,
        /// Names of those that are.
        known: Vec<String>,
    },
    /// An expert without prompts.
    #[error("an expert of the token router has no prompts: {found}")]
    NoPrompts {
        /// Where they were to come from.
        found: String,
    },
    /// A text cannot be read.
    #[error("prompt {prompt:?} of the token router: {reason}")]
    Prompt {
        /// The text.
        prompt: String,
        /// Why.
        reason: String,
    },
    /// A document cannot be read.
    #[error(transparent)]
    Tokenize(#[from] TokenizeError),
    /// The model does not read from left to right.
    #[error("a `{family}` has no token router: only models that read from left to right have one")]
    Reading {
        /// Of its config.
        family: String,
    },
    /// candle could not compute.
    #[error("reading the token router's prompts")]
    Candle(#[from] candle_core::Error),
}

/// A model that reads prompts.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    pub network: &'a Network,
    pub tokenizer: &'a TaskTokenizer,
    /// Their prompts as this model gets them.
    pub tasks: &'a [Task],
    pub pool: &'a Pool,
}

impl Reader<'_> {
    /// The mean over the prompts of each prompt's vector at each layer.
    ///
    /// A prompt's vector is the mean of its tokens' states (`hidden_avg`), the last token's (`hidden_last`), or at all layers
    /// the mean of its tokens' embeddings (`cheap_embed`), where a state is the layer's input, divided by its root mean
    /// square as the norms of the layer do, so that tokens count alike whatever their length. As in mergekit-moe this
    /// stands for what the router reads, which comes behind the layer's attention. Of a prompt longer than the model reads,
    /// the end is read. A task's prompts are those of the first 64 documents of its search split.
    ///
    /// # Errors
    /// See [`GateError`].
    pub fn prototype(&self, mode: GateMode, prompts: &Prompts) -> Result<Prototype, GateError> {
        let spec = self.network.spec();
        if spec.reading != Reading::Causal {
            return Err(GateError::Reading { family: spec.family.clone() });
        }
        let prompts = self.tokens(prompts)?;
        let read = |tokens: &Vec<u32>| {
            self.pool.with_scratch(|scratch| self.states(mode, tokens, scratch))
        };
        let states: Vec<Prototype> =
            self.pool.install(|| prompts.par_iter().map(read).collect::<Result<_, _>>())?;
        let layers = states.first().map_or(0, Vec::len);
        let of_layer = |layer: usize| mean(states.iter().filter_map(|all| all.get(layer)));
        Ok((0..layers).map(of_layer).collect())
    }

    /// Of each prompt; none is empty, and there is at least one.
    fn tokens(&self, prompts: &Prompts) -> Result<Vec<Vec<u32>>, GateError> {
        let mut tokens = match prompts {
            Prompts::Texts(texts) => texts.iter().map(|text| self.text(text)).collect(),
            Prompts::Task(task) => self.task(task),
        }?;
        if tokens.is_empty() {
            let found = match prompts {
                Prompts::Texts(_) => "its list is empty".to_owned(),
                Prompts::Task(task) => format!("the search split of task `{task}` is empty"),
            };
            return Err(GateError::NoPrompts { found });
        }
        let longest = self.network.spec().longest.unwrap_or(usize::MAX);
        tokens.iter_mut().for_each(|own| drop(own.drain(..own.len().saturating_sub(longest))));
        Ok(tokens)
    }

    /// With the special tokens that the tokenizer adds by itself.
    fn text(&self, text: &str) -> Result<Vec<u32>, GateError> {
        let refused = |reason: String| GateError::Prompt { prompt: text.to_owned(), reason };
        let encoding = self.tokenizer.tokenizer().encode(text, true);
        let tokens = encoding.map_err(|error| refused(error.to_string()))?.get_ids().to_vec();
        let vocab_size = self.network.spec().vocab_size;
        match tokens.iter().find(|token| **token as usize >= vocab_size) {
            _ if tokens.is_empty() => Err(refused("it has no tokens".to_owned())),
            Some(token) => {
                Err(refused(format!("token {token} is not below the vocab_size {vocab_size}")))
            }
            None => Ok(tokens),
        }
    }

    fn task(&self, name: &str) -> Result<Vec<Vec<u32>>, GateError> {
        let missing = || GateError::NoTask {
            task: name.to_owned(),
            known: self.tasks.iter().map(|task| task.name.clone()).collect(),
        };
        let task = self.tasks.iter().find(|task| task.name == name).ok_or_else(missing)?;
        let encoder = Encoder { task, tokenizer: self.tokenizer, spec: self.network.spec() };
        let docs = task.docs(Split::Search).iter().take(DOCS);
        Ok(docs.map(|doc| encoder.prompt(doc)).collect::<Result<_, _>>()?)
    }

    /// Of one prompt, by layer.
    fn states(
        &self,
        mode: GateMode,
        tokens: &[u32],
        scratch: &mut Scratch,
    ) -> candle_core::Result<Prototype> {
        let layers = self.network.spec().decoder.as_ref().map_or(0, |stack| stack.layers.len());
        let mut batch = Batch::chain(tokens);
        batch.rows = tokens.len().checked_sub(1).into_iter().collect();
        let read = if mode == GateMode::CheapEmbed { layers.min(1) } else { layers };
        let mut states = Vec::with_capacity(layers);
        for input in self.network.layer_inputs(&batch, read, scratch)? {
            let rows: Vec<Vec<f64>> = input.to_vec2()?.iter().map(|row| unit(row)).collect();
            states.push(match mode {
                GateMode::HiddenAvg | GateMode::CheapEmbed => mean(rows.iter()),
                GateMode::HiddenLast => rows.into_iter().next_back().unwrap_or_default(),
            });
        }
        if let (GateMode::CheapEmbed, Some(embedding)) = (mode, states.first().cloned()) {
            states.resize(layers, embedding);
        }
        Ok(states)
    }
}

/// Of root mean square 1, or 0.
fn unit(row: &[f32]) -> Vec<f64> {
    let squares: f64 = row.iter().map(|x| f64::from(*x).powi(2)).sum();
    let size = (squares / row.len().max(1) as f64).sqrt();
    row.iter().map(|x| if size > 0.0 { f64::from(*x) / size } else { 0.0 }).collect()
}

/// Of vectors of one length.
fn mean<'v>(vectors: impl Iterator<Item = &'v Vec<f64>>) -> Vec<f64> {
    let mut count = 0.0;
    let mut sum: Vec<f64> = Vec::new();
    for vector in vectors {
        sum.resize(vector.len(), 0.0);
        sum.iter_mut().zip(vector).for_each(|(sum, x)| *sum += x);
        count += 1.0;
    }
    sum.iter_mut().for_each(|sum| *sum /= count);
    sum
}
