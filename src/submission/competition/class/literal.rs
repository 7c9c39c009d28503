//! JSON in lines that can be read.

use serde_json::Value;

/// Columns of a line.
const WIDTH: usize = 116;

/// `value` with what fits on a line on one line, numbers and words of a list side by side. Only a single text may be longer
/// than a line.
pub(super) fn wrapped(value: &Value) -> String {
    let mut out = String::new();
    write(value, 0, 0, &mut out);
    out
}

/// `before`: columns of the line that are taken.
fn write(value: &Value, indent: usize, before: usize, out: &mut String) {
    let line = inline(value);
    if before + line.chars().count() < WIDTH {
        out.push_str(&line);
        return;
    }
    match value {
        Value::Array(items) if items.iter().all(is_single) => {
            let words: Vec<String> = items.iter().map(inline).collect();
            out.push_str(&filled(&words, indent + 1));
        }
        Value::Array(items) => {
            let rows = items.iter().map(|item| (String::new(), item));
            broken(rows, indent, ['[', ']'], out);
        }
        Value::Object(entries) => {
            let rows = entries
                .iter()
                .map(|(key, item)| (format!("{}: ", Value::from(key.as_str())), item));
            broken(rows, indent, ['{', '}'], out);
        }
        _ => out.push_str(&line),
    }
}

fn is_single(value: &Value) -> bool {
    !value.is_array() && !value.is_object()
}

/// On one line, with blanks behind commas and colons.
fn inline(value: &Value) -> String {
    match value {
        Value::Array(items) => {
            format!("[{}]", items.iter().map(inline).collect::<Vec<_>>().join(", "))
        }
        Value::Object(entries) => {
            let entry = |(key, item): (&String, &Value)| {
                format!("{}: {}", Value::from(key.as_str()), inline(item))
            };
            format!("{{{}}}", entries.iter().map(entry).collect::<Vec<_>>().join(", "))
        }
        single => single.to_string(),
    }
}

fn broken<'v>(
    rows: impl Iterator<Item = (String, &'v Value)>,
    indent: usize,
    [open, close]: [char; 2],
    out: &mut String,
) {
    out.push(open);
    for (index, (key, item)) in rows.enumerate() {
        out.push_str(if index == 0 { "\n" } else { ",\n" });
        out.push_str(&" ".repeat(indent + 1));
        out.push_str(&key);
        write(item, indent + 1, indent + 2 + key.chars().count(), out);
    }
    out.push('\n');
    out.push_str(&" ".repeat(indent));
    out.push(close);
}

/// As many words on each line as fit.
fn filled(words: &[String], indent: usize) -> String {
    let margin = format!("\n{}", " ".repeat(indent));
    let mut out = String::from("[");
    let mut column = WIDTH;
    for (index, word) in words.iter().enumerate() {
        let length = word.chars().count() + 2;
        if index > 0 {
            out.push(',');
        }
        if column + length >= WIDTH {
            out.push_str(&margin);
            column = indent;
        } else {
            out.push(' ');
        }
        column += length;
        out.push_str(word);
    }
    out + &margin[..margin.len() - 1] + "]"
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn short_things_stay_on_a_line() {
        let value = json!({"b": [1, 2.5, null], "a": {"x": true}});
        assert_eq!(wrapped(&value), r#"{"a": {"x": true}, "b": [1, 2.5, null]}"#);
        let words = vec!["word"; 40];
        let text = wrapped(&json!({ "list": words }));
        assert!(text.starts_with("{\n \"list\": [\n  \"word\", \"word\""), "{text}");
        assert_eq!(text.lines().count(), 7, "{text}");
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            prop::num::f64::NORMAL.prop_map(Value::from),
            "[ -~é\n]{0,20}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 60, 12, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..12).prop_map(Value::from),
                prop::collection::btree_map("[a-z\"]{1,9}", inner, 0..6)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back_in_short_lines(value in value()) {
            let text = wrapped(&value);
            prop_assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
            prop_assert!(text.lines().all(|line| line.chars().count() <= 120), "{}", text);
        }
    }
}
