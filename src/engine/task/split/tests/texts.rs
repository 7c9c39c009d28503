//! Random texts that share long and short stretches.

use proptest::prelude::*;

/// The words of a text of ASCII letters, digits and punctuation.
pub fn plain_words(text: &str) -> Vec<String> {
    let lower = text.to_lowercase();
    let words = lower.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_owned).collect()
}

/// Up to `most` texts put together from stretches out of a small pool, so that some are alike, some nearly, some have
/// only the first, a template, in common; short ones and repetitions too.
pub fn mosaics(most: usize) -> impl Strategy<Value = Vec<String>> {
    let stretch = (0..24_u32, 1..16_u32);
    let text = (prop::bool::weighted(0.6), prop::collection::vec(stretch, 1..5));
    let texts = prop::collection::vec(text, 1..most);
    texts.prop_map(|texts| {
        texts.into_iter().map(|(template, parts)| mosaic(template, &parts)).collect()
    })
}

fn mosaic(template: bool, parts: &[(u32, u32)]) -> String {
    let mut words = Vec::new();
    if template {
        words.extend(
            "read what follows with care and answer the question in one word"
                .split(' ')
                .map(str::to_owned),
        );
    }
    for &(stretch, length) in parts {
        words.extend((0..length).map(|i| format!("s{stretch}w{i}")));
    }
    words.join(" ")
}

/// A text unlike every other with another number.
pub fn unlike(number: usize) -> String {
    let words: Vec<String> = (0..12).map(|i| format!("n{number}w{i}")).collect();
    words.join(" ")
}
