use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use sha2::{Digest, Sha256};

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

/// Elements whose words are drawn at a time.
const CHUNK: usize = 1024;

impl MaskKey<'_> {
    /// The word that decides an element, uniform on `0..2^32`; the element is kept if it is below `density · 2^32`.
    pub fn word(&self, element: u64) -> u32 {
        let mut stream = ChaCha8Rng::from_seed(self.digest());
        stream.set_word_pos(u128::from(element));
        stream.next_u32()
    }

    /// Sets elements to 0, each kept with probability `density`.
    pub fn apply(&self, density: f64, elements: &mut [f32]) {
        let threshold = (density * 2.0_f64.powi(32)).round() as u64;
        let mut stream = ChaCha8Rng::from_seed(self.digest());
        let mut words = [0_u8; 4 * CHUNK];
        for chunk in elements.chunks_mut(CHUNK) {
            let words = &mut words[..4 * chunk.len()];
            stream.fill_bytes(words);
            for (element, word) in chunk.iter_mut().zip(words.chunks_exact(4)) {
                let word = u32::from_le_bytes([word[0], word[1], word[2], word[3]]);
                *element = if u64::from(word) < threshold { *element } else { 0.0 };
            }
        }
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
