//! What was measured of one candidate.

/// Above every cost but the first of a candidate that keeps all limits.
const VIOLATION: f64 = 1e6;

/// Whether these are costs of [`Costs::violating`].
pub(super) fn violates(values: &[f64]) -> bool {
    values.iter().skip(1).any(|cost| *cost > VIOLATION)
}

/// What an optimizer minimises, and how sure that is.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Costs {
    /// One number per objective, that of accuracy first. NaN and `f64::INFINITY` mean infeasible, which ranks last.
    pub values: Vec<f64>,
    /// The first cost as other documents might have had it: one number per resample, of which the order within a
    /// generation counts and nothing else. Every candidate of a generation has as many, and all are resampled alike. Empty
    /// where nothing is known of the noise.
    pub resamples: Vec<f64>,
    /// The first cost as measured, where `values` has only its rank: of a candidate that was stopped early. For models of the
    /// cost; `None` where `values` has it.
    pub estimate: Option<f64>,
}

impl Costs {
    /// The first cost; infinite where there is none or it is NaN.
    pub fn first(&self) -> f64 {
        let first = self.values.first().copied().unwrap_or(f64::INFINITY);
        if first.is_nan() { f64::INFINITY } else { first }
    }

    /// Of a candidate that passes a limit by `excess` (above 0), where those that keep all limits have a first cost of 0 or
    /// less: worse in all `objectives` costs than each of them, and of two the one with more excess. So whatever compares by
    /// dominance does what Deb, Pratap, Agarwal & Meyarivan, IEEE Trans. Evol. Comput. 6, 2002, 182, call constraint domination
    /// (section VI).
    pub fn violating(excess: f64, objectives: usize) -> Self {
        let others = std::iter::repeat_n(VIOLATION + excess, objectives.saturating_sub(1));
        Self { values: std::iter::once(excess).chain(others).collect(), ..Self::default() }
    }

    /// The first cost as measured, whatever its rank.
    pub fn estimated(&self) -> f64 {
        self.estimate.unwrap_or_else(|| self.first())
    }
}

/// A single cost without noise.
impl From<f64> for Costs {
    fn from(cost: f64) -> Self {
        Self { values: vec![cost], ..Self::default() }
    }
}
