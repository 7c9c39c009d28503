//! What this program's two kinds of templates, prompts and chats, share: values written as Python writes them, Python's
//! methods, and an end to templates that never end.

use minijinja::value::{Value, ValueKind, from_args};
use minijinja::{Environment, Error, ErrorKind, State};
use minijinja_contrib::pycompat;

use super::literal;

/// Instructions that one rendering may take: thousands of times what a prompt takes, and about a second.
const FUEL: u64 = 10_000_000;

/// Lists in lists in lists that are written out; `serde_json` reads no more either.
pub const DEEPEST: usize = 128;

/// An environment without templates.
pub fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_fuel(Some(FUEL));
    environment.set_unknown_method_callback(python_method);
    environment.set_formatter(|out, state, value| match value.kind() {
        ValueKind::Undefined | ValueKind::Invalid | ValueKind::String => {
            minijinja::escape_formatter(out, state, value)
        }
        _ => out.write_str(&python_str(value)?).map_err(Error::from),
    });
    environment.add_filter("string", |value: Value| python_str(&value));
    environment
}

/// An error with the errors behind it.
pub fn told(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

/// `str(value)`.
///
/// # Errors
/// A list cannot be gone through.
pub fn python_str(value: &Value) -> Result<String, Error> {
    match value.as_str() {
        Some(text) => Ok(text.to_owned()),
        None => {
            let mut out = String::new();
            write_repr(value, 0, &mut out)?;
            Ok(out)
        }
    }
}

fn write_repr(value: &Value, depth: usize, out: &mut String) -> Result<(), Error> {
    if depth > DEEPEST {
        return Err(Error::new(ErrorKind::InvalidOperation, "too many lists in one another"));
    }
    match value.kind() {
        ValueKind::String => literal::write_text(value.as_str().unwrap_or_default(), out),
        ValueKind::Number if !value.is_integer() => {
            out.push_str(&literal::float(f64::try_from(value.clone())?));
        }
        ValueKind::Seq if value.is_tuple() => {
            let end = if value.len() == Some(1) { ",)" } else { ")" };
            write_items(("(", end), value, depth, out)?;
        }
        ValueKind::Seq => write_items(("[", "]"), value, depth, out)?,
        ValueKind::Map => write_entries(value, depth, out)?,
        // Left out of a list it would only make the list shorter.
        ValueKind::Undefined if depth > 0 => {
            return Err(Error::new(
                ErrorKind::UndefinedError,
                "a list has an item that is not there",
            ));
        }
        _ => out.push_str(&value.to_string()),
    }
    Ok(())
}

fn write_items(
    (open, close): (&str, &str),
    value: &Value,
    depth: usize,
    out: &mut String,
) -> Result<(), Error> {
    out.push_str(open);
    for (index, item) in value.try_iter()?.enumerate() {
        if index > 0 {
            out.push_str(", ");
        }
        write_repr(&item, depth + 1, out)?;
    }
    out.push_str(close);
    Ok(())
}

fn write_entries(value: &Value, depth: usize, out: &mut String) -> Result<(), Error> {
    out.push('{');
    for (index, key) in value.try_iter()?.enumerate() {
        if index > 0 {
            out.push_str(", ");
        }
        write_repr(&key, depth + 1, out)?;
        out.push_str(": ");
        write_repr(&value.get_item(&key)?, depth + 1, out)?;
    }
    out.push('}');
    Ok(())
}

/// Python's methods: those of [`pycompat`], and some more that prompts call.
fn python_method(
    state: &mut State,
    value: &Value,
    method: &str,
    args: &[Value],
) -> Result<Value, Error> {
    match (value.as_str(), value.kind(), method) {
        (Some(text), _, "removeprefix") => {
            let (prefix,): (&str,) = from_args(args)?;
            Ok(Value::from(text.strip_prefix(prefix).unwrap_or(text)))
        }
        (Some(text), _, "removesuffix") => {
            let (suffix,): (&str,) = from_args(args)?;
            Ok(Value::from(text.strip_suffix(suffix).unwrap_or(text)))
        }
        (Some(text), _, "partition") => {
            let (separator,): (&str,) = from_args(args)?;
            let (before, after) = text.split_once(separator).unwrap_or((text, ""));
            let middle = if before.len() == text.len() { "" } else { separator };
            Ok(Value::from_iter([before, middle, after].map(Value::from)))
        }
        (Some(text), _, "index") => {
            let (part,): (&str,) = from_args(args)?;
            let before = text.split_once(part).map(|(before, _)| before.chars().count());
            before.map(Value::from).ok_or_else(|| {
                Error::new(ErrorKind::InvalidOperation, format!("{part:?} is not in the text"))
            })
        }
        (None, ValueKind::Seq, "index") => {
            let (item,): (Value,) = from_args(args)?;
            value.try_iter()?.position(|other| other == item).map(Value::from).ok_or_else(|| {
                Error::new(ErrorKind::InvalidOperation, format!("{item:?} is not in the list"))
            })
        }
        _ => pycompat::unknown_method_callback(state, value, method, args),
    }
}
