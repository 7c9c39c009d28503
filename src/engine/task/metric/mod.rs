//! Metrics: what a document's answer is worth, in lm-eval's and HELM's words.
//!
//! Here are their names and options, and the arithmetic of those that compare a generated text with references; what goes by
//! a model's log-likelihoods is computed where those are. [`Filter`]s prepare a generated text for its metric.

mod error;
mod exact_match;
mod filter;
mod last_number;
mod lcs;
mod name;
mod options;
mod python_re;
mod python_str;
mod python_syntax;
mod rouge;
mod words;

pub use error::MetricError;
pub use exact_match::ExactMatch;
pub use filter::{Filter, Pipeline};
pub use python_re::{Pattern, PatternError};

/// How an answer is scored.
#[derive(Debug, Clone, PartialEq)]
pub enum Metric {
    /// The choice with the greatest sum of token log-probabilities.
    Acc,
    /// That sum divided by the choice's number of characters.
    AccNorm,
    /// That sum divided by the choice's number of bytes in UTF-8.
    AccBytes,
    /// That sum less the sum that the choice has without the prompt.
    AccMutualInfo,
    /// The LLM-Merging starter kit's choice.
    Kit,
    /// The kit's choice without its faults.
    KitFixed,
    /// The same text, but for what the options leave out.
    ExactMatch(ExactMatch),
    /// HELM's: the same words in lower case, without punctuation and articles.
    QuasiExactMatch,
    /// HELM's: the F measure of the sets of those words.
    F1,
    /// The same last number.
    LastNumber,
    /// F measure of common words.
    Rouge1,
    /// F measure of common pairs of words.
    Rouge2,
    /// F measure of the longest common subsequence of words.
    RougeL,
    /// The same, line by line.
    RougeLsum,
    /// The probability per token that the model gives the reference.
    TokenLikelihood,
}

/// What a metric looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricKind {
    /// The log-likelihoods of given choices.
    Choice,
    /// A generated text.
    Text,
    /// The log-likelihood of the reference.
    Reference,
}

impl Metric {
    /// What it looks at.
    pub fn kind(&self) -> MetricKind {
        match self {
            Metric::Acc
            | Metric::AccNorm
            | Metric::AccBytes
            | Metric::AccMutualInfo
            | Metric::Kit
            | Metric::KitFixed => MetricKind::Choice,
            Metric::TokenLikelihood => MetricKind::Reference,
            _ => MetricKind::Text,
        }
    }

    /// The score, in [0, 1], of a generated text: that of the reference with which it is highest.
    ///
    /// None if the metric is not of [`MetricKind::Text`], or if there is no reference.
    pub fn of_text(&self, prediction: &str, references: &[String]) -> Option<f64> {
        let score = |reference: &String| match self {
            Metric::ExactMatch(options) => Some(options.score(reference, prediction)),
            Metric::QuasiExactMatch => Some(words::quasi_exact_match(reference, prediction)),
            Metric::F1 => Some(words::f1(reference, prediction)),
            Metric::LastNumber => Some(last_number::last_number(reference, prediction)),
            Metric::Rouge1 => Some(rouge::rouge_n(reference, prediction, 1)),
            Metric::Rouge2 => Some(rouge::rouge_n(reference, prediction, 2)),
            Metric::RougeL => Some(rouge::rouge_l(reference, prediction)),
            Metric::RougeLsum => Some(rouge::rouge_l_sum(reference, prediction)),
            _ => None,
        };
        references.iter().filter_map(score).reduce(f64::max)
    }
}
