//! The bf16 product on AMX, Intel's matrix unit: tiles of 16 rows of 64 bytes, which [`Tile`] instructions multiply.
//!
//! Rust has no stable intrinsics for it yet, so this is assembly. One instruction adds the products of 16 × 32 inputs and
//! 32 × 16 weights to 16 × 16 sums, each row on its own: what else the tile holds does not touch a row's bits.

use std::arch::asm;
use std::sync::OnceLock;

use half::bf16;

use super::product::Columns;
use super::rounded::{BLOCK, Rounded};
use super::{PANEL, STEP};

/// Rows of a tile.
const TILE: usize = 16;

/// The most bytes of rounded rows to pass by one panel, half of an L2 cache.
const CACHED: usize = 1 << 20;

/// Whether the processor has the unit and the system lets this process use it.
pub fn available() -> bool {
    static AVAILABLE: OnceLock<bool> = OnceLock::new();
    *AVAILABLE.get_or_init(|| has_unit() && permitted())
}

/// Bits 22 (AMX-BF16) and 24 (AMX-TILE) of CPUID leaf 7, edx; and AVX-512 to go with it.
fn has_unit() -> bool {
    let features = std::arch::x86_64::__cpuid_count(7, 0).edx;
    is_x86_feature_detected!("avx512f") && features >> 22 & 1 == 1 && features >> 24 & 1 == 1
}

/// Linux saves the tiles of a process only once it has asked: `arch_prctl(ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA)`.
#[cfg(target_os = "linux")]
fn permitted() -> bool {
    const ARCH_PRCTL: i64 = 158;
    const ARCH_REQ_XCOMP_PERM: u64 = 0x1023;
    const XFEATURE_XTILEDATA: u64 = 18;
    let mut result = ARCH_PRCTL;
    // SAFETY: the system call changes what the kernel saves for this process and touches no memory.
    unsafe {
        asm!("syscall", inout("rax") result, in("rdi") ARCH_REQ_XCOMP_PERM, in("rsi") XFEATURE_XTILEDATA,
            out("rcx") _, out("r11") _, options(nostack));
    }
    result == 0
}

#[cfg(not(target_os = "linux"))]
fn permitted() -> bool {
    false
}

/// The shape of the eight tiles: palette 1, bytes per row from byte 16 on, rows from byte 48 on.
#[repr(C, align(64))]
struct Shapes([u8; 64]);

impl Shapes {
    const FULL: Shapes = {
        let mut shapes = [0; 64];
        shapes[0] = 1;
        let mut tile = 0;
        while tile < 8 {
            shapes[16 + 2 * tile] = 64;
            shapes[48 + tile] = TILE as u8;
            tile += 1;
        }
        Shapes(shapes)
    };
}

/// 32 × 32 sums.
#[repr(C, align(64))]
struct Sums([f32; BLOCK * PANEL]);

/// `out = x Wᵀ`, or `+=` with `add`; `weights`: panels `[x.steps × STEP / 2][PANEL][2]`.
///
/// # Safety
/// The unit must be [`available`].
pub unsafe fn product(x: &Rounded, weights: &[bf16], out: &mut Columns, add: bool) {
    // SAFETY: the caller knows that the unit is there; the shapes are valid.
    unsafe { asm!("ldtilecfg [{}]", in(reg) &Shapes::FULL, options(nostack, readonly)) };
    let together = BLOCK * (CACHED / (x.steps * BLOCK * 2 * STEP)).max(2);
    for first in (0..x.count).step_by(together) {
        let rows = first..x.count.min(first + together);
        for (p, panel) in weights.chunks_exact(x.steps * STEP * PANEL).enumerate() {
            for row in rows.clone().step_by(BLOCK) {
                // SAFETY: the tiles are configured.
                unsafe { block(x, row, panel, out, p * PANEL, add) };
            }
        }
    }
    // SAFETY: as above; nothing uses the tiles any more.
    unsafe { asm!("tilerelease", options(nostack, nomem)) };
}

/// [`BLOCK`] rows from `row` on times one panel, whose first output is column `column` of `out`.
///
/// # Safety
/// The tiles must be configured.
unsafe fn block(
    x: &Rounded,
    row: usize,
    panel: &[bf16],
    out: &mut Columns,
    column: usize,
    add: bool,
) {
    let lines = &x.lines[row * x.steps..][..x.steps * BLOCK];
    let rows = BLOCK.min(x.count - row);
    let whole = rows == BLOCK && out.width - column >= PANEL;
    if whole {
        let stride = out.stride;
        let c = &mut out.values[row * stride + column..][..(BLOCK - 1) * stride + PANEL];
        // SAFETY: `lines` and `panel` hold `steps` steps, `c` 32 rows of 32 sums.
        return unsafe {
            multiply(
                lines.as_ptr().cast(),
                panel.as_ptr(),
                x.steps,
                c.as_mut_ptr(),
                stride,
                rows,
                add,
            )
        };
    }
    let mut sums = Sums([0.0; BLOCK * PANEL]);
    let sums_of = |r: usize| r * PANEL..(r + 1) * PANEL;
    for r in 0..rows * usize::from(add) {
        let row = out.panel_row(row + r, column);
        sums.0[sums_of(r)][..row.len()].copy_from_slice(row);
    }
    // SAFETY: as above.
    unsafe {
        multiply(
            lines.as_ptr().cast(),
            panel.as_ptr(),
            x.steps,
            sums.0.as_mut_ptr(),
            PANEL,
            rows,
            add,
        )
    };
    for r in 0..rows {
        let row = out.panel_row(row + r, column);
        row.copy_from_slice(&sums.0[sums_of(r)][..row.len()]);
    }
}

/// Two tiles of rows times two of outputs. With `rows` ≤ 16 only the first tile of rows is computed and stored.
///
/// # Safety
/// The tiles must be configured, `x` hold `steps × 2` KiB, `w` as much, and `c` 16 or 32 rows of 32 sums.
#[allow(clippy::too_many_arguments)]
unsafe fn multiply(
    x: *const bf16,
    w: *const bf16,
    steps: usize,
    c: *mut f32,
    stride: usize,
    rows: usize,
    add: bool,
) {
    let bytes = stride * size_of::<f32>();
    // SAFETY: passed on.
    unsafe {
        match (rows > TILE, add) {
            (true, true) => two_by_two::<true>(x, w, steps, c, bytes),
            (true, false) => two_by_two::<false>(x, w, steps, c, bytes),
            (false, true) => one_by_two::<true>(x, w, steps, c, bytes),
            (false, false) => one_by_two::<false>(x, w, steps, c, bytes),
        }
    }
}

/// # Safety
/// As for [`multiply`].
unsafe fn two_by_two<const ADD: bool>(
    x: *const bf16,
    w: *const bf16,
    steps: usize,
    c: *mut f32,
    bytes: usize,
) {
    // SAFETY: the loads and stores stay within what `multiply` asks for.
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
            add = in(reg) u32::from(ADD),
            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
            out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
            options(nostack),
        );
    }
}

/// # Safety
/// As for [`multiply`].
unsafe fn one_by_two<const ADD: bool>(
    x: *const bf16,
    w: *const bf16,
    steps: usize,
    c: *mut f32,
    bytes: usize,
) {
    // SAFETY: the loads and stores stay within what `multiply` asks for.
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
            add = in(reg) u32::from(ADD),
            out("tmm0") _, out("tmm1") _, out("tmm4") _, out("tmm6") _, out("tmm7") _,
            options(nostack),
        );
    }
}
