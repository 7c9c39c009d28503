//! What packs are scored by: a network on the pool's threads, or one on a device.

use candle_core::{Result, bail};

use super::memory;
use crate::model::spec::NetworkSpec;
use crate::model::{Batch, DeviceNetwork, Network, Pace, Pass, Prefix, Scored, Scratch, Texts};
use crate::units::Bytes;

/// A network that reads packs.
pub trait Scorer: Send + Sync {
    /// What it was built from.
    fn spec(&self) -> &NetworkSpec;

    /// Names and shapes of the checkpoint's tensors that it has, by name.
    fn tensors(&self) -> Box<dyn Iterator<Item = (&str, &[usize])> + '_>;

    /// Takes in a tensor of the checkpoint, row-major; `false`: it has none of that name.
    ///
    /// # Errors
    /// The number of values is not that of the tensor's shape; candle's.
    fn write(&self, tensor: &str, values: &[f32]) -> Result<bool>;

    /// Memory of the weights.
    fn bytes(&self) -> usize;

    /// What is free for activations where it computes; `None` where nothing says how much there is.
    fn free(&self) -> Option<Bytes>;

    /// Bytes that scoring `batch` holds at most beside the weights.
    fn activation_bytes(&self, batch: &Batch) -> usize;

    /// Whether it is given one pack after another, all of them whole: it computes no prefixes and keeps no states.
    fn on_device(&self) -> bool;

    /// As [`Network::score`].
    ///
    /// # Errors
    /// As there; candle's.
    fn score(&self, batch: &Batch, pass: &Pass, scratch: &mut Scratch) -> Result<Scored>;

    /// As [`Network::classify`].
    ///
    /// # Errors
    /// As [`Self::score`].
    fn classify(&self, texts: &[&[u32]], scratch: &mut Scratch) -> Result<Vec<Vec<f32>>>;

    /// Keys and values of `tokens`, which other sequences begin with.
    ///
    /// # Errors
    /// As [`Self::score`]; always, if it is [`Self::on_device`].
    fn prefix(&self, tokens: &[u32], scratch: &mut Scratch) -> Result<Prefix>;

    /// As [`Network::grow`].
    ///
    /// # Errors
    /// As there; always, if it is [`Self::on_device`].
    fn generate(
        &self,
        prefix: Option<&Prefix>,
        pace: Pace,
        texts: &mut dyn Texts,
        scratch: &mut Scratch,
    ) -> Result<()>;
}

impl Scorer for Network {
    fn spec(&self) -> &NetworkSpec {
        self.spec()
    }

    fn tensors(&self) -> Box<dyn Iterator<Item = (&str, &[usize])> + '_> {
        Box::new(self.tensors())
    }

    fn write(&self, tensor: &str, values: &[f32]) -> Result<bool> {
        self.write(tensor, values)
    }

    fn bytes(&self) -> usize {
        self.bytes()
    }

    fn free(&self) -> Option<Bytes> {
        memory::available()
    }

    fn activation_bytes(&self, batch: &Batch) -> usize {
        self.activation_bytes(batch)
    }

    fn on_device(&self) -> bool {
        false
    }

    fn score(&self, batch: &Batch, pass: &Pass, scratch: &mut Scratch) -> Result<Scored> {
        self.score(batch, pass, scratch)
    }

    fn classify(&self, texts: &[&[u32]], scratch: &mut Scratch) -> Result<Vec<Vec<f32>>> {
        self.classify(texts, scratch)
    }

    fn prefix(&self, tokens: &[u32], scratch: &mut Scratch) -> Result<Prefix> {
        Ok(self.prefix(tokens, &Pass::default(), scratch)?.0)
    }

    fn generate(
        &self,
        prefix: Option<&Prefix>,
        pace: Pace,
        texts: &mut dyn Texts,
        scratch: &mut Scratch,
    ) -> Result<()> {
        self.grow(prefix, pace, texts, scratch)
    }
}

impl Scorer for DeviceNetwork {
    fn spec(&self) -> &NetworkSpec {
        self.spec()
    }

    fn tensors(&self) -> Box<dyn Iterator<Item = (&str, &[usize])> + '_> {
        Box::new(self.tensors())
    }

    fn write(&self, tensor: &str, values: &[f32]) -> Result<bool> {
        self.write(tensor, values)
    }

    fn bytes(&self) -> usize {
        self.bytes()
    }

    /// Half of a GPU's: what its allocator keeps in reserve comes on top of the activations.
    fn free(&self) -> Option<Bytes> {
        let of_gpu = self.free_gpu_memory().map(|free| Bytes(free as u64 / 2));
        of_gpu.or_else(memory::available)
    }

    fn activation_bytes(&self, batch: &Batch) -> usize {
        self.activation_bytes(batch)
    }

    fn on_device(&self) -> bool {
        true
    }

    fn score(&self, batch: &Batch, pass: &Pass, _: &mut Scratch) -> Result<Scored> {
        if pass.prefix.is_some() || pass.resume.is_some() || pass.keep.is_some() {
            bail!("a network on a device reads whole sequences and keeps nothing");
        }
        Ok(Scored { log_probabilities: self.score(batch)?, kept: None })
    }

    fn classify(&self, texts: &[&[u32]], _: &mut Scratch) -> Result<Vec<Vec<f32>>> {
        self.classify(texts)
    }

    fn prefix(&self, _: &[u32], _: &mut Scratch) -> Result<Prefix> {
        bail!("a network on a device computes no prefixes")
    }

    fn generate(
        &self,
        _: Option<&Prefix>,
        _: Pace,
        _: &mut dyn Texts,
        _: &mut Scratch,
    ) -> Result<()> {
        bail!("texts are generated on the CPU alone so far: generate_until needs --device cpu")
    }
}
