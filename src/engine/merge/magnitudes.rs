use super::cut::{BINS, Cut, high, histogram, nth_equal};
use super::kernels::magnitude;
use super::task_vector::TaskVector;

/// All magnitudes of a task vector in ascending order, in two bytes each: sorted numbers share their leading halves, so
/// that a half is written down once, with the place where its run begins, and only the other halves one by one.
///
/// Made once per expert and tensor; then the threshold of any density is a look-up.
#[derive(Debug)]
pub(super) struct Magnitudes {
    lows: Vec<u16>,
    /// Leading half, and index into `lows` of its first magnitude.
    runs: Vec<(u16, usize)>,
}

/// Runs longer than this are sorted by counting.
const LONG: usize = 1 << 15;

impl Magnitudes {
    /// Three passes over the task vector's length: histogram, placing, sorting within runs.
    pub(super) fn of(vector: TaskVector) -> Magnitudes {
        let mut places = Vec::with_capacity(BINS);
        let mut runs = Vec::new();
        let mut start = 0;
        for (bin, count) in histogram(vector).into_iter().enumerate() {
            places.push(start);
            if count > 0 {
                runs.push((bin as u16, start));
            }
            start += count as usize;
        }
        let mut lows = vec![0_u16; vector.len()];
        vector.for_each_block(|_, delta| {
            for d in delta {
                let place = &mut places[usize::from(high(magnitude(*d))) % BINS];
                lows[*place] = magnitude(*d) as u16;
                *place += 1;
            }
        });
        let ends = runs.iter().skip(1).map(|run| run.1).chain([lows.len()]).collect::<Vec<_>>();
        for ((_, start), end) in runs.iter().zip(ends) {
            sort(&mut lows[*start..end]);
        }
        Magnitudes { lows, runs }
    }

    /// Bytes held.
    pub(super) fn bytes(&self) -> usize {
        2 * self.lows.len() + size_of::<(u16, usize)>() * self.runs.len()
    }

    /// The cut after the `count` largest elements. Looks at the task vector only where the cut goes through equal
    /// magnitudes.
    pub(super) fn cut(&self, vector: TaskVector, count: usize) -> Cut {
        if count == 0 {
            return Cut::NONE;
        }
        let Some(last) = self.lows.len().checked_sub(count).filter(|last| *last > 0) else {
            return Cut::ALL;
        };
        let (bits, equal) = self.at(last);
        let taken = equal.end - last;
        let before =
            if taken == equal.len() { usize::MAX } else { nth_equal(vector, bits, taken) + 1 };
        Cut { bits, before }
    }

    /// The magnitude of that rank, and the ranks of all that equal it.
    fn at(&self, rank: usize) -> (u32, std::ops::Range<usize>) {
        let run = self.runs.partition_point(|(_, start)| *start <= rank).saturating_sub(1);
        let (bin, start) = self.runs[run];
        let end = self.runs.get(run + 1).map_or(self.lows.len(), |next| next.1);
        let (low, lows) = (self.lows[rank], &self.lows[start..end]);
        let first = start + lows.partition_point(|x| *x < low);
        let after = start + lows.partition_point(|x| *x <= low);
        (u32::from(bin) << 16 | u32::from(low), first..after)
    }
}

fn sort(lows: &mut [u16]) {
    if lows.len() < LONG {
        lows.sort_unstable();
        return;
    }
    let mut counts = vec![0_usize; 1 << 16];
    lows.iter().for_each(|low| counts[usize::from(*low)] += 1);
    let mut rest = lows;
    for (low, count) in counts.into_iter().enumerate() {
        let (run, after) = rest.split_at_mut(count);
        run.fill(low as u16);
        rest = after;
    }
}
