//! Arcee Fusion: only the most important of one expert's updates are put on the base (<https://arcee.ai>).

/// Added to every probability.
const LEAST_PROBABILITY: f64 = 1e-8;

/// `base + (expert - base)` in the elements whose importance reaches `median + 1.5 · (q3 - q1)`, else the base.
///
/// `base` and `expert` are row-major slices of equal length, `width` the length of the last axis. An element's
/// importance is its absolute update times the Kullback-Leibler divergence of its row, as logits, of the expert from
/// the base. The quartiles are taken over all elements, each the element of rank `⌊q (n - 1)⌋`; mergekit takes them
/// from a random million of elements where there are more, and sums the divergence in `f32`, in which that of a small
/// update is mostly rounding; so elements near the threshold may come out otherwise there.
pub fn arcee_fusion(base: &[f32], expert: &[f32], width: usize) -> Vec<f32> {
    let importance = importance(base, expert, width.max(1));
    let threshold = threshold(&importance);
    let elements = base.iter().zip(expert).zip(&importance);
    let merge = |((b, x), importance): ((&f32, &f32), &f32)| {
        if *importance >= threshold { b + (x - b) } else { *b }
    };
    elements.map(merge).collect()
}

fn importance(base: &[f32], expert: &[f32], width: usize) -> Vec<f32> {
    let mut importance = Vec::with_capacity(base.len());
    let (mut p, mut q) = (vec![0.0; width], vec![0.0; width]);
    for (base, expert) in base.chunks(width).zip(expert.chunks(width)) {
        softmax(expert, &mut p);
        softmax(base, &mut q);
        let divergence = divergence(&p, &q) as f32;
        importance.extend(expert.iter().zip(base).map(|(x, b)| (x - b).abs() * divergence));
    }
    importance
}

/// Probabilities, raised a little above 0; `logits` and `probabilities` are of equal length.
fn softmax(logits: &[f32], probabilities: &mut [f64]) {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    for (p, x) in probabilities.iter_mut().zip(logits) {
        *p = (f64::from(*x) - f64::from(largest)).exp();
    }
    let sum: f64 = probabilities.iter().sum();
    probabilities.iter_mut().for_each(|p| *p = *p / sum + LEAST_PROBABILITY);
}

/// Kullback-Leibler divergence of `p` from `q`, in nats; never below 0 but by rounding.
fn divergence(p: &[f64], q: &[f64]) -> f64 {
    p.iter().zip(q).map(|(p, q)| p * (p / q).ln()).sum::<f64>().max(0.0)
}

fn threshold(importance: &[f32]) -> f32 {
    let Some(last) = importance.len().checked_sub(1) else { return 0.0 };
    let mut elements = importance.to_vec();
    let (below, third, _) =
        elements.select_nth_unstable_by(last / 4 * 3 + last % 4 * 3 / 4, f32::total_cmp);
    let third = *third;
    let median = rank(below, last / 2).unwrap_or(third);
    let first = rank(below, last / 4).unwrap_or(third);
    median + 1.5 * (third - first)
}

/// Element of that rank, or `None` where there are fewer.
fn rank(elements: &mut [f32], rank: usize) -> Option<f32> {
    let within = rank < elements.len();
    within.then(|| *elements.select_nth_unstable_by(rank, f32::total_cmp).1)
}
