//! Documents as encoder-decoder, masked and classifying networks read them; expected numbers are the network's own for
//! sequences written out by hand.

use merge_search::evaluate::{Documents, Pool, Room, ScoringSet};
use merge_search::model::{
    Batch, Network, NetworkSpec, Pass, Precision, Reading, Scratch, Sequence,
};
use merge_search::units::{Bytes, Split};
use serde_json::{Value, json};
use tokenizers::Tokenizer;

use crate::model_scoring::{ids, task};
use crate::tiny::noise;

const BEGIN: u32 = 40;
const END: u32 = 41;
const MASK: u32 = 42;

/// One token per character, and special tokens around a text: both, or only the end.
fn tokenizer(template: &[&str], mask: &str) -> Tokenizer {
    let letters = ('a'..='z').chain([' ']).enumerate().map(|(i, c)| (c.to_string(), json!(i + 1)));
    let mut vocab: serde_json::Map<String, Value> = letters.collect();
    vocab.extend(
        [("?", 0), ("<b>", BEGIN), ("<e>", END), (mask, MASK)]
            .map(|(k, v)| (k.to_owned(), json!(v))),
    );
    let split = json!({"type": "Split", "pattern": {"Regex": "."}, "behavior": "Isolated", "invert": false});
    let part = |part: &&str| match *part {
        "$A" => json!({"Sequence": {"id": "A", "type_id": 0}}),
        token => json!({"SpecialToken": {"id": token, "type_id": 0}}),
    };
    let single: Vec<Value> = template.iter().map(part).collect();
    let special = |token: &str, id: u32| json!({"id": token, "ids": [id], "tokens": [token]});
    let post = json!({"type": "TemplateProcessing", "single": single, "pair": single,
        "special_tokens": {"<b>": special("<b>", BEGIN), "<e>": special("<e>", END)}});
    let file = json!({"version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
        "pre_tokenizer": split, "post_processor": post, "decoder": null,
        "model": {"type": "WordLevel", "vocab": vocab, "unk_token": "?"}});
    Tokenizer::from_bytes(file.to_string().as_bytes()).unwrap()
}

/// With noise for weights; `has` are beginnings of the checkpoint's tensor names.
fn network(config: Value, has: &[&str]) -> Network {
    let has = |name: &str| has.iter().any(|beginning| name.starts_with(beginning));
    let spec = NetworkSpec::from_json(&config, &has).unwrap();
    let network = Network::new(&spec, Precision::F32).unwrap();
    for (seed, (name, shape)) in network.tensors().enumerate() {
        let values = noise(seed as u64, shape.iter().product());
        let values: Vec<f32> = values.iter().map(|value| value * 0.2).collect();
        assert!(network.write(name, &values).unwrap());
    }
    network
}

fn t5() -> Network {
    let config = json!({"model_type": "t5", "vocab_size": 48, "d_model": 24, "d_kv": 8, "d_ff": 32,
        "num_layers": 2, "num_heads": 3, "decoder_start_token_id": 43, "eos_token_id": 41, "pad_token_id": 0});
    network(config, &["shared.", "encoder.", "decoder."])
}

fn bert(head: &str) -> Network {
    let config = json!({"model_type": "bert", "vocab_size": 48, "hidden_size": 24, "num_hidden_layers": 2,
        "num_attention_heads": 3, "intermediate_size": 32, "max_position_embeddings": 40,
        "id2label": {"0": "a", "1": "b", "2": "c"}, "label2id": {"a": 0, "b": 1, "c": 2}});
    network(config, &["bert.", head])
}

fn scored(
    network: &Network,
    tokenizer: &Tokenizer,
    docs: &[(&str, &[&str], usize)],
) -> Result<Vec<Vec<f32>>, String> {
    let room = Room { memory: Bytes(1 << 30), threads: 2 };
    let tasks = [task("acc", docs)];
    let documents =
        Documents { tasks: &tasks, split: Some(Split::Search), limit: None, docs: None };
    let set = ScoringSet::new(&documents, &tokenizer.clone().into(), network, room)
        .map_err(|error| error.to_string())?;
    Ok(set.log_likelihoods(network, &Pool::new(2).unwrap()).unwrap().remove(0))
}

/// Sum of the log-probabilities of the scored tokens.
fn alone(network: &Network, mask: Option<u32>, sequence: &Sequence) -> f32 {
    let batch = Batch::new(network.spec().reading, mask, 0, &[sequence]);
    let scored = network.score(&batch, &Pass::default(), &mut Scratch::new().unwrap()).unwrap();
    scored.log_probabilities.iter().map(|&term| f64::from(term)).sum::<f64>() as f32
}

const DOCS: [(&str, &[&str], usize); 3] = [
    ("the cat", &["sat", "sings", "s"], 0),
    ("a dog ", &["ran", "barks"], 1),
    ("the cat", &["x", "y"], 0),
];

/// lm-eval 0.4.13, `_encode_pair` and `_loglikelihood_tokens`, backend `seq2seq`: the context with the tokenizer's special
/// tokens, the continuation (with the context's trailing blanks) without; labels are shifted right behind the start token.
#[test]
fn an_encoder_reads_the_prompt_and_a_decoder_the_choice() {
    let network = t5();
    let got = scored(&network, &tokenizer(&["$A", "<e>"], "<mask>"), &DOCS).unwrap();
    for ((text, choices, _), got) in DOCS.iter().zip(&got) {
        for (choice, got) in choices.iter().zip(got) {
            let blanks = &text[text.trim_end().len()..];
            let tokens = [vec![43], ids(&format!("{blanks} {choice}"))].concat();
            let source = [ids(text.trim_end()), vec![END]].concat();
            let sequence = Sequence { source, scored: 1..tokens.len(), tokens };
            assert_eq!(*got, alone(&network, None, &sequence), "{text:?} + {choice:?}");
        }
    }
}

/// Salazar et al. 2020, equation 1: the sum over the choice's tokens, each masked in turn, special tokens around.
#[test]
fn a_masked_network_predicts_each_token_of_the_choice_from_both_sides() {
    let network = bert("cls.");
    assert_eq!(network.spec().reading, Reading::Masked);
    for mask in ["[MASK]", "<mask>"] {
        let got = scored(&network, &tokenizer(&["<b>", "$A", "<e>"], mask), &DOCS).unwrap();
        for ((text, choices, _), got) in DOCS.iter().zip(&got) {
            for (choice, got) in choices.iter().zip(got) {
                let tokens = [vec![BEGIN], ids(&format!("{text} {choice}")), vec![END]].concat();
                let scored = 1 + text.trim_end().len()..tokens.len() - 1;
                let sequence = Sequence { source: Vec::new(), tokens, scored };
                assert_eq!(*got, alone(&network, Some(MASK), &sequence), "{text:?} + {choice:?}");
            }
        }
    }
    let error = scored(&network, &tokenizer(&["$A"], "<hidden>"), &DOCS).unwrap_err();
    assert!(error.contains("[MASK]") && error.contains("<mask>"), "{error}");
}

#[test]
fn a_classifier_reads_the_text_alone_and_label_i_is_choice_i() {
    let network = bert("classifier");
    assert_eq!(network.spec().reading, Reading::Classify);
    let tokenizer = tokenizer(&["<b>", "$A", "<e>"], "[MASK]");
    let got = scored(&network, &tokenizer, &DOCS).unwrap();
    for ((text, choices, _), got) in DOCS.iter().zip(&got) {
        let tokens = [vec![BEGIN], ids(text), vec![END]].concat();
        let labels = network.classify(&[&tokens], &mut Scratch::new().unwrap()).unwrap().remove(0);
        assert_eq!(*got, labels[..choices.len()]);
        let sum: f32 = labels.iter().map(|label| label.exp()).sum();
        assert!(labels.len() == 3 && (sum - 1.0).abs() < 1e-5);
    }
    let four: [(&str, &[&str], usize); 1] = [("the cat", &["a", "b", "c", "d"], 0)];
    let error = scored(&network, &tokenizer, &four).unwrap_err();
    assert!(error.contains("4 choices") && error.contains("3 labels"), "{error}");
}
