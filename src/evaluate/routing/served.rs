//! A routed recipe in memory: all its merges, and the gate that tells which of them reads a document.

use super::{PromptReader, Routed, RoutingError};
use crate::evaluate::source::{Machine, SourceError, merged_network, open_models};
use crate::evaluate::{
    DocAnswer, Documents, OpenError, Pool, ReadyModel, Resources, Room, ScoreError, Scorer,
    ScoringSet, SetError, TaskTokenizer, load_network,
};
use crate::hub::Hub;
use crate::merge::MergePlan;
use crate::model::Network;
use crate::outcome::DocSubset;
use crate::recipe::{DocumentRouter, Features, Gate, Recipe};
use crate::units::Bytes;

/// The other merges of a routed model, and who goes to them.
pub(in crate::evaluate) struct Router {
    gate: Gate,
    /// By class: 0 is the model's own network, `i` entry `i - 1` of `others`.
    routes: Vec<usize>,
    others: Vec<Box<dyn Scorer>>,
    /// The base model, where the gate sees its hidden states.
    base: Option<Network>,
    /// The base model's.
    tokenizer: TaskTokenizer,
}

/// Why a model gave no answers.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// A routed model cannot tell where documents go.
    #[error(transparent)]
    Routing(#[from] RoutingError),
    /// The documents of one merge cannot be prepared.
    #[error(transparent)]
    Set(#[from] SetError),
    /// The model cannot be run.
    #[error(transparent)]
    Score(#[from] ScoreError),
}

/// All merges of a routed recipe. Their vocabulary must be the same.
pub(in crate::evaluate) fn load_routed(
    recipe: &Recipe,
    router: &DocumentRouter,
    hub: &Hub,
    machine: &Machine,
    plain: impl Fn(&Recipe) -> Result<ReadyModel, SourceError>,
) -> Result<ReadyModel, SourceError> {
    let routed = Routed::new(recipe, router)?;
    let Some((first, rest)) = routed.merges.split_first() else {
        return Err(RoutingError::NoClasses.into());
    };
    if let Some(other) = rest.iter().position(|merge| merge.tokenizer != first.tokenizer) {
        return Err(RoutingError::Vocabulary { merge: other + 1 }.into());
    }
    let mut model = plain(first)?;
    if rest.is_empty() {
        return Ok(model);
    }
    let mut others = Vec::new();
    for merge in rest {
        let models = open_models(merge, hub, machine.pool)?;
        let models: Vec<_> = models.iter().map(|(name, own)| (name.clone(), own)).collect();
        let plan = machine.pool.install(|| MergePlan::new(merge, &models))?;
        others.push(merged_network(&plan, machine)?);
    }
    require_memory(&model, &others, machine)?;
    let named = recipe.base_model.as_ref().or_else(|| recipe.models().first().copied());
    let base = named.ok_or(RoutingError::NoBase)?;
    let base = crate::evaluate::open_checkpoint(base, hub)?;
    let network = match router.gate.features {
        Features::Hidden { .. } => {
            let load = || load_network(&base, machine.resources.precision);
            let folder = base.dir().to_owned();
            let network = machine.pool.install(load);
            Some(network.map_err(|source| SourceError::Load { folder, source: Box::new(source) })?)
        }
        Features::Ngrams { .. } | Features::Shape => None,
    };
    let tokenizer = TaskTokenizer::open(base.dir())?;
    let (gate, routes) = (router.gate, routed.routes);
    model.router = Some(Router { gate, routes, others, base: network, tokenizer });
    Ok(model)
}

fn require_memory(
    model: &ReadyModel,
    others: &[Box<dyn Scorer>],
    machine: &Machine,
) -> Result<(), SourceError> {
    let bytes = others.iter().map(|network| network.bytes()).sum::<usize>() + model.network.bytes();
    let (workers, needed) = (machine.pool.threads(), Bytes(bytes as u64));
    match machine.resources.memory {
        Some(available) if available < needed => {
            Err(OpenError::Memory { workers, needed, available }.into())
        }
        _ => Ok(()),
    }
}

impl ReadyModel {
    /// What the model answers to every document of `set`, which was prepared from `documents` for its network, task by task; of
    /// a routed recipe each by the merge that its gate sends it to, whose gate is fitted to the search split of the same
    /// tasks. `progress` as in [`ScoringSet::ask`].
    ///
    /// # Errors
    /// See [`AskError`].
    pub fn ask(
        &self,
        set: &ScoringSet,
        documents: &Documents,
        room: Room,
        pool: &Pool,
        progress: Option<&(dyn Fn(usize) + Sync)>,
    ) -> Result<Vec<Vec<DocAnswer>>, AskError> {
        let Some(router) = &self.router else {
            return Ok(set.ask(&*self.network, &self.tokenizer, pool, progress)?);
        };
        let merges = router.merges(documents, pool)?;
        let mut answers: Vec<Vec<DocAnswer>> =
            merges.iter().map(|task| vec![DocAnswer::default(); task.len()]).collect();
        let networks = std::iter::once(&self.network).chain(&router.others);
        for (merge, network) in networks.enumerate() {
            let docs = docs_of(&merges, merge);
            let own = Documents { docs: Some(&docs), ..*documents };
            let part = set.part(&own, &self.tokenizer, &**network, room)?;
            let scored = part.ask(&**network, &self.tokenizer, pool, progress)?;
            for ((answers, scored), docs) in answers.iter_mut().zip(scored).zip(&docs.0) {
                for (answer, &doc) in scored.into_iter().zip(docs) {
                    if let Some(place) = answers.get_mut(doc as usize) {
                        *place = answer;
                    }
                }
            }
        }
        Ok(answers)
    }

    /// What is left for activations beside the model.
    pub fn room(&self, resources: &Resources, threads: usize) -> Room {
        let room = resources.room_beside(&*self.network, threads);
        let others = self.router.iter().flat_map(|router| &router.others);
        let taken: u64 = others.map(|network| network.bytes() as u64).sum();
        Room { memory: Bytes(room.memory.0.saturating_sub(taken)), ..room }
    }
}

impl Router {
    /// Which merge reads each document, task by task.
    fn merges(&self, documents: &Documents, pool: &Pool) -> Result<Vec<Vec<usize>>, RoutingError> {
        let reader = PromptReader { tokenizer: &self.tokenizer, base: self.base.as_ref(), pool };
        let gate = reader.fit(&self.gate, documents.tasks)?;
        let judged = reader.judge(&gate, documents)?;
        let merge = |class: usize| self.routes.get(class).copied().unwrap_or(0);
        let of_task = |task: Vec<super::prompts::Judged>| {
            task.into_iter().map(|judged| merge(judged.class)).collect()
        };
        Ok(judged.into_iter().map(of_task).collect())
    }
}

/// The documents that go to `merge`.
fn docs_of(merges: &[Vec<usize>], merge: usize) -> DocSubset {
    let of_task = |task: &Vec<usize>| {
        let docs = (0u32..).zip(task).filter(|(_, own)| **own == merge);
        docs.map(|(doc, _)| doc).collect()
    };
    DocSubset(merges.iter().map(of_task).collect())
}
