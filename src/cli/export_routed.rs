//! A routed recipe as a folder: its merges, the fitted gate and a program that runs them.

use std::path::Path;

use merge_search::checkpoint::Checkpoint;
use merge_search::evaluate::{Verification, open_checkpoint, verify_export};
use merge_search::merge::MergePlan;
use merge_search::model::Reading;
use merge_search::recipe::{
    DocumentRouter, Features, LayerRange, MergeMethod, ModelRef, OutputSlice, Parameters, Recipe,
    SliceSource,
};
use merge_search::record::RunFolder;
use merge_search::submission::{Output, PlannedMerge, RoutedFolder, model_card, write_routed};
use merge_search::units::Bytes;

use super::workbench::{Workbench, hub};
use super::{Failure, merge, run_bench};

/// Fits the gate to the run's own documents and writes the folder; gives the largest difference of a log-probability between
/// two implementations of its merges.
pub fn write(
    recipe: &Recipe,
    router: &DocumentRouter,
    run: &RunFolder,
    output: &Path,
    card: &str,
    shard_size: Bytes,
) -> Result<f64, Failure> {
    let bench = run_bench::whole(run)?;
    refuse_what_the_loader_cannot(&bench, router)?;
    let gate = run_bench::fitted(&bench, &router.gate)?;
    let recipes: Vec<Recipe> =
        (0..=router.merges.len()).filter_map(|merge| recipe.merge(merge)).collect();
    let gate_recipe = gate_model(router.gate.features, &bench.decoder.space().base);
    let hub = hub();
    let named = recipe.models().into_iter().chain([&bench.decoder.space().base]);
    let open = |model: &ModelRef| -> Result<(ModelRef, Checkpoint), Failure> {
        Ok((model.clone(), open_checkpoint(model, &hub)?))
    };
    let models = named.map(open).collect::<Result<Vec<_>, _>>()?;
    let models: Vec<(ModelRef, &Checkpoint)> =
        models.iter().map(|(name, checkpoint)| (name.clone(), checkpoint)).collect();
    let plan = |recipe: &Recipe| merge::plan(recipe, &models, &bench.tasks);
    let plans = recipes.iter().map(plan).collect::<Result<Vec<MergePlan>, _>>()?;
    let gate_plan = gate_recipe.as_ref().map(plan).transpose()?;
    let folder = RoutedFolder {
        recipe,
        gate,
        routes: &router.routes,
        merges: recipes.iter().zip(&plans).map(planned).collect(),
        gate_model: gate_recipe.as_ref().zip(gate_plan.as_ref()).map(planned),
    };
    let layout = Output { dir: output, card, shard_size, progress: &|_| () };
    write_routed(&folder, &layout).map_err(|error| Failure::from_error(&error))?;
    let mut farthest = 0.0_f64;
    for merge in 0..recipes.len() {
        let checked = verify_export(&output.join(format!("merge-{merge}")));
        let Verification { difference, .. } =
            checked.map_err(|error| Failure::from_error(&error))?;
        farthest = farthest.max(difference);
    }
    Ok(farthest)
}

/// A part of the folder, whose card has no scores: they are the whole recipe's.
fn planned<'a>((recipe, plan): (&'a Recipe, &'a MergePlan<'a>)) -> PlannedMerge<'a> {
    PlannedMerge { recipe, card: model_card(recipe, None), plan }
}

/// Families whose decoder torch has under the names that the loader uses.
const FAMILIES: [&str; 7] = ["llama", "mistral", "mixtral", "qwen2", "qwen3", "gemma", "gemma2"];

fn refuse_what_the_loader_cannot(
    bench: &Workbench,
    router: &DocumentRouter,
) -> Result<(), Failure> {
    let spec = bench.evaluator.spec();
    let hidden = matches!(router.gate.features, Features::Hidden { .. });
    if spec.reading == Reading::Causal && (!hidden || FAMILIES.contains(&spec.family.as_str())) {
        return Ok(());
    }
    Err(Failure::input(format!(
        "routed.py does not run document routers{} of the family {}",
        if hidden { " on hidden states" } else { "" },
        spec.family
    ))
    .remedy("export another trial with --trial N, one without a document router"))
}

/// The base model's layers before the one whose input a gate sees; at least one, which a checkpoint must have.
fn gate_model(features: Features, base: &ModelRef) -> Option<Recipe> {
    let Features::Hidden { layer, .. } = features else { return None };
    let source = SliceSource {
        model: base.clone(),
        layer_range: LayerRange::new(0, layer.max(1))?,
        parameters: Parameters::default(),
    };
    let slice =
        OutputSlice { sources: vec![source], base_model: None, parameters: Parameters::default() };
    Some(Recipe::of_slices(MergeMethod::Passthrough, vec![slice]))
}
