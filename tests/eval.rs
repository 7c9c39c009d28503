//! `merge-search eval` as a user meets it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use candle_core::Device;
use merge_search::evaluate::{Documents, Pool, Resources, Room, ScoringSet, Source};
use merge_search::hub::Hub;
use merge_search::model::Precision;
use merge_search::outcome::TaskScore;
use merge_search::recipe::{ModelRef, Recipe};
use merge_search::record::RunFolder;
use merge_search::task::Task;
use merge_search::units::{Bytes, Split};
use polars::prelude::*;
use serde_json::Value;

use super::command::{assert_says, copy, program, repository, succeeded, text};

const TASKS: [&str; 5] = ["arithmetic", "logic", "strings", "agreement", "mixed"];
const DOCS: usize = 30;

fn quickstart(model: &str) -> PathBuf {
    repository().join("search-spaces/quickstart").join(model)
}

fn task(name: &str) -> PathBuf {
    repository().join("datasets").join(name)
}

fn eval(model: &Path, tasks: &[&str], more: &[&str]) -> Output {
    let mut command = program();
    command.arg("eval").arg(model).args(more);
    for name in tasks {
        command.arg("--task").arg(task(name));
    }
    command.output().unwrap()
}

fn eval_json(model: &Path, tasks: &[&str], more: &[&str]) -> Value {
    let more = [more, &["--json", "--limit", "30"]].concat();
    serde_json::from_str(&succeeded(&eval(model, tasks, &more))).unwrap()
}

fn number(value: &Value, key: &str) -> f64 {
    value[key].as_f64().unwrap_or_else(|| panic!("no number `{key}` in {value}"))
}

#[test]
fn the_base_model_has_the_accuracies_of_the_searchs_own_baseline() {
    let folder = tempfile::tempdir().unwrap();
    for part in ["search-spaces", "datasets"] {
        copy(&repository().join(part), &folder.path().join(part));
    }
    let space = folder.path().join("search-spaces/quickstart.toml");
    let whole = fs::read_to_string(&space).unwrap();
    let lines: Vec<&str> = whole.lines().filter(|line| !line.starts_with("search_docs")).collect();
    let few = format!("[tasks]\nsearch_docs = 5\nselection_docs = 5\nholdout_docs = {DOCS}");
    fs::write(&space, lines.join("\n").replace("[tasks]", &few)).unwrap();
    let results = folder.path().join("results");
    let mut search = program();
    search.arg(&space).args(["--trials", "1", "--quiet", "--name", "run", "--results"]);
    succeeded(&search.arg(&results).output().unwrap());
    let trials = RunFolder::open(&results.join("run")).unwrap().trials().unwrap();
    let is_base = |name: &Option<String>| name.as_deref() == Some("base");
    let base = trials.iter().find(|t| is_base(&t.name) && t.split == Split::Holdout).unwrap();
    let report = eval_json(&quickstart("base"), &TASKS, &["--workers", "1"]);
    let mean = base.geometric_mean.unwrap();
    assert_eq!(number(&report, "geometric_mean"), mean.value);
    assert_eq!(number(&report, "geometric_mean_low"), mean.low);
    assert_eq!(number(&report, "geometric_mean_high"), mean.high);
    for (ours, theirs) in TASKS.iter().zip(&base.outcome.evaluation().unwrap().tasks) {
        assert_eq!(*ours, theirs.task);
        let tasks = report["tasks"].as_array().unwrap();
        let row = tasks.iter().find(|row| row["task"] == **ours).unwrap();
        assert_eq!(number(row, "accuracy"), theirs.accuracy().0, "{ours}");
        assert_eq!(row["docs"], DOCS);
    }
    assert_eq!((&report["docs"], &report["threads"]), (&(5 * DOCS).into(), &1.into()));
    assert!(number(&report, "seconds") > 0.0 && number(&report, "tokens") > 0.0);
}

fn table(path: &Path) -> DataFrame {
    ParquetReader::new(fs::File::open(path).unwrap()).finish().unwrap()
}

#[test]
fn the_table_of_choices_has_every_answer_and_adds_up_to_the_accuracy() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("docs.parquet");
    let more = ["--split", "selection", "--per-doc", file.to_str().unwrap()];
    let report = eval_json(&quickstart("logic"), &["logic", "mixed"], &more);
    let table = table(&file);
    let columns: Vec<(&str, DataType)> =
        table.columns().iter().map(|c| (c.name().as_str(), c.dtype().clone())).collect();
    let expected = [
        ("task", DataType::String),
        ("doc", DataType::UInt32),
        ("file", DataType::String),
        ("line", DataType::UInt32),
        ("id", DataType::String),
        ("choice", DataType::UInt32),
        ("log_likelihood", DataType::Float64),
        ("unconditional", DataType::Float64),
        ("kit", DataType::Float64),
        ("kit_fixed", DataType::Float64),
        ("tokens", DataType::UInt32),
        ("target", DataType::UInt32),
        ("chosen", DataType::UInt32),
        ("score", DataType::Float64),
        ("text", DataType::String),
        ("filtered", DataType::String),
    ];
    assert_eq!(columns, expected);
    let u32s = |name: &str| -> Vec<u32> {
        table.column(name).unwrap().u32().unwrap().into_no_null_iter().collect()
    };
    let (docs, choices, chosen, target) =
        (u32s("doc"), u32s("choice"), u32s("chosen"), u32s("target"));
    let likelihoods: Vec<f64> =
        table.column("log_likelihood").unwrap().f64().unwrap().into_no_null_iter().collect();
    assert!(u32s("tokens").iter().all(|tokens| *tokens > 0));
    let mut right = [0.0; 2];
    let mut row = 0;
    for right in &mut right {
        for doc in 0..DOCS as u32 {
            let count = docs[row..].iter().take_while(|other| **other == doc).count();
            assert!(count >= 2);
            let of_doc = row..row + count;
            assert_eq!(choices[of_doc.clone()], (0..count as u32).collect::<Vec<_>>());
            // Both tasks go by the sum: the greatest is the answer.
            let best = of_doc.clone().max_by(|a, b| likelihoods[*a].total_cmp(&likelihoods[*b]));
            assert_eq!(chosen[row], choices[best.unwrap()]);
            *right += f64::from(u8::from(chosen[row] == target[row]));
            row += count;
        }
    }
    assert_eq!(row, table.height());
    for (task, right) in report["tasks"].as_array().unwrap().iter().zip(right) {
        assert_eq!(number(task, "accuracy"), right / DOCS as f64);
    }
}

/// TIES of two of the quickstart's experts.
fn recipe() -> String {
    format!(
        "merge_method: ties\nbase_model: {}\ndtype: float32\nmodels:\n\
         - model: {}\n  parameters: {{weight: 0.7, density: 0.5}}\n\
         - model: {}\n  parameters: {{weight: 0.4, density: 0.6}}\n",
        quickstart("base").display(),
        quickstart("logic").display(),
        quickstart("strings").display()
    )
}

#[test]
fn a_recipe_scores_as_the_folder_that_it_is_merged_to() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("recipe.yaml"), recipe()).unwrap();
    let merge =
        program().arg("merge").arg(path("recipe.yaml")).arg("-o").arg(path("merged")).output();
    succeeded(&merge.unwrap());
    let tasks = ["logic", "strings"];
    let (one, other) = (path("recipe.parquet"), path("folder.parquet"));
    let per_doc = |file: &Path| ["--per-doc".to_owned(), file.to_str().unwrap().to_owned()];
    let run = |model: &str, file: &Path| {
        let more = per_doc(file);
        eval_json(&path(model), &tasks, &more.each_ref().map(String::as_str))
    };
    let (recipe, merged) = (run("recipe.yaml", &one), run("merged", &other));
    assert_eq!(recipe["tasks"], merged["tasks"]);
    assert_eq!(table(&one), table(&other));
}

/// The oracle is the other executor: below the packs they share the spec and hardly any code.
#[test]
fn a_network_on_a_device_gives_the_log_likelihoods_and_accuracies_of_the_network_on_the_cpu() {
    let tasks = TASKS.map(|name| Task::load(&task(name)).unwrap());
    let documents =
        Documents { tasks: &tasks, split: Some(Split::Holdout), limit: Some(DOCS), docs: None };
    let pool = Pool::new(2).unwrap();
    let scored = |source: &Source, device: Option<&Device>, memory: Bytes| {
        let hub = Hub {
            cache: PathBuf::new(),
            endpoint: None,
            token: None,
            offline: true,
            progress: false,
        };
        let resources = Resources { memory: None, precision: Precision::F32 };
        let model = source.load(&hub, &resources, device, &pool, &[]).unwrap();
        let Room { threads, .. } = resources.room_beside(&*model.network, 2);
        assert_eq!(threads, if device.is_some() { 1 } else { 2 });
        let room = Room { memory, threads };
        let set = ScoringSet::new(&documents, &model.tokenizer, &*model.network, room).unwrap();
        let answers = set.ask(&*model.network, &model.tokenizer, &pool, None).unwrap();
        let scores = set.decide(&answers).unwrap();
        (set.log_likelihoods(&*model.network, &pool).unwrap(), scores, set.activation_bytes())
    };
    let chosen = |scores: &[Option<TaskScore>]| -> Vec<(u32, bool)> {
        scores
            .iter()
            .flatten()
            .flat_map(|of| &of.items)
            .map(|item| (item.chosen.unwrap(), item.score == 1.0))
            .collect()
    };
    let base = ModelRef::new(quickstart("base").to_str().unwrap()).unwrap();
    let recipe = Box::new(Recipe::from_yaml(&recipe()).unwrap());
    for source in [Source::Checkpoint(base), Source::Recipe(recipe)] {
        let (expected, expected_scores, _) = scored(&source, None, Bytes(1 << 30));
        let (got, scores, largest) = scored(&source, Some(&Device::Cpu), Bytes(1 << 32));
        let (in_more_packs, more_scores, less) =
            scored(&source, Some(&Device::Cpu), Bytes(largest.0 / 3));
        assert!(less.0 <= largest.0 / 3);
        for (got, scores) in [(&got, &scores), (&in_more_packs, &more_scores)] {
            let flat = |all: &[Vec<Vec<f32>>]| all.concat().concat();
            let (got_flat, expected_flat) = (flat(got), flat(&expected));
            assert_eq!(got_flat.len(), expected_flat.len());
            for (got, expected) in got_flat.iter().zip(expected_flat) {
                assert!((got - expected).abs() <= 1e-4, "{got}, expected {expected}");
            }
            assert_eq!(chosen(scores), chosen(&expected_scores));
        }
    }
}

#[test]
fn a_gpu_is_refused_where_the_program_has_none() {
    let base = quickstart("base");
    assert_says(&refused(&base, &["logic"], &["--device", "gpu"]), &["gpu", "cuda:N"]);
    if !candle_core::utils::cuda_is_available() {
        let said = refused(&base, &["logic"], &["--device", "cuda:1"]);
        assert_says(&said, &["built without CUDA", "--features cuda"]);
    }
    let report = eval_json(&base, &["logic"], &["--device", "cpu"]);
    assert_eq!((&report["device"], &report["precision"]), (&"cpu".into(), &"f32".into()));
}

#[test]
fn it_prints_a_table_for_people() {
    let said = succeeded(&eval(&quickstart("strings"), &["strings"], &["--limit", "8"]));
    assert_says(&said, &["strings", "8 acc", "geometric mean", "docs/s", "on holdout", "95 %"]);
}

/// What is said on standard error; the exit code is 2.
fn refused(model: &Path, tasks: &[&str], more: &[&str]) -> String {
    let output = eval(model, tasks, more);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert_eq!(text(&output.stdout), "");
    said
}

#[test]
fn bad_input_is_refused_with_its_name() {
    let base = quickstart("base");
    assert_says(&refused(&base, &[], &[]), &["--task"]);
    assert_says(&refused(&base, &["nowhere"], &[]), &["nowhere", "task.toml"]);
    assert_says(&refused(&base, &["logic", "logic"], &[]), &["two tasks", "logic"]);
    assert_says(&refused(&base, &["logic"], &["--limit", "0"]), &["--limit"]);
    assert_says(&refused(&base, &["logic"], &["--split", "test"]), &["search", "holdout"]);
    assert_says(&refused(Path::new("no/such/folder"), &["logic"], &[]), &["no/such/folder"]);
    assert_says(&refused(Path::new("no/such.yaml"), &["logic"], &[]), &["no/such.yaml"]);
    assert_says(&refused(Path::new("no/such.gguf"), &["logic"], &[]), &["no/such.gguf"]);
    let small = refused(&base, &["logic"], &["--memory", "1k"]);
    assert_says(&small, &["--memory", "1.0 kB"]);
    let tiny = repository().join("tests/reference/gguf/qwen3.gguf");
    assert_says(&refused(&tiny, &["logic"], &[]), &["qwen3.gguf", "tokenizer.json"]);
}

#[test]
fn a_table_of_choices_is_never_written_over() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("docs.parquet");
    fs::write(&file, "mine").unwrap();
    let more = ["--per-doc", file.to_str().unwrap()];
    assert_says(&refused(&quickstart("base"), &["logic"], &more), &["--per-doc", "exists"]);
    assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
    let nowhere = folder.path().join("no/docs.parquet");
    let more = ["--per-doc", nowhere.to_str().unwrap()];
    assert_says(&refused(&quickstart("base"), &["logic"], &more), &["--per-doc", "no folder"]);
}
