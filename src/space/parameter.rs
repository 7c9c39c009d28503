//! Merge parameters that a space can fix or turn into genes.

use super::error::{Blame, SpaceError};
use super::raw::{RawChoice, RawGenes, RawParameter};
use crate::recipe::MergeMethod;

/// A parameter of mergekit's merge methods (or of the random masks) that a space can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ParameterName {
    /// Weight of an expert.
    Weight,
    /// Share of an expert's delta that is kept.
    Density,
    /// Factor on the merged delta.
    Lambda,
    /// Interpolation position of slerp.
    T,
    /// Divide by the sum of weights.
    Normalize,
    /// Rescale after random masks.
    Rescale,
    /// Seed of dare's random masks.
    MaskSeed,
}

impl ParameterName {
    pub(super) const ALL: [ParameterName; 7] = [
        Self::Weight,
        Self::Density,
        Self::Lambda,
        Self::T,
        Self::Normalize,
        Self::Rescale,
        Self::MaskSeed,
    ];

    /// The word in the space file and, `mask_seed` apart, in mergekit's YAML.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Weight => "weight",
            Self::Density => "density",
            Self::Lambda => "lambda",
            Self::T => "t",
            Self::Normalize => "normalize",
            Self::Rescale => "rescale",
            Self::MaskSeed => "mask_seed",
        }
    }

    /// Axes along which mergekit lets the parameter differ.
    fn axes(self) -> &'static [Axis] {
        match self {
            Self::Weight | Self::Density => &[Axis::Expert, Axis::Group, Axis::Depth],
            Self::T => &[Axis::Group, Axis::Depth],
            Self::Lambda | Self::Normalize | Self::Rescale | Self::MaskSeed => &[],
        }
    }

    /// Smallest and largest value that has a meaning.
    fn bounds(self) -> (f64, f64) {
        match self {
            Self::Weight | Self::Lambda => (-10.0, 10.0),
            Self::Density | Self::T => (0.0, 1.0),
            Self::Normalize | Self::Rescale => (0.0, 1.0),
            Self::MaskSeed => (0.0, 4_294_967_295.0),
        }
    }

    /// Whether the method looks the parameter up.
    pub(super) fn is_used_by(self, method: MergeMethod) -> bool {
        match self {
            Self::MaskSeed => method.is_random(),
            // mergekit accepts these two and does nothing with them.
            Self::Density | Self::Rescale if method == MergeMethod::TaskArithmetic => false,
            _ => method.parameters().contains(&self.as_str()),
        }
    }

    fn is_switch(self) -> bool {
        matches!(self, Self::Normalize | Self::Rescale)
    }
}

/// Something a parameter can have one value each for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Axis {
    /// One per expert.
    Expert,
    /// One per tensor group.
    Group,
    /// One per control point or layer block.
    Depth,
}

impl Axis {
    fn as_str(self) -> &'static str {
        match self {
            Axis::Expert => "expert",
            Axis::Group => "group",
            Axis::Depth => "depth",
        }
    }
}

/// One value of a parameter.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Choice {
    /// A number.
    Number(f64),
    /// A switch.
    Boolean(bool),
}

impl std::fmt::Display for Choice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Choice::Number(number) => number.fmt(f),
            Choice::Boolean(value) => value.fmt(f),
        }
    }
}

/// How a parameter gets its values.
#[derive(Debug, Clone, PartialEq)]
pub enum ParameterSpec {
    /// The same in every candidate.
    Fixed(Choice),
    /// Continuous genes.
    Range { low: f64, high: f64, initial: Option<f64>, per: Vec<Axis> },
    /// Integer genes: `low + gene * step`.
    Steps { low: f64, step: f64, last: i64, initial: Option<f64>, per: Vec<Axis> },
    /// Categorical genes.
    Choices { choices: Vec<Choice>, per: Vec<Axis> },
}

impl ParameterSpec {
    /// The axes along which its genes differ; none for a fixed value.
    pub fn per(&self) -> &[Axis] {
        match self {
            ParameterSpec::Fixed(_) => &[],
            ParameterSpec::Range { per, .. }
            | ParameterSpec::Steps { per, .. }
            | ParameterSpec::Choices { per, .. } => per,
        }
    }
}

/// Raw → checked, for one entry of `[parameters]`.
pub(super) fn check(
    blame: &Blame<'_>,
    key: &str,
    raw: &RawParameter,
) -> Result<(ParameterName, ParameterSpec), SpaceError> {
    let name =
        ParameterName::ALL.into_iter().find(|name| name.as_str() == key).ok_or_else(|| {
            let valid: Vec<_> = ParameterName::ALL.iter().map(|name| name.as_str()).collect();
            blame.value("parameters", format!("`{key}`"), valid.join(", "))
        })?;
    let key = format!("parameters.{key}");
    let spec = match raw {
        RawParameter::Number(number) => {
            ParameterSpec::Fixed(number_choice(blame, &key, name, *number)?)
        }
        RawParameter::Boolean(value) => {
            ParameterSpec::Fixed(boolean_choice(blame, &key, name, *value)?)
        }
        RawParameter::Genes(genes) => check_genes(blame, &key, name, genes)?,
    };
    Ok((name, spec))
}

fn number_choice(
    blame: &Blame<'_>,
    key: &str,
    name: ParameterName,
    number: f64,
) -> Result<Choice, SpaceError> {
    if name.is_switch() {
        return Err(blame.value(key, number, "true or false"));
    }
    let (low, high) = name.bounds();
    if !(low..=high).contains(&number) {
        return Err(blame.value(key, number, format!("a number in [{low}, {high}]")));
    }
    if name == ParameterName::MaskSeed && number.fract() != 0.0 {
        return Err(blame.value(key, number, "a whole number"));
    }
    Ok(Choice::Number(number))
}

fn boolean_choice(
    blame: &Blame<'_>,
    key: &str,
    name: ParameterName,
    value: bool,
) -> Result<Choice, SpaceError> {
    if name.is_switch() {
        return Ok(Choice::Boolean(value));
    }
    Err(blame.value(key, value, "a number, or a table with `range` or `choices`"))
}

fn check_genes(
    blame: &Blame<'_>,
    key: &str,
    name: ParameterName,
    genes: &RawGenes,
) -> Result<ParameterSpec, SpaceError> {
    let per = check_axes(blame, key, name, &genes.per)?;
    match (&genes.range, &genes.choices) {
        (Some(range), None) => check_range(blame, key, name, genes, *range, per),
        (None, Some(choices)) => check_choices(blame, key, name, genes, choices, per),
        (Some(_), Some(_)) => {
            Err(blame.value(key, "a table with both `range` and `choices`", "one of the two"))
        }
        (None, None) => Err(blame.value(
            key,
            "a table with neither `range` nor `choices`",
            "{ range = [low, high], initial = x, step = s, per = [...] } or { choices = [...] }",
        )),
    }
}

fn check_axes(
    blame: &Blame<'_>,
    key: &str,
    name: ParameterName,
    words: &[String],
) -> Result<Vec<Axis>, SpaceError> {
    let valid = name.axes();
    let shown = || match valid {
        [] => "no axes: mergekit has this parameter once per recipe".to_owned(),
        axes => axes.iter().map(|axis| axis.as_str()).collect::<Vec<_>>().join(", "),
    };
    let mut axes = Vec::new();
    for word in words {
        let axis = valid.iter().find(|axis| axis.as_str() == word);
        match axis {
            Some(axis) if !axes.contains(axis) => axes.push(*axis),
            _ => return Err(blame.value(&format!("{key}.per"), format!("`{word}`"), shown())),
        }
    }
    Ok(axes)
}

fn check_range(
    blame: &Blame<'_>,
    key: &str,
    name: ParameterName,
    genes: &RawGenes,
    (low, high): (f64, f64),
    per: Vec<Axis>,
) -> Result<ParameterSpec, SpaceError> {
    let shown = format!("[{low}, {high}]");
    if name.is_switch() {
        return Err(blame.value(key, shown, "true, false, or { choices = [true, false] }"));
    }
    let (least, most) = name.bounds();
    if !(low < high && least <= low && high <= most) {
        let valid = format!("low < high, both in [{least}, {most}]");
        return Err(blame.value(&format!("{key}.range"), shown, valid));
    }
    if let Some(initial) = genes.initial
        && !(low..=high).contains(&initial)
    {
        return Err(blame.value(
            &format!("{key}.initial"),
            initial,
            format!("a number in {shown}"),
        ));
    }
    let step = match (genes.step, name) {
        (None, ParameterName::MaskSeed) => Some(1.0),
        (step, _) => step,
    };
    let Some(step) = step else {
        return Ok(ParameterSpec::Range { low, high, initial: genes.initial, per });
    };
    // A hair of tolerance: 0.1 does not divide 1 in binary.
    let last = ((high - low) / step + 1e-9).floor();
    if !(step > 0.0 && (1.0..=1e6).contains(&last)) {
        let valid = format!("a positive number that fits into {shown} at least once");
        return Err(blame.value(&format!("{key}.step"), step, valid));
    }
    if name == ParameterName::MaskSeed && (low.fract() != 0.0 || step.fract() != 0.0) {
        return Err(blame.value(key, format!("{shown} by {step}"), "whole numbers"));
    }
    // The last step may fall short of the high end, and the start is on a step.
    let initial = genes.initial.map(|initial| ((initial - low) / step).round().min(last));
    Ok(ParameterSpec::Steps { low, step, last: last as i64, initial, per })
}

fn check_choices(
    blame: &Blame<'_>,
    key: &str,
    name: ParameterName,
    genes: &RawGenes,
    choices: &[RawChoice],
    per: Vec<Axis>,
) -> Result<ParameterSpec, SpaceError> {
    if genes.step.is_some() || genes.initial.is_some() {
        return Err(blame.value(key, "`choices` with `step` or `initial`", "`choices` alone"));
    }
    let key = format!("{key}.choices");
    if choices.len() < 2 {
        return Err(blame.value(&key, format!("{} long", choices.len()), "at least two values"));
    }
    let choices = choices
        .iter()
        .map(|choice| match choice {
            RawChoice::Number(number) => number_choice(blame, &key, name, *number),
            RawChoice::Boolean(value) => boolean_choice(blame, &key, name, *value),
        })
        .collect::<Result<Vec<_>, _>>()?;
    Ok(ParameterSpec::Choices { choices, per })
}
