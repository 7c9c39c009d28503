//! Recipes that need no genotype.

use super::decode::recipe;
use crate::recipe::{Layout, MergeMethod, ModelEntry, ModelRef, Parameters, Recipe, Setting};
use crate::space::SearchSpace;

/// The recipe that gives `model` back unchanged.
pub fn passthrough_of(model: &ModelRef) -> Recipe {
    let entry = ModelEntry::new(model.clone(), Parameters::default());
    let layout = Layout::Models(vec![entry]);
    recipe(MergeMethod::Passthrough, None, layout, Parameters::default())
}

/// The plain average of the experts: the merge that everybody tries first.
pub fn uniform_average(space: &SearchSpace) -> Recipe {
    let one = || Parameters::from([("weight", Setting::from(1.0))]);
    let entries = space.experts.iter().map(|expert| ModelEntry::new(expert.model.clone(), one()));
    recipe(MergeMethod::Linear, None, Layout::Models(entries.collect()), Parameters::default())
}
