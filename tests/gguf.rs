//! GGUF files: the same log-probabilities as transformers gives for the model they were made from, the same floats as
//! gguf's own reader, and no panic on anything.
//!
//! Files and expected values are made by `tests/reference/gguf/make.py`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use merge_search::model::gguf::{Gguf, GgufFault};
use merge_search::model::{Batch, Network, Pass, Precision, Scratch, Sequence};
use proptest::prelude::*;
use serde::Deserialize;

/// Allowed difference of a log-probability, in nats.
const TOLERANCE: f64 = 1e-4;

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/gguf").join(name)
}

fn open(name: &str) -> Gguf {
    Gguf::open(&file(name)).unwrap_or_else(|error| panic!("{error}"))
}

#[derive(Deserialize)]
struct Row {
    tokens: Vec<u32>,
    log_probs: Vec<f64>,
}

fn network(gguf: &Gguf) -> Network {
    let network = Network::new(&gguf.spec().unwrap(), Precision::F32).unwrap();
    for (name, shape) in network.tensors() {
        assert_eq!(gguf.shape(name), Some(shape), "{name}");
        let mut values = vec![f32::NAN; shape.iter().product()];
        gguf.read(name, &mut values).unwrap();
        assert!(network.write(name, &values).unwrap());
    }
    network
}

#[test]
fn every_family_has_transformers_log_probabilities() {
    let expected: BTreeMap<String, Vec<Row>> =
        serde_json::from_slice(&fs::read(file("log_probs.json")).unwrap()).unwrap();
    assert_eq!(expected.len(), 7);
    for (model, rows) in expected {
        let network = network(&open(&format!("{model}.gguf")));
        for Row { tokens, log_probs } in rows {
            let sequence = Sequence { source: Vec::new(), scored: 1..tokens.len(), tokens };
            let batch = Batch::new(network.spec().reading, None, 0, &[&sequence]);
            let mut scratch = Scratch::new().unwrap();
            let ours = network.score(&batch, &Pass::default(), &mut scratch).unwrap();
            let pairs = ours.log_probabilities.iter().zip(&log_probs);
            let worst = pairs.map(|(a, b)| (f64::from(*a) - b).abs()).fold(0.0, f64::max);
            assert_eq!(ours.log_probabilities.len(), log_probs.len());
            assert!(worst <= TOLERANCE, "{model}, {} tokens: {worst}", log_probs.len() + 1);
        }
    }
}

#[test]
fn k_quants_are_what_gguf_reads_in_them() {
    let expected: BTreeMap<String, Vec<f32>> =
        serde_json::from_slice(&fs::read(file("quants.json")).unwrap()).unwrap();
    let gguf = open("quants.gguf");
    assert_eq!(expected.len(), 5);
    for (name, expected) in expected {
        let mut values = vec![f32::NAN; expected.len()];
        gguf.read(&name, &mut values).unwrap();
        for (index, (ours, theirs)) in values.iter().zip(&expected).enumerate() {
            // The product of two scales is rounded here and not there.
            let close =
                (ours - theirs).abs() <= 2e-7 * expected.iter().fold(0.0, |m, x| x.abs().max(m));
            assert!(close, "{name} {index}: {ours}, gguf {theirs}");
        }
    }
}

#[derive(Deserialize)]
struct Encoded {
    text: String,
    ids: Vec<u32>,
}

/// `tests/reference/gguf/make_tokenizers.py` made files and ids.
#[test]
fn tokenizers_out_of_metadata_give_transformers_ids() {
    let expected: BTreeMap<String, Vec<Encoded>> =
        serde_json::from_slice(&fs::read(file("token_ids.json")).unwrap()).unwrap();
    assert_eq!(expected.len(), 4);
    for (pre, texts) in expected {
        let tokenizer = open(&format!("tokenizer-{pre}.gguf")).tokenizer().unwrap().unwrap();
        for Encoded { text, ids } in texts {
            let ours = tokenizer.encode(text.as_str(), true).unwrap();
            assert_eq!(ours.get_ids(), ids, "{pre}: {text:?}");
        }
    }
}

#[test]
fn an_unknown_tokenizer_asks_for_its_file_and_takes_it() {
    let (folder, path) =
        changed("tokenizer-smollm.gguf", |bytes| replace(bytes, "smollm", "chatty"));
    let gguf = Gguf::open(&path).unwrap();
    let said = gguf.tokenizer().unwrap_err().to_string();
    for word in ["chatty", "tokenizer.ggml.pre", "qwen2", "tokenizer.json"] {
        assert!(said.contains(word), "{said}");
    }
    let quickstart = "search-spaces/quickstart/base/tokenizer.json";
    let beside = folder.path().join("tokenizer.json");
    fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join(quickstart), beside).unwrap();
    assert!(gguf.tokenizer().unwrap().is_some());
    fs::write(folder.path().join("tokenizer.json"), "{}").unwrap();
    let said = gguf.tokenizer().unwrap_err().to_string();
    assert!(said.contains("tokenizer.json"), "{said}");
}

/// A copy with an entry or a byte changed.
fn changed(name: &str, change: impl FnOnce(&mut Vec<u8>)) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("changed.gguf");
    let mut bytes = fs::read(file(name)).unwrap();
    change(&mut bytes);
    fs::write(&path, bytes).unwrap();
    (folder, path)
}

fn replace(bytes: &mut [u8], from: &str, to: &str) {
    assert_eq!(from.len(), to.len());
    let at = bytes.windows(from.len()).position(|window| window == from.as_bytes()).unwrap();
    bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
}

fn refusal(name: &str, change: impl FnOnce(&mut Vec<u8>)) -> String {
    let (_folder, path) = changed(name, change);
    let said = Gguf::open(&path).unwrap_err().to_string();
    assert!(said.contains("changed.gguf"), "{said}");
    said
}

#[test]
fn what_is_not_understood_is_refused_by_name() {
    let said = refusal("qwen2.gguf", |bytes| replace(bytes, "qwen2", "qwen9"));
    assert!(said.contains("general.architecture") && said.contains("qwen9"), "{said}");
    assert!(said.contains("gemma2"), "names what is valid: {said}");
    let from = "qwen2.attention.head_count_kv";
    let said = refusal("qwen2.gguf", |bytes| replace(bytes, from, "qwen2.attention.head_count_kx"));
    assert!(said.contains("head_count_kx"), "{said}");
    let said = refusal("qwen3.gguf", |bytes| replace(bytes, "blk.0.ffn_up", "blk.0.ffn_uq"));
    assert!(said.contains("blk.0.ffn_uq"), "{said}");
    let said = refusal("qwen3.gguf", |bytes| replace(bytes, "blk.0.ffn_up", "blk.7.ffn_up"));
    assert!(said.contains("blk.7.ffn_up"), "a layer too many: {said}");
    let said = refusal("qwen3.gguf", |bytes| replace(bytes, "GGUF", "GGUX"));
    assert!(said.contains("not a GGUF file"), "{said}");
    let said = refusal("qwen3.gguf", |bytes| bytes[4] = 9);
    assert!(said.contains("version 9"), "{said}");
}

#[test]
fn lengths_are_checked_before_anything_is_allocated() {
    // The number of entries, and the length of the first key.
    for at in [16, 24] {
        let said = refusal("qwen3.gguf", |bytes| bytes[at..at + 8].fill(0xff));
        assert!(said.contains("ends in the middle"), "{at}: {said}");
    }
    // The number of tensors: what follows the last one is read as another.
    refusal("qwen3.gguf", |bytes| bytes[8..16].fill(0xff));
    let error = Gguf::open(Path::new("no/such.gguf")).unwrap_err();
    assert!(matches!(*error.fault, GgufFault::Read(_)), "{error}");
}

#[test]
fn a_file_cut_short_anywhere_is_refused() {
    let whole = fs::read(file("qwen3.gguf")).unwrap();
    for length in (0..whole.len()).step_by(97) {
        let (_folder, path) = changed("qwen3.gguf", |bytes| bytes.truncate(length));
        assert!(Gguf::open(&path).is_err(), "{length} bytes of {}", whole.len());
    }
}

#[test]
fn tensors_are_asked_for_by_their_own_length() {
    let error = open("qwen3.gguf").read("model.norm.weight", &mut [0.0; 31]).unwrap_err();
    assert!(matches!(*error.fault, GgufFault::Length { elements: 32, asked: 31, .. }), "{error}");
    let error = open("qwen3.gguf").read("model.norm.bias", &mut []).unwrap_err();
    assert!(error.to_string().contains("model.norm.bias"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn no_change_of_a_header_makes_it_panic(at in 0usize..1600, byte: u8, second in 0usize..1600, other: u8) {
        let (_folder, path) = changed("llama3-quantized.gguf", |bytes| {
            bytes[at] = byte;
            bytes[second] = other;
        });
        if let Ok(gguf) = Gguf::open(&path) && let Ok(spec) = gguf.spec() {
            let _any = gguf.tokenizer();
            let tensors = ["model.layers.0.self_attn.q_proj.weight", "model.norm.weight"];
            for name in tensors {
                let length = gguf.shape(name).map_or(0, |shape| shape.iter().product());
                let _any = gguf.read(name, &mut vec![0.0; length]);
            }
            prop_assert!(spec.vocab_size > 0);
        }
    }
}
