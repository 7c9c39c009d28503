//! The summary of a small run whose every number can be worked out by hand.

use std::path::Path;

use merge_search::analysis::Summary;
use merge_search::objective::interval;
use merge_search::outcome::{
    Cost, DocSubset, Estimate, Evaluation, ItemScore, MetricScore, Outcome, TaskScore, Timing,
};
use merge_search::record::{FrontRow, RunFolder, RunWriter, Trial, TrialKind};
use merge_search::units::{Bytes, Seconds, Split};

use crate::record::{manifest, trial};

/// Documents per task.
const DOCS: usize = 100;

/// `right` answers of 100 on each of the two tasks.
fn scored(right: [usize; 2]) -> Outcome {
    scored_by(right, &[])
}

fn other(metric: &str, score: f64) -> MetricScore {
    MetricScore { metric: metric.to_owned(), score }
}

/// With what other metrics say of both tasks.
fn scored_by(right: [usize; 2], others: &[(&str, f64)]) -> Outcome {
    let task = |name: &str, right| TaskScore {
        task: name.to_owned(),
        items: (0..DOCS)
            .map(|doc| {
                let score = f64::from(u8::from(doc < right));
                ItemScore { score, chosen: Some(0), margin: 0.0 }
            })
            .collect(),
        others: others.iter().map(|(metric, score)| other(metric, *score)).collect(),
    };
    Outcome::Feasible(Evaluation {
        tasks: vec![task("arc", right[0]), task("boolq", right[1])],
        merge_seconds: Seconds(0.5),
        score_seconds: Seconds(2.0),
        seconds_per_item: Seconds(0.01),
        relative_time: 1.0,
        peak_bytes: Bytes(1),
        cost: merge_search::outcome::Cost::default(),
    })
}

fn measured(number: u64, generation: u64, outcome: Outcome) -> Trial {
    let geometric_mean = outcome.evaluation().map(interval);
    Trial { geometric_mean, objective: geometric_mean, ..trial(number, generation, outcome) }
}

fn named(number: u64, name: &str, kind: TrialKind, split: Split, right: [usize; 2]) -> Trial {
    Trial {
        name: Some(name.to_owned()),
        kind,
        split,
        genotype: None,
        ..measured(number, 0, scored(right))
    }
}

/// Base 20 %, expert sqrt(.9·.1) = 30 %; candidates 40, infeasible, 70 | 50, 80; winner (trial 6) 80 on search, 64 on
/// holdout. Without `finished`, a run still searching.
pub fn write_run(path: &Path, finished: bool) {
    let mut writer = RunWriter::create(path, manifest(&["arc", "boolq"], DOCS as u64)).unwrap();
    let none = Outcome::Infeasible { reason: "not finite".to_owned() };
    let search = [
        named(0, "base", TrialKind::Baseline, Split::Search, [20, 20]),
        named(1, "maths", TrialKind::Baseline, Split::Search, [90, 10]),
        measured(2, 1, scored([40, 40])),
        measured(3, 1, none),
        measured(4, 1, scored([70, 70])),
        measured(5, 2, scored([50, 50])),
        measured(6, 2, scored([80, 80])),
    ];
    for trial in &search {
        writer.append(trial).unwrap();
    }
    if finished {
        let last = [
            named(0, "base", TrialKind::Baseline, Split::Holdout, [20, 20]),
            named(1, "maths", TrialKind::Baseline, Split::Holdout, [64, 64]),
            named(6, "winner", TrialKind::Final, Split::Selection, [70, 70]),
            named(6, "winner", TrialKind::Final, Split::Holdout, [64, 64]),
        ];
        for trial in &last {
            writer.append(trial).unwrap();
        }
        let front = [&search[2], &search[6]].map(|trial| FrontRow {
            trial: trial.trial,
            name: None,
            member: true,
            objectives: [trial.objective, None, None],
            relative_time: if trial.trial == 6 { 1.25 } else { 0.75 },
            timing: None,
            cost: Cost::default(),
            recipe: trial.recipe.clone(),
        });
        writer.write_front(&front).unwrap();
        writer.write_text("best.yaml", &search[6].recipe).unwrap();
    }
}

fn summary(finished: bool) -> Summary {
    let folder = tempfile::tempdir().unwrap();
    write_run(folder.path(), finished);
    Summary::load(&RunFolder::open(folder.path()).unwrap()).unwrap()
}

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-12
}

#[test]
fn a_finished_run() {
    let summary = summary(true);
    assert_eq!((summary.header.trials, summary.header.infeasible), (5, 1));
    let names: Vec<&str> = summary.standings.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(names, ["base", "maths", "winner"]);
    let maths = summary.standings[1].score(Split::Search).unwrap();
    assert!(close(maths.geometric_mean.value, 0.3) && maths.objective == maths.geometric_mean);
    assert_eq!((maths.accuracies.clone(), maths.items), (vec![0.9, 0.1], 200));
    let winner = &summary.standings[2];
    assert!(close(winner.gap().unwrap(), 0.8 - 0.64));
    assert!(winner.selection.is_some() && summary.standings[0].selection.is_none());
    let front: Vec<(u64, f64)> =
        (summary.front.points.iter()).map(|p| (p.trial, p.relative_time.value)).collect();
    assert_eq!(front, [(2, 0.75), (6, 1.25)]);
    let against: Vec<&str> = summary.comparisons.iter().map(|c| c.baseline.as_str()).collect();
    assert_eq!(against, ["base", "maths"]);
    let [base, maths] = [0, 1].map(|index| summary.comparisons[index].difference);
    assert!(close(base.difference, 0.44) && base.low > 0.3 && base.p_value < 0.001);
    // The same answers to the same documents.
    assert_eq!((maths.difference, maths.p_value), (0.0, 1.0));
}

/// Winner 64, expert 64, base 20 by acc; by acc_norm the base is at 70 and the winner at 60.
#[test]
fn metrics_that_disagree_are_told_and_only_those() {
    let folder = tempfile::tempdir().unwrap();
    write_run(folder.path(), false);
    let mut writer = RunWriter::resume(folder.path()).unwrap();
    let rows = [
        (0, "base", TrialKind::Baseline, [20, 20], [("acc_norm", 0.7), ("acc_bytes", 0.1)]),
        (6, "winner", TrialKind::Final, [64, 64], [("acc_norm", 0.6), ("acc_bytes", 0.2)]),
    ];
    for (number, name, kind, right, others) in rows {
        let row = named(number, name, kind, Split::Holdout, right);
        writer.append(&Trial { outcome: scored_by(right, &others), ..row }).unwrap();
    }
    let summary = Summary::load(&RunFolder::open(folder.path()).unwrap()).unwrap();
    let text = summary.render();
    for expected in [
        "Metrics that disagree about the better model, on holdout\n",
        "  on arc, acc_norm puts base above the winner: 70.0 against 60.0 (acc, judged: 20.0 against 64.0)\n",
        "  over all tasks, acc_norm puts base above the winner: 70.0 against 60.0 (geometric mean, judged: 20.0 against 64.0)\n",
        "(boolq acc_bytes)",
    ] {
        assert!(text.contains(expected), "{expected:?} is not in\n{text}");
    }
    assert_eq!(text.matches(" puts ").count(), 3, "{text}");
    let json = serde_json::to_value(&summary).unwrap();
    let metrics = json["other_metrics"][0]["metrics"].as_array().unwrap();
    let agree: Vec<bool> = metrics.iter().map(|m| m["agrees"].as_bool().unwrap()).collect();
    assert_eq!(agree, [false, true, false, true, false, true]);
}

#[test]
fn convergence_by_hand() {
    let convergence = summary(true).convergence;
    let course = [0.4, 0.4, 0.7, 0.7, 0.8];
    assert!(convergence.course.iter().zip(course).all(|(a, b)| close(*a, b)));
    let best: Vec<usize> = convergence.best_so_far.iter().map(|best| best.trials).collect();
    assert_eq!(best, [1, 2, 5]);
    let [first, second] = &convergence.generations[..] else {
        panic!("{:?}", convergence.generations);
    };
    assert_eq!((first.feasible, first.infeasible), (2, 1));
    assert!(close(first.median.unwrap(), 0.55) && close(first.best.unwrap(), 0.7));
    assert!(close(second.median.unwrap(), 0.65) && close(second.best.unwrap(), 0.8));
}

#[test]
fn the_text_has_every_table() {
    let text = summary(true).render();
    for expected in [
        "trials    5, 1 of them infeasible",
        "documents 800 scored for them",
        "objective geometric mean\n",
        "Geometric mean of the tasks' scores, per cent",
        "budget    1h; last trial after 9s",
        "  maths       1  30.0 [",
        "+16.0",
        "Pareto front",
        // 1 + 7·(0.7 - 0.4)/(0.8 - 0.4) = 6.25th of eight blocks.
        "  ▁▁▆▆█\n",
    ] {
        assert!(text.contains(expected), "{expected:?} is not in\n{text}");
    }
}

#[test]
fn a_run_still_searching_has_no_holdout() {
    let summary = summary(false);
    assert!(summary.comparisons.is_empty() && summary.front.points.is_empty());
    assert!(summary.standings[0].holdout.is_none() && summary.standings[0].gap().is_none());
    let text = summary.render();
    assert!(text.contains("Score per task on search"), "{text}");
    assert!(!text.contains("disagree"), "{text}");
    assert!(!text.contains("Pareto front"));
}

#[test]
fn a_run_without_trials_renders() {
    let folder = tempfile::tempdir().unwrap();
    drop(RunWriter::create(folder.path(), manifest(&["arc"], 1)).unwrap());
    let summary = Summary::load(&RunFolder::open(folder.path()).unwrap()).unwrap();
    assert!(summary.render().contains("trials    0, 0 of them infeasible"));
    assert_eq!(serde_json::to_value(&summary).unwrap()["header"]["seed"], 7);
}

/// Leaves a run for `tests/reference/read_parquet.py` where `MERGE_SEARCH_TEST_KEEP` says.
#[test]
fn a_run_for_other_readers() {
    if let Ok(path) = std::env::var("MERGE_SEARCH_TEST_KEEP") {
        write_run(Path::new(&path), true);
    }
}

/// Three candidates on 40 of 100 documents of each task, the better two on 100; one of these is infeasible there.
#[test]
fn a_raced_trial_counts_once_with_its_last_rung() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer =
        RunWriter::create(folder.path(), manifest(&["arc", "boolq"], DOCS as u64)).unwrap();
    let rung = |number: u64, rung: u32, docs: usize, right: usize| {
        let mut outcome = scored([right; 2]);
        if let Outcome::Feasible(evaluation) = &mut outcome {
            evaluation.tasks.iter_mut().for_each(|task| task.items.truncate(docs));
        }
        let docs = Some(DocSubset::whole(&[docs; 2]));
        Trial { rung, docs, ..measured(number, 1, outcome) }
    };
    let none = Outcome::Infeasible { reason: "not finite".to_owned() };
    let infeasible =
        Trial { outcome: none, objective: None, geometric_mean: None, ..rung(4, 1, 100, 0) };
    let rows = [
        rung(2, 0, 40, 10),
        rung(3, 0, 40, 30),
        rung(4, 0, 40, 36),
        rung(3, 1, 100, 70),
        Trial { companion: None, ..infeasible },
    ];
    rows.iter().for_each(|row| writer.append(row).unwrap());
    let summary = Summary::load(&RunFolder::open(folder.path()).unwrap()).unwrap();
    assert_eq!(
        (summary.header.trials, summary.header.infeasible, summary.header.items),
        (3, 1, 280)
    );
    let course = summary.convergence.course;
    assert!(course.len() == 3 && close(course[0], 0.25) && close(course[2], 0.7), "{course:?}");
    let [generation] = &summary.convergence.generations[..] else { panic!("one generation") };
    assert_eq!((generation.feasible, generation.infeasible, generation.items), (2, 1, 280));
    assert!(close(generation.median.unwrap(), 0.475), "of 0.25 and 0.7");
}

/// Times with intervals of ± 5 %, accuracies on selection in per cent; the holdout puts them the other way round.
fn measured_rows() -> Vec<FrontRow> {
    let score = |percent: f64| {
        let value = percent / 100.0;
        Some(Estimate { value, low: value - 0.05, high: value + 0.05 })
    };
    let row = |trial: u64, name: Option<&str>, member: bool, time: f64, percent: f64| {
        let around = Estimate { value: time, low: 0.95 * time, high: 1.05 * time };
        FrontRow {
            trial,
            name: name.map(str::to_owned),
            member,
            objectives: [None, score(percent), score(100.0 - percent)],
            relative_time: time,
            timing: Some(Timing {
                relative_time: around,
                seconds_per_item: around,
                seconds_per_token: None,
                load_seconds: Seconds(1.0),
                resident_bytes: Bytes(1),
                rounds: 5,
            }),
            cost: Cost { flops_per_item: 1e6, weight_bytes: Bytes(2_000_000) },
            recipe: String::new(),
        }
    };
    vec![
        row(7, None, true, 0.5, 20.0),
        row(8, None, true, 0.75, 45.0),
        row(0, Some("base"), false, 1.0, 30.0),
        row(9, Some("winner"), true, 1.5, 60.0),
    ]
}

/// Chord from (0.5, 20) to (1.5, 60): at 0.75 it is at 30, and trial 8 at 45.
#[test]
fn knee_and_picks_by_hand() {
    let folder = tempfile::tempdir().unwrap();
    write_run(folder.path(), false);
    let writer = RunWriter::resume(folder.path()).unwrap();
    writer.write_front(&measured_rows()).unwrap();
    let summary = Summary::load(&RunFolder::open(folder.path()).unwrap()).unwrap();
    let front = &summary.front;
    assert_eq!((front.split, front.knee), (Split::Selection, Some(8)));
    let picks: Vec<(f64, Option<u64>)> = front.picks.iter().map(|p| (p.budget, p.trial)).collect();
    // The interval of 0.75 reaches down to 0.7125, that of 1.5 to 1.425.
    assert_eq!(picks, [(0.5, Some(7)), (0.75, Some(8)), (1.0, Some(8)), (1.25, Some(8))]);
    let within = |budget: f64| front.clone().within(budget).picks[0].trial;
    assert_eq!([0.4, 0.72, 1.43].map(within), [None, Some(8), Some(9)]);
    let text = summary.render();
    for expected in [
        "Best by selection\n  within 0.50 of the base model's time: trial 7, 20.0 at 0.500 [0.475, 0.525]\n",
        "* winner      9",
        "0.750 [0.712, 0.788]  0.7500   2.0 MB  knee\n",
        // The winner is the slowest and the best: top right.
        "   60.0 |                                                       W\n",
        "   20.0 |*\n",
    ] {
        assert!(text.contains(expected), "{expected:?} is not in\n{text}");
    }
}
