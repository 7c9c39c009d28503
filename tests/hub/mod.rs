//! The hub's client against a server on the loopback that answers as the hub does.
mod datasets;
pub mod server;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use merge_search::checkpoint::{Adapter, Checkpoint};
use merge_search::hub::{Hub, HubError, Snapshot};
use tempfile::TempDir;

use server::{ID, Server};

const FIRST: &str = "1111111111111111111111111111111111111111";
const SECOND: &str = "2222222222222222222222222222222222222222";
const WEIGHTS: &str = "model.safetensors";

fn reference(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/peft").join(path)
}

type Files = BTreeMap<String, Vec<u8>>;

fn folder(path: &str) -> Files {
    let entries = fs::read_dir(reference(path)).unwrap().map(Result::unwrap);
    entries
        .map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap()))
        .collect()
}

/// A model, and files that a merge has no use for.
fn model() -> Files {
    let mut files = folder("models/llama");
    for name in ["tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "merges.txt"] {
        files.insert(name.to_owned(), format!("{{\"of\": \"{name}\"}}").into_bytes());
    }
    for name in ["README.md", ".gitattributes", "pytorch_model.bin", "onnx/model.onnx"] {
        files.insert(name.to_owned(), b"large".to_vec());
    }
    files
}

/// Two shards; the second has one tensor.
fn sharded() -> Files {
    let mut files = model();
    let whole = files.remove(WEIGHTS).unwrap();
    let parsed = safetensors::SafeTensors::deserialize(&whole).unwrap();
    let tensors = parsed.tensors();
    let (shards, mut map) = (["a.safetensors", "b.safetensors"], serde_json::Map::new());
    for shard in shards {
        let belongs = |name: &str| (name == "lm_head.weight") == (shard == "b.safetensors");
        let chosen = tensors.iter().filter(|(name, _)| belongs(name));
        let chosen: Vec<_> = chosen.map(|(name, view)| (name.clone(), view)).collect();
        map.extend(chosen.iter().map(|(name, _)| (name.clone(), shard.into())));
        files.insert(shard.to_owned(), safetensors::tensor::serialize(chosen, None).unwrap());
    }
    let index = serde_json::json!({"metadata": {}, "weight_map": map});
    files.insert("model.safetensors.index.json".to_owned(), index.to_string().into_bytes());
    files
}

struct Place {
    cache: TempDir,
    server: Server,
}

impl Place {
    fn of(files: Files) -> Place {
        Place { cache: tempfile::tempdir().unwrap(), server: Server::start(FIRST, files) }
    }

    fn hub(&self) -> Hub {
        let (cache, endpoint) = (self.cache.path().to_owned(), Some(self.server.endpoint.clone()));
        Hub { cache, endpoint, token: None, offline: false, progress: false }
    }

    fn offline(&self) -> Hub {
        Hub { endpoint: Some(nobody()), offline: true, ..self.hub() }
    }

    fn root(&self) -> PathBuf {
        self.cache.path().join("models--owner--tiny")
    }

    fn part(&self) -> Option<u64> {
        let blobs = self.root().join(".partial/models--owner--tiny/blobs");
        let mut parts = fs::read_dir(blobs).ok()?.map(|entry| entry.unwrap());
        let part = parts.find(|entry| entry.path().extension().is_some_and(|e| e == "part"))?;
        Some(part.metadata().unwrap().len())
    }

    fn fetch(&self) -> Result<Snapshot, HubError> {
        self.hub().snapshot(ID, None)
    }

    fn require_weights(&self, snapshot: &Snapshot) {
        let theirs = fs::read(reference("models/llama").join(WEIGHTS)).unwrap();
        assert_eq!(fs::read(snapshot.folder.join(WEIGHTS)).unwrap(), theirs);
    }
}

/// Where no server is.
fn nobody() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn what_is_needed_is_downloaded_and_found_again_offline() {
    let place = Place::of(model());
    let snapshot = place.fetch().unwrap();
    assert_eq!(snapshot.commit.as_deref(), Some(FIRST));
    assert_eq!(snapshot.folder, place.root().join("snapshots").join(FIRST));
    let expected = [
        "chat_template.jinja",
        "config.json",
        "merges.txt",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    ];
    assert_eq!(names(&snapshot.folder), expected);
    place.require_weights(&snapshot);
    Checkpoint::open(&snapshot.folder).unwrap();
    // The layout of Python's huggingface_hub.
    assert_eq!(names(&place.root()), ["blobs", "refs", "snapshots"]);
    assert_eq!(fs::read_to_string(place.root().join("refs/main")).unwrap(), FIRST);
    let config = fs::read(snapshot.folder.join("config.json")).unwrap();
    let link = fs::read_link(snapshot.folder.join("config.json")).unwrap();
    assert_eq!(link, Path::new("../../blobs").join(server::git_blob(&config)));

    assert_eq!(place.offline().snapshot(ID, None).unwrap(), snapshot);
    assert_eq!(place.offline().snapshot(ID, Some(FIRST)).unwrap(), snapshot);
    assert_eq!(place.offline().folder(ID, None).unwrap(), snapshot.folder);
}

#[test]
fn a_folder_is_taken_as_it_is() {
    let place = Place::of(model());
    let path = reference("models/llama");
    let snapshot = place.offline().snapshot(path.to_str().unwrap(), None).unwrap();
    assert_eq!(snapshot, Snapshot { folder: path, commit: None });
}

#[test]
fn a_cached_commit_needs_no_hub() {
    let place = Place::of(model());
    let pinned = place.hub().snapshot(ID, Some(FIRST)).unwrap();
    assert!(!place.root().join("refs/main").exists());
    place.server.publish(SECOND, sharded());
    place.server.requests();
    assert_eq!(place.hub().snapshot(ID, Some(FIRST)).unwrap(), pinned);
    assert_eq!(place.server.requests(), [""; 0]);
    assert!(matches!(place.offline().snapshot(ID, None), Err(HubError::NotCached { .. })));
}

#[test]
fn a_branch_is_looked_up_again_and_shares_its_files() {
    let place = Place::of(model());
    let first = place.fetch().unwrap();
    let mut files = model();
    files.insert("config.json".to_owned(), [files["config.json"].clone(), b"\n".to_vec()].concat());
    place.server.publish(SECOND, files);
    place.server.requests();
    let second = place.fetch().unwrap();
    assert_eq!(second.commit.as_deref(), Some(SECOND));
    place.require_weights(&second);
    let transfers = place.server.requests().into_iter().filter(|request| request.ends_with(" 0-"));
    assert_eq!(transfers.collect::<Vec<_>>(), [format!("/{ID}/resolve/{SECOND}/config.json 0-")]);
    assert_ne!(
        fs::read(first.folder.join("config.json")).unwrap(),
        fs::read(second.folder.join("config.json")).unwrap(),
    );
    assert_eq!(place.offline().snapshot(ID, None).unwrap(), second);
    assert_eq!(place.offline().snapshot(ID, Some(FIRST)).unwrap(), first);
}

#[test]
fn all_shards_are_downloaded() {
    let place = Place::of(sharded());
    let snapshot = place.fetch().unwrap();
    let (ours, whole) = (Checkpoint::open(&snapshot.folder).unwrap(), reference("models/llama"));
    let theirs = Checkpoint::open(&whole).unwrap();
    assert_eq!(ours.tensor("lm_head.weight").unwrap(), theirs.tensor("lm_head.weight").unwrap());
    ours.require_same_shapes(&theirs).unwrap();
    fs::remove_file(snapshot.folder.join("b.safetensors")).unwrap();
    let message = place.offline().snapshot(ID, None).unwrap_err().to_string();
    assert!(message.contains("b.safetensors"), "{message}");
}

#[test]
fn adapters_are_repositories_too() {
    let place = Place::of(folder("adapters/plain"));
    let snapshot = place.fetch().unwrap();
    assert_eq!(names(&snapshot.folder), ["adapter_config.json", "adapter_model.safetensors"]);
    Adapter::open(&snapshot.folder).unwrap();
    assert!(Adapter::is_adapter(&snapshot.folder));
    assert_eq!(place.offline().snapshot(ID, Some("main")).unwrap(), snapshot);
}

/// A transfer breaks off twice; each time, only the rest is asked for.
#[test]
fn a_broken_transfer_goes_on_where_it_broke_off() {
    let place = Place::of(model());
    place.server.with(|state| state.cuts = 2);
    let snapshot = place.fetch().unwrap();
    place.require_weights(&snapshot);
    let requests = place.server.requests();
    let store = format!("/store/{FIRST}/{WEIGHTS} ");
    let starts = requests.iter().filter_map(|request| request.strip_prefix(&store));
    let starts = starts.filter_map(|range| range.strip_suffix('-'));
    let starts: Vec<u64> = starts.map(|start| start.parse().unwrap()).collect();
    let size = fs::metadata(snapshot.folder.join(WEIGHTS)).unwrap().len();
    assert_eq!(starts, [0, size / 2, size / 2 + size.div_ceil(2) / 2]);
}

#[test]
fn the_next_run_goes_on_too() {
    let place = Place::of(model());
    place.server.with(|state| state.cuts = 4);
    let error = place.fetch().unwrap_err();
    assert!(matches!(error, HubError::Connection { .. }), "{error:?}");
    assert!(error.to_string().contains(WEIGHTS), "{error}");
    assert!(place.part().unwrap() > 0);
    assert!(matches!(place.offline().snapshot(ID, None), Err(HubError::NotCached { .. })));
    place.server.requests();
    place.require_weights(&place.fetch().unwrap());
    assert!(!place.server.requests().contains(&format!("/store/{FIRST}/{WEIGHTS} 0-")));
    assert_eq!(place.part(), None);
}

/// The previous run was killed between the last byte and the renaming.
#[test]
fn a_whole_part_is_not_asked_for_again() {
    let place = Place::of(model());
    place.server.with(|state| state.cuts = 4);
    place.fetch().unwrap_err();
    let blobs = place.root().join(".partial/models--owner--tiny/blobs");
    let part = names(&blobs).into_iter().find(|name| name.ends_with(".part")).unwrap();
    fs::copy(reference("models/llama").join(WEIGHTS), blobs.join(part)).unwrap();
    place.require_weights(&place.fetch().unwrap());
}

/// hf-hub appends the whole file to the part of it; the digest tells, and the file is fetched from its start.
#[test]
fn a_server_without_ranges_gives_whole_files() {
    let place = Place::of(model());
    place.server.with(|state| (state.cuts, state.ignores_ranges) = (1, true));
    place.require_weights(&place.fetch().unwrap());
}

#[test]
fn damaged_content_does_not_enter_the_cache() {
    let place = Place::of(model());
    place.server.with(|state| state.corrupts = Some(WEIGHTS));
    let error = place.fetch().unwrap_err();
    let HubError::Checksum { file, expected, actual, .. } = &error else { panic!("{error:?}") };
    assert_eq!((file.as_str(), expected.len(), actual.len()), (WEIGHTS, 64, 64));
    let message = error.to_string();
    assert!([file, &**expected, &**actual].iter().all(|part| message.contains(*part)), "{message}");
    assert!(!place.root().join("snapshots").join(FIRST).join(WEIGHTS).exists());
    assert!(!place.root().join("blobs").join(&**expected).exists());
    assert!(!place.root().join("refs/main").exists());
    assert_eq!(place.part(), None);
    place.server.with(|state| state.corrupts = None);
    place.require_weights(&place.fetch().unwrap());
}

#[test]
fn what_cannot_be_verified_is_refused() {
    let place = Place::of(model());
    place.server.with(|state| state.odd_etags = true);
    let error = place.fetch().unwrap_err();
    assert!(matches!(error, HubError::Unverifiable { .. }), "{error:?}");
}

#[test]
fn gated_models_name_licence_and_token() {
    let place = Place::of(model());
    place.server.with(|state| state.token = Some("secret"));
    for token in [None, Some("wrong".to_owned())] {
        let error = Hub { token, ..place.hub() }.snapshot(ID, None).unwrap_err();
        assert!(matches!(error, HubError::Refused { status: 401, .. }), "{error:?}");
        let message = error.to_string();
        for part in ["licence", "HF_TOKEN", ID, "401"] {
            assert!(message.contains(part), "{message}");
        }
        assert!(!message.contains("wrong"));
    }
    let token = Some("secret".to_owned());
    Hub { token, ..place.hub() }.snapshot(ID, None).unwrap();
    // Gated files of a listed repository.
    let place = Place::of(model());
    place.server.with(|state| state.status = Some(("/resolve/", 403)));
    assert!(matches!(place.fetch(), Err(HubError::Refused { status: 403, .. })));
}

#[test]
fn what_is_not_there_is_absent() {
    let place = Place::of(model());
    for (id, revision) in [("owner/other", None), (ID, Some("no-such-branch")), (ID, Some(SECOND))]
    {
        let error = place.hub().snapshot(id, revision).unwrap_err();
        assert!(matches!(error, HubError::Absent { .. }), "{error:?}");
        assert!(error.to_string().contains(id), "{error}");
    }
    let mut files = sharded();
    files.remove("b.safetensors");
    let error = Place::of(files).fetch().unwrap_err();
    assert!(matches!(&error, HubError::Absent { file, .. } if file == "b.safetensors"), "{error}");
    for id in ["no-owner", "a/b/c", "../x/y", "owner/.."] {
        assert!(matches!(place.hub().snapshot(id, None), Err(HubError::NotAnId { .. })), "{id}");
    }
    let error = place.hub().snapshot(ID, Some("../../main")).unwrap_err();
    assert!(matches!(error, HubError::NotARevision { .. }), "{error:?}");
}

#[test]
fn pickled_weights_are_said_to_be() {
    let mut files = model();
    files.remove(WEIGHTS);
    let message = Place::of(files.clone()).fetch().unwrap_err().to_string();
    assert!(message.contains("safe_serialization"), "{message}");
    files.remove("pytorch_model.bin");
    let error = Place::of(files).fetch().unwrap_err();
    assert!(matches!(error, HubError::NoSafetensors { pickled: false, .. }), "{error:?}");
}

/// An index that could not be had used to be read as a model of one file, and no answer as a model without weights.
#[test]
fn errors_of_the_server_are_not_absence() {
    for part in ["index.json", "/store/"] {
        let place = Place::of(sharded());
        place.server.with(|state| state.status = Some((part, 500)));
        let error = place.fetch().unwrap_err();
        assert!(matches!(error, HubError::Status { status: 500, .. }), "{part}: {error:?}");
    }
    let place = Place::of(sharded());
    place.server.with(|state| state.status = Some(("/api/", 418)));
    assert!(matches!(place.fetch(), Err(HubError::Status { status: 418, .. })));
}

#[test]
fn without_a_connection_the_cache_is_used() {
    let place = Place::of(model());
    let hub = Hub { endpoint: Some(nobody()), ..place.hub() };
    let error = hub.snapshot(ID, None).unwrap_err();
    assert!(matches!(error, HubError::Connection { .. }), "{error:?}");
    assert!(error.to_string().contains("HF_HUB_OFFLINE"), "{error}");
    let snapshot = place.fetch().unwrap();
    assert_eq!(hub.snapshot(ID, None).unwrap(), snapshot);
}

#[test]
fn a_malformed_index_is_named() {
    for index in ["[]", "{", r#"{"weight_map": {"a": "../b"}}"#, r#"{"weight_map": {"a": 1}}"#] {
        let mut files = sharded();
        files.insert("model.safetensors.index.json".to_owned(), index.as_bytes().to_vec());
        let error = Place::of(files).fetch().unwrap_err();
        assert!(matches!(error, HubError::Index { .. }), "{index}: {error:?}");
        assert!(error.to_string().contains("model.safetensors.index.json"), "{error}");
    }
}

#[test]
fn a_server_that_is_no_hub_is_said_to_be() {
    let mut files = model();
    files.remove("config.json");
    let place = Place::of(files);
    // A listing whose commit is not one could lead out of the cache.
    place.server.publish("../../escape", model());
    let error = place.fetch().unwrap_err();
    assert!(matches!(error, HubError::Answer { .. }), "{error:?}");
}
