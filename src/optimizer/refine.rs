//! The search distribution over fewer coordinates, carried over to more: each fine coordinate or distribution begins as
//! a copy of its parent.

use nalgebra::DMatrix;

use super::categorical::Categorical;
use super::encoding::Encoding;
use super::gaussian::Gaussian;

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
        let n = self.m.len();
        let logarithms = (0..n).map(|j| (self.A[j] * self.C[(j, j)].sqrt()).ln());
        self.sigma * (logarithms.sum::<f64>() / n as f64).exp()
    }

    /// The same distribution of the siblings' mean, and besides, the differences between siblings, which had no variance,
    /// get `within` times the variance of their parent: C' = P C Pᵀ + `within` · diag(P C Pᵀ) (I − P (PᵀP)⁻¹ Pᵀ), where P
    /// repeats each coarse coordinate for its children.
    #[allow(non_snake_case)]
    pub(super) fn refined(
        &self,
        fine: &Encoding,
        parent: &[usize],
        mu_eff: f64,
        alpha: f64,
        within: f64,
    ) -> Self {
        let n = parent.len();
        let mut siblings = vec![0.0; self.m.len()];
        parent.iter().for_each(|&p| siblings[p] += 1.0);
        let carried = |i: usize, j: usize| {
            let (p, q) = (parent[i], parent[j]);
            self.A[p] * self.C[(p, q)] * self.A[q]
        };
        let C = DMatrix::from_fn(n, n, |i, j| {
            let own = if i == j { 1.0 } else { 0.0 };
            let apart = if parent[i] == parent[j] { own - 1.0 / siblings[parent[i]] } else { 0.0 };
            carried(i, j) + within * carried(i, i) * apart
        });
        let mut refined = Self::new(fine, self.sigma, mu_eff, alpha);
        parent.iter().enumerate().for_each(|(i, &p)| refined.m[i] = self.m[p]);
        refined.C = C;
        refined.decompose();
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
