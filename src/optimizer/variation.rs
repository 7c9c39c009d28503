//! Offspring of two parents, gene by gene: what genetic algorithms vary with.
//!
//! Continuous and integer genes by simulated binary crossover and polynomial mutation within their bounds (Deb & Agrawal,
//! Complex Systems 9, 1995, 115; Deb & Goyal, Computer Science and Informatics 26, 1996, 30; the bounded forms of Deb's
//! NSGA-II code), integers rounded to the nearest; categories by uniform crossover and random reset.

use rand::{Rng, RngExt};

use super::encoding::interpolate;
use crate::genome::{Dimension, Domain, Gene, Genotype};

/// Distribution indices η of crossover and mutation.
const ETA_CROSSOVER: f64 = 15.0;
const ETA_MUTATION: f64 = 20.0;
/// Probability that two parents are crossed at all, and that one gene of them then is.
const CROSSED: f64 = 0.9;
const GENE_CROSSED: f64 = 0.5;
/// Parents closer than this (fraction of the range) have nothing to cross.
const LEAST_SPREAD: f64 = 1e-14;

/// One child of `a` and `b`; each gene that can vary mutates with probability 1/n for n of them.
pub(super) fn child(
    dimensions: &[Dimension],
    a: &Genotype,
    b: &Genotype,
    rng: &mut impl Rng,
) -> Genotype {
    let varying = dimensions.iter().filter(|dimension| varies(&dimension.domain)).count();
    let rate = 1.0 / varying.max(1) as f64;
    let (a, b) = if rng.random() { (a, b) } else { (b, a) };
    let crossed = rng.random_bool(CROSSED);
    let genes = dimensions.iter().zip(a.0.iter().zip(&b.0)).map(|(dimension, (&a, &b))| {
        let domain = &dimension.domain;
        let gene =
            if crossed && rng.random_bool(GENE_CROSSED) { cross(domain, a, b, rng) } else { a };
        let mutates = varies(domain) && rng.random_bool(rate);
        if mutates { mutate(domain, gene, rng) } else { gene }
    });
    Genotype(genes.collect())
}

fn varies(domain: &Domain) -> bool {
    match domain {
        Domain::Continuous { low, high } => low < high,
        Domain::Integer { low, high } => low < high,
        Domain::Categorical { choices } => choices.len() > 1,
    }
}

/// One of the two children of a gene, either with probability 1/2.
fn cross(domain: &Domain, a: Gene, b: Gene, rng: &mut impl Rng) -> Gene {
    let (a, b) = if rng.random() { (a, b) } else { (b, a) };
    match (fraction(domain, a), fraction(domain, b)) {
        (Some(from), Some(to)) if (from - to).abs() > LEAST_SPREAD => {
            at(domain, a, simulated_binary(from, to, rng.random()))
        }
        _ => a,
    }
}

fn mutate(domain: &Domain, gene: Gene, rng: &mut impl Rng) -> Gene {
    match (domain, fraction(domain, gene)) {
        (Domain::Categorical { choices }, _) => Gene::Category(rng.random_range(..choices.len())),
        (_, Some(t)) => at(domain, gene, polynomial(t, rng.random())),
        (_, None) => gene,
    }
}

/// Where in its range a number lies, 0 at the low end; `None` for categories. Halved, so that the widest range does not
/// overflow.
fn fraction(domain: &Domain, gene: Gene) -> Option<f64> {
    let (x, low, high) = match (domain, gene) {
        (Domain::Continuous { low, high }, Gene::Real(x)) => (x, *low, *high),
        (Domain::Integer { low, high }, Gene::Integer(z)) => (z as f64, *low as f64, *high as f64),
        _ => return None,
    };
    let range = 0.5 * high - 0.5 * low;
    Some(if range > 0.0 { ((0.5 * x - 0.5 * low) / range).clamp(0.0, 1.0) } else { 0.0 })
}

/// The value at fraction `t` of the range of `gene`.
fn at(domain: &Domain, gene: Gene, t: f64) -> Gene {
    match domain {
        Domain::Continuous { low, high } => Gene::Real(interpolate(t, *low, *high)),
        Domain::Integer { low, high } => {
            let value = interpolate(t, *low as f64, *high as f64).round() as i64;
            Gene::Integer(value.clamp(*low, *high))
        }
        Domain::Categorical { .. } => gene,
    }
}

/// The child near `a` of two fractions, spread as if one bit string had crossed another; `u` uniform in [0, 1).
fn simulated_binary(a: f64, b: f64, u: f64) -> f64 {
    let spread = (b - a).abs();
    let room = if a < b { a } else { 1.0 - a };
    let power = 1.0 / (ETA_CROSSOVER + 1.0);
    let alpha = 2.0 - (1.0 + 2.0 * room / spread).powf(-(ETA_CROSSOVER + 1.0));
    let beta =
        if u * alpha <= 1.0 { (u * alpha).powf(power) } else { (2.0 - u * alpha).powf(-power) };
    (0.5 * (a + b) + 0.5 * beta * (a - b)).clamp(0.0, 1.0)
}

/// `t` moved by polynomial mutation within [0, 1]; `u` uniform in [0, 1).
fn polynomial(t: f64, u: f64) -> f64 {
    let power = ETA_MUTATION + 1.0;
    let moved = if u < 0.5 {
        (2.0 * u + (1.0 - 2.0 * u) * (1.0 - t).powf(power)).powf(1.0 / power) - 1.0
    } else {
        1.0 - (2.0 * (1.0 - u) + (2.0 * u - 1.0) * t.powf(power)).powf(1.0 / power)
    };
    (t + moved).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mutation_reaches_both_ends_and_its_median_stays() {
        for t in [0.0, 0.3, 1.0] {
            assert!(polynomial(t, 0.0).abs() < 1e-12, "{t}");
            assert!((polynomial(t, 1.0) - 1.0).abs() < 1e-12, "{t}");
            assert!((polynomial(t, 0.5) - t).abs() < 1e-12, "{t}");
        }
        // Far from the bounds, δ = (2u)^(1/21) − 1: u = 1/4 gives −0.0324687.
        assert!((polynomial(0.5, 0.25) - (0.5 - 0.0324687)).abs() < 1e-6);
    }

    #[test]
    fn crossover_stays_within_and_u_of_half_gives_the_parent() {
        // Without bounds in sight α = 2, and β = (2u)^(1/16): u = 1/2 gives the parent, u = 0 the middle.
        assert!((simulated_binary(0.5, 0.51, 0.5) - 0.5).abs() < 1e-12);
        assert!((simulated_binary(0.5, 0.51, 0.0) - 0.505).abs() < 1e-12);
        // β = 0.5^(1/16) = 0.9576033.
        assert!((simulated_binary(0.4, 0.5, 0.25) - (0.45 - 0.05 * 0.9576033)).abs() < 1e-7);
        for (a, b) in [(0.0, 1.0), (1.0, 0.2), (0.2, 0.9)] {
            let furthest = simulated_binary(a, b, 1.0);
            let end = if a < b { 0.0 } else { 1.0 };
            assert!((furthest - end).abs() < 1e-9, "{a} {b}: {furthest}");
        }
    }
}
