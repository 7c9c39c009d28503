//! The largest elements of a task vector, without sorting it.

use super::fused;
use super::kernels::{BLOCK, between, count_equal, count_from, keep_between, magnitude};
use super::task_vector::TaskVector;

/// Where the largest elements end: an element is among them if its magnitude's bits exceed `bits`, or equal them and its
/// index is below `before`. So of equal ones the first are taken. (mergekit leaves that to an unstable sort.)
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cut {
    pub(super) bits: u32,
    pub(super) before: usize,
}

impl Cut {
    pub(super) const ALL: Cut = Cut { bits: 0, before: usize::MAX };
    /// No magnitude has such bits.
    pub(super) const NONE: Cut = Cut { bits: u32::MAX, before: 0 };

    /// Least magnitude that is taken at an index.
    fn least(self, index: usize) -> u32 {
        if index < self.before { self.bits } else { self.bits.saturating_add(1) }
    }
}

/// Elements among the largest by `among`, but not by `without`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Band {
    pub(super) among: Cut,
    pub(super) without: Cut,
}

impl Band {
    /// Least magnitude that is kept, and the one from which on none is, for the element at `index` and all up to the
    /// next of [`Band::changes`].
    pub(super) fn bounds(self, index: usize) -> (u32, u32) {
        (self.among.least(index), self.without.least(index))
    }

    /// Indices from which on the bounds are others.
    pub(super) fn changes(self) -> [usize; 2] {
        [self.among.before, self.without.before]
    }

    /// Sets the other elements to 0; `start` is the index of the first.
    pub(super) fn keep(self, start: usize, delta: &mut [f32]) {
        let length = delta.len();
        let place = |cut: Cut| cut.before.saturating_sub(start).min(length);
        let mut ends = [place(self.among), place(self.without), length];
        ends.sort_unstable();
        let mut first = 0;
        for end in ends {
            let (least, below) =
                (self.among.least(start + first), self.without.least(start + first));
            keep_between(&mut delta[first..end], least, below);
            first = end;
        }
    }
}

/// Bits of a magnitude that a histogram goes by: exponent and 7 of the mantissa.
const HIGH_BITS: u32 = 16;
pub(super) const BINS: usize = 1 << (31 - HIGH_BITS);

pub(super) fn high(magnitude: u32) -> u16 {
    (magnitude >> HIGH_BITS) as u16
}

/// How many elements have each high half.
pub(super) fn histogram(vector: TaskVector) -> Vec<u32> {
    let mut counts = vec![0_u32; BINS];
    vector.for_each_block(|_, delta| {
        for d in delta {
            counts[usize::from(high(magnitude(*d))) % BINS] += 1;
        }
    });
    counts
}

/// The cuts after the `counts[i]` largest elements.
pub(super) fn cuts<const N: usize>(vector: TaskVector, counts: [usize; N]) -> [Cut; N] {
    counts.map(|count| match count {
        0 => Cut::NONE,
        count if count >= vector.len() => Cut::ALL,
        count => {
            let bracket = Bracket::around(vector, count);
            let found = bracket.cut(vector, count);
            // The sample was so unlike the whole that the cut is not between its two elements.
            found.or_else(|| Bracket::EVERYTHING.cut(vector, count)).unwrap_or(Cut::ALL)
        }
    })
}

/// Magnitudes, with bits from `least` to below `below`, among which a cut is looked for.
#[derive(Debug, Clone, Copy)]
struct Bracket {
    least: u32,
    below: u32,
}

/// Blocks of a sample.
const SAMPLED: usize = 64;

/// How far from its expected rank in a sample, as a share of it, a cut may lie. Elements near each other are alike, so
/// that the sample is worth less than its number of elements.
const MARGIN: f64 = 0.01;

impl Bracket {
    const EVERYTHING: Bracket = Bracket { least: 0, below: u32::MAX };

    /// Where a sample of blocks, evenly spaced, lets expect the cut.
    fn around(vector: TaskVector, count: usize) -> Bracket {
        let n = vector.len();
        if n <= 4 * SAMPLED * BLOCK {
            return Bracket::EVERYTHING;
        }
        let mut sample = vec![0.0; SAMPLED * BLOCK];
        for (i, delta) in sample.chunks_mut(BLOCK).enumerate() {
            vector.read((n / BLOCK) * i / SAMPLED * BLOCK, delta);
        }
        let mut sample: Vec<u32> = sample.into_iter().map(magnitude).collect();
        let rank = |share: f64| (share.clamp(0.0, 1.0) * (sample.len() - 1) as f64) as usize;
        let smaller = 1.0 - count as f64 / n as f64;
        let (low, high) = (rank(smaller - MARGIN), rank(smaller + MARGIN));
        let below = match smaller + MARGIN < 1.0 {
            true => sample.select_nth_unstable(high).1.saturating_add(1),
            false => u32::MAX,
        };
        let least = if smaller > MARGIN { *sample.select_nth_unstable(low).1 } else { 0 };
        Bracket { least, below }
    }

    /// The cut, if it is here. One pass: elements above are counted, those inside collected, and only they are ordered.
    ///
    /// Zeros are not collected, as there may be very many (a tensor that training left as it was); it makes no difference
    /// which of them are taken.
    fn cut(self, vector: TaskVector, count: usize) -> Option<Cut> {
        let (least, below) = (self.least.max(1), self.below);
        let (mut above, mut inside) = (0, Vec::new());
        vector.for_each_block(|_, delta| {
            above += count_from(delta, below);
            for delta in delta.chunks(64) {
                let mut bits = between(delta, least, below);
                while bits != 0 {
                    inside.push(magnitude(delta[bits.trailing_zeros() as usize]));
                    bits &= bits - 1;
                }
            }
        });
        let last = count.checked_sub(above + 1)?;
        if last >= inside.len() {
            return (self.least == 0).then_some(Cut::ALL);
        }
        let (larger, &mut bits, smaller) = inside.select_nth_unstable_by(last, |a, b| b.cmp(a));
        let equal = |all: &[u32]| all.iter().filter(|magnitude| **magnitude == bits).count();
        let (taken, left) = (equal(larger) + 1, equal(smaller));
        let before = if left == 0 { usize::MAX } else { nth_equal(vector, bits, taken) + 1 };
        Some(Cut { bits, before })
    }
}

/// Elements looked at at a time; a multiple of [`fused::STEP`].
const SPAN: usize = 64 * fused::STEP;

/// Index of the `n`-th element, from 1, of exactly that magnitude.
pub(super) fn nth_equal(vector: TaskVector, bits: u32, n: usize) -> usize {
    let mut left = n;
    let mut delta = [0.0; SPAN];
    for start in (0..vector.len()).step_by(SPAN) {
        let length = SPAN.min(vector.len() - start);
        let fused = (length == SPAN)
            .then(|| fused::count_equal(vector.base, vector.expert, start, SPAN, bits))
            .flatten();
        if let Some(here) = fused.filter(|here| *here < left) {
            left -= here;
            continue;
        }
        let delta = &mut delta[..length];
        vector.read(start, delta);
        let here = count_equal(delta, bits);
        if here >= left {
            let mut equal = delta.iter().enumerate().filter(|(_, d)| magnitude(**d) == bits);
            return equal.nth(left - 1).map_or(start, |(i, _)| start + i);
        }
        left -= here;
    }
    vector.len()
}
