//! Questions in other words than their task file's: by another template, or with the choices listed and answered by their
//! letters.
//!
//! With letters, a question has the usual form of MMLU (Hendrycks et al. 2021; the task `mmlu` of lm-eval 0.4.13):
//! ```text
//! QUESTION
//! A. first choice
//! B. second choice
//! Answer:
//! ```
//! QUESTION is the question without the blanks at its end, a choice is listed without the blanks around it. What is scored, and
//! what an example is answered by, is `A`, `B`, ... behind the task's target delimiter. Where that is empty, as in tasks whose
//! choices begin with their own blank, and no chat template writes the prompt, the letters begin with a blank instead.

use std::borrow::Cow;

use super::definition::OutputType;
use super::question::{Example, Question};
use super::template::{Template, TemplateError};
use super::{Answer, Material, Prompt, TaskError};

/// Choices that there are letters for.
const LETTERS: usize = 26;

/// How all questions of a task are put.
pub(super) struct Wording {
    /// In place of the task's.
    template: Option<Template>,
    /// Whether it is the examples' too.
    of_examples: bool,
    letters: bool,
    /// What letters begin with.
    blank: &'static str,
}

/// A question as it is put.
pub(super) struct Put<'a> {
    pub query: Cow<'a, str>,
    pub answer: Cow<'a, Answer>,
}

impl Wording {
    /// `chat`: whether a chat template writes the prompt.
    pub fn new(
        task: &str,
        output_type: OutputType,
        material: &Material,
        prompt: &Prompt,
        chat: bool,
    ) -> Result<Self, TaskError> {
        let no_effect = |key| TaskError::NoEffect {
            task: task.to_owned(),
            key,
            output_type: output_type.as_str(),
        };
        if prompt.letters && output_type != OutputType::MultipleChoice {
            return Err(no_effect("answer_style"));
        }
        let rolling = output_type == OutputType::LoglikelihoodRolling;
        if rolling && prompt.num_fewshot > 0 {
            return Err(no_effect("num_fewshot"));
        }
        if rolling && prompt.doc_to_text.is_some() {
            return Err(no_effect("doc_to_text"));
        }
        if chat && prompt.doc_to_text.is_some() && material.is_conversation() {
            return Err(TaskError::TextOfConversation { task: task.to_owned() });
        }
        let template = prompt.doc_to_text.as_deref().map(Template::parse).transpose();
        let blank = if material.target_delimiter.is_empty() && !chat { " " } else { "" };
        Ok(Wording {
            template: template.map_err(|source| TaskError::Template {
                task: task.to_owned(),
                source: Box::new(source),
            })?,
            of_examples: !material.examples_have_own_text,
            letters: prompt.letters,
            blank,
        })
    }

    /// A question that is asked.
    pub fn question<'q>(&self, question: &'q Question) -> Result<Put<'q>, TaskError> {
        self.put(question, self.template.as_ref())
    }

    /// A question that is shown with its answer; `None` if that is not known or empty.
    pub fn example(&self, question: &Question) -> Result<Option<Example>, TaskError> {
        let Put { query, answer } =
            self.put(question, self.template.as_ref().filter(|_| self.of_examples))?;
        let known = answer.references().first().map(|answer| (*answer).to_owned());
        let known = known.filter(|answer| !answer.is_empty());
        Ok(known.map(|answer| Example { query: query.into_owned(), answer }))
    }

    fn put<'q>(
        &self,
        question: &'q Question,
        template: Option<&Template>,
    ) -> Result<Put<'q>, TaskError> {
        let query = match template {
            None => Cow::Borrowed(question.query.as_str()),
            Some(template) => Cow::Owned(rendered(template, question)?),
        };
        match (&question.answer, self.letters) {
            (Answer::Choice { choices, right }, true) => {
                let found = choices.len();
                if found > LETTERS {
                    return Err(TaskError::ManyChoices { place: question.place.clone(), found });
                }
                let letter = |letter: char| format!("{}{letter}", self.blank);
                let answer = Answer::Choice {
                    choices: letters().take(found).map(letter).collect(),
                    right: *right,
                };
                Ok(Put { query: Cow::Owned(listed(&query, choices)), answer: Cow::Owned(answer) })
            }
            (answer, _) => Ok(Put { query, answer: Cow::Borrowed(answer) }),
        }
    }
}

fn letters() -> impl Iterator<Item = char> {
    'A'..='Z'
}

fn listed(query: &str, choices: &[String]) -> String {
    let line = |(letter, choice): (char, &String)| format!("\n{letter}. {}", choice.trim());
    let lines: String = letters().zip(choices).map(line).collect();
    format!("{}{lines}\nAnswer:", query.trim_end())
}

fn rendered(template: &Template, question: &Question) -> Result<String, TaskError> {
    let fields = question.fields();
    template.render(&fields).map_err(|source: TemplateError| TaskError::Render {
        place: question.place.clone(),
        key: "doc_to_text",
        fields: fields.keys().map(String::as_str).collect::<Vec<_>>().join(", "),
        source: Box::new(source),
    })
}
