//! The bf16 product on AVX-512's dot product of pairs, for processors without a matrix unit.

use std::arch::x86_64::*;

use half::bf16;

use super::product::Columns;
use super::rounded::{BLOCK, Line, Rounded};
use super::{PANEL, STEP};

/// The most rows whose sums are kept in registers together; divides [`BLOCK`].
const STRIP: usize = 8;

/// `out = x Wᵀ`, or `+=` with `add`; `weights`: panels `[x.steps × STEP / 2][PANEL][2]`.
///
/// # Safety
/// The processor must have AVX512_BF16.
#[target_feature(enable = "avx512f,avx512bf16")]
pub unsafe fn product(x: &Rounded, weights: &[bf16], out: &mut Columns, add: bool) {
    for (p, panel) in weights.chunks_exact(x.steps * STEP * PANEL).enumerate() {
        let mut row = 0;
        while row < x.count {
            let within = row % BLOCK;
            let lines = &x.lines[(row - within) * x.steps + within..];
            // SAFETY: the instructions as above; `lines` holds `steps` blocks of these rows, which do not cross into
            // the next block: STRIP divides BLOCK, and so do the shorter strips.
            row += unsafe {
                match x.count - row {
                    STRIP.. => strip::<STRIP>(lines, panel, x.steps, out, (row, p * PANEL), add),
                    4.. => strip::<4>(lines, panel, x.steps, out, (row, p * PANEL), add),
                    _ => strip::<1>(lines, panel, x.steps, out, (row, p * PANEL), add),
                }
            };
        }
    }
}

/// `ROWS` rows times one panel, into `out` from row and column `at` on. Returns `ROWS`.
///
/// # Safety
/// The processor must have AVX512_BF16; `lines` must hold `ROWS` rows of `steps` blocks, `panel` the weights of as many.
#[target_feature(enable = "avx512f,avx512bf16")]
unsafe fn strip<const ROWS: usize>(
    lines: &[Line],
    panel: &[bf16],
    steps: usize,
    out: &mut Columns,
    at: (usize, usize),
    add: bool,
) -> usize {
    let mut sums = [[_mm512_setzero_ps(); 2]; ROWS];
    for pair in 0..steps * STEP / 2 {
        // SAFETY: pair `pair % 16` of a line of step `pair / 16`, and one row of PANEL pairs of the panel.
        unsafe {
            let x = lines.as_ptr().add(pair / 16 * BLOCK).cast::<i32>().add(pair % 16);
            let w = panel.as_ptr().add(pair * 2 * PANEL).cast();
            let (low, high) = (_mm512_loadu_si512(w), _mm512_loadu_si512(w.add(1)));
            for (r, sum) in sums.iter_mut().enumerate() {
                let x = bits(_mm512_set1_epi32(*x.add(r * STEP / 2)));
                sum[0] = _mm512_dpbf16_ps(sum[0], x, bits(low));
                sum[1] = _mm512_dpbf16_ps(sum[1], x, bits(high));
            }
        }
    }
    for (r, halves) in sums.iter().enumerate() {
        let mut sums = [0f32; PANEL];
        for (half, sum) in sums.chunks_exact_mut(PANEL / 2).zip(halves) {
            // SAFETY: `half` is 16 floats.
            unsafe { _mm512_storeu_ps(half.as_mut_ptr(), *sum) };
        }
        for (value, sum) in out.panel_row(at.0 + r, at.1).iter_mut().zip(sums) {
            *value = if add { *value + sum } else { sum };
        }
    }
    ROWS
}

/// The register as 32 bf16 numbers.
#[target_feature(enable = "avx512f,avx512bf16")]
fn bits(register: __m512i) -> __m512bh {
    // SAFETY: both are 512 bits.
    unsafe { std::mem::transmute(register) }
}
