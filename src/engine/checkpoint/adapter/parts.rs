//! From the names in the file to layers: which A belongs to which B.

use std::collections::BTreeMap;
use std::path::Path;

use super::AdapterError;
use super::names::{Place, place};
use crate::checkpoint::tensor::StoredTensor;

/// The file's tensors by what they are for; values are names in the file.
#[derive(Debug)]
pub(super) struct Parts {
    /// By the layer's path.
    pub(super) factors: BTreeMap<String, Factors>,
    /// By the weight's name.
    pub(super) whole: BTreeMap<String, String>,
}

/// One layer's.
#[derive(Debug)]
pub(super) struct Factors {
    pub(super) a: String,
    pub(super) b: String,
    pub(super) bias_of_b: Option<String>,
    pub(super) embedding: bool,
}

/// One layer's, as found so far.
#[derive(Debug, Default)]
struct Found {
    a: Option<(String, bool)>,
    b: Option<(String, bool)>,
    bias_of_b: Option<String>,
}

impl Parts {
    pub(super) fn sort(
        path: &Path,
        tensors: &BTreeMap<String, StoredTensor>,
    ) -> Result<Parts, AdapterError> {
        if tensors.is_empty() {
            return Err(AdapterError::Empty { path: path.to_owned() });
        }
        let (mut found, mut whole) = (BTreeMap::<String, Found>::new(), BTreeMap::new());
        for key in tensors.keys() {
            let unknown =
                || AdapterError::UnknownTensor { path: path.to_owned(), key: key.clone() };
            let earlier = match place(key).ok_or_else(unknown)? {
                Place::A { module, embedding } => {
                    let a = &mut found.entry(module).or_default().a;
                    a.replace((key.clone(), embedding)).map(|(key, _)| key)
                }
                Place::B { module, embedding } => {
                    let b = &mut found.entry(module).or_default().b;
                    b.replace((key.clone(), embedding)).map(|(key, _)| key)
                }
                Place::BiasOfB { module } => {
                    found.entry(module).or_default().bias_of_b.replace(key.clone())
                }
                Place::Whole { weight } => whole.insert(weight, key.clone()),
                Place::Ignored => None,
            };
            if let Some(first) = earlier {
                return Err(duplicate(path, &first, key));
            }
        }
        let pair =
            |(module, found): (String, Found)| found.pair(path).map(|factors| (module, factors));
        Ok(Parts { factors: found.into_iter().map(pair).collect::<Result<_, _>>()?, whole })
    }
}

impl Found {
    fn pair(self, path: &Path) -> Result<Factors, AdapterError> {
        let unpaired = |key: String, missing| {
            Err(AdapterError::Unpaired { path: path.to_owned(), key, missing })
        };
        match (self.a, self.b, self.bias_of_b) {
            (Some((a, embedding)), Some((b, of_embedding)), bias_of_b)
                if embedding == of_embedding =>
            {
                Ok(Factors { a, b, bias_of_b, embedding })
            }
            (Some((a, true)), _, _) => unpaired(a, "lora_embedding_B"),
            (Some((a, false)), _, _) => unpaired(a, "lora_B"),
            (None, Some((b, true)), _) => unpaired(b, "lora_embedding_A"),
            (None, Some((b, false)), _) => unpaired(b, "lora_A"),
            (None, None, bias) => unpaired(bias.unwrap_or_default(), "lora_A"),
        }
    }
}

pub(super) fn duplicate(path: &Path, first: &str, second: &str) -> AdapterError {
    let (first, second) = (first.to_owned(), second.to_owned());
    AdapterError::Duplicate { path: path.to_owned(), first, second }
}
