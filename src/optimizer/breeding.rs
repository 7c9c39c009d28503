//! The generation cycle of a genetic algorithm: parents, their offspring, and who of both survives.
//!
//! Deb, Pratap, Agarwal & Meyarivan, "A Fast and Elitist Multiobjective Genetic Algorithm: NSGA-II", IEEE Trans. Evol.
//! Comput. 6, 2002, 182. With a single cost, ranks are the order of costs, and what remains is a (μ+λ) genetic algorithm.

use rand::{Rng, RngExt};

use super::encoding::Encoding;
use super::random::uniform;
use super::told::{ascending, values_of};
use super::{Costs, OptimizerError, Settings, stream, variation, warm_start};
use crate::genome::{Dimension, Gene, Genotype};
use crate::objective::{crowding_distance, non_dominated_sort};
use crate::units::Seed;

/// Attempts at a child that is not there already; in a small space there may be none.
const MOST_ATTEMPTS: usize = 100;

#[derive(Debug, Clone)]
pub(super) struct Breeding {
    name: &'static str,
    seed: Seed,
    pub(super) generation: u64,
    pub(super) size: usize,
    objectives: usize,
    dimensions: Vec<Dimension>,
    warm_start: Vec<Genotype>,
    /// Best rank first; empty before the first generation.
    parents: Vec<Member>,
}

/// A candidate that was measured.
#[derive(Debug, Clone)]
struct Member {
    genotype: Genotype,
    /// All infinite where infeasible.
    costs: Vec<f64>,
    /// 0 for those that none dominates.
    rank: usize,
    /// [`crowding_distance`] within its rank.
    crowding: f64,
}

impl Member {
    fn is_feasible(&self) -> bool {
        self.costs.iter().all(|cost| *cost < f64::INFINITY)
    }
}

impl Breeding {
    pub(super) fn new(
        name: &'static str,
        dimensions: &[Dimension],
        seed: Seed,
        settings: &Settings,
        objectives: usize,
    ) -> Result<Self, OptimizerError> {
        let encoding = Encoding::new(dimensions)?;
        let size = settings.population_size(encoding.genes())?;
        let given = warm_start::given(dimensions, &encoding, &settings.warm_start)?;
        Ok(Self {
            name,
            seed,
            generation: 0,
            size,
            objectives,
            dimensions: dimensions.to_vec(),
            warm_start: given.into_iter().map(|given| given.genotype).collect(),
            parents: Vec::new(),
        })
    }

    /// A generation without candidates that are equal to one another or to a parent, as far as the space has others.
    pub(super) fn offspring(&self) -> Vec<Genotype> {
        let mut offspring = Vec::with_capacity(self.size);
        for index in 0..self.size {
            let rng = &mut stream::candidate_rng(self.name, self.seed, self.generation, index);
            let is_new = |genotype: &Genotype| {
                !offspring.contains(genotype)
                    && !self.parents.iter().any(|parent| parent.genotype == *genotype)
            };
            let mut candidate = self.candidate(index, rng);
            for _ in 1..MOST_ATTEMPTS {
                if is_new(&candidate) {
                    break;
                }
                candidate = self.candidate(self.size, rng);
            }
            offspring.push(candidate);
        }
        offspring
    }

    /// Of the first generation the known good candidates and uniform ones; later a child.
    fn candidate(&self, index: usize, rng: &mut impl Rng) -> Genotype {
        if !self.parents.is_empty() {
            let (a, b) = (self.tournament(rng), self.tournament(rng));
            return variation::child(&self.dimensions, &a.genotype, &b.genotype, rng);
        }
        self.warm_start.get(index).cloned().unwrap_or_else(|| {
            let genes = self.dimensions.iter().map(|dimension| uniform(&dimension.domain, rng));
            Genotype(genes.collect::<Vec<Gene>>())
        })
    }

    /// The better of two parents: lower rank, then more room around it (Deb et al. 2002, section III.B).
    fn tournament(&self, rng: &mut impl Rng) -> &Member {
        let mut draw = || &self.parents[rng.random_range(..self.parents.len())];
        let (a, b) = (draw(), draw());
        let b_wins = (b.rank, -b.crowding) < (a.rank, -a.crowding);
        if b_wins { b } else { a }
    }

    /// Ends the generation: of parents and offspring the best `size` go on.
    pub(super) fn tell(&mut self, told: &[(Genotype, Costs)]) {
        let asked = self.offspring();
        let costs = values_of(&asked, told, self.objectives);
        let mut members = std::mem::take(&mut self.parents);
        for (genotype, costs) in asked.into_iter().zip(costs) {
            match members.iter_mut().find(|member| member.genotype == genotype) {
                None => members.push(Member { genotype, costs, rank: 0, crowding: 0.0 }),
                Some(member) if !member.is_feasible() => member.costs = costs,
                Some(_) => {}
            }
        }
        self.parents = survivors(members, self.size);
        self.generation += 1;
    }

    /// Feasible parents of rank below `ranks`, by ascending first cost.
    pub(super) fn best(&self, ranks: usize) -> Vec<Genotype> {
        let mut best: Vec<&Member> = self
            .parents
            .iter()
            .filter(|parent| parent.rank < ranks && parent.is_feasible())
            .collect();
        best.sort_by(|a, b| ascending(&a.costs, &b.costs));
        best.into_iter().map(|member| member.genotype.clone()).collect()
    }
}

/// The best `size` members with their ranks, front by front; of the front that does not fit whole, the least crowded.
fn survivors(members: Vec<Member>, size: usize) -> Vec<Member> {
    let costs: Vec<Vec<f64>> = members.iter().map(|member| member.costs.clone()).collect();
    let mut members: Vec<Option<Member>> = members.into_iter().map(Some).collect();
    let mut survivors = Vec::with_capacity(size);
    for (rank, mut front) in non_dominated_sort(&costs).into_iter().enumerate() {
        thin_out(&costs, &mut front, size - survivors.len());
        let crowding = crowding_distance(&costs, &front);
        for (&index, crowding) in front.iter().zip(crowding) {
            survivors.extend(members[index].take().map(|member| Member {
                rank,
                crowding,
                ..member
            }));
        }
    }
    survivors
}

/// Takes the most crowded of `front` away until `size` are left, distances renewed after each (Kukkonen & Deb, CEC 2006,
/// 1179: dropping all at once leaves holes). Of equally crowded ones the last goes.
fn thin_out(costs: &[Vec<f64>], front: &mut Vec<usize>, size: usize) {
    if size == 0 {
        front.clear();
    }
    while front.len() > size {
        let crowding = crowding_distance(costs, front);
        let most_crowded =
            (0..front.len()).rev().min_by(|&a, &b| crowding[a].total_cmp(&crowding[b]));
        front.remove(most_crowded.unwrap_or(0));
    }
}
