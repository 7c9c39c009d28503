//! Prompts as numbers: of their text, or of the base model's states while it reads them.

use rayon::prelude::*;

use super::fit::{Sample, fit};
use super::text::{ngrams, shape};
use super::{FittedGate, RoutingError};
use crate::evaluate::tokenize::Encoder;
use crate::evaluate::{Documents, Pool, TaskTokenizer};
use crate::model::spec::Reading;
use crate::model::{Batch, Network};
use crate::recipe::{Classes, Features, Gate, Pooling};
use crate::task::{Doc, Task};
use crate::units::Split;

/// Documents of each task's search split that gates are fitted to, however many of them are searched on.
const DOCS: usize = 1000;

/// What reads prompts. Every task's prompts are read as the task's file has them, whatever a candidate is asked.
pub(in crate::evaluate) struct PromptReader<'a> {
    pub tokenizer: &'a TaskTokenizer,
    /// The base model; only [`Features::Hidden`] needs it.
    pub base: Option<&'a Network>,
    pub pool: &'a Pool,
}

/// What a gate says of a document, and what it has read for that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::evaluate) struct Judged {
    pub class: usize,
    /// Tokens that went through the base model's first layers.
    pub tokens: usize,
}

/// A prompt's features, and the tokens read for them.
struct Seen {
    features: Vec<f64>,
    tokens: usize,
}

impl PromptReader<'_> {
    /// Fits a gate to the first documents of the search split of each of `tasks`.
    pub fn fit(&self, gate: &Gate, tasks: &[Task]) -> Result<FittedGate, RoutingError> {
        self.require_possible(gate, tasks.len())?;
        let documents =
            Documents { tasks, split: Some(Split::Search), limit: Some(DOCS), docs: None };
        let sample = |task: usize, seen: Seen| Sample { features: seen.features, task };
        let samples = self.each(gate.features, &documents, sample)?;
        Ok(fit(gate, samples.into_iter().flatten().collect()))
    }

    /// What the gate says of each document, task by task.
    pub fn judge(
        &self,
        gate: &FittedGate,
        documents: &Documents,
    ) -> Result<Vec<Vec<Judged>>, RoutingError> {
        self.each(gate.features, documents, |_, seen| Judged {
            class: gate.class(&seen.features),
            tokens: seen.tokens,
        })
    }

    fn require_possible(&self, gate: &Gate, tasks: usize) -> Result<(), RoutingError> {
        match gate.classes {
            Classes::Tasks(classes) if classes != tasks => {
                return Err(RoutingError::Tasks { classes, tasks });
            }
            Classes::Tasks(0) | Classes::Clusters(0) => return Err(RoutingError::NoClasses),
            _ => {}
        }
        match (gate.features, self.base) {
            (Features::Ngrams { buckets: 0 }, _) => Err(RoutingError::NoBuckets),
            (Features::Hidden { layer, .. }, Some(base)) => require_layer(base, layer),
            _ => Ok(()),
        }
    }

    /// `then` of the task and the features of each document, task by task.
    fn each<R: Send>(
        &self,
        features: Features,
        documents: &Documents,
        then: impl Fn(usize, Seen) -> R + Sync,
    ) -> Result<Vec<Vec<R>>, RoutingError> {
        let of_task = |(index, task): (usize, &Task)| {
            let of_doc = |doc: &&Doc| Ok(then(index, self.see(features, task, doc)?));
            documents.of(index).par_iter().map(of_doc).collect()
        };
        self.pool.install(|| documents.tasks.iter().enumerate().map(of_task).collect())
    }

    fn see(&self, features: Features, task: &Task, doc: &Doc) -> Result<Seen, RoutingError> {
        let seen = match features {
            Features::Ngrams { buckets } => {
                Seen { features: ngrams(&doc.text, buckets), tokens: 0 }
            }
            Features::Shape => Seen { features: shape(doc), tokens: 0 },
            Features::Hidden { layer, pool } => self.hidden(task, doc, layer, pool)?,
        };
        match seen.features.iter().all(|x| x.is_finite()) {
            true => Ok(seen),
            false => Err(RoutingError::NotFinite { task: task.name.clone() }),
        }
    }

    /// The base model's states at the input of `layer` while it reads the prompt without the blanks at its end, each divided by
    /// its root mean square as the layer's own norm does, so that no token outweighs the others; `[hidden]`.
    fn hidden(
        &self,
        task: &Task,
        doc: &Doc,
        layer: usize,
        pooling: Pooling,
    ) -> Result<Seen, RoutingError> {
        let base = self.base.ok_or(RoutingError::NoBase)?;
        let encoder = Encoder { task, tokenizer: self.tokenizer, spec: base.spec() };
        let prompt = Doc { text: doc.text.trim_end().to_owned(), ..doc.clone() };
        let tokens = encoder.prompt(&prompt)?;
        let longest = base.spec().longest.unwrap_or(usize::MAX);
        let tokens = tokens.get(tokens.len().saturating_sub(longest)..).unwrap_or_default();
        let batch = match base.spec().reading {
            Reading::Causal => Batch::chain(tokens),
            Reading::Masked | Reading::Classify => Batch::texts(&[tokens]),
            Reading::Seq2Seq => return Err(RoutingError::Reading),
        };
        let states = self.pool.with_scratch(|scratch| {
            base.layer_input(&batch, layer, None, scratch)?.to_vec2::<f32>()
        })?;
        Ok(Seen { features: pooled(&states, pooling), tokens: tokens.len() })
    }
}

fn require_layer(base: &Network, layer: usize) -> Result<(), RoutingError> {
    let spec = base.spec();
    if spec.reading == Reading::Seq2Seq {
        return Err(RoutingError::Reading);
    }
    let layers =
        spec.decoder.as_ref().or(spec.encoder.as_ref()).map_or(0, |stack| stack.layers.len());
    if layer > layers {
        return Err(RoutingError::Layer { layer, layers });
    }
    Ok(())
}

/// `states`: `[tokens][hidden]`.
fn pooled(states: &[Vec<f32>], pooling: Pooling) -> Vec<f64> {
    let chosen = match pooling {
        Pooling::Mean => states,
        Pooling::Last => states.last().map(std::slice::from_ref).unwrap_or_default(),
    };
    let mut sum = vec![0.0; states.first().map_or(0, Vec::len)];
    for state in chosen {
        let squares: f64 = state.iter().map(|x| f64::from(*x) * f64::from(*x)).sum();
        let norm = (squares / state.len().max(1) as f64).sqrt();
        let norm = if norm > 0.0 { norm } else { 1.0 };
        sum.iter_mut().zip(state).for_each(|(sum, x)| *sum += f64::from(*x) / norm);
    }
    sum.iter_mut().for_each(|sum| *sum /= chosen.len().max(1) as f64);
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Root mean squares 5/√2 and 1.
    #[test]
    fn pooling_by_hand() {
        let states = [vec![3.0, 4.0], vec![1.0, -1.0]];
        let near = |got: Vec<f64>, expected: [f64; 2]| {
            got.iter().zip(expected).for_each(|(a, b)| assert!((a - b).abs() < 1e-12, "{a} {b}"));
        };
        let root = 2.0_f64.sqrt();
        near(pooled(&states, Pooling::Mean), [(0.6 * root + 1.0) / 2.0, (0.8 * root - 1.0) / 2.0]);
        near(pooled(&states, Pooling::Last), [1.0, -1.0]);
        near(pooled(&[vec![0.0, 0.0]], Pooling::Mean), [0.0, 0.0]);
    }
}
