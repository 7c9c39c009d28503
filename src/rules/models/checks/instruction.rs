//! Whether a model was tuned to follow instructions: told by its name and its chat template only, so never for sure.

use serde::Deserialize;

use super::loaded::Loaded;
use crate::rules::{Finding, Verdict};

/// `[models.instruction_tuned]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InstructionRules {
    /// Who says so.
    pub source: String,
    /// Whether such models are welcome.
    pub allowed: bool,
    /// Parts of names that tell, in small letters; those of up to three letters are whole words of a name.
    pub words: Vec<String>,
}

pub(super) fn check(model: &Loaded<'_>, rules: &InstructionRules) -> Finding {
    let signs = signs(model, rules);
    let facts = model.facts;
    let unread = facts.card.is_none() && facts.chat_template.is_none();
    let evidence = match signs.as_slice() {
        [] if unread => format!("neither card nor tokenizer_config.json of {} was read", facts.id),
        [] => format!("no sign of it: none of {} in {}", rules.words.join(", "), facts.id),
        signs => signs.join("; "),
    };
    let verdict = match signs.is_empty() {
        _ if rules.allowed => Verdict::Pass,
        true if unread => Verdict::Unknown,
        true => Verdict::Pass,
        false => Verdict::Warn,
    };
    let evidence = if rules.allowed { format!("{evidence} (allowed)") } else { evidence };
    Finding::new("instruction_tuned", model.subject(), verdict, evidence)
        .remedy("take a model that was not tuned on instructions, or one that you tuned yourself on allowed data")
}

fn signs(model: &Loaded<'_>, rules: &InstructionRules) -> Vec<String> {
    let of_name = |name: &str| {
        let word = rules.words.iter().find(|word| has_word(name, word))?;
        Some(format!("`{word}` in the name {name}"))
    };
    let mut signs: Vec<String> = lineage(model).into_iter().filter_map(of_name).collect();
    let template = model.facts.chat_template.as_ref().filter(|template| template.value);
    signs.extend(template.map(|template| format!("a chat template ({})", template.place)));
    signs
}

/// Its own name and those of all that it was made from.
fn lineage<'a>(model: &Loaded<'a>) -> Vec<&'a str> {
    let mut names = vec![model.facts.id.as_str()];
    let mut next = 0;
    while let Some(id) = names.get(next).copied() {
        let parents = model.of.chain().filter(|facts| facts.id == id).flat_map(|it| &it.parents);
        for parent in parents {
            if !names.contains(&parent.value.as_str()) {
                names.push(&parent.value);
            }
        }
        next += 1;
    }
    names
}

/// Whether a word of the name begins or ends with `word` (`WizardLM`, `openchat`).
fn has_word(id: &str, word: &str) -> bool {
    let name = id.rsplit('/').next().unwrap_or(id).to_lowercase();
    name.split(|c: char| !c.is_ascii_alphanumeric()).any(|part| match word.len() {
        0..=3 => part == word,
        _ => part.starts_with(word) || part.ends_with(word),
    })
}

#[cfg(test)]
mod tests {
    use super::has_word;

    #[test]
    fn short_words_are_whole_words_of_a_name() {
        assert!(has_word("google/gemma-7b-it", "it") && has_word("a/B_IT.v2", "it"));
        assert!(!has_word("a/bitnet", "it") && !has_word("it/bloom", "it"));
        assert!(
            has_word("a/Llama-3-8B-Instruct", "instruct")
                && has_word("a/Llama-2-7b-chat-hf", "chat")
        );
        assert!(has_word("a/WizardLM-7B", "wizard") && has_word("a/openchat_3.5", "chat"));
        assert!(has_word("bigscience/T0_3B", "t0") && !has_word("a/alt0-x", "t0"));
        assert!(has_word("a/llama-sft-v1", "sft") && !has_word("a/softsft2", "sft"));
        assert!(!has_word("a/reinstructed2", "instruct"));
        assert!(has_word("google/flan-t5-xl", "flan") && !has_word("google/t5-v1_1-xl", "flan"));
    }
}
