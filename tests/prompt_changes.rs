//! Tasks that a recipe asks otherwise, on the quickstart family.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use merge_search::evaluate::{CandleEvaluator, Evaluator, Pool, Resources};
use merge_search::hub::Hub;
use merge_search::model::Precision;
use merge_search::outcome::{DocSubset, Evaluation, ItemScore, Outcome, TaskScore};
use merge_search::recipe::{AnswerStyle, ModelRef, PromptChange, Recipe};
use merge_search::task::{Prompt, Task, TaskError};
use merge_search::units::Split;

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn task(name: &str) -> Task {
    Task::load(&repository().join("datasets").join(name)).unwrap()
}

fn model(name: &str) -> PathBuf {
    repository().join("search-spaces/quickstart").join(name)
}

fn open() -> CandleEvaluator {
    let models: Vec<ModelRef> =
        ["base", "logic"].map(|name| model(name).to_str().unwrap().parse().unwrap()).to_vec();
    let tasks = ["arithmetic", "logic", "mixed"].map(task);
    let hub =
        Hub { cache: PathBuf::new(), endpoint: None, token: None, offline: true, progress: false };
    let resources = Resources { memory: None, precision: Precision::F32 };
    let pool = Arc::new(Pool::new(2).unwrap());
    CandleEvaluator::open(&models, &hub, &tasks, [Some(20); 3], &[], resources, pool).unwrap()
}

fn recipe(prompts: &[(&str, PromptChange)]) -> Recipe {
    let [base, logic] = ["base", "logic"].map(model);
    let yaml = format!(
        "merge_method: linear\nmodels:\n  - model: {}\n    parameters:\n      weight: 0.4\n  - model: {}\n    parameters:\n      \
         weight: 0.6\n",
        base.display(),
        logic.display()
    );
    let named = |(name, change): &(&str, PromptChange)| ((*name).to_owned(), change.clone());
    Recipe { prompts: prompts.iter().map(named).collect(), ..Recipe::from_yaml(&yaml).unwrap() }
}

fn shots(count: usize) -> PromptChange {
    PromptChange { num_fewshot: Some(count), ..PromptChange::default() }
}

fn letters() -> PromptChange {
    PromptChange { answer_style: Some(AnswerStyle::Letter), ..PromptChange::default() }
}

fn outcome(evaluator: &CandleEvaluator, recipe: &Recipe, docs: Option<&DocSubset>) -> Outcome {
    evaluator.evaluate(recipe, Split::Search, docs).unwrap()
}

fn scored(evaluator: &CandleEvaluator, recipe: &Recipe, docs: Option<&DocSubset>) -> Evaluation {
    match outcome(evaluator, recipe, docs) {
        Outcome::Feasible(evaluation) => evaluation,
        Outcome::Infeasible { reason } => panic!("{reason}"),
    }
}

fn reason(evaluator: &CandleEvaluator, prompts: &[(&str, PromptChange)]) -> String {
    match outcome(evaluator, &recipe(prompts), None) {
        Outcome::Feasible(_) => panic!("feasible"),
        Outcome::Infeasible { reason } => reason,
    }
}

fn bits(task: &TaskScore) -> Vec<(u64, Option<u32>, u32)> {
    let of = |item: &ItemScore| (item.score.to_bits(), item.chosen, item.margin.to_bits());
    task.items.iter().map(of).collect()
}

fn all_bits(evaluation: &Evaluation) -> Vec<Vec<(u64, Option<u32>, u32)>> {
    evaluation.tasks.iter().map(bits).collect()
}

#[test]
fn what_is_set_as_it_is_already_is_no_change() {
    let evaluator = open();
    let plain = scored(&evaluator, &recipe(&[]), None);
    let same = PromptChange {
        num_fewshot: Some(0),
        answer_style: Some(AnswerStyle::Text),
        apply_chat_template: Some(false),
        ..PromptChange::default()
    };
    for prompts in [("logic", PromptChange::default()), ("mixed", same)] {
        let again = scored(&evaluator, &recipe(&[prompts]), None);
        assert_eq!(all_bits(&again), all_bits(&plain));
    }
    assert_eq!(evaluator.reused().candidates, 2);
}

#[test]
fn one_tasks_prompts_are_nothing_to_the_others() {
    let evaluator = open();
    let plain = scored(&evaluator, &recipe(&[]), None);
    let changes = [
        shots(2),
        letters(),
        PromptChange { system_instruction: Some("Be brief.".to_owned()), ..shots(0) },
        PromptChange { doc_to_text: Some("So: {{question}}".to_owned()), ..shots(0) },
    ];
    for change in changes {
        let changed = scored(&evaluator, &recipe(&[("logic", change.clone())]), None);
        assert_eq!(bits(&changed.tasks[0]), bits(&plain.tasks[0]), "{change:?}");
        assert_ne!(bits(&changed.tasks[1]), bits(&plain.tasks[1]), "{change:?}");
        assert_eq!(bits(&changed.tasks[2]), bits(&plain.tasks[2]), "{change:?}");
    }
    assert_eq!(evaluator.reused().candidates, 0);
}

#[test]
fn parts_are_what_the_whole_is_and_twice_is_the_same() {
    let prompts = [
        ("arithmetic", shots(3)),
        ("logic", PromptChange { answer_style: Some(AnswerStyle::Letter), ..shots(1) }),
    ];
    let recipe = recipe(&prompts);
    let evaluator = open();
    let whole = all_bits(&scored(&evaluator, &recipe, None));
    assert_eq!(all_bits(&scored(&open(), &recipe, None)), whole, "by another evaluator");
    let first = DocSubset(vec![vec![0, 3, 4], (0..20).collect(), vec![7]]);
    let rest = DocSubset::whole(&[20, 20, 20]).without(&first);
    // Parts before the whole of their prompts, too.
    let other = open();
    for evaluator in [&evaluator, &other] {
        for part in [&first, &rest, &first] {
            let scores = all_bits(&scored(evaluator, &recipe, Some(part)));
            for (task, positions) in part.0.iter().enumerate() {
                let expected: Vec<_> =
                    positions.iter().map(|&doc| whole[task][doc as usize]).collect();
                assert_eq!(scores[task], expected, "{task}");
            }
        }
    }
}

/// The task's files with other keys: what a change stands for.
fn edited(keys: &[(&str, &str)]) -> Task {
    let folder = tempfile::tempdir().unwrap();
    let source = repository().join("datasets/mixed");
    for split in ["search", "selection", "holdout"] {
        let file = format!("{split}.jsonl");
        let lines: Vec<String> = fs::read_to_string(source.join(&file))
            .unwrap()
            .lines()
            .take(20)
            .map(str::to_owned)
            .collect();
        fs::write(folder.path().join(&file), lines.join("\n")).unwrap();
    }
    let text = fs::read_to_string(source.join("task.toml")).unwrap();
    let kept = text.lines().filter(|line| !keys.iter().any(|(key, _)| line.starts_with(key)));
    let own = keys.iter().map(|(key, value)| format!("{key} = {value}"));
    let text: Vec<String> = own.chain(kept.map(str::to_owned)).collect();
    fs::write(folder.path().join("task.toml"), text.join("\n")).unwrap();
    Task::load(folder.path()).unwrap()
}

#[test]
fn a_changed_task_is_what_its_edited_file_gives() {
    let plain = edited(&[]);
    let lines = r#""""{{question}}{% for choice in choices %}
{{ 'ABCD'[loop.index0] }}. {{ choice }}{% endfor %}
Answer:""""#;
    let own = plain.prompt.clone();
    let cases: [(&[(&str, &str)], Prompt); 4] = [
        (&[("num_fewshot", "3")], Prompt { num_fewshot: 3, ..own.clone() }),
        (
            &[("doc_to_text", "\"Q: {{question|upper}}\""), ("num_fewshot", "1")],
            Prompt {
                doc_to_text: Some("Q: {{question|upper}}".to_owned()),
                num_fewshot: 1,
                ..own.clone()
            },
        ),
        (
            &[("doc_to_text", lines), ("doc_to_choice", "[\"A\", \"B\", \"C\", \"D\"]")],
            Prompt { letters: true, ..own.clone() },
        ),
        (
            &[("system_instruction", "\"Be brief.\""), ("num_fewshot", "2")],
            Prompt {
                system_instruction: Some("Be brief.".to_owned()),
                num_fewshot: 2,
                ..own.clone()
            },
        ),
    ];
    for (keys, prompt) in cases {
        let changed = plain.with_prompt(prompt, None).unwrap();
        let edited = edited(keys);
        for split in Split::ALL {
            assert_eq!(changed.docs(split).len(), 20);
            for (ours, theirs) in changed.docs(split).iter().zip(edited.docs(split)) {
                assert_eq!((&ours.text, &ours.answer), (&theirs.text, &theirs.answer), "{keys:?}");
            }
        }
        let back = changed.with_prompt(own.clone(), None).unwrap();
        assert_eq!(back.docs(Split::Holdout), plain.docs(Split::Holdout), "and back again");
    }
}

#[test]
fn prompts_that_cannot_be_are_infeasible_in_words() {
    let evaluator = open();
    let text = |text: &str| PromptChange { doc_to_text: Some(text.to_owned()), ..shots(0) };
    let chat = PromptChange { apply_chat_template: Some(true), ..shots(0) };
    let cases = [
        (("logik", shots(1)), vec!["`logik`", "arithmetic, logic, mixed"]),
        (("logic", shots(9999)), vec!["task logic", "`num_fewshot` is 9999"]),
        (("logic", text("{{ question")), vec!["task logic", "`doc_to_text`"]),
        (("logic", text("{{ quest }}")), vec!["search.jsonl:1", "`doc_to_text`", "`question`"]),
        (("logic", text("qest")), vec!["search.jsonl:1", "no field `qest`"]),
        (("logic", chat), vec!["task logic", "no chat template"]),
        (
            ("mixed", shots(6)),
            vec!["task mixed", "search.jsonl:", "max_position_embeddings is 128"],
        ),
    ];
    for (prompts, words) in cases {
        let reason = reason(&evaluator, std::slice::from_ref(&prompts));
        for word in words {
            assert!(reason.contains(word), "{prompts:?}: {reason}");
        }
    }
    assert!(reason(&evaluator, &[("mixed", shots(6))]).contains("task mixed"), "remembered");
}

#[test]
fn an_option_that_can_never_work_is_found_without_a_model() {
    let evaluator = open();
    let check = |name: &str, change: PromptChange| {
        evaluator.check_prompts(&BTreeMap::from([(name.to_owned(), change)])).map_err(Box::new)
    };
    assert!(check("logic", shots(8)).is_ok());
    assert!(check("logic", letters()).is_ok());
    assert!(check("logic", shots(70)).unwrap_err().to_string().contains("`num_fewshot` is 70"));
    assert!(check("logik", shots(1)).unwrap_err().to_string().contains("`logik`"));
}

fn written(output_type: &str, row: &str, more: &str) -> Task {
    let folder = tempfile::tempdir().unwrap();
    let rows: Vec<String> = (0..12).map(|line| row.replace('x', &format!("x{line}"))).collect();
    fs::write(folder.path().join("rows.jsonl"), rows.join("\n")).unwrap();
    let file = folder.path().join("t.yaml");
    let text = format!(
        "task: t\ndataset_path: json\ndataset_kwargs: {{ data_files: {{ validation: rows.jsonl }} }}\nvalidation_split: validation\n\
         output_type: {output_type}\ndoc_to_text: q\ndoc_to_target: a\n{more}"
    );
    fs::write(&file, text).unwrap();
    Task::load(&file).unwrap()
}

#[test]
fn letters_need_two_to_twenty_six_choices() {
    let generated = written(
        "generate_until",
        r#"{"q": "x", "a": "y"}"#,
        "metric_list: [{ metric: exact_match }]\n",
    );
    let lettered =
        |task: &Task| task.with_prompt(Prompt { letters: true, ..task.prompt.clone() }, None);
    let error = lettered(&generated).unwrap_err();
    assert!(matches!(error, TaskError::NoEffect { key: "answer_style", .. }), "{error}");
    let choices = |count: usize| {
        let choices: Vec<String> = (0..count).map(|index| format!("\"c{index}\"")).collect();
        let row = format!(r#"{{"q": "x", "a": 0, "c": [{}]}}"#, choices.join(", "));
        written("multiple_choice", &row, "doc_to_choice: c\n")
    };
    let task = lettered(&choices(26)).unwrap();
    let doc = Split::ALL.iter().find_map(|split| task.docs(*split).first()).unwrap();
    assert!(doc.text.contains("\nA. c0\nB. c1\n") && doc.text.ends_with("\nZ. c25\nAnswer:"));
    assert_eq!(doc.answer.choices()[25], "Z");
    let error = lettered(&choices(27)).unwrap_err();
    assert!(matches!(error, TaskError::ManyChoices { found: 27, .. }), "{error}");
}
