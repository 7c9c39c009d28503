//! The `tojson` of transformers' chat templates: Python's `json.dumps(value, ensure_ascii=False)`, with nothing escaped for HTML.

use minijinja::value::{Kwargs, Value, ValueKind};
use minijinja::{Error, ErrorKind};

use crate::task::jinja::DEEPEST;
use crate::task::literal;

struct Layout {
    ascii: bool,
    /// Put before each item, once per depth.
    indent: Option<String>,
    between: String,
    colon: String,
    sorted: bool,
}

/// `tojson(value, ensure_ascii=false, indent=none, separators=none, sort_keys=false)`
pub fn tojson(value: Value, indent: Option<Value>, options: Kwargs) -> Result<String, Error> {
    let indent: Option<Value> = indent.or(options.get("indent")?);
    let indent = indent.filter(|indent| !indent.is_none()).map(indentation).transpose()?;
    let separators: Option<(String, String)> = options
        .get::<Option<Vec<String>>>("separators")?
        .map(|pair| <[String; 2]>::try_from(pair).map(Into::into))
        .transpose()
        .map_err(|_| Error::new(ErrorKind::InvalidOperation, "separators must be two texts"))?;
    let default = (if indent.is_some() { "," } else { ", " }.to_owned(), ": ".to_owned());
    let (between, colon) = separators.unwrap_or(default);
    let layout = Layout {
        ascii: options.get::<Option<bool>>("ensure_ascii")?.unwrap_or(false),
        sorted: options.get::<Option<bool>>("sort_keys")?.unwrap_or(false),
        indent,
        between,
        colon,
    };
    options.assert_all_used()?;
    let mut out = String::new();
    layout.write(&value, 0, &mut out)?;
    Ok(out)
}

/// A number of blanks, or the text itself.
fn indentation(indent: Value) -> Result<String, Error> {
    match indent.as_str() {
        Some(text) => Ok(text.to_owned()),
        None => Ok(" ".repeat(usize::try_from(indent)?.min(80))),
    }
}

impl Layout {
    fn write(&self, value: &Value, depth: usize, out: &mut String) -> Result<(), Error> {
        if depth > DEEPEST {
            return Err(Error::new(ErrorKind::InvalidOperation, "too many lists in one another"));
        }
        match value.kind() {
            ValueKind::None => out.push_str("null"),
            ValueKind::Bool => out.push_str(if value.is_true() { "true" } else { "false" }),
            ValueKind::Number if value.is_integer() => out.push_str(&value.to_string()),
            ValueKind::Number => out.push_str(&number(f64::try_from(value.clone())?)),
            ValueKind::String => self.text(value.as_str().unwrap_or_default(), out),
            ValueKind::Seq | ValueKind::Iterable => self.items(value, depth, out)?,
            ValueKind::Map => self.entries(value, depth, out)?,
            kind => {
                let message = format!("a value of type {kind} is not JSON");
                return Err(Error::new(ErrorKind::InvalidOperation, message));
            }
        }
        Ok(())
    }

    fn items(&self, list: &Value, depth: usize, out: &mut String) -> Result<(), Error> {
        out.push('[');
        let mut count = 0;
        for item in list.try_iter()? {
            self.separate(count, depth, out);
            self.write(&item, depth + 1, out)?;
            count += 1;
        }
        self.close(count, depth, ']', out);
        Ok(())
    }

    fn entries(&self, map: &Value, depth: usize, out: &mut String) -> Result<(), Error> {
        out.push('{');
        let mut keys: Vec<Value> = map.try_iter()?.collect();
        if self.sorted {
            keys.sort();
        }
        for (count, key) in keys.iter().enumerate() {
            self.separate(count, depth, out);
            self.text(&key.to_string(), out);
            out.push_str(&self.colon);
            self.write(&map.get_item(key)?, depth + 1, out)?;
        }
        self.close(keys.len(), depth, '}', out);
        Ok(())
    }

    fn separate(&self, count: usize, depth: usize, out: &mut String) {
        if count > 0 {
            out.push_str(&self.between);
        }
        self.line(depth + 1, out);
    }

    fn close(&self, count: usize, depth: usize, end: char, out: &mut String) {
        if count > 0 {
            self.line(depth, out);
        }
        out.push(end);
    }

    fn line(&self, depth: usize, out: &mut String) {
        if let Some(indent) = &self.indent {
            out.push('\n');
            (0..depth).for_each(|_| out.push_str(indent));
        }
    }

    fn text(&self, text: &str, out: &mut String) {
        out.push('"');
        for letter in text.chars() {
            match letter {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                '\u{8}' => out.push_str("\\b"),
                '\u{c}' => out.push_str("\\f"),
                _ if letter < ' ' || (self.ascii && !letter.is_ascii()) => escape(letter, out),
                _ => out.push(letter),
            }
        }
        out.push('"');
    }
}

fn escape(letter: char, out: &mut String) {
    let mut units = [0; 2];
    for unit in letter.encode_utf16(&mut units) {
        out.push_str(&format!("\\u{unit:04x}"));
    }
}

fn number(number: f64) -> String {
    match number {
        _ if number.is_nan() => "NaN".to_owned(),
        _ if number.is_infinite() => if number > 0.0 { "Infinity" } else { "-Infinity" }.to_owned(),
        _ => literal::float(number),
    }
}
