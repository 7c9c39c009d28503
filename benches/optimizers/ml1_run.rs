//! One search on ML1.

use std::fmt;

use merge_search::genome::{Dimension, Domain, Gene, Genotype};
use merge_search::objective::Aggregate;
use merge_search::optimizer::{Costs, Optimizer, OptimizerKind, Settings, build};
use merge_search::race::{self, Race, Racing, Scored};
use merge_search::units::Seed;

use super::documents::{Documents, POOL, Sheet};
use super::ml1::{GENES, Ml1, SplitMix64, TASKS};

/// Documents per task of a plain evaluation.
pub const DOCS: u32 = 100;

/// How candidates are scored.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Way {
    /// Every candidate on `DOCS` documents of its own.
    Plain(OptimizerKind),
    /// CatCMA with the search's racing, on documents whose hardness correlates between candidates by so much; with or
    /// without the model of costs for the recommended point.
    Raced { correlation: f64, surrogate: bool },
}

impl Way {
    /// What the table shows unless one is asked for.
    pub const ALL: [Way; 6] = [
        Way::Plain(OptimizerKind::CatCma),
        Way::Raced { correlation: 0.0, surrogate: false },
        Way::Raced { correlation: 0.0, surrogate: true },
        Way::Raced { correlation: 0.7, surrogate: false },
        Way::Raced { correlation: 0.7, surrogate: true },
        Way::Plain(OptimizerKind::Random),
    ];
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Way::Plain(kind) => write!(f, "{kind}"),
            Way::Raced { correlation, surrogate } => {
                let model = if *surrogate { ", model" } else { "" };
                write!(f, "cat-cma, raced{model}, rho {correlation}")
            }
        }
    }
}

/// What a search came to.
pub struct Found {
    /// True F of the recommendation.
    pub recommended: Option<f64>,
    /// True F of the candidate of best score.
    pub best_observed: f64,
    /// That score.
    pub claimed: f64,
    pub genes_right: Option<usize>,
    pub candidates: usize,
    pub documents: usize,
}

impl Found {
    pub fn handed_over(&self) -> f64 {
        self.recommended.unwrap_or(self.best_observed)
    }
}

pub fn space(d: usize) -> Vec<Dimension> {
    let unit = Domain::Continuous { low: 0.0, high: 1.0 };
    let choices: Vec<String> = (0..4).map(|k: usize| k.to_string()).collect();
    let gene = |name: String, domain| Dimension { name, domain, initial: None };
    let weights = (0..d).map(|i| gene(format!("x{i}"), unit.clone()));
    let genes =
        (0..GENES).map(|g| gene(format!("c{g}"), Domain::Categorical { choices: choices.clone() }));
    weights.chain(genes).collect()
}

/// Weights and genes of a candidate.
pub fn parts(genotype: &Genotype) -> (Vec<f64>, Vec<usize>) {
    let real = |gene: &Gene| if let Gene::Real(x) = gene { Some(*x) } else { None };
    let category = |gene: &Gene| if let Gene::Category(k) = gene { Some(*k) } else { None };
    let genes = &genotype.0;
    (genes.iter().filter_map(real).collect(), genes.iter().filter_map(category).collect())
}

pub fn truth(landscape: &Ml1, genotype: &Genotype) -> f64 {
    let (x, c) = parts(genotype);
    landscape.truth(&x, &c)
}

/// Whole generations within the budget.
pub fn run(way: Way, landscape: &Ml1, d: usize, budget: usize, instance: u64) -> Found {
    match way {
        Way::Plain(kind) => plain(kind, landscape, d, budget, instance),
        Way::Raced { correlation, surrogate } => {
            raced((correlation, surrogate), landscape, d, budget, instance)
        }
    }
}

fn plain(kind: OptimizerKind, landscape: &Ml1, d: usize, budget: usize, instance: u64) -> Found {
    let noise = &mut SplitMix64(100_000 + instance);
    let mut optimizer: Box<dyn Optimizer + Send> =
        build(kind, &space(d), Seed(instance), &Settings::default())
            .expect("ML1's space can be searched");
    let (mut candidates, mut best) = (0, (f64::NEG_INFINITY, 0.0));
    while candidates + optimizer.population_size() <= budget {
        let told: Vec<(Genotype, Costs)> = optimizer
            .ask()
            .into_iter()
            .map(|genotype| {
                let (x, c) = parts(&genotype);
                let score = landscape.observed(&x, &c, DOCS, noise);
                if score > best.0 {
                    best = (score, landscape.truth(&x, &c));
                }
                (genotype, (-score).into())
            })
            .collect();
        candidates += told.len();
        optimizer.tell(&told);
    }
    let mode = optimizer.recommend().into_iter().next();
    Found {
        recommended: mode.as_ref().map(|genotype| truth(landscape, genotype)),
        best_observed: best.1,
        claimed: best.0,
        genes_right: mode.as_ref().map(|genotype| landscape.genes_right(&parts(genotype).1)),
        candidates,
        documents: candidates * 5 * DOCS as usize,
    }
}

/// The same number of documents, spent as [`Race`] says.
fn raced(
    (correlation, surrogate): (f64, bool),
    landscape: &Ml1,
    d: usize,
    budget: usize,
    instance: u64,
) -> Found {
    let mut documents = Documents::new(100_000 + instance, correlation, budget * 5 * DOCS as usize);
    let aggregate = Aggregate::geometric_mean(TASKS);
    let mut race = Race::new(Racing::default(), &aggregate, &[POOL; TASKS], Seed(instance));
    // About 15 documents of each task per candidate, of which half see half.
    let candidates = (budget * DOCS as usize) as f64 / (0.75 * 20.0);
    let population = Some(race::population(d + GENES, candidates, 1));
    let settings = Settings { population, surrogate, ..Settings::default() };
    let mut optimizer = build(OptimizerKind::CatCma, &space(d), Seed(instance), &settings)
        .expect("ML1's space can be searched");
    let (mut candidates, mut best) = (0, (f64::NEG_INFINITY, 0.0));
    while let Some((asked, scored)) = generation(&race, &*optimizer, landscape, &mut documents) {
        candidates += asked.len();
        for (genotype, tasks) in asked.iter().zip(scored.iter().flatten()) {
            let accuracies: Vec<f64> = tasks.iter().map(|task| task.accuracy().0).collect();
            let score = aggregate.value(&accuracies);
            if score > best.0 {
                best = (score, truth(landscape, genotype));
            }
        }
        let costs = race.finish(&scored);
        optimizer.tell(&asked.into_iter().zip(costs).collect::<Vec<_>>());
    }
    let mode = optimizer.recommend().into_iter().next();
    Found {
        recommended: mode.as_ref().map(|genotype| truth(landscape, genotype)),
        best_observed: best.1,
        claimed: best.0,
        genes_right: mode.as_ref().map(|genotype| landscape.genes_right(&parts(genotype).1)),
        candidates,
        documents: documents.scored(),
    }
}

/// One generation's scores; `None` where the budget does not reach to its end.
fn generation(
    race: &Race,
    optimizer: &dyn Optimizer,
    landscape: &Ml1,
    documents: &mut Documents,
) -> Option<(Vec<Genotype>, Vec<Scored>)> {
    let asked = optimizer.ask();
    let accuracies: Vec<[f64; TASKS]> = asked
        .iter()
        .map(|genotype| {
            let (x, c) = parts(genotype);
            landscape.accuracies(&x, &c)
        })
        .collect();
    let mut sheets = documents.sheets(asked.len());
    let everybody: Vec<usize> = (0..asked.len()).collect();
    documents.score(&mut sheets, &everybody, &accuracies, &race.first())?;
    let scored = |sheets: &[Sheet]| sheets.iter().map(|sheet| Some(sheet.scores())).collect();
    let early: Vec<Scored> = scored(&sheets);
    if let Some((on, rest)) = race.further(&early) {
        documents.score(&mut sheets, &on, &accuracies, &rest)?;
    }
    Some((asked, scored(&sheets)))
}
