//! Any network of a [`NetworkSpec`], its weights in memory and packed for the CPU's vector units.
//!
//! Reads a [`Batch`] and gives the log-probability of every token that was asked for. Everything runs on the calling
//! thread: batches and candidates are what runs in parallel. Whatever is in a batch beside a sequence, its numbers have
//! the same bits.

mod attention;
mod embedding;
mod generate;
mod head;
mod inputs;
mod layer;
mod memory;
mod mlp;
mod pass;
mod places;
mod sharing;
mod stack;

use std::cell::RefCell;

use candle_core::{Result, Tensor};

use attention::{Seen, Sources, View};
pub use generate::{Generation, Pace, Prompt, Texts};
use head::Head;
use layer::Surroundings;
use pass::Tables;
pub use pass::{Pass, Prefix, Scored, Scratch, States};
pub use places::Depth;
use places::{Builder, Places};
use sharing::Lent;
use stack::{Course, Stack};

use super::batch::{Batch, Prediction, Segments};
use super::layers::Precision;
use super::spec::NetworkSpec;

/// A network whose weights are in memory, ready to score.
pub struct Network {
    spec: NetworkSpec,
    encoder: Option<Stack>,
    decoder: Option<Stack>,
    head: Head,
    places: Places,
    bytes: usize,
    shared_bytes: usize,
}

impl Network {
    /// Allocates the weights, all zero; [`Self::write`] fills them.
    ///
    /// # Errors
    /// candle's.
    pub fn new(spec: &NetworkSpec, precision: Precision) -> Result<Self> {
        Self::build(spec, Builder::new(precision, Lent::new()))
    }

    fn build(spec: &NetworkSpec, mut builder: Builder) -> Result<Self> {
        let mut stack = |spec: &Option<_>, counted| match spec {
            Some(spec) => Stack::new(spec, &mut builder, counted).map(Some),
            None => Ok(None),
        };
        let encoder = stack(&spec.encoder, false)?;
        let decoder = stack(&spec.decoder, true)?;
        let head = Head::new(&spec.head, &mut builder)?;
        let (bytes, shared_bytes) = (builder.bytes, builder.shared_bytes());
        let (spec, places) = (spec.clone(), builder.places);
        Ok(Network { spec, encoder, decoder, head, places, bytes, shared_bytes })
    }

    /// What the network was built from.
    pub fn spec(&self) -> &NetworkSpec {
        &self.spec
    }

    /// Names and shapes of the checkpoint's tensors that the network has, by name.
    pub fn tensors(&self) -> impl Iterator<Item = (&str, &[usize])> {
        self.places.iter().map(|(name, stored)| (name.as_str(), stored.shape.as_slice()))
    }

    /// Packs a tensor of the checkpoint, row-major, into the network's memory. Different tensors may be written by
    /// different threads at once. `false`: the network has no tensor of that name.
    ///
    /// # Errors
    /// The number of values is not that of the tensor's shape; another network has the same memory ([`Self::sharing`]).
    pub fn write(&self, tensor: &str, values: &[f32]) -> Result<bool> {
        match self.places.get(tensor) {
            Some(stored) => stored.write(values).map(|()| true),
            None => Ok(false),
        }
    }

    /// The first point at which a tensor matters; `None` for a tensor that the network has not.
    pub fn depth(&self, tensor: &str) -> Option<Depth> {
        self.places.get(tensor).map(|stored| stored.depth)
    }

    /// Memory of the weights, without [`Self::shared_bytes`].
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The stack that reads a batch's tokens.
    fn reader(&self) -> Result<&Stack> {
        match self.decoder.as_ref().or(self.encoder.as_ref()) {
            Some(stack) => Ok(stack),
            None => candle_core::bail!("a network needs an encoder or a decoder"),
        }
    }

    /// Log-probability, in nats, of each of the batch's predictions, in their order.
    ///
    /// # Errors
    /// candle's; none is expected as long as all tokens are below `vocab_size` and no text is longer than
    /// [`NetworkSpec::longest`].
    pub fn score(&self, batch: &Batch, pass: &Pass, scratch: &mut Scratch) -> Result<Scored> {
        if batch.predictions.is_empty() {
            return Ok(Scored { log_probabilities: Vec::new(), kept: None });
        }
        let (hidden, kept) = self.hidden(batch, pass, scratch)?;
        let layer = pass.keep.unwrap_or_default();
        let kept = kept.map(|x| States { layer, x });
        let mut order: Vec<usize> = (0..batch.predictions.len()).collect();
        order.sort_by_key(|&i| batch.predictions[i].row);
        let asked: Vec<Prediction> = order.iter().map(|&i| batch.predictions[i]).collect();
        let mut log_probabilities = vec![0f32; asked.len()];
        for (place, score) in order.into_iter().zip(self.head.predict(&hidden, &asked, scratch)?) {
            log_probabilities[place] = score;
        }
        Ok(Scored { log_probabilities, kept })
    }

    /// The input of `layer`, `[rows, hidden]`, for all of a batch's tokens; of a decoder, computing only the layers before.
    /// The number of layers stands for what the last one gives, before the final norm.
    ///
    /// # Errors
    /// As [`Self::score`]; a layer that there is not.
    pub fn layer_input(
        &self,
        batch: &Batch,
        layer: usize,
        prefix: Option<&Prefix>,
        scratch: &mut Scratch,
    ) -> Result<Tensor> {
        let layers = self.reader()?.layers.len();
        if layer > layers {
            candle_core::bail!("layer {layer} of a network with {layers} layers");
        }
        let pass = Pass { prefix, stop: Some(layer), ..Pass::default() };
        Ok(self.hidden(batch, &pass, scratch)?.0)
    }

    /// Log-probabilities of all labels for each text; of a network with a classifier.
    ///
    /// # Errors
    /// As [`Self::score`].
    pub fn classify(&self, texts: &[&[u32]], scratch: &mut Scratch) -> Result<Vec<Vec<f32>>> {
        let (hidden, _) = self.hidden(&Batch::texts(texts), &Pass::default(), scratch)?;
        self.all_log_probabilities(&hidden)
    }

    /// Log-probabilities of the whole vocabulary in each of the batch's rows; for few rows.
    ///
    /// # Errors
    /// As [`Self::score`].
    pub fn distributions(&self, batch: &Batch, scratch: &mut Scratch) -> Result<Vec<Vec<f32>>> {
        let (hidden, _) = self.hidden(batch, &Pass::default(), scratch)?;
        self.all_log_probabilities(&hidden)
    }

    fn all_log_probabilities(&self, hidden: &Tensor) -> Result<Vec<Vec<f32>>> {
        let logits = self.head.logits(hidden)?;
        candle_nn::ops::log_softmax(&logits, 1)?.to_vec2()
    }

    /// Keys and values of `tokens`, which other sequences begin with; of a decoder without encoder. With `pass.resume`
    /// and `pass.keep` as in [`Self::score`].
    ///
    /// # Errors
    /// As [`Self::score`].
    pub fn prefix(
        &self,
        tokens: &[u32],
        pass: &Pass,
        scratch: &mut Scratch,
    ) -> Result<(Prefix, Option<States>)> {
        let stack = self.reader()?;
        let batch = Batch::chain(tokens);
        let kept = RefCell::new(stack.layers.iter().map(|layer| layer.attention.cache()).collect());
        let view = View::Chain { depths: &batch.positions, kept: &kept };
        let tables = stack.tables(tokens.len())?;
        let around = Surroundings { view, sources: None, tables: &tables };
        // One row: the last layer's queries are of no use, and no batch of none is computed.
        let (_, states) = self.run(stack, &batch, &[0], pass, &around, scratch)?;
        let layer = pass.keep.unwrap_or_default();
        let prefix = Prefix { caches: kept.into_inner(), length: tokens.len() };
        Ok((prefix, states.map(|x| States { layer, x })))
    }

    /// States of the batch's rows behind the last layer, `[rows, hidden]`, and the input that was to be kept.
    fn hidden(
        &self,
        batch: &Batch,
        pass: &Pass,
        scratch: &mut Scratch,
    ) -> Result<(Tensor, Option<Tensor>)> {
        let stack = self.reader()?;
        let view = match batch.starts.is_empty() {
            false => View::Segments { starts: &batch.starts },
            true => View::Tree {
                depths: &batch.positions,
                prefix: pass.prefix.map(|prefix| prefix.caches.as_slice()),
            },
        };
        let encoded = self.encode(&batch.sources, scratch)?;
        let sources = encoded.as_ref().map(|states| Sources {
            seen: Seen::States { states, starts: &batch.sources.starts },
            source_of_token: &batch.source_of_token,
        });
        let tables = stack.tables(batch.longest())?;
        let around = Surroundings { view, sources, tables: &tables };
        self.run(stack, batch, &batch.rows, pass, &around, scratch)
    }

    fn run(
        &self,
        stack: &Stack,
        batch: &Batch,
        rows: &[usize],
        pass: &Pass,
        around: &Surroundings,
        scratch: &mut Scratch,
    ) -> Result<(Tensor, Option<Tensor>)> {
        let (x, first) = match pass.resume {
            Some(states) => (states.x.copy()?, states.layer),
            None => (stack.embedding.forward(&batch.tokens, &batch.positions)?, 0),
        };
        let course = Course { first, keep: pass.keep, stop: pass.stop };
        stack.forward(x, &course, rows, around, scratch)
    }

    /// The encoder's output, `[source tokens, hidden]`.
    fn encode(&self, sources: &Segments, scratch: &mut Scratch) -> Result<Option<Tensor>> {
        let (Some(encoder), Some(_)) = (&self.encoder, &self.decoder) else {
            return Ok(None);
        };
        let rows: Vec<usize> = (0..sources.tokens.len()).collect();
        let view = View::Segments { starts: &sources.starts };
        let tables: Tables = encoder.tables(sources.longest())?;
        let around = Surroundings { view, sources: None, tables: &tables };
        let x = encoder.embedding.forward(&sources.tokens, &sources.positions())?;
        let course = Course { first: 0, keep: None, stop: None };
        let (states, _) = encoder.forward(x, &course, &rows, &around, scratch)?;
        Ok(Some(states))
    }
}
