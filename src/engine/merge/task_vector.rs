use crate::checkpoint::Elements;

use super::kernels::{BLOCK, subtract};

/// Elements handed over at a time; a multiple of 64.
const SPAN: usize = 8 * BLOCK;

/// `expert − base` of one tensor, worked out block by block and never stored.
#[derive(Debug, Clone, Copy)]
pub(super) struct TaskVector<'t> {
    pub(super) base: &'t Elements<'t>,
    pub(super) expert: &'t Elements<'t>,
}

impl TaskVector<'_> {
    pub(super) fn len(&self) -> usize {
        self.base.len()
    }

    /// Elements `start..start + delta.len()`.
    pub(super) fn read(&self, start: usize, delta: &mut [f32]) {
        let (mut base, mut expert) = ([0.0; BLOCK], [0.0; BLOCK]);
        for (number, delta) in delta.chunks_mut(BLOCK).enumerate() {
            let (start, length) = (start + number * BLOCK, delta.len());
            let base = self.base.part(start, &mut base[..length]);
            let expert = self.expert.part(start, &mut expert[..length]);
            subtract(delta, expert, base);
        }
    }

    /// Calls `visit` with the first index and the elements of each block, in order.
    pub(super) fn for_each_block(&self, mut visit: impl FnMut(usize, &mut [f32])) {
        let mut delta = vec![0.0; SPAN.min(self.len())];
        for start in (0..self.len()).step_by(SPAN) {
            let length = SPAN.min(self.len() - start);
            self.read(start, &mut delta[..length]);
            visit(start, &mut delta[..length]);
        }
    }
}

/// A whole task vector.
pub(super) fn delta(base: &[f32], expert: &[f32]) -> Vec<f32> {
    let mut delta = vec![0.0; base.len()];
    subtract(&mut delta, expert, base);
    delta
}
