//! Finalists against each other on the same documents: who drops out early, and who wins.
//!
//! After each block of documents but the last, whoever is significantly worse than the best so far stops (a race: Maron &
//! Moore, Artificial Intelligence Review 11, 1997, 193; with paired tests as in irace, López-Ibáñez et al., Operations
//! Research Perspectives 3, 2016, 43). Numbers only: who scores the documents is the caller's business.

use crate::objective::{Aggregate, Draws, Tail, holm, sign_flip};
use crate::outcome::TaskScore;
use crate::units::Seed;

/// Where a finalist comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The base model, an expert, or the uniform average.
    Baseline,
    /// What the optimizer recommends: the mean or mode of its distribution, or its front.
    Recommended,
    /// One of the candidates with the best scores on search.
    Observed,
}

impl Origin {
    /// The word in the report.
    pub fn as_str(self) -> &'static str {
        match self {
            Origin::Baseline => "baseline",
            Origin::Recommended => "recommended",
            Origin::Observed => "observed",
        }
    }
}

/// One that takes part.
#[derive(Debug, Clone)]
pub(in crate::search) struct Racer {
    pub origin: Origin,
    /// On the documents of the blocks that it took part in.
    pub scores: Vec<TaskScore>,
    pub fate: Fate,
}

/// Whether a racer is still in the race.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::search) enum Fate {
    Running,
    /// Significantly worse than the best after a block that was not the last.
    Dropped,
    /// Could not be scored.
    Infeasible,
}

impl Racer {
    pub fn is_running(&self) -> bool {
        self.fate == Fate::Running
    }

    fn documents(&self) -> usize {
        self.scores.iter().map(|task| task.items.len()).sum()
    }

    pub fn value(&self, aggregate: &Aggregate) -> f64 {
        let scores: Vec<f64> = self.scores.iter().map(|task| task.accuracy().0).collect();
        aggregate.value(&scores)
    }

    fn take(&mut self, scored: Option<Vec<TaskScore>>) {
        match scored {
            Some(scores) => self.scores = scores,
            None => self.fate = Fate::Infeasible,
        }
    }
}

/// Chance that a race drops the truly best of its racers, over all blocks.
///
/// The leader is compared with each of the others, one-sided, with Holm's correction for their number. The truly best is
/// dropped only where some other leads and looks significantly better than it, so that this chance, and not that of any
/// false difference, is what the level bounds; to drop one of several that are equally good costs nothing.
const LEVEL: f64 = 0.05;

/// Draws of the permutation tests: the least p-value is a quarter of what Holm asks of the first of 15 rivals at the level
/// of one of two looks.
const DRAWS: Draws = Draws { most: 2500, enough: 100 };

/// What every test of a race needs.
#[derive(Debug, Clone, Copy)]
pub(in crate::search) struct Rules<'a> {
    pub aggregate: &'a Aggregate,
    /// Of the permutations.
    pub seed: Seed,
}

/// Scores of the racers that were asked for on all documents so far, `None` for one that gives none; no list: interrupted.
pub(in crate::search) type BlockScores = Option<Vec<Option<Vec<TaskScore>>>>;

/// Runs over `blocks` blocks. `score` is asked for those still running, by their indices, on the documents of a block and
/// of those before it. `None` = interrupted.
pub(in crate::search) fn race<E>(
    rules: Rules<'_>,
    origins: &[Origin],
    blocks: usize,
    mut score: impl FnMut(usize, &[usize]) -> Result<BlockScores, E>,
) -> Result<Option<Vec<Racer>>, E> {
    let start = |origin: &Origin| Racer { origin: *origin, scores: vec![], fate: Fate::Running };
    let mut racers: Vec<Racer> = origins.iter().map(start).collect();
    let looks = blocks.saturating_sub(1);
    for block in 0..blocks {
        let running = running(&racers);
        let Some(scored) = score(block, &running)? else {
            return Ok(None);
        };
        for (index, scored) in running.into_iter().zip(scored) {
            racers[index].take(scored);
        }
        if block < looks {
            drop_out(&mut racers, rules, LEVEL / looks as f64);
        }
    }
    Ok(Some(racers))
}

/// Indices of those still in the race.
pub(in crate::search) fn running(racers: &[Racer]) -> Vec<usize> {
    (0..racers.len()).filter(|index| racers[*index].is_running()).collect()
}

fn drop_out(racers: &mut [Racer], rules: Rules<'_>, level: f64) {
    let Some(leader) = leader(racers, rules.aggregate) else {
        return;
    };
    let others: Vec<usize> = running(racers).into_iter().filter(|other| *other != leader).collect();
    let p_values: Vec<f64> =
        others.iter().map(|other| p_value(rules, &racers[leader], &racers[*other])).collect();
    for (other, adjusted) in others.into_iter().zip(holm(&p_values)) {
        if adjusted <= level {
            racers[other].fate = Fate::Dropped;
        }
    }
}

/// Of "no better", that `first` is better than `second`.
fn p_value(rules: Rules<'_>, first: &Racer, second: &Racer) -> f64 {
    let (aggregate, seed) = (rules.aggregate, rules.seed);
    sign_flip(aggregate, &first.scores, &second.scores, Tail::Greater, seed, DRAWS).unwrap_or(1.0)
}

/// The best of those still running; of equals a baseline, then a recommendation, then the first.
fn leader(racers: &[Racer], aggregate: &Aggregate) -> Option<usize> {
    let mut running = running(racers);
    running.sort_by_key(|index| racers[*index].origin as usize);
    best(running, |index| racers[index].value(aggregate))
}

/// The first of the best.
fn best(indices: Vec<usize>, value: impl Fn(usize) -> f64) -> Option<usize> {
    let values = indices.into_iter().rev().map(|index| (index, value(index)));
    values.max_by(|a, b| a.1.total_cmp(&b.1)).map(|(index, _)| index)
}

/// A recommendation gives way to an observed candidate that is better on selection by more than one standard error, which
/// chance does in this share of cases (the one-standard-error rule of Breiman, Friedman, Olshen & Stone, Classification
/// and Regression Trees, 1984, section 3.4.3). Simulated with differences of 0 to ± 2 points in truth and a standard error
/// of 0.5 to 2 points, the choice is then at most 0.2 points worse than the best score, where the recommendation is the
/// worse one, and up to 0.3 better, where it is the better one; at a level of 5 % it is up to 0.6 worse.
const PREFERENCE: f64 = 0.16;

/// Who wins a race that is over, if anybody can be scored.
///
/// The best on all documents does, with one exception: an observed candidate is there because its score on search was the
/// luckiest of many, a recommendation is not. So an observed leader gives way to the best recommendation that it is not
/// clearly better than (see [`PREFERENCE`]), if that is at least as good as every baseline.
pub(in crate::search) fn choose(racers: &[Racer], rules: Rules<'_>) -> Option<usize> {
    let leader = leader(racers, rules.aggregate)?;
    if racers[leader].origin != Origin::Observed {
        return Some(leader);
    }
    let value = |index: usize| racers[index].value(rules.aggregate);
    let of = |origin: Origin| {
        running(racers).into_iter().filter(move |index| racers[*index].origin == origin)
    };
    let baseline = of(Origin::Baseline).map(value).fold(0.0, f64::max);
    let as_good = |index: &usize| {
        value(*index) >= baseline && p_value(rules, &racers[leader], &racers[*index]) > PREFERENCE
    };
    let preferred = best(of(Origin::Recommended).filter(as_good).collect(), value);
    Some(preferred.unwrap_or(leader))
}

/// What a race has cost: documents scored for those that are not baselines, and what the dropped ones did not need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::search) struct Cost {
    pub documents: usize,
    pub saved: usize,
}

/// Of a race over `all` documents.
pub(in crate::search) fn cost(racers: &[Racer], all: usize) -> Cost {
    let raced = || racers.iter().filter(|racer| racer.origin != Origin::Baseline);
    let dropped = raced().filter(|racer| racer.fate == Fate::Dropped);
    Cost {
        documents: raced().map(Racer::documents).sum(),
        saved: dropped.map(|racer| all.saturating_sub(racer.documents())).sum(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::ItemScore;

    /// One task with so many right answers of 100, the same documents first.
    fn racer(origin: Origin, right: usize) -> Racer {
        let item = |doc| ItemScore {
            score: f64::from(u8::from(doc < right)),
            chosen: Some(0),
            margin: 0.0,
        };
        let items = (0..100).map(item).collect();
        let scores = vec![TaskScore { task: "t".to_owned(), items, others: Vec::new() }];
        Racer { origin, scores, fate: Fate::Running }
    }

    fn winner(racers: &[Racer]) -> Option<usize> {
        let aggregate = Aggregate::geometric_mean(1);
        choose(racers, Rules { aggregate: &aggregate, seed: Seed(1) })
    }

    use Origin::{Baseline, Observed, Recommended};

    /// Answers that differ in three documents, all for the same one, do so by chance once in eight; in two, once in four.
    #[test]
    fn a_recommendation_is_preferred_where_chance_may_explain_the_difference() {
        let racers = [60, 58].map(|right| racer(Observed, right));
        let [best, other] = &racers;
        let recommended = |right| racer(Recommended, right);
        assert_eq!(winner(&[other.clone(), best.clone(), recommended(58)]), Some(2));
        assert_eq!(winner(&[other.clone(), best.clone(), recommended(57)]), Some(1));
        // Of two recommendations the better, of equals the first.
        let both = [best.clone(), recommended(58), recommended(59), recommended(59)];
        assert_eq!(winner(&both), Some(2));
    }

    #[test]
    fn a_baseline_wins_only_where_it_is_as_good_and_is_not_passed_over() {
        let baseline = |right| racer(Baseline, right);
        assert_eq!(winner(&[baseline(60), racer(Recommended, 60), racer(Observed, 60)]), Some(0));
        assert_eq!(winner(&[baseline(59), racer(Recommended, 60)]), Some(1));
        assert_eq!(winner(&[baseline(61), racer(Recommended, 60), racer(Observed, 61)]), Some(0));
        // The recommendation would do, but the baseline is better than it: so the best wins.
        assert_eq!(winner(&[baseline(59), racer(Recommended, 58), racer(Observed, 60)]), Some(2));
    }

    #[test]
    fn who_gives_no_score_or_dropped_out_does_not_win() {
        let mut best = racer(Observed, 90);
        best.fate = Fate::Infeasible;
        let mut dropped = racer(Observed, 80);
        dropped.fate = Fate::Dropped;
        assert_eq!(winner(&[best.clone(), dropped, racer(Observed, 50)]), Some(2));
        assert_eq!(winner(&[best]), None);
    }

    /// The second gives no score on the first block, the third is far worse there: neither is asked for again.
    #[test]
    fn only_who_is_running_is_scored() {
        let aggregate = Aggregate::geometric_mean(1);
        let rules = Rules { aggregate: &aggregate, seed: Seed(1) };
        let rights = [Some(60), None, Some(20), Some(59)];
        let mut asked = Vec::new();
        let racers = race(rules, &[Observed; 4], 3, |block, running| {
            asked.push((block, running.to_vec()));
            let scores = |index: &usize| rights[*index].map(|right| racer(Observed, right).scores);
            Ok::<_, ()>(Some(running.iter().map(scores).collect()))
        });
        let racers = racers.unwrap().unwrap();
        assert_eq!(asked, [(0, vec![0, 1, 2, 3]), (1, vec![0, 3]), (2, vec![0, 3])]);
        let fates: Vec<Fate> = racers.iter().map(|racer| racer.fate).collect();
        assert_eq!(fates, [Fate::Running, Fate::Infeasible, Fate::Dropped, Fate::Running]);
        // Three scored 100 documents each, of whom one is counted as dropped; all have 300.
        assert_eq!(cost(&racers, 300), Cost { documents: 300, saved: 200 });
    }
}
