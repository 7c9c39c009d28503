//! Task folders: what is read, and how each kind of damage is reported.

use std::fs;

use merge_search::task::{Metric, Task};
use merge_search::units::Split;
use tempfile::TempDir;

const DEFINITION: &str = r#"
task = "colours"
output_type = "multiple_choice"
doc_to_text = "{{question}}?"
doc_to_choice = "choices"
doc_to_target = "answer"
metric = "acc"
[splits]
search = "search.jsonl"
selection = "selection.jsonl"
holdout = "holdout.jsonl"
"#;

fn line(question: &str) -> String {
    format!("{{\"question\": \"{question}\", \"choices\": [\"red\", \"blue\"], \"answer\": 1}}\n")
}

fn folder(definition: &str, search: &[u8]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("task.toml"), definition).unwrap();
    fs::write(folder.path().join("search.jsonl"), search).unwrap();
    fs::write(folder.path().join("selection.jsonl"), line("sky")).unwrap();
    fs::write(folder.path().join("holdout.jsonl"), line("sea")).unwrap();
    folder
}

/// The error and all its causes, as the command line shows them.
fn error(definition: &str, search: &[u8]) -> String {
    let folder = folder(definition, search);
    let error = Task::load(folder.path()).unwrap_err();
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}

fn assert_says(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "no {word:?} in: {text}");
    }
}

#[test]
fn a_task_is_read_in_lm_evals_words() {
    let folder = folder(DEFINITION, format!("{}\n{}", line("grass"), line("snow")).as_bytes());
    let task = Task::load(folder.path()).unwrap();
    assert_eq!(
        (task.name.as_str(), &task.metrics, task.target_delimiter.as_str()),
        ("colours", &vec![Metric::Acc], " ")
    );
    let docs = task.docs(Split::Search);
    assert_eq!(docs.iter().map(|doc| doc.text.as_str()).collect::<Vec<_>>(), ["grass?", "snow?"]);
    assert_eq!(
        docs.iter().map(|doc| doc.place.line).collect::<Vec<_>>(),
        [1, 3],
        "a blank line is passed over"
    );
    assert_eq!(
        (docs[0].answer.choices(), docs[0].answer.right()),
        (["red".to_owned(), "blue".to_owned()].as_slice(), Some(1))
    );
    assert_eq!(task.docs(Split::Holdout)[0].text, "sea?");
}

#[test]
fn a_bare_field_name_and_a_fixed_list_of_choices_do() {
    let definition =
        DEFINITION.replace("{{question}}?", "question").replace("\"choices\"", "[\"no\", \"yes\"]");
    let folder = folder(&definition, line("grass").as_bytes());
    let task = Task::load(folder.path()).unwrap();
    assert_eq!(task.docs(Split::Search)[0].text, "grass");
    assert_eq!(task.docs(Split::Search)[0].answer.choices(), ["no", "yes"]);
}

#[test]
fn the_digest_changes_with_any_file() {
    let digest = |definition: &str, search: &str| {
        let folder = folder(definition, search.as_bytes());
        Task::load(folder.path()).unwrap().digest
    };
    let same = digest(DEFINITION, &line("grass"));
    assert_eq!(same, digest(DEFINITION, &line("grass")));
    assert_ne!(same, digest(DEFINITION, &line("grapes")));
    assert_ne!(same, digest(&format!("{DEFINITION}\n"), &line("grass")));
}

#[test]
fn an_unknown_key_is_named_with_the_valid_ones() {
    let text = error(&DEFINITION.replace("metric =", "metrics ="), line("grass").as_bytes());
    assert_says(&text, &["task.toml", "metrics", "doc_to_text", "target_delimiter"]);
    let text = error(&DEFINITION.replace("\"acc\"", "\"f1\""), line("grass").as_bytes());
    assert_says(&text, &["task.toml", "f1", "acc_norm"]);
    let text = error(&DEFINITION.replace("\"choices\"", "3"), line("grass").as_bytes());
    assert_says(&text, &["doc_to_choice", "3", "two or more different texts"]);
}

#[test]
fn a_broken_template_or_a_missing_field_is_named() {
    let text = error(&DEFINITION.replace("{{question}}", "{{question"), line("grass").as_bytes());
    assert_says(&text, &["task.toml", "doc_to_text"]);
    let text = error(&DEFINITION.replace("{{question}}", "{{query}}"), line("grass").as_bytes());
    assert_says(&text, &["search.jsonl:1", "question, choices, answer"]);
}

#[test]
fn files_that_are_missing_empty_or_no_text_are_named() {
    assert_says(
        &error(&DEFINITION.replace("\"search.jsonl\"", "\"gone.jsonl\""), b""),
        &["gone.jsonl"],
    );
    assert_says(&error(DEFINITION, b"\n \n"), &["search.jsonl", "no rows"]);
    assert_says(
        &error(DEFINITION, &[line("grass").as_bytes(), b"\xff\n"].concat()),
        &["search.jsonl:2", "UTF-8"],
    );
    let cut = format!("{}{{\"question\": \"sno", line("grass"));
    assert_says(&error(DEFINITION, cut.as_bytes()), &["search.jsonl:2", "JSON"]);
    assert_says(&error(DEFINITION, b"[1]\n"), &["search.jsonl:1", "JSON object"]);
}

#[test]
fn a_document_without_a_right_answer_is_named() {
    for answer in ["2", "-1", "0.5", "\"green\"", "null"] {
        let text = error(
            DEFINITION,
            line("grass").replace("\"answer\": 1", &format!("\"answer\": {answer}")).as_bytes(),
        );
        assert_says(&text, &["search.jsonl:1", "`doc_to_target`", answer, "from 0 to 1"]);
    }
    let text = error(DEFINITION, line("grass").replace("\"answer\"", "\"label\"").as_bytes());
    assert_says(&text, &["search.jsonl:1", "`doc_to_target`", "no field `answer`"]);
}

#[test]
fn choices_must_be_two_or_more_different_strings() {
    for choices in ["[\"red\"]", "[]", "\"red\""] {
        let text =
            error(DEFINITION, line("grass").replace("[\"red\", \"blue\"]", choices).as_bytes());
        assert_says(&text, &["search.jsonl:1", "`doc_to_choice`"]);
    }
    let text = error(DEFINITION, line("grass").replace("blue", "red").as_bytes());
    assert_says(&text, &["search.jsonl:1", "\"red\" appears twice"]);
}

#[test]
fn no_document_may_be_in_two_splits() {
    let text = error(DEFINITION, format!("{}{}", line("grass"), line("sea")).as_bytes());
    assert_says(&text, &["split search (", "search.jsonl:2", "split holdout (", "holdout.jsonl:1"]);
}

/// `fewshot_config.doc_to_text` writes the examples in another way; a document's own answer must not be among them for that.
#[test]
fn examples_written_in_another_way_are_never_the_question_itself() {
    let definition = DEFINITION.replace(
        "[splits]",
        "num_fewshot = 1\nfewshot_config.doc_to_text = \"Solved: {{question}}\"\n[splits]",
    );
    let folder = folder(&definition, format!("{}{}", line("grass"), line("snow")).as_bytes());
    let task = Task::load(folder.path()).unwrap();
    let prompts: Vec<&str> = task.docs(Split::Search).iter().map(|doc| doc.text.as_str()).collect();
    assert_eq!(prompts, ["Solved: snow blue\n\ngrass?", "Solved: grass blue\n\nsnow?"]);
    assert_eq!(task.docs(Split::Holdout)[0].text, "Solved: grass blue\n\nsea?");
}
