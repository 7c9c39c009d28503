//! Random numbers by counter: which numbers a candidate gets depends on its place, not on what was
//! drawn before it.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::units::Seed;

/// Candidates per generation that have a stream of their own.
pub(super) const MOST_CANDIDATES: usize = 1 << 20;

/// The random numbers of candidate `index` of generation `generation`.
///
/// ChaCha8. The 32-byte key is the seed, 8 bytes little-endian, then the optimizer's name in ASCII
/// cut or zero-padded to 24 bytes, so two optimizers with one seed are independent. The 64-bit
/// stream is `generation` · 2²⁰ + `index`; the counter starts at 0. Everything a candidate needs,
/// resampling included, is drawn from its own stream.
pub(super) fn candidate_rng(name: &str, seed: Seed, generation: u64, index: usize) -> ChaCha8Rng {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.0.to_le_bytes());
    for (to, from) in key[8..].iter_mut().zip(name.bytes()) {
        *to = from;
    }
    let mut rng = ChaCha8Rng::from_seed(key);
    rng.set_stream(generation.wrapping_mul(MOST_CANDIDATES as u64).wrapping_add(index as u64));
    rng
}
