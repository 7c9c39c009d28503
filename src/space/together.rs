//! Rules that span several keys of a space file.

use super::error::{Blame, SpaceError};
use super::parameter::{Axis, ParameterName, ParameterSpec};
use super::{Depth, Expert, SearchSpace, takes_pair};
use crate::recipe::{Kind, MergeMethod, ModelRef};

/// Checks what no key could be checked for by itself.
pub(super) fn check(blame: &Blame<'_>, space: &SearchSpace) -> Result<(), SpaceError> {
    check_distinct(blame, &space.base, &space.experts)?;
    for method in &space.methods {
        require_parameters(blame, space, *method)?;
        require_experts(blame, space, *method)?;
    }
    require_axes_used(blame, space)?;
    for (name, spec) in &space.parameters {
        refuse_interpolated_counts(blame, space, *name, spec)?;
    }
    let passthrough = space.methods.contains(&MergeMethod::Passthrough);
    if passthrough && !matches!(space.depth, Depth::Blocks { .. }) {
        let valid = "set with method passthrough: one expert owns each block of layers";
        return Err(blame.value("merge.layer_granularity", "missing", valid));
    }
    check_layer_scale(blame, space)?;
    check_choice(blame, space)
}

/// Passthrough's own factor has genes of the same names.
fn check_layer_scale(blame: &Blame<'_>, space: &SearchSpace) -> Result<(), SpaceError> {
    let scaled = space.routing.layers.as_ref().is_some_and(|routing| routing.scale.is_some());
    if scaled && space.parameters.keys().any(|name| name.as_str() == "scale") {
        let valid = "one of `parameters.scale` and `routing.layers.scale`";
        return Err(blame.value("routing.layers.scale", "given with `parameters.scale`", valid));
    }
    Ok(())
}

/// Genes for taking part must have experts to tell, and a method that asks them.
fn check_choice(blame: &Blame<'_>, space: &SearchSpace) -> Result<(), SpaceError> {
    let picks_its_own = |method: &MergeMethod| {
        takes_pair(*method) || matches!(method, MergeMethod::Nuslerp | MergeMethod::Passthrough)
    };
    let found = if space.experts.len() < 2 {
        "true with one expert"
    } else if space.methods.iter().all(picks_its_own) {
        "true with methods that have genes of their own for what they merge"
    } else {
        return Ok(());
    };
    if space.choose_experts {
        return Err(blame.value("merge.choose_experts", found, "false"));
    }
    Ok(())
}

/// What a method has no default for.
fn require_parameters(
    blame: &Blame<'_>,
    space: &SearchSpace,
    method: MergeMethod,
) -> Result<(), SpaceError> {
    let set = |name: &str| space.parameters.keys().any(|known| known.as_str() == name);
    let needed = method.parameters().iter().filter(|parameter| parameter.default.is_none());
    match needed.map(|parameter| parameter.name).find(|name| !set(name)) {
        None => Ok(()),
        Some(name) => {
            let valid = format!("a number or a range; {method} needs it");
            Err(blame.value(&format!("parameters.{name}"), "missing", valid))
        }
    }
}

/// Methods that one model and the base are enough for find the base among the models of a pair.
fn require_experts(
    blame: &Blame<'_>,
    space: &SearchSpace,
    method: MergeMethod,
) -> Result<(), SpaceError> {
    let (least, found) = (method.count().least, space.experts.len());
    if found >= least {
        return Ok(());
    }
    let valid = format!("at least {least} experts; {method} needs them");
    Err(blame.value("models.experts", format!("{found} long"), valid))
}

/// Groups, control points and blocks that no parameter differs by would be silently ignored.
fn require_axes_used(blame: &Blame<'_>, space: &SearchSpace) -> Result<(), SpaceError> {
    let used = |axis| space.parameters.values().any(|spec| spec.per().contains(&axis));
    if !space.groups.is_empty() && !used(Axis::Group) {
        let valid = "left out, or some parameter with \"group\" in its `per`";
        return Err(blame.value("merge.groups", "without effect", valid));
    }
    if space.depth != Depth::ControlPoints(1)
        && !used(Axis::Depth)
        && !space.methods.contains(&MergeMethod::Passthrough)
    {
        let valid = "left out, or some parameter with \"depth\" in its `per`";
        let key = match space.depth {
            Depth::ControlPoints(_) => "merge.control_points",
            Depth::Blocks { .. } | Depth::PointPerBlock { .. } => "merge.layer_granularity",
        };
        return Err(blame.value(key, "without effect", valid));
    }
    Ok(())
}

/// Between two control points a whole number would not stay whole.
fn refuse_interpolated_counts(
    blame: &Blame<'_>,
    space: &SearchSpace,
    name: ParameterName,
    spec: &ParameterSpec,
) -> Result<(), SpaceError> {
    let whole = |method: &MergeMethod| matches!(name.kind(*method), Some(Kind::Whole { .. }));
    let gradient = matches!(space.depth, Depth::ControlPoints(points) if points > 1);
    if gradient && spec.per().contains(&Axis::Depth) && space.methods.iter().any(whole) {
        let key = format!("parameters.{}.per", name.as_str());
        let valid = "whole numbers differ by `layer_granularity`, not by `control_points`";
        return Err(blame.value(&key, "`depth`", valid));
    }
    Ok(())
}

/// The same weights twice would be one expert counted double.
fn check_distinct(
    blame: &Blame<'_>,
    base: &ModelRef,
    experts: &[Expert],
) -> Result<(), SpaceError> {
    for (i, expert) in experts.iter().enumerate() {
        let twin = experts[..i].iter().find(|other| other.model == expert.model);
        let twin = twin.map(|other| other.name.as_str());
        if let Some(twin) = twin.or((expert.model == *base).then_some("base")) {
            let key = format!("models.experts.{}", expert.name);
            let found = format!("the same model as {twin}");
            return Err(blame.value(&key, found, "a model of its own"));
        }
    }
    Ok(())
}
