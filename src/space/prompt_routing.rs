//! How tasks are asked: the tables in the file, and their genes.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::document_routing::{check_list, choice};
use super::error::{Blame, SpaceError};
use super::{Dimension, GeneKey, PromptPart, PromptRouting, SearchSpace};
use crate::recipe::AnswerStyle;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawPrompts {
    num_fewshot: Option<Vec<usize>>,
    system_instruction: Option<Vec<String>>,
    doc_to_text: Option<Vec<String>>,
    answer_style: Option<Vec<AnswerStyle>>,
    max_gen_toks: Option<Vec<usize>>,
    apply_chat_template: Option<Vec<bool>>,
}

/// More examples than this are a typing error, and more tokens.
const MOST: (usize, usize) = (1000, 100_000);

pub(super) fn check(
    blame: &Blame<'_>,
    raw: &BTreeMap<String, RawPrompts>,
) -> Result<Vec<PromptRouting>, SpaceError> {
    raw.iter().map(|(task, prompts)| check_task(blame, task, prompts)).collect()
}

fn check_task(
    blame: &Blame<'_>,
    task: &str,
    raw: &RawPrompts,
) -> Result<PromptRouting, SpaceError> {
    let routing = PromptRouting {
        task: task.to_owned(),
        num_fewshot: raw.num_fewshot.clone().unwrap_or_default(),
        system_instruction: raw.system_instruction.clone().unwrap_or_default(),
        doc_to_text: raw.doc_to_text.clone().unwrap_or_default(),
        answer_style: raw.answer_style.clone().unwrap_or_default(),
        max_gen_toks: raw.max_gen_toks.clone().unwrap_or_default(),
        apply_chat_template: raw.apply_chat_template.clone().unwrap_or_default(),
    };
    let key = |part: PromptPart| format!("routing.prompts.{task}.{}", part.as_str());
    let given = raw.given();
    if given.is_empty() {
        let valid = PromptPart::ALL.map(PromptPart::as_str).join(", ");
        return Err(blame.value(&format!("routing.prompts.{task}"), "empty", valid));
    }
    for part in given {
        check_list(blame, &key(part), routing.words(part))?;
    }
    if let Some(count) = routing.num_fewshot.iter().find(|count| **count > MOST.0) {
        let valid = format!("0 to {} examples", MOST.0);
        return Err(blame.value(&key(PromptPart::NumFewshot), count, valid));
    }
    if let Some(count) = routing.max_gen_toks.iter().find(|count| !(1..=MOST.1).contains(*count)) {
        let valid = format!("1 to {} tokens", MOST.1);
        return Err(blame.value(&key(PromptPart::MaxGenToks), count, valid));
    }
    Ok(routing)
}

impl RawPrompts {
    /// The keys that stand in the file.
    fn given(&self) -> Vec<PromptPart> {
        let there = [
            self.num_fewshot.is_some(),
            self.system_instruction.is_some(),
            self.doc_to_text.is_some(),
            self.answer_style.is_some(),
            self.max_gen_toks.is_some(),
            self.apply_chat_template.is_some(),
        ];
        let parts = PromptPart::ALL.into_iter().zip(there);
        parts.filter(|(_, there)| *there).map(|(part, _)| part).collect()
    }
}

impl PromptPart {
    /// In the order of [`PromptRouting`].
    pub const ALL: [PromptPart; 6] = [
        PromptPart::NumFewshot,
        PromptPart::SystemInstruction,
        PromptPart::DocToText,
        PromptPart::AnswerStyle,
        PromptPart::MaxGenToks,
        PromptPart::ApplyChatTemplate,
    ];

    /// The key in a recipe and in a space.
    pub fn as_str(self) -> &'static str {
        match self {
            PromptPart::NumFewshot => "num_fewshot",
            PromptPart::SystemInstruction => "system_instruction",
            PromptPart::DocToText => "doc_to_text",
            PromptPart::AnswerStyle => "answer_style",
            PromptPart::MaxGenToks => "max_gen_toks",
            PromptPart::ApplyChatTemplate => "apply_chat_template",
        }
    }
}

impl PromptRouting {
    /// What may be chosen for a part, as genes name it.
    pub(super) fn words(&self, part: PromptPart) -> Vec<String> {
        match part {
            PromptPart::NumFewshot => self.num_fewshot.iter().map(ToString::to_string).collect(),
            PromptPart::SystemInstruction => self.system_instruction.clone(),
            PromptPart::DocToText => self.doc_to_text.clone(),
            PromptPart::AnswerStyle => {
                self.answer_style.iter().map(|style| style.as_str().to_owned()).collect()
            }
            PromptPart::MaxGenToks => self.max_gen_toks.iter().map(ToString::to_string).collect(),
            PromptPart::ApplyChatTemplate => {
                self.apply_chat_template.iter().map(ToString::to_string).collect()
            }
        }
    }
}

impl SearchSpace {
    /// One for each part of a task's prompts that there are several choices for.
    pub(super) fn prompt_genes(&self) -> Vec<(GeneKey, Dimension)> {
        let mut genes = Vec::new();
        for (task, routing) in self.routing.prompts.iter().enumerate() {
            for part in PromptPart::ALL {
                let name = format!("prompt.{}.{}", routing.task, part.as_str());
                genes.extend(choice(GeneKey::Prompt { task, part }, &name, routing.words(part)));
            }
        }
        genes
    }
}
