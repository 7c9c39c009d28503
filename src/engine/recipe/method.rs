use std::fmt;

use serde::Deserialize;

/// The merge methods. The names are mergekit's, but for the last two, which mergekit lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MergeMethod {
    /// Weighted mean (model soups, <https://arxiv.org/abs/2203.05482>).
    Linear,
    /// Spherical interpolation of two models.
    Slerp,
    /// Spherical interpolation of two models or task vectors by weights.
    Nuslerp,
    /// Weighted mean of directions and of norms.
    Multislerp,
    /// Karcher mean of directions (<https://arxiv.org/abs/2603.04972>).
    Karcher,
    /// Base plus weighted task vectors (<https://arxiv.org/abs/2212.04089>).
    TaskArithmetic,
    /// Trim, elect sign, disjoint merge (<https://arxiv.org/abs/2306.01708>).
    Ties,
    /// Random drop and rescale, then task arithmetic (<https://arxiv.org/abs/2311.03099>).
    DareLinear,
    /// Random drop and rescale, then the sign election of TIES.
    DareTies,
    /// Random drop by magnitude, then the sign election of TIES (<https://arxiv.org/abs/2406.11617>).
    Della,
    /// Random drop by magnitude, then task arithmetic.
    DellaLinear,
    /// Largest and smallest elements dropped, then task arithmetic (<https://arxiv.org/abs/2312.06795>).
    Breadcrumbs,
    /// Largest and smallest elements dropped, then the sign election of TIES.
    BreadcrumbsTies,
    /// Select, calculate, erase (<https://arxiv.org/abs/2408.07990>).
    Sce,
    /// Reinforced agent merging (<https://arxiv.org/abs/2601.13572>).
    Ram,
    /// The same with gains per tensor.
    RamplusTl,
    /// Interpolation by the angle between the experts (<https://arxiv.org/abs/2403.19522>).
    ModelStock,
    /// Moves towards the other model where it is near.
    Nearswap,
    /// Takes over the elements that matter most.
    ArceeFusion,
    /// Layers taken over as they are.
    Passthrough,
    /// Point of least total distance to the experts (Weiszfeld's algorithm); not in mergekit.
    GeometricMedian,
    /// Each tensor from the model of largest weight; not in mergekit.
    ExpertChoice,
}

/// A parameter of a method.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ParameterSpec {
    /// The word in the file.
    pub name: &'static str,
    /// Whether every model has a value of its own.
    pub scope: Scope,
    /// What it may be.
    pub kind: Kind,
    /// Where it is not set; truth values as 0 and 1. `None`: it must be set.
    pub default: Option<f64>,
}

/// Who has a value of a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// All models together.
    Shared,
    /// Each model that is merged.
    PerModel,
}

/// Values that a parameter can have.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// True or false.
    Truth,
    /// A number from `least` to `most`.
    Real {
        /// Smallest.
        least: f64,
        /// Largest.
        most: f64,
    },
    /// A whole number from `least` to `most`.
    Whole {
        /// Smallest.
        least: u32,
        /// Largest.
        most: u32,
    },
}

/// How many models a method merges, the base not counted (where it has one).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModelCount {
    /// At least.
    pub least: usize,
    /// At most.
    pub most: usize,
}

/// Whether a method sets one model apart as the base.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BaseUse {
    /// There must be one.
    Required,
    /// If there is one, task vectors are merged; if not, the models.
    Optional,
    /// A base among the models is a model like the others.
    Ignored,
}

const ANY: Kind = Kind::Real { least: f64::MIN, most: f64::MAX };
const SHARE: Kind = Kind::Real { least: 0.0, most: 1.0 };
const NOT_NEGATIVE: Kind = Kind::Real { least: 0.0, most: f64::MAX };

const fn shared(name: &'static str, kind: Kind, default: Option<f64>) -> ParameterSpec {
    ParameterSpec { name, scope: Scope::Shared, kind, default }
}

const fn per_model(name: &'static str, kind: Kind, default: Option<f64>) -> ParameterSpec {
    ParameterSpec { name, scope: Scope::PerModel, kind, default }
}

const WEIGHT: ParameterSpec = per_model("weight", ANY, None);
const DENSITY: ParameterSpec = per_model("density", NOT_NEGATIVE, Some(1.0));
const GAMMA: ParameterSpec = per_model("gamma", SHARE, Some(0.01));
const EPSILON: ParameterSpec = per_model("epsilon", SHARE, Some(0.15));
const LAMBDA: ParameterSpec = shared("lambda", ANY, Some(1.0));
const INT8_MASK: ParameterSpec = shared("int8_mask", Kind::Truth, Some(0.0));
const MAX_ITER: ParameterSpec =
    shared("max_iter", Kind::Whole { least: 0, most: 10_000 }, Some(10.0));

const fn switch(name: &'static str, default: bool) -> ParameterSpec {
    shared(name, Kind::Truth, Some(if default { 1.0 } else { 0.0 }))
}

/// The family of task arithmetic; `normalize` and `rescale` differ in their defaults.
const fn task_vectors(normalize: bool, rescale: bool) -> [ParameterSpec; 6] {
    let (normalize, rescale) = (switch("normalize", normalize), switch("rescale", rescale));
    [WEIGHT, DENSITY, normalize, rescale, LAMBDA, INT8_MASK]
}

const fn with(specs: [ParameterSpec; 6], more: ParameterSpec) -> [ParameterSpec; 7] {
    let [a, b, c, d, e, f] = specs;
    [a, b, c, d, e, f, more]
}

static LINEAR: [ParameterSpec; 2] = [WEIGHT, switch("normalize", true)];
static SLERP: [ParameterSpec; 1] = [shared("t", ANY, None)];
static NUSLERP: [ParameterSpec; 3] =
    [WEIGHT, switch("nuslerp_row_wise", false), switch("nuslerp_flatten", true)];
static MULTISLERP: [ParameterSpec; 3] =
    [WEIGHT, switch("normalize_weights", true), shared("eps", NOT_NEGATIVE, Some(1e-8))];
static KARCHER: [ParameterSpec; 2] = [MAX_ITER, shared("tol", NOT_NEGATIVE, Some(1e-5))];
static TASK_ARITHMETIC: [ParameterSpec; 6] = task_vectors(false, false);
static TIES: [ParameterSpec; 6] = task_vectors(true, false);
static DARE: [ParameterSpec; 6] = task_vectors(false, true);
static DELLA: [ParameterSpec; 7] = with(task_vectors(true, true), EPSILON);
static DELLA_LINEAR: [ParameterSpec; 7] = with(task_vectors(false, true), EPSILON);
static BREADCRUMBS: [ParameterSpec; 7] = with(task_vectors(false, false), GAMMA);
static SCE: [ParameterSpec; 2] = [INT8_MASK, shared("select_topk", SHARE, Some(1.0))];
static RAM: [ParameterSpec; 1] = [shared("epsilon", NOT_NEGATIVE, Some(1e-5))];
static RAMPLUS: [ParameterSpec; 3] = [
    shared("r", ANY, Some(0.1)),
    shared("alpha", ANY, Some(0.2)),
    shared("epsilon", NOT_NEGATIVE, Some(1e-5)),
];
static MODEL_STOCK: [ParameterSpec; 1] = [switch("filter_wise", false)];
static NEARSWAP: [ParameterSpec; 1] = [shared("t", ANY, None)];
static PASSTHROUGH: [ParameterSpec; 1] = [per_model("scale", ANY, Some(1.0))];
static GEOMETRIC_MEDIAN: [ParameterSpec; 4] = [
    per_model("weight", NOT_NEGATIVE, Some(1.0)),
    LAMBDA,
    shared("max_iter", Kind::Whole { least: 1, most: 10_000 }, Some(100.0)),
    shared("tol", NOT_NEGATIVE, Some(1e-6)),
];
static EXPERT_CHOICE: [ParameterSpec; 1] = [WEIGHT];

impl MergeMethod {
    /// All methods, in the order of the documentation.
    pub const ALL: [MergeMethod; 22] = [
        MergeMethod::Linear,
        MergeMethod::Slerp,
        MergeMethod::Nuslerp,
        MergeMethod::Multislerp,
        MergeMethod::Karcher,
        MergeMethod::TaskArithmetic,
        MergeMethod::Ties,
        MergeMethod::DareLinear,
        MergeMethod::DareTies,
        MergeMethod::Della,
        MergeMethod::DellaLinear,
        MergeMethod::Breadcrumbs,
        MergeMethod::BreadcrumbsTies,
        MergeMethod::Sce,
        MergeMethod::Ram,
        MergeMethod::RamplusTl,
        MergeMethod::ModelStock,
        MergeMethod::Nearswap,
        MergeMethod::ArceeFusion,
        MergeMethod::Passthrough,
        MergeMethod::GeometricMedian,
        MergeMethod::ExpertChoice,
    ];

    /// The word in the file.
    pub fn as_str(self) -> &'static str {
        match self {
            MergeMethod::Linear => "linear",
            MergeMethod::Slerp => "slerp",
            MergeMethod::Nuslerp => "nuslerp",
            MergeMethod::Multislerp => "multislerp",
            MergeMethod::Karcher => "karcher",
            MergeMethod::TaskArithmetic => "task_arithmetic",
            MergeMethod::Ties => "ties",
            MergeMethod::DareLinear => "dare_linear",
            MergeMethod::DareTies => "dare_ties",
            MergeMethod::Della => "della",
            MergeMethod::DellaLinear => "della_linear",
            MergeMethod::Breadcrumbs => "breadcrumbs",
            MergeMethod::BreadcrumbsTies => "breadcrumbs_ties",
            MergeMethod::Sce => "sce",
            MergeMethod::Ram => "ram",
            MergeMethod::RamplusTl => "ramplus_tl",
            MergeMethod::ModelStock => "model_stock",
            MergeMethod::Nearswap => "nearswap",
            MergeMethod::ArceeFusion => "arcee_fusion",
            MergeMethod::Passthrough => "passthrough",
            MergeMethod::GeometricMedian => "geometric_median",
            MergeMethod::ExpertChoice => "expert_choice",
        }
    }

    /// Whether the result depends on [`mask_seed`](super::Recipe::mask_seed).
    pub fn is_random(self) -> bool {
        use MergeMethod::{DareLinear, DareTies, Della, DellaLinear};
        matches!(self, DareLinear | DareTies | Della | DellaLinear)
    }

    /// Whether mergekit has the method.
    pub fn is_mergekits(self) -> bool {
        !matches!(self, MergeMethod::GeometricMedian | MergeMethod::ExpertChoice)
    }

    /// What the method does with a base model.
    pub fn base(self) -> BaseUse {
        use MergeMethod::{ExpertChoice, Karcher, Linear, Multislerp, Nuslerp, Passthrough};
        match self {
            Linear | Karcher | Passthrough | ExpertChoice => BaseUse::Ignored,
            Nuslerp | Multislerp => BaseUse::Optional,
            _ => BaseUse::Required,
        }
    }

    /// How many models it merges besides the base.
    pub fn count(self) -> ModelCount {
        use MergeMethod::{ArceeFusion, ModelStock, Nearswap, Nuslerp, Passthrough, Slerp};
        let (least, most) = match self {
            Passthrough | Slerp | Nearswap | ArceeFusion => (1, 1),
            Nuslerp => (2, 2),
            ModelStock => (2, usize::MAX),
            _ if self.base() == BaseUse::Required => (0, usize::MAX),
            _ => (1, usize::MAX),
        };
        ModelCount { least, most }
    }

    /// The parameters the method knows.
    pub fn parameters(self) -> &'static [ParameterSpec] {
        match self {
            MergeMethod::Linear => &LINEAR,
            MergeMethod::Slerp => &SLERP,
            MergeMethod::Nuslerp => &NUSLERP,
            MergeMethod::Multislerp => &MULTISLERP,
            MergeMethod::Karcher => &KARCHER,
            MergeMethod::TaskArithmetic => &TASK_ARITHMETIC,
            MergeMethod::Ties => &TIES,
            MergeMethod::DareLinear | MergeMethod::DareTies => &DARE,
            MergeMethod::Della => &DELLA,
            MergeMethod::DellaLinear => &DELLA_LINEAR,
            MergeMethod::Breadcrumbs | MergeMethod::BreadcrumbsTies => &BREADCRUMBS,
            MergeMethod::Sce => &SCE,
            MergeMethod::Ram => &RAM,
            MergeMethod::RamplusTl => &RAMPLUS,
            MergeMethod::ModelStock => &MODEL_STOCK,
            MergeMethod::Nearswap => &NEARSWAP,
            MergeMethod::ArceeFusion => &[],
            MergeMethod::Passthrough => &PASSTHROUGH,
            MergeMethod::GeometricMedian => &GEOMETRIC_MEDIAN,
            MergeMethod::ExpertChoice => &EXPERT_CHOICE,
        }
    }

    /// The method's parameter of that name.
    pub fn parameter(self, name: &str) -> Option<&'static ParameterSpec> {
        self.parameters().iter().find(|spec| spec.name == name)
    }

    /// Whether any method has a parameter of that name.
    pub fn any_has(name: &str) -> bool {
        MergeMethod::ALL.iter().any(|method| method.parameter(name).is_some())
    }
}

impl Kind {
    /// Whether a value (truth as 0 or 1) is one of these.
    pub fn allows(self, value: f64) -> bool {
        match self {
            Kind::Truth => value == 0.0 || value == 1.0,
            Kind::Real { least, most } => (least..=most).contains(&value),
            Kind::Whole { least, most } => {
                value.fract() == 0.0 && (f64::from(least)..=f64::from(most)).contains(&value)
            }
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Kind::Truth => f.write_str("true or false"),
            Kind::Real { most: f64::MAX, least: f64::MIN } => f.write_str("a number"),
            Kind::Real { most: f64::MAX, least } => write!(f, "a number, at least {least}"),
            Kind::Real { least, most } => write!(f, "{least} to {most}"),
            Kind::Whole { least, most } => write!(f, "a whole number from {least} to {most}"),
        }
    }
}

impl fmt::Display for MergeMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// How the kept elements of a dropped-out task vector make up for the dropped ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RescaleRule {
    /// So that the L1 norm is what it was before (mergekit since 2025-02).
    #[default]
    L1,
    /// By 1 / probability of being kept, which keeps the expectation (DARE paper, equation 2; DELLA paper,
    /// section 3; mergekit before).
    Density,
}

impl RescaleRule {
    /// The word in the file.
    pub fn as_str(self) -> &'static str {
        match self {
            RescaleRule::L1 => "l1",
            RescaleRule::Density => "density",
        }
    }
}
