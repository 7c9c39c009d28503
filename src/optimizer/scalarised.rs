//! Several costs by CatCMA: runs on weighted sums, sharing one archive, whose weights move to the largest gap in its front.
//!
//! A run costs hundreds of candidates from scratch and few from a good start, so no run but the first starts from scratch:
//! it takes the search distribution of the run with the nearest weight. The first sweep goes from the weight that cares for
//! the other costs most to the one that cares least: what makes a candidate cheap shows through the noise sooner than what
//! makes it accurate. After it each round continues one run, with the weight at which both ends of the largest gap cost the
//! same, as in dichotomic search (Aneja & Nair, Management Science 25, 1979, 73).

use super::additive::Additive;
use super::told::{ascending, values_of};
use super::{CatCma, Costs, Optimizer, OptimizerError, Settings};
use crate::genome::{Dimension, Genotype};
use crate::objective::{ParetoArchive, dominated_volume};
use crate::units::Seed;

/// Weights of the other costs in the first sweep, where every cost is measured in its spread over the first generation.
const SWEEP: [f64; 8] = [4.0, 2.2, 1.2, 0.66, 0.36, 0.2, 0.11, 0.06];
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
