//! What the starter kit of the LLM Merging Competition (NeurIPS 2024) has a model do.

use super::estimate::Work;
use super::rates::CHARACTERS_PER_TOKEN;
use crate::model::{NetworkSpec, Reading, Workload};

/// New tokens of a text at most (`max_gen_len` of the kit's examples).
const NEW_TOKENS: u64 = 64;
/// Answers of a choice, all read at once behind the prompt (CosmosQA).
const CHOICES: u64 = 4;

/// A file of the kit. Characters are means over its rows, `longest` is the longest prompt's.
struct File {
    name: &'static str,
    rows: u64,
    characters: f64,
    longest: f64,
    /// Mean length of an answer; `None`: a text is asked for.
    choice: Option<f64>,
}

/// Counted in `cosmos_qa.csv` and `xsum.csv`. For `test.csv` only the numbers of rows are known: the lengths are taken from
/// the file of the same kind.
const FILES: [File; 4] = [
    choice("cosmos_qa.csv", 500),
    text("xsum.csv", 200),
    choice("test.csv, choices", 457),
    text("test.csv, texts", 350),
];

const fn choice(name: &'static str, rows: u64) -> File {
    File { name, rows, characters: 613.0, longest: 1086.0, choice: Some(26.4) }
}

const fn text(name: &'static str, rows: u64) -> File {
    File { name, rows, characters: 2087.0, longest: 9513.0, choice: None }
}

/// Both validation files and the test file, row by row; nothing of a model that writes no texts. transformers computes the
/// logits of every token of a prompt, so the head counts there.
pub fn kit_work(spec: &NetworkSpec) -> Vec<Work> {
    match spec.reading {
        Reading::Causal | Reading::Seq2Seq => FILES.iter().map(|file| file.work(spec)).collect(),
        Reading::Masked | Reading::Classify => Vec::new(),
    }
}

impl File {
    fn work(&self, spec: &NetworkSpec) -> Work {
        let tokens = |characters: f64| (characters / CHARACTERS_PER_TOKEN).ceil() as usize;
        let (steps, answer) = match self.choice {
            None => (NEW_TOKENS, 0),
            Some(characters) => (0, tokens(characters)),
        };
        // A prompt that is too long is cut, to leave room for what follows.
        let room = spec.longest.unwrap_or(usize::MAX).saturating_sub(answer.max(steps as usize));
        let readable = |characters: f64| tokens(characters).min(room);
        let prompt = readable(self.characters);
        let (first, second) = passes(spec, prompt, answer);
        let choices = if answer > 0 { CHOICES } else { 0 };
        Work {
            name: self.name.to_owned(),
            rows: self.rows,
            tokens: self.rows * (prompt as u64 + choices * answer as u64),
            flops: self.rows as f64 * (first + choices as f64 * second),
            passes: self.rows * if answer > 0 { 2 } else { 1 },
            steps: self.rows * steps,
            // A text has half of its new tokens on average.
            known: self.rows * steps * (prompt as u64 + steps / 2),
            longest: readable(self.longest) as u64 + steps.max(answer as u64),
        }
    }
}

/// Operations of reading a prompt, and an answer behind it.
pub(super) fn passes(spec: &NetworkSpec, prompt: usize, answer: usize) -> (f64, f64) {
    if spec.reading == Reading::Seq2Seq {
        let read = |decoder: usize| spec.flops(&Workload::text(prompt, 0, 1, decoder));
        return (read(1), if answer > 0 { read(answer) } else { 0.0 });
    }
    let first = spec.flops(&Workload::prefill(0, prompt, prompt));
    (first, spec.flops(&Workload::prefill(prompt, answer, answer)))
}
