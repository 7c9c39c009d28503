//! Counted work and parameters: against torch's counter (`tests/reference/transformers/flops.py`), published numbers and by
//! hand.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use merge_search::checkpoint::Checkpoint;
use merge_search::evaluate::network_spec;
use merge_search::model::{Batch, NetworkSpec, Reading, Sequence, Workload};
use serde::Deserialize;

fn reference(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/transformers").join(path)
}

fn parity(case: &str) -> NetworkSpec {
    network_spec(&Checkpoint::open(&reference("parity").join(case)).unwrap()).unwrap()
}

pub fn hub(name: &str) -> NetworkSpec {
    let text = std::fs::read(reference("hub").join(format!("{name}.json"))).unwrap();
    NetworkSpec::from_config_alone(&serde_json::from_slice(&text).unwrap()).unwrap()
}

#[derive(Deserialize)]
struct Counted {
    read: usize,
    then: usize,
    source: usize,
    first: BTreeMap<String, f64>,
    second: BTreeMap<String, f64>,
}

/// Reading `read` tokens with a prediction at each, then `then` more.
fn passes(spec: &NetworkSpec, counted: &Counted) -> (f64, f64) {
    let &Counted { read, then, source, .. } = counted;
    if source == 0 {
        let first = spec.flops(&Workload::prefill(0, read, read));
        return (first, spec.flops(&Workload::prefill(read, then, then)));
    }
    let sequence =
        Sequence { source: vec![5; source], tokens: vec![3; read + 1], scored: 1..read + 1 };
    let first = Workload::of(&Batch::new(Reading::Seq2Seq, None, 0, &[&sequence]));
    let written = |tokens| spec.flops(&Workload::text(source, 0, read, tokens));
    (spec.flops(&first), written(then + 1) - written(1))
}

/// Torch multiplies every query with every key that is kept; 4 · heads · head_dim operations for each that a causal query, or
/// its window, leaves out: after `kept` keys `new` queries.
fn masked(spec: &NetworkSpec, kept: usize, new: usize, cached: usize) -> f64 {
    let layers = &spec.decoder.as_ref().unwrap().layers;
    let of = |layer: &merge_search::model::spec::LayerSpec| {
        let attention = &layer.attention;
        let window = attention.window.unwrap_or(usize::MAX);
        let seen: usize = (0..new).map(|token| (cached + token + 1).min(window)).sum();
        (4 * attention.heads * attention.head_dim * (new * (kept + new) - seen)) as f64
    };
    layers.iter().map(of).sum()
}

#[test]
fn work_is_what_torch_counts_without_the_keys_that_a_mask_hides() {
    let text = std::fs::read(reference("flops.json")).unwrap();
    let cases: BTreeMap<String, Counted> = serde_json::from_slice(&text).unwrap();
    assert_eq!(cases.len(), 7);
    for (case, counted) in &cases {
        let spec = parity(case);
        let (first, second) = passes(&spec, counted);
        let torch = |pass: &BTreeMap<String, f64>| pass.values().sum::<f64>();
        let square = masked(&spec, 0, counted.read, 0);
        assert_eq!(first, torch(&counted.first) - square, "{case}");
        // transformers keeps window - 1 keys and values of a window.
        let kept = if case == "mistral-window" { 4 } else { counted.read };
        let square = masked(&spec, kept, counted.then, counted.read);
        assert_eq!(second, torch(&counted.second) - square, "{case}");
    }
}

/// Two layers of 32 · 32 + 2 · 32 · 16 + 32 · 32 = 3072 in attention's matrices and 3 · 32 · 40 = 3840 in the MLP's, head
/// 64 · 32, 4 heads of 8: a pair of query and key takes 2 · 32.
#[test]
fn only_predicted_tokens_go_through_the_last_layer_and_the_head() {
    let spec = parity("llama-grouped-query");
    let (keys_values, rest) = (2 * 32 * 16, 2 * 32 * 32 + 3840);
    let first_layer = 10 * (3072 + 3840) + (6..16).sum::<usize>() * 64;
    let last_layer = 10 * keys_values + 2 * rest + (14 + 15) * 64 + 64;
    let expected = 2 * (first_layer + last_layer - 64 + 2 * 64 * 32 + 64);
    assert_eq!(spec.flops(&Workload::prefill(5, 10, 2)), (expected - 2 * 64) as f64);
    assert_eq!(spec.prefix_flops(1, 4), (2 * (4 * 6912 + (1 + 2 + 3 + 4) * 64)) as f64);
    assert_eq!(spec.prefix_flops(0, 4), 0.0);
}

/// A prompt of three tokens with answers of two and three, then another text; shared tokens are read once.
#[test]
fn a_batch_counts_shared_beginnings_once() {
    let spec = parity("gpt2");
    let sequence = |tokens: &[u32], from| Sequence {
        source: Vec::new(),
        tokens: tokens.to_vec(),
        scored: from..tokens.len(),
    };
    let sequences = [sequence(&[1, 2, 3, 4, 5], 3), sequence(&[1, 2, 3, 6, 7, 8], 3)];
    let batch = Batch::new(Reading::Causal, None, 0, &sequences.iter().collect::<Vec<_>>());
    // 1 2 3 once, 3 among what is predicted at; then 4 behind three, and 6 7 behind three.
    let mut work = Workload::prefill(0, 3, 1);
    work.add(&Workload::prefill(3, 1, 1));
    work.add(&Workload::prefill(3, 2, 2));
    assert_eq!(Workload::of(&batch), work);
    assert_eq!(work.tokens(), 6);
    let mut twice = Workload::default();
    twice.add_times(&work, 2);
    assert_eq!(spec.flops(&twice), 2.0 * spec.flops(&work));
    let written = Workload::text(0, 0, 3, 4);
    let mut by_token = Workload::prefill(0, 3, 1);
    (3..6).for_each(|cached| by_token.add(&Workload::prefill(cached, 1, 1)));
    assert_eq!(written, by_token);
    assert_eq!(Workload::text(0, 0, 3, 0), Workload::default());
}

/// Texts for a classifier see all of themselves; two layers of which the last computes one token of each text.
#[test]
fn an_encoder_alone_sees_whole_texts() {
    let spec = parity("bert-classification");
    let batch = Batch::texts(&[&[1, 2, 3], &[4, 5, 6, 7, 8]]);
    let layer = &spec.encoder.as_ref().unwrap().layers[0];
    let (heads, head_dim) = (layer.attention.heads, layer.attention.head_dim);
    assert_eq!((heads, head_dim, layer.attention.query.weight.inputs), (4, 8, 32));
    let matrices = 4 * 32 * 32 + 2 * 32 * 40;
    let first = 8 * matrices + (9 + 25) * 64;
    let last = 8 * 2 * 32 * 32 + 2 * (matrices - 2 * 32 * 32) + (3 + 5) * 64;
    let head = 2 * (32 * 32 + 3 * 32);
    assert_eq!(spec.flops(&Workload::of(&batch)), (2 * (first + last + head)) as f64);
}

/// As their model cards, or the sum over their files on the hub.
#[test]
fn parameters_are_the_published_numbers() {
    let published = [
        ("Llama-2-7b-hf", 6_738_415_616),
        ("Meta-Llama-3-8B", 8_030_261_248),
        ("gemma-7b", 8_537_680_896),
        ("Mixtral-8x7B-v0.1", 46_702_792_704),
        ("gpt2", 124_439_808),
        ("flan-t5-small", 76_961_152),
    ];
    for (name, parameters) in published {
        let spec = hub(name);
        assert_eq!(spec.parameters(), parameters, "{name}");
        assert_eq!(spec.weight_bytes(2), 2 * parameters);
    }
}

/// Mixtral's two experts of eight take a quarter of the experts' products: 12.9 billion parameters act on a token (Jiang et al.
/// 2024, section 2), of which 131 million are the embedding.
#[test]
fn a_token_goes_through_the_chosen_experts_alone() {
    let spec = hub("Mixtral-8x7B-v0.1");
    let active = spec.flops(&Workload::prefill(0, 1, 1)) / 2.0 + 131_072_000.0;
    assert!((active / 12.9e9 - 1.0).abs() < 0.005, "{active}");
}
