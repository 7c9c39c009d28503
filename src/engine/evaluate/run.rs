//! One network over all packs, on all threads.

use std::sync::{Arc, OnceLock};

use rayon::ScopeFifo;

use super::generation::GeneratedText;
use super::pack::{Pack, Packs, Reads};
use super::pool::timed;
use super::timing::clocked;
use super::{Pool, Scorer};
use crate::model::{Pass, Prefix, Scratch, States};

/// What a run over all packs gives.
pub(super) struct Run {
    /// Log-likelihood in nats of every choice.
    pub answers: Vec<f32>,
    /// Texts in answer; filled by [`super::ScoringSet`].
    pub texts: Vec<GeneratedText>,
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
pub(super) struct Course<'a> {
    packs: &'a Packs,
    network: &'a dyn Scorer,
    pool: &'a Pool,
    saved: Saved<'a>,
    prefixes: Vec<Slot<(Arc<Prefix>, f64)>>,
    runs: Vec<Slot<PackRun>>,
}

impl<'a> Course<'a> {
    pub fn new(
        packs: &'a Packs,
        network: &'a dyn Scorer,
        pool: &'a Pool,
        saved: Saved<'a>,
    ) -> Self {
        let (prefixes, runs) = (slots(packs.headers.len()), slots(packs.packs.len()));
        Course { packs, network, pool, saved, prefixes, runs }
    }

    /// Computes everything; `answers` is the number of answers of all packs.
    pub fn run(self, answers: usize) -> candle_core::Result<Run> {
        self.pool.install(|| match self.network.on_device() {
            true => (0..self.packs.packs.len()).for_each(|index| self.score(index, None)),
            false => self.side_by_side(),
        });
        self.gather(answers)
    }

    fn side_by_side(&self) {
        rayon::scope_fifo(|scope| {
            for header in 0..self.packs.headers.len() {
                scope.spawn_fifo(move |scope| self.begin(header, scope));
            }
            for index in self.packs.with_header(None) {
                scope.spawn_fifo(move |_| self.score(index, None));
            }
        });
    }

    fn gather(self, answers: usize) -> candle_core::Result<Run> {
        let prefixes = filled(self.prefixes)?;
        let mut seconds = prefixes.iter().map(|(_, seconds)| seconds).sum();
        let mut answers = vec![0.0; answers];
        let mut kept = Vec::new();
        for (pack, run) in self.packs.packs.iter().zip(filled(self.runs)?) {
            let places = pack.answers.iter().flat_map(Clone::clone);
            places.zip(run.answers).for_each(|(place, answer)| answers[place] = answer);
            kept.extend(run.kept);
            seconds += run.seconds;
        }
        Ok(Run { answers, texts: Vec::new(), kept, seconds })
    }

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
        let pass = Pass { prefix, resume, keep: self.saved.keep, stop: None };
        let pack = &self.packs.packs[index];
        let compute = |scratch: &mut Scratch| pack.run(self.network, &pass, scratch);
        let _set_once = self.runs[index].set(self.pool.with_scratch(compute));
        if let Some(progress) = self.saved.progress {
            progress(pack.answers.iter().map(ExactSizeIterator::len).sum());
        }
    }
}

/// Keys and values of a shared beginning.
pub(super) fn prefix_of(
    network: &dyn Scorer,
    tokens: &[u32],
    scratch: &mut Scratch,
) -> candle_core::Result<Arc<Prefix>> {
    Ok(Arc::new(network.prefix(tokens, scratch)?))
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
    /// Number of tokens the network reads.
    pub fn tokens(&self) -> usize {
        match &self.reads {
            Reads::Tokens(batch) => batch.len(),
            Reads::Texts(texts) => texts.iter().map(Vec::len).sum(),
        }
    }

    /// Runs on the calling thread.
    fn run(
        &self,
        network: &dyn Scorer,
        pass: &Pass,
        scratch: &mut Scratch,
    ) -> candle_core::Result<PackRun> {
        let (result, seconds) = timed(|| self.compute(network, pass, scratch));
        let (answers, kept) = result?;
        Ok(PackRun { answers, kept, seconds })
    }

    /// Time of this pack alone, in seconds of the calling thread.
    pub fn seconds(
        &self,
        network: &dyn Scorer,
        prefixes: &[Arc<Prefix>],
        scratch: &mut Scratch,
    ) -> candle_core::Result<f64> {
        let prefix = self.header.and_then(|header| prefixes.get(header)).map(Arc::as_ref);
        let pass = Pass { prefix, ..Pass::default() };
        let (result, seconds) = clocked(|| self.compute(network, &pass, scratch));
        result.map(|_| seconds)
    }

    fn compute(
        &self,
        network: &dyn Scorer,
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
