//! Training text: sentences and solved questions, packed into sequences of one length.

use rand::RngExt;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use tokenizers::Tokenizer;

use crate::Result;
use crate::held_out::is_held_out;
use crate::lexicon::{ANIMALS, NAMES, OBJECTS, OPPOSITES, PLACES, PREPOSITIONS};
use crate::question::{Level, Question, Skill, pick};

/// Positions that one training sequence predicts.
pub const SEQUENCE_LENGTH: usize = 48;
/// What a token that answers nothing counts in the loss, an answer's token counting 1.
const CONTEXT_WEIGHT: f32 = 0.2;

#[derive(Clone, Copy, Debug)]
pub enum Mixture {
    /// General sentences, and easy questions of every skill.
    Base,
    /// Full questions of one skill.
    Expert(Skill),
}

/// `ids` has one token more than `weights`: token `t + 1` is predicted at position `t`.
pub struct Sequence {
    pub ids: Vec<u32>,
    pub weights: Vec<f32>,
}

/// A text and the byte where its answer begins.
struct Document {
    text: String,
    answer_at: usize,
}

pub fn sequences(
    mixture: Mixture,
    count: usize,
    seed: u64,
    tokenizer: &Tokenizer,
) -> Result<Vec<Sequence>> {
    (0..count).into_par_iter().map(|i| sequence(mixture, seed, i as u64, tokenizer)).collect()
}

/// Every text that `mixture` draws from this seed, for the vocabulary.
pub fn texts(mixture: Mixture, count: usize, seed: u64) -> Vec<String> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..count).map(|_| document(mixture, &mut rng).text).collect()
}

/// Documents drawn from stream `index` until the sequence is full; the last one is cut.
fn sequence(mixture: Mixture, seed: u64, index: u64, tokenizer: &Tokenizer) -> Result<Sequence> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(index + 1);
    let (mut ids, mut weights) = (Vec::new(), Vec::new());
    while ids.len() <= SEQUENCE_LENGTH {
        let Document { mut text, mut answer_at } = document(mixture, &mut rng);
        if !ids.is_empty() {
            text.insert(0, ' ');
            answer_at += 1;
        }
        let encoding = tokenizer.encode(text, false)?;
        ids.extend_from_slice(encoding.get_ids());
        let weight = |start| if start >= answer_at { 1.0 } else { CONTEXT_WEIGHT };
        weights.extend(encoding.get_offsets().iter().map(|&(start, _)| weight(start)));
    }
    ids.truncate(SEQUENCE_LENGTH + 1);
    Ok(Sequence { ids, weights: weights[1..=SEQUENCE_LENGTH].to_vec() })
}

fn document(mixture: Mixture, rng: &mut ChaCha8Rng) -> Document {
    let (skill, level) = match mixture {
        Mixture::Expert(skill) => (skill, Level::Full),
        Mixture::Base => {
            let kind = rng.random_range(0..100);
            match kind {
                0..25 => return sentence(rng),
                _ => (pick(&Skill::ALL, rng), Level::Easy),
            }
        }
    };
    loop {
        let question = Question::sample(skill, level, rng);
        if !is_held_out(&question.prompt) {
            return Document { text: question.solved(), answer_at: question.prompt.len() };
        }
    }
}

fn sentence(rng: &mut ChaCha8Rng) -> Document {
    let (name, friend) = (pick(&NAMES, rng), pick(&NAMES, rng));
    let pair = pick(&OPPOSITES, rng);
    let side = rng.random_range(0..2);
    let (adjective, opposite) = (pair[side], pair[1 - side]);
    let animal = &ANIMALS[rng.random_range(0..ANIMALS.len())];
    let (place, object) = (pick(&PLACES, rng), pick(&OBJECTS, rng));
    let text = match rng.random_range(0..7) {
        0 => format!("{name} is not {adjective}. So {name} is {opposite}."),
        1 => format!("{name} went to the {place} with {friend}."),
        2 => format!("The {} is {} the {place}.", animal.noun[0], pick(&PREPOSITIONS, rng)),
        3 => format!("{name} likes the {adjective} {}.", animal.noun[side]),
        4 => format!("The {object} are {adjective} and not {opposite}."),
        5 => format!("{name} is a {} and {friend} is {adjective}.", animal.noun[0]),
        _ => alphabet_piece(name, rng),
    };
    Document { answer_at: text.len(), text }
}

fn alphabet_piece(name: &str, rng: &mut ChaCha8Rng) -> String {
    let start = rng.random_range(b'a'..=b'v');
    let letters: Vec<String> =
        (start..start + 5).map(|letter| char::from(letter).to_string()).collect();
    format!("{name} reads {}.", letters.join(" "))
}
