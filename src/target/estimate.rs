//! The estimate: steps in seconds, shares of memory, and what they say of a limit.

use super::device::{Device, Weights};
use super::rates;
use crate::model::NetworkSpec;
use crate::model::spec::AttentionSpec;
use crate::units::Bytes;

/// What is merged.
#[derive(Debug, Clone, PartialEq)]
pub struct Merge<'a> {
    /// Of the base model, and of the result.
    pub spec: &'a NetworkSpec,
    /// The base model and the experts.
    pub checkpoints: u64,
    /// Size of all their files.
    pub stored: Bytes,
    /// Layers of the base model that a document router reads every prompt with; 0 without one.
    pub router_layers: usize,
    /// The result against `spec`.
    pub scale: Scale,
}

/// A network as large as a multiple of another: several merges at once, a mixture of experts, layers left out or repeated.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scale {
    /// Weights in memory.
    pub weights: f64,
    /// Operations per token, and with them the weights that each token reads.
    pub flops: f64,
}

impl Scale {
    /// The same network.
    pub const ONE: Scale = Scale { weights: 1.0, flops: 1.0 };
}

/// Rows of one file or task, read and answered one after another.
#[derive(Debug, Clone, PartialEq)]
pub struct Work {
    /// Of the file or task.
    pub name: String,
    /// Number of documents.
    pub rows: u64,
    /// Tokens that are read: prompts and answers to choose from.
    pub tokens: u64,
    /// Operations for that.
    pub flops: f64,
    /// Passes through the network for that; each reads all weights once.
    pub passes: u64,
    /// Tokens that are written at most, one pass for each.
    pub steps: u64,
    /// Tokens whose keys and values the steps read, all together.
    pub known: u64,
    /// Tokens of the longest text.
    pub longest: u64,
}

/// A part of the time.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// What happens.
    pub what: String,
    /// Inputs and formula, as text.
    pub calculation: String,
    /// The result.
    pub seconds: f64,
}

/// Whether the limit is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Also with the margin.
    Fits,
    /// Without the margin.
    Tight,
    /// Not even without.
    TooSlow,
    /// The device's memory is too small.
    NoMemory,
}

impl Verdict {
    /// The word in tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Fits => "fits",
            Verdict::Tight => "tight",
            Verdict::TooSlow => "too slow",
            Verdict::NoMemory => "no memory",
        }
    }
}

/// Time and memory of one evaluation on one device.
#[derive(Debug, Clone, PartialEq)]
pub struct Estimate {
    /// Where.
    pub device: &'static Device,
    /// In which precision.
    pub weights: Weights,
    /// One after another.
    pub steps: Vec<Step>,
    /// Name, calculation and size of what is in the device's memory together.
    pub memory: Vec<(&'static str, String, Bytes)>,
    /// What the starter kit's own loader would hold instead of one model's weights: every checkpoint in float32 beside the base
    /// model.
    pub kit_loader: Bytes,
}

impl Estimate {
    /// Of merging and then doing all of `work`.
    pub fn new(device: &'static Device, weights: Weights, merge: &Merge, work: &[Work]) -> Self {
        let machine = Machine::new(device, weights, merge);
        let mut steps = vec![machine.load(merge), machine.copy(), machine.merge(merge)];
        for work in work {
            steps.extend(machine.steps(work, merge.router_layers));
        }
        let longest = work.iter().map(|work| work.longest).max().unwrap_or(0);
        let parameters = merge.spec.parameters();
        let kit_loader = parameters.saturating_mul(4).saturating_mul(merge.checkpoints + 1);
        let memory = machine.memory(longest);
        Estimate { device, weights, steps, memory, kit_loader: Bytes(kit_loader) }
    }

    /// All steps.
    pub fn seconds(&self) -> f64 {
        self.steps.iter().map(|step| step.seconds).sum()
    }

    /// On the device at the same time.
    pub fn bytes(&self) -> Bytes {
        Bytes(self.memory.iter().fold(0, |sum, (_, _, bytes)| sum.saturating_add(bytes.0)))
    }

    /// Against [`rates::LIMIT_MINUTES`].
    pub fn verdict(&self) -> Verdict {
        self.within(rates::LIMIT_MINUTES)
    }

    /// Against another limit.
    pub fn within(&self, limit_minutes: f64) -> Verdict {
        let minutes = self.seconds() / 60.0;
        match () {
            () if self.bytes() > self.device.memory => Verdict::NoMemory,
            () if minutes * rates::MARGIN <= limit_minutes => Verdict::Fits,
            () if minutes <= limit_minutes => Verdict::Tight,
            () => Verdict::TooSlow,
        }
    }
}

/// A device with a model on it.
struct Machine<'a> {
    device: &'static Device,
    weights: Weights,
    spec: &'a NetworkSpec,
    /// Of the result against `spec`.
    scale: Scale,
    /// Of all weights.
    resident: f64,
    /// Of the weights that a token reads.
    bytes: f64,
    /// Of a token's keys and values.
    kept: f64,
    /// Seconds that a pass takes at least.
    launch: f64,
}

impl<'a> Machine<'a> {
    fn new(device: &'static Device, weights: Weights, merge: &Merge<'a>) -> Self {
        let (spec, scale) = (merge.spec, merge.scale);
        let stacks = spec.encoder.iter().chain(&spec.decoder);
        let layers: usize = stacks.map(|stack| stack.layers.len()).sum();
        let attention = spec.decoder.iter().flat_map(|stack| &stack.layers);
        let width =
            |attention: &AttentionSpec| 2.0 * (attention.kv_heads * attention.head_dim) as f64;
        let kept: f64 = attention.map(|layer| width(&layer.attention)).sum();
        let dense = spec.weight_bytes(weights.size()) as f64;
        let launch = scale.flops * layers as f64 * rates::LAUNCH;
        let kept = scale.flops * kept * weights.size() as f64;
        let (resident, bytes) = (scale.weights * dense, scale.flops * dense);
        Machine { device, weights, spec, scale, resident, bytes, kept, launch }
    }

    fn load(&self, merge: &Merge) -> Step {
        let stored = merge.stored.0 as f64;
        Step {
            what: format!("read {} checkpoints", merge.checkpoints),
            calculation: format!("{} / {} from disk", bytes(stored), rate(rates::DISK)),
            seconds: stored / rates::DISK,
        }
    }

    fn copy(&self) -> Step {
        let link = self.device.host_link * rates::HOST_LINK;
        let peak = rate(self.device.host_link);
        Step {
            what: "copy the merged weights".into(),
            calculation: format!(
                "{} parameters{} * {} B = {} / ({peak} * {})",
                self.spec.parameters(),
                times(self.scale.weights),
                self.weights.size(),
                bytes(self.resident),
                rates::HOST_LINK
            ),
            seconds: self.resident / link,
        }
    }

    fn merge(&self, merge: &Merge) -> Step {
        let written = self.scale.weights;
        let all = (merge.checkpoints as f64 + written) * self.spec.weight_bytes(4) as f64;
        Step {
            what: "merge".into(),
            calculation: format!(
                "({} read + {} written) * {} parameters * 4 B = {} / {}",
                merge.checkpoints,
                rounded(written),
                self.spec.parameters(),
                bytes(all),
                rate(rates::MERGE)
            ),
            seconds: all / rates::MERGE,
        }
    }

    fn steps(&self, work: &Work, router_layers: usize) -> Vec<Step> {
        let mut steps = Vec::new();
        if router_layers > 0 {
            steps.push(self.route(work, router_layers));
        }
        if work.passes > 0 {
            steps.push(self.read(work));
        }
        if work.steps > 0 {
            steps.push(self.write(work));
        }
        steps
    }

    /// Nothing of it is reused.
    fn route(&self, work: &Work, layers: usize) -> Step {
        let tokens = work.tokens.div_ceil(work.rows.max(1)) as usize;
        let flops = work.rows as f64 * self.spec.prefix_flops(layers, tokens);
        let step = Reading { flops, passes: work.rows, layers: Some(layers) };
        let what = format!("{}: route {} prompts", work.name, work.rows);
        self.pass(what, &format!("{layers} layers, {} tokens", work.tokens), step)
    }

    fn read(&self, work: &Work) -> Step {
        let flops = self.scale.flops * work.flops;
        let step = Reading { flops, passes: work.passes, layers: None };
        let what = format!("{}: read {} documents", work.name, work.rows);
        self.pass(what, &format!("{} tokens", work.tokens), step)
    }

    /// As long as the slowest takes of operations, weights and launches.
    fn pass(&self, what: String, tokens: &str, reading: Reading) -> Step {
        let all = self.spec.decoder.as_ref().or(self.spec.encoder.as_ref());
        let all = all.map_or(1, |stack| stack.layers.len()).max(1);
        let part = reading.layers.map_or(1.0, |layers| layers as f64 / all as f64);
        let (passes, peak) = (reading.passes as f64, self.device.peak(self.weights));
        let computing = reading.flops / (peak * rates::PREFILL);
        let weights = passes * part * self.bytes / (self.device.bandwidth * rates::DECODE);
        let launching = passes * part * self.launch;
        Step {
            what,
            calculation: format!(
                "{tokens}: the most of {:.4e} FLOP / ({} * {}) = {computing:.1} s; {} passes * {} / ({} * {}) = {weights:.1} s; \
                 {} passes * {:.0} ms of launches = {launching:.1} s",
                reading.flops,
                operations(peak),
                rates::PREFILL,
                reading.passes,
                bytes(part * self.bytes),
                rate(self.device.bandwidth),
                rates::DECODE,
                reading.passes,
                1e3 * part * self.launch,
            ),
            seconds: computing.max(weights).max(launching),
        }
    }

    fn write(&self, work: &Work) -> Step {
        let steps = work.steps as f64;
        let known = work.known as f64 / steps;
        let each = self.bytes + known * self.kept;
        let reading = steps * each / (self.device.bandwidth * rates::DECODE);
        let launching = steps * self.launch;
        Step {
            what: format!("{}: write {} tokens", work.name, work.steps),
            calculation: format!(
                "the most of {} steps * ({} weights + {known:.0} tokens * {} keys and values) / ({} * {}) = {reading:.1} s; \
                 {} steps * {:.0} ms of launches = {launching:.1} s",
                work.steps,
                bytes(self.bytes),
                bytes(self.kept),
                rate(self.device.bandwidth),
                rates::DECODE,
                work.steps,
                1e3 * self.launch,
            ),
            seconds: reading.max(launching),
        }
    }

    fn memory(&self, longest: u64) -> Vec<(&'static str, String, Bytes)> {
        let vocabulary = self.spec.vocab_size as f64;
        let tokens = longest as f64;
        let kept = tokens * self.kept;
        // transformers makes logits of every token of a prompt, and a float32 copy of them.
        let logits = 2.0 * 4.0 * tokens * vocabulary;
        let share = |bytes: f64| Bytes(bytes as u64);
        let (parameters, more) = (self.spec.parameters(), times(self.scale.weights));
        let weights = format!("{parameters} parameters{more} * {} B", self.weights.size());
        vec![
            ("weights", weights, share(self.resident)),
            ("keys and values", format!("{longest} tokens * {}", bytes(self.kept)), share(kept)),
            ("logits", format!("{longest} tokens * {vocabulary} * 4 B, twice"), share(logits)),
            ("CUDA", "context and libraries".into(), Bytes(rates::CONTEXT)),
        ]
    }
}

/// Tokens read in a number of passes, through some layers or all.
struct Reading {
    flops: f64,
    passes: u64,
    layers: Option<usize>,
}

/// A factor of a formula; nothing where it is 1.
fn times(scale: f64) -> String {
    if scale == 1.0 { String::new() } else { format!(" * {}", rounded(scale)) }
}

/// Three digits behind the point at most.
fn rounded(number: f64) -> f64 {
    (number * 1e3).round() / 1e3
}

fn bytes(bytes: f64) -> String {
    Bytes(bytes as u64).to_string()
}

fn rate(per_second: f64) -> String {
    format!("{}/s", bytes(per_second))
}

fn operations(per_second: f64) -> String {
    format!("{} TFLOP/s", per_second / 1e12)
}
