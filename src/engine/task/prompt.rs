//! How questions become what a model reads, by lm-eval's rules (`ConfigurableTask.fewshot_context`, `build_qa_turn` and
//! `multiturn_to_singleturn`, lm-eval 0.4.13).

use super::chat::{ChatError, ChatTemplate, Message};
use super::question::{Example, Question};
use super::wording::Put;

/// What about a task's prompts is a matter of choice: it costs tokens and can gain accuracy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompt {
    /// Solved examples in front of a question.
    pub num_fewshot: usize,
    /// What comes before everything else.
    pub system_instruction: Option<String>,
    /// Whether the prompt is written by the model's chat template.
    pub apply_chat_template: bool,
    /// In a chat: whether each example is a turn of its own.
    pub fewshot_as_multiturn: bool,
    /// Tokens of a written answer at most.
    pub max_gen_toks: usize,
    /// A template over the document's fields in place of the task file's `doc_to_text`, for the examples too unless the file
    /// has another one for these.
    pub doc_to_text: Option<String>,
    /// Choices are listed with letters in the question, and the letters are scored: `\nA. first choice\nB. second
    /// choice\nAnswer:` behind the question, ` A` and ` B` behind that.
    pub letters: bool,
}

/// Delimiters around answers.
pub(super) struct Delimiters<'a> {
    /// Between a question and its answer.
    pub target: &'a str,
    /// After an example.
    pub fewshot: &'a str,
}

const SYSTEM: &str = "system";
const USER: &str = "user";
const ASSISTANT: &str = "assistant";

/// A message, and what follows it in plain text.
struct Turn<'a> {
    role: &'static str,
    content: &'a str,
    delimiter: &'a str,
}

impl Prompt {
    /// All that the model reads before its answer to `question`, which is put as `put`. `examples` are those that may be shown before this question; `chat` is
    /// used if the prompt asks for it.
    pub(super) fn text(
        &self,
        question: &Question,
        put: &Put,
        examples: &[&Example],
        delimiters: &Delimiters,
        chat: Option<&ChatTemplate>,
    ) -> Result<String, ChatError> {
        let system = self.system(question, delimiters);
        let turns = self.turns(&system, &put.query, examples, delimiters);
        match chat.filter(|_| self.apply_chat_template) {
            None => Ok(plain(&turns)),
            Some(template) => template.render(&self.messages(&turns, question), true),
        }
    }

    fn system(&self, question: &Question, delimiters: &Delimiters) -> String {
        let instruction = self.system_instruction.as_deref().unwrap_or_default();
        delimited(instruction, &question.description, delimiters.fewshot)
    }

    fn turns<'a>(
        &self,
        system: &'a str,
        question: &'a str,
        examples: &[&'a Example],
        delimiters: &Delimiters<'a>,
    ) -> Vec<Turn<'a>> {
        let mut turns = Vec::new();
        if !system.is_empty() {
            turns.push(Turn { role: SYSTEM, content: system, delimiter: "" });
        }
        for example in examples.iter().take(self.num_fewshot) {
            let (query, target) = (example.query.as_str(), delimiters.target);
            turns.push(Turn { role: USER, content: query, delimiter: target });
            let (answer, fewshot) = (example.answer.as_str(), delimiters.fewshot);
            turns.push(Turn { role: ASSISTANT, content: answer, delimiter: fewshot });
        }
        turns.push(Turn { role: USER, content: question, delimiter: "" });
        turns
    }

    fn messages(&self, turns: &[Turn], question: &Question) -> Vec<Message> {
        let (system, rest) = match turns.split_first() {
            Some((first, rest)) if first.role == SYSTEM => (Some(first), rest),
            _ => (None, turns),
        };
        let own =
            |turn: &Turn| Message { role: turn.role.to_owned(), content: turn.content.to_owned() };
        let asked = match &question.messages {
            Some(messages) => messages.clone(),
            None if self.fewshot_as_multiturn => rest.iter().map(own).collect(),
            None => vec![Message { role: USER.to_owned(), content: plain(rest) }],
        };
        system.map(own).into_iter().chain(asked).collect()
    }
}

fn plain(turns: &[Turn]) -> String {
    turns.iter().flat_map(|turn| [turn.content, turn.delimiter]).collect()
}

/// Both texts, with the delimiter between them unless there is a blank already (lm-eval's `maybe_delimit`).
fn delimited(first: &str, second: &str, delimiter: &str) -> String {
    let blank = first.ends_with(char::is_whitespace) || second.starts_with(char::is_whitespace);
    match first.is_empty() || second.is_empty() || blank {
        true => format!("{first}{second}"),
        false => format!("{first}{delimiter}{second}"),
    }
}
