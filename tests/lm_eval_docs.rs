//! Document by document what lm-eval 0.4.13's `hf` backend says (`tests/reference/lm_eval/docs.py`): the same task files, read
//! as they are, on models with four kinds of tokenizers; and task files changed by hand against tasks changed as a recipe does
//! (`tests/reference/lm_eval/prompt_changes.py`).

use std::path::{Path, PathBuf};

use merge_search::checkpoint::Checkpoint;
use merge_search::evaluate::{
    Column, DocAnswer, Documents, OpenError, Pool, Room, ScoringSet, TaskTokenizer, changed_prompt,
    load_network, ready_tasks,
};
use merge_search::model::Precision;
use merge_search::outcome::TaskScore;
use merge_search::recipe::{AnswerStyle, PromptChange};
use merge_search::task::{Doc, Prompt, Task, TaskError};
use merge_search::units::Bytes;
use serde_json::Value;
use sha2::{Digest, Sha256};

/// f32 differs from f64 by up to 7e-5 in sums over choices and 5e-4 in sums over pages.
const TOLERANCE: f64 = 1e-3;
/// Examples of the split that is scored: here they come from the search split alone, so that no document's answer is shown to
/// another that is to judge the winner.
const OTHER_EXAMPLES: [&str; 2] = ["shots_same_split", "shots_unnamed_split"];

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/lm_eval/docs")
}

/// One task under one set of options.
struct Run<'a> {
    expected: &'a Value,
    name: String,
}

impl Run<'_> {
    fn option(&self, key: &str) -> Option<&Value> {
        self.expected["options"].get(key)
    }

    fn task(&self) -> Task {
        let file = docs().join("tasks").join(format!("{}.yaml", text(&self.expected["task"])));
        let mut task = Task::load(&file).unwrap();
        if let Some(change) = self.expected.get("change") {
            let prompt = changed_prompt(&task, &change_of(change));
            return task.with_prompt(prompt, None).unwrap();
        }
        let on = |key: &str| self.option(key).is_some_and(|value| value == true);
        let prompt = Prompt {
            system_instruction: self.option("system_instruction").map(|own| text(own).to_owned()),
            apply_chat_template: on("apply_chat_template"),
            fewshot_as_multiturn: on("fewshot_as_multiturn"),
            ..task.prompt.clone()
        };
        task.add_bos_token = self.option("add_bos_token").and_then(Value::as_bool);
        task.with_prompt(prompt, None).unwrap()
    }
}

/// An entry of a recipe's `prompts`.
fn change_of(change: &Value) -> PromptChange {
    let count = |key: &str| change.get(key).map(|count| count.as_u64().unwrap() as usize);
    let own = |key: &str| change.get(key).map(|value| text(value).to_owned());
    PromptChange {
        num_fewshot: count("num_fewshot"),
        system_instruction: own("system_instruction"),
        doc_to_text: own("doc_to_text"),
        answer_style: own("answer_style").map(|style| match style.as_str() {
            "letter" => AnswerStyle::Letter,
            style => panic!("{style}"),
        }),
        max_gen_toks: count("max_gen_toks"),
        apply_chat_template: change.get("apply_chat_template").and_then(Value::as_bool),
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

/// What differs.
#[derive(Default)]
struct Report {
    /// Runs whose chat template takes no system message.
    refused: usize,
    may_be_longer: bool,
    compared: usize,
    largest: f64,
    differences: Vec<String>,
}

impl Report {
    fn equal(&mut self, what: &str, ours: impl PartialEq<Value> + std::fmt::Debug, theirs: &Value) {
        self.compared += 1;
        if ours != *theirs {
            self.differences.push(format!("{what}: {ours:?}, lm-eval {theirs}"));
        }
    }

    fn close(&mut self, what: &str, ours: &[f32], theirs: &[f64]) {
        assert_eq!(ours.len(), theirs.len(), "{what}");
        for (ours, theirs) in ours.iter().zip(theirs) {
            let difference = (f64::from(*ours) - theirs).abs();
            self.compared += 1;
            self.largest = self.largest.max(difference);
            if difference.is_nan() || difference > TOLERANCE {
                self.differences.push(format!("{what}: {ours}, lm-eval {theirs}"));
            }
        }
    }

    fn doc(&mut self, what: &str, doc: &Doc, answer: &DocAnswer, theirs: &Value) {
        let hash: String =
            Sha256::digest(&doc.text).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        self.equal(&format!("{what}, prompt {:?}", doc.text), hash.as_str(), &theirs["context"]);
        for (key, column) in
            [("log_likelihoods", Column::Conditional), ("unconditional", Column::Unconditional)]
        {
            if let (Some(ours), Some(expected)) = (answer.of(column), theirs.get(key)) {
                self.close(&format!("{what} {key}"), ours, &numbers(expected));
            }
        }
        if let (Some((ours, _)), Some(expected)) = (answer.reference, theirs.get("log_likelihood"))
        {
            self.close(what, &[ours], &[expected.as_f64().unwrap()]);
        }
        // Below, other arithmetic may say another text.
        if let Some(ours) = answer.text.as_ref().filter(|_| number(theirs, "gap") > 1e-3) {
            // lm-eval lets an encoder-decoder write as many tokens more as its prompt has.
            let theirs = text(&theirs["raw"]);
            let same = if self.may_be_longer {
                theirs.starts_with(&ours.text)
            } else {
                ours.text == theirs
            };
            self.equal(
                &format!("{what} text {:?}, lm-eval {theirs:?}", ours.text),
                same,
                &true.into(),
            );
        }
    }

    fn score(&mut self, what: &str, metric: &str, score: f64, margin: f32, theirs: &Value) {
        match &theirs[metric] {
            Value::Number(expected) if f64::from(margin).abs() > TOLERANCE => {
                self.equal(&format!("{what} {metric}"), score, &expected.as_f64().unwrap().into());
            }
            Value::Object(by_filter) => {
                let first = by_filter.values().next().unwrap();
                self.equal(&format!("{what} {metric}"), score, &first.as_f64().unwrap().into());
            }
            _ => {}
        }
    }
}

fn number(value: &Value, key: &str) -> f64 {
    value.get(key).and_then(Value::as_f64).unwrap_or(f64::INFINITY)
}

/// `file`: of lm-eval's numbers, beside the folder of tasks and models.
fn compare(model: &str, file: &str) -> Report {
    let folder = docs().join("models").join(model);
    let checkpoint = Checkpoint::open(&folder).unwrap();
    let network = load_network(&checkpoint, Precision::F32).unwrap();
    let tokenizer = TaskTokenizer::open(&folder).unwrap();
    let pool = Pool::new(2).unwrap();
    let file = std::fs::read_to_string(docs().join(file)).unwrap();
    let expected: Value = serde_json::from_str(&file).unwrap();
    let mut report = Report { may_be_longer: model == "t5", ..Report::default() };
    for run in expected["runs"].as_array().unwrap() {
        let name = text(&run["task"]);
        // An encoder-decoder predicts no text from nothing; lm-eval gives its encoder one token.
        if OTHER_EXAMPLES.contains(&name) || (model == "t5" && name == "pages") {
            continue;
        }
        let how = run.get("change").unwrap_or(&run["options"]);
        let run = Run { expected: run, name: format!("{model} {name} {how}") };
        let tasks = match ready_tasks(&[run.task()], &folder) {
            // lm-eval leaves the system message away without a word where the template refuses it.
            Err(OpenError::Task(TaskError::Chat { .. })) if model == "llama" => {
                report.refused += 1;
                continue;
            }
            tasks => tasks.unwrap(),
        };
        let documents = Documents { tasks: &tasks, split: None, limit: None, docs: None };
        let room = Room { memory: Bytes(1 << 30), threads: 2 };
        let set = ScoringSet::new(&documents, &tokenizer, &network, room).unwrap();
        let answers = set.ask(&network, &tokenizer, &pool, None).unwrap();
        let scores = set.decide(&answers).unwrap().remove(0).unwrap();
        compare_run(&run, &documents.of(0), &answers[0], &scores, &tasks[0], &mut report);
    }
    report
}

fn compare_run(
    run: &Run,
    docs: &[&Doc],
    answers: &[DocAnswer],
    scores: &TaskScore,
    task: &Task,
    report: &mut Report,
) {
    let theirs = run.expected["docs"].as_array().unwrap();
    assert_eq!(docs.len(), theirs.len(), "{}", run.name);
    for ((doc, answer), item) in docs.iter().zip(answers).zip(&scores.items) {
        // Their documents are in the file's order.
        let theirs = &theirs[doc.place.line - 1];
        let what = format!("{} line {}", run.name, doc.place.line);
        report.doc(&what, doc, answer, theirs);
        if number(theirs, "gap") > 1e-3 && (!report.may_be_longer || answer.text.is_none()) {
            report.score(&what, task.judged().as_str(), item.score, item.margin, theirs);
        }
    }
}

fn agrees(model: &str, least: usize) {
    let report = compare(model, &format!("{model}.json"));
    assert_eq!(report.refused > 0, model == "llama");
    require_equal(&report, least);
}

fn require_equal(report: &Report, least: usize) {
    println!("{} values, largest difference {:e}", report.compared, report.largest);
    assert!(report.compared > least, "{}", report.compared);
    let (count, shown) = (report.differences.len(), report.differences.iter().take(20));
    let shown: Vec<&str> = shown.map(String::as_str).collect();
    assert!(count == 0, "{count} differences:\n{}", shown.join("\n"));
}

#[test]
fn lm_eval_agrees_on_a_sentencepiece_tokenizer_with_bos() {
    agrees("llama", 2500);
}

#[test]
fn lm_eval_agrees_on_a_byte_level_tokenizer_without_bos() {
    agrees("qwen2", 2500);
}

#[test]
fn lm_eval_agrees_on_a_byte_level_tokenizer_whose_post_processor_adds_bos() {
    agrees("llama3", 2500);
}

#[test]
fn lm_eval_agrees_on_an_encoder_decoder_with_unigrams() {
    agrees("t5", 1800);
}

#[test]
fn lm_eval_agrees_on_prompts_that_a_recipe_changes() {
    for model in ["llama", "qwen2"] {
        let report = compare(model, &format!("../prompt_changes/{model}.json"));
        require_equal(&report, 1500);
    }
}
