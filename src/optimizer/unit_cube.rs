//! A search space as the unit cube, for optimizers that know nothing but points of it.
//!
//! Every gene that can vary is one coordinate. A continuous gene is interpolated; an integer gene with n values and a
//! categorical one with n choices cut the unit interval into n cells of equal width. A gene whose domain has a single
//! value has no coordinate.

use super::encoding::{Encoding, cell_value, interpolate};
use super::{OptimizerError, Settings};
use crate::genome::{Dimension, Domain, Gene, Genotype};

/// The layout of a search space as a cube.
#[derive(Debug, Clone)]
pub(super) struct UnitCube {
    dimensions: Vec<Dimension>,
}

impl UnitCube {
    pub(super) fn new(dimensions: &[Dimension]) -> Result<Self, OptimizerError> {
        Encoding::new(dimensions)?;
        Ok(Self { dimensions: dimensions.to_vec() })
    }

    /// Number of coordinates.
    pub(super) fn genes(&self) -> usize {
        self.varying().count()
    }

    fn varying(&self) -> impl Iterator<Item = &Dimension> {
        self.dimensions.iter().filter(|dimension| cells(&dimension.domain) > 1.0)
    }

    /// The genotype at `point`, which has one entry per coordinate. What lies outside the cube is reflected at its
    /// faces: clipping would make all of the outside flat, where a simplex or a random walk finds no way back.
    pub(super) fn decode(&self, point: &[f64]) -> Genotype {
        let mut point = point.iter();
        let mut next = |domain: &Domain| {
            let t = if cells(domain) > 1.0 { point.next().copied() } else { None };
            gene_at(domain, reflected(t.unwrap_or_default()))
        };
        Genotype(self.dimensions.iter().map(|dimension| next(&dimension.domain)).collect())
    }

    /// The middle of the part of the cube that decodes to `genotype`; `None` if no part does.
    pub(super) fn encode(&self, genotype: &Genotype) -> Option<Vec<f64>> {
        if genotype.0.len() != self.dimensions.len() {
            return None;
        }
        let fractions = genotype.0.iter().zip(&self.dimensions).map(|(gene, dimension)| {
            Some((cells(&dimension.domain) > 1.0, fraction_of(&dimension.domain, gene)?))
        });
        let fractions: Option<Vec<(bool, f64)>> = fractions.collect();
        Some(fractions?.into_iter().filter(|(varies, _)| *varies).map(|(_, t)| t).collect())
    }

    /// The points of [`Settings::warm_start`] or, without any, the dimensions' `initial` values, 0.5 where there are none.
    pub(super) fn starts(&self, settings: &Settings) -> Result<Vec<Vec<f64>>, OptimizerError> {
        if settings.warm_start.is_empty() {
            return Ok(vec![self.varying().map(start_of).collect()]);
        }
        let encode = |(candidate, genotype)| {
            self.encode(genotype).ok_or(OptimizerError::BadWarmStart { candidate })
        };
        settings.warm_start.iter().enumerate().map(encode).collect()
    }

    /// Number of cells along each coordinate; infinite for a continuous gene.
    pub(super) fn cells(&self) -> impl Iterator<Item = f64> {
        self.varying().map(|dimension| cells(&dimension.domain))
    }
}

/// Number of values.
fn cells(domain: &Domain) -> f64 {
    match domain {
        Domain::Continuous { low, high } if low == high => 1.0,
        Domain::Continuous { .. } => f64::INFINITY,
        Domain::Integer { low, high } => (i128::from(*high) - i128::from(*low) + 1) as f64,
        Domain::Categorical { choices } => choices.len() as f64,
    }
}

/// The gene at `t` in [0, 1].
fn gene_at(domain: &Domain, t: f64) -> Gene {
    match domain {
        Domain::Continuous { low, high } => Gene::Real(interpolate(t, *low, *high)),
        Domain::Integer { low, high } => Gene::Integer(cell_value(t, *low, *high)),
        Domain::Categorical { choices } => {
            let choices = choices.len();
            let choice = (t * choices as f64) as usize;
            Gene::Category(choice.min(choices.saturating_sub(1)))
        }
    }
}

fn fraction_of(domain: &Domain, gene: &Gene) -> Option<f64> {
    match (domain, *gene) {
        (Domain::Continuous { low, high }, Gene::Real(x)) if (*low..=*high).contains(&x) => {
            // Halved, so that the widest finite range does not overflow.
            Some(if low == high { 0.0 } else { (0.5 * x - 0.5 * low) / (0.5 * high - 0.5 * low) })
        }
        (Domain::Integer { low, high }, Gene::Integer(z)) if (*low..=*high).contains(&z) => {
            Some(((i128::from(z) - i128::from(*low)) as f64 + 0.5) / cells(domain))
        }
        (Domain::Categorical { choices }, Gene::Category(k)) if k < choices.len() => {
            Some((k as f64 + 0.5) / cells(domain))
        }
        _ => None,
    }
}

fn start_of(dimension: &Dimension) -> f64 {
    let gene = dimension.initial.and_then(|initial| match dimension.domain {
        Domain::Continuous { .. } => Some(Gene::Real(initial)),
        Domain::Integer { .. } => Some(Gene::Integer(initial.round() as i64)),
        Domain::Categorical { .. } => None,
    });
    gene.and_then(|gene| fraction_of(&dimension.domain, &gene)).unwrap_or(0.5)
}

/// The point of [0, 1] that `t` reaches when the ends of the interval are mirrors.
pub(super) fn reflected(t: f64) -> f64 {
    let t = t.rem_euclid(2.0);
    if t > 1.0 { 2.0 - t } else { t }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn space() -> Vec<Dimension> {
        let named = |domain, initial| Dimension { name: String::new(), domain, initial };
        vec![
            named(Domain::Continuous { low: -2.0, high: 2.0 }, None),
            named(Domain::Continuous { low: 7.0, high: 7.0 }, None),
            named(Domain::Integer { low: -1, high: 2 }, Some(1.0)),
            named(Domain::Categorical { choices: vec![String::new(); 3] }, None),
        ]
    }

    #[test]
    fn points_by_hand() {
        let cube = UnitCube::new(&space()).unwrap();
        assert_eq!(cube.genes(), 3);
        let genes = |point: [f64; 3]| cube.decode(&point).0;
        use Gene::{Category, Integer, Real};
        let fixed = Real(7.0);
        assert_eq!(genes([0.0, 0.0, 0.0]), [Real(-2.0), fixed, Integer(-1), Category(0)]);
        assert_eq!(genes([1.0, 1.0, 1.0]), [Real(2.0), fixed, Integer(2), Category(2)]);
        assert_eq!(genes([0.75, 0.5, 0.34]), [Real(1.0), fixed, Integer(1), Category(1)]);
        // A quarter beyond either end is a quarter before it.
        assert_eq!(genes([1.25, -0.3, 2.1]), [Real(1.0), fixed, Integer(0), Category(0)]);
        assert_eq!(cube.starts(&Settings::default()), Ok(vec![vec![0.5, 0.625, 0.5]]));
    }

    #[test]
    fn a_genotype_comes_back_from_its_point() {
        let cube = UnitCube::new(&space()).unwrap();
        for point in [[0.1, 0.2, 0.3], [0.9, 0.99, 0.7], [0.5, 0.5, 0.5]] {
            let genotype = cube.decode(&point);
            assert_eq!(cube.decode(&cube.encode(&genotype).unwrap()), genotype);
        }
        let outside =
            Genotype(vec![Gene::Real(3.0), Gene::Real(7.0), Gene::Integer(0), Gene::Category(0)]);
        assert_eq!(cube.encode(&outside), None);
        assert_eq!(cube.encode(&Genotype(vec![])), None);
    }
}
