//! The search distribution over fewer coordinates, carried over to more: each fine coordinate or distribution begins as
//! a copy of its parent.

use nalgebra::DMatrix;

use super::Covariance;
use super::categorical::Categorical;
use super::encoding::{Coordinate, Encoding};
use super::gaussian::{Gaussian, Rates};

/// For every fine coordinate and every fine distribution, the index of the coarse one it comes from.
#[derive(Debug, Clone, Default)]
pub(super) struct Parents {
    pub(super) coordinates: Vec<usize>,
    pub(super) distributions: Vec<usize>,
}

impl Parents {
    /// `parent` is the coarse gene of each fine gene; both genes have the same domain.
    pub(super) fn new(coarse: &Encoding, fine: &Encoding, parent: &[usize]) -> Self {
        let mut parents = Self::default();
        for (gene, &of) in parent.iter().enumerate() {
            if fine.coordinate(gene).is_some() {
                parents.coordinates.extend(coarse.coordinate(of));
            }
            if fine.distribution(gene).is_some() {
                parents.distributions.extend(coarse.distribution(of));
            }
        }
        parents
    }
}

impl Gaussian {
    /// The geometric mean of the coordinates' standard deviations.
    pub(super) fn spread(&self) -> f64 {
        let variances = self.shape.variances();
        let logarithms = self.A.iter().zip(variances.iter()).map(|(a, c)| (a * c.sqrt()).ln());
        self.sigma * (logarithms.sum::<f64>() / self.m.len() as f64).exp()
    }

    /// The same distribution of the siblings' mean, and besides, the differences between siblings, which had no variance,
    /// get `within` times the variance of their parent: C' = P C Pᵀ + `within` · diag(P C Pᵀ) (I − P (PᵀP)⁻¹ Pᵀ), where P
    /// repeats each coarse coordinate for its children. A shape that cannot hold all of C' keeps its diagonal.
    #[allow(non_snake_case)]
    pub(super) fn refined(
        &self,
        fine: &[Coordinate],
        parent: &[usize],
        rates: (Covariance, Rates),
        alpha: f64,
        within: f64,
    ) -> Self {
        let (n, coarse) = (parent.len(), self.shape.matrix());
        let mut siblings = vec![0.0; self.m.len()];
        parent.iter().for_each(|&p| siblings[p] += 1.0);
        let carried = |i: usize, j: usize| {
            let (p, q) = (parent[i], parent[j]);
            self.A[p] * coarse[(p, q)] * self.A[q]
        };
        let C = DMatrix::from_fn(n, n, |i, j| {
            let own = if i == j { 1.0 } else { 0.0 };
            let apart = if parent[i] == parent[j] { own - 1.0 / siblings[parent[i]] } else { 0.0 };
            carried(i, j) + within * carried(i, i) * apart
        });
        let start: Vec<f64> = parent.iter().map(|&p| self.m[p]).collect();
        let mut refined = Self::new(fine, &start, self.sigma, rates, alpha);
        refined.shape.set(C);
        refined
    }
}

impl Categorical {
    pub(super) fn refined(&self, fine: &Encoding, parent: &[usize], alpha: f64) -> Self {
        let mut refined = Self::new(&fine.categories, alpha);
        refined.q = parent.iter().map(|&p| self.q[p].clone()).collect();
        refined
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::genome::{Dimension, Domain};

    fn gaussian(coordinates: usize) -> Gaussian {
        let rates = (Covariance::Full, Rates::new(coordinates, 3.0, Covariance::Full, false));
        let (start, reals) = (vec![0.5; coordinates], vec![Coordinate::Real; coordinates]);
        Gaussian::new(&reals, &start, 0.1, rates, 0.5)
    }

    /// By hand, with `within` = 0.5: siblings of variance 4 keep the variance of their mean, 4, and differ by variance
    /// 0.5 · 4 in the direction (1, −1)/√2, so that each has 4 + 2/2 = 5 and both together 4 − 2/2 = 3; an only child is
    /// as its parent, and so are covariances across families.
    #[test]
    fn the_covariance_of_two_siblings_and_an_only_child_by_hand() {
        let mut coarse = gaussian(2);
        coarse.shape.set(DMatrix::from_row_slice(2, 2, &[4.0, 1.0, 1.0, 9.0]));
        coarse.m[0] = 0.25;
        let rates = (Covariance::Full, Rates::new(3, 3.0, Covariance::Full, false));
        let fine = coarse.refined(&[Coordinate::Real; 3], &[0, 0, 1], rates, 0.5, 0.5);
        let expected = [5.0, 3.0, 1.0, 3.0, 5.0, 1.0, 1.0, 1.0, 9.0];
        for (found, expected) in fine.shape.matrix().iter().zip(expected) {
            assert!((found - expected).abs() < 1e-12, "{found} {expected}");
        }
        assert_eq!(fine.m.as_slice(), [0.25, 0.25, 0.5]);
        assert_eq!(fine.sigma, 0.1);
    }

    #[test]
    fn distributions_are_copied() {
        let mut coarse = Categorical::new(&[2], 0.1);
        coarse.q = vec![vec![0.7, 0.3]];
        let choices = vec!["a".to_owned(), "b".to_owned()];
        let domain = Domain::Categorical { choices };
        let gene =
            |name: &str| Dimension { name: name.to_owned(), domain: domain.clone(), initial: None };
        let fine = Encoding::new(&[gene("a"), gene("b")]).unwrap();
        assert_eq!(coarse.refined(&fine, &[0, 0], 0.05).q, [[0.7, 0.3], [0.7, 0.3]]);
    }
}
