//! Generated texts against lm-eval's, and what they must not depend on.
//!
//! Expected texts are made by `tests/reference/transformers/generate.py`.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use merge_search::checkpoint::Checkpoint;
use merge_search::evaluate::{
    GeneratedText, Pool, TextError, TextRequest, TextRun, TextSet, TextSetError,
};
use merge_search::model::{Network, NetworkSpec, Precision, Scratch};
use serde_json::Value;
use tokenizers::Tokenizer;

const ROOM: usize = 1 << 28;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/transformers")
}

/// A checkpoint of `parity/`; `spoil` may change its weights.
fn network(checkpoint: &str, spoil: impl Fn(&str, &mut [f32])) -> Network {
    let checkpoint = Checkpoint::open(&folder().join("parity").join(checkpoint)).unwrap();
    let has = |name: &str| checkpoint.shape(name).is_some();
    let spec = NetworkSpec::from_json(checkpoint.config(), &has).unwrap();
    let network = Network::new(&spec, Precision::F32).unwrap();
    for (name, shape) in network.tensors() {
        let mut values = vec![0.0; shape.iter().product()];
        checkpoint.elements(name).unwrap().read(0, &mut values);
        spoil(name, &mut values);
        assert!(network.write(name, &values).unwrap());
    }
    network
}

/// What lm-eval was asked and what it gave.
struct Case {
    network: Network,
    tokenizer: Tokenizer,
    requests: Vec<TextRequest>,
    prompts: Vec<String>,
    expected: Vec<GeneratedText>,
}

impl Case {
    fn read(name: &'static str) -> Case {
        let folder = folder().join("generate").join(name);
        let expected = fs::read(folder.join("expected.json")).unwrap();
        let expected: Value = serde_json::from_slice(&expected).unwrap();
        let network = network(expected["checkpoint"].as_str().unwrap(), |_, _| {});
        let eos_string = expected["eos"].as_str().unwrap();
        let eos = network.spec().tokens.eos.clone();
        let texts = expected["texts"].as_array().unwrap();
        Case {
            tokenizer: Tokenizer::from_file(folder.join("tokenizer.json")).unwrap(),
            requests: texts.iter().map(|text| request(text, eos_string)).collect(),
            prompts: texts.iter().map(|text| text["prompt"].as_str().unwrap().into()).collect(),
            expected: texts.iter().map(|text| generated(text, &eos)).collect(),
            network,
        }
    }

    fn run(&self, requests: Vec<TextRequest>, bytes: usize, threads: usize) -> TextRun {
        let set = TextSet::new(requests, &[], &self.network, bytes).unwrap();
        set.run(&self.network, &Pool::new(threads).unwrap(), &self.tokenizer, None).unwrap()
    }
}

fn tokens(value: &Value) -> Vec<u32> {
    value.as_array().unwrap().iter().map(|id| id.as_u64().unwrap() as u32).collect()
}

fn request(text: &Value, eos: &str) -> TextRequest {
    let until = text["until"].as_array().unwrap().iter().map(|until| until.as_str().unwrap());
    TextRequest {
        prompt: tokens(&text["ids"]),
        max_new_tokens: text["max_gen_toks"].as_u64().unwrap() as usize,
        until: until.chain([eos]).map(str::to_owned).collect(),
    }
}

fn generated(text: &Value, eos: &[u32]) -> GeneratedText {
    let (limit, added) = (text["max_gen_toks"].as_u64().unwrap(), tokens(&text["new_ids"]));
    let at_limit = added.len() as u64 == limit;
    let ended = added.last().is_some_and(|last| eos.contains(last));
    let cut = text["cut"].as_bool().unwrap();
    GeneratedText {
        text: text["text"].as_str().unwrap().to_owned(),
        tokens: added.len(),
        truncated: text["truncated"].as_bool().unwrap(),
        finished: !at_limit || ended || cut,
    }
}

#[test]
fn texts_are_those_of_lm_eval() {
    for name in ["llama", "gpt2", "t5"] {
        let case = Case::read(name);
        for (prompt, request) in case.prompts.iter().zip(&case.requests) {
            let ids = case.tokenizer.encode(prompt.as_str(), true).unwrap();
            assert_eq!(ids.get_ids(), request.prompt, "{name}: {prompt:?}");
        }
        let run = case.run(case.requests.clone(), ROOM, 2);
        for ((prompt, ours), theirs) in case.prompts.iter().zip(&run.texts).zip(&case.expected) {
            let mut theirs = theirs.clone();
            if name == "t5" && theirs.finished {
                // lm-eval looks for the strings behind as many tokens as the encoder's prompt has, and goes on until then.
                assert!(ours.tokens <= theirs.tokens, "{prompt:?}");
                theirs.tokens = ours.tokens;
            }
            assert_eq!(*ours, theirs, "{name}: {prompt:?}");
        }
        assert!(run.seconds > 0.0);
    }
}

/// Beside others, behind a beginning that is read once, with little memory, on any number of threads.
#[test]
fn a_text_depends_on_its_prompt_alone() {
    for name in ["llama", "t5"] {
        let case = Case::read(name);
        let header: Vec<u32> = (0..34).map(|i| 5 + i * 7 % 50).collect();
        let mut requests = case.requests.clone();
        for (index, request) in case.requests.iter().enumerate() {
            let own = &request.prompt[..request.prompt.len().min(1 + index % 5)];
            let prompt = [&header[..], own].concat();
            requests.push(TextRequest { prompt, max_new_tokens: 20, until: request.until.clone() });
        }
        let alone: Vec<GeneratedText> = requests
            .iter()
            .map(|request| case.run(vec![request.clone()], ROOM, 1).texts.remove(0))
            .collect();
        for (bytes, threads) in [(ROOM, 1), (ROOM, 3), (600_000, 2)] {
            let together = case.run(requests.clone(), bytes, threads);
            assert_eq!(together.texts, alone, "{name}, {bytes} bytes, {threads} threads");
        }
        let whole = TextSet::new(requests.clone(), &[], &case.network, ROOM).unwrap();
        let little = TextSet::new(requests.clone(), &[], &case.network, 600_000).unwrap();
        assert!(little.activation_bytes() + little.header_bytes() <= 600_000);
        assert!(little.activation_bytes() < whole.activation_bytes());
        assert_eq!(whole.header_bytes() > 0, name == "llama", "{name}");
        requests.reverse();
        let mut backwards = case.run(requests, ROOM, 2).texts;
        backwards.reverse();
        assert_eq!(backwards, alone, "{name} backwards");
    }
}

#[test]
fn end_tokens_of_the_caller_end_a_text_too() {
    let case = Case::read("llama");
    let request =
        TextRequest { max_new_tokens: 12, until: Arc::new([]), ..case.requests[1].clone() };
    let pool = Pool::new(1).unwrap();
    let with = |stop: &[u32]| {
        let set = TextSet::new(vec![request.clone()], stop, &case.network, ROOM).unwrap();
        set.run(&case.network, &pool, &case.tokenizer, None).unwrap().texts.remove(0)
    };
    let every: Vec<u32> = (0..64).collect();
    let (free, first) = (with(&[]), with(&every));
    assert!(free.tokens > 1);
    assert_eq!((first.tokens, first.finished), (1, true));
}

#[test]
fn nothing_new_is_an_empty_text_and_the_longest_prompt_is_read() {
    let case = Case::read("gpt2");
    let request = |length: usize, max_new_tokens| TextRequest {
        prompt: (0..length as u32).collect(),
        max_new_tokens,
        until: Arc::new([]),
    };
    let set = |requests| TextSet::new(requests, &[], &case.network, ROOM);
    let run =
        case.run(vec![request(31, 0), request(31, 1), request(32, 1), request(2, 31)], ROOM, 2);
    let empty = GeneratedText { text: String::new(), tokens: 0, truncated: false, finished: false };
    assert_eq!(run.texts[0], empty);
    assert_eq!((run.texts[1].tokens, run.texts[1].truncated), (1, false), "31 and 1 are 32");
    assert_eq!((run.texts[2].tokens, run.texts[2].truncated), (1, true));
    assert!(run.texts[3].truncated);
    let no_room = TextSetError::NoRoom { request: 1, max_new_tokens: 32, longest: 32 };
    assert_eq!(set(vec![request(1, 1), request(1, 32)]).unwrap_err(), no_room);
    assert_eq!(set(vec![request(0, 1)]).unwrap_err(), TextSetError::EmptyPrompt { request: 0 });
    let unknown = TextSetError::Vocabulary { request: 0, token: 64, vocab_size: 64 };
    assert_eq!(set(vec![TextRequest { prompt: vec![64], ..request(1, 1) }]).unwrap_err(), unknown);
    assert!(set(Vec::new()).unwrap().is_empty());
    assert!(matches!(
        TextSet::new(vec![request(8, 8)], &[], &case.network, 1000).unwrap_err(),
        TextSetError::TooLarge { request: 0, available: 1000, bytes } if bytes > 1000
    ));
}

#[test]
fn logits_that_are_no_numbers_are_an_error_that_names_the_request() {
    let case = Case::read("llama");
    let spoiled = network("llama-multi-head", |name, values| {
        if name.contains("layers.1") {
            values.fill(f32::NAN);
        }
    });
    let set = TextSet::new(case.requests.clone(), &[], &spoiled, ROOM).unwrap();
    let run = set.run(&spoiled, &Pool::new(2).unwrap(), &case.tokenizer, None);
    assert!(matches!(run.err().unwrap(), TextError::NonFinite { request: 0 }));
}

#[test]
fn progress_counts_every_text_and_every_pack_is_timed() {
    let case = Case::read("llama");
    let requests: Vec<TextRequest> = case.requests.iter().cycle().take(400).cloned().collect();
    let set = TextSet::new(requests, &[], &case.network, ROOM).unwrap();
    let ended = AtomicUsize::new(0);
    let count = |texts| {
        ended.fetch_add(texts, Ordering::Relaxed);
    };
    let pool = Pool::new(2).unwrap();
    let run = set.run(&case.network, &pool, &case.tokenizer, Some(&count)).unwrap();
    assert_eq!((ended.into_inner(), run.texts.len()), (400, 400));
    let mut scratch = Scratch::new().unwrap();
    let packs = set.packs();
    assert!(packs.len() >= 400 / 8, "{}", packs.len());
    let mut decoded = 0;
    for pack in packs.iter().step_by(20) {
        let lap = pack.lap(&case.network, &run.prefixes, &mut scratch).unwrap();
        assert!(0.0 < lap.seconds && lap.decode_seconds < lap.seconds, "{lap:?}");
        // 16 new tokens for each of 8 texts at most, the first of which comes with the prompt; with texts of a single token
        // there is nothing besides.
        assert!(
            lap.decoded <= 8 * 15 && (lap.decoded > 0) == (lap.decode_seconds > 0.0),
            "{lap:?}"
        );
        decoded += lap.decoded;
    }
    assert!(decoded > 0);
}
