//! Documents that a search on the quickstart scores until what it would hand over is within a point of the best known merge
//! on holdout: with racing, and mergekit-evolve's way (CMA-ES, sigma 1/6, every candidate on every search document, the best
//! observed one wins).
//!
//! What is handed over after each generation is scored on the whole holdout split, which no search sees; those documents do
//! not count. `--optimizer` takes the beginning of a way's name. Runs that do not get there count with the whole budget.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use merge_search::evaluate::{CandleEvaluator, Evaluator, Pool, Resources, Workers};
use merge_search::genome::{Decoder, Genotype, GroupFilters};
use merge_search::hub::Hub;
use merge_search::model::Precision;
use merge_search::objective::Aggregate;
use merge_search::optimizer::{CatCma, Costs, Optimizer, Settings};
use merge_search::outcome::{DocSubset, Evaluation};
use merge_search::race::{self, Race, Racing, Scored};
use merge_search::recipe::ModelRef;
use merge_search::space::SearchSpace;
use merge_search::task::{Loader, Task};
use merge_search::units::{Seed, Split, TensorGroup};
use serde_json::json;

use super::Report;
use super::options::Options;
use super::quartiles::quartiles;

const SPACE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/search-spaces/quickstart.toml");
/// Search documents after which a search stops.
const BUDGET: usize = 120_000;
const SEEDS: u64 = 10;
/// How near the best known merge is near enough.
const WITHIN: f64 = 0.01;

/// One way to search.
struct Way {
    name: &'static str,
    /// Search documents per task; `None`: all.
    docs: Option<usize>,
    raced: bool,
}

/// On holdout, of a 30-minute search of an earlier build (README); a search of this table may find a better one.
const BEST_KNOWN: f64 = 0.845;

const WAYS: [Way; 3] = [
    Way { name: "cat-cma, raced", docs: None, raced: true },
    Way { name: "plain, 100 documents per task", docs: Some(100), raced: false },
    Way { name: "plain, all 250 documents per task", docs: None, raced: false },
];

/// Documents scored so far, and what would be handed over.
type Trace = Vec<(usize, Genotype)>;

struct Bench {
    decoder: Decoder,
    evaluator: CandleEvaluator,
    workers: Workers,
    aggregate: Aggregate,
}

pub fn table(options: &Options) -> Result<Report, String> {
    let seeds: Vec<u64> = options.instances.clone().unwrap_or(0..SEEDS).collect();
    let budget = options.budget.unwrap_or(BUDGET);
    let mut curves: Vec<Vec<Vec<(usize, f64)>>> = Vec::new();
    let asked =
        |way: &&Way| options.optimizer.as_deref().is_none_or(|name| way.name.starts_with(name));
    let ways: Vec<&Way> = WAYS.iter().filter(asked).collect();
    for way in &ways {
        let bench = Bench::open(way, options.threads)?;
        let mut of_way = Vec::new();
        for &seed in &seeds {
            let trace = bench.search(way, seed, budget)?;
            of_way.push(bench.held_out(&trace)?);
            eprintln!("{}, seed {seed}: {} generations", way.name, trace.len());
        }
        curves.push(of_way);
    }
    let best =
        curves.iter().flatten().flatten().map(|(_, score)| *score).fold(BEST_KNOWN, f64::max);
    Ok(report(&ways, &seeds, budget, best, &curves))
}

fn report(
    ways: &[&Way],
    seeds: &[u64],
    budget: usize,
    best: f64,
    curves: &[Vec<Vec<(usize, f64)>>],
) -> Report {
    let mut report = Report { rows: Vec::new(), lines: Vec::new() };
    report.lines.push(format!(
        "best known merge: {:.1} on holdout; documents until {:.1} is reached (at most {budget})",
        100.0 * best,
        100.0 * (best - WITHIN)
    ));
    for (way, of_way) in ways.iter().zip(curves) {
        let reached = |curve: &Vec<(usize, f64)>| {
            let hit = curve.iter().find(|(_, score)| *score >= best - WITHIN);
            hit.map(|(docs, _)| *docs)
        };
        let stays = |curve: &Vec<(usize, f64)>| {
            let below = curve.iter().rposition(|(_, score)| *score < best - WITHIN);
            curve.get(below.map_or(0, |last| last + 1)).map(|(docs, _)| *docs)
        };
        let kept: Vec<Option<usize>> = of_way.iter().map(stays).collect();
        let until: Vec<f64> = kept.iter().map(|docs| docs.unwrap_or(budget) as f64).collect();
        let docs: Vec<Option<usize>> = of_way.iter().map(reached).collect();
        let counted: Vec<f64> = docs.iter().map(|docs| docs.unwrap_or(budget) as f64).collect();
        let [low, median, high] = quartiles(&counted);
        let finals: Vec<f64> =
            of_way.iter().filter_map(|curve| Some(100.0 * curve.last()?.1)).collect();
        report.lines.push(format!(
            "  {:36} {median:.0} [{low:.0}, {high:.0}]; reached by {} of {}; for good after {:.0} by {}; at the end {:.1}",
            way.name,
            docs.iter().flatten().count(),
            docs.len(),
            quartiles(&until)[1],
            kept.iter().flatten().count(),
            quartiles(&finals)[1]
        ));
        report.rows.extend(seeds.iter().zip(&docs).zip(&kept).zip(of_way).map(
            |(((seed, docs), kept), curve)| {
                json!({
                    "optimizer": way.name,
                    "instance": seed,
                    "budget": budget,
                    "documents": docs,
                    "documents_for_good": kept,
                    "best_known": best,
                    "holdout": curve,
                })
            },
        ));
    }
    report
}

impl Bench {
    fn open(way: &Way, threads: usize) -> Result<Self, String> {
        let said = |error: &dyn std::fmt::Display| error.to_string();
        let space = SearchSpace::load(Path::new(SPACE)).map_err(|error| said(&error))?;
        let loader = Loader { hub: None };
        let tasks: Vec<Vec<Task>> = (space.tasks.iter())
            .map(|path| loader.load(path).map_err(|error| said(&error)))
            .collect::<Result<_, _>>()?;
        let tasks = tasks.concat();
        let names: Vec<&str> = tasks.iter().map(|task| task.name.as_str()).collect();
        let aggregate = Aggregate::new(&space.aggregate, &names).map_err(|error| said(&error))?;
        let models: Vec<ModelRef> = std::iter::once(space.base.clone())
            .chain(space.experts.iter().map(|expert| expert.model.clone()))
            .collect();
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        let threads = if threads == 0 { cores() } else { threads };
        let pool = Arc::new(Pool::new(threads).map_err(|error| said(&error))?);
        let nowhere = Hub {
            cache: "nowhere".into(),
            endpoint: None,
            token: None,
            offline: true,
            progress: false,
        };
        let resources = Resources { memory: None, precision: Precision::F32 };
        let docs = [way.docs, Some(1), None];
        let evaluator =
            CandleEvaluator::open(&models, &nowhere, &tasks, docs, &space.methods, resources, pool)
                .map_err(|error| said(&error))?;
        let filters = |group| (group, evaluator.architecture().filters(group).to_vec());
        let filters: GroupFilters = TensorGroup::NAMED.into_iter().map(filters).collect();
        let decoder = Decoder::new(space, evaluator.layers(), filters);
        let decoder = decoder.map_err(|error| said(&error))?;
        Ok(Self { decoder, evaluator, workers: Workers::new(threads), aggregate })
    }

    fn search(&self, way: &Way, seed: u64, budget: usize) -> Result<Trace, String> {
        if way.raced { self.raced(seed, budget) } else { self.plain(seed, budget) }
    }

    /// Side by side; infeasible ones are `None`.
    fn score(
        &self,
        candidates: &[&Genotype],
        split: Split,
        docs: Option<&DocSubset>,
    ) -> Result<Vec<Option<Evaluation>>, String> {
        let one = |_: usize, genotype: &&Genotype| {
            let outcome = self.evaluator.evaluate(&self.decoder.decode(genotype), split, docs);
            outcome.map(|outcome| outcome.evaluation().cloned()).map_err(|error| error.to_string())
        };
        self.workers.map(candidates, one).into_iter().collect()
    }

    fn value(&self, evaluation: &Evaluation) -> f64 {
        let accuracies: Vec<f64> = evaluation.tasks.iter().map(|task| task.accuracy().0).collect();
        self.aggregate.value(&accuracies)
    }

    fn plain(&self, seed: u64, budget: usize) -> Result<Trace, String> {
        let genes = self.decoder.dimensions().len();
        let population = Some(4 + (3.0 * (genes as f64).ln()) as usize);
        let settings = Settings { population, sigma: 1.0 / 6.0, ..Settings::default() };
        let mut optimizer = CatCma::new(self.decoder.dimensions(), Seed(seed), &settings)
            .map_err(|error| error.to_string())?;
        let each: usize = self.evaluator.docs(Split::Search).iter().sum();
        let (mut trace, mut documents) = (Trace::new(), 0);
        let mut best: Option<(f64, Genotype)> = None;
        while documents + each * optimizer.population_size() <= budget {
            let asked = optimizer.ask();
            documents += each * asked.len();
            let scored = self.score(&asked.iter().collect::<Vec<_>>(), Split::Search, None)?;
            let scores: Vec<f64> = scored
                .iter()
                .map(|known| known.as_ref().map_or(0.0, |own| self.value(own)))
                .collect();
            for (genotype, score) in asked.iter().zip(&scores) {
                if best.as_ref().is_none_or(|(known, _)| score > known) {
                    best = Some((*score, genotype.clone()));
                }
            }
            trace.extend(best.iter().map(|(_, genotype)| (documents, genotype.clone())));
            let costs = scores.iter().map(|score| Costs::from(-score));
            optimizer.tell(&asked.into_iter().zip(costs).collect::<Vec<_>>());
        }
        Ok(trace)
    }

    fn raced(&self, seed: u64, budget: usize) -> Result<Trace, String> {
        let docs = self.evaluator.docs(Split::Search);
        let racing = Racing::default();
        let mut race = Race::new(racing, &self.aggregate, &docs, Seed(seed));
        let candidates = budget as f64 / (0.75 * race.all().docs() as f64);
        let population = race::population(self.decoder.dimensions().len(), candidates, 1);
        let settings =
            Settings { population: Some(population), surrogate: true, ..Settings::default() };
        let mut optimizer = CatCma::new(self.decoder.dimensions(), Seed(seed), &settings)
            .map_err(|error| error.to_string())?;
        let (mut trace, mut documents) = (Trace::new(), 0);
        while documents < budget {
            let asked = optimizer.ask();
            let (first, all) = (race.first(), race.all());
            let everybody: Vec<&Genotype> = asked.iter().collect();
            let mut known = self.score(&everybody, Split::Search, Some(&first))?;
            documents += asked.len() * first.docs();
            if let Some((on, rest)) = race.further(&scores(&known)) {
                let survivors: Vec<&Genotype> = on.iter().map(|&index| &asked[index]).collect();
                documents += survivors.len() * rest.docs();
                let more = self.score(&survivors, Split::Search, Some(&rest))?;
                for (index, more) in on.into_iter().zip(more) {
                    known[index] = match (&known[index], more) {
                        (Some(early), Some(more)) => early.joined(&first, &more, &rest).ok(),
                        _ => None,
                    };
                }
            }
            debug_assert!(all.contains(&first));
            let costs = race.finish(&scores(&known));
            optimizer.tell(&asked.into_iter().zip(costs).collect::<Vec<_>>());
            trace.extend(optimizer.recommend().into_iter().take(1).map(|best| (documents, best)));
        }
        Ok(trace)
    }

    /// The same trace with scores on holdout.
    fn held_out(&self, trace: &Trace) -> Result<Vec<(usize, f64)>, String> {
        let recipe = |genotype: &Genotype| self.decoder.decode(genotype).to_yaml();
        let distinct: BTreeMap<String, &Genotype> =
            trace.iter().map(|(_, genotype)| (recipe(genotype), genotype)).collect();
        let genotypes: Vec<&Genotype> = distinct.values().copied().collect();
        let scored = self.score(&genotypes, Split::Holdout, None)?;
        let scores: BTreeMap<&String, f64> = (distinct.keys())
            .zip(&scored)
            .map(|(recipe, known)| (recipe, known.as_ref().map_or(0.0, |own| self.value(own))))
            .collect();
        let of = |(docs, genotype): &(usize, Genotype)| {
            (*docs, scores.get(&recipe(genotype)).copied().unwrap_or(0.0))
        };
        Ok(trace.iter().map(of).collect())
    }
}

fn scores(known: &[Option<Evaluation>]) -> Vec<Scored> {
    known.iter().map(|known| known.as_ref().map(|own| own.tasks.clone())).collect()
}
