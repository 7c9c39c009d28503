//! The documents of a search as tokens: whole splits for as long as it runs, parts of them, and both under other prompts,
//! while they are asked for.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use super::changed_tasks::ChangedTasks;
use super::encoded::EncodedChoices;
use super::fault::Fault;
use super::fingerprint::{Fingerprint, fingerprint};
use super::lru::Lru;
use super::prompt_changes::PromptChanges;
use super::tokenize::Encoder;
use super::{
    Documents, EvaluateError, OpenError, Pool, Room, ScoreError, ScoringSet, SetError,
    TaskTokenizer,
};
use crate::model::Network;
use crate::model::spec::NetworkSpec;
use crate::outcome::DocSubset;
use crate::recipe::PromptChange;
use crate::task::{Metric, Task};
use crate::units::Split;

/// Which documents: a split, the part of it if it is not the whole, and the prompts if they are not the tasks' own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct DocsKey {
    pub split: Split,
    pub part: Option<Fingerprint>,
    pub prompts: Option<Fingerprint>,
}

impl DocsKey {
    /// Whether it is what a split was prepared as when the search began.
    pub fn is_whole_split(&self) -> bool {
        self.part.is_none() && self.prompts.is_none()
    }
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

/// What makes tokens of documents.
#[derive(Clone, Copy)]
pub(super) struct Preparing<'a> {
    pub tokenizer: &'a TaskTokenizer,
    /// Of the candidates' kind.
    pub network: &'a Network,
    pub pool: &'a Pool,
}

/// Where a set is, or will be, or why there can be none under these prompts; locked while it is made.
type Place = Arc<Mutex<Option<Result<Arc<ScoringSet>, String>>>>;

pub(super) struct DocumentSets {
    tasks: Vec<Task>,
    changed: ChangedTasks,
    /// Documents of each task that are scored, by split.
    limits: [Option<usize>; 3],
    whole: [Arc<ScoringSet>; 3],
    share: SetsShare,
    sets: Mutex<Lru<DocsKey, Place>>,
    /// `None`: there is too little memory for a split's.
    encoded: Option<EncodedChoices>,
}

/// What sets beside the whole splits may take of the memory.
#[derive(Debug, Clone, Copy)]
pub(super) struct SetsShare {
    /// Bytes of all that are held.
    pub held: usize,
    /// Bytes for the tokens that they are made of.
    pub encoded: usize,
    /// For the packs of a part.
    pub room: Room,
    /// For the packs under other prompts, which may be longer.
    pub room_of_prompts: Room,
}

impl DocumentSets {
    /// `folder`: where the chat template is that prompts may ask for.
    pub fn new(
        tasks: Vec<Task>,
        folder: PathBuf,
        limits: [Option<usize>; 3],
        whole: [ScoringSet; 3],
        share: SetsShare,
    ) -> Self {
        let largest = whole.iter().map(ScoringSet::bytes).max().unwrap_or(0);
        let encoded = (share.encoded >= 2 * largest).then(|| EncodedChoices::new(share.encoded));
        DocumentSets {
            tasks,
            changed: ChangedTasks::new(folder),
            limits,
            whole: whole.map(Arc::new),
            share,
            sets: Mutex::new(Lru::new(share.held)),
            encoded,
        }
    }

    /// With the prompts that the base model gets.
    pub fn tasks(&self) -> &[Task] {
        &self.tasks
    }

    pub fn all_whole(&self) -> impl Iterator<Item = &ScoringSet> {
        self.whole.iter().map(Arc::as_ref)
    }

    /// Under the tasks' own prompts.
    pub fn whole(&self, split: Split) -> &Arc<ScoringSet> {
        &self.whole[split as usize]
    }

    /// All documents of a split that are scored, as the tasks' files ask for them.
    pub fn documents(&self, split: Split) -> Documents<'_> {
        let limit = self.limits[split as usize];
        Documents { tasks: &self.tasks, split: Some(split), limit, docs: None }
    }

    /// Checks that the tasks can be put so, whatever the model.
    pub fn check(&self, prompts: &BTreeMap<String, PromptChange>) -> Result<(), OpenError> {
        self.changed.tasks(&self.tasks, &PromptChanges::new(&self.tasks, prompts)?)?;
        Ok(())
    }

    /// The tokens of the documents asked for; those that are not there yet are made once, whoever else asks meanwhile waits.
    /// Prompts that cannot be made, or that the model cannot read, are the candidate's fault.
    pub fn ask<'a>(
        &self,
        split: Split,
        docs: Option<&'a DocSubset>,
        prompts: &BTreeMap<String, PromptChange>,
        preparing: Preparing,
    ) -> Result<Asked<'a>, Fault> {
        let changes = PromptChanges::new(&self.tasks, prompts)?;
        let docs = docs.filter(|docs| !docs.is_whole(&self.whole(split).docs_by_task()));
        let part = docs.map(fingerprint);
        let key = DocsKey { split, part, prompts: changes.fingerprint() };
        let set = self.set(key, docs, &changes, preparing)?;
        Ok(Asked { key, set, docs })
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

    fn set(
        &self,
        key: DocsKey,
        docs: Option<&DocSubset>,
        changes: &PromptChanges,
        preparing: Preparing,
    ) -> Result<Arc<ScoringSet>, Fault> {
        if key.is_whole_split() {
            return Ok(Arc::clone(self.whole(key.split)));
        }
        let place = self.place(key, docs);
        let mut made = place.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(result) = &*made {
            return result.clone().map_err(Fault::Candidate);
        }
        let result = self.make(key, docs, changes, preparing).map(Arc::new);
        match &result {
            Ok(set) => {
                *made = Some(Ok(Arc::clone(set)));
                self.lock().insert(key, Arc::clone(&place), set.bytes());
            }
            Err(Fault::Candidate(reason)) => *made = Some(Err(reason.clone())),
            Err(Fault::Machine(_)) => {}
        }
        result
    }

    /// How large a set will be is known only when it is made: until then it counts as the same documents do under the tasks' own
    /// prompts.
    fn place(&self, key: DocsKey, docs: Option<&DocSubset>) -> Place {
        let mut sets = self.lock();
        if let Some(place) = sets.get(&key) {
            return place;
        }
        let place = Place::default();
        let whole = self.whole(key.split);
        let share = docs.map_or(1.0, |docs| docs.docs() as f64 / whole.docs().max(1) as f64);
        sets.insert(key, Arc::clone(&place), (share * whole.bytes() as f64) as usize);
        place
    }

    fn make(
        &self,
        key: DocsKey,
        docs: Option<&DocSubset>,
        changes: &PromptChanges,
        preparing: Preparing,
    ) -> Result<ScoringSet, Fault> {
        let split = key.split;
        let whole = self.whole_under(key, changes, preparing)?;
        let Preparing { tokenizer, network, pool } = preparing;
        let room = if changes.is_empty() { self.share.room } else { self.share.room_of_prompts };
        pool.install(|| {
            let tasks = self.changed.tasks(&self.tasks, changes)?;
            let limit = self.limits[split as usize];
            let documents = Documents { tasks: &tasks, split: Some(split), limit, docs };
            let set = whole.part(&documents, tokenizer, network, room, self.encoded.as_ref());
            set.map_err(|error| match error {
                SetError::NoSuchDocuments => machine(split, error),
                _ if changes.is_empty() => machine(split, error),
                unreadable => Fault::Candidate(unreadable.to_string()),
            })
        })
    }

    /// The whole split that a part is taken from, for the metrics that it leaves out: which these are depends on the prompts where
    /// the starter kit's own metric, which not all answers of one token have, is asked for.
    fn whole_under(
        &self,
        key: DocsKey,
        changes: &PromptChanges,
        preparing: Preparing,
    ) -> Result<Arc<ScoringSet>, Fault> {
        let is_kit = |task: &Task| task.metrics.contains(&Metric::Kit);
        let changed = changes.iter().filter_map(|(index, _)| self.tasks.get(*index));
        match key.part.is_some() && changed.into_iter().any(is_kit) {
            true => self.set(DocsKey { part: None, ..key }, None, changes, preparing),
            false => Ok(Arc::clone(self.whole(key.split))),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Lru<DocsKey, Place>> {
        self.sets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn machine(split: Split, error: SetError) -> Fault {
    Fault::Machine(EvaluateError::Set { split, source: Box::new(error) })
}
