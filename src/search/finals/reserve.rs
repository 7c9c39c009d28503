//! What the finals need of a wall-clock budget.

use super::{RECOMMENDED, front};
use crate::search::FINALISTS;
use crate::search::baselines::Baseline;
use crate::search::budget::{Budget, Reserve};
use crate::search::session::Session;
use crate::units::{Seconds, Split};

/// Blocks of the race at most, each with a merge of its own.
const BLOCKS: f64 = 3.0;
/// The finals should not take more of the budget than this.
const SHARE: f64 = 0.15;
/// So many models besides the baselines take part in the front whatever the budget.
const LEAST_MEMBERS: usize = 3;
/// So many of the best observed candidates are finalists whatever the budget.
const LEAST_OBSERVED: usize = 2;

/// How many take part after the search.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::search) struct Places {
    /// Of the best observed candidates, in the race.
    pub observed: usize,
    /// Besides the baselines, in the front.
    pub members: usize,
}

/// How many of the best observed candidates the budget has time for, of [`FINALISTS`], and how many members of the front.
/// Follows from the record and the budget alone.
pub(in crate::search) fn places_that_fit(
    session: &Session<'_>,
    baselines: &[Baseline],
    budget: Budget,
) -> Places {
    let Budget::WallClock(time) = budget else {
        return Places { observed: FINALISTS, members: front::MEMBERS };
    };
    let merge = session.archive().slowest_merge();
    // Those that the run began with: whoever resumes it on another machine must come to the same finalists.
    let workers = session.recorded_workers;
    let fits = |reserve: Reserve| reserve.total(merge).0 <= SHARE * time.as_secs_f64();
    let observed = |observed: &usize| fits(race_of(workers, baselines, *observed));
    let members = |members: &usize| fits(front_of(workers, baselines, *members));
    Places {
        observed: (LEAST_OBSERVED..=FINALISTS).rev().find(observed).unwrap_or(LEAST_OBSERVED),
        members: (LEAST_MEMBERS..=front::MEMBERS).rev().find(members).unwrap_or(LEAST_MEMBERS),
    }
}

/// What to keep back of a wall-clock budget for everything after the last candidate: the race and, where models can differ
/// in time and that counts, the front.
pub(in crate::search) fn reserve(
    session: &Session<'_>,
    baselines: &[Baseline],
    places: Places,
) -> Reserve {
    let workers = session.workers.count();
    let race = race_of(workers, baselines, places.observed);
    let space = session.decoder.space();
    if space.objectives.len() < 2 || !space.routing.varies_time() {
        return race;
    }
    let front = front_of(workers, baselines, places.members);
    Reserve {
        scoring: Seconds(race.scoring.0 + front.scoring.0),
        merges: race.merges + front.merges,
    }
}

/// `observed` candidates and the recommendations side by side on selection as if none dropped out, then the winner on holdout
/// and on search.
fn race_of(workers: usize, baselines: &[Baseline], observed: usize) -> Reserve {
    let workers = workers.max(1);
    let waves = (observed + RECOMMENDED).div_ceil(workers) as f64;
    let [search, selection, holdout] = Split::ALL.map(|split| slowest(baselines, split));
    let last = if workers > 1 { holdout.max(search) } else { holdout + search };
    Reserve { scoring: Seconds(waves * selection + last), merges: waves * BLOCKS + 2.0 }
}

/// `members` models on selection and on holdout, and timed with the baselines.
fn front_of(workers: usize, baselines: &[Baseline], members: usize) -> Reserve {
    let splits = [Split::Selection, Split::Holdout].map(|split| Seconds(slowest(baselines, split)));
    let waves = members.div_ceil(workers.max(1)) as f64;
    Reserve {
        scoring: front::seconds(members, baselines.len(), workers, splits),
        merges: 2.0 * waves + (members + baselines.len()) as f64,
    }
}

fn slowest(baselines: &[Baseline], split: Split) -> f64 {
    let seconds = baselines.iter().filter_map(|baseline| {
        let evaluation = baseline.on(split).outcome.evaluation()?;
        Some(evaluation.score_seconds.0)
    });
    seconds.fold(0.0, f64::max)
}
