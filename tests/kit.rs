//! The competition's starter kit: its scores (`tests/reference/kit/kit.py`, which gives what the unmodified kit gave on its own
//! fixtures) for four kinds of tokenizers, and its CSV files.

use std::path::{Path, PathBuf};

use merge_search::checkpoint::Checkpoint;
use merge_search::evaluate::{
    Column, DocAnswer, Documents, Infeasible, Pool, Room, ScoringSet, SetError, TaskTokenizer,
    load_network,
};
use merge_search::model::{Network, Precision};
use merge_search::task::{Loader, Task};
use merge_search::units::Bytes;
use serde_json::Value;

const TOLERANCE: f64 = 1e-3;

fn reference() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference")
}

/// The CSV's rows with choices, and those with texts.
fn tasks() -> [Task; 2] {
    let tasks = Loader { hub: None }.load(&reference().join("kit/rows.csv")).unwrap();
    tasks.try_into().unwrap()
}

struct Model {
    network: Network,
    tokenizer: TaskTokenizer,
    expected: Vec<Value>,
}

impl Model {
    fn open(name: &str) -> Model {
        let folder = reference().join("lm_eval/docs/models").join(name);
        let network = load_network(&Checkpoint::open(&folder).unwrap(), Precision::F32).unwrap();
        let tokenizer = TaskTokenizer::open(&folder).unwrap();
        let file = std::fs::read(reference().join(format!("kit/{name}.json"))).unwrap();
        let json: Value = serde_json::from_slice(&file).unwrap();
        Model { network, tokenizer, expected: json["rows"].as_array().unwrap().clone() }
    }

    fn set(&self, task: &Task) -> Result<ScoringSet, SetError> {
        let tasks = [task.clone()];
        let documents = Documents { tasks: &tasks, split: None, limit: None, docs: None };
        let room = Room { memory: Bytes(1 << 30), threads: 2 };
        ScoringSet::new(&documents, &self.tokenizer, &self.network, room)
    }

    fn ask(&self, set: &ScoringSet) -> Vec<DocAnswer> {
        set.ask(&self.network, &self.tokenizer, &Pool::new(2).unwrap(), None).unwrap().remove(0)
    }

    /// What the kit gave for the row with this id.
    fn row(&self, id: &str) -> &Value {
        let id: u64 = id.parse().unwrap();
        self.expected.iter().find(|row| row["id"] == id).unwrap()
    }
}

fn ids(task: &Task) -> Vec<String> {
    let tasks = std::slice::from_ref(task);
    let documents = Documents { tasks, split: None, limit: None, docs: None };
    documents.of(0).iter().map(|doc| doc.id.clone().unwrap()).collect()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

/// Whether the two best are far enough apart for other arithmetic to choose the same.
fn is_clear(scores: &[f64]) -> bool {
    let mut sorted = scores.to_vec();
    sorted.sort_by(|a, b| b.total_cmp(a));
    sorted[0] - sorted[1] > TOLERANCE
}

fn assert_close(what: &str, ours: &[f32], theirs: &[f64]) {
    assert_eq!(ours.len(), theirs.len(), "{what}");
    for (ours, theirs) in ours.iter().zip(theirs) {
        assert!((f64::from(*ours) - theirs).abs() < TOLERANCE, "{what}: {ours}, the kit {theirs}");
    }
}

fn scores_agree(name: &str) {
    let model = Model::open(name);
    let [task, _] = tasks();
    let set = model.set(&task).unwrap();
    let answers = model.ask(&set);
    assert_eq!(set.infeasible(), []);
    for (doc, (id, answer)) in ids(&task).iter().zip(&answers).enumerate() {
        let row = model.row(id);
        let kit = numbers(&row["kit_scores"]);
        assert_close(&format!("{name} row {id}"), answer.of(Column::Kit).unwrap(), &kit);
        let fixed = numbers(&row["fixed_scores"]);
        assert_close(
            &format!("{name} row {id} fixed"),
            answer.of(Column::KitFixed).unwrap(),
            &fixed,
        );
        if is_clear(&kit) {
            let chosen = set.chosen(0, doc, answer).unwrap() as u64;
            assert_eq!(Some(chosen), row["kit_prediction"].as_u64(), "{name} row {id}");
        }
    }
}

#[test]
fn a_llama_2_tokenizer_scores_a_letter_by_its_eos() {
    scores_agree("llama");
}

#[test]
fn a_llama_3_tokenizer_scores_what_follows_a_second_bos() {
    scores_agree("llama3");
}

#[test]
fn an_encoder_decoder_scores_every_token() {
    scores_agree("t5");
}

/// A tokenizer that adds nothing: one-token choices crash the kit, which is the scorer's fault and not a panic here.
#[test]
fn a_qwen_tokenizer_makes_the_kits_scorer_infeasible() {
    let model = Model::open("qwen2");
    let [task, _] = tasks();
    let Err(SetError::Infeasible(left_out)) = model.set(&task) else { panic!("feasible") };
    assert_eq!((left_out.task.as_str(), left_out.metric), (task.name.as_str(), "kit"));
    let Infeasible::KitCrash { place } = &left_out.reason else { panic!("{left_out:?}") };
    assert!(place.file.ends_with("kit/rows.csv"), "{place}");
    assert!(left_out.reason.to_string().contains("rows.csv:"), "{}", left_out.reason);
    let task = task.judged_by("kit_fixed").unwrap();
    let set = model.set(&task).unwrap();
    assert_eq!(set.infeasible().iter().map(|own| own.metric).collect::<Vec<_>>(), ["kit"]);
    for (id, answer) in ids(&task).iter().zip(model.ask(&set)) {
        let fixed = numbers(&model.row(id)["fixed_scores"]);
        assert_close(&format!("row {id}"), answer.of(Column::KitFixed).unwrap(), &fixed);
        assert_eq!(answer.of(Column::Kit), None);
    }
}

#[test]
fn a_choice_of_one_token_beside_longer_ones_scores_0_with_a_qwen_tokenizer() {
    let model = Model::open("qwen2");
    let [task, _] = tasks();
    let crashes = |row: &&Value| row.get("kit_scores").is_some_and(Value::is_null);
    let crashing: Vec<String> =
        model.expected.iter().filter(crashes).map(|row| row["id"].to_string()).collect();
    assert!(!crashing.is_empty());
    let folder = tempfile::tempdir().unwrap();
    let rows = std::fs::read_to_string(reference().join("kit/rows.csv")).unwrap();
    let mut reader = csv::Reader::from_reader(rows.as_bytes());
    let mut writer = csv::Writer::from_path(folder.path().join("rows.csv")).unwrap();
    writer.write_record(reader.headers().unwrap().clone().iter()).unwrap();
    for record in reader.records().map(Result::unwrap) {
        if !crashing.contains(&record[0].to_owned()) {
            writer.write_record(&record).unwrap();
        }
    }
    writer.flush().unwrap();
    let whole = Loader { hub: None }.load(&folder.path().join("rows.csv")).unwrap().remove(0);
    assert!(ids(&whole).len() < ids(&task).len());
    let set = model.set(&whole).unwrap();
    let mut zeros = 0;
    for (id, answer) in ids(&whole).iter().zip(model.ask(&set)) {
        let kit = numbers(&model.row(id)["kit_scores"]);
        assert_close(&format!("row {id}"), answer.of(Column::Kit).unwrap(), &kit);
        zeros += kit.iter().filter(|score| **score == 0.0).count();
    }
    assert!(zeros > 0, "no such row");
}

/// As macOS writes accents, and with quotes.
#[test]
fn a_kit_file_may_have_any_name() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("cafe\u{301} \"x\" \\n.csv");
    std::fs::copy(reference().join("kit/rows.csv"), &file).unwrap();
    let tasks = Loader { hub: None }.load(&file).unwrap();
    assert_eq!(tasks[0].name, "cafe\u{301} \"x\" \\n_multiple_choice");
}

#[test]
fn generated_texts_are_the_kits() {
    for name in ["llama", "llama3", "qwen2", "t5"] {
        let model = Model::open(name);
        let [_, task] = tasks();
        let set = model.set(&task).unwrap();
        for (id, answer) in ids(&task).iter().zip(model.ask(&set)) {
            let row = model.row(id);
            if row["gap"].as_f64().unwrap() > TOLERANCE {
                assert_eq!(
                    answer.text.unwrap().text,
                    row["text"].as_str().unwrap(),
                    "{name} row {id}"
                );
            }
        }
    }
}
