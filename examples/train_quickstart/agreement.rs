//! Subject and verb. Full: "The old dog near the wet cats" → "barks.": the verb must be the
//! subject's and have its number, not those of the nearer noun (the *attractor* of Linzen et al.
//! 2016, "Assessing the Ability of LSTMs to Learn Syntax-Sensitive Dependencies", TACL 4).

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::lexicon::{ANIMALS, OPPOSITES, PLACES, PREPOSITIONS};
use crate::question::{Question, pick, two_of};

/// No other animal is near.
pub fn plain(rng: &mut ChaCha8Rng) -> Question {
    let [subject, other] = two_of(ANIMALS.len(), rng);
    let number = rng.random_range(0..2);
    let mut prompt = format!("The {}", noun_phrase(subject, number, rng));
    if rng.random_bool(0.5) {
        prompt = format!("{prompt} {} the {}", pick(&PREPOSITIONS, rng), pick(&PLACES, rng));
    }
    question(prompt, subject, number, other)
}

pub fn with_attractor(rng: &mut ChaCha8Rng) -> Question {
    let [subject, attractor] = two_of(ANIMALS.len(), rng);
    let numbers = [rng.random_range(0..2), rng.random_range(0..2)];
    let prompt = format!(
        "The {} {} the {}",
        noun_phrase(subject, numbers[0], rng),
        pick(&PREPOSITIONS, rng),
        noun_phrase(attractor, numbers[1], rng)
    );
    // The attractor's verb is among the choices of every other question only: a model that always
    // takes the nearer noun would otherwise be at zero, and with it every geometric mean.
    let other = match rng.random_bool(0.5) {
        true => attractor,
        false => (subject + rng.random_range(1..ANIMALS.len())) % ANIMALS.len(),
    };
    question(prompt, subject, numbers[0], other)
}

fn noun_phrase(animal: usize, number: usize, rng: &mut ChaCha8Rng) -> String {
    let adjective = pick(&pick(&OPPOSITES, rng), rng);
    format!("{adjective} {}", ANIMALS[animal].noun[number])
}

fn question(prompt: String, subject: usize, number: usize, other: usize) -> Question {
    let verb = |animal: usize, number: usize| format!("{}.", ANIMALS[animal].verb[number]);
    Question {
        prompt,
        answer: verb(subject, number),
        distractors: [verb(subject, 1 - number), verb(other, number), verb(other, 1 - number)],
    }
}
