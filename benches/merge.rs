//! In-memory merging against a plain memory copy, as a search does it: `cargo bench --bench merge -- --json`.
//!
//! Makes a base and four experts of random bfloat16 weights in a temporary folder (`--million N` parameters each, default
//! 30; `--method NAME` for one alone), then merges all tensors into memory that is there already, each method in turn with the copy, on one thread and on
//! all. A byte counts when it is read and when it is written, in the copy too. What is worked out once per expert
//! (thresholds, ranks) is timed apart, as `prepare`.

use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use merge_search::checkpoint::Checkpoint;
use merge_search::merge::{MergePlan, Prepared};
use merge_search::recipe::{ModelRef, Recipe};
use rand::{RngExt, SeedableRng};
use rayon::prelude::*;
use serde_json::{Map, Value, json};

const EXPERTS: usize = 4;
const ROUNDS: usize = 5;
const HIDDEN: usize = 1024;

/// Method, and its parameters besides the weight.
const METHODS: [(&str, &str); 9] = [
    ("linear", ""),
    ("task_arithmetic", ""),
    ("ties", "density: 0.5"),
    ("dare_linear", "density: 0.5"),
    ("dare_ties", "density: 0.5"),
    ("breadcrumbs", "density: 0.5, gamma: 0.01"),
    ("della", "density: 0.5, epsilon: 0.1"),
    ("model_stock", ""),
    ("sce", ""),
];

struct Options {
    json: bool,
    parameters: usize,
    /// Only this one.
    method: Option<String>,
}

fn main() {
    let options = options();
    let folder = tempfile::tempdir().unwrap();
    let layers = options.parameters.div_ceil(4 * HIDDEN * HIDDEN);
    let models = make(folder.path(), layers);
    let models: Vec<(ModelRef, &Checkpoint)> =
        models.iter().map(|(name, checkpoint)| (name.clone(), checkpoint)).collect();
    let mut results = Vec::new();
    let all = std::thread::available_parallelism().map_or(1, usize::from);
    for threads in [1, all] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let wanted = |name: &str| options.method.as_deref().is_none_or(|method| method == name);
        let methods = METHODS.into_iter().filter(|(name, _)| wanted(name));
        pool.install(|| methods.for_each(|method| results.push(measure(method, &models, threads))));
    }
    if options.json {
        println!("{:#}", json!(results));
    } else {
        results.iter().for_each(show);
    }
}

fn options() -> Options {
    let words: Vec<String> = std::env::args().collect();
    let value = |key| words.iter().position(|word| word == key).and_then(|i| words.get(i + 1));
    let million: usize = value("--million").map_or(30, |value| value.parse().expect("--million N"));
    Options {
        json: words.iter().any(|word| word == "--json"),
        parameters: million * 1_000_000,
        method: value("--method").cloned(),
    }
}

/// Llama's names; four square matrices a layer.
fn make(folder: &Path, layers: usize) -> Vec<(ModelRef, Checkpoint)> {
    let mut random = rand::rngs::SmallRng::seed_from_u64(7);
    let count = layers * 4 * HIDDEN * HIDDEN;
    let base: Vec<f32> = (0..count).map(|_| normal(&mut random) * 0.02).collect();
    let mut models = Vec::new();
    for model in 0..=EXPERTS {
        let step = if model == 0 { 0.0 } else { 0.002 };
        let weights: Vec<u8> = base
            .iter()
            .flat_map(|x| half::bf16::from_f32(x + step * normal(&mut random)).to_le_bytes())
            .collect();
        let dir = folder.join(format!("model{model}"));
        write(&dir, layers, &weights);
        let name = ModelRef::new(dir.to_str().unwrap()).unwrap();
        models.push((name, Checkpoint::open(&dir).unwrap()));
    }
    models
}

/// Close enough: the sum of four uniform numbers.
fn normal(random: &mut impl rand::Rng) -> f32 {
    let sum: f32 = (0..4).map(|_| random.random::<f32>() - 0.5).sum();
    sum * 3.0_f32.sqrt()
}

fn write(dir: &Path, layers: usize, weights: &[u8]) {
    fs::create_dir_all(dir).unwrap();
    let config = json!({"model_type": "llama", "num_hidden_layers": layers});
    fs::write(dir.join("config.json"), config.to_string()).unwrap();
    let (mut header, mut start) = (Map::new(), 0);
    for layer in 0..layers {
        for part in ["q_proj", "k_proj", "v_proj", "o_proj"] {
            let (name, end) = (
                format!("model.layers.{layer}.self_attn.{part}.weight"),
                start + 2 * HIDDEN * HIDDEN,
            );
            header.insert(
                name,
                json!({"dtype": "BF16", "shape": [HIDDEN, HIDDEN], "data_offsets": [start, end]}),
            );
            start = end;
        }
    }
    let mut text = Value::Object(header).to_string();
    text.push_str(&" ".repeat(text.len().next_multiple_of(8) - text.len()));
    let bytes = [&(text.len() as u64).to_le_bytes(), text.as_bytes(), weights].concat();
    fs::write(dir.join("model.safetensors"), bytes).unwrap();
}

fn recipe(method: &str, parameters: &str, models: &[(ModelRef, &Checkpoint)]) -> Recipe {
    let experts: String =
        models[1..].iter().map(|(model, _)| format!("  - {{model: {model}}}\n")).collect();
    let weight = if matches!(method, "model_stock" | "sce") { "" } else { "weight: 0.3" };
    let set: Vec<&str> = [weight, parameters].into_iter().filter(|text| !text.is_empty()).collect();
    let base =
        if method == "linear" { String::new() } else { format!("base_model: {}\n", models[0].0) };
    let yaml = format!(
        "merge_method: {method}\n{base}models:\n{experts}parameters: {{{}}}\n",
        set.join(", ")
    );
    Recipe::from_yaml(&yaml).unwrap()
}

/// One method: what is prepared once, then merging in turns with copying.
fn measure(
    (method, parameters): (&str, &str),
    models: &[(ModelRef, &Checkpoint)],
    threads: usize,
) -> Value {
    let recipe = recipe(method, parameters, models);
    let plan = MergePlan::new(&recipe, models).unwrap();
    let elements: usize = plan.tensors().iter().map(|tensor| tensor.elements()).sum();
    let inputs = EXPERTS + usize::from(method != "linear");
    let bytes = (elements * (2 * inputs + 4)) as f64;
    let mut outputs: Vec<Vec<f32>> =
        plan.tensors().iter().map(|tensor| vec![0.0; tensor.elements()]).collect();
    let prepared = Prepared::new();
    let mut merge = || {
        let start = Instant::now();
        plan.tensors().par_iter().zip(&mut outputs).for_each(|(tensor, out)| {
            plan.merge_into(tensor, Some(&prepared), out).unwrap();
        });
        start.elapsed().as_secs_f64()
    };
    let first = merge();
    let source = vec![1_u8; bytes as usize / 2];
    let mut target = vec![0_u8; source.len()];
    let mut copy = || {
        let start = Instant::now();
        let share = source.len().div_ceil(threads);
        target
            .par_chunks_mut(share)
            .zip(source.par_chunks(share))
            .for_each(|(to, from)| to.copy_from_slice(from));
        black_box(&target);
        start.elapsed().as_secs_f64()
    };
    copy();
    let times: Vec<(f64, f64)> = (0..ROUNDS).map(|_| (merge(), copy())).collect();
    let (merging, copying) = (median(times.iter().map(|t| t.0)), median(times.iter().map(|t| t.1)));
    json!({
        "method": method, "threads": threads, "parameters": elements, "experts": EXPERTS,
        "seconds": merging, "gigabytes_per_second": bytes / merging / 1e9,
        "copy_gigabytes_per_second": bytes / copying / 1e9, "share_of_copy": copying / merging,
        "prepare_seconds": (first - merging).max(0.0), "prepared_bytes": prepared.bytes().0,
    })
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn show(result: &Value) {
    let number = |key: &str| result[key].as_f64().unwrap_or_default();
    println!(
        "{:16} {} thread(s): {:6.1} GB/s, copy {:5.1} GB/s, {:3.0} % of copy; prepared in {:.2} s, {:.1} bytes per parameter and expert",
        result["method"].as_str().unwrap_or_default(),
        result["threads"],
        number("gigabytes_per_second"),
        number("copy_gigabytes_per_second"),
        100.0 * number("share_of_copy"),
        number("prepare_seconds"),
        number("prepared_bytes") / number("parameters") / EXPERTS as f64,
    );
}
