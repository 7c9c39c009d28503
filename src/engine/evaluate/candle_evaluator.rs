//! The evaluator that does the work: merges in memory, runs the network, scores every document.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use super::budget::Budget;
use super::chat::{ready_tasks, require_answers};
use super::document_sets::{Asked, DocsKey, DocumentSets, Preparing};
use super::fault::Fault;
use super::fingerprint::{Fingerprint, PlanFingerprints};
use super::load::load_network;
use super::lru::Lru;
use super::open::{OpenError, check_names, open_checkpoints, require_same_config};
use super::planned::TokenGates;
use super::resident::{Resident, Residents};
use super::routing::Gates;
use super::run::{Run, Saved};
use super::states::{Reuse, StatesMemory};
use super::timing::Clock;
use super::token_gates::Reader;
use super::{
    Demand, Documents, EvaluateError, Evaluator, InfeasibleMetric, Pool, Resources, ScoreError,
    ScoringSet, TaskTokenizer, memory,
};
use crate::checkpoint::{Architecture, Checkpoint};
use crate::hub::Hub;
use crate::merge::MergePlan;
use crate::model::spec::{NetworkSpec, Reading};
use crate::model::{Network, Precision};
use crate::outcome::{DocSubset, Evaluation, ItemScore, Outcome, Timing};
use crate::recipe::{MergeMethod, ModelRef, PromptChange, Recipe};
use crate::task::Task;
use crate::units::{Seconds, Split};

/// Memory for outcomes of earlier candidates.
const REMEMBERED: usize = 64_000_000;

/// Where the outcome of a candidate is, or will be; locked while it is being scored.
type Place = Arc<Mutex<Option<Outcome>>>;

/// Holds the checkpoints of one search, its documents as tokens, and the base model as the clock's reference.
pub struct CandleEvaluator {
    pub(super) pool: Arc<Pool>,
    models: Vec<(ModelRef, Checkpoint)>,
    pub(super) tokenizer: TaskTokenizer,
    pub(super) documents: DocumentSets,
    pub(super) document_gates: Gates,
    pub(super) base: Network,
    pub(super) clock: Clock,
    token_gates: TokenGates,
    pub(super) residents: Residents,
    remembered: Mutex<Lru<(Fingerprint, DocsKey), Place>>,
    states: StatesMemory,
    candidates_at_once: usize,
    /// How many models memory has room for while none is scored.
    pub(super) models_at_rest: usize,
}

/// A recipe worked out: what to merge and what network it makes.
struct Candidate<'a> {
    recipe: &'a Recipe,
    plan: &'a MergePlan<'a>,
    fingerprints: &'a PlanFingerprints<'a>,
    spec: NetworkSpec,
}

impl CandleEvaluator {
    /// Opens and checks the models (base first), and tokenizes the documents with the base model's tokenizer.
    /// `docs` limits the documents per task, by split in [`Split::ALL`]'s order; `methods` are those that recipes may
    /// use.
    ///
    /// # Errors
    /// See [`OpenError`]: every checkpoint must have the base model's tensors and finite weights, and there must be
    /// memory for one candidate and the largest document on every thread.
    pub fn open(
        models: &[ModelRef],
        hub: &Hub,
        tasks: &[Task],
        docs: [Option<usize>; 3],
        methods: &[MergeMethod],
        resources: Resources,
        pool: Arc<Pool>,
    ) -> Result<Self, OpenError> {
        let all = resources.memory();
        let models = pool.install(|| open_checkpoints(models, hub))?;
        let (_, checkpoint) = models.first().ok_or(OpenError::NoModels)?;
        let precision = resources.precision;
        let folder = checkpoint.dir().to_owned();
        let base = pool.install(|| load_network(checkpoint, precision));
        let base = base.map_err(|source| OpenError::Base { folder, source: Box::new(source) })?;
        for (_, expert) in &models[1..] {
            require_same_config(base.spec(), expert)?;
        }
        let tokenizer = TaskTokenizer::open(checkpoint.dir())?;
        check_names(tasks)?;
        require_answers(tasks)?;
        let tasks = ready_tasks(tasks, checkpoint.dir())?;
        let experts = models.len() - 1;
        let budget = Budget::new(all, pool.threads(), &base, checkpoint, experts, methods);
        let room = budget.room()?;
        let set = |split: Split| {
            let limit = docs[split as usize];
            let documents = Documents { tasks: &tasks, split: Some(split), limit, docs: None };
            ScoringSet::new(&documents, &tokenizer, &base, room)
        };
        let sets = [set(Split::Search)?, set(Split::Selection)?, set(Split::Holdout)?];
        let shares = budget.share_out(&sets);
        let folder = checkpoint.dir().to_owned();
        Ok(Self {
            pool,
            models,
            tokenizer,
            documents: DocumentSets::new(tasks, folder, docs, sets, shares.sets),
            document_gates: Gates::default(),
            base,
            clock: Clock::default(),
            token_gates: TokenGates::default(),
            residents: Residents::new(precision),
            remembered: Mutex::new(Lru::new(REMEMBERED)),
            states: StatesMemory::new(shares.states),
            candidates_at_once: shares.candidates,
            models_at_rest: shares.models_at_rest,
        })
    }

    /// The open checkpoints, base first.
    pub fn checkpoints(&self) -> impl Iterator<Item = &Checkpoint> {
        self.models.iter().map(|(_, checkpoint)| checkpoint)
    }

    /// The open checkpoints by the names that recipes have for them.
    pub(super) fn named_checkpoints(&self) -> Vec<(ModelRef, &Checkpoint)> {
        self.models.iter().map(|(name, checkpoint)| (name.clone(), checkpoint)).collect()
    }

    /// Folders of the experts whose tokenizer has another vocabulary than the base model's, with which all are scored.
    pub fn other_tokenizers(&self) -> Vec<&Path> {
        let vocabulary = |checkpoint: &Checkpoint| -> Option<serde_json::Value> {
            let text = std::fs::read(checkpoint.dir().join("tokenizer.json")).ok()?;
            let mut json: serde_json::Value = serde_json::from_slice(&text).ok()?;
            Some(serde_json::json!([json["model"].take(), json["added_tokens"].take()]))
        };
        let base = vocabulary(&self.models[0].1);
        let differs = |checkpoint: &&Checkpoint| {
            let own = vocabulary(checkpoint);
            own.is_some() && own != base
        };
        self.checkpoints().skip(1).filter(differs).map(Checkpoint::dir).collect()
    }

    /// How the base model's tensors are laid out.
    pub fn architecture(&self) -> &Architecture {
        self.models[0].1.architecture()
    }

    /// What the base model computes.
    pub fn spec(&self) -> &NetworkSpec {
        self.base.spec()
    }

    /// What the documents of a split ask of any model.
    pub fn demand(&self, split: Split) -> Demand {
        self.documents.whole(split).demand()
    }

    /// Layers of the base model.
    pub fn layers(&self) -> usize {
        self.models[0].1.layers()
    }

    /// How many candidates memory has room for side by side, at most one for each thread.
    pub fn candidates_at_once(&self) -> usize {
        self.candidates_at_once
    }

    /// Metrics beside the judged ones that were left out, as the model or its tokenizer cannot be scored by them.
    pub fn infeasible_metrics(&self) -> Vec<&InfeasibleMetric> {
        let mut all: Vec<&InfeasibleMetric> = Vec::new();
        for left_out in self.documents.all_whole().flat_map(ScoringSet::infeasible) {
            let same = |other: &&InfeasibleMetric| {
                (&other.task, other.metric) == (&left_out.task, left_out.metric)
            };
            if !all.iter().any(same) {
                all.push(left_out);
            }
        }
        all
    }

    /// Checks that the tasks can be put as `prompts` says, by their names.
    ///
    /// # Errors
    /// There is no such task; the prompts cannot be made of its documents. Whether the model can read them is not checked.
    pub fn check_prompts(&self, prompts: &BTreeMap<String, PromptChange>) -> Result<(), OpenError> {
        self.documents.check(prompts)
    }

    pub(super) fn preparing(&self) -> Preparing<'_> {
        Preparing { tokenizer: &self.tokenizer, network: &self.base, pool: &self.pool }
    }

    /// Work that was saved because candidates were equal, as a whole or in their first layers.
    pub fn reused(&self) -> Reuse {
        self.states.reused()
    }

    /// What a recipe without a document router merges, and of what.
    pub(super) fn plan(&self, recipe: &Recipe) -> Result<MergePlan<'_>, Fault> {
        let models = self.named_checkpoints();
        let tasks = self.documents.tasks();
        let base = |model: &ModelRef| self.base_reader(model);
        Ok(self.token_gates.plan(recipe, &models, tasks, &self.pool, base)?)
    }

    /// Scores a recipe without a document router, or gives what an equal one gave; one that is being scored right now is
    /// waited for.
    pub(super) fn outcome(
        &self,
        recipe: &Recipe,
        split: Split,
        docs: Option<&DocSubset>,
    ) -> Result<Outcome, Fault> {
        let asked = self.documents.ask(split, docs, &recipe.prompts, self.preparing())?;
        let plan = self.plan(recipe)?;
        let config = plan.config()?;
        let spec = spec_of(&plan, &config)?;
        let fingerprints = PlanFingerprints::new(&plan, &config);
        let place = self.place(fingerprints.whole(), &asked);
        let mut remembered = place.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(outcome) = &*remembered {
            self.states.count_candidate();
            return Ok(outcome.clone());
        }
        let candidate = Candidate { recipe, plan: &plan, fingerprints: &fingerprints, spec };
        let outcome = match self.measure(&candidate, &asked) {
            Ok(evaluation) => Outcome::Feasible(evaluation),
            Err(Fault::Candidate(reason)) => Outcome::Infeasible { reason },
            Err(fault) => return Err(fault),
        };
        *remembered = Some(outcome.clone());
        Ok(outcome)
    }

    /// The base model, if that is `model` and its weights are exact.
    fn base_reader(&self, model: &ModelRef) -> Option<Reader<'_>> {
        let is_base = self.models.first().is_some_and(|(base, _)| base == model);
        let (network, tokenizer, tasks) = (&self.base, &self.tokenizer, self.documents.tasks());
        let reader = Reader { network, tokenizer, tasks, pool: &self.pool };
        (is_base && self.residents.precision() == Precision::F32).then_some(reader)
    }

    /// Where the outcome of a candidate is, or will be.
    fn place(&self, candidate: Fingerprint, asked: &Asked) -> Place {
        let key = (candidate, asked.key);
        let mut remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = remembered.get(&key) {
            return place;
        }
        let place = Arc::default();
        let items = asked.set.docs() * size_of::<ItemScore>();
        remembered.insert(key, Arc::clone(&place), items + size_of::<Evaluation>());
        place
    }

    fn measure(&self, candidate: &Candidate, asked: &Asked) -> Result<Evaluation, Fault> {
        let set = &asked.set;
        let (resident, merged) =
            self.residents.merge(candidate.plan, &candidate.spec, &self.pool)?;
        let run = self.score(&resident, candidate.fingerprints, asked).map_err(Fault::from);
        let result = run.and_then(|run| {
            Ok((run, self.time_in_search(candidate.recipe, &resident.network, asked)?))
        });
        let cost = result.as_ref().map(|(run, _)| set.cost(&resident.network, &run.texts));
        let cost = cost.unwrap_or_default();
        self.residents.give_back(resident);
        let (run, relative_time) = result?;
        let tasks = set.decide(&set.nest(&run)).map_err(|error| asked.in_split(error))?;
        Ok(Evaluation {
            tasks: tasks.into_iter().flatten().collect(),
            merge_seconds: Seconds(merged),
            score_seconds: Seconds(run.seconds),
            seconds_per_item: Seconds(run.seconds / set.docs().max(1) as f64),
            relative_time,
            peak_bytes: memory::peak(),
            cost,
        })
    }

    /// All documents asked for.
    fn score(
        &self,
        resident: &Resident,
        fingerprints: &PlanFingerprints,
        asked: &Asked,
    ) -> Result<Run, ScoreError> {
        let (set, network) = (&asked.set, &resident.network);
        let inputs = match network.spec().reading {
            Reading::Causal => fingerprints.layer_inputs(network),
            Reading::Seq2Seq | Reading::Masked | Reading::Classify => Vec::new(),
        };
        let bytes = 4 * set.tokens_of_packs() * network.spec().hidden_size;
        let known = self.states.known(&inputs, asked.key, bytes);
        let resume = known.resume.as_ref().map(|states| states.as_slice());
        let saved = Saved { resume, keep: known.keep, progress: None };
        let mut run = set.run(network, &self.tokenizer, &self.pool, saved)?;
        if let Some(input) = known.keep.and_then(|depth| inputs.get(depth)) {
            self.states.insert(*input, asked.key, std::mem::take(&mut run.kept));
        }
        Ok(run)
    }
}

/// The network of a merge with this config.
pub(super) fn spec_of(plan: &MergePlan, config: &serde_json::Value) -> Result<NetworkSpec, Fault> {
    let has = |name: &str| plan.tensors().iter().any(|tensor| tensor.name == name);
    Ok(NetworkSpec::from_json(config, &has)?)
}

impl Evaluator for CandleEvaluator {
    fn evaluate(
        &self,
        recipe: &Recipe,
        split: Split,
        docs: Option<&DocSubset>,
    ) -> Result<Outcome, EvaluateError> {
        match self.outcome_of_parts(recipe, split, docs) {
            Ok(outcome) => Ok(outcome),
            Err(Fault::Candidate(reason)) => Ok(Outcome::Infeasible { reason }),
            Err(Fault::Machine(error)) => Err(error),
        }
    }

    fn times(
        &self,
        recipes: &[&Recipe],
        split: Split,
        rounds: usize,
    ) -> Result<Vec<Option<Timing>>, EvaluateError> {
        self.measure_times(recipes, split, rounds)
    }

    fn docs(&self, split: Split) -> Vec<usize> {
        self.documents.whole(split).docs_by_task()
    }
}
