//! What a gate makes the base model read before it can tell where a document goes.

use crate::evaluate::{CandleEvaluator, EvaluateError};
use crate::model::spec::Reading;
use crate::model::{Batch, Sequence};
use crate::outcome::DocSubset;
use crate::recipe::{Features, Recipe};
use crate::units::Split;

/// Tokens of one batch, as of a narrow network's pack.
const TOKENS: usize = 512;

/// Prompts that the base model reads up to a layer, few to a batch.
#[derive(Debug)]
pub(super) struct Prefill {
    pub layer: usize,
    pub batches: Vec<Batch>,
}

impl CandleEvaluator {
    /// `None`: the recipe has no gate, or one that looks at no states.
    pub(super) fn prefill(
        &self,
        recipe: &Recipe,
        split: Split,
        docs: &DocSubset,
    ) -> Result<Option<Prefill>, EvaluateError> {
        let features = recipe.document_router.as_ref().map(|router| router.gate.features);
        let Some(Features::Hidden { layer, .. }) = features else { return Ok(None) };
        let spec = self.base.spec();
        let mut prompts = self.documents.prompts(split, docs, &self.tokenizer, spec)?;
        let longest = spec.longest.unwrap_or(usize::MAX);
        for prompt in &mut prompts {
            prompt.drain(..prompt.len().saturating_sub(longest));
        }
        prompts.sort();
        Ok(Some(Prefill { layer, batches: batches(spec.reading, &prompts) }))
    }
}

/// Neighbours share their beginnings.
fn batches(reading: Reading, prompts: &[Vec<u32>]) -> Vec<Batch> {
    let mut batches = Vec::new();
    let mut rest = prompts;
    while !rest.is_empty() {
        let mut tokens = 0;
        let fits = |prompt: &&Vec<u32>| {
            tokens += prompt.len();
            tokens <= TOKENS
        };
        let (now, later) = rest.split_at(rest.iter().take_while(fits).count().max(1));
        batches.push(batch(reading, now));
        rest = later;
    }
    batches
}

fn batch(reading: Reading, prompts: &[Vec<u32>]) -> Batch {
    match reading {
        Reading::Causal | Reading::Seq2Seq => {
            // Nothing is predicted; all tokens but a last one are read.
            let sequence = |prompt: &Vec<u32>| Sequence {
                source: Vec::new(),
                tokens: prompt.clone(),
                scored: prompt.len() + 1..prompt.len() + 1,
            };
            let sequences: Vec<Sequence> = prompts.iter().map(sequence).collect();
            Batch::new(reading, None, 0, &sequences.iter().collect::<Vec<_>>())
        }
        Reading::Masked | Reading::Classify => {
            Batch::texts(&prompts.iter().map(Vec::as_slice).collect::<Vec<_>>())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 300 and 200 tokens fit into 512, the third does not; what is longer than that goes alone.
    #[test]
    fn batches_by_hand() {
        let prompt = |start: u32, length: usize| vec![start; length];
        let prompts =
            [prompt(1, 300), prompt(2, 200), prompt(2, 201), prompt(3, 600), prompt(4, 1)];
        let of = |reading| -> Vec<usize> {
            batches(reading, &prompts).iter().map(|batch| batch.tokens.len()).collect()
        };
        assert_eq!(of(Reading::Causal), [500, 201, 600, 1]);
        assert_eq!(of(Reading::Masked), [500, 201, 600, 1]);
        let alike = [prompt(2, 200), prompt(2, 201)];
        assert_eq!(batches(Reading::Causal, &alike)[0].tokens.len(), 201, "a shared beginning");
    }
}
