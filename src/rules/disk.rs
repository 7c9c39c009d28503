//! Room for what is downloaded and written.

use serde::Deserialize;

use super::network::Network;
use super::{Finding, Verdict};
use crate::target::Weights;
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
    let saved = network.merged_bytes(network.weights.unwrap_or(Weights::F32));
    let all = Bytes(network.stored.0.saturating_add(saved.0));
    let verdict = if all <= limit { Verdict::Pass } else { Verdict::Fail };
    let evidence = format!(
        "{} of snapshots ({}) + {saved} in safetensor.pt = {all}, of {limit}",
        network.stored, network.stored_from
    );
    Finding::new("disk", "snapshots", verdict, evidence).remedy("merge fewer or smaller models")
}
