//! CatCMA: evolution strategy for continuous, integer and categorical genes together.
//!
//! Hamano, Saito, Nomura, Uchida, Shirakawa, "CatCMA: Stochastic Optimization for Mixed-Category
//! Problems", arXiv:2405.09962, with integer genes treated as in its successor (arXiv:2504.07884)
//! by a margin on the Gaussian. A candidate is drawn from a Gaussian and independent categorical
//! distributions; both are moved towards the better half of the generation with the same weights.

use std::cmp::Ordering;

use nalgebra::DVector;

use super::categorical::Categorical;
use super::encoding::Encoding;
use super::gaussian::{Gaussian, Rates};
use super::refine::Parents;
use super::restarts::{Run, Schedule, elsewhere};
use super::surrogate::{Point, Region, Surrogate};
use super::warm_start::{self, Given};
use super::weights::Weights;
use super::{Costs, Covariance, Optimizer, OptimizerError, Settings, margin, stream};
use crate::genome::{Dimension, Genotype};
use crate::units::Seed;

/// Name of the stream that says where runs begin again.
const RESTARTS: &str = "cat-cma restarts";

/// The search distribution and its learning rates' state.
#[derive(Debug, Clone)]
pub struct CatCma {
    seed: Seed,
    generation: u64,
    encoding: Encoding,
    model: Model,
    pub(super) weights: Weights,
    /// `None` without continuous and integer genes.
    pub(super) gaussian: Option<Gaussian>,
    /// `None` without categorical genes.
    pub(super) categorical: Option<Categorical>,
    /// Part of the first generation, in this order.
    given: Vec<Given>,
    /// `None` when a converged run just goes on.
    schedule: Option<Schedule>,
    /// `None` unless asked for.
    surrogate: Option<Surrogate>,
}

/// What every run of one optimizer has in common.
#[derive(Debug, Clone, Copy)]
struct Model {
    covariance: Covariance,
    active: bool,
    /// Initial standard deviation, a fraction of each range.
    sigma: f64,
}

/// One sample: coordinates of the Gaussian (empty without one) and one category per categorical
/// gene.
struct Candidate {
    v: DVector<f64>,
    c: Vec<usize>,
}

impl CatCma {
    pub(super) const NAME: &'static str = "cat-cma";

    /// Starts at the first candidate of the warm start, or else at the dimensions' `initial` values
    /// with uniform categories.
    ///
    /// # Errors
    /// As [`build`](super::build).
    pub fn new(
        dimensions: &[Dimension],
        seed: Seed,
        settings: &Settings,
    ) -> Result<Self, OptimizerError> {
        let mut encoding = Encoding::new(dimensions)?;
        let model = Model::new(settings)?;
        let population = settings.population_size(encoding.genes())?;
        let given = warm_start::given(dimensions, &encoding, &settings.warm_start)?;
        if let Some(first) = given.first() {
            encoding.start = first.v.clone();
        }
        let workers = if settings.population.is_some() { 1 } else { settings.workers };
        let mut optimizer = Self {
            seed,
            generation: 0,
            model,
            weights: Weights::new(population),
            gaussian: None,
            categorical: None,
            schedule: Schedule::new(settings.restarts, population, workers),
            surrogate: settings.surrogate.then(Surrogate::default),
            given,
            encoding,
        };
        let start = optimizer.encoding.start.clone();
        optimizer.begin(Run { population, sigma: 1.0 }, &start);
        if let Some(categorical) = &mut optimizer.categorical {
            let given: Vec<&[usize]> = optimizer.given.iter().map(|x| x.c.as_slice()).collect();
            categorical.lean_towards(&given);
        }
        Ok(optimizer)
    }

    /// Draws the next generation as that of number `generation`: for one of several distributions that take turns in one
    /// search, so that no two draw the same numbers.
    pub(super) fn go_on_at(&mut self, generation: u64) {
        self.generation = generation;
    }

    /// Forgets what was learnt and starts a run at `start`, with uniform categories.
    fn begin(&mut self, run: Run, start: &[f64]) {
        let Model { covariance, sigma, .. } = self.model;
        let coordinates = &self.encoding.coordinates;
        let alpha = margin::alpha(self.encoding.discrete_genes());
        let (weights, rates) = self.model.learning(coordinates.len(), run.population);
        self.weights = weights;
        self.gaussian = (!coordinates.is_empty()).then(|| {
            Gaussian::new(coordinates, start, sigma * run.sigma, (covariance, rates), alpha)
        });
        self.categorical = (!self.encoding.categories.is_empty())
            .then(|| Categorical::new(&self.encoding.categories, alpha));
    }

    /// Starts anew elsewhere where `costs`, those of the last generation, end the run.
    fn restart_if_over(&mut self, costs: &[f64]) {
        let Some(mut schedule) = self.schedule.take() else { return };
        if schedule.ends(costs, self.gaussian.as_ref(), self.encoding.genes()) {
            let rng = &mut stream::candidate_rng(RESTARTS, self.seed, self.generation, 0);
            let run = schedule.next(self.centre(), rng);
            let start = elsewhere(&self.encoding.start, self.model.sigma, rng);
            self.begin(run, &start);
        }
        self.schedule = Some(schedule);
    }

    /// The distribution's mean and the most probable categories.
    fn centre(&self) -> Genotype {
        let v = self.gaussian.as_ref().map_or_else(|| DVector::zeros(0), Gaussian::mode);
        let c = self.categorical.as_ref().map_or_else(Vec::new, Categorical::mode);
        self.encoding.decode(v.as_slice(), &c)
    }

    /// The geometric mean of the coordinates' standard deviations; `None` without coordinates.
    pub(super) fn spread(&self) -> Option<f64> {
        self.gaussian.as_ref().map(Gaussian::spread)
    }

    /// The same distribution over the genes `dimensions`, of which gene i is a copy of gene `parent[i]`.
    ///
    /// # Errors
    /// As [`build`](super::build).
    pub(super) fn refined(
        &self,
        dimensions: &[Dimension],
        parent: &[usize],
        within: f64,
    ) -> Result<Self, OptimizerError> {
        let encoding = Encoding::new(dimensions)?;
        let parents = Parents::new(&self.encoding, &encoding, parent);
        let alpha = margin::alpha(encoding.discrete_genes());
        let coordinates = &encoding.coordinates;
        let (weights, rates) = self.model.learning(coordinates.len(), self.weights.lambda());
        let rates = (self.model.covariance, rates);
        let finer =
            |g: &Gaussian| g.refined(coordinates, &parents.coordinates, rates, alpha, within);
        let gaussian = self.gaussian.as_ref().map(finer);
        let categorical = self.categorical.as_ref();
        let categorical = categorical.map(|q| q.refined(&encoding, &parents.distributions, alpha));
        let surrogate = self.surrogate.as_ref();
        let surrogate = surrogate.map(|s| s.refined(&parents.coordinates, &parents.distributions));
        let given = Vec::new();
        Ok(Self { weights, gaussian, categorical, surrogate, given, encoding, ..self.clone() })
    }

    fn candidates(&self) -> Vec<Candidate> {
        (0..self.population_size()).map(|index| self.candidate(index)).collect()
    }

    fn candidate(&self, index: usize) -> Candidate {
        if self.generation == 0
            && let Some(given) = self.given.get(index)
        {
            return self.injected(given);
        }
        let rng = &mut stream::candidate_rng(Self::NAME, self.seed, self.generation, index);
        Candidate {
            v: self.gaussian.as_ref().map_or_else(|| DVector::zeros(0), |g| g.sample(rng)),
            c: self.categorical.as_ref().map_or_else(Vec::new, |q| q.sample(rng)),
        }
    }

    /// What the distribution is to learn from a candidate that it did not sample.
    fn injected(&self, given: &Given) -> Candidate {
        let v = DVector::from_column_slice(&given.v);
        let v = self.gaussian.as_ref().map_or(v.clone(), |gaussian| gaussian.within_reach(&v));
        Candidate { v, c: given.c.clone() }
    }

    /// Where `candidates` were scored: those given not where the distribution learns them, but where they are.
    fn points(&self, candidates: &[Candidate]) -> Vec<Point> {
        let given = if self.generation == 0 { &self.given[..] } else { &[] };
        let at_given = given.iter().map(|given| self.encoding.point(&given.v, &given.c));
        let sampled = candidates.iter().skip(given.len());
        at_given.chain(sampled.map(|x| self.encoding.point(x.v.as_slice(), &x.c))).collect()
    }

    /// Where the distribution around its mode (`v`, `c`) is.
    fn region(&self, v: &[f64], c: &[usize]) -> Region {
        Region {
            centre: self.encoding.point(v, c),
            sd: self.gaussian.as_ref().map_or_else(Vec::new, Gaussian::standard_deviations),
            q: self.categorical.as_ref().map_or_else(Vec::new, |categorical| categorical.q.clone()),
        }
    }

    /// The optimum of the model near the distribution's mode, where there is a model and it knows better than the mode.
    fn modelled(&self) -> Option<Genotype> {
        let surrogate = self.surrogate.as_ref()?;
        let v = self.gaussian.as_ref().map_or_else(|| DVector::zeros(0), Gaussian::mode);
        let c = self.categorical.as_ref().map_or_else(Vec::new, Categorical::mode);
        let best = surrogate.optimum(&self.region(v.as_slice(), &c));
        Some(self.encoding.decode(&best.x, &best.c))
    }

    /// The genotypes of `candidates`; those given are asked for as they are.
    fn genotypes(&self, candidates: &[Candidate]) -> Vec<Genotype> {
        let sampled = |x: &Candidate| self.encoding.decode(x.v.as_slice(), &x.c);
        let mut genotypes: Vec<Genotype> = candidates.iter().map(sampled).collect();
        if self.generation == 0 {
            for (genotype, given) in genotypes.iter_mut().zip(&self.given) {
                genotype.clone_from(&given.genotype);
            }
        }
        genotypes
    }
}

impl Model {
    fn new(settings: &Settings) -> Result<Self, OptimizerError> {
        let Settings { covariance, active, sigma, .. } = *settings;
        if !(sigma.is_finite() && sigma > 0.0) {
            return Err(OptimizerError::BadSigma { got: sigma });
        }
        if active && covariance == Covariance::LowRank {
            return Err(OptimizerError::ActiveLowRank);
        }
        Ok(Self { covariance, active, sigma })
    }

    /// Recombination weights of a population and learning rates over `n` coordinates.
    fn learning(&self, n: usize, population: usize) -> (Weights, Rates) {
        let weights = Weights::new(population);
        let mu_eff = weights.mu_eff;
        let rates = Rates::new(n, mu_eff, self.covariance, self.active);
        if !self.active || n == 0 {
            return (weights, rates);
        }
        let least = |minus| rates.most_negative(n, mu_eff, minus);
        (weights.with_negative(least), rates)
    }
}

impl Optimizer for CatCma {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn population_size(&self) -> usize {
        self.weights.lambda()
    }

    fn generation(&self) -> u64 {
        self.generation
    }

    fn recommends_learnt(&self) -> bool {
        true
    }

    fn ask(&self) -> Vec<Genotype> {
        self.genotypes(&self.candidates())
    }

    /// A genotype has lost where in its cell an integer gene's coordinate lay, so the samples are
    /// drawn again (they are a function of the state) and matched with what is told. A generation
    /// whose costs are all equal teaches nothing.
    fn tell(&mut self, told: &[(Genotype, Costs)]) {
        let candidates = self.candidates();
        let costs = costs_of(&self.genotypes(&candidates), told);
        let points = self.points(&candidates);
        if let Some(surrogate) = &mut self.surrogate {
            surrogate.learn(points.into_iter(), costs.iter().map(Costs::estimated));
        }
        if let Some(weights) = self.weights.expected(&costs) {
            if let Some(gaussian) = &mut self.gaussian {
                gaussian.update(&weights, &candidates.iter().map(|x| &x.v).collect::<Vec<_>>());
            }
            if let Some(categorical) = &mut self.categorical {
                let positive: Vec<f64> = weights.iter().map(|w| w.max(0.0)).collect();
                categorical.update(
                    &positive,
                    &candidates.iter().map(|x| x.c.as_slice()).collect::<Vec<_>>(),
                );
            }
        }
        self.generation += 1;
        self.restart_if_over(&costs.iter().map(Costs::estimated).collect::<Vec<_>>());
    }

    /// The mean and the most probable categories; with restarts, those of the best run first, by the
    /// mean cost of its last generation. Before them the model's, where there is one; with restarts it comes second, as it
    /// looks around the current run only.
    fn recommend(&self) -> Vec<Genotype> {
        let (mut centres, place) = match &self.schedule {
            None => (vec![self.centre()], 0),
            Some(schedule) => (schedule.centres(self.centre()), 1),
        };
        if let Some(modelled) = self.modelled().filter(|genotype| !centres.contains(genotype)) {
            centres.insert(place.min(centres.len()), modelled);
        }
        centres
    }
}

/// The costs of each candidate asked for, infinite where it was not told. Equal candidates that were told several costs
/// get one each, in ascending order of costs and then of resamples, so that the order of telling does not matter.
pub(super) fn costs_of(asked: &[Genotype], told: &[(Genotype, Costs)]) -> Vec<Costs> {
    let mut told: Vec<&(Genotype, Costs)> = told.iter().collect();
    let key = |costs: &Costs| [&[costs.first()], &costs.resamples[..]].concat();
    told.sort_by(|a, b| {
        let places = key(&a.1).into_iter().zip(key(&b.1));
        places.map(|(a, b)| a.total_cmp(&b)).find(|o| o.is_ne()).unwrap_or(Ordering::Equal)
    });
    let mut take = |genotype: &Genotype| {
        let place = told.iter().position(|(other, _)| other == genotype)?;
        Some(told.remove(place).1.clone())
    };
    asked.iter().map(|genotype| take(genotype).unwrap_or_else(|| f64::INFINITY.into())).collect()
}
