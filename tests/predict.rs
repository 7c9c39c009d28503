//! `merge-search predict`: what the unmodified starter kit answered (`tests/reference/kit/kit.py`), the same rows in any order and
//! any number at a time, a run's winner, and what is refused.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use merge_search::evaluate::{
    Answering, Decided, DocIndex, Documents, Pool, ReadyModel, Resources, ScoringSet, Source,
};
use merge_search::hub::Hub;
use merge_search::model::Precision;
use merge_search::recipe::{
    Classes, DocumentRouter, Features, Gate, GateKind, ModelRef, Pooling, Recipe,
};
use merge_search::submission::predictions::{asked_rows, read, validate};
use merge_search::task::{Loader, Task};
use serde_json::Value;

use super::command::{assert_says, copy, program, repository, succeeded, text};

const TOLERANCE: f64 = 1e-3;

fn reference(path: &str) -> PathBuf {
    repository().join("tests/reference").join(path)
}

fn tiny(model: &str) -> PathBuf {
    reference("lm_eval/docs/models").join(model)
}

fn quickstart(model: &str) -> PathBuf {
    repository().join("search-spaces/quickstart").join(model)
}

fn predict(model: &Path, data: &Path, more: &[&str]) -> Output {
    let mut command = program();
    command.arg("predict").arg(model).arg("--data").arg(data).args(["--workers", "2"]).args(more);
    command.output().unwrap()
}

/// What is refused writes nothing.
fn refused(model: &Path, data: &Path, output: &Path, more: &[&str]) -> String {
    let more = [&["-o", output.to_str().unwrap()], more].concat();
    let output = predict(model, data, &more);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
    text(&output.stderr)
}

/// Header and records of the kit's rows.
fn records() -> (csv::StringRecord, Vec<csv::StringRecord>) {
    let mut reader = csv::Reader::from_path(reference("kit/rows.csv")).unwrap();
    let header = reader.headers().unwrap().clone();
    (header, reader.records().map(Result::unwrap).collect())
}

fn write_rows(file: &Path, rows: &[csv::StringRecord]) {
    let mut writer = csv::Writer::from_path(file).unwrap();
    writer.write_record(&records().0).unwrap();
    rows.iter().for_each(|row| writer.write_record(row).unwrap());
    writer.flush().unwrap();
}

/// With rows of both kinds in turns, and not by their ids.
fn mixed(file: &Path) -> Vec<String> {
    let rows = records().1;
    let order = [12, 3, 0, 13, 7, 11, 14, 1, 2, 10, 4, 9, 5, 6, 8];
    let rows: Vec<csv::StringRecord> = order.iter().map(|&row| rows[row].clone()).collect();
    write_rows(file, &rows);
    rows.iter().map(|row| row[0].to_owned()).collect()
}

/// What the kit gave for a row, where other arithmetic gives the same; choices by `scores`.
fn expected(row: &Value, scores: &str) -> Option<String> {
    if let Some(text) = row.get("text").and_then(Value::as_str) {
        return (row["gap"].as_f64().unwrap() > TOLERANCE).then(|| text.to_owned());
    }
    let scores: Vec<f64> =
        row[scores].as_array().unwrap().iter().map(|score| score.as_f64().unwrap()).collect();
    let (best, score) = scores.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).unwrap();
    let clear = |(other, own): (usize, &f64)| other == best || score - own > TOLERANCE;
    scores.iter().enumerate().all(clear).then(|| best.to_string())
}

fn predictions_are_the_kits(model: &str, scorer: &str, scores: &str) {
    let folder = tempfile::tempdir().unwrap();
    let (data, output) = (folder.path().join("rows.csv"), folder.path().join("out.csv"));
    let ids = mixed(&data);
    let more = ["-o", output.to_str().unwrap(), "--scorer", scorer, "--json"];
    let said: Value =
        serde_json::from_str(&succeeded(&predict(&tiny(model), &data, &more))).unwrap();
    assert_eq!(
        (&said["rows"], &said["choices"], &said["texts"]),
        (&15.into(), &12.into(), &3.into())
    );
    assert_eq!(said["scorer"], scorer);
    let tasks = Loader { hub: None }.questions(&data).unwrap();
    assert_eq!(validate(&asked_rows(&tasks).unwrap(), &output).unwrap(), []);
    let rows = read(&output).unwrap();
    assert_eq!(rows.iter().map(|row| row.id.clone()).collect::<Vec<_>>(), ids);
    let file = fs::read(reference(&format!("kit/{model}.json"))).unwrap();
    let kit: Value = serde_json::from_slice(&file).unwrap();
    let mut compared = 0;
    for row in rows {
        let id: u64 = row.id.parse().unwrap();
        let kit = kit["rows"].as_array().unwrap().iter().find(|row| row["id"] == id).unwrap();
        if let Some(expected) = expected(kit, scores) {
            assert_eq!(row.prediction, expected, "{model} {scorer} row {id}");
            compared += 1;
        }
    }
    assert!(compared > 8, "{compared} rows only");
}

#[test]
fn a_llama_answers_as_in_the_kit() {
    predictions_are_the_kits("llama", "kit", "kit_scores");
    predictions_are_the_kits("llama", "kit_fixed", "fixed_scores");
}

#[test]
fn a_llama_3_answers_as_in_the_kit() {
    predictions_are_the_kits("llama3", "kit", "kit_scores");
}

#[test]
fn an_encoder_decoder_answers_as_in_the_kit() {
    predictions_are_the_kits("t5", "kit", "kit_scores");
}

#[test]
fn a_qwen_answers_by_the_fixed_scorer_alone() {
    predictions_are_the_kits("qwen2", "kit_fixed", "fixed_scores");
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("out.csv");
    let said = refused(&tiny("qwen2"), &reference("kit/rows.csv"), &output, &["--scorer", "kit"]);
    assert_says(&said, &["kit cannot be had", "the starter kit crashes with this tokenizer"]);
    assert!(!output.exists());
}

#[test]
fn the_first_rows_alone_are_the_same_rows() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("rows.csv");
    mixed(&data);
    let [whole, few] = ["whole.csv", "few.csv"].map(|name| folder.path().join(name));
    succeeded(&predict(&tiny("llama"), &data, &["-o", whole.to_str().unwrap()]));
    let more = ["-o", few.to_str().unwrap(), "--limit", "4", "--compare", whole.to_str().unwrap()];
    let output = predict(&tiny("llama"), &data, &more);
    assert_says(&succeeded(&output), &["wrote 4 rows", "4 of 4 rows are equal"]);
    assert_says(&text(&output.stderr), &["only the first 4 of 15 rows", "scored by acc", "rows/s"]);
    assert_eq!(read(&few).unwrap(), read(&whole).unwrap()[..4]);
}

#[test]
fn a_comparison_names_every_row_that_differs() {
    let folder = tempfile::tempdir().unwrap();
    let (data, ours) = (reference("kit/rows.csv"), folder.path().join("ours.csv"));
    succeeded(&predict(&tiny("llama"), &data, &["-o", ours.to_str().unwrap()]));
    let rows = read(&ours).unwrap();
    let other = folder.path().join("other.csv");
    let line =
        |id: &str, prediction: &str| format!("{id},\"{}\",0\n", prediction.replace('"', "\"\""));
    let mut changed = "id,prediction,dummy_field\n".to_owned();
    for row in &rows {
        let prediction = match row.id.as_str() {
            "0" => "77".to_owned(),
            "13" => format!("{}!", row.prediction),
            _ => row.prediction.clone(),
        };
        changed.push_str(&line(&row.id, &prediction));
    }
    fs::write(&other, &changed).unwrap();
    let compare = ["--compare", other.to_str().unwrap()];
    let said = succeeded(&predict(&tiny("llama"), &data, &compare));
    assert_says(
        &said,
        &[
            "13 of 15 rows are equal",
            "1 choices differ",
            "1 texts differ",
            "id 0: choice",
            "there \"77\"; margin",
            "id 13: text from character",
        ],
    );
    let json = succeeded(&predict(&tiny("llama"), &data, &[&compare[..], &["--json"]].concat()));
    let both: Value = serde_json::from_str::<Value>(&json).unwrap()["comparison"].take();
    assert_eq!((&both["equal"], &both["same_order"]), (&13.into(), &true.into()));
    let characters = rows[13].prediction.chars().count();
    assert_eq!(both["differences"][1]["character"], characters);
    assert_eq!(both["differences"][0]["ours"].to_string(), rows[0].prediction);
    // Without its last row, and with another.
    let last = changed.rfind("14,").unwrap();
    fs::write(&other, format!("{}99,x,0\n", &changed[..last])).unwrap();
    let output = predict(&tiny("llama"), &data, &compare);
    assert_eq!(output.status.code(), Some(2));
    assert_says(&text(&output.stderr), &["missing 14; not asked or twice 99"]);
    assert_says(&text(&output.stdout), &["12 of 14 rows are equal"]);
}

#[test]
fn what_cannot_be_done_is_refused_before_anything_is_scored() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let (model, rows, output) = (tiny("llama"), reference("kit/rows.csv"), at("out.csv"));
    let said = |data: &Path, more: &[&str]| {
        let said = refused(&tiny("llama"), data, &at("out.csv"), more);
        assert!(!at("out.csv").exists());
        said
    };
    fs::write(at("there.csv"), "mine").unwrap();
    assert_says(&refused(&model, &rows, &at("there.csv"), &[]), &["there.csv", "exists already"]);
    assert_eq!(fs::read_to_string(at("there.csv")).unwrap(), "mine");
    assert_says(&refused(&model, &rows, &at("no/out.csv"), &[]), &["there is no folder"]);
    assert_says(&said(&at("none.csv"), &[]), &["cannot read", "none.csv"]);
    assert_says(&said(&repository().join("datasets/logic"), &[]), &["expected a CSV file"]);
    assert_says(&said(&rows, &["--trial", "3"]), &["--trial 3", "is not a run folder"]);
    assert_says(&said(&rows, &["--scorer", "rouge"]), &["valid: kit, kit_fixed, acc, acc_norm"]);
    assert_says(
        &said(&rows, &["--compare", at("there.csv").to_str().unwrap()]),
        &["the header is mine; expected id,prediction,dummy_field"],
    );
    let all = records().1;
    let (mut twice, header) = (all.clone(), at("header.csv"));
    twice.push(
        all[12].iter().enumerate().map(|(i, field)| if i == 0 { "3" } else { field }).collect(),
    );
    write_rows(&at("twice.csv"), &twice);
    assert_says(&said(&at("twice.csv"), &[]), &["twice.csv:", "the id \"3\" is that of"]);
    fs::write(&header, "id,input,answer_choices\n0,x,\n").unwrap();
    assert_says(&said(&header, &[]), &["header.csv:1", "eval_type"]);
    fs::write(&header, "id,input,eval_type\n").unwrap();
    assert_says(&said(&header, &[]), &["header.csv: no rows"]);
    let neither = predict(&model, &rows, &[]);
    assert_eq!(neither.status.code(), Some(2));
    assert!(!output.exists());
}

/// A run of one candidate with few documents.
fn run(folder: &Path) -> PathBuf {
    for part in ["search-spaces", "datasets"] {
        copy(&repository().join(part), &folder.join(part));
    }
    let space = folder.join("search-spaces/quickstart.toml");
    let whole = fs::read_to_string(&space).unwrap();
    let lines: Vec<&str> = whole.lines().filter(|line| !line.starts_with("search_docs")).collect();
    let few = "[tasks]\nsearch_docs = 5\nselection_docs = 5\nholdout_docs = 5";
    fs::write(&space, lines.join("\n").replace("[tasks]", few)).unwrap();
    let mut search = program();
    search.arg(&space).args(["--trials", "1", "--quiet", "--name", "run", "--results"]);
    succeeded(&search.arg(folder.join("results")).output().unwrap());
    folder.join("results/run")
}

const QUESTIONS: &str = "id,input,eval_type,answer_choices
5,\"Ben is strong. Every snake is wet. Leo is a snake. So Leo is\",multiple_choice,\"[' dry.', ' wet.', ' strong.']\"
3,\"Sam is small. So Sam\",generation,
9,\"Kim is rich. No bee is old. Jim is a bee. So Jim is\",multiple_choice,\"[' old.', ' young.']\"
";

#[test]
fn a_runs_winner_and_its_other_trials_answer() {
    let folder = tempfile::tempdir().unwrap();
    let run = run(folder.path());
    let data = folder.path().join("questions.csv");
    fs::write(&data, QUESTIONS).unwrap();
    let answers = |model: &Path, name: &str, more: &[&str]| {
        let output = folder.path().join(name);
        let more = [&["-o", output.to_str().unwrap(), "--max-gen-toks", "4"], more].concat();
        let done = predict(model, &data, &more);
        succeeded(&done);
        assert_says(&text(&done.stderr), &["choices are scored by acc"]);
        fs::read_to_string(output).unwrap()
    };
    let winner = answers(&run, "winner.csv", &[]);
    assert_eq!(winner, answers(&run.join("best.yaml"), "best.csv", &[]));
    assert_eq!(winner.lines().next(), Some("id,prediction,dummy_field"));
    // A task of the file's name is still another task.
    let prompts = "prompts:\n  questions: {system_instruction: \"No.\"}\n";
    let prompted = folder.path().join("prompted.yaml");
    let best = fs::read_to_string(run.join("best.yaml")).unwrap();
    fs::write(&prompted, format!("{}\n{prompts}", best.trim_end())).unwrap();
    assert_eq!(winner, answers(&prompted, "prompted.csv", &[]));
    let said = predict(&prompted, &data, &["-o", folder.path().join("p.csv").to_str().unwrap()]);
    assert_says(&text(&said.stderr), &["prompts for questions are not applied"]);
    let base = answers(&run, "trial.csv", &["--trial", "0"]);
    assert_eq!(base, answers(&quickstart("base"), "base.csv", &[]));
    let none = refused(&run, &data, &folder.path().join("x.csv"), &["--trial", "99"]);
    assert_says(&none, &["--trial 99", "has trials 0 to"]);
    fs::remove_file(run.join("manifest.json")).unwrap();
    refused(&run, &data, &folder.path().join("x.csv"), &[]);
}

fn hub() -> Hub {
    Hub { cache: PathBuf::new(), endpoint: None, token: None, offline: true, progress: false }
}

const RESOURCES: Resources = Resources { memory: None, precision: Precision::F32 };

fn load(source: &Source, pool: &Pool) -> ReadyModel {
    source.load(&hub(), &RESOURCES, None, pool, &[]).unwrap()
}

fn checkpoint(folder: &Path) -> Source {
    Source::Checkpoint(folder.to_str().unwrap().parse::<ModelRef>().unwrap())
}

fn answering<'a>(
    model: &'a ReadyModel,
    tasks: &'a [Task],
    pool: &'a Pool,
    at_once: usize,
) -> Answering<'a> {
    let room = model.room(&RESOURCES, 2);
    Answering { model, tasks, prompts: tasks, room, pool, at_once }
}

fn docs(tasks: &[Task]) -> Vec<DocIndex> {
    let rows = asked_rows(tasks).unwrap();
    rows.iter().map(|row| DocIndex { task: row.task, doc: row.doc }).collect()
}

#[test]
fn any_number_of_rows_at_a_time_gives_the_same_bits() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("rows.csv");
    mixed(&data);
    let tasks = Loader { hub: None }.questions(&data).unwrap();
    let pool = Pool::new(2).unwrap();
    for model in ["llama", "t5"] {
        let model = load(&checkpoint(&tiny(model)), &pool);
        let docs = docs(&tasks);
        let whole = answering(&model, &tasks, &pool, 100);
        assert_eq!(
            whole.check(&docs).unwrap(),
            answering(&model, &tasks, &pool, 4).check(&docs).unwrap()
        );
        let whole: Vec<Decided> = whole.decide(&docs, None).unwrap();
        for at_once in [1, 4] {
            assert_eq!(
                answering(&model, &tasks, &pool, at_once).decide(&docs, None).unwrap(),
                whole
            );
        }
    }
}

fn merge(weights: [f64; 2]) -> Recipe {
    let [base, logic, strings] =
        ["base", "logic", "strings"].map(|name| quickstart(name).display().to_string());
    let yaml = format!(
        "merge_method: task_arithmetic\nbase_model: {base}\ndtype: float32\nmodels:\n- model: {logic}\n  parameters: {{weight: {}}}\n- model: {strings}\n  parameters: {{weight: {}}}\n",
        weights[0], weights[1]
    );
    Recipe::from_yaml(&yaml).unwrap()
}

/// The gate is fitted to other tasks than those that are asked, as a run's is.
#[test]
fn a_routed_model_with_its_runs_gate_answers_any_number_at_a_time() {
    let pool = Pool::new(2).unwrap();
    let of_run = ["logic", "arithmetic"]
        .map(|task| Task::load(&repository().join("datasets").join(task)).unwrap());
    let gate = Gate {
        features: Features::Hidden { layer: 1, pool: Pooling::Mean },
        kind: GateKind::Linear,
        classes: Classes::Tasks(2),
    };
    let (first, second) = (merge([0.9, 0.0]), merge([0.0, 0.9]));
    let router = DocumentRouter { gate, routes: vec![0, 1], merges: vec![second.clone()] };
    let routed = Recipe { document_router: Some(router), ..first.clone() };
    let source = |own: &Recipe| Source::Recipe(Box::new(own.clone()));
    let model = load(&source(&routed), &pool).fitted_to(&of_run, &pool).unwrap();
    let asked: Vec<Task> = of_run.iter().rev().cloned().collect();
    let docs: Vec<DocIndex> = (0..40).map(|doc| DocIndex { task: doc % 2, doc: 7 * doc }).collect();
    let whole = answering(&model, &asked, &pool, 100).decide(&docs, None).unwrap();
    assert_eq!(answering(&model, &asked, &pool, 6).decide(&docs, None).unwrap(), whole);
    // Each document is answered by one of the merges alone: nearly always that of its own task.
    let alone = [&second, &first].map(|own| {
        let model = load(&source(own), &pool);
        answering(&model, &asked, &pool, 100).decide(&docs, None).unwrap()
    });
    let mut own = 0;
    for (place, (index, answer)) in docs.iter().zip(&whole).enumerate() {
        assert!(alone.iter().any(|merge| merge[place] == *answer), "{index:?}");
        own += usize::from(alone[index.task][place] == *answer);
    }
    assert!(own >= 36, "{own} of 40");
}

/// One token each for this tokenizer, which adds none.
fn digits(range: std::ops::Range<usize>) -> String {
    range.map(|i| format!(" {}", (i * i / 3) % 10)).collect()
}

/// lm-eval reads the last `max_position_embeddings` (128) tokens before the one that is predicted last.
#[test]
fn a_prompt_that_is_too_long_loses_its_beginning() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("long.csv");
    let row = |id: usize, prompt: String, choice: &str| {
        format!("{id},{prompt},multiple_choice,\"['{choice}', '{}']\"\n", choice.replace('3', "4"))
    };
    let rows = [
        row(0, digits(0..300), " 3"),
        row(1, digits(300 - 128..300), " 3"),
        row(2, digits(300 - 127..300), " 3"),
        row(3, digits(0..300), " 3 5"),
        row(4, digits(300 - 127..300), " 3 5"),
        // The choice alone is too long: what is left of it begins behind one token to predict from.
        row(5, digits(0..2), &digits(0..200)),
        row(6, digits(71..72), &digits(72..200)),
    ];
    fs::write(&data, format!("id,input,eval_type,answer_choices\n{}", rows.concat())).unwrap();
    let pool = Pool::new(1).unwrap();
    let model = load(&checkpoint(&quickstart("base")), &pool);
    let mut tasks = Loader { hub: None }.questions(&data).unwrap();
    let documents = Documents { tasks: &tasks, split: None, limit: None, docs: None };
    let room = model.room(&RESOURCES, 1);
    let refused = ScoringSet::new(&documents, &model.tokenizer, &*model.network, room);
    assert!(refused.unwrap_err().to_string().contains("max_position_embeddings is 128"));
    for metric in ["kit_fixed", "acc"] {
        tasks[0] = tasks[0].clone().judged_by(metric).unwrap();
        tasks[0].cuts_prompts = true;
        let decided = answering(&model, &tasks, &pool, 2).decide(&docs(&tasks), None).unwrap();
        let truncated: Vec<bool> = decided.iter().map(|own| own.truncated).collect();
        assert_eq!(truncated, [true, false, false, true, false, true, false], "{metric}");
        assert_eq!(decided[0].scores, decided[1].scores, "{metric}");
        assert_ne!(decided[0].scores, decided[2].scores, "{metric}");
        assert_eq!(decided[3].scores, decided[4].scores, "{metric}");
        if metric == "kit_fixed" {
            assert_eq!(decided[5].scores, decided[6].scores);
        }
    }
}
