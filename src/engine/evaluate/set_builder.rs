//! Documents to everything that a network is asked about them.

use std::sync::Arc;

use super::columns::Column;
use super::encoded::{ByColumn, EncodedChoices};
use super::fingerprint::fingerprint;
use super::generation::TextRequest;
use super::infeasible::{Infeasible, InfeasibleMetric, by_reading};
use super::pack::Item;
use super::questions::{Question, Questions};
use super::tokenize::Encoder;
use super::tokenize_error::DocPlace;
use super::{Documents, SetError, TaskTokenizer, TokenizeError, kit};
use crate::model::Sequence;
use crate::model::spec::{NetworkSpec, Reading};
use crate::task::{Answer, Doc, Metric, Task};

/// What is collected, task by task.
pub(super) struct SetBuilder<'a> {
    pub tokenizer: &'a TaskTokenizer,
    pub spec: &'a NetworkSpec,
    /// Metrics that are left out whatever these documents would allow.
    pub left_out: &'a [InfeasibleMetric],
    /// Of documents of the same tasks, tokenizer and kind of model.
    pub encoded: Option<&'a EncodedChoices>,
    pub tasks: Vec<Questions>,
    pub infeasible: Vec<InfeasibleMetric>,
    pub items: Vec<Item>,
    /// Where each item's document stands.
    pub places: Vec<DocPlace>,
    /// Number of log-likelihoods.
    pub answers: usize,
    pub requests: Vec<TextRequest>,
    /// Where each request's document stands.
    pub request_places: Vec<DocPlace>,
}

impl<'a> SetBuilder<'a> {
    pub fn new(
        tokenizer: &'a TaskTokenizer,
        spec: &'a NetworkSpec,
        left_out: &'a [InfeasibleMetric],
        encoded: Option<&'a EncodedChoices>,
    ) -> Self {
        SetBuilder {
            tokenizer,
            spec,
            left_out,
            encoded,
            tasks: Vec::new(),
            infeasible: Vec::new(),
            items: Vec::new(),
            places: Vec::new(),
            answers: 0,
            requests: Vec::new(),
            request_places: Vec::new(),
        }
    }

    /// The documents of the task with this index.
    pub fn add(&mut self, documents: &Documents, index: usize) -> Result<(), SetError> {
        let Some(task) = documents.tasks.get(index) else { return Ok(()) };
        let docs = documents.of(index);
        let encoder = Encoder { task, tokenizer: self.tokenizer, spec: self.spec };
        let mut metrics = self.feasible(task)?;
        let mut columns = Column::of_all(&metrics);
        let mut encoded = self.encoded(documents, index, &encoder, &columns)?;
        if let Some(index) = encoded.iter().position(crashes) {
            let place = docs.get(index).map(|doc| doc.place.clone());
            let reason = place.map(|place| Infeasible::KitCrash { place });
            self.leave_out(task, &mut metrics, &Metric::Kit, reason)?;
            columns = Column::of_all(&metrics);
            encoded.iter_mut().for_each(|own| own.retain(|(column, _)| columns.contains(column)));
        }
        let mut questions = Questions::new(task, metrics);
        let until = self.until(task);
        for (doc, choices) in docs.into_iter().zip(encoded) {
            let mut question = Question::new(doc);
            self.add_choices(&encoder, doc, choices, &mut question)?;
            self.add_texts(&encoder, doc, &questions, &until, &mut question)?;
            questions.docs.push(question);
        }
        self.tasks.push(questions);
        Ok(())
    }

    /// The documents' choices as tokens; with a memory for them, those of the whole split are encoded at once.
    fn encoded(
        &self,
        documents: &Documents,
        index: usize,
        encoder: &Encoder,
        columns: &[Column],
    ) -> Result<Vec<ByColumn>, TokenizeError> {
        let encode = |documents: &Documents| {
            let docs = documents.of(index).into_iter();
            docs.map(|doc| encode_choices(encoder, doc, columns)).collect()
        };
        let Some(held) = self.encoded else { return encode(documents) };
        let whole = Documents { docs: None, ..*documents };
        // A task's prompts make its texts.
        let key =
            fingerprint(&(index, &encoder.task.prompt, documents.split, documents.limit, columns));
        let all = held.get(key, || encode(&whole))?;
        let Some(part) = documents.docs else { return Ok(all.to_vec()) };
        let positions = part.0.get(index).into_iter().flatten();
        Ok(positions.filter_map(|&doc| all.get(doc as usize).cloned()).collect())
    }

    /// What ends a written answer: the task's texts, and as for lm-eval that of the end token.
    fn until(&self, task: &Task) -> Arc<[String]> {
        let eos = self.tokenizer.eos().or(self.spec.tokens.eos.first().copied());
        let eos = eos.and_then(|token| self.tokenizer.tokenizer().id_to_token(token));
        task.until.iter().cloned().chain(eos).collect()
    }

    /// The task's metrics that models of this kind can be scored by.
    fn feasible(&mut self, task: &Task) -> Result<Vec<Metric>, SetError> {
        let mut metrics = task.metrics.clone();
        let known = |metric: &Metric| {
            let same = |own: &InfeasibleMetric| own.metric == metric.as_str();
            self.left_out.iter().any(|own| own.task == task.name && same(own))
        };
        metrics.retain(|metric| !known(metric));
        for metric in &metrics.clone() {
            let reason = by_reading(self.spec.reading, metric);
            self.leave_out(task, &mut metrics, metric, reason)?;
        }
        Ok(metrics)
    }

    /// The judged metric, which is the first, cannot be left out.
    fn leave_out(
        &mut self,
        task: &Task,
        metrics: &mut Vec<Metric>,
        metric: &Metric,
        reason: Option<Infeasible>,
    ) -> Result<(), SetError> {
        let Some(reason) = reason else { return Ok(()) };
        let left_out =
            InfeasibleMetric { task: task.name.clone(), metric: metric.as_str(), reason };
        if metrics.first() == Some(metric) {
            return Err(SetError::Infeasible(Box::new(left_out)));
        }
        metrics.retain(|own| own != metric);
        self.infeasible.push(left_out);
        Ok(())
    }

    fn add_choices(
        &mut self,
        encoder: &Encoder,
        doc: &Doc,
        choices: ByColumn,
        question: &mut Question,
    ) -> Result<(), TokenizeError> {
        if self.spec.reading == Reading::Classify {
            let slots = doc.answer.choices().len();
            question.choice_tokens = vec![0; slots];
            self.push(encoder, doc, encoder.text(doc)?, slots);
            return Ok(());
        }
        let of_column = |(column, sequences): (Column, Vec<Sequence>)| {
            sequences.into_iter().map(move |sequence| (column, sequence))
        };
        for (column, sequence) in choices.into_iter().flat_map(of_column) {
            let (sequence, cut) = encoder.cut(sequence, column, doc)?;
            question.choice_tokens.push(sequence.scored.len());
            question.truncated |= cut;
            self.push(encoder, doc, sequence, 1);
        }
        Ok(())
    }

    fn add_texts(
        &mut self,
        encoder: &Encoder,
        doc: &Doc,
        questions: &Questions,
        until: &Arc<[String]>,
        question: &mut Question,
    ) -> Result<(), TokenizeError> {
        let Answer::Text { references } = &doc.answer else { return Ok(()) };
        if let (true, Some(reference)) = (questions.reads_reference(), references.first()) {
            for window in encoder.reference(doc, reference)? {
                question.reference_tokens.push(window.scored.len());
                self.push(encoder, doc, window, 1);
            }
        }
        if questions.writes() {
            question.writes = true;
            self.requests.push(TextRequest {
                prompt: encoder.prompt(doc)?,
                max_new_tokens: encoder.task.prompt.max_gen_toks,
                until: Arc::clone(until),
            });
            self.request_places.push(encoder.place(doc));
        }
        Ok(())
    }

    /// A sequence that predicts nothing is not read: the sum of nothing is 0, as for the starter kit.
    fn push(&mut self, encoder: &Encoder, doc: &Doc, sequence: Sequence, slots: usize) {
        let answers = self.answers..self.answers + slots;
        self.answers += slots;
        if !sequence.scored.is_empty() || self.spec.reading == Reading::Classify {
            self.items.push(Item { sequence, answers });
            self.places.push(encoder.place(doc));
        }
    }
}

fn encode_choices(
    encoder: &Encoder,
    doc: &Doc,
    columns: &[Column],
) -> Result<ByColumn, TokenizeError> {
    let choices = doc.answer.choices();
    if choices.is_empty() || encoder.spec.reading == Reading::Classify {
        return Ok(Vec::new());
    }
    let of_column = |&column: &Column| {
        let sequences = choices.iter().map(|choice| encoder.choice(doc, choice, column));
        Ok((column, sequences.collect::<Result<Vec<_>, _>>()?))
    };
    columns.iter().map(of_column).collect()
}

fn crashes(choices: &ByColumn) -> bool {
    let kit = choices.iter().find(|(column, _)| *column == Column::Kit);
    kit.is_some_and(|(_, sequences)| kit::crashes(sequences))
}
