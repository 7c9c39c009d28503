//! The likeliest token after each row.

use candle_core::{Result, Tensor};

use super::simd::{Kernel, dispatch, max_of, sum_of};
use super::with_values;

/// Index of the greatest logit of each row, the first of equals; `None` where one is NaN or none is above minus infinity.
/// `logits`: `[rows, vocab]`, f32, contiguous.
pub fn likeliest(logits: &Tensor) -> Result<Vec<Option<u32>>> {
    let (_, vocab) = logits.dims2()?;
    with_values(&logits.flatten_all()?, |values| {
        Ok(values.chunks_exact(vocab.max(1)).map(|row| dispatch(Greatest(row))).collect())
    })
}

struct Greatest<'a>(&'a [f32]);

impl Kernel for Greatest<'_> {
    type Output = Option<u32>;
    #[inline(always)]
    fn run(self) -> Option<u32> {
        let row = self.0;
        if sum_of(row, |x| if x.is_nan() { 1.0 } else { 0.0 }) > 0.0 {
            return None;
        }
        let max = max_of(row);
        let found = row.iter().position(|x| *x == max).filter(|_| max > f32::NEG_INFINITY);
        found.map(|index| index as u32)
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    #[test]
    fn the_first_of_equals_and_none_beside_a_nan() {
        let rows = [
            [0.0, 3.0, -1.0, 3.0],
            [f32::NEG_INFINITY, -7.0, f32::NEG_INFINITY, -8.0],
            [9.0, f32::NAN, 1.0, 2.0],
            [f32::NEG_INFINITY; 4],
            [1.0, 2.0, 3.0, f32::INFINITY],
        ];
        let found = likeliest(&Tensor::new(&rows, &Device::Cpu).unwrap()).unwrap();
        assert_eq!(found, [Some(1), Some(1), None, None, Some(3)]);
    }

    #[test]
    fn every_place_of_a_long_row_is_looked_at() {
        for place in 0..100 {
            let row: Vec<f32> = (0..100).map(|i| if i == place { 1.0 } else { -1.0 }).collect();
            let row = Tensor::from_vec(row, (1, 100), &Device::Cpu).unwrap();
            assert_eq!(likeliest(&row).unwrap(), [Some(place)]);
        }
    }
}
