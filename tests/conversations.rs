//! Conversations made of messages, as OpenAssistant's.

use merge_search::task::source::{Conversation, DatasetWarning, Row};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::sources::read;

fn oasst() -> Conversation {
    Conversation {
        id: "message_id".to_owned(),
        parent: "parent_id".to_owned(),
        role: "role".to_owned(),
        text: "text".to_owned(),
        prompter: "prompter".to_owned(),
        assistant: "assistant".to_owned(),
        rank: Some("rank".to_owned()),
    }
}

/// `id parent speaker rank` of each message, `-` for null.
fn messages(tree: &[&str]) -> Vec<Row> {
    let word = |word: &str| if word == "-" { Value::Null } else { Value::from(word) };
    let line = |words: &&str| {
        let words: Vec<&str> = words.split(' ').collect();
        let role = if words[2] == "p" { "prompter" } else { "assistant" };
        let rank = words[3].parse::<u64>().ok();
        let text = format!("text of {}", words[0]);
        json!({"message_id": words[0], "parent_id": word(words[1]), "role": role, "rank": rank,
            "text": text, "lang": "en"})
        .to_string()
    };
    read("m.jsonl", tree.iter().map(line).collect::<Vec<_>>().join("\n")).unwrap()
}

fn replies(rows: &[Row]) -> Vec<(String, usize)> {
    let id = |row: &Row| row.fields["message_id"].as_str().unwrap().to_owned();
    rows.iter().map(|row| (id(row), row.fields["messages"].as_array().unwrap().len())).collect()
}

/// Children may stand before their parents.
#[test]
fn conversations_are_joined() {
    let tree = [
        "d c a -",
        "a - p -",
        "b1 a a 1",
        "b0 a a 0",
        "c b0 p -",
        "e1 c2 a -",
        "e2 c2 a -",
        "c2 b1 p -",
    ];
    let (rows, warnings) = oasst().join(messages(&tree)).unwrap();
    assert_eq!(replies(&rows), [("d".to_owned(), 3), ("b0".to_owned(), 1)]);
    assert_eq!(warnings, []);
    let said = |id: &str, role: &str| json!({"role": role, "content": format!("text of {id}")});
    let expected = json!([said("a", "user"), said("b0", "assistant"), said("c", "user")]);
    assert_eq!(rows[0].fields["messages"], expected);
    assert_eq!(rows[0].fields["reply"], "text of d");
    assert_eq!((&rows[0].fields["lang"], rows[0].place.line), (&json!("en"), 1));
    // Without ranks every reply is a document.
    let (rows, _) = Conversation { rank: None, ..oasst() }.join(messages(&tree)).unwrap();
    assert_eq!(rows.len(), 5);
}

#[test]
fn orphans_circles_and_replies_to_nothing_are_counted() {
    let tree = [
        "a - p -",
        "b a a 0",
        "c lost p -",
        "d c a 0",
        "x z p -",
        "y x a 0",
        "z y p -",
        "w z a 0",
        "s s a 0",
        "r - a 0",
    ];
    let (rows, warnings) = oasst().join(messages(&tree)).unwrap();
    assert_eq!(replies(&rows), [("b".to_owned(), 1)]);
    let counts: Vec<(usize, usize)> =
        warnings.iter().map(|warning| (warning.count(), warning.first().line)).collect();
    // Orphans c and d; in or behind a circle x, y, z, w and s; r.
    assert_eq!(counts, [(2, 3), (5, 5), (1, 10)]);
    for warning in &warnings {
        assert!(warning.to_string().contains("m.jsonl:"), "{warning}");
    }
}

#[test]
fn a_long_circle_does_not_hang() {
    let tree: Vec<String> = (0..30_000).map(|i| format!("{i} {} a 0", (i + 1) % 30_000)).collect();
    let tree: Vec<&str> = tree.iter().map(String::as_str).collect();
    let (rows, warnings) = oasst().join(messages(&tree)).unwrap();
    assert_eq!((rows.len(), warnings[0].count()), (0, 30_000));
}

#[test]
fn messages_that_are_none_are_errors() {
    let join = |line: &str| {
        oasst().join(read("m.jsonl", line).unwrap()).map(|(rows, warnings)| {
            assert_eq!(rows, []);
            warnings
        })
    };
    let fails = |line: &str, part: &str| {
        let message = join(line).unwrap_err().to_string();
        assert!(message.contains("m.jsonl:1") && message.contains(part), "{message}");
    };
    let message = |role: &str, text: &str, rank: &str| {
        format!(
            "{{\"message_id\": 1, \"parent_id\": null, \"role\": {role}, \"text\": {text}, \"rank\": {rank}}}"
        )
    };
    fails(&message("\"system\"", "\"a\"", "null"), "`role`");
    fails(&message("\"prompter\"", "3", "null"), "`text`");
    fails(&message("\"prompter\"", "\"a\"", "0.5"), "`rank`");
    fails("{\"message_id\": 1}", "`parent_id`");
    fails("{\"text\": \"a\"}", "`message_id`");
    let warnings = join(&message("\"prompter\"", "null", "null")).unwrap();
    assert!(matches!(warnings[..], [DatasetWarning::Null { count: 1, .. }]), "{warnings:?}");
    // As pandas writes the column.
    assert_eq!(join(&message("\"prompter\"", "\"a\"", "2.0")).unwrap(), []);
}

proptest! {
    /// A forest in any order, with any parents: no hang, and each message is counted in one way.
    #[test]
    fn any_parents_are_joined(parents in proptest::collection::vec(0usize..24, 1..20)) {
        let lines: Vec<String> = parents
            .iter()
            .enumerate()
            .map(|(i, parent)| match parent {
                20..22 => format!("{i} - p 0"),
                _ => format!("{i} {parent} {} 0", if i % 2 == 0 { "p" } else { "a" }),
            })
            .collect();
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let (rows, warnings) = oasst().join(messages(&lines)).unwrap();
        let left_out: usize = warnings.iter().map(DatasetWarning::count).sum();
        let replies = parents.iter().enumerate().filter(|(i, p)| i % 2 == 1 && !(20..22).contains(*p)).count();
        prop_assert!(rows.len() <= replies && rows.len() + left_out <= parents.len());
        for row in &rows {
            prop_assert!(!row.fields["messages"].as_array().unwrap().is_empty());
        }
    }
}
