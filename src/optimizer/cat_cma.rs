//! CatCMA: evolution strategy for continuous, integer and categorical genes together.
//!
//! Hamano, Saito, Nomura, Uchida, Shirakawa, "CatCMA: Stochastic Optimization for Mixed-Category
//! Problems", arXiv:2405.09962, with integer genes treated as in its successor (arXiv:2504.07884)
//! by a margin on the Gaussian. A candidate is drawn from a Gaussian and independent categorical
//! distributions; both are moved towards the better half of the generation with the same weights.

use nalgebra::DVector;

use super::categorical::Categorical;
use super::encoding::Encoding;
use super::gaussian::Gaussian;
use super::refine::Parents;
use super::surrogate::{Region, Surrogate};
use super::weights::Weights;
use super::{Costs, Optimizer, OptimizerError, Settings, margin, stream};
use crate::genome::{Dimension, Genotype};
use crate::units::Seed;

/// The search distribution and its learning rates' state.
#[derive(Debug, Clone)]
pub struct CatCma {
    seed: Seed,
    generation: u64,
    encoding: Encoding,
    pub(super) weights: Weights,
    /// `None` without continuous and integer genes.
    pub(super) gaussian: Option<Gaussian>,
    /// `None` without categorical genes.
    pub(super) categorical: Option<Categorical>,
    /// `None` unless asked for.
    surrogate: Option<Surrogate>,
}

/// One sample: coordinates of the Gaussian (empty without one) and one category per categorical
/// gene.
struct Candidate {
    v: DVector<f64>,
    c: Vec<usize>,
}

impl CatCma {
    pub(super) const NAME: &'static str = "cat-cma";

    /// Starts at the dimensions' `initial` values with uniform categories.
    ///
    /// # Errors
    /// As [`build`](super::build).
    pub fn new(
        dimensions: &[Dimension],
        seed: Seed,
        settings: &Settings,
    ) -> Result<Self, OptimizerError> {
        let encoding = Encoding::new(dimensions)?;
        if !(settings.sigma.is_finite() && settings.sigma > 0.0) {
            return Err(OptimizerError::BadSigma { got: settings.sigma });
        }
        let weights = Weights::new(settings.population_size(encoding.genes())?);
        let alpha = margin::alpha(encoding.discrete_genes());
        let gaussian = (!encoding.coordinates.is_empty())
            .then(|| Gaussian::new(&encoding, settings.sigma, weights.mu_eff, alpha));
        let categorical = (!encoding.categories.is_empty())
            .then(|| Categorical::new(&encoding.categories, alpha));
        let surrogate = settings.surrogate.then(Surrogate::default);
        Ok(Self { seed, generation: 0, encoding, weights, gaussian, categorical, surrogate })
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
        let mu_eff = self.weights.mu_eff;
        let gaussian =
            |g: &Gaussian| g.refined(&encoding, &parents.coordinates, mu_eff, alpha, within);
        let gaussian = self.gaussian.as_ref().map(gaussian);
        let categorical = self.categorical.as_ref();
        let categorical = categorical.map(|q| q.refined(&encoding, &parents.distributions, alpha));
        let surrogate = self.surrogate.as_ref();
        let surrogate = surrogate.map(|s| s.refined(&parents.coordinates, &parents.distributions));
        Ok(Self { encoding, gaussian, categorical, surrogate, ..self.clone() })
    }

    fn candidates(&self) -> Vec<Candidate> {
        (0..self.population_size()).map(|index| self.candidate(index)).collect()
    }

    fn candidate(&self, index: usize) -> Candidate {
        let rng = &mut stream::candidate_rng(Self::NAME, self.seed, self.generation, index);
        Candidate {
            v: self.gaussian.as_ref().map_or_else(|| DVector::zeros(0), |g| g.sample(rng)),
            c: self.categorical.as_ref().map_or_else(Vec::new, |q| q.sample(rng)),
        }
    }

    /// Where the distribution around its mode (`v`, `c`) is.
    fn region(&self, v: &[f64], c: &[usize]) -> Region {
        Region {
            centre: self.encoding.point(v, c),
            sd: self.gaussian.as_ref().map_or_else(Vec::new, Gaussian::standard_deviations),
            q: self.categorical.as_ref().map_or_else(Vec::new, |categorical| categorical.q.clone()),
        }
    }

    fn decode(&self, candidate: &Candidate) -> Genotype {
        self.encoding.decode(candidate.v.as_slice(), &candidate.c)
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

    fn ask(&self) -> Vec<Genotype> {
        self.candidates().iter().map(|candidate| self.decode(candidate)).collect()
    }

    /// A genotype has lost where in its cell an integer gene's coordinate lay, so the samples are
    /// drawn again (they are a function of the state) and matched with what is told. A generation
    /// whose costs are all equal teaches nothing.
    fn tell(&mut self, told: &[(Genotype, Costs)]) {
        let candidates = self.candidates();
        let asked: Vec<Genotype> =
            candidates.iter().map(|candidate| self.decode(candidate)).collect();
        let costs = costs_of(&asked, told);
        if let Some(surrogate) = &mut self.surrogate {
            let points = candidates.iter().map(|x| self.encoding.point(x.v.as_slice(), &x.c));
            surrogate.learn(points, costs.iter().map(Costs::first));
        }
        if let Some(weights) = self.weights.expected(&costs) {
            if let Some(gaussian) = &mut self.gaussian {
                gaussian.update(&weights, &candidates.iter().map(|x| &x.v).collect::<Vec<_>>());
            }
            if let Some(categorical) = &mut self.categorical {
                categorical.update(
                    &weights,
                    &candidates.iter().map(|x| x.c.as_slice()).collect::<Vec<_>>(),
                );
            }
        }
        self.generation += 1;
    }

    fn recommend(&self) -> Vec<Genotype> {
        let v = self.gaussian.as_ref().map_or_else(|| DVector::zeros(0), Gaussian::mode);
        let c = self.categorical.as_ref().map_or_else(Vec::new, Categorical::mode);
        let mode = self.encoding.decode(v.as_slice(), &c);
        let Some(surrogate) = &self.surrogate else { return vec![mode] };
        let best = surrogate.optimum(&self.region(v.as_slice(), &c));
        let best = self.encoding.decode(&best.x, &best.c);
        if best == mode { vec![mode] } else { vec![best, mode] }
    }
}

/// The costs of each candidate asked for, infinite where it was not told. Equal candidates that were told several costs
/// get one each, in ascending order, so that the order of telling does not matter.
pub(super) fn costs_of(asked: &[Genotype], told: &[(Genotype, Costs)]) -> Vec<Costs> {
    let mut told: Vec<&(Genotype, Costs)> = told.iter().collect();
    told.sort_by(|a, b| a.1.first().total_cmp(&b.1.first()));
    let mut take = |genotype: &Genotype| {
        let place = told.iter().position(|(other, _)| other == genotype)?;
        Some(told.remove(place).1.clone())
    };
    asked.iter().map(|genotype| take(genotype).unwrap_or_else(|| f64::INFINITY.into())).collect()
}
