//! Documents to log-likelihoods and choices; expected numbers are the model's own for sequences written out by hand
//! (which `model.rs` holds against transformers).

use std::fs;

use merge_search::evaluate::{Documents, Pool, Room, ScoreError, ScoringSet};
use merge_search::model::Network;
use merge_search::task::Task;
use merge_search::units::{Bytes, Split};
use serde_json::json;
use tokenizers::Tokenizer;

use crate::model::{load, load_with, score, sequence};

const CHECKPOINT: &str = "grouped-tied-4x";

/// One token per character: `a` is 1, …, `z` is 26, a blank 27.
fn tokenizer() -> Tokenizer {
    let letters = ('a'..='z').chain([' ']).enumerate().map(|(i, c)| (c.to_string(), json!(i + 1)));
    let mut vocab: serde_json::Map<String, serde_json::Value> = letters.collect();
    vocab.insert("?".into(), json!(0));
    vocab.insert("!".into(), json!(99));
    let split = json!({"type": "Split", "pattern": {"Regex": "."}, "behavior": "Isolated", "invert": false});
    let model = json!({"type": "WordLevel", "vocab": vocab, "unk_token": "?"});
    let file = json!({"version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
        "pre_tokenizer": split, "post_processor": null, "decoder": null, "model": model});
    Tokenizer::from_bytes(file.to_string().as_bytes()).unwrap()
}

pub fn ids(text: &str) -> Vec<u32> {
    text.bytes().map(|byte| if byte == b' ' { 27 } else { u32::from(byte - b'a') + 1 }).collect()
}

pub fn task(metric: &str, docs: &[(&str, &[&str], usize)]) -> Task {
    let folder = tempfile::tempdir().unwrap();
    let rows = docs
        .iter()
        .map(|(q, c, a)| format!("{}\n", json!({"q": q, "c": c, "a": a})))
        .collect::<String>();
    fs::write(folder.path().join("search.jsonl"), rows).unwrap();
    for split in ["selection", "holdout"] {
        let row = json!({"q": split, "c": ["x", "y"], "a": 0});
        fs::write(folder.path().join(format!("{split}.jsonl")), format!("{row}\n")).unwrap();
    }
    let definition = format!(
        "task = \"letters\"\noutput_type = \"multiple_choice\"\ndoc_to_text = \"q\"\ndoc_to_choice = \"c\"\n\
         doc_to_target = \"a\"\nmetric = \"{metric}\"\n[splits]\nsearch = \"search.jsonl\"\n\
         selection = \"selection.jsonl\"\nholdout = \"holdout.jsonl\"\n"
    );
    fs::write(folder.path().join("task.toml"), definition).unwrap();
    Task::load(folder.path()).unwrap()
}

fn prepare(task: Task) -> Result<ScoringSet, String> {
    prepare_in(task, &load(CHECKPOINT), Bytes(100_000_000), 1)
}

fn prepare_in(
    task: Task,
    network: &Network,
    memory: Bytes,
    threads: usize,
) -> Result<ScoringSet, String> {
    let room = Room { memory, threads };
    let tasks = [task];
    let documents =
        Documents { tasks: &tasks, split: Some(Split::Search), limit: None, docs: None };
    ScoringSet::new(&documents, &tokenizer().into(), network, room)
        .map_err(|error| error.to_string())
}

fn pool() -> Pool {
    Pool::new(2).unwrap()
}

/// Sum of the log-probabilities of the tokens from `scored_from` on.
fn alone(model: &Network, tokens: Vec<u32>, scored_from: usize) -> f32 {
    score(model, &[&sequence(tokens, scored_from)])[0].iter().sum()
}

#[test]
fn each_choice_is_scored_after_the_prompt_and_the_delimiter() {
    let model = load(CHECKPOINT);
    let docs: [(&str, &[&str], usize); 3] = [
        ("the cat", &["sat", "sings", "s"], 0),
        ("a dog ", &["ran", "barks"], 1),
        ("the cat", &["ran off", "sat down"], 1),
    ];
    let got = prepare(task("acc", &docs)).unwrap().log_likelihoods(&model, &pool()).unwrap();
    for ((text, choices, _), got) in docs.iter().zip(&got[0]) {
        for (choice, got) in choices.iter().zip(got) {
            let expected = alone(&model, ids(&format!("{text} {choice}")), text.trim_end().len());
            assert!(
                (got - expected).abs() <= 1e-4,
                "{text:?} + {choice:?}: {got}, expected {expected}"
            );
        }
    }
}

#[test]
fn the_order_of_documents_changes_nothing() {
    let model = load(CHECKPOINT);
    let texts: Vec<String> = (0..200)
        .map(|i| format!("{} is", "abcdefghij".repeat(1 + i % 3).split_at(i % 10).1))
        .collect();
    let choices: [&[&str]; 2] = [&["one", "two", "onerous"], &["three", "thrice"]];
    let docs: Vec<(&str, &[&str], usize)> =
        texts.iter().enumerate().map(|(i, text)| (text.as_str(), choices[i % 2], i % 2)).collect();
    let there =
        prepare(task("acc", &docs)).unwrap().log_likelihoods(&model, &pool()).unwrap().remove(0);
    let reversed: Vec<_> = docs.iter().rev().copied().collect();
    let mut back = prepare(task("acc", &reversed))
        .unwrap()
        .log_likelihoods(&model, &pool())
        .unwrap()
        .remove(0);
    back.reverse();
    assert_eq!(there, back);
}

#[test]
fn the_greatest_score_is_chosen_and_the_margin_is_to_the_best_other() {
    let model = load(CHECKPOINT);
    let docs: [(&str, &[&str], usize); 2] =
        [("the cat", &["sat", "sings", "s"], 0), ("the cat", &["s", "sat"], 0)];
    for (metric, lengths) in [("acc", [1.0; 3]), ("acc_norm", [3.0, 5.0, 1.0])] {
        let set = prepare(task(metric, &docs)).unwrap();
        let scores: Vec<f32> = set.log_likelihoods(&model, &pool()).unwrap()[0][0]
            .iter()
            .zip(lengths)
            .map(|(score, n)| score / n)
            .collect();
        let item = set.score(&model, &tokenizer().into(), &pool()).unwrap()[0].items[0];
        let greatest = scores.iter().copied().fold(f32::MIN, f32::max);
        let chosen = item.chosen.unwrap();
        assert_eq!(scores[chosen as usize], greatest, "{metric}");
        assert_eq!(item.score == 1.0, chosen == 0, "{metric}");
        assert!((item.margin - (scores[0] - scores[1].max(scores[2]))).abs() < 1e-6, "{metric}");
    }
}

/// All weights zero: every token has probability 1/48, so choices of one length tie, and numpy's argmax takes the first.
#[test]
fn of_equal_scores_the_first_is_chosen() {
    let model = load_with(CHECKPOINT, |_, _| 0.0);
    let set = prepare(task("acc", &[("a", &["b", "c"], 1), ("a", &["b", "c"], 0)])).unwrap();
    let uniform = -2.0 * 48f32.ln();
    for score in set.log_likelihoods(&model, &pool()).unwrap().concat().concat() {
        assert!((score - uniform).abs() < 1e-5, "{score}, expected {uniform}");
    }
    let items = &set.score(&model, &tokenizer().into(), &pool()).unwrap()[0].items;
    assert_eq!(
        items.iter().map(|item| (item.chosen, item.score, item.margin)).collect::<Vec<_>>(),
        [(Some(0), 0.0, 0.0), (Some(0), 1.0, 0.0)]
    );
}

#[test]
fn numbers_that_are_not_finite_are_an_error_that_names_the_document() {
    let set = prepare(task("acc", &[("a", &["b", "c"], 1)])).unwrap();
    for (name, poison) in [
        ("model.layers.0.mlp.up_proj.weight", f32::NAN),
        ("model.layers.1.self_attn.q_proj.weight", f32::NAN),
        ("model.layers.1.self_attn.v_proj.weight", f32::INFINITY),
        ("model.norm.weight", f32::INFINITY),
    ] {
        let model = load_with(CHECKPOINT, |tensor, x| if tensor == name { poison } else { x });
        let error = set.score(&model, &tokenizer().into(), &pool()).unwrap_err();
        assert!(
            matches!(&error, ScoreError::NonFinite { task, doc: 0 } if task == "letters"),
            "{name}: {error}"
        );
    }
}

#[test]
fn what_the_model_cannot_read_is_named() {
    let message = |docs: &[(&str, &[&str], usize)]| prepare(task("acc", docs)).unwrap_err();
    let text = message(&[("a", &["b", "c"], 0), ("a", &["b!", "c"], 0)]);
    assert!(
        text.contains("letters")
            && text.contains("search.jsonl:2")
            && text.contains("99")
            && text.contains("48"),
        "{text}"
    );
    let text = message(&[(&"a".repeat(70), &["b", "c"], 0)]);
    assert!(text.contains("71 tokens") && text.contains("64"), "{text}");
}

#[test]
fn an_empty_prompt_is_scored_after_the_beginning_of_sequence_token() {
    let model = load(CHECKPOINT);
    let got = prepare(task("acc", &[("", &["b", "cd"], 0)]))
        .unwrap()
        .log_likelihoods(&model, &pool())
        .unwrap();
    for (choice, got) in ["b", "cd"].iter().zip(&got[0][0]) {
        let tokens = [vec![1], ids(&format!(" {choice}"))].concat();
        let expected = alone(&model, tokens, 1);
        assert!((got - expected).abs() <= 1e-5, "{choice}: {got}, expected {expected}");
    }
}

/// 120 questions after one header of 40 tokens: about 1400 tokens beside the header, in packs of 512.
fn long_header() -> Vec<(String, [&'static str; 2])> {
    let header = "one two three four five six seven eight ".to_owned();
    assert_eq!(header.len(), 40);
    let letter = |i: usize| char::from(b'a' + i as u8);
    (0..120)
        .map(|i| (format!("{header}{}{} is what", letter(i % 26), letter(i / 26)), ["so", "not"]))
        .collect()
}

#[test]
fn a_header_of_many_documents_is_computed_once_and_changes_no_bit() {
    let model = load(CHECKPOINT);
    let texts = long_header();
    let docs: Vec<(&str, &[&str], usize)> =
        texts.iter().map(|(text, choices)| (text.as_str(), &choices[..], 0)).collect();
    let set = prepare(task("acc", &docs)).unwrap();
    assert_eq!(set.headers().map(<[u32]>::len).collect::<Vec<_>>(), [40]);
    assert!(set.header_bytes() > Bytes(0));
    let together = set.log_likelihoods(&model, &pool()).unwrap().remove(0);
    for (doc, expected) in docs.iter().zip(&together) {
        let alone = prepare(task("acc", &[*doc])).unwrap();
        assert_eq!(alone.headers().count(), 0);
        assert_eq!(alone.log_likelihoods(&model, &pool()).unwrap()[0][0], *expected, "{}", doc.0);
    }
}

#[test]
fn threads_and_memory_change_no_bit() {
    let model = load(CHECKPOINT);
    let texts = long_header();
    let docs: Vec<(&str, &[&str], usize)> =
        texts.iter().map(|(text, choices)| (text.as_str(), &choices[..], 0)).collect();
    let large = prepare(task("acc", &docs)).unwrap();
    let expected = large.log_likelihoods(&model, &Pool::new(1).unwrap()).unwrap();
    assert_eq!(large.log_likelihoods(&model, &Pool::new(4).unwrap()).unwrap(), expected);
    // Room for some documents, then for hardly one, and then for none.
    for part in [2, 3, 4] {
        let memory = Bytes(2 * large.activation_bytes().0 / part);
        let set = prepare_in(task("acc", &docs), &model, memory, 2).unwrap();
        assert!(2 * set.activation_bytes().0 <= memory.0);
        assert_eq!(set.log_likelihoods(&model, &pool()).unwrap(), expected, "a {part}th");
    }
    let error = prepare_in(task("acc", &docs), &model, Bytes(2000), 2).unwrap_err();
    for word in ["letters", "search.jsonl:", "2 threads", "2.0 kB"] {
        assert!(error.contains(word), "{word}: {error}");
    }
}
