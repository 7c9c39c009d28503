//! Choices of documents as tokens, for the sets that are made of the same documents again and again: to encode a document takes
//! longer than to score it with a small network.

use std::sync::{Arc, Mutex, PoisonError};

use super::TokenizeError;
use super::columns::Column;
use super::fingerprint::Fingerprint;
use super::lru::Lru;
use crate::model::Sequence;

/// The sequences of a document's choices, by kind.
pub(super) type ByColumn = Vec<(Column, Vec<Sequence>)>;

/// Where the documents of one task are, or will be; locked while they are encoded.
type Place = Arc<Mutex<Option<Arc<Vec<ByColumn>>>>>;

/// A bounded memory of tasks under certain prompts, each with all documents of a split.
pub(super) struct EncodedChoices(Mutex<Lru<Fingerprint, Place>>);

impl EncodedChoices {
    /// Holds up to `capacity` bytes.
    pub fn new(capacity: usize) -> Self {
        EncodedChoices(Mutex::new(Lru::new(capacity)))
    }

    /// What is held under `key`, or else what `encode` gives, which must not call rayon.
    pub fn get(
        &self,
        key: Fingerprint,
        encode: impl FnOnce() -> Result<Vec<ByColumn>, TokenizeError>,
    ) -> Result<Arc<Vec<ByColumn>>, TokenizeError> {
        let lock = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let place = {
            let mut held = lock();
            held.get(&key).unwrap_or_else(|| {
                let place = Place::default();
                held.insert(key, Arc::clone(&place), 0);
                place
            })
        };
        let mut made = place.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(encoded) = &*made {
            return Ok(Arc::clone(encoded));
        }
        let encoded = Arc::new(encode()?);
        lock().insert(key, Arc::clone(&place), bytes(&encoded));
        Ok(Arc::clone(made.insert(encoded)))
    }
}

fn bytes(docs: &[ByColumn]) -> usize {
    let sequences = docs.iter().flatten().flat_map(|(_, sequences)| sequences);
    let tokens = |sequence: &Sequence| sequence.source.len() + sequence.tokens.len();
    sequences.map(|own| size_of::<Sequence>() + size_of::<u32>() * tokens(own)).sum()
}
