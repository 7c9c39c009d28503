//! From settings to the numbers of one tensor.

use crate::recipe::{Kind, Levels, MergeMethod, ModelRef, ParameterSpec, Recipe, RescaleRule};

use super::{MergeError, Mixing, Operation, Sparsifier, TaskVectors};

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
    /// In order of the sources; the base is left out where the method sets it apart.
    pub(super) inputs: Vec<Scope<'a>>,
}

pub(super) fn operation(scopes: &Scopes) -> Result<Operation, MergeError> {
    match scopes.recipe.merge_method {
        MergeMethod::Linear => linear(scopes),
        MergeMethod::Slerp => Ok(Operation::Slerp { t: scopes.number("t")? }),
        MergeMethod::Nuslerp => Ok(Operation::Nuslerp {
            weights: scopes.numbers("weight")?,
            row_wise: scopes.truth("nuslerp_row_wise")?,
            flatten: scopes.truth("nuslerp_flatten")?,
        }),
        MergeMethod::Multislerp => multislerp(scopes),
        MergeMethod::Karcher => Ok(Operation::Karcher {
            max_iter: scopes.number("max_iter")? as usize,
            tol: scopes.number("tol")?,
        }),
        MergeMethod::TaskArithmetic
        | MergeMethod::Ties
        | MergeMethod::DareLinear
        | MergeMethod::DareTies
        | MergeMethod::Della
        | MergeMethod::DellaLinear
        | MergeMethod::Breadcrumbs
        | MergeMethod::BreadcrumbsTies => task_vectors(scopes),
        MergeMethod::Sce => Ok(Operation::Sce { select_topk: scopes.number("select_topk")? }),
        MergeMethod::Ram => Ok(Operation::Ram { epsilon: scopes.number("epsilon")? }),
        MergeMethod::RamplusTl => Ok(Operation::RamplusTl {
            r: scopes.number("r")?,
            alpha: scopes.number("alpha")?,
            epsilon: scopes.number("epsilon")?,
        }),
        MergeMethod::ModelStock => {
            Ok(Operation::ModelStock { filter_wise: scopes.truth("filter_wise")? })
        }
        MergeMethod::Nearswap => Ok(Operation::Nearswap { t: scopes.number("t")? }),
        MergeMethod::ArceeFusion => Ok(Operation::ArceeFusion),
        MergeMethod::Passthrough => {
            let scale = scopes.numbers("scale")?.first().copied().unwrap_or(1.0);
            Ok(Operation::Passthrough { scale: scale as f32 })
        }
        MergeMethod::GeometricMedian => geometric_median(scopes),
        MergeMethod::ExpertChoice => expert_choice(scopes),
    }
}

fn linear(scopes: &Scopes) -> Result<Operation, MergeError> {
    let (weights, normalize) = (scopes.weights()?, scopes.truth("normalize")?);
    if normalize {
        scopes.require_weight(f64::from(weights.iter().sum::<f32>()))?;
    }
    Ok(Operation::Linear { weights, normalize })
}

fn multislerp(scopes: &Scopes) -> Result<Operation, MergeError> {
    let weights = scopes.numbers("weight")?;
    let normalize_weights = scopes.truth("normalize_weights")?;
    if normalize_weights {
        scopes.require_weight(weights.iter().sum())?;
    }
    Ok(Operation::Multislerp { weights, normalize_weights, eps: scopes.number("eps")? })
}

fn geometric_median(scopes: &Scopes) -> Result<Operation, MergeError> {
    let weights = scopes.numbers("weight")?;
    scopes.require_weight(weights.iter().sum())?;
    Ok(Operation::GeometricMedian {
        weights,
        lambda: scopes.number("lambda")?,
        max_iter: scopes.number("max_iter")? as usize,
        tol: scopes.number("tol")?,
    })
}

/// Of equal weights the first.
fn expert_choice(scopes: &Scopes) -> Result<Operation, MergeError> {
    let weights = scopes.numbers("weight")?;
    let largest = weights.iter().copied().fold(f64::MIN, f64::max);
    let input = weights.iter().position(|weight| *weight == largest).unwrap_or(0);
    Ok(Operation::Take { input })
}

fn task_vectors(scopes: &Scopes) -> Result<Operation, MergeError> {
    use MergeMethod::{BreadcrumbsTies, DareTies, Della, Ties};
    let recipe = scopes.recipe;
    Ok(Operation::TaskVectors(TaskVectors {
        weights: scopes.weights()?,
        sparsifiers: sparsifiers(scopes)?,
        rescale: scopes.truth("rescale")?.then_some(recipe.rescale_by),
        mask_seed: if recipe.merge_method.is_random() { recipe.mask_seed } else { 0 },
        elect_sign: matches!(recipe.merge_method, Ties | DareTies | Della | BreadcrumbsTies),
        mixing: Mixing {
            normalize: scopes.truth("normalize")?,
            lambda: scopes.number("lambda")? as f32,
        },
    }))
}

fn sparsifiers(scopes: &Scopes) -> Result<Vec<Sparsifier>, MergeError> {
    let densities = scopes.numbers("density")?.into_iter();
    match scopes.recipe.merge_method {
        MergeMethod::Ties => {
            Ok(densities.map(|density| Sparsifier::Magnitude { density }).collect())
        }
        MergeMethod::DareLinear | MergeMethod::DareTies => {
            Ok(densities.map(|density| Sparsifier::Random { density }).collect())
        }
        MergeMethod::Breadcrumbs | MergeMethod::BreadcrumbsTies => {
            let outliers = |(density, gamma)| Sparsifier::Outliers { density, gamma };
            Ok(densities.zip(scopes.numbers("gamma")?).map(outliers).collect())
        }
        MergeMethod::Della | MergeMethod::DellaLinear => {
            let epsilons = scopes.numbers("epsilon")?;
            densities
                .zip(epsilons)
                .map(|(density, epsilon)| ranked(scopes, density, epsilon))
                .collect()
        }
        _ => Ok(densities.map(|_| Sparsifier::None).collect()),
    }
}

/// The probabilities from `density − epsilon` to `density + epsilon` must be between 0 and 1.
fn ranked(scopes: &Scopes, density: f64, epsilon: f64) -> Result<Sparsifier, MergeError> {
    let is_random = density > 0.0 && density < 1.0;
    if is_random && (density + epsilon >= 1.0 || density - epsilon <= 0.0) {
        let tensor = scopes.tensor.to_owned();
        return Err(MergeError::DropProbabilities { density, epsilon, tensor });
    }
    Ok(Sparsifier::Ranked { density, epsilon })
}

impl Scopes<'_> {
    fn weights(&self) -> Result<Vec<f32>, MergeError> {
        Ok(self.numbers("weight")?.into_iter().map(|weight| weight as f32).collect())
    }

    /// A parameter of each input.
    fn numbers(&self, parameter: &'static str) -> Result<Vec<f64>, MergeError> {
        let spec = self.spec(parameter)?;
        let value = |scope: &Scope| {
            self.value(spec, &scope.levels, scope.tensor, || format!("`{}`", scope.model))
        };
        self.inputs.iter().map(value).collect()
    }

    /// A parameter that all inputs share.
    fn number(&self, parameter: &'static str) -> Result<f64, MergeError> {
        let spec = self.spec(parameter)?;
        self.value(spec, &self.shared, self.tensor, || "all models".to_owned())
    }

    fn truth(&self, parameter: &'static str) -> Result<bool, MergeError> {
        Ok(self.number(parameter)? != 0.0)
    }

    fn spec(&self, parameter: &'static str) -> Result<&'static ParameterSpec, MergeError> {
        let method = self.recipe.merge_method;
        let valid = || method.parameters().iter().map(|spec| spec.name).collect::<Vec<_>>();
        method.parameter(parameter).ok_or_else(|| MergeError::UnknownParameter {
            method,
            parameter: parameter.to_owned(),
            valid: valid().join(", "),
        })
    }

    fn value(
        &self,
        spec: &'static ParameterSpec,
        levels: &Levels,
        tensor: &str,
        model: impl Fn() -> String,
    ) -> Result<f64, MergeError> {
        let set = match spec.kind {
            Kind::Truth => levels.truth(spec.name, tensor)?.map(|truth| f64::from(u8::from(truth))),
            Kind::Real { .. } => levels.number(spec.name, tensor),
            // Between the points of a gradient too.
            Kind::Whole { .. } => levels.number(spec.name, tensor).map(f64::trunc),
        };
        let value = set.or(spec.default).ok_or_else(|| MergeError::MissingParameter {
            method: self.recipe.merge_method,
            parameter: spec.name,
            model: model(),
            tensor: tensor.to_owned(),
        })?;
        if spec.kind.allows(value) {
            return Ok(value);
        }
        let (tensor, valid) = (tensor.to_owned(), spec.kind.to_string());
        Err(MergeError::ParameterValue { parameter: spec.name, found: value, tensor, valid })
    }

    fn require_weight(&self, sum: f64) -> Result<(), MergeError> {
        match sum == 0.0 {
            true => Err(MergeError::ZeroWeight { tensor: self.tensor.to_owned() }),
            false => Ok(()),
        }
    }
}

/// Parameters that the recipe sets and its method does not have; mergekit ignores them, and configurations that are in
/// use have them.
///
/// # Errors
/// One that no method has.
pub(super) fn unused_parameters(recipe: &Recipe) -> Result<Vec<String>, MergeError> {
    let method = recipe.merge_method;
    let names = recipe.all_parameters().flat_map(|all| all.iter().map(|(name, _)| name));
    let unknown = |parameter: &str| {
        let valid: Vec<&str> = method.parameters().iter().map(|spec| spec.name).collect();
        let (parameter, valid) = (parameter.to_owned(), valid.join(", "));
        MergeError::UnknownParameter { method, parameter, valid }
    };
    if recipe.rescale_by != RescaleRule::default() && !method.is_random() {
        return Err(unknown("rescale_by"));
    }
    let mut unused = Vec::new();
    for name in names.filter(|name| method.parameter(name).is_none()) {
        if !MergeMethod::any_has(name) {
            return Err(unknown(name));
        }
        if !unused.iter().any(|known| known == name) {
            unused.push(name.to_owned());
        }
    }
    Ok(unused)
}
