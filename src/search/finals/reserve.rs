//! What the finals need of a wall-clock budget.

use super::RECOMMENDED;
use crate::search::FINALISTS;
use crate::search::baselines::Baseline;
use crate::search::budget::{Budget, Reserve};
use crate::search::session::Session;
use crate::units::{Seconds, Split};

/// Blocks of the race at most, each with a merge of its own.
const BLOCKS: f64 = 3.0;
/// The finals should not take more of the budget than this.
const SHARE: f64 = 0.15;
/// So many of the best observed candidates are finalists whatever the budget.
const LEAST_OBSERVED: usize = 2;

/// How many of the best observed candidates the budget has time for, of [`FINALISTS`]. Follows from the record and the
/// budget alone.
pub(in crate::search) fn observed_that_fit(
    session: &Session<'_>,
    baselines: &[Baseline],
    budget: Budget,
) -> usize {
    let Budget::WallClock(time) = budget else {
        return FINALISTS;
    };
    let merge = session.archive().slowest_merge();
    // Those that the run began with: whoever resumes it on another machine must come to the same finalists.
    let workers = session.recorded_workers;
    let fits = |observed: &usize| {
        let reserve = reserve_of(workers, baselines, *observed);
        reserve.total(merge).0 <= SHARE * time.as_secs_f64()
    };
    (LEAST_OBSERVED..=FINALISTS).rev().find(fits).unwrap_or(LEAST_OBSERVED)
}

/// What to keep back of a wall-clock budget for everything after the last candidate: `observed` candidates and the
/// recommendations side by side on selection as if none dropped out, then the winner on holdout and on search.
pub(in crate::search) fn reserve(
    session: &Session<'_>,
    baselines: &[Baseline],
    observed: usize,
) -> Reserve {
    reserve_of(session.workers.count(), baselines, observed)
}

fn reserve_of(workers: usize, baselines: &[Baseline], observed: usize) -> Reserve {
    let workers = workers.max(1);
    let slowest = |split: Split| {
        let seconds = baselines.iter().filter_map(|baseline| {
            let evaluation = baseline.on(split).outcome.evaluation()?;
            Some(evaluation.score_seconds.0)
        });
        seconds.fold(0.0, f64::max)
    };
    let waves = (observed + RECOMMENDED).div_ceil(workers) as f64;
    let (holdout, search) = (slowest(Split::Holdout), slowest(Split::Search));
    let last = if workers > 1 { holdout.max(search) } else { holdout + search };
    Reserve {
        scoring: Seconds(waves * slowest(Split::Selection) + last),
        merges: waves * BLOCKS + 2.0,
    }
}
