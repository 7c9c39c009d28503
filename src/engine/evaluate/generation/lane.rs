//! One model over all groups: each beginning once, then a lane per thread.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use rayon::ScopeFifo;
use tokenizers::Tokenizer;

use super::super::pool::timed;
use super::super::run::prefix_of;
use super::super::{Pool, Scorer};
use super::ending::Ending;
use super::groups::Group;
use super::{GeneratedText, TextError, TextRun, TextSet};
use crate::model::{Pace, Prefix, Prompt, Scratch, Texts};

/// A run over all groups.
pub(super) struct Course<'a> {
    set: &'a TextSet,
    network: &'a dyn Scorer,
    pool: &'a Pool,
    tokenizer: &'a Tokenizer,
    progress: Option<&'a (dyn Fn(usize) + Sync)>,
    begun: Vec<Begun>,
    texts: Mutex<Vec<(usize, Result<GeneratedText, TextError>)>>,
    seconds: Mutex<Vec<candle_core::Result<f64>>>,
}

/// A group that is at work.
#[derive(Default)]
struct Begun {
    prefix: OnceLock<Arc<Prefix>>,
    /// Place, among the members, of the text that is next.
    next: AtomicUsize,
}

impl<'a> Course<'a> {
    pub fn new(
        set: &'a TextSet,
        network: &'a dyn Scorer,
        pool: &'a Pool,
        tokenizer: &'a Tokenizer,
        progress: Option<&'a (dyn Fn(usize) + Sync)>,
    ) -> Self {
        let begun = set.groups.iter().map(|_| Begun::default()).collect();
        let (texts, seconds) = (Mutex::default(), Mutex::default());
        Course { set, network, pool, tokenizer, progress, begun, texts, seconds }
    }

    pub fn run(self) -> Result<TextRun, TextError> {
        self.pool.install(|| {
            rayon::scope_fifo(|scope| {
                for group in 0..self.begun.len() {
                    let this = &self;
                    scope.spawn_fifo(move |scope| this.begin(group, scope));
                }
            });
        });
        self.gather()
    }

    fn gather(self) -> Result<TextRun, TextError> {
        let seconds = self.seconds.into_inner().unwrap_or_else(PoisonError::into_inner);
        let seconds = seconds.into_iter().sum::<candle_core::Result<f64>>()?;
        let mut texts = self.texts.into_inner().unwrap_or_else(PoisonError::into_inner);
        texts.sort_by_key(|(index, _)| *index);
        let texts = texts.into_iter().map(|(_, text)| text).collect::<Result<_, _>>()?;
        let prefixes = self.begun.into_iter().filter_map(|begun| begun.prefix.into_inner());
        Ok(TextRun { texts, prefixes: prefixes.collect(), seconds })
    }

    /// Reads the group's beginning and starts its lanes.
    fn begin<'scope>(&'scope self, index: usize, scope: &ScopeFifo<'scope>) {
        let group = &self.set.groups[index];
        if !group.beginning.is_empty() {
            let compute =
                |scratch: &mut Scratch| prefix_of(self.network, &group.beginning, scratch);
            let (prefix, seconds) = timed(|| self.pool.with_scratch(compute));
            let prefix = prefix.map(|prefix| self.begun[index].prefix.set(prefix));
            let failed = prefix.is_err();
            self.took(prefix.map(|_| seconds));
            if failed {
                return;
            }
        }
        let threads = self.pool.threads();
        let texts = group.pace.texts.min(group.members.len().div_ceil(threads)).max(1);
        for _ in 0..threads.min(group.members.len().div_ceil(texts)) {
            scope.spawn_fifo(move |_| self.lane(index, Pace { texts, ..group.pace }));
        }
    }

    fn lane(&self, index: usize, pace: Pace) {
        let begun = &self.begun[index];
        let mut lane =
            Lane { course: self, group: &self.set.groups[index], begun, growing: BTreeMap::new() };
        let compute = |scratch: &mut Scratch| {
            let prefix = begun.prefix.get().map(Arc::as_ref);
            self.network.generate(prefix, pace, &mut lane, scratch)
        };
        let (result, seconds) = timed(|| self.pool.with_scratch(compute));
        self.took(result.map(|()| seconds));
    }

    fn took(&self, seconds: candle_core::Result<f64>) {
        self.seconds.lock().unwrap_or_else(PoisonError::into_inner).push(seconds);
    }
}

/// A thread's part of a group.
struct Lane<'a> {
    course: &'a Course<'a>,
    group: &'a Group,
    begun: &'a Begun,
    growing: BTreeMap<usize, Ending<'a>>,
}

impl Texts for Lane<'_> {
    fn begin(&mut self) -> Option<(usize, Prompt)> {
        let set = self.course.set;
        loop {
            let index = *self.group.members.get(self.begun.next.fetch_add(1, Ordering::Relaxed))?;
            let text = &set.texts[index];
            let ending =
                Ending::new(self.course.tokenizer, &text.until, &set.stop, text.max_new_tokens);
            self.growing.insert(index, ending);
            if text.max_new_tokens > 0 {
                return Some((index, text.prompt.clone()));
            }
            self.end(index);
        }
    }

    fn add(&mut self, index: usize, token: Option<u32>) -> bool {
        let Some(ending) = self.growing.get_mut(&index) else { return false };
        let going = match token.map(|token| ending.push(token)) {
            Some(Ok(going)) => going,
            Some(Err(source)) => {
                self.keep(index, Err(TextError::Decode { request: index, source }));
                return false;
            }
            None => {
                self.keep(index, Err(TextError::NonFinite { request: index }));
                return false;
            }
        };
        if !going {
            self.end(index);
        }
        going
    }
}

impl Lane<'_> {
    fn end(&mut self, index: usize) {
        let Some(ending) = self.growing.remove(&index) else { return };
        let truncated = self.course.set.texts[index].truncated;
        let text = ending.finish();
        let text = text.map(|(text, tokens, finished)| GeneratedText {
            text,
            tokens,
            truncated,
            finished,
        });
        self.keep(index, text.map_err(|source| TextError::Decode { request: index, source }));
    }

    fn keep(&self, index: usize, text: Result<GeneratedText, TextError>) {
        self.course.texts.lock().unwrap_or_else(PoisonError::into_inner).push((index, text));
        if let Some(progress) = self.course.progress {
            progress(1);
        }
    }
}
