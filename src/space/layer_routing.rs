//! Raw → checked, for `[routing.layers]`.

use serde::Deserialize;

use super::error::{Blame, SpaceError};
use super::{DepthChoice, LayerRouting};
use crate::recipe::MergeMethod;

/// `[routing.layers]` as typed.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawLayerRouting {
    #[serde(default)]
    pub layers_per_block: Option<i64>,
    #[serde(default)]
    pub choose_source: bool,
    #[serde(default)]
    pub depth: Option<Vec<String>>,
    #[serde(default)]
    pub scale: Option<RawLayerScale>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawLayerScale {
    pub range: (f64, f64),
}

/// Larger factors on what a layer adds drown all that is before it.
const LARGEST_SCALE: f64 = 10.0;

pub(super) fn check(
    blame: &Blame<'_>,
    raw: &RawLayerRouting,
    methods: &[MergeMethod],
) -> Result<LayerRouting, SpaceError> {
    let routing = LayerRouting {
        layers_per_block: check_block(blame, raw.layers_per_block.unwrap_or(1))?,
        choose_source: raw.choose_source,
        depth: check_depth(blame, raw.depth.as_deref())?,
        scale: raw.scale.as_ref().map(|scale| check_scale(blame, scale.range)).transpose()?,
    };
    if !routing.choose_source && routing.depth.len() == 1 && routing.scale.is_none() {
        let valid =
            "left out, or with `choose_source = true`, `depth` of two words or more, or `scale`";
        return Err(blame.value("routing.layers", "without effect", valid));
    }
    if routing.choose_source {
        refuse(blame, "choose_source", methods, &gives_a_model_back)?;
    }
    if routing.scale.is_some() {
        refuse(blame, "scale", methods, &scales)?;
    }
    Ok(routing)
}

/// Methods that give a model back when its weight is 1 and the others' are 0.
fn gives_a_model_back(method: MergeMethod) -> bool {
    use MergeMethod::{
        Breadcrumbs, BreadcrumbsTies, DareLinear, DareTies, Della, DellaLinear, ExpertChoice,
        Linear, TaskArithmetic, Ties,
    };
    matches!(
        method,
        Linear
            | ExpertChoice
            | TaskArithmetic
            | Ties
            | DareLinear
            | DareTies
            | Della
            | DellaLinear
            | Breadcrumbs
            | BreadcrumbsTies
    )
}

/// Methods whose parameters can make a tensor greater as a whole, the base's part of it too.
fn scales(method: MergeMethod) -> bool {
    matches!(method, MergeMethod::Linear | MergeMethod::Passthrough)
}

fn refuse(
    blame: &Blame<'_>,
    key: &str,
    methods: &[MergeMethod],
    can: &dyn Fn(MergeMethod) -> bool,
) -> Result<(), SpaceError> {
    let Some(method) = methods.iter().find(|method| !can(**method)) else {
        return Ok(());
    };
    let able = MergeMethod::ALL.into_iter().filter(|method| can(*method));
    let able: Vec<_> = able.map(MergeMethod::as_str).collect();
    let valid = format!("left out, or only methods of {}", able.join(", "));
    Err(blame.value(&format!("routing.layers.{key}"), format!("set with method {method}"), valid))
}

fn check_block(blame: &Blame<'_>, layers: i64) -> Result<usize, SpaceError> {
    match usize::try_from(layers) {
        Ok(count @ 1..=1000) => Ok(count),
        _ => {
            let key = "routing.layers.layers_per_block";
            Err(blame.value(key, layers, "a whole number from 1 to 1000"))
        }
    }
}

/// The choices in the order of [`DepthChoice::ALL`], so that the first of a gene leaves things as they are.
fn check_depth(
    blame: &Blame<'_>,
    words: Option<&[String]>,
) -> Result<Vec<DepthChoice>, SpaceError> {
    let wrong = |found: String| {
        let words = DepthChoice::ALL.map(DepthChoice::as_str).join(", ");
        let valid = format!("a list of {words}, each at most once, `keep` among them");
        blame.value("routing.layers.depth", found, valid)
    };
    let Some(words) = words else {
        return Ok(vec![DepthChoice::Keep]);
    };
    let mut found = Vec::new();
    for word in words {
        match DepthChoice::ALL.into_iter().find(|choice| choice.as_str() == word) {
            Some(choice) if !found.contains(&choice) => found.push(choice),
            Some(_) => return Err(wrong(format!("with `{word}` twice"))),
            None => return Err(wrong(format!("with `{word}`"))),
        }
    }
    if !found.contains(&DepthChoice::Keep) {
        return Err(wrong("without `keep`".to_owned()));
    }
    found.sort();
    Ok(found)
}

fn check_scale(blame: &Blame<'_>, (low, high): (f64, f64)) -> Result<(f64, f64), SpaceError> {
    // 1 leaves a layer as it is: without it, no candidate would be the plain merge.
    if (0.0..=1.0).contains(&low) && (1.0..=LARGEST_SCALE).contains(&high) && low < high {
        return Ok((low, high));
    }
    let valid = format!("[low, high] with 0 <= low <= 1 <= high <= {LARGEST_SCALE}, low < high");
    Err(blame.value("routing.layers.scale.range", format!("[{low}, {high}]"), valid))
}
