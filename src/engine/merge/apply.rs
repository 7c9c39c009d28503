//! From a planned tensor to one whose parts can be merged: every method's share of work on the whole tensor.

use std::borrow::Cow;

use rayon::prelude::*;

use crate::checkpoint::Elements;

use super::prepared::{Prepared, Ranking};
use super::ready::{Expert, Ready, ReadyVectors, divisor};
use super::task_vector::TaskVector;
use super::{
    Amplification, MaskKey, MergeError, MergePlan, Operation, PlannedTensor, Sparsifier,
    SphereMean, TaskVectors, VectorAxis, Weiszfeld, arcee_fusion, geometric_median, karcher,
    model_stock, multislerp, nearswap, nuslerp, ram, ramplus_tl, sce, slerp_coefficients,
};

pub(super) fn ready<'a>(
    plan: &MergePlan<'a>,
    tensor: &PlannedTensor,
    prepared: Option<&Prepared>,
) -> Result<Ready<'a>, MergeError> {
    let (base, inputs) = elements(plan, tensor)?;
    match (&tensor.operation, base) {
        (Operation::Linear { weights, normalize }, _) => {
            let divisor = normalize.then(|| weights.iter().sum());
            let inputs = inputs.into_iter().zip(weights.iter().copied()).collect();
            Ok(Ready::Weighted { inputs, divisor })
        }
        (Operation::Passthrough { scale }, _) => Ok(one(inputs, 0, *scale)),
        (Operation::Take { input }, _) => Ok(one(inputs, *input, 1.0)),
        (Operation::KeepBase, base) => Ok(one(base.into_iter().collect(), 0, 1.0)),
        (Operation::Given(given), _) => Ok(Ready::Whole(given.values().to_vec())),
        (Operation::Slerp { t }, Some(base)) => Ok(slerp(base, inputs, *t)),
        (Operation::TaskVectors(operation), Some(base)) => {
            Ok(task_vectors(plan, tensor, operation, base, inputs, prepared))
        }
        (operation, base) => {
            let base = base.as_ref().map(Elements::all);
            let whole = inputs.iter().map(Elements::all).collect::<Vec<_>>();
            whole_tensor(operation, tensor, base, &whole)
        }
    }
}

/// Base and inputs, brought to the output's tokens where need be.
fn elements<'a>(
    plan: &MergePlan<'a>,
    tensor: &PlannedTensor,
) -> Result<(Option<Elements<'a>>, Vec<Elements<'a>>), MergeError> {
    let all = tensor.base.iter().chain(&tensor.inputs).map(|input| plan.elements(input));
    let mut all = all.collect::<Result<Vec<Elements>, _>>()?;
    if let Some(tokens) = &tensor.tokens {
        let whole: Vec<Cow<[f32]>> = all.iter().map(Elements::all).collect();
        let whole: Vec<&[f32]> = whole.iter().map(AsRef::as_ref).collect();
        let aligned = |input| tokens.alignment.aligned(input, &whole, tokens.axis).into();
        all = (0..whole.len()).map(aligned).collect();
    }
    let inputs = all.split_off(usize::from(tensor.base.is_some()));
    Ok((all.pop(), inputs))
}

fn one(inputs: Vec<Elements>, input: usize, scale: f32) -> Ready {
    let chosen = inputs.into_iter().nth(input);
    Ready::Weighted { inputs: chosen.into_iter().map(|x| (x, scale)).collect(), divisor: None }
}

fn slerp<'a>(base: Elements<'a>, inputs: Vec<Elements<'a>>, t: f64) -> Ready<'a> {
    let Some(model) = inputs.into_iter().next() else {
        return one(vec![base], 0, 1.0);
    };
    let (to_base, to_model) = slerp_coefficients(&base.all(), &model.all(), t);
    Ready::Weighted { inputs: vec![(base, to_base), (model, to_model)], divisor: None }
}

fn task_vectors<'a>(
    plan: &MergePlan<'a>,
    tensor: &PlannedTensor,
    operation: &TaskVectors,
    base: Elements<'a>,
    inputs: Vec<Elements<'a>>,
    prepared: Option<&Prepared>,
) -> Ready<'a> {
    let choose = |(i, elements): (usize, Elements<'a>)| {
        let sparsifier = operation.sparsifiers[i];
        let vector = TaskVector { base: &base, expert: &elements };
        let sparse = (sparsifier != Sparsifier::None).then(|| {
            let input = &tensor.inputs[i];
            let of_base = tensor.base.as_ref().unwrap_or(input);
            // Rows in the output's order depend on all models that take part, so nothing is kept of them.
            let prepared = prepared.filter(|_| tensor.tokens.is_none());
            let ranking = Ranking::new(prepared, of_base, input, tensor.width());
            let (seed, model) = (operation.mask_seed, plan.digest(input));
            let key = MaskKey { seed, model, tensor: &tensor.name };
            sparsifier.choose(vector, operation.rescale, key, &ranking)
        });
        Expert { elements, weight: operation.weights[i], sparse }
    };
    let experts = inputs.into_par_iter().enumerate().map(choose).collect();
    let (elect_sign, mixing) = (operation.elect_sign, operation.mixing);
    let divisor = divisor(operation);
    Ready::TaskVectors(ReadyVectors { base, experts, elect_sign, mixing, divisor })
}

/// The methods whose result for one element depends on all others in more than a number or a mask.
fn whole_tensor<'a>(
    operation: &Operation,
    tensor: &PlannedTensor,
    base: Option<Cow<[f32]>>,
    inputs: &[Cow<[f32]>],
) -> Result<Ready<'a>, MergeError> {
    let models: Vec<&[f32]> = inputs.iter().map(AsRef::as_ref).collect();
    let (base, width) = (base.as_deref(), tensor.width());
    let failed = |source: super::MeanError| MergeError::Values {
        tensor: tensor.name.clone(),
        source: Box::new(source),
    };
    let singles = |weights: &[f64]| weights.iter().map(|w| *w as f32).collect::<Vec<f32>>();
    let values = match (operation, base, models.as_slice()) {
        (Operation::Nuslerp { weights, row_wise, flatten }, base, [first, second]) => {
            let vectors = vectors(tensor, *row_wise, *flatten);
            let weights = [weights[0] as f32, weights[1] as f32];
            nuslerp(base, [first, second], weights, vectors)
        }
        (Operation::Multislerp { weights, normalize_weights, eps }, base, models) => {
            let options = SphereMean { normalize_weights: *normalize_weights, eps: *eps };
            multislerp(base, models, &singles(weights), options).map_err(failed)?
        }
        (Operation::Karcher { max_iter, tol }, _, models) => karcher(models, *max_iter, *tol),
        (Operation::Sce { select_topk }, Some(base), models) => sce(base, models, *select_topk),
        (Operation::Ram { epsilon }, Some(base), models) => ram(base, models, *epsilon as f32),
        (Operation::RamplusTl { r, alpha, epsilon }, Some(base), models) => {
            let amplification = Amplification { r: *r as f32, alpha: *alpha as f32 };
            ramplus_tl(base, models, amplification, *epsilon as f32)
        }
        (Operation::ModelStock { filter_wise }, Some(base), models) => {
            model_stock(base, models, filter_wise.then_some(width))
        }
        (Operation::Nearswap { t }, Some(base), [expert]) => nearswap(base, expert, *t as f32),
        (Operation::ArceeFusion, Some(base), [expert]) => arcee_fusion(base, expert, width),
        (Operation::GeometricMedian { weights, lambda, max_iter, tol }, base, models) => {
            let stop = Weiszfeld { max_iter: *max_iter, tol: *tol };
            geometric_median(base, models, &singles(weights), *lambda as f32, stop)
                .map_err(failed)?
        }
        // The planner has seen to it that every method has its base and its number of models.
        (_, base, _) => base.unwrap_or_default().to_vec(),
    };
    Ok(Ready::Whole(values))
}

/// mergekit's names: `row_wise` takes vectors along the first axis, not the last.
fn vectors(tensor: &PlannedTensor, row_wise: bool, flatten: bool) -> VectorAxis {
    match (flatten, row_wise) {
        (true, _) => VectorAxis::Whole,
        (false, true) => VectorAxis::First(tensor.shape.first().copied().unwrap_or(1)),
        (false, false) => VectorAxis::Last(tensor.width()),
    }
}
