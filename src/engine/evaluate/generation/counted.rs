//! The work of writing texts.

use super::beginnings::beginnings;
use super::{Text, TextSet};
use crate::model::spec::Reading;
use crate::model::{Prompt, Workload};

/// Which beginnings are read once for several texts if memory allows.
#[derive(Debug)]
pub(super) struct Shared {
    /// Tokens of each beginning.
    lengths: Vec<usize>,
    /// Of each text, how many tokens belong to such a beginning.
    by_text: Vec<usize>,
}

impl Shared {
    /// An encoder's states depend on the whole text, so that only a decoder alone shares.
    pub fn of(texts: &[Text], reading: Reading) -> Self {
        let mut shared = Shared { lengths: Vec::new(), by_text: vec![0; texts.len()] };
        if reading != Reading::Causal {
            return shared;
        }
        let mut order: Vec<usize> = (0..texts.len()).collect();
        order.sort_by_key(|&index| &texts[index].prompt.tokens);
        let prompts: Vec<&[u32]> =
            order.iter().map(|&index| texts[index].prompt.tokens.as_slice()).collect();
        for beginning in beginnings(&prompts) {
            shared.lengths.push(beginning.length);
            for &text in &order[beginning.members] {
                shared.by_text[text] = beginning.length;
            }
        }
        shared
    }
}

impl TextSet {
    /// Reading the shared beginnings, then the rest of each prompt, then of each text as many new tokens as `written` tells.
    pub fn work(&self, written: impl Fn(usize) -> usize) -> Workload {
        let mut work = Workload::default();
        for &length in &self.shared.lengths {
            work.add(&Workload::prefill(0, length, 0));
        }
        for (index, (text, &shared)) in self.texts.iter().zip(&self.shared.by_text).enumerate() {
            let own = text.prompt.tokens.len().saturating_sub(shared);
            work.add(&Workload::text(text.prompt.source.len(), shared, own, written(index)));
        }
        work
    }

    /// Tokens of the prompt at that index, and new tokens behind it at most.
    pub fn room(&self, index: usize) -> (usize, usize) {
        let tokens = |prompt: &Prompt| prompt.source.len().max(prompt.tokens.len());
        self.texts.get(index).map_or((0, 0), |text| (tokens(&text.prompt), text.max_new_tokens))
    }
}
