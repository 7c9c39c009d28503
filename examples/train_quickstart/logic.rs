//! Modus ponens. Full: "Ann is sad. No dog is loud. Tom is a dog. So Tom is" → "quiet."

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::lexicon::{ANIMALS, NAMES, OPPOSITES};
use crate::question::{Question, pick, two_of};

/// The rule affirms.
pub fn affirmed(rng: &mut ChaCha8Rng) -> Question {
    question(0.0, rng)
}

/// The rule denies as often as it affirms.
pub fn with_negation(rng: &mut ChaCha8Rng) -> Question {
    question(0.5, rng)
}

/// A fact about somebody else comes first; its word, and the opposites of both words, are the wrong
/// choices.
fn question(denial: f64, rng: &mut ChaCha8Rng) -> Question {
    let [name, friend] = two_of(NAMES.len(), rng).map(|i| NAMES[i]);
    let [rule, fact] = two_of(OPPOSITES.len(), rng).map(|i| OPPOSITES[i]);
    let [stated, opposite] = in_any_order(rule, rng);
    let noun = pick(&ANIMALS, rng).noun[0];
    let denies = rng.random_bool(denial);
    let (quantifier, answer, wrong) = match denies {
        true => ("No", opposite, stated),
        false => ("Every", stated, opposite),
    };
    Question {
        prompt: format!(
            "{friend} is {}. {quantifier} {noun} is {stated}. {name} is a {noun}. So {name} is",
            pick(&fact, rng)
        ),
        answer: format!("{answer}."),
        distractors: [wrong, fact[0], fact[1]].map(|word| format!("{word}.")),
    }
}

fn in_any_order(pair: [&'static str; 2], rng: &mut ChaCha8Rng) -> [&'static str; 2] {
    if rng.random_bool(0.5) { pair } else { [pair[1], pair[0]] }
}
