//! Replay: a search of any optimizer that was stopped anywhere and resumed is the search that was not, bit for bit.

use std::collections::BTreeMap;

use merge_search::optimizer::{OptimizerKind, Restarts};
use merge_search::race::Racing;
use merge_search::record::TrialKind;
use merge_search::search::{Budget, Ending};

use crate::search::{Landscape, Rows, SPACE, finished, rows, run};

const CANDIDATES: u64 = 36;

/// Runs `made()` whole, and again stopped after so many evaluations each.
fn check(name: &str, made: impl Fn() -> Landscape, stops: &[usize]) {
    check_trials(name, made, stops, CANDIDATES);
}

/// Returns the rows of the whole run.
fn check_trials(
    name: &str,
    made: impl Fn() -> Landscape,
    stops: &[usize],
    candidates: u64,
) -> Rows {
    let whole = tempfile::tempdir().unwrap();
    let landscape = made();
    finished(run(whole.path(), &landscape, 2, Budget::Trials(candidates)));
    let evaluations = landscape.evaluated.into_inner();
    let expected = rows(whole.path());
    for &stop in stops {
        // Stops are spread over the whole run, whatever its length; the last evaluations end it.
        let interrupt_at = 1 + stop * (evaluations - 3) / 100;
        let broken = tempfile::tempdir().unwrap();
        let first = Landscape { interrupt_at, ..made() };
        let ending = run(broken.path(), &first, 2, Budget::Trials(candidates));
        assert!(matches!(ending, Ending::Interrupted), "{name}, at {interrupt_at}");
        let second = made();
        finished(run(broken.path(), &second, 1, Budget::Trials(candidates)));
        assert_eq!(rows(broken.path()), expected, "{name}, at {interrupt_at}");
        let total = first.evaluated.into_inner() + second.evaluated.into_inner();
        assert_eq!(total, evaluations, "{name}, at {interrupt_at}: something was scored twice");
    }
    expected
}

fn racing() -> Racing {
    Racing { resamples: 20, ..Racing::default() }
}

#[test]
fn every_optimizer_is_replayed() {
    for kind in OptimizerKind::ALL {
        let racing = kind.races().then(racing);
        check(&kind.to_string(), || Landscape { kind, racing, ..Landscape::new() }, &[61]);
    }
}

#[test]
fn every_optimizer_for_two_costs_is_replayed() {
    let space = SPACE.replacen(
        "[models]",
        "objectives = [\"geometric_mean\", \"relative_time\"]\n[models]",
        1,
    );
    assert_ne!(space, SPACE);
    for kind in [OptimizerKind::Nsga2, OptimizerKind::ScalarisedCma] {
        let made = || Landscape { kind, space: space.clone(), ..Landscape::new() };
        check(&kind.to_string(), made, &[57]);
    }
}

/// At the ends of rungs and generations too: stops at every twentieth of the run.
#[test]
fn races_are_replayed_from_anywhere() {
    let made = || Landscape { racing: Some(racing()), ..Landscape::new() };
    check("racing", made, &[22, 31, 38, 44, 52, 63, 85]);
}

/// Small generations of few documents are soon all alike, which ends a run.
#[test]
fn growing_populations_are_replayed() {
    for restarts in [Restarts::Ipop, Restarts::Bipop] {
        let made = || Landscape { restarts, population: 4, ..Landscape::new() };
        let all = check_trials(&restarts.to_string(), made, &[60], 200);
        let mut sizes = BTreeMap::new();
        for trial in all.values().filter(|t| t.kind == TrialKind::Candidate) {
            *sizes.entry(trial.generation).or_insert(0) += 1;
        }
        assert!(sizes.values().any(|size| *size > 4), "{restarts}: {sizes:?}");
    }
}

/// The trajectory is that of the population, not of the machine.
#[test]
fn races_are_the_same_for_any_number_of_workers() {
    let (one, three) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let made = || Landscape { racing: Some(racing()), ..Landscape::new() };
    run(one.path(), &made(), 1, Budget::Trials(CANDIDATES));
    run(three.path(), &made(), 3, Budget::Trials(CANDIDATES));
    assert_eq!(rows(one.path()), rows(three.path()));
    let rungs = rows(one.path()).keys().map(|(.., rung)| *rung).max();
    assert!(rungs >= Some(1), "nobody went on to a second rung");
}
