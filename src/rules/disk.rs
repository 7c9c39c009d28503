//! Room for what is downloaded and written.

use serde::Deserialize;

use super::Finding;
use super::memory::limited;
use super::network::Network;
use crate::units::Bytes;

/// `[disk]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DiskRules {
    /// Who says so.
    pub source: String,
    /// In gigabytes.
    pub gb: u64,
}

/// Snapshots of all models, and what the starter kit saves of the merged one.
pub fn check(rules: &DiskRules, network: &Network) -> Finding {
    let limit = Bytes(rules.gb.saturating_mul(1_000_000_000));
    let with = |saved: Bytes| Bytes(network.stored.0.saturating_add(saved.0));
    let [saved, least] = network.extremes(|weights, scale| network.merged_bytes(weights, scale));
    let verdict = limited([with(saved), with(least)], limit);
    let mut evidence = format!(
        "{} of snapshots ({}) + {saved} in safetensor.pt = {}, of {limit}",
        network.stored,
        network.stored_from,
        with(saved)
    );
    if least != saved {
        evidence.push_str(&format!("; at least {}", with(least)));
    }
    Finding::new("disk", "snapshots", verdict, evidence).remedy("merge fewer or smaller models")
}
