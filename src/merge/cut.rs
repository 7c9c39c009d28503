//! The largest elements of a task vector, without sorting it.

use super::kernels::{keep_between, magnitude};
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
///
/// Two passes: a histogram by the leading half of the bits, then the elements of the bins that the cuts are in; those
/// are few, and only they are ordered.
pub(super) fn cuts<const N: usize>(vector: TaskVector, counts: [usize; N]) -> [Cut; N] {
    let inside = |count: &usize| *count > 0 && *count < vector.len();
    if !counts.iter().any(inside) {
        return counts.map(|count| if count == 0 { Cut::NONE } else { Cut::ALL });
    }
    let histogram = histogram(vector);
    let bins = counts.map(|count| bin_of(&histogram, count));
    let mut members: [Vec<(u16, usize)>; N] = std::array::from_fn(|_| Vec::new());
    vector.for_each_block(|start, delta| {
        for (i, d) in delta.iter().enumerate() {
            let magnitude = magnitude(*d);
            for ((bin, _), members) in bins.iter().zip(&mut members) {
                if high(magnitude) == *bin {
                    members.push((magnitude as u16, start + i));
                }
            }
        }
    });
    std::array::from_fn(|i| match counts[i] {
        0 => Cut::NONE,
        count if count >= vector.len() => Cut::ALL,
        _ => cut_in_bin(bins[i], &mut members[i]),
    })
}

/// The bin of the `count`-th largest element, and how many of the bin belong to the `count` largest.
fn bin_of(histogram: &[u32], count: usize) -> (u16, usize) {
    let mut left = count;
    for (bin, members) in histogram.iter().enumerate().rev() {
        match left.checked_sub(*members as usize) {
            Some(rest) if rest > 0 => left = rest,
            _ => return (bin as u16, left),
        }
    }
    (0, left)
}

fn cut_in_bin((bin, count): (u16, usize), members: &mut [(u16, usize)]) -> Cut {
    let by_size_then_index = |a: &(u16, usize), b: &(u16, usize)| b.0.cmp(&a.0).then(a.1.cmp(&b.1));
    let last = count.saturating_sub(1).min(members.len().saturating_sub(1));
    if members.is_empty() {
        return Cut::ALL;
    }
    let (_, &mut (low, index), _) = members.select_nth_unstable_by(last, by_size_then_index);
    Cut { bits: u32::from(bin) << HIGH_BITS | u32::from(low), before: index + 1 }
}
