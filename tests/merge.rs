//! The merge column against mergekit 0.1.5: its outputs (made by `reference/mergekit/make.py`) and its file format.

use std::fs;
use std::path::{Path, PathBuf};

use merge_search::checkpoint::{Adapter, Checkpoint, round_to};
use merge_search::merge::{MergePlan, MergedTensor, Prepared, merge_all, merge_all_parallel};
use merge_search::recipe::{ModelRef, Recipe};
use merge_search::submission::{SubmissionError, output_tensors, write_merged};
use merge_search::units::Dtype;

use crate::tiny::{bits, borrowed, merged_in_parts, output, stored, write};

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

fn largest(values: impl Iterator<Item = f32>) -> f32 {
    values.fold(0.0, |largest, value| if value.is_nan() { value } else { largest.max(value.abs()) })
}

fn same_bits(ours: &[MergedTensor], others: &[MergedTensor]) -> bool {
    let pairs = || ours.iter().zip(others);
    ours.len() == others.len() && pairs().all(|(a, b)| bits(&a.values) == bits(&b.values))
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

/// However the tensors are asked for: one by one, in parallel, part by part, with what a search keeps.
#[test]
fn every_recipe_gives_what_mergekit_gives() {
    let recipes = recipes();
    assert!(recipes.len() >= 15, "{}", recipes.len());
    for (name, recipe) in recipes {
        let models = checkpoints(&recipe);
        let plan = MergePlan::new(&recipe, &borrowed(&models)).unwrap();
        let mut ours = merge_all(&plan).unwrap();
        assert!(same_bits(&ours, &merge_all_parallel(&plan).unwrap()), "{name}");
        let prepared = Prepared::new();
        for (i, (planned, merged)) in plan.tensors().iter().zip(&ours).enumerate() {
            assert_eq!(bits(&merged_in_parts(&plan, i, 1024)), bits(&merged.values), "{name}");
            let mut again = vec![f32::NAN; planned.elements()];
            plan.merge_into(planned, Some(&prepared), &mut again).unwrap();
            assert_eq!(bits(&again), bits(&merged.values), "{name}");
        }
        let dtypes = output_tensors(&recipe, &plan);
        let rounded = dtypes.iter().any(|tensor| tensor.dtype == Dtype::BF16);
        ours.iter_mut()
            .zip(&dtypes)
            .for_each(|(ours, stored)| round_to(stored.dtype, &mut ours.values));
        ours.sort_by(|a, b| a.name.cmp(&b.name));
        let theirs = stored(&reference().join(format!("expected/{name}.safetensors")));
        // A bfloat16 has 8 significant bits: rounding changes a number by at most 2^-8 of it.
        let tolerance = if rounded { 1.0 / 256.0 } else { TOLERANCE };
        let difference = difference(&name, &ours, &theirs);
        assert!(difference <= tolerance, "{name}: {difference:e}");
    }
}

#[test]
fn a_written_checkpoint_holds_what_mergekit_stores() {
    let of_recipe = |recipe: &Recipe, dtype| recipe.out_dtype.or(recipe.dtype) == Some(dtype);
    for name in ["linear-bfloat16", "linear-tied", "passthrough-stack"] {
        let recipe = Recipe::read(&reference().join(format!("recipes/{name}.yaml"))).unwrap();
        let models = checkpoints(&recipe);
        let plan = MergePlan::new(&recipe, &borrowed(&models)).unwrap();
        let parent = tempfile::tempdir().unwrap();
        let dir = parent.path().join("merged");
        write_merged(&recipe, &plan, &output(&dir, u64::MAX)).unwrap();

        let ours = stored(&dir.join("model.safetensors"));
        let theirs = stored(&reference().join(format!("expected/{name}.safetensors")));
        assert!(difference(name, &ours, &theirs) <= TOLERANCE, "{name}");
        let reopened = Checkpoint::open(&dir).unwrap();
        assert_eq!(reopened.layers(), plan.source_layers()[0].len());
        assert!(of_recipe(&recipe, reopened.dtype().unwrap()), "{name}");
        assert_eq!(reopened.tensors().count(), theirs.len());

        let before = fs::read(dir.join("model.safetensors")).unwrap();
        let again = write_merged(&recipe, &plan, &output(&dir, u64::MAX)).unwrap_err();
        assert!(matches!(again, SubmissionError::Write(_)), "{again}");
        assert!(again.to_string().contains("not empty"), "{again}");
        assert_eq!(fs::read(dir.join("model.safetensors")).unwrap(), before);
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 1, "{name}: left-overs");
    }
}

/// PEFT's `merge_and_unload` made `reference/peft/merged`; a recipe names such a model `base+adapter`.
#[test]
fn a_model_with_an_adapter_is_merged_as_peft_merges_it() {
    let peft = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/peft");
    let mut names: Vec<_> =
        fs::read_dir(peft.join("adapters")).unwrap().map(|e| e.unwrap()).collect();
    names.sort_by_key(fs::DirEntry::file_name);
    for entry in names {
        let adapter = Adapter::open(&entry.path()).unwrap();
        let base = peft.join("models").join(adapter.base_model().unwrap());
        let name = entry.file_name().into_string().unwrap();
        let model = ModelRef::new(format!("base+{name}")).unwrap();
        let changed = Checkpoint::open(&base).unwrap().with_adapter(&adapter).unwrap();
        let yaml = format!("merge_method: passthrough\nmodels: [{{model: {model}}}]");
        let recipe = Recipe::from_yaml(&yaml).unwrap();
        let plan = MergePlan::new(&recipe, &[(model, &changed)]).unwrap();
        let merged = merge_all_parallel(&plan).unwrap();
        let theirs = stored(&peft.join(format!("merged/{name}.safetensors")));
        for merged in &merged {
            let theirs = theirs.iter().find(|theirs| theirs.name == merged.name).unwrap();
            let one = std::slice::from_ref;
            assert!(
                difference(&name, one(merged), one(theirs)) <= TOLERANCE,
                "{name} {}",
                merged.name
            );
        }
        assert!(merged.len() + 1 >= theirs.len(), "{name}: a tied head at most is not there");
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
        (format!("merge_method: slerp\n{base}\n{two}\nparameters: {{t: 1}}"), ["slerp", "exactly 1", "found 2"]),
        (format!("merge_method: slerp\n{base}\nmodels: [{{model: models/a}}]"), ["`t`", "slerp", "all"]),
        (format!("merge_method: passthrough\n{two}"), ["passthrough", "exactly 1", "found 2"]),
        (
            format!("merge_method: linear\n{two}\nparameters: {{weight: 1, wieght: 1}}"),
            ["`wieght`", "linear", "weight, normalize"],
        ),
        (
            format!("merge_method: ties\n{base}\n{two}\nparameters: {{weight: 1, rescale_by: density}}"),
            ["`rescale_by`", "ties", "density"],
        ),
        (
            format!("merge_method: ties\n{base}\n{two}\nparameters: {{weight: 1, density: -0.1}}"),
            ["`density`", "-0.1", "at least 0"],
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
    ];
    for (yaml, words) in cases {
        let recipe = Recipe::from_yaml(&yaml).unwrap();
        let models = checkpoints(&recipe);
        let message = MergePlan::new(&recipe, &borrowed(&models)).unwrap_err().to_string();
        assert!(words.iter().all(|word| message.contains(word)), "{yaml}\n=> {message}");
    }
    for model in ["models/a+adapter", "models/z"] {
        let yaml = format!("merge_method: passthrough\nmodels: [{{model: {model}}}]");
        let recipe = Recipe::from_yaml(&yaml).unwrap();
        let a = Checkpoint::open(&reference().join("models/a")).unwrap();
        let known = [(ModelRef::new("models/a").unwrap(), &a)];
        let message = MergePlan::new(&recipe, &known).unwrap_err().to_string();
        assert!(message.contains(&format!("`{model}`, which is not among")), "{message}");
    }
}

/// Known to another method, as configurations in use have them: listed once, of no effect.
#[test]
fn parameters_that_the_method_does_not_have_are_listed() {
    let linear = |more: &str| {
        let yaml = format!(
            "merge_method: linear\nparameters: {{weight: 1{more}}}\nmodels: [{{model: models/a, parameters: \
             {{weight: 2{more}}}}}, {{model: models/b}}]"
        );
        let recipe = Recipe::from_yaml(&yaml).unwrap();
        let models = checkpoints(&recipe);
        let plan = MergePlan::new(&recipe, &borrowed(&models)).unwrap();
        (plan.unused_parameters().to_vec(), merge_all(&plan).unwrap())
    };
    let (none, plain) = linear("");
    let (unused, same) = linear(", density: 0.3, int8_mask: true");
    assert!(none.is_empty());
    assert_eq!(unused, ["density", "int8_mask"]);
    assert!(same_bits(&plain, &same));
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

/// By hand: a tied model reads its embedding where the other one reads its head.
#[test]
fn the_head_of_a_tied_model_is_its_embedding() {
    let yaml = "merge_method: linear\nparameters: {weight: 1}\nmodels: [{model: models/a}, {model: models/tied-a}]";
    let recipe = Recipe::from_yaml(yaml).unwrap();
    let models = checkpoints(&recipe);
    let plan = MergePlan::new(&recipe, &borrowed(&models)).unwrap();
    let merged = merge_all(&plan).unwrap();
    let head = merged.iter().find(|tensor| tensor.name == "lm_head.weight").unwrap();
    let own = models[0].1.tensor("lm_head.weight").unwrap();
    let embedding = models[1].1.tensor("model.embed_tokens.weight").unwrap();
    for ((x, a), b) in head.values.iter().zip(own.iter()).zip(embedding.iter()) {
        assert!((x - f32::midpoint(*a, *b)).abs() <= 1e-6, "{x} {a} {b}");
    }
}

#[test]
fn models_of_other_shapes_are_refused_with_both_files() {
    let recipe = Recipe::from_yaml(
        "merge_method: linear\nmodels: [{model: models/a}, {model: models/b}]\nparameters: {weight: 1}",
    )
    .unwrap();
    let models = checkpoints(&recipe);
    let mut tensors = stored(&reference().join("models/a/model.safetensors"));
    let norm = tensors.iter_mut().find(|tensor| tensor.name == "model.norm.weight").unwrap();
    (norm.shape, norm.values) = (vec![4], vec![0.0; 4]);
    let out = tempfile::tempdir().unwrap();
    write(&out.path().join("small"), models[0].1.config(), &tensors);
    let small = Checkpoint::open(&out.path().join("small")).unwrap();

    let pair = [(models[0].0.clone(), &models[0].1), (models[1].0.clone(), &small)];
    let message = MergePlan::new(&recipe, &pair).unwrap_err().to_string();
    for word in
        ["`model.norm.weight`", "[8] in", "models/a/model.safetensors", "[4] in", "small/model"]
    {
        assert!(message.contains(word), "{message}");
    }

    tensors.retain(|tensor| tensor.name != "model.norm.weight");
    write(&out.path().join("fewer"), models[0].1.config(), &tensors);
    let fewer = Checkpoint::open(&out.path().join("fewer")).unwrap();
    let pair = [(models[0].0.clone(), &models[0].1), (models[1].0.clone(), &fewer)];
    let message = MergePlan::new(&recipe, &pair).unwrap_err().to_string();
    assert!(message.contains("fewer has no tensor `model.norm.weight`"), "{message}");
}
