//! `merge-search plan SPACE --offline`: what a search would do and need, from configs alone. Nothing is downloaded, merged or
//! scored.

use std::collections::{BTreeMap, BTreeSet};

use merge_search::checkpoint::{Architecture, ArchitectureError};
use merge_search::genome::{Decoder, Dimension};
use merge_search::hub::Hub;
use merge_search::optimizer::CoarseToFine;
use merge_search::rules::graph::Graph;
use merge_search::space::SearchSpace;
use merge_search::units::Bytes;
use serde_json::{Value, json};

use super::offline_memory::OfflineMemory;
use super::offline_models::{OfflineModel, OfflineRepository};
use super::offline_tasks::OfflineTask;
use super::plan::{Args, genes_json, genes_text};
use super::target::{self, Target};
use super::workbench::{SpaceSource, group_filters, hub, tell_notes};
use super::{Failure, optimizer, print, tell};

/// Prints the plan.
pub fn run(args: &Args) -> Result<(), Failure> {
    let source = SpaceSource::open(args.space.as_deref())?;
    let mut space = SearchSpace::parse(&source.text, &source.file)?;
    args.objectives.apply(&mut space);
    tell_notes(&space);
    let hub = Hub { offline: true, ..hub() };
    let models = OfflineModel::all(&space, &hub)?;
    let tasks = OfflineTask::all(&space, &hub);
    let plan = OfflinePlan::new(args, space, models, tasks)?;
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
    memory: OfflineMemory,
    disk: Bytes,
    target: Target,
}

impl OfflinePlan {
    fn new(
        args: &Args,
        space: SearchSpace,
        models: Vec<OfflineModel>,
        tasks: Vec<OfflineTask>,
    ) -> Result<Self, Failure> {
        let base = models.first().ok_or_else(|| Failure::input("no models"))?;
        tell_misfits(&models, base);
        let architecture = architecture(base)?;
        let layers = architecture.stacks().first().map_or(0, |stack| stack.layers);
        let filters = group_filters(&architecture, base.spec.tensors().map(|(name, _)| name));
        let memory = OfflineMemory::new(&base.spec, &space, &args.workers);
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
        text.push_str(&format!("snapshots on disk: {}{}\n\n", self.disk, self.unknown_sizes()));
        text.push_str(&genes_text(&self.genes, &self.levels, self.warm_starts));
        text.push_str(&format!(
            "{}: generations of {} (unless the space names a number, a search that has timed a trial may choose otherwise)\n\n",
            self.optimizer, self.population
        ));
        self.tasks.iter().for_each(|task| text.push_str(&task.text()));
        text + &self.memory.text() + &self.target.text(&args.target)
    }

    /// What the sum of sizes lacks.
    fn unknown_sizes(&self) -> String {
        let repositories = self.models.iter().flat_map(OfflineModel::repositories);
        let unknown: BTreeSet<String> = repositories
            .filter(|repository| repository.stored.is_none())
            .map(OfflineRepository::title)
            .collect();
        unknown.iter().map(|title| format!(", and {title}, whose size is not known")).collect()
    }

    fn json(&self, args: &Args) -> String {
        let models = self.models.iter().map(|model| {
            let adapter = model.adapter.as_ref().map(OfflineRepository::json);
            json!({ "name": model.name, "model": model.repository.json(), "adapter": adapter })
        });
        let plan = json!({
            "offline": true,
            "models": models.collect::<Vec<Value>>(),
            "disk_bytes": self.disk.0,
            "genes": genes_json(&self.genes),
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
