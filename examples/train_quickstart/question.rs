//! A question of one skill: what is asked, the right answer, and three wrong ones that look alike.
//!
//! Every answer ends with "." and the four answers of a question have the same number of tokens.
//! Summed log-likelihood would otherwise favour the shorter one, and always the one that begins
//! another.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::{agreement, arithmetic, logic, strings};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Skill {
    Arithmetic,
    Logic,
    Strings,
    Agreement,
}

impl Skill {
    pub const ALL: [Self; 4] = [Self::Arithmetic, Self::Logic, Self::Strings, Self::Agreement];

    pub fn name(self) -> &'static str {
        match self {
            Self::Arithmetic => "arithmetic",
            Self::Logic => "logic",
            Self::Strings => "strings",
            Self::Agreement => "agreement",
        }
    }
}

/// The base model is taught the easy form of each skill, an expert the full form of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    Easy,
    Full,
}

#[derive(Clone, Debug)]
pub struct Question {
    pub prompt: String,
    pub answer: String,
    pub distractors: [String; 3],
}

impl Question {
    pub fn sample(skill: Skill, level: Level, rng: &mut ChaCha8Rng) -> Self {
        match (skill, level) {
            (Skill::Arithmetic, Level::Easy) => arithmetic::count(rng),
            (Skill::Arithmetic, Level::Full) => arithmetic::add(rng),
            (Skill::Logic, Level::Easy) => logic::affirmed(rng),
            (Skill::Logic, Level::Full) => logic::with_negation(rng),
            (Skill::Strings, Level::Easy) => strings::rearrange(2, rng),
            (Skill::Strings, Level::Full) => strings::rearrange(3, rng),
            (Skill::Agreement, Level::Easy) => agreement::plain(rng),
            (Skill::Agreement, Level::Full) => agreement::with_attractor(rng),
        }
    }

    /// The prompt with its right answer.
    pub fn solved(&self) -> String {
        format!("{} {}", self.prompt, self.answer)
    }
}

pub fn pick<T: Copy>(items: &[T], rng: &mut ChaCha8Rng) -> T {
    items[rng.random_range(0..items.len())]
}

/// Two different indices below `n`.
pub fn two_of(n: usize, rng: &mut ChaCha8Rng) -> [usize; 2] {
    let first = rng.random_range(0..n);
    let second = (first + rng.random_range(1..n)) % n;
    [first, second]
}
