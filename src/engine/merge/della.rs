//! DELLA's drop probabilities: the larger an element is in its row, the likelier it is kept (Deep et al. 2024,
//! arXiv:2406.11617, section 3.1).

use super::kernels::magnitude;
use super::task_vector::TaskVector;

/// Rank of each element's magnitude in its row, from 0 for the smallest; of equal ones the first is smaller.
///
/// Two bytes each; a row of more than 65,536 elements has coarser ranks: `rank · 65,536 / width`, which moves a
/// probability by less than ε / 32,768.
#[derive(Debug)]
pub(super) struct RowRanks {
    ranks: Vec<u16>,
    width: usize,
}

impl RowRanks {
    /// `width`: length of a row, at least 1; a tensor of one axis is one row.
    pub(super) fn of(vector: TaskVector, width: usize) -> RowRanks {
        let mut ranks = vec![0_u16; vector.len()];
        let (mut keys, mut delta) = (Vec::new(), vec![0.0; width]);
        for (row, ranks) in ranks.chunks_mut(width).enumerate() {
            let delta = &mut delta[..ranks.len()];
            vector.read(row * width, delta);
            keys.clear();
            keys.extend(delta.iter().enumerate().map(|(i, d)| (magnitude(*d), i as u32)));
            keys.sort_unstable();
            for (rank, (_, element)) in keys.iter().enumerate() {
                ranks[*element as usize] = scale(rank, width) as u16;
            }
        }
        RowRanks { ranks, width }
    }

    /// Bytes held.
    pub(super) fn bytes(&self) -> usize {
        2 * self.ranks.len()
    }

    /// Probability that an element is kept: from `density − epsilon` to `density + epsilon` with its rank. In a row of
    /// one element, where mergekit divides by 0, it is `density`.
    pub(super) fn probability(&self, element: usize, density: f64, epsilon: f64) -> f64 {
        let last = scale(self.width - 1, self.width);
        if last == 0 {
            return density;
        }
        let place = f64::from(self.ranks[element]) / last as f64;
        density - epsilon + 2.0 * epsilon * place
    }
}

fn scale(rank: usize, width: usize) -> usize {
    if width <= 1 << 16 { rank } else { rank * (1 << 16) / width }
}
