//! Reinforced Agent Merging (arXiv:2601.13572): updates of one expert alone are kept whole, shared ones are averaged.

/// Elements merged at a time, so few that they stay in the cache.
const BLOCK: usize = 1024;

/// How RAM+ amplifies an expert's own updates.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Amplification {
    /// Rate: the factor is `1 + r · min(ρ, alpha)`, ρ the ratio of the expert's shared to its own elements.
    pub r: f32,
    /// Largest ratio that counts.
    pub alpha: f32,
}

/// `base` plus, in each element, the mean of the task vectors that are larger than `epsilon` there.
///
/// `base` and `experts` are row-major slices of equal length; `epsilon` is in the unit of the elements.
pub fn ram(base: &[f32], experts: &[&[f32]], epsilon: f32) -> Vec<f32> {
    merge(base, experts, epsilon, &vec![1.0; experts.len()])
}

/// [`ram()`], with an expert's elements that no other expert changed multiplied by `1 + r · clamp(ρ, 0, alpha)`.
///
/// ρ is the number of elements that the expert changed along with others over the number it changed alone, counted
/// in this tensor only (mergekit's "tensor-local" variant).
pub fn ramplus_tl(
    base: &[f32],
    experts: &[&[f32]],
    amplification: Amplification,
    epsilon: f32,
) -> Vec<f32> {
    let Amplification { r, alpha } = amplification;
    let factor = |changed: Changed| {
        let ratio = changed.shared as f32 / (changed.alone as f32).max(epsilon);
        1.0 + r * ratio.max(0.0).min(alpha)
    };
    let factors: Vec<f32> = changed(base, experts, epsilon).into_iter().map(factor).collect();
    merge(base, experts, epsilon, &factors)
}

/// How many elements an expert changed.
#[derive(Debug, Clone, Copy, Default)]
struct Changed {
    alone: usize,
    shared: usize,
}

fn changed(base: &[f32], experts: &[&[f32]], epsilon: f32) -> Vec<Changed> {
    let mut totals = vec![Changed::default(); experts.len()];
    for (number, base) in base.chunks(BLOCK).enumerate() {
        let blocks = blocks(experts, number * BLOCK, base.len());
        let counts = contributors(base, blocks.clone(), epsilon);
        for (total, expert) in totals.iter_mut().zip(blocks) {
            let (mut all, mut alone) = (0_u32, 0_u32);
            for ((x, b), count) in expert.iter().zip(base).zip(&counts) {
                let changed = (x - b).abs() > epsilon;
                all += u32::from(changed);
                alone += u32::from(changed & (*count == 1.0));
            }
            total.alone += alone as usize;
            total.shared += (all - alone) as usize;
        }
    }
    totals
}

fn merge(base: &[f32], experts: &[&[f32]], epsilon: f32, factors: &[f32]) -> Vec<f32> {
    let mut merged = vec![0.0_f32; base.len()];
    for ((number, merged), base) in merged.chunks_mut(BLOCK).enumerate().zip(base.chunks(BLOCK)) {
        let blocks = blocks(experts, number * BLOCK, base.len());
        let counts = contributors(base, blocks.clone(), epsilon);
        for (expert, factor) in blocks.zip(factors) {
            let elements = merged.iter_mut().zip(expert).zip(base).zip(&counts);
            for (((sum, x), b), count) in elements {
                let delta = x - b;
                let share = if *count == 1.0 { delta * factor } else { delta / count.max(1.0) };
                *sum += if delta.abs() > epsilon { share } else { 0.0 };
            }
        }
        merged.iter_mut().zip(base).for_each(|(sum, b)| *sum += b);
    }
    merged
}

fn blocks<'a>(
    experts: &'a [&'a [f32]],
    start: usize,
    length: usize,
) -> impl Iterator<Item = &'a [f32]> + Clone {
    experts.iter().map(move |expert| &expert[start..start + length])
}

/// How many experts changed each element, as `f32` for the arithmetic.
fn contributors<'a>(
    base: &[f32],
    experts: impl Iterator<Item = &'a [f32]>,
    epsilon: f32,
) -> [f32; BLOCK] {
    let mut counts = [0.0_f32; BLOCK];
    for expert in experts {
        for ((count, x), b) in counts.iter_mut().zip(expert).zip(base) {
            *count += if (x - b).abs() > epsilon { 1.0 } else { 0.0 };
        }
    }
    counts
}
