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
    /// Parts of names that tell, in small letters; those of two letters are whole words of a name.
    pub words: Vec<String>,
}

pub(super) fn check(model: &Loaded<'_>, rules: &InstructionRules) -> Finding {
    let signs = signs(model, rules);
    let evidence = match signs.as_slice() {
        [] => format!("no sign of it: none of {} in {}", rules.words.join(", "), model.facts.id),
        signs => signs.join("; "),
    };
    let verdict = match signs.is_empty() || rules.allowed {
        true => Verdict::Pass,
        false => Verdict::Warn,
    };
    let evidence = if rules.allowed { format!("{evidence} (allowed)") } else { evidence };
    Finding::new("instruction_tuned", model.subject(), verdict, evidence)
        .remedy("take a model that was not tuned on instructions, or one that you tuned yourself on allowed data")
}

fn signs(model: &Loaded<'_>, rules: &InstructionRules) -> Vec<String> {
    let names: Vec<&String> = if model.is_adapter {
        vec![&model.facts.id]
    } else {
        let own = std::iter::once(&model.facts.id);
        own.chain(model.of.ancestors.iter().map(|ancestor| &ancestor.facts.id)).collect()
    };
    let of_name = |name: &&String| {
        let word = rules.words.iter().find(|word| has_word(name, word))?;
        Some(format!("`{word}` in the name {name}"))
    };
    let mut signs: Vec<String> = names.iter().filter_map(of_name).collect();
    let template = model.facts.chat_template.as_ref().filter(|template| template.value);
    signs.extend(template.map(|template| format!("a chat template ({})", template.place)));
    signs
}

fn has_word(id: &str, word: &str) -> bool {
    let name = id.rsplit('/').next().unwrap_or(id).to_lowercase();
    match word.len() {
        0..=2 => name.split(|c: char| !c.is_ascii_alphanumeric()).any(|part| part == word),
        _ => name.contains(word),
    }
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
        assert!(has_word("google/flan-t5-xl", "flan") && !has_word("google/t5-v1_1-xl", "flan"));
    }
}
