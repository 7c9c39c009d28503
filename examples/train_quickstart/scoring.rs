//! Accuracy by summed log-likelihood: the choice whose tokens are the most probable after the
//! question, the first one on a tie.
//!
//! The four choices of a document share one row. Each continues the question's positions and sees
//! the question and itself only, so the result is that of four separate rows.

use std::sync::Arc;

use candle_core::{Device, Tensor};
use rayon::prelude::*;
use tokenizers::Tokenizer;

use crate::Result;
use crate::attention::Places;
use crate::datasets::Doc;
use crate::llama::{Config, Llama};
use crate::training::Weights;

const DOCS_PER_BATCH: usize = 125;

/// A task's documents, tokenized and laid out once for all candidates.
pub struct Batches {
    batches: Vec<Batch>,
    docs: usize,
}

struct Batch {
    ids: Tensor,
    places: Arc<Places>,
    /// Indices into batch × time of the tokens after which something is read.
    rows: Tensor,
    /// Vocabulary indices read there, \[rows, 1\].
    targets: Tensor,
    /// Which document and choice each row belongs to.
    owners: Vec<(usize, usize)>,
    answers: Vec<usize>,
}

/// One document as a row: the question, then its choices one after another.
struct Row {
    ids: Vec<u32>,
    positions: Vec<u32>,
    /// 0 for the question, 1 to 4 for a choice.
    segments: Vec<usize>,
    /// (token before, target, choice)
    reads: Vec<(usize, u32, usize)>,
    answer: usize,
}

impl Batches {
    pub fn new(docs: &[Doc], config: &Config, tokenizer: &Tokenizer) -> Result<Self> {
        let mut rows: Vec<Row> =
            docs.par_iter().map(|doc| row(doc, tokenizer)).collect::<Result<_>>()?;
        rows.sort_by_key(|row| row.ids.len());
        let batches =
            rows.chunks(DOCS_PER_BATCH).map(|rows| batch(rows, config)).collect::<Result<_>>()?;
        Ok(Self { batches, docs: docs.len() })
    }

    /// Share of right answers, 0 to 1.
    pub fn accuracy(&self, config: &Config, weights: &Weights) -> Result<f64> {
        let model = Llama::new(config, weights)?;
        let right = self
            .batches
            .par_iter()
            .map(|batch| batch.right(&model))
            .collect::<Result<Vec<usize>>>()?;
        Ok(right.iter().sum::<usize>() as f64 / self.docs as f64)
    }
}

impl Batch {
    fn right(&self, model: &Llama) -> Result<usize> {
        let log_probs = model.log_probs(&self.ids, &self.places, &self.rows)?;
        let read = log_probs.gather(&self.targets, 1)?.flatten_all()?.to_vec1::<f32>()?;
        let mut sums = vec![[0.0; 4]; self.answers.len()];
        for (&(doc, choice), log_prob) in self.owners.iter().zip(read) {
            sums[doc][choice] += log_prob;
        }
        Ok(sums
            .iter()
            .zip(&self.answers)
            .filter(|(sums, answer)| first_max(sums) == **answer)
            .count())
    }
}

fn first_max(values: &[f32; 4]) -> usize {
    (1..4).fold(0, |best, i| if values[i] > values[best] { i } else { best })
}

fn row(doc: &Doc, tokenizer: &Tokenizer) -> Result<Row> {
    let mut ids = tokenizer.encode(doc.question.as_str(), false)?.get_ids().to_vec();
    let question = ids.len();
    let mut positions: Vec<u32> = (0..question as u32).collect();
    let mut segments = vec![0; question];
    let mut reads = Vec::new();
    for (choice, text) in doc.choices.iter().enumerate() {
        let choice_ids = tokenizer.encode(format!(" {text}"), false)?.get_ids().to_vec();
        for (i, &id) in choice_ids.iter().enumerate() {
            let before = if i == 0 { question - 1 } else { ids.len() - 1 };
            reads.push((before, id, choice));
            ids.push(id);
            positions.push((question + i) as u32);
            segments.push(choice + 1);
        }
    }
    Ok(Row { ids, positions, segments, reads, answer: doc.answer })
}

fn batch(rows: &[Row], config: &Config) -> Result<Batch> {
    let time = rows.iter().map(|row| row.ids.len()).max().unwrap_or(0);
    let padded = |values: fn(&Row) -> &Vec<u32>| -> Vec<u32> {
        let pad = |row| values(row).iter().copied().chain(std::iter::repeat(0)).take(time);
        rows.iter().flat_map(pad).collect()
    };
    let visible = |row: usize, query: usize, key: usize| {
        let segments = &rows[row].segments;
        // Padding sees itself, lest its softmax be empty; nothing reads it.
        query == key
            || (key < query
                && query < segments.len()
                && [0, segments[query]].contains(&segments[key]))
    };
    let reads =
        || rows.iter().enumerate().flat_map(|(r, row)| row.reads.iter().map(move |read| (r, read)));
    let rows_read: Vec<u32> = reads().map(|(r, read)| (r * time + read.0) as u32).collect();
    let targets: Vec<u32> = reads().map(|(_, read)| read.1).collect();
    let count = targets.len();
    Ok(Batch {
        ids: Tensor::from_vec(padded(|row| &row.ids), (rows.len(), time), &Device::Cpu)?,
        places: config.places(rows.len(), &padded(|row| &row.positions), visible),
        rows: Tensor::from_vec(rows_read, count, &Device::Cpu)?,
        targets: Tensor::from_vec(targets, (count, 1), &Device::Cpu)?,
        owners: reads().map(|(r, read)| (r, read.2)).collect(),
        answers: rows.iter().map(|row| row.answer).collect(),
    })
}
