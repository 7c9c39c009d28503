//! What a gate sees of a prompt's text.
//!
//! Simple enough to be written again wherever an exported router runs:
//!
//! ```python
//! def fnv1a(data):                                      # 64 bits
//!     h = 0xcbf29ce484222325
//!     for byte in data:
//!         h = (h ^ byte) * 0x100000001b3 % 2**64
//!     return h
//!
//! def ngrams(prompt, buckets):
//!     text = prompt.encode().lower()                    # bytes; only A-Z are lowered
//!     words = re.findall(rb"[a-z0-9\x80-\xff]+", text)
//!     grams = [b"w" + word for word in words]
//!     grams += [b"b" + a + b" " + b for a, b in zip(words, words[1:])]
//!     grams += [b"c" + text[i:i + 3] for i in range(len(text) - 2)]
//!     counts = numpy.zeros(buckets)
//!     for gram in grams:
//!         h = fnv1a(gram)
//!         counts[(h ^ h >> 32) % buckets] += 1
//!     x = numpy.log1p(counts)
//!     return x / (numpy.linalg.norm(x) or 1.0)
//! ```

use crate::task::split::fnv1a;
use crate::task::{Answer, Doc};

/// Counts `c` of the hashed words, pairs of words and three-byte windows of a text as `ln(1 + c)`, of length 1; `[buckets]`.
/// All zero for a text without any.
pub(super) fn ngrams(text: &str, buckets: usize) -> Vec<f64> {
    let text = text.to_ascii_lowercase();
    let bytes = text.as_bytes();
    let mut counts = vec![0.0_f64; buckets];
    let mut count = |kind: u8, parts: [&[u8]; 3]| {
        let hash = fnv1a([&[kind], parts[0], parts[1], parts[2]].into_iter().flatten());
        let bucket = (hash ^ (hash >> 32)).checked_rem(buckets as u64).unwrap_or_default();
        if let Some(counted) = counts.get_mut(bucket as usize) {
            *counted += 1.0;
        }
    };
    let words: Vec<&[u8]> =
        bytes.split(|byte| !is_of_word(*byte)).filter(|word| !word.is_empty()).collect();
    words.iter().for_each(|word| count(b'w', [word, b"", b""]));
    words.iter().zip(words.iter().skip(1)).for_each(|(a, b)| count(b'b', [a, b" ", b]));
    bytes.windows(3).for_each(|window| count(b'c', [window, b"", b""]));
    of_length_one(counts.into_iter().map(f64::ln_1p).collect())
}

fn is_of_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || !byte.is_ascii()
}

fn of_length_one(vector: Vec<f64>) -> Vec<f64> {
    let norm = vector.iter().map(|x| x * x).sum::<f64>().sqrt();
    let norm = if norm > 0.0 { norm } else { 1.0 };
    vector.into_iter().map(|x| x / norm).collect()
}

/// Whether a choice is asked for (1 or 0), whether a text is, log2 of 1 + the prompt's characters, and the number of choices;
/// `[4]`.
pub(super) fn shape(doc: &Doc) -> Vec<f64> {
    let choice = f64::from(matches!(doc.answer, Answer::Choice { .. }));
    let length = (1.0 + doc.text.chars().count() as f64).log2();
    vec![choice, 1.0 - choice, length, doc.answer.choices().len() as f64]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fnv1a_of_the_published_vectors() {
        // Landon Noll's test vectors (draft-eastlake-fnv, appendix C).
        assert_eq!(fnv1a(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a(b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(fnv1a(b"foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn case_does_not_count_and_order_does() {
        assert_eq!(ngrams("Is it So?", 64), ngrams("is IT so?", 64));
        assert_ne!(ngrams("dog bites man", 64), ngrams("man bites dog", 64));
    }

    #[test]
    fn one_word_by_hand() {
        // "w" + "é" (two bytes, so no window of three), counted once: a single 1.
        let vector = ngrams("é", 16);
        assert_eq!(vector.iter().sum::<f64>(), 1.0);
        assert_eq!(vector.iter().filter(|x| **x == 0.0).count(), 15);
        assert_eq!(ngrams("", 3), [0.0; 3]);
        // Words a, a, pair "a a", window "a a": with one bucket ln 5 over its own length.
        assert_eq!(ngrams("a a", 1), [1.0]);
    }
}
