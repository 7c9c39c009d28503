//! JSON with what belongs together on one line.

use serde_json::Value;

/// Longest line, in characters, unless a single text is longer.
const WIDTH: usize = 118;

/// A value as JSON: on one line if it fits, or else each entry for itself, lists of plain values filling their lines.
pub fn literal_text(value: &Value) -> String {
    let mut text = String::new();
    write(value, 0, 0, &mut text);
    text
}

/// `before`: characters that are already on the line, `after` the indentation.
fn write(value: &Value, indent: usize, before: usize, text: &mut String) {
    let compact = compact(value);
    // One for the comma that may follow.
    if indent + before + compact.chars().count() < WIDTH {
        text.push_str(&compact);
        return;
    }
    match value {
        Value::Array(items) if items.iter().all(is_plain) => fill(items, indent, text),
        Value::Array(items) => {
            let entry = |item, text: &mut String| write(item, indent + 2, 0, text);
            block(['[', ']'], items, indent, text, entry);
        }
        Value::Object(entries) => block(['{', '}'], entries, indent, text, |(key, value), text| {
            let key = format!("{}: ", Value::from(key.as_str()));
            text.push_str(&key);
            write(value, indent + 2, key.chars().count(), text);
        }),
        _ => text.push_str(&compact),
    }
}

fn block<T>(
    [open, close]: [char; 2],
    items: impl IntoIterator<Item = T>,
    indent: usize,
    text: &mut String,
    entry: impl Fn(T, &mut String),
) {
    text.push(open);
    for (number, item) in items.into_iter().enumerate() {
        text.push_str(if number > 0 { "," } else { "" });
        new_line(indent + 2, text);
        entry(item, text);
    }
    new_line(indent, text);
    text.push(close);
}

fn fill(items: &[Value], indent: usize, text: &mut String) {
    text.push('[');
    let mut used = WIDTH;
    for (number, item) in items.iter().enumerate() {
        let item = compact(item);
        let length = item.chars().count() + 2;
        text.push_str(if number > 0 { "," } else { "" });
        if used + length > WIDTH {
            new_line(indent + 2, text);
            used = indent + 2;
        } else {
            text.push(' ');
        }
        text.push_str(&item);
        used += length;
    }
    new_line(indent, text);
    text.push(']');
}

fn new_line(indent: usize, text: &mut String) {
    text.push('\n');
    text.extend(std::iter::repeat_n(' ', indent));
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
