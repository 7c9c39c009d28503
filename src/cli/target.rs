//! How long merging and evaluating take on the devices that competitions name, for `plan`.

use std::path::{Path, PathBuf};

use clap::Args as ClapArgs;
use merge_search::evaluate::{CandleEvaluator, Demand};
use merge_search::model::NetworkSpec;
use merge_search::rules::graph::Graph;
use merge_search::target::{
    DEVICES, Device, Estimate, Merge, Scale, Weights, Work, kit_work, rates,
};
use merge_search::units::{Bytes, Split};
use serde_json::{Value, json};

use super::Failure;
use super::failure::chain;
use super::offline_models::OfflineModel;
use super::workbench::Workbench;

/// Where the result is to be evaluated.
#[derive(Debug, ClapArgs)]
pub struct TargetArgs {
    /// Show the calculation of the 1-hour rule on this device: a6000, 4090, a100-40, a100-80 or h200; may be repeated [default:
    /// a table of all]
    #[arg(long, value_name = "NAME", value_parser = device)]
    target_device: Vec<&'static Device>,
    /// Only that, for a model of which there is nothing but its config.json
    #[arg(long, value_name = "FILE", conflicts_with = "space")]
    pub config: Option<PathBuf>,
    /// With --config: how many experts are merged into the model
    #[arg(long, value_name = "N", default_value_t = 2, requires = "config")]
    experts: u16,
}

fn device(name: &str) -> Result<&'static Device, String> {
    let names: Vec<&str> = DEVICES.iter().map(|device| device.name).collect();
    Device::named(name).ok_or_else(|| format!("valid: {}", names.join(", ")))
}

/// What is merged, and what the result has to do.
pub struct Target {
    spec: NetworkSpec,
    checkpoints: u64,
    stored: Bytes,
    router_layers: usize,
    /// Of the largest candidate, and why it is that large.
    scale: Scale,
    scale_from: String,
    /// Title and rows of each evaluation.
    evaluations: Vec<(&'static str, &'static str, Vec<Work>)>,
}

/// Title and key in JSON.
const KIT: (&str, &str) =
    ("starter kit of the LLM Merging Competition (both validation files and test.csv)", "kit");
const TASKS: (&str, &str) =
    ("this space's tasks (all splits; beginnings that documents share are read once)", "tasks");

/// The base model of a space and all of its experts.
pub fn of_space(bench: &Workbench) -> Target {
    let evaluator = &bench.evaluator;
    let spec = evaluator.spec().clone();
    let own = own_work(&spec, evaluator);
    let graph = Graph::of_space(bench.decoder.space());
    let ([_, scale], scale_from) = graph.scales(&spec);
    Target {
        scale,
        scale_from,
        checkpoints: evaluator.checkpoints().count() as u64,
        stored: stored(evaluator),
        router_layers: graph.router_layers(),
        evaluations: vec![(KIT.0, KIT.1, kit_work(&spec)), (TASKS.0, TASKS.1, vec![own])],
        spec,
    }
}

/// The same where there are only configs: the space's own tasks are left out, as nothing has counted their tokens.
pub fn of_models(base: &OfflineModel, models: usize, stored: Bytes, graph: &Graph) -> Target {
    Target::of_kit(base.spec.clone(), models as u64, stored, Some(graph))
}

/// Bytes of a stored number, by the config's word; float32 where it has none.
pub fn element_bytes(config: &Value) -> u64 {
    let word = ["dtype", "torch_dtype"].iter().find_map(|key| config.get(key)?.as_str());
    if matches!(word, Some("float16" | "bfloat16")) { 2 } else { 4 }
}

/// The estimate for a config alone, as text or as one JSON object.
pub fn of_config(file: &Path, args: &TargetArgs, json: bool) -> Result<String, Failure> {
    let cannot = |why: String| Failure::input(format!("{}: {why}", file.display()));
    let text = std::fs::read(file).map_err(|error| cannot(format!("cannot be read: {error}")))?;
    let config: Value =
        serde_json::from_slice(&text).map_err(|error| cannot(format!("is no JSON: {error}")))?;
    let spec = NetworkSpec::from_config_alone(&config).map_err(|error| cannot(chain(&error)))?;
    let checkpoints = u64::from(args.experts) + 1;
    let stored = spec.weight_bytes(element_bytes(&config)).saturating_mul(checkpoints);
    let target = Target::of_kit(spec, checkpoints, Bytes(stored), None);
    match json {
        true => Ok(format!("{:#}\n", target.json(args))),
        false => Ok(target.text(args)),
    }
}

fn stored(evaluator: &CandleEvaluator) -> Bytes {
    let shapes = evaluator.checkpoints().flat_map(|checkpoint| checkpoint.tensors());
    Bytes(shapes.map(|(_, shape)| (shape.elements() * shape.dtype.size()) as u64).sum())
}

fn own_work(spec: &NetworkSpec, evaluator: &CandleEvaluator) -> Work {
    let mut demand = Demand::default();
    Split::ALL.iter().for_each(|split| demand.add(&evaluator.demand(*split)));
    Work {
        name: "tasks".into(),
        rows: demand.docs as u64,
        tokens: demand.reading.tokens(),
        flops: spec.flops(&demand.reading),
        passes: demand.docs as u64,
        steps: demand.new_tokens as u64,
        known: demand.known_tokens as u64,
        longest: demand.longest as u64,
    }
}

impl Target {
    fn of_kit(spec: NetworkSpec, checkpoints: u64, stored: Bytes, graph: Option<&Graph>) -> Self {
        let router_layers = graph.map_or(0, Graph::router_layers);
        let scales = graph.map(|graph| graph.scales(&spec));
        let dense = || ([Scale::ONE; 2], "one dense model".to_owned());
        let ([_, scale], scale_from) = scales.unwrap_or_else(dense);
        let evaluations = vec![(KIT.0, KIT.1, kit_work(&spec))];
        Self { spec, checkpoints, stored, router_layers, scale, scale_from, evaluations }
    }

    fn merge(&self) -> Merge<'_> {
        Merge {
            spec: &self.spec,
            checkpoints: self.checkpoints,
            stored: self.stored,
            router_layers: self.router_layers,
            scale: self.scale,
        }
    }

    fn estimates(&self, args: &TargetArgs, work: &[Work]) -> Vec<Estimate> {
        let all: Vec<&'static Device> = match args.target_device.is_empty() {
            true => DEVICES.iter().collect(),
            false => args.target_device.clone(),
        };
        let both = |device| {
            Weights::ALL.map(|weights| Estimate::new(device, weights, &self.merge(), work))
        };
        all.into_iter().flat_map(both).collect()
    }

    /// A table, and with named devices every step.
    pub fn text(&self, args: &TargetArgs) -> String {
        let mut text = format!(
            "\n1-hour rule, estimated: {} {} parameters, {} checkpoints ({} on disk), minutes * {} against {}, \
             {} characters per token assumed; counted: {}\n",
            self.spec.parameters(),
            self.spec.family,
            self.checkpoints,
            self.stored,
            rates::MARGIN,
            rates::LIMIT_MINUTES,
            rates::CHARACTERS_PER_TOKEN,
            self.scale_from
        );
        for (title, _, work) in &self.evaluations {
            if work.is_empty() {
                text.push_str(&format!("{title}: a `{}` writes no texts\n", self.spec.family));
                continue;
            }
            let estimates = self.estimates(args, work);
            text.push_str(&format!("{title}\n{}", table(&estimates)));
            if !args.target_device.is_empty() {
                text.extend(estimates.iter().map(steps));
            }
        }
        text
    }

    /// By evaluation, device and precision.
    pub fn json(&self, args: &TargetArgs) -> Value {
        let evaluations = self.evaluations.iter().map(|(_, key, work)| {
            let estimates: Vec<Value> = self.estimates(args, work).iter().map(object).collect();
            ((*key).to_owned(), Value::from(estimates))
        });
        let mut all: serde_json::Map<String, Value> = evaluations.collect();
        all.insert("parameters".into(), json!(self.spec.parameters()));
        all.insert("margin".into(), json!(rates::MARGIN));
        all.insert("limit_minutes".into(), json!(rates::LIMIT_MINUTES));
        Value::Object(all)
    }
}

fn table(estimates: &[Estimate]) -> String {
    let mut text =
        format!("  {:<9} {:<5} {:>20} {:>8}  verdict\n", "device", "", "memory", "minutes");
    for estimate in estimates {
        let memory = format!("{} of {}", estimate.bytes(), estimate.device.memory);
        text.push_str(&format!(
            "  {:<9} {:<5} {memory:>20} {:>8.1}  {}\n",
            estimate.device.name,
            estimate.weights.as_str(),
            estimate.seconds() / 60.0,
            estimate.verdict().as_str()
        ));
    }
    text
}

/// The whole calculation.
fn steps(estimate: &Estimate) -> String {
    let device = estimate.device;
    let mut text = format!(
        "\n  {} in {}: {} at {:.0} GB/s, {:.1} TFLOP/s (bf16 {:.1}, TF32 {:.1}, fp32 {:.1})\n  from: {}\n",
        device.title,
        estimate.weights.as_str(),
        device.memory,
        device.bandwidth / 1e9,
        device.peak(estimate.weights) / 1e12,
        device.bf16 / 1e12,
        device.tf32 / 1e12,
        device.f32 / 1e12,
        device.source
    );
    for step in &estimate.steps {
        text.push_str(&format!(
            "    {:>8.1} s  {}: {}\n",
            step.seconds, step.what, step.calculation
        ));
    }
    let minutes = estimate.seconds() / 60.0;
    text.push_str(&format!(
        "    {:>8.1} s  = {minutes:.1} min; * {} = {:.1} min of {}: {}\n",
        estimate.seconds(),
        rates::MARGIN,
        minutes * rates::MARGIN,
        rates::LIMIT_MINUTES,
        estimate.verdict().as_str()
    ));
    for (what, calculation, bytes) in &estimate.memory {
        text.push_str(&format!("    {:>10}  {what}: {calculation}\n", bytes.to_string()));
    }
    text.push_str(&format!(
        "    {:>10}  together, of {}; the kit's own loader holds {} of weights\n",
        estimate.bytes().to_string(),
        device.memory,
        estimate.kit_loader
    ));
    text
}

fn object(estimate: &Estimate) -> Value {
    let steps: Vec<Value> = (estimate.steps.iter())
        .map(|step| {
            json!({ "what": step.what, "calculation": step.calculation, "seconds": step.seconds })
        })
        .collect();
    let memory: Vec<Value> = (estimate.memory.iter())
        .map(|(what, how, bytes)| json!({ "what": what, "calculation": how, "bytes": bytes.0 }))
        .collect();
    json!({
        "device": estimate.device.name,
        "source": estimate.device.source,
        "weights": estimate.weights.as_str(),
        "seconds": estimate.seconds(),
        "minutes_with_margin": estimate.seconds() / 60.0 * rates::MARGIN,
        "verdict": estimate.verdict().as_str(),
        "bytes": estimate.bytes().0,
        "device_bytes": estimate.device.memory.0,
        "kit_loader_bytes": estimate.kit_loader.0,
        "steps": steps,
        "memory": memory,
    })
}
