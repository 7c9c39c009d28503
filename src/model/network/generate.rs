//! Greedy generation, many texts at once, with cached keys and values.

use std::cell::RefCell;

use candle_core::{Result, Tensor};

use super::Network;
use super::attention::{Sources, View};
use super::layer::Surroundings;
use super::pass::{Scratch, Tables};
use super::stack::{Course, Stack};
use crate::model::batch::Segments;
use crate::model::layers::Cache;

/// What a text begins with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Prompt {
    /// What the encoder reads; empty for a decoder alone.
    pub source: Vec<u32>,
    /// What the decoder reads first; at least one token.
    pub tokens: Vec<u32>,
}

/// When a text ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generation {
    /// Tokens added at most.
    pub max_new_tokens: usize,
    /// A text ends with the first of these, which belongs to it.
    pub stop: Vec<u32>,
}

/// Texts that are still growing.
struct Growing<'a> {
    network: &'a Network,
    stack: &'a Stack,
    /// By layer, then by growing text.
    caches: Vec<RefCell<Vec<Cache>>>,
    tables: Tables,
    encoded: Option<(Tensor, Segments)>,
    /// Index of each growing text among the prompts.
    texts: Vec<usize>,
}

impl Network {
    /// Continues each prompt with the likeliest token, the first of equals, until a stop token or the limit. The result
    /// has only what was added.
    ///
    /// # Errors
    /// candle's; a prompt without tokens.
    pub fn generate(
        &self,
        prompts: &[Prompt],
        limits: &Generation,
        scratch: &mut Scratch,
    ) -> Result<Vec<Vec<u32>>> {
        let mut texts = vec![Vec::new(); prompts.len()];
        if limits.max_new_tokens == 0 || prompts.is_empty() {
            return Ok(texts);
        }
        if prompts.iter().any(|prompt| prompt.tokens.is_empty()) {
            candle_core::bail!("a prompt needs at least one token");
        }
        self.require_room(prompts, limits)?;
        let mut growing = Growing::new(self, prompts, limits, scratch)?;
        let mut runs: Vec<Vec<u32>> = prompts.iter().map(|prompt| prompt.tokens.clone()).collect();
        for _ in 0..limits.max_new_tokens {
            let next = growing.step(&runs, scratch)?;
            for (text, token) in growing.texts.iter().zip(&next) {
                texts[*text].push(*token);
            }
            let going: Vec<bool> = next.iter().map(|token| !limits.stop.contains(token)).collect();
            runs = next.iter().zip(&going).filter(|(_, on)| **on).map(|(t, _)| vec![*t]).collect();
            growing.keep(&going);
            if runs.is_empty() {
                break;
            }
        }
        Ok(texts)
    }
}

impl<'a> Growing<'a> {
    fn new(
        network: &'a Network,
        prompts: &[Prompt],
        limits: &Generation,
        scratch: &mut Scratch,
    ) -> Result<Self> {
        let stack = network.reader()?;
        let length = prompts.iter().map(|prompt| prompt.tokens.len()).max().unwrap_or(0);
        let empty = |layer: &super::layer::Layer| {
            RefCell::new(prompts.iter().map(|_| layer.attention.cache()).collect())
        };
        Ok(Growing {
            network,
            stack,
            caches: stack.layers.iter().map(empty).collect(),
            tables: stack.tables(length + limits.max_new_tokens)?,
            encoded: network.encode_prompts(prompts, scratch)?,
            texts: (0..prompts.len()).collect(),
        })
    }

    /// Reads `runs`, one per growing text, and gives the likeliest token after each.
    fn step(&mut self, runs: &[Vec<u32>], scratch: &mut Scratch) -> Result<Vec<u32>> {
        let counts: Vec<usize> = runs.iter().map(Vec::len).collect();
        let tokens: Vec<u32> = runs.iter().flatten().copied().collect();
        let lengths: Vec<usize> = match self.caches.first() {
            Some(caches) => caches.borrow().iter().map(Cache::len).collect(),
            None => vec![0; runs.len()],
        };
        let positions: Vec<usize> =
            lengths.iter().zip(&counts).flat_map(|(&first, &count)| first..first + count).collect();
        let last: Vec<usize> = counts
            .iter()
            .scan(0, |end, count| {
                *end += count;
                Some(*end - 1)
            })
            .collect();
        let text_of = self.texts.iter().zip(&counts);
        let source_of_token: Vec<usize> =
            text_of.flat_map(|(&text, &count)| std::iter::repeat_n(text, count)).collect();
        let sources = self.encoded.as_ref().map(|(states, segments)| Sources {
            states,
            starts: &segments.starts,
            source_of_token: &source_of_token,
        });
        let view = View::Runs { caches: &self.caches, counts: &counts };
        let around = Surroundings { view, sources, tables: &self.tables };
        let x = self.stack.embedding.forward(&tokens, &positions)?;
        let course = Course { first: 0, keep: None };
        let (hidden, _) = self.stack.forward(x, &course, &last, &around, scratch)?;
        let logits = self.network.head.logits(&hidden)?;
        Ok(logits.to_vec2::<f32>()?.iter().map(|logits| likeliest(logits)).collect())
    }

    fn keep(&mut self, going: &[bool]) {
        let mut flags = going.iter();
        self.texts.retain(|_| flags.next().copied().unwrap_or(false));
        for caches in &mut self.caches {
            let mut flags = going.iter();
            caches.get_mut().retain(|_| flags.next().copied().unwrap_or(false));
        }
    }
}

impl Network {
    /// The last token that is added is not read.
    fn require_room(&self, prompts: &[Prompt], limits: &Generation) -> Result<()> {
        if self.decoder.is_none() {
            candle_core::bail!("`{}` has no decoder to generate with", self.spec.family);
        }
        let length = prompts.iter().map(|prompt| prompt.tokens.len()).max().unwrap_or(0);
        let most = self.spec.longest.unwrap_or(usize::MAX);
        match length.checked_add(limits.max_new_tokens - 1) {
            Some(total) if total <= most => Ok(()),
            _ => candle_core::bail!(
                "{length} tokens and {} more are over the model's {most}",
                limits.max_new_tokens
            ),
        }
    }

    fn encode_prompts(
        &self,
        prompts: &[Prompt],
        scratch: &mut Scratch,
    ) -> Result<Option<(Tensor, Segments)>> {
        let mut segments = Segments::new();
        prompts.iter().for_each(|prompt| segments.push(&prompt.source));
        Ok(self.encode(&segments, scratch)?.map(|states| (states, segments)))
    }
}

/// Index of the greatest logit, the first of equals.
fn likeliest(logits: &[f32]) -> u32 {
    let greatest = |best: usize, next: usize| if logits[next] > logits[best] { next } else { best };
    (1..logits.len()).fold(0, greatest) as u32
}
