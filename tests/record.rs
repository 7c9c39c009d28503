//! What goes into a run folder comes out of it, and only one process writes it.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use merge_search::genome::{Domain, Gene, Genotype};
use merge_search::objective::{Aggregate, AggregateChoice, Constraints};
use merge_search::outcome::{
    Cost, DocSubset, Estimate, Evaluation, ItemScore, MetricScore, Outcome, TaskScore, Timing,
};
use merge_search::record::{
    CheckpointEntry, DocCounts, FrontRow, GeneColumn, OptimizerSettings, RecordError, RecordedRow,
    RunBudget, RunFolder, RunManifest, RunWriter, SCHEMA_VERSION, SpaceFile, TaskEntry, Trial,
    TrialKind,
};
use merge_search::units::{Bytes, Seconds, Seed, Split};
use proptest::prelude::*;

/// Metrics that every task of [`manifest`] has besides the judged one.
pub const OTHERS: [&str; 2] = ["acc_norm", "acc_bytes"];

pub fn manifest(tasks: &[&str], docs: u64) -> RunManifest {
    let gene = |name: &str, domain| GeneColumn { name: name.to_owned(), domain };
    RunManifest {
        schema_version: SCHEMA_VERSION,
        written_by: "0.1.0".to_owned(),
        created_at: "2025-01-01T00:00:00Z".to_owned(),
        command_line: vec!["merge-search".to_owned(), "--seed".to_owned(), "7".to_owned()],
        seed: Seed(7),
        space: SpaceFile::new("tiny.toml".to_owned(), "base = \"tiny\"\n".to_owned()),
        genes: vec![
            gene("weight", Domain::Continuous { low: -1.0, high: 2.0 }),
            gene("layers", Domain::Integer { low: 0, high: 9 }),
            gene(
                "method",
                Domain::Categorical { choices: vec!["ties".to_owned(), "dare_ties".to_owned()] },
            ),
        ],
        optimizer: OptimizerSettings {
            kind: "cma-es".to_owned(),
            population: 8,
            sigma: Some(0.3),
            workers: 2,
            ..OptimizerSettings::default()
        },
        budget: RunBudget { seconds: Some(3600.0), trials: None },
        tasks: (tasks.iter())
            .map(|name| TaskEntry {
                name: (*name).to_owned(),
                metric: "acc".to_owned(),
                others: OTHERS.map(str::to_owned).to_vec(),
                sha256: "00".to_owned(),
                source: Default::default(),
                docs: DocCounts { search: docs, selection: docs, holdout: docs },
            })
            .collect(),
        objective: Aggregate::new(&AggregateChoice::default(), tasks).unwrap(),
        objectives: vec!["accuracy".to_owned(), "time".to_owned()],
        constraints: Constraints { max_relative_time: Some(1.2), max_relative_memory: None },
        tie_break: true,
        checkpoints: vec![CheckpointEntry { name: "tiny".to_owned(), sha256: "11".to_owned() }],
        device: "cpu".to_owned(),
    }
}

pub fn trial(number: u64, generation: u64, outcome: Outcome) -> Trial {
    let feasible = matches!(outcome, Outcome::Feasible(_));
    Trial {
        trial: number,
        name: None,
        generation,
        kind: TrialKind::Candidate,
        split: Split::Search,
        rung: 0,
        docs: None,
        outcome,
        geometric_mean: feasible.then_some(Estimate { value: 0.5, low: 0.4, high: 0.6 }),
        objective: feasible.then_some(Estimate { value: 0.45, low: 0.35, high: 0.55 }),
        companion: feasible.then_some(0.1 + number as f64),
        recipe: "merge_method: ties\n".to_owned(),
        genotype: Some(Genotype(vec![
            Gene::Real(0.1 + number as f64),
            Gene::Integer(3),
            Gene::Category(1),
        ])),
        seed: Seed(u64::MAX - number),
        elapsed: Seconds(1.5 * number as f64),
        started_at: 1_735_689_600_000_000 + number as i64,
    }
}

pub fn scored(tasks: &[&str], docs: usize, salt: u64) -> Outcome {
    let items = |task: usize| {
        (0..docs).map(move |doc| {
            let mixed = (doc as u64 * 7919 + salt * 104_729 + task as u64 * 31) % 1009;
            ItemScore {
                score: f64::from(u8::from(!mixed.is_multiple_of(3))),
                chosen: Some((mixed % 4) as u32),
                margin: mixed as f32 / 1009.0 - 0.3,
            }
        })
    };
    Outcome::Feasible(Evaluation {
        tasks: (tasks.iter().enumerate())
            .map(|(index, name)| TaskScore {
                task: (*name).to_owned(),
                items: items(index).collect(),
                others: OTHERS.map(|metric| other(metric, salt as f64 / 1009.0)).to_vec(),
            })
            .collect(),
        merge_seconds: Seconds(0.25),
        score_seconds: Seconds(2.0),
        seconds_per_item: Seconds(0.01),
        relative_time: 1.02,
        peak_bytes: Bytes(123_456_789),
        cost: merge_search::outcome::Cost::default(),
    })
}

fn other(metric: &str, score: f64) -> MetricScore {
    MetricScore { metric: metric.to_owned(), score }
}

fn finite() -> impl Strategy<Value = f64> + Clone {
    any::<f64>().prop_filter("finite", |x| x.is_finite())
}

fn any_outcome() -> impl Strategy<Value = Outcome> {
    let item = (finite(), prop::option::of(any::<u32>()), any::<f32>()).prop_map(
        |(score, chosen, margin)| {
            let margin = if margin.is_nan() { 0.0 } else { margin };
            ItemScore { score, chosen, margin }
        },
    );
    // Any of the metrics may be missing, in their order.
    let others = || {
        [prop::option::of(finite()), prop::option::of(finite())].prop_map(|scores| {
            let named = OTHERS.iter().zip(scores);
            named.filter_map(|(metric, score)| Some(other(metric, score?))).collect::<Vec<_>>()
        })
    };
    let items = || prop::collection::vec(item.clone(), 1..6);
    let tasks = ((items(), others()), (items(), others()));
    let costs = (finite(), any::<u64>());
    let feasible = (tasks, [finite(), finite(), finite(), finite()], any::<u64>(), costs).prop_map(
        |((a, b), seconds, bytes, costs)| {
            let tasks = [("arc", a), ("boolq", b)];
            Outcome::Feasible(Evaluation {
                tasks: tasks
                    .map(|(task, (items, others))| TaskScore {
                        task: task.to_owned(),
                        items,
                        others,
                    })
                    .into(),
                merge_seconds: Seconds(seconds[0]),
                score_seconds: Seconds(seconds[1]),
                seconds_per_item: Seconds(seconds[2]),
                relative_time: seconds[3],
                peak_bytes: Bytes(bytes),
                cost: Cost { flops_per_item: costs.0, weight_bytes: Bytes(costs.1) },
            })
        },
    );
    prop_oneof![
        3 => feasible,
        1 => any::<String>().prop_map(|reason| Outcome::Infeasible { reason }),
    ]
}

fn any_trial() -> impl Strategy<Value = Trial> {
    let kinds = [TrialKind::Baseline, TrialKind::Candidate, TrialKind::Final, TrialKind::Front];
    let genotype = (finite(), any::<i64>(), 0usize..2).prop_map(|(real, integer, category)| {
        Genotype(vec![Gene::Real(real), Gene::Integer(integer), Gene::Category(category)])
    });
    (
        (any::<u64>(), prop::option::of(any::<String>()), 0u64..4),
        (prop::sample::select(kinds.to_vec()), prop::sample::select(&Split::ALL), any_outcome()),
        (prop::array::uniform7(finite()), any::<String>(), prop::option::of(genotype)),
        (any::<u64>(), finite(), any::<i64>()),
    )
        .prop_map(|(who, how, what, when)| Trial {
            rung: (when.0 % 3) as u32,
            docs: docs_of(&how.2, when.0),
            trial: who.0,
            name: who.1,
            generation: who.2,
            kind: how.0,
            split: how.1,
            geometric_mean: how.2.evaluation().map(|_| Estimate {
                value: what.0[0],
                low: what.0[1],
                high: what.0[2],
            }),
            objective: how.2.evaluation().map(|_| Estimate {
                value: what.0[3],
                low: what.0[4],
                high: what.0[5],
            }),
            companion: how.2.evaluation().map(|_| what.0[6]),
            outcome: how.2,
            recipe: what.1,
            genotype: what.2,
            seed: Seed(when.0),
            elapsed: Seconds(when.1),
            started_at: when.2,
        })
}

/// Of five documents per task as many as were scored, another choice for each number; none for some.
fn docs_of(outcome: &Outcome, number: u64) -> Option<DocSubset> {
    let some_of_five = |task: usize, count: usize| {
        let mut docs: Vec<u32> = (0..5).collect();
        docs.sort_by_key(|doc| (number >> (8 * task + *doc as usize)) & 1);
        docs.truncate(count);
        docs.sort();
        docs
    };
    let counts = match outcome.evaluation() {
        Some(evaluation) => evaluation.tasks.iter().map(|task| task.items.len()).collect(),
        None => vec![(number % 6) as usize, 2],
    };
    let docs = counts.iter().enumerate().map(|(task, &count)| some_of_five(task, count)).collect();
    (!number.is_multiple_of(4)).then_some(DocSubset(docs))
}

/// Order of the parts: generations, then the other splits; within a part by number.
fn part_order(trial: &Trial) -> (bool, Split, u64, u64, u32) {
    let last =
        matches!(trial.kind, TrialKind::Final | TrialKind::Front) || trial.split != Split::Search;
    match last {
        true => (true, trial.split, 0, trial.trial, trial.rung),
        false => (false, Split::Search, trial.generation, trial.trial, trial.rung),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    /// `Debug` writes the shortest decimal that reads back as the same float, and tells -0 from 0.
    #[test]
    fn trials_come_back_bit_for_bit(trials in prop::collection::vec(any_trial(), 1..12), cut in 0usize..12) {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = RunWriter::create(folder.path(), manifest(&["arc", "boolq"], 5)).unwrap();
        let cut = cut.min(trials.len());
        for trial in &trials[..cut] {
            writer.append(trial).unwrap();
        }
        drop(writer);
        let mut writer = RunWriter::resume(folder.path()).unwrap();
        for trial in &trials[cut..] {
            writer.append(trial).unwrap();
        }
        let mut expected = trials.clone();
        expected.sort_by_key(part_order);
        let read = RunFolder::open(folder.path()).unwrap().trials().unwrap();
        prop_assert_eq!(format!("{read:?}"), format!("{expected:?}"));
    }
}

/// A trial that was raced over `docs` documents of each task, every other one of the split.
pub fn raced(number: u64, rung: u32, docs: usize) -> Trial {
    let every_other: Vec<u32> = (0..docs as u32).map(|doc| 2 * doc).collect();
    let whole = trial(number, 1, scored(&["arc", "boolq"], docs, number));
    Trial { rung, docs: Some(DocSubset(vec![every_other; 2])), ..whole }
}

#[test]
fn the_rungs_of_a_race_are_rows_of_one_part() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = RunWriter::create(folder.path(), manifest(&["arc", "boolq"], 20)).unwrap();
    // As they are finished: one candidate is ahead of the others.
    let finished = [
        raced(4, 0, 3),
        raced(5, 0, 3),
        raced(4, 1, 6),
        raced(6, 0, 3),
        raced(6, 1, 6),
        raced(4, 2, 10),
    ];
    for trial in &finished {
        writer.append(trial).unwrap();
    }
    let run = RunFolder::open(folder.path()).unwrap();
    let keys =
        |rows: &[RecordedRow]| rows.iter().map(|row| (row.trial, row.rung)).collect::<Vec<_>>();
    let rows = run.rows().unwrap();
    assert_eq!(keys(&rows), [(4, 0), (5, 0), (4, 1), (6, 0), (6, 1), (4, 2)]);
    assert!(rows.iter().all(|row| row.part == rows[0].part));
    assert_eq!(run.part(rows[0].part).unwrap(), finished);
    let sorted: Vec<(u64, u32)> = run.trials().unwrap().iter().map(|t| (t.trial, t.rung)).collect();
    assert_eq!(sorted, [(4, 0), (4, 1), (4, 2), (5, 0), (6, 0), (6, 1)]);
}

#[test]
fn the_manifest_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let written = manifest(&["arc"], 5);
    drop(RunWriter::create(folder.path(), written.clone()).unwrap());
    assert_eq!(*RunFolder::open(folder.path()).unwrap().manifest(), written);
    // sha256sum of the space text.
    assert_eq!(
        written.space.sha256,
        "e1a2947d15024f3df574e27cb710e862fd1d919583aa1a13eca630aec6e7e37b"
    );
}

/// Measured, with every field another number; or not.
fn front_row(trial: u64, measured: bool) -> FrontRow {
    let estimate = |value: f64| Estimate { value, low: value - 0.125, high: value + 0.25 };
    let timing = Timing {
        relative_time: estimate(0.75),
        seconds_per_item: estimate(0.5),
        seconds_per_token: None,
        load_seconds: Seconds(3.5),
        resident_bytes: Bytes(4096),
        rounds: 5,
    };
    FrontRow {
        trial,
        name: measured.then(|| "winner".to_owned()),
        member: measured,
        objectives: [Some(estimate(0.625)), measured.then(|| estimate(0.375)), None],
        relative_time: 0.75,
        timing: measured.then_some(timing),
        cost: Cost { flops_per_item: 1e9, weight_bytes: Bytes(88) },
        recipe: "merge_method: ties\n".to_owned(),
    }
}

#[test]
fn the_front_and_texts_are_written_over() {
    let folder = tempfile::tempdir().unwrap();
    let writer = RunWriter::create(folder.path(), manifest(&["arc"], 5)).unwrap();
    assert!(writer.folder().front().unwrap().is_empty());
    assert_eq!(writer.folder().timings().unwrap(), None);
    let rows = [front_row(1, true), front_row(2, false)];
    for rows in [&rows[..], &rows[1..]] {
        writer.write_front(rows).unwrap();
        assert_eq!(writer.folder().front().unwrap(), rows);
    }
    let timings: Vec<(u64, Option<Timing>)> = rows.map(|row| (row.trial, row.timing)).into();
    writer.write_timings(&timings).unwrap();
    assert_eq!(writer.folder().timings().unwrap(), Some(timings));
    writer.write_text("best.yaml", "a: 1\n").unwrap();
    writer.write_text("best.yaml", "a: 2\n").unwrap();
    let text = fs::read_to_string(folder.path().join("best.yaml")).unwrap();
    assert_eq!(text, "a: 2\n");
}

#[test]
fn a_run_has_one_writer() {
    let folder = tempfile::tempdir().unwrap();
    let writer = RunWriter::create(folder.path(), manifest(&["arc"], 5)).unwrap();
    let second = RunWriter::resume(folder.path()).unwrap_err();
    assert!(matches!(second, RecordError::Locked { .. }), "{second}");
    assert!(RunFolder::open(folder.path()).unwrap().trials().unwrap().is_empty());
    drop(writer);
    let again = RunWriter::create(folder.path(), manifest(&["arc"], 5)).unwrap_err();
    assert!(matches!(again, RecordError::NotEmpty { .. }));
    assert!(again.to_string().contains("--resume"));
    RunWriter::resume(folder.path()).unwrap();
}

const CHILD: &str = "MERGE_SEARCH_TEST_RUN";

/// Not a test of its own: what the next test kills.
#[test]
fn writes_until_killed() {
    let Ok(path) = std::env::var(CHILD) else {
        return;
    };
    let tasks = ["arc", "boolq"];
    let mut writer = RunWriter::create(Path::new(&path), manifest(&tasks, 100)).unwrap();
    for number in 0.. {
        let trial = trial(number, number / 10, scored(&tasks, 100, number));
        writer.append(&trial).unwrap();
        fs::write(format!("{path}.finished"), number.to_string()).unwrap();
    }
}

#[test]
fn a_killed_writer_loses_only_what_was_in_flight() {
    let tasks = ["arc", "boolq"];
    for milliseconds in [150, 310, 470] {
        let folder = tempfile::tempdir().unwrap();
        let run = folder.path().join("run");
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["record::writes_until_killed", "--nocapture"])
            .env(CHILD, &run)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let finished = folder.path().join("run.finished");
        while !finished.exists() {
            std::thread::sleep(Duration::from_millis(5));
        }
        std::thread::sleep(Duration::from_millis(milliseconds));
        child.kill().unwrap();
        child.wait().unwrap();
        let finished: u64 = fs::read_to_string(&finished).unwrap().parse().unwrap_or(0);
        let mut writer = RunWriter::resume(&run).unwrap();
        let trials = writer.folder().trials().unwrap();
        assert!(trials.len() as u64 > finished, "{} {finished}", trials.len());
        for (number, read) in (0..).zip(&trials) {
            assert_eq!(*read, trial(number, number / 10, scored(&tasks, 100, number)));
        }
        let next = trials.len() as u64;
        let trial = trial(next, next / 10, scored(&tasks, 100, next));
        writer.append(&trial).unwrap();
        assert_eq!(writer.folder().trials().unwrap().last(), Some(&trial));
    }
}

/// A trial takes seconds to score; putting it on disk must not show. The figures are printed, the bound is loose: the
/// machine may be busy, and most of the time is the disk's.
#[test]
fn appending_is_cheap() {
    let tasks = ["arc", "boolq", "hellaswag"];
    let folder = tempfile::tempdir().unwrap();
    let mut writer = RunWriter::create(folder.path(), manifest(&tasks, 500)).unwrap();
    let mut times: Vec<Duration> = (0..30)
        .map(|number| {
            let trial = trial(number, 1, scored(&tasks, 500, number));
            let start = Instant::now();
            writer.append(&trial).unwrap();
            start.elapsed()
        })
        .collect();
    times.sort();
    let start = Instant::now();
    assert_eq!(writer.folder().trials().unwrap().len(), 30);

    println!("reading them: {:?}", start.elapsed());
    println!("30 appends of 1500 items: median {:?}, slowest {:?}", times[15], times[29]);
    assert!(times[15] < Duration::from_millis(200), "{times:?}");
}
