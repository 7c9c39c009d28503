//! Log-likelihoods of the choices and texts in answer: documents to packs, packs to threads.

use super::answers::{DocAnswer, Documents};
use super::encoded::EncodedChoices;
use super::generation::{TextError, TextSet, TextSetError};
use super::infeasible::InfeasibleMetric;
use super::pack::{Pack, Packing, Packs, Reads};
use super::questions::Questions;
use super::run::{Course, Run, Saved};
use super::set_builder::SetBuilder;
use super::tokenize::mask_token;
use super::{DocPlace, Pool, Scorer, TaskTokenizer, TokenizeError};
use crate::model::Workload;
use crate::model::spec::Reading;
use crate::outcome::TaskScore;
use crate::units::Bytes;

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
    /// A text could not be written.
    #[error(transparent)]
    Text(#[from] TextError),
    /// candle could not compute.
    #[error("computing log-likelihoods")]
    Candle(#[from] candle_core::Error),
}

/// Why documents could not be prepared.
#[derive(Debug, thiserror::Error)]
pub enum SetError {
    /// [`Documents::docs`] does not name documents of the split in ascending order, task by task.
    #[error("documents were asked for that the split does not have")]
    NoSuchDocuments,
    /// A document does not fit the model.
    #[error(transparent)]
    Tokenize(#[from] TokenizeError),
    /// The metric that a task is judged by cannot be had.
    #[error("task {}: {} cannot be had: {}", .0.task, .0.metric, .0.reason)]
    Infeasible(Box<InfeasibleMetric>),
    /// A document that cannot be answered by a text.
    #[error("{}{source}", .place.as_ref().map(|place| format!("{place}: ")).unwrap_or_default())]
    Text {
        /// Which document, if it is one's fault.
        place: Option<DocPlace>,
        /// Why.
        source: TextSetError,
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

/// What is known from sets of the same tasks.
#[derive(Clone, Copy, Default)]
struct Known<'a> {
    /// Metrics that are left out whatever the documents would allow.
    left_out: &'a [InfeasibleMetric],
    encoded: Option<&'a EncodedChoices>,
}

/// Tokenized, packed documents: everything about scoring that does not depend on the weights.
#[derive(Debug)]
pub struct ScoringSet {
    tasks: Vec<Questions>,
    infeasible: Vec<InfeasibleMetric>,
    packs: Packs,
    answers: usize,
    texts: Option<TextSet>,
    work: Workload,
}

impl ScoringSet {
    /// Prepares documents for `network` and models of its kind, all of them on a device or none.
    ///
    /// # Errors
    /// A document that the model cannot read or that does not fit into `room`; a judged metric that such models cannot be
    /// scored by.
    pub fn new(
        documents: &Documents,
        tokenizer: &TaskTokenizer,
        network: &dyn Scorer,
        room: Room,
    ) -> Result<Self, SetError> {
        Self::prepare(documents, tokenizer, network, room, Known::default())
    }

    /// Some of the documents that `self` was prepared from, or the same under other prompts, with the metrics that all of them can
    /// be scored by.
    pub(super) fn part(
        &self,
        documents: &Documents,
        tokenizer: &TaskTokenizer,
        network: &dyn Scorer,
        room: Room,
        encoded: Option<&EncodedChoices>,
    ) -> Result<Self, SetError> {
        let known = Known { left_out: &self.infeasible, encoded };
        Self::prepare(documents, tokenizer, network, room, known)
    }

    fn prepare(
        documents: &Documents,
        tokenizer: &TaskTokenizer,
        network: &dyn Scorer,
        room: Room,
        known: Known,
    ) -> Result<Self, SetError> {
        if !documents.are_there() {
            return Err(SetError::NoSuchDocuments);
        }
        let readable = |id: &u32| (*id as usize) < network.spec().vocab_size;
        let mask_token = mask_token(tokenizer).filter(readable);
        if network.spec().reading == Reading::Masked && mask_token.is_none() {
            return Err(TokenizeError::NoMask.into());
        }
        let mut builder = SetBuilder::new(tokenizer, network.spec(), known.left_out, known.encoded);
        for index in 0..documents.tasks.len() {
            builder.add(documents, index)?;
        }
        let share = (room.memory.0 / room.threads.max(1) as u64) as usize;
        let too_large = |place: &DocPlace, bytes: usize| SetError::Memory {
            place: place.clone(),
            needed: Bytes(bytes as u64),
            threads: room.threads,
            available: room.memory,
        };
        let SetBuilder {
            tasks, infeasible, items, places, answers, requests, request_places, ..
        } = builder;
        let packing = Packing { network, mask_token, bytes: share };
        let work = packing.work(&items);
        let packs =
            packing.pack(&items).map_err(|error| too_large(&places[error.item], error.bytes))?;
        let text_error = |source: TextSetError| SetError::Text {
            place: source.request().and_then(|request| request_places.get(request)).cloned(),
            source,
        };
        let stop: Vec<u32> = tokenizer.eos().into_iter().collect();
        let texts = match requests.is_empty() {
            true => None,
            false => Some(TextSet::new(requests, &stop, network, share).map_err(text_error)?),
        };
        Ok(ScoringSet { tasks, infeasible, packs, answers, texts, work })
    }

    /// Metrics that were left out, as such models cannot be scored by them.
    pub fn infeasible(&self) -> &[InfeasibleMetric] {
        &self.infeasible
    }

    /// Number of documents over all tasks.
    pub fn docs(&self) -> usize {
        self.tasks.iter().map(|task| task.docs.len()).sum()
    }

    pub(super) fn task_names(&self) -> impl Iterator<Item = &str> {
        self.tasks.iter().map(|task| task.task.as_str())
    }

    /// Number of documents of each task.
    pub(super) fn docs_by_task(&self) -> Vec<usize> {
        self.tasks.iter().map(|task| task.docs.len()).collect()
    }

    /// Memory that the prepared documents take, roughly: tokens with their positions and predictions, and what is known of
    /// each document.
    pub(super) fn bytes(&self) -> usize {
        let texts = self.texts.as_ref().map_or(0, TextSet::prompt_tokens);
        64 * (self.tokens() + texts) + 64 * self.answers + 512 * self.docs()
    }

    /// Number of log-likelihoods and texts over all documents: what a progress bar counts.
    pub fn answers(&self) -> usize {
        self.answers + self.texts.as_ref().map_or(0, TextSet::len)
    }

    /// Number of tokens the model reads for log-likelihoods: shared beginnings once, or once per pack where they are short.
    pub fn tokens(&self) -> usize {
        self.headers().map(<[u32]>::len).sum::<usize>() + self.tokens_of_packs()
    }

    /// The same, and the tokens of texts: of the prompts that they follow, and of their own as many as they may have.
    pub(super) fn tokens_and_texts(&self) -> usize {
        let of_texts = |set: &TextSet| {
            set.prompt_tokens() + (0..set.len()).map(|index| set.room(index).1).sum::<usize>()
        };
        self.tokens() + self.texts.as_ref().map_or(0, of_texts)
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
        Bytes(
            self.packs.largest.max(self.texts.as_ref().map_or(0, TextSet::activation_bytes)) as u64
        )
    }

    /// Memory of the states of shared beginnings: what each model that is being scored needs.
    pub fn header_bytes(&self) -> Bytes {
        Bytes((self.packs.states + self.texts.as_ref().map_or(0, TextSet::header_bytes)) as u64)
    }

    /// The score of every task.
    ///
    /// # Errors
    /// See [`ScoreError`].
    pub fn score(
        &self,
        network: &dyn Scorer,
        tokenizer: &TaskTokenizer,
        pool: &Pool,
    ) -> Result<Vec<TaskScore>, ScoreError> {
        let run = self.run(network, tokenizer, pool, Saved::default())?;
        Ok(self.decide(&self.nest(&run))?.into_iter().flatten().collect())
    }

    /// What `network` answers to every document, task by task. `progress` is told how many, of [`Self::answers`], have just
    /// been computed, from several threads.
    ///
    /// # Errors
    /// candle's; none is expected.
    pub fn ask(
        &self,
        network: &dyn Scorer,
        tokenizer: &TaskTokenizer,
        pool: &Pool,
        progress: Option<&(dyn Fn(usize) + Sync)>,
    ) -> Result<Vec<Vec<DocAnswer>>, ScoreError> {
        let saved = Saved { progress, ..Saved::default() };
        Ok(self.nest(&self.run(network, tokenizer, pool, saved)?))
    }

    /// Log-likelihood in nats of each choice by the first kind that the task's metrics need, or of each window of the
    /// reference: task, document, choice. Nothing is written. The same bits on any number of threads.
    ///
    /// # Errors
    /// candle's; none is expected.
    pub fn log_likelihoods(
        &self,
        network: &dyn Scorer,
        pool: &Pool,
    ) -> Result<Vec<Vec<Vec<f32>>>, ScoreError> {
        let run = Course::new(&self.packs, network, pool, Saved::default()).run(self.answers)?;
        let first = |answer: DocAnswer| match answer.choices.into_iter().next() {
            Some((_, likelihoods)) => likelihoods,
            None => answer.reference.map(|(likelihood, _)| likelihood).into_iter().collect(),
        };
        let of_task = |docs: Vec<DocAnswer>| docs.into_iter().map(first).collect();
        Ok(self.nest(&run).into_iter().map(of_task).collect())
    }

    /// The score of each task; `None` for tasks whose source does not tell what is right.
    ///
    /// # Errors
    /// A number is not finite.
    pub fn decide(&self, answers: &[Vec<DocAnswer>]) -> Result<Vec<Option<TaskScore>>, ScoreError> {
        self.tasks.iter().zip(answers).map(|(task, docs)| task.score(docs)).collect()
    }

    /// Index of the choice that a model with this answer takes, by the judged metric; `None` for texts.
    pub fn chosen(&self, task: usize, doc: usize, answer: &DocAnswer) -> Option<usize> {
        self.tasks.get(task)?.chosen(doc, answer)
    }

    /// What is compared by the judged metric, by choice, in its own unit (nats, or nats per character or byte); `None` for texts.
    pub fn compared(&self, task: usize, doc: usize, answer: &DocAnswer) -> Option<Vec<f64>> {
        self.tasks.get(task)?.compared(doc, answer)
    }

    /// Whether the prompt before a document's choices lost its beginning ([`Task::cuts_prompts`](crate::task::Task::cuts_prompts)).
    pub fn is_truncated(&self, task: usize, doc: usize) -> bool {
        self.tasks.get(task).and_then(|task| task.docs.get(doc)).is_some_and(|doc| doc.truncated)
    }

    /// The answer's text as the task's metrics see it.
    pub fn filtered(&self, task: usize, answer: &DocAnswer) -> Option<String> {
        Some(self.tasks.get(task)?.filtered(&answer.text.as_ref()?.text))
    }

    pub(super) fn nest(&self, run: &Run) -> Vec<Vec<DocAnswer>> {
        let mut flat = run.answers.iter().copied();
        let mut texts = run.texts.iter().cloned();
        self.tasks.iter().map(|task| task.nest(&mut flat, &mut texts)).collect()
    }

    /// Scores every pack on the pool's threads, those with a shared beginning after it; on a device one after another. Then
    /// lets the texts be written.
    pub(super) fn run(
        &self,
        network: &dyn Scorer,
        tokenizer: &TaskTokenizer,
        pool: &Pool,
        saved: Saved,
    ) -> Result<Run, ScoreError> {
        let mut run = Course::new(&self.packs, network, pool, saved).run(self.answers)?;
        if let Some(texts) = &self.texts {
            let written = texts.run(network, pool, tokenizer.tokenizer(), saved.progress)?;
            run.seconds += written.seconds;
            run.texts = written.texts;
        }
        Ok(run)
    }

    /// What the threads share.
    pub(super) fn packs(&self) -> impl Iterator<Item = &Pack> {
        self.packs.packs.iter()
    }

    /// The work of all log-likelihoods.
    pub(super) fn choices_work(&self) -> &Workload {
        &self.work
    }

    /// The texts that are written.
    pub(super) fn texts(&self) -> Option<&TextSet> {
        self.texts.as_ref()
    }
}
