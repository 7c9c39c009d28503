//! Loops over heads, compiled for the usual widths: short ones of unknown length would miss the vector instructions.

use crate::simd::{Kernel, dispatch};

/// A loop nest over heads, to be compiled once per width and instruction set.
pub trait OfWidth {
    /// Must be `#[inline(always)]`, and so must all that it calls.
    fn run(self, head_dim: usize);
}

/// Runs `loops` with the widest instructions that this processor has.
pub fn dispatch_width(head_dim: usize, loops: impl OfWidth) {
    match head_dim {
        16 => dispatch(Known::<_, 16>(loops)),
        32 => dispatch(Known::<_, 32>(loops)),
        64 => dispatch(Known::<_, 64>(loops)),
        128 => dispatch(Known::<_, 128>(loops)),
        _ => dispatch(Unknown(loops, head_dim)),
    }
}

struct Known<K, const HEAD_DIM: usize>(K);

impl<K: OfWidth, const HEAD_DIM: usize> Kernel for Known<K, HEAD_DIM> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        self.0.run(HEAD_DIM);
    }
}

struct Unknown<K>(K, usize);

impl<K: OfWidth> Kernel for Unknown<K> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        self.0.run(self.1);
    }
}

/// `out = scale · head`, of the same length.
///
/// Block by block through registers, for the compiler cannot know that slices inside structs do not overlap.
#[inline(always)]
pub fn scaled_into(out: &mut [f32], head: &[f32], scale: f32) {
    const BLOCK: usize = 8;
    let (blocks, rest) = head.as_chunks::<BLOCK>();
    let (out_blocks, out_rest) = out.as_chunks_mut::<BLOCK>();
    for (out, head) in out_blocks.iter_mut().zip(blocks) {
        *out = head.map(|x| x * scale);
    }
    for (out, x) in out_rest.iter_mut().zip(rest) {
        *out = x * scale;
    }
}
