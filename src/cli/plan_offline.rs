//! `merge-search plan SPACE --offline`: what a search would do and need, from configs alone. Nothing is downloaded, merged or
//! scored.

use std::collections::BTreeMap;
use std::path::Path;

use merge_search::checkpoint::{Architecture, ArchitectureError};
use merge_search::genome::{Decoder, Dimension};
use merge_search::merge::Prepared;
use merge_search::optimizer::CoarseToFine;
use merge_search::rules::graph::Graph;
use merge_search::space::SearchSpace;
use merge_search::task::Loader;
use merge_search::units::{Bytes, Split};
use serde_json::{Value, json};

use super::offline_models::{OfflineModel, OfflineRepository};
use super::plan::{Args, domain};
use super::target::{self, Target};
use super::workbench::{SpaceSource, group_filters, hub, tell_notes};
use super::{Failure, optimizer, print, tell};

/// Prints the plan.
pub fn run(args: &Args) -> Result<(), Failure> {
    let source = SpaceSource::open(args.space.as_deref())?;
    let mut space = SearchSpace::parse(&source.text, &source.file)?;
    args.objectives.apply(&mut space);
    tell_notes(&space);
    let models = OfflineModel::all(&space, &merge_search::hub::Hub { offline: true, ..hub() })?;
    let plan = OfflinePlan::new(args, space, models)?;
    print(&if args.json { plan.json(args) } else { plan.text(args) })
}

struct OfflinePlan {
    models: Vec<OfflineModel>,
    genes: Vec<Dimension>,
    levels: Vec<usize>,
    warm_starts: usize,
    optimizer: String,
    population: usize,
    tasks: Vec<OfflineTask>,
    memory: Memory,
    disk: Bytes,
    target: Target,
}

impl OfflinePlan {
    fn new(args: &Args, space: SearchSpace, models: Vec<OfflineModel>) -> Result<Self, Failure> {
        let base = models.first().ok_or_else(|| Failure::input("no models"))?;
        tell_misfits(&models, base);
        let architecture = architecture(base)?;
        let layers = architecture.stacks().first().map_or(0, |stack| stack.layers);
        let names = || base.spec.tensors().map(|(name, _)| name);
        let filters = group_filters(&architecture, names());
        let tasks = space.tasks.iter().map(|path| OfflineTask::read(path, &space)).collect();
        let memory = Memory::new(base, &space, args.workers.count(), args.workers.precision());
        let disk = disk(&models);
        let target = target::of_models(base, models.len(), disk, &Graph::of_space(&space));
        let decoder =
            Decoder::new(space, layers, filters).map_err(|error| Failure::from_error(&error))?;
        let genes = decoder.dimensions().to_vec();
        let search =
            optimizer::Plan::untimed(&args.optimizer, &decoder, layers, args.workers.count())?;
        Ok(Self {
            levels: CoarseToFine::genes_per_level(&genes, &search.settings.tying),
            warm_starts: search.settings.warm_start.len(),
            optimizer: search.kind.to_string(),
            population: search.population_size(&genes)?,
            models,
            genes,
            tasks,
            memory,
            disk,
            target,
        })
    }

    fn text(&self, args: &Args) -> String {
        let mut text = "models, by their configs (nothing was downloaded)\n".to_owned();
        for model in &self.models {
            let repository = &model.repository;
            text.push_str(&format!("  {}: {}\n", model.name, repository.title()));
            text.push_str(&format!("      {}\n", repository.text()));
            if let Some(adapter) = &model.adapter {
                text.push_str(&format!("    + {}\n", adapter.title()));
                text.push_str(&format!("      {}\n", adapter.text()));
            }
        }
        text.push_str(&format!("snapshots on disk: {}\n\n{} genes\n", self.disk, self.genes.len()));
        for gene in &self.genes {
            text.push_str(&format!("  {:<32} {}\n", gene.name, domain(gene)));
        }
        if let [_, .., _] = self.levels.as_slice() {
            let levels: Vec<_> = self.levels.iter().map(ToString::to_string).collect();
            text.push_str(&format!("coarse to fine: {} values\n", levels.join(", then ")));
        }
        if self.warm_starts > 0 {
            text.push_str(&format!("warm start: {} genotypes\n", self.warm_starts));
        }
        text.push_str(&format!(
            "{}: generations of {} (unless the space names a number, a search that has timed a trial may choose otherwise)\n\n",
            self.optimizer, self.population
        ));
        self.tasks.iter().for_each(|task| text.push_str(&task.text()));
        text + &self.memory.text() + &self.target.text(&args.target)
    }

    fn json(&self, args: &Args) -> String {
        let models = self.models.iter().map(|model| {
            let adapter = model.adapter.as_ref().map(OfflineRepository::json);
            json!({ "name": model.name, "model": model.repository.json(), "adapter": adapter })
        });
        let genes = self.genes.iter().map(
            |gene| json!({ "name": gene.name, "domain": domain(gene), "initial": gene.initial }),
        );
        let plan = json!({
            "offline": true,
            "models": models.collect::<Vec<Value>>(),
            "disk_bytes": self.disk.0,
            "genes": genes.collect::<Vec<Value>>(),
            "genes_per_level": self.levels,
            "warm_starts": self.warm_starts,
            "optimizer": self.optimizer,
            "population": self.population,
            "tasks": self.tasks.iter().map(OfflineTask::json).collect::<Vec<Value>>(),
            "memory": self.memory.json(),
            "target_devices": self.target.json(&args.target),
        });
        format!("{plan:#}\n")
    }
}

fn architecture(base: &OfflineModel) -> Result<Architecture, Failure> {
    let names = base.spec.tensors().map(|(name, _)| name);
    Architecture::of(&base.config, names)
        .map_err(|error: ArchitectureError| Failure::from_error(&error).at(&base.repository.path))
}

/// Bytes of all snapshots whose size is known, each once.
fn disk(models: &[OfflineModel]) -> Bytes {
    let repositories = models.iter().flat_map(OfflineModel::repositories);
    let sizes: BTreeMap<String, Bytes> = repositories
        .filter_map(|repository| Some((repository.title(), repository.stored?)))
        .collect();
    Bytes(sizes.values().fold(0, |sum, bytes| sum.saturating_add(bytes.0)))
}

/// What a search would refuse once it has the files.
fn tell_misfits(models: &[OfflineModel], base: &OfflineModel) {
    for model in models {
        if let Some((tensor, own, other)) = model.differs(base) {
            tell(&format!(
                "warning: {}: `{tensor}` is {own:?}, the base model's {other:?}; such models cannot be merged",
                model.name
            ));
        }
    }
}

/// A task as far as its files are there.
struct OfflineTask {
    path: String,
    /// Name and documents of each split; or why there are none.
    found: Result<Vec<(String, [usize; 3])>, String>,
}

impl OfflineTask {
    fn read(path: &Path, space: &SearchSpace) -> Self {
        let hub = merge_search::hub::Hub { offline: true, ..hub() };
        let loaded = Loader { hub: Some(&hub) }.load(path);
        let limits = [space.docs.search, space.docs.selection, space.docs.holdout];
        let counted = loaded.map(|tasks| {
            let docs = |task: &merge_search::task::Task| {
                let count = |(split, limit): (Split, Option<usize>)| {
                    task.docs(split).len().min(limit.unwrap_or(usize::MAX))
                };
                let [search, selection, holdout] = Split::ALL;
                [(search, limits[0]), (selection, limits[1]), (holdout, limits[2])].map(count)
            };
            tasks.iter().map(|task| (task.name.clone(), docs(task))).collect()
        });
        let found = counted.map_err(|error| super::failure::chain(&error));
        Self { path: path.display().to_string(), found }
    }

    fn text(&self) -> String {
        match &self.found {
            Err(why) => format!("documents missing: {why}\n"),
            Ok(tasks) => tasks
                .iter()
                .map(|(name, [search, selection, holdout])| {
                    format!(
                        "task {name}: {search} search, {selection} selection, {holdout} holdout\n"
                    )
                })
                .collect(),
        }
    }

    fn json(&self) -> Value {
        match &self.found {
            Err(why) => json!({ "path": self.path, "missing": why }),
            Ok(tasks) => {
                let tasks =
                    tasks.iter().map(|(name, docs)| json!({ "name": name, "documents": docs }));
                json!({ "path": self.path, "tasks": tasks.collect::<Vec<Value>>() })
            }
        }
    }
}

/// What a search on the CPU allocates at least; checkpoints are mapped.
struct Memory {
    workers: usize,
    precision: &'static str,
    /// The base model, and each merged one.
    model: Bytes,
    /// Orders of the experts' elements, which some methods keep.
    orders: Bytes,
    /// A tensor in the making for each worker, in float32.
    making: Bytes,
}

impl Memory {
    fn new(
        base: &OfflineModel,
        space: &SearchSpace,
        workers: usize,
        precision: &'static str,
    ) -> Self {
        let elements = |shape: &[usize]| shape.iter().map(|side| *side as u64).product::<u64>();
        let largest = base.spec.tensors().map(|(_, shape)| elements(shape)).max().unwrap_or(0);
        let orders = 2 * Prepared::orders(&space.methods) as u64 * space.experts.len() as u64;
        Self {
            workers,
            precision,
            model: Bytes(base.spec.weight_bytes(if precision == "bf16" { 2 } else { 4 })),
            orders: Bytes(orders.saturating_mul(base.spec.parameters())),
            making: Bytes(4 * workers as u64 * largest),
        }
    }

    /// For one candidate at a time.
    fn least(&self) -> Bytes {
        Bytes(2 * self.model.0 + self.orders.0 + self.making.0)
    }

    fn text(&self) -> String {
        let Self { workers, precision, model, orders, making } = self;
        let orders = match orders {
            Bytes(0) => String::new(),
            bytes => format!(" + {bytes} for orders of the experts' elements"),
        };
        format!(
            "memory to search with {workers} workers in {precision}: at least {} = {model} base model + {model} one candidate{orders} \
             + {making} tensors in the making; {model} for each further candidate at once. Prompts and activations come on top.\n",
            self.least()
        )
    }

    fn json(&self) -> Value {
        json!({
            "workers": self.workers,
            "precision": self.precision,
            "least_bytes": self.least().0,
            "candidate_bytes": self.model.0,
            "orders_bytes": self.orders.0,
            "making_bytes": self.making.0,
        })
    }
}
