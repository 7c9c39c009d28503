//! Tensors that several networks have in common.

use std::collections::BTreeMap;

use candle_core::Result;

use super::Network;
use super::places::{Builder, Stored};
use crate::model::layers::Precision;
use crate::model::parts::{self, Part};
use crate::model::spec::NetworkSpec;

/// What is not allocated, by its name in the network that is built.
pub(super) type Lent = BTreeMap<String, Stored>;

impl Network {
    /// A network whose tensors are in part the memory of others, the rest zero. `lender` tells for a tensor of `spec` which
    /// network has the same one already, its weights written, and how it is called there: a merge that skips layers has
    /// another's layer 4 as its layer 3. What does not lie in the lender's memory in the same way (another shape, precision or
    /// cut) is not shared.
    ///
    /// While a tensor is shared nobody can write it, neither the lender nor the borrower; whoever is left alone with it can
    /// again. The sum of [`Self::bytes`] over networks that are alive counts all memory once.
    ///
    /// # Errors
    /// candle's.
    pub fn sharing<'a>(
        spec: &NetworkSpec,
        precision: Precision,
        lender: &dyn Fn(&str) -> Option<(&'a Network, String)>,
    ) -> Result<Self> {
        Self::build(spec, Builder::new(precision, lent(spec, precision, lender)))
    }

    /// Memory of the weights that were lent; also counted by who lent them.
    pub fn shared_bytes(&self) -> usize {
        self.shared_bytes
    }

    /// Whether another network has this tensor's memory too, so that it cannot be written.
    pub fn is_shared(&self, tensor: &str) -> bool {
        self.places.get(tensor).is_some_and(Stored::is_shared)
    }
}

/// Tensors of which every part lies ready.
fn lent<'a>(
    spec: &NetworkSpec,
    precision: Precision,
    lender: &dyn Fn(&str) -> Option<(&'a Network, String)>,
) -> Lent {
    let mut needed: BTreeMap<&str, Vec<Part>> = BTreeMap::new();
    for part in parts::of(spec) {
        needed.entry(part.tensor()).or_default().push(part);
    }
    let of = |(name, parts): (&str, Vec<Part>)| {
        let (network, other) = lender(name)?;
        let stored = network.places.get(&other)?;
        let has = parts.iter().all(|part| has(stored, part, precision));
        has.then(|| (name.to_owned(), stored.clone()))
    };
    needed.into_iter().filter_map(of).collect()
}

fn has(stored: &Stored, part: &Part, precision: Precision) -> bool {
    match part {
        Part::Matrix(spec) => stored.matrix(spec, precision).is_some(),
        Part::ScoreTable(spec) => stored.matrix(spec, Precision::F32).is_some(),
        Part::Bias(spec) | Part::Norm(spec) => stored.vector(spec).is_some(),
    }
}
