//! Rotary frequencies from either spelling: `rope_parameters` of transformers 5, `rope_theta` and `rope_scaling` of 4.

use std::f64::consts::PI;

use serde_json::Value;

use super::ConfigError;
use super::fields::{Fields, invalid, unsupported};
use crate::model::spec::RotarySpec;

/// Context length of the pretraining.
const ORIGINAL: &str = "original_max_position_embeddings";
const KINDS: &str = "default, linear, dynamic, llama3 or yarn";

/// What the kinds of scaling need besides their own parameters.
pub(super) struct RopeDefaults {
    pub head_dim: usize,
    pub theta: f64,
    /// `max_position_embeddings`.
    pub longest: usize,
}

/// Frequencies for every position up to `max_position_embeddings`.
pub(super) fn rotary(fields: &Fields, defaults: &RopeDefaults) -> Result<RotarySpec, ConfigError> {
    fields.only("partial_rotary_factor", &[1.0.into()])?;
    let empty = |value: &Value| value.as_object().is_some_and(|map| map.is_empty());
    // Where a file has both, transformers forgets the second.
    let found = ["rope_scaling", "rope_parameters"]
        .into_iter()
        .find_map(|field| Some(field).zip(fields.get(field).filter(|value| !empty(value))));
    let scaling = match found {
        Some((field, value)) => {
            if value.as_object().is_some_and(|map| map.values().any(Value::is_object)) {
                return Err(unsupported(
                    field,
                    value,
                    "one set of parameters for all layers".into(),
                ));
            }
            Some((field, fields.inner(field, value)?))
        }
        None => None,
    };
    let nested = match &scaling {
        Some((_, scaling)) => scaling.optional_number("rope_theta")?,
        None => None,
    };
    let theta = match nested {
        Some(theta) => theta,
        None => fields.number_or("rope_theta", defaults.theta)?,
    };
    let plain = frequencies(theta, defaults.head_dim);
    let Some((field, scaling)) = scaling else {
        return finite("rope_theta", RotarySpec { inverse_frequencies: plain, factor: 1.0 }, theta);
    };
    // One at the top level counts for more (Phi-3 has it there).
    let original = match fields.optional_number(ORIGINAL)? {
        Some(original) => original,
        None => scaling.number_or(ORIGINAL, defaults.longest as f64)?,
    };
    finite(field, scaled(field, &scaling, plain, theta, original, defaults)?, theta)
}

/// Refuses numbers so extreme that there are no angles left.
fn finite(field: &str, rotary: RotarySpec, theta: f64) -> Result<RotarySpec, ConfigError> {
    let all = rotary.inverse_frequencies.iter().chain([&rotary.factor]);
    if all.copied().all(f32::is_finite) {
        return Ok(rotary);
    }
    Err(invalid(field, &theta.into(), "parameters that give finite angles"))
}

/// `theta^(-2i / head_dim)`, in f32 as transformers computes it.
fn frequencies(theta: f64, head_dim: usize) -> Vec<f32> {
    let power = |i: usize| (theta as f32).powf((2 * i) as f32 / head_dim as f32);
    (0..head_dim / 2).map(|i| 1.0 / power(i)).collect()
}

fn scaled(
    field: &str,
    scaling: &Fields,
    plain: Vec<f32>,
    theta: f64,
    original: f64,
    defaults: &RopeDefaults,
) -> Result<RotarySpec, ConfigError> {
    scaling.only("partial_rotary_factor", &[1.0.into()])?;
    // Old files call the kind `type`.
    let kind = scaling
        .text(if scaling.get("rope_type").is_some() { "rope_type" } else { "type" }, "default")?;
    let known: &[&str] = match kind {
        // Up to max_position_embeddings, dynamic scaling changes nothing.
        "default" | "dynamic" => &["factor", ORIGINAL],
        "linear" => &["factor"],
        "llama3" => &["factor", "low_freq_factor", "high_freq_factor", ORIGINAL],
        "yarn" => &[
            "factor",
            ORIGINAL,
            "attention_factor",
            "beta_fast",
            "beta_slow",
            "mscale",
            "mscale_all_dim",
            "truncate",
        ],
        other => {
            return Err(unsupported(&format!("{field}.rope_type"), &other.into(), KINDS.into()));
        }
    };
    refuse_unknown(field, scaling, known)?;
    let required = |key: &str| {
        let missing = || ConfigError::Missing {
            field: format!("{field}.{key}"),
            expected: "a positive number",
        };
        scaling.optional_number(key)?.ok_or_else(missing)
    };
    let (inverse_frequencies, factor) = match kind {
        "linear" => {
            let factor = required("factor")? as f32;
            (plain.iter().map(|f| f / factor).collect(), 1.0)
        }
        "llama3" => {
            let bands = Llama3 {
                factor: required("factor")?,
                low: required("low_freq_factor")?,
                high: required("high_freq_factor")?,
                original,
            };
            (plain.iter().map(|f| bands.scale(*f)).collect(), 1.0)
        }
        "yarn" => {
            // `null` asks for the default, absence is an error.
            if !scaling.has("factor") {
                required("factor")?;
            }
            yarn(scaling, &plain, theta, original, defaults)?
        }
        _ => (plain, 1.0),
    };
    Ok(RotarySpec { inverse_frequencies, factor })
}

fn refuse_unknown(field: &str, scaling: &Fields, known: &[&str]) -> Result<(), ConfigError> {
    let always = ["rope_type", "type", "rope_theta", "partial_rotary_factor"];
    for (key, value) in scaling.keys().filter(|(_, value)| !value.is_null()) {
        if !known.contains(&key.as_str()) && !always.contains(&key.as_str()) {
            let names = known.join(", ");
            return Err(unsupported(&format!("{field}.{key}"), value, format!("none but {names}")));
        }
    }
    Ok(())
}

/// Llama 3.1: long waves are slowed by `factor`, short ones kept, those between interpolated.
struct Llama3 {
    factor: f64,
    low: f64,
    high: f64,
    /// Context length of the pretraining.
    original: f64,
}

impl Llama3 {
    fn scale(&self, frequency: f32) -> f32 {
        let wavelength = 2.0 * PI as f32 / frequency;
        let (original, factor) = (self.original as f32, self.factor as f32);
        if wavelength > original / self.low as f32 {
            return frequency / factor;
        }
        if wavelength < original / self.high as f32 {
            return frequency;
        }
        let (low, high) = (self.low as f32, self.high as f32);
        let smooth = (original / wavelength - low) / (high - low);
        (1.0 - smooth) * frequency / factor + smooth * frequency
    }
}

/// YaRN (Peng et al. 2023, section 3.2) as transformers parametrises it.
fn yarn(
    scaling: &Fields,
    plain: &[f32],
    theta: f64,
    original: f64,
    defaults: &RopeDefaults,
) -> Result<(Vec<f32>, f32), ConfigError> {
    let longest = defaults.longest as f64;
    let factor = scaling.optional_number("factor")?.unwrap_or(longest / original);
    let dim = defaults.head_dim as f64;
    let correction =
        |rotations: f64| dim * (original / (rotations * 2.0 * PI)).ln() / (2.0 * theta.ln());
    let low = correction(scaling.optional_number("beta_fast")?.unwrap_or(32.0));
    let high = correction(scaling.optional_number("beta_slow")?.unwrap_or(1.0));
    let (low, high) =
        if scaling.flag("truncate", true)? { (low.floor(), high.ceil()) } else { (low, high) };
    let (low, high) = (low.max(0.0), high.min(dim - 1.0));
    let width = if low == high { 0.001 } else { high - low };
    let blend = |(i, frequency): (usize, &f32)| {
        let kept = 1.0 - (((i as f64 - low) / width) as f32).clamp(0.0, 1.0);
        frequency / factor as f32 * (1.0 - kept) + frequency * kept
    };
    let frequencies = plain.iter().enumerate().map(blend).collect();
    Ok((frequencies, yarn_factor(scaling, factor)? as f32))
}

fn yarn_factor(scaling: &Fields, factor: f64) -> Result<f64, ConfigError> {
    let scale = |mscale: f64| if factor <= 1.0 { 1.0 } else { 0.1 * mscale * factor.ln() + 1.0 };
    if let Some(given) = scaling.optional_number("attention_factor")? {
        return Ok(given);
    }
    let both = (scaling.optional_number("mscale")?, scaling.optional_number("mscale_all_dim")?);
    Ok(match both {
        (Some(mscale), Some(all)) => scale(mscale) / scale(all),
        _ => scale(1.0),
    })
}

/// A head that can be rotated.
pub(super) fn require_even(field: &str, head_dim: usize) -> Result<(), ConfigError> {
    if head_dim > 0 && head_dim.is_multiple_of(2) {
        return Ok(());
    }
    let expected = "an even number (or hidden_size / num_attention_heads even)";
    Err(invalid(field, &head_dim.into(), expected))
}
