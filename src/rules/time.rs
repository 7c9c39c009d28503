//! How long merging and evaluating take where they are judged.

use serde::Deserialize;

use super::measured::Measured;
use super::network::Network;
use super::{Finding, Verdict};
use crate::target::{
    DEVICES, Device, Estimate, Rows, Scale, Verdict as Fit, Weights, Work, kit_work, rates,
};

/// `[time]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TimeRules {
    /// Who says so.
    pub source: String,
    /// Together.
    pub minutes: f64,
    /// Devices, on one of which it has to keep the limit.
    pub tracks: Vec<Track>,
    /// What is evaluated; absent: the files of the merging competition's starter kit.
    pub work: Option<Vec<Rows>>,
}

/// A device by its name.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(try_from = "String")]
pub struct Track(pub &'static Device);

impl TryFrom<String> for Track {
    type Error = String;
    fn try_from(name: String) -> Result<Track, String> {
        let names = || DEVICES.map(|device| device.name).join(", ");
        let device = Device::named(&name);
        device.map(Track).ok_or_else(|| format!("no device `{name}`; valid: {}", names()))
    }
}

impl TimeRules {
    /// What a network has to do; nothing where it is of a kind that the evaluation cannot ask.
    pub fn work_of(&self, network: &Network) -> Vec<Work> {
        match &self.work {
            None => kit_work(&network.spec),
            Some(rows) => rows.iter().filter_map(|rows| rows.work(&network.spec)).collect(),
        }
    }
}

/// What is estimated for every track, and what was measured.
pub fn check(
    rules: &TimeRules,
    network: Result<&Network, &str>,
    measured: Option<&Measured>,
) -> Vec<Finding> {
    let mut findings = match network {
        Err(why) => vec![unknown(why)],
        Ok(network) => estimated(rules, network),
    };
    findings.push(of_measured(rules, measured));
    findings
}

fn unknown(why: &str) -> Finding {
    Finding::new("time", "estimate", Verdict::Unknown, why).remedy(
        "fetch the base model (or its config.json alone) into the hub cache, or give --evidence",
    )
}

fn estimated(rules: &TimeRules, network: &Network) -> Vec<Finding> {
    let work = rules.work_of(network);
    if work.is_empty() {
        let family = &network.spec.family;
        return vec![unknown(&format!("a `{family}` writes no texts, as the evaluation asks for"))];
    }
    let tracks: Vec<Reach> =
        rules.tracks.iter().map(|track| Reach::of(rules, network, track.0, &work)).collect();
    let nowhere = !tracks.iter().any(|track| track.is_kept());
    tracks.iter().map(|track| track.finding(rules, network, nowhere)).collect()
}

/// In the precision that fares best of those that may be meant.
fn best(
    rules: &TimeRules,
    network: &Network,
    device: &'static Device,
    scale: Scale,
    work: &[Work],
) -> (Estimate, Fit) {
    let of = |weights| {
        let estimate = network.estimate(device, weights, scale, work);
        let fit = estimate.within(rules.minutes);
        (estimate, fit)
    };
    let Some(weights) = network.weights else {
        let (single, half) = (of(Weights::F32), of(Weights::Bf16));
        // The kit's own precision, unless the other fares better.
        return if rank(half.1) < rank(single.1) { half } else { single };
    };
    of(weights)
}

/// The better, the lower; 0 keeps the limit with its margin.
fn rank(fit: Fit) -> u8 {
    match fit {
        Fit::Fits => 0,
        Fit::Tight => 1,
        Fit::TooSlow => 2,
        Fit::NoMemory => 3,
    }
}

fn said(rules: &TimeRules, estimate: &Estimate, fit: Fit) -> String {
    let minutes = estimate.seconds() / 60.0;
    format!(
        "{} in {}: estimated {minutes:.1} min * {} = {:.1} of {} min, {} of {}",
        fit.as_str(),
        estimate.weights.as_str(),
        rates::MARGIN,
        minutes * rates::MARGIN,
        rules.minutes,
        estimate.bytes(),
        estimate.device.memory
    )
}

fn of_measured(rules: &TimeRules, measured: Option<&Measured>) -> Finding {
    let Some(measured) = measured else {
        return Finding::new("time_measured", "dry run", Verdict::Unknown, "no report of a dry run given")
            .remedy("export with --dry-run-kit KIT_DIR --dry-run-report FILE, then check with --dry-run-report FILE");
    };
    let evidence = format!(
        "{:.1} min of {} for the kit's files, from {} rows on {} ({})",
        measured.minutes, rules.minutes, measured.rows, measured.machine, measured.file
    );
    let finding =
        |verdict, evidence: String| Finding::new("time_measured", "dry run", verdict, evidence);
    if rules.work.is_some() {
        let evidence = format!("{evidence}; these rules evaluate other questions");
        return finding(Verdict::Unknown, evidence)
            .remedy("rely on the estimate, or measure the evaluation of these rules yourself");
    }
    let verdict = match measured.minutes {
        _ if !rules.tracks.iter().any(|track| track.0.is_called(&measured.machine)) => {
            Verdict::Unknown
        }
        minutes if minutes * rates::MARGIN <= rules.minutes => Verdict::Pass,
        minutes if minutes <= rules.minutes => Verdict::Warn,
        _ => Verdict::Fail,
    };
    let tracks: Vec<&str> = rules.tracks.iter().map(|track| track.0.title).collect();
    finding(verdict, evidence).remedy(format!("repeat the dry run on {}", tracks.join(" or ")))
}

/// What one track has to say.
struct Reach {
    device: &'static Device,
    /// Of the smallest candidate, in the precision that fares best.
    least: Estimate,
    least_fit: Fit,
    /// Of the largest, if that is another.
    most: Option<(Estimate, Fit)>,
}

impl Reach {
    fn of(rules: &TimeRules, network: &Network, device: &'static Device, work: &[Work]) -> Reach {
        let [(least, least_fit), most] =
            network.scales.map(|scale| best(rules, network, device, scale, work));
        Reach { device, least, least_fit, most: Some(most).filter(|_| network.varies()) }
    }

    fn is_kept(&self) -> bool {
        matches!(self.least_fit, Fit::Fits | Fit::Tight)
    }

    fn finding(&self, rules: &TimeRules, network: &Network, nowhere: bool) -> Finding {
        let worst = self.most.as_ref().map_or(0, |(_, fit)| rank(*fit)).max(rank(self.least_fit));
        let verdict = match self.least_fit {
            Fit::TooSlow | Fit::NoMemory if nowhere => Verdict::Fail,
            _ if worst > 0 => Verdict::Warn,
            _ => Verdict::Pass,
        };
        let mut evidence = said(rules, &self.least, self.least_fit);
        let scales = &network.scales_from;
        evidence.push_str(&match &self.most {
            Some((most, fit)) => {
                format!("; the largest candidate ({scales}): {}", said(rules, most, *fit))
            }
            None => format!("; {scales}"),
        });
        evidence.push_str(&format!(
            "; {} checkpoints, {} ({}); {}",
            network.checkpoints, network.stored, network.stored_from, network.config
        ));
        Finding::new("time", self.device.name, verdict, evidence).remedy(self.remedy())
    }

    fn remedy(&self) -> &'static str {
        match (self.is_kept(), self.least_fit) {
            (false, Fit::NoMemory) => "export with --dtype bfloat16, or merge a smaller model",
            (false, _) => {
                "export with --dtype bfloat16, merge a smaller model, or write fewer tokens (--max-gen-len)"
            }
            (true, Fit::Fits) => {
                "keep candidates small: [constraints] max_relative_time and max_relative_memory in the space"
            }
            (true, _) => {
                "measure it: `export --format competition --dry-run-kit KIT_DIR` on such a device"
            }
        }
    }
}
