//! Run folders that something happened to: every one gives an error that names the file, none a panic or wrong trials.

use std::fs;
use std::path::{Path, PathBuf};

use merge_search::outcome::{DocSubset, Outcome};
use merge_search::record::{RecordError, RunFolder, RunWriter, Trial};
use tempfile::TempDir;

use crate::record::{manifest, raced, scored, trial};

const TASKS: [&str; 2] = ["arc", "boolq"];

fn run_of(trials: u64) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = RunWriter::create(folder.path(), manifest(&TASKS, 20)).unwrap();
    for number in 0..trials {
        let trial = trial(number, 1, scored(&TASKS, 20, number));
        writer.append(&trial).unwrap();
    }
    folder
}

fn trials_file(run: &TempDir) -> PathBuf {
    run.path().join("trials/generation-00001.parquet")
}

fn items_file(run: &TempDir, row: usize) -> PathBuf {
    run.path().join(format!("items/generation-00001-{row:05}.parquet"))
}

fn failure(run: &TempDir) -> RecordError {
    RunFolder::open(run.path()).and_then(|folder| folder.trials()).unwrap_err()
}

fn names(error: &RecordError, path: &Path) -> bool {
    error.to_string().contains(path.to_str().unwrap())
}

#[test]
fn a_truncated_file_is_named() {
    let run = run_of(3);
    for path in [trials_file(&run), items_file(&run, 1)] {
        let whole = fs::read(&path).unwrap();
        for length in [0, 3, 11, whole.len() / 2, whole.len() - 9, whole.len() - 1] {
            fs::write(&path, &whole[..length]).unwrap();
            let error = failure(&run);
            assert!(matches!(error, RecordError::Damaged { .. }), "{length}: {error}");
            assert!(names(&error, &path), "{error}");
        }
        fs::write(&path, whole).unwrap();
    }
    assert_eq!(RunFolder::open(run.path()).unwrap().trials().unwrap().len(), 3);
}

#[test]
fn a_row_without_its_items_is_an_error() {
    let run = run_of(3);
    let path = items_file(&run, 1);
    fs::copy(items_file(&run, 2), &path).unwrap();
    let swapped = failure(&run);
    assert!(matches!(swapped, RecordError::MissingItems { trial: 1, .. }), "{swapped}");
    fs::remove_file(&path).unwrap();
    let gone = failure(&run);
    assert!(matches!(gone, RecordError::MissingItems { trial: 1, .. }), "{gone}");
    assert!(names(&gone, &path));
}

/// A kill between the two files of a trial, and one in the middle of a file.
#[test]
fn what_a_killed_writer_left_is_no_trial() {
    let run = run_of(3);
    fs::copy(items_file(&run, 0), items_file(&run, 3)).unwrap();
    let half_written = run.path().join("trials/generation-00001.parquet.tmp");
    fs::write(&half_written, "PAR1").unwrap();
    let folder = RunFolder::open(run.path()).unwrap();
    assert_eq!(folder.trials().unwrap().len(), 3);
    assert!(half_written.exists(), "a reader changes nothing");
    let mut writer = RunWriter::resume(run.path()).unwrap();
    assert!(!half_written.exists());
    let next = trial(3, 1, scored(&TASKS, 20, 3));
    writer.append(&next).unwrap();
    assert_eq!(folder.trials().unwrap()[3], next);
}

#[test]
fn another_schema_version_is_refused() {
    let run = run_of(1);
    let path = run.path().join("manifest.json");
    let text = fs::read_to_string(&path).unwrap();
    let newer = text.replace("\"schema_version\": 4", "\"schema_version\": 5");
    let newer = newer.replace("\"written_by\": \"0.1.0\"", "\"written_by\": \"0.9.0\"");
    fs::write(&path, newer.replace("\"budget\"", "\"limits\"")).unwrap();
    let error = RunFolder::open(run.path()).unwrap_err();
    assert!(matches!(error, RecordError::SchemaVersion { .. }), "{error}");
    assert!(error.to_string().contains("read it with the build of merge-search 0.9.0"), "{error}");
}

/// Version 1 had no objective and only right or wrong, version 2 no parts of splits, version 3 no counted costs; a run of
/// these is not taken for one of this version.
#[test]
fn a_run_of_an_earlier_version_is_refused() {
    for version in [1, 2, 3] {
        let run = run_of(1);
        let path = run.path().join("manifest.json");
        let text = fs::read_to_string(&path).unwrap();
        let earlier = format!("\"schema_version\": {version}");
        fs::write(&path, text.replace("\"schema_version\": 4", &earlier)).unwrap();
        let error = RunWriter::resume(run.path()).unwrap_err();
        assert!(matches!(error, RecordError::SchemaVersion { .. }), "{error}");
        let said = format!("has schema version {version}, this program reads version 4");
        assert!(error.to_string().contains(&said), "{error}");
    }
}

/// The items of another rung of the same trial: other documents, or as many others.
#[test]
fn the_items_of_another_rung_are_not_taken() {
    let run = tempfile::tempdir().unwrap();
    let mut writer = RunWriter::create(run.path(), manifest(&TASKS, 20)).unwrap();
    let moved = |rung: u32, first: u32| {
        let docs = DocSubset(vec![(first..first + 4).collect(); 2]);
        Trial { docs: Some(docs), ..raced(1, rung, 4) }
    };
    for trial in [raced(1, 0, 3), raced(1, 1, 6), moved(2, 0), moved(2, 7)] {
        writer.append(&trial).unwrap();
    }
    assert_eq!(writer.folder().trials().unwrap().len(), 4);
    for (row, other) in [(0, 1), (1, 0), (2, 3), (3, 2)] {
        let path = items_file(&run, row);
        let whole = fs::read(&path).unwrap();
        fs::copy(items_file(&run, other), &path).unwrap();
        let error = failure(&run);
        assert!(matches!(error, RecordError::MissingItems { trial: 1, .. }), "{error}");
        assert!(names(&error, &path), "{error}");
        fs::write(&path, whole).unwrap();
    }
}

/// A manifest of fewer documents than the rows name.
#[test]
fn documents_that_the_run_does_not_have_are_no_part_of_it() {
    let run = tempfile::tempdir().unwrap();
    let mut writer = RunWriter::create(run.path(), manifest(&TASKS, 20)).unwrap();
    writer.append(&raced(1, 0, 10)).unwrap();
    drop(writer);
    assert_eq!(RunFolder::open(run.path()).unwrap().trials().unwrap().len(), 1);
    let path = run.path().join("manifest.json");
    let text = fs::read_to_string(&path).unwrap();
    // The last document is the 19th.
    fs::write(&path, text.replace("\"search\": 20", "\"search\": 18")).unwrap();
    let error = failure(&run);
    assert!(
        matches!(&error, RecordError::Cell { row: 0, column, .. } if column == "docs"),
        "{error}"
    );
    let mut writer = RunWriter::resume(run.path()).unwrap();
    let error = writer.append(&Trial { generation: 2, ..raced(2, 0, 10) }).unwrap_err();
    assert!(matches!(error, RecordError::DocsDiffer { trial: 2, rung: 0, .. }), "{error}");
}

#[test]
fn a_trial_that_names_other_documents_than_it_was_scored_on_is_refused() {
    let run = run_of(1);
    let mut writer = RunWriter::resume(run.path()).unwrap();
    let part = |docs: [Vec<u32>; 2]| Trial { docs: Some(DocSubset(docs.into())), ..raced(1, 0, 3) };
    let wrong = [
        [vec![0, 1], vec![0, 1, 2]],
        [vec![0, 1, 1], vec![0, 1, 2]],
        [vec![0, 2, 1], vec![0, 1, 2]],
        [vec![0, 1, 20], vec![0, 1, 2]],
    ];
    for docs in wrong {
        let error = writer.append(&part(docs)).unwrap_err();
        assert!(matches!(error, RecordError::DocsDiffer { trial: 1, .. }), "{error}");
    }
    writer.append(&part([vec![0, 1, 19], vec![0, 1, 2]])).unwrap();
    assert_eq!(writer.folder().trials().unwrap().len(), 2);
}

#[test]
fn a_manifest_of_the_same_version_may_know_more() {
    let run = run_of(1);
    let path = run.path().join("manifest.json");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replacen('{', "{ \"host\": \"a\",", 1)).unwrap();
    assert_eq!(RunFolder::open(run.path()).unwrap().trials().unwrap().len(), 1);
}

#[test]
fn a_changed_manifest_is_noticed() {
    let run = run_of(1);
    let path = run.path().join("manifest.json");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("tiny", "huge")).unwrap();
    let changed = RunFolder::open(run.path()).unwrap_err();
    assert!(matches!(changed, RecordError::SpaceChanged { .. }), "{changed}");
    fs::write(&path, &text[..40]).unwrap();
    let cut = RunFolder::open(run.path()).unwrap_err();
    assert!(matches!(cut, RecordError::Manifest { .. }), "{cut}");
    fs::remove_file(&path).unwrap();
    let gone = RunFolder::open(run.path()).unwrap_err();
    assert!(matches!(gone, RecordError::NotARun { .. }), "{gone}");
}

#[test]
fn a_foreign_file_is_named() {
    let run = run_of(1);
    let path = run.path().join("trials/notes.txt");
    fs::write(&path, "hello").unwrap();
    let error = failure(&run);
    assert!(matches!(error, RecordError::UnknownPart { .. }) && names(&error, &path), "{error}");
}

#[test]
fn a_refusing_file_system_is_named_and_adds_nothing() {
    let run = run_of(2);
    let mut writer = RunWriter::resume(run.path()).unwrap();
    writer.append(&trial(2, 1, scored(&TASKS, 20, 2))).unwrap();
    let (items, aside) = (run.path().join("items"), run.path().join("aside"));
    fs::rename(&items, &aside).unwrap();
    let next = trial(3, 1, scored(&TASKS, 20, 3));
    let error = writer.append(&next).unwrap_err();
    fs::rename(&aside, &items).unwrap();
    let folder = writer.folder().clone();
    let error = match error {
        RecordError::Io { path, .. } => path,
        other => panic!("{other}"),
    };
    assert!(error.starts_with(&items), "{}", error.display());
    assert_eq!(folder.trials().unwrap().len(), 3);
    writer.append(&next).unwrap();
    assert_eq!(folder.trials().unwrap().len(), 4);
}

#[test]
fn a_trial_of_another_run_is_refused() {
    let run = run_of(1);
    let mut writer = RunWriter::resume(run.path()).unwrap();
    let tasks = trial(1, 1, scored(&["arc"], 20, 1));
    let error = writer.append(&tasks).unwrap_err();
    assert!(matches!(error, RecordError::TasksDiffer { trial: 1, .. }), "{error}");
    let mut renamed = trial(1, 1, scored(&TASKS, 20, 1));
    if let Outcome::Feasible(evaluation) = &mut renamed.outcome {
        evaluation.tasks[1].others[0].metric = "f1".to_owned();
    }
    let error = writer.append(&renamed).unwrap_err();
    assert!(matches!(error, RecordError::MetricsDiffer { trial: 1, .. }), "{error}");
    assert!(error.to_string().contains("`boolq`") && error.to_string().contains("f1"), "{error}");
    let mut short = trial(1, 1, scored(&TASKS, 20, 1));
    short.genotype.as_mut().unwrap().0.pop();
    let error = writer.append(&short).unwrap_err();
    assert!(matches!(error, RecordError::GenotypeLength { .. }), "{error}");
    let mut swapped = trial(1, 1, scored(&TASKS, 20, 1));
    swapped.genotype.as_mut().unwrap().0.swap(0, 1);
    let error = writer.append(&swapped).unwrap_err();
    assert!(matches!(error, RecordError::GeneDiffers { .. }), "{error}");
    let reason = "no such tensor".to_owned();
    writer.append(&trial(1, 1, Outcome::Infeasible { reason })).unwrap();
    assert_eq!(writer.folder().trials().unwrap().len(), 2);
}

/// polars panics or asks for terabytes on some of these.
#[test]
fn a_turned_bit_is_noticed() {
    let run = run_of(2);
    for path in [trials_file(&run), items_file(&run, 1)] {
        let whole = fs::read(&path).unwrap();
        for position in (0..whole.len()).step_by(13) {
            let mut damaged = whole.clone();
            damaged[position] ^= 1 << (position % 8);
            fs::write(&path, damaged).unwrap();
            let error = failure(&run);
            assert!(matches!(error, RecordError::Damaged { .. }), "{position}: {error}");
            assert!(names(&error, &path), "{error}");
        }
        fs::write(&path, whole).unwrap();
    }
}
