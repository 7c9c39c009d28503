//! Letters put in order or turned round. Full: "Tom writes k d p backwards:" → "p d k."

use rand::RngExt;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::lexicon::NAMES;
use crate::question::{Question, pick};

/// Sorts or reverses `n` different letters, 2 or 3.
pub fn rearrange(n: usize, rng: &mut ChaCha8Rng) -> Question {
    let mut alphabet: Vec<char> = ('a'..='z').collect();
    let letters = alphabet.partial_shuffle(rng, n).0.to_vec();
    let (sorted, reversed) = (sorted(&letters), letters.iter().rev().copied().collect());
    let (how, answer): (_, Vec<char>) =
        if rng.random_bool(0.5) { ("in order", sorted) } else { ("backwards", reversed) };
    let (name, verb) = (pick(&NAMES, rng), pick(&["writes", "reads"], rng));
    Question {
        prompt: format!("{name} {verb} {} {how}:", spaced(&letters)),
        distractors: distractors(&letters, &answer, rng),
        answer: format!("{}.", spaced(&answer)),
    }
}

fn sorted(letters: &[char]) -> Vec<char> {
    let mut sorted = letters.to_vec();
    sorted.sort_unstable();
    sorted
}

/// Other orders of the same letters. Two letters have one other order only; a letter is then
/// doubled.
fn distractors(letters: &[char], answer: &[char], rng: &mut ChaCha8Rng) -> [String; 3] {
    let mut wrong = if letters.len() == 2 { pairs(letters) } else { orders_of_three(letters) };
    wrong.retain(|order| order != answer);
    wrong.shuffle(rng);
    std::array::from_fn(|i| format!("{}.", spaced(&wrong[i])))
}

fn pairs(l: &[char]) -> Vec<Vec<char>> {
    [[0, 1], [1, 0], [0, 0], [1, 1]].map(|order| order.map(|i: usize| l[i]).to_vec()).to_vec()
}

fn orders_of_three(l: &[char]) -> Vec<Vec<char>> {
    const ORDERS: [[usize; 3]; 6] =
        [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
    ORDERS.map(|order| order.map(|i| l[i]).to_vec()).to_vec()
}

fn spaced(letters: &[char]) -> String {
    letters.iter().map(char::to_string).collect::<Vec<_>>().join(" ")
}
