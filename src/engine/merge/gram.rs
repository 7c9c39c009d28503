//! Scalar products of all pairs of tensors, in `f64`.
//!
//! Means on a sphere and geometric medians are linear combinations of their points, and the products of the points say
//! all about lengths and angles of such combinations. So an iteration runs over a few coefficients, whatever the size
//! of the tensors, and these are read twice: here, and to write the result.

use std::ops::Range;

use super::sums::dot;

/// Elements taken at a time, so few that a block of every tensor stays in the cache.
const BLOCK: usize = 1024;

/// `⟨x_i - o, x_j - o⟩` for all pairs of vectors, `o` the origin.
#[derive(Debug, Clone)]
pub(super) struct Gram {
    vectors: usize,
    /// Row by row, symmetric.
    products: Vec<f64>,
    /// One block of each vector.
    block: Vec<f32>,
}

impl Gram {
    /// Of so many vectors, all products 0.
    pub(super) fn zeros(vectors: usize) -> Gram {
        let (products, block) = (vec![0.0; vectors * vectors], vec![0.0; vectors * BLOCK]);
        Gram { vectors, products, block }
    }

    /// Of whole tensors, row-major slices of equal length; without `origin` it is 0.
    pub(super) fn of(vectors: &[&[f32]], origin: Option<&[f32]>) -> Gram {
        let length = vectors.first().map_or(0, |vector| vector.len());
        let mut gram = Gram::zeros(vectors.len());
        gram.measure(vectors, origin, 0..length);
        gram
    }

    /// Replaces the products by those over the elements in `span`.
    pub(super) fn measure(
        &mut self,
        vectors: &[&[f32]],
        origin: Option<&[f32]>,
        span: Range<usize>,
    ) {
        self.products.fill(0.0);
        for start in span.clone().step_by(BLOCK) {
            let block = start..span.end.min(start + BLOCK);
            self.load(vectors, origin, block.clone());
            self.add_block(block.len());
        }
    }

    fn load(&mut self, vectors: &[&[f32]], origin: Option<&[f32]>, span: Range<usize>) {
        for (vector, block) in vectors.iter().zip(self.block.chunks_exact_mut(BLOCK)) {
            let vector = &vector[span.clone()];
            match origin {
                None => block[..vector.len()].copy_from_slice(vector),
                Some(origin) => {
                    let elements = vector.iter().zip(&origin[span.clone()]);
                    block.iter_mut().zip(elements).for_each(|(d, (x, o))| *d = x - o);
                }
            }
        }
    }

    fn add_block(&mut self, length: usize) {
        for (i, left) in self.block.chunks_exact(BLOCK).enumerate() {
            for (j, right) in self.block.chunks_exact(BLOCK).enumerate().skip(i) {
                let product = dot(&left[..length], &right[..length]);
                self.products[i * self.vectors + j] += product;
                if i != j {
                    self.products[j * self.vectors + i] += product;
                }
            }
        }
    }

    /// Product of vectors `i` and `j`.
    pub(super) fn at(&self, i: usize, j: usize) -> f64 {
        self.products[i * self.vectors + j]
    }

    /// Length of each vector.
    pub(super) fn norms(&self) -> Vec<f64> {
        (0..self.vectors).map(|i| self.at(i, i).sqrt()).collect()
    }

    /// Product of vector `i` and the combination `Σ c_j x_j`.
    pub(super) fn against(&self, i: usize, combination: &[f64]) -> f64 {
        combination.iter().enumerate().map(|(j, c)| c * self.at(i, j)).sum()
    }

    /// Length of the combination `Σ c_j x_j`.
    pub(super) fn length(&self, combination: &[f64]) -> f64 {
        let products =
            combination.iter().enumerate().map(|(i, c)| c * self.against(i, combination));
        // Rounding may leave less than nothing of vectors that cancel.
        products.sum::<f64>().max(0.0).sqrt()
    }

    /// Scales vector `i` by `factors[i]`.
    pub(super) fn scale(&mut self, factors: &[f64]) {
        let rows = self.products.chunks_mut(self.vectors.max(1));
        for (row, of_row) in rows.zip(factors) {
            row.iter_mut().zip(factors).for_each(|(product, factor)| *product *= of_row * factor);
        }
    }
}
