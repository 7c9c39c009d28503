//! Memory of the device and of the host.

use serde::Deserialize;

use super::network::Network;
use super::time::TimeRules;
use super::{Finding, Verdict};
use crate::target::{Device, Estimate, Weights};
use crate::units::Bytes;

/// `[memory]`. What devices have is known of the tracks in `[time]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemoryRules {
    /// Who says so.
    pub source: String,
    /// RAM of the host, in gigabytes; absent: nobody says.
    pub host_gb: Option<u64>,
}

/// One finding per track, and one for the host.
pub fn check(rules: &MemoryRules, time: Option<&TimeRules>, network: &Network) -> Vec<Finding> {
    let mut findings = time.map_or_else(Vec::new, |time| devices(time, network));
    findings.extend(rules.host_gb.map(|gb| host(gb, network)));
    findings
}

fn devices(time: &TimeRules, network: &Network) -> Vec<Finding> {
    let work = time.work_of(network);
    let estimate = |device: &'static Device| {
        let weights = network.weights.unwrap_or(Weights::F32);
        [weights, network.weights.unwrap_or(Weights::Bf16)]
            .map(|weights| network.estimate(device, weights, network.scales[1], &work))
    };
    let tracks: Vec<[Estimate; 2]> = time.tracks.iter().map(|track| estimate(track.0)).collect();
    let fits = |of: &Estimate| of.bytes() <= of.device.memory;
    let nowhere = !tracks.iter().flatten().any(fits);
    tracks
        .iter()
        .map(|[wide, narrow]| {
            let verdict = match (fits(wide), fits(narrow)) {
                (true, _) => Verdict::Pass,
                (false, false) if nowhere => Verdict::Fail,
                (false, _) => Verdict::Warn,
            };
            of_device(network, [wide, narrow], verdict)
        })
        .collect()
}

fn of_device(network: &Network, [wide, narrow]: [&Estimate; 2], verdict: Verdict) -> Finding {
    let device = wide.device;
    let mut evidence = format!("{} in {}", wide.bytes(), wide.weights.as_str());
    if narrow.weights != wide.weights {
        evidence.push_str(&format!(", {} in {}", narrow.bytes(), narrow.weights.as_str()));
    }
    let loader = match wide.kit_loader > device.memory {
        true => "does not fit; the exported class does not use it",
        false => "fits too",
    };
    evidence.push_str(&format!(
        " of {} ({} parameters, {}); the starter kit's own loader would hold {} ({} models and the base in fp32), which {loader}",
        device.memory,
        network.spec.parameters(),
        network.scales_from,
        wide.kit_loader,
        network.checkpoints
    ));
    Finding::new("device_memory", device.name, verdict, evidence).remedy(
        "export with --dtype bfloat16, route between fewer merges, or merge a smaller model",
    )
}

/// The class keeps the merged weights as the model and as what the kit saves, beside a tensor of every checkpoint.
fn host(gb: u64, network: &Network) -> Finding {
    let limit = Bytes(gb.saturating_mul(1_000_000_000));
    let weights = network.weights.unwrap_or(Weights::F32);
    let (merged, tensor) = (network.merged_bytes(weights), network.largest_tensor());
    let tensors = tensor.0.saturating_mul(network.checkpoints + 1);
    let peak = Bytes(merged.0.saturating_mul(2).saturating_add(tensors));
    let verdict = if peak <= limit { Verdict::Pass } else { Verdict::Fail };
    let evidence = format!(
        "2 * {merged} of merged weights in {} + {} tensors of at most {tensor} = {peak}, of {limit}",
        weights.as_str(),
        network.checkpoints + 1,
    );
    Finding::new("host_memory", "host", verdict, evidence)
        .remedy("export with --dtype bfloat16, or merge a smaller model")
}
