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
    /// The expert, as the recipe names it.
    pub model: &'a str,
    /// The output tensor's name.
    pub tensor: &'a str,
}

impl MaskKey<'_> {
    /// One word per element, uniform on `0..2^32`, from element `first` on.
    pub fn words(&self, first: u64) -> impl Iterator<Item = u32> + use<> {
        let mut stream = ChaCha8Rng::from_seed(self.digest());
        stream.set_word_pos(u128::from(first));
        std::iter::repeat_with(move || stream.next_u32())
    }

    /// Whether each element is kept, from the first on; kept with probability `density`.
    pub fn kept(&self, density: f64) -> impl Iterator<Item = bool> + use<> {
        let threshold = (density * 2.0_f64.powi(32)).round() as u64;
        self.words(0).map(move |word| u64::from(word) < threshold)
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
