//! The random masks of DARE and DELLA against laws of mergekit's (`reference/mergekit/matrix/make_laws.py`), and the
//! papers' rescaling, through recipes and checkpoints on disk.

use std::path::Path;

use merge_search::checkpoint::Checkpoint;
use merge_search::merge::{MergePlan, Prepared};
use merge_search::recipe::{ModelRef, Recipe, RescaleRule};
use serde::Deserialize;
use serde_json::json;
use tempfile::TempDir;

use crate::tiny::{borrowed, tensor, write};

const ELEMENTS: usize = 65_536;
/// Masks per law.
const DRAWS: usize = 16;
/// A deviation of so many standard errors counts as a difference.
const ERRORS: f64 = 5.0;
const MATRIX: &str = "model.layers.0.mlp.up_proj.weight";
const VECTOR: &str = "model.norm.weight";

#[derive(Deserialize)]
struct Laws {
    draws: usize,
    laws: Vec<Law>,
}

#[derive(Deserialize)]
struct Law {
    shape: String,
    method: String,
    density: f64,
    epsilon: Option<f64>,
    rescale: bool,
    keep_rate: Statistic,
    l1_ratio: Statistic,
    scale: Statistic,
    kept_deciles: Deciles,
}

#[derive(Deserialize)]
struct Statistic {
    mean: f64,
    std: f64,
}

#[derive(Deserialize)]
struct Deciles {
    mean: [f64; 10],
    std: [f64; 10],
}

/// The tensor of `make_laws.py`, whose magnitudes are 1/65536, 2/65536, … 1.
fn values() -> Vec<f32> {
    let element = |i: usize| {
        let k = 40_503 * i % ELEMENTS;
        (if k % 2 == 1 { -1.0 } else { 1.0 }) * (k + 1) as f32 / ELEMENTS as f32
    };
    (0..ELEMENTS).map(element).collect()
}

/// Rank of each element's magnitude among the `width` of its row, smallest first.
fn ranks(values: &[f32], width: usize) -> Vec<usize> {
    let mut ranks = vec![0; values.len()];
    for (row, elements) in values.chunks(width).enumerate() {
        let mut order: Vec<usize> = (0..width).collect();
        order.sort_by(|a, b| elements[*a].abs().total_cmp(&elements[*b].abs()));
        order.iter().enumerate().for_each(|(rank, i)| ranks[row * width + i] = rank);
    }
    ranks
}

/// A base of zeros and an expert that is its own task vector.
struct Models {
    _dir: TempDir,
    models: Vec<(ModelRef, Checkpoint)>,
    prepared: Prepared,
}

impl Models {
    fn new() -> Models {
        let dir = tempfile::tempdir().unwrap();
        let config = json!({"model_type": "llama", "num_hidden_layers": 1});
        let open = |name: &str, values: Vec<f32>| {
            let tensors =
                [tensor(MATRIX, &[256, 256], values.clone()), tensor(VECTOR, &[ELEMENTS], values)];
            write(&dir.path().join(name), &config, &tensors);
            (ModelRef::new(name).unwrap(), Checkpoint::open(&dir.path().join(name)).unwrap())
        };
        let models = vec![open("base", vec![0.0; ELEMENTS]), open("expert", values())];
        Models { _dir: dir, models, prepared: Prepared::new() }
    }

    fn merged(&self, recipe: &Recipe, name: &str) -> Vec<f32> {
        let plan = MergePlan::new(recipe, &borrowed(&self.models)).unwrap();
        let planned = plan.tensors().iter().find(|tensor| tensor.name == name).unwrap();
        let mut merged = vec![f32::NAN; ELEMENTS];
        plan.merge_into(planned, Some(&self.prepared), &mut merged).unwrap();
        merged
    }
}

fn recipe(method: &str, law: &Law) -> Recipe {
    let epsilon = law.epsilon.map_or(String::new(), |epsilon| format!(", epsilon: {epsilon}"));
    let yaml = format!(
        "merge_method: {method}\nbase_model: base\nmodels: [{{model: expert}}]\n\
         parameters: {{weight: 1, density: {}, rescale: {}{epsilon}}}",
        law.density, law.rescale
    );
    Recipe::from_yaml(&yaml).unwrap()
}

fn laws() -> Laws {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/mergekit/matrix/laws.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn methods(law: &Law) -> [&'static str; 2] {
    if law.method == "dare" { ["dare_linear", "dare_ties"] } else { ["della_linear", "della"] }
}

fn place(law: &Law) -> (&'static str, usize) {
    if law.shape == "matrix" { (MATRIX, 256) } else { (VECTOR, ELEMENTS) }
}

/// Keep rate, L1 ratio, scale, and the share kept of each tenth, of one mask.
fn statistics(original: &[f32], tenths: &[usize], merged: &[f32]) -> [f64; 13] {
    let mut statistics = [0.0; 13];
    let (mut kept, mut before, mut after) = ([0.0; 10], 0.0, 0.0);
    let (mut least, mut most) = (f64::INFINITY, 0.0_f64);
    for ((x, y), tenth) in original.iter().zip(merged).zip(tenths) {
        let (x, y) = (f64::from(*x), f64::from(*y));
        before += x.abs();
        after += y.abs();
        if y != 0.0 {
            kept[*tenth] += 1.0;
            (least, most) = (least.min(y / x), most.max(y / x));
        }
    }
    assert!(most - least < 1e-5, "kept elements have one factor, not {least} to {most}");
    statistics[0] = kept.iter().sum::<f64>() / original.len() as f64;
    statistics[1] = after / before;
    statistics[2] = f64::midpoint(least, most);
    for (tenth, kept) in kept.iter().enumerate() {
        let of_tenth = tenths.iter().filter(|known| **known == tenth).count();
        statistics[3 + tenth] = kept / of_tenth as f64;
    }
    statistics
}

#[test]
fn masks_keep_what_mergekits_keep() {
    let (models, original, all) = (Models::new(), values(), laws());
    let ranks = [ranks(&original, 256), ranks(&original, ELEMENTS)];
    for law in &all.laws {
        let (name, width) = place(law);
        let ranks = &ranks[usize::from(law.shape == "vector")];
        let tenths: Vec<usize> = ranks.iter().map(|rank| 10 * rank / width).collect();
        let theirs = [&law.keep_rate, &law.l1_ratio, &law.scale].map(|s| (s.mean, s.std));
        let deciles = law.kept_deciles.mean.into_iter().zip(law.kept_deciles.std);
        let theirs: Vec<(f64, f64)> = theirs.into_iter().chain(deciles).collect();
        for method in methods(law) {
            let mut recipe = recipe(method, law);
            let mut sums = [0.0; 13];
            for seed in 0..DRAWS as u64 {
                recipe.mask_seed = seed;
                let one = statistics(&original, &tenths, &models.merged(&recipe, name));
                sums.iter_mut().zip(one).for_each(|(sum, x)| *sum += x / DRAWS as f64);
            }
            let error = (1.0 / DRAWS as f64 + 1.0 / all.draws as f64).sqrt();
            for (i, (ours, (theirs, std))) in sums.iter().zip(&theirs).enumerate() {
                // Where nothing varies, mergekit's sums in float32 still round.
                let allowed = ERRORS * std * error + 1e-6;
                let label = (method, &law.shape, law.density, law.epsilon, law.rescale);
                assert!(
                    (ours - theirs).abs() <= allowed,
                    "{label:?} {i}: {ours}, mergekit {theirs}"
                );
            }
        }
    }
}

/// DARE, equation 2, and DELLA, section 3: an element that is kept with probability p is divided by p, so that the mean
/// over masks is the task vector. DELLA's p rises in equal steps from density − ε to density + ε with the rank in the
/// row. Over a tenth T of the elements, Σ |y| has mean Σ |x| and variance Σ x² (1 − p) / p.
#[test]
fn dividing_by_the_probability_keeps_the_expectation() {
    let (models, original, all) = (Models::new(), values(), laws());
    let ranks = [ranks(&original, 256), ranks(&original, ELEMENTS)];
    for law in all.laws.iter().filter(|law| law.rescale) {
        let (name, width) = place(law);
        let ranks = &ranks[usize::from(law.shape == "vector")];
        let epsilon = law.epsilon.unwrap_or(0.0);
        let probability =
            |i: usize| law.density - epsilon + 2.0 * epsilon * ranks[i] as f64 / (width - 1) as f64;
        for method in methods(law) {
            let mut recipe = recipe(method, law);
            recipe.rescale_by = RescaleRule::Density;
            let mut sums = [0.0; 10];
            for seed in 0..DRAWS as u64 {
                recipe.mask_seed = 1000 + seed;
                for (i, y) in models.merged(&recipe, name).into_iter().enumerate() {
                    let (x, y) = (f64::from(original[i]), f64::from(y));
                    sums[10 * ranks[i] / width] += y.abs();
                    let factor = y / x * probability(i);
                    assert!(y == 0.0 || (factor - 1.0).abs() < 1e-5, "{method} {i}: {factor}");
                }
            }
            for (tenth, sum) in sums.iter().enumerate() {
                let members = (0..ELEMENTS).filter(|i| 10 * ranks[*i] / width == tenth);
                let (mut mean, mut variance) = (0.0, 0.0);
                for i in members {
                    let (x, p) = (f64::from(original[i]), probability(i));
                    mean += x.abs();
                    variance += x * x * (1.0 - p) / p;
                }
                let deviation = sum / DRAWS as f64 - mean;
                let allowed = ERRORS * (variance / DRAWS as f64).sqrt() + 1e-5 * mean;
                assert!(
                    deviation.abs() <= allowed,
                    "{method} {} {tenth}: {deviation}",
                    law.density
                );
            }
        }
    }
}

/// The same seed draws the same mask, another one an independent one.
#[test]
fn a_mask_depends_on_the_seed() {
    let models = Models::new();
    let law = &laws().laws[2];
    let mut recipe = recipe("dare_linear", law);
    let kept = |recipe: &Recipe| -> Vec<bool> {
        models.merged(recipe, MATRIX).into_iter().map(|x| x != 0.0).collect()
    };
    let first = kept(&recipe);
    assert_eq!(first, kept(&recipe));
    recipe.mask_seed = 1;
    let agreeing = kept(&recipe).iter().zip(&first).filter(|(a, b)| a == b).count();
    // Independent masks of density 1/2 agree on half of the elements; standard deviation 0.002.
    assert!((agreeing as f64 / ELEMENTS as f64 - 0.5).abs() < 0.01, "{agreeing}");
}
