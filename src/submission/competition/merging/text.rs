//! JSON with what belongs together on one line.

use serde_json::Value;

/// Longest line, in characters, unless a single text is longer.
const WIDTH: usize = 118;

/// A value as JSON: on one line if it fits, or else each entry for itself; what has no
/// objects in it fills its lines.
pub fn literal_text(value: &Value) -> String {
    let mut text = String::new();
    write(value, 0, 0, &mut text);
    text
}

/// `before`: characters of the line behind the indentation that are written already.
fn write(value: &Value, indent: usize, before: usize, text: &mut String) {
    let compact = compact(value);
    if indent + before + length(&compact) <= WIDTH {
        text.push_str(&compact);
        return;
    }
    match value {
        Value::Array(items) => {
            let entries: Vec<Entry> =
                items.iter().map(|value| Entry { key: String::new(), value }).collect();
            block(['[', ']'], &entries, items.iter().all(is_short), indent, text);
        }
        Value::Object(entries) => {
            let key = |key: &String| format!("{}: ", Value::from(key.as_str()));
            let fills = entries.values().all(is_flat);
            let entries: Vec<Entry> =
                entries.iter().map(|(name, value)| Entry { key: key(name), value }).collect();
            block(['{', '}'], &entries, fills, indent, text);
        }
        _ => text.push_str(&compact),
    }
}

/// Of a list, with an empty key, or of an object.
struct Entry<'v> {
    key: String,
    value: &'v Value,
}

/// Entries on lines of their own, or several on a line where they fit and `fills`.
fn block(
    [open, close]: [char; 2],
    entries: &[Entry],
    fills: bool,
    indent: usize,
    text: &mut String,
) {
    text.push(open);
    let mut used = WIDTH;
    for (number, Entry { key, value }) in entries.iter().enumerate() {
        text.push_str(if number > 0 { "," } else { "" });
        // With the blank before it and the comma behind it.
        let own = length(key) + length(&compact(value)) + 2;
        if fills && used + own <= WIDTH {
            text.push(' ');
            used += own;
        } else {
            new_line(indent + 2, text);
            used = indent + 2 + own;
        }
        text.push_str(key);
        write(value, indent + 2, length(key), text);
    }
    new_line(indent, text);
    text.push(close);
}

fn length(text: &str) -> usize {
    text.chars().count()
}

fn new_line(indent: usize, text: &mut String) {
    text.push('\n');
    text.extend(std::iter::repeat_n(' ', indent));
}

/// Without objects.
fn is_flat(value: &Value) -> bool {
    value.as_array().map_or(is_plain(value), |items| items.iter().all(is_flat))
}

/// A plain value or a list of numbers.
fn is_short(value: &Value) -> bool {
    value.as_array().map_or(is_plain(value), |items| items.iter().all(Value::is_number))
}

fn is_plain(value: &Value) -> bool {
    !value.is_array() && !value.is_object()
}

fn compact(value: &Value) -> String {
    match value {
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(compact).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(entries) => {
            let entry = |(key, value): (&String, &Value)| {
                format!("{}: {}", Value::from(key.as_str()), compact(value))
            };
            format!("{{{}}}", entries.iter().map(entry).collect::<Vec<_>>().join(", "))
        }
        plain => plain.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn what_fits_stands_on_one_line() {
        let value = json!({"a": [1, 2.5, "x"], "b": {"c": null}});
        assert_eq!(literal_text(&value), r#"{"a": [1, 2.5, "x"], "b": {"c": null}}"#);
    }

    /// 30 numbers of 4 digits, 6 characters each with comma and blank, behind an indentation of 4: 19 on the first line.
    #[test]
    fn lists_fill_their_lines() {
        let value = json!({"deep": {"list": vec![1234; 30]}, "next": [[1]]});
        let text = literal_text(&value);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[..2], ["{", r#"  "deep": {"#]);
        assert_eq!(lines[3].matches("1234").count(), 18);
        assert_eq!(lines[4].matches("1234").count(), 12);
        assert_eq!(lines[lines.len() - 2..], [r#"  "next": [[1]]"#, "}"]);
    }

    fn json() -> impl Strategy<Value = Value> {
        let plain = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<f64>().prop_filter("finite", |x| x.is_finite()).prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            "[ -~é\"\\\\]{0,60}".prop_map(Value::from),
        ];
        plain.prop_recursive(4, 80, 12, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..12).prop_map(Value::Array),
                prop::collection::vec(("[a-z]{1,8}", inner), 0..8)
                    .prop_map(|entries| Value::Object(entries.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn it_is_the_same_json(value in json()) {
            prop_assert_eq!(serde_json::from_str::<Value>(&literal_text(&value)).unwrap(), value);
        }

        #[test]
        fn no_line_is_too_long(value in json()) {
            let text = literal_text(&value);
            // 5 levels, a key, brackets and a text of 60 characters, each of which may be escaped, always fit.
            prop_assert!(text.lines().all(|line| line.chars().count() <= WIDTH.max(150)), "{}", text);
        }
    }
}
