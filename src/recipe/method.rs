use std::fmt;

use serde::Deserialize;

/// The merge methods, under mergekit's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MergeMethod {
    /// Weighted mean (model soups, <https://arxiv.org/abs/2203.05482>).
    Linear,
    /// Spherical interpolation of two models.
    Slerp,
    /// Base plus weighted task vectors (<https://arxiv.org/abs/2212.04089>).
    TaskArithmetic,
    /// Trim, elect sign, disjoint merge (<https://arxiv.org/abs/2306.01708>).
    Ties,
    /// Random drop and rescale, then task arithmetic (<https://arxiv.org/abs/2311.03099>).
    DareLinear,
    /// Random drop and rescale, then the sign election of TIES.
    DareTies,
    /// Layers taken over as they are.
    Passthrough,
}

impl MergeMethod {
    /// All methods, in the order of the documentation.
    pub const ALL: [MergeMethod; 7] = [
        MergeMethod::Linear,
        MergeMethod::Slerp,
        MergeMethod::TaskArithmetic,
        MergeMethod::Ties,
        MergeMethod::DareLinear,
        MergeMethod::DareTies,
        MergeMethod::Passthrough,
    ];

    /// The word in the file.
    pub fn as_str(self) -> &'static str {
        match self {
            MergeMethod::Linear => "linear",
            MergeMethod::Slerp => "slerp",
            MergeMethod::TaskArithmetic => "task_arithmetic",
            MergeMethod::Ties => "ties",
            MergeMethod::DareLinear => "dare_linear",
            MergeMethod::DareTies => "dare_ties",
            MergeMethod::Passthrough => "passthrough",
        }
    }

    /// Whether the result depends on [`mask_seed`](super::Recipe::mask_seed).
    pub fn is_random(self) -> bool {
        matches!(self, MergeMethod::DareLinear | MergeMethod::DareTies)
    }

    /// Whether the method needs a base model.
    pub fn needs_base(self) -> bool {
        !matches!(self, MergeMethod::Linear | MergeMethod::Passthrough)
    }

    /// The parameters the method knows, under mergekit's names.
    pub fn parameters(self) -> &'static [&'static str] {
        match self {
            MergeMethod::Linear => &["weight", "normalize"],
            MergeMethod::Slerp => &["t"],
            MergeMethod::Passthrough => &["scale"],
            MergeMethod::TaskArithmetic
            | MergeMethod::Ties
            | MergeMethod::DareLinear
            | MergeMethod::DareTies => {
                &["weight", "density", "normalize", "rescale", "lambda", "int8_mask"]
            }
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
    /// By `1 / density`, which keeps the expectation (the DARE paper, equation 2; mergekit before).
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

/// Floating-point types of weights, under mergekit's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dtype {
    /// IEEE single.
    Float32,
    /// IEEE half.
    Float16,
    /// The upper half of a single.
    Bfloat16,
}

impl Dtype {
    /// The word in the file.
    pub fn as_str(self) -> &'static str {
        match self {
            Dtype::Float32 => "float32",
            Dtype::Float16 => "float16",
            Dtype::Bfloat16 => "bfloat16",
        }
    }
}
