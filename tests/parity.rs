//! The network against transformers: log-probabilities position by position, choices, greedy texts.
//!
//! Checkpoints and expected values are made by `tests/reference/transformers/parity.py`.

use std::fs;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device};
use merge_search::checkpoint::Checkpoint;
use merge_search::model::{
    Batch, DeviceNetwork, Generation, Network, NetworkSpec, Pass, Precision, Prompt, Reading,
    Scratch, Sequence,
};
use serde_json::Value;

/// Allowed difference of a log-probability, in nats.
const TOLERANCE: f64 = 1e-4;
/// The same in half precision.
const HALF_TOLERANCE: f64 = 0.02;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/transformers/parity")
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// One checkpoint and what transformers computed with it.
struct Case {
    name: String,
    expected: Value,
    network: Network,
    device: DeviceNetwork,
    /// Of `device`, in nats.
    tolerance: f64,
}

/// Both executors with the same weights.
fn load(folder: &Path, dtype: DType) -> (Network, DeviceNetwork) {
    let checkpoint = Checkpoint::open(folder).unwrap();
    let has = |name: &str| checkpoint.shape(name).is_some();
    let spec = NetworkSpec::from_json(checkpoint.config(), &has)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let network = Network::new(&spec, Precision::F32).unwrap();
    let device = DeviceNetwork::new(&spec, &Device::Cpu, dtype).unwrap();
    assert!(network.tensors().eq(device.tensors()));
    for (name, shape) in network.tensors() {
        let stored =
            checkpoint.shape(name).unwrap_or_else(|| panic!("{}: no {name}", folder.display()));
        assert_eq!(stored.shape, shape, "{}: {name}", folder.display());
        let mut values = vec![0.0; shape.iter().product()];
        checkpoint.elements(name).unwrap().read(0, &mut values);
        assert!(network.write(name, &values).unwrap());
        assert!(device.write(name, &values).unwrap());
    }
    (network, device)
}

/// Runs `check` on every case of these kinds and names all that fail.
fn for_each(kinds: &[&str], check: impl Fn(&Case)) {
    for_each_in(DType::F32, TOLERANCE, kinds, check);
}

/// The same with another precision of the network on a device.
fn for_each_in(dtype: DType, tolerance: f64, kinds: &[&str], check: impl Fn(&Case)) {
    let list = json(&folder().join("cases.json"));
    let chosen = list.as_array().unwrap().iter().filter(|case| kinds.contains(&text(case, "kind")));
    let mut count = 0;
    let mut failed = Vec::new();
    for case in chosen {
        count += 1;
        let name = text(case, "case");
        let folder = folder().join(name);
        let run = || {
            let expected = json(&folder.join("expected.json"));
            let (network, device) = load(&folder, dtype);
            check(&Case { name: name.to_owned(), expected, network, device, tolerance });
        };
        if std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).is_err() {
            failed.push(name.to_owned());
        }
    }
    assert!(count >= 2 * kinds.len(), "{count} cases of {kinds:?}");
    assert!(failed.is_empty(), "of {count} cases fail: {failed:?}");
}

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value[key].as_str().unwrap()
}

fn list<'v>(value: &'v Value, key: &str) -> &'v [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}

fn tokens(value: &Value) -> Vec<u32> {
    value.as_array().into_iter().flatten().map(|id| id.as_u64().unwrap() as u32).collect()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

impl Case {
    fn assert_close(&self, what: &str, ours: &[f32], theirs: &[f64]) {
        self.assert_within(TOLERANCE, what, ours, theirs);
    }

    fn assert_device_close(&self, what: &str, ours: &[f32], theirs: &[f64]) {
        self.assert_within(self.tolerance, &format!("on a device, {what}"), ours, theirs);
    }

    fn assert_within(&self, tolerance: f64, what: &str, ours: &[f32], theirs: &[f64]) {
        assert_eq!(ours.len(), theirs.len(), "{}: {what}", self.name);
        for (index, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
            let difference = (f64::from(*ours) - theirs).abs();
            assert!(
                difference <= tolerance,
                "{}: {what} {index}: {ours}, transformers {theirs}",
                self.name
            );
        }
    }

    fn start(&self) -> Vec<u32> {
        self.expected["decoder_start_token_id"].as_u64().map(|id| id as u32).into_iter().collect()
    }

    /// Everything after the first token is predicted; or, with a decoder's start token, everything.
    fn sequence(&self, entry: &Value) -> Sequence {
        let tokens = [self.start(), tokens(&entry["tokens"])].concat();
        Sequence { source: self::tokens(&entry["source"]), scored: 1..tokens.len(), tokens }
    }

    fn choices(&self) -> Vec<Sequence> {
        let choices = &self.expected["choices"];
        let prompt = [self.start(), tokens(&choices["prompt"])].concat();
        let source = tokens(&choices["source"]);
        let sequence = |continuation| {
            let tokens = [prompt.clone(), tokens(continuation)].concat();
            Sequence { source: source.clone(), scored: prompt.len()..tokens.len(), tokens }
        };
        list(choices, "continuations").iter().map(sequence).collect()
    }

    fn batch(&self, sequences: &[&Sequence]) -> Batch {
        let mask = self.expected["mask_token_id"].as_u64().map(|id| id as u32);
        Batch::new(self.network.spec().reading, mask, 0, sequences)
    }

    fn score_on_device(&self, sequences: &[&Sequence]) -> Vec<Vec<f32>> {
        let batch = self.batch(sequences);
        let scores = self.device.score(&batch).unwrap();
        batch.spans.iter().map(|span| scores[span.clone()].to_vec()).collect()
    }

    fn score(&self, sequences: &[&Sequence]) -> Vec<Vec<f32>> {
        let batch = self.batch(sequences);
        let scored =
            self.network.score(&batch, &Pass::default(), &mut Scratch::new().unwrap()).unwrap();
        let part = |span: &std::ops::Range<usize>| scored.log_probabilities[span.clone()].to_vec();
        batch.spans.iter().map(part).collect()
    }
}

#[test]
fn every_position_has_transformers_log_probability() {
    for_each(&["decoder", "encoder-decoder"], |case| {
        for entry in list(&case.expected, "sequences") {
            let sequence = case.sequence(entry);
            let ours = case.score(&[&sequence]).remove(0);
            case.assert_close("position", &ours, &numbers(&entry["log_probs"]));
            let ours = case.score_on_device(&[&sequence]).remove(0);
            case.assert_device_close("position", &ours, &numbers(&entry["log_probs"]));
        }
    });
}

#[test]
fn the_whole_vocabulary_has_transformers_log_probabilities() {
    for_each(&["decoder", "encoder-decoder"], |case| {
        for entry in list(&case.expected, "sequences") {
            let mut sequence = case.sequence(entry);
            // One more token, whichever, so that its distribution is asked for.
            sequence.scored = sequence.tokens.len()..sequence.tokens.len() + 1;
            sequence.tokens.push(0);
            let batch = Batch::new(case.network.spec().reading, None, 0, &[&sequence]);
            let ours = case.network.distributions(&batch, &mut Scratch::new().unwrap()).unwrap();
            case.assert_close("vocabulary", &ours[0], &numbers(&entry["last"]));
            let ours = case.device.distributions(&batch).unwrap();
            case.assert_device_close("vocabulary", &ours[0], &numbers(&entry["last"]));
        }
    });
}

#[test]
fn choices_have_transformers_log_likelihoods() {
    for_each(&["decoder", "encoder-decoder"], |case| {
        let sequences = case.choices();
        let sequences: Vec<&Sequence> = sequences.iter().collect();
        let sums = |scores: Vec<Vec<f32>>| scores.iter().map(|terms| terms.iter().sum()).collect();
        let ours: Vec<f32> = sums(case.score(&sequences));
        let theirs = numbers(&case.expected["choices"]["log_likelihoods"]);
        case.assert_close("choice", &ours, &theirs);
        let ours: Vec<f32> = sums(case.score_on_device(&sequences));
        case.assert_device_close("choice", &ours, &theirs);
    });
}

/// Many blocks of attention: `count` texts of up to 24 tokens, every second one the longer twin of the one before.
fn crowd(case: &Case, count: usize) -> Vec<Sequence> {
    let mut state = 1u64;
    let mut text = |length: usize| -> Vec<u32> {
        let next = || {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            ((state >> 33) % case.network.spec().vocab_size as u64) as u32
        };
        std::iter::repeat_with(next).take(length).collect()
    };
    let read = |mut tokens: Vec<u32>, source: Vec<u32>| {
        tokens.truncate(case.network.spec().longest.unwrap_or(tokens.len()));
        Sequence { source, scored: tokens.len() - 4..tokens.len(), tokens }
    };
    let mut sequences = Vec::new();
    while sequences.len() < count {
        let reads_source = case.network.spec().reading == Reading::Seq2Seq;
        let source = text(if reads_source { 9 } else { 0 });
        let (short, more) = (text(16), text(8));
        sequences.push(read(short.clone(), source.clone()));
        sequences.push(read([short, more].concat(), source));
    }
    sequences
}

#[test]
fn executors_agree_on_batches_of_many_blocks() {
    for_each(&["decoder", "encoder-decoder", "masked-lm"], |case| {
        let sequences = crowd(case, 60);
        let sequences: Vec<&Sequence> = sequences.iter().collect();
        assert!(case.batch(&sequences).tokens.len() > 600);
        for (ours, theirs) in case.score_on_device(&sequences).iter().zip(case.score(&sequences)) {
            let theirs: Vec<f64> = theirs.iter().map(|score| f64::from(*score)).collect();
            case.assert_device_close("crowd", ours, &theirs);
        }
    });
}

/// Half precision, every family. bfloat16 takes the same way, but candle cannot multiply it on the CPU.
#[test]
fn half_precision_stays_near_transformers_float32() {
    for_each_in(DType::F16, HALF_TOLERANCE, &["decoder", "encoder-decoder"], |case| {
        for entry in list(&case.expected, "sequences") {
            let ours = case.score_on_device(&[&case.sequence(entry)]).remove(0);
            case.assert_device_close("position", &ours, &numbers(&entry["log_probs"]));
        }
    });
    for_each_in(DType::F16, HALF_TOLERANCE, &["masked-lm"], |case| {
        for entry in list(&case.expected, "sequences") {
            let ours = case.score_on_device(&[&masked(entry)]).remove(0);
            case.assert_device_close("masked position", &ours, &numbers(&entry["log_probs"]));
        }
    });
    for_each_in(DType::F16, HALF_TOLERANCE, &["classification"], |case| {
        for entry in list(&case.expected, "sequences") {
            let ours = case.device.classify(&[&tokens(&entry["tokens"])]).unwrap();
            case.assert_device_close("label", &ours[0], &numbers(&entry["log_probs"]));
        }
    });
}

fn masked(entry: &Value) -> Sequence {
    let at = |key: &str| entry[key].as_u64().unwrap() as usize;
    let (tokens, scored) = (tokens(&entry["tokens"]), at("from")..at("to"));
    Sequence { source: Vec::new(), tokens, scored }
}

/// Together in one tree, alone, and among other texts: the same bits.
#[test]
fn choices_in_one_tree_are_choices_alone() {
    for_each(&["decoder", "encoder-decoder"], |case| {
        let mut sequences = case.choices();
        sequences.extend(
            list(&case.expected, "sequences")
                .iter()
                .map(|entry| case.sequence(entry))
                .filter(|sequence| !sequence.scored.is_empty()),
        );
        let together = case.score(&sequences.iter().collect::<Vec<_>>());
        for (sequence, together) in sequences.iter().zip(together) {
            assert_eq!(case.score(&[sequence])[0], together, "{}", case.name);
        }
    });
}

#[test]
fn greedy_texts_are_transformers() {
    for_each(&["decoder", "encoder-decoder"], |case| {
        let greedy = &case.expected["greedy"];
        let runs = list(greedy, "runs");
        let prompt = |run: &Value| Prompt {
            source: tokens(&run["source"]),
            tokens: [case.start(), tokens(&run["prompt"])].concat(),
        };
        let prompts: Vec<Prompt> = runs.iter().map(prompt).collect();
        let limits = Generation {
            max_new_tokens: greedy["max_new_tokens"].as_u64().unwrap() as usize,
            stop: vec![greedy["eos_token_id"].as_u64().unwrap() as u32],
        };
        let ours = case.network.generate(&prompts, &limits, &mut Scratch::new().unwrap()).unwrap();
        let theirs: Vec<Vec<u32>> = runs.iter().map(|run| tokens(&run["tokens"])).collect();
        assert_eq!(ours, theirs, "{}", case.name);
    });
}

#[test]
fn masked_tokens_have_transformers_pseudo_log_likelihood() {
    for_each(&["masked-lm"], |case| {
        assert_eq!(case.network.spec().reading, Reading::Masked);
        for entry in list(&case.expected, "sequences") {
            let sequence = masked(entry);
            let ours = case.score(&[&sequence]).remove(0);
            case.assert_close("masked position", &ours, &numbers(&entry["log_probs"]));
            let ours = case.score_on_device(&[&sequence]).remove(0);
            case.assert_device_close("masked position", &ours, &numbers(&entry["log_probs"]));
        }
    });
}

#[test]
fn labels_have_transformers_log_probabilities() {
    for_each(&["classification"], |case| {
        let entries = list(&case.expected, "sequences");
        let texts: Vec<Vec<u32>> = entries.iter().map(|entry| tokens(&entry["tokens"])).collect();
        let texts: Vec<&[u32]> = texts.iter().map(Vec::as_slice).collect();
        let ours = case.network.classify(&texts, &mut Scratch::new().unwrap()).unwrap();
        for (ours, entry) in ours.iter().zip(entries) {
            case.assert_close("label", ours, &numbers(&entry["log_probs"]));
        }
        for (ours, entry) in case.device.classify(&texts).unwrap().iter().zip(entries) {
            case.assert_device_close("label", ours, &numbers(&entry["log_probs"]));
        }
    });
}

/// A header's states computed once give the same bits as reading it before every text.
#[test]
fn a_common_prefix_computed_once_changes_no_bit() {
    for_each(&["decoder"], |case| {
        let sequences = case.choices();
        let header = sequences[0].scored.start - 1;
        let whole = case.score(&sequences.iter().collect::<Vec<_>>());
        let mut scratch = Scratch::new().unwrap();
        let (prefix, _) = case
            .network
            .prefix(&sequences[0].tokens[..header], &Pass::default(), &mut scratch)
            .unwrap();
        let batch =
            Batch::new(Reading::Causal, None, header, &sequences.iter().collect::<Vec<_>>());
        let pass = Pass { prefix: Some(&prefix), ..Pass::default() };
        let scored = case.network.score(&batch, &pass, &mut scratch).unwrap();
        assert_eq!(scored.log_probabilities, whole.concat(), "{}", case.name);
    });
}

/// Going on from a layer's stored input gives the same bits as starting from the tokens.
#[test]
fn going_on_from_stored_states_changes_no_bit() {
    for_each(&["decoder"], |case| {
        let sequences = case.choices();
        let batch = Batch::new(Reading::Causal, None, 0, &sequences.iter().collect::<Vec<_>>());
        let mut scratch = Scratch::new().unwrap();
        let keep = Pass { keep: Some(1), ..Pass::default() };
        let whole = case.network.score(&batch, &keep, &mut scratch).unwrap();
        let pass = Pass { resume: whole.kept.as_ref(), ..Pass::default() };
        let resumed = case.network.score(&batch, &pass, &mut scratch).unwrap();
        assert_eq!(resumed.log_probabilities, whole.log_probabilities, "{}", case.name);
    });
}
