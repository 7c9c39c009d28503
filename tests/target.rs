//! The 1-hour rule, calculated by hand for a 7B and an 8B model.

use std::path::{Path, PathBuf};
use std::process::Command;

use merge_search::target::{
    DEVICES, Device, Estimate, Merge, Rows, Scale, Verdict, Weights, Work, kit_work, rates,
};
use merge_search::units::Bytes;

use crate::counted::hub;

/// Names and seconds of all steps, and the total.
type Expected<'a> = (&'a [(&'a str, f64)], f64);

fn estimate(model: &str, device: &str, weights: Weights) -> Estimate {
    let spec = hub(model);
    let stored = Bytes(3 * spec.weight_bytes(2));
    let merge = Merge { spec: &spec, checkpoints: 3, stored, router_layers: 0, scale: Scale::ONE };
    Estimate::new(Device::named(device).unwrap(), weights, &merge, &kit_work(&spec))
}

fn assert_steps(estimate: &Estimate, (steps, total): Expected) {
    assert_eq!(estimate.steps.len(), steps.len());
    for (step, (what, seconds)) in estimate.steps.iter().zip(steps) {
        assert!(step.what.contains(what), "{} is not {what}", step.what);
        assert!((step.seconds - seconds).abs() < 0.006, "{what}: {}", step.seconds);
    }
    assert!((estimate.seconds() - total).abs() < 0.01, "{}", estimate.seconds());
}

/// Prompts of ⌈613 / 3.5⌉ = 176 tokens with four answers of ⌈26.4 / 3.5⌉ = 8, and of ⌈2087 / 3.5⌉ = 597 with 64 new tokens.
/// n tokens behind c take 2 ((M + V) n + 32 · 2 · 4096 Σ (c + i)), i from 1 to n, with M = 32 (4 · 4096² + 3 · 4096 · 11008) and
/// V = 32000 · 4096. A step reads 4 P bytes of weights and (597 + 32) · 32 · 2 · 4096 · 4 of keys and values at 0.6 · 768 GB/s.
/// Three checkpoints of 2 P bytes at 1 GB/s; 4 P bytes at 31.5 / 2 GB/s; four times 4 P bytes at 5 GB/s.
#[test]
fn the_hour_of_llama_2_7b_on_an_a6000_in_float32() {
    let estimate = estimate("Llama-2-7b-hf", "a6000", Weights::F32);
    let steps = [
        ("read 3 checkpoints", 40.43),
        ("copy", 1.71),
        ("merge", 21.56),
        // 1.3799e15 FLOP at 19.35 TFLOP/s; the weights 1000 times take 58.5 s.
        ("cosmos_qa.csv: read", 71.31),
        ("xsum.csv: read", 82.51),
        ("xsum.csv: write 12800", 767.03),
        ("test.csv, choices: read", 65.18),
        ("test.csv, texts: read", 144.39),
        ("test.csv, texts: write 22400", 1342.31),
    ];
    assert_steps(&estimate, (&steps, 2536.43));
    // 42.3 minutes, 71.9 with the margin.
    assert_eq!(estimate.verdict(), Verdict::Tight);
    // 4 P, 2782 tokens of 1 MiB, as many logits of 32000 twice in float32, 1 GB.
    assert_eq!(
        estimate.bytes(),
        Bytes(26_953_662_464 + 2_917_138_432 + 712_192_000 + 1_000_000_000)
    );
    assert_eq!(estimate.kit_loader, Bytes(4 * 26_953_662_464));
}

/// The same with 8 of 32 heads for keys and values, an MLP of 14336 and V = 128256 · 4096, in two bytes: Python's launches of 32
/// layers, 32 ms a pass, take longer than the operations at 156 TFLOP/s or the weights at 1161 GB/s wherever passes are short.
#[test]
fn the_hour_of_llama_3_8b_on_an_a100_in_bfloat16() {
    let estimate = estimate("Meta-Llama-3-8B", "a100-80", Weights::Bf16);
    let steps = [
        ("read 3 checkpoints", 48.18),
        ("copy", 1.02),
        ("merge", 25.70),
        ("cosmos_qa.csv: read", 32.00),
        ("xsum.csv: read", 11.61),
        ("xsum.csv: write 12800", 409.60),
        ("test.csv, choices: read", 29.25),
        ("test.csv, texts: read", 20.31),
        ("test.csv, texts: write 22400", 716.80),
    ];
    assert_steps(&estimate, (&steps, 1294.47));
    assert_eq!(estimate.verdict(), Verdict::Fits);
    assert_eq!(estimate.bytes(), Bytes(20_279_630_336));
}

#[test]
fn float32_of_a_7b_is_too_much_for_24_gigabytes() {
    assert_eq!(estimate("Llama-2-7b-hf", "4090", Weights::F32).verdict(), Verdict::NoMemory);
    assert_ne!(estimate("Llama-2-7b-hf", "4090", Weights::Bf16).verdict(), Verdict::NoMemory);
}

/// Half of the layers on 100 tokens: 16 (M₁ · 100 + 2 · 4096 · 5050) multiplications, ten rows. All passes of a step take the time
/// of the slowest of the three, here the operations.
#[test]
fn a_router_reads_every_prompt_with_its_layers() {
    let spec = hub("Llama-2-7b-hf");
    let stored = Bytes(spec.weight_bytes(2));
    let merge = Merge { spec: &spec, checkpoints: 1, stored, router_layers: 16, scale: Scale::ONE };
    let work = Work {
        name: "rows".into(),
        rows: 10,
        tokens: 1000,
        flops: 0.0,
        passes: 0,
        steps: 0,
        known: 0,
        longest: 100,
    };
    let device = Device { f32: 1e12, ..*Device::named("a6000").unwrap() };
    let device: &'static Device = Box::leak(Box::new(device));
    let estimate = Estimate::new(device, Weights::F32, &merge, &[work]);
    let layer: f64 = 4.0 * 4096.0 * 4096.0 + 3.0 * 4096.0 * 11008.0;
    let flops = 10.0 * 2.0 * 16.0 * (layer * 100.0 + 2.0 * 4096.0 * 5050.0);
    let route = estimate.steps.last().unwrap();
    assert!(route.what.contains("route 10 prompts"), "{}", route.what);
    assert!((route.seconds / (flops / 0.5e12) - 1.0).abs() < 1e-12, "{}", route.seconds);
}

/// A rate that is too good to be true would let a submission fail on the day.
#[test]
fn shares_of_peaks_are_below_one_and_devices_have_their_own_names() {
    for share in [rates::HOST_LINK, rates::PREFILL, rates::DECODE] {
        assert!(share > 0.0 && share < 0.8);
    }
    let mut names: Vec<&str> = DEVICES.iter().map(|device| device.name).collect();
    names.sort_unstable();
    assert_eq!(names, ["4090", "a100-40", "a100-80", "a6000", "h200"]);
    for device in &DEVICES {
        assert!(device.f32 <= device.tf32 && device.tf32 <= device.bf16, "{}", device.name);
    }
}

fn plan(config: &Path, more: &[&str]) -> std::process::Output {
    let mut plan = Command::new(env!("CARGO_BIN_EXE_merge-search"));
    plan.arg("plan").arg("--config").arg(config).args(more);
    plan.output().unwrap()
}

fn config(name: &str) -> PathBuf {
    let hub = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/transformers/hub");
    hub.join(format!("{name}.json"))
}

#[test]
fn plan_shows_the_calculation_for_a_config_alone() {
    let output = plan(&config("Llama-2-7b-hf"), &["--target-device", "a6000"]);
    let text = String::from_utf8(output.stdout).unwrap();
    for part in [
        "6738415616 llama parameters, 3 checkpoints (40.4 GB on disk)",
        "NVIDIA RTX A6000 in fp32: 48.0 GB at 768 GB/s, 38.7 TFLOP/s",
        "767.0 s  xsum.csv: write 12800 tokens",
        "2536.4 s  = 42.3 min; * 1.7 = 71.9 min of 60: tight",
    ] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    assert!(!text.contains("H200"), "{text}");
    let all = plan(&config("Meta-Llama-3-8B"), &["--json", "--experts", "2"]);
    let all: serde_json::Value = serde_json::from_slice(&all.stdout).unwrap();
    assert_eq!(all["kit"].as_array().unwrap().len(), 10);
    assert_eq!(all["parameters"], 8_030_261_248u64);
}

#[test]
fn what_cannot_be_planned_is_said() {
    let missing = plan(Path::new("/nowhere/config.json"), &[]);
    assert_eq!(missing.status.code(), Some(2));
    assert!(String::from_utf8(missing.stderr).unwrap().contains("/nowhere/config.json"));
    let unknown = plan(&config("gpt2"), &["--target-device", "v100"]);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(String::from_utf8(unknown.stderr).unwrap().contains("a6000, 4090, a100-40"));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.json");
    for (text, says) in [("{", "no JSON"), ("{\"model_type\": \"rwkv\"}", "rwkv")] {
        std::fs::write(&file, text).unwrap();
        let refused = plan(&file, &[]);
        assert_eq!(refused.status.code(), Some(2));
        let said = String::from_utf8(refused.stderr).unwrap();
        assert!(said.contains(says) && said.contains("config.json"), "{said}");
    }
}

/// Three merges held at once are copied once and kept; each token goes through one of them. With half as many layers again,
/// each token reads half as many weights again: 64 new tokens behind 100 read 1.5 times 4 P bytes and 1.5 · 132 MiB of keys and
/// values a step.
#[test]
fn several_merges_take_memory_and_repeated_layers_take_time() {
    let spec = hub("Llama-2-7b-hf");
    let of = |scale: Scale| {
        let merge =
            Merge { spec: &spec, checkpoints: 3, stored: Bytes(0), router_layers: 0, scale };
        let rows = Rows { name: "x".into(), rows: 1000, prompt_tokens: 100, new_tokens: 64 };
        let device = Device::named("a6000").unwrap();
        Estimate::new(device, Weights::F32, &merge, &[rows.work(&spec).unwrap()])
    };
    let (one, three) = (of(Scale::ONE), of(Scale { weights: 3.0, flops: 1.0 }));
    let weights = 26_953_662_464;
    assert_eq!(three.bytes().0 - one.bytes().0, 2 * weights);
    let seconds = |estimate: &Estimate, what: &str| {
        estimate.steps.iter().find(|step| step.what.contains(what)).unwrap().seconds
    };
    assert!((seconds(&three, "copy") / seconds(&one, "copy") - 3.0).abs() < 1e-9);
    assert!((seconds(&three, "write") / seconds(&one, "write") - 1.0).abs() < 1e-9);
    let repeated = of(Scale { weights: 1.0, flops: 1.5 });
    let step = 1.5 * (weights as f64 + 132.0 * 1_048_576.0) / (0.6 * 768e9);
    assert!((seconds(&repeated, "write") / (64_000.0 * step) - 1.0).abs() < 1e-9);
    assert_eq!(one.within(1.0), Verdict::TooSlow);
    assert_eq!(one.within(600.0), Verdict::Fits);
}
