//! The loops over AMX tiles, in assembly: Rust has no stable intrinsics for them yet.

use std::arch::asm;

use half::bf16;

use super::{PANEL, STEP};

/// Rows of a tile.
pub const TILE: usize = 16;

/// What one kernel multiplies.
pub struct Operands {
    /// `[steps][32 rows][STEP]`.
    pub x: *const bf16,
    /// `[steps][STEP / 2][PANEL][2]`.
    pub w: *const bf16,
    /// Not 0.
    pub steps: usize,
    /// 32 rows of [`PANEL`] sums.
    pub c: *mut f32,
    /// Between the rows of `c`.
    pub bytes: usize,
    /// Whether the sums start from `c`, not from zero.
    pub add: bool,
    /// How far ahead to fetch weights, in bytes; 0 where they are in the caches.
    pub ahead: usize,
}

/// Fetches the cache lines of one step of the weights.
macro_rules! fetch_step {
    () => {
        fetch_step!(0, 64, 128, 192, 256, 320, 384, 448, 512, 576, 640, 704, 768, 832, 896, 960, 1024, 1088, 1152, 1216, 1280, 1344, 1408, 1472, 1536, 1600, 1664, 1728, 1792, 1856, 1920, 1984)
    };
    ($($line:literal),*) => {
        concat!($("prefetcht0 [{w} + {ahead} + ", $line, "]\n"),*)
    };
}

/// 32 rows: two tiles of rows times two of outputs.
///
/// # Safety
/// The tiles must be configured; see [`Operands`].
pub unsafe fn two_by_two(operands: Operands) {
    let Operands { x, w, steps, c, bytes, add, ahead } = operands;
    // SAFETY: the loads and stores stay within the operands; fetching ahead cannot fault.
    unsafe {
        asm!(
            "test {add:e}, {add:e}",
            "jz 3f",
            "tileloadd tmm0, [{c} + {bytes}*1]",
            "tileloadd tmm1, [{c} + {bytes}*1 + 64]",
            "tileloadd tmm2, [{low} + {bytes}*1]",
            "tileloadd tmm3, [{low} + {bytes}*1 + 64]",
            "jmp 2f",
            "3:",
            "tilezero tmm0",
            "tilezero tmm1",
            "tilezero tmm2",
            "tilezero tmm3",
            "2:",
            "tileloadd tmm4, [{x} + {line}*1]",
            "tileloadd tmm6, [{w} + {pairs}*1]",
            "tileloadd tmm7, [{w} + {pairs}*1 + 64]",
            "tdpbf16ps tmm0, tmm4, tmm6",
            "tdpbf16ps tmm1, tmm4, tmm7",
            "tileloadd tmm5, [{x} + {line}*1 + 1024]",
            "tdpbf16ps tmm2, tmm5, tmm6",
            "tdpbf16ps tmm3, tmm5, tmm7",
            "test {ahead}, {ahead}",
            "jz 4f",
            fetch_step!(),
            "4:",
            "add {x}, 2048",
            "add {w}, 2048",
            "dec {steps}",
            "jnz 2b",
            "tilestored [{c} + {bytes}*1], tmm0",
            "tilestored [{c} + {bytes}*1 + 64], tmm1",
            "tilestored [{low} + {bytes}*1], tmm2",
            "tilestored [{low} + {bytes}*1 + 64], tmm3",
            x = inout(reg) x => _,
            w = inout(reg) w => _,
            steps = inout(reg) steps => _,
            c = in(reg) c,
            low = in(reg) c.cast::<u8>().add(TILE * bytes),
            bytes = in(reg) bytes,
            line = in(reg) 2 * STEP,
            pairs = in(reg) 4 * PANEL,
            add = in(reg) u32::from(add),
            ahead = in(reg) ahead,
            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
            out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
            options(nostack),
        );
    }
}

/// The first 16 rows of both.
///
/// # Safety
/// The tiles must be configured; see [`Operands`].
pub unsafe fn one_by_two(operands: Operands) {
    let Operands { x, w, steps, c, bytes, add, ahead } = operands;
    // SAFETY: the loads and stores stay within the operands; fetching ahead cannot fault.
    unsafe {
        asm!(
            "test {add:e}, {add:e}",
            "jz 3f",
            "tileloadd tmm0, [{c} + {bytes}*1]",
            "tileloadd tmm1, [{c} + {bytes}*1 + 64]",
            "jmp 2f",
            "3:",
            "tilezero tmm0",
            "tilezero tmm1",
            "2:",
            "tileloadd tmm4, [{x} + {line}*1]",
            "tileloadd tmm6, [{w} + {pairs}*1]",
            "tileloadd tmm7, [{w} + {pairs}*1 + 64]",
            "tdpbf16ps tmm0, tmm4, tmm6",
            "tdpbf16ps tmm1, tmm4, tmm7",
            "test {ahead}, {ahead}",
            "jz 4f",
            fetch_step!(),
            "4:",
            "add {x}, 2048",
            "add {w}, 2048",
            "dec {steps}",
            "jnz 2b",
            "tilestored [{c} + {bytes}*1], tmm0",
            "tilestored [{c} + {bytes}*1 + 64], tmm1",
            x = inout(reg) x => _,
            w = inout(reg) w => _,
            steps = inout(reg) steps => _,
            c = in(reg) c,
            bytes = in(reg) bytes,
            line = in(reg) 2 * STEP,
            pairs = in(reg) 4 * PANEL,
            add = in(reg) u32::from(add),
            ahead = in(reg) ahead,
            out("tmm0") _, out("tmm1") _, out("tmm4") _, out("tmm6") _, out("tmm7") _,
            options(nostack),
        );
    }
}
