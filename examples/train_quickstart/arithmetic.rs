//! What someone has after a gain or a loss. Full: "Tom has 3 cups and gets 4 from Ann. Now Tom has"
//! → "7."

use rand::RngExt;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::lexicon::{GAINS, LOSSES, NAMES, OBJECTS};
use crate::question::{Question, pick, two_of};

/// One more or one less.
pub fn count(rng: &mut ChaCha8Rng) -> Question {
    let start = rng.random_range(0..10u8);
    let end = if start == 0 || (start < 9 && rng.random_bool(0.5)) { start + 1 } else { start - 1 };
    question(start, end, rng)
}

/// Any sum or difference between 0 and 9.
pub fn add(rng: &mut ChaCha8Rng) -> Question {
    let start = rng.random_range(0..10u8);
    let end = (start + rng.random_range(1..10)) % 10;
    question(start, end, rng)
}

fn question(start: u8, end: u8, rng: &mut ChaCha8Rng) -> Question {
    let [name, friend] = two_of(NAMES.len(), rng).map(|i| NAMES[i]);
    let [verb, preposition] = pick(if end > start { &GAINS } else { &LOSSES }, rng);
    let (object, change) = (pick(&OBJECTS, rng), end.abs_diff(start));
    Question {
        prompt: format!(
            "{name} has {start} {object} and {verb} {change} {preposition} {friend}. Now {name} has"
        ),
        answer: format!("{end}."),
        distractors: near_misses(start, end, rng).map(|digit| format!("{digit}.")),
    }
}

/// The number from before, and two neighbours of the right one.
fn near_misses(start: u8, end: u8, rng: &mut ChaCha8Rng) -> [u8; 3] {
    let is_near = |digit: &u8| (1..=3).contains(&digit.abs_diff(end)) && *digit != start;
    let mut near: Vec<u8> = (0..10).filter(is_near).collect();
    near.shuffle(rng);
    [start, near[0], near[1]]
}
