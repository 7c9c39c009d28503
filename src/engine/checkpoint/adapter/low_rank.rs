use crate::simd::vectorize;

/// `scale · left · right`, laid out like the weight that it is added to.
///
/// For a linear layer, stored as `[out, in]`, `left` is LoRA's B and `right` its A (Hu et al. 2021, "LoRA: Low-Rank
/// Adaptation of Large Language Models", section 4.1). For a layer that is stored as `[in, out]` (GPT-2's, and
/// embeddings), they are the transposes of A and B.
#[derive(Debug, Clone, PartialEq)]
pub struct LowRank {
    left: Vec<f32>,
    right: Vec<f32>,
    rank: usize,
    columns: usize,
    scale: f32,
}

impl LowRank {
    /// From `a`, `[rank, in]`, and `b`, `[out, rank]`, for a weight stored as `[out, in]`.
    pub(super) fn new(a: Vec<f32>, b: Vec<f32>, rank: usize, scale: f32) -> LowRank {
        let columns = a.len() / rank.max(1);
        LowRank { left: b, right: a, rank, columns, scale }
    }

    /// The same, for a weight stored as `[in, out]`.
    pub(super) fn transposed(a: &[f32], b: &[f32], rank: usize, scale: f32) -> LowRank {
        let columns = b.len() / rank.max(1);
        LowRank { left: transpose(a, rank), right: transpose(b, columns), rank, columns, scale }
    }

    /// Number of columns of `left` and of rows of `right`.
    pub fn rank(&self) -> usize {
        self.rank
    }

    /// What the product is multiplied with.
    pub fn scale(&self) -> f32 {
        self.scale
    }

    /// Adds the elements from `start` on, row-major, to `out`; what lies beyond the last is left as it is.
    pub fn add_to(&self, start: usize, out: &mut [f32]) {
        let columns = self.columns.max(1);
        let (mut row, mut column) = (start / columns, start % columns);
        let mut product = vec![0.0; columns.min(out.len())];
        let mut rest = out;
        while !rest.is_empty() {
            let (part, tail) = rest.split_at_mut((columns - column).min(rest.len()));
            let Some(product) = product.get_mut(..part.len()) else { return };
            product.fill(0.0);
            vectorize(|| self.multiply(row, column, product));
            part.iter_mut().zip(product).for_each(|(x, product)| *x += self.scale * *product);
            (rest, row, column) = (tail, row + 1, 0);
        }
    }

    /// Adds `left · right` in `row`, from `column` on, to `product`. Four ranks at a time: `product` is then read and
    /// written a quarter as often.
    #[inline(always)]
    fn multiply(&self, row: usize, column: usize, product: &mut [f32]) {
        let columns = self.columns.max(1);
        let factors = self.left.chunks_exact(self.rank.max(1)).nth(row).unwrap_or_default();
        for (factors, lines) in factors.chunks(4).zip(self.right.chunks(4 * columns)) {
            let line = |number| lines.get(number * columns + column..).unwrap_or_default();
            if let [a, b, c, d] = factors {
                let lines = line(0).iter().zip(line(1)).zip(line(2)).zip(line(3));
                for (sum, (((w, x), y), z)) in product.iter_mut().zip(lines) {
                    *sum += a * w + b * x + c * y + d * z;
                }
            } else {
                for (number, factor) in factors.iter().enumerate() {
                    product.iter_mut().zip(line(number)).for_each(|(sum, x)| *sum += factor * x);
                }
            }
        }
    }
}

/// `[rows, columns]` to `[columns, rows]`.
fn transpose(matrix: &[f32], rows: usize) -> Vec<f32> {
    let columns = matrix.len() / rows.max(1);
    let mut transposed = vec![0.0; matrix.len()];
    for (row, line) in matrix.chunks_exact(columns.max(1)).enumerate() {
        let into = transposed.iter_mut().skip(row).step_by(rows.max(1));
        into.zip(line).for_each(|(to, x)| *to = *x);
    }
    transposed
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// B A = [[1, 2, 3], [10, 20, 30]] + [[4, 4, 4], [0, 0, 0]], by hand.
    #[test]
    fn product_by_hand() {
        let (a, b) = (vec![1.0, 2.0, 3.0, 1.0, 1.0, 1.0], vec![1.0, 4.0, 10.0, 0.0]);
        let mut out = [1.0; 6];
        LowRank::new(a.clone(), b.clone(), 2, 2.0).add_to(0, &mut out);
        assert_eq!(out, [11.0, 13.0, 15.0, 21.0, 41.0, 61.0]);
        let mut out = [1.0; 6];
        LowRank::transposed(&a, &b, 2, 2.0).add_to(0, &mut out);
        assert_eq!(out, [11.0, 21.0, 13.0, 41.0, 15.0, 61.0]);
    }

    proptest! {
        /// However a weight is cut into chunks, each element gets the same bits, and they are those of the definition
        /// but for rounding. `in` is 4, `out` is 5.
        #[test]
        fn chunks_give_the_same_bits(
            factors in prop::collection::vec(-1.0_f32..1.0, 6 * (4 + 5)), cut in 0_usize..=25,
        ) {
            let (a, b) = factors.split_at(24);
            let straight = LowRank::new(a.to_vec(), b.to_vec(), 6, 0.7);
            let turned = LowRank::transposed(a, b, 6, 0.7);
            for (low_rank, is_straight) in [(straight, true), (turned, false)] {
                let (mut whole, mut parts) = ([0.1; 25], [0.1; 25]);
                low_rank.add_to(0, &mut whole);
                let (head, tail) = parts.split_at_mut(cut);
                low_rank.add_to(0, head);
                low_rank.add_to(cut, tail);
                prop_assert_eq!(whole, parts);
                prop_assert_eq!(&whole[20..], &[0.1; 5]);
                for (at, element) in whole.iter().enumerate().take(20) {
                    let (o, i) = if is_straight { (at / 4, at % 4) } else { (at % 5, at / 5) };
                    let product: f32 = (0..6).map(|r| b[o * 6 + r] * a[r * 4 + i]).sum();
                    prop_assert!((element - (0.1 + 0.7 * product)).abs() < 1e-5);
                }
            }
        }
    }
}
