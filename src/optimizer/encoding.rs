//! From genes to the optimizer's own coordinates and back.
//!
//! A continuous gene is one coordinate with its range mapped to [0, 1]. An integer gene with n
//! values is one coordinate whose unit interval is cut into n equal cells; what lies outside
//! belongs to the outermost cells. A categorical gene is one distribution. A gene whose domain has
//! a single value takes part in nothing.

use super::OptimizerError;
use super::surrogate::Point;
use crate::genome::{Dimension, Domain, Gene, Genotype};

/// Where one gene's value comes from.
#[derive(Debug, Clone)]
enum Slot {
    Fixed(Gene),
    Real { coordinate: usize, low: f64, high: f64 },
    Integer { coordinate: usize, low: i64, high: i64 },
    Category { distribution: usize },
}

/// What a coordinate of the Gaussian stands for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Coordinate {
    /// Bounded to [0, 1].
    Real,
    /// Cut into this many cells of equal width; at least 2.
    Integer { cells: f64 },
}

/// The layout of a search space, with its coordinates' starting point.
#[derive(Debug, Clone, Default)]
pub(super) struct Encoding {
    slots: Vec<Slot>,
    /// In gene order.
    pub(super) coordinates: Vec<Coordinate>,
    /// Start of each coordinate, in its own unit.
    pub(super) start: Vec<f64>,
    /// Number of categories of each categorical gene, in gene order; each at least 2.
    pub(super) categories: Vec<usize>,
}

impl Encoding {
    pub(super) fn new(dimensions: &[Dimension]) -> Result<Self, OptimizerError> {
        let mut encoding = Self::default();
        for dimension in dimensions {
            let slot = encoding.add(dimension)?;
            encoding.slots.push(slot);
        }
        if encoding.genes() == 0 {
            return Err(OptimizerError::NothingToSearch);
        }
        Ok(encoding)
    }

    /// Number of genes that can vary.
    pub(super) fn genes(&self) -> usize {
        self.coordinates.len() + self.categories.len()
    }

    /// Number of integer and categorical genes that can vary.
    pub(super) fn discrete_genes(&self) -> usize {
        let integers = self.coordinates.iter().filter(|c| matches!(c, Coordinate::Integer { .. }));
        integers.count() + self.categories.len()
    }

    /// The coordinate of a gene that is continuous or integer and can vary.
    pub(super) fn coordinate(&self, gene: usize) -> Option<usize> {
        match self.slots.get(gene)? {
            Slot::Real { coordinate, .. } | Slot::Integer { coordinate, .. } => Some(*coordinate),
            Slot::Fixed(_) | Slot::Category { .. } => None,
        }
    }

    /// The distribution of a gene that is categorical and can vary.
    pub(super) fn distribution(&self, gene: usize) -> Option<usize> {
        match self.slots.get(gene)? {
            Slot::Category { distribution } => Some(*distribution),
            _ => None,
        }
    }

    fn add(&mut self, dimension: &Dimension) -> Result<Slot, OptimizerError> {
        match &dimension.domain {
            Domain::Continuous { low, high } => self.add_real(dimension, *low, *high),
            Domain::Integer { low, high } => self.add_integer(dimension, *low, *high),
            Domain::Categorical { choices } => self.add_category(dimension, choices.len()),
        }
    }

    fn add_real(
        &mut self,
        dimension: &Dimension,
        low: f64,
        high: f64,
    ) -> Result<Slot, OptimizerError> {
        let initial = checked_start(dimension, low, high)?;
        if low == high {
            return Ok(Slot::Fixed(Gene::Real(low)));
        }
        let start = initial.map_or(0.5, |x| fraction(x, low, high));
        Ok(Slot::Real { coordinate: self.add_coordinate(Coordinate::Real, start), low, high })
    }

    fn add_integer(
        &mut self,
        dimension: &Dimension,
        low: i64,
        high: i64,
    ) -> Result<Slot, OptimizerError> {
        let initial = checked_start(dimension, low as f64, high as f64)?;
        if low == high {
            return Ok(Slot::Fixed(Gene::Integer(low)));
        }
        let cells = (i128::from(high) - i128::from(low) + 1) as f64;
        let start = initial.map_or(0.5, |z| middle_of_cell(z.round(), low, high));
        let coordinate = self.add_coordinate(Coordinate::Integer { cells }, start);
        Ok(Slot::Integer { coordinate, low, high })
    }

    fn add_category(
        &mut self,
        dimension: &Dimension,
        choices: usize,
    ) -> Result<Slot, OptimizerError> {
        match choices {
            0 => Err(OptimizerError::NoChoices { gene: dimension.name.clone() }),
            1 => Ok(Slot::Fixed(Gene::Category(0))),
            _ => {
                self.categories.push(choices);
                Ok(Slot::Category { distribution: self.categories.len() - 1 })
            }
        }
    }

    fn add_coordinate(&mut self, coordinate: Coordinate, start: f64) -> usize {
        self.coordinates.push(coordinate);
        self.start.push(start);
        self.coordinates.len() - 1
    }

    /// What is measured at coordinates `v` and categories `c`: integer coordinates at the middle of their cell.
    pub(super) fn point(&self, v: &[f64], c: &[usize]) -> Point {
        let measured = |(coordinate, &x): (&Coordinate, &f64)| match coordinate {
            Coordinate::Real => x,
            Coordinate::Integer { cells } => {
                ((x * cells).floor().clamp(0.0, cells - 1.0) + 0.5) / cells
            }
        };
        Point { x: self.coordinates.iter().zip(v).map(measured).collect(), c: c.to_vec() }
    }

    /// The genotype at coordinates `v` (one per entry of `coordinates`) and categories `c` (one per
    /// entry of `categories`).
    pub(super) fn decode(&self, v: &[f64], c: &[usize]) -> Genotype {
        Genotype(self.slots.iter().map(|slot| slot.gene(v, c)).collect())
    }
}

impl Encoding {
    /// The coordinates and categories of a genotype that fits the space; an integer's coordinate is the
    /// middle of its cell.
    pub(super) fn encode(&self, genotype: &Genotype) -> (Vec<f64>, Vec<usize>) {
        let (mut v, mut c) = (Vec::new(), Vec::new());
        for (slot, &gene) in self.slots.iter().zip(&genotype.0) {
            match (slot, gene) {
                (Slot::Real { low, high, .. }, Gene::Real(x)) => v.push(fraction(x, *low, *high)),
                (Slot::Integer { low, high, .. }, Gene::Integer(z)) => {
                    v.push(middle_of_cell(z as f64, *low, *high));
                }
                (Slot::Category { .. }, Gene::Category(k)) => c.push(k),
                _ => {}
            }
        }
        (v, c)
    }
}

impl Slot {
    fn gene(&self, v: &[f64], c: &[usize]) -> Gene {
        match *self {
            Slot::Fixed(gene) => gene,
            Slot::Real { coordinate, low, high } => {
                Gene::Real(interpolate(v[coordinate], low, high))
            }
            Slot::Integer { coordinate, low, high } => {
                Gene::Integer(cell_value(v[coordinate], low, high))
            }
            Slot::Category { distribution } => Gene::Category(c[distribution]),
        }
    }
}

/// The point at fraction `t` of [low, high], within the range whatever the rounding.
pub(super) fn interpolate(t: f64, low: f64, high: f64) -> f64 {
    ((1.0 - t) * low + t * high).clamp(low, high)
}

/// Where `x` lies in [low, high], as a fraction. Halved, so that the widest finite range does not
/// overflow.
fn fraction(x: f64, low: f64, high: f64) -> f64 {
    (0.5 * x - 0.5 * low) / (0.5 * high - 0.5 * low)
}

/// The middle of the cell of `z`.
fn middle_of_cell(z: f64, low: i64, high: i64) -> f64 {
    let cells = (i128::from(high) - i128::from(low) + 1) as f64;
    (z - low as f64 + 0.5) / cells
}

/// The integer whose cell holds `v`.
pub(super) fn cell_value(v: f64, low: i64, high: i64) -> i64 {
    let cells = (i128::from(high) - i128::from(low) + 1) as f64;
    let value = i128::from(low) + (v * cells).floor() as i128;
    value.clamp(i128::from(low), i128::from(high)) as i64
}

fn checked_start(
    dimension: &Dimension,
    low: f64,
    high: f64,
) -> Result<Option<f64>, OptimizerError> {
    let gene = || dimension.name.clone();
    if !(low.is_finite() && high.is_finite() && low <= high) {
        return Err(OptimizerError::BadRange { gene: gene(), low, high });
    }
    match dimension.initial {
        Some(initial) if !(low..=high).contains(&initial) => {
            Err(OptimizerError::BadStart { gene: gene(), initial, low, high })
        }
        initial => Ok(initial),
    }
}
