//! Merge parameters that a space can fix or turn into genes: their names, and where their values come from.

use crate::recipe::{Kind, MergeMethod, Scope};

/// A parameter of some merge method, or the seed of the random masks. Ordered as the methods' table first names them; the
/// seed is last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ParameterName {
    rank: usize,
    word: &'static str,
}

/// An entry of ours that mergekit keeps and never looks up.
const MASK_SEED: &str = "mask_seed";

/// Farther than this no weight, factor or threshold is searched, whatever its method allows.
const FARTHEST: f64 = 10.0;

impl ParameterName {
    /// Every name there is, in order.
    pub fn all() -> Vec<ParameterName> {
        let mut words: Vec<&'static str> = Vec::new();
        let table = MergeMethod::ALL.iter().flat_map(|method| method.parameters());
        for word in table.map(|parameter| parameter.name).chain([MASK_SEED]) {
            if !words.contains(&word) {
                words.push(word);
            }
        }
        words.into_iter().enumerate().map(|(rank, word)| ParameterName { rank, word }).collect()
    }

    /// The parameter of that name.
    pub fn find(word: &str) -> Option<ParameterName> {
        ParameterName::all().into_iter().find(|name| name.word == word)
    }

    /// The word in the space file and, `mask_seed` apart, in mergekit's YAML.
    pub fn as_str(self) -> &'static str {
        self.word
    }

    /// Whether the method's result depends on it.
    pub fn is_used_by(self, method: MergeMethod) -> bool {
        match self.word {
            MASK_SEED => method.is_random(),
            // mergekit accepts these two and does nothing with them.
            "density" | "rescale" if method == MergeMethod::TaskArithmetic => false,
            word => method.parameter(word).is_some(),
        }
    }

    /// What the method allows; `None` where the parameter is not the method's.
    pub(super) fn kind(self, method: MergeMethod) -> Option<Kind> {
        if self.word == MASK_SEED {
            return method.is_random().then_some(Kind::Whole { least: 0, most: u32::MAX });
        }
        method.parameter(self.word).map(|parameter| parameter.kind)
    }

    /// Smallest and largest value that a space may name for one method.
    pub(super) fn limits(self, kind: Kind) -> (f64, f64) {
        match kind {
            Kind::Truth => (0.0, 1.0),
            Kind::Whole { least, most } => (least.into(), most.into()),
            // mergekit takes a density above 1 for 1, which would make genes without effect.
            Kind::Real { least, .. } if self.word == "density" => (least, 1.0),
            Kind::Real { least, most } => (least.max(-FARTHEST), most.min(FARTHEST)),
        }
    }

    /// Axes along which mergekit lets the parameter differ in one method.
    pub(super) fn axes(self, method: MergeMethod) -> &'static [Axis] {
        match method.parameter(self.word).map(|parameter| parameter.scope) {
            Some(Scope::PerModel) => &[Axis::Expert, Axis::Group, Axis::Depth],
            Some(Scope::Shared) => &[Axis::Group, Axis::Depth],
            None => &[],
        }
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
    pub(super) fn as_str(self) -> &'static str {
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

impl Choice {
    /// A switch counts as 0 or 1.
    pub fn as_number(self) -> f64 {
        match self {
            Choice::Number(number) => number,
            Choice::Boolean(value) => f64::from(u8::from(value)),
        }
    }
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
