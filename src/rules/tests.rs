//! Time, memory and disk of networks that are known by their public configs alone.

use serde_json::{Value, json};

use super::graph::Graph;
use super::network::Network;
use super::*;
use crate::model::NetworkSpec;
use crate::recipe::{
    Classes, DocumentRouter, Features, Gate, GateKind, GateMode, ModelRef, Prompts, Recipe,
    TokenExpert, TokenRouter,
};
use crate::target::{Scale, Weights};
use crate::units::Bytes;

/// meta-llama/Llama-2-7b-hf: 6,738,415,616 parameters.
fn llama_2_7b() -> Value {
    json!({
        "model_type": "llama", "vocab_size": 32000, "hidden_size": 4096, "intermediate_size": 11008,
        "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 32, "hidden_act": "silu",
        "max_position_embeddings": 4096, "rms_norm_eps": 1e-5, "tie_word_embeddings": false,
    })
}

/// meta-llama/Llama-2-70b-hf: 68,976,648,192 parameters.
fn llama_2_70b() -> Value {
    let mut config = llama_2_7b();
    for (key, value) in [
        ("hidden_size", 8192),
        ("intermediate_size", 28672),
        ("num_hidden_layers", 80),
        ("num_attention_heads", 64),
        ("num_key_value_heads", 8),
    ] {
        config[key] = json!(value);
    }
    config
}

/// Three checkpoints of two bytes a parameter.
fn network(config: &Value, weights: Option<Weights>) -> Network {
    let spec = NetworkSpec::from_config_alone(config).unwrap();
    Network {
        config: "config.json".into(),
        checkpoints: 3,
        stored: Bytes(3 * spec.weight_bytes(2)),
        stored_from: "sizes of files".into(),
        router_layers: 0,
        scales: [Scale::ONE; 2],
        scales_from: "one dense model".into(),
        weights,
        spec,
    }
}

fn time(profile: &str, network: &Network) -> Vec<Finding> {
    let rules = Profile::named(profile).unwrap().time.unwrap();
    let mut findings = time::check(&rules, Ok(network), None);
    findings.retain(|finding| finding.rule == "time");
    findings
}

fn memory(profile: &str, network: &Network, rule: &str) -> Vec<Finding> {
    let profile = Profile::named(profile).unwrap();
    let mut findings = memory::check(&profile.memory.unwrap(), profile.time.as_ref(), network);
    findings.retain(|finding| finding.rule == rule);
    findings
}

/// tests/target.rs calculates 2536.43 s in float32 by hand: 42.3 minutes, 71.9 with the margin.
#[test]
fn a_7b_in_float32_is_tight_on_an_a6000() {
    let findings = time("merging-2024", &network(&llama_2_7b(), Some(Weights::F32)));
    assert_eq!(findings.len(), 1);
    assert_eq!((findings[0].subject.as_str(), findings[0].verdict), ("a6000", Verdict::Warn));
    for word in
        ["42.3 min", "71.9 of 60 min", "31.6 GB of 48.0 GB", "fp32", "3 checkpoints", "config.json"]
    {
        assert!(findings[0].evidence.contains(word), "{word}: {}", findings[0].evidence);
    }
    assert!(findings[0].remedy.is_some());
}

/// 69 billion parameters take 276 GB in float32 and 138 GB in bfloat16.
#[test]
fn a_70b_breaks_time_device_and_host_memory() {
    let network = network(&llama_2_70b(), None);
    assert_eq!(network.spec.parameters(), 68_976_648_192);
    for profile in Profile::NAMES {
        let findings = time(profile, &network);
        assert!(findings.iter().all(|it| it.verdict == Verdict::Fail), "{profile}: {findings:?}");
        assert!(findings[0].evidence.contains("no memory"), "{}", findings[0].evidence);
        let device = memory(profile, &network, "device_memory");
        assert!(device.iter().all(|it| it.verdict == Verdict::Fail), "{profile}: {device:?}");
        // The kit's loader: (3 + 1) models of 4 bytes.
        let is_kit = profile != "efficiency-2023";
        assert_eq!(device[0].evidence.contains("1103.6 GB"), is_kit, "{}", device[0].evidence);
    }
    // 2 * 275.9 GB, and four tensors of 8192 * 32000 or 8192 * 28672 elements at most, against 80 GB.
    let host = memory("seed", &network, "host_memory");
    assert_eq!(host[0].verdict, Verdict::Fail);
    assert!(
        host[0].evidence.contains("275.9 GB") && host[0].evidence.contains("of 80.0 GB"),
        "{host:?}"
    );
}

/// A 4090 has 24 GB: 27 GB of float32 do not fit, and an A100 is enough to be judged.
#[test]
fn a_track_that_is_too_small_is_a_warning_while_another_is_not() {
    let verdicts = |weights| {
        let findings = memory("seed", &network(&llama_2_7b(), weights), "device_memory");
        findings.into_iter().map(|it| (it.subject, it.verdict)).collect::<Vec<_>>()
    };
    let pairs = |of: [Verdict; 3]| {
        ["4090", "a100-40", "a100-80"].map(str::to_owned).into_iter().zip(of).collect::<Vec<_>>()
    };
    use Verdict::{Pass, Warn};
    assert_eq!(verdicts(Some(Weights::F32)), pairs([Warn, Pass, Pass]));
    assert_eq!(verdicts(Some(Weights::Bf16)), pairs([Pass, Pass, Pass]));
}

/// Four merges of 27 GB at once are 108 GB.
#[test]
fn a_routed_winner_counts_with_all_its_merges() {
    let mut network = network(&llama_2_7b(), Some(Weights::F32));
    network.scales = [Scale { weights: 4.0, flops: 1.0 }; 2];
    network.scales_from = "4 merges at once".into();
    let device = memory("merging-2024", &network, "device_memory");
    assert_eq!(device[0].verdict, Verdict::Fail);
    assert!(device[0].evidence.contains("4 merges at once"), "{}", device[0].evidence);
    let findings = time("merging-2024", &network);
    assert_eq!(findings[0].verdict, Verdict::Fail);
    // Of a space, only the largest candidates are like that.
    network.scales[0] = Scale::ONE;
    let findings = time("merging-2024", &network);
    assert_eq!(findings[0].verdict, Verdict::Warn);
    assert!(findings[0].evidence.contains("the largest candidate (4 merges at once): no memory"));
}

/// 500 GB: snapshots of 40.4 GB and 27 GB of merged weights fit, twenty times as many do not.
#[test]
fn snapshots_have_to_fit_on_the_disk() {
    let rules = Profile::named("seed").unwrap().disk.unwrap();
    let mut network = network(&llama_2_7b(), Some(Weights::F32));
    let finding = disk::check(&rules, &network);
    assert_eq!(finding.verdict, Verdict::Pass);
    assert!(
        finding.evidence.contains("40.4 GB") && finding.evidence.contains("67.4 GB"),
        "{finding:?}"
    );
    network.stored = Bytes(20 * network.stored.0);
    let finding = disk::check(&rules, &network);
    assert_eq!(finding.verdict, Verdict::Fail);
    assert!(finding.evidence.contains("of 500.0 GB"), "{}", finding.evidence);
}

/// 600 questions of at most 2048 tokens; two hours.
#[test]
fn the_evaluation_of_2023_is_counted_from_the_profile() {
    let findings = time("efficiency-2023", &network(&llama_2_7b(), Some(Weights::Bf16)));
    let tracks: Vec<&str> = findings.iter().map(|finding| finding.subject.as_str()).collect();
    assert_eq!(tracks, ["4090", "a100-40"]);
    let rules = Profile::named("efficiency-2023").unwrap().time.unwrap();
    let work = rules.work_of(&network(&llama_2_7b(), None));
    assert_eq!(work.iter().map(|work| work.rows).sum::<u64>(), 600);
    assert!(work.iter().all(|work| work.longest == 2048));
    assert!(findings.iter().all(|finding| finding.evidence.contains("of 120 min")), "{findings:?}");
}

#[test]
fn what_is_not_at_hand_is_unknown_and_what_was_measured_counts() {
    let rules = Profile::named("merging-2024").unwrap().time.unwrap();
    let findings = time::check(&rules, Err("no config.json of a/b is at hand"), None);
    assert!(findings.iter().all(|it| it.verdict == Verdict::Unknown && it.remedy.is_some()));
    assert!(findings[0].evidence.contains("a/b"));
    let measured = |minutes: f64| measured::Measured {
        file: "dry.json".into(),
        minutes,
        rows: 12,
        machine: "NVIDIA RTX A6000".into(),
        class_sha256: String::new(),
        problems: Vec::new(),
    };
    let measured_on = |minutes, machine: &str| measured::Measured {
        machine: machine.into(),
        ..measured(minutes)
    };
    // Another device tells nothing of the track, nor do the kit's files of other questions.
    let other_rules = Profile::named("efficiency-2023").unwrap().time.unwrap();
    for (rules, machine) in [(&rules, "NVIDIA H200"), (&other_rules, "NVIDIA GeForce RTX 4090")] {
        for minutes in [1.0, 500.0] {
            let measured = measured_on(minutes, machine);
            let finding = time::check(rules, Err(""), Some(&measured)).pop().unwrap();
            assert_eq!(finding.verdict, Verdict::Unknown, "{finding:?}");
            assert!(finding.evidence.contains(machine), "{}", finding.evidence);
            assert!(finding.evidence.contains(&format!("{minutes:.1} min")), "{finding:?}");
        }
    }
    for (minutes, expected) in [(30.0, Verdict::Pass), (50.0, Verdict::Warn), (61.0, Verdict::Fail)]
    {
        let finding = time::check(&rules, Err(""), Some(&measured(minutes))).pop().unwrap();
        assert_eq!((finding.rule, finding.verdict), ("time_measured", expected));
        assert!(finding.evidence.contains("12 rows on NVIDIA RTX A6000"), "{}", finding.evidence);
    }
}

/// 48 layers of 32: 16 more of 4 * 4096^2 + 3 * 4096 * 11008 = 202,375,168 elements; a token's operations are twice those of
/// all layers and of the head's 32000 * 4096.
#[test]
fn a_recipe_tells_how_large_its_result_is() {
    let spec = NetworkSpec::from_config_alone(&llama_2_7b()).unwrap();
    let graph = |text: &str| Graph::Recipe(Box::new(Recipe::from_yaml(text).unwrap()));
    let stacked = "merge_method: passthrough\nslices:\n- sources:\n  - model: a/b\n    layer_range: [0, 24]\n\
                   - sources:\n  - model: a/b\n    layer_range: [8, 32]\n";
    let ([least, most], from) = graph(stacked).scales(&spec);
    assert_eq!(least, most);
    assert!((least.weights - (1.0 + 16.0 * 202_375_168.0 / 6_738_415_616.0)).abs() < 1e-9);
    let token = 32.0 * 202_375_168.0 + 131_072_000.0;
    assert!((least.flops - (1.0 + 16.0 * 202_375_168.0 / token)).abs() < 1e-3, "{least:?}");
    assert!(from.contains("48 layers of 32"), "{from}");
    let dense = "merge_method: linear\nmodels:\n- model: a/b\n  parameters:\n    weight: 1\n";
    assert_eq!(graph(dense).scales(&spec).0, [Scale::ONE; 2]);
}

/// Two of four experts at the last two layers: three more blocks of 3 * 4096 * 11008 elements there, one more for each token.
#[test]
fn routers_of_a_recipe_count_what_they_add_and_no_bound_fails() {
    let spec = NetworkSpec::from_config_alone(&llama_2_7b()).unwrap();
    let dense = "merge_method: linear\nmodels:\n- model: a/b\n  parameters:\n    weight: 1\n";
    let mut recipe = Recipe::from_yaml(dense).unwrap();
    let expert = |_| TokenExpert {
        source_model: ModelRef::new("a/b").unwrap(),
        positive_prompts: Prompts::Texts(vec!["x".into()]),
    };
    recipe.token_router = Some(TokenRouter {
        layers: vec![30, 31],
        experts: (0..4).map(expert).collect(),
        gate_mode: GateMode::HiddenAvg,
        experts_per_token: 2,
        temperature: 1.0,
    });
    let ([least, most], _) = Graph::Recipe(Box::new(recipe)).scales(&spec);
    assert_eq!(least, most);
    let block = 3.0 * 4096.0 * 11008.0;
    assert!((most.weights - (1.0 + 2.0 * 3.0 * block / 6_738_415_616.0)).abs() < 1e-9, "{most:?}");
    let token = 32.0 * 202_375_168.0 + 131_072_000.0;
    assert!((most.flops - (1.0 + 2.0 * block / token)).abs() < 1e-4, "{most:?}");

    let mut routed = Recipe::from_yaml(dense).unwrap();
    let gate =
        Gate { features: Features::Shape, kind: GateKind::Linear, classes: Classes::Tasks(4) };
    let merges = (0..3).map(|_| Recipe::from_yaml(dense).unwrap()).collect();
    routed.document_router = Some(DocumentRouter { gate, routes: vec![0, 1, 2, 3], merges });
    let mut network = network(&llama_2_7b(), Some(Weights::F32));
    (network.scales, network.scales_from) = Graph::Recipe(Box::new(routed)).scales(&spec);
    assert_eq!(network.scales, [Scale::ONE, Scale { weights: 4.0, flops: 1.0 }]);
    // Four times 27 GB, unless the merges share nearly all of it.
    let device = memory("merging-2024", &network, "device_memory");
    assert_eq!(device[0].verdict, Verdict::Warn, "{device:?}");
    assert_eq!(time("merging-2024", &network)[0].verdict, Verdict::Warn);
}

/// 2 * 54 GB in float32 are more than 80 GB, 2 * 27 GB in bfloat16 are not; beside snapshots of 470 of 500 GB on the disk likewise, once.
#[test]
fn what_fits_in_bfloat16_is_a_warning_until_the_precision_is_decided() {
    let mut config = llama_2_7b();
    config["num_hidden_layers"] = json!(65);
    let mut network = network(&config, None);
    network.stored = Bytes(470_000_000_000);
    let disk = Profile::named("seed").unwrap().disk.unwrap();
    for (weights, expected) in [
        (None, Verdict::Warn),
        (Some(Weights::F32), Verdict::Fail),
        (Some(Weights::Bf16), Verdict::Pass),
    ] {
        network.weights = weights;
        let host = memory("seed", &network, "host_memory");
        assert_eq!(host[0].verdict, expected, "{host:?}");
        let finding = disk::check(&disk, &network);
        assert_eq!(finding.verdict, expected, "{finding:?}");
    }
    network.weights = Some(Weights::F32);
    network.scales[0] = Scale { weights: 0.5, flops: 0.5 };
    let host = memory("seed", &network, "host_memory");
    assert_eq!(host[0].verdict, Verdict::Warn, "{host:?}");
}

/// An encoder answers no question with a text, whoever asks.
#[test]
fn models_that_write_no_texts_are_unknown_under_every_profile() {
    let config = json!({
        "architectures": ["BertForMaskedLM"], "model_type": "bert", "vocab_size": 28996, "hidden_size": 768,
        "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12, "hidden_act": "gelu",
        "max_position_embeddings": 512, "type_vocab_size": 2, "layer_norm_eps": 1e-12,
    });
    for profile in Profile::NAMES {
        let findings = time(profile, &network(&config, None));
        assert!(
            findings.iter().all(|it| it.verdict == Verdict::Unknown),
            "{profile}: {findings:?}"
        );
        assert!(findings[0].evidence.contains("writes no texts"), "{findings:?}");
    }
}
