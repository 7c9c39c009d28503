//! Deterministic descent on the model within the search distribution.

use super::kernel::Point;

/// Where the search distribution still is.
#[derive(Debug, Clone)]
pub(in super::super) struct Region {
    /// The distribution's mode.
    pub centre: Point,
    /// Standard deviation of each coordinate; 0 where it must not move.
    pub sd: Vec<f64>,
    /// Probability of each category.
    pub q: Vec<Vec<f64>>,
}

/// Most passes over all genes.
const PASSES: usize = 25;
/// First step of a coordinate, in its standard deviations; halved after a pass without gain down to the least.
const FIRST_STEP: f64 = 0.5;
const LEAST_STEP: f64 = 0.05;
/// Largest distance of a coordinate from the centre, in its standard deviations. With 96 coordinates and few candidates
/// twice as much lost what a quarter gains.
const REACH: f64 = 0.25;
/// Least gain, in standard deviations of all costs: below are rounding errors.
const LEAST_GAIN: f64 = 1e-3;

/// A point and its cost.
type Best = (f64, Point);

/// Coordinate descent: each gene to every category, each coordinate a step up or down within reach of the centre and
/// [0, 1].
pub(super) fn descend(region: &Region, cost: impl Fn(&Point) -> f64) -> Point {
    let mut best = (cost(&region.centre), region.centre.clone());
    let mut step = FIRST_STEP;
    for _ in 0..PASSES {
        let before = best.0;
        (0..region.q.len()).for_each(|gene| change_category(region, gene, &mut best, &cost));
        (0..region.sd.len()).for_each(|i| change_coordinate(region, i, step, &mut best, &cost));
        if best.0 >= before {
            step *= 0.5;
        }
        if step < LEAST_STEP {
            break;
        }
    }
    best.1
}

fn change_category(region: &Region, gene: usize, best: &mut Best, cost: &impl Fn(&Point) -> f64) {
    for category in 0..region.q[gene].len() {
        let mut other = best.1.clone();
        other.c[gene] = category;
        accept(best, other, cost);
    }
}

fn change_coordinate(
    region: &Region,
    i: usize,
    step: f64,
    best: &mut Best,
    cost: &impl Fn(&Point) -> f64,
) {
    let (centre, reach) = (region.centre.x[i], REACH * region.sd[i]);
    for sign in [1.0, -1.0] {
        let mut other = best.1.clone();
        let moved = other.x[i] + sign * step * region.sd[i];
        other.x[i] = moved.clamp(centre - reach, centre + reach).clamp(0.0, 1.0);
        if accept(best, other, cost) {
            break;
        }
    }
}

fn accept(best: &mut Best, other: Point, cost: &impl Fn(&Point) -> f64) -> bool {
    if other == best.1 {
        return false;
    }
    let found = cost(&other);
    let better = found < best.0 - LEAST_GAIN;
    if better {
        *best = (found, other);
    }
    better
}
