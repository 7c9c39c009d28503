//! A planned tensor as Python is told about it.

use serde_json::{Map, Value, json};

use crate::merge::{Given, Input, Operation, PlannedTensor, Sparsifier, TaskVectors};
use crate::recipe::RescaleRule;

use super::base64;

/// What is done with a tensor.
pub(super) struct Form<'t> {
    /// The Python function, in a fragment of the same name.
    pub(super) operation: &'static str,
    /// The tensor that the function is given apart from the others.
    pub(super) base: Option<&'t Input>,
    /// Only those that are read.
    pub(super) inputs: Vec<&'t Input>,
    pub(super) parameters: Map<String, Value>,
    /// Names of fragments that are needed besides.
    pub(super) besides: Vec<&'static str>,
}

pub(super) fn form(tensor: &PlannedTensor) -> Form<'_> {
    let all: Vec<&Input> = tensor.inputs.iter().collect();
    let base = tensor.base.as_ref();
    match &tensor.operation {
        Operation::Linear { weights, normalize } => linear(all, weights, *normalize),
        Operation::Passthrough { scale: 1.0 } => copy(all.first().copied()),
        Operation::Passthrough { scale } => {
            linear(all.into_iter().take(1).collect(), &[*scale], false)
        }
        Operation::Take { input } => copy(all.get(*input).copied()),
        Operation::KeepBase => copy(base),
        Operation::Given(given) => plain("given", None, Vec::new(), given_values(tensor, given)),
        Operation::TaskVectors(vectors) => task_vectors(base, all, vectors),
        other => {
            let (operation, parameters) = whole_tensor(other);
            plain(operation, base, all, parameters)
        }
    }
}

/// The methods that look at whole tensors, by mergekit's names, with their parameters.
fn whole_tensor(operation: &Operation) -> (&'static str, Value) {
    match operation {
        Operation::Slerp { t } => ("slerp", json!({ "t": t })),
        Operation::Nuslerp { weights, row_wise, flatten } => {
            let axis = match (flatten, row_wise) {
                (true, _) => "whole",
                (false, true) => "first",
                (false, false) => "last",
            };
            ("nuslerp", json!({ "weights": singles(weights), "axis": axis }))
        }
        Operation::Multislerp { weights, normalize_weights, eps } => {
            let weights = singles(weights);
            (
                "multislerp",
                json!({ "weights": weights, "normalize": normalize_weights, "eps": eps }),
            )
        }
        Operation::Karcher { max_iter, tol } => {
            ("karcher", json!({ "max_iter": max_iter, "tol": tol }))
        }
        Operation::Sce { select_topk } => ("sce", json!({ "select_topk": select_topk })),
        Operation::Ram { epsilon } => ("ram", json!({ "epsilon": single(*epsilon as f32) })),
        Operation::RamplusTl { r, alpha, epsilon } => {
            let [r, alpha, epsilon] = [r, alpha, epsilon].map(|x| single(*x as f32));
            ("ramplus_tl", json!({ "r": r, "alpha": alpha, "epsilon": epsilon }))
        }
        Operation::ModelStock { filter_wise } => {
            ("model_stock", json!({ "filter_wise": filter_wise }))
        }
        Operation::Nearswap { t } => ("nearswap", json!({ "t": single(*t as f32) })),
        Operation::GeometricMedian { weights, lambda, max_iter, tol } => {
            let (weights, lambda) = (singles(weights), single(*lambda as f32));
            let stop =
                json!({ "weights": weights, "lambda": lambda, "max_iter": max_iter, "tol": tol });
            ("geometric_median", stop)
        }
        // The others are not of this kind.
        _ => ("arcee_fusion", json!({})),
    }
}

fn plain<'t>(
    operation: &'static str,
    base: Option<&'t Input>,
    inputs: Vec<&'t Input>,
    parameters: Value,
) -> Form<'t> {
    let parameters = parameters.as_object().cloned().unwrap_or_default();
    Form { operation, base, inputs, parameters, besides: Vec::new() }
}

fn copy(input: Option<&Input>) -> Form<'_> {
    plain("copy", None, input.into_iter().collect(), json!({}))
}

fn linear<'t>(inputs: Vec<&'t Input>, weights: &[f32], normalize: bool) -> Form<'t> {
    let sum: f32 = weights.iter().sum();
    let divisor = if normalize { sum } else { 1.0 };
    let weights: Vec<Value> = weights.iter().copied().map(single).collect();
    plain("linear", None, inputs, json!({ "weights": weights, "divisor": single(divisor) }))
}

fn given_values(tensor: &PlannedTensor, given: &Given) -> Value {
    json!({ "shape": tensor.shape, "values": base64::lines(given.values()) })
}

/// Divisors smaller than this leave the sum as it is, as in the merge.
const ZERO_WEIGHT: f32 = 1e-8;

fn task_vectors<'t>(
    base: Option<&'t Input>,
    inputs: Vec<&'t Input>,
    vectors: &TaskVectors,
) -> Form<'t> {
    let mixing = vectors.mixing;
    let weights: Vec<Value> = vectors.weights.iter().copied().map(single).collect();
    let sum: f32 = vectors.weights.iter().sum();
    let divides = mixing.normalize && sum.abs() >= ZERO_WEIGHT;
    let (operation, key, value) = match vectors.elect_sign {
        true => ("elected_task_vectors", "normalize", json!(mixing.normalize)),
        false => ("task_vectors", "divisor", single(if divides { sum } else { 1.0 })),
    };
    let parameters = json!({ "weights": weights, key: value, "lambda": single(mixing.lambda) });
    let mut form = plain(operation, base, inputs, parameters);
    if let Some((keep, parameters)) = sparsify(vectors) {
        form.parameters.extend(parameters);
        form.besides.extend(["sparse", keep]);
    } else {
        form.besides.push("dense");
    }
    form
}

/// How elements are left out; `None` where all are kept. The sparsifiers of one tensor are of one kind.
fn sparsify(vectors: &TaskVectors) -> Option<(&'static str, Map<String, Value>)> {
    let mut parameters = Map::new();
    let mut list = |key: &str, value: f64| {
        let list = parameters.entry(key).or_insert_with(|| json!([]));
        list.as_array_mut().into_iter().for_each(|list| list.push(json!(value)));
    };
    let mut keep = None;
    for sparsifier in &vectors.sparsifiers {
        keep = match *sparsifier {
            Sparsifier::None => continue,
            Sparsifier::Magnitude { density } => {
                list("density", density);
                Some("keep_largest")
            }
            Sparsifier::Outliers { density, gamma } => {
                list("density", density);
                list("gamma", gamma);
                Some("keep_below_outliers")
            }
            Sparsifier::Random { density } => {
                list("density", density);
                Some("keep_random")
            }
            Sparsifier::Ranked { density, epsilon } => {
                list("density", density);
                list("epsilon", epsilon);
                Some("keep_ranked")
            }
        };
    }
    let keep = keep?;
    let is_random = matches!(keep, "keep_random" | "keep_ranked");
    parameters.insert("keep".to_owned(), keep.into());
    if is_random {
        parameters.insert("seed".to_owned(), vectors.mask_seed.into());
    }
    match vectors.rescale {
        Some(RescaleRule::L1) => parameters.insert("rescale".to_owned(), "norm".into()),
        Some(RescaleRule::Density) if is_random => {
            parameters.insert("rescale".to_owned(), "probability".into())
        }
        _ => None,
    };
    Some((keep, parameters))
}

/// The shortest decimal that is this `f32`.
fn single(value: f32) -> Value {
    value.to_string().parse::<f64>().map_or(Value::Null, Value::from)
}

/// What is rounded to `f32` before it is used.
fn singles(values: &[f64]) -> Vec<Value> {
    values.iter().map(|value| single(*value as f32)).collect()
}
