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

/// A device, and what the largest and the smallest candidate take there.
struct Taken {
    device: &'static Device,
    /// The largest, in the kit's precision or the one that is decided.
    wide: Estimate,
    /// The largest, in the least precision that may be meant.
    narrow: Estimate,
    /// The smallest, in the same.
    least: Estimate,
}

fn devices(time: &TimeRules, network: &Network) -> Vec<Finding> {
    let work = time.work_of(network);
    let [wide, narrow] = [Weights::F32, Weights::Bf16].map(|it| network.weights.unwrap_or(it));
    let [smallest, largest] = network.scales;
    let taken = |device: &'static Device| {
        let estimate = |weights, scale| network.estimate(device, weights, scale, &work);
        let (wide, least) = (estimate(wide, largest), estimate(narrow, smallest));
        Taken { device, wide, narrow: estimate(narrow, largest), least }
    };
    let tracks: Vec<Taken> = time.tracks.iter().map(|track| taken(track.0)).collect();
    let nowhere = !tracks.iter().any(|taken| taken.fits(&taken.least));
    let is_kit = time.work.is_none();
    tracks.iter().map(|taken| taken.finding(network, nowhere, is_kit)).collect()
}

impl Taken {
    fn fits(&self, estimate: &Estimate) -> bool {
        estimate.bytes() <= self.device.memory
    }

    fn finding(&self, network: &Network, nowhere: bool, is_kit: bool) -> Finding {
        let verdict = match self.fits(&self.wide) {
            true => Verdict::Pass,
            false if nowhere => Verdict::Fail,
            false => Verdict::Warn,
        };
        let Taken { device, wide, narrow, .. } = self;
        let mut evidence = format!("{} in {}", wide.bytes(), wide.weights.as_str());
        if narrow.weights != wide.weights {
            evidence.push_str(&format!(", {} in {}", narrow.bytes(), narrow.weights.as_str()));
        }
        let (parameters, scales) = (network.spec.parameters(), &network.scales_from);
        evidence.push_str(&format!(" of {} ({parameters} parameters, {scales})", device.memory));
        if is_kit {
            evidence.push_str(&self.kit_loader(network));
        }
        Finding::new("device_memory", device.name, verdict, evidence).remedy(
            "export with --dtype bfloat16, route between fewer merges, or merge a smaller model",
        )
    }

    fn kit_loader(&self, network: &Network) -> String {
        let (bytes, models) = (self.wide.kit_loader, network.checkpoints);
        let fits = match bytes > self.device.memory {
            true => "does not fit, and the exported class does not use it",
            false => "would fit too",
        };
        format!(
            "; the starter kit's own loader: {bytes} for {models} models and the base in fp32, which {fits}"
        )
    }
}

/// The class keeps the merged weights as the model and as what the kit saves, beside a tensor of every checkpoint.
fn host(gb: u64, network: &Network) -> Finding {
    let limit = Bytes(gb.saturating_mul(1_000_000_000));
    let tensor = network.largest_tensor();
    let tensors = tensor.0.saturating_mul(network.checkpoints + 1);
    let peak = |merged: Bytes| Bytes(merged.0.saturating_mul(2).saturating_add(tensors));
    let [merged, least] = network.extremes(|weights, scale| network.merged_bytes(weights, scale));
    let mut evidence = format!(
        "2 * {merged} of merged weights in {} + {} tensors of at most {tensor} = {}, of {limit}",
        network.weights.unwrap_or(Weights::F32).as_str(),
        network.checkpoints + 1,
        peak(merged),
    );
    if least != merged {
        evidence.push_str(&format!("; at least {}", peak(least)));
    }
    Finding::new("host_memory", "host", limited([peak(merged), peak(least)], limit), evidence)
        .remedy("export with --dtype bfloat16, or merge a smaller model")
}

/// Of the most that may be taken, and of the least.
pub(super) fn limited([most, least]: [Bytes; 2], limit: Bytes) -> Verdict {
    match () {
        () if most <= limit => Verdict::Pass,
        () if least <= limit => Verdict::Warn,
        () => Verdict::Fail,
    }
}
