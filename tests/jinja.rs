//! Prompts and chats are what jinja2, lm-eval and transformers make of them (`tests/reference/jinja/jinja.py`).

use merge_search::task::{
    ChatError, ChatTemplate, Choices, Date, Message, Target, Template, literal,
};
use serde_json::{Map, Value};

fn reference() -> Value {
    serde_json::from_str(include_str!("reference/jinja/jinja.json")).unwrap()
}

fn fields(reference: &Value) -> Map<String, Value> {
    reference["fields"].as_object().unwrap().clone()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

/// Fails with all the differences of a kind, not with the first.
fn equal(differences: Vec<String>) {
    assert!(differences.is_empty(), "{} differ:\n{}", differences.len(), differences.join("\n"));
}

fn compare(
    entry: &Value,
    name: &str,
    ours: Result<Value, impl std::fmt::Display>,
) -> Option<String> {
    match (entry.get("result"), ours) {
        (Some(theirs), Ok(ours)) if *theirs == ours => None,
        (None, Err(_)) => None,
        (Some(theirs), Ok(ours)) => Some(format!("{name}\n  theirs {theirs}\n  ours   {ours}")),
        (Some(theirs), Err(error)) => Some(format!("{name}\n  theirs {theirs}\n  error  {error}")),
        (None, Ok(ours)) => Some(format!("{name}\n  theirs {}\n  ours   {ours}", entry["message"])),
    }
}

#[test]
fn prompts_are_lm_evals() {
    let reference = reference();
    let fields = fields(&reference);
    let entries = reference["texts"].as_array().unwrap();
    equal(
        entries
            .iter()
            .filter_map(|entry| {
                let source = text(&entry["template"]);
                // Where lm-eval takes a field that is no text, it fails on it later.
                if entry.get("result").is_some_and(|result| !result.is_string()) {
                    return None;
                }
                let ours = Template::parse(source).and_then(|template| template.render(&fields));
                compare(entry, source, ours.map(Value::from))
            })
            .collect(),
    );
}

#[test]
fn choices_are_lm_evals() {
    let reference = reference();
    let fields = fields(&reference);
    let entries = reference["choices"].as_array().unwrap();
    equal(
        entries
            .iter()
            .filter_map(|entry| {
                let source = text(&entry["template"]);
                let ours = Template::parse(source).and_then(|it| Choices::Of(it).evaluate(&fields));
                compare(entry, source, ours.map(Value::from))
            })
            .collect(),
    );
}

#[test]
fn targets_are_lm_evals() {
    let reference = reference();
    let fields = fields(&reference);
    let entries = reference["targets"].as_array().unwrap();
    equal(
        entries
            .iter()
            .filter_map(|entry| {
                let target = match entry["template"].as_u64() {
                    Some(index) => Ok(Target::Index(index as usize)),
                    None => Template::parse(text(&entry["template"])).map(Target::Of),
                };
                let ours = target.and_then(|target| target.evaluate(&fields));
                compare(entry, &entry["template"].to_string(), ours)
            })
            .collect(),
    );
}

#[test]
fn literals_are_pythons() {
    let reference = reference();
    let entries = reference["literals"].as_array().unwrap();
    equal(
        entries
            .iter()
            .filter_map(|entry| {
                let source = text(&entry["text"]);
                compare(entry, source, literal::parse(source))
            })
            .collect(),
    );
}

#[test]
fn chats_are_transformers() {
    let reference = reference();
    let today = Date::new(2024, 7, 6).unwrap();
    let mut differences = Vec::new();
    for chat in reference["chats"].as_array().unwrap() {
        let tokens = chat["tokens"].as_object().unwrap().clone();
        let template = ChatTemplate::new(text(&chat["template"]), tokens, today).unwrap();
        for case in chat["cases"].as_array().unwrap() {
            let messages: Vec<Message> =
                case["messages"].as_array().unwrap().iter().map(message).collect();
            let ours = template.render(&messages, case["add_generation_prompt"] == true);
            if let (Some(theirs), Err(ChatError::Refused { message })) =
                (case.get("message"), &ours)
            {
                assert_eq!(text(theirs), message);
            }
            let name = format!("{} {}", text(&chat["name"]), case["messages"]);
            differences.extend(compare(case, &name, ours.map(Value::from)));
        }
    }
    equal(differences);
}

fn message(message: &Value) -> Message {
    Message {
        role: text(&message["role"]).to_owned(),
        content: text(&message["content"]).to_owned(),
    }
}
