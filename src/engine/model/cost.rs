//! The work of a network, counted from its spec: no weights, no clock.
//!
//! A multiplication and an addition are two operations (FLOPs). Counted are the products with weight matrices and in attention
//! the products of queries with keys and of probabilities with values, for the keys that a query sees: a causal text's triangle,
//! not its square. Norms, activations, softmax, rotations, biases and looking up embeddings are left out; they are per mille
//! of a model of any size, and a few per cent of the tiniest.

use std::collections::{BTreeMap, BTreeSet};

use super::batch::Batch;
use super::spec::{
    AttentionSpec, GatedSpec, HeadSpec, LayerSpec, LinearSpec, MlpSpec, NetworkSpec, StackSpec,
};

/// What is read and what is asked, summed over any number of texts; [`NetworkSpec::flops`] is linear in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Workload {
    /// What the decoder, or an encoder alone, reads, by the number of keys that a token sees where no window hides any.
    queries: BTreeMap<usize, Queries>,
    /// Tokens at which the head predicts.
    predicted: u64,
    /// Tokens that the encoder reads for a decoder, by the length of their text.
    sources: BTreeMap<usize, u64>,
    /// The decoder's tokens and how many keys of the encoder's they see.
    cross: BTreeMap<usize, Queries>,
}

/// Numbers of tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Queries {
    all: u64,
    /// Those that the last layer computes: the ones at which something is predicted.
    last: u64,
}

impl Queries {
    fn add(&mut self, all: u64, last: u64) {
        self.all += all;
        self.last += last;
    }

    /// Of one layer.
    fn of_layer(self, last: bool) -> f64 {
        (if last { self.last } else { self.all }) as f64
    }
}

impl Workload {
    /// A causal decoder reads `new` tokens behind `cached` whose keys and values are known, and predicts at the last
    /// `predicted` of them.
    pub fn prefill(cached: usize, new: usize, predicted: usize) -> Self {
        let predicted = predicted.min(new);
        let mut work = Workload { predicted: predicted as u64, ..Workload::default() };
        for token in 0..new {
            let asked = u64::from(token >= new - predicted);
            work.queries.entry(cached + token + 1).or_default().add(1, asked);
        }
        work
    }

    /// A text is written: the encoder, if there is one, reads `source` tokens, the decoder `prompt` ones behind `cached` and
    /// then all of the `written` ones but the last, which nothing follows. Nothing is read for a text without tokens.
    pub fn text(source: usize, cached: usize, prompt: usize, written: usize) -> Self {
        if written == 0 {
            return Workload::default();
        }
        let mut work = Workload::prefill(cached, prompt, 1);
        work.add(&Workload::prefill(cached + prompt, written - 1, written - 1));
        if source > 0 {
            work.sources.insert(source, source as u64);
            let read = prompt + written - 1;
            work.cross.insert(source, Queries { all: read as u64, last: written as u64 });
        }
        work
    }

    /// A batch, behind the prefix that its positions count.
    pub fn of(batch: &Batch) -> Self {
        let mut work = Workload { predicted: batch.rows.len() as u64, ..Workload::default() };
        let lengths = |starts: &[usize]| -> Vec<usize> {
            starts.windows(2).map(|ends| ends[1] - ends[0]).collect()
        };
        let segments = lengths(&batch.starts);
        let mut keys: Vec<usize> = segments.iter().flat_map(|&n| vec![n; n]).collect();
        if batch.starts.is_empty() {
            keys = batch.positions.iter().map(|depth| depth + 1).collect();
        }
        count(&keys, &batch.rows, &mut work.queries);
        let texts = lengths(&batch.sources.starts);
        for &length in &texts {
            *work.sources.entry(length).or_default() += length as u64;
        }
        let of_text = |text: &usize| texts.get(*text).copied().unwrap_or(0);
        let seen: Vec<usize> = batch.source_of_token.iter().map(of_text).collect();
        count(&seen, &batch.rows, &mut work.cross);
        work
    }

    /// Both.
    pub fn add(&mut self, other: &Workload) {
        self.add_times(other, 1);
    }

    /// `other` as often as `times` says.
    pub fn add_times(&mut self, other: &Workload, times: u64) {
        let both = |own: &mut BTreeMap<usize, Queries>, theirs: &BTreeMap<usize, Queries>| {
            for (&keys, queries) in theirs {
                own.entry(keys).or_default().add(times * queries.all, times * queries.last);
            }
        };
        both(&mut self.queries, &other.queries);
        both(&mut self.cross, &other.cross);
        self.predicted += times * other.predicted;
        for (&length, &tokens) in &other.sources {
            *self.sources.entry(length).or_default() += times * tokens;
        }
    }

    /// Tokens of the longest text that is read.
    pub fn longest(&self) -> usize {
        let last = |queries: &BTreeMap<usize, Queries>| queries.keys().next_back().copied();
        last(&self.queries).max(last(&self.cross)).unwrap_or(0)
    }

    /// Tokens that are read, the encoder's too.
    pub fn tokens(&self) -> u64 {
        self.queries.values().map(|queries| queries.all).sum::<u64>()
            + self.sources.values().sum::<u64>()
    }
}

/// Adds tokens by the keys they see; `rows`: those that the last layer computes.
fn count(keys: &[usize], rows: &[usize], queries: &mut BTreeMap<usize, Queries>) {
    for &keys in keys {
        queries.entry(keys).or_default().add(1, 0);
    }
    for keys in rows.iter().filter_map(|&row| keys.get(row)) {
        queries.entry(*keys).or_default().add(0, 1);
    }
}

impl NetworkSpec {
    /// Floating-point operations of `work` on this network; exact below 2⁵³. The last layer computes only the tokens at which
    /// something is predicted, as [`super::Network`] does, and the head only those.
    pub fn flops(&self, work: &Workload) -> f64 {
        let source_tokens = work.sources.values().sum::<u64>() as f64;
        let encoder = match (&self.encoder, &self.decoder) {
            (Some(encoder), Some(_)) => {
                let every = |(&length, &all): (&usize, &u64)| (length, Queries { all, last: all });
                let queries = work.sources.iter().map(every).collect();
                Course { queries: &queries, cross: &BTreeMap::new(), source_tokens: 0.0 }
                    .of_stack(encoder, encoder.layers.len())
            }
            _ => 0.0,
        };
        let course = Course { queries: &work.queries, cross: &work.cross, source_tokens };
        let reader = self.decoder.as_ref().or(self.encoder.as_ref());
        let reader = reader.map_or(0.0, |stack| course.of_stack(stack, stack.layers.len()));
        2.0 * (encoder + reader + work.predicted as f64 * of_head(&self.head))
    }

    /// Operations of the first `layers` layers of a decoder, or of an encoder alone, on a text of `tokens`: what a document
    /// router's hidden state takes.
    pub fn prefix_flops(&self, layers: usize, tokens: usize) -> f64 {
        let mut work = Workload::prefill(0, tokens, tokens);
        if self.decoder.is_none() {
            work.queries =
                BTreeMap::from([(tokens, Queries { all: tokens as u64, last: tokens as u64 })]);
        }
        let course = Course { queries: &work.queries, cross: &BTreeMap::new(), source_tokens: 0.0 };
        let reader = self.decoder.as_ref().or(self.encoder.as_ref());
        2.0 * reader.map_or(0.0, |stack| course.of_stack(stack, layers))
    }

    /// Elements of the checkpoint's tensors that the network uses, tied ones once.
    pub fn parameters(&self) -> u64 {
        let elements = |(_, shape): (&str, &[usize])| {
            shape.iter().fold(1u64, |all, &length| all.saturating_mul(length as u64))
        };
        let distinct: BTreeSet<(&str, &[usize])> = self.tensors().collect();
        distinct.into_iter().map(elements).fold(0, u64::saturating_add)
    }

    /// Memory of the weights where an element takes `bytes_per_element`.
    pub fn weight_bytes(&self, bytes_per_element: u64) -> u64 {
        self.parameters().saturating_mul(bytes_per_element)
    }
}

/// Work of one stack, in multiplications with addition.
struct Course<'a> {
    queries: &'a BTreeMap<usize, Queries>,
    cross: &'a BTreeMap<usize, Queries>,
    /// Tokens whose keys and values cross-attention computes.
    source_tokens: f64,
}

impl Course<'_> {
    /// The embedding and the first `layers` layers.
    fn of_stack(&self, stack: &StackSpec, layers: usize) -> f64 {
        let tokens = self.queries.values().fold(0.0, |sum, queries| sum + queries.all as f64);
        let projection = stack.embedding.projection.as_ref().map_or(0.0, per_row);
        let last = stack.layers.len().saturating_sub(1);
        let layers = stack.layers.iter().enumerate().take(layers);
        tokens * projection
            + layers.map(|(number, layer)| self.of_layer(layer, number == last)).sum::<f64>()
    }

    fn of_layer(&self, layer: &LayerSpec, last: bool) -> f64 {
        let count = |last: bool| -> f64 {
            self.queries.values().map(|queries| queries.of_layer(last)).sum()
        };
        let (tokens, rows) = (count(false), count(last));
        let attention = &layer.attention;
        let cross = layer.cross.as_ref().map_or(0.0, |(cross, _)| {
            rows * of_queries(cross)
                + self.source_tokens * of_keys(cross)
                + seen(self.cross, None, last) * per_key(cross)
        });
        tokens * of_keys(attention)
            + rows * (of_queries(attention) + of_mlp(&layer.mlp))
            + seen(self.queries, attention.window, last) * per_key(attention)
            + cross
    }
}

/// Keys that all queries of a layer see together.
fn seen(queries: &BTreeMap<usize, Queries>, window: Option<usize>, last: bool) -> f64 {
    let window = window.unwrap_or(usize::MAX);
    queries.iter().map(|(&keys, queries)| keys.min(window) as f64 * queries.of_layer(last)).sum()
}

/// Projections to a token's key and value.
fn of_keys(attention: &AttentionSpec) -> f64 {
    per_row(&attention.key) + per_row(&attention.value)
}

/// Projections to a token's query and from what it gathered.
fn of_queries(attention: &AttentionSpec) -> f64 {
    per_row(&attention.query) + per_row(&attention.output)
}

/// A query with a key, and the key's weight with its value.
fn per_key(attention: &AttentionSpec) -> f64 {
    2.0 * attention.heads as f64 * attention.head_dim as f64
}

fn of_mlp(mlp: &MlpSpec) -> f64 {
    match mlp {
        MlpSpec::Plain { up, down, .. } => per_row(up) + per_row(down),
        MlpSpec::Gated(gated) => of_gated(gated),
        MlpSpec::Experts { router, experts, top } => {
            let expert = experts.iter().map(of_gated).fold(0.0, f64::max);
            per_row(router) + *top.min(&experts.len()) as f64 * expert
        }
    }
}

fn of_gated(gated: &GatedSpec) -> f64 {
    [&gated.gate, &gated.up, &gated.down].into_iter().map(per_row).sum()
}

fn of_head(head: &HeadSpec) -> f64 {
    match head {
        HeadSpec::LanguageModel { transform, output, .. } => {
            per_row(output) + transform.as_deref().map_or(0.0, |(dense, ..)| per_row(dense))
        }
        HeadSpec::Classifier { pooler, output } => per_row(pooler) + per_row(output),
    }
}

fn per_row(linear: &LinearSpec) -> f64 {
    linear.weight.outputs as f64 * linear.weight.inputs as f64
}
