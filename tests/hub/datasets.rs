//! Datasets come through the same client as models.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use merge_search::hub::{DatasetFiles, DatasetSnapshot, Hub, HubError};
use tempfile::TempDir;

use super::server::{ID, OLD_ID, Server};
use super::{FIRST, Files, SECOND, names, nobody};

const SHARD: &str = "main/test-00000-of-00002.parquet";
const LARGE: &str = "main/train-00000-of-00001.parquet";
const FOUND: DatasetFiles = DatasetFiles::Found;

/// A dataset with two configs, and files that a task has no use for. What a file says is its name.
fn dataset() -> Files {
    let files = [
        "README.md",
        "dataset_infos.json",
        "main/test-00001-of-00002.parquet",
        SHARD,
        LARGE,
        "other/train-00000-of-00001.parquet",
        "raw/train.jsonl",
        "raw/odd name #1.jsonl",
    ];
    files.map(|name| (name.to_owned(), format!("this is {name}").into_bytes())).into()
}

struct Shelf {
    cache: TempDir,
    server: Server,
}

impl Shelf {
    fn of(files: Files) -> Shelf {
        let shelf =
            Shelf { cache: tempfile::tempdir().unwrap(), server: Server::start(FIRST, files) };
        shelf.server.with(|state| state.is_dataset = true);
        shelf
    }

    fn hub(&self) -> Hub {
        let (cache, endpoint) = (self.cache.path().to_owned(), Some(self.server.endpoint.clone()));
        Hub { cache, endpoint, token: None, offline: false, progress: false }
    }

    fn offline(&self) -> Hub {
        Hub { endpoint: Some(nobody()), offline: true, ..self.hub() }
    }

    fn unconnected(&self) -> Hub {
        Hub { endpoint: Some(nobody()), ..self.hub() }
    }

    fn fetch(&self) -> Result<DatasetSnapshot, HubError> {
        main_of(&self.hub())
    }

    fn snapshot(&self, commit: &str) -> PathBuf {
        self.cache.path().join("datasets--owner--tiny/snapshots").join(commit)
    }
}

fn main_of(hub: &Hub) -> Result<DatasetSnapshot, HubError> {
    hub.dataset(ID, None, Some("main"), &FOUND, &["train", "test"])
}

fn listed(split: &str, patterns: &[&str]) -> DatasetFiles {
    let patterns = patterns.iter().map(|pattern| (*pattern).to_owned()).collect();
    DatasetFiles::Listed(BTreeMap::from([(split.to_owned(), patterns)]))
}

#[test]
fn only_the_splits_asked_for_are_downloaded_and_found_again_offline() {
    let shelf = Shelf::of(dataset());
    let snapshot = shelf.fetch().unwrap();
    assert_eq!(snapshot.commit, FIRST);
    let folder = shelf.snapshot(FIRST);
    let tests = [SHARD, "main/test-00001-of-00002.parquet"].map(|name| folder.join(name));
    assert_eq!(snapshot.files["test"], tests);
    assert_eq!(snapshot.files["train"], [folder.join(LARGE)]);
    for file in snapshot.files.values().flatten() {
        let name = file.strip_prefix(&folder).unwrap().to_str().unwrap();
        assert_eq!(fs::read_to_string(file).unwrap(), format!("this is {name}"));
        // The layout of Python's huggingface_hub: a link relative to its own folder.
        let link = fs::read_link(file).unwrap();
        assert!(link.starts_with("../../../blobs"), "{}", link.display());
    }
    assert_eq!(names(&folder), ["main"]);
    let root = shelf.cache.path().join("datasets--owner--tiny");
    assert_eq!(fs::read_to_string(root.join("refs/main")).unwrap(), FIRST);
    assert_eq!(names(&root), [".listing", "blobs", "refs", "snapshots"]);

    for hub in [shelf.offline(), shelf.unconnected()] {
        assert_eq!(main_of(&hub).unwrap(), snapshot);
        let pinned = hub.dataset(ID, Some(FIRST), Some("main"), &FOUND, &["test", "train"]);
        assert_eq!(pinned.unwrap(), snapshot);
    }
}

#[test]
fn a_cached_commit_of_a_dataset_needs_no_hub() {
    let shelf = Shelf::of(dataset());
    let pin = |splits| shelf.hub().dataset(ID, Some(FIRST), Some("main"), &FOUND, splits);
    let snapshot = pin(&["test"]).unwrap();
    shelf.server.requests();
    assert_eq!(pin(&["test"]).unwrap(), snapshot);
    assert_eq!(shelf.server.requests(), [""; 0]);
    // Another split of it does.
    pin(&["train"]).unwrap();
    assert!(!shelf.server.requests().is_empty());
}

#[test]
fn a_branch_that_moved_is_looked_up_again() {
    let shelf = Shelf::of(dataset());
    let first = shelf.fetch().unwrap();
    let mut files = dataset();
    files.insert(LARGE.to_owned(), b"new".to_vec());
    shelf.server.publish(SECOND, files);
    shelf.server.requests();
    let second = shelf.fetch().unwrap();
    assert_eq!(second.commit, SECOND);
    assert_eq!(fs::read(&second.files["train"][0]).unwrap(), b"new");
    assert_ne!(fs::read(&first.files["train"][0]).unwrap(), b"new");
    // What did not change is not transferred again.
    let stored = shelf.server.requests().into_iter().filter(|request| request.ends_with(" 0-"));
    let expected = [
        format!("/datasets/{ID}/resolve/{SECOND}/{LARGE} 0-"),
        format!("/store/{SECOND}/{LARGE} 0-"),
    ];
    assert_eq!(stored.collect::<Vec<_>>(), expected);
}

#[test]
fn a_broken_transfer_of_a_dataset_goes_on_where_it_broke_off() {
    let mut files = dataset();
    files.insert(LARGE.to_owned(), vec![7; 1000]);
    let shelf = Shelf::of(files);
    shelf.server.with(|state| state.cuts = 2);
    let train = |hub: &Hub| hub.dataset(ID, None, Some("main"), &FOUND, &["train"]);
    let snapshot = train(&shelf.hub()).unwrap();
    assert_eq!(fs::read(&snapshot.files["train"][0]).unwrap(), [7; 1000]);
    let requests = shelf.server.requests();
    for start in [0, 500, 750] {
        assert!(requests.contains(&format!("/store/{FIRST}/{LARGE} {start}-")), "{requests:?}");
    }
}

#[test]
fn a_damaged_dataset_does_not_enter_the_cache() {
    let shelf = Shelf::of(dataset());
    shelf.server.with(|state| state.corrupts = Some(LARGE));
    let error = shelf.fetch().unwrap_err();
    assert!(matches!(&error, HubError::Checksum { file, .. } if file == LARGE), "{error:?}");
    assert!(!shelf.snapshot(FIRST).join(LARGE).exists());
    let error = main_of(&shelf.offline()).unwrap_err();
    assert!(matches!(error, HubError::NotCached { .. }), "{error:?}");
}

/// Issue: "with no network the error names the id, the revision and how to pre-download".
#[test]
fn what_is_not_cached_says_how_to_fetch_it() {
    let shelf = Shelf::of(dataset());
    let files = listed("test", &["main/test-*.parquet", "raw/train.jsonl"]);
    for hub in [shelf.offline(), shelf.unconnected()] {
        let error = hub.dataset(ID, Some("v1"), None, &files, &["test"]).unwrap_err();
        let message = error.to_string();
        let include = "--include 'main/test-*.parquet' --include 'raw/train.jsonl'";
        let command = format!("hf download --repo-type dataset {ID} --revision v1 {include}");
        let cache = shelf.cache.path().display().to_string();
        for part in [&command, &format!("{ID}@v1"), &cache] {
            assert!(message.contains(part), "{message}");
        }
        assert!(!message.contains("no such folder"), "{message}");
    }
    // One file of a commit is missing: it is named.
    shelf.fetch().unwrap();
    fs::remove_file(shelf.snapshot(FIRST).join(LARGE)).unwrap();
    let message = main_of(&shelf.offline()).unwrap_err().to_string();
    assert!(message.contains(&format!("--revision main '{LARGE}'")), "{message}");
}

/// As `hf download --include` leaves it: links in `snapshots`, no list of what else there is.
#[test]
fn what_python_fetched_is_used_if_it_is_whole() {
    let shelf = Shelf::of(BTreeMap::new());
    let folder = shelf.snapshot(SECOND);
    fs::create_dir_all(folder.join("main")).unwrap();
    fs::write(folder.join(SHARD), "a").unwrap();
    let test = |hub: &Hub| hub.dataset(ID, Some(SECOND), Some("main"), &FOUND, &["test"]);
    let error = test(&shelf.offline()).unwrap_err();
    assert!(matches!(error, HubError::NotCached { .. }), "one of two shards: {error:?}");
    fs::write(folder.join("main/test-00001-of-00002.parquet"), "b").unwrap();
    assert_eq!(test(&shelf.offline()).unwrap().files["test"].len(), 2);
}

#[test]
fn gated_absent_and_failing_datasets_are_told_apart() {
    let shelf = Shelf::of(dataset());
    shelf.server.with(|state| state.token = Some("secret"));
    let error = shelf.fetch().unwrap_err();
    assert!(matches!(error, HubError::Refused { status: 401, .. }), "{error:?}");
    let message = error.to_string();
    let licence = format!("licence at {}/datasets/{ID}", shelf.server.endpoint);
    assert!(message.contains(&licence) && message.contains("HF_TOKEN"), "{message}");
    let with_token = Hub { token: Some("secret".to_owned()), ..shelf.hub() };
    main_of(&with_token).unwrap();

    let shelf = Shelf::of(dataset());
    let error = shelf.hub().dataset("owner/other", None, None, &FOUND, &["train"]).unwrap_err();
    assert!(matches!(error, HubError::Absent { .. }), "{error:?}");
    assert!(error.to_string().starts_with("dataset owner/other: "), "{error}");
    shelf.server.with(|state| state.status = Some(("/resolve/", 500)));
    assert!(matches!(shelf.fetch(), Err(HubError::Status { status: 500, .. })));
    for id in ["a/b/c", "../x", "", "a b"] {
        let error = shelf.hub().dataset(id, None, None, &FOUND, &["train"]).unwrap_err();
        assert!(matches!(error, HubError::NotADataset { .. }), "{id}: {error:?}");
    }
}

#[test]
fn files_that_do_not_fit_are_listed() {
    let shelf = Shelf::of(dataset());
    let hub = shelf.hub();
    for (config, split) in [(Some("main"), "validation"), (Some("none"), "train"), (None, "train")]
    {
        let error = hub.dataset(ID, None, config, &FOUND, &[split]).unwrap_err();
        assert!(matches!(error, HubError::NoSuchFiles { .. }), "{error:?}");
        let message = error.to_string();
        assert!(message.contains(LARGE) && message.contains(&format!("`{split}`")), "{message}");
    }
    let one = listed("train", &["raw/train.jsonl", "raw/valid-*.jsonl"]);
    let message = hub.dataset(ID, None, None, &one, &["train"]).unwrap_err().to_string();
    assert!(message.contains("nothing matches raw/valid-*.jsonl"), "{message}");
    let message = hub.dataset(ID, None, None, &one, &["test"]).unwrap_err().to_string();
    assert!(message.contains("`test`"), "{message}");
    let error = hub.dataset(ID, None, None, &listed("train", &["../x"]), &["train"]).unwrap_err();
    assert!(matches!(error, HubError::NotAPattern { .. }), "{error:?}");
}

#[test]
fn listed_files_are_taken_in_their_order() {
    let shelf = Shelf::of(dataset());
    let files = listed("train", &["raw/*.jsonl", "main/train-*"]);
    let snapshot = shelf.hub().dataset(ID, None, None, &files, &["train"]).unwrap();
    let folder = shelf.snapshot(FIRST);
    let expected =
        ["raw/odd name #1.jsonl", "raw/train.jsonl", LARGE].map(|name| folder.join(name));
    assert_eq!(snapshot.files["train"], expected);
    for file in &expected {
        assert!(fs::read_to_string(file).unwrap().starts_with("this is "), "{}", file.display());
    }
}

/// The hub's own copies are on a branch with slashes in its name, which an address must escape.
#[test]
fn the_hubs_parquet_copy_is_a_revision() {
    let shelf = Shelf::of(dataset());
    let name = "main/train/0000.parquet";
    let copy = [(name.to_owned(), b"copy".to_vec())];
    shelf.server.with(|state| {
        state.revisions.insert("refs/convert/parquet".to_owned(), SECOND.to_owned());
        state.revisions.insert(SECOND.to_owned(), SECOND.to_owned());
        state.commits.insert(SECOND.to_owned(), copy.into());
    });
    let fetch = |hub: Hub| {
        hub.dataset(ID, Some("refs/convert/parquet"), Some("main"), &FOUND, &["train"]).unwrap()
    };
    let snapshot = fetch(shelf.hub());
    assert_eq!(snapshot.commit, SECOND);
    assert_eq!(snapshot.files["train"], [shelf.snapshot(SECOND).join(name)]);
    let listing = format!("/api/datasets/{ID}/revision/refs%2Fconvert%2Fparquet");
    assert!(shelf.server.requests().contains(&listing));
    assert_eq!(fetch(shelf.offline()), snapshot);
}

#[test]
fn old_ids_without_owner_are_redirected() {
    let shelf = Shelf::of(dataset());
    let fetch = |hub: Hub| hub.dataset(OLD_ID, None, Some("main"), &FOUND, &["train"]).unwrap();
    let snapshot = fetch(shelf.hub());
    let folder = shelf.cache.path().join("datasets--tiny/snapshots").join(FIRST);
    assert_eq!(snapshot.files["train"], [folder.join(LARGE)]);
    assert_eq!(fetch(shelf.offline()), snapshot);
}

/// A server's names must not lead out of the cache.
#[test]
fn names_that_leave_the_repository_are_not_taken() {
    let mut files = dataset();
    files.insert("../../../escape/train.jsonl".to_owned(), b"{}".to_vec());
    files.insert("/etc/train.jsonl".to_owned(), b"{}".to_vec());
    let shelf = Shelf::of(files);
    let files = listed("train", &["**train.jsonl"]);
    let snapshot = shelf.hub().dataset(ID, None, None, &files, &["train"]).unwrap();
    assert_eq!(snapshot.files["train"], [shelf.snapshot(FIRST).join("raw/train.jsonl")]);
}
