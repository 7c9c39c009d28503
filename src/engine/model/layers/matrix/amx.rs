//! The bf16 product on AMX, Intel's matrix unit: tiles of 16 rows of 64 bytes, which one
//! instruction multiplies.
//!
//! That instruction adds the products of 16 × 32 inputs and
//! 32 × 16 weights to 16 × 16 sums, each row on its own: what else the tile holds does not touch a row's bits.

use std::arch::asm;
use std::sync::OnceLock;

use half::bf16;

use super::product::Columns;
use super::rounded::{BLOCK, Line, Rounded};
use super::tiles::{Operands, TILE, one_by_two, two_by_two};
use super::{PANEL, STEP};

/// The most bytes of rounded rows to pass by one panel, half of an L2 cache.
const CACHED: usize = 1 << 20;

/// How far ahead weights are fetched, in bytes.
const AHEAD: usize = 8 << 10;

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
        let end = x.count.min(first + together);
        for (p, panel) in weights.chunks_exact(x.steps * STEP * PANEL).enumerate() {
            for row in (first..end).step_by(BLOCK) {
                let block = Block {
                    row,
                    rows: BLOCK.min(end - row),
                    column: p * PANEL,
                    add,
                    fetch: row == first,
                };
                // SAFETY: the tiles are configured.
                unsafe { block.product(x, panel, out) };
            }
        }
    }
    // SAFETY: as above; nothing uses the tiles any more.
    unsafe { asm!("tilerelease", options(nostack, nomem)) };
}

/// Up to [`BLOCK`] rows by one panel's outputs.
struct Block {
    row: usize,
    rows: usize,
    column: usize,
    add: bool,
    /// Whether the panel is not in the caches yet.
    fetch: bool,
}

impl Block {
    /// # Safety
    /// The tiles must be configured.
    unsafe fn product(&self, x: &Rounded, panel: &[bf16], out: &mut Columns) {
        let x = &x.lines[self.row * x.steps..][..x.steps * BLOCK];
        if self.rows < BLOCK || out.width - self.column < PANEL {
            // SAFETY: passed on.
            return unsafe { self.product_apart(x, panel, out) };
        }
        let c = &mut out.values[self.row * out.stride + self.column..];
        let c = &mut c[..(BLOCK - 1) * out.stride + PANEL];
        // SAFETY: passed on.
        unsafe { self.multiply(x, panel, c, out.stride) };
    }

    /// Where `out` does not hold the whole block.
    ///
    /// # Safety
    /// The tiles must be configured.
    unsafe fn product_apart(&self, x: &[Line], panel: &[bf16], out: &mut Columns) {
        let mut sums = Sums([0.0; BLOCK * PANEL]);
        if self.add {
            for (r, sums) in sums.0.chunks_exact_mut(PANEL).take(self.rows).enumerate() {
                let row = out.panel_row(self.row + r, self.column);
                sums[..row.len()].copy_from_slice(row);
            }
        }
        // SAFETY: passed on.
        unsafe { self.multiply(x, panel, &mut sums.0, PANEL) };
        for (r, sums) in sums.0.chunks_exact(PANEL).take(self.rows).enumerate() {
            let row = out.panel_row(self.row + r, self.column);
            row.copy_from_slice(&sums[..row.len()]);
        }
    }

    /// # Safety
    /// The tiles must be configured.
    unsafe fn multiply(&self, x: &[Line], panel: &[bf16], c: &mut [f32], stride: usize) {
        let operands = Operands {
            x: x.as_ptr().cast(),
            w: panel.as_ptr(),
            steps: x.len() / BLOCK,
            c: c.as_mut_ptr(),
            bytes: stride * size_of::<f32>(),
            add: self.add,
            ahead: if self.fetch { AHEAD } else { 0 },
        };
        // SAFETY: `x` and `panel` hold as many steps, `c` 32 rows of 32 sums.
        unsafe { if self.rows > TILE { two_by_two(operands) } else { one_by_two(operands) } }
    }
}
