//! A Jinja template of a task file, rendered over a document's fields as lm-eval renders it.

use std::fmt;
use std::sync::Arc;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment, ErrorKind, UndefinedBehavior};
use regex::{Captures, Regex};
use serde_json::{Map, Value};

use super::jinja::{environment, python_str, told};
use super::literal::{self, LiteralError};

const NAME: &str = "template";

/// Why a template cannot be read, or does not fit a document.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// Not Jinja.
    #[error("{}", told(.0))]
    Syntax(Box<minijinja::Error>),
    /// A variable that is not there, a filter that does not apply, no end in sight.
    #[error("{} (the document has the fields {fields})", told(.source))]
    Render {
        /// What there is.
        fields: String,
        /// What is wrong.
        source: Box<minijinja::Error>,
    },
    /// A bare field name that the document does not have.
    #[error("the document has no field `{field}`, only {fields}")]
    MissingField {
        /// What the task file names.
        field: String,
        /// What there is.
        fields: String,
    },
    /// Choices must be a Python list.
    #[error("{text:?} is no Python list: {source}")]
    Literal {
        /// What was rendered.
        text: String,
        /// What is wrong with it, and where.
        source: LiteralError,
    },
    /// Choices that are no list of texts.
    #[error("{value} is no list of texts")]
    NotTexts {
        /// What there is.
        value: String,
    },
}

/// A compiled template. One word alone stands for the field of that name, as with lm-eval, and any text does that is
/// exactly a field's name.
#[derive(Clone)]
pub struct Template {
    source: String,
    is_prose: bool,
    environment: Arc<Environment<'static>>,
}

impl Template {
    /// Compiles a template; one word that names no field of a document is then an error.
    ///
    /// # Errors
    /// Not Jinja.
    pub fn parse(source: &str) -> Result<Template, TemplateError> {
        Template::new(source, false)
    }

    /// Compiles a template in which one word that names no field is meant as it is.
    ///
    /// # Errors
    /// Not Jinja.
    pub fn prose(source: &str) -> Result<Template, TemplateError> {
        Template::new(source, true)
    }

    /// A field's value.
    pub fn field(name: &str) -> Template {
        Template { source: name.to_owned(), ..Template::default() }
    }

    fn new(source: &str, is_prose: bool) -> Result<Template, TemplateError> {
        let syntax = |error| TemplateError::Syntax(Box::new(error));
        let mut environment = environment();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.add_filter("regex_replace", regex_replace);
        let kept = SyntaxConfig::builder().keep_trailing_newline(true).build().map_err(syntax)?;
        environment.set_syntax(kept);
        environment.add_template_owned(NAME, source.to_owned()).map_err(syntax)?;
        Ok(Template { source: source.to_owned(), is_prose, environment: Arc::new(environment) })
    }

    /// As in the task file.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The text for a document.
    ///
    /// # Errors
    /// The template does not fit the document.
    pub fn render(&self, fields: &Map<String, Value>) -> Result<String, TemplateError> {
        match self.named(fields)? {
            Some(Value::String(text)) => Ok(text.clone()),
            Some(value) => python_str(&Serde(value).into()).map_err(|error| unfit(fields, error)),
            None if self.source.is_empty() => Ok(String::new()),
            None => self
                .environment
                .get_template(NAME)
                .and_then(|template| template.render(Serde(fields)))
                .map_err(|error| unfit(fields, error)),
        }
    }

    /// The value for a document: a field's own; otherwise the rendered text, or the list where it reads as a Python list.
    ///
    /// # Errors
    /// The template does not fit the document.
    pub fn evaluate(&self, fields: &Map<String, Value>) -> Result<Value, TemplateError> {
        if let Some(value) = self.named(fields)? {
            return Ok(value.clone());
        }
        let text = self.render(fields)?;
        let list = text.len() >= 2 && text.starts_with('[') && text.ends_with(']');
        let list = list.then(|| literal::parse(&text).ok()).flatten();
        Ok(list.unwrap_or(Value::String(text)))
    }

    /// The texts for a document: a field that lists them, or else what is rendered, or is in the field, as a Python
    /// list. Numbers become their text.
    ///
    /// # Errors
    /// The template does not fit the document, or what it gives is no list of texts.
    pub fn evaluate_texts(
        &self,
        fields: &Map<String, Value>,
    ) -> Result<Vec<String>, TemplateError> {
        let value = match self.named(fields)? {
            Some(Value::String(text)) => list(text)?,
            Some(value) => value.clone(),
            None => list(&self.render(fields)?)?,
        };
        let texts = value.as_array().and_then(|items| items.iter().map(text).collect());
        texts.ok_or_else(|| TemplateError::NotTexts { value: value.to_string() })
    }

    /// The field that the whole template is the name of.
    fn named<'a>(
        &self,
        fields: &'a Map<String, Value>,
    ) -> Result<Option<&'a Value>, TemplateError> {
        match fields.get(&self.source) {
            None if is_word(&self.source) && !self.is_prose => Err(TemplateError::MissingField {
                field: self.source.clone(),
                fields: names(fields),
            }),
            value => Ok(value),
        }
    }
}

fn list(text: &str) -> Result<Value, TemplateError> {
    literal::parse(text).map_err(|source| TemplateError::Literal { text: text.to_owned(), source })
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) => python_str(&Serde(value).into()).ok(),
        _ => None,
    }
}

fn unfit(fields: &Map<String, Value>, source: minijinja::Error) -> TemplateError {
    TemplateError::Render { fields: names(fields), source: Box::new(source) }
}

fn names(fields: &Map<String, Value>) -> String {
    fields.keys().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

fn is_word(text: &str) -> bool {
    let mut letters = text.chars();
    letters.next().is_some_and(|letter| letter.is_alphabetic() || letter == '_')
        && letters.all(|letter| letter.is_alphanumeric() || letter == '_')
}

/// The empty text.
impl Default for Template {
    fn default() -> Self {
        Template {
            source: String::new(),
            is_prose: true,
            environment: Arc::new(Environment::empty()),
        }
    }
}

impl PartialEq for Template {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source && self.is_prose == other.is_prose
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Template").field(&self.source).finish()
    }
}

/// `re.sub(pattern, replacement, text, count)`.
fn regex_replace(
    text: &str,
    pattern: &str,
    replacement: &str,
    count: Option<usize>,
) -> Result<String, minijinja::Error> {
    let wrong = |error| {
        minijinja::Error::new(ErrorKind::InvalidOperation, format!("regex_replace: {pattern:?}"))
            .with_source(error)
    };
    let pattern = Regex::new(pattern).map_err(wrong)?;
    let replaced =
        pattern.replacen(text, count.unwrap_or(0), |found: &Captures| expanded(replacement, found));
    Ok(replaced.into_owned())
}

/// Python's replacement: `\1`, `\g<1>` and `\g<name>` stand for groups, `\n` and `\t` for themselves, `\\` for one.
fn expanded(replacement: &str, found: &Captures) -> String {
    let mut out = String::new();
    let mut rest = replacement;
    while let Some((before, after)) = rest.split_once('\\') {
        out.push_str(before);
        rest = escape(after, found, &mut out);
    }
    out.push_str(rest);
    out
}

/// Writes what the escape at the front stands for, and gives what follows it.
fn escape<'a>(after: &'a str, found: &Captures, out: &mut String) -> &'a str {
    let group = |name: &str| match name.parse::<usize>() {
        Ok(index) => found.get(index),
        Err(_) => found.name(name),
    };
    let text = |name| group(name).map_or("", |group| group.as_str());
    if let Some((name, rest)) = after.strip_prefix("g<").and_then(|named| named.split_once('>')) {
        out.push_str(text(name));
        return rest;
    }
    let digits = after.bytes().take(2).take_while(u8::is_ascii_digit).count();
    if digits > 0 {
        let (index, rest) = after.split_at(digits);
        out.push_str(text(index));
        return rest;
    }
    let mut letters = after.chars();
    match letters.next() {
        Some('n') => out.push('\n'),
        Some('t') => out.push('\t'),
        Some('r') => out.push('\r'),
        Some('\\') | None => out.push('\\'),
        Some(other) => out.extend(['\\', other]),
    }
    letters.as_str()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fields() -> Map<String, Value> {
        let fields = json!({ "question": "q", "two words": "w", "index": 2, "list": ["a", 1, 2.5], "kit": "['x', 'y']" });
        fields.as_object().unwrap().clone()
    }

    fn error(result: Result<impl fmt::Debug, TemplateError>) -> String {
        result.unwrap_err().to_string()
    }

    #[test]
    fn a_word_is_a_field_or_an_error() {
        let render = |source: &str| Template::parse(source).unwrap().render(&fields());
        assert_eq!(render("question").unwrap(), "q");
        assert_eq!(render("two words").unwrap(), "w");
        assert_eq!(render("index").unwrap(), "2");
        assert_eq!(render("no words").unwrap(), "no words");
        let message = error(render("qestion"));
        assert!(message.contains("`qestion`") && message.contains("`two words`"), "{message}");
        assert_eq!(Template::prose("Answer").unwrap().render(&fields()).unwrap(), "Answer");
        assert_eq!(Template::default().render(&fields()).unwrap(), "");
    }

    #[test]
    fn choices_are_texts() {
        let texts = |source: &str| Template::parse(source).unwrap().evaluate_texts(&fields());
        assert_eq!(texts("list").unwrap(), ["a", "1", "2.5"]);
        assert_eq!(texts("kit").unwrap(), ["x", "y"]);
        assert!(error(texts("question")).contains("character"));
        assert!(error(texts("index")).contains("no list"));
        assert!(error(texts("['a', ['b']]")).contains("no list of texts"));
    }

    #[test]
    fn errors_name_what_is_missing_and_what_there_is() {
        let message = error(Template::parse("{{ nope }}").unwrap().render(&fields()));
        assert!(message.contains("undefined") && message.contains("`question`"), "{message}");
        assert!(
            error(Template::parse("{{ question")).contains("line 1")
                || error(Template::parse("{{ question")).contains(":1")
        );
        let message = error(
            Template::parse("{{ question|regex_replace('(', '') }}").unwrap().render(&fields()),
        );
        assert!(message.contains("unclosed group"), "{message}");
    }

    #[test]
    fn a_template_that_never_ends_is_stopped() {
        let endless = [
            "{% for a in range(9999) %}{% for b in range(9999) %}{{ a }}{% endfor %}{% endfor %}",
            "{% macro again() %}{{ again() }}{% endmacro %}{{ again() }}",
            "{{ range(999999999)|list }}",
            "{{ 'x' * 999999999 }}",
            "{% set ns = namespace(x=[]) %}{% for i in range(999) %}{% set ns.x = [ns.x] %}{% endfor %}{{ ns.x }}",
        ];
        for source in endless {
            assert!(Template::parse(source).unwrap().render(&fields()).is_err(), "{source}");
        }
    }
}
