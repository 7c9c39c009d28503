//! Where a search starts: the parents, recipes, earlier runs.

use std::path::Path;

use merge_search::genome::{Decoder, Genotype};
use merge_search::recipe::{Layout, ModelRef, Recipe};
use merge_search::record::RunFolder;
use merge_search::space::WarmStart;

use super::{Failure, tell};

/// Genotypes taken over from one run.
const FROM_RUN: usize = 4;

/// The genotypes that `starts` stand for, best first; `key` is where they are asked for.
pub fn genotypes(
    key: &str,
    starts: &[WarmStart],
    decoder: &Decoder,
) -> Result<Vec<Genotype>, Failure> {
    let mut genotypes = Vec::new();
    for start in starts {
        let found = match start {
            WarmStart::Parents => parents(key, decoder)?,
            WarmStart::At(path) if path.is_dir() => from_run(key, path, decoder)?,
            WarmStart::At(path) => vec![from_recipe(key, path, decoder)?],
        };
        for genotype in found {
            if !genotypes.contains(&genotype) {
                genotypes.push(genotype);
            }
        }
    }
    Ok(genotypes)
}

/// The uniform merge first: of the parents it is the one in the middle.
fn parents(key: &str, decoder: &Decoder) -> Result<Vec<Genotype>, Failure> {
    let mut parents = decoder.parents();
    parents.sort_by_key(|(name, _)| name != "uniform");
    if parents.is_empty() {
        let remedy = "let `weight` reach 0 and 1 (or 1 / number of experts) for each expert, or start from a recipe";
        return Err(Failure::input(format!(
            "{key} is \"parents\": the space can express neither the base, nor an expert, nor the uniform merge"
        ))
        .remedy(remedy));
    }
    Ok(parents.into_iter().map(|(_, genotype)| genotype).collect())
}

fn from_recipe(key: &str, path: &Path, decoder: &Decoder) -> Result<Genotype, Failure> {
    let file = path.display();
    let wrong = |error: &dyn std::fmt::Display| Failure::input(format!("{key}: {file}: {error}"));
    let text = std::fs::read_to_string(path).map_err(|error| {
        wrong(&error).remedy("give \"parents\", a recipe (YAML), or the folder of an earlier run")
    })?;
    let recipe = Recipe::from_yaml(&text).map_err(|error| wrong(&error))?;
    let folder = path.parent().unwrap_or(Path::new("."));
    let (genotype, difference) = decoder.nearest(&located(recipe, folder)).map_err(|error| {
        wrong(&error)
            .remedy("widen the search space so that it has this recipe, or start from another one")
    })?;
    if let Some(difference) = difference {
        tell(&format!("warning: {key}: {file}: {difference}; the search starts there"));
    }
    Ok(genotype)
}

fn from_run(key: &str, path: &Path, decoder: &Decoder) -> Result<Vec<Genotype>, Failure> {
    let run = RunFolder::open(path)?;
    let found = run.transfer(decoder.dimensions(), &decoder.start(), FROM_RUN)?;
    let folder = path.display();
    let warn = |genes: &[String], what: &str| {
        if let Some(first) = genes.first() {
            let more = genes.len();
            tell(&format!("warning: {key}: {folder}: {more} genes ({first}, ...) {what}"));
        }
    };
    warn(
        &found.missing,
        "of the space are not in that run, or are of another kind: they keep their start",
    );
    warn(&found.ignored, "of that run are not in the space: they are ignored");
    warn(
        &found.outside,
        "have values there that the space does not allow: those trials are left out",
    );
    if found.genotypes.is_empty() || found.missing.len() == decoder.dimensions().len() {
        return Err(Failure::input(format!(
            "{key}: {folder} has no trial whose genes this space can have"
        ))
        .remedy("start from a run of a like space, or from its best.yaml"));
    }
    Ok(found.genotypes)
}

/// Models that are folders, by their whole path, as a search space names them; relative ones from the recipe's folder or
/// else from the current one.
fn located(mut recipe: Recipe, folder: &Path) -> Recipe {
    if let Some(base) = &mut recipe.base_model {
        locate(base, folder);
    }
    match &mut recipe.layout {
        Layout::Models(entries) => {
            entries.iter_mut().for_each(|entry| locate(&mut entry.model, folder));
        }
        Layout::Slices(slices) => {
            for slice in slices {
                slice.base_model.iter_mut().for_each(|base| locate(base, folder));
                slice.sources.iter_mut().for_each(|source| locate(&mut source.model, folder));
            }
        }
        // Refused when it is encoded.
        Layout::Modules(_) => {}
    }
    for expert in recipe.token_router.iter_mut().flat_map(|router| &mut router.experts) {
        locate(&mut expert.source_model, folder);
    }
    for merge in recipe.document_router.iter_mut().flat_map(|router| &mut router.merges) {
        *merge = located(merge.clone(), folder);
    }
    recipe
}

fn locate(model: &mut ModelRef, folder: &Path) {
    let places = [folder.join(model.as_str()), Path::new(model.as_str()).to_owned()];
    let Some(path) = places.into_iter().find(|path| path.exists()) else {
        return;
    };
    let path = std::path::absolute(&path).unwrap_or(path);
    if let Ok(found) = ModelRef::new(path.display().to_string()) {
        *model = found;
    }
}
