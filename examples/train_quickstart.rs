//! Makes the quickstart family from nothing: tasks, tokenizer, a base model and one expert per
//! skill.
//!
//! ```text
//! cargo run --release --example train_quickstart -- --out DIR
//! cargo run --release --example train_quickstart -- --out DIR --fresh 10000 --fresh-seed 1
//! cargo run --release --example train_quickstart -- --evaluate DIR --trials 400
//! ```

use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Instant;
use std::{env, fs};

use indicatif::ProgressBar;
use rayon::prelude::*;
use serde_json::Value;
use tokenizers::Tokenizer;

#[path = "train_quickstart/agreement.rs"]
mod agreement;
#[path = "train_quickstart/arithmetic.rs"]
mod arithmetic;
#[path = "train_quickstart/attention.rs"]
mod attention;
#[path = "train_quickstart/checkpoint.rs"]
mod checkpoint;
#[path = "train_quickstart/corpus.rs"]
mod corpus;
#[path = "train_quickstart/datasets.rs"]
mod datasets;
#[path = "train_quickstart/fused.rs"]
mod fused;
#[cfg(test)]
#[path = "train_quickstart/gradients.rs"]
mod gradients;
#[path = "train_quickstart/headroom.rs"]
mod headroom;
#[path = "train_quickstart/held_out.rs"]
mod held_out;
#[path = "train_quickstart/lexicon.rs"]
mod lexicon;
#[path = "train_quickstart/llama.rs"]
mod llama;
#[path = "train_quickstart/logic.rs"]
mod logic;
#[path = "train_quickstart/question.rs"]
mod question;
#[path = "train_quickstart/scoring.rs"]
mod scoring;
#[path = "train_quickstart/strings.rs"]
mod strings;
#[path = "train_quickstart/training.rs"]
mod training;
#[path = "train_quickstart/vocabulary.rs"]
mod vocabulary;

use corpus::Mixture;
use llama::Config;
use question::Skill;
use training::{Schedule, Weights};

pub type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

pub const BASE: &str = "base";

/// How one expert is made from the base. Lengths and rates differ on purpose: deltas of unlike norm
/// are what makes the weights of a merge worth searching.
pub struct Expert {
    pub skill: Skill,
    steps: usize,
    learning_rate: f64,
}

pub const EXPERTS: [Expert; 4] = [
    Expert { skill: Skill::Arithmetic, steps: 150, learning_rate: 2e-3 },
    Expert { skill: Skill::Logic, steps: 80, learning_rate: 1.5e-3 },
    Expert { skill: Skill::Strings, steps: 100, learning_rate: 2e-3 },
    Expert { skill: Skill::Agreement, steps: 70, learning_rate: 1e-3 },
];

const BASE_STEPS: usize = 1000;
const BASE_SEQUENCES: usize = 20_000;
const EXPERT_SEQUENCES: usize = 6_000;

struct Args {
    out: Option<PathBuf>,
    evaluate: Option<PathBuf>,
    seed: u64,
    fresh: usize,
    fresh_seed: u64,
    trials: usize,
}

fn main() -> Result<()> {
    // candle's own workers wait in busy loops and would take the cores from the threads that train.
    // SAFETY: no other thread runs yet.
    unsafe { env::set_var("CANDLE_NUM_THREADS", "1") };
    let args = parse(env::args().skip(1))?;
    match (&args.out, &args.evaluate) {
        (Some(dir), None) if args.fresh > 0 => {
            datasets::write_fresh(&dir.join("datasets"), args.seed, args.fresh, args.fresh_seed)
        }
        (Some(dir), None) => make_family(dir, args.seed),
        (None, Some(dir)) => headroom::report(dir, args.trials, args.seed),
        _ => Err("give either --out DIR or --evaluate DIR".into()),
    }
}

fn parse(mut words: impl Iterator<Item = String>) -> Result<Args> {
    let mut args =
        Args { out: None, evaluate: None, seed: 0, fresh: 0, fresh_seed: 1, trials: 400 };
    while let Some(flag) = words.next() {
        let value = words.next().ok_or_else(|| format!("{flag} needs a value"))?;
        match flag.as_str() {
            "--out" => args.out = Some(value.into()),
            "--evaluate" => args.evaluate = Some(value.into()),
            "--seed" => args.seed = value.parse()?,
            "--fresh" => args.fresh = value.parse()?,
            "--fresh-seed" => args.fresh_seed = value.parse()?,
            "--trials" => args.trials = value.parse()?,
            _ => return Err(format!("unknown flag {flag}").into()),
        }
    }
    Ok(args)
}

fn make_family(dir: &Path, seed: u64) -> Result<()> {
    let started = Instant::now();
    datasets::write(&dir.join("datasets"), seed)?;
    let tokenizer = vocabulary::build(&every_kind_of_text(seed))?;
    let config = Config::quickstart(tokenizer.get_vocab_size(true));
    let models = dir.join("models");
    let base = train_base(&config, &tokenizer, seed)?;
    checkpoint::write(&models.join(BASE), &config, &base, &tokenizer)?;
    println!("base after {:.0?}", started.elapsed());
    EXPERTS.par_iter().enumerate().try_for_each(|(i, expert)| {
        let weights = expert.train(&config, &base, &tokenizer, seed + 1 + i as u64)?;
        checkpoint::write(&models.join(expert.skill.name()), &config, &weights, &tokenizer)
    })?;
    println!("family of {} models in {:.0?}", 1 + EXPERTS.len(), started.elapsed());
    Ok(())
}

fn every_kind_of_text(seed: u64) -> Vec<String> {
    const TEXTS_OF_EACH: usize = 3_000;
    let mut texts = corpus::texts(Mixture::Base, 2 * TEXTS_OF_EACH, seed);
    texts.extend(
        Skill::ALL.map(|s| corpus::texts(Mixture::Expert(s), TEXTS_OF_EACH, seed)).concat(),
    );
    let inside: Vec<String> = texts.iter().map(|text| format!(" {text}")).collect();
    [texts, inside].concat()
}

fn train_base(config: &Config, tokenizer: &Tokenizer, seed: u64) -> Result<Weights> {
    let sequences = corpus::sequences(Mixture::Base, BASE_SEQUENCES, seed, tokenizer)?;
    let schedule = Schedule {
        steps: BASE_STEPS,
        batch: 48,
        learning_rate: 4e-3,
        weight_decay: 0.05,
        shards: 2,
        seed,
    };
    let start = training::initial_weights(config, seed)?;
    run("base", config, &start, &sequences, schedule)
}

impl Expert {
    fn train(
        &self,
        config: &Config,
        base: &Weights,
        tokenizer: &Tokenizer,
        seed: u64,
    ) -> Result<Weights> {
        let mixture = Mixture::Expert(self.skill);
        let sequences = corpus::sequences(mixture, EXPERT_SEQUENCES, seed, tokenizer)?;
        let schedule = Schedule {
            steps: self.steps,
            batch: 32,
            learning_rate: self.learning_rate,
            weight_decay: 0.0,
            shards: 1,
            seed,
        };
        run(self.skill.name(), config, base, &sequences, schedule)
    }
}

fn run(
    name: &str,
    config: &Config,
    start: &Weights,
    sequences: &[corpus::Sequence],
    schedule: Schedule,
) -> Result<Weights> {
    let bar = ProgressBar::new(schedule.steps as u64);
    let started = Instant::now();
    training::train(config, start, sequences, schedule, |step, loss| {
        bar.inc(1);
        if (step + 1) % 50 == 0 {
            println!("{name} {}: loss {loss:.3}, {:.0?}", step + 1, started.elapsed());
        }
    })
}

pub fn write_json(path: &Path, value: &Value) -> Result<()> {
    Ok(fs::write(path, format!("{}\n", serde_json::to_string_pretty(value)?))?)
}
