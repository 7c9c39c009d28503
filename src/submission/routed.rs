//! The folder of a recipe with a document router: its merges as checkpoints, the gate, and a program that runs them.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::whole::{at, write_whole};
use super::{Output, RECIPE_FILE, SubmissionError, write_merged};
use crate::merge::MergePlan;
use crate::recipe::Recipe;

/// Runs the folder with torch and transformers.
pub(super) const LOADER: &str = include_str!("loader/routed.py");
/// Gate and routes, for the loader.
const ROUTER_FILE: &str = "router.json";
/// What a gate on hidden states reads prompts with.
const GATE_MODEL: &str = "gate-model";

/// A plain recipe and its plan.
pub struct PlannedMerge<'a> {
    pub recipe: &'a Recipe,
    /// Of its own folder.
    pub card: String,
    pub plan: &'a MergePlan<'a>,
}

/// What a routed folder is made of.
pub struct RoutedFolder<'a> {
    /// The whole recipe, router included.
    pub recipe: &'a Recipe,
    /// The fitted gate, as the loader reads it.
    pub gate: Value,
    /// By class.
    pub routes: &'a [usize],
    /// In the routes' order.
    pub merges: Vec<PlannedMerge<'a>>,
    /// The layers of the base model that a gate on hidden states needs.
    pub gate_model: Option<PlannedMerge<'a>>,
}

/// Writes `merge-0`, `merge-1`, … (checkpoints that transformers loads), `router.json`, `routed.py`, recipe and card: all or
/// nothing. A folder that exists and is not empty is never touched.
///
/// # Errors
/// See [`SubmissionError`].
pub fn write_routed(folder: &RoutedFolder, output: &Output) -> Result<(), SubmissionError> {
    write_whole(output.dir, |whole| write_parts(folder, output, whole))
}

fn write_parts(
    folder: &RoutedFolder,
    output: &Output,
    whole: &Path,
) -> Result<(), SubmissionError> {
    let names: Vec<String> =
        (0..folder.merges.len()).map(|merge| format!("merge-{merge}")).collect();
    let gate_model = folder.gate_model.iter().map(|own| (GATE_MODEL, own));
    for (name, own) in names.iter().map(String::as_str).zip(&folder.merges).chain(gate_model) {
        let dir = whole.join(name);
        write_merged(own.recipe, own.plan, &Output { dir: &dir, card: &own.card, ..*output })?;
    }
    let router = json!({ "gate": folder.gate, "routes": folder.routes, "merges": names });
    let texts = [
        (ROUTER_FILE, format!("{router:#}\n")),
        ("routed.py", LOADER.to_owned()),
        (RECIPE_FILE, folder.recipe.to_yaml()),
        ("README.md", output.card.to_owned()),
    ];
    for (name, text) in texts {
        let path = whole.join(name);
        fs::write(&path, text).map_err(at(&path))?;
    }
    Ok(())
}
