//! The output's chat template: mergekit's `chat_template`.

use std::str::FromStr;

use serde::{Deserialize, Deserializer};

/// How the output's tokenizer writes a conversation down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChatTemplate {
    /// The template that most of the models have.
    Auto,
    /// A format of this crate.
    Named(ChatFormat),
    /// A Jinja template: at least [`ChatTemplate::SHORTEST`] characters, a `{` among them.
    Jinja(String),
}

/// A format of conversations that has a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChatFormat {
    /// `### Instruction:`, of Stanford Alpaca.
    Alpaca,
    /// `<|im_start|>`, of OpenAI and Qwen.
    Chatml,
    /// `[|user|]`, of LG's EXAONE.
    Exaone,
    /// `<|start_header_id|>`, of Meta's Llama 3.
    Llama3,
    /// `[INST]`, of Mistral.
    Mistral,
}

/// A text that is neither a name nor a template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is no chat template; valid: auto, alpaca, chatml, exaone, llama3, mistral, or a Jinja template"
)]
pub struct InvalidChatTemplate {
    /// The text.
    pub text: String,
}

impl ChatFormat {
    /// All of them.
    pub const ALL: [ChatFormat; 5] = [
        ChatFormat::Alpaca,
        ChatFormat::Chatml,
        ChatFormat::Exaone,
        ChatFormat::Llama3,
        ChatFormat::Mistral,
    ];

    /// As a recipe names it.
    pub fn as_str(self) -> &'static str {
        match self {
            ChatFormat::Alpaca => "alpaca",
            ChatFormat::Chatml => "chatml",
            ChatFormat::Exaone => "exaone",
            ChatFormat::Llama3 => "llama3",
            ChatFormat::Mistral => "mistral",
        }
    }
}

impl ChatTemplate {
    /// Characters of the shortest text that counts as a template.
    pub const SHORTEST: usize = 20;

    /// As a recipe has it.
    pub fn as_str(&self) -> &str {
        match self {
            ChatTemplate::Auto => "auto",
            ChatTemplate::Named(format) => format.as_str(),
            ChatTemplate::Jinja(template) => template,
        }
    }
}

impl FromStr for ChatTemplate {
    type Err = InvalidChatTemplate;
    fn from_str(text: &str) -> Result<ChatTemplate, InvalidChatTemplate> {
        if text == "auto" {
            return Ok(ChatTemplate::Auto);
        }
        if let Some(format) = ChatFormat::ALL.into_iter().find(|format| format.as_str() == text) {
            return Ok(ChatTemplate::Named(format));
        }
        if text.contains('{') && text.chars().count() >= ChatTemplate::SHORTEST {
            return Ok(ChatTemplate::Jinja(text.to_owned()));
        }
        Err(InvalidChatTemplate { text: text.to_owned() })
    }
}

impl<'de> Deserialize<'de> for ChatTemplate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<ChatTemplate, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}
