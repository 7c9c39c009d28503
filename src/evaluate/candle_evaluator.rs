//! The evaluator that does the work: merges in memory, runs the network, scores every document.

use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::budget::Budget;
use super::chat::{ready_tasks, require_answers};
use super::fingerprint::{Fingerprint, PlanFingerprints};
use super::generation::{TextPack, TextSet};
use super::load::load_network;
use super::lru::Lru;
use super::open::{OpenError, check_names, open_checkpoints, require_same_config};
use super::pack::Pack;
use super::resident::{Resident, ResidentError, Residents};
use super::run::{Run, Saved};
use super::states::{Reuse, StatesMemory};
use super::{
    Documents, EvaluateError, Evaluator, InfeasibleMetric, Pool, Resources, ScoreError, ScoringSet,
    TaskTokenizer, memory,
};
use crate::checkpoint::{Architecture, ArchitectureError, Checkpoint, CheckpointError};
use crate::hub::Hub;
use crate::merge::{MergeError, MergePlan};
use crate::model::spec::{NetworkSpec, Reading};
use crate::model::{ConfigError, Network, Prefix, Scratch};
use crate::outcome::{Evaluation, ItemScore, Outcome};
use crate::recipe::{MergeMethod, ModelRef, Recipe};
use crate::task::Task;
use crate::units::{Seconds, Split};

/// Memory for outcomes of earlier candidates.
const REMEMBERED: usize = 64_000_000;

/// Where the outcome of a candidate is, or will be; locked while it is being scored.
type Place = Arc<Mutex<Option<Outcome>>>;

/// Holds the checkpoints of one search, its documents as tokens, and the base model as the clock's reference.
pub struct CandleEvaluator {
    pool: Arc<Pool>,
    models: Vec<(ModelRef, Checkpoint)>,
    tokenizer: TaskTokenizer,
    sets: [ScoringSet; 3],
    base: Network,
    /// The base model's states of what documents begin with, by split.
    base_prefixes: [OnceLock<Prefixes>; 3],
    residents: Residents,
    remembered: Mutex<Lru<(Fingerprint, Split), Place>>,
    states: StatesMemory,
    candidates_at_once: usize,
}

/// Whose fault it is that a recipe has no score.
enum Fault {
    /// This candidate's; the next one may be fine.
    Candidate(String),
    /// Every later recipe would meet it too.
    Machine(CheckpointError),
}

impl From<MergeError> for Fault {
    fn from(error: MergeError) -> Self {
        match error {
            MergeError::Checkpoint(
                error @ (CheckpointError::ShapesDiffer { .. } | CheckpointError::NoTensor { .. }),
            ) => Fault::Candidate(error.to_string()),
            MergeError::Checkpoint(error) => Fault::Machine(error),
            other => Fault::Candidate(other.to_string()),
        }
    }
}

impl From<ResidentError> for Fault {
    fn from(error: ResidentError) -> Self {
        match error {
            ResidentError::Merge(error) => error.into(),
            other => Fault::Candidate(other.to_string()),
        }
    }
}

impl From<ScoreError> for Fault {
    fn from(error: ScoreError) -> Self {
        Fault::Candidate(error.to_string())
    }
}

impl From<ArchitectureError> for Fault {
    fn from(error: ArchitectureError) -> Self {
        Fault::Candidate(error.to_string())
    }
}

impl From<ConfigError> for Fault {
    fn from(error: ConfigError) -> Self {
        Fault::Candidate(error.to_string())
    }
}

/// A recipe worked out: what to merge and what network it makes.
struct Candidate<'a> {
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
            let documents = Documents { tasks: &tasks, split: Some(split), limit };
            ScoringSet::new(&documents, &tokenizer, &base, room)
        };
        let sets = [set(Split::Search)?, set(Split::Selection)?, set(Split::Holdout)?];
        let (candidates_at_once, states) = budget.share_out(&sets);
        Ok(Self {
            pool,
            models,
            tokenizer,
            sets,
            base,
            base_prefixes: Default::default(),
            residents: Residents::new(precision),
            remembered: Mutex::new(Lru::new(REMEMBERED)),
            states: StatesMemory::new(states),
            candidates_at_once,
        })
    }

    /// The open checkpoints, base first.
    pub fn checkpoints(&self) -> impl Iterator<Item = &Checkpoint> {
        self.models.iter().map(|(_, checkpoint)| checkpoint)
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
        for left_out in self.sets.iter().flat_map(ScoringSet::infeasible) {
            let same = |other: &&InfeasibleMetric| {
                (&other.task, other.metric) == (&left_out.task, left_out.metric)
            };
            if !all.iter().any(same) {
                all.push(left_out);
            }
        }
        all
    }

    /// Work that was saved because candidates were equal, as a whole or in their first layers.
    pub fn reused(&self) -> Reuse {
        self.states.reused()
    }

    fn set(&self, split: Split) -> &ScoringSet {
        &self.sets[split as usize]
    }

    /// Scores a recipe, or gives what an equal one gave; one that is being scored right now is waited for.
    fn outcome(&self, recipe: &Recipe, split: Split) -> Result<Outcome, Fault> {
        let models: Vec<(ModelRef, &Checkpoint)> =
            self.models.iter().map(|(name, checkpoint)| (name.clone(), checkpoint)).collect();
        let plan = self.pool.install(|| MergePlan::new(recipe, &models))?;
        let config = plan.config()?;
        let has = |name: &str| plan.tensors().iter().any(|tensor| tensor.name == name);
        let spec = NetworkSpec::from_json(&config, &has)?;
        let fingerprints = PlanFingerprints::new(&plan, &config);
        let place = self.place((fingerprints.whole(), split));
        let mut remembered = place.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(outcome) = &*remembered {
            self.states.count_candidate();
            return Ok(outcome.clone());
        }
        let candidate = Candidate { plan: &plan, fingerprints: &fingerprints, spec };
        let outcome = match self.measure(&candidate, split) {
            Ok(evaluation) => Outcome::Feasible(evaluation),
            Err(Fault::Candidate(reason)) => Outcome::Infeasible { reason },
            Err(fault) => return Err(fault),
        };
        *remembered = Some(outcome.clone());
        Ok(outcome)
    }

    /// Where the outcome of a candidate is, or will be.
    fn place(&self, key: (Fingerprint, Split)) -> Place {
        let mut remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = remembered.get(&key) {
            return place;
        }
        let place = Arc::default();
        let items = self.set(key.1).docs() * size_of::<ItemScore>();
        remembered.insert(key, Arc::clone(&place), items + size_of::<Evaluation>());
        place
    }

    fn measure(&self, candidate: &Candidate, split: Split) -> Result<Evaluation, Fault> {
        let set = self.set(split);
        let (resident, merged) =
            self.residents.merge(candidate.plan, &candidate.spec, &self.pool)?;
        let result = self.score(&resident, candidate.fingerprints, split);
        self.residents.give_back(resident);
        let (run, relative_time) = result?;
        let tasks = set.decide(&set.nest(&run))?;
        Ok(Evaluation {
            tasks: tasks.into_iter().flatten().collect(),
            merge_seconds: Seconds(merged),
            score_seconds: Seconds(run.seconds),
            seconds_per_item: Seconds(run.seconds / set.docs().max(1) as f64),
            relative_time,
            peak_bytes: memory::peak(),
        })
    }

    /// All documents, and the model's time relative to the base model's.
    fn score(
        &self,
        resident: &Resident,
        fingerprints: &PlanFingerprints,
        split: Split,
    ) -> Result<(Run, f64), ScoreError> {
        let (set, network) = (self.set(split), &resident.network);
        let inputs = match network.spec().reading {
            Reading::Causal => fingerprints.layer_inputs(network),
            Reading::Seq2Seq | Reading::Masked | Reading::Classify => Vec::new(),
        };
        let bytes = 4 * set.tokens_of_packs() * network.spec().hidden_size;
        let known = self.states.known(&inputs, split, bytes);
        let resume = known.resume.as_ref().map(|states| states.as_slice());
        let saved = Saved { resume, keep: known.keep, progress: None };
        let mut run = set.run(network, &self.tokenizer, &self.pool, saved)?;
        if let Some(input) = known.keep.and_then(|depth| inputs.get(depth)) {
            self.states.insert(*input, split, std::mem::take(&mut run.kept));
        }
        let prefixes = Prefixes {
            packs: std::mem::take(&mut run.prefixes),
            texts: std::mem::take(&mut run.text_prefixes),
        };
        let relative_time = self.relative_time(network, &prefixes, split)?;
        Ok((run, relative_time))
    }

    /// Time of a fixed block of documents on `network` relative to the base model, pack by pack in turns, so that a
    /// machine that gets busier slows both. One job of the pool that calls no rayon, so that nothing else gets in between.
    fn relative_time(
        &self,
        network: &Network,
        prefixes: &Prefixes,
        split: Split,
    ) -> Result<f64, ScoreError> {
        let compare = |scratch: &mut Scratch| {
            let base = self.base_prefixes(split, scratch)?;
            let mut ours =
                |work: &Work, scratch: &mut Scratch| work.seconds(network, prefixes, scratch);
            let mut theirs =
                |work: &Work, scratch: &mut Scratch| work.seconds(&self.base, base, scratch);
            in_turns(self.set(split), &mut ours, &mut theirs, scratch)
        };
        Ok(self.pool.install(|| self.pool.with_scratch(compare))?)
    }

    fn base_prefixes(&self, split: Split, scratch: &mut Scratch) -> candle_core::Result<&Prefixes> {
        let place = &self.base_prefixes[split as usize];
        if let Some(prefixes) = place.get() {
            return Ok(prefixes);
        }
        let set = self.set(split);
        let texts = set.texts().map_or(Ok(Vec::new()), |own| own.prefixes(&self.base, scratch))?;
        let packs = set.prefixes(&self.base, scratch)?;
        // Another thread may have been as quick, with the same result.
        Ok(place.get_or_init(|| Prefixes { packs, texts }))
    }
}

/// A model's states of what documents begin with.
#[derive(Default)]
struct Prefixes {
    packs: Vec<Arc<Prefix>>,
    texts: Vec<Arc<Prefix>>,
}

/// Something that two models can be timed on.
enum Work<'a> {
    Pack(&'a Pack),
    Text(TextPack<'a>),
}

impl Work<'_> {
    fn seconds(
        &self,
        network: &Network,
        prefixes: &Prefixes,
        scratch: &mut Scratch,
    ) -> candle_core::Result<f64> {
        match self {
            Work::Pack(pack) => pack.seconds(network, &prefixes.packs, scratch),
            Work::Text(pack) => pack.seconds(network, &prefixes.texts, scratch),
        }
    }
}

/// Seconds of one piece of work.
type Timing<'a> = dyn FnMut(&Work, &mut Scratch) -> candle_core::Result<f64> + 'a;

/// Time of `ours` divided by that of `theirs`.
fn in_turns(
    set: &ScoringSet,
    ours: &mut Timing,
    theirs: &mut Timing,
    scratch: &mut Scratch,
) -> candle_core::Result<f64> {
    let (mut our_seconds, mut their_seconds) = (0.0, 0.0);
    let texts = set.texts().map(TextSet::timing).unwrap_or_default();
    let all = set.timing_packs().map(Work::Pack).chain(texts.into_iter().map(Work::Text));
    for (turn, work) in all.enumerate() {
        if turn == 0 {
            // Untimed: the first pass of all grows the buffers.
            theirs(&work, scratch)?;
        }
        // Whoever runs second finds the documents in the cache: each goes first every other time.
        if turn % 2 == 0 {
            their_seconds += theirs(&work, scratch)?;
            our_seconds += ours(&work, scratch)?;
        } else {
            our_seconds += ours(&work, scratch)?;
            their_seconds += theirs(&work, scratch)?;
        }
    }
    Ok(our_seconds / their_seconds)
}

impl Evaluator for CandleEvaluator {
    fn evaluate(&self, recipe: &Recipe, split: Split) -> Result<Outcome, EvaluateError> {
        match self.outcome(recipe, split) {
            Ok(outcome) => Ok(outcome),
            Err(Fault::Candidate(reason)) => Ok(Outcome::Infeasible { reason }),
            Err(Fault::Machine(error)) => Err(error.into()),
        }
    }

    fn items(&self, split: Split) -> usize {
        self.set(split).docs()
    }
}
