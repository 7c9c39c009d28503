//! The front after a search, of models whose accuracies and times are known.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::genome::GroupFilters;
use crate::objective::{Aggregate, Constraints};
use crate::optimizer::{self, OptimizerKind, Settings};
use crate::outcome::{
    Cost, DocSubset, Estimate, Evaluation, ItemScore, Outcome, TaskScore, Timing,
};
use crate::recipe::{Layout, Profile, Recipe, Setting, Value};
use crate::record::{
    DocCounts, FrontRow, GeneColumn, OptimizerSettings, RunBudget, RunFolder, RunManifest,
    SCHEMA_VERSION, SpaceFile, TaskEntry, Trial, TrialKind,
};
use crate::space::{Objective, SearchSpace};
use crate::units::{Bytes, Seconds};

const SPACE: &str = r#"
name = "front"
[models]
base = "made/base"
[models.experts]
a = "made/a"
b = "made/b"
[merge]
methods = ["task_arithmetic"]
[parameters]
weight = { range = [0.0, 1.0], initial = 0.5, per = ["expert"] }
[routing.prompts.t1]             # no gene, but candidates that may read more or less
num_fewshot = [0]
[tasks]
folders = ["t1"]
"#;

const DOCS: usize = 120;

/// The first weight says how much a model computes, half, as much or twice as much as the base model, and so how good it can
/// be; the second how good it is.
struct Made {
    kind: OptimizerKind,
    objectives: Vec<Objective>,
    constraints: Constraints,
    /// Half of each interval of a time, as a share of the time.
    spread: f64,
    evaluated: AtomicUsize,
    timed: AtomicUsize,
    /// Raise `interrupt` when so many trials have been scored; 0: when times are measured.
    interrupt_at: usize,
    interrupt: AtomicBool,
}

impl Made {
    fn new() -> Self {
        Self {
            kind: OptimizerKind::Nsga2,
            objectives: vec![Objective::Aggregate, Objective::RelativeTime],
            constraints: Constraints::default(),
            spread: 0.02,
            evaluated: AtomicUsize::new(0),
            timed: AtomicUsize::new(0),
            interrupt_at: usize::MAX,
            interrupt: AtomicBool::new(false),
        }
    }

    fn limited(kind: OptimizerKind, limit: f64) -> Self {
        let constraints = Constraints { max_relative_time: Some(limit), max_relative_memory: None };
        Self { kind, constraints, ..Self::new() }
    }
}

/// Work, the base model's = 1, and accuracy.
fn truth(recipe: &Recipe) -> (f64, f64) {
    let Layout::Models(models) = &recipe.layout else { panic!("models expected") };
    let weight = |setting: &Setting| match setting {
        Setting::Everywhere(Profile::Constant(Value::Number(number))) => *number,
        other => panic!("a number expected, got {other:?}"),
    };
    let weights: Vec<f64> =
        models.iter().filter_map(|model| model.parameters.get("weight")).map(weight).collect();
    match weights[..] {
        [a, b] if recipe.base_model.is_some() => {
            let (work, best) = match a {
                a if a < 0.33 => (0.5, 0.65),
                a if a < 0.66 => (1.0, 0.8),
                _ => (2.0, 0.95),
            };
            (work, best - 0.3 * (b - 0.3).abs())
        }
        _ => (1.0, 0.3),
    }
}

/// A fixed number in [0, 1).
fn mixed(seed: u64) -> f64 {
    let mut x = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((x ^ (x >> 31)) >> 11) as f64 / (1u64 << 53) as f64
}

impl Evaluator for Made {
    fn evaluate(
        &self,
        recipe: &Recipe,
        split: Split,
        docs: Option<&DocSubset>,
    ) -> Result<Outcome, EvaluateError> {
        if self.evaluated.fetch_add(1, Ordering::SeqCst) + 1 == self.interrupt_at {
            self.interrupt.store(true, Ordering::SeqCst);
        }
        let (work, accuracy) = truth(recipe);
        let whole = DocSubset::whole(&self.docs(split));
        let item = |doc: &u32| {
            let margin = accuracy - mixed((split as u64) << 32 | u64::from(*doc));
            let score = f64::from(u8::from(margin > 0.0));
            ItemScore { score, chosen: Some(0), margin: margin as f32 }
        };
        let items = docs.unwrap_or(&whole).0[0].iter().map(item).collect();
        let text: u64 = recipe
            .to_yaml()
            .bytes()
            .fold(0, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte)));
        // Measured among others: half to one and a half times the truth.
        let relative_time = work * (0.5 + mixed(text));
        Ok(Outcome::Feasible(Evaluation {
            tasks: vec![TaskScore { task: "t1".to_owned(), items, others: Vec::new() }],
            merge_seconds: Seconds(0.0),
            score_seconds: Seconds(0.0),
            seconds_per_item: Seconds(0.0),
            relative_time,
            peak_bytes: Bytes(1),
            // Selection has longer documents.
            cost: Cost {
                flops_per_item: work * if split == Split::Selection { 3000.0 } else { 1000.0 },
                weight_bytes: Bytes((work * 100.0) as u64),
            },
        }))
    }

    /// Otherwise at each measurement, as in life.
    fn times(
        &self,
        recipes: &[&Recipe],
        split: Split,
        rounds: usize,
    ) -> Result<Vec<Option<Timing>>, EvaluateError> {
        let before = self.timed.fetch_add(1, Ordering::SeqCst);
        if self.interrupt_at == 0 {
            self.interrupt.store(true, Ordering::SeqCst);
        }
        assert_eq!(split, Split::Selection);
        let around = |value: f64| Estimate {
            value,
            low: value * (1.0 - self.spread),
            high: value * (1.0 + self.spread),
        };
        let timing = |recipe: &&Recipe| Timing {
            relative_time: around(truth(recipe).0 * (1.0 + 0.001 * before as f64)),
            seconds_per_item: around(0.25),
            seconds_per_token: None,
            load_seconds: Seconds(1.5),
            resident_bytes: Bytes(7),
            rounds,
        };
        Ok(recipes.iter().map(|recipe| Some(timing(recipe))).collect())
    }

    fn docs(&self, _: Split) -> Vec<usize> {
        vec![DOCS]
    }
}

fn manifest(decoder: &Decoder) -> RunManifest {
    let docs = DocCounts { search: DOCS as u64, selection: DOCS as u64, holdout: DOCS as u64 };
    RunManifest {
        schema_version: SCHEMA_VERSION,
        written_by: "test".to_owned(),
        created_at: String::new(),
        command_line: Vec::new(),
        seed: Seed(1),
        space: SpaceFile::new("front.toml".to_owned(), SPACE.to_owned()),
        genes: decoder.dimensions().iter().map(GeneColumn::from).collect(),
        optimizer: OptimizerSettings {
            kind: "nsga2".to_owned(),
            population: 12,
            workers: 2,
            ..OptimizerSettings::default()
        },
        budget: RunBudget { seconds: None, trials: None },
        tasks: vec![TaskEntry {
            name: "t1".to_owned(),
            metric: "acc".to_owned(),
            others: Vec::new(),
            sha256: String::new(),
            source: Default::default(),
            docs,
        }],
        objective: Aggregate::new(&decoder.space().aggregate, &["t1"]).unwrap(),
        objectives: Vec::new(),
        constraints: decoder.space().constraints,
        tie_break: true,
        checkpoints: Vec::new(),
        device: "cpu".to_owned(),
    }
}

/// Begins a run in `folder`, or goes on with it.
fn go(folder: &Path, made: &Made, workers: usize) -> Ending {
    let mut space = SearchSpace::parse(SPACE, Path::new("/made/front.toml")).unwrap();
    space.objectives.clone_from(&made.objectives);
    space.constraints = made.constraints;
    let decoder = Decoder::new(space, 4, GroupFilters::llama()).unwrap();
    let writer = match folder.join("manifest.json").exists() {
        true => RunWriter::resume(folder).unwrap(),
        false => RunWriter::create(folder, manifest(&decoder)).unwrap(),
    };
    let settings = Settings {
        population: Some(12),
        surrogate: true,
        objectives: made.objectives.len(),
        ..Settings::default()
    };
    run(Setup {
        decoder: &decoder,
        layers: 4,
        evaluator: made,
        workers: &Workers::new(workers),
        optimizer: optimizer::build(made.kind, decoder.dimensions(), Seed(1), &settings).unwrap(),
        racing: None,
        budget: Budget::Trials(48),
        seed: Seed(1),
        writer,
        started: Instant::now(),
        interrupt: &made.interrupt,
        listener: &|_: SearchEvent<'_>| {},
    })
    .unwrap()
}

fn finished(made: &Made) -> (Report, Vec<FrontRow>) {
    let folder = tempfile::tempdir().unwrap();
    let Ending::Finished(report) = go(folder.path(), made, 2) else { panic!("interrupted") };
    let front = RunFolder::open(folder.path()).unwrap().front().unwrap();
    assert_eq!(report.front, front, "what is reported is what is recorded");
    (*report, front)
}

fn members(front: &[FrontRow]) -> Vec<&FrontRow> {
    front.iter().filter(|row| row.member).collect()
}

#[test]
fn members_are_scored_where_nobody_chose_them_and_timed() {
    for kind in [OptimizerKind::Nsga2, OptimizerKind::ScalarisedCma, OptimizerKind::CatCma] {
        let made = Made { kind, ..Made::new() };
        let (report, front) = finished(&made);
        assert_eq!(made.timed.into_inner(), 1);
        let times: Vec<f64> = front.iter().map(|row| row.relative_time).collect();
        assert!(times.is_sorted(), "{kind}: {times:?}");
        let baselines = front.iter().filter(|row| row.trial < 4);
        assert_eq!(baselines.clone().count(), 4, "base, two experts and the average");
        assert!(baselines.clone().all(|row| row.objectives.iter().all(Option::is_some)));
        let members = members(&front);
        assert!(members.iter().any(|row| row.trial == report.winner.trial));
        assert!(front.len() - 4 <= 10);
        for row in &front {
            let timing = row.timing.unwrap();
            assert_eq!((timing.rounds, timing.relative_time.value), (9, row.relative_time));
            assert!(row.on(Split::Selection).is_some());
            assert!(row.trial < 4 || row.member == row.on(Split::Holdout).is_some(), "{row:?}");
            assert_eq!(row.cost.flops_per_item, 3000.0 * row.relative_time);
        }
        if kind != OptimizerKind::CatCma {
            // Half, as much and twice as much work: each is better than all that do less.
            let mut kinds = members.iter().map(|row| row.relative_time).collect::<Vec<_>>();
            kinds.dedup();
            assert_eq!(kinds, [0.5, 1.0, 2.0], "{kind}");
        }
        let selected = |row: &FrontRow| row.on(Split::Selection).unwrap().value;
        for member in members.iter().filter(|row| row.trial != report.winner.trial) {
            let faster = front.iter().filter(|row| row.relative_time <= member.relative_time);
            assert!(faster.into_iter().all(|row| selected(row) <= selected(member)), "{kind}");
        }
    }
}

/// All intervals overlap, so that all times are equal and nothing but accuracy counts.
#[test]
fn times_that_cannot_be_told_apart_make_no_front() {
    let (report, front) = finished(&Made { spread: 0.7, ..Made::new() });
    let best = front.iter().map(|row| row.on(Split::Selection).unwrap().value);
    let best = best.fold(0.0, f64::max);
    for row in members(&front) {
        let score = row.on(Split::Selection).unwrap().value;
        assert!(score == best || row.trial == report.winner.trial, "{row:?}");
    }
    assert!(members(&front).len() <= 2);
}

#[test]
fn with_one_objective_nothing_is_measured() {
    let made =
        Made { kind: OptimizerKind::CatCma, objectives: vec![Objective::Aggregate], ..Made::new() };
    let (report, front) = finished(&made);
    assert_eq!(made.timed.into_inner(), 0);
    assert!(report.measured_front().next().is_none());
    assert!(front.iter().all(|row| row.timing.is_none()) && members(&front).len() == 1);
}

/// Twice the base model's work is not allowed, though it is the most accurate.
#[test]
fn who_passes_a_limit_neither_wins_nor_is_on_the_front() {
    for kind in [OptimizerKind::Nsga2, OptimizerKind::ScalarisedCma, OptimizerKind::CatCma] {
        let (report, front) = finished(&Made::limited(kind, 1.2));
        assert!(report.beyond_limits > 0, "{kind}");
        assert!(!report.nothing_better, "{kind}");
        let row = front.iter().find(|row| row.trial == report.winner.trial).unwrap();
        assert_eq!(row.relative_time, 1.0, "{kind}");
        assert!(members(&front).iter().all(|row| row.relative_time <= 1.2), "{kind}");
    }
}

/// A limit below the base model's time: no baseline keeps it, so that none wins.
#[test]
fn a_limit_holds_for_baselines_too() {
    let (report, front) = finished(&Made::limited(OptimizerKind::Nsga2, 0.6));
    let row = front.iter().find(|row| row.trial == report.winner.trial).unwrap();
    assert_eq!((row.relative_time, report.nothing_better), (0.5, false));
    assert!(members(&front).iter().all(|row| row.trial >= 4));
    // And one that nobody keeps: a baseline is what is left.
    let (report, _) = finished(&Made::limited(OptimizerKind::Nsga2, 0.1));
    assert!(report.nothing_better && report.beyond_limits == report.candidates);
}

#[test]
fn limits_lead_the_optimizer_back() {
    let (limited, free) = (
        Made::limited(OptimizerKind::CatCma, 1.2),
        Made { kind: OptimizerKind::CatCma, ..Made::new() },
    );
    let beyond = |made: &Made| {
        let folder = tempfile::tempdir().unwrap();
        go(folder.path(), made, 2);
        let trials = RunFolder::open(folder.path()).unwrap().trials().unwrap();
        let last = trials.iter().filter(|t| t.kind == TrialKind::Candidate && t.generation > 2);
        let heavy = |t: &&Trial| t.outcome.evaluation().unwrap().cost.flops_per_item > 1500.0;
        last.filter(heavy).count()
    };
    let (limited, free) = (beyond(&limited), beyond(&free));
    assert!(2 * limited < free, "{limited} of 24 with a limit, {free} without");
}

/// Rows without their clock times, and the files that a user takes.
fn files(folder: &Path) -> (Vec<Trial>, Vec<FrontRow>, [String; 2]) {
    let run = RunFolder::open(folder).unwrap();
    let timeless = |trial: Trial| Trial { elapsed: Seconds(0.0), started_at: 0, ..trial };
    let trials = run.trials().unwrap().into_iter().map(timeless).collect();
    let texts = ["best.yaml", "README.md"].map(|name| run.text(name).unwrap().unwrap());
    (trials, run.front().unwrap(), texts)
}

#[test]
fn stopped_anywhere_the_front_is_the_same() {
    for kind in [OptimizerKind::Nsga2, OptimizerKind::ScalarisedCma] {
        let whole = tempfile::tempdir().unwrap();
        let made = Made { kind, ..Made::new() };
        let Ending::Finished(_) = go(whole.path(), &made, 2) else { panic!("interrupted") };
        let all = made.evaluated.into_inner();
        let expected = files(whole.path());
        // In the search, before and while times are measured, and at every trial after the race; the last trial ends it.
        let fronts = expected.0.iter().filter(|trial| trial.kind == TrialKind::Front).count();
        assert!(fronts > 3, "{fronts}");
        let last = all - fronts - 2..all;
        let step = if kind == OptimizerKind::Nsga2 { 1 } else { last.len() };
        let stops = [0, 20].into_iter().chain(last.step_by(step));
        for interrupt_at in stops {
            let broken = tempfile::tempdir().unwrap();
            let first = Made { kind, interrupt_at, ..Made::new() };
            let ending = go(broken.path(), &first, 1);
            // The trials of the last step are all begun when the last of them is.
            let stopped = matches!(ending, Ending::Interrupted);
            assert!(stopped || interrupt_at + 2 > all, "{kind}, at {interrupt_at} of {all}");
            let second = Made { kind, ..Made::new() };
            let Ending::Finished(_) = go(broken.path(), &second, 3) else { panic!("stopped") };
            assert!(files(broken.path()) == expected, "{kind}, at {interrupt_at} of {all}");
            let timed = first.timed.into_inner() + second.timed.into_inner();
            assert_eq!(timed, 1, "{kind}, at {interrupt_at}: measured twice");
            let scored = first.evaluated.into_inner() + second.evaluated.into_inner();
            assert_eq!(scored, all, "{kind}, at {interrupt_at}: scored twice");
        }
    }
}

/// What stands in `timings.parquet` decides, whatever a new measurement would say; and it must be of these trials.
#[test]
fn recorded_times_decide() {
    let folder = tempfile::tempdir().unwrap();
    let Ending::Finished(_) = go(folder.path(), &Made::new(), 2) else { panic!("interrupted") };
    let expected = files(folder.path());
    let slower = Made { spread: 0.7, ..Made::new() };
    go(folder.path(), &slower, 2);
    assert!(files(folder.path()) == expected && slower.timed.into_inner() == 0);
    let writer = RunWriter::resume(folder.path()).unwrap();
    let mut timings = writer.folder().timings().unwrap().unwrap();
    timings.pop();
    writer.write_timings(&timings).unwrap();
    drop(writer);
    let outcome = std::panic::catch_unwind(|| go(folder.path(), &Made::new(), 2));
    assert!(outcome.is_err(), "a measurement of fewer models is not of this run");
}
