//! What a model's answers say about each document.

use super::ScoreError;
use super::answers::DocAnswer;
use super::columns::{Column, needs_text};
use super::generation::GeneratedText;
use crate::outcome::{ItemScore, MetricScore, TaskScore};
use crate::task::{Answer, Doc, Metric, MetricKind, Pipeline, Task};

/// One task's documents without their prompts.
#[derive(Debug)]
pub(super) struct Questions {
    pub task: String,
    /// The judged one first; without those that cannot be had.
    pub metrics: Vec<Metric>,
    pub columns: Vec<Column>,
    filters: Option<Pipeline>,
    pub docs: Vec<Question>,
}

#[derive(Debug)]
pub(super) struct Question {
    right: Option<usize>,
    /// Length of each choice, at least 1.
    lengths: Vec<Length>,
    references: Vec<String>,
    /// Tokens of each log-likelihood, by column and choice.
    pub choice_tokens: Vec<usize>,
    /// Tokens of the first reference, by window.
    pub reference_tokens: Vec<usize>,
    pub writes: bool,
    /// The prompt before a choice was too long for the model, and its first tokens were left out.
    pub truncated: bool,
}

#[derive(Debug)]
struct Length {
    characters: usize,
    bytes: usize,
}

impl Questions {
    pub fn new(task: &Task, metrics: Vec<Metric>) -> Self {
        Questions {
            task: task.name.clone(),
            columns: Column::of_all(&metrics),
            filters: task.filters.clone(),
            metrics,
            docs: Vec::new(),
        }
    }

    /// Whether the documents are answered by texts.
    pub fn writes(&self) -> bool {
        self.metrics.iter().any(needs_text)
    }

    /// Whether a reference's log-likelihood is needed.
    pub fn reads_reference(&self) -> bool {
        self.metrics.iter().any(|metric| metric.kind() == MetricKind::Reference)
    }

    /// Takes its answers off lists of all tasks'.
    pub fn nest(
        &self,
        flat: &mut impl Iterator<Item = f32>,
        texts: &mut impl Iterator<Item = GeneratedText>,
    ) -> Vec<DocAnswer> {
        self.docs.iter().map(|doc| doc.answer(&self.columns, flat, texts)).collect()
    }

    /// The task's score; `None` if the source does not tell every right answer.
    pub fn score(&self, answers: &[DocAnswer]) -> Result<Option<TaskScore>, ScoreError> {
        let Some((judged, others)) = self.metrics.split_first() else {
            return Ok(None);
        };
        if !self.docs.iter().all(Question::is_known) {
            return Ok(None);
        }
        let items = self.items(judged, answers)?;
        let mean = |metric: &Metric| -> Result<MetricScore, ScoreError> {
            let items = self.items(metric, answers)?;
            let sum: f64 = items.iter().map(|item| item.score).sum();
            let metric = metric.as_str().to_owned();
            Ok(MetricScore { metric, score: sum / items.len().max(1) as f64 })
        };
        let others = others.iter().map(mean).collect::<Result<_, _>>()?;
        Ok(Some(TaskScore { task: self.task.clone(), items, others }))
    }

    fn items(&self, metric: &Metric, answers: &[DocAnswer]) -> Result<Vec<ItemScore>, ScoreError> {
        let docs = self.docs.iter().zip(answers).enumerate();
        let item = |(index, (doc, answer)): (usize, (&Question, &DocAnswer))| {
            let non_finite = || ScoreError::NonFinite { task: self.task.clone(), doc: index };
            doc.score(metric, self.filters.as_ref(), answer).ok_or_else(non_finite)
        };
        docs.map(item).collect()
    }

    /// Index of the chosen answer by the judged metric; `None` for texts and where a number is not finite.
    pub fn chosen(&self, doc: usize, answer: &DocAnswer) -> Option<usize> {
        finite(&self.compared(doc, answer)?).map(first_greatest)
    }

    /// What the judged metric compares, by choice; `None` for texts.
    pub fn compared(&self, doc: usize, answer: &DocAnswer) -> Option<Vec<f64>> {
        self.docs.get(doc)?.choice_scores(self.metrics.first()?, answer)
    }

    /// A text as metrics see it.
    pub fn filtered(&self, text: &str) -> String {
        filtered(self.filters.as_ref(), text)
    }
}

fn filtered(filters: Option<&Pipeline>, text: &str) -> String {
    filters.map_or_else(|| text.to_owned(), |filters| filters.apply(text))
}

impl Question {
    pub fn new(doc: &Doc) -> Self {
        let lengths = |choice: &String| Length {
            characters: choice.chars().count().max(1),
            bytes: choice.len().max(1),
        };
        Question {
            right: doc.answer.right(),
            lengths: doc.answer.choices().iter().map(lengths).collect(),
            references: match &doc.answer {
                Answer::Choice { .. } => Vec::new(),
                Answer::Text { references } => references.clone(),
            },
            choice_tokens: Vec::new(),
            reference_tokens: Vec::new(),
            writes: false,
            truncated: false,
        }
    }

    fn is_known(&self) -> bool {
        self.right.is_some() || !self.references.is_empty()
    }

    fn answer(
        &self,
        columns: &[Column],
        flat: &mut impl Iterator<Item = f32>,
        texts: &mut impl Iterator<Item = GeneratedText>,
    ) -> DocAnswer {
        let choices = self.lengths.len();
        let columns = if choices == 0 { &[] } else { columns };
        let mut take = |count: usize| -> Vec<f32> { flat.by_ref().take(count).collect() };
        let by_column = columns.iter().map(|column| (*column, take(choices))).collect();
        let windows = take(self.reference_tokens.len());
        DocAnswer {
            choices: by_column,
            choice_tokens: self.choice_tokens.chunks(choices.max(1)).map(<[_]>::to_vec).collect(),
            reference: (!windows.is_empty())
                .then(|| (windows.iter().sum(), self.reference_tokens.iter().sum())),
            text: if self.writes { texts.next() } else { None },
        }
    }

    /// `None` if a number is not finite.
    fn score(
        &self,
        metric: &Metric,
        filters: Option<&Pipeline>,
        answer: &DocAnswer,
    ) -> Option<ItemScore> {
        match metric.kind() {
            MetricKind::Choice => self.choice(metric, answer),
            MetricKind::Text => {
                let text = answer.text.as_ref().map_or("", |text| text.text.as_str());
                let score = metric.of_text(&filtered(filters, text), &self.references)?;
                Some(ItemScore { score, chosen: None, margin: 0.0 })
            }
            MetricKind::Reference => {
                let (likelihood, tokens) = answer.reference?;
                let mean = f64::from(likelihood) / tokens.max(1) as f64;
                let score = mean.is_finite().then(|| mean.exp().min(1.0))?;
                Some(ItemScore { score, chosen: None, margin: mean as f32 })
            }
        }
    }

    /// The margin is in the metric's own unit: nats, or nats per character or byte.
    fn choice(&self, metric: &Metric, answer: &DocAnswer) -> Option<ItemScore> {
        let scores = self.choice_scores(metric, answer)?;
        let (scores, right) = (finite(&scores)?, self.right?);
        let chosen = first_greatest(scores);
        let others = scores.iter().enumerate().filter(|(choice, _)| *choice != right);
        let best = others.map(|(_, score)| *score).fold(f64::NEG_INFINITY, f64::max);
        let margin = (scores.get(right)? - best) as f32;
        let score = f64::from(u8::from(chosen == right));
        Some(ItemScore { score, chosen: Some(chosen as u32), margin })
    }

    /// What is compared, by choice.
    fn choice_scores(&self, metric: &Metric, answer: &DocAnswer) -> Option<Vec<f64>> {
        let of = |column| answer.of(column).map(|row| row.iter().map(|&ll| f64::from(ll)));
        let lengths = self.lengths.iter();
        let scores = match metric {
            Metric::Acc => of(Column::Conditional)?.collect(),
            Metric::AccNorm => {
                let by = lengths.map(|length| length.characters as f64);
                of(Column::Conditional)?.zip(by).map(|(ll, by)| ll / by).collect()
            }
            Metric::AccBytes => {
                let by = lengths.map(|length| length.bytes as f64);
                of(Column::Conditional)?.zip(by).map(|(ll, by)| ll / by).collect()
            }
            Metric::AccMutualInfo => {
                let pairs = of(Column::Conditional)?.zip(of(Column::Unconditional)?);
                pairs.map(|(with, without)| with - without).collect()
            }
            Metric::Kit => of(Column::Kit)?.collect(),
            Metric::KitFixed => of(Column::KitFixed)?.collect(),
            _ => return None,
        };
        Some(scores)
    }
}

pub(super) fn finite(scores: &[f64]) -> Option<&[f64]> {
    scores.iter().all(|score| score.is_finite()).then_some(scores)
}

/// Index of the greatest score; of equal ones the first, as numpy's and torch's argmax.
pub(super) fn first_greatest(scores: &[f64]) -> usize {
    (1..scores.len()).fold(0, |best, next| if scores[next] > scores[best] { next } else { best })
}
