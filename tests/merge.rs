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
        (path.file_stem().unwrap().to_str().unwrap().to_owned(), Recipe::read(path).unwrap())
    };
    paths.iter().map(named).collect()
}

fn checkpoints(recipe: &Recipe) -> Vec<(ModelRef, Checkpoint)> {
    let open = |model: &&ModelRef| {
        ((*model).clone(), Checkpoint::open(&reference().join(model.path())).unwrap())
    };
    recipe.models().iter().map(open).collect()
}

fn borrowed(models: &[(ModelRef, Checkpoint)]) -> Vec<(ModelRef, &Checkpoint)> {
    models.iter().map(|(model, checkpoint)| (model.clone(), checkpoint)).collect()
}

fn largest(values: impl Iterator<Item = f32>) -> f32 {
    values.fold(0.0, |largest, value| if value.is_nan() { value } else { largest.max(value.abs()) })
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
        MergedTensor { name, shape: view.shape().to_vec(), values }
    };
    let mut tensors: Vec<MergedTensor> = file.tensors().into_iter().map(tensor).collect();
    tensors.sort_by(|a, b| a.name.cmp(&b.name));
    tensors
}

/// Largest relative difference over the tensors, which must have the same names and shapes.
fn difference(recipe: &str, ours: &[MergedTensor], theirs: &[MergedTensor]) -> f32 {
    let names = |tensors: &[MergedTensor]| -> Vec<(String, Vec<usize>)> {
        tensors.iter().map(|tensor| (tensor.name.clone(), tensor.shape.clone())).collect()
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
        assert_eq!(reopened.layers(), plan.source_layers()[0].len());
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
        assert_eq!(recipe.to_yaml(), fs::read_to_string(&path).unwrap(), "{name}");
        assert_eq!(Recipe::from_yaml(&recipe.to_yaml()).unwrap(), recipe, "{name}");
    }
}

/// What can be wrong, and words its message must have.
#[test]
fn what_cannot_be_merged_is_refused_by_name() {
    let two = "models: [{model: models/a}, {model: models/b}]";
    let base = "base_model: models/base";
    let cases = [
        (format!("merge_method: linear\n{two}"), ["`weight`", "models/a", "embed_tokens"]),
        (format!("merge_method: ties\n{two}\nparameters: {{weight: 1}}"), ["ties", "base_model", ""]),
        (format!("merge_method: slerp\n{base}\n{two}\nparameters: {{t: 1}}"), ["slerp", "2", "found 3"]),
        (format!("merge_method: slerp\n{base}\nmodels: [{{model: models/a}}]"), ["`t`", "slerp", "all"]),
        (format!("merge_method: passthrough\n{two}"), ["passthrough", "exactly 1", "found 2"]),
        (
            format!("merge_method: linear\n{two}\nparameters: {{density: 1}}"),
            ["`density`", "linear", "weight, normalize"],
        ),
        (
            format!("merge_method: ties\n{base}\n{two}\nparameters: {{weight: 1, rescale_by: density}}"),
            ["`rescale_by`", "ties", "density"],
        ),
        (
            format!("merge_method: ties\n{base}\n{two}\nparameters: {{weight: 1, density: -0.1}}"),
            ["`density`", "-0.1", "0 to 1"],
        ),
        (
            format!("merge_method: ties\n{base}\n{two}\nparameters: {{weight: 1, normalize: 0.5}}"),
            ["normalize", "true or false", "0.5"],
        ),
        (
            "merge_method: linear\nmodels: [{model: models/a, parameters: {weight: [1, 0]}}]".to_owned(),
            ["sum to 0", "layers.2", ""],
        ),
        (
            "merge_method: linear\nmodels: [{model: models/a}, {model: models/a}]".to_owned(),
            ["models/a", "twice", ""],
        ),
        (
            "merge_method: passthrough\nslices: [{sources: [{model: models/a, layer_range: [2, 4]}]}]".to_owned(),
            ["models/a", "3 layers", "slice 0"],
        ),
        (
            "merge_method: linear\nparameters: {weight: 1}\nslices: [{sources: [{model: models/a, layer_range: [0, 2]}, \
             {model: models/b, layer_range: [0, 1]}]}]"
                .to_owned(),
            ["slice 0", "2 and 1 layers", ""],
        ),
        (
            "merge_method: linear\nparameters: {weight: 1}\nmodels: [{model: models/a}, {model: models/tied-a}]".to_owned(),
            ["tied-a", "lm_head.weight", ""],
        ),
    ];
    for (yaml, words) in cases {
        let recipe = Recipe::from_yaml(&yaml).unwrap();
        let models = checkpoints(&recipe);
        let message = MergePlan::new(&recipe, &borrowed(&models)).unwrap_err().to_string();
        assert!(words.iter().all(|word| message.contains(word)), "{yaml}\n=> {message}");
    }
    for (model, word) in [("models/a+adapter", "LoRA"), ("models/z", "not among the open")] {
        let yaml = format!("merge_method: passthrough\nmodels: [{{model: {model}}}]");
        let message =
            MergePlan::new(&Recipe::from_yaml(&yaml).unwrap(), &[]).unwrap_err().to_string();
        assert!(message.contains(model) && message.contains(word), "{message}");
    }
}

fn merged_on(threads: usize, recipe: &Recipe) -> Vec<MergedTensor> {
    let models = checkpoints(recipe);
    let plan = MergePlan::new(recipe, &borrowed(&models)).unwrap();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    pool.install(|| merge_all_parallel(&plan)).unwrap()
}

/// A random mask is a function of the recipe alone.
#[test]
fn dropout_depends_on_the_seed_and_not_on_the_threads() {
    let yaml = "merge_method: dare_ties\nbase_model: models/base\nparameters: {weight: 0.5, density: 0.5, mask_seed: 7}\n\
                models: [{model: models/a}, {model: models/b}]";
    let mut recipe = Recipe::from_yaml(yaml).unwrap();
    let one = merged_on(1, &recipe);
    assert_eq!(one, merged_on(4, &recipe));
    recipe.mask_seed = 8;
    assert_ne!(one, merged_on(1, &recipe));
    recipe.parameters.set("density", 0.0);
    let base = Checkpoint::open(&reference().join("models/base")).unwrap();
    for tensor in merged_on(1, &recipe) {
        assert_eq!(tensor.values, *base.tensor(&tensor.name).unwrap(), "{}", tensor.name);
    }
}

#[test]
fn models_of_other_shapes_are_refused_with_both_files() {
    let recipe = Recipe::from_yaml(
        "merge_method: linear\nmodels: [{model: models/a}, {model: models/b}]\nparameters: {weight: 1}",
    )
    .unwrap();
    let models = checkpoints(&recipe);
    let plan = MergePlan::new(&recipe, &borrowed(&models)).unwrap();
    let mut shapes = plan.shapes();
    let norm = shapes.iter_mut().find(|(name, _)| name == "model.norm.weight").unwrap();
    norm.1 = vec![4];
    let zeros = |i: usize| Ok::<_, std::fmt::Error>(vec![0.0; shapes[i].1.iter().product()]);
    let config = OutputConfig {
        source: &models[0].1,
        source_layers: plan.source_layers(),
        dtype: Dtype::F16,
    };
    let out = tempfile::tempdir().unwrap();
    write_checkpoint(&out.path().join("small"), &shapes, zeros, &config).unwrap();
    let small = Checkpoint::open(&out.path().join("small")).unwrap();

    let pair = [(models[0].0.clone(), &models[0].1), (models[1].0.clone(), &small)];
    let message = MergePlan::new(&recipe, &pair).unwrap_err().to_string();
    for word in
        ["`model.norm.weight`", "[8] in", "models/a/model.safetensors", "[4] in", "small/model"]
    {
        assert!(message.contains(word), "{message}");
    }
}
