use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use rayon::prelude::*;
use sha2::{Digest, Sha256};

use crate::simd::vectorize;

/// What a random mask depends on, besides the density: nothing else, so neither the order in which tensors are merged
/// nor the number of threads.
///
/// Element `i` is decided by the `i`-th 32-bit word of a ChaCha8 stream whose key is the SHA-256 of seed, model and
/// tensor. ChaCha is counter-based, so any element can be had without those before it, its stream is fixed by a
/// standard rather than by a library's version, and hashing the names keeps the streams of tensors apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaskKey<'a> {
    /// The recipe's `mask_seed`.
    pub seed: u64,
    /// The expert: its checkpoint's digest, so that masks stay the same when folders move.
    pub model: &'a str,
    /// The output tensor's name.
    pub tensor: &'a str,
}

/// Elements whose words are drawn at a time; a multiple of 64.
const CHUNK: usize = 4096;

/// Elements that one thread decides at a time; a multiple of [`CHUNK`].
const SHARE: usize = 1 << 20;

impl MaskKey<'_> {
    /// The word that decides an element, uniform on `0..2^32`; the element is kept if it is below `density · 2^32`.
    pub fn word(&self, element: u64) -> u32 {
        let mut stream = ChaCha8Rng::from_seed(self.digest());
        stream.set_word_pos(u128::from(element));
        stream.next_u32()
    }

    /// One bit per element, set with probability `density`; bit `i % 64` of word `i / 64` is element `i`'s.
    pub(super) fn draw(&self, density: f64, elements: usize) -> Vec<u64> {
        let threshold = threshold(density);
        self.draw_each(elements, |_, words, bits| vectorize(move || below(words, threshold, bits)))
    }

    /// The same with a density for each element.
    pub(super) fn draw_by(
        &self,
        elements: usize,
        density: impl Fn(usize) -> f64 + Sync,
    ) -> Vec<u64> {
        self.draw_each(elements, |start, words, bits| {
            for (i, word) in words.iter().enumerate().take(elements - start) {
                let kept = *word < threshold(density(start + i));
                bits[i / 64] |= u64::from(kept) << (i % 64);
            }
        })
    }

    /// `decide` is given the index of the first element, [`CHUNK`] words, and the bits to set.
    fn draw_each(
        &self,
        elements: usize,
        decide: impl Fn(usize, &[u32], &mut [u64]) + Sync,
    ) -> Vec<u64> {
        let key = self.digest();
        let mut bits = vec![0_u64; elements.next_multiple_of(CHUNK) / 64];
        let shares = bits.par_chunks_mut(SHARE / 64).enumerate();
        shares.for_each(|(share, bits)| {
            let mut stream = ChaCha8Rng::from_seed(key);
            stream.set_word_pos((share * SHARE) as u128);
            let (mut bytes, mut words) = ([0_u8; 4 * CHUNK], [0_u32; CHUNK]);
            for (chunk, bits) in bits.chunks_mut(CHUNK / 64).enumerate() {
                stream.fill_bytes(&mut bytes);
                for (word, quad) in words.iter_mut().zip(bytes.as_chunks().0) {
                    *word = u32::from_le_bytes(*quad);
                }
                decide(share * SHARE + chunk * CHUNK, &words, bits);
            }
        });
        bits
    }

    fn digest(&self) -> [u8; 32] {
        let mut key = Sha256::new();
        key.update(self.seed.to_le_bytes());
        // Lengths keep ("ab", "c") and ("a", "bc") apart.
        for text in [self.model, self.tensor] {
            key.update((text.len() as u64).to_le_bytes());
            key.update(text.as_bytes());
        }
        key.finalize().into()
    }
}

/// `density · 2^32`; a density that rounds to 1 falls short of it by 2^-32.
fn threshold(density: f64) -> u32 {
    (density * 2.0_f64.powi(32)).round() as u32
}

#[inline(always)]
fn below(words: &[u32], threshold: u32, bits: &mut [u64]) {
    let half = |words: &[u32]| {
        // In this form the compiler compares 16 words at once.
        let set = |(i, word): (usize, &u32)| u32::from(*word < threshold) << i;
        words.iter().enumerate().map(set).fold(0, |all, bit| all | bit)
    };
    for (words, bits) in words.as_chunks::<64>().0.iter().zip(bits) {
        let (low, high) = (half(&words[..32]), half(&words[32..]));
        *bits = u64::from(high) << 32 | u64::from(low);
    }
}
