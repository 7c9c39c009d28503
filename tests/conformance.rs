//! All of `reference/mergekit/matrix`: recipes over eight architectures, with what mergekit 0.1.5 makes of them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use merge_search::checkpoint::{Adapter, Checkpoint, round_to};
use merge_search::merge::{MergePlan, MergedTensor, merge_all, merge_all_parallel};
use merge_search::recipe::{ModelRef, Recipe};
use merge_search::submission::output_tensors;
use merge_search::units::Dtype;

/// Largest difference, as a share of the tensor's largest element. Both sum in `f32`, in another order.
const TOLERANCE: f32 = 1e-6;

/// One row of `summary.tsv`.
struct Row {
    recipe: String,
    outcome: String,
    /// mergekit's own rounding error.
    rounding: f32,
    note: String,
}

fn matrix() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/mergekit/matrix")
}

fn rows() -> Vec<Row> {
    let text = fs::read_to_string(matrix().join("summary.tsv")).unwrap();
    let row = |line: &str| {
        let cells: Vec<&str> = line.split('\t').collect();
        Row {
            recipe: cells[0].to_owned(),
            outcome: cells[3].to_owned(),
            rounding: cells[6].parse().unwrap_or(0.0),
            note: cells[8].to_owned(),
        }
    };
    text.lines().skip(1).map(row).collect()
}

fn recipe(name: &str) -> Result<Recipe, String> {
    let path = matrix().join(format!("recipes/{name}.yaml"));
    Recipe::read(&path).map_err(|error| error.to_string())
}

/// With every cause, as the command line shows it.
fn message(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", message(source)),
        None => error.to_string(),
    }
}

fn open(model: &ModelRef) -> Result<Checkpoint, String> {
    let folder = |path: &str| matrix().join(path);
    let checkpoint = Checkpoint::open(&folder(model.path())).map_err(|e| message(&e))?;
    match model.lora() {
        None => Ok(checkpoint),
        Some(lora) => {
            let adapter = Adapter::open(&folder(lora)).map_err(|e| message(&e))?;
            checkpoint.with_adapter(&adapter).map_err(|e| message(&e))
        }
    }
}

/// What is stored, in `f32`, by name.
type Tensors = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

fn merged(recipe: &Recipe) -> Result<Tensors, String> {
    let open = |model: &&ModelRef| Ok(((*model).clone(), open(model)?));
    let models = recipe.models().iter().map(open).collect::<Result<Vec<_>, String>>()?;
    let models: Vec<(ModelRef, &Checkpoint)> =
        models.iter().map(|(name, checkpoint)| (name.clone(), checkpoint)).collect();
    let plan = MergePlan::new(recipe, &models).map_err(|e| message(&e))?;
    let tensors = merge_all(&plan).map_err(|e| message(&e))?;
    assert_eq!(tensors, merge_all_parallel(&plan).unwrap());
    let dtypes = output_tensors(recipe, &plan).into_iter().map(|tensor| tensor.dtype);
    let stored = |(mut tensor, dtype): (MergedTensor, Dtype)| {
        round_to(dtype, &mut tensor.values);
        (tensor.name, (tensor.shape, tensor.values))
    };
    Ok(tensors.into_iter().zip(dtypes).map(stored).collect())
}

fn expected(name: &str) -> Tensors {
    let bytes = fs::read(matrix().join(format!("expected/{name}.safetensors"))).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let tensor = |(name, view): (String, safetensors::tensor::TensorView)| {
        let values = view.data().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap()));
        (name, (view.shape().to_vec(), values.collect()))
    };
    file.tensors().into_iter().map(tensor).collect()
}

/// Largest relative difference, and where it is.
fn difference(ours: &Tensors, theirs: &Tensors) -> Result<(f32, String), String> {
    let mut worst = (0.0, String::new());
    for (name, (shape, values)) in theirs {
        let Some((our_shape, ours)) = ours.get(name) else {
            return Err(format!("`{name}` is missing"));
        };
        if our_shape != shape {
            return Err(format!("`{name}` has shape {our_shape:?}, mergekit's {shape:?}"));
        }
        let scale = values.iter().fold(f32::MIN_POSITIVE, |scale, x| scale.max(x.abs()));
        let apart = |(x, y): (&f32, &f32)| (x - y).abs() / scale;
        let largest = ours.iter().zip(values).map(apart);
        let largest = largest.fold(0.0, |a: f32, b| if b.is_nan() { b } else { a.max(b) });
        if !(largest <= worst.0) {
            worst = (largest, name.clone());
        }
    }
    Ok(worst)
}

#[test]
fn mergekits_results_are_reproduced() {
    let mut failures = Vec::new();
    for row in rows().iter().filter(|row| row.outcome == "ok") {
        let ours = recipe(&row.recipe).and_then(|recipe| merged(&recipe));
        let result = ours.and_then(|ours| difference(&ours, &expected(&row.recipe)));
        let tolerance = TOLERANCE.max(4.0 * row.rounding);
        match result {
            Ok((difference, tensor)) if !(difference <= tolerance) => {
                failures.push(format!("{}: {difference:.1e} in {tensor}", row.recipe));
            }
            Ok(_) => {}
            Err(error) => failures.push(format!("{}: {error}", row.recipe)),
        }
    }
    assert!(failures.is_empty(), "{}:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn what_mergekit_fails_at() {
    for row in rows().iter().filter(|row| row.outcome != "ok") {
        let result = recipe(&row.recipe).and_then(|recipe| merged(&recipe));
        println!("{} | {} | {}", row.recipe, row.note, result.map_or_else(|e| e, |_| "merged".to_owned()));
    }
}
