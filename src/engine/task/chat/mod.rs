//! A tokenizer's chat template, rendered as transformers' `apply_chat_template(tokenize=False)` renders it.

mod files;
mod json;
mod strftime;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment, Error, ErrorKind};
use regex::Regex;
use serde::Serialize;
use serde_json::{Map, Value};

use super::jinja::{environment, told};
pub use strftime::Date;

const NAME: &str = "chat_template";

/// What one side says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Message {
    /// `system`, `user` or `assistant`.
    pub role: String,
    /// The text.
    pub content: String,
}

/// Why a chat template cannot be used, or does not take a dialogue.
#[derive(Debug, thiserror::Error)]
pub enum ChatError {
    /// A file of the tokenizer cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: std::io::Error,
    },
    /// A file of the tokenizer is not what it must be.
    #[error("{}: {message}", path.display())]
    Settings {
        /// Which file.
        path: PathBuf,
        /// The key, what it is and what is expected.
        message: String,
    },
    /// Not Jinja.
    #[error("{}: the chat template is not valid: {}", path.display(), told(source))]
    Syntax {
        /// The file that has the template.
        path: PathBuf,
        /// What is wrong, and where.
        source: Box<Error>,
    },
    /// The template itself refuses the dialogue (`raise_exception`), such as for a system message.
    #[error("the chat template refuses these messages: {message}")]
    Refused {
        /// In the template's words.
        message: String,
    },
    /// The template cannot be rendered.
    #[error("the chat template cannot be rendered: {}", told(source))]
    Render {
        /// What is wrong, and where.
        source: Box<Error>,
    },
}

/// A compiled chat template with its tokenizer's special tokens.
#[derive(Clone)]
pub struct ChatTemplate {
    source: String,
    tokens: Map<String, Value>,
    environment: Environment<'static>,
}

impl ChatTemplate {
    /// The template of the tokenizer in `folder`: `chat_template.jinja`, or else `chat_template` of
    /// `tokenizer_config.json`; of several that have names, `default`. `None`: the tokenizer has none.
    ///
    /// `today` is what `strftime_now` tells the template, at midnight: transformers takes the clock, so that its prompts
    /// change from day to day.
    ///
    /// # Errors
    /// A file cannot be read, or is not what it must be.
    pub fn read(folder: &Path, today: Date) -> Result<Option<ChatTemplate>, ChatError> {
        let Some(found) = files::read(folder)? else { return Ok(None) };
        let template = ChatTemplate::new(&found.template, found.tokens, today)
            .map_err(|source| ChatError::Syntax { path: found.path, source: Box::new(source) })?;
        Ok(Some(template))
    }

    /// Compiles a template; `tokens` are the variables that it sees beside the messages (`bos_token`, ...).
    ///
    /// # Errors
    /// Not Jinja.
    pub fn new(
        source: &str,
        tokens: Map<String, Value>,
        today: Date,
    ) -> Result<ChatTemplate, Error> {
        let mut environment = environment();
        environment
            .set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
        environment.add_filter("tojson", json::tojson);
        environment.add_function("raise_exception", raise_exception);
        environment.add_function("strftime_now", move |format: &str| today.format(format));
        environment.add_template_owned(NAME, without_generation_tags(source))?;
        Ok(ChatTemplate { source: source.to_owned(), tokens, environment })
    }

    /// As in the tokenizer's files.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The text that the model is given. `add_generation_prompt`: ending where the assistant begins to speak.
    ///
    /// # Errors
    /// The template refuses the dialogue, or cannot be rendered.
    pub fn render(
        &self,
        messages: &[Message],
        add_generation_prompt: bool,
    ) -> Result<String, ChatError> {
        let mut context = self.tokens.clone();
        context.insert("messages".into(), messages.iter().map(message).collect());
        context.insert("tools".into(), Value::Null);
        context.insert("documents".into(), Value::Null);
        context.insert("add_generation_prompt".into(), Value::Bool(add_generation_prompt));
        let template = self.environment.get_template(NAME).map_err(unrendered)?;
        template.render(Serde(&context)).map_err(unrendered)
    }
}

impl fmt::Debug for ChatTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChatTemplate")
            .field("source", &self.source)
            .field("tokens", &self.tokens)
            .finish()
    }
}

fn message(message: &Message) -> Value {
    let pairs = [("role", &message.role), ("content", &message.content)];
    pairs.into_iter().map(|(key, text)| (key.to_owned(), Value::from(text.as_str()))).collect()
}

/// What a template says in `raise_exception`, on its way through Jinja.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Refusal(String);

fn raise_exception(message: String) -> Result<String, Error> {
    Err(Error::new(ErrorKind::InvalidOperation, "raise_exception").with_source(Refusal(message)))
}

fn unrendered(error: Error) -> ChatError {
    let mut source = std::error::Error::source(&error);
    while let Some(inner) = source {
        if let Some(Refusal(message)) = inner.downcast_ref() {
            return ChatError::Refused { message: message.clone() };
        }
        source = inner.source();
    }
    ChatError::Render { source: Box::new(error) }
}

/// transformers marks what the assistant said by `{% generation %}`, for training. The marks add no text, but open a
/// scope, as `with` does.
fn without_generation_tags(source: &str) -> String {
    // A pattern of ours that does not compile is found by the first test of this function.
    static TAG: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"\{%([-+]?)\s*(end)?generation\s*([-+]?)%\}").ok());
    let Some(tag) = TAG.as_ref() else { return source.to_owned() };
    tag.replace_all(source, "{%$1 ${2}with $3%}").into_owned()
}

#[cfg(test)]
mod tests;
