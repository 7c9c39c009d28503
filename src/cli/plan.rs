//! `merge-search plan SPACE`: what a search would do, before it does it; and how long its result will take where it is judged.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args as ClapArgs;
use merge_search::evaluate::Evaluator;
use merge_search::genome::{Dimension, Domain, uniform_average};
use merge_search::optimizer::CoarseToFine;
use merge_search::outcome::Outcome;
use merge_search::race::Racing;
use merge_search::search::Budget;
use merge_search::units::{Seed, Split};
use serde_json::json;

use super::objectives::ObjectiveArgs;
use super::optimizer::{self, OptimizerArgs};
use super::target::{self, Target, TargetArgs};
use super::tasks::GuardArgs;
use super::workbench::{SpaceSource, Workbench, WorkerArgs, tell_notes};
use super::{Failure, plan_offline, print};

/// Dry run: genes, seconds per trial from one real trial, generations that fit; time on a target device
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// Search space (TOML); without it, the built-in quickstart
    pub space: Option<PathBuf>,
    /// Without weights, downloads and a trial: sizes from configs, which are taken from folders, the hub's cache or a catalogue
    #[arg(long, conflicts_with = "config")]
    offline: bool,
    /// Time to plan for: 90s, 30m, 24h
    #[arg(long, default_value = "24h", value_parser = humantime::parse_duration, value_name = "TIME")]
    budget: Duration,
    #[command(flatten)]
    pub optimizer: OptimizerArgs,
    #[command(flatten)]
    pub objectives: ObjectiveArgs,
    #[command(flatten)]
    guard: GuardArgs,
    #[command(flatten)]
    pub workers: WorkerArgs,
    #[command(flatten)]
    pub target: TargetArgs,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Candidates per gene under which a search has little to go on. Measured on the ML1 landscape with CatCMA: 16 per gene
/// reached a regret of 0.04, 63 per gene 0.02, 5 per gene (96 continuous genes) 0.07.
const CANDIDATES_PER_GENE: f64 = 10.0;

/// The best observed and the optimizer's recommendations.
const FINALISTS: usize = 11;

/// Prints the plan.
pub fn run(args: &Args) -> Result<(), Failure> {
    if let Some(config) = &args.target.config {
        return print(&target::of_config(config, &args.target, args.json)?);
    }
    if args.offline {
        return plan_offline::run(args);
    }
    let workers = args.workers.count();
    let source = SpaceSource::open(args.space.as_deref())?;
    let bench = Workbench::open(&source, &args.objectives, &args.workers, &args.guard)?;
    tell_notes(bench.decoder.space());
    let dimensions = bench.decoder.dimensions();
    let budget = Budget::WallClock(args.budget);
    let search = optimizer::Plan::new(&args.optimizer, &bench, workers, budget)?;
    let population = search.build(&bench, Seed(0))?.population_size();
    let timing = Timing::measure(&bench)?;
    let candidates = search.candidates.unwrap_or_else(|| timing.candidates(args.budget, workers));
    let plan = Plan {
        genes: dimensions,
        levels: CoarseToFine::genes_per_level(dimensions, &search.settings.tying),
        warm_starts: search.settings.warm_start.len(),
        racing: search.racing,
        population,
        timing,
        candidates,
        target: target::of_space(&bench),
        few: candidates < CANDIDATES_PER_GENE * dimensions.len() as f64,
    };
    print(&if args.json { plan.json(args) } else { plan.text(args, workers) })
}

/// One real trial: the uniform average on the search split.
struct Timing {
    merge_seconds: f64,
    score_seconds: f64,
    items: [usize; 3],
    baselines: usize,
}

impl Timing {
    fn measure(bench: &Workbench) -> Result<Self, Failure> {
        let recipe = uniform_average(bench.decoder.space());
        let outcome = bench
            .evaluator
            .evaluate(&recipe, Split::Search, None)
            .map_err(|error| Failure::from_error(&error))?;
        match outcome {
            Outcome::Infeasible { reason } => {
                Err(Failure::input(format!("the uniform average cannot be scored: {reason}")))
            }
            Outcome::Feasible(evaluation) => Ok(Self {
                merge_seconds: evaluation.merge_seconds.0,
                score_seconds: evaluation.score_seconds.0,
                items: Split::ALL.map(|split| bench.evaluator.items(split)),
                baselines: bench.names.len() + 1,
            }),
        }
    }

    fn per_trial(&self) -> f64 {
        self.merge_seconds + self.score_seconds
    }

    /// Candidates that fit beside the baselines on every split and the finals.
    fn candidates(&self, budget: Duration, workers: usize) -> f64 {
        let per_item = self.score_seconds / self.items[0] as f64;
        let all: usize = self.items.iter().sum();
        let baselines = (self.baselines * all) as f64 * per_item;
        let finals = (FINALISTS * self.items[1] + self.items[2]) as f64 * per_item;
        let left = budget.as_secs_f64() * workers as f64 - baselines - finals;
        (left / self.per_trial()).max(0.0).floor()
    }
}

struct Plan<'a> {
    genes: &'a [Dimension],
    /// Values searched at each level of the coarse-to-fine schedule.
    levels: Vec<usize>,
    warm_starts: usize,
    racing: Option<Racing>,
    population: usize,
    timing: Timing,
    candidates: f64,
    target: Target,
    few: bool,
}

impl Plan<'_> {
    fn generations(&self) -> f64 {
        (self.candidates / self.population as f64).floor()
    }

    fn text(&self, args: &Args, workers: usize) -> String {
        let mut text = format!("{} genes\n", self.genes.len());
        for gene in self.genes {
            text.push_str(&format!("  {:<32} {}\n", gene.name, domain(gene)));
        }
        if let [_, .., _] = self.levels.as_slice() {
            let levels: Vec<_> = self.levels.iter().map(ToString::to_string).collect();
            text.push_str(&format!("coarse to fine: {} values\n", levels.join(", then ")));
        }
        if self.warm_starts > 0 {
            text.push_str(&format!("warm start: {} genotypes\n", self.warm_starts));
        }
        if let Some(racing) = &self.racing {
            text.push_str(&format!(
                "racing: {} to {} documents per task and generation; all candidates see {:.0} % of them, {:.0} % of the \
                 candidates the rest\n",
                racing.least_docs,
                racing.most_docs,
                100.0 * racing.first_share,
                100.0 * racing.keep_share
            ));
        }
        let [search, selection, holdout] = self.timing.items;
        text.push_str(&format!(
            "\ndocuments: {search} search, {selection} selection, {holdout} holdout\n"
        ));
        text.push_str(&format!(
            "one trial (uniform average): {:.3} s = {:.3} merge + {:.3} score\n",
            self.timing.per_trial(),
            self.timing.merge_seconds,
            self.timing.score_seconds
        ));
        text.push_str(&format!(
            "{} with {workers} workers: about {} candidates = {} generations of {}\n",
            humantime::format_duration(args.budget),
            self.candidates,
            self.generations(),
            self.population
        ));
        if self.few {
            text.push_str(&format!(
                "WARNING: {} genes are more than {} candidates can learn (about {CANDIDATES_PER_GENE} per gene): \
                 tie genes (fewer `per` axes, groups or control points), score fewer search_docs, or give more time\n",
                self.genes.len(),
                self.candidates
            ));
        }
        text + &self.target.text(&args.target)
    }

    fn json(&self, args: &Args) -> String {
        let genes: Vec<_> = self
            .genes
            .iter()
            .map(|gene| json!({ "name": gene.name, "domain": domain(gene), "initial": gene.initial }))
            .collect();
        let plan = json!({
            "genes": genes,
            "genes_per_level": self.levels,
            "warm_starts": self.warm_starts,
            "racing": self.racing,
            "documents": self.timing.items,
            "merge_seconds": self.timing.merge_seconds,
            "score_seconds": self.timing.score_seconds,
            "budget_seconds": args.budget.as_secs_f64(),
            "candidates": self.candidates,
            "population": self.population,
            "generations": self.generations(),
            "too_many_genes": self.few,
            "target_devices": self.target.json(&args.target),
        });
        format!("{plan:#}\n")
    }
}

/// A gene's values, for people.
pub fn domain(gene: &Dimension) -> String {
    match &gene.domain {
        Domain::Continuous { low, high } => format!("[{low}, {high}]"),
        Domain::Integer { low, high } => format!("{low}..={high} (integer)"),
        Domain::Categorical { choices } => choices.join(" | "),
    }
}
