//! Greedy generation, many texts at once, with cached keys and values.
//!
//! Each step reads some tokens of every text that is growing, the rest of its prompt or the token that was added last, and
//! where a text ends another begins, so that the weights are read for as many texts as there may be. A text's tokens do
//! not depend on those that grow beside it.

use std::cell::RefCell;

use candle_core::{Result, bail};

use super::Network;
use super::attention::{Seen, Sources, View};
use super::layer::Surroundings;
use super::pass::{Prefix, Scratch, Tables};
use super::stack::{Course, Stack};
use crate::model::batch::Segments;
use crate::model::layers::{Cache, likeliest};

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

/// Where texts come from and their tokens go to.
pub trait Texts {
    /// The next prompt and a number to know its text by; `None` when there is no other.
    fn begin(&mut self) -> Option<(usize, Prompt)>;

    /// What a text goes on with, `None` where the logits are no numbers; whether it is to go on after it.
    fn add(&mut self, text: usize, token: Option<u32>) -> bool;
}

/// How much is computed at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Texts that grow side by side at most.
    pub texts: usize,
    /// Tokens read in one step at most.
    pub tokens: usize,
    /// Tokens of the longest text, prompt and all that may be added.
    pub longest: usize,
}

impl Network {
    /// Continues texts with the likeliest token, the first of equals, for as long as `texts` wants. Every prompt begins
    /// with `prefix` and goes on after it.
    ///
    /// # Errors
    /// candle's; a prompt without tokens of its own, or longer than the pace or the network allows.
    pub fn grow(
        &self,
        prefix: Option<&Prefix>,
        pace: Pace,
        texts: &mut dyn Texts,
        scratch: &mut Scratch,
    ) -> Result<()> {
        if self.decoder.is_none() {
            bail!("`{}` has no decoder to generate with", self.spec.family);
        }
        let mut growing = Growing::new(self, prefix, pace)?;
        loop {
            while growing.texts.len() < pace.texts.max(1)
                && let Some((number, prompt)) = texts.begin()
            {
                growing.begin(number, &prompt, scratch)?;
            }
            if growing.texts.is_empty() {
                return Ok(());
            }
            let next = growing.step(scratch)?;
            growing.go_on(&next, texts);
        }
    }

    /// Continues each prompt until a stop token or the limit. The result has only what was added.
    ///
    /// # Errors
    /// As [`Self::grow`]; a logit that is not a number.
    pub fn generate(
        &self,
        prompts: &[Prompt],
        limits: &Generation,
        scratch: &mut Scratch,
    ) -> Result<Vec<Vec<u32>>> {
        let longest = prompts.iter().map(|prompt| prompt.tokens.len()).max().unwrap_or(0);
        let longest = longest.saturating_add(limits.max_new_tokens);
        let pace = Pace { texts: prompts.len(), tokens: usize::MAX, longest };
        let added = vec![Some(Vec::new()); prompts.len()];
        let mut texts = Listed { prompts, limits, begun: 0, added };
        if limits.max_new_tokens > 0 {
            self.grow(None, pace, &mut texts, scratch)?;
        }
        match texts.added.into_iter().collect() {
            Some(added) => Ok(added),
            None => bail!("a logit is not a number"),
        }
    }
}

/// Prompts that begin all at once.
struct Listed<'a> {
    prompts: &'a [Prompt],
    limits: &'a Generation,
    begun: usize,
    /// `None` for a text that came to logits that are no numbers.
    added: Vec<Option<Vec<u32>>>,
}

impl Texts for Listed<'_> {
    fn begin(&mut self) -> Option<(usize, Prompt)> {
        let prompt = self.prompts.get(self.begun)?;
        self.begun += 1;
        Some((self.begun - 1, prompt.clone()))
    }

    fn add(&mut self, text: usize, token: Option<u32>) -> bool {
        let (Some(token), Some(Some(tokens))) = (token, self.added.get_mut(text)) else {
            self.added[text] = None;
            return false;
        };
        tokens.push(token);
        tokens.len() < self.limits.max_new_tokens && !self.limits.stop.contains(&token)
    }
}

/// One text that is growing.
struct Text {
    number: usize,
    /// Tokens that the decoder has read.
    read: usize,
    /// Those that it has not.
    unread: Vec<u32>,
}

/// Texts that are growing.
struct Growing<'a> {
    network: &'a Network,
    stack: &'a Stack,
    prefix: Option<&'a Prefix>,
    pace: Pace,
    tables: Tables,
    texts: Vec<Text>,
    /// By layer, then by text.
    caches: Vec<RefCell<Vec<Cache>>>,
    /// The same of the encoder's output; empty without an encoder.
    sources: Vec<Vec<Cache>>,
}

impl<'a> Growing<'a> {
    fn new(network: &'a Network, prefix: Option<&'a Prefix>, pace: Pace) -> Result<Self> {
        let most = network.spec.longest.unwrap_or(usize::MAX);
        // The last token that is added is not read.
        if pace.longest.saturating_sub(1) > most {
            bail!("texts of {} tokens are over the model's {most}", pace.longest);
        }
        let stack = network.reader()?;
        let layers = || stack.layers.iter();
        let sources = match network.encoder {
            Some(_) => layers().map(|_| Vec::new()).collect(),
            None => Vec::new(),
        };
        let caches = layers().map(|_| RefCell::default()).collect();
        let tables = stack.tables(pace.longest)?;
        Ok(Growing { network, stack, prefix, pace, tables, texts: Vec::new(), caches, sources })
    }

    fn begin(&mut self, number: usize, prompt: &Prompt, scratch: &mut Scratch) -> Result<()> {
        let read = self.prefix.map_or(0, Prefix::len);
        let unread = prompt.tokens.get(read..).unwrap_or_default().to_vec();
        if unread.is_empty() {
            bail!("a prompt needs at least one token of its own");
        }
        for (number, layer) in self.stack.layers.iter().enumerate() {
            let kept = self.prefix.and_then(|prefix| prefix.caches.get(number));
            let own = kept.map_or_else(|| layer.attention.cache(), Cache::after);
            self.caches[number].get_mut().push(own);
        }
        if !self.sources.is_empty() {
            self.read_source(&prompt.source, scratch)?;
        }
        self.texts.push(Text { number, read, unread });
        Ok(())
    }

    fn read_source(&mut self, source: &[u32], scratch: &mut Scratch) -> Result<()> {
        let mut segments = Segments::new();
        segments.push(source);
        let states = match self.network.encode(&segments, scratch)? {
            Some(states) if !source.is_empty() => states,
            _ => bail!("a prompt needs at least one token for the encoder"),
        };
        let layers = self.stack.layers.iter().zip(&mut self.sources);
        for (attention, kept) in layers.filter_map(|(layer, kept)| Some((layer.cross()?, kept))) {
            kept.push(attention.keep_source(&states, scratch)?);
        }
        Ok(())
    }

    /// Reads as much as may be read at once, and gives what follows each text that has been read to its end: its index
    /// and the likeliest token.
    fn step(&mut self, scratch: &mut Scratch) -> Result<Vec<(usize, Option<u32>)>> {
        let reading = Reading::of(&self.texts, self.pace.tokens.max(1));
        let source_of_token = reading.text_of_token();
        let sources = (!self.sources.is_empty()).then_some(Sources {
            seen: Seen::Kept(&self.sources),
            source_of_token: &source_of_token,
        });
        let prefix = self.prefix.map(|prefix| prefix.caches.as_slice());
        let view = View::Runs { prefix, caches: &self.caches, counts: &reading.counts };
        let around = Surroundings { view, sources, tables: &self.tables };
        let x = self.stack.embedding.forward(&reading.tokens, &reading.positions)?;
        let course = Course { first: 0, keep: None, stop: None };
        let (hidden, _) = self.stack.forward(x, &course, &reading.rows(), &around, scratch)?;
        let next = match reading.ends.is_empty() {
            true => Vec::new(),
            false => likeliest(&self.network.head.logits_in(&hidden, &mut scratch.logits)?)?,
        };
        for (text, count) in self.texts.iter_mut().zip(&reading.counts) {
            text.unread.drain(..count);
            text.read += count;
        }
        Ok(reading.ends.iter().map(|(text, _)| *text).zip(next).collect())
    }

    /// Texts that are not to go on are dropped.
    fn go_on(&mut self, next: &[(usize, Option<u32>)], texts: &mut dyn Texts) {
        let mut going = vec![true; self.texts.len()];
        for &(index, token) in next {
            let Some(text) = self.texts.get_mut(index) else { continue };
            going[index] = texts.add(text.number, token) && token.is_some();
            text.unread.extend(token);
        }
        if going.contains(&false) {
            self.keep(&going);
        }
    }

    fn keep(&mut self, going: &[bool]) {
        fn retain<T>(list: &mut Vec<T>, going: &[bool]) {
            let mut flags = going.iter();
            list.retain(|_| flags.next().copied().unwrap_or(false));
        }
        retain(&mut self.texts, going);
        self.caches.iter_mut().for_each(|caches| retain(caches.get_mut(), going));
        self.sources.iter_mut().for_each(|caches| retain(caches, going));
    }
}

/// What one step reads.
struct Reading {
    tokens: Vec<u32>,
    positions: Vec<usize>,
    /// Tokens of each text.
    counts: Vec<usize>,
    /// Texts of which nothing is left to read, and the row of their last token.
    ends: Vec<(usize, usize)>,
}

impl Reading {
    fn of(texts: &[Text], mut room: usize) -> Self {
        let (tokens, positions) = (Vec::new(), Vec::new());
        let counts = Vec::with_capacity(texts.len());
        let mut reading = Reading { tokens, positions, counts, ends: Vec::new() };
        for (index, text) in texts.iter().enumerate() {
            let count = text.unread.len().min(room);
            room -= count;
            reading.tokens.extend_from_slice(&text.unread[..count]);
            reading.positions.extend(text.read..text.read + count);
            reading.counts.push(count);
            if count > 0 && count == text.unread.len() {
                reading.ends.push((index, reading.tokens.len() - 1));
            }
        }
        reading
    }

    fn text_of_token(&self) -> Vec<usize> {
        let counts = self.counts.iter().enumerate();
        counts.flat_map(|(text, &count)| std::iter::repeat_n(text, count)).collect()
    }

    /// Rows that the last layer computes; one that is of no use where no text ends, for no batch of none is computed.
    fn rows(&self) -> Vec<usize> {
        match self.ends.is_empty() {
            true => vec![0],
            false => self.ends.iter().map(|(_, row)| *row).collect(),
        }
    }
}
