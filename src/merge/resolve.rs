//! From settings to the numbers of one tensor.

use crate::recipe::{Levels, MergeMethod, ModelRef, Recipe, RescaleRule};

use super::{MergeError, Mixing};

/// A method with the parameters that hold for one tensor; lists have one entry per expert (for linear: per model).
#[derive(Debug, Clone, PartialEq)]
pub enum Operation {
    /// [`super::linear()`].
    Linear { weights: Vec<f32>, normalize: bool },
    /// [`super::slerp()`].
    Slerp { t: f32 },
    /// [`super::task_arithmetic()`].
    TaskArithmetic { weights: Vec<f32>, mixing: Mixing },
    /// [`super::ties()`].
    Ties { weights: Vec<f32>, densities: Vec<f64>, rescale: bool, mixing: Mixing },
    /// [`super::dare_linear`], or [`super::dare_ties`] with `elect_sign`.
    Dare {
        weights: Vec<f32>,
        densities: Vec<f64>,
        rescale: Option<RescaleRule>,
        mixing: Mixing,
        elect_sign: bool,
    },
    /// [`super::passthrough()`].
    Passthrough { scale: Option<f32> },
}

/// One input whose parameters are looked up: the model, its tensor's name, and where its settings stand.
pub(super) struct Scope<'a> {
    pub(super) model: &'a ModelRef,
    pub(super) tensor: &'a str,
    pub(super) levels: Levels<'a>,
}

/// All that is known of one output tensor when its parameters are looked up.
pub(super) struct Scopes<'a> {
    pub(super) recipe: &'a Recipe,
    pub(super) tensor: &'a str,
    /// For parameters that all inputs share.
    pub(super) shared: Levels<'a>,
    /// In order of the sources; the base is left out except where it is an input like the others.
    pub(super) inputs: Vec<Scope<'a>>,
}

pub(super) fn operation(scopes: &Scopes) -> Result<Operation, MergeError> {
    match scopes.recipe.merge_method {
        MergeMethod::Linear => linear(scopes),
        MergeMethod::Slerp => {
            let missing = || scopes.missing("t", "all models".to_owned(), scopes.tensor);
            let t = scopes.shared.number("t", scopes.tensor).ok_or_else(missing)?;
            Ok(Operation::Slerp { t: t as f32 })
        }
        MergeMethod::TaskArithmetic => Ok(Operation::TaskArithmetic {
            weights: scopes.weights()?,
            mixing: scopes.mixing(false)?,
        }),
        MergeMethod::Ties => Ok(Operation::Ties {
            weights: scopes.weights()?,
            densities: scopes.densities()?,
            rescale: scopes.truth("rescale", false)?,
            mixing: scopes.mixing(true)?,
        }),
        MergeMethod::DareLinear => dare(scopes, false),
        MergeMethod::DareTies => dare(scopes, true),
        MergeMethod::Passthrough => {
            let scale = |scope: &Scope| scope.levels.number("scale", scope.tensor);
            let scale = scopes.inputs.first().and_then(scale).map(|scale| scale as f32);
            Ok(Operation::Passthrough { scale })
        }
    }
}

fn linear(scopes: &Scopes) -> Result<Operation, MergeError> {
    let (weights, normalize) = (scopes.weights()?, scopes.truth("normalize", true)?);
    if normalize && weights.iter().sum::<f32>() == 0.0 {
        return Err(MergeError::ZeroWeight { tensor: scopes.tensor.to_owned() });
    }
    Ok(Operation::Linear { weights, normalize })
}

fn dare(scopes: &Scopes, elect_sign: bool) -> Result<Operation, MergeError> {
    Ok(Operation::Dare {
        weights: scopes.weights()?,
        densities: scopes.densities()?,
        rescale: scopes.truth("rescale", true)?.then_some(scopes.recipe.rescale_by),
        mixing: scopes.mixing(false)?,
        elect_sign,
    })
}

impl Scopes<'_> {
    fn weights(&self) -> Result<Vec<f32>, MergeError> {
        let weight = |scope: &Scope| {
            let missing = || self.missing("weight", format!("`{}`", scope.model), scope.tensor);
            Ok(scope.levels.number("weight", scope.tensor).ok_or_else(missing)? as f32)
        };
        self.inputs.iter().map(weight).collect()
    }

    fn densities(&self) -> Result<Vec<f64>, MergeError> {
        let density = |scope: &Scope| {
            let density = scope.levels.number("density", scope.tensor).unwrap_or(1.0);
            if density >= 0.0 {
                return Ok(density);
            }
            let (parameter, tensor) = ("density", scope.tensor.to_owned());
            let valid = "0 to 1";
            Err(MergeError::ParameterValue { parameter, found: density, tensor, valid })
        };
        self.inputs.iter().map(density).collect()
    }

    fn mixing(&self, normalize: bool) -> Result<Mixing, MergeError> {
        let lambda = self.shared.number("lambda", self.tensor).unwrap_or(1.0);
        Ok(Mixing { normalize: self.truth("normalize", normalize)?, lambda: lambda as f32 })
    }

    fn truth(&self, parameter: &str, default: bool) -> Result<bool, MergeError> {
        Ok(self.shared.truth(parameter, self.tensor)?.unwrap_or(default))
    }

    fn missing(&self, parameter: &'static str, model: String, tensor: &str) -> MergeError {
        let method = self.recipe.merge_method;
        MergeError::MissingParameter { method, parameter, model, tensor: tensor.to_owned() }
    }
}
