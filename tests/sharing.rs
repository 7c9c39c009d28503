//! Networks that have tensors in common score as those that have all for themselves.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use merge_search::checkpoint::Checkpoint;
use merge_search::evaluate::{load_network, network_spec};
use merge_search::model::{
    Batch, Network, NetworkSpec, Pass, Precision, Reading, Scratch, Sequence,
};
use serde_json::{Value, json};

fn reference(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/transformers").join(path)
}

type Tensors = BTreeMap<String, Vec<f32>>;

fn tensors(checkpoint: &Checkpoint) -> Tensors {
    let values = |name: &str| checkpoint.tensor(name).unwrap().into_owned();
    checkpoint.tensors().map(|(name, _)| (name.to_owned(), values(name))).collect()
}

fn written(spec: &NetworkSpec, precision: Precision, tensors: &Tensors) -> Network {
    let network = Network::new(spec, precision).unwrap();
    fill(&network, tensors);
    network
}

/// Writes what is not shared.
fn fill(network: &Network, tensors: &Tensors) {
    for (name, _) in network.tensors().filter(|(name, _)| !network.is_shared(name)) {
        assert!(network.write(name, &tensors[name]).unwrap());
    }
}

fn bits(network: &Network) -> Vec<u32> {
    let reading = network.spec().reading;
    let source = if reading == Reading::Seq2Seq { vec![9, 11, 13, 10] } else { Vec::new() };
    let tokens: Vec<u32> = vec![3, 8, 5, 4, 12, 7, 6];
    let sequence = Sequence { source, scored: 1..tokens.len(), tokens };
    let batch = Batch::new(reading, Some(2), 0, &[&sequence]);
    let scored = network.score(&batch, &Pass::default(), &mut Scratch::new().unwrap()).unwrap();
    assert!(scored.log_probabilities.iter().all(|score| score.is_finite()));
    scored.log_probabilities.iter().map(|score| score.to_bits()).collect()
}

/// Memory of matrices of these shapes, packed in panels of 32 outputs.
fn packed(shapes: &[(usize, usize)]) -> usize {
    shapes.iter().map(|(outputs, inputs)| outputs.div_ceil(32) * 32 * inputs * 4).sum()
}

#[test]
fn a_network_that_borrows_all_but_one_mlp_scores_as_one_written_whole() {
    let checkpoint = Checkpoint::open(&reference("grouped-tied-4x")).unwrap();
    let spec = network_spec(&checkpoint).unwrap();
    let own = tensors(&checkpoint);
    let mut changed = own.clone();
    let mine = |name: &str| name.contains("layers.1.mlp");
    for (_, values) in changed.iter_mut().filter(|(name, _)| mine(name)) {
        values.iter_mut().for_each(|value| *value *= -0.5);
    }
    let base = written(&spec, Precision::F32, &own);
    let whole = written(&spec, Precision::F32, &changed);
    let lender = |name: &str| (!mine(name)).then(|| (&base, name.to_owned()));
    let shared = Network::sharing(&spec, Precision::F32, &lender).unwrap();
    fill(&shared, &changed);
    assert_eq!(bits(&shared), bits(&whole));
    assert_ne!(bits(&shared), bits(&base));
    let config = checkpoint.config();
    let size = |key: &str| config[key].as_u64().unwrap() as usize;
    let (hidden, inner) = (size("hidden_size"), size("intermediate_size"));
    assert_eq!(shared.bytes(), packed(&[(inner, hidden), (inner, hidden), (hidden, inner)]));
    assert_eq!(shared.bytes() + shared.shared_bytes(), whole.bytes());
    assert_eq!((whole.shared_bytes(), base.bytes()), (0, whole.bytes()));
}

#[test]
fn a_tensor_that_two_networks_have_is_written_by_neither() {
    let checkpoint = Checkpoint::open(&reference("grouped-tied-4x")).unwrap();
    let spec = network_spec(&checkpoint).unwrap();
    let own = tensors(&checkpoint);
    let base = written(&spec, Precision::F32, &own);
    let before = bits(&base);
    let name = "model.layers.1.self_attn.q_proj.weight";
    let lender = |asked: &str| (asked == name).then(|| (&base, asked.to_owned()));
    let first = Network::sharing(&spec, Precision::F32, &lender).unwrap();
    let second =
        Network::sharing(&spec, Precision::F32, &|asked| Some((&first, asked.to_owned()))).unwrap();
    for network in [&base, &first, &second] {
        let error = network.write(name, &own[name]).unwrap_err().to_string();
        assert!(error.contains("another network has the same memory"), "{error}");
    }
    assert!(base.write("model.norm.weight", &own["model.norm.weight"]).unwrap());
    drop(second);
    assert!(base.write(name, &own[name]).is_err());
    drop(first);
    assert!(base.write(name, &own[name]).unwrap());
    assert_eq!(bits(&base), before);
}

/// Every second tensor is lent: fused and transposed matrices, joined biases, tables of distances, experts, an encoder; in both
/// precisions. A loan from a network of the other precision is none.
#[test]
fn every_family_can_borrow() {
    let cases = [
        "gpt2",
        "bloom-4-heads",
        "mixtral",
        "t5",
        "bart",
        "gemma2",
        "qwen2",
        "qwen3",
        "llama-biases",
        "bert-masked-lm",
        "albert-masked-lm",
    ];
    for case in cases {
        let checkpoint = Checkpoint::open(&reference("parity").join(case)).unwrap();
        for precision in [Precision::F32, Precision::Bf16] {
            let base = load_network(&checkpoint, precision).unwrap();
            let own: Tensors = base
                .tensors()
                .map(|(name, _)| (name.to_owned(), checkpoint.tensor(name).unwrap().into_owned()))
                .collect();
            let names: Vec<&String> = own.keys().collect();
            for parity in 0..2 {
                let lent =
                    |name: &str| names.iter().position(|own| *own == name).unwrap() % 2 == parity;
                let lender = |name: &str| lent(name).then(|| (&base, name.to_owned()));
                let shared = Network::sharing(base.spec(), precision, &lender).unwrap();
                let count = names.iter().filter(|name| shared.is_shared(name)).count();
                assert_eq!(count, names.iter().filter(|name| lent(name)).count(), "{case}");
                fill(&shared, &own);
                assert_eq!(bits(&shared), bits(&base), "{case}");
                assert_eq!(shared.bytes() + shared.shared_bytes(), base.bytes(), "{case}");
            }
            let other = match precision {
                Precision::F32 => Precision::Bf16,
                Precision::Bf16 => Precision::F32,
            };
            let lender = |name: &str| Some((&base, name.to_owned()));
            let none = Network::sharing(base.spec(), other, &lender).unwrap();
            fill(&none, &own);
            assert_eq!(bits(&none), bits(&load_network(&checkpoint, other).unwrap()), "{case}");
        }
    }
}

/// Layers 0 2, then 0 1 1 2: everything is lent, so nothing is written and no matrix takes memory.
#[test]
fn layers_are_left_out_and_repeated_without_memory() {
    let checkpoint = Checkpoint::open(&reference("../mergekit/models/base")).unwrap();
    let own = tensors(&checkpoint);
    let base = written(&network_spec(&checkpoint).unwrap(), Precision::F32, &own);
    for order in [&[0, 2][..], &[0, 1, 1, 2]] {
        let theirs = |name: &str| -> String {
            let Some(rest) = name.strip_prefix("model.layers.") else { return name.to_owned() };
            let (layer, rest) = rest.split_once('.').unwrap();
            format!("model.layers.{}.{rest}", order[layer.parse::<usize>().unwrap()])
        };
        let mut config: Value = checkpoint.config().clone();
        config["num_hidden_layers"] = json!(order.len());
        let spec =
            NetworkSpec::from_json(&config, &|name| own.contains_key(&theirs(name))).unwrap();
        let needed = spec.tensors().map(|(name, _)| (name.to_owned(), own[&theirs(name)].clone()));
        let whole = written(&spec, Precision::F32, &needed.collect());
        let lender = |name: &str| Some((&base, theirs(name)));
        let shared = Network::sharing(&spec, Precision::F32, &lender).unwrap();
        assert_eq!(bits(&shared), bits(&whole), "{order:?}");
        assert_eq!(shared.bytes(), 0);
        assert_eq!(shared.shared_bytes(), base.bytes().min(whole.bytes()), "{order:?}");
    }
}
