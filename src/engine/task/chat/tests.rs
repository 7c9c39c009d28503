use std::fs;

use tempfile::TempDir;

use super::*;

fn today() -> Date {
    Date::new(2024, 7, 6).unwrap()
}

fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

fn read(files: &[(&str, &str)]) -> Result<Option<ChatTemplate>, ChatError> {
    ChatTemplate::read(folder(files).path(), today())
}

fn rendered(files: &[(&str, &str)]) -> String {
    read(files).unwrap().unwrap().render(&[user("hi")], true).unwrap()
}

fn user(content: &str) -> Message {
    Message { role: "user".into(), content: content.into() }
}

fn refused(files: &[(&str, &str)]) -> String {
    read(files).unwrap_err().to_string()
}

#[test]
fn the_file_counts_before_the_configuration() {
    let config = r#"{"chat_template": "config {{ messages[0].content }}", "bos_token": "<s>"}"#;
    let both = [
        ("chat_template.jinja", "file {{ bos_token }}{{ messages[0].content }}"),
        ("tokenizer_config.json", config),
    ];
    assert_eq!(rendered(&both), "file <s>hi");
    assert_eq!(rendered(&[("tokenizer_config.json", config)]), "config hi");
}

#[test]
fn no_template() {
    assert!(read(&[]).unwrap().is_none());
    assert!(read(&[("tokenizer_config.json", r#"{"chat_template": null}"#)]).unwrap().is_none());
    assert!(read(&[("tokenizer_config.json", r#"{"chat_template": ""}"#)]).unwrap().is_none());
}

#[test]
fn of_several_templates_the_default() {
    let named = |names: [&str; 2]| {
        let entry = |name| format!(r#"{{"name": "{name}", "template": "{name} template"}}"#);
        format!(r#"{{"chat_template": [{}, {}]}}"#, entry(names[0]), entry(names[1]))
    };
    assert_eq!(
        rendered(&[("tokenizer_config.json", &named(["tool_use", "default"]))]),
        "default template"
    );
    let message = refused(&[("tokenizer_config.json", &named(["rag", "tool_use"]))]);
    assert!(message.contains("rag") && message.contains("default"), "{message}");
    assert!(
        refused(&[("tokenizer_config.json", r#"{"chat_template": 3}"#)])
            .contains("`chat_template` is 3")
    );
}

// transformers 5.23, tokenization_utils_base.py: special_tokens_map.json is read only where tokenizer_config.json has no
// added_tokens_decoder, and then counts more.
#[test]
fn special_tokens() {
    let template = ("chat_template.jinja", "{{ bos_token }}|{{ eos_token }}|{{ pad_token }}");
    let map = (
        "special_tokens_map.json",
        r#"{"bos_token": {"content": "<m>", "lstrip": false}, "pad_token": "<p>"}"#,
    );
    let old =
        ("tokenizer_config.json", r#"{"bos_token": "<c>", "eos_token": {"content": "</c>"}}"#);
    assert_eq!(rendered(&[template, map, old]), "<m>|</c>|<p>");
    let new = (
        "tokenizer_config.json",
        r#"{"bos_token": "<c>", "eos_token": null, "added_tokens_decoder": {}}"#,
    );
    assert_eq!(rendered(&[template, map, new]), "<c>||");
    let wrong = ("tokenizer_config.json", r#"{"bos_token": 1}"#);
    assert!(refused(&[template, wrong]).contains("`bos_token` is 1"));
}

#[test]
fn files_that_cannot_be_read() {
    assert!(refused(&[("tokenizer_config.json", "{")]).contains("tokenizer_config.json"));
    let message = refused(&[("chat_template.jinja", "{% for %}")]);
    assert!(message.contains("chat_template.jinja"), "{message}");
}

#[test]
fn a_template_says_itself_why_it_refuses() {
    let source = "{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}";
    let template = ChatTemplate::new(source, Map::new(), today()).unwrap();
    let system = Message { role: "system".into(), content: "s".into() };
    match template.render(&[system], false) {
        Err(ChatError::Refused { message }) => assert_eq!(message, "System role not supported"),
        other => panic!("{other:?}"),
    }
    assert_eq!(template.render(&[user("u")], false).unwrap(), "");
}

#[test]
fn days_that_there_are_not() {
    assert!(
        [(2023, 2, 29), (2100, 2, 29), (2024, 13, 1), (2024, 4, 31), (2024, 1, 0)]
            .into_iter()
            .all(|(year, month, day)| Date::new(year, month, day).is_none())
    );
    assert!(today().format("%Q").is_err());
    assert!(today().format("%").is_err());
}

// Written by tests/reference/jinja/jinja.py.
#[test]
fn dates_are_written_as_python_writes_them() {
    let reference: Value =
        serde_json::from_str(include_str!("../../../../tests/reference/jinja/jinja.json")).unwrap();
    for entry in reference["dates"].as_array().unwrap() {
        let part = |index: usize| entry["date"][index].as_u64().unwrap();
        let date = Date::new(part(0) as u16, part(1) as u8, part(2) as u8).unwrap();
        assert_eq!(
            date.format(entry["format"].as_str().unwrap()).unwrap(),
            entry["text"].as_str().unwrap()
        );
    }
}
