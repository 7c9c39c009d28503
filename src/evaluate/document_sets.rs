//! The documents of a search as tokens: whole splits for as long as it runs, parts of them while they are asked for.

use std::sync::{Arc, Mutex, PoisonError};

use super::fingerprint::{Fingerprint, fingerprint};
use super::lru::Lru;
use super::tokenize::Encoder;
use super::{
    Documents, EvaluateError, Pool, Room, ScoreError, ScoringSet, SetError, TaskTokenizer,
};
use crate::model::Network;
use crate::model::spec::NetworkSpec;
use crate::outcome::DocSubset;
use crate::task::Task;
use crate::units::Split;

/// Which documents: a split, and the part of it if it is not the whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct DocsKey {
    pub split: Split,
    pub part: Option<Fingerprint>,
}

/// Documents that are to be scored.
pub(super) struct Asked<'a> {
    pub key: DocsKey,
    pub set: Arc<ScoringSet>,
    /// `None`: the whole split.
    pub docs: Option<&'a DocSubset>,
}

impl Asked<'_> {
    /// The same error with the document's place in the split.
    pub fn in_split(&self, error: ScoreError) -> ScoreError {
        let ScoreError::NonFinite { task, doc } = error else { return error };
        let index = self.set.task_names().position(|name| name == task);
        let docs = self.docs.and_then(|docs| docs.0.get(index?));
        let place = docs.and_then(|docs| docs.get(doc)).map_or(doc, |&place| place as usize);
        ScoreError::NonFinite { task, doc: place }
    }
}

/// Where a part's tokens are, or will be; locked while they are made.
type Place = Arc<Mutex<Option<Arc<ScoringSet>>>>;

pub(super) struct DocumentSets {
    tasks: Vec<Task>,
    /// Documents of each task that are scored, by split.
    limits: [Option<usize>; 3],
    whole: [Arc<ScoringSet>; 3],
    /// For the packs of a part.
    room: Room,
    parts: Mutex<Lru<DocsKey, Place>>,
}

/// What parts of splits may take of the memory.
#[derive(Debug, Clone, Copy)]
pub(super) struct PartsShare {
    /// Bytes of all that are held.
    pub held: usize,
    pub room: Room,
}

impl DocumentSets {
    pub fn new(
        tasks: Vec<Task>,
        limits: [Option<usize>; 3],
        whole: [ScoringSet; 3],
        share: PartsShare,
    ) -> Self {
        DocumentSets {
            tasks,
            limits,
            whole: whole.map(Arc::new),
            room: share.room,
            parts: Mutex::new(Lru::new(share.held)),
        }
    }

    pub fn all_whole(&self) -> impl Iterator<Item = &ScoringSet> {
        self.whole.iter().map(Arc::as_ref)
    }

    pub fn whole(&self, split: Split) -> &Arc<ScoringSet> {
        &self.whole[split as usize]
    }

    /// The tokens of the documents asked for; those of a part are made once, whoever else asks meanwhile waits.
    pub fn ask<'a>(
        &self,
        split: Split,
        docs: Option<&'a DocSubset>,
        tokenizer: &TaskTokenizer,
        network: &Network,
        pool: &Pool,
    ) -> Result<Asked<'a>, EvaluateError> {
        let whole = self.whole(split);
        let part = docs.filter(|docs| !docs.is_whole(&whole.docs_by_task()));
        let Some(docs) = part else {
            let key = DocsKey { split, part: None };
            return Ok(Asked { key, set: Arc::clone(whole), docs: None });
        };
        let key = DocsKey { split, part: Some(fingerprint(docs)) };
        let place = self.place(key, docs, whole);
        let mut made = place.lock().unwrap_or_else(PoisonError::into_inner);
        let set = match &*made {
            Some(set) => Arc::clone(set),
            None => {
                let set = pool.install(|| self.make(split, docs, tokenizer, network));
                let set =
                    set.map_err(|error| EvaluateError::Set { split, source: error.into() })?;
                Arc::clone(made.insert(Arc::new(set)))
            }
        };
        Ok(Asked { key, set, docs: Some(docs) })
    }

    /// The prompts of documents, for `spec`.
    pub fn prompts(
        &self,
        split: Split,
        docs: &DocSubset,
        tokenizer: &TaskTokenizer,
        spec: &NetworkSpec,
    ) -> Result<Vec<Vec<u32>>, EvaluateError> {
        let (limit, tasks) = (self.limits[split as usize], &self.tasks);
        let documents = Documents { tasks, split: Some(split), limit, docs: Some(docs) };
        let mut prompts = Vec::with_capacity(docs.docs());
        for (index, task) in tasks.iter().enumerate() {
            let encoder = Encoder { task, tokenizer, spec };
            for doc in documents.of(index) {
                let prompt = encoder.prompt(doc).map_err(|error| EvaluateError::Set {
                    split,
                    source: Box::new(error.into()),
                })?;
                prompts.push(prompt);
            }
        }
        Ok(prompts)
    }

    fn place(&self, key: DocsKey, docs: &DocSubset, whole: &ScoringSet) -> Place {
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = parts.get(&key) {
            return place;
        }
        let place = Place::default();
        let share = docs.docs() as f64 / whole.docs().max(1) as f64;
        parts.insert(key, Arc::clone(&place), (share * whole.bytes() as f64) as usize);
        place
    }

    fn make(
        &self,
        split: Split,
        docs: &DocSubset,
        tokenizer: &TaskTokenizer,
        network: &Network,
    ) -> Result<ScoringSet, SetError> {
        let (limit, tasks) = (self.limits[split as usize], &self.tasks);
        let documents = Documents { tasks, split: Some(split), limit, docs: Some(docs) };
        self.whole(split).part(&documents, tokenizer, network, self.room)
    }
}
