//! The merge column against mergekit 0.1.5: its outputs (made by `reference/mergekit/make.py`) and its file format.

use std::fs;
use std::path::{Path, PathBuf};

use merge_search::checkpoint::{Checkpoint, Dtype, OutputConfig, write_checkpoint};
use merge_search::merge::{MergePlan, MergedTensor, merge_all, merge_all_parallel, stored_dtype};
use merge_search::recipe::{ModelRef, Recipe};

/// Largest difference from mergekit, as a share of the tensor's largest element. Both sum in `f32`, in another order.
const TOLERANCE: f32 = 1e-6;

fn reference() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/mergekit")
}

fn recipes() -> Vec<(String, Recipe)> {
    let entries = fs::read_dir(reference().join("recipes")).unwrap();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let named = |path: &PathBuf| {
        (
            path.file_stem().unwrap().to_str().unwrap().to_owned(),
            Recipe::read(path).unwrap(),
        )
    };
    paths.iter().map(named).collect()
}

fn checkpoints(recipe: &Recipe) -> Vec<(ModelRef, Checkpoint)> {
    let open = |model: &&ModelRef| {
        (
            (*model).clone(),
            Checkpoint::open(&reference().join(model.path())).unwrap(),
        )
    };
    recipe.models().iter().map(open).collect()
}

fn borrowed(models: &[(ModelRef, Checkpoint)]) -> Vec<(ModelRef, &Checkpoint)> {
    models
        .iter()
        .map(|(model, checkpoint)| (model.clone(), checkpoint))
        .collect()
}

fn largest(values: impl Iterator<Item = f32>) -> f32 {
    values.fold(0.0, |largest, value| {
        if value.is_nan() {
            value
        } else {
            largest.max(value.abs())
        }
    })
}

/// Names, shapes and elements (in `f32`) of a safetensors file.
fn stored(path: &Path) -> Vec<MergedTensor> {
    let bytes = fs::read(path).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let tensor = |(name, view): (String, safetensors::tensor::TensorView)| {
        let values = match view.dtype() {
            safetensors::Dtype::F32 => (view.data().chunks_exact(4))
                .map(|b| f32::from_le_bytes(b.try_into().unwrap()))
                .collect(),
            safetensors::Dtype::BF16 => (view.data().chunks_exact(2))
                .map(|b| f32::from_bits(u32::from(u16::from_le_bytes(b.try_into().unwrap())) << 16))
                .collect(),
            other => panic!("{other:?}"),
        };
        MergedTensor {
            name,
            shape: view.shape().to_vec(),
            values,
        }
    };
    let mut tensors: Vec<MergedTensor> = file.tensors().into_iter().map(tensor).collect();
    tensors.sort_by(|a, b| a.name.cmp(&b.name));
    tensors
}

/// Largest relative difference over the tensors, which must have the same names and shapes.
fn difference(recipe: &str, ours: &[MergedTensor], theirs: &[MergedTensor]) -> f32 {
    let names = |tensors: &[MergedTensor]| -> Vec<(String, Vec<usize>)> {
        tensors
            .iter()
            .map(|tensor| (tensor.name.clone(), tensor.shape.clone()))
            .collect()
    };
    assert_eq!(names(ours), names(theirs), "{recipe}");
    let of_tensor = |(a, b): (&MergedTensor, &MergedTensor)| {
        let scale = largest(b.values.iter().copied()).max(f32::MIN_POSITIVE);
        largest(a.values.iter().zip(&b.values).map(|(x, y)| x - y)) / scale
    };
    largest(ours.iter().zip(theirs).map(of_tensor))
}

#[test]
fn every_recipe_gives_what_mergekit_gives() {
    let recipes = recipes();
    assert!(recipes.len() >= 15, "{}", recipes.len());
    for (name, recipe) in recipes {
        let models = checkpoints(&recipe);
        let plan = MergePlan::new(&recipe, &borrowed(&models)).unwrap();
        let mut ours = merge_all(&plan).unwrap();
        assert_eq!(ours, merge_all_parallel(&plan).unwrap(), "{name}");
        ours.sort_by(|a, b| a.name.cmp(&b.name));
        let theirs = stored(&reference().join(format!("expected/{name}.safetensors")));
        // A bfloat16 has 8 significant bits: rounding changes a number by at most 2^-8 of it.
        let rounded = stored_dtype(&recipe) == Some(Dtype::BF16);
        let tolerance = if rounded { 1.0 / 256.0 } else { TOLERANCE };
        let difference = difference(&name, &ours, &theirs);
        println!("{name}: {difference:.1e}");
        assert!(difference <= tolerance, "{name}: {difference:e}");
    }
}

#[test]
fn a_written_checkpoint_holds_what_mergekit_stores() {
    for name in ["linear-bfloat16", "linear-tied", "passthrough-stack"] {
        let recipe = Recipe::read(&reference().join(format!("recipes/{name}.yaml"))).unwrap();
        let models = checkpoints(&recipe);
        let plan = MergePlan::new(&recipe, &borrowed(&models)).unwrap();
        let merged = merge_all(&plan).unwrap();
        let out = tempfile::tempdir().unwrap();
        let dir = out.path().join("merged");
        let config = OutputConfig {
            source: &models[0].1,
            source_layers: plan.source_layers(),
            dtype: stored_dtype(&recipe).unwrap(),
        };
        let elements = |i: usize| plan.merge(&plan.tensors()[i]);
        write_checkpoint(&dir, &plan.shapes(), elements, &config).unwrap();

        let ours = stored(&dir.join("model.safetensors"));
        let theirs = stored(&reference().join(format!("expected/{name}.safetensors")));
        assert!(difference(name, &ours, &theirs) <= TOLERANCE, "{name}");
        let reopened = Checkpoint::open(&dir).unwrap();
        assert_eq!(reopened.layers(), plan.source_layers().len());
        assert_eq!(reopened.dtype(), stored_dtype(&recipe));
        assert_eq!(reopened.tensors().count(), merged.len());
        assert!(write_checkpoint(&dir, &plan.shapes(), elements, &config).is_err());
    }
}

/// `make.py` checks that mergekit reads `written/x.yaml` as it reads `recipes/x.yaml`; this test, that they are what
/// is written today. `WRITE_RECIPES=1` writes them, after which `make.py` must be run again.
#[test]
fn recipes_are_written_as_mergekit_has_read_them() {
    for (name, recipe) in recipes() {
        let path = reference().join(format!("written/{name}.yaml"));
        if std::env::var_os("WRITE_RECIPES").is_some() {
            fs::write(&path, recipe.to_yaml()).unwrap();
        }
        assert_eq!(
            recipe.to_yaml(),
            fs::read_to_string(&path).unwrap(),
            "{name}"
        );
        assert_eq!(
            Recipe::from_yaml(&recipe.to_yaml()).unwrap(),
            recipe,
            "{name}"
        );
    }
}
