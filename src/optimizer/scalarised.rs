//! Several costs by CatCMA: runs on weighted sums, sharing one archive, whose weights move to the largest gap in its front.
//!
//! A run costs hundreds of candidates from scratch and few from a good start, so no run but the first starts from scratch:
//! it takes the search distribution of the run with the nearest weight. The first sweep goes from the weight that cares for
//! the other costs most to the one that cares least: what makes a candidate cheap shows through the noise sooner than what
//! makes it accurate. After it each round continues one run, with the weight at which both ends of the largest gap cost the
//! same, as in dichotomic search (Aneja & Nair, Management Science 25, 1979, 73).

use super::additive::Additive;
use super::costs::violates;
use super::told::values_of;
use super::{CatCma, Costs, Optimizer, OptimizerError, Settings};
use crate::genome::{Dimension, Genotype};
use crate::objective::ParetoArchive;
use crate::units::Seed;

/// Weights of the other costs in the first sweep, where every cost is measured in its spread over the first generation.
const SWEEP: [f64; 10] = [8.0, 4.3, 2.3, 1.24, 0.67, 0.36, 0.19, 0.104, 0.056, 0.03];
/// Weights of later rounds are kept within these.
const WEIGHTS: [f64; 2] = [0.03, 8.0];
/// Generations of the first run, which starts from scratch, and of every later round.
const FIRST_ROUND: u64 = 4;
const ROUND: u64 = 3;

/// Minimises the first cost and, weighed against it, the mean of the others. With a single cost it is one [`CatCma`].
#[derive(Debug, Clone)]
pub struct ScalarisedCma {
    dimensions: Vec<Dimension>,
    objectives: usize,
    generation: u64,
    runs: Vec<Run>,
    /// Which run the current generation belongs to, and how many generations its round has left, this one included.
    current: usize,
    left: u64,
    /// Spread of each cost over the first generation.
    scale: Vec<f64>,
    /// Every feasible candidate, in the order of asking.
    archive: Vec<(Genotype, Vec<f64>)>,
}

#[derive(Debug, Clone)]
struct Run {
    weight: f64,
    cma: CatCma,
}

impl ScalarisedCma {
    pub(super) const NAME: &'static str = "scalarised-cma";

    /// The first run is [`CatCma::new`] with the same arguments, without a model of costs.
    ///
    /// # Errors
    /// As [`build`](super::build).
    pub fn new(
        dimensions: &[Dimension],
        seed: Seed,
        settings: &Settings,
    ) -> Result<Self, OptimizerError> {
        // Costs of different weights are not one landscape.
        let settings = &Settings { surrogate: false, ..settings.clone() };
        let first = Run { weight: SWEEP[0], cma: CatCma::new(dimensions, seed, settings)? };
        Ok(Self {
            dimensions: dimensions.to_vec(),
            objectives: settings.objectives,
            generation: 0,
            runs: vec![first],
            current: 0,
            left: FIRST_ROUND,
            scale: Vec::new(),
            archive: Vec::new(),
        })
    }

    /// The first cost and the mean of the others, each in its own spread.
    fn plane(&self, costs: &[f64]) -> [f64; 2] {
        let scaled = |(m, cost): (usize, &f64)| cost / self.scale.get(m).unwrap_or(&1.0);
        let mut scaled = costs.iter().enumerate().map(scaled);
        let first = scaled.next().unwrap_or(f64::INFINITY);
        let others = self.objectives.saturating_sub(1).max(1) as f64;
        [first, scaled.sum::<f64>() / others]
    }

    fn weighed(&self, costs: &[f64]) -> f64 {
        let [first, others] = self.plane(costs);
        first + self.runs[self.current].weight * others
    }

    /// Starts the next run of the sweep from the current one, or goes on with the run nearest the largest gap.
    fn begin_round(&mut self) {
        if let Some(&weight) = SWEEP.get(self.runs.len()) {
            let cma = self.runs[self.current].cma.clone();
            self.current = self.runs.len();
            self.runs.push(Run { weight, cma });
        } else if let Some(weight) = self.weight_at_largest_gap() {
            let distance = |run: &Run| (run.weight / weight).ln().abs();
            let mut by_distance: Vec<usize> = (0..self.runs.len()).collect();
            by_distance
                .sort_by(|&a, &b| distance(&self.runs[a]).total_cmp(&distance(&self.runs[b])));
            self.current = by_distance[0];
            self.runs[self.current].weight = weight;
        }
        self.left = ROUND;
        self.runs[self.current].cma.go_on_at(self.generation);
    }

    /// Where two neighbours on the front leave the largest rectangle between them, in which better ones may be hidden: the
    /// weight at which both cost the same. `None` without neighbours.
    fn weight_at_largest_gap(&self) -> Option<f64> {
        let mut front = ParetoArchive::new(2);
        for costs in self.smoothed() {
            front.insert(&self.plane(&costs), ());
        }
        let front: Vec<Vec<f64>> = front.front().into_iter().map(|(costs, ())| costs).collect();
        let sides = |pair: &[Vec<f64>]| (pair[1][0] - pair[0][0], pair[0][1] - pair[1][1]);
        let gaps = front.windows(2).map(sides);
        let (first, others) = gaps.max_by(|a, b| (a.0 * a.1).total_cmp(&(b.0 * b.1)))?;
        Some((first / others).clamp(WEIGHTS[0], WEIGHTS[1]))
    }

    /// The archive's costs, all but the first without the noise that [`Additive`] takes out.
    fn smoothed(&self) -> Vec<Vec<f64>> {
        let mut smoothed: Vec<Vec<f64>> =
            self.archive.iter().map(|(_, costs)| costs.clone()).collect();
        for m in 1..self.objectives {
            let measured: Vec<_> =
                self.archive.iter().map(|(genotype, costs)| (genotype, costs[m])).collect();
            if let Some(model) = Additive::fit(&self.dimensions, &measured) {
                for (costs, (genotype, _)) in smoothed.iter_mut().zip(&self.archive) {
                    costs[m] = model.predict(&self.dimensions, genotype);
                }
            }
        }
        smoothed
    }

    /// Genotypes of the archive that none dominates, by their smoothed costs.
    fn front(&self) -> Vec<&Genotype> {
        let mut front = ParetoArchive::new(self.objectives);
        for (costs, (genotype, _)) in self.smoothed().iter().zip(&self.archive) {
            front.insert(costs, genotype);
        }
        front.front().into_iter().map(|(_, genotype)| *genotype).collect()
    }
}

/// Distance between the quartiles of each cost; 1 where there is none.
fn spreads(archive: &[(Genotype, Vec<f64>)], objectives: usize) -> Vec<f64> {
    let spread = |m: usize| {
        let mut values: Vec<f64> = archive.iter().map(|(_, costs)| costs[m]).collect();
        values.sort_by(f64::total_cmp);
        let spread = values[values.len() * 3 / 4] - values[values.len() / 4];
        if spread > 0.0 && spread.is_finite() { spread } else { 1.0 }
    };
    (0..objectives).map(spread).collect()
}

impl Optimizer for ScalarisedCma {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn population_size(&self) -> usize {
        self.runs[self.current].cma.population_size()
    }

    fn generation(&self) -> u64 {
        self.generation
    }

    fn ask(&self) -> Vec<Genotype> {
        self.runs[self.current].cma.ask()
    }

    fn tell(&mut self, told: &[(Genotype, Costs)]) {
        let asked = self.ask();
        let values = values_of(&asked, told, self.objectives);
        let measured: Vec<(Genotype, Vec<f64>)> = asked.into_iter().zip(values).collect();
        // What passes a limit would spread the scales and is no part of the front.
        let kept = |costs: &[f64]| costs.iter().all(|cost| cost.is_finite()) && !violates(costs);
        let feasible = measured.iter().filter(|(_, costs)| kept(costs));
        self.archive.extend(feasible.cloned());
        if self.scale.is_empty() && !self.archive.is_empty() {
            self.scale = spreads(&self.archive, self.objectives);
        }
        let weighed: Vec<(Genotype, Costs)> = measured
            .into_iter()
            .map(|(genotype, costs)| (genotype, self.weighed(&costs).into()))
            .collect();
        self.runs[self.current].cma.tell(&weighed);
        self.generation += 1;
        self.left -= 1;
        if self.left == 0 {
            self.begin_round();
        }
    }

    /// What each run learnt, the one that cares least for the other costs first, then the archive's front by ascending
    /// first cost.
    fn recommend(&self) -> Vec<Genotype> {
        let mut runs: Vec<&Run> = self.runs.iter().collect();
        runs.sort_by(|a, b| a.weight.total_cmp(&b.weight));
        let learnt = runs.into_iter().flat_map(|run| run.cma.recommend());
        let mut recommended = Vec::new();
        for genotype in learnt.chain(self.front().into_iter().cloned()) {
            if !recommended.contains(&genotype) {
                recommended.push(genotype);
            }
        }
        recommended
    }
}
