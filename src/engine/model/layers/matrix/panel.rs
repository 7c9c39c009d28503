//! The innermost f32 product: a few rows times one panel of [`PANEL`] packed outputs.
//!
//! Each element is one chain of multiply-adds over ascending `k`, started from zero, whatever the number of rows: its bits
//! do not depend on the rows computed beside it.

use super::PANEL;

/// The most rows whose sums fit the registers beside a row of the panel: 14 × 2 of AVX-512's 32 for the sums, 4 left.
#[cfg(target_arch = "x86_64")]
const STRIP: usize = 14;

/// `c[r][j] = Σ_k a[r][k] · panel[k][j]`, or `+=` with `add`, for `r < rows`, `k < depth`, `j <` [`PANEL`].
///
/// Row `r` starts at `a[r * a_stride]` and `c[r * c_stride]`; `panel`: `[depth, PANEL]`. With `add` the finished sum is
/// added to `c` by one rounding.
#[allow(clippy::too_many_arguments)]
pub fn panel_product(
    a: &[f32],
    a_stride: usize,
    rows: usize,
    depth: usize,
    panel: &[f32],
    c: &mut [f32],
    c_stride: usize,
    add: bool,
) {
    let Some(last) = rows.checked_sub(1) else { return };
    let block = Block {
        a: &a[..last * a_stride + depth],
        a_stride,
        depth,
        panel: &panel[..depth * PANEL],
        c_stride,
        add,
    };
    let c = &mut c[..last * c_stride + PANEL];
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx512f") {
        // SAFETY: the processor has AVX-512F.
        return unsafe { avx512::product(&block, rows, c) };
    }
    portable::product(&block, rows, c);
}

/// The operands of one product, cut to the length that it reads.
struct Block<'a> {
    a: &'a [f32],
    a_stride: usize,
    depth: usize,
    panel: &'a [f32],
    c_stride: usize,
    add: bool,
}

#[cfg(target_arch = "x86_64")]
mod avx512 {
    use std::arch::x86_64::*;

    use super::{Block, PANEL, STRIP};

    /// How far ahead weights are fetched, in floats: 4 KiB, where the processor's own prefetcher stops.
    const AHEAD: usize = 1024;

    /// # Safety
    /// The processor must have AVX-512F.
    #[target_feature(enable = "avx512f")]
    pub unsafe fn product(block: &Block, rows: usize, c: &mut [f32]) {
        let strips = rows.div_ceil(STRIP);
        let mut first = 0;
        for strip in 0..strips {
            let count = (rows - first).div_ceil(strips - strip);
            // SAFETY: AVX-512F as above; `panel_product` cut `a`, `panel` and `c` to hold `rows` rows.
            unsafe { strip_of(count, block, first, c) };
            first += count;
        }
    }

    /// # Safety
    /// As for [`strip`]; `count` in `1..=STRIP`.
    #[target_feature(enable = "avx512f")]
    unsafe fn strip_of(count: usize, block: &Block, first: usize, c: &mut [f32]) {
        // SAFETY: passed on.
        unsafe {
            match count {
                1 => strip::<1>(block, first, c),
                2 => strip::<2>(block, first, c),
                3 => strip::<3>(block, first, c),
                4 => strip::<4>(block, first, c),
                5 => strip::<5>(block, first, c),
                6 => strip::<6>(block, first, c),
                7 => strip::<7>(block, first, c),
                8 => strip::<8>(block, first, c),
                9 => strip::<9>(block, first, c),
                10 => strip::<10>(block, first, c),
                11 => strip::<11>(block, first, c),
                12 => strip::<12>(block, first, c),
                13 => strip::<13>(block, first, c),
                _ => strip::<STRIP>(block, first, c),
            }
        }
    }

    /// Rows `first..first + ROWS`.
    ///
    /// # Safety
    /// The processor must have AVX-512F, and `block` and `c` must hold those rows.
    #[target_feature(enable = "avx512f")]
    unsafe fn strip<const ROWS: usize>(block: &Block, first: usize, c: &mut [f32]) {
        let mut sums = [[_mm512_setzero_ps(); 2]; ROWS];
        // SAFETY: rows `first..first + ROWS` of `depth` elements lie within `a`, `depth` rows of PANEL within `panel`.
        unsafe {
            let a = block.a.as_ptr().add(first * block.a_stride);
            // The first strip meets weights that are not in the caches yet.
            let distance = if first == 0 { AHEAD } else { 0 };
            for k in 0..block.depth {
                let w = block.panel.as_ptr().add(k * PANEL);
                _mm_prefetch::<_MM_HINT_T0>(w.wrapping_add(distance).cast());
                _mm_prefetch::<_MM_HINT_T0>(w.wrapping_add(distance + PANEL / 2).cast());
                let (low, high) = (_mm512_loadu_ps(w), _mm512_loadu_ps(w.add(16)));
                for (r, sum) in sums.iter_mut().enumerate() {
                    let x = _mm512_set1_ps(*a.add(r * block.a_stride + k));
                    sum[0] = _mm512_fmadd_ps(x, low, sum[0]);
                    sum[1] = _mm512_fmadd_ps(x, high, sum[1]);
                }
            }
        }
        for (r, sum) in sums.into_iter().enumerate() {
            let row = &mut c[(first + r) * block.c_stride..][..PANEL];
            for (half, sum) in row.chunks_exact_mut(PANEL / 2).zip(sum) {
                let half = half.as_mut_ptr();
                // SAFETY: `half` is 16 floats.
                unsafe {
                    let sum =
                        if block.add { _mm512_add_ps(_mm512_loadu_ps(half), sum) } else { sum };
                    _mm512_storeu_ps(half, sum);
                }
            }
        }
    }
}

mod portable {
    use super::{Block, PANEL};
    use crate::simd::{Kernel, dispatch};

    /// Rows whose sums, with one row of the panel, fit 16 registers of 8 floats.
    const STRIP: usize = 3;

    /// Any number of rows, with the widest instructions that the compiler can reach through [`dispatch`].
    pub fn product(block: &Block, rows: usize, c: &mut [f32]) {
        dispatch(Loops { block, rows, c })
    }

    struct Loops<'a> {
        block: &'a Block<'a>,
        rows: usize,
        c: &'a mut [f32],
    }

    impl Kernel for Loops<'_> {
        type Output = ();
        #[inline(always)]
        fn run(self) {
            let mut first = 0;
            while first < self.rows {
                match self.rows - first {
                    1 => strip::<1>(self.block, first, self.c),
                    2 => strip::<2>(self.block, first, self.c),
                    _ => strip::<STRIP>(self.block, first, self.c),
                }
                first += STRIP;
            }
        }
    }

    #[inline(always)]
    fn strip<const ROWS: usize>(block: &Block, first: usize, c: &mut [f32]) {
        let a: [&[f32]; ROWS] =
            std::array::from_fn(|r| &block.a[(first + r) * block.a_stride..][..block.depth]);
        let mut sums = [[0f32; PANEL]; ROWS];
        for (k, w) in block.panel.as_chunks::<PANEL>().0.iter().enumerate() {
            for (sum, a) in sums.iter_mut().zip(a) {
                for (sum, w) in sum.iter_mut().zip(w) {
                    *sum = multiply_add(a[k], *w, *sum);
                }
            }
        }
        for (r, sum) in sums.iter().enumerate() {
            let row = &mut c[(first + r) * block.c_stride..][..PANEL];
            for (c, sum) in row.iter_mut().zip(sum) {
                *c = if block.add { *c + sum } else { *sum };
            }
        }
    }

    /// `a * b + c`; fused only where that is always one instruction, as on ARM: elsewhere it may be a call of libm.
    #[inline(always)]
    fn multiply_add(a: f32, b: f32, c: f32) -> f32 {
        if cfg!(target_arch = "aarch64") { a.mul_add(b, c) } else { a * b + c }
    }
}

/// The portable kernel on the same numbers, `c += a · panel`, rows without gaps.
#[cfg(test)]
pub fn portable_product(a: &[f32], rows: usize, panel: &[f32], c: &mut [f32]) {
    let depth = a.len() / rows;
    portable::product(
        &Block { a, a_stride: depth, depth, panel, c_stride: PANEL, add: true },
        rows,
        c,
    );
}
