//! The ready task files of `datasets/`: each loads from a loopback hub that serves the file layout of the real dataset, and asks
//! what lm-eval 0.4.13 asks of the same rows (`tests/reference/ready/check.py`).

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use merge_search::hub::Hub;
use merge_search::task::{Answer, ChatTemplate, Date, Doc, Loader, Task};
use merge_search::units::Split;
use serde_json::Value;
use tempfile::TempDir;

use crate::hub::server::Server;

fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn expected() -> Value {
    read(&repository().join("tests/reference/ready/EXPECTED.json"))
}

fn names() -> Vec<String> {
    expected()["tasks"].as_object().unwrap().keys().cloned().collect()
}

/// `dataset_path` of a task.
fn dataset(task: &str) -> String {
    let file = repository().join("datasets").join(task).join("task.toml");
    let table: toml::Table = toml::from_str(&fs::read_to_string(file).unwrap()).unwrap();
    table["dataset_path"].as_str().unwrap().to_owned()
}

/// Serves one dataset's made-up files; what the listing names but nobody should ask for is not there.
fn serve(id: &str) -> Server {
    let folder = repository().join("tests/reference/ready/hub").join(id);
    let listing = read(&folder.join("hub.json"));
    let name = |sibling: &Value| sibling["rfilename"].as_str().unwrap().to_owned();
    let siblings = listing["siblings"].as_array().unwrap().iter().map(name);
    let content = |name: String| {
        let content = fs::read(folder.join(&name)).unwrap_or_default();
        (name, content)
    };
    let files: BTreeMap<String, Vec<u8>> = siblings.map(content).collect();
    let text = |key: &str| listing[key].as_str().unwrap().to_owned();
    let server = Server::start(&text("commit"), files);
    server.with(|state| {
        state.revisions.insert(text("revision"), text("commit"));
        state.is_dataset = true;
        state.id = Some(id.to_owned());
    });
    server
}

fn hub(endpoint: &str, cache: &TempDir) -> Hub {
    let (cache, endpoint) = (cache.path().to_owned(), Some(endpoint.to_owned()));
    Hub { cache, endpoint, token: None, offline: false, progress: false }
}

fn load(name: &str) -> Task {
    let (server, cache) = (serve(&dataset(name)), tempfile::tempdir().unwrap());
    let hub = hub(&server.endpoint, &cache);
    let folder = repository().join("datasets").join(name);
    let mut tasks = Loader { hub: Some(&hub) }.load(&folder).unwrap();
    assert_eq!(tasks.len(), 1);
    tasks.remove(0)
}

/// All documents in the file's order.
fn docs(task: &Task) -> Vec<Doc> {
    let mut docs: Vec<Doc> =
        Split::ALL.into_iter().flat_map(|split| task.docs(split)).cloned().collect();
    docs.sort_by_key(|doc| (doc.place.file.to_path_buf(), doc.place.line));
    docs
}

fn template(expected: &Value) -> ChatTemplate {
    let source = expected["chat_template"].as_str().unwrap();
    ChatTemplate::new(source, serde_json::Map::new(), Date::new(2024, 7, 26).unwrap()).unwrap()
}

fn strings(value: &Value) -> Vec<&str> {
    value.as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect()
}

fn assert_asks(name: &str, doc: &Doc, expected: &Value) {
    assert_eq!(doc.text, expected["prompt"].as_str().unwrap(), "{name}");
    match &doc.answer {
        Answer::Choice { choices, right } => {
            assert_eq!(*choices, strings(&expected["choices"]), "{name}");
            assert_eq!(right.map(|right| right as u64), expected["right"].as_u64(), "{name}");
        }
        Answer::Text { references } => {
            assert_eq!(*references, strings(&expected["references"]), "{name}");
        }
    }
}

#[test]
fn every_ready_task_loads_and_asks_what_lm_eval_asks() {
    let expected = expected();
    let names = names();
    assert!(names.len() >= 20, "{names:?}");
    for name in names {
        let task = load(&name);
        let theirs = &expected["tasks"][&name];
        let task = match task.prompt.apply_chat_template {
            true => task.with_chat(&template(&expected)).unwrap(),
            false => task,
        };
        let docs = docs(&task);
        let split = theirs["split"].as_str().unwrap();
        assert_eq!(docs.len() as u64, theirs["documents"][split].as_u64().unwrap(), "{name}");
        assert_eq!(task.origin.split.as_deref(), Some(split), "{name}");
        assert_eq!(task.origin.dataset.as_deref(), Some(dataset(&name).as_str()));
        assert!(task.license.is_some() && !task.summary.is_empty(), "{name}");
        assert_asks(&name, docs.first().unwrap(), &theirs["first"]);
        assert_asks(&name, docs.last().unwrap(), &theirs["last"]);
        for split in Split::ALL {
            assert!(!task.docs(split).is_empty(), "{name} has nothing for {split}");
        }
    }
}

/// What only a benchmark's test split has must not be searched on, and what is searched on must not be one.
#[test]
fn ready_tasks_know_whose_test_set_they_are() {
    let of_benchmarks: Vec<String> =
        names().into_iter().filter(|name| load(name).origin.benchmark_test.is_some()).collect();
    assert_eq!(
        of_benchmarks,
        [
            "bbh_boolean_expressions",
            "bbh_logical_deduction",
            "bbh_object_counting",
            "bbh_word_sorting",
            "bbq",
            "truthfulqa"
        ]
    );
}

#[test]
fn without_network_the_error_says_how_to_download() {
    let cache = tempfile::tempdir().unwrap();
    for name in names() {
        let offline = Hub { offline: true, ..hub("http://127.0.0.1:9", &cache) };
        let folder = repository().join("datasets").join(&name);
        let error = Loader { hub: Some(&offline) }.load(&folder).unwrap_err();
        let mut said = error.to_string();
        let mut cause = std::error::Error::source(&error);
        while let Some(inner) = cause {
            said = format!("{said}: {inner}");
            cause = inner.source();
        }
        let revision = read(
            &repository().join("tests/reference/ready/hub").join(dataset(&name)).join("hub.json"),
        )["revision"]
            .as_str()
            .unwrap()
            .to_owned();
        for word in [&dataset(&name), &revision, "hf download", "--repo-type dataset"] {
            assert!(said.contains(word), "{name}: no {word:?} in: {said}");
        }
    }
}
