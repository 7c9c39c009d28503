//! One document, ready to be put to a model.

use super::Place;

/// A question and what counts as its answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Doc {
    /// All that the model reads before its answer: description, examples, chat markup, question.
    pub text: String,
    /// What it may answer.
    pub answer: Answer,
    /// Where the question stands.
    pub place: Place,
    /// Its name in the source, where the task says which field has it.
    pub id: Option<String>,
}

/// What a model is asked for.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// One of several texts.
    Choice {
        /// Two or more, as scored after the delimiter.
        choices: Vec<String>,
        /// Index of the right one; `None` where the source does not tell.
        right: Option<usize>,
    },
    /// A text of the model's own.
    Text {
        /// Any of them is right; none where the source does not tell.
        references: Vec<String>,
    },
}

impl Answer {
    /// Whether the source tells what is right.
    pub fn is_known(&self) -> bool {
        match self {
            Answer::Choice { right, .. } => right.is_some(),
            Answer::Text { references } => !references.is_empty(),
        }
    }

    /// The texts to choose from; none where the model writes its own.
    pub fn choices(&self) -> &[String] {
        match self {
            Answer::Choice { choices, .. } => choices,
            Answer::Text { .. } => &[],
        }
    }

    /// Index of the right choice.
    pub fn right(&self) -> Option<usize> {
        match self {
            Answer::Choice { right, .. } => *right,
            Answer::Text { .. } => None,
        }
    }

    /// The texts that are right.
    pub fn references(&self) -> Vec<&str> {
        match self {
            Answer::Choice { choices, right } => {
                right.and_then(|right| choices.get(right)).map(String::as_str).into_iter().collect()
            }
            Answer::Text { references } => references.iter().map(String::as_str).collect(),
        }
    }
}
