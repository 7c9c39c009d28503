//! Log-likelihoods of the choices: documents to packs, packs to threads.

use std::sync::Arc;

use tokenizers::Tokenizer;

use super::pack::{Item, Pack, Packing, Packs, Reads};
use super::questions::Questions;
use super::run::{Course, Run, Saved, prefix_of};
use super::tokenize::{Encoder, mask_token};
use super::{DocPlace, Pool, Scorer, TokenizeError};
use crate::model::spec::Reading;
use crate::model::{Prefix, Scratch};
use crate::outcome::TaskScore;
use crate::task::{Metric, Task};
use crate::units::{Bytes, Split};

/// Why a model could not be scored.
#[derive(Debug, thiserror::Error)]
pub enum ScoreError {
    /// A candidate's fault: its numbers overflow.
    #[error("task {task}, document {doc}: the log-likelihood of a choice is not finite")]
    NonFinite {
        /// Name of the task.
        task: String,
        /// Index of the document within the split.
        doc: usize,
    },
    /// candle could not compute.
    #[error("computing log-likelihoods")]
    Candle(#[from] candle_core::Error),
}

/// Why documents could not be prepared.
#[derive(Debug, thiserror::Error)]
pub enum SetError {
    /// A document does not fit the model.
    #[error(transparent)]
    Tokenize(#[from] TokenizeError),
    /// A classifier's labels have no length to divide by.
    #[error(
        "task {task}: acc_norm divides by an answer's length, which a classifier's labels do not have; use metric = \"acc\""
    )]
    LabelLength {
        /// Name of the task.
        task: String,
    },
    /// A document does not fit into memory.
    #[error(
        "{place}: scoring this document takes {needed} of memory on each of {threads} threads, and there are {available} for all"
    )]
    Memory {
        /// Which document.
        place: DocPlace,
        /// For its activations.
        needed: Bytes,
        /// Number of threads.
        threads: usize,
        /// For all threads.
        available: Bytes,
    },
}

/// Memory for the activations of all threads, and for the states of shared beginnings.
#[derive(Debug, Clone, Copy)]
pub struct Room {
    /// For all threads together.
    pub memory: Bytes,
    /// How many there are.
    pub threads: usize,
}

/// Tokenized, packed documents: everything about scoring that does not depend on the weights.
#[derive(Debug)]
pub struct ScoringSet {
    tasks: Vec<Questions>,
    packs: Packs,
    answers: usize,
}

impl ScoringSet {
    /// Prepares the first `limit` documents (all, if `None`) of each task's `split` for `network` and models of its kind, all
    /// of them on a device or none.
    ///
    /// # Errors
    /// A document that the model cannot read or that does not fit into `room`.
    pub fn new(
        tasks: &[Task],
        split: Split,
        limit: Option<usize>,
        tokenizer: &Tokenizer,
        network: &dyn Scorer,
        room: Room,
    ) -> Result<Self, SetError> {
        let readable = |id: &u32| (*id as usize) < network.spec().vocab_size;
        let mask_token = mask_token(tokenizer).filter(readable);
        if network.spec().reading == Reading::Masked && mask_token.is_none() {
            return Err(TokenizeError::NoMask.into());
        }
        let (mut items, mut places, mut questions) = (Vec::new(), Vec::new(), Vec::new());
        let mut answers = 0;
        for task in tasks {
            if network.spec().reading == Reading::Classify && task.metric == Metric::AccNorm {
                return Err(SetError::LabelLength { task: task.name.clone() });
            }
            let docs = task.docs(split);
            let docs = &docs[..limit.unwrap_or(docs.len()).min(docs.len())];
            let encoder = Encoder { task, split, tokenizer, spec: network.spec() };
            for doc in docs {
                for sequence in encoder.encode(doc)? {
                    let slots = match network.spec().reading {
                        Reading::Classify => doc.choices.len(),
                        Reading::Causal | Reading::Seq2Seq | Reading::Masked => 1,
                    };
                    items.push(Item { sequence, answers: answers..answers + slots });
                    places.push((task, doc.line));
                    answers += slots;
                }
            }
            questions.push(Questions::new(task, docs));
        }
        let share = (room.memory.0 / room.threads.max(1) as u64) as usize;
        let packing = Packing { network, mask_token, bytes: share };
        let packs = packing.pack(&items).map_err(|too_large| {
            let (task, line) = places[too_large.item];
            let place = DocPlace { task: task.name.clone(), split, line };
            let (needed, threads) = (Bytes(too_large.bytes as u64), room.threads);
            SetError::Memory { place, needed, threads, available: room.memory }
        })?;
        Ok(ScoringSet { tasks: questions, packs, answers })
    }

    /// Number of documents over all tasks.
    pub fn docs(&self) -> usize {
        self.tasks.iter().map(Questions::len).sum()
    }

    /// Number of choices over all documents.
    pub fn answers(&self) -> usize {
        self.answers
    }

    /// Number of tokens the model reads: shared beginnings once, or once per pack where they are short.
    pub fn tokens(&self) -> usize {
        self.headers().map(<[u32]>::len).sum::<usize>() + self.tokens_of_packs()
    }

    /// Number of places at which something is predicted, or of texts to classify.
    pub fn predicted_rows(&self) -> usize {
        let rows = |pack: &Pack| match &pack.reads {
            Reads::Tokens(batch) => batch.rows.len(),
            Reads::Texts(texts) => texts.len(),
        };
        self.packs.packs.iter().map(rows).sum()
    }

    /// Without the beginnings that are computed apart.
    pub(super) fn tokens_of_packs(&self) -> usize {
        self.packs.packs.iter().map(Pack::tokens).sum()
    }

    /// The beginnings that are computed once per model.
    pub fn headers(&self) -> impl Iterator<Item = &[u32]> {
        self.packs.headers.iter().map(Vec::as_slice)
    }

    /// Memory of the activations of the largest pack: what each thread needs.
    pub fn activation_bytes(&self) -> Bytes {
        Bytes(self.packs.largest as u64)
    }

    /// Memory of the states of shared beginnings: what each model that is being scored needs.
    pub fn header_bytes(&self) -> Bytes {
        Bytes(self.packs.states as u64)
    }

    /// The chosen answer of every document, task by task.
    ///
    /// # Errors
    /// See [`ScoreError`].
    pub fn score(&self, network: &dyn Scorer, pool: &Pool) -> Result<Vec<TaskScore>, ScoreError> {
        self.decide(&self.run(network, pool, Saved::default())?)
    }

    /// As [`Self::log_likelihoods`]; `progress` is told how many choices, of [`Self::answers`], have just been scored,
    /// from several threads.
    ///
    /// # Errors
    /// As there.
    pub fn log_likelihoods_watched(
        &self,
        network: &dyn Scorer,
        pool: &Pool,
        progress: &(dyn Fn(usize) + Sync),
    ) -> Result<Vec<Vec<Vec<f32>>>, ScoreError> {
        let saved = Saved { progress: Some(progress), ..Saved::default() };
        Ok(self.nest(&self.run(network, pool, saved)?))
    }

    /// Log-likelihood in nats of each choice: task, document, choice. The same bits on any number of threads.
    ///
    /// # Errors
    /// candle's; none is expected.
    pub fn log_likelihoods(
        &self,
        network: &dyn Scorer,
        pool: &Pool,
    ) -> Result<Vec<Vec<Vec<f32>>>, ScoreError> {
        Ok(self.nest(&self.run(network, pool, Saved::default())?))
    }

    pub(super) fn decide(&self, run: &Run) -> Result<Vec<TaskScore>, ScoreError> {
        self.tasks.iter().zip(&self.nest(run)).map(|(task, docs)| task.score(docs)).collect()
    }

    fn nest(&self, run: &Run) -> Vec<Vec<Vec<f32>>> {
        let mut flat = run.answers.iter().copied();
        self.tasks.iter().map(|task| task.nest(&mut flat)).collect()
    }

    /// Scores every pack on the pool's threads, those with a shared beginning after it; on a device one after another.
    pub(super) fn run(
        &self,
        network: &dyn Scorer,
        pool: &Pool,
        saved: Saved,
    ) -> Result<Run, ScoreError> {
        Ok(Course::new(&self.packs, network, pool, saved).run(self.answers)?)
    }

    /// States of the shared beginnings.
    pub(super) fn prefixes(
        &self,
        network: &dyn Scorer,
        scratch: &mut Scratch,
    ) -> candle_core::Result<Vec<Arc<Prefix>>> {
        self.headers().map(|tokens| prefix_of(network, tokens, scratch)).collect()
    }

    /// A fixed twentieth of the packs, spread over the set and at least one, for timing two models in turns.
    pub(super) fn timing_packs(&self) -> impl Iterator<Item = &Pack> {
        self.packs.packs.iter().step_by(20)
    }
}
