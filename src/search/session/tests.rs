//! Rungs of a race: what is scored, what is recorded, and what a resumed session asks for again.

use std::path::Path;

use super::*;
use crate::evaluate::EvaluateError;
use crate::genome::{Gene, GroupFilters};
use crate::outcome::ItemScore;
use crate::record::{
    DocCounts, GeneColumn, OptimizerSettings, RunBudget, RunFolder, RunManifest, SCHEMA_VERSION,
    SpaceFile, TaskEntry,
};
use crate::space::SearchSpace;
use crate::units::Bytes;

const SPACE: &str = r#"
name = "race"
[models]
base = "made/base"
[models.experts]
a = "made/a"
[merge]
methods = ["task_arithmetic"]
[parameters]
weight = { range = [0.0, 1.0], initial = 0.5, per = ["expert"] }
[tasks]
folders = ["t1", "t2"]
"#;

/// Right on every third document; notes which it was asked for.
struct Thirds {
    asked: Mutex<Vec<Option<DocSubset>>>,
    /// A position of the first task on which no candidate has a score.
    broken: u32,
}

impl Thirds {
    fn new() -> Self {
        Thirds { asked: Mutex::default(), broken: u32::MAX }
    }

    fn asked(&self) -> Vec<Option<DocSubset>> {
        self.asked.lock().unwrap().clone()
    }
}

impl Evaluator for Thirds {
    fn evaluate(
        &self,
        _: &Recipe,
        split: Split,
        docs: Option<&DocSubset>,
    ) -> Result<Outcome, EvaluateError> {
        self.asked.lock().unwrap().push(docs.cloned());
        let docs = docs.cloned().unwrap_or(DocSubset::whole(&self.docs(split)));
        if docs.0[0].contains(&self.broken) {
            return Ok(Outcome::Infeasible { reason: "not finite".to_owned() });
        }
        let item = |&doc: &u32| ItemScore {
            score: f64::from(u8::from(doc % 3 == 0)),
            chosen: Some(doc),
            margin: 0.5,
        };
        let task = |task: usize| TaskScore {
            task: format!("t{}", task + 1),
            items: docs.0[task].iter().map(item).collect(),
            others: Vec::new(),
        };
        Ok(Outcome::Feasible(Evaluation {
            tasks: vec![task(0), task(1)],
            merge_seconds: Seconds(1.0),
            score_seconds: Seconds(docs.docs() as f64),
            seconds_per_item: Seconds(1.0),
            relative_time: 1.0,
            peak_bytes: Bytes(1),
            cost: crate::outcome::Cost::default(),
        }))
    }

    fn times(
        &self,
        recipes: &[&Recipe],
        _: Split,
        _: usize,
    ) -> Result<Vec<Option<crate::outcome::Timing>>, EvaluateError> {
        Ok(vec![None; recipes.len()])
    }

    fn docs(&self, _: Split) -> Vec<usize> {
        vec![30, 20]
    }
}

fn manifest(decoder: &Decoder) -> RunManifest {
    let task = |name: &str, docs: u64| TaskEntry {
        name: name.to_owned(),
        metric: "acc".to_owned(),
        others: Vec::new(),
        sha256: String::new(),
        source: Default::default(),
        docs: DocCounts { search: docs, selection: docs, holdout: docs },
    };
    RunManifest {
        schema_version: SCHEMA_VERSION,
        written_by: "test".to_owned(),
        created_at: String::new(),
        command_line: Vec::new(),
        seed: Seed(1),
        space: SpaceFile::new("race.toml".to_owned(), SPACE.to_owned()),
        genes: decoder.dimensions().iter().map(GeneColumn::from).collect(),
        optimizer: OptimizerSettings {
            kind: "random".to_owned(),
            population: 4,
            sigma: None,
            workers: 1,
            ..OptimizerSettings::default()
        },
        budget: RunBudget { seconds: None, trials: None },
        tasks: vec![task("t1", 30), task("t2", 20)],
        objective: Aggregate::new(&decoder.space().aggregate, &["t1", "t2"]).unwrap(),
        objectives: vec!["accuracy".to_owned()],
        constraints: Default::default(),
        tie_break: false,
        checkpoints: Vec::new(),
        device: "cpu".to_owned(),
    }
}

/// A session of the run in `folder`, which is begun if it is not there.
fn with_session<R>(folder: &Path, evaluator: &Thirds, race: impl FnOnce(&Session<'_>) -> R) -> R {
    let space = SearchSpace::parse(SPACE, Path::new("/made/race.toml")).unwrap();
    let decoder = Decoder::new(space, 4, GroupFilters::llama()).unwrap();
    let writer = match folder.join("manifest.json").exists() {
        true => RunWriter::resume(folder).unwrap(),
        false => RunWriter::create(folder, manifest(&decoder)).unwrap(),
    };
    let parts = Parts {
        decoder: &decoder,
        layers: 4,
        evaluator,
        workers: &Workers::new(1),
        interrupt: &AtomicBool::new(false),
        listener: &|_: SearchEvent<'_>| {},
        writer,
        started: Instant::now(),
    };
    race(&Session::begin(parts, Archive::new(4, Default::default(), true)).unwrap())
}

fn job(session: &Session<'_>, trial: u64, rung: u32, docs: Option<DocSubset>) -> Job {
    let genotype =
        Genotype(vec![Gene::Real(0.1 * trial as f64); session.decoder.dimensions().len()]);
    Job {
        trial,
        name: None,
        generation: 1,
        kind: TrialKind::Candidate,
        split: Split::Search,
        rung,
        docs,
        recipe: session.decoder.decode(&genotype),
        genotype: Some(genotype),
    }
}

/// Even positions below `end` of both tasks.
fn even(end: u32) -> DocSubset {
    DocSubset(vec![(0..end).step_by(2).collect(); 2])
}

/// Three rungs of one trial, as the loop asks for them: each with the row of the one before.
fn race(session: &Session<'_>, rungs: usize) -> Vec<Trial> {
    let docs = [Some(even(6)), Some(even(20)), None];
    let mut trials: Vec<Trial> = Vec::new();
    for (rung, docs) in (0..).zip(docs.into_iter().take(rungs)) {
        let trial = session.trial(&job(session, 7, rung, docs), trials.last()).unwrap();
        trials.push(trial);
    }
    trials
}

#[test]
fn a_rung_scores_only_what_is_new_and_knows_everything_so_far() {
    let (folder, evaluator) = (tempfile::tempdir().unwrap(), Thirds::new());
    let trials = with_session(folder.path(), &evaluator, |session| {
        let trials = race(session, 3);
        let archive = session.archive();
        assert_eq!((archive.candidates(), archive.contenders().len()), (1, 1), "one candidate");
        assert_eq!(archive.contenders()[0].objective, trials[2].objective.unwrap());
        assert_eq!(archive.seconds_per_trial(), Some(Seconds(50.0 + 3.0)));
        trials
    });
    let new = DocSubset(vec![vec![6, 8, 10, 12, 14, 16, 18]; 2]);
    let rest = DocSubset::whole(&[30, 20]).without(&even(20));
    assert_eq!(evaluator.asked(), [Some(even(6)), Some(new), Some(rest)]);
    let items: Vec<usize> =
        trials.iter().map(|trial| trial.outcome.evaluation().unwrap().items()).collect();
    assert_eq!(items, [6, 20, 50]);
    // 0, 6, 12 and 18 of the ten even numbers below 20; of both tasks.
    assert!((trials[1].objective.unwrap().value - 0.4).abs() < 1e-12);
    // Scored at once.
    let whole =
        evaluator.evaluate(&Recipe::from_yaml(&trials[0].recipe).unwrap(), Split::Search, None);
    let (whole, joined) = (whole.unwrap(), &trials[2].outcome);
    assert_eq!(whole.evaluation().unwrap().tasks, joined.evaluation().unwrap().tasks);
    assert_eq!(RunFolder::open(folder.path()).unwrap().trials().unwrap(), trials);
}

#[test]
fn stopped_between_rungs_only_the_missing_ones_are_scored() {
    for done in 0..=3 {
        let folder = tempfile::tempdir().unwrap();
        let before = with_session(folder.path(), &Thirds::new(), |session| race(session, done));
        let evaluator = Thirds::new();
        let after = with_session(folder.path(), &evaluator, |session| {
            let first = job(session, 7, 0, Some(even(6)));
            assert_eq!(session.is_recorded(&first), done > 0);
            assert!(!session.is_recorded(&Job { rung: 3, ..first }));
            race(session, 3)
        });
        assert_eq!(evaluator.asked().len(), 3 - done);
        assert_eq!(after[..done], before[..]);
        assert_eq!(RunFolder::open(folder.path()).unwrap().trials().unwrap(), after);
    }
}

#[test]
fn a_race_over_other_documents_is_not_the_recorded_one() {
    let folder = tempfile::tempdir().unwrap();
    with_session(folder.path(), &Thirds::new(), |session| race(session, 1));
    with_session(folder.path(), &Thirds::new(), |session| {
        for docs in [Some(even(8)), None] {
            let error = session.trial(&job(session, 7, 0, docs), None).unwrap_err();
            assert!(matches!(error, SearchError::ReplayDiffers { trial: 7 }), "{error}");
        }
    });
}

#[test]
fn a_rung_that_leaves_documents_out_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    with_session(folder.path(), &Thirds::new(), |session| {
        let first = session.trial(&job(session, 7, 0, Some(even(6))), None).unwrap();
        let odd = DocSubset(vec![vec![1, 3]; 2]);
        let error = session.trial(&job(session, 7, 1, Some(odd)), Some(&first)).unwrap_err();
        assert!(matches!(error, SearchError::RungShrinks { trial: 7, rung: 1 }), "{error}");
    });
}

#[test]
fn a_candidate_that_breaks_in_a_later_rung_is_infeasible_and_counted_once() {
    let folder = tempfile::tempdir().unwrap();
    let evaluator = Thirds { broken: 8, ..Thirds::new() };
    let trials = with_session(folder.path(), &evaluator, |session| {
        let trials = race(session, 3);
        let archive = session.archive();
        assert_eq!((archive.candidates(), archive.infeasible()), (1, 1));
        assert!(archive.contenders().is_empty());
        trials
    });
    assert!(trials[0].outcome.evaluation().is_some());
    assert_eq!(trials[1].outcome, Outcome::Infeasible { reason: "not finite".to_owned() });
    assert_eq!(trials[2].outcome, trials[1].outcome);
    assert_eq!(evaluator.asked().len(), 2, "no third rung of what has no score");
    assert_eq!(RunFolder::open(folder.path()).unwrap().trials().unwrap(), trials);
}
