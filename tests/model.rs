//! The decoder against Hugging Face transformers: `tests/reference/transformers/make.py` made checkpoints and numbers.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use merge_search::checkpoint::Checkpoint;
use merge_search::evaluate::{
    LoadError, SecondOpinion, load_network, open_tokenizer, verify_export,
};
use merge_search::model::{
    Batch, Network, NetworkSpec, Pass, Precision, Reading, Scratch, Sequence, reference,
};
use safetensors::SafeTensors;
use serde::Deserialize;

const CHECKPOINTS: [&str; 3] = ["grouped-tied-4x", "wide-heads-untied-5x", "mistral-no-window"];

#[derive(Deserialize)]
struct Row {
    tokens: Vec<u32>,
    log_probs: Vec<f32>,
}

fn folder(checkpoint: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/transformers").join(checkpoint)
}

fn rows(checkpoint: &str) -> Vec<Row> {
    let text = std::fs::read(folder(checkpoint).join("log_probs.json")).unwrap();
    serde_json::from_slice(&text).unwrap()
}

pub fn load(checkpoint: &str) -> Network {
    load_with(checkpoint, |_, value| value)
}

/// The checkpoint with every value replaced by `change(tensor name, value)`.
pub fn load_with(checkpoint: &str, change: impl Fn(&str, f32) -> f32) -> Network {
    let bytes = std::fs::read(folder(checkpoint).join("model.safetensors")).unwrap();
    let mut tensors: BTreeMap<String, _> = BTreeMap::new();
    for (name, view) in SafeTensors::deserialize(&bytes).unwrap().tensors() {
        let values: Vec<f32> = floats(view.data()).into_iter().map(|x| change(&name, x)).collect();
        tensors.insert(name, (view.shape().to_vec(), values));
    }
    let config = std::fs::read(folder(checkpoint).join("config.json")).unwrap();
    let config = serde_json::from_slice(&config).unwrap();
    let spec = NetworkSpec::from_json(&config, &|name| tensors.contains_key(name)).unwrap();
    let network = Network::new(&spec, Precision::F32).unwrap();
    for (name, shape) in network.tensors() {
        let (stored, values) = tensors.remove(name).unwrap();
        assert_eq!(stored, shape, "{name}");
        assert!(network.write(name, &values).unwrap());
    }
    assert!(tensors.is_empty(), "not used: {:?}", tensors.keys());
    network
}

/// All of them from `scored_from` on are predicted.
pub fn sequence(tokens: Vec<u32>, scored_from: usize) -> Sequence {
    Sequence { source: Vec::new(), scored: scored_from..tokens.len(), tokens }
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
}

pub fn score(network: &Network, sequences: &[&Sequence]) -> Vec<Vec<f32>> {
    let batch = Batch::new(Reading::Causal, None, 0, sequences);
    let scored = network.score(&batch, &Pass::default(), &mut Scratch::new().unwrap()).unwrap();
    batch.spans.iter().map(|span| scored.log_probabilities[span.clone()].to_vec()).collect()
}

/// Every sequence whole: all tokens but the first are predicted.
fn whole(rows: &[Row]) -> Vec<Sequence> {
    rows.iter().map(|row| sequence(row.tokens.clone(), 1)).collect()
}

fn assert_close(got: &[f32], expected: &[f32], tolerance: f32, what: &str) {
    assert_eq!(got.len(), expected.len(), "{what}");
    for (position, (got, expected)) in got.iter().zip(expected).enumerate() {
        let off = (got - expected).abs();
        assert!(
            off <= tolerance,
            "{what}, prediction {position}: {got}, expected {expected} (off by {off:e})"
        );
    }
}

#[test]
fn log_probabilities_are_those_of_transformers() {
    for checkpoint in CHECKPOINTS {
        let (model, rows) = (load(checkpoint), rows(checkpoint));
        for (row, sequence) in rows.iter().zip(&whole(&rows)) {
            let alone = score(&model, &[sequence]);
            assert_close(&alone[0], &row.log_probs, 1e-4, checkpoint);
        }
    }
}

#[test]
fn a_packed_forest_gives_the_numbers_of_each_sequence_alone_in_any_order() {
    for checkpoint in CHECKPOINTS {
        let (model, rows) = (load(checkpoint), rows(checkpoint));
        let sequences = whole(&rows);
        let mut order: Vec<usize> = (0..rows.len()).collect();
        for _ in 0..rows.len() {
            order.rotate_left(1);
            order.swap(0, 3);
            let packed = score(&model, &order.iter().map(|&i| &sequences[i]).collect::<Vec<_>>());
            for (&i, got) in order.iter().zip(&packed) {
                assert_close(got, &rows[i].log_probs, 1e-4, checkpoint);
                assert_close(got, &score(&model, &[&sequences[i]])[0], 1e-5, checkpoint);
            }
        }
    }
}

#[test]
fn choices_of_a_tree_score_as_if_alone_and_share_the_prompt() {
    for checkpoint in CHECKPOINTS {
        let (model, rows) = (load(checkpoint), rows(checkpoint));
        // The first three sequences are one prompt of nine tokens with answers of one, two and four.
        let choices: Vec<Sequence> =
            rows[..3].iter().map(|row| sequence(row.tokens.clone(), 9)).collect();
        let batch = Batch::new(Reading::Causal, None, 0, &choices.iter().collect::<Vec<_>>());
        assert!(batch.len() <= 9 + 1 + 3);
        for (got, row) in score(&model, &choices.iter().collect::<Vec<_>>()).iter().zip(&rows) {
            assert_close(got, &row.log_probs[8..], 1e-4, checkpoint);
        }
    }
}

#[test]
fn a_prompt_longer_than_the_queries_of_the_last_layer_changes_nothing() {
    for checkpoint in CHECKPOINTS {
        let (model, rows) = (load(checkpoint), rows(checkpoint));
        for row in &rows {
            let last = row.tokens.len() - 1;
            let got = score(&model, &[&sequence(row.tokens.clone(), last)]);
            assert_close(&got[0], &row.log_probs[last - 1..], 1e-4, checkpoint);
        }
    }
}

#[test]
fn candle_transformers_agrees_from_the_same_folder() {
    let checkpoint = "grouped-tied-4x";
    for row in rows(checkpoint) {
        let (last, context) = row.tokens.split_last().unwrap();
        let logits = reference::last_logits(&folder(checkpoint), context).unwrap();
        let normaliser = logits.iter().map(|logit| f64::from(*logit).exp()).sum::<f64>().ln();
        let got = (f64::from(logits[*last as usize]) - normaliser) as f32;
        assert_close(&[got], &row.log_probs[row.log_probs.len() - 1..], 1e-4, checkpoint);
    }
}

#[test]
fn the_reference_refuses_what_it_cannot_compute_and_says_why() {
    for (checkpoint, why) in
        [("wide-heads-untied-5x", "head_dim"), ("mistral-no-window", "mistral")]
    {
        let error = reference::last_logits(&folder(checkpoint), &[1, 2]).unwrap_err();
        assert!(error.to_string().contains(why), "{error}");
        let verified = verify_export(&folder(checkpoint)).unwrap();
        assert_eq!(verified.by, SecondOpinion::Operations);
    }
    let verified = verify_export(&folder("grouped-tied-4x")).unwrap();
    assert_eq!(verified.by, SecondOpinion::CandleTransformers);
    assert!(verified.difference < 1e-4);
}

/// Encoders, encoder-decoders and classifiers included.
#[test]
fn every_kind_of_network_has_a_second_opinion() {
    let parity = folder("parity");
    for case in ["t5", "bart", "bert-masked-lm", "albert-classification", "gemma2", "bloom-6-heads"]
    {
        let verified = verify_export(&parity.join(case)).unwrap();
        assert_eq!(verified.by, SecondOpinion::Operations, "{case}");
        assert!(verified.difference < 1e-4, "{case}: {verified:?}");
    }
}

/// A copy of a folder whose file `name` is changed as JSON.
fn changed(from: &Path, name: &str, change: impl Fn(&mut serde_json::Value)) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, copy.path().join(path.file_name().unwrap())).unwrap();
    }
    let file = copy.path().join(name);
    let mut json = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    change(&mut json);
    std::fs::write(file, json.to_string()).unwrap();
    copy
}

#[test]
fn truncation_and_padding_of_a_tokenizer_file_are_not_obeyed() {
    let base = Path::new(env!("CARGO_MANIFEST_DIR")).join("search-spaces/quickstart/base");
    let copy = changed(&base, "tokenizer.json", |json| {
        json["truncation"] = serde_json::json!({
            "direction": "Right", "max_length": 2, "strategy": "LongestFirst", "stride": 0
        });
        json["padding"] = serde_json::json!({
            "strategy": {"Fixed": 64}, "direction": "Right", "pad_to_multiple_of": null,
            "pad_id": 0, "pad_type_id": 0, "pad_token": "a"
        });
    });
    let ids = |tokenizer: &tokenizers::Tokenizer| {
        tokenizer.encode("Tom has four keys and gets three.", true).unwrap().get_ids().to_vec()
    };
    let obeyed = tokenizers::Tokenizer::from_file(copy.path().join("tokenizer.json")).unwrap();
    let expected = ids(&open_tokenizer(&base).unwrap());
    assert_ne!(ids(&obeyed), expected);
    assert_eq!(ids(&open_tokenizer(copy.path()).unwrap()), expected);
}

#[test]
fn sizes_that_no_memory_holds_are_refused_by_the_tensors_shape() {
    let copy = changed(&folder("parity/llama-tied"), "config.json", |json| {
        json["vocab_size"] = 2_000_000_000.into();
    });
    let error =
        load_network(&Checkpoint::open(copy.path()).unwrap(), Precision::F32).err().unwrap();
    assert!(matches!(error, LoadError::Shape { .. }), "{error}");
}
