//! A routed recipe in memory: all its merges, and the gate that tells which of them reads a document.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::weights::{made_of, of_base};
use super::{FittedGate, PromptReader, Routed, RoutingError};
use crate::checkpoint::Checkpoint;
use crate::evaluate::fingerprint::Fingerprint;
use crate::evaluate::source::{
    Machine, SourceError, merge_into, merged_spec, open_models, tokenizer_of,
};
use crate::evaluate::{
    DocAnswer, Documents, OpenError, Pool, ReadyModel, Resources, Room, ScoreError, Scorer,
    ScoringSet, SetError, TaskTokenizer, load_network, plan_merge,
};
use crate::hub::Hub;
use crate::merge::MergePlan;
use crate::model::Network;
use crate::outcome::DocSubset;
use crate::recipe::{DocumentRouter, Features, Gate, ModelRef, Recipe};
use crate::task::Task;
use crate::units::Bytes;

/// The other merges of a routed model, and who goes to them.
pub(in crate::evaluate) struct Router {
    gate: Gate,
    /// `None`: to the tasks whose documents are asked.
    fitted: Option<FittedGate>,
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

/// All merges of a routed recipe, on the CPU; each tensor that several of them or the base model have is in memory once.
pub(in crate::evaluate) fn load_routed(
    recipe: &Recipe,
    router: &DocumentRouter,
    hub: &Hub,
    machine: &Machine,
) -> Result<ReadyModel, SourceError> {
    let routed = Routed::new(recipe, router)?;
    require_one_vocabulary(&routed.merges)?;
    if machine.device.is_some() {
        return Err(RoutingError::Device.into());
    }
    let models = open_models(&names(recipe, &routed)?, hub, machine.pool)?;
    let models: Vec<_> = models.iter().map(|(name, own)| (name.clone(), own)).collect();
    let plan = |merge: &Recipe| plan_merge(merge, &models, machine.tasks, machine.pool);
    let plans = routed.merges.iter().map(plan).collect::<Result<Vec<_>, _>>()?;
    let (first, (_, base)) = match (plans.first(), models.first()) {
        (Some(plan), Some(base)) => (plan, base),
        _ => return Err(RoutingError::NoClasses.into()),
    };
    let (tokenizer, folder) = tokenizer_of(first)?;
    let mut shared = Shared::new(router.gate, base, machine)?;
    plans.iter().try_for_each(|plan| shared.add(plan, machine))?;
    let needed = Bytes(shared.networks.iter().map(|network| network.bytes() as u64).sum());
    if let Some(available) = machine.resources.memory.filter(|available| *available < needed) {
        let workers = machine.pool.threads();
        return Err(OpenError::Memory { workers, needed, available }.into());
    }
    let mut networks = shared.networks.into_iter();
    let base_network = if shared.has_base { networks.next() } else { None };
    let boxed = |network: Network| -> Box<dyn Scorer> { Box::new(network) };
    let network = networks.next().map(boxed).ok_or(RoutingError::NoClasses)?;
    let router = Router {
        gate: router.gate,
        fitted: None,
        routes: routed.routes,
        others: networks.map(boxed).collect(),
        base: base_network,
        tokenizer: TaskTokenizer::open(base.dir())?,
    };
    let router = (!router.others.is_empty()).then_some(router);
    Ok(ReadyModel { network, tokenizer, folder, router })
}

fn require_one_vocabulary(merges: &[Recipe]) -> Result<(), RoutingError> {
    let first = merges.first().map(|merge| &merge.tokenizer);
    match merges.iter().position(|merge| Some(&merge.tokenizer) != first) {
        Some(merge) => Err(RoutingError::Vocabulary { merge }),
        None => Ok(()),
    }
}

/// The model whose hidden states the gate reads, or else the first, and then all others.
fn names<'a>(recipe: &'a Recipe, routed: &'a Routed) -> Result<Vec<&'a ModelRef>, RoutingError> {
    let base = match reads_hidden_states(recipe) {
        true => recipe.base_model.as_ref(),
        false => recipe.models().first().copied(),
    };
    let base = base.ok_or(RoutingError::NoBase)?;
    let mut names = vec![base];
    for name in routed.merges.iter().flat_map(Recipe::models) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    Ok(names)
}

/// Only they say which model is meant.
fn reads_hidden_states(recipe: &Recipe) -> bool {
    let features = recipe.document_router.as_ref().map(|router| router.gate.features);
    matches!(features, Some(Features::Hidden { .. }))
}

/// Networks, and what each tensor in memory is made of.
struct Shared {
    networks: Vec<Network>,
    /// Whether the first one is the base model.
    has_base: bool,
    /// Which network has it, under which name.
    known: BTreeMap<Fingerprint, (usize, String)>,
}

impl Shared {
    /// The base model, where the gate needs its states.
    fn new(gate: Gate, base: &Checkpoint, machine: &Machine) -> Result<Self, SourceError> {
        let mut shared = Shared { networks: Vec::new(), has_base: false, known: BTreeMap::new() };
        if !matches!(gate.features, Features::Hidden { .. }) {
            return Ok(shared);
        }
        let network = machine.pool.install(|| load_network(base, machine.resources.precision));
        let folder = || base.dir().to_owned();
        let network = network
            .map_err(|source| SourceError::Load { folder: folder(), source: Box::new(source) })?;
        let names = network.tensors().map(|(name, _)| (of_base(name), (0, name.to_owned())));
        shared.known.extend(names);
        shared.networks.push(network);
        shared.has_base = true;
        Ok(shared)
    }

    fn add(&mut self, plan: &MergePlan, machine: &Machine) -> Result<(), SourceError> {
        let made_of: BTreeMap<&str, Fingerprint> = plan
            .tensors()
            .iter()
            .map(|tensor| (tensor.name.as_str(), made_of(plan, tensor)))
            .collect();
        let lender = |name: &str| {
            let (network, name) = self.known.get(made_of.get(name)?)?;
            Some((self.networks.get(*network)?, name.clone()))
        };
        let precision = machine.resources.precision;
        let network = Network::sharing(&merged_spec(plan)?, precision, &lender)?;
        merge_into(&network, plan, machine.pool, |name| !network.is_shared(name))?;
        let number = self.networks.len();
        for (name, key) in made_of {
            self.known.entry(key).or_insert_with(|| (number, name.to_owned()));
        }
        self.networks.push(network);
        Ok(())
    }
}

impl ReadyModel {
    /// What the model answers to every document of `set`, which was prepared from `documents` for its network, task by task; of
    /// a routed recipe each by the merge that its gate sends it to, which is fitted to the search split of the same tasks unless
    /// it was [fitted](Self::fitted_to) before. `prompts`: the same documents as the tasks' files ask for them, which is what the gate sees. `progress` as in [`ScoringSet::ask`].
    ///
    /// # Errors
    /// See [`AskError`].
    pub fn ask(
        &self,
        set: &ScoringSet,
        documents: &Documents,
        prompts: &Documents,
        room: Room,
        pool: &Pool,
        progress: Option<&(dyn Fn(usize) + Sync)>,
    ) -> Result<Vec<Vec<DocAnswer>>, AskError> {
        let Some(router) = &self.router else {
            return Ok(set.ask(&*self.network, &self.tokenizer, pool, progress)?);
        };
        let merges = router.merges(prompts, pool)?;
        let mut answers: Vec<Vec<DocAnswer>> =
            merges.iter().map(|task| vec![DocAnswer::default(); task.len()]).collect();
        let networks = std::iter::once(&self.network).chain(&router.others);
        for (merge, network) in networks.enumerate() {
            let places = docs_of(&merges, merge);
            let docs = documents.docs.map_or_else(|| places.clone(), |all| all.at(&places));
            let own = Documents { docs: Some(&docs), ..*documents };
            let part = set.part(&own, &self.tokenizer, &**network, room, None)?;
            let scored = part.ask(&**network, &self.tokenizer, pool, progress)?;
            for ((answers, scored), docs) in answers.iter_mut().zip(scored).zip(&places.0) {
                for (answer, &doc) in scored.into_iter().zip(docs) {
                    if let Some(place) = answers.get_mut(doc as usize) {
                        *place = answer;
                    }
                }
            }
        }
        Ok(answers)
    }

    /// The same model, whose gate, if it has one, is fitted to the search split of `tasks` once and for all.
    ///
    /// # Errors
    /// See [`RoutingError`].
    pub fn fitted_to(mut self, tasks: &[Task], pool: &Pool) -> Result<Self, RoutingError> {
        if let Some(router) = &mut self.router {
            router.fitted = Some(router.reader(pool).fit(&router.gate, tasks)?);
        }
        Ok(self)
    }

    /// Memory of the weights of all its networks; what several of them have counts once.
    pub fn bytes(&self) -> usize {
        self.network.bytes() + self.router.as_ref().map_or(0, Router::bytes)
    }

    /// What is left for activations beside the model.
    pub fn room(&self, resources: &Resources, threads: usize) -> Room {
        let room = resources.room_beside(&*self.network, threads);
        let taken = self.router.as_ref().map_or(0, Router::bytes) as u64;
        Room { memory: Bytes(room.memory.0.saturating_sub(taken)), ..room }
    }
}

impl Router {
    /// Memory of the weights beside the first network's.
    fn bytes(&self) -> usize {
        let others = self.others.iter().map(|network| network.bytes()).sum::<usize>();
        others + self.base.as_ref().map_or(0, Network::bytes)
    }

    fn reader<'a>(&'a self, pool: &'a Pool) -> PromptReader<'a> {
        PromptReader { tokenizer: &self.tokenizer, base: self.base.as_ref(), pool }
    }

    /// Which merge reads each document, task by task.
    fn merges(&self, documents: &Documents, pool: &Pool) -> Result<Vec<Vec<usize>>, RoutingError> {
        let reader = self.reader(pool);
        let gate = match &self.fitted {
            Some(gate) => Cow::Borrowed(gate),
            None => Cow::Owned(reader.fit(&self.gate, documents.tasks)?),
        };
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
