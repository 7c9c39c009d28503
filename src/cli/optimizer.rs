//! How to search: what the command line says, or else the space, or else the program.

use std::path::Path;
use std::str::FromStr;

use clap::Args as ClapArgs;
use merge_search::evaluate::Evaluator;
use merge_search::genome::{Decoder, Dimension, Genotype, uniform_average};
use merge_search::optimizer::{self, Optimizer, OptimizerError, OptimizerKind, Settings};
use merge_search::outcome::Outcome;
use merge_search::race::{self, Race, Racing};
use merge_search::record::{OptimizerSettings, RecordedGene};
use merge_search::search::Budget;
use merge_search::space::{OptimizerChoice, SearchSpace, WarmStart};
use merge_search::units::{Seed, Split};

use super::workbench::Workbench;
use super::{Failure, tell, warm_start};

/// What overrides the space's `[optimizer]`.
#[derive(Debug, Clone, ClapArgs)]
pub struct OptimizerArgs {
    /// How to search, for instance cat-cma (alias cma-es), nsga2 or random; an unknown name lists all [default: the
    /// space's; or else scalarised-cma where time or memory is an objective and routing lets candidates differ in it, and
    /// cat-cma everywhere else]
    #[arg(long, value_name = "NAME")]
    optimizer: Option<String>,
    /// Candidates per generation [default: the space's, or by the number of genes]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(2..=100_000))]
    population: Option<u32>,
    /// First step, as a share of each gene's range [default: the space's, or 0.3]
    #[arg(long, value_name = "SHARE", value_parser = parse_sigma)]
    sigma: Option<f64>,
    /// Start from `parents`, a recipe (YAML) or the folder of an earlier run; may be repeated, best first [default: the
    /// space's]
    #[arg(long, value_name = "WHAT")]
    warm_start: Vec<String>,
}

/// First step as a share of each gene's range.
const DEFAULT_SIGMA: f64 = 0.3;

fn parse_sigma(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(sigma) if sigma > 0.0 && sigma <= 1.0 => Ok(sigma),
        _ => Err("a number above 0 and at most 1".to_owned()),
    }
}

/// Which optimizer, and how it is set.
#[derive(Debug, Clone)]
pub struct Plan {
    pub kind: OptimizerKind,
    pub settings: Settings,
    pub racing: Option<Racing>,
    /// Raced candidates that the budget has room for.
    pub candidates: Option<f64>,
}

impl Plan {
    /// For a run that begins.
    pub fn new(
        args: &OptimizerArgs,
        bench: &Workbench,
        workers: usize,
        budget: Budget,
    ) -> Result<Self, Failure> {
        let pace = |racing| Pace::of(bench, racing, budget);
        Self::with_pace(args, &bench.decoder, bench.layers, workers, Some(&pace))
    }

    /// Where no candidate can be timed: the population is the space's, or by the number of genes.
    pub fn untimed(
        args: &OptimizerArgs,
        decoder: &Decoder,
        layers: usize,
        workers: usize,
    ) -> Result<Self, Failure> {
        Self::with_pace(args, decoder, layers, workers, None)
    }

    fn with_pace(
        args: &OptimizerArgs,
        decoder: &Decoder,
        layers: usize,
        workers: usize,
        pace: Option<&dyn Fn(Racing) -> Pace>,
    ) -> Result<Self, Failure> {
        let space = decoder.space();
        let choice = &space.optimizer;
        let population = args.population.map(|count| count as usize).or(choice.population);
        let from_here = |word: &String| WarmStart::from_word(word, Path::new("."));
        let asked: Vec<WarmStart> = args.warm_start.iter().map(from_here).collect();
        let (key, starts) = match asked.is_empty() {
            true => ("key `optimizer.warm_start` of the search space", &choice.warm_start),
            false => ("--warm-start", &asked),
        };
        let tied = choice.coarse_to_fine.unwrap_or(false);
        let kind = optimizer_kind(args.optimizer.as_deref(), space)?;
        let races = choice.racing.unwrap_or(true) && kind.races();
        for (key, without) in unheeded(choice, kind) {
            tell(&format!("note: key `optimizer.{key}` does nothing {without}"));
        }
        let pace = pace.filter(|_| races).map(|pace| pace(racing(choice)));
        let genes = decoder.dimensions().len();
        let raced = pace.as_ref().map(|pace| pace.population(genes, workers));
        Ok(Self {
            kind,
            racing: pace.as_ref().map(|pace| pace.racing),
            candidates: pace.map(|pace| pace.candidates),
            settings: Settings {
                population: population.or(raced),
                sigma: args.sigma.or(choice.sigma).unwrap_or(DEFAULT_SIGMA),
                workers,
                covariance: word(choice.covariance.as_deref(), "covariance")?,
                restarts: word(choice.restarts.as_deref(), "restarts")?,
                active: choice.active.unwrap_or(false),
                warm_start: warm_start::genotypes(key, starts, decoder)?,
                tying: tying(decoder, layers, tied),
                objectives: space.objectives.len(),
                surrogate: choice.surrogate.unwrap_or(true),
            },
        })
    }

    /// As the run that is resumed began. Its population as it was, whatever the number of workers now: the trajectory
    /// must not depend on the machine.
    pub fn recorded(recorded: &OptimizerSettings, bench: &Workbench) -> Result<Self, Failure> {
        let genotype =
            |genes: &Vec<RecordedGene>| Genotype(genes.iter().map(|gene| (*gene).into()).collect());
        Ok(Self {
            kind: parsed(&recorded.kind)?,
            racing: recorded.racing,
            candidates: None,
            settings: Settings {
                population: Some(recorded.population as usize),
                sigma: recorded.sigma.unwrap_or(DEFAULT_SIGMA),
                workers: 1,
                covariance: parsed(&recorded.covariance)?,
                restarts: parsed(&recorded.restarts)?,
                active: recorded.active,
                warm_start: recorded.warm_start.iter().map(genotype).collect(),
                tying: tying(&bench.decoder, bench.layers, recorded.coarse_to_fine),
                objectives: bench.decoder.space().objectives.len(),
                surrogate: recorded.surrogate,
            },
        })
    }

    /// The same with the population that it comes to: a run that is resumed, on whatever machine, knows only that one.
    pub fn settled(mut self, bench: &Workbench) -> Result<Self, Failure> {
        self.settings.population = Some(self.build(bench, Seed(0))?.population_size());
        Ok(self)
    }

    pub fn build(
        &self,
        bench: &Workbench,
        seed: Seed,
    ) -> Result<Box<dyn Optimizer + Send>, Failure> {
        self.built(bench.decoder.dimensions(), seed)
    }

    /// Candidates of a generation.
    pub fn population_size(&self, genes: &[Dimension]) -> Result<usize, Failure> {
        Ok(self.built(genes, Seed(0))?.population_size())
    }

    fn built(&self, genes: &[Dimension], seed: Seed) -> Result<Box<dyn Optimizer + Send>, Failure> {
        optimizer::build(self.kind, genes, seed, &self.settings)
            .map_err(|error| Failure::from_error(&error).remedy("mend the search space"))
    }

    /// For the manifest.
    pub fn record(&self) -> OptimizerSettings {
        let genes = |genotype: &Genotype| genotype.0.iter().map(|gene| (*gene).into()).collect();
        OptimizerSettings {
            kind: self.kind.to_string(),
            population: self.settings.population.unwrap_or_default() as u64,
            sigma: Some(self.settings.sigma),
            workers: self.settings.workers as u64,
            covariance: self.settings.covariance.to_string(),
            restarts: self.settings.restarts.to_string(),
            active: self.settings.active,
            coarse_to_fine: !self.settings.tying.is_empty(),
            warm_start: self.settings.warm_start.iter().map(genes).collect(),
            surrogate: self.settings.surrogate,
            racing: self.racing,
        }
    }
}

fn racing(choice: &OptimizerChoice) -> Racing {
    let default = Racing::default();
    Racing {
        first_share: choice.first_share.unwrap_or(default.first_share),
        anchor_share: choice.anchor_share.unwrap_or(default.anchor_share),
        resamples: choice.resamples.unwrap_or(default.resamples),
        ..default
    }
}

/// Keys that were set and that do nothing, and with or without what.
fn unheeded(choice: &OptimizerChoice, kind: OptimizerKind) -> Vec<(&'static str, String)> {
    let cma = matches!(kind, OptimizerKind::CatCma | OptimizerKind::ScalarisedCma);
    let plain_cma = kind == OptimizerKind::CatCma;
    let by_kind = [
        ("covariance", choice.covariance.is_some(), cma),
        ("restarts", choice.restarts.is_some(), cma),
        ("active", choice.active.is_some(), cma),
        ("coarse_to_fine", choice.coarse_to_fine == Some(true), plain_cma),
        ("surrogate", choice.surrogate == Some(true), plain_cma),
        ("racing", choice.racing == Some(true), kind.races()),
    ];
    let of_races = [
        ("first_share", choice.first_share.is_some()),
        ("anchor_share", choice.anchor_share.is_some()),
        ("resamples", choice.resamples.is_some()),
    ];
    let switched_off = kind.races() && choice.racing == Some(false);
    let reason = match switched_off {
        true => "without racing, which `optimizer.racing` switches off".to_owned(),
        false => format!("with the optimizer {kind}"),
    };
    let unheeded = by_kind.into_iter().filter(|(_, set, heeded)| *set && !*heeded);
    let unheeded = unheeded.map(|(key, ..)| (key, format!("with the optimizer {kind}")));
    let of_races = of_races.into_iter().filter(|(_, set)| *set);
    let of_races = of_races.filter(|_| switched_off || !kind.races());
    unheeded.chain(of_races.map(|(key, _)| (key, reason.clone()))).collect()
}

/// How a race fits into a budget.
struct Pace {
    racing: Racing,
    /// That there is room for.
    candidates: f64,
}

impl Pace {
    /// Of a wall-clock budget it is found out by scoring the uniform average as a race begins to, and rounded to powers of
    /// two, so that two runs on one machine mostly agree. Candidates who go on are merged again and see as many documents
    /// once more. Where a merge takes longer than the documents of a generation, these are more: they cost little.
    fn of(bench: &Workbench, racing: Racing, budget: Budget) -> Self {
        let seconds = match budget {
            Budget::Trials(trials) => return Self { racing, candidates: trials as f64 },
            Budget::WallClock(time) => time.as_secs_f64(),
        };
        let docs = bench.evaluator.docs(Split::Search);
        let first = Race::new(racing, &bench.aggregate, &docs, Seed(0)).first();
        let recipe = uniform_average(bench.decoder.space());
        let Ok(Outcome::Feasible(once)) =
            bench.evaluator.evaluate(&recipe, Split::Search, Some(&first))
        else {
            // The baselines will say what is wrong.
            return Self { racing, candidates: 0.0 };
        };
        let (merge, score) = (once.merge_seconds.0, once.score_seconds.0.max(1e-9));
        let more = power_of_two((merge * racing.first_share / score).max(1.0));
        let least_docs = (racing.least_docs as f64 * more).min(racing.most_docs as f64);
        let each = 1.5 * (merge + score * least_docs / racing.least_docs.max(1) as f64);
        let candidates = power_of_two(seconds * bench.workers.count() as f64 / each);
        Self { racing: Racing { least_docs: least_docs as usize, ..racing }, candidates }
    }

    /// Of at least four generations.
    fn population(&self, genes: usize, workers: usize) -> usize {
        let wanted = race::population(genes, self.candidates, workers);
        let generations = (self.candidates / wanted as f64).round().max(LEAST_GENERATIONS);
        wanted.min(((self.candidates / generations) as usize).max(LEAST_POPULATION))
    }
}

/// A search of fewer learns next to nothing.
const LEAST_GENERATIONS: f64 = 4.0;
/// In which there is still a better half.
const LEAST_POPULATION: usize = 6;

fn power_of_two(x: f64) -> f64 {
    x.max(1.0).log2().round().exp2()
}

fn tying(decoder: &Decoder, layers: usize, tied: bool) -> Vec<Vec<usize>> {
    if tied { decoder.space().tying(layers) } else { Vec::new() }
}

/// The command line's choice, or else the space's, or else one that suits what is searched for.
fn optimizer_kind(asked: Option<&str>, space: &SearchSpace) -> Result<OptimizerKind, Failure> {
    let (key, name) = match (asked, &space.optimizer.name) {
        (Some(name), _) => ("--optimizer", name),
        (None, Some(name)) => ("key `optimizer.name` of the search space", name.as_str()),
        (None, None) => return Ok(default_kind(space)),
    };
    name.parse().map_err(|error: OptimizerError| Failure::input(format!("{key}: {error}")))
}

/// CatCMA, which searches for accuracy alone (and races), unless there is a front to be found.
fn default_kind(space: &SearchSpace) -> OptimizerKind {
    if space.objectives.len() > 1 && space.routing.varies_time() {
        OptimizerKind::ScalarisedCma
    } else {
        OptimizerKind::CatCma
    }
}

/// A word of the space.
fn word<T: FromStr<Err = OptimizerError> + Default>(
    word: Option<&str>,
    key: &str,
) -> Result<T, Failure> {
    let wrong =
        |error| Failure::input(format!("key `optimizer.{key}` of the search space: {error}"));
    word.map_or_else(|| Ok(T::default()), |word| word.parse().map_err(wrong))
}

/// A word of the manifest.
fn parsed<T: FromStr<Err = OptimizerError>>(word: &str) -> Result<T, Failure> {
    word.parse().map_err(|error| Failure::from_error(&error))
}
