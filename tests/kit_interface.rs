//! Exported classes in a stand-in of the starter kit, with the kit's pinned libraries and with today's: they answer as our
//! own evaluator does. What they answered was written by `tests/kit_interface/run.py`, whose docstring says how.

mod cases;
mod family;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use merge_search::evaluate::{
    Column, DocAnswer, Documents, Pool, ReadyModel, Resources, ScoringSet, Source,
};
use merge_search::merge::{MergePlan, merge_all};
use merge_search::model::Precision;
use merge_search::submission::competition::ChoiceScorer;
use merge_search::task::Task;
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::tiny;
use cases::{Case, cases, tasks};

/// Of transformers.
const VERSIONS: [&str; 2] = ["4.39.3", "5.23.0"];
/// Of the scores, and the margin from which on predictions must be equal.
const TOLERANCE: f64 = 1e-3;

#[derive(Deserialize)]
struct Ran {
    cases: BTreeMap<String, RanCase>,
}

#[derive(Deserialize)]
struct RanCase {
    class_sha256: String,
    /// What `merge` said of the version of transformers.
    refused: Option<String>,
    #[serde(default)]
    answers: BTreeMap<String, Answer>,
    /// Every so many elements of each tensor of the model that the class made, see `run.py`.
    #[serde(default)]
    tensors: BTreeMap<String, Vec<f32>>,
}

/// To a row: scores and the index of the best, or a text.
#[derive(Deserialize, Debug)]
struct Answer {
    #[serde(default)]
    scores: Vec<f64>,
    prediction: String,
}

/// By `pitfalls.py`.
#[derive(Deserialize)]
struct Checked {
    passed: Vec<String>,
    /// By the class's case.
    class_sha256: BTreeMap<String, String>,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kit_interface")
}

fn ran(version: &str) -> Ran {
    let file = folder().join(format!("results/transformers-{version}.json"));
    let text = fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    serde_json::from_slice(&text).unwrap()
}

fn digest(text: &str) -> String {
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Everything that `run.py` needs: `cargo test --release kit_interface_write -- --ignored`.
#[test]
#[ignore = "writes the folder that run.py reads; cargo test --release kit_interface_write -- --ignored --nocapture"]
fn kit_interface_write() {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("kit_interface");
    fs::create_dir_all(target.join("classes")).unwrap();
    family::write(&target);
    for case in cases() {
        let (text, ()) = case.class(&target, |_| ());
        fs::write(target.join("classes").join(format!("{}.py", case.name)), text).unwrap();
    }
    println!("{}", target.display());
}

struct Ours {
    tasks: Vec<Task>,
    set: ScoringSet,
    answers: Vec<Vec<DocAnswer>>,
}

fn ours(case: &Case, home: &Path) -> Ours {
    let (pool, tasks) = (Pool::new(2).unwrap(), tasks(case.scorer));
    let resources = Resources { memory: None, precision: Precision::F32 };
    let model: ReadyModel = Source::Recipe(Box::new(case.recipe()))
        .load(&family::hub(home), &resources, None, &pool, &tasks)
        .unwrap()
        .fitted_to(&case.gate_tasks(), &pool)
        .unwrap();
    let documents = Documents { tasks: &tasks, split: None, limit: None, docs: None };
    let room = model.room(&resources, 2);
    let set = ScoringSet::new(&documents, &model.tokenizer, &*model.network, room).unwrap();
    let answers = model.ask(&set, &documents, &documents, room, &pool, None).unwrap();
    Ours { tasks, set, answers }
}

/// What is compared.
fn scores(scorer: ChoiceScorer, answer: &DocAnswer, choices: &[String]) -> Vec<f64> {
    let column = match scorer {
        ChoiceScorer::Kit => Column::Kit,
        ChoiceScorer::KitFixed => Column::KitFixed,
        ChoiceScorer::Acc | ChoiceScorer::AccNorm => Column::Conditional,
    };
    let nats = answer.of(column).unwrap().iter().map(|nats| f64::from(*nats));
    let by = choices.iter().map(|choice| match scorer {
        ChoiceScorer::AccNorm => choice.chars().count() as f64,
        _ => 1.0,
    });
    nats.zip(by).map(|(nats, by)| nats / by).collect()
}

fn margin(scores: &[f64]) -> f64 {
    let mut sorted = scores.to_vec();
    sorted.sort_by(|a, b| b.total_cmp(a));
    sorted[0] - sorted[1]
}

/// Predictions, scores and texts, and how many rows there were.
fn compare(case: &Case, ours: &Ours, ran: &RanCase, what: &str) -> usize {
    let documents = Documents { tasks: &ours.tasks, split: None, limit: None, docs: None };
    let mut rows = 0;
    for (task, answers) in ours.answers.iter().enumerate() {
        for (index, (doc, answer)) in documents.of(task).into_iter().zip(answers).enumerate() {
            let id = doc.id.clone().unwrap();
            let theirs = &ran.answers[&id];
            rows += 1;
            if let Some(text) = &answer.text {
                assert_eq!(text.text, theirs.prediction, "{what}: row {id}");
                continue;
            }
            let scores = scores(case.scorer, answer, doc.answer.choices());
            for (own, their) in scores.iter().zip(&theirs.scores) {
                assert!(
                    (own - their).abs() < TOLERANCE,
                    "{what}: row {id}: {scores:?}, {theirs:?}"
                );
            }
            if margin(&scores) > TOLERANCE {
                let chosen = ours.set.chosen(task, index, answer).unwrap().to_string();
                assert_eq!(chosen, theirs.prediction, "{what}: row {id}");
            }
        }
    }
    assert_eq!(rows, ran.answers.len(), "{what}");
    rows
}

/// Elements at the places that `run.py` looks at; of the second merge under names that begin with `1.`, as the class saves
/// them.
fn tensors(plans: &[MergePlan]) -> BTreeMap<String, Vec<f32>> {
    let mut plans: Vec<&MergePlan> = plans.iter().collect();
    // The class has the deepest first.
    plans.sort_by_key(|plan| std::cmp::Reverse(plan.source_layers()[0].len()));
    let look = |values: Vec<f32>| -> Vec<f32> {
        let step = (values.len() / 4).max(1);
        values.into_iter().step_by(step).take(4).collect()
    };
    let mut all = BTreeMap::new();
    for (number, plan) in plans.into_iter().enumerate() {
        let prefix = if number == 0 { String::new() } else { format!("{number}.") };
        let merged = merge_all(plan).unwrap().into_iter();
        all.extend(merged.map(|tensor| (format!("{prefix}{}", tensor.name), look(tensor.values))));
    }
    all
}

/// Of the second merge, or in the file and no parameter of the network.
fn is_left_out(name: &str) -> bool {
    name.starts_with("1.")
        || name == "final_logits_bias"
        || name.ends_with("EncDecAttention.relative_attention_bias.weight")
}

#[test]
fn exported_classes_answer_as_our_evaluator() {
    let home = tempfile::tempdir().unwrap();
    family::write(home.path());
    let ran: Vec<(&str, Ran)> = VERSIONS.map(|version| (version, ran(version))).into();
    for case in cases() {
        let (text, tensors) = case.class(home.path(), tensors);
        let ours = ours(&case, home.path());
        for (version, ran) in &ran {
            let what = format!("{} with transformers {version}", case.name);
            let own = ran.cases.get(case.name).unwrap_or_else(|| panic!("{what} was not run"));
            assert_eq!(own.class_sha256, digest(&text), "{what}: another class ran, run it again");
            if let Some(refused) = &own.refused {
                assert_eq!((case.name, *version), ("llama31_acc", "4.39.3"));
                assert!(refused.contains("transformers>=4.43"), "{refused}");
                assert!(refused.contains("`rope_scaling` of type llama3"), "{refused}");
                continue;
            }
            assert_eq!(compare(&case, &ours, own, &what), 17, "{what}");
            let (first, others): (Vec<&String>, Vec<&String>) =
                own.tensors.keys().partition(|name| !name.starts_with("1."));
            let of_first = tensors.keys().filter(|name| !is_left_out(name)).count();
            assert_eq!(first.len(), of_first, "{what}");
            assert_eq!(others.len(), case.swapped(), "{what}");
            for (name, theirs) in &own.tensors {
                let name = if tensors.contains_key(name) {
                    name.clone()
                } else {
                    name.replace(".mlp.", ".block_sparse_moe.")
                };
                for (own, their) in tensors[&name].iter().zip(theirs) {
                    assert!((own - their).abs() < 1e-6, "{what}: {name}");
                }
            }
        }
    }
}

/// The table of pitfalls in the starter kit, as far as it concerns the class, and two of our own: `pitfalls.py` has a check of
/// each name.
const PITFALLS: [&str; 21] = [
    "encoder_decoders_take_numbers_as_target",
    "choices_in_a_string_are_a_list",
    "the_notebooks_older_tokenizer_is_not_used",
    "tokenizers_without_bos_and_eos_score_single_tokens",
    "batches_may_lack_eval_type",
    "an_index_of_two_digits_stays_whole",
    "texts_longer_than_the_model_reads_are_cut",
    "texts_are_longer_than_twenty_tokens",
    "rows_of_unequal_length_need_no_pad_token",
    "weights_are_in_the_type_that_was_asked_for",
    "a_token_for_the_hub_may_be_unset_or_empty",
    "adapters_are_merged_without_network",
    "one_repository_at_two_commits_is_two_models",
    "pandas_may_read_none_as_nan",
    "generation_rows_may_have_choices",
    "blanks_at_the_end_of_a_prompt_belong_to_the_choice",
    "nothing_imports_evaluate",
    "keys_and_values_of_a_prompt_are_read_once",
    "tied_weights_are_saved_once",
    "layers_that_were_left_out_come_back",
    "swapped_weights_come_back",
];

#[test]
fn no_exported_class_falls_into_a_pitfall() {
    let home = tempfile::tempdir().unwrap();
    family::write(home.path());
    let today: BTreeMap<&str, String> = cases()
        .iter()
        .map(|case| (case.name, digest(&case.class(home.path(), |_| ()).0)))
        .collect();
    for version in VERSIONS {
        let file = folder().join(format!("results/pitfalls-{version}.json"));
        let checked: Checked = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        for pitfall in PITFALLS {
            assert!(checked.passed.iter().any(|name| name == pitfall), "{version}: {pitfall}");
        }
        assert!(!checked.class_sha256.is_empty());
        for (name, sha256) in &checked.class_sha256 {
            assert_eq!(&today[name.as_str()], sha256, "{name}: another class was checked");
        }
    }
}

#[test]
fn class_files_have_short_lines_and_name_no_place() {
    let home = tempfile::tempdir().unwrap();
    family::write(home.path());
    for case in cases() {
        let (text, ()) = case.class(home.path(), |_| ());
        assert_eq!(text, case.class(home.path(), |_| ()).0, "{} is not stable", case.name);
        assert!(text.starts_with("\"\"\"") && text.ends_with("\n") && !text.ends_with("\n\n"));
        for line in text.lines() {
            assert!(
                line.chars().count() <= 120 && line.trim_end() == line,
                "{}: {line}",
                case.name
            );
        }
        let places = [
            "cuda:",
            "\"/",
            home.path().to_str().unwrap(),
            "import evaluate",
            "# routed",
            "# unlike",
        ];
        let unfilled = [
            "SKIPPED",
            "SCORES",
            "MAX_SEQ_LEN",
            "MAX_GEN_LEN",
            "AUTO_CLASS",
            "MergedModel",
            "NEEDED",
        ];
        for word in places.into_iter().chain(unfilled) {
            assert!(!text.contains(word), "{}: {word}", case.name);
        }
    }
}

/// Two merges of one model each.
const APART: &str = "merge_method: linear
models:
- {model: tiny/llama@A, parameters: {weight: 1.0}}
document_router:
  gate: {features: FEATURES}
  routes: [1, 0]
  merges:
  - merge_method: linear
    models:
    - {model: tiny/llama@B, parameters: {weight: 1.0}}
";

#[test]
fn routes_between_other_networks_are_refused() {
    let home = tempfile::tempdir().unwrap();
    family::write(home.path());
    let second = family::snapshot(home.path(), "llama", family::SECOND);
    let case = cases::case("llama_apart", ChoiceScorer::Acc, APART);
    let said = || case.try_class(home.path(), |_| ()).0.err().map(|error| error.to_string());
    // What no network depends on.
    family::change_config(&second, &json!({"transformers_version": "4.0.0", "use_cache": false}));
    assert_eq!(said(), None);
    let before = fs::read(second.join("config.json")).unwrap();
    for change in [json!({"rope_theta": 7.0}), json!({"eos_token_id": [764, 5]})] {
        family::change_config(&second, &change);
        let said = said().unwrap();
        assert!(said.contains("different `config.json`"), "{change}: {said}");
        fs::write(second.join("config.json"), &before).unwrap();
    }
    let weights = second.join("model.safetensors");
    let mut tensors = tiny::stored(&weights);
    let norm = tensors.iter().position(|own| own.name.ends_with("layers.1.input_layernorm.weight"));
    tensors.remove(norm.unwrap());
    fs::write(&weights, tiny::singles(&tensors)).unwrap();
    let said = said().unwrap();
    assert!(said.contains("between merge 0 and merge 1, which has other tensors"), "{said}");
}

/// The recipe names a model first whose merge is not the deepest.
const SHALLOW_FIRST: &str = "merge_method: passthrough
slices:
- sources:
  - {model: tiny/llama@A, layer_range: [0, 1]}
document_router:
  gate: {features: FEATURES}
  routes: [1, 0]
  merges:
  - merge_method: passthrough
    slices:
    - sources:
      - {model: tiny/llama@B, layer_range: [0, 2]}
";

/// Its tokenizer reads prompts, here and in the class.
#[test]
fn the_model_that_a_recipe_names_first_stays_the_reference() {
    let home = tempfile::tempdir().unwrap();
    family::write(home.path());
    let case = cases::case("llama_apart", ChoiceScorer::Acc, SHALLOW_FIRST);
    let (text, references) = case.class(home.path(), |plans| {
        plans.iter().map(MergePlan::reference_index).collect::<Vec<_>>()
    });
    assert_eq!(references, [0, 1], "the deeper merge has another reference");
    let literal = text.split("r\"\"\"\n").nth(1).unwrap().split("\n\"\"\"").next().unwrap();
    let recipe: serde_json::Value = serde_json::from_str(literal).unwrap();
    assert_eq!(recipe["reference"], 0);
    assert_eq!(recipe["layers"], json!([2, 1]));
    // The class has the deepest merge first.
    assert_eq!(recipe["router"]["routes"], json!([0, 1]));
}
