//! The decoder against Hugging Face transformers: `tests/reference/transformers/make.py` made checkpoints and numbers.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use merge_search::model::{Llama, LlamaConfig, Scratch, Sequence, TokenForest, reference};
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

pub fn config(checkpoint: &str) -> LlamaConfig {
    let text = std::fs::read(folder(checkpoint).join("config.json")).unwrap();
    LlamaConfig::from_json(&serde_json::from_slice(&text).unwrap()).unwrap()
}

pub fn load(checkpoint: &str) -> Llama {
    load_with(checkpoint, |_, value| value)
}

/// The checkpoint with every value replaced by `change(tensor name, value)`.
pub fn load_with(checkpoint: &str, change: impl Fn(&str, f32) -> f32) -> Llama {
    let bytes = std::fs::read(folder(checkpoint).join("model.safetensors")).unwrap();
    let mut tensors: BTreeMap<String, _> = BTreeMap::new();
    for (name, view) in SafeTensors::deserialize(&bytes).unwrap().tensors() {
        let values: Vec<f32> = floats(view.data()).into_iter().map(|x| change(&name, x)).collect();
        tensors.insert(name, (view.shape().to_vec(), values));
    }
    let model = Llama::new(&config(checkpoint), |name, shape, out| {
        let (stored, values) = tensors.remove(name).unwrap();
        assert_eq!(stored, shape, "{name}");
        out.copy_from_slice(&values);
        Ok(())
    });
    let model = model.unwrap();
    assert!(tensors.is_empty(), "not used: {:?}", tensors.keys());
    model
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
}

fn score(model: &Llama, sequences: &[&Sequence]) -> Vec<Vec<f32>> {
    let forest = TokenForest::new(sequences);
    let scores = model.log_probabilities(&forest, &mut Scratch::new().unwrap()).unwrap();
    forest.spans.iter().map(|span| scores[span.clone()].to_vec()).collect()
}

/// Every sequence whole: all tokens but the first are predicted.
fn whole(rows: &[Row]) -> Vec<Sequence> {
    rows.iter().map(|row| Sequence { tokens: row.tokens.clone(), scored_from: 1 }).collect()
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
        let choices: Vec<Sequence> = rows[..3]
            .iter()
            .map(|row| Sequence { tokens: row.tokens.clone(), scored_from: 9 })
            .collect();
        let forest = TokenForest::new(&choices.iter().collect::<Vec<_>>());
        assert!(forest.tokens.len() <= 9 + 1 + 3);
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
            let got = score(&model, &[&Sequence { tokens: row.tokens.clone(), scored_from: last }]);
            assert_close(&got[0], &row.log_probs[last - 1..], 1e-4, checkpoint);
        }
    }
}

#[test]
fn candle_transformers_agrees_from_the_same_folder() {
    for checkpoint in ["grouped-tied-4x", "mistral-no-window"] {
        for row in rows(checkpoint) {
            let (last, context) = row.tokens.split_last().unwrap();
            let logits = reference::last_logits(&folder(checkpoint), context).unwrap();
            let normaliser = logits.iter().map(|logit| f64::from(*logit).exp()).sum::<f64>().ln();
            let got = (f64::from(logits[*last as usize]) - normaliser) as f32;
            assert_close(&[got], &row.log_probs[row.log_probs.len() - 1..], 1e-4, checkpoint);
        }
    }
}

#[test]
fn the_reference_refuses_a_head_width_it_cannot_compute() {
    let error = reference::last_logits(&folder("wide-heads-untied-5x"), &[1, 2]).unwrap_err();
    assert!(error.to_string().contains("head_dim 12"), "{error}");
}
