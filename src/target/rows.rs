//! An evaluation by its numbers alone.

use serde::Deserialize;

use super::estimate::Work;
use super::kit::passes;
use crate::model::{NetworkSpec, Reading};

/// Questions of one kind, each answered by a text.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rows {
    /// For people.
    pub name: String,
    /// How many.
    pub rows: u64,
    /// Of a prompt.
    pub prompt_tokens: u64,
    /// Of an answer at most.
    pub new_tokens: u64,
}

impl Rows {
    /// Read and answered one after another. What a network cannot read is cut off. `None`: it writes no texts.
    pub fn work(&self, spec: &NetworkSpec) -> Option<Work> {
        match spec.reading {
            Reading::Causal | Reading::Seq2Seq => Some(self.written(spec)),
            Reading::Masked | Reading::Classify => None,
        }
    }

    fn written(&self, spec: &NetworkSpec) -> Work {
        let steps = self.new_tokens;
        let room = spec.longest.unwrap_or(usize::MAX).saturating_sub(steps as usize);
        let prompt = (self.prompt_tokens as usize).min(room);
        let (reading, _) = passes(spec, prompt, 0);
        Work {
            name: self.name.clone(),
            rows: self.rows,
            tokens: self.rows.saturating_mul(prompt as u64),
            flops: self.rows as f64 * reading,
            passes: self.rows,
            steps: self.rows.saturating_mul(steps),
            // A text has half of its new tokens on average.
            known: self.rows.saturating_mul(steps).saturating_mul(prompt as u64 + steps / 2),
            longest: prompt as u64 + steps,
        }
    }
}
