//! `merge-search merge RECIPE.yaml -o DIR`: one merge from a mergekit recipe.

use std::path::PathBuf;

use clap::Args as ClapArgs;
use merge_search::checkpoint::Checkpoint;
use merge_search::evaluate::open_checkpoint;
use merge_search::recipe::{ModelRef, Recipe};
use merge_search::submission::{model_card, write_merged};

use super::workbench::hub;
use super::{Failure, print};

/// Builds a checkpoint from a mergekit recipe
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// mergekit configuration (YAML)
    recipe: PathBuf,
    /// Folder to write; must not exist or be empty
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
}

/// Merges and writes.
pub fn run(args: &Args) -> Result<(), Failure> {
    let recipe = Recipe::read(&args.recipe).map_err(|error| Failure::from_error(&error))?;
    write(&recipe, &args.output, &model_card(&recipe, &[], &[]))?;
    print(&format!("wrote {}\n", args.output.display()))
}

/// Opens the recipe's models and writes the merged checkpoint.
pub fn write(recipe: &Recipe, output: &std::path::Path, card: &str) -> Result<(), Failure> {
    let hub = hub();
    let open = |model: &&ModelRef| -> Result<(ModelRef, Checkpoint), Failure> {
        Ok(((*model).clone(), open_checkpoint(model, &hub)?))
    };
    let models = recipe.models().iter().map(open).collect::<Result<Vec<_>, _>>()?;
    let models: Vec<(ModelRef, &Checkpoint)> =
        models.iter().map(|(name, checkpoint)| (name.clone(), checkpoint)).collect();
    write_merged(recipe, &models, output, card).map_err(|error| Failure::from_error(&error))
}
