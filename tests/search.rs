//! The loop, driven by an evaluator that computes a known landscape instead of running a model: budget, replay, selection.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use merge_search::analysis::Summary;
use merge_search::evaluate::{EvaluateError, Evaluator, Workers};
use merge_search::genome::{Decoder, GroupFilters};
use merge_search::objective::Aggregate;
use merge_search::optimizer::{self, OptimizerKind, Restarts, Settings};
use merge_search::outcome::{DocSubset, Evaluation, ItemScore, Outcome, TaskScore};
use merge_search::race::Racing;
use merge_search::recipe::{Layout, Profile, Recipe, Setting, Value};
use merge_search::record::{
    DocCounts, GeneColumn, OptimizerSettings, RunBudget, RunFolder, RunManifest, RunWriter,
    SCHEMA_VERSION, SpaceFile, TaskEntry, Trial, TrialKind,
};
use merge_search::search::{self, Budget, Ending, Origin, Report, SearchEvent, Setup};
use merge_search::space::SearchSpace;
use merge_search::units::{Bytes, Seconds, Seed, Split};

pub const SPACE: &str = r#"
name = "landscape"
[models]
base = "made/base"
[models.experts]
a = "made/a"
b = "made/b"
[merge]
methods = ["task_arithmetic"]
[parameters]
weight = { range = [0.0, 1.0], initial = 0.5, per = ["expert"] }
[tasks]
folders = ["t1", "t2"]
"#;

const DOCS: usize = 60;

/// Accuracy falls with the distance of the two weights from (0.8, 0.3); parents and averages are poor.
pub struct Landscape {
    pub space: String,
    pub kind: OptimizerKind,
    pub restarts: Restarts,
    pub racing: Option<Racing>,
    pub population: usize,
    /// Accuracy on the second task is multiplied by this.
    pub second_task: f64,
    /// Accuracy of every merge with a base model is multiplied by this.
    pub merges: f64,
    pub sleep: Duration,
    /// A merge whose first weight is above this cannot be scored.
    pub infeasible_above: f64,
    pub evaluated: AtomicUsize,
    /// Raise `interrupt` when so many trials have been scored.
    pub interrupt_at: usize,
    pub interrupt: AtomicBool,
}

impl Landscape {
    pub fn new() -> Self {
        Self {
            space: SPACE.to_owned(),
            kind: OptimizerKind::CatCma,
            restarts: Restarts::None,
            racing: None,
            population: 12,
            second_task: 1.0,
            merges: 1.0,
            sleep: Duration::ZERO,
            infeasible_above: 2.0,
            evaluated: AtomicUsize::new(0),
            interrupt_at: usize::MAX,
            interrupt: AtomicBool::new(false),
        }
    }

    fn accuracy(&self, weights: &[f64]) -> f64 {
        match weights {
            [a, b] => self.merges * (0.95 - (a - 0.8).powi(2) - (b - 0.3).powi(2)).max(0.05),
            _ => 0.45,
        }
    }
}

fn weights(recipe: &Recipe) -> Vec<f64> {
    let Layout::Models(models) = &recipe.layout else { panic!("models expected") };
    let weight = |setting: &Setting| match setting {
        Setting::Everywhere(Profile::Constant(Value::Number(number))) => *number,
        other => panic!("a number expected, got {other:?}"),
    };
    // The uniform average has no base model, the baselines no weights.
    if recipe.base_model.is_none() {
        return Vec::new();
    }
    models.iter().filter_map(|model| model.parameters.get("weight")).map(weight).collect()
}

/// A fixed number in [0, 1) per document.
fn difficulty(task: usize, split: Split, doc: usize) -> f64 {
    let mut x = (task as u64) << 40 | (split as u64) << 32 | doc as u64;
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((x ^ (x >> 31)) >> 11) as f64 / (1u64 << 53) as f64
}

impl Evaluator for Landscape {
    fn evaluate(
        &self,
        recipe: &Recipe,
        split: Split,
        docs: Option<&DocSubset>,
    ) -> Result<Outcome, EvaluateError> {
        std::thread::sleep(self.sleep);
        if self.evaluated.fetch_add(1, Ordering::SeqCst) + 1 == self.interrupt_at {
            self.interrupt.store(true, Ordering::SeqCst);
        }
        let weights = weights(recipe);
        if weights.first().is_some_and(|first| *first > self.infeasible_above) {
            return Ok(Outcome::Infeasible { reason: "too heavy".to_owned() });
        }
        let accuracy = self.accuracy(&weights);
        let whole = DocSubset::whole(&self.docs(split));
        let docs = docs.unwrap_or(&whole);
        let task = |task: usize| TaskScore {
            task: format!("t{}", task + 1),
            items: (docs.0[task].iter())
                .map(|doc| {
                    let factor = if task == 1 { self.second_task } else { 1.0 };
                    let margin = factor * accuracy - difficulty(task, split, *doc as usize);
                    let score = f64::from(u8::from(margin > 0.0));
                    ItemScore { score, chosen: Some(0), margin: margin as f32 }
                })
                .collect(),
            others: Vec::new(),
        };
        Ok(Outcome::Feasible(Evaluation {
            tasks: vec![task(0), task(1)],
            merge_seconds: Seconds(0.0),
            score_seconds: Seconds(self.sleep.as_secs_f64()),
            seconds_per_item: Seconds(self.sleep.as_secs_f64() / docs.docs() as f64),
            relative_time: 1.0 + weights.first().unwrap_or(&0.0),
            peak_bytes: Bytes(1),
            cost: merge_search::outcome::Cost::default(),
        }))
    }

    fn times(
        &self,
        recipes: &[&Recipe],
        _: Split,
        _: usize,
    ) -> Result<Vec<Option<merge_search::outcome::Timing>>, EvaluateError> {
        Ok(vec![None; recipes.len()])
    }

    fn docs(&self, _: Split) -> Vec<usize> {
        vec![DOCS; 2]
    }
}

fn manifest(decoder: &Decoder) -> RunManifest {
    let docs = DocCounts { search: DOCS as u64, selection: DOCS as u64, holdout: DOCS as u64 };
    let task = |name: &str| TaskEntry {
        name: name.to_owned(),
        metric: "acc".to_owned(),
        others: Vec::new(),
        sha256: String::new(),
        source: Default::default(),
        docs,
    };
    RunManifest {
        schema_version: SCHEMA_VERSION,
        written_by: "test".to_owned(),
        created_at: String::new(),
        command_line: Vec::new(),
        seed: Seed(1),
        space: SpaceFile::new("landscape.toml".to_owned(), SPACE.to_owned()),
        genes: decoder.dimensions().iter().map(GeneColumn::from).collect(),
        optimizer: OptimizerSettings {
            kind: "cat-cma".to_owned(),
            population: 12,
            sigma: Some(0.3),
            workers: 2,
            ..OptimizerSettings::default()
        },
        budget: RunBudget { seconds: None, trials: None },
        tasks: vec![task("t1"), task("t2")],
        objective: Aggregate::new(&decoder.space().aggregate, &["t1", "t2"]).unwrap(),
        objectives: vec!["accuracy".to_owned(), "time".to_owned()],
        constraints: decoder.space().constraints,
        tie_break: decoder.space().tie_break.unwrap_or(true),
        checkpoints: Vec::new(),
        device: "cpu".to_owned(),
    }
}

fn decoder() -> Decoder {
    decoder_of(SPACE)
}

fn decoder_of(text: &str) -> Decoder {
    let space = SearchSpace::parse(text, Path::new("/made/landscape.toml")).unwrap();
    Decoder::new(space, 4, GroupFilters::llama()).unwrap()
}

/// Begins a run in `folder`, or goes on with it.
pub fn run(folder: &Path, landscape: &Landscape, workers: usize, budget: Budget) -> Ending {
    try_run(folder, landscape, workers, budget).unwrap()
}

fn try_run(
    folder: &Path,
    landscape: &Landscape,
    workers: usize,
    budget: Budget,
) -> Result<Ending, search::SearchError> {
    let decoder = decoder_of(&landscape.space);
    let writer = if folder.join("manifest.json").exists() {
        RunWriter::resume(folder).unwrap()
    } else {
        RunWriter::create(folder, manifest(&decoder)).unwrap()
    };
    let settings = Settings {
        population: Some(landscape.population),
        restarts: landscape.restarts,
        surrogate: true,
        objectives: decoder.space().objectives.len(),
        ..Settings::default()
    };
    let setup = Setup {
        decoder: &decoder,
        layers: 4,
        evaluator: landscape,
        workers: &Workers::new(workers),
        optimizer: optimizer::build(landscape.kind, decoder.dimensions(), Seed(1), &settings)
            .unwrap(),
        racing: landscape.racing,
        budget,
        seed: Seed(1),
        writer,
        started: Instant::now(),
        interrupt: &landscape.interrupt,
        listener: &|_: SearchEvent<'_>| {},
    };
    search::run(setup)
}

pub fn finished(ending: Ending) -> Report {
    match ending {
        Ending::Finished(report) => *report,
        Ending::Interrupted => panic!("was interrupted"),
    }
}

/// By trial, split, kind and rung.
pub type Rows = BTreeMap<(u64, &'static str, &'static str, u32), Trial>;

/// Rows without their times, by number, split, kind and rung.
pub fn rows(folder: &Path) -> Rows {
    let trials = RunFolder::open(folder).unwrap().trials().unwrap();
    let timeless = |trial: Trial| Trial { elapsed: Seconds(0.0), started_at: 0, ..trial };
    trials
        .into_iter()
        .map(|trial| {
            let key = (trial.trial, trial.split.as_str(), trial.kind.as_str(), trial.rung);
            (key, timeless(trial))
        })
        .collect()
}

#[test]
fn finds_the_optimum_and_counts_its_trials() {
    let folder = tempfile::tempdir().unwrap();
    let report = finished(run(folder.path(), &Landscape::new(), 2, Budget::Trials(150)));
    assert_eq!(report.candidates, 150);
    assert!(!report.nothing_better);
    let best = Landscape::new().accuracy(&[0.8, 0.3]);
    let found = report.winner.on(Split::Holdout).unwrap().value;
    // The optimum is 0.95; 120 documents have a standard error of 0.02.
    assert!((found - best).abs() < 0.07, "{found}");
    // Base, two experts and the uniform average, on every split.
    let baselines = rows(folder.path()).keys().filter(|(trial, ..)| *trial < 4).count();
    assert_eq!(baselines, 12);
}

#[test]
fn workers_do_not_change_the_trajectory() {
    let (one, three) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    run(one.path(), &Landscape::new(), 1, Budget::Trials(40));
    run(three.path(), &Landscape::new(), 3, Budget::Trials(40));
    assert_eq!(rows(one.path()), rows(three.path()));
}

#[test]
fn interrupted_anywhere_and_resumed_is_the_same_run() {
    let whole = tempfile::tempdir().unwrap();
    run(whole.path(), &Landscape::new(), 2, Budget::Trials(40));
    let scored = rows(whole.path()).len();
    let best = std::fs::read_to_string(whole.path().join("best.yaml")).unwrap();
    // 12 baselines and 40 candidates, then the finals block by block; the last two trials may be made side by side.
    let finals = (53..scored - 1).step_by(9);
    for interrupt_at in [1, 3, 11, 13, 25, 31, 52, scored - 2].into_iter().chain(finals) {
        let broken = tempfile::tempdir().unwrap();
        let first = Landscape { interrupt_at, ..Landscape::new() };
        let ending = run(broken.path(), &first, 2, Budget::Trials(40));
        assert!(matches!(ending, Ending::Interrupted), "at {interrupt_at}");
        let second = Landscape::new();
        finished(run(broken.path(), &second, 2, Budget::Trials(40)));
        assert_eq!(rows(broken.path()), rows(whole.path()), "at {interrupt_at}");
        assert_eq!(std::fs::read_to_string(broken.path().join("best.yaml")).unwrap(), best);
        // Nothing that was recorded is scored again.
        let total = first.evaluated.into_inner() + second.evaluated.into_inner();
        assert_eq!(total, scored, "at {interrupt_at}");
    }
}

#[test]
fn a_finished_run_is_only_replayed() {
    let folder = tempfile::tempdir().unwrap();
    let first = finished(run(folder.path(), &Landscape::new(), 2, Budget::Trials(20)));
    let again = Landscape::new();
    let second = finished(run(folder.path(), &again, 2, Budget::Trials(20)));
    assert_eq!(again.evaluated.into_inner(), 0);
    assert_eq!(first.winner.recipe, second.winner.recipe);
}

#[test]
fn wall_clock_budget_is_kept_within_one_candidate() {
    let folder = tempfile::tempdir().unwrap();
    let sleep = Duration::from_millis(20);
    let landscape = Landscape { sleep, ..Landscape::new() };
    let budget = Duration::from_millis(2500);
    let start = Instant::now();
    let report = finished(run(folder.path(), &landscape, 2, Budget::WallClock(budget)));
    assert!(report.candidates > 20, "{} candidates", report.candidates);
    // Disk and scheduler of a busy machine, on top of a candidate.
    assert!(
        start.elapsed() < budget + sleep + Duration::from_millis(1500),
        "{:?}",
        start.elapsed()
    );
}

#[test]
fn infeasible_candidates_are_rows_and_the_search_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let landscape = Landscape { infeasible_above: 0.5, ..Landscape::new() };
    let report = finished(run(folder.path(), &landscape, 2, Budget::Trials(60)));
    assert!(report.infeasible > 0 && report.infeasible < 60);
    let reasons = rows(folder.path());
    let infeasible =
        reasons.values().filter(|trial| matches!(trial.outcome, Outcome::Infeasible { .. }));
    assert_eq!(infeasible.count() as u64, report.infeasible);
}

#[test]
fn where_no_merge_beats_the_parents_a_parent_wins_and_the_report_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let landscape = Landscape { merges: 0.3, ..Landscape::new() };
    let report = finished(run(folder.path(), &landscape, 2, Budget::Trials(24)));
    assert!(report.nothing_better && report.finals.winner_from == Origin::Baseline);
    assert!(report.winner.trial < 4);
    // Base, two experts and the average, without the winner itself.
    assert_eq!(report.comparisons, 3);
}

#[test]
fn a_record_of_another_search_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), &Landscape::new(), 1, Budget::Trials(12));
    let decoder = decoder();
    let settings = Settings { population: Some(12), ..Settings::default() };
    let other_seed =
        optimizer::build(OptimizerKind::CatCma, decoder.dimensions(), Seed(2), &settings).unwrap();
    let result = search::run(Setup {
        decoder: &decoder,
        layers: 4,
        evaluator: &Landscape::new(),
        workers: &Workers::new(1),
        optimizer: other_seed,
        racing: None,
        budget: Budget::Trials(12),
        seed: Seed(2),
        writer: RunWriter::resume(folder.path()).unwrap(),
        started: Instant::now(),
        interrupt: &AtomicBool::new(false),
        listener: &|_: SearchEvent<'_>| {},
    });
    let error = result.unwrap_err();
    assert!(matches!(error, search::SearchError::ReplayDiffers { .. }), "{error}");
}

#[test]
fn a_finished_run_with_a_missing_generation_is_not_decided_again() {
    let folder = tempfile::tempdir().unwrap();
    finished(run(folder.path(), &Landscape::new(), 2, Budget::Trials(40)));
    let best = std::fs::read_to_string(folder.path().join("best.yaml")).unwrap();
    std::fs::remove_file(folder.path().join("trials/generation-00002.parquet")).unwrap();
    let error = try_run(folder.path(), &Landscape::new(), 2, Budget::Trials(40)).unwrap_err();
    assert!(matches!(error, search::SearchError::Gap { generation: 2, .. }), "{error}");
    assert_eq!(std::fs::read_to_string(folder.path().join("best.yaml")).unwrap(), best);
}

#[test]
fn stopped_after_the_budget_was_spent_no_candidate_is_added() {
    let folder = tempfile::tempdir().unwrap();
    // 12 baselines, 20 candidates, and then the finals: interrupted in their first trial.
    let first = Landscape { interrupt_at: 33, ..Landscape::new() };
    assert!(matches!(run(folder.path(), &first, 1, Budget::Trials(20)), Ending::Interrupted));
    // A larger budget stands for a clock that went back: what ended the search is on disk.
    let report = finished(run(folder.path(), &Landscape::new(), 1, Budget::Trials(200)));
    assert_eq!(report.candidates, 20);
}

/// With the worse task at half the other's accuracy its score is the objective; rows and report are ranked by it.
#[test]
fn a_run_is_ranked_by_its_aggregate() {
    let folder = tempfile::tempdir().unwrap();
    let space = format!("{SPACE}[objective]\naggregate = \"worst_task\"\n");
    let landscape = Landscape { space, second_task: 0.5, ..Landscape::new() };
    let report = finished(run(folder.path(), &landscape, 2, Budget::Trials(60)));
    assert_eq!(report.aggregate.to_string(), "worst task");
    let rows = rows(folder.path());
    let worse = |trial: &Trial| {
        let tasks = &trial.outcome.evaluation().unwrap().tasks;
        tasks[0].accuracy().0.min(tasks[1].accuracy().0)
    };
    assert!(rows.values().all(|trial| trial.objective.unwrap().value == worse(trial)));
    assert!(rows.values().all(|trial| trial.geometric_mean != trial.objective));
    let selected = rows.values().filter(|t| t.split == Split::Selection && t.docs.is_none());
    let best = selected.map(worse).fold(0.0, f64::max);
    let won = report.winner.on(Split::Selection).unwrap().value;
    // A recommendation may be preferred to an observed candidate that is not significantly better.
    assert!(won == best || (report.finals.winner_from == Origin::Recommended && won > best - 0.1));
}

/// Report, run folder and analysis say the same of the finals, and it is what the rows say.
#[test]
fn the_finals_are_told_as_they_were() {
    let folder = tempfile::tempdir().unwrap();
    let report = finished(run(folder.path(), &Landscape::new(), 2, Budget::Trials(60)));
    let rows = rows(folder.path());
    let raced =
        || rows.values().filter(|t| t.split == Split::Selection && t.kind == TrialKind::Final);
    let documents = |trial: &Trial| trial.outcome.evaluation().unwrap().items();
    let mut scored: BTreeMap<u64, usize> = BTreeMap::new();
    for trial in raced() {
        let most = scored.entry(trial.trial).or_default();
        *most = documents(trial).max(*most);
    }
    let finals = report.finals;
    assert_eq!(finals.finalists, scored.len());
    assert!(finals.finalists >= 8 && finals.recommended >= 1);
    assert_eq!(finals.documents, scored.values().sum::<usize>());
    assert_eq!(finals.documents + finals.documents_saved, finals.finalists * 2 * DOCS);
    assert_eq!(finals.dropped, scored.values().filter(|seen| **seen < 2 * DOCS).count());
    assert!(finals.indistinguishable.unwrap() < finals.finalists - finals.dropped);

    let candidates = rows.values().filter(|trial| trial.kind == TrialKind::Candidate);
    let best = candidates.map(|trial| trial.objective.unwrap().value).fold(0.0, f64::max);
    assert_eq!(report.best_observed.unwrap().search.value, best);
    let [base, winner] =
        [&report.baselines[0], &report.winner].map(|s| s.on(Split::Holdout).unwrap());
    let against = report.against_base.as_ref().unwrap();
    assert!((against.difference - (winner.value - base.value)).abs() < 1e-12);
    assert!(against.significant && against.adjusted_p_value >= against.p_value);
    assert_eq!((report.comparisons, against.tasks.len()), (4, 2));
    assert!(report.winner.gap().is_some());

    let summary = Summary::load(&RunFolder::open(folder.path()).unwrap()).unwrap();
    let found = summary.finals.unwrap();
    assert_eq!((found.finalists, found.dropped), (finals.finalists, finals.dropped));
    assert_eq!(found.indistinguishable, finals.indistinguishable);
    assert_eq!(
        (found.documents, found.documents_saved),
        (finals.documents, finals.documents_saved)
    );
    assert_eq!(found.best_observed.unwrap().search.value, best);
    let same = |c: &&merge_search::analysis::Comparison| c.baseline == "base";
    let analysed = summary.comparisons.iter().find(same).unwrap();
    assert_eq!(analysed.adjusted_p_value, against.adjusted_p_value);
    let readme = std::fs::read_to_string(folder.path().join("README.md")).unwrap();
    for expected in
        ["| winner (trial ", "- winner − base: +", "is what a search without selection would have"]
    {
        assert!(readme.contains(expected), "{expected:?} is not in\n{readme}");
    }
}

/// The optimizer's recommendation is always a finalist.
#[test]
fn recommendations_take_part() {
    let folder = tempfile::tempdir().unwrap();
    let report = finished(run(folder.path(), &Landscape::new(), 1, Budget::Trials(30)));
    let last = 4 + 30 - 1;
    let recommended = rows(folder.path()).into_values().filter(|trial| trial.trial > last);
    let recommended: Vec<Trial> =
        recommended.filter(|trial| trial.split == Split::Selection).collect();
    assert!(!recommended.is_empty() && recommended.iter().all(|trial| trial.genotype.is_some()));
    assert!(report.winner.on(Split::Search).is_some());
}

/// Of two candidates with the same judged score the optimizer is told the one with the larger margins, so that a search
/// with tie-breaking asks for other candidates than one without; both can be resumed.
#[test]
fn a_tie_break_is_replayed() {
    let without = format!("{SPACE}[objective]\ntie_break = false\n");
    let mut recipes = Vec::new();
    for space in [SPACE.to_owned(), without] {
        let whole = tempfile::tempdir().unwrap();
        let made = || Landscape { space: space.clone(), ..Landscape::new() };
        run(whole.path(), &made(), 2, Budget::Trials(60));
        let broken = tempfile::tempdir().unwrap();
        let first = Landscape { interrupt_at: 50, ..made() };
        let ending = run(broken.path(), &first, 2, Budget::Trials(60));
        assert!(matches!(ending, Ending::Interrupted));
        finished(run(broken.path(), &made(), 2, Budget::Trials(60)));
        assert_eq!(rows(broken.path()), rows(whole.path()));
        recipes
            .push(rows(whole.path()).into_values().map(|trial| trial.recipe).collect::<Vec<_>>());
    }
    assert_ne!(recipes[0], recipes[1]);
}
