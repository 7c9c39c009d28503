//! Log-likelihoods of the choices: documents to packs, packs to threads.

use std::sync::{Arc, OnceLock};

use rayon::ScopeFifo;
use tokenizers::Tokenizer;

use super::pack::{Item, Pack, Packing, Packs, Reads};
use super::pool::timed;
use super::questions::Questions;
use super::tokenize::{Encoder, mask_token};
use super::{DocPlace, Pool, TokenizeError};
use crate::model::spec::Reading;
use crate::model::{Network, Pass, Prefix, Scratch, States};
use crate::outcome::TaskScore;
use crate::task::Task;
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

/// What a run over all packs gives.
pub(super) struct Run {
    /// Log-likelihood in nats of every choice.
    answers: Vec<f32>,
    /// States of the shared beginnings.
    pub prefixes: Vec<Arc<Prefix>>,
    /// The states that were to be kept, pack by pack.
    pub kept: Vec<States>,
    /// Time on one core.
    pub seconds: f64,
}

/// Which work is saved and which is kept for later.
#[derive(Default, Clone, Copy)]
pub(super) struct Saved<'a> {
    /// Told how many choices have just been scored; called from several threads.
    pub progress: Option<&'a (dyn Fn(usize) + Sync)>,
    /// Pack by pack.
    pub resume: Option<&'a [States]>,
    /// The layer whose input is kept.
    pub keep: Option<usize>,
}

/// One pack's results.
struct PackRun {
    /// As many as the pack has answers.
    answers: Vec<f32>,
    kept: Option<States>,
    seconds: f64,
}

type Slot<T> = OnceLock<candle_core::Result<T>>;

/// A run over all packs.
struct Course<'a> {
    packs: &'a Packs,
    network: &'a Network,
    pool: &'a Pool,
    saved: Saved<'a>,
    prefixes: Vec<Slot<(Arc<Prefix>, f64)>>,
    runs: Vec<Slot<PackRun>>,
}

impl Course<'_> {
    /// Computes a shared beginning and lets the packs behind it begin.
    fn begin<'scope>(&'scope self, header: usize, scope: &ScopeFifo<'scope>) {
        let tokens = &self.packs.headers[header];
        let compute = |scratch: &mut Scratch| prefix_of(self.network, tokens, scratch);
        let (prefix, seconds) = timed(|| self.pool.with_scratch(compute));
        let shared = prefix.as_ref().ok().cloned();
        let _set_once = self.prefixes[header].set(prefix.map(|prefix| (prefix, seconds)));
        let Some(shared) = shared else { return };
        for index in self.packs.with_header(Some(header)) {
            let shared = Arc::clone(&shared);
            scope.spawn_fifo(move |_| self.score(index, Some(&shared)));
        }
    }

    fn score(&self, index: usize, prefix: Option<&Prefix>) {
        let resume = self.saved.resume.and_then(|states| states.get(index));
        let pass = Pass { prefix, resume, keep: self.saved.keep };
        let pack = &self.packs.packs[index];
        let compute = |scratch: &mut Scratch| pack.run(self.network, &pass, scratch);
        let _set_once = self.runs[index].set(self.pool.with_scratch(compute));
        if let Some(progress) = self.saved.progress {
            progress(pack.answers.iter().map(ExactSizeIterator::len).sum());
        }
    }
}

impl ScoringSet {
    /// Prepares the first `limit` documents (all, if `None`) of each task's `split` for `network` and models of its kind.
    ///
    /// # Errors
    /// A document that the model cannot read or that does not fit into `room`.
    pub fn new(
        tasks: &[Task],
        split: Split,
        limit: Option<usize>,
        tokenizer: &Tokenizer,
        network: &Network,
        room: Room,
    ) -> Result<Self, SetError> {
        let mask_token = mask_token(tokenizer);
        if network.spec().reading == Reading::Masked && mask_token.is_none() {
            return Err(TokenizeError::NoMask.into());
        }
        let (mut items, mut places, mut questions) = (Vec::new(), Vec::new(), Vec::new());
        let mut answers = 0;
        for task in tasks {
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
    pub fn score(&self, network: &Network, pool: &Pool) -> Result<Vec<TaskScore>, ScoreError> {
        self.decide(&self.run(network, pool, Saved::default())?)
    }

    /// As [`Self::log_likelihoods`]; `progress` is told how many choices, of [`Self::answers`], have just been scored,
    /// from several threads.
    ///
    /// # Errors
    /// As there.
    pub fn log_likelihoods_watched(
        &self,
        network: &Network,
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
        network: &Network,
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

    /// Scores every pack on the pool's threads; those with a shared beginning after it.
    pub(super) fn run(
        &self,
        network: &Network,
        pool: &Pool,
        saved: Saved,
    ) -> Result<Run, ScoreError> {
        let prefixes = slots(self.packs.headers.len());
        let runs = slots(self.packs.packs.len());
        let course = Course { packs: &self.packs, network, pool, saved, prefixes, runs };
        pool.install(|| {
            rayon::scope_fifo(|scope| {
                let course = &course;
                for header in 0..self.packs.headers.len() {
                    scope.spawn_fifo(move |scope| course.begin(header, scope));
                }
                for index in self.packs.with_header(None) {
                    scope.spawn_fifo(move |_| course.score(index, None));
                }
            });
        });
        self.gather(course.prefixes, course.runs)
    }

    fn gather(
        &self,
        prefixes: Vec<Slot<(Arc<Prefix>, f64)>>,
        runs: Vec<Slot<PackRun>>,
    ) -> Result<Run, ScoreError> {
        let prefixes = filled(prefixes)?;
        let mut seconds = prefixes.iter().map(|(_, seconds)| seconds).sum();
        let mut answers = vec![0.0; self.answers];
        let mut kept = Vec::new();
        for (pack, run) in self.packs.packs.iter().zip(filled(runs)?) {
            let places = pack.answers.iter().flat_map(Clone::clone);
            places.zip(run.answers).for_each(|(place, answer)| answers[place] = answer);
            kept.extend(run.kept);
            seconds += run.seconds;
        }
        let prefixes = prefixes.into_iter().map(|(prefix, _)| prefix).collect();
        Ok(Run { answers, prefixes, kept, seconds })
    }

    /// States of the shared beginnings.
    pub(super) fn prefixes(
        &self,
        network: &Network,
        scratch: &mut Scratch,
    ) -> candle_core::Result<Vec<Arc<Prefix>>> {
        self.headers().map(|tokens| prefix_of(network, tokens, scratch)).collect()
    }

    /// A fixed twentieth of the packs, spread over the set and at least one, for timing two models in turns.
    pub(super) fn timing_packs(&self) -> impl Iterator<Item = &Pack> {
        self.packs.packs.iter().step_by(20)
    }
}

fn prefix_of(
    network: &Network,
    tokens: &[u32],
    scratch: &mut Scratch,
) -> candle_core::Result<Arc<Prefix>> {
    Ok(Arc::new(network.prefix(tokens, &Pass::default(), scratch)?.0))
}

fn slots<T>(count: usize) -> Vec<Slot<T>> {
    (0..count).map(|_| OnceLock::new()).collect()
}

/// The contents, or the first error. A slot is empty only behind an error before it.
fn filled<T>(slots: Vec<Slot<T>>) -> candle_core::Result<Vec<T>> {
    let absent = || Err(candle_core::Error::Msg("not computed".to_owned()));
    slots.into_iter().map(|slot| slot.into_inner().unwrap_or_else(absent)).collect()
}

impl Packs {
    fn with_header(&self, header: Option<usize>) -> impl Iterator<Item = usize> {
        let packs = self.packs.iter().enumerate();
        packs.filter(move |(_, pack)| pack.header == header).map(|(index, _)| index)
    }
}

impl Pack {
    fn tokens(&self) -> usize {
        match &self.reads {
            Reads::Tokens(batch) => batch.len(),
            Reads::Texts(texts) => texts.iter().map(Vec::len).sum(),
        }
    }

    /// Runs on the calling thread.
    fn run(
        &self,
        network: &Network,
        pass: &Pass,
        scratch: &mut Scratch,
    ) -> candle_core::Result<PackRun> {
        let (result, seconds) = timed(|| self.compute(network, pass, scratch));
        let (answers, kept) = result?;
        Ok(PackRun { answers, kept, seconds })
    }

    /// Time of this pack alone, in seconds.
    pub fn seconds(
        &self,
        network: &Network,
        prefixes: &[Arc<Prefix>],
        scratch: &mut Scratch,
    ) -> candle_core::Result<f64> {
        let prefix = self.header.and_then(|header| prefixes.get(header)).map(Arc::as_ref);
        let pass = Pass { prefix, ..Pass::default() };
        Ok(self.run(network, &pass, scratch)?.seconds)
    }

    fn compute(
        &self,
        network: &Network,
        pass: &Pass,
        scratch: &mut Scratch,
    ) -> candle_core::Result<(Vec<f32>, Option<States>)> {
        match &self.reads {
            Reads::Tokens(batch) => {
                let scored = network.score(batch, pass, scratch)?;
                let sum = |span: &std::ops::Range<usize>| {
                    let terms = &scored.log_probabilities[span.clone()];
                    terms.iter().map(|&term| f64::from(term)).sum::<f64>() as f32
                };
                Ok((batch.spans.iter().map(sum).collect(), scored.kept))
            }
            Reads::Texts(texts) => {
                let texts: Vec<&[u32]> = texts.iter().map(Vec::as_slice).collect();
                let labels = network.classify(&texts, scratch)?;
                let chosen = self.answers.iter().zip(labels);
                let answers =
                    chosen.flat_map(|(slots, labels)| labels.into_iter().take(slots.len()));
                Ok((answers.collect(), None))
            }
        }
    }
}
